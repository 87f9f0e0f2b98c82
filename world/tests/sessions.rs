//! A persistent session is a promise: its messages wait for it, in order, and at `QoS` 2 each comes exactly
//! once, however often the daemon is killed in between.
//!
//! The moments are drawn from a seed, and so is how much the subscriber takes before each. `SLUICE_LONG=1`
//! kills more often, from more seeds.

use std::process::{Command, Stdio};

use world::arrival::Line;
use world::courier::{Courier, Pause};
use world::daemon::Place;
use world::dice::Dice;
use world::mqtt::Qos;
use world::recipient::{Break, Recipient};

/// Unacknowledged publishes: every kill finds so many on their way.
const WINDOW: usize = 100;

/// Messages that are no readings, numbered.
fn numbered(count: usize) -> Vec<Line> {
    let line = |number: usize| Line {
        topic: format!("queue/{}", number % 7),
        payload: number.to_string(),
        identity: (String::new(), 0),
    };
    (0..count).map(line).collect()
}

fn payloads(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.payload.as_str()).collect()
}

/// Every message once and in order; else, where it begins to differ.
fn assert_same(got: &[String], expected: &[&str]) {
    let differs = got.iter().zip(expected).position(|(got, one)| got != one);
    if let Some(at) = differs {
        let around = at.saturating_sub(3)..got.len().min(at + 4);
        panic!("message {at} is another: {:?}", &got[around]);
    }
    assert_eq!(got.len(), expected.len());
}

async fn exactly_once_through_kills(seed: u64, kills: usize) {
    eprintln!("seed {seed}");
    let mut dice = Dice::new(seed);
    let lines = numbered(200 * kills);
    let place = Place::new();
    let daemon = place.start();
    let mut recipient = Recipient::subscribed(daemon.mqtt, "once", "queue/#", Qos::Two).await;
    daemon.kill();

    let mut courier = Courier::new("sender", Qos::Two, WINDOW, lines.clone());
    for _ in 0..kills {
        let daemon = place.start();
        let promises = 1 + dice.below(350);
        let sure = (courier.promised().len() + promises).min(lines.len());
        let enough = recipient.got().len() + dice.below(1 + sure - recipient.got().len());
        let (pause, taken) = tokio::join!(
            courier.deliver(daemon.mqtt, promises),
            recipient.receive(daemon.mqtt, enough)
        );
        assert_ne!(pause, Pause::Lost, "the daemon ended by itself");
        assert_eq!(taken, Break::Enough);
        if dice.once_in(4) {
            daemon.terminate();
        }
        daemon.kill();
        courier.hear_last_words().await;
        recipient.hear_last_words().await;
    }
    let daemon = place.start();
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    let taken = recipient.receive(daemon.mqtt, lines.len()).await;
    assert_eq!(taken, Break::Enough);
    assert_same(recipient.got(), &payloads(&lines));
    recipient.finish().await.expect("nothing comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_qos_2_arrives_exactly_once_through_every_kill() {
    let (seeds, kills) = if world::long() {
        (1..6, 60)
    } else {
        (1..2, 12)
    };
    for seed in seeds {
        exactly_once_through_kills(seed, kills).await;
    }
}

/// Twenty thousand messages are acknowledged while their subscriber is away, and the daemon is killed.
async fn twenty_thousand_for_the_absent(qos: Qos) -> (Place, Recipient, Vec<Line>) {
    let lines = numbered(20_000);
    let place = Place::new();
    let daemon = place.start();
    let recipient = Recipient::subscribed(daemon.mqtt, "absent", "queue/#", qos).await;
    let mut courier = Courier::new("sender", qos, 10 * WINDOW, lines.clone());
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    daemon.kill();
    (place, recipient, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_messages_of_qos_2_wait_for_the_absent_through_a_kill() {
    let (place, mut recipient, lines) = twenty_thousand_for_the_absent(Qos::Two).await;
    let daemon = place.start();
    let taken = recipient.receive(daemon.mqtt, lines.len()).await;
    assert_eq!(taken, Break::Enough);
    assert_same(recipient.got(), &payloads(&lines));
    recipient.finish().await.expect("nothing comes twice");
    // What has been taken is gone for good.
    daemon.terminate();
    assert!(daemon.ended().success());
    recipient.hear_last_words().await;
    let daemon = place.start();
    let taken = recipient.receive(daemon.mqtt, lines.len()).await;
    assert_eq!(taken, Break::Enough, "it asks for no more");
    recipient.finish().await.expect("nothing is left");
}

/// What `mosquitto_sub` takes of a session, in order.
fn mosquitto_takes(port: u16, id: &str, count: usize) -> Vec<String> {
    let taken = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-V", "mqttv311", "-c", "-i", id, "-q", "1", "-t", "queue/#"])
        .args(["-C", &count.to_string(), "-W", "120"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|why| {
            panic!(
                "mosquitto_sub: {why}; on Debian: apt-get update && apt-get install -y \
                 mosquitto-clients"
            )
        });
    assert!(taken.status.success(), "mosquitto_sub: {}", taken.status);
    let text = String::from_utf8(taken.stdout).expect("numbers");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_messages_of_qos_1_are_taken_by_a_foreign_client_and_then_by_ours() {
    const PART: usize = 5000;
    let (place, mut recipient, lines) = twenty_thousand_for_the_absent(Qos::One).await;
    let expected = payloads(&lines);
    let daemon = place.start();
    let taken = mosquitto_takes(daemon.mqtt.port(), "absent", PART);
    assert_same(&taken, &expected[..PART]);
    daemon.kill();

    let daemon = place.start();
    assert_eq!(recipient.receive(daemon.mqtt, 1).await, Break::Enough);
    // The last ones that mosquitto took may come again: it went without waiting for anybody.
    let first: usize = recipient.got()[0].parse().expect("a number");
    assert!(first <= PART, "{first}");
    let taken = recipient.receive(daemon.mqtt, lines.len() - first).await;
    assert_eq!(taken, Break::Enough);
    assert_same(recipient.got(), &expected[first..]);
    recipient.finish().await.expect("nothing comes twice");
}

/// More than waits for everybody together, and what the daemon is itself.
const MEMORY_MIB: u64 = 64 + 128;

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_out_of_a_full_queue_is_counted_and_logged_by_client_and_reason() {
    /// 16 MiB wait for one client at most, 64 MiB for all.
    const MESSAGES: usize = 90;
    let large = |topic: &str| -> Vec<Line> {
        let line = |number: usize| Line {
            topic: topic.to_owned(),
            payload: format!("{number} {}", "x".repeat(200 << 10)),
            identity: (String::new(), 0),
        };
        (0..MESSAGES).map(line).collect()
    };
    let place = Place::new();
    let daemon = place.start();
    let mut alone = Recipient::subscribed(daemon.mqtt, "alone", "a", Qos::One).await;
    let mut crowd = Vec::new();
    for id in ["b1", "b2", "b3", "b4"] {
        crowd.push(Recipient::subscribed(daemon.mqtt, id, "b", Qos::One).await);
    }
    for topic in ["a", "b"] {
        let mut courier = Courier::new(topic, Qos::One, 10, large(topic));
        assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    }
    let status = daemon.api.get("/api/v1/status").await;
    let dropped = |why: &str| {
        let count = status["broker"][why].as_u64().expect("a counter");
        usize::try_from(count).expect("it is small here")
    };
    let kept_alone = MESSAGES - dropped("dropped_session");
    let kept_of_crowd = crowd.len() * MESSAGES - dropped("dropped_total");
    assert!((80..MESSAGES).contains(&kept_alone), "{kept_alone}");
    assert!((240..260).contains(&kept_of_crowd), "{kept_of_crowd}");
    daemon.terminate();
    let log = daemon.ended_saying();
    for (client, reason) in [("alone", "this session"), ("b1", "all sessions together")] {
        let client = format!("\"client\":\"{client}\"");
        let says = |line: &&String| line.contains("queue is full") && line.contains(&client);
        let line = log.iter().find(says).expect("it is logged");
        assert!(line.contains(reason), "{line}");
    }

    let daemon = place.start();
    assert!(
        (daemon.memory().resident_bytes() >> 20) < MEMORY_MIB,
        "{}",
        (daemon.memory().resident_bytes() >> 20)
    );
    let taken = alone.receive(daemon.mqtt, kept_alone).await;
    assert_eq!(taken, Break::Enough);
    alone.finish().await.expect("nothing more was kept");
    let mut taken = 0;
    for member in &mut crowd {
        taken += member.take_all(daemon.mqtt).await;
    }
    assert_eq!(taken, kept_of_crowd);
}
