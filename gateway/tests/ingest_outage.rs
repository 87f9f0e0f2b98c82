//! The writer on a disk that fails: it refuses, and says so; it does not try for everyone who comes; it
//! goes on when its time has come and the disk is well. Time is moved by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gateway::alert::{Action, AlertId, Notice, Outbox, What, is_volatile};
use gateway::app::StoredOutbox;
use gateway::broker::{Broker, BrokerConfig, Qos, Restored, Submission};
use gateway::clock::Clock;
use gateway::config::{ClockMode, Config, HOME};
use gateway::ingest::{
    Alerts, Announced, COMMANDS, Command, INTAKE_SUBMISSIONS, Intake, Observer, Order,
    PayloadMapper, Refusal, Site, Standing, Writer,
};
use gateway::rows::Alert;
use gateway::source::Verdict;
use gateway::store::{Level, Store};
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

    fn alerts(&mut self, _: &[Alert]) {}
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
    assert_eq!(
        heard(&said),
        Said::Committed(1),
        "what was said of the disk"
    );
    assert_eq!(heard(&said), Said::Committed(2), "the first and the last");
    assert_eq!(stats.failures.load(Relaxed), 1);

    runtime.block_on(broker.shutdown(Duration::ZERO));
    drop((sender, broker, operator));
    let store = ended.join().unwrap().unwrap();
    let view = store.view();
    let counters = view.totals().unwrap().counters;
    assert_eq!((counters.received, counters.accepted), (2, 2));
    let said: Vec<What> = view.journal(0, 9).unwrap().iter().map(|n| n.what).collect();
    assert_eq!(said, [What::Fired, What::Cleared]);
}

/// The channel of the test's configuration.
const CHANNEL: &str = "webhook";
const FAILING: &str = "store-failing";

fn whats(notices: &[Notice]) -> Vec<(&str, What)> {
    let what = |notice: &'_ Notice| notice.what;
    let ids = notices.iter().map(|n| n.alert.claim.id.as_str());
    ids.zip(notices.iter().map(what)).collect()
}

/// A disk that fails is told of though nothing can be written; what was sent then is not sent again.
#[test]
fn a_failing_disk_reaches_the_channels_from_memory_and_the_journal_in_the_end() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let text = format!(
        "{}\n[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n",
        HOME.replace("clock = \"wall\"", "clock = \"event\"")
    );
    let config = Arc::new(Config::parse(&text, "test").unwrap());
    let (clock, hand) = Clock::manual(START_MS);
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let view = store.view();
    let site = Site::open(&mut store, Arc::clone(&config), &clock).unwrap();
    let alerts = Alerts::open(&store, &site, &config, &clock).unwrap();
    let (sender, submissions) = mpsc::channel(INTAKE_SUBMISSIONS);
    let (operator, commands) = mpsc::channel(COMMANDS);
    let outbox = StoredOutbox::new(&view, &operator, &alerts.seen());
    let waiting = || outbox.waiting(CHANNEL, 9).unwrap();
    let mapper = PayloadMapper(Arc::new(config.sources.clone()));
    let (access, nothing) = (BrokerConfig::open("home"), Restored::default());
    let broker = Broker::start(access, mapper, sender.clone(), nothing);
    let (say, said) = channel();
    let writer = Writer::new(store, site, broker.fanout(), config, clock, Listener(say));
    let writer = writer.with_alerts(alerts);
    let intake = Intake {
        submissions,
        commands,
    };
    let more = outbox.more();
    let ended = std::thread::spawn(move || writer.run(intake));

    disk.break_with(io::ErrorKind::Other);
    sender.try_send(reading(&broker, 1)).unwrap();
    assert!(matches!(heard(&said), Said::Stands(Standing::Failing(_))));
    let more = runtime.block_on(tokio::time::timeout(PATIENCE, more));
    more.expect("there is something to send");
    let told = waiting();
    assert_eq!(whats(&told), [(FAILING, What::Fired)]);
    assert!(is_volatile(told[0].seq));
    runtime
        .block_on(outbox.sent(CHANNEL, &[told[0].seq]))
        .unwrap();
    assert_eq!(whats(&waiting()), [], "it was sent");
    // A person may answer meanwhile.
    let (command, answered) = Command::new(Order::Alert {
        id: AlertId::from_text(FAILING),
        action: Action::Acknowledge,
        by: "anna".to_owned(),
    });
    operator.try_send(command).unwrap();
    answered.blocking_recv().unwrap().unwrap();
    assert_eq!(whats(&waiting()), [(FAILING, What::Acknowledged)]);

    disk.heal();
    hand.advance(1000);
    assert_eq!(heard(&said), Said::Stands(Standing::Taking(Level::Ample)));
    assert_eq!(
        heard(&said),
        Said::Committed(0),
        "what was said of the disk"
    );
    let journal = view.journal(0, 9).unwrap();
    let all = [What::Fired, What::Acknowledged, What::Cleared].map(|what| (FAILING, what));
    assert_eq!(whats(&journal), all);
    assert_eq!(journal[0].key("home"), told[0].key("home"));
    let rest = waiting();
    assert_eq!(whats(&rest), all[1..], "the first was sent from memory");
    let seqs: Vec<u64> = rest.iter().map(|notice| notice.seq).collect();
    assert_eq!(seqs, [2, 3]);
    runtime.block_on(outbox.sent(CHANNEL, &seqs)).unwrap();
    assert!(view.waiting_notices().unwrap().is_empty());

    runtime.block_on(broker.shutdown(Duration::ZERO));
    drop((sender, broker, operator, outbox));
    ended.join().unwrap().unwrap();
}
