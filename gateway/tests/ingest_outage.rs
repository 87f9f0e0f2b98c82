//! The writer on a disk that fails: it refuses, and says so; it does not try for everyone who comes; it
//! goes on when its time has come and the disk is well. Time is moved by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gateway::broker::{Broker, BrokerConfig, Qos, Restored, Submission};
use gateway::clock::Clock;
use gateway::config::{ClockMode, Config};
use gateway::ingest::{
    Announced, COMMANDS, Command, INTAKE_SUBMISSIONS, Intake, Observer, Order, PayloadMapper,
    Refusal, Site, Standing, Writer,
};
use gateway::source::Verdict;
use gateway::store::{Incident, Level, Store};
use store_world::{Disk, START_MS, options};
use tokio::sync::mpsc;

/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the writer lets others know.
#[derive(Debug, PartialEq)]
enum Said {
    /// Readings that were accepted so far.
    Committed(u64),
    Stands(Standing),
}

struct Listener(Sender<Said>);

impl Observer for Listener {
    fn committed(&mut self, announced: &Announced<'_>) {
        let accepted = announced.group.counters.accepted;
        self.0.send(Said::Committed(accepted)).unwrap();
    }

    fn standing(&mut self, standing: &Standing) {
        self.0.send(Said::Stands(standing.clone())).unwrap();
    }

    fn incidents(&mut self, _: &[Incident]) {}
}

fn heard(said: &Receiver<Said>) -> Said {
    said.recv_timeout(PATIENCE).expect("the writer lives")
}

/// A reading of a minute of its own, to be committed at once.
fn reading(broker: &Broker<PayloadMapper>, minute: i64) -> Submission<Verdict> {
    let ms = START_MS + minute * 60_000;
    let payload = format!(r#"{{"name":"TH1","timestamp":{ms},"value":21.5}}"#);
    let message = ("sensors/a", payload.as_bytes(), Qos::AtLeastOnce, false);
    let mut submission = broker.compose([message]);
    submission.eager = true;
    submission
}

/// What an operator hears. It is answered after all that was submitted before it.
fn asked(commands: &mpsc::Sender<Command>) -> Refusal {
    let (command, answered) = Command::new(Order::AcceptLate {
        sensor: None,
        from_ms: None,
        to_ms: None,
    });
    commands.try_send(command).unwrap();
    answered.blocking_recv().unwrap().unwrap_err()
}

#[test]
fn a_failing_disk_is_not_tried_for_everyone_who_comes_and_taken_up_again_in_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let mut config = Config::home();
    config.time.clock = ClockMode::Event;
    let config = Arc::new(config);
    let (clock, hand) = Clock::manual(START_MS);
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let site = Site::open(&mut store, Arc::clone(&config), &clock).unwrap();
    let (sender, submissions) = mpsc::channel(INTAKE_SUBMISSIONS);
    let (operator, commands) = mpsc::channel(COMMANDS);
    let mapper = PayloadMapper(Arc::new(config.sources.clone()));
    let (access, nothing) = (BrokerConfig::open("home"), Restored::default());
    let broker = Broker::start(access, mapper, sender.clone(), nothing);
    let (say, said) = channel();
    let writer = Writer::new(store, site, broker.fanout(), config, clock, Listener(say));
    let stats = writer.stats();
    let intake = Intake {
        submissions,
        commands,
    };
    let ended = std::thread::spawn(move || writer.run(intake));

    sender.try_send(reading(&broker, 1)).unwrap();
    assert_eq!(heard(&said), Said::Committed(1));
    disk.break_with(io::ErrorKind::Other);
    sender.try_send(reading(&broker, 2)).unwrap();
    let Said::Stands(Standing::Failing(why)) = heard(&said) else {
        panic!("it is said that the disk fails")
    };
    assert!(why.contains("cannot"), "{why}");
    for minute in 3..6 {
        sender.try_send(reading(&broker, minute)).unwrap();
    }
    assert!(matches!(asked(&operator), Refusal::Outage(_)));
    assert_eq!(stats.failures.load(Relaxed), 1, "it was not tried for them");

    disk.heal();
    sender.try_send(reading(&broker, 6)).unwrap();
    assert!(matches!(asked(&operator), Refusal::Outage(_)), "too early");
    hand.advance(1000);
    assert_eq!(heard(&said), Said::Stands(Standing::Taking(Level::Ample)));
    sender.try_send(reading(&broker, 7)).unwrap();
    assert_eq!(heard(&said), Said::Committed(2), "the first and the last");
    assert_eq!(stats.failures.load(Relaxed), 1);

    runtime.block_on(broker.shutdown(Duration::ZERO));
    drop((sender, broker, operator));
    let store = ended.join().unwrap().unwrap();
    let counters = store.view().totals().unwrap().counters;
    assert_eq!((counters.received, counters.accepted), (2, 2));
}
