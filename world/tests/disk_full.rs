//! A full disk, for real: readings are refused unacknowledged, readers go on, and once there is room
//! everything goes on by itself. Nothing that was acknowledged is lost, nothing counts twice.

use std::fs;
use std::path::Path;

use chrono_tz::Tz;
use serde_json::Value;
use simulator::{Late, Scenario};
use world::arrival::{Line, lines, payloads};
use world::courier::{Courier, Pause};
use world::daemon::{Daemon, Place};
use world::disk::Disk;
use world::mqtt::{Client, Qos, Stay};
use world::reference::{compute, seed_home};
use world::rows::Rows;

/// Room for the store, the ballast (8 MiB), and as much again.
const DISK_MIB: u32 = 32;
const DAYS: u32 = 12;
const WINDOW: usize = 100;
/// How often a client comes back to a full disk: enough to see that nothing is tried for it.
const ATTEMPTS: usize = 8;
/// A daemon that refuses so often will not stop refusing.
const MOST_REFUSALS: usize = 200;
const BALLAST: &str = "sluice.ballast";
const BALLAST_BYTES: u64 = 8 << 20;

fn home() -> Vec<Line> {
    lines(&Scenario {
        days: DAYS,
        seed: 3,
        late: Late::Paper,
        ..Scenario::default()
    })
}

fn ballast(disk: &Disk) -> Option<u64> {
    let file = fs::metadata(disk.path().join(BALLAST));
    file.ok().map(|file| file.len())
}

/// Delivers until the daemon hangs up.
async fn deliver_until_refused(courier: &mut Courier, daemon: &Daemon) {
    let pause = courier.deliver(daemon.mqtt, usize::MAX).await;
    assert_eq!(pause, Pause::Lost, "a full disk takes nothing");
}

/// Delivers until the disk takes no more, and the daemon has seen that and done what it can.
async fn deliver_until_full(courier: &mut Courier, daemon: &Daemon) {
    deliver_until_refused(courier, daemon).await;
    // Nothing is refused without a commit before all is done about the one that failed.
    deliver_until_refused(courier, daemon).await;
}

/// Delivers everything, coming back as often as it takes: each refusal takes its time.
async fn deliver_all(courier: &mut Courier, daemon: &Daemon) {
    for _ in 0..MOST_REFUSALS {
        if courier.deliver(daemon.mqtt, usize::MAX).await == Pause::Done {
            return;
        }
    }
    panic!("it is refused for ever: {}", store_status(daemon).await);
}

/// Sends what is no reading, a kilobyte each, until the disk takes no more.
async fn letters_until_refused(daemon: &Daemon) {
    let connected = Client::connect(daemon.mqtt, "noise", Stay::Clean).await;
    let mut client = connected.expect("it listens").0;
    let noise = [b'x'; 1000];
    let mut sent = 0;
    while client
        .publish("sensors/TH1", &noise, Qos::One, false)
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 10_000, "a full disk takes no more");
    }
}

async fn store_status(daemon: &Daemon) -> Value {
    daemon.api.get("/api/v1/status").await["store"].take()
}

/// The rows are those that the reference makes of all lines.
async fn assert_rows_of(daemon: &Daemon, lines: &[Line]) {
    let expected = compute(&seed_home(Tz::UTC), payloads(lines));
    let rows = Rows::of(&daemon.api).await;
    rows.assert_results_equal(&Rows::expected(&expected), "after the disk was full");
    assert_eq!(
        rows.late_readings(),
        Rows::expected(&expected).late_readings()
    );
    let counters = daemon.api.counters().await;
    assert_eq!(counters["accepted"], expected.counters.accepted);
    assert_eq!(counters["corrected"], expected.counters.corrected);
}

/// Every reading that was promised is there.
async fn assert_promises_kept(daemon: &Daemon, courier: &Courier) {
    let promised = compute(&seed_home(Tz::UTC), payloads(courier.promised())).counters;
    let counters = daemon.api.counters().await;
    let accepted = counters["accepted"].as_u64().expect("a number");
    assert!(
        accepted >= promised.accepted,
        "{} of {} promised are there",
        accepted,
        promised.accepted
    );
}

async fn assert_says_full(daemon: &Daemon) {
    let store = store_status(daemon).await;
    assert_eq!(store["state"], "full", "{store}");
    let why = store["refusal"].as_str().expect("it says why");
    for word in ["full", "refused", "delete", "MiB", "without a restart"] {
        assert!(why.contains(word), "no {word:?} in {why}");
    }
    let (code, text) = daemon.api.answer("/readyz").await;
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("the disk of the store is full"), "{text}");
    let (code, text) = daemon.api.answer("/healthz").await;
    assert_eq!(code, 200, "a restart would not help: {text}");
    assert!(text.contains("the disk of the store is full"), "{text}");
    let (_, metrics) = daemon.api.answer("/metrics").await;
    assert!(metrics.contains("\nsluice_store_refusing 1\n"), "{metrics}");
    let alerts = daemon.api.get("/api/v1/alerts?state=open").await["alerts"].take();
    let alerts = alerts.as_array().expect("a list");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["id"], "store-full");
    assert_eq!(alerts[0]["severity"], "critical");
}

/// What is retained on the topic of the alert for a full disk, with what comes after.
async fn alert_seen(daemon: &Daemon) -> Client {
    let connected = Client::connect(daemon.mqtt, "watcher", Stay::Clean).await;
    let mut watcher = connected.expect("watching writes nothing").0;
    let topic = "sluice/home/alert/store-full";
    let granted = watcher.subscribe(topic, Qos::Zero).await;
    granted.expect("it listens");
    let alert = watcher.delivery().await.expect("it is retained");
    assert!(alert.retained, "{alert:?}");
    let alert: Value = serde_json::from_str(&alert.payload).expect("JSON");
    assert_eq!(alert["state"], "firing");
    watcher
}

fn place_on(disk: &Disk) -> Place {
    let place = Place::new();
    place.keep_in(disk.path());
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_readings_unacknowledged_until_there_is_room() {
    let disk = Disk::of_mib(DISK_MIB);
    let place = place_on(&disk);
    let daemon = place.start();
    assert_eq!(ballast(&disk), Some(BALLAST_BYTES));
    let lines = home();
    let mut courier = Courier::new("courier", Qos::One, WINDOW, lines.clone());
    let pause = courier.deliver(daemon.mqtt, lines.len() / 4).await;
    assert_eq!(pause, Pause::Promised);

    disk.fill();
    deliver_until_full(&mut courier, &daemon).await;
    disk.fill();
    assert_eq!(ballast(&disk), None, "it went overboard");
    assert_says_full(&daemon).await;
    let mut watcher = alert_seen(&daemon).await;
    assert_promises_kept(&daemon, &courier).await;
    assert!(!daemon.api.list("days").await.is_empty(), "readers go on");

    let before = store_status(&daemon).await;
    for _ in 0..ATTEMPTS {
        deliver_until_refused(&mut courier, &daemon).await;
    }
    let after = store_status(&daemon).await;
    for tried in ["commits", "failures"] {
        assert_eq!(before[tried], after[tried], "nothing is tried in vain");
    }

    disk.clear();
    deliver_all(&mut courier, &daemon).await;
    assert_rows_of(&daemon, &lines).await;
    assert_eq!(ballast(&disk), Some(BALLAST_BYTES), "it is aboard again");
    assert_ne!(store_status(&daemon).await["state"], "full");
    let cleared = watcher.delivery().await.expect("the alert is over");
    let cleared: Value = serde_json::from_str(&cleared.payload).expect("JSON");
    assert_eq!(cleared["state"], "cleared");
    let journal = daemon.api.list("journal").await;
    let of_full = journal
        .iter()
        .filter(|line| line["alert"]["id"] == "store-full");
    let said: Vec<&Value> = of_full.map(|line| &line["what"]).collect();
    assert_eq!(said, ["fired", "cleared"], "it is in the journal after all");
    assert_eq!(daemon.api.answer("/readyz").await.0, 200);
    daemon.terminate();
    assert!(daemon.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_starts_on_a_full_disk_and_goes_on_when_there_is_room() {
    let disk = Disk::of_mib(DISK_MIB);
    let place = place_on(&disk);
    let daemon = place.start();
    let lines = home();
    let mut courier = Courier::new("courier", Qos::One, WINDOW, lines.clone());
    let pause = courier.deliver(daemon.mqtt, lines.len() / 4).await;
    assert_eq!(pause, Pause::Promised);
    disk.fill();
    deliver_until_full(&mut courier, &daemon).await;
    daemon.kill();
    // Not a page is left, not even that of the ballast.
    fs::remove_file(disk.path().join(BALLAST)).unwrap_or_default();
    disk.fill();

    let daemon = place.start();
    assert_promises_kept(&daemon, &courier).await;
    deliver_until_full(&mut courier, &daemon).await;
    assert_says_full(&daemon).await;
    disk.clear();
    deliver_all(&mut courier, &daemon).await;
    assert_rows_of(&daemon, &lines).await;
    assert_eq!(ballast(&disk), Some(BALLAST_BYTES));
    daemon.terminate();
    assert!(daemon.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_while_the_disk_is_full_has_lost_nothing() {
    let disk = Disk::of_mib(DISK_MIB);
    let place = place_on(&disk);
    let daemon = place.start();
    let lines = home();
    let mut courier = Courier::new("courier", Qos::Two, WINDOW, lines.clone());
    let pause = courier.deliver(daemon.mqtt, lines.len() / 4).await;
    assert_eq!(pause, Pause::Promised);
    disk.fill();
    deliver_until_refused(&mut courier, &daemon).await;
    daemon.terminate();
    assert!(daemon.ended().success(), "a full disk is no reason to fail");

    disk.clear();
    let daemon = place.start();
    assert_promises_kept(&daemon, &courier).await;
    deliver_all(&mut courier, &daemon).await;
    assert_rows_of(&daemon, &lines).await;
    daemon.kill();
}

/// Old readings go when there is no room for new ones: their pages take what comes.
#[tokio::test(flavor = "multi_thread")]
async fn retention_makes_room_on_a_full_disk() {
    let disk = Disk::of_mib(DISK_MIB);
    let place = place_on(&disk);
    let config = fs::read_to_string(place.config()).expect("there is one");
    let (long, short) = ("retain_readings = \"400d\"", "retain_readings = \"9d\"");
    assert!(config.contains(long), "the configuration says {long}");
    place.configure(&config.replacen(long, short, 1));
    let daemon = place.start();
    let lines = home();
    let most = lines.len() - 4 * WINDOW;
    let mut courier = Courier::new("courier", Qos::One, WINDOW, lines.clone());
    let pause = courier.deliver(daemon.mqtt, most).await;
    assert_eq!(pause, Pause::Promised);
    disk.fill();
    letters_until_refused(&daemon).await;
    deliver_all(&mut courier, &daemon).await;
    let store = store_status(&daemon).await;
    assert_ne!(store["state"], "full", "{store}");
    let failures = store["failures"].as_u64().expect("a number");
    assert!(failures > 0, "the disk was full: {store}");
    let counters = daemon.api.counters().await;
    let expected = compute(&seed_home(Tz::UTC), payloads(&lines)).counters;
    assert_eq!(counters["accepted"], expected.accepted);
    daemon.kill();
}

/// The free room that the API tells is that of the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_is_told_of() {
    let disk = Disk::of_mib(DISK_MIB);
    let place = place_on(&disk);
    let daemon = place.start();
    let store = store_status(&daemon).await;
    assert_eq!(store["state"], "scarce", "{store}");
    assert_eq!(store["refusal"], Value::Null);
    let free = store["free_bytes"].as_u64().expect("a disk tells");
    assert!(free < u64::from(DISK_MIB) << 20, "{store}");
    let alerts = daemon.api.list("alerts").await;
    assert_eq!(alerts[0]["id"], "store-nearly-full", "{alerts:?}");
    assert!(Path::new(disk.path()).join(BALLAST).exists());
    daemon.kill();
}
