//! A crowd of sensors that talk all the time, a tenth of them on bad networks: no acknowledged reading is
//! missing, none counts twice, and the daemon stays small. The short form is a few seconds of a hundred
//! clients; with `SLUICE_LONG=1` a thousand come for ten minutes.

use std::time::Duration;

use simulator::Broker;
use simulator::crowd::{self, Options, Report};
use world::PATIENCE;
use world::daemon::{Daemon, Place};

/// What a daemon with a thousand clients may hold, in bytes.
const SMALL: u64 = 100 << 20;
/// How much it may grow after its first minute, of a hundred, beside what it is to hold:
const GROWTH_PERCENT: u64 = 10;
/// pages of the store, in bytes,
const PAGES: u64 = 8 << 20;
/// and the readings of days that are open, in bytes each.
const READING: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_flapping_clients_loses_nothing_and_fits_into_memory() {
    let long = world::long();
    let (clients, seconds) = if long { (1000, 600) } else { (100, 8) };
    let place = Place::new();
    let daemon = place.start();

    let memory = daemon.memory();
    let watch = tokio::spawn(async move {
        let mut settled = None;
        if long {
            tokio::time::sleep(Duration::from_secs(60)).await;
            settled = Some(memory.resident_bytes());
        }
        settled
    });
    let report = come(&daemon, clients, seconds).await;
    assert_eq!(report.published, u64::from(clients) * u64::from(seconds));
    assert_eq!(report.acknowledged, report.published);
    assert!(report.reconnects > 0, "somebody has flapped: {report:?}");

    let now = memory.resident_bytes();
    assert!(now < SMALL, "{now} bytes for {clients} clients");
    if let Some(settled) = watch.await.expect("the watch does not panic") {
        let held = PAGES + READING * report.acknowledged;
        let allowed = settled + settled * GROWTH_PERCENT / 100 + held;
        assert!(now <= allowed, "from {settled} to {now} bytes");
    }

    let days = daemon.api.list("days").await;
    let held: u64 = days.iter().filter_map(|row| row["count"].as_u64()).sum();
    assert_eq!(held, report.acknowledged, "each reading once");
    let counters = daemon.api.counters().await;
    assert_eq!(counters["accepted"], report.acknowledged);
    assert_eq!(counters["corrected"], 0);
    assert_eq!(counters["dead_letter"], 0);
}

async fn come(daemon: &Daemon, clients: u32, seconds: u32) -> Report {
    let options = Options {
        broker: Broker {
            host: daemon.mqtt.ip().to_string(),
            port: daemon.mqtt.port(),
        },
        clients,
        seconds,
        flapping_percent: 10,
        seed: 1,
        login: None,
        patience: PATIENCE,
    };
    crowd::run(&options).await.expect("the broker is there")
}
