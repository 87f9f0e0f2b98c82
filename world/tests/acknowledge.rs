//! Alerts over MQTT, with a real daemon: who acknowledges one, and what Home Assistant is told. The alert is the one
//! that every version has: a damaged store.

use std::collections::BTreeMap;
use std::fs;

use gateway::store::FILE;
use serde_json::Value;
use world::daemon::{Daemon, Place};
use world::mqtt::{Client, Delivery, Qos, Stay};

/// A daemon with one alert.
fn alarmed() -> (Place, Daemon) {
    let place = Place::new();
    fs::create_dir(place.data()).expect("the directory is ours");
    fs::write(place.data().join(FILE), vec![7; 100_000]).expect("the directory is ours");
    let daemon = place.start();
    (place, daemon)
}

async fn client(daemon: &Daemon, id: &str) -> Client {
    let connected = Client::connect(daemon.mqtt, id, Stay::Clean).await;
    connected.expect("it listens").0
}

async fn alert(daemon: &Daemon) -> Value {
    let mut alerts = daemon.api.list("alerts").await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

async fn ack_topic(daemon: &Daemon) -> String {
    let alert = alert(daemon).await;
    format!(
        "sluice/home/alert/{}/ack",
        alert["id"].as_str().expect("text")
    )
}

/// State and who of the alert.
async fn answered(daemon: &Daemon) -> (Value, Value) {
    let alert = alert(daemon).await;
    (alert["state"].clone(), alert["by"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_by_mqtt_is_on_disk_when_it_is_taken_and_says_by_whom() {
    let (place, daemon) = alarmed();
    let topic = ack_topic(&daemon).await;
    let mut tablet = client(&daemon, "tablet").await;
    let sent = tablet.publish(&topic, b"", Qos::One, false);
    sent.await.expect("it is taken");
    daemon.kill();
    let daemon = place.start();
    let expected = (Value::from("acknowledged"), Value::from("tablet"));
    assert_eq!(answered(&daemon).await, expected);
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_a_name_is_that_and_who_retains_it_is_nobody() {
    let (_place, daemon) = alarmed();
    let topic = ack_topic(&daemon).await;
    let mut tablet = client(&daemon, "tablet").await;
    let sent = tablet.publish(&topic, br#"{"by":"Anna"}"#, Qos::One, true);
    sent.await.expect("it is taken");
    assert_eq!(
        answered(&daemon).await,
        (Value::from("firing"), Value::Null)
    );
    let sent = tablet.publish(&topic, br#"{"by":"Anna"}"#, Qos::One, false);
    sent.await.expect("it is taken");
    let expected = (Value::from("acknowledged"), Value::from("Anna"));
    assert_eq!(answered(&daemon).await, expected);
    daemon.kill();
}

/// The next messages below `homeassistant/` but for who comes and goes, by topic.
async fn told(client: &mut Client, count: usize) -> BTreeMap<String, Delivery> {
    let mut told = BTreeMap::new();
    while told.len() < count {
        let delivery = client.delivery().await.expect("it is told");
        if delivery.topic != "homeassistant/status" {
            told.insert(delivery.topic.clone(), delivery);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn home_assistant_finds_an_alert_is_told_again_when_it_comes_and_nothing_where_it_is_switched_off()
 {
    let (place, daemon) = alarmed();
    let id = alert(&daemon).await["id"]
        .as_str()
        .expect("text")
        .to_owned();
    let mut home = client(&daemon, "home-assistant").await;
    home.subscribe("homeassistant/#", Qos::Zero)
        .await
        .expect("it listens");
    let found = told(&mut home, 2).await;
    assert!(found.values().all(|said| said.retained), "{found:?}");
    let level = |topic: &String| topic.split('/').nth(1).map(str::to_owned);
    let platforms: Vec<_> = found.keys().filter_map(level).collect();
    assert_eq!(platforms, ["binary_sensor", "button"]);
    let button = found.values().next_back().expect("there are two");
    let button: Value = serde_json::from_str(&button.payload).expect("JSON");
    assert_eq!(
        button["command_topic"],
        format!("sluice/home/alert/{id}/ack")
    );

    let mut other = client(&daemon, "other").await;
    let sent = other.publish("homeassistant/status", b"online", Qos::One, false);
    sent.await.expect("it is taken");
    let again = told(&mut home, 2).await;
    let payloads = |said: &BTreeMap<String, Delivery>| -> Vec<String> {
        said.values().map(|said| said.payload.clone()).collect()
    };
    assert_eq!(payloads(&again), payloads(&found));
    assert!(
        again.values().all(|said| !said.retained),
        "they are said anew"
    );
    daemon.kill();

    let config = fs::read_to_string(place.config()).expect("it is ours");
    place.configure(&config.replacen("discovery = true", "discovery = false", 1));
    let daemon = place.start();
    let mut home = client(&daemon, "home-assistant").await;
    home.subscribe("homeassistant/#", Qos::Zero)
        .await
        .expect("it listens");
    let mut other = client(&daemon, "other").await;
    let sent = other.publish("homeassistant/status", b"online", Qos::One, false);
    sent.await.expect("it is taken");
    let taken_back = told(&mut home, 2).await;
    let is_gone = |said: &Delivery| said.payload.is_empty() && !said.retained;
    assert!(taken_back.values().all(is_gone), "{taken_back:?}");
    let topics = |said: &BTreeMap<String, Delivery>| said.keys().cloned().collect::<Vec<_>>();
    assert_eq!(topics(&taken_back), topics(&found));
    daemon.kill();
}
