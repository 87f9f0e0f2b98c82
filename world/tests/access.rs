//! Users end to end: `sluice user` beside a daemon that runs and one that is stopped, and mosquitto's own
//! clients, who get what they may and no more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use world::daemon::{Daemon, Place};

/// Seconds after which mosquitto's subscriber ends by itself: nothing that works takes so long.
const PATIENCE_S: &str = "120";

/// The seed home where nobody comes without a name.
fn place() -> Place {
    let place = Place::new();
    let config = fs::read_to_string(place.config()).expect("it was written just now");
    let closed = config.replacen("[broker]\n", "[broker]\nallow_anonymous = false\n", 1);
    assert_ne!(config, closed, "config/home.toml has a [broker]");
    place.configure(&closed);
    place
}

fn password_file(place: &Place, password: &str) -> String {
    let file = place
        .config()
        .with_file_name(format!("password-{password}"));
    fs::write(&file, format!("{password}\n")).expect("the test's directory takes files");
    file.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `sluice user ARGS`, which works.
fn user(place: &Place, arguments: &[&str]) -> String {
    let output = place.sluice(&[&["user"], arguments].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn mosquitto(program: &str, daemon: &Daemon, login: Option<(&str, &str)>) -> Command {
    let mut command = Command::new("stdbuf");
    command
        .args([
            "-oL",
            program,
            "-h",
            "127.0.0.1",
            "-q",
            "1",
            "-V",
            "mqttv5",
            "-p",
        ])
        .arg(daemon.mqtt.port().to_string());
    if let Some((name, password)) = login {
        command.args(["-u", name, "-P", password]);
    }
    command.stdin(Stdio::null());
    command
}

fn publish(daemon: &Daemon, login: Option<(&str, &str)>, topic: &str, payload: &str) -> Output {
    let output = mosquitto("mosquitto_pub", daemon, login)
        .args(["-t", topic, "-m", payload])
        .output();
    output.expect("the Debian packages coreutils and mosquitto-clients are there")
}

/// A subscriber that has subscribed, and its lines.
fn subscriber(
    daemon: &Daemon,
    login: (&str, &str),
    filter: &str,
) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = mosquitto("mosquitto_sub", daemon, Some(login))
        .args(["-d", "-W", PATIENCE_S, "-F", "got %t %p", "-t", filter])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the Debian packages coreutils and mosquitto-clients are there");
    let stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("Subscribed")),
        "mosquitto_sub ended"
    );
    (child, lines)
}

/// `mosquitto_sub` takes DISCONNECT for the end, and ends otherwise when it failed or waited too long.
fn assert_disconnected(child: &mut Child) {
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
}

#[tokio::test]
async fn users_come_and_go_while_the_daemon_runs_and_mosquittos_clients_notice() {
    let place = place();
    let daemon = place.start();
    let (one, two) = (password_file(&place, "one"), password_file(&place, "two"));
    let ann = Some(("ann", "one"));
    assert!(!publish(&daemon, ann, "a/x", "too early").status.success());
    assert!(!publish(&daemon, None, "a/x", "nobody").status.success());

    let said = user(
        &place,
        &[
            "add",
            "ann",
            "--publish",
            "%u/#",
            "--publish",
            "c/%c",
            "--password-file",
            &one,
        ],
    );
    assert_eq!(said, "\"ann\" may log in.\n");
    user(&place, &["add", "bob", "--password-file", &two]);
    let again = place.sluice(&["user", "add", "bob", "--password-file", &one]);
    assert!(refused(&again).contains("there is a user called bob already"));
    let (mut bob, mut got) = subscriber(&daemon, ("bob", "two"), "#");
    assert!(publish(&daemon, ann, "ann/x", "hers").status.success());
    let denied = publish(&daemon, ann, "bob/x", "not hers");
    assert!(
        text(&denied.stderr).contains("Not authorized"),
        "{}",
        text(&denied.stderr)
    );
    assert!(publish(&daemon, ann, "ann/y", "hers, too").status.success());
    assert!(
        !publish(&daemon, Some(("ann", "two")), "ann/x", "wrong")
            .status
            .success()
    );
    let mut next = || got.find(|line| line.starts_with("got ann") || line.starts_with("got bob"));
    assert_eq!(next().as_deref(), Some("got ann/x hers"));
    assert_eq!(next().as_deref(), Some("got ann/y hers, too"));

    user(&place, &["passwd", "ann", "--password-file", &two]);
    assert!(!publish(&daemon, ann, "ann/x", "old").status.success());
    assert!(
        publish(&daemon, Some(("ann", "two")), "ann/x", "new")
            .status
            .success()
    );

    user(&place, &["remove", "bob"]);
    assert_disconnected(&mut bob);
    let nobody = place.sluice(&["user", "remove", "bob"]);
    assert!(refused(&nobody).contains("no user called bob"));
    let status = daemon.api.get("/api/v1/status").await;
    assert_eq!(status["broker"]["logins_refused"], 4, "{status}");
    daemon.terminate();
    assert!(daemon.ended().success());
}

#[test]
fn a_stopped_daemons_users_are_changed_in_its_store_and_listed_without_their_hashes() {
    let place = place();
    let one = password_file(&place, "one");
    place.start().kill();
    user(
        &place,
        &["add", "ann", "--subscribe", "a/#", "--password-file", &one],
    );
    let hash = user(&place, &["hash", "--password-file", &one]);
    let config = fs::read_to_string(place.config()).expect("it is there");
    place.configure(&format!(
        "{config}\n[[broker.user]]\nname = \"bob\"\n{hash}publish = []\n"
    ));
    let expected = json!([
        {"name": "ann", "origin": "store", "publish": null, "subscribe": ["a/#"]},
        {"name": "bob", "origin": "configuration", "publish": [], "subscribe": null},
    ]);
    let listed = |place: &Place| -> Value {
        serde_json::from_str(&user(place, &["list", "--json"])).expect("JSON")
    };
    assert_eq!(listed(&place), expected);
    let daemon = place.start();
    assert_eq!(listed(&place), expected);
    assert!(!user(&place, &["list"]).contains("argon2"));
    let ours = place.sluice(&["user", "passwd", "bob", "--password-file", &one]);
    assert!(refused(&ours).contains("is a [[broker.user]] of the configuration"));
    assert!(
        publish(&daemon, Some(("ann", "one")), "a/x", "x")
            .status
            .success()
    );
    daemon.kill();
}

#[test]
fn sighup_takes_over_the_users_of_the_configuration() {
    let place = place();
    let one = password_file(&place, "one");
    let hash = user(&place, &["hash", "--password-file", &one]);
    let without = fs::read_to_string(place.config()).expect("it is there");
    let with = format!("{without}\n[[broker.user]]\nname = \"bob\"\n{hash}");
    let mut daemon = place.start();
    let bob = ("bob", "one");
    assert!(!publish(&daemon, Some(bob), "a", "x").status.success());
    place.configure(&with);
    daemon.reload();
    daemon.says("the configuration is valid");
    assert!(publish(&daemon, Some(bob), "a", "x").status.success());
    let (mut child, _lines) = subscriber(&daemon, bob, "#");
    // A mistake changes nothing.
    place.configure(&format!("{with}publish = [\"x%u\"]\n"));
    daemon.reload();
    daemon.says("the configuration is wrong");
    assert!(publish(&daemon, Some(bob), "a", "x").status.success());
    place.configure(&without);
    daemon.reload();
    daemon.says("the configuration is valid");
    assert_disconnected(&mut child);
    daemon.kill();
}

#[test]
fn a_password_comes_from_standard_input_or_a_file_and_never_from_nobody() {
    let place = place();
    let output = place.sluice_reads(&["user", "hash", "--password-stdin"], "secret");
    assert!(text(&output.stdout).starts_with("password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$"));
    let nobody = place.sluice(&["user", "hash"]);
    assert!(
        refused(&nobody).contains("--password-stdin"),
        "{}",
        text(&nobody.stderr)
    );
    let empty = place.config().with_file_name("empty");
    fs::write(&empty, "\n").expect("the test's directory takes files");
    let nothing = place.sluice(&[
        "user",
        "hash",
        "--password-file",
        &empty.display().to_string(),
    ]);
    assert!(refused(&nothing).contains("the password is empty"));
}
