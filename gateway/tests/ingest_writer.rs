//! The writer under a backlog that never ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use gateway::broker::{Broker, BrokerConfig, Qos, Restored};
use gateway::clock::Clock;
use gateway::config::{ClockMode, Config};
use gateway::ingest::{COMMANDS, INTAKE_SUBMISSIONS, Intake, PayloadMapper, Site, Writer};
use gateway::store::{Options, Store};
use tokio::sync::mpsc;

/// As many readings as make a group full.
const GROUP: i64 = 8192;
/// More of them than the log may hold unsealed.
const GROUPS: i64 = 26;

#[tokio::test]
async fn a_backlog_without_a_pause_is_sealed_on_the_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = Config::home();
    config.time.clock = ClockMode::Event;
    let config = Arc::new(config);
    let clock = Clock::machine();
    let mut store = Store::open(directory.path(), &Options::default()).expect("a new store");
    let site = Site::open(&mut store, Arc::clone(&config), &clock).expect("a new site");

    let (sender, submissions) = mpsc::channel(INTAKE_SUBMISSIONS);
    let (_operator, commands) = mpsc::channel(COMMANDS);
    let mapper = PayloadMapper(Arc::new(config.sources.clone()));
    let broker = Broker::start(
        BrokerConfig::open("home"),
        mapper,
        sender.clone(),
        Restored::default(),
    );
    for group in 0..GROUPS {
        let first = 1_577_836_800_000 + group * GROUP * 1000;
        let times = (0..GROUP).map(|n| first + n * 1000);
        let payloads: Vec<String> = times
            .map(|ms| format!(r#"{{"name":"TH1","timestamp":{ms},"value":21.5}}"#))
            .collect();
        let messages = payloads
            .iter()
            .map(|p| ("sensors/a", p.as_bytes(), Qos::AtLeastOnce, false));
        let submission = broker.compose(messages);
        assert!(
            sender.try_send(submission).is_ok(),
            "the queue has room for the backlog"
        );
    }
    drop(sender);
    let writer = Writer::new(store, site, broker.fanout(), config, clock, ());
    let stats = writer.stats();
    broker.shutdown(std::time::Duration::ZERO).await;
    drop(broker);
    let intake = Intake {
        submissions,
        commands,
    };
    let ended = tokio::task::spawn_blocking(move || writer.run(intake)).await;
    let store = ended.expect("no panic").expect("a sound disk");
    let received = store.view().totals().expect("totals").counters.received;
    assert_eq!(received, u64::try_from(GROUP * GROUPS).expect("positive"));
    assert!(
        stats.seals.load(Relaxed) > 1,
        "only the end of the backlog was sealed"
    );
}
