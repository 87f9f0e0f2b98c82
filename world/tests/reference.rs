//! The reference, held against the shared vectors and against what can be worked out by hand.

use std::path::{Path, PathBuf};

use chrono_tz::{Europe, Tz};
use world::reference::{Counters, OnConflict, Results, Site, compute, seed_home};

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/day-edges")
}

fn read(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn run(site: &Site, messages: &str) -> Results {
    compute(site, messages.lines())
}

/// The lines of a table after its header, numbers written as Rust writes them.
fn table(csv: &str) -> Vec<String> {
    let field = |field: &str| match field.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => field.to_owned(),
    };
    let line = |line: &str| line.split(',').map(field).collect::<Vec<_>>().join(",");
    csv.lines().skip(1).map(line).collect()
}

fn lower(word: impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

fn holds_day_edges(folder: &Path) {
    let results = run(&seed_home(Tz::UTC), &read(folder, "messages.jsonl"));

    let days: Vec<String> = results
        .days
        .iter()
        // The vector's table gives nine decimals of the mean; ours is the nearest f64.
        .map(|row| (row, (row.value * 1e9).round() / 1e9))
        .map(|(row, value)| {
            format!(
                "{},{},{},{value},{}",
                row.sensor,
                row.day,
                lower(row.aggregate),
                row.count
            )
        })
        .collect();
    assert_eq!(days, table(&read(folder, "aggday.csv")));

    let diffs: Vec<String> = results
        .diffs
        .iter()
        .map(|row| format!("{},{},{}", row.sensor, row.day, row.value))
        .collect();
    assert_eq!(diffs, table(&read(folder, "aggdaydiff.csv")));

    let rests: Vec<String> = results
        .rests
        .iter()
        .map(|row| format!("{},{},{}", row.meter_name, row.day, row.value))
        .collect();
    assert_eq!(rests, table(&read(folder, "aggdayrest.csv")));

    let late: Vec<serde_json::Value> = results
        .late
        .iter()
        .map(|row| {
            let local = row.time.replace('T', " ").replace('Z', "");
            serde_json::json!({"name": row.sensor, "timestamp": local, "value": row.value})
        })
        .collect();
    let set_aside: Vec<serde_json::Value> = read(folder, "setaside.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("the vector is JSON"))
        .collect();
    assert_eq!(late, set_aside);

    let counters: serde_json::Value =
        serde_json::from_str(&read(folder, "counters.json")).expect("the vector is JSON");
    assert_eq!(
        serde_json::to_value(results.counters).expect("numbers"),
        counters
    );
}

#[test]
fn day_edges_come_out_row_for_row() {
    holds_day_edges(&ours());
}

#[test]
fn a_second_delivery_of_the_whole_file_changes_no_row() {
    let messages = read(&ours(), "messages.jsonl");
    let once = run(&seed_home(Tz::UTC), &messages);
    let twice = run(&seed_home(Tz::UTC), &format!("{messages}{messages}"));
    assert_eq!(twice.days, once.days);
    assert_eq!(twice.diffs, once.diffs);
    assert_eq!(twice.rests, once.rests);
    let counters = Counters {
        received: 50,
        accepted: 18,
        duplicate: 19,
        corrected: 3, // the two contradicting readings correct each other once more
        late: 6,
        dead_letter: 4,
    };
    assert_eq!(twice.counters, counters);
}

#[test]
fn a_whole_day_of_quarter_hours_in_athens_is_fully_covered_at_92_96_or_100() {
    let zone = Europe::Athens;
    for (start, readings) in [
        ("2020-03-28T22:00:00Z", 92),
        ("2020-03-29T21:00:00Z", 96),
        ("2020-10-24T21:00:00Z", 100),
    ] {
        let start = chrono::DateTime::parse_from_rfc3339(start)
            .expect("a time")
            .timestamp();
        let lines: Vec<String> = (1..=readings)
            .map(|index| {
                format!(
                    r#"{{"name":"TH1","timestamp":{},"value":20}}"#,
                    start + index * 900
                )
            })
            .collect();
        let results = compute(&seed_home(zone), lines.iter().map(String::as_str));
        let [row] = &results.days[..] else {
            panic!("one day, not {:?}", results.days)
        };
        assert_eq!(
            (i64::from(row.count), row.expected.map(i64::from)),
            (readings, Some(readings))
        );
        assert_eq!(row.coverage, Some(1.0));
    }
}

#[test]
fn a_rest_tells_which_parts_it_does_not_know() {
    let results = run(
        &seed_home(Tz::UTC),
        r#"{"name":"h0002/Wtot","timestamp":"2020-01-01 00:00:00","value":10}
{"name":"h0002/Wtot","timestamp":"2020-01-02 00:00:00","value":15}
{"name":"h0002/Wtot","timestamp":"2020-01-03 00:00:00","value":21}
{"name":"h0002/W1","timestamp":"2020-01-01 12:00:00","value":1.5}
{"name":"h0001/W1","timestamp":"2020-01-02 12:00:00","value":100}"#,
    );
    let told: Vec<_> = results
        .rests
        .iter()
        .map(|row| {
            (
                row.balance.as_str(),
                row.day.to_string(),
                row.value,
                row.coverage["h0002/W1"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "h0002/water",
                "2020-01-01".to_owned(),
                3.5,
                Some(1.0 / 96.0)
            ),
            ("h0002/water", "2020-01-02".to_owned(), 6.0, Some(0.0)),
        ]
    );
}

#[test]
fn contradicting_readings_are_replaced_kept_or_added() {
    let messages = r#"{"name":"W1","timestamp":"2020-01-01 12:00:00","value":1,"id":"a"}
{"name":"W1","timestamp":"2020-01-01 12:00:00","value":2,"id":"b"}
{"name":"W1","timestamp":"2020-01-01 12:00:00","value":1,"id":"a"}"#;
    let told = |on_conflict| {
        let mut site = seed_home(Tz::UTC);
        for (_, sensor) in &mut site.sensors {
            sensor.on_conflict = on_conflict;
        }
        let Results { days, counters, .. } = run(&site, messages);
        let Counters {
            accepted,
            duplicate,
            corrected,
            dead_letter,
            ..
        } = counters;
        (days[0].value, accepted, duplicate, corrected, dead_letter)
    };
    assert_eq!(told(OnConflict::Replace), (1.0, 1, 0, 2, 0));
    assert_eq!(told(OnConflict::Keep), (1.0, 1, 1, 0, 1));
    assert_eq!(told(OnConflict::Add), (3.0, 2, 1, 0, 0));
}

#[test]
fn exactly_the_allowed_lateness_still_counts() {
    let results = run(
        &seed_home(Tz::UTC),
        r#"{"name":"TH1","timestamp":"2020-01-08 00:00:00","value":20}
{"name":"TH1","timestamp":"2020-01-01 00:00:00","value":20}
{"name":"TH1","timestamp":"2019-12-31T23:59:59.999Z","value":20}"#,
    );
    assert_eq!((results.counters.accepted, results.counters.late), (2, 1));
    assert_eq!(results.late[0].time, "2019-12-31T23:59:59.999Z");
}

#[test]
fn what_is_no_reading_is_one_dead_letter() {
    for message in [
        "not json",
        r#"{"timestamp":"2020-01-01 12:00:00","value":1}"#,
        r#"{"name":"TH1","value":1}"#,
        r#"{"name":"TH1","timestamp":"2020-01-01 12:00:00"}"#,
        r#"{"name":"TH1","timestamp":"2020-01-01 12:00:00","value":"warm"}"#,
        r#"{"name":"TH1","timestamp":"2020-01-01 12:00:00","value":1e999}"#,
        r#"{"name":"TH1","timestamp":"2020-13-01 12:00:00","value":1}"#,
        r#"{"name":"TH1","timestamp":"1999-12-31 23:59:59","value":1}"#,
        r#"{"name":"TH1","timestamp":"2100-01-01 00:00:00","value":1}"#,
        r#"{"name":"unheard-of","timestamp":"2020-01-01 12:00:00","value":1}"#,
        r#"{"name":"a+b/TH1","timestamp":"2020-01-01 12:00:00","value":1}"#,
    ] {
        let results = run(&seed_home(Tz::UTC), message);
        assert_eq!(
            (results.counters.received, results.counters.dead_letter),
            (1, 1),
            "{message}"
        );
        assert!(results.days.is_empty(), "{message}");
    }
}
