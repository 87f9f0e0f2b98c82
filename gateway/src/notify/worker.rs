//! The workers, one a channel: each waits for notices, gives them to its sender when [`Rounds`] says, and notes
//! which are there. They share nothing, so none holds up another. They hold no notices of their own: what waits is
//! the outbox's.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answer::{Failure, Reply};
use super::chart::DaysOf;
use super::failing::Failing;
use super::rounds::{Age, Next, Rounds, Turn, age};
use super::sender::Sender;
use super::{Bundle, House};
use crate::alert::{Notice, Outbox};
use crate::causes::in_words;
use crate::clock::Clock;
use crate::config::{Channel, ChannelKind};

/// Even if nobody said that there was more, the outbox is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// An outbox that could not be read is read again after this time.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// The most notices that were sent and could not be noted as sent yet; beyond it the oldest may be sent twice.
const UNNOTED_MOST: usize = 1000;

/// Brings a bundle to a receiver.
pub(super) trait Carrier: Send + Sync + 'static {
    fn carry(&self, bundle: &Bundle) -> impl Future<Output = Result<Reply, Failure>> + Send;
}

/// Hears of a channel, by its name, that it fails, or, with `None`, that it works again.
pub type Turned = Arc<dyn Fn(&str, Option<Failing>) + Send + Sync>;

/// What workers go by, besides their channels.
#[derive(Clone)]
pub struct Seams {
    /// What time notices are judged by.
    pub clock: Clock,
    /// Whose alerts they are.
    pub house: House,
    /// Looks up what mails show of the last days.
    pub days: Option<DaysOf>,
    /// Is told when a channel has failed for an hour, and, with `None`, when it works again.
    pub turned: Turned,
    /// Where each counts.
    pub tally: Tally,
    /// Decides chance.
    pub seed: u64,
}

/// What a channel's worker counts since it started.
#[derive(Debug, Default)]
pub struct Counted {
    sent: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
}

impl Counted {
    /// Notices that a receiver took.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Tries that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notices that nobody took within a day.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

/// What the workers count, by channel; each goes on where the one before it ended. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, Arc<Counted>>>>);

impl Tally {
    /// Every channel that was ever served since the start.
    #[must_use]
    pub fn channels(&self) -> BTreeMap<String, Arc<Counted>> {
        let all = self.0.lock();
        all.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn of(&self, channel: &str) -> Arc<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(channel.to_owned()).or_default())
    }
}

/// All workers.
pub struct Couriers {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

impl Couriers {
    /// Starts one for each channel that something is sent to.
    pub fn start<O: Outbox>(channels: &[Channel], outbox: &Arc<O>, seams: &Seams) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut couriers = Self {
            stop,
            workers: JoinSet::new(),
        };
        let sent_to = channels
            .iter()
            .filter(|channel| channel.kind() != ChannelKind::Mqtt);
        for (channel, ordinal) in sent_to.zip(0..) {
            let worker = Worker {
                name: channel.name.clone(),
                outbox: Arc::clone(outbox),
                carrier: Sender::new(channel.clone(), seams.days.clone()),
                dice: StdRng::seed_from_u64(seams.seed.wrapping_add(ordinal)),
                seams: seams.clone(),
                rounds: Rounds::default(),
                unnoted: BTreeSet::new(),
                meant: None,
                counted: seams.tally.of(&channel.name),
            };
            couriers.workers.spawn(worker.run(stopping.clone()));
        }
        couriers
    }

    /// Lets each end what it is sending, for so long; what was not noted as sent by then is sent again after
    /// the next start, with the same key.
    pub async fn shutdown(mut self, within: Duration) {
        self.stop.send_replace(true);
        let ending = async {
            while let Some(ended) = self.workers.join_next().await {
                if ended.is_err() {
                    tracing::error!("an alert channel's worker failed for a fault of our own");
                }
            }
        };
        if timeout(within, ending).await.is_err() {
            tracing::warn!("a message was on its way when the gateway stopped: it may come twice");
        }
    }
}

struct Worker<O, C> {
    name: String,
    outbox: Arc<O>,
    carrier: C,
    seams: Seams,
    rounds: Rounds,
    /// Sent, and not noted as sent: the outbox could not be written.
    unnoted: BTreeSet<u64>,
    /// What the outbox says was meant as one message, as far as it waits; `None`: it was not asked yet.
    meant: Option<Vec<u64>>,
    dice: StdRng,
    counted: Arc<Counted>,
}

impl<O: Outbox, C: Carrier> Worker<O, C> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let outbox = Arc::clone(&self.outbox);
        loop {
            // It listens before it looks: what comes in between is not missed.
            let mut more = pin!(outbox.more().fuse());
            let _came_already = poll_immediate(more.as_mut()).await;
            let next = match self.waiting().await {
                Ok(waiting) => {
                    let oldest = waiting.first().map(|notice| notice.seq);
                    let next = self.rounds.next(waiting, Instant::now());
                    if let Next::Send(notices) = &next {
                        self.mean(notices, oldest).await;
                    }
                    next
                }
                Err(error) => {
                    tracing::warn!(
                        channel = self.name,
                        "cannot read which alerts wait: {error}; they are looked for again in 10 s"
                    );
                    Next::Wait(Instant::now() + READ_AGAIN)
                }
            };
            match next {
                Next::Send(notices) => {
                    if *stop.borrow() {
                        return;
                    }
                    self.send(notices).await;
                }
                Next::Wait(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = stopped(&mut stop) => return,
                },
                Next::Rest => tokio::select! {
                    () = more => {}
                    () = sleep(LOOK_AGAIN) => {}
                    () = stopped(&mut stop) => return,
                },
            }
        }
    }

    /// What waits and is worth being told, oldest first.
    async fn waiting(&mut self) -> Result<Vec<Notice>, O::Error> {
        if !self.unnoted.is_empty() {
            self.note(Vec::new()).await;
        }
        let reach = self.rounds.reach() + self.unnoted.len();
        let mut waiting = self.outbox.waiting(&self.name, reach)?;
        waiting.retain(|notice| !self.unnoted.contains(&notice.seq));
        let now_ms = self.seams.clock.wall_ms();
        let (fresh, old): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|notice| age(notice, now_ms) == Age::Fresh);
        if !old.is_empty() {
            self.give_up(&old).await;
        }
        if self.meant.is_none() {
            let mut meant = self.outbox.meant(&self.name)?;
            meant.retain(|seq| fresh.iter().any(|notice| notice.seq == *seq));
            self.rounds.resume(&meant, &fresh);
            self.meant = Some(meant);
        }
        Ok(fresh)
    }

    async fn give_up(&mut self, old: &[Notice]) {
        for notice in old {
            tracing::error!(
                channel = self.name,
                alert = %notice.alert.claim.id,
                "an alert did not reach the channel within 24 h and is given up: `sluice alerts` still shows it"
            );
        }
        self.counted
            .expired
            .fetch_add(old.len() as u64, Ordering::Relaxed);
        self.note(old.iter().map(|notice| notice.seq).collect())
            .await;
    }

    /// Says which notices are one message before it is sent, so that it has the same key after a kill. Of the oldest
    /// alone that is known without a word: the first alert of a quiet channel waits for no disk.
    async fn mean(&mut self, notices: &[Notice], oldest: Option<u64>) {
        let seqs: Vec<u64> = notices.iter().map(|notice| notice.seq).collect();
        let meant = self.meant.get_or_insert_default();
        let is_known = if meant.is_empty() {
            seqs.len() == 1 && seqs.first().copied() == oldest
        } else {
            *meant == seqs
        };
        if is_known {
            return;
        }
        match self.outbox.mean(&self.name, &seqs).await {
            Ok(()) => *meant = seqs,
            Err(error) => tracing::warn!(
                channel = self.name,
                "cannot note which alerts are one message ({}): they may come twice if the gateway stops now",
                in_words(&error)
            ),
        }
    }

    async fn send(&mut self, notices: Vec<Notice>) {
        let bundle = Bundle::new(notices.clone(), self.seams.house.clone());
        let began = Instant::now();
        let sent = self.carrier.carry(&bundle).await;
        match sent {
            Ok(reply) => {
                tracing::info!(
                    channel = self.name,
                    key = bundle.key(),
                    notices = notices.len(),
                    answer = reply.words,
                    "alert sent"
                );
                self.counted
                    .sent
                    .fetch_add(notices.len() as u64, Ordering::Relaxed);
                let turn = self.rounds.delivered(began);
                self.turned(turn, "");
                self.note(notices.iter().map(|notice| notice.seq).collect())
                    .await;
            }
            Err(failure) => {
                tracing::warn!(
                    channel = self.name,
                    key = bundle.key(),
                    "an alert was not sent, and is tried again: {}",
                    failure.text
                );
                self.counted.failed.fetch_add(1, Ordering::Relaxed);
                let draw = self.dice.random();
                let turn = self.rounds.failed(&notices, &failure, Instant::now(), draw);
                self.turned(turn, &failure.text);
            }
        }
    }

    fn turned(&self, turn: Turn, text: &str) {
        let failing = match turn {
            Turn::None => return,
            Turn::Working => None,
            Turn::Failing => {
                let since = self.rounds.failing_since();
                let lasted = since.map_or(Duration::ZERO, |since| since.elapsed());
                let lasted_ms = i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX);
                Some(Failing {
                    since_ms: self.seams.clock.wall_ms().saturating_sub(lasted_ms),
                    text: text.to_owned(),
                })
            }
        };
        (self.seams.turned)(&self.name, failing);
    }

    /// Notes that these need not be sent any more, and those that could not be noted before.
    async fn note(&mut self, seqs: Vec<u64>) {
        self.unnoted.extend(seqs);
        while self.unnoted.len() > UNNOTED_MOST {
            self.unnoted.pop_first();
        }
        let all: Vec<u64> = self.unnoted.iter().copied().collect();
        match self.outbox.sent(&self.name, &all).await {
            Ok(()) => {
                let meant = self.meant.get_or_insert_default();
                meant.retain(|seq| !all.contains(seq));
                self.unnoted.clear();
            }
            Err(error) => tracing::warn!(
                channel = self.name,
                "cannot note which alerts were sent ({}): they are sent again if the gateway stops now",
                in_words(&error)
            ),
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left to stop it: that is the end, too.
    drop(stop.wait_for(|stop| *stop).await);
}

#[cfg(test)]
mod tests;
