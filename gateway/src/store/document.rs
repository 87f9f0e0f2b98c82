//! docs/FORMAT.md is true: its examples are what the code writes and reads.

use engine::{EventTime, SensorId};

use super::block;
use super::log;
use super::scan::entry;
use super::types::{Counters, Doubt, Fate, Group, Letter, Logged};

const DOCUMENT: &str = include_str!("../../../docs/FORMAT.md");

/// The bytes of the example called `name`: on each of its lines they come first, in hex, then two
/// spaces and what they mean.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let fence = format!("```hex {name}\n");
    let (_, example) = DOCUMENT
        .split_once(&fence)
        .expect("the document has the example");
    let (example, _) = example.split_once("```").expect("the example ends");
    example
        .lines()
        .filter_map(|line| line.split("  ").next())
        .flat_map(str::split_whitespace)
        .map(|hex| u8::from_str_radix(hex, 16).expect("two digits of hex"))
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.join(" ")
}

fn readings() -> Vec<Logged> {
    let reading = |seq, sensor, minute: i64, value, fate| Logged {
        seq,
        sensor: SensorId(sensor),
        // From 2020-01-01T00:00Z on.
        time: EventTime::from_ms(1_577_836_800_000 + minute * 60_000).expect("in 2020"),
        tie: 0,
        value,
        fate,
        flag: None,
    };
    vec![
        reading(1000, 0, 15, 28.41, Fate::Accepted),
        reading(1001, 1, 15, -0.0, Fate::Accepted),
        reading(1003, 0, 15, 28.5, Fate::Corrected),
    ]
}

#[test]
fn the_group_in_the_document_is_the_group_in_the_log() {
    let group = Group {
        first_seq: 1000,
        next_seq: 1005,
        arrived_ms: 1_577_837_700_250,
        site_time_ms: Some(1_577_837_700_000),
        counters: Counters {
            received: 1005,
            accepted: 1000,
            duplicate: 2,
            corrected: 1,
            late: 1,
            dead_letter: 1,
        },
        new_sensors: vec![(SensorId(1), "W1".into())],
        new_balances: Vec::new(),
        readings: readings(),
        letters: vec![Letter {
            seq: 1004,
            arrived_ms: 1_577_837_700_250,
            topic: "x/y".into(),
            reason: "no number".into(),
            payload: b"{".to_vec(),
        }],
        doubt: Doubt::default(),
    };
    let mut packed = Vec::new();
    log::pack(&mut packed, &group);
    assert_eq!(hex(&example("group")), hex(&packed));
    assert_eq!(log::unpack(1000, &example("group")), Ok(group));
}

#[test]
fn the_block_in_the_document_is_the_block_in_the_store() {
    let mut entries: Vec<block::Entry> = readings()
        .iter()
        .filter(|r| r.sensor == SensorId(0))
        .map(entry)
        .collect();
    let mut packed = Vec::new();
    block::pack(&mut packed, &mut entries);
    assert_eq!(hex(&example("block")), hex(&packed));
    assert_eq!(block::unpack(&example("block")), Ok(entries));
}
