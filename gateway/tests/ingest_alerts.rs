//! Alerts through the writer and a store: what the gateway says of itself, what people answer, what a restart
//! leaves. Time is moved by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gateway::alert::{Action, AlertId, Claim, Conditions, Outbox, Severity, What};
use gateway::app::StoredOutbox;
use gateway::broker::{Broker, BrokerConfig, Restored};
use gateway::clock::{Clock, ManualClock};
use gateway::config::Config;
use gateway::ingest::{
    Alerts, Announced, COMMANDS, Command, INTAKE_SUBMISSIONS, Intake, Observer, Order,
    PayloadMapper, Refusal, Site, Standing, Writer,
};
use gateway::rows::Alert;
use gateway::source::Verdict;
use gateway::store::{Store, StoreError, View};
use store_world::{Disk, options};
use tokio::sync::mpsc;

/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR_MS: u32 = 3_600_000;
/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;
const CHANNEL: &str = "webhook";

/// Hears each alert that is different, with its state.
struct Listener(Sender<(String, String)>);

impl Observer for Listener {
    fn committed(&mut self, _: &Announced<'_>) {}

    fn standing(&mut self, _: &Standing) {}

    fn alerts(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            let said = (alert.id.clone(), alert.state.to_string());
            self.0.send(said).unwrap();
        }
    }
}

/// A writer on a disk.
struct Desk {
    view: View,
    conditions: Conditions,
    operator: mpsc::Sender<Command>,
    outbox: StoredOutbox,
    said: Receiver<(String, String)>,
    ended: std::thread::JoinHandle<Result<Store, StoreError>>,
    runtime: tokio::runtime::Runtime,
    broker: Broker<PayloadMapper>,
    submissions: mpsc::Sender<gateway::broker::Submission<Verdict>>,
}

fn config(channels: &str) -> Config {
    Config::parse(
        &format!("[site]\nid = \"home\"\n[alert]\n{channels}"),
        "test",
    )
    .unwrap()
}

fn webhook() -> Config {
    config("[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n")
}

impl Desk {
    fn on(disk: &Disk, clock: &Clock, config: Config) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let within = runtime.enter();
        let config = Arc::new(config);
        let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
        let mut site = Site::open(&mut store, Arc::clone(&config), clock).unwrap();
        let mut alerts = Alerts::open(&store, &site, &config, clock).unwrap();
        alerts.write_down(&mut store, &mut site, clock).unwrap();
        let seen = alerts.seen();
        let (submissions, intake) = mpsc::channel(INTAKE_SUBMISSIONS);
        let (operator, commands) = mpsc::channel(COMMANDS);
        let mapper = PayloadMapper(Arc::new(config.sources.clone()));
        let access = BrokerConfig::open("home");
        let broker = Broker::start(access, mapper, submissions.clone(), Restored::default());
        let (say, said) = channel();
        let view = store.view();
        let writer = Writer::new(
            store,
            site,
            broker.fanout(),
            config,
            clock.clone(),
            Listener(say),
        );
        let writer = writer.with_alerts(alerts);
        let intake = Intake {
            submissions: intake,
            commands,
        };
        drop(within);
        Self {
            outbox: StoredOutbox::new(&view, &operator, &seen),
            view,
            conditions: seen.conditions,
            operator,
            said,
            ended: std::thread::spawn(move || writer.run(intake)),
            runtime,
            broker,
            submissions,
        }
    }

    fn heard(&self) -> (String, String) {
        let heard = self.said.recv_timeout(PATIENCE);
        heard.expect("the writer says something")
    }

    fn answer(&self, id: &str, action: Action) -> Result<(), Refusal> {
        let (command, answered) = Command::new(Order::Alert {
            id: AlertId::from_text(id),
            action,
            by: "anna".to_owned(),
        });
        self.operator.blocking_send(command).unwrap();
        answered.blocking_recv().unwrap().map(|_| ())
    }

    fn whats(&self) -> Vec<What> {
        let journal = self.view.journal(0, 100).unwrap();
        journal.iter().map(|notice| notice.what).collect()
    }

    fn waiting(&self) -> Vec<u64> {
        let waiting = self.outbox.waiting(CHANNEL, 100).unwrap();
        waiting.iter().map(|notice| notice.seq).collect()
    }

    fn stop(self) {
        self.runtime.block_on(self.broker.shutdown(Duration::ZERO));
        drop((self.broker, self.operator, self.outbox, self.submissions));
        self.ended.join().unwrap().unwrap();
    }
}

fn down(severity: Severity) -> Claim {
    Claim {
        id: AlertId::new("upstream", "down"),
        kind: "upstream_down".to_owned(),
        rule: String::new(),
        subject: "upstream".to_owned(),
        severity,
        location: None,
        raised_ms: NOW,
        flow: None,
        start: None,
        amount: None,
        unit: None,
        cost: None,
        text: "the far end does not answer".to_owned(),
        advice: "look at the network".to_owned(),
    }
}

fn said(id: &str, state: &str) -> (String, String) {
    (id.to_owned(), state.to_owned())
}

fn trusted() -> (Clock, ManualClock) {
    Clock::manual(NOW)
}

#[test]
fn a_part_that_is_not_well_is_said_answered_repeated_and_over_and_a_restart_changes_nothing() {
    let disk = Disk::default();
    let (clock, hand) = trusted();
    let desk = Desk::on(&disk, &clock, webhook());
    desk.conditions
        .set("channel/webhook", vec![down(Severity::Warning)]);
    assert_eq!(desk.heard(), said("upstream-down", "firing"));
    let more = desk.outbox.more();
    hand.advance(HOUR_MS);
    desk.runtime.block_on(more);
    assert_eq!(desk.whats(), [What::Fired, What::Repeated]);
    assert_eq!(desk.waiting(), [1, 2]);
    let sent = desk.runtime.block_on(desk.outbox.sent(CHANNEL, &[1]));
    sent.unwrap();
    desk.answer("upstream-down", Action::Acknowledge).unwrap();
    assert_eq!(desk.heard(), said("upstream-down", "acknowledged"));
    desk.answer("upstream-down", Action::Acknowledge).unwrap();
    let twice = desk.answer("nothing", Action::Acknowledge);
    assert!(matches!(twice, Err(Refusal::Alert(_))), "{twice:?}");
    desk.stop();

    // A part that has not said anything yet is not taken to be well.
    let desk = Desk::on(&disk, &clock, webhook());
    assert_eq!(desk.waiting(), [2, 3]);
    desk.conditions
        .set("channel/webhook", vec![down(Severity::Warning)]);
    desk.conditions.set("channel/webhook", Vec::new());
    assert_eq!(desk.heard(), said("upstream-down", "cleared"));
    let all = [
        What::Fired,
        What::Repeated,
        What::Acknowledged,
        What::Cleared,
    ];
    assert_eq!(desk.whats(), all);
    assert_eq!(desk.waiting(), [2, 3, 4]);
    desk.stop();
}

#[test]
fn a_channel_that_is_configured_no_more_is_forgotten_with_what_waits_for_it() {
    let disk = Disk::default();
    let (clock, _hand) = trusted();
    let desk = Desk::on(&disk, &clock, webhook());
    desk.conditions
        .set("channel/webhook", vec![down(Severity::Warning)]);
    assert_eq!(desk.heard(), said("upstream-down", "firing"));
    assert_eq!(desk.waiting(), [1]);
    desk.stop();
    let desk = Desk::on(&disk, &clock, config(""));
    assert_eq!(desk.whats(), [What::Fired, What::Cleared]);
    assert!(desk.view.waiting_notices().unwrap().is_empty());
    desk.stop();
}

#[test]
fn a_clock_that_nobody_sets_is_said_after_ten_minutes_and_over_when_it_is_set() {
    let disk = Disk::default();
    let (clock, hand) = Clock::manual(5_000);
    let desk = Desk::on(&disk, &clock, config(""));
    // Whatever the writer has seen by now, ten minutes are not over.
    desk.conditions.set("upstream", vec![down(Severity::Info)]);
    assert_eq!(desk.heard(), said("upstream-down", "firing"));
    hand.advance(10 * 60_000);
    assert_eq!(desk.heard(), said("clock-unset", "firing"));
    hand.set_wall(NOW);
    assert_eq!(desk.heard(), said("clock-unset", "cleared"));
    let repeated = desk
        .whats()
        .into_iter()
        .filter(|what| *what == What::Repeated);
    assert!(
        repeated.count() <= 2,
        "years that were not there repeat each alert once"
    );
    desk.stop();
}

/// A sensor's silence is said before the gateway is away for hours, another's is not.
#[test]
fn what_was_said_to_be_silent_still_is_after_a_restart_and_what_was_not_is_waited_for() {
    const QUARTER_MS: u32 = 900_000;
    let text = "[site]\nid = \"home\"\n[[source]]\ntopic = \"s/#\"\nsensor = \"/n\"\ntime = \"/t\"\n\
        [[sensor]]\nname = \"*\"\nkind = \"delta\"\nunit = \"L\"\ninterval = \"15m\"\n";
    let config = Arc::new(Config::parse(text, "test").unwrap());
    let disk = Disk::default();
    let (clock, hand) = trusted();
    let open = || {
        let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
        let mut site = Site::open(&mut store, Arc::clone(&config), &clock).unwrap();
        let mut alerts = Alerts::open(&store, &site, &config, &clock).unwrap();
        alerts.write_down(&mut store, &mut site, &clock).unwrap();
        (store, site, alerts)
    };
    let turn = |open: &mut (Store, Site, Alerts), sensors: &[&str]| {
        let (store, site, alerts) = open;
        site.begin(&clock);
        for sensor in sensors {
            let payload = format!(r#"{{"n":"{sensor}","t":{},"value":1}}"#, clock.wall_ms());
            let verdict = config.sources.decode("s/x", payload.as_bytes());
            site.take("s/x", payload.as_bytes(), &verdict, store)
                .unwrap();
        }
        site.settle(store).unwrap();
        alerts.hear(site, clock.wall_ms());
        let mut rows = Vec::new();
        let written = alerts.written();
        alerts.rows(&written, clock.wall_ms(), &mut rows);
        let _committed = site.commit(store, &rows).unwrap();
        alerts.kept();
        let notices = written.notices.iter();
        let said = notices.map(|notice| (notice.alert.claim.subject.clone(), notice.what));
        said.collect::<Vec<_>>()
    };
    let said = |sensor: &str, what| vec![(sensor.to_owned(), what)];

    let mut desk = open();
    assert_eq!(turn(&mut desk, &["A", "B"]), []);
    hand.advance(2 * QUARTER_MS);
    assert_eq!(turn(&mut desk, &["B"]), []);
    hand.advance(QUARTER_MS);
    assert_eq!(turn(&mut desk, &[]), said("A", What::Fired));
    let raised = |desk: &(Store, Site, Alerts)| {
        let all = desk.0.view().alerts().unwrap();
        all.iter()
            .map(|kept| kept.alert.claim.raised_ms)
            .collect::<Vec<_>>()
    };
    let before = raised(&desk);
    drop(desk);

    hand.advance(10 * HOUR_MS);
    let mut desk = open();
    assert_eq!(turn(&mut desk, &[]), said("A", What::Repeated));
    assert_eq!(raised(&desk), before);
    hand.advance(3 * QUARTER_MS - 1);
    assert_eq!(turn(&mut desk, &[]), []);
    hand.advance(1);
    assert_eq!(turn(&mut desk, &[]), said("B", What::Fired));
    assert_eq!(turn(&mut desk, &["A"]), said("A", What::Cleared));
}
