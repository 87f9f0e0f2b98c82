//! From a reading to the phone, with a real daemon: a leak is told of everywhere and once, at once, through kill -9
//! at every moment, and taken back where the readings were wrong.
//!
//! `SLUICE_LONG=1` kills more often, from more seeds, and measures more often.

mod hall;
mod tap;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hall::{Hall, Manner, Request};
use serde_json::Value;
use tap::{
    deliver, journal, leaks, nothing_waits, place, said, subscriber, text, visitors, waiting, water,
};
use world::arrival::Line;
use world::courier::{Courier, Pause};
use world::daemon::Daemon;
use world::dice::Dice;
use world::mqtt::{Client, Qos, Stay};

/// Found by the second day on which the main never rests.
const DRIP: &str = "main:6L/h@2020-01-01T12:00+10d";
const DRIP_DAYS: u32 = 4;
/// Found after three hours.
const BURST: &str = "main:500L/h@2020-01-02T01:00+4h";
const ALERT: &str = "persist-Wtot";

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_is_told_by_mqtt_at_a_webhook_by_http_and_on_the_command_line() {
    let mut hall = Hall::with(&[]).await;
    let place = place(hall.address);
    let daemon = place.start();
    let mut live = subscriber(daemon.mqtt, "live").await;
    deliver(&daemon, "meter", water(DRIP_DAYS, 1, DRIP)).await;

    let alerts = leaks(&daemon.api).await;
    let leak = alerts.get(ALERT).unwrap_or_else(|| panic!("{alerts:#?}"));
    assert_eq!(
        (&leak["state"], &leak["subject"], &leak["location"]),
        (&"firing".into(), &"Wtot".into(), &"main".into())
    );
    let flow = leak["flow"]["best"].as_f64().expect("a flow");
    assert!((5.0..7.5).contains(&flow), "{leak:#}");
    assert!(
        leak["cost"]["amount"]
            .as_f64()
            .is_some_and(|cost| cost > 0.0),
        "{leak:#}"
    );

    // By MQTT: to who listened, and retained for who comes later, as the API has it.
    let (_, notice) = live.next().await;
    let first: Value = serde_json::from_str(&notice.payload).expect("JSON");
    assert!(!notice.retained && notice.topic.ends_with(&text(&first, "id")));
    assert_eq!(first["state"], "firing");
    let mut late = subscriber(daemon.mqtt, "late").await;
    let mut retained = BTreeMap::new();
    while retained.len() < alerts.len() {
        let (_, notice) = late.next().await;
        assert!(notice.retained, "{notice:?}");
        let alert: Value = serde_json::from_str(&notice.payload).expect("JSON");
        assert_eq!(
            notice.topic,
            format!("sluice/home/alert/{}", text(&alert, "id"))
        );
        retained.insert(text(&alert, "id"), alert);
    }
    assert_eq!(retained, alerts);

    // At the webhook: the first of them at once.
    let request = hall.next().await;
    let told = said(&request);
    assert!(
        alerts.contains_key(&told[0].0) && told[0].1 == "firing",
        "{told:?}"
    );

    // On the command line.
    let output = place.sluice(&["alerts", "--api", &daemon.api.address().to_string()]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && shown.contains("Wtot"),
        "{shown}{why}"
    );
    assert!(shown.contains("firing"), "{shown}");

    let fired = journal(&daemon.api).await;
    let of_leak: Vec<_> = fired.iter().filter(|(id, _, _)| id == ALERT).collect();
    assert_eq!(of_leak, [&(ALERT.to_owned(), "fired".to_owned(), 1)]);
    daemon.terminate();
    assert!(daemon.ended().success());
}

/// How long after the acknowledgement of the reading that decided the first notice was at a subscriber and at a
/// webhook, of one home.
async fn lags(seed: u64) -> [Duration; 2] {
    let hall = Hall::with(&[]).await;
    let place = place(hall.address);
    let daemon = place.start();
    let mut lines = water(2, seed, BURST);
    let from = lines
        .iter()
        .position(|line| line.payload.contains("2020-01-02 01:00"));
    let rest = lines.split_off(from.expect("the second day"));
    deliver(&daemon, "past", lines).await;
    assert!(leaks(&daemon.api).await.is_empty(), "nothing leaks yet");
    let mut live = subscriber(daemon.mqtt, "live").await;
    let mut hook = visitors(hall);
    let connected = Client::connect(daemon.mqtt, "meter", Stay::Clean).await;
    let mut meter = connected.expect("it listens").0;
    for Line { topic, payload, .. } in rest {
        let sent = meter.publish(&topic, payload.as_bytes(), Qos::One, false);
        sent.await.expect("it is acknowledged");
        let acknowledged = tokio::time::Instant::now();
        if leaks(&daemon.api).await.is_empty() {
            continue;
        }
        let at_subscriber = live.next().await.0;
        let at_webhook = hook.next().await.0;
        daemon.kill();
        return [at_subscriber, at_webhook].map(|at| at.saturating_duration_since(acknowledged));
    }
    panic!("nobody noticed 500 L/h");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_there_at_once_after_the_reading_that_decided_is_acknowledged() {
    let homes = if world::long() { 20 } else { 3 };
    let mut all = [Vec::new(), Vec::new()];
    for seed in 1..=homes {
        for (lags, lag) in all.iter_mut().zip(lags(seed).await) {
            lags.push(lag);
        }
    }
    for (lags, (whom, most_ms)) in all.iter_mut().zip([("MQTT", 1000), ("webhook", 2000)]) {
        lags.sort_unstable();
        let median = lags[lags.len() / 2];
        let most = lags[lags.len() - 1];
        eprintln!("{whom}: median {median:?}, most {most:?}, of {homes} alerts");
        // What it takes on a machine that does much else; the figures are in README.md.
        assert!(median < Duration::from_millis(most_ms), "{whom}: {lags:?}");
    }
}

/// A burst that goes on; all before it, and what decides one by one.
async fn burst(daemon: &Daemon, seed: u64) {
    let mut lines = water(2, seed, BURST);
    let place_of = |time: &str| lines.iter().position(|line| line.payload.contains(time));
    let (from, until) = (place_of("2020-01-02 01:00"), place_of("2020-01-02 05:00"));
    lines.truncate(until.expect("the second day"));
    let rest = lines.split_off(from.expect("the second day"));
    deliver(daemon, "past", lines).await;
    let connected = Client::connect(daemon.mqtt, "meter", Stay::Clean).await;
    let mut meter = connected.expect("it listens").0;
    for Line { topic, payload, .. } in rest {
        let sent = meter.publish(&topic, payload.as_bytes(), Qos::One, false);
        sent.await.expect("it is acknowledged");
    }
}

/// Every request that came by now; one key never stands for two messages.
async fn came(hall: &mut Hall, first: Vec<Request>) -> BTreeMap<String, Request> {
    let mut all = first;
    while hall.unasked() > 0 {
        all.push(hall.next().await);
    }
    let mut by_key: BTreeMap<String, Request> = BTreeMap::new();
    for request in all {
        let key = request.key().to_owned();
        let known = by_key.entry(key).or_insert_with(|| request.clone());
        assert_eq!(known.body, request.body, "one key, one message");
    }
    by_key
}

/// No change of an alert is in two messages.
fn assert_said_once(by_key: &BTreeMap<String, Request>) -> BTreeSet<(String, String)> {
    let mut distinct = BTreeSet::new();
    for (key, request) in by_key {
        for one in said(request) {
            assert!(
                distinct.insert(one.clone()),
                "{one:?} comes again as {key}: {by_key:#?}"
            );
        }
    }
    distinct
}

/// What the journal says, as a receiver is told.
fn firing(journal: &[(String, String, u64)]) -> BTreeSet<(String, String)> {
    let fired = journal.iter().filter(|(_, what, _)| what == "fired");
    let fired: Vec<_> = fired
        .map(|(id, _, _)| (id.clone(), "firing".to_owned()))
        .collect();
    let distinct: BTreeSet<_> = fired.iter().cloned().collect();
    assert_eq!(distinct.len(), fired.len(), "each is in the journal once");
    distinct
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_raised_before_a_kill_is_delivered_after_it_once_and_under_one_key() {
    let manners = [
        Manner::Hangs,
        Manner::HangsUp,
        Manner::Says("503 Service Unavailable", "", ""),
    ];
    for manner in manners {
        let mut hall = Hall::with(&[manner]).await;
        let place = place(hall.address);
        let daemon = place.start();
        burst(&daemon, 1).await;
        let refused = hall.next().await;
        let before = journal(&daemon.api).await;
        daemon.kill();
        let daemon = place.start();
        nothing_waits(&daemon.api).await;
        assert_eq!(journal(&daemon.api).await, before);
        daemon.kill();
        let by_key = came(&mut hall, vec![refused]).await;
        assert_eq!(assert_said_once(&by_key), firing(&before), "{manner:?}");
        // There is nothing more to say.
        let daemon = place.start();
        nothing_waits(&daemon.api).await;
        assert_eq!(journal(&daemon.api).await, before);
        daemon.kill();
        assert_eq!(hall.unasked(), 0, "{manner:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answered_just_before_a_kill_hears_at_most_the_same_again_under_the_same_key() {
    for seed in 1..=if world::long() { 20 } else { 3 } {
        eprintln!("seed {seed}");
        let mut hall = Hall::with(&[]).await;
        let place = place(hall.address);
        let daemon = place.start();
        burst(&daemon, seed).await;
        let mut first = vec![hall.next().await];
        let before = journal(&daemon.api).await;
        // It has been answered; it may be noted as sent or not. So may what comes after it, as one message.
        daemon.kill();
        let daemon = place.start();
        while hall.unasked() == 0 && waiting(&daemon.api).await > 0 {}
        daemon.kill();
        let daemon = place.start();
        nothing_waits(&daemon.api).await;
        daemon.kill();
        if hall.unasked() > 0 {
            first.push(hall.next().await);
        }
        let by_key = came(&mut hall, first).await;
        assert_eq!(assert_said_once(&by_key), firing(&before), "seed {seed}");
    }
}

/// What is known in the end, but for the times of the gateway's clock. How much is said of what is over is as of the
/// commit that saw the end, and which readings share a commit is chance.
async fn in_the_end(daemon: &Daemon) -> Vec<Value> {
    let mut alerts: Vec<Value> = leaks(&daemon.api).await.into_values().collect();
    for alert in &mut alerts {
        for by_the_clock in ["since", "fired", "ended"] {
            let time = alert[by_the_clock].take();
            alert[by_the_clock] = time.is_string().into();
        }
        if alert["state"] == "cleared" {
            for as_of_the_end in ["text", "flow", "amount", "cost", "start"] {
                alert[as_of_the_end].take();
            }
        }
    }
    alerts
}

fn sorted(mut journal: Vec<(String, String, u64)>) -> Vec<(String, String, u64)> {
    // Of one alert it stays in order.
    journal.sort_by(|a, b| a.0.cmp(&b.0));
    journal
}

/// A burst that is mended, and a drip that goes on.
fn eventful(seed: u64) -> Vec<Line> {
    let leaks = [
        "main:450L/h@2020-01-02T01:00+9h",
        "main:6L/h@2020-01-03T12:00+10d",
    ];
    tap::water_of(7, seed, &leaks)
}

async fn kill_while_it_leaks(seed: u64, lives: usize) {
    eprintln!("seed {seed}");
    let hall = Hall::with(&[]).await;
    let lines = eventful(seed);
    let calm = place(hall.address);
    let daemon = calm.start();
    deliver(&daemon, "meter", lines.clone()).await;
    let expected = (
        in_the_end(&daemon).await,
        sorted(journal(&daemon.api).await),
    );
    for state in ["firing", "cleared"] {
        let is_so = |alert: &Value| alert["state"] == state;
        assert!(expected.0.iter().any(is_so), "{state}: {expected:#?}");
    }
    daemon.kill();

    let mut dice = Dice::new(seed);
    let mut hook = Hall::with(&[]).await;
    let place = place(hook.address);
    let mean = lines.len() / lives;
    let mut courier = Courier::new("meter", Qos::One, tap::WINDOW, lines);
    for _ in 0..lives {
        let daemon = place.start();
        courier.deliver(daemon.mqtt, 1 + dice.below(2 * mean)).await;
        daemon.kill();
        courier.hear_last_words().await;
    }
    let daemon = place.start();
    assert_eq!(courier.deliver(daemon.mqtt, usize::MAX).await, Pause::Done);
    let found = (
        in_the_end(&daemon).await,
        sorted(journal(&daemon.api).await),
    );
    assert_eq!(found, expected, "seed {seed}: as undisturbed");
    daemon.kill();
    let daemon = place.start();
    nothing_waits(&daemon.api).await;
    let found = (
        in_the_end(&daemon).await,
        sorted(journal(&daemon.api).await),
    );
    assert_eq!(found, expected, "seed {seed}: and after another kill");
    daemon.kill();
    let _said = came(&mut hook, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_it_leaks_leave_the_alerts_and_the_journal_of_a_run_that_nobody_disturbed() {
    let (seeds, lives) = if world::long() { (8, 25) } else { (2, 8) };
    for seed in 1..=seeds {
        kill_while_it_leaks(seed, lives).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_takes_the_evidence_away_takes_the_alert_back_wherever_it_was_told() {
    let mut hall = Hall::with(&[]).await;
    let place = place(hall.address);
    let mut daemon = place.start();
    let leaking = water(2, 1, BURST);
    let until = leaking
        .iter()
        .position(|line| line.payload.contains("2020-01-02 05:00"));
    let leaking = leaking[..until.expect("the second day")].to_vec();
    let sound = water(2, 1, "main:0.001L/h@2020-01-02T23:00+1h");
    deliver(&daemon, "meter", leaking.clone()).await;
    let alerts = leaks(&daemon.api).await;
    assert_eq!(alerts[ALERT]["state"], "firing", "{alerts:#?}");
    let mut told: BTreeSet<String> = BTreeSet::new();
    daemon.says("alert sent");
    // What is gathered for half a minute goes at once after a start.
    daemon.kill();
    let daemon = place.start();
    nothing_waits(&daemon.api).await;
    daemon.kill();
    while hall.unasked() > 0 {
        told.extend(said(&hall.next().await).into_iter().map(|(id, _)| id));
    }
    assert!(told.contains(ALERT), "{told:?}");

    let daemon = place.start();
    let mut live = subscriber(daemon.mqtt, "live").await;
    let corrected: Vec<Line> = sound
        .into_iter()
        .zip(leaking)
        .filter(|(right, wrong)| right != wrong)
        .map(|(right, _)| right)
        .collect();
    deliver(&daemon, "corrections", corrected).await;
    let alerts = leaks(&daemon.api).await;
    assert_eq!(alerts[ALERT]["state"], "withdrawn", "{alerts:#?}");
    let (mut taken_back, mut notices) = (BTreeSet::new(), BTreeMap::new());
    daemon.kill();
    let daemon = place.start();
    nothing_waits(&daemon.api).await;
    while hall.unasked() > 0 {
        for (id, status) in said(&hall.next().await) {
            assert_eq!(status, "resolved", "{id}");
            taken_back.insert(id);
        }
    }
    assert_eq!(taken_back, told, "who was told is told that it is over");
    for notice in live.came() {
        let alert: Value = serde_json::from_str(&notice.payload).expect("JSON");
        notices.insert(text(&alert, "id"), text(&alert, "state"));
    }
    assert_eq!(notices[ALERT], "withdrawn");
    daemon.kill();
}
