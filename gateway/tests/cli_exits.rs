//! How the command line is spelled, and how commands end: help, generated texts, exit codes.

mod web_house;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use web_house::{House, Served, assert_agreed};

fn sluice(args: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(args)
        .current_dir(directory)
        .env_remove("SLUICE_CONFIG")
        .env_remove("RUST_LOG")
        .env_remove("COLUMNS");
    command.output().expect("the command starts")
}

fn here() -> TempDir {
    TempDir::new().expect("a directory of the test's own")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The commands that `sluice --help` lists.
fn commands(help: &str) -> Vec<&str> {
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next());
    let lines = listed.expect("a list of commands").lines();
    lines
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn the_help_of_every_command_is_the_one_that_was_agreed() {
    let directory = here();
    let main = stdout(&sluice(&["--help"], directory.path()));
    let mut shown = format!("$ sluice --help\n{main}");
    for command in commands(&main) {
        let help = stdout(&sluice(&["help", command], directory.path()));
        write!(shown, "\n$ sluice help {command}\n{help}").expect("a String takes all");
    }
    assert_agreed("cli_help.txt", &shown);
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let directory = here();
    let main = stdout(&sluice(&["--help"], directory.path()));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&sluice(&["completions", shell], directory.path()));
        assert!(
            commands(&main)
                .iter()
                .all(|command| script.contains(command)),
            "{shell}"
        );
    }
    assert!(stdout(&sluice(&["man"], directory.path())).contains(".SH SYNOPSIS"));
    let written = sluice(&["man", "--dir", "."], directory.path());
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    for command in commands(&main)
        .into_iter()
        .filter(|command| *command != "help")
    {
        let page = directory.path().join(format!("sluice-{command}.1"));
        assert!(page.exists(), "{}", page.display());
    }
}

#[test]
fn wrong_usage_is_2() {
    let directory = here();
    for args in [
        vec![],
        vec!["dayz"],
        vec!["days", "--from", "yesterday"],
        vec!["days", "--balance", "water"],
        vec!["explain", "W1", "today"],
        vec!["demo", "--speed", "0"],
        vec!["demo", "--days", "0"],
        vec!["status", "--log", "web=loud"],
        vec!["export", "--format", "xml"],
        vec!["replay"],
        vec!["replay", "x.jsonl", "--user", "kitchen"],
    ] {
        let output = sluice(&args, directory.path());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn a_wrong_configuration_is_78_and_every_problem_has_its_line() {
    let directory = here();
    let config = directory.path().join("wrong.toml");
    fs::write(
        &config,
        "[site]\nid = \"My Home\"\n\n[store]\ncommit_dely = \"1s\"\n",
    )
    .expect("written");
    for command in ["check", "status", "days"] {
        let output = sluice(&[command, "--config", "wrong.toml"], directory.path());
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = stderr(&output);
        assert!(said.contains("wrong.toml:2: site.id: "), "{said}");
        assert!(said.contains("wrong.toml:5: store.commit_dely: "), "{said}");
    }
    let output = sluice(&["check"], directory.path());
    assert_eq!(output.status.code(), Some(78));
    assert!(
        stderr(&output).contains("there is no configuration"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_configurations_that_come_along_are_good() {
    let directory = here();
    for name in ["home.toml", "minimal.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../config")
            .join(name);
        let output = sluice(
            &["check", "--config", path.to_str().expect("UTF-8")],
            directory.path(),
        );
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_3() {
    let directory = here();
    // A port that was free a moment ago, and that nobody listens on.
    let served = Served::of(House::default()).await;
    let at = served.at.to_string();
    served.stop().await;
    let config = format!("[store]\npath = \"data\"\n[web]\nlisten = \"{at}\"\n");
    fs::write(directory.path().join("sluice.toml"), config).expect("written");
    fs::write(directory.path().join("x.jsonl"), "").expect("written");
    for args in [
        vec!["days", "--api", &at],
        vec!["days"],
        vec!["explain", "W1", "2020-01-01"],
        vec!["export"],
        vec!["replay", "x.jsonl"],
    ] {
        let output = sluice(&args, directory.path());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(
            said.starts_with(&format!("sluice: no daemon answers at {at}: ")),
            "{said}"
        );
    }
    assert!(
        !directory.path().join("data").exists(),
        "asking creates no store"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_the_api_refuses_is_1_in_its_words() {
    let directory = here();
    let served = Served::of(House::default()).await;
    let at = served.at.to_string();
    let output = sluice(&["days", "--sensor", "W2", "--api", &at], directory.path());
    assert_eq!(output.status.code(), Some(1));
    let said = "sluice: no sensor is called `W2`; /api/v1/sensors lists them\n";
    assert_eq!(
        (stdout(&output), stderr(&output)),
        (String::new(), said.to_owned())
    );
    served.stop().await;
}
