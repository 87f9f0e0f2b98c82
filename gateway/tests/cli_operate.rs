//! An operator's change is asked of the running daemon over its socket, and its answer is told.

use std::fs;
use std::process::{Command, Output};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use gateway::control::{ACCEPT_LATE, CORRECT};
use tempfile::TempDir;
use tokio::net::UnixListener;

/// Runs `sluice ARGS` where a daemon answers what it is asked to change.
async fn asked(args: &'static [&'static str]) -> Output {
    let directory = TempDir::new().expect("a directory of the test's own");
    fs::write(
        directory.path().join("sluice.toml"),
        "[control]\nsocket = \"s\"\n",
    )
    .expect("written");
    let listener = UnixListener::bind(directory.path().join("s")).expect("a socket");
    let echo = async |body: String| {
        let wanted = r#"{"sensor":"W1","time":"2020-01-02T06:00:00Z","value":-0.5}"#;
        if body == wanted {
            (
                StatusCode::OK,
                r#"{"accepted":0,"corrected":1,"unchanged":0}"#.to_owned(),
            )
        } else {
            let text = r#"{"error":{"code":"unknown_sensor","message":"no such sensor"}}"#;
            (StatusCode::NOT_FOUND, text.to_owned())
        }
    };
    let accept = async |body: String| {
        assert_eq!(
            body,
            r#"{"sensor":"W1","from":null,"to":"2020-01-01T00:00:00Z"}"#
        );
        r#"{"accepted":2,"corrected":1,"unchanged":4}"#
    };
    let router = Router::new()
        .route(CORRECT, post(echo))
        .route(ACCEPT_LATE, post(accept));
    let daemon = tokio::spawn(async { axum::serve(listener, router).await });
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(args)
        .current_dir(directory.path())
        .env_remove("SLUICE_CONFIG");
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    daemon.abort();
    ran.expect("no panic").expect("the command starts")
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn what_the_daemon_did_is_said_in_a_sentence() {
    let output = asked(&["correct", "W1", "2020-01-02T06:00:00Z", "-0.5"]).await;
    let said = "W1 at 2020-01-02T06:00:00Z: -0.5 counts instead of what was held.\n";
    assert_eq!(told(&output), (Some(0), said.to_owned(), String::new()));
    let output = asked(&[
        "late",
        "accept",
        "--sensor",
        "W1",
        "--to",
        "2020-01-01T00:00:00Z",
    ])
    .await;
    let said =
        "3 late readings count now, 1 of them instead of what was held; 4 counted already.\n";
    assert_eq!(told(&output), (Some(0), said.to_owned(), String::new()));
}

#[tokio::test]
async fn what_the_daemon_refuses_is_1_in_its_words() {
    let output = asked(&["correct", "W2", "2020-01-02T06:00:00Z", "1"]).await;
    assert_eq!(
        told(&output),
        (
            Some(1),
            String::new(),
            "sluice: no such sensor\n".to_owned()
        )
    );
}
