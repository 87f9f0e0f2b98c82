//! `sluice evaluate`: recorded readings in, what would have been said out. Homes are the simulator's, written
//! as somebody else would have recorded them.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use simulator::{Late, Profile, Reading, Scenario, Sensor};
use tempfile::TempDir;

/// 2020-01-01T00:00:00Z, s.
const START: i64 = 1_577_836_800;
const DAY: i64 = 86_400;
/// The fields of the contract, and those that were added.
const FIELDS: [&str; 18] = [
    "case",
    "detector",
    "rule",
    "series",
    "severity",
    "location",
    "raised",
    "cleared",
    "flow_lph",
    "flow_lo",
    "flow_hi",
    "litres",
    "start_lo",
    "start_hi",
    "text",
    "unit",
    "watt_hours",
    "withdrawn",
];

/// Recordings in a directory of their own.
struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory of the test's own"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn sluice(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        let ran = command
            .arg("evaluate")
            .args(args)
            .current_dir(self.0.path())
            .env("SLUICE_CONFIG", "/nobody/asked/for/this.toml")
            .env_remove("RUST_LOG")
            .output();
        ran.expect("the command starts")
    }

    /// What would have been said, as JSON.
    fn said(&self, args: &[&str]) -> Vec<Value> {
        let output = self.sluice(&[&["--json"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        match serde_json::from_slice(&output.stdout).expect("JSON") {
            Value::Array(said) => said,
            other => panic!("an array is due, not {other}"),
        }
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A household's water for some days.
fn household(seed: u64, days: u32, leak: Option<&str>) -> Scenario {
    Scenario {
        days,
        seed,
        profile: Profile::Household,
        late: Late::None,
        leaks: leak
            .map(|spec| spec.parse().expect("a leak"))
            .into_iter()
            .collect(),
        ..Scenario::default()
    }
}

fn water(scenario: &Scenario) -> Vec<Reading> {
    let readings = scenario.readings();
    readings
        .filter(|reading| matches!(reading.sensor, Sensor::W1 | Sensor::Wtot))
        .collect()
}

/// As a researcher would have written them down.
fn csv(readings: &[Reading]) -> String {
    let mut text = "recv_ts,sensor,ts,value,id\n".to_owned();
    for reading in readings {
        let id = format!("{}-{}", reading.sensor.name(), reading.time_ms);
        line(&mut text, reading, &id);
    }
    text
}

fn line(text: &mut String, reading: &Reading, id: &str) {
    let (recv, sensor) = (reading.at_ms / 1000, reading.sensor.name());
    let (ts, value) = (reading.time_ms / 1000, reading.value());
    writeln!(text, "{recv},{sensor},{ts},{value},{id}").expect("a String takes all");
}

fn alarms(said: &[Value]) -> Vec<&Value> {
    said.iter()
        .filter(|episode| episode["severity"] != "info")
        .collect()
}

fn main_leak() -> Scenario {
    household(3, 25, Some("main:10L/h@2020-01-17T03:00+5d"))
}

/// A few days with a silence of one: enough for something to be said.
fn silent_for_a_day() -> Vec<Reading> {
    let mut readings = water(&household(3, 7, None));
    let gap = (START + 5 * DAY) * 1000..(START + 6 * DAY) * 1000;
    readings.retain(|reading| !gap.contains(&reading.time_ms));
    readings
}

#[test]
fn a_silence_that_all_sensors_share_is_told_and_is_no_alarm() {
    let room = Room::new();
    room.write("gap.csv", &csv(&silent_for_a_day()));
    let said = room.said(&["gap.csv"]);
    let told = |series: &str| {
        said.iter()
            .any(|e| e["detector"] == "silent" && e["series"] == series)
    };
    assert!(told("W1") && told("Wtot"), "{said:?}");
    for episode in &said {
        let fields = [&episode["severity"], &episode["location"]];
        assert_eq!(fields, ["info", "unknown"], "{episode}");
        let raised = episode["raised"].as_i64().expect("seconds");
        assert!(
            raised >= START + 6 * DAY,
            "nobody heard anything before: {episode}"
        );
        assert!(episode["cleared"].is_number(), "{episode}");
    }
}

#[test]
fn a_leak_on_the_main_is_told_once_for_the_meter_with_every_field() {
    let room = Room::new();
    room.write("leaky.csv", &csv(&water(&main_leak())));
    let said = room.said(&["leaky.csv"]);
    for episode in &said {
        let fields: Vec<&str> = episode
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        let mut wanted = FIELDS;
        wanted.sort_unstable();
        let mut fields = fields;
        fields.sort_unstable();
        assert_eq!(fields, wanted);
    }
    let of_meter: Vec<_> = said
        .iter()
        .filter(|episode| episode["series"] == "Wtot" && episode["detector"] == "persist")
        .collect();
    let [leak] = of_meter[..] else {
        panic!("{said:?}");
    };
    let begin = START + 16 * DAY + 3 * 3600;
    let number = |field: &str| {
        leak[field]
            .as_f64()
            .unwrap_or_else(|| panic!("{field}: {leak}"))
    };
    assert_eq!(leak["case"], "leaky");
    assert_eq!(leak["severity"], "warning");
    assert_eq!(leak["location"], "main");
    assert_eq!(leak["withdrawn"], false);
    assert_eq!(leak["unit"], "L/h");
    assert!(leak["raised"].is_i64(), "whole seconds are whole: {leak}");
    let after = leak["raised"].as_i64().expect("seconds") - begin;
    assert!((0..=25 * 3600).contains(&after), "{after} s");
    let cleared = leak["cleared"]
        .as_i64()
        .expect("the leak ends, and so does its alert");
    assert!(
        cleared > begin + 5 * DAY && cleared < begin + 7 * DAY,
        "{cleared}"
    );
    assert!((number("flow_lph") - 10.0).abs() < 1.0, "{leak}");
    assert!(number("flow_lo") <= number("flow_lph") && number("flow_lph") <= number("flow_hi"));
    assert!(number("start_lo") <= number("start_hi"));
    assert!(
        (leak["start_hi"].as_i64().expect("seconds") - begin).abs() < 6 * 3600,
        "{leak}"
    );
    assert!((number("litres") - 1200.0).abs() < 200.0, "{leak}");
    assert!(
        leak["text"]
            .as_str()
            .is_some_and(|text| text.contains("Wtot has not stood still"))
    );
}

#[test]
fn the_days_after_a_repair_say_nothing_of_how_large_the_leak_was() {
    let room = Room::new();
    // A clock that is three seconds late: no reading lies at noon, where days are over.
    let mut household = water(&main_leak());
    for reading in &mut household {
        reading.time_ms += 3000;
        reading.at_ms += 3000;
    }
    room.write("household.csv", &csv(&household));
    let seed = Scenario {
        days: 85,
        seed: 5,
        late: Late::None,
        leaks: vec!["main:10L/h@2020-03-05T15:00+15d".parse().expect("a leak")],
        ..Scenario::default()
    };
    room.write("seed.csv", &csv(&water(&seed)));
    let said = room.said(&["--rests", "W1=false", "household.csv", "seed.csv"]);
    for (case, detector, hours) in [("household", "persist", 120.0), ("seed", "balance", 360.0)] {
        let of = |e: &&Value| e["case"] == case && e["detector"] == detector;
        let leak = said.iter().find(|e| of(e) && e["severity"] != "info");
        let leak = leak.unwrap_or_else(|| panic!("{case}: {said:?}"));
        assert!(leak["cleared"].is_number(), "{leak}");
        let flow = leak["flow_lph"].as_f64().expect("a flow");
        assert!((flow - 10.0).abs() < 0.4, "{leak}");
        let litres = leak["litres"].as_f64().expect("litres");
        assert!((litres / 10.0 / hours - 1.0).abs() < 0.15, "{leak}");
    }
}

#[test]
fn a_leak_behind_the_sub_meter_is_told_of_there() {
    let room = Room::new();
    let scenario = household(4, 25, Some("branch:10L/h@2020-01-17T03:00+5d"));
    room.write("behind.csv", &csv(&water(&scenario)));
    let said = room.said(&["behind.csv"]);
    let places: Vec<_> = alarms(&said)
        .iter()
        .map(|leak| leak["location"].clone())
        .collect();
    assert!(
        !places.is_empty() && places.iter().all(|place| place == "W1"),
        "{said:?}"
    );
}

#[test]
fn a_home_without_a_leak_is_quiet_and_an_empty_file_is_an_empty_array() {
    let room = Room::new();
    room.write("dry.csv", &csv(&water(&household(5, 25, None))));
    room.write("empty.csv", "recv_ts,sensor,ts,value,id\n");
    room.write("nothing.jsonl", "");
    assert!(alarms(&room.said(&["dry.csv"])).is_empty());
    assert_eq!(
        room.said(&["empty.csv", "nothing.jsonl"]),
        Vec::<Value>::new()
    );
    let output = room.sluice(&["empty.csv"]);
    assert_eq!(output.stdout, b"Nothing would have been said.\n");
}

#[test]
fn messages_that_come_again_change_nothing() {
    let room = Room::new();
    let readings = water(&main_leak());
    room.write("leaky.csv", &csv(&readings));
    let once = room.said(&["leaky.csv"]);
    // Each comes once more, with its id, after the next readings of both sensors.
    let mut doubled = "recv_ts,sensor,ts,value,id\n".to_owned();
    for (at, reading) in readings.iter().enumerate() {
        line(&mut doubled, reading, &format!("m{at}"));
        if let Some(before) = at.checked_sub(3) {
            let again = Reading {
                at_ms: reading.at_ms,
                ..readings[before]
            };
            line(&mut doubled, &again, &format!("m{before}"));
        }
    }
    room.write("leaky.csv", &doubled);
    assert_eq!(room.said(&["leaky.csv"]), once);
    assert_eq!(room.said(&["leaky.csv", "--on-conflict", "**=add"]), once);
}

#[test]
fn a_redelivery_does_not_undo_a_correction() {
    let room = Room::new();
    let text = "recv_ts,sensor,ts,value,id\n\
                1577840400,W1,1577840400,5,a\n\
                1577840401,W1,1577840400,7,b\n\
                1577840402,W1,1577840400,5,a\n";
    room.write("x.csv", text);
    let output = room.sluice(&["x.csv"]);
    assert!(
        err(&output).contains("1 were duplicates"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_order_of_arrival_within_the_allowed_lateness_does_not_change_what_stands_in_the_end() {
    let room = Room::new();
    let readings = water(&household(3, 25, Some("main:10L/h@2020-01-17T03:00+20d")));
    room.write("case.csv", &csv(&readings));
    // Held up by up to a day, each by another time; the last of them all comes when it did.
    let mut shuffled = readings.clone();
    for (at, reading) in (0_i64..).zip(&mut shuffled) {
        reading.at_ms += (at * 7919) % DAY * 1000;
    }
    let last_ms = shuffled
        .iter()
        .map(|reading| reading.at_ms)
        .max()
        .expect("some");
    shuffled.sort_by_key(|reading| reading.at_ms);
    let fields = |said: Vec<Value>| -> Vec<Vec<Value>> {
        let kept = [
            "detector", "series", "location", "flow_lph", "flow_lo", "start_lo", "start_hi",
        ];
        let open = said
            .into_iter()
            .filter(|e| e["cleared"].is_null() && e["severity"] != "info");
        let mut all: Vec<Vec<Value>> = open
            .map(|e| kept.map(|field| e[field].clone()).to_vec())
            .collect();
        all.sort_by_key(|fields| format!("{fields:?}"));
        all
    };
    let in_order = fields(room.said(&["case.csv"]));
    room.write("case.csv", &csv(&shuffled));
    assert!(!in_order.is_empty() && last_ms > 0);
    assert_eq!(fields(room.said(&["case.csv"])), in_order);
}

#[test]
fn readings_that_all_come_hours_late_are_no_silence() {
    let room = Room::new();
    let mut readings = water(&household(3, 12, None));
    for reading in &mut readings {
        reading.at_ms += 3 * 3_600_000;
    }
    room.write("late.csv", &csv(&readings));
    let imported_ms = readings.last().expect("some").at_ms;
    for reading in &mut readings {
        reading.at_ms = imported_ms;
    }
    room.write("imported.csv", &csv(&readings));
    let said = room.said(&["late.csv", "imported.csv"]);
    let silent: Vec<_> = said.iter().filter(|e| e["detector"] == "silent").collect();
    // The first day, before anything is heard of it, is no pause either.
    assert!(silent.is_empty(), "{} times: {:?}", silent.len(), silent[0]);
}

#[test]
fn what_is_said_of_lines_out_of_order_is_never_over_before_it_was_said() {
    let room = Room::new();
    let mut readings = water(&main_leak());
    // The lines stay in the order of measurement; each says another time of arrival.
    for (at, reading) in (0_i64..).zip(&mut readings) {
        reading.at_ms += (at * 7919) % (3 * 3600) * 1000;
    }
    room.write("mixed.csv", &csv(&readings));
    // A clock that was two years ahead for a while.
    for reading in &mut readings[1000..1200] {
        reading.at_ms += 730 * DAY * 1000;
    }
    room.write("set.csv", &csv(&readings));
    let said = room.said(&["mixed.csv", "set.csv"]);
    let found = |case: &str| {
        said.iter()
            .any(|e| e["case"] == case && e["detector"] == "persist")
    };
    assert!(found("mixed") && found("set"), "{said:?}");
    for episode in &said {
        let (raised, cleared) = (&episode["raised"], &episode["cleared"]);
        let over = cleared.as_f64().unwrap_or(f64::INFINITY);
        assert!(over >= raised.as_f64().expect("seconds"), "{episode}");
    }
}

#[test]
fn csv_and_json_lines_of_the_same_readings_say_the_same() {
    let room = Room::new();
    let scenario = main_leak();
    room.write("leaky.csv", &csv(&water(&scenario)));
    let fleet = scenario.fleet();
    let mut lines = Vec::new();
    for reading in water(&scenario) {
        reading.write_payload(&fleet, &mut lines);
        lines.push(b'\n');
    }
    room.write("leaky.jsonl", std::str::from_utf8(&lines).expect("UTF-8"));
    assert_eq!(room.said(&["leaky.jsonl"]), room.said(&["leaky.csv"]));
}

#[test]
fn standard_input_is_a_case_of_that_name() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["evaluate", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let text = csv(&silent_for_a_day());
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(!said.is_empty() && said.iter().all(|episode| episode["case"] == "stdin"));
}

#[test]
fn a_reading_of_the_year_2090_is_refused_by_the_time_of_its_arrival() {
    let room = Room::new();
    let mut readings = water(&main_leak());
    room.write("leaky.csv", &csv(&readings));
    let without = room.said(&["leaky.csv"]);
    let mut outlier = readings[3000];
    outlier.time_ms += 70 * 365 * DAY * 1000;
    readings.insert(3001, outlier);
    room.write("leaky.csv", &csv(&readings));
    assert_eq!(room.said(&["leaky.csv"]), without);
    let output = room.sluice(&["leaky.csv"]);
    assert!(
        err(&output).contains("leaky: 1 reading refused; the first: "),
        "{}",
        err(&output)
    );
}

#[test]
fn cases_come_in_the_order_of_the_arguments_and_their_episodes_by_time() {
    let room = Room::new();
    let quiet = csv(&silent_for_a_day());
    for name in ["b.csv", "a.csv", "c.d.csv"] {
        room.write(name, &quiet);
    }
    let said = room.said(&["b.csv", "a.csv", "c.d.csv"]);
    let mut cases: Vec<&str> = said
        .iter()
        .filter_map(|episode| episode["case"].as_str())
        .collect();
    cases.dedup();
    assert_eq!(cases, ["b", "a", "c.d"]);
    for pair in said
        .windows(2)
        .filter(|pair| pair[0]["case"] == pair[1]["case"])
    {
        assert!(pair[0]["raised"].as_i64() <= pair[1]["raised"].as_i64());
    }
}

#[test]
fn what_cannot_be_read_fails_the_whole_command_and_is_named() {
    let room = Room::new();
    room.write("good.csv", &csv(&water(&main_leak())));
    room.write(
        "bad.csv",
        "recv_ts,sensor,ts,value,id\n1,W1,2,3,\n1,W1,2,full,\n",
    );
    room.write(
        "strange.csv",
        "recv_ts,sensor,ts,value,id\n1,pump,1577840400,3,\n",
    );
    for (args, code, said) in [
        (
            vec!["good.csv", "bad.csv"],
            1,
            "bad.csv:3: value: \"full\" is not a number",
        ),
        (vec!["good.csv", "absent.csv"], 1, "cannot read absent.csv"),
        (vec!["strange.csv"], 1, "--config"),
        (
            vec!["good.csv", "--truth", "absent.json"],
            1,
            "cannot read absent.json",
        ),
        (
            vec!["good.csv", "--config", "absent.toml"],
            78,
            "cannot read the configuration",
        ),
        (vec![], 2, "FILE"),
        (
            vec!["good.csv", "--rests", "W1=maybe"],
            2,
            "neither true nor false",
        ),
        (vec!["good.csv", "--rests", "W1"], 2, "SENSOR="),
        (
            vec!["good.csv", "--on-conflict", "W1=sum"],
            2,
            "add, keep or replace",
        ),
        (
            vec!["good.csv", "--timezone", "Mars/Olympus"],
            2,
            "--timezone",
        ),
        (vec!["-", "-"], 2, "once"),
    ] {
        let output = room.sluice(&args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            err(&output)
        );
        assert!(err(&output).contains(said), "{args:?}: {}", err(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_configuration_says_what_names_do_not() {
    let room = Room::new();
    let text = csv(&water(&main_leak()))
        .replace("Wtot", "cellar")
        .replace("W1", "kitchen");
    room.write("case.csv", &text);
    let config = "[[sensor]]\nname = \"cellar\"\nkind = \"meter\"\nunit = \"L\"\n\
                  [[sensor]]\nname = \"kitchen\"\nkind = \"delta\"\nunit = \"L\"\ninterval = \"15m\"\n\
                  [[balance]]\nname = \"house\"\nmeter = \"cellar\"\nparts = [\"kitchen\"]\n";
    room.write("home.toml", config);
    let said = room.said(&["case.csv", "--config", "home.toml"]);
    let leak = said
        .iter()
        .find(|episode| episode["series"] == "cellar")
        .expect("a leak");
    assert_eq!(leak["location"], "main");
}

#[test]
fn the_truth_makes_scores_of_what_was_said() {
    let room = Room::new();
    let scenario = main_leak();
    room.write("leaky.csv", &csv(&water(&scenario)));
    room.write("dry.csv", &csv(&water(&household(5, 25, None))));
    let truth: Vec<String> = scenario
        .truth()
        .map(|truth| serde_json::to_string(&truth).expect("plain values"))
        .collect();
    let truth = truth.join("\n");
    room.write("truth.json", &truth);
    let output = room.sluice(&["leaky.csv", "--truth", "truth.json"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        table.contains("10 L/h") && table.contains("100 %"),
        "{table}"
    );
    assert!(table.contains("0 false alarms in "), "{table}");

    let output = room.sluice(&["leaky.csv", "dry.csv", "--truth", "truth.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("add \"case\""), "{}", err(&output));
    room.write("truth.csv", "case,start,end,rate_lph,location\nleaky,2020-01-17T03:00:00Z,2020-01-22T03:00:00Z,10,main\ndry,,,,\n");
    let args = [
        "--json",
        "leaky.csv",
        "dry.csv",
        "--truth",
        "truth.csv",
        "--score-json",
        "score.json",
    ];
    let output = room.sluice(&args);
    let said: Value = serde_json::from_slice(&output.stdout).expect("stdout is the array alone");
    assert!(
        said.is_array() && err(&output).contains("10 L/h"),
        "{}",
        err(&output)
    );
    assert!(
        !err(&output).contains("not among the files"),
        "{}",
        err(&output)
    );
    let output = room.sluice(&["dry.csv", "--truth", "truth.csv"]);
    assert!(
        err(&output).contains("the truth names cases that are not among the files: leaky"),
        "{}",
        err(&output)
    );
    let score = fs::read(Path::new(room.0.path()).join("score.json")).expect("written");
    let score: Value = serde_json::from_slice(&score).expect("JSON");
    assert_eq!(
        (&score["cases"], &score["houses"]),
        (&Value::from(2), &Value::from(2))
    );
    assert_eq!(
        (&score["all"]["leaks"], &score["all"]["found"]),
        (&Value::from(1), &Value::from(1))
    );
    assert_eq!(score["false_alarms"], 0);
    assert_eq!(
        (&score["all"]["placed"], &score["all"]["placeable"]),
        (&Value::from(1), &Value::from(1))
    );
    assert!(
        score["all"]["hours_median"]
            .as_f64()
            .is_some_and(|hours| hours <= 25.0)
    );
    assert!(
        score["all"]["flow_error_median"]
            .as_f64()
            .is_some_and(|error| error < 0.1)
    );
}

#[test]
fn houses_of_one_file_are_told_apart_by_their_prefixes() {
    let room = Room::new();
    let scenario = Scenario {
        homes: 2,
        leaks: vec![
            "h0002/main:10L/h@2020-01-17T03:00+5d"
                .parse()
                .expect("a leak"),
        ],
        ..household(3, 25, None)
    };
    let fleet = scenario.fleet();
    let mut lines = Vec::new();
    for reading in water(&scenario) {
        reading.write_payload(&fleet, &mut lines);
        lines.push(b'\n');
    }
    room.write("two.jsonl", std::str::from_utf8(&lines).expect("UTF-8"));
    let said = room.said(&["two.jsonl"]);
    let series: Vec<_> = alarms(&said)
        .iter()
        .map(|leak| leak["series"].clone())
        .collect();
    assert!(series.contains(&Value::from("h0002/Wtot")), "{said:?}");
    assert!(
        series
            .iter()
            .all(|name| name.as_str().is_some_and(|name| name.starts_with("h0002/")))
    );
}

/// Recordings of real homes, which are not part of the project: `SLUICE_EVALUATE` names a directory of them.
#[test]
fn recorded_homes_are_heard_to_their_end() {
    let Some(directory) = std::env::var_os("SLUICE_EVALUATE") else {
        return;
    };
    let room = Room::new();
    let entries = fs::read_dir(directory).expect("it is there");
    let files: Vec<String> = entries
        .map(|entry| entry.expect("readable").path().display().to_string())
        .collect();
    let args: Vec<&str> = files.iter().map(String::as_str).collect();
    let said = room.said(&args);
    println!("{} cases, {} episodes", files.len(), said.len());
}
