//! What the reading commands print, asked of a daemon and through a pipe.

mod web_house;

use std::fmt::Write as _;
use std::process::{Command, Output};

use gateway::web::rows::{Alert, Word};
use web_house::{House, Served, assert_agreed, leak};

/// Runs `sluice ARGS` against the API of a house.
async fn sluice(served: &Served, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(args)
        .arg("--api")
        .arg(served.at.to_string())
        .env_remove("RUST_LOG");
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    ran.expect("no panic").expect("the command starts")
}

/// What each command prints, after the command.
async fn printed(house: House, commands: &[&str]) -> String {
    let served = Served::of(house).await;
    let mut shown = String::new();
    for command in commands {
        let args: Vec<_> = command.split(' ').collect();
        let output = sluice(&served, &args).await;
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), err.as_ref()),
            (Some(0), ""),
            "{command}"
        );
        let out = String::from_utf8_lossy(&output.stdout);
        write!(shown, "$ sluice {command}\n{out}\n").expect("a String takes all");
    }
    served.stop().await;
    shown
}

#[tokio::test]
async fn tables_are_the_ones_that_were_agreed() {
    let commands = [
        "status",
        "sensors",
        "days --sensor W1",
        "diffs --from 2020-01-01",
        "rests --balance water",
        "late",
        "letters",
        "explain W1 2020-01-01",
        "explain Wtot 2020-01-02",
        "export --sensor W1",
        "export --format csv",
    ];
    assert_agreed(
        "cli_tables.txt",
        &printed(House::default(), &commands).await,
    );
}

#[tokio::test]
async fn an_empty_table_says_so_in_a_sentence() {
    let empty = House {
        days: 0,
        letters: 0,
        ..House::default()
    };
    let commands = [
        "days",
        "diffs",
        "rests",
        "late --sensor Wtot",
        "letters",
        "explain W1 2020-01-01",
    ];
    assert_agreed("cli_empty_tables.txt", &printed(empty, &commands).await);
}

#[tokio::test]
async fn alerts_are_told_in_words_and_first() {
    let over = Alert {
        id: "silent-TH1".to_owned(),
        kind: Word::Borrowed("silent"),
        state: Word::Borrowed("cleared"),
        severity: Word::Borrowed("info"),
        location: None,
        ended: Some(leak().since),
        flow: None,
        amount: None,
        cost: None,
        normal: true,
        by: Some("anna".to_owned()),
        ..leak()
    };
    let house = House {
        alerts: vec![leak(), over],
        ..House::default()
    };
    let commands = [
        "alerts",
        "alerts --state open",
        "alerts --state withdrawn",
        "alert journal",
        "alert journal --limit 1",
        "status",
    ];
    assert_agreed("cli_alerts.txt", &printed(house, &commands).await);
}

#[tokio::test]
async fn json_is_what_the_api_says() {
    let served = Served::of(House::default()).await;
    for (command, path) in [
        ("status --json", "/api/v1/status"),
        ("sensors --json", "/api/v1/sensors"),
        ("days --json --to 2020-01-01", "/api/v1/days?to=2020-01-01"),
        (
            "rests --json --balance water",
            "/api/v1/rests?balance=water",
        ),
        (
            "explain W1 2020-01-01 --json",
            "/api/v1/explain?sensor=W1&day=2020-01-01",
        ),
    ] {
        let args: Vec<_> = command.split(' ').collect();
        let output = sluice(&served, &args).await;
        let said = served.get(path).await.text().await.expect("text");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{said}\n"),
            "{path}"
        );
    }
    served.stop().await;
}
