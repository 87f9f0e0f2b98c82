//! The command line: what goes to stdout, what to stderr, and how it exits.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::{Command, Output};

use simulator::Scenario;

fn sluice_sim(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice-sim"))
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn generate_writes_the_payloads_of_the_run() {
    let output = sluice_sim("generate --homes 2 --days 3 --seed 7 --late none");
    let scenario = Scenario {
        homes: 2,
        days: 3,
        seed: 7,
        late: simulator::Late::None,
        ..Scenario::default()
    };
    let expected: Vec<String> = scenario.messages().map(|message| message.payload).collect();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected);
    assert_eq!(stderr(&output), "");
}

#[test]
fn truth_writes_a_line_a_leak() {
    let output = sluice_sim(
        "truth --leak main:5L/h@2020-01-10T03:00+36h --leak base:40W@2020-01-02T00:00+30m",
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        concat!(
            r#"{"leak":"main","location":"main","sensors":["Wtot"],"start":"2020-01-10T03:00:00Z","end":"2020-01-11T15:00:00Z","rate":5.0,"unit":"L/h","litres":180.0}"#,
            "\n",
            r#"{"leak":"base","location":"base","sensors":["Etot"],"start":"2020-01-02T00:00:00Z","end":"2020-01-02T00:30:00Z","rate":40.0,"unit":"W","watt_hours":20.0}"#,
            "\n"
        )
    );
}

#[test]
fn a_leak_outside_the_run_is_pointed_out() {
    let output = sluice_sim("truth --days 9 --leak main:5L/h@2020-01-10T03:00+36h");
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""));
    assert!(
        stderr(&output).contains("lies outside the 9 days"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_allowed() {
    for (arguments, expected) in [
        (
            "generate --leak roof:5L/h@2020-01-10T03:00+1d",
            "`roof` is not a place: main",
        ),
        (
            "generate --leak h0002/main:5L/h@2020-01-10T03:00+1d",
            "--homes is 1",
        ),
        ("generate --homes 0", "1..=10000"),
        ("generate --days 40000", "1..=36525"),
        ("generate --start 2020-13-01", "a day is YYYY-MM-DD"),
        ("generate --start 1999-12-31", "from 2000-01-01"),
        (
            "generate --profile palace",
            "[possible values: paper, household]",
        ),
        ("publish --speed fast", "a number above 0, or max"),
        ("publish --qos 3", "it is 0, 1 or 2"),
        ("publish --clients 2", "--clients 2 is more than --homes 1"),
        ("publish --password-file x", "--user"),
        ("publish --broker host:port", "`port` is not a port"),
        ("load --qos 2", "0..=1"),
        ("", "Usage"),
    ] {
        let output = sluice_sim(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(
            stderr(&output).contains(expected),
            "{arguments}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments}");
    }
}

#[test]
fn what_fails_exits_with_1_and_says_why() {
    let output = sluice_sim("publish --user u --password-file /nowhere/password");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("sluice-sim: reading the password from /nowhere/password: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice-sim"))
        .arg("generate")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
