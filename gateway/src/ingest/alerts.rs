//! Where alerts meet the writer: it hears what stands, lets time pass, and writes the book's turn into the
//! transaction of the readings that caused it.
//!
//! While the store takes nothing the book goes on in memory: what the gateway says of itself is shown and
//! handed to the channels from there ([`Volatile`]), and written when there is room.

use super::outage::Standing;
use super::{Order, Site, own};
use crate::alert::{Alert, AlertId, Book, Conditions, Rules, Unanswered, Volatile, Written};
use crate::clock::{Clock, Trust};
use crate::config::{ClockMode, Config};
use crate::store::{AlertWrite, BrokerWrite, Incident, Level, Store, StoreError, View};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::watch;

/// Notices that wait for one channel at most; the oldest go, and are counted.
const OUTBOX_MOST: usize = 1000;
/// What the part of a channel's sender begins with.
const CHANNEL: &str = "channel/";
/// The part that forwards results.
const UPSTREAM: &str = "upstream";

/// The alerts of a site, as its writer keeps them.
#[derive(Debug)]
pub struct Alerts {
    book: Book,
    conditions: Conditions,
    volatile: Arc<Volatile>,
    dropped: Arc<AtomicU64>,
    more: watch::Sender<u64>,
    /// What waits for each channel on disk, by place in the journal.
    waiting: BTreeMap<String, BTreeSet<u64>>,
    /// Entries of the outbox that are to go with the next commit.
    done: Vec<(String, u64)>,
    /// What is to go as one message, to be written with the next commit.
    meant: Vec<(String, Vec<u64>)>,
    /// What the commit at hand writes.
    writes: Vec<AlertWrite>,
    /// The numbers that notices said from memory have in the journal, once it is written.
    numbers: BTreeMap<u64, u64>,
    /// The book as it was in memory when the store was opened again, until its turn is written.
    spoken: Option<Book>,
    /// Since when the clock is not trusted, on the monotonic clock.
    doubted_since_ms: Option<u64>,
    dir: PathBuf,
    clock_mode: ClockMode,
}

/// What others see and do of a writer's alerts while it works. Cloning it gives another handle.
#[derive(Clone, Debug)]
pub struct AlertsSeen {
    /// Where parts of the gateway say what is wrong with them.
    pub conditions: Conditions,
    /// What is said from memory while the store takes nothing.
    pub volatile: Arc<Volatile>,
    /// Notices since the start that fell out of a channel's outbox, because as many waited as may.
    pub dropped: Arc<AtomicU64>,
    /// Changes whenever there may be more to send.
    pub more: watch::Receiver<u64>,
}

impl Alerts {
    /// The alerts of the store as they were left; those of detectors that stand no more are withdrawn, those
    /// that stand and were not said are raised.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(
        store: &Store,
        site: &Site,
        config: &Config,
        clock: &Clock,
    ) -> Result<Self, StoreError> {
        let view = store.view();
        let mut alerts = Self {
            book: Book::of([], 1, Rules::of(&config.alert)),
            dir: config.store.path.clone(),
            clock_mode: config.time.clock,
            ..Self::empty()
        };
        alerts.set_files(&view.incidents()?);
        let level = view.room().map(|room| room.level(Level::default()));
        let standing = Standing::Taking(level.unwrap_or_default());
        let now_ms = clock.wall_ms();
        alerts.set_standing(&standing, now_ms);
        alerts.read(&view, site, now_ms)?;
        alerts.forget_parts(config, now_ms);
        alerts.hear_conditions(now_ms);
        Ok(alerts)
    }

    /// No alerts, and no channels.
    pub(super) fn empty() -> Self {
        Self {
            book: Book::of([], 1, Rules::default()),
            conditions: Conditions::default(),
            volatile: Arc::default(),
            dropped: Arc::default(),
            more: watch::Sender::default(),
            waiting: BTreeMap::new(),
            done: Vec::new(),
            meant: Vec::new(),
            writes: Vec::new(),
            numbers: BTreeMap::new(),
            spoken: None,
            doubted_since_ms: None,
            dir: PathBuf::new(),
            clock_mode: ClockMode::Wall,
        }
    }

    /// What others see of them.
    #[must_use]
    pub fn seen(&self) -> AlertsSeen {
        AlertsSeen {
            conditions: self.conditions.clone(),
            volatile: Arc::clone(&self.volatile),
            dropped: Arc::clone(&self.dropped),
            more: self.more.subscribe(),
        }
    }

    /// Every alert, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Alert> {
        self.book.alerts()
    }

    /// After the store was opened again: the book of the disk, with what was said from memory meanwhile.
    pub(super) fn read(&mut self, view: &View, site: &Site, now_ms: i64) -> Result<(), StoreError> {
        let rules = self.book.rules().clone();
        let fresh = Book::of(view.alerts()?, view.next_notice()?, rules);
        let older = std::mem::replace(&mut self.book, fresh);
        self.spoken = self.volatile.speaks().then(|| older.clone());
        self.numbers = self.book.adopt(older);
        let waiting = view.waiting_notices()?.into_iter();
        self.waiting = waiting
            .map(|(channel, seqs)| (channel, seqs.into_iter().collect()))
            .collect();
        let receivers = self.book.rules().receivers();
        let gone = self
            .waiting
            .iter()
            .filter(|(channel, _)| !receivers.iter().any(|receiver| receiver.name == **channel));
        let gone = gone.flat_map(|(channel, seqs)| seqs.iter().map(|seq| (channel.clone(), *seq)));
        self.done = gone.collect();
        let standing = site.standing();
        let dwell_ms = |id: &AlertId| site.dwell_ms(id);
        self.book.reconcile(None, &standing, dwell_ms, now_ms);
        self.conditions.say_again();
        Ok(())
    }

    /// Parts that are not configured any more claim nothing.
    fn forget_parts(&mut self, config: &Config, now_ms: i64) {
        let receivers = self.book.rules().receivers();
        let is_gone = |part: &String| match part.strip_prefix(CHANNEL) {
            Some(name) => !receivers.iter().any(|receiver| receiver.name == name),
            None => part == UPSTREAM && config.upstream.is_none(),
        };
        let gone: Vec<String> = self.book.parts().into_iter().filter(is_gone).collect();
        for part in gone {
            self.book.reconcile(Some(&part), &[], |_| 0, now_ms);
        }
    }

    /// These damaged files lie beside the store.
    pub(super) fn set_files(&self, incidents: &[Incident]) {
        let claims = own::of_files(incidents, &self.dir);
        self.conditions.set(own::FILES, claims);
    }

    /// The store stands like this.
    pub(super) fn set_standing(&self, standing: &Standing, now_ms: i64) {
        self.conditions
            .set(own::DISK, own::of_disk(standing, now_ms));
    }

    /// Looks whether the clock is trusted.
    pub(super) fn look_at(&mut self, clock: &Clock) {
        let is_trusted = match self.clock_mode {
            ClockMode::Event => true,
            ClockMode::Wall => clock.trust() == Trust::Synchronised,
        };
        if is_trusted {
            if self.doubted_since_ms.take().is_some() {
                self.conditions.set(own::CLOCK, Vec::new());
            }
            return;
        }
        let now_ms = clock.monotonic_ms();
        let since_ms = *self.doubted_since_ms.get_or_insert(now_ms);
        let claims = own::of_clock(
            clock.because(),
            now_ms.saturating_sub(since_ms),
            clock.wall_ms(),
        );
        if !claims.is_empty() {
            self.conditions.set(own::CLOCK, claims);
        }
    }

    /// Whether there is something to say though no reading came.
    pub(super) fn is_due(&mut self, now_ms: i64) -> bool {
        self.conditions.has_news()
            || self.book.has_news()
            || self.book.due_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Hears what the group at hand has changed, and lets time pass.
    pub fn hear(&mut self, site: &Site, now_ms: i64) {
        for told in site.told() {
            let id = match told {
                crate::alert::Told::Raised(claim)
                | crate::alert::Told::Updated(claim)
                | crate::alert::Told::Cleared(claim, _) => &claim.id,
                crate::alert::Told::Withdrawn(id) => id,
            };
            self.book.hear(told, site.dwell_ms(id), now_ms);
        }
        self.hear_conditions(now_ms);
        self.book.pass(now_ms);
    }

    fn hear_conditions(&mut self, now_ms: i64) {
        for (part, claims) in self.conditions.news() {
            self.book.reconcile(Some(&part), &claims, |_| 0, now_ms);
        }
    }

    /// Carries out what of an order is about alerts.
    ///
    /// # Errors
    /// The alert cannot be answered like that; nothing has changed.
    pub fn heed(&mut self, order: &Order, now_ms: i64) -> Result<(), Unanswered> {
        match order {
            Order::Alert { id, action, by } => {
                let acted = self.book.act(id, *action, by, now_ms)?;
                tracing::info!(%id, ?action, by, ?acted, "an alert was answered");
            }
            Order::Sent { channel, seqs } => self.sent(channel, seqs),
            Order::Mean { channel, seqs } => self.mean(channel, seqs),
            Order::Correct { .. } | Order::AcceptLate { .. } | Order::Users(_) => {}
        }
        Ok(())
    }

    /// A channel has these notices, or they are too old for it.
    fn sent(&mut self, channel: &str, seqs: &[u64]) {
        let waits = self.waiting.get(channel);
        let held = seqs
            .iter()
            .filter(|seq| waits.is_some_and(|waits| waits.contains(seq)));
        self.done.extend(held.map(|seq| (channel.to_owned(), *seq)));
    }

    /// These are one message for a channel; what is said from memory alone is nothing to be written.
    fn mean(&mut self, channel: &str, seqs: &[u64]) {
        let waits = self.waiting.get(channel);
        let held = |seq: &u64| waits.is_some_and(|waits| waits.contains(seq));
        let seqs: Vec<u64> = seqs.iter().copied().filter(held).collect();
        if !seqs.is_empty() {
            self.meant.push((channel.to_owned(), seqs));
        }
    }

    /// What is to be said and written now.
    pub fn written(&self) -> Written {
        self.book.written()
    }

    /// Puts what is to be written of them to the `rows` of a commit.
    pub fn rows(&mut self, written: &Written, now_ms: i64, rows: &mut Vec<BrokerWrite>) {
        self.writes.clear();
        let done = self.done.drain(..);
        self.writes
            .extend(done.map(|(channel, seq)| AlertWrite::Done { channel, seq }));
        let meant = self.meant.drain(..);
        self.writes
            .extend(meant.map(|(channel, seqs)| AlertWrite::Mean { channel, seqs }));
        let alerts = written.alerts.iter().cloned().map(Box::new);
        self.writes.extend(alerts.map(AlertWrite::Set));
        let removed = written.removed.iter().cloned();
        self.writes.extend(removed.map(AlertWrite::Drop));
        let notices = written.notices.iter().cloned().map(Box::new);
        self.writes.extend(notices.map(AlertWrite::Notice));
        for (channel, seq) in &written.outbox {
            let mut notices = written.notices.iter();
            let notice = notices.find(|notice| notice.seq == *seq);
            if notice.is_some_and(|notice| self.volatile.was_sent(channel, notice)) {
                continue;
            }
            self.writes.push(AlertWrite::Wait {
                channel: channel.clone(),
                seq: *seq,
                at_ms: now_ms,
            });
        }
        self.writes.extend(self.beyond());
        rows.extend(self.writes.iter().cloned().map(BrokerWrite::Alert));
    }

    /// The oldest entries of channels that too many wait for.
    fn beyond(&self) -> Vec<AlertWrite> {
        let mut beyond = Vec::new();
        let mut channels: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for write in &self.writes {
            if let AlertWrite::Wait { channel, seq, .. } = write {
                channels.entry(channel).or_default().insert(*seq);
            }
        }
        for (channel, mut seqs) in channels {
            seqs.extend(self.waiting.get(channel).into_iter().flatten());
            let too_many = seqs.len().saturating_sub(OUTBOX_MOST);
            beyond.extend(seqs.into_iter().take(too_many).map(|seq| AlertWrite::Done {
                channel: channel.to_owned(),
                seq,
            }));
        }
        beyond
    }

    /// Writes down what is different, in a commit of its own: at a start, before anything is served.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write_down(
        &mut self,
        store: &mut Store,
        site: &mut Site,
        clock: &Clock,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let written = self.written();
        self.rows(&written, clock.wall_ms(), &mut rows);
        site.begin(clock);
        let _committed = site.commit(store, &rows)?;
        self.kept();
        Ok(())
    }

    /// What was to be written is on disk.
    pub fn kept(&mut self) {
        let mut more = !self.numbers.is_empty();
        for write in self.writes.drain(..) {
            match write {
                AlertWrite::Wait { channel, seq, .. } => {
                    more = true;
                    self.waiting.entry(channel).or_default().insert(seq);
                }
                AlertWrite::Done { channel, seq } => {
                    let waits = self.waiting.entry(channel).or_default();
                    // As many as may wait do after it is gone: it had to make room.
                    if waits.remove(&seq) && waits.len() >= OUTBOX_MOST {
                        self.dropped.fetch_add(1, Relaxed);
                    }
                }
                AlertWrite::Set(_)
                | AlertWrite::Drop(_)
                | AlertWrite::Notice(_)
                | AlertWrite::House(_)
                | AlertWrite::Mean { .. } => {}
            }
        }
        self.book.keep();
        self.spoken = None;
        self.volatile.settle(std::mem::take(&mut self.numbers));
        if more {
            self.more.send_modify(|times| *times += 1);
        }
    }

    /// What was to be written is not on disk.
    pub(super) fn lost(&mut self) {
        self.writes.clear();
        self.done.clear();
        self.meant.clear();
        self.numbers.clear();
        match self.spoken.take() {
            // What was said from memory was said: it goes on from there.
            Some(spoken) => self.book = spoken,
            None => self.book.undo(),
        }
        self.conditions.say_again();
    }

    /// Goes on while the store takes nothing; `None`: there is nothing new to say.
    pub(super) fn go_on_in_memory(&mut self, now_ms: i64) -> Option<Written> {
        let before = self.book.written();
        self.hear_conditions(now_ms);
        self.book.pass(now_ms);
        let written = self.book.written();
        if written == before {
            return None;
        }
        self.show(&written);
        Some(written)
    }

    /// Has what is not on disk be seen.
    pub(super) fn show(&self, written: &Written) {
        let alerts = written.alerts.iter().map(|kept| kept.alert.clone());
        self.volatile
            .set(alerts.collect(), &written.notices, &written.outbox);
        self.more.send_modify(|times| *times += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::store::Options;

    /// 2026-01-01T00:00:00Z.
    const NOW: i64 = 1_767_225_600_000;

    fn whats(written: &Written) -> Vec<What> {
        let notices = written.notices.iter().filter(|notice| {
            let id = notice.alert.claim.id.as_str();
            id == "store-failing"
        });
        notices.map(|notice| notice.what).collect()
    }

    #[test]
    fn what_was_said_from_memory_is_over_in_the_end_though_the_first_commit_after_it_fails() {
        let dir = tempfile::tempdir().expect("a directory");
        let (clock, _hand) = Clock::manual(NOW);
        let config = Arc::new(Config::home());
        let mut store = Store::open(dir.path(), &Options::default()).expect("a new store");
        let mut site = Site::open(&mut store, Arc::clone(&config), &clock).expect("a new site");
        let view = store.view();
        let mut alerts = Alerts::open(&store, &site, &config, &clock).expect("it is read");
        let written = alerts.write_down(&mut store, &mut site, &clock);
        written.expect("there is room");

        alerts.set_standing(&Standing::Failing("broken".to_owned()), NOW);
        let said = alerts.go_on_in_memory(NOW).expect("it is said");
        assert_eq!(whats(&said), [What::Fired]);
        alerts.read(&view, &site, NOW).expect("it is read");
        alerts.set_standing(&Standing::default(), NOW);
        alerts.hear(&site, NOW);
        assert_eq!(whats(&alerts.written()), [What::Fired, What::Cleared]);
        alerts.lost();

        let said = alerts.go_on_in_memory(NOW).expect("it is said");
        assert_eq!(whats(&said), [What::Fired, What::Cleared]);
        alerts.read(&view, &site, NOW).expect("it is read");
        alerts.hear(&site, NOW);
        assert_eq!(whats(&alerts.written()), [What::Fired, What::Cleared]);
        let written = alerts.write_down(&mut store, &mut site, &clock);
        written.expect("there is room");
        assert!(!alerts.volatile.speaks());
        let notices = view.journal(0, 100).expect("it is read");
        let journal = Written {
            notices,
            ..Written::default()
        };
        assert_eq!(whats(&journal), [What::Fired, What::Cleared]);
    }
}
