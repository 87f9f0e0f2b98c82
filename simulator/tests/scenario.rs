//! What a scenario promises: the seed home to the letter, the same bytes for the same arguments, and a
//! truth that the meters bear out.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use simulator::{DAY_MS, Late, Leak, Reading, Scenario, Sensor, TICK_MS};

/// 2020-01-01T00:00Z.
const START: i64 = 1_577_836_800_000;

fn leak(spec: &str) -> Leak {
    spec.parse().unwrap()
}

fn of(scenario: &Scenario, sensor: Sensor) -> Vec<Reading> {
    scenario
        .readings()
        .filter(|reading| reading.sensor == sensor)
        .collect()
}

fn lines(scenario: &Scenario) -> String {
    scenario
        .messages()
        .map(|message| message.payload + "\n")
        .collect()
}

/// FNV-1a, 64 bits: enough to notice a changed byte.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn seed_1_begins_as_it_always_has() {
    let all = lines(&Scenario::default());
    let first: Vec<&str> = all.lines().take(11).collect();
    assert_eq!(
        first,
        [
            r#"{"name":"Etot","timestamp":"2020-01-01 00:00:00","value":61624.52}"#,
            r#"{"name":"Wtot","timestamp":"2020-01-01 00:00:00","value":112.89}"#,
            r#"{"name":"Mov1","timestamp":"2020-01-01 00:03:07","value":1}"#,
            r#"{"name":"TH1","timestamp":"2020-01-01 00:15:00","value":21.27}"#,
            r#"{"name":"TH2","timestamp":"2020-01-01 00:15:00","value":19.09}"#,
            r#"{"name":"HVAC1","timestamp":"2020-01-01 00:15:00","value":34.17}"#,
            r#"{"name":"HVAC2","timestamp":"2020-01-01 00:15:00","value":154.57}"#,
            r#"{"name":"MiAC1","timestamp":"2020-01-01 00:15:00","value":49.15}"#,
            r#"{"name":"MiAC2","timestamp":"2020-01-01 00:15:00","value":126}"#,
            r#"{"name":"W1","timestamp":"2020-01-01 00:15:00","value":0.83}"#,
            r#"{"name":"TH1","timestamp":"2020-01-01 00:30:00","value":31.28}"#,
        ]
    );
}

#[test]
fn the_same_arguments_give_the_same_bytes_in_every_version() {
    let scenario = Scenario {
        homes: 3,
        days: 15,
        seed: 42,
        leaks: vec![
            leak("main:5L/h@2020-01-03T03:00+2d"),
            leak("h0002/branch:0.7L/h@2020-01-04T03:07+30h"),
            leak("base:40W@2020-01-05T00:00+90m"),
        ],
        ..Scenario::default()
    };
    assert_eq!(fingerprint(&lines(&scenario)), GOLDEN);
}
/// Whoever changes this breaks every recorded run.
const GOLDEN: u64 = 9_987_970_311_751_311_158;

#[test]
fn another_seed_gives_other_values() {
    let other = Scenario {
        seed: 2,
        ..Scenario::default()
    };
    assert_ne!(lines(&Scenario::default()), lines(&other));
}

#[test]
fn a_hundred_homes_send_958_400_messages_in_14_days() {
    let scenario = Scenario {
        homes: 100,
        ..Scenario::default()
    };
    assert_eq!(scenario.total(), 958_400);
    assert_eq!(scenario.readings().count(), 958_400);
}

#[test]
fn a_home_sends_what_the_contract_says() {
    let mut counts = BTreeMap::new();
    for reading in Scenario::default().readings() {
        *counts.entry(reading.sensor).or_insert(0) += 1;
    }
    let ticks = 14 * 96;
    let expected = BTreeMap::from([
        (Sensor::Th1, ticks),
        (Sensor::Th2, ticks),
        (Sensor::Hvac1, ticks),
        (Sensor::Hvac2, ticks),
        (Sensor::MiAc1, ticks),
        (Sensor::MiAc2, ticks),
        (Sensor::W1, ticks + ticks / 20 + ticks / 120),
        (Sensor::Etot, 14),
        (Sensor::Wtot, 14),
        (Sensor::Mov1, 14 * 5),
    ]);
    assert_eq!(counts, expected);
}

#[test]
fn values_fill_their_ranges_and_nothing_else() {
    let scenario = Scenario {
        days: 60,
        ..Scenario::default()
    };
    let mut seen: BTreeMap<Sensor, (f64, f64)> = BTreeMap::new();
    for reading in scenario.readings() {
        let value = reading.value();
        let range = seen.entry(reading.sensor).or_insert((value, value));
        *range = (range.0.min(value), range.1.max(value));
    }
    for (sensor, low, high) in [
        (Sensor::Th1, 12.0, 35.0),
        (Sensor::Th2, 12.0, 35.0),
        (Sensor::Hvac1, 0.0, 100.0),
        (Sensor::Hvac2, 0.0, 200.0),
        (Sensor::MiAc1, 0.0, 150.0),
        (Sensor::MiAc2, 0.0, 200.0),
        (Sensor::W1, 0.0, 1.0),
        (Sensor::Mov1, 1.0, 1.0),
    ] {
        let (least, most) = seen[&sensor];
        let margin = (high - low) * 0.01;
        assert!((low..=low + margin).contains(&least), "{sensor:?} {least}");
        assert!((high - margin..=high).contains(&most), "{sensor:?} {most}");
    }
}

#[test]
fn meters_gain_a_days_worth_at_every_midnight() {
    let scenario = Scenario {
        days: 60,
        ..Scenario::default()
    };
    for (sensor, least, most) in [
        (Sensor::Etot, 61_400.0, 63_400.0),
        (Sensor::Wtot, 100.0, 120.0),
    ] {
        let readings = of(&scenario, sensor);
        for (day, reading) in (0..).zip(&readings) {
            assert_eq!(reading.time_ms, START + day * DAY_MS);
        }
        for pair in readings.windows(2) {
            let gain = pair[1].value() - pair[0].value();
            assert!(
                gain > least - 1e-6 && gain < most + 1e-6,
                "{sensor:?} {gain}"
            );
        }
    }
}

#[test]
fn quarter_hours_run_from_00_15_until_the_last_midnight() {
    let times: Vec<i64> = of(&Scenario::default(), Sensor::Th2)
        .iter()
        .map(|reading| reading.time_ms)
        .collect();
    let expected: Vec<i64> = (1..=14 * 96).map(|tick| START + tick * TICK_MS).collect();
    assert_eq!(times, expected);
}

#[test]
fn somebody_moves_at_five_different_times_inside_each_day() {
    let mut days: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for reading in of(&Scenario::default(), Sensor::Mov1) {
        let (day, time) = (
            reading.time_ms.div_euclid(DAY_MS),
            reading.time_ms.rem_euclid(DAY_MS),
        );
        assert_ne!(time, 0, "midnight is of two days");
        days.entry(day).or_default().insert(time);
    }
    assert_eq!(days.len(), 14);
    assert!(days.values().all(|times| times.len() == 5));
}

#[test]
fn every_20th_tick_dates_one_reading_back_2_days_and_every_120th_another_10() {
    let late: Vec<(i64, i64)> = Scenario::default()
        .readings()
        .filter(|reading| reading.at_ms != reading.time_ms)
        .inspect(|reading| assert_eq!(reading.sensor, Sensor::W1))
        .map(|reading| {
            (
                (reading.at_ms - START) / TICK_MS,
                (reading.at_ms - reading.time_ms) / DAY_MS,
            )
        })
        .collect();
    let expected: Vec<(i64, i64)> = (1..=14 * 96)
        .flat_map(|tick| {
            let two = (tick % 20 == 0).then_some((tick, 2));
            let ten = (tick % 120 == 0).then_some((tick, 10));
            two.into_iter().chain(ten)
        })
        .collect();
    assert_eq!(late, expected);
}

#[test]
fn without_late_data_the_rest_is_the_same() {
    let punctual = Scenario {
        late: Late::None,
        ..Scenario::default()
    };
    let paper: Vec<Reading> = Scenario::default()
        .readings()
        .filter(|reading| reading.at_ms == reading.time_ms)
        .collect();
    assert_eq!(punctual.readings().collect::<Vec<_>>(), paper);
    assert_eq!(punctual.total(), paper.len() as u64);
}

#[test]
fn another_home_changes_nothing_in_the_others() {
    let homes = |homes| Scenario {
        homes,
        ..Scenario::default()
    };
    let first = |scenario: Scenario| -> Vec<Reading> {
        scenario
            .readings()
            .filter(|reading| reading.home == 0)
            .collect()
    };
    assert_eq!(first(homes(1)), first(homes(3)));
}

#[test]
fn homes_differ_and_are_named_by_number() {
    let scenario = Scenario {
        homes: 2,
        days: 1,
        ..Scenario::default()
    };
    let th1: Vec<(String, String, String)> = scenario
        .messages()
        .filter(|message| message.name.ends_with("TH1"))
        .take(2)
        .map(|message| {
            (
                message.name.to_string(),
                message.topic.to_string(),
                message.payload,
            )
        })
        .collect();
    assert_eq!(
        (th1[0].0.as_str(), th1[0].1.as_str()),
        ("h0001/TH1", "sensors/h0001/TH1")
    );
    assert_eq!(
        (th1[1].0.as_str(), th1[1].1.as_str()),
        ("h0002/TH1", "sensors/h0002/TH1")
    );
    assert!(th1[1].2.starts_with(r#"{"name":"h0002/TH1","#));
    assert_ne!(th1[0].2[60..], th1[1].2[60..], "each has its own draws");
}

#[test]
fn readings_come_in_order_of_arrival() {
    let scenario = Scenario {
        homes: 7,
        ..Scenario::default()
    };
    assert!(
        scenario
            .readings()
            .is_sorted_by_key(|reading| reading.at_ms)
    );
}

#[test]
fn a_leak_shows_where_it_should_and_loses_what_the_truth_says() {
    let cases = [
        ("main:5L/h@2020-01-03T03:00+4d", 480.0, vec![Sensor::Wtot]),
        (
            "branch:0.7L/h@2020-01-03T03:07+31h",
            21.7,
            vec![Sensor::W1, Sensor::Wtot],
        ),
        ("base:40W@2020-01-03T03:00+25h", 1000.0, vec![Sensor::Etot]),
    ];
    for (spec, lost, shows_on) in cases {
        let tight = Scenario {
            late: Late::None,
            ..Scenario::default()
        };
        let leaking = Scenario {
            leaks: vec![leak(spec)],
            ..tight.clone()
        };
        let truth: Vec<_> = leaking.truth().collect();
        assert_eq!(truth.len(), 1);
        assert_eq!(
            truth[0].litres.or(truth[0].watt_hours),
            Some(lost),
            "{spec}"
        );
        let names: Vec<&str> = shows_on.iter().map(|sensor| sensor.name()).collect();
        assert_eq!(truth[0].sensors, names);
        for sensor in Sensor::ALL {
            let gained = gain(&leaking, sensor) - gain(&tight, sensor);
            let expected = if shows_on.contains(&sensor) {
                lost
            } else {
                0.0
            };
            assert!(
                (gained - expected).abs() < 1e-6,
                "{spec} on {sensor:?}: {gained}"
            );
        }
    }
}

/// What a meter or a sum of deltas says for the whole run.
fn gain(scenario: &Scenario, sensor: Sensor) -> f64 {
    let readings = of(scenario, sensor);
    match sensor {
        Sensor::Etot | Sensor::Wtot => readings[readings.len() - 1].value() - readings[0].value(),
        _ => readings.iter().map(Reading::value).sum(),
    }
}

#[test]
fn a_reading_dated_back_holds_what_leaked_then_and_not_now() {
    // Tick 240 is 2020-01-03T12:00: dated back to 2020-01-01T12:00, when the branch leaked.
    let dry = Scenario::default();
    let wet = Scenario {
        leaks: vec![leak("branch:4L/h@2020-01-01T11:45+15m")],
        ..Scenario::default()
    };
    let changed: Vec<(i64, i64)> = dry
        .readings()
        .zip(wet.readings())
        .filter(|(dry, _)| dry.sensor == Sensor::W1)
        .filter(|(dry, wet)| dry.hundredths != wet.hundredths)
        .inspect(|(dry, wet)| assert_eq!(wet.hundredths - dry.hundredths, 100))
        .map(|(dry, _)| (dry.at_ms, dry.time_ms))
        .collect();
    let noon = START + DAY_MS / 2;
    assert_eq!(changed[..2], [(noon, noon), (noon + 2 * DAY_MS, noon)]);
}

#[test]
fn the_truth_is_cut_to_the_run_and_to_the_homes() {
    let scenario = Scenario {
        homes: 2,
        leaks: vec![
            leak("main:5L/h@2020-01-14T00:00+10d"),
            leak("h0002/main:1L/h@2019-12-31T00:00+48h"),
            leak("main:5L/h@2021-01-01T00:00+10d"),
        ],
        ..Scenario::default()
    };
    let truth: Vec<String> = scenario
        .truth()
        .map(|truth| serde_json::to_string(&truth).unwrap())
        .collect();
    assert_eq!(
        truth,
        [
            r#"{"home":"h0001","leak":"main","location":"main","sensors":["Wtot"],"start":"2020-01-14T00:00:00Z","end":"2020-01-15T00:00:00Z","rate":5.0,"unit":"L/h","litres":120.0}"#,
            r#"{"home":"h0002","leak":"main","location":"main","sensors":["Wtot"],"start":"2020-01-14T00:00:00Z","end":"2020-01-15T00:00:00Z","rate":5.0,"unit":"L/h","litres":120.0}"#,
            r#"{"home":"h0002","leak":"main","location":"main","sensors":["Wtot"],"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z","rate":1.0,"unit":"L/h","litres":24.0}"#,
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn shares_together_are_the_whole_run(homes in 1_u32..6, of in 1_u32..5, seed: u64) {
        let scenario = Scenario { homes, days: 2, seed, ..Scenario::default() };
        prop_assert_eq!(scenario.readings().count() as u64, scenario.total());
        for share in 0..of {
            let whole: Vec<Reading> =
                scenario.readings().filter(|reading| reading.home % of == share).collect();
            prop_assert_eq!(scenario.share(share, of).collect::<Vec<_>>(), whole);
        }
    }

    #[test]
    fn any_leak_is_borne_out_by_the_meter(millis in 1_u32..20_000, from_min in 0_i64..4_000, minutes in 1_i64..9_000) {
        let from_ms = START + from_min * 60_000;
        let leak = Leak {
            place: simulator::Place::Branch,
            rate_thousandths: millis.into(),
            from_ms,
            until_ms: from_ms + minutes * 60_000,
            home: None,
            shape: simulator::Shape::Constant,
        };
        let tight = Scenario { days: 11, late: Late::None, ..Scenario::default() };
        let leaking = Scenario { leaks: vec![leak], ..tight.clone() };
        let litres = leaking.truth().next().unwrap().litres.unwrap();
        for sensor in [Sensor::W1, Sensor::Wtot] {
            prop_assert!((gain(&leaking, sensor) - gain(&tight, sensor) - litres).abs() < 1e-6);
        }
    }
}
