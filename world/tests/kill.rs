//! kill -9 is a supported way to stop: whatever was acknowledged is there, nothing counts twice, and
//! the rows are those of a run that nobody disturbed.
//!
//! The moments are drawn from a seed and counted in acknowledgements, so that they fall where the
//! load is: between a commit and its acknowledgement, during the next one, while the daemon starts,
//! while it drains. `SLUICE_LONG=1` kills more often, from more seeds.

use chrono_tz::Tz;
use serde_json::Value;
use simulator::{Late, Scenario};
use world::arrival::{Line, lines, payloads};
use world::courier::{Courier, Pause};
use world::daemon::{Daemon, Place};
use world::dice::Dice;
use world::mqtt::{Client, PUBACK, Qos, Stay, acknowledge};
use world::reference::{Counters, compute, seed_home};
use world::rows::Rows;

/// Unacknowledged publishes: every kill finds so many on their way.
const WINDOW: usize = 100;
const DAYS: u32 = 12;

fn home(seed: u64) -> Vec<Line> {
    eprintln!("seed {seed}");
    lines(&Scenario {
        days: DAYS,
        seed,
        late: Late::Paper,
        ..Scenario::default()
    })
}

fn kills() -> usize {
    if world::long() { 100 } else { 16 }
}

fn seeds() -> std::ops::Range<u64> {
    if world::long() { 1..6 } else { 1..2 }
}

fn count(counters: &Value, name: &str) -> usize {
    let count = counters[name].as_u64().expect("counters are numbers");
    usize::try_from(count).expect("they are small here")
}

/// What the first delivery of each line counts as, unless it repeats what is held.
const KEPT: [&str; 3] = ["accepted", "corrected", "late"];

fn kept(counters: &Value) -> usize {
    KEPT.iter().map(|name| count(counters, name)).sum()
}

/// What counts of these lines alone.
fn referred(lines: &[Line]) -> Value {
    let counters = compute(&seed_home(Tz::UTC), payloads(lines)).counters;
    serde_json::to_value(counters).expect("numbers")
}

async fn assert_promises_kept(daemon: &Daemon, couriers: &[&Courier]) {
    let counters = daemon.api.counters().await;
    let of = |courier: &&Courier| kept(&referred(courier.promised()));
    let promised: usize = couriers.iter().map(of).sum();
    assert!(
        kept(&counters) >= promised,
        "{promised} were acknowledged; on disk are {counters}"
    );
}

/// One life of the daemon, ended at a drawn moment.
async fn live_and_die(place: &Place, courier: &mut Courier, dice: &mut Dice, promises: usize) {
    if dice.once_in(4) {
        place.spawn().kill();
    }
    let daemon = place.start();
    assert_promises_kept(&daemon, &[courier]).await;
    if dice.once_in(8) {
        // Ready, and nothing sent.
        daemon.kill();
        return;
    }
    let pause = courier.deliver(daemon.mqtt, promises).await;
    assert_ne!(pause, Pause::Lost, "the daemon ended by itself");
    if dice.once_in(4) {
        // While it drains and seals.
        daemon.terminate();
    }
    daemon.kill();
    courier.hear_last_words().await;
}

async fn survives_kill_9(qos: Qos, seed: u64) {
    let lines = home(seed);
    let expected = compute(&seed_home(Tz::UTC), payloads(&lines));
    let mut dice = Dice::new(seed);
    let place = Place::new();
    let mut courier = Courier::new("survivor", qos, WINDOW, lines.clone());
    let mean = lines.len() / kills();
    for _ in 0..kills() {
        let promises = 1 + dice.below(2 * mean);
        live_and_die(&place, &mut courier, &mut dice, promises).await;
    }

    let daemon = place.start();
    assert_promises_kept(&daemon, &[&courier]).await;
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    assert_eq!(courier.promised(), lines);

    let rows = Rows::of(&daemon.api).await;
    rows.assert_results_equal(&Rows::expected(&expected), "after the last restart");
    rows.assert_results_equal(&undisturbed(qos, lines.clone()).await, "as undisturbed");
    let late = Rows::expected(&expected).late_readings();
    assert_eq!(rows.late_readings(), late);

    let counters = daemon.api.counters().await;
    let Counters {
        accepted,
        corrected,
        ..
    } = expected.counters;
    assert_eq!(counters["accepted"], accepted, "{counters}");
    assert_eq!(counters["corrected"], corrected, "{counters}");
    assert_eq!(counters["dead_letter"], 0, "{counters}");
    if qos == Qos::Two {
        // Exactly once: a message that is delivered again is not even a duplicate.
        assert_eq!(count(&counters, "received"), lines.len(), "{counters}");
    }
    daemon.terminate();
    assert!(daemon.ended().success());
}

async fn undisturbed(qos: Qos, lines: Vec<Line>) -> Rows {
    let place = Place::new();
    let daemon = place.start();
    let mut courier = Courier::new("lucky", qos, WINDOW, lines);
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    let rows = Rows::of(&daemon.api).await;
    daemon.kill();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_qos_1_loses_nothing_and_counts_nothing_twice() {
    for seed in seeds() {
        survives_kill_9(Qos::One, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_qos_2_loses_nothing_and_receives_nothing_twice() {
    for seed in seeds() {
        survives_kill_9(Qos::Two, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_keeps_everything_acknowledged_and_exits_0() {
    let lines = home(7);
    let expected = compute(&seed_home(Tz::UTC), payloads(&lines));
    let mut dice = Dice::new(7);
    let place = Place::new();
    let mut courier = Courier::new("drained", Qos::One, WINDOW, lines);
    for _ in 0..4 {
        let daemon = place.start();
        courier.deliver(daemon.mqtt, 1 + dice.below(2000)).await;
        daemon.terminate();
        courier.hear_last_words().await;
        let status = daemon.ended();
        assert_eq!(status.code(), Some(0));
        let daemon = place.start();
        assert_promises_kept(&daemon, &[&courier]).await;
        daemon.kill();
    }
    let daemon = place.start();
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    let rows = Rows::of(&daemon.api).await;
    rows.assert_results_equal(&Rows::expected(&expected), "after four stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_commits_what_waits_for_company_at_qos_0() {
    let place = Place::new();
    let daemon = place.start();
    let connected = Client::connect(daemon.mqtt, "sensor", Stay::Clean).await;
    let (mut sensor, _) = connected.expect("it listens");
    let lines: Vec<Line> = home(4).into_iter().take(100).collect();
    for Line { topic, payload, .. } in &lines {
        let sent = sensor.publish(topic, payload.as_bytes(), Qos::Zero, false);
        sent.await.expect("it reads");
    }
    daemon.terminate();
    assert_eq!(daemon.ended().code(), Some(0));
    let daemon = place.start();
    assert_eq!(daemon.api.counters().await, referred(&lines));
}

/// Everything that a restart must bring back, as users see it.
async fn shown(daemon: &Daemon) -> Vec<(String, Value)> {
    let mut shown = Vec::new();
    for path in [
        "days",
        "diffs",
        "rests",
        "late",
        "letters",
        "readings?limit=10000",
        "sensors",
    ] {
        shown.push((
            path.to_owned(),
            daemon.api.get(&format!("/api/v1/{path}")).await,
        ));
    }
    shown.push(("counters".to_owned(), daemon.api.counters().await));
    shown
}

/// What a subscriber of everything gets that was retained, but for the daemon's own status.
async fn retained(daemon: &Daemon) -> Vec<(String, String)> {
    let connected = Client::connect(daemon.mqtt, "", Stay::Clean).await;
    let (mut client, _) = connected.expect("it listens");
    let granted = client.subscribe("kept/#", Qos::Zero).await;
    granted.expect("it listens");
    client
        .send(&world::mqtt::PINGREQ)
        .await
        .expect("it listens");
    let mut retained = Vec::new();
    loop {
        let packet = client.next().await.expect("it answers");
        if packet.first == 0xD0 {
            return retained;
        }
        let delivery = world::mqtt::Delivery::of(&packet);
        assert!(delivery.retained, "{delivery:?}");
        retained.push((delivery.topic, delivery.payload));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_revisions_and_retained_messages_are_there_after_a_kill_and_after_a_stop() {
    let place = Place::new();
    let daemon = place.start();
    let mut courier = Courier::new("once", Qos::One, WINDOW, home(3));
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    let connected = Client::connect(daemon.mqtt, "keeper", Stay::Clean).await;
    let (mut keeper, _) = connected.expect("it listens");
    for (topic, payload) in [
        ("kept/a", "1"),
        ("kept/b", "2"),
        ("kept/b", "3"),
        ("kept/c", "4"),
        ("kept/c", ""),
    ] {
        let kept = keeper
            .publish(topic, payload.as_bytes(), Qos::One, true)
            .await;
        kept.expect("it acknowledges");
    }
    let before = shown(&daemon).await;
    let kept = [("kept/a", "1"), ("kept/b", "3")]
        .map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
    assert_eq!(retained(&daemon).await, kept);

    daemon.kill();
    let daemon = place.start();
    assert_eq!(shown(&daemon).await, before, "after kill -9");
    assert_eq!(retained(&daemon).await, kept);

    daemon.terminate();
    assert!(daemon.ended().success());
    let daemon = place.start();
    assert_eq!(shown(&daemon).await, before, "after SIGTERM");
    assert_eq!(retained(&daemon).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_publishers_at_different_qos_survive_the_same_kills() {
    let lines = lines(&Scenario {
        homes: 2,
        days: DAYS / 2,
        seed: 5,
        ..Scenario::default()
    });
    let expected = compute(&seed_home(Tz::UTC), payloads(&lines));
    let (first, second): (Vec<Line>, Vec<Line>) = lines
        .into_iter()
        .partition(|line| line.topic.contains("h0001"));
    let mut dice = Dice::new(5);
    let mean = first.len() / kills();
    let place = Place::new();
    let mut once = Courier::new("at-least-once", Qos::One, WINDOW, first);
    let mut exactly = Courier::new("exactly-once", Qos::Two, WINDOW, second);
    for _ in 0..kills() {
        let daemon = place.start();
        let promises = 1 + dice.below(2 * mean);
        tokio::join!(
            once.deliver(daemon.mqtt, promises),
            exactly.deliver(daemon.mqtt, promises)
        );
        daemon.kill();
        once.hear_last_words().await;
        exactly.hear_last_words().await;
    }
    let daemon = place.start();
    assert_promises_kept(&daemon, &[&once, &exactly]).await;
    for courier in [&mut once, &mut exactly] {
        assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    }
    let rows = Rows::of(&daemon.api).await;
    rows.assert_results_equal(&Rows::expected(&expected), "two publishers");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_waits_for_an_absent_subscriber_through_every_kill() {
    let place = Place::new();
    let lines: Vec<Line> = home(9).into_iter().take(2000).collect();
    let daemon = place.start();
    let connected = Client::connect(daemon.mqtt, "absent", Stay::Persistent).await;
    let (mut subscriber, _) = connected.expect("it listens");
    let granted = subscriber.subscribe("sensors/#", Qos::One).await;
    granted.expect("it listens");
    drop(subscriber);
    daemon.kill();

    let mut dice = Dice::new(9);
    let mut courier = Courier::new("sender", Qos::Two, WINDOW, lines.clone());
    for _ in 0..kills() / 2 {
        let daemon = place.start();
        let promises = 1 + dice.below(2 * lines.len() / kills());
        courier.deliver(daemon.mqtt, promises).await;
        daemon.kill();
        courier.hear_last_words().await;
    }
    let daemon = place.start();
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    daemon.kill();

    let daemon = place.start();
    let connected = Client::connect(daemon.mqtt, "absent", Stay::Persistent).await;
    let (mut subscriber, present) = connected.expect("it listens");
    assert!(present, "the session outlives the daemon");
    for line in &lines {
        let delivery = subscriber.delivery().await.expect("it delivers");
        assert_eq!(delivery.payload, line.payload);
        let id = delivery.id.expect("it was granted QoS 1");
        let sent = subscriber.send(&acknowledge(PUBACK, id)).await;
        sent.expect("it listens");
    }
    subscriber.fence().await.expect("nothing comes twice");
}
