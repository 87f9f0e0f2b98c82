//! A damaged store: the daemon sets it aside whole, says so until somebody has dealt with it, and goes
//! on with an empty one. Other commands leave it where it is.

use std::fs;
use std::path::{Path, PathBuf};

use gateway::store::FILE;
use redb::{Database, Key, ReadableTable, TableDefinition};
use serde_json::Value;
use world::daemon::{Daemon, Place};
use world::mqtt::{Client, Qos, Stay};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const BLOCKS: TableDefinition<'_, (u32, i32, u64), &[u8]> = TableDefinition::new("blocks");

const SENSORS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("sensors");
const DAYS: TableDefinition<'_, (u32, i32), &[u8]> = TableDefinition::new("days");
const RETAINED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("retained");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Not a store.
fn noise() -> Vec<u8> {
    vec![7; 100_000]
}

fn store_of_noise(place: &Place) {
    fs::create_dir(place.data()).expect("the directory is ours");
    fs::write(place.data().join(FILE), noise()).expect("the directory is ours");
}

/// The files that were set aside.
fn set_aside(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.data()).expect("the daemon made it");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let is_damaged = |path: &PathBuf| path.display().to_string().contains(".redb.damaged-");
    paths.filter(is_damaged).collect()
}

/// The alert that tells of `file`.
async fn alert_of(daemon: &Daemon, file: &Path) -> Value {
    let name = file.display().to_string();
    let status = daemon.api.get("/api/v1/status").await;
    let alerts = daemon.api.list("alerts").await;
    let told = alerts.iter().find(|alert| {
        let text = alert["text"].as_str().unwrap_or_default();
        text.contains(&name)
    });
    let alert = told.unwrap_or_else(|| panic!("no alert tells of {name}: {alerts:?}"));
    assert_eq!(alert["severity"], "critical");
    assert_eq!(status["incidents"][0], *alert);
    alert.clone()
}

async fn client(daemon: &Daemon) -> Client {
    let connected = Client::connect(daemon.mqtt, "client", Stay::Clean).await;
    connected.expect("it listens").0
}

fn reading(time: &str, value: &str) -> Vec<u8> {
    format!(r#"{{"name":"TH1","timestamp":"{time}","value":{value}}}"#).into_bytes()
}

async fn publish(daemon: &Daemon, time: &str, value: &str) {
    let payload = reading(time, value);
    let mut client = client(daemon).await;
    let sent = client.publish("sensors/TH1", &payload, Qos::One, false);
    sent.await.expect("it is taken");
}

/// Flips a bit of the first value of a table, and makes the pages fit it.
fn damage<K>(place: &Place, table: TableDefinition<'_, K, &'static [u8]>)
where
    K: Key + for<'a> redb::Value<SelfType<'a> = K> + Copy + 'static,
{
    let database = Database::open(place.data().join(FILE)).expect("a store is a redb file");
    let txn = database.begin_write().expect("nobody else has it open");
    let mut table = txn.open_table(table).expect("every store has it");
    let first = table.first().expect("it can be read");
    let (key, value) = first.map_or_else(
        || panic!("it holds something"),
        |(key, value)| (key.value(), value.value().to_vec()),
    );
    let mut value = value;
    value[2] ^= 1;
    table.insert(key, value.as_slice()).expect("it fits");
    drop(table);
    txn.commit().expect("there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_set_aside_whole_and_the_gateway_goes_on_and_says_so() {
    let place = Place::new();
    store_of_noise(&place);
    let daemon = place.start();
    let aside = set_aside(&place);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(fs::read(&aside[0]).expect("it is there") == noise());
    let alert = alert_of(&daemon, &aside[0]).await;
    let advice = alert["advice"].as_str().expect("it says what to do");
    assert!(advice.contains("no backup was found"), "{advice}");
    let (_, metrics) = daemon.api.answer("/metrics").await;
    assert!(metrics.contains("\nsluice_store_damaged_files 1\n"));
    let topic = format!("sluice/home/alert/{}", alert["id"].as_str().expect("text"));
    let mut client = client(&daemon).await;
    let granted = client.subscribe(&topic, Qos::Zero).await;
    granted.expect("it listens");
    let said = client.delivery().await.expect("it is retained");
    let said: Value = serde_json::from_str(&said.payload).expect("JSON");
    assert_eq!(said, alert);
    publish(&daemon, "2020-01-01 12:00:00", "21.5").await;
    daemon.kill();

    let daemon = place.start();
    assert_eq!(alert_of(&daemon, &aside[0]).await, alert, "it lasts");
    assert_eq!(daemon.api.counters().await["accepted"], 1);
    daemon.kill();
    fs::remove_file(&aside[0]).expect("it is ours");
    let daemon = place.start();
    let status = daemon.api.get("/api/v1/status").await;
    assert_eq!(status["incidents"], serde_json::json!([]), "dealt with");
    daemon.kill();
}

#[test]
fn commands_that_read_leave_a_damaged_store_where_it_is() {
    let place = Place::new();
    store_of_noise(&place);
    for command in ["status", "sensors", "days", "letters"] {
        let output = place.sluice(&[command]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(said.contains("it is damaged"), "{command}: {said}");
        assert!(fs::read(place.data().join(FILE)).expect("it is there") == noise());
        assert_eq!(set_aside(&place).len(), 0, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_backup_is_named_with_what_brings_it_back() {
    let place = Place::new();
    let daemon = place.start();
    publish(&daemon, "2020-01-01 12:00:00", "21.5").await;
    daemon.terminate();
    assert!(daemon.ended().success());
    let store = place.data().join(FILE);
    let backups = place.data().join("backups");
    fs::create_dir(&backups).expect("the directory is ours");
    let backup = backups.join("sluice-20200102.redb");
    fs::copy(&store, &backup).expect("there is room");
    fs::write(&store, noise()).expect("the store is ours");

    let daemon = place.start();
    let aside = set_aside(&place);
    let alert = alert_of(&daemon, &aside[0]).await;
    let advice = alert["advice"].as_str().expect("it says what to do");
    let restore = format!("`cp {} {}`", backup.display(), store.display());
    assert!(advice.contains(&restore), "no {restore} in {advice}");
    assert_eq!(daemon.api.counters().await["accepted"], 0);
    daemon.terminate();
    assert!(daemon.ended().success());
    // As it says.
    fs::copy(&backup, &store).expect("there is room");
    let daemon = place.start();
    assert_eq!(daemon.api.counters().await["accepted"], 1);
    daemon.kill();
}

/// The same where the key is a name.
fn damage_named(place: &Place, table: TableDefinition<'_, &'static str, &'static [u8]>) {
    let database = Database::open(place.data().join(FILE)).expect("a store is a redb file");
    let txn = database.begin_write().expect("nobody else has it open");
    let mut table = txn.open_table(table).expect("every store has it");
    let first = table.first().expect("it can be read");
    let (name, mut value) = first.map_or_else(
        || panic!("it holds something"),
        |(name, value)| (name.value().to_owned(), value.value().to_vec()),
    );
    value[2] ^= 1;
    table
        .insert(name.as_str(), value.as_slice())
        .expect("it fits");
    drop(table);
    txn.commit().expect("there is room");
}

/// What happens to a store while nobody has it open.
type Damage = fn(&Place);

/// Whatever the gateway reads when it starts.
#[tokio::test(flavor = "multi_thread")]
async fn damage_never_keeps_the_gateway_from_starting() {
    let damages: [(&str, Damage); 4] = [
        ("sensors", |place| damage(place, SENSORS)),
        ("days", |place| damage(place, DAYS)),
        ("retained", |place| damage_named(place, RETAINED)),
        ("meta", |place| damage_named(place, META)),
    ];
    for (table, damage) in damages {
        let place = Place::new();
        let daemon = place.start();
        publish(&daemon, "2020-01-01 12:00:00", "21.5").await;
        let mut client = client(&daemon).await;
        let kept = client.publish("kept", b"for good", Qos::One, true);
        kept.await.expect("it is taken");
        drop(client);
        daemon.terminate();
        assert!(daemon.ended().success());
        damage(&place);
        let daemon = place.start();
        let aside = set_aside(&place);
        assert_eq!(aside.len(), 1, "{table}");
        let alert = alert_of(&daemon, &aside[0]).await;
        let text = alert["text"].as_str().expect("text");
        assert!(text.contains(&format!("\"{table}\"")), "{text}");
        daemon.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_of_the_log_is_found_at_the_start() {
    let place = Place::new();
    let daemon = place.start();
    publish(&daemon, "2020-01-01 12:00:00", "21.5").await;
    daemon.kill();
    damage(&place, LOG);
    let before = fs::read(place.data().join(FILE)).expect("it is there");

    let daemon = place.start();
    let aside = set_aside(&place);
    assert!(fs::read(&aside[0]).expect("it is there") == before);
    let alert = alert_of(&daemon, &aside[0]).await;
    let text = alert["text"].as_str().expect("text");
    assert!(text.contains("\"log\""), "it says what is damaged: {text}");
    daemon.kill();
}

/// Not everything is read at the start. Who asks for what is damaged is told; when the writer needs it,
/// and needs it again, the gateway begins anew by itself.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_later_ends_in_a_new_store_and_not_in_a_loop() {
    let place = Place::new();
    let daemon = place.start();
    for day in 1..7 {
        publish(&daemon, &format!("2020-01-{day:02} 12:00:00"), "21.5").await;
    }
    daemon.terminate();
    assert!(daemon.ended().success());
    damage(&place, BLOCKS);

    let daemon = place.start();
    assert_eq!(set_aside(&place).len(), 0, "nothing of it was needed yet");
    let (code, text) = daemon.api.answer("/api/v1/readings?sensor=TH1").await;
    assert_eq!(code, 500, "{text}");
    assert!(text.contains("\\\"blocks\\\" is damaged"), "{text}");
    publish(&daemon, "2020-01-07 12:00:00", "21.5").await;
    // A correction of the day that is damaged, from somebody who does not give up.
    let correction = reading("2020-01-01 12:00:00", "22.5");
    let mut refusals = 0;
    while let Ok((mut client, _)) = Client::connect(daemon.mqtt, "stubborn", Stay::Clean).await {
        let sent = client.publish("sensors/TH1", &correction, Qos::One, false);
        assert!(sent.await.is_err(), "it cannot be taken");
        refusals += 1;
        if refusals == 2 {
            break;
        }
    }
    let daemon = daemon.begun_anew();
    let aside = set_aside(&place);
    let alert = alert_of(&daemon, &aside[0]).await;
    let text = alert["text"].as_str().expect("text");
    assert!(
        text.contains("\"blocks\""),
        "it says what is damaged: {text}"
    );
    publish(&daemon, "2020-01-01 12:00:00", "22.5").await;
    assert_eq!(daemon.api.counters().await["accepted"], 1);
    daemon.terminate();
    assert!(daemon.ended().success());
}
