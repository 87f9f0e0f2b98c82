//! The writer: gathers what arrives into groups, has the engine settle each, commits it, and only
//! then lets anybody know.
//!
//! It runs on a thread of its own, because it waits for the disk. A group is judged and committed
//! whole or not at all: a commit that fails drops the submissions unacknowledged, opens the store
//! again and rebuilds the state from what is on disk. Where that takes time, as on a full disk,
//! everything else is refused meanwhile (`outage` decides, `recover` does).

mod alerts;
mod command;
mod gather;
mod judge;
mod outage;
mod own;
mod pulse;
mod reckon;
mod recover;
mod registry;
mod results;
mod site;
mod stats;
mod users;
mod wish;

pub use alerts::{Alerts, AlertsSeen};
pub use command::{Command, Order, Outcome, Refusal};
pub(crate) use judge::{Judged, Now, judge};
pub use outage::Standing;
pub(crate) use own::of_files;
pub(crate) use registry::News as Known;
pub use registry::{MAX_SENSORS, Registry};
pub use site::{Announced, Site, SiteError};
pub use stats::IngestStats;
pub use users::{MAX_USERS, UserChange};

use crate::alert::Action;
use crate::board::{Board, News};
use crate::broker::{BrokerWrite, Fanout, Mapper, OwnTopics, Qos, Submission};
use crate::clock::Clock;
use crate::config::Config;
use crate::rows;
use crate::source::{Sources, Verdict};
use crate::store::{Level, Sealed, Store, StoreError};
use crate::watch::Night;
use gather::{COMPANY, Gathering};
use outage::Outage;
use pulse::Pulse;
use results::Results;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wish::{Echo, Wish};

/// Submissions that wait for the writer; whoever submits then waits, too.
pub const INTAKE_SUBMISSIONS: usize = 1024;
/// Operator's commands that wait for the writer.
pub const COMMANDS: usize = 16;
/// How often the writer looks at the clock while nothing arrives.
const TICK: Duration = Duration::from_secs(1);
/// The log is sealed when it holds so many readings,
const SEAL_READINGS: u64 = 192 * 1024;
/// or so many bytes,
const SEAL_BYTES: u64 = 12 << 20;
/// or is this old,
const SEAL_AGE_MS: u64 = 30 * 60_000;
/// or when so many readings are in memory, as when a backlog of many days comes in.
const SEAL_HELD: usize = 1 << 20;
/// Readings between two looks at how many are in memory.
const HELD_EVERY: u64 = 16 * 1024;

/// Reads payloads on the connections' tasks.
#[derive(Clone, Debug)]
pub struct PayloadMapper(pub Arc<Sources>);

impl Mapper for PayloadMapper {
    type Mapped = Verdict;

    fn map(&self, topic: &str, payload: &[u8]) -> Verdict {
        self.0.decode(topic, payload)
    }
}

/// Told what has been committed; called on the writer's thread, and must not wait.
pub trait Observer: Send {
    /// One group is on disk.
    fn committed(&mut self, announced: &Announced<'_>);

    /// Readings are taken from now on, or refused.
    fn standing(&mut self, standing: &Standing);

    /// These alerts are different now.
    fn alerts(&mut self, alerts: &[rows::Alert]);

    /// This can be said of sensors' last nights, or nothing any more. Who does not care hears nothing.
    fn nights(&mut self, _: Vec<(String, Option<Night>)>) {}
}

/// Nobody listens.
impl Observer for () {
    fn committed(&mut self, _: &Announced<'_>) {}

    fn standing(&mut self, _: &Standing) {}

    fn alerts(&mut self, _: &[rows::Alert]) {}
}

/// Everything the writer works with.
pub struct Writer<O> {
    store: Store,
    site: Site,
    fanout: Fanout,
    results: Results,
    alerts: Alerts,
    board: Board,
    own: OwnTopics,
    echo: Echo,
    config: Arc<Config>,
    clock: Clock,
    observer: O,
    stats: Arc<IngestStats>,
    rows: Vec<BrokerWrite>,
    sealed_at_ms: u64,
    held_looked_at: u64,
    pulse: Pulse,
    time_topic: String,
    /// How things stand, as it was last said.
    standing: Standing,
    /// While the store takes nothing.
    outage: Option<Outage>,
    /// Failures since the last commit.
    strikes: u32,
    /// Damage since the last seal.
    damage_met: u32,
    /// Why this store cannot be used any more.
    unusable: Option<String>,
    level: Level,
    /// When to look at the disk's room again, on the monotonic clock.
    look_at_ms: u64,
}

/// What a turn of the writer came to.
enum Turn {
    Done,
    /// Every submitter is gone.
    Over,
}

/// Where a writer's work comes from.
pub struct Intake {
    /// Publishes.
    pub submissions: mpsc::Receiver<Submission<Verdict>>,
    /// An operator's changes.
    pub commands: mpsc::Receiver<Command>,
}

impl<O: Observer> Writer<O> {
    /// A writer that goes on where the store was left. `site` is what [`Site::open`] made of it.
    pub fn new(
        store: Store,
        site: Site,
        fanout: Fanout,
        config: Arc<Config>,
        clock: Clock,
        observer: O,
    ) -> Self {
        let sealed_at_ms = clock.monotonic_ms();
        let time_topic = format!("sluice/{}/time", config.site.id);
        Self {
            results: Results::new(&config.site.id),
            alerts: Alerts::empty(),
            board: Board::new(&config),
            own: OwnTopics::of_site(&config.site.id),
            echo: Echo::default(),
            store,
            site,
            fanout,
            config,
            clock,
            observer,
            stats: Arc::new(IngestStats::default()),
            rows: Vec::new(),
            sealed_at_ms,
            held_looked_at: 0,
            pulse: Pulse::default(),
            time_topic,
            standing: Standing::default(),
            outage: None,
            strikes: 0,
            damage_met: 0,
            unusable: None,
            level: Level::default(),
            look_at_ms: 0,
        }
    }

    /// The same, counting in `stats`.
    #[must_use]
    pub fn counting(mut self, stats: Arc<IngestStats>) -> Self {
        self.stats = stats;
        self
    }

    /// The same, with the alerts that [`Alerts::open`] made of the store.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Alerts) -> Self {
        let news = News::all(alerts.all());
        self.board.retain_again(news, &self.fanout);
        self.alerts = alerts;
        self
    }

    /// What the writer counts.
    #[must_use]
    pub fn stats(&self) -> Arc<IngestStats> {
        Arc::clone(&self.stats)
    }

    /// Works until every submitter is gone, commits what is left, seals, and gives the store back.
    ///
    /// Blocks: call it on a thread of its own.
    ///
    /// # Errors
    /// The store is damaged and cannot be used any more.
    pub fn run(mut self, mut intake: Intake) -> Result<Store, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with a timer alone needs nothing that can be missing");
        let mut gathering = Gathering::new(
            self.config.store.commit_delay_ms,
            self.config.store.commit_delay_qos0_ms,
        );
        self.publish_known_results();
        self.tell_nights();
        if let Some(failure) = self.store.failed() {
            // It was opened on a disk without room: it is read, no more.
            self.outage = Some(Outage::begin(failure, 0, self.clock.monotonic_ms()));
        }
        // Each turn does one thing, so that a backlog without end starves neither operators nor seals.
        while self.unusable.is_none() {
            let turn = if self.outage.is_some() {
                // What was gathered for the store that failed.
                self.disappoint(gathering.group(self.clock.monotonic_ms()));
                self.sit_out(&runtime, &mut intake)
            } else {
                self.take_turn(&runtime, &mut gathering, &mut intake)
            };
            match turn {
                Turn::Done => {}
                Turn::Over => break,
            }
        }
        self.commit(gathering.group(self.clock.monotonic_ms()));
        if self.outage.is_none()
            && let Err(error) = self.seal()
        {
            self.fail(
                &error,
                "the log is not sealed: it is repeated at the next start",
            );
        }
        match self.unusable {
            None => Ok(self.store),
            Some(why) => Err(StoreError::Unusable(why)),
        }
    }

    fn take_turn(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        gathering: &mut Gathering<Verdict>,
        intake: &mut Intake,
    ) -> Turn {
        if gathering.is_due(self.clock.monotonic_ms()) {
            self.commit_group(gathering, intake);
            if self.outage.is_none()
                && let Ok(command) = intake.commands.try_recv()
            {
                self.obey(command);
            }
        } else {
            let wait = gathering.wait_ms(self.clock.monotonic_ms());
            let wait = wait.map_or(TICK, Duration::from_millis);
            match runtime.block_on(next(intake, wait)) {
                Event::Submission(first) => {
                    gathering.take(first, self.clock.monotonic_ms());
                    while !gathering.is_full()
                        && let Ok(more) = intake.submissions.try_recv()
                    {
                        gathering.take(more, self.clock.monotonic_ms());
                    }
                }
                Event::Command(command) => self.obey(command),
                Event::Passed => {}
                Event::Over => return Turn::Over,
            }
        }
        if self.outage.is_none() {
            self.keep_time();
        }
        Turn::Done
    }

    fn commit_group(&mut self, gathering: &mut Gathering<Verdict>, intake: &mut Intake) {
        if gathering.wants_company() {
            std::thread::sleep(COMPANY);
            self.take_queued(gathering, intake);
        }
        self.commit(gathering.group(self.clock.monotonic_ms()));
        gathering.committed(self.clock.monotonic_ms());
        // What queued up during the commit is a backlog: it waits for nobody.
        self.take_queued(gathering, intake);
    }

    fn take_queued(&self, gathering: &mut Gathering<Verdict>, intake: &mut Intake) {
        while !gathering.is_full()
            && let Ok(more) = intake.submissions.try_recv()
        {
            gathering.take_queued(more, self.clock.monotonic_ms());
        }
    }

    /// Commits one group; on failure nothing of it is acknowledged.
    fn commit(&mut self, submissions: Vec<Submission<Verdict>>) {
        if submissions.is_empty() {
            return;
        }
        if self.outage.is_some() || self.unusable.is_some() {
            self.disappoint(submissions);
            return;
        }
        self.site.begin(&self.clock);
        let judged = self
            .site
            .reckon(&mut self.store)
            .and_then(|()| self.judge(&submissions));
        let done = match judged {
            Ok(()) => self.finish(submissions),
            Err(error) => {
                self.disappoint(submissions);
                Err(error)
            }
        };
        if let Err(error) = done {
            self.fail(
                &error,
                "a group was not committed: its publishers are disconnected",
            );
        }
    }

    fn judge(&mut self, submissions: &[Submission<Verdict>]) -> Result<(), StoreError> {
        let now_ms = self.clock.monotonic_ms();
        for submission in submissions {
            let taken_ms = submission.taken_ms.unwrap_or(now_ms);
            self.site.arrived(now_ms.saturating_sub(taken_ms));
            for incoming in &submission.incoming {
                let (topic, payload) = (incoming.topic_str(), &incoming.payload);
                if incoming.retain && payload.is_empty() {
                    continue; // it clears a retained message, and says nothing
                }
                let wish = Wish::of(&self.own, incoming);
                self.grant(wish);
                self.site
                    .take(topic, payload, &incoming.decoded, &mut self.store)?;
            }
        }
        Ok(())
    }

    /// Does what a message on one of our own topics asks. What it changes is undone with the group.
    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::None => {}
            Wish::Acknowledge { id, by } => {
                let action = Action::Acknowledge;
                let order = Order::Alert { id, action, by };
                if let Err(why) = self.alerts.heed(&order, self.clock.wall_ms()) {
                    tracing::info!(?order, "an acknowledgement by MQTT has no effect: {why}");
                }
            }
            Wish::AcknowledgeForGood(id) => tracing::warn!(
                %id,
                "a retained acknowledgement is ignored, it would be for whatever comes later: publish it without \
                 RETAIN"
            ),
            Wish::SayAgain => self.echo.ask(),
        }
    }

    /// Settles what was judged, commits it with what belongs to it, and lets everybody know.
    fn finish(&mut self, mut submissions: Vec<Submission<Verdict>>) -> Result<(), StoreError> {
        if let Err(error) = self.site.settle(&mut self.store) {
            self.disappoint(submissions);
            return Err(error);
        }
        submissions.extend(self.results.of(&self.site, &self.fanout));
        let now_ms = self.clock.wall_ms();
        self.alerts.hear(&self.site, now_ms);
        let written = self.alerts.written();
        let news = self.board.news(&written);
        submissions.extend(self.board.compose(&news, &self.fanout));
        self.rows.clear();
        for submission in &mut submissions {
            self.fanout.writes(submission, &mut self.rows);
        }
        self.alerts.rows(&written, now_ms, &mut self.rows);
        let committed = match self.site.commit(&mut self.store, &self.rows) {
            Ok(committed) => committed,
            Err(error) => {
                self.disappoint(submissions);
                return Err(error);
            }
        };
        for submission in submissions {
            self.fanout.committed(submission);
        }
        self.say_again_what_was_lost();
        if let Some(committed) = committed {
            self.strikes = 0;
            self.alerts.kept();
            self.observer.alerts(&news.alerts);
            self.board.said(news);
            self.stats.committed(committed, &self.site.announced());
            self.observer.committed(&self.site.announced());
            self.tell_nights();
        }
        Ok(())
    }

    fn tell_nights(&mut self) {
        let nights = self.site.take_nights();
        if !nights.is_empty() {
            self.observer.nights(nights);
        }
    }

    /// A result that is gone leaves the one before it as the newest.
    fn say_again_what_was_lost(&mut self) {
        match self
            .results
            .after_loss(&self.site, &self.store, &self.fanout)
        {
            Ok(None) => {}
            Ok(Some(submission)) => self.fanout.committed(submission),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "results that are gone could not be replaced by the ones before them"
            ),
        }
    }

    fn disappoint(&self, submissions: Vec<Submission<Verdict>>) {
        for submission in submissions {
            self.fanout.failed(submission);
        }
    }

    fn obey(&mut self, command: Command) {
        if let Err(refusal) = self.alerts.heed(&command.order, self.clock.wall_ms()) {
            command.answer(Err(refusal.into()));
            return;
        }
        self.site.begin(&self.clock);
        let reckoned = self.site.reckon(&mut self.store);
        let obeyed = reckoned.and_then(|()| self.site.obey(&command.order, &mut self.store));
        let outcome = match obeyed {
            Ok(Ok(outcome)) => self.finish(Vec::new()).map(|()| Ok(outcome)),
            Ok(Err(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error),
        };
        command.answer(outcome.unwrap_or_else(|error| {
            self.fail(&error, "an operator's change was not committed");
            Err(Refusal::Store(error))
        }));
    }

    /// Closes days for want of readings, says what time alone brings about, and seals the log when it is
    /// time.
    fn keep_time(&mut self) {
        self.alerts.look_at(&self.clock);
        let is_due = self.site.is_due(&self.clock);
        let closed = if self.alerts.is_due(self.clock.wall_ms()) || is_due {
            self.site.begin(&self.clock);
            let reckoned = self.site.reckon(&mut self.store);
            reckoned.and_then(|()| self.finish(Vec::new()))
        } else {
            Ok(())
        };
        // What is owed since the clock is trusted is done before the time is said.
        self.tell_time();
        self.tell_home_assistant();
        let kept = closed.and_then(|()| {
            if self.wants_seal() {
                self.seal()
            } else {
                Ok(())
            }
        });
        match kept {
            Ok(()) => self.look_around(),
            Err(error) => self.fail(&error, "the store could not be kept"),
        }
    }

    /// Describes the alerts to Home Assistant again, where it has come back.
    fn tell_home_assistant(&mut self) {
        if self.echo.is_due(self.clock.monotonic_ms()) {
            for again in self.board.discovered_again(&self.fanout) {
                self.fanout.committed(again);
            }
        }
    }

    /// Says what time it is, to nodes that have no clock.
    fn tell_time(&mut self) {
        let told = self
            .pulse
            .due(self.site.known_time(&self.clock), self.clock.monotonic_ms());
        if let Some(ms) = told {
            let text = ms.to_string();
            let message = (
                self.time_topic.as_str(),
                text.as_bytes(),
                Qos::AtMostOnce,
                false,
            );
            let said = self.fanout.compose_derived([message], Verdict::NotMapped);
            self.fanout.committed(said);
        }
    }

    fn wants_seal(&mut self) -> bool {
        let tail = self.store.tail();
        if tail.readings < self.held_looked_at {
            self.held_looked_at = 0;
        }
        let crowded = tail.readings >= self.held_looked_at + HELD_EVERY && {
            self.held_looked_at = tail.readings;
            self.site.held() > SEAL_HELD
        };
        let age_ms = self.clock.monotonic_ms().saturating_sub(self.sealed_at_ms);
        crowded
            || tail.readings >= SEAL_READINGS
            || tail.bytes >= SEAL_BYTES
            || (tail.groups > 0 && age_ms >= SEAL_AGE_MS)
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.sealed_at_ms = self.clock.monotonic_ms();
        if self.store.tail().groups > 0 {
            let _sealed = self.seal_now()?;
        }
        Ok(())
    }

    /// Seals, even where there is nothing to fold: retention works at seals.
    fn seal_now(&mut self) -> Result<Sealed, StoreError> {
        let sealed = self.site.seal(&mut self.store)?;
        self.damage_met = 0;
        self.stats.sealed(sealed);
        tracing::debug!(?sealed, "sealed the log");
        Ok(sealed)
    }

    /// Results are retained messages that are made again from the rows, not kept twice.
    fn publish_known_results(&mut self) {
        let known = self.results.known(&self.site, &self.store, &self.fanout);
        if let Err(error) = known {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the newest results could not be published again"
            );
        }
    }
}

/// What the writer wakes up for.
enum Event {
    Submission(Submission<Verdict>),
    Command(Command),
    /// The time to wait has passed.
    Passed,
    /// Every submitter is gone.
    Over,
}

async fn next(intake: &mut Intake, wait: Duration) -> Event {
    tokio::select! {
        biased;
        submission = intake.submissions.recv() => {
            submission.map_or(Event::Over, Event::Submission)
        }
        Some(command) = intake.commands.recv() => Event::Command(command),
        () = tokio::time::sleep(wait) => Event::Passed,
    }
}
