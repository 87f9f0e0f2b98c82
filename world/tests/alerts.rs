//! Alerts through kill -9: what was raised and not delivered waits for its channel, and is in the journal once.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use gateway::store::FILE;
use serde_json::Value;
use world::daemon::{Daemon, Place};
use world::mqtt::{Client, Qos, Stay};

/// Nothing listens there: what is to be sent waits.
const NOWHERE: &str = "http://127.0.0.1:1/";

fn place_of_noise() -> Place {
    let place = Place::new();
    let config = fs::read_to_string(place.config()).expect("there is one");
    place.configure(&format!(
        "{config}\n[[alert.channel]]\ntype = \"webhook\"\nurl = \"{NOWHERE}\"\n"
    ));
    fs::create_dir(place.data()).expect("the directory is ours");
    fs::write(place.data().join(FILE), vec![7; 100_000]).expect("the directory is ours");
    place
}

/// The one alert that is about the damaged file.
async fn alert(daemon: &Daemon) -> Value {
    let alerts = daemon.api.list("alerts").await;
    let mut damaged = alerts
        .into_iter()
        .filter(|alert| alert["kind"] == "store_damaged");
    let alert = damaged.next().expect("it is told of");
    assert_eq!(damaged.next(), None, "once");
    alert
}

/// What the journal says of it.
async fn said(daemon: &Daemon) -> Vec<(u64, String)> {
    let journal = daemon.api.list("journal").await;
    let lines = journal
        .iter()
        .filter(|line| line["alert"]["kind"] == "store_damaged");
    let said = lines.map(|line| {
        let what = line["what"].as_str().expect("a word").to_owned();
        (line["seq"].as_u64().expect("a number"), what)
    });
    said.collect()
}

/// What waits for the channel.
async fn waiting(daemon: &Daemon) -> u64 {
    let status = daemon.api.get("/api/v1/status").await;
    let waiting = status["notices"]["waiting"]["webhook"].as_u64();
    waiting.expect("the channel is configured")
}

fn told(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

fn set_aside(place: &Place) -> PathBuf {
    let entries = fs::read_dir(place.data()).expect("the daemon made it");
    let mut paths = entries.map(|entry| entry.expect("it can be read").path());
    let aside = paths.find(|path| path.display().to_string().contains(".redb.damaged-"));
    aside.expect("it was set aside")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_raised_before_a_kill_waits_for_its_channel_and_is_in_the_journal_once() {
    let place = place_of_noise();
    let daemon = place.start();
    let raised = alert(&daemon).await;
    assert_eq!(raised["state"], "firing");
    let others = waiting(&daemon).await - 1;
    daemon.kill();
    for _ in 0..3 {
        let daemon = place.start();
        assert_eq!(alert(&daemon).await, raised);
        assert_eq!(said(&daemon).await.len(), 1, "it is said once");
        assert_eq!(waiting(&daemon).await, 1 + others, "and waits");
        daemon.kill();
    }

    // An answer given while nobody runs, and one to the daemon.
    let id = raised["id"].as_str().expect("text");
    let out = told(&place.sluice(&["alert", "snooze", id, "2h", "--by", "anna"]));
    assert_eq!(out, format!("{id} is snoozed.\n"));
    let status = told(&place.sluice(&["status"]));
    assert!(
        status.starts_with("ALERT           critical (snoozed): the store was damaged"),
        "{status}"
    );
    let daemon = place.start();
    let out = told(&place.sluice(&["alert", "ack", id]));
    assert_eq!(out, format!("{id} is acknowledged.\n"));
    daemon.kill();
    let daemon = place.start();
    let alert_now = alert(&daemon).await;
    assert_eq!(
        (&alert_now["state"], &alert_now["by"]),
        (&"acknowledged".into(), &"operator".into())
    );
    let whats: Vec<String> = said(&daemon)
        .await
        .into_iter()
        .map(|(_, what)| what)
        .collect();
    assert_eq!(whats, ["fired", "snoozed", "acknowledged"]);

    // The same, retained for whoever subscribes.
    let connected = Client::connect(daemon.mqtt, "watcher", Stay::Clean).await;
    let mut watcher = connected.expect("it listens").0;
    let topic = format!("sluice/home/alert/{id}");
    watcher.subscribe(&topic, Qos::Zero).await.expect("granted");
    let retained = watcher.delivery().await.expect("it is retained");
    let retained: Value = serde_json::from_str(&retained.payload).expect("JSON");
    assert_eq!(retained, alert_now);
    daemon.kill();

    // The cause goes: it is over, and known to have been.
    fs::remove_file(set_aside(&place)).expect("it is ours");
    let daemon = place.start();
    assert_eq!(alert(&daemon).await["state"], "cleared");
    let journal = said(&daemon).await;
    let last = journal.last().expect("it is said").1.clone();
    assert_eq!(last, "cleared");
    let seqs: Vec<u64> = daemon
        .api
        .list("journal")
        .await
        .iter()
        .map(|l| l["seq"].as_u64().expect("a number"))
        .collect();
    let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
    assert_eq!(seqs, expected, "no line is missing");
    let out = place.sluice(&["alert", "ack", id]);
    assert_eq!(out.status.code(), Some(1));
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(why.contains("is over"), "{why}");
    daemon.terminate();
    assert!(daemon.ended().success());
}
