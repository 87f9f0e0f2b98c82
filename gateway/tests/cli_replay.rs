//! What was exported can be replayed: over MQTT, into a daemon that runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gateway::app::{App, Running};
use gateway::clock::Clock;
use gateway::config::{Config, HOME};
use tempfile::TempDir;

const MESSAGES: &str = include_str!("../../world/tests/vectors/day-edges/messages.jsonl");

/// The seed home in event mode, running in this process on free ports.
async fn daemon(directory: &Path) -> Running {
    let config = HOME
        .replace("clock = \"wall\"", "clock = \"event\"")
        .replace(
            "/var/lib/sluice",
            directory.join("data").to_str().expect("UTF-8"),
        )
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:1883", "127.0.0.1:0");
    let config =
        Config::parse(&config, "home.toml").expect("the seed home's configuration is good");
    let app = App::build(config, Clock::machine(), 1)
        .await
        .expect("built");
    app.start().expect("started")
}

async fn sluice(daemon: &Running, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(args)
        .arg("--api")
        .arg(daemon.addresses().http.to_string())
        .env_remove("RUST_LOG");
    if args[0] == "replay" {
        command
            .arg("--broker")
            .arg(daemon.addresses().mqtt.expect("it listens").to_string());
    }
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    ran.expect("no panic").expect("the command starts")
}

fn said(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_is_counted_and_what_is_exported_comes_back_as_duplicates() {
    let directory = TempDir::new().expect("a directory of the test's own");
    let daemon = daemon(directory.path()).await;
    let file = directory.path().join("recorded.jsonl");
    fs::write(&file, MESSAGES).expect("written");
    let file = file.to_str().expect("UTF-8");
    let first = said(&sluice(&daemon, &["replay", file]).await);
    assert_eq!(
        first,
        "25 lines acknowledged. Since then the gateway has counted 18 accepted, 1 duplicate, \
         1 corrected, 3 late and 2 refused.\n"
    );
    let exported = said(&sluice(&daemon, &["export"]).await);
    fs::write(file, &exported).expect("written");
    let again = said(&sluice(&daemon, &["replay", file]).await);
    let lines = exported.lines().count();
    assert_eq!(
        again,
        format!(
            "{lines} lines acknowledged. Since then the gateway has counted 0 accepted, {lines} \
             duplicate, 0 corrected, 0 late and 0 refused.\n"
        )
    );
    drop(daemon.stop().await.expect("stopped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_reading_is_refused_by_the_gateway_and_not_lost_on_the_way() {
    let directory = TempDir::new().expect("a directory of the test's own");
    let daemon = daemon(directory.path()).await;
    let file = directory.path().join("recorded.jsonl");
    fs::write(&file, "recv_ts,sensor\n\n{\"value\":1}\n{\"name\":\"a/#\"}").expect("written");
    let output = sluice(&daemon, &["replay", file.to_str().expect("UTF-8")]).await;
    let summary = "3 lines acknowledged. Since then the gateway has counted 0 accepted, 0 duplicate, \
                   0 corrected, 0 late and 3 refused.\n";
    assert_eq!(said(&output), summary);
    drop(daemon.stop().await.expect("stopped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_no_packet_holds_is_named() {
    let directory = TempDir::new().expect("a directory of the test's own");
    let daemon = daemon(directory.path()).await;
    let file = directory.path().join("recorded.jsonl");
    fs::write(&file, format!("{{}}\n{}\n", "x".repeat(300_000))).expect("written");
    let output = sluice(&daemon, &["replay", file.to_str().expect("UTF-8")]).await;
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && err.contains("line 2 is longer than"),
        "{err}"
    );
    drop(daemon.stop().await.expect("stopped"));
}
