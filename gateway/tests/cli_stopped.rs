//! A daemon that was killed: the command line finds every acknowledged reading in its store, and
//! the rows that follow from them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::sync::Arc;

use gateway::clock::Clock;
use gateway::config::{Config, HOME};
use gateway::ingest::Site;
use gateway::store::{Options, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The worked example, in arrival order, and what must come of it.
const MESSAGES: &str = include_str!("../../world/tests/vectors/day-edges/messages.jsonl");
const DAYS: &str = include_str!("../../world/tests/vectors/day-edges/aggday.csv");
const DIFFS: &str = include_str!("../../world/tests/vectors/day-edges/aggdaydiff.csv");
const RESTS: &str = include_str!("../../world/tests/vectors/day-edges/aggdayrest.csv");
const COUNTERS: &str = include_str!("../../world/tests/vectors/day-edges/counters.json");

/// The seed home in event mode, in a directory of its own, with nobody listening.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory of the test's own");
        let data = directory.path().join("data");
        let config = HOME
            .replace("clock = \"wall\"", "clock = \"event\"")
            .replace("/var/lib/sluice", data.to_str().expect("UTF-8"))
            .replace("127.0.0.1:8080", &unused().to_string());
        // Never the socket of a daemon that may run on this machine.
        let config = format!("{config}\n[control]\nsocket = \"sluice.sock\"\n");
        fs::write(directory.path().join("sluice.toml"), config).expect("written");
        Self { directory }
    }

    /// Commits every message by itself and then lets go of the store as a killed daemon does.
    fn take_and_die(&self) {
        let config = Config::load(&self.directory.path().join("sluice.toml"));
        let config = Arc::new(config.expect("the seed home's configuration is good"));
        let clock = Clock::machine();
        let mut store = Store::open(&config.store.path, &Options::default()).expect("a new store");
        let mut site = Site::open(&mut store, Arc::clone(&config), &clock).expect("a new site");
        for line in MESSAGES.lines() {
            let decoded = config.sources.decode("sensors/x", line.as_bytes());
            site.begin(&clock);
            site.take("sensors/x", line.as_bytes(), &decoded, &mut store)
                .expect("judged");
            site.settle(&mut store).expect("settled");
            site.commit(&mut store, &[]).expect("committed");
        }
    }

    fn sluice(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(args)
            .current_dir(self.directory.path())
            .env_remove("RUST_LOG");
        command
            .env_remove("SLUICE_CONFIG")
            .output()
            .expect("the command starts")
    }

    fn prints(&self, args: &[&str]) -> String {
        let output = self.sluice(args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), err.as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.prints(args)).expect("JSON")
    }
}

/// A port that was free a moment ago.
fn unused() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

/// The rows of a vector as (name, day, value).
fn expected(csv: &str, value: usize) -> Vec<(String, String, f64)> {
    let rows = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>());
    let row = |row: Vec<&str>| {
        let name = row[0].to_owned();
        (
            name,
            row[1].to_owned(),
            row[value].parse().expect("a number"),
        )
    };
    rows.map(row).collect()
}

fn shown(rows: &Value, name: &str) -> Vec<(String, String, f64)> {
    let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    let row = |row: &Value| {
        (
            text(row, name),
            text(row, "day"),
            row["value"].as_f64().expect("a number"),
        )
    };
    rows.as_array().expect("a list").iter().map(row).collect()
}

#[test]
fn every_row_of_the_worked_example_is_found_without_a_daemon() {
    let home = Home::new();
    home.take_and_die();
    let status = home.json(&["status", "--json"]);
    let counters: Value = serde_json::from_str(COUNTERS).expect("JSON");
    assert_eq!(status["counters"], counters);
    assert_eq!(
        shown(&home.json(&["days", "--json"])["days"], "sensor"),
        expected(DAYS, 3)
    );
    assert_eq!(
        shown(&home.json(&["diffs", "--json"])["diffs"], "sensor"),
        expected(DIFFS, 2)
    );
    let rests = home.json(&["rests", "--json"]);
    let mut of_meters = shown(&rests["rests"], "balance");
    for (name, ..) in &mut of_meters {
        *name = if name == "energy" { "Etot" } else { "Wtot" }.to_owned();
    }
    assert_eq!(of_meters, expected(RESTS, 2));
    assert_eq!(rests["rests"][0]["unit"], "Wh");
    let late = home.json(&["late", "--json", "--sensor", "W1", "--to", "2019-12-25"]);
    assert_eq!(late["late"].as_array().map(Vec::len), Some(2));
    let letters = home.json(&["letters", "--json"]);
    assert_eq!(letters["letters"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_day_of_readings_is_the_day_that_they_count_for() {
    let home = Home::new();
    home.take_and_die();
    let args = [
        "export",
        "--format",
        "csv",
        "--sensor",
        "Etot",
        "--from",
        "2020-01-01",
        "--to",
        "2020-01-01",
    ];
    let rows = home.prints(&args);
    assert_eq!(
        rows.lines().nth(1).and_then(|row| row.split(',').nth(1)),
        Some("2020-01-02T00:00:00Z")
    );
    assert_eq!(rows.lines().count(), 2, "{rows}");
}

#[test]
fn a_number_is_explained_by_what_arrived_for_it() {
    let home = Home::new();
    home.take_and_die();
    let why = home.json(&["explain", "Etot", "2020-01-01", "--json"]);
    assert_eq!(why["before"], 1500.8);
    assert_eq!(why["diff"]["value"], 62400.5);
    let why = home.json(&["explain", "W1", "2020-01-02", "--json"]);
    let arrivals = why["arrivals"].as_array().expect("a list");
    let counting = arrivals
        .iter()
        .filter(|arrival| arrival["counts"] == json!(true));
    assert_eq!(
        counting.count() as u64,
        why["row"]["count"].as_u64().expect("a count")
    );
    assert!(
        arrivals
            .iter()
            .any(|arrival| arrival["fate"] == "corrected"),
        "{why}"
    );
}

#[test]
fn an_operator_changes_the_store_of_a_stopped_daemon() {
    let home = Home::new();
    home.take_and_die();
    let said = home.prints(&["correct", "Etot", "2020-01-02T00:00:00Z", "63900.8"]);
    assert_eq!(
        said,
        "Etot at 2020-01-02T00:00:00Z: 63900.8 counts instead of what was held.\n"
    );
    let diff = ["diffs", "--json", "--sensor", "Etot", "--to", "2020-01-01"];
    assert_eq!(home.json(&diff)["diffs"][0]["value"], 62400.0);
    assert_eq!(home.json(&diff)["diffs"][0]["revision"], 2);
    let said = home.prints(&["correct", "Etot", "2020-01-02T00:00:00Z", "63900.8"]);
    assert_eq!(
        said,
        "Etot at 2020-01-02T00:00:00Z: 63900.8 counted already.\n"
    );

    let accept = [
        "late",
        "accept",
        "--sensor",
        "W1",
        "--to",
        "2019-12-26T00:00:00Z",
    ];
    let said = home.prints(&accept);
    assert_eq!(
        said,
        "1 late readings count now, 0 of them instead of what was held; 1 counted already.\n"
    );
    let late = home.json(&["late", "--json", "--sensor", "W1"]);
    let accepted = late["late"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| &row["accepted"]);
    assert_eq!(
        accepted.collect::<Vec<_>>(),
        [&json!(true), &json!(true), &json!(false)]
    );

    let output = home.sluice(&accept);
    let said = "sluice: no reading that was set aside matches; `sluice late` lists them\n";
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(1), said)
    );
    let output = home.sluice(&["correct", "W9", "2020-01-02T00:00:00Z", "1"]);
    let said = "sluice: no sensor is called W9; `sluice sensors` lists them\n";
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(1), said)
    );
}
