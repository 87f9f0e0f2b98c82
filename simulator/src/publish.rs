//! Publishing a scenario over MQTT, at the pace of its own clock or as fast as the broker takes it.
//!
//! Homes are dealt out to the clients, so each home's readings stay in order. Above `QoS` 0 nothing is
//! given up: when the connection is lost the client comes back, and what was not acknowledged goes out
//! again. [`run`] returns when every message has been acknowledged.

pub(crate) mod link;
mod options;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fleet::Fleet;
pub use crate::packet::Qos;
use crate::scenario::{Readings, Scenario};
pub use options::{Broker, INFLIGHT_MAX, Login, Options, Speed};

use link::{Identity, Link, LinkError};

/// How often a progress callback is called.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Messages sent.
    pub published: u64,
    /// Messages acknowledged for good (at `QoS` 0: written).
    pub acknowledged: u64,
    /// Messages in all.
    pub total: u64,
    /// Simulated time of the newest message sent, ms UTC.
    pub at_ms: i64,
    /// How often a lost broker was found again.
    pub reconnects: u64,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Messages sent and acknowledged (at `QoS` 0: sent).
    pub messages: u64,
    /// From the first connection until the last acknowledgement.
    pub elapsed: Duration,
    /// How often a lost broker was found again.
    pub reconnects: u64,
}

/// Why a run was given up.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The options contradict the scenario.
    #[error(
        "{clients} clients for {homes} homes: at most one a home, so that each home's readings stay in order"
    )]
    TooManyClients {
        /// As asked.
        clients: u32,
        /// As there are.
        homes: u32,
    },
    /// It was never there.
    #[error("cannot reach the broker at {broker}")]
    Unreachable {
        /// Its address.
        broker: Broker,
        /// What happened.
        source: io::Error,
    },
    /// It said no.
    #[error("the broker at {broker} refused the connection: {why}")]
    Refused {
        /// Its address.
        broker: Broker,
        /// What the return code means.
        why: &'static str,
    },
    /// The connection ended in the middle of a run that cannot take it up again.
    #[error("the connection to the broker at {broker} broke; nothing was measured")]
    Broken {
        /// Its address.
        broker: Broker,
        /// What happened.
        source: io::Error,
    },
    /// It was there and did not come back.
    #[error("lost the broker at {broker} for more than {} s", patience.as_secs())]
    Lost {
        /// Its address.
        broker: Broker,
        /// How long it was called.
        patience: Duration,
        /// What happened last.
        source: io::Error,
    },
    /// It speaks something else.
    #[error("the broker at {broker} does not keep to MQTT 3.1.1: {what}")]
    Protocol {
        /// Its address.
        broker: Broker,
        /// What it did.
        what: String,
    },
}

/// Publishes the scenario, and says every tenth of a second how far it is. Dropping the future stops
/// the run.
///
/// # Errors
/// When the broker cannot be reached at first, refuses, breaks the protocol, or stays away for longer
/// than `options.patience`.
pub async fn run(
    scenario: &Scenario,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<Report, PublishError> {
    if options.clients > scenario.homes {
        return Err(PublishError::TooManyClients {
            clients: options.clients,
            homes: scenario.homes,
        });
    }
    let board = Arc::new(Board::new(scenario));
    let fleet = scenario.fleet();
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..options.clients.max(1) {
        let client = Client {
            identity: Identity::new(options, number),
            readings: scenario.share(number, options.clients.max(1)),
            fleet: fleet.clone(),
            pace: Pace {
                began,
                start_ms: scenario.start_ms(),
                speed: options.speed,
            },
            board: Arc::clone(&board),
            qos: options.qos,
            inflight: options.inflight.clamp(1, INFLIGHT_MAX),
            patience: options.patience,
        };
        clients.spawn(client.run());
    }
    let mut ticker = tokio::time::interval(PROGRESS_EVERY);
    loop {
        tokio::select! {
            joined = clients.join_next() => match joined {
                Some(outcome) => outcome.expect("a client is not cancelled and does not panic")?,
                None => break,
            },
            _ = ticker.tick() => progress(board.progress()),
        }
    }
    progress(board.progress());
    Ok(Report {
        messages: board.progress().acknowledged,
        elapsed: began.elapsed(),
        reconnects: board.progress().reconnects,
    })
}

impl Report {
    /// Acknowledged messages a second.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate for people, of fewer than 2^53 messages"
    )]
    pub fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Where the clients write how far they are.
#[derive(Debug)]
struct Board {
    published: AtomicU64,
    acknowledged: AtomicU64,
    reconnects: AtomicU64,
    at_ms: AtomicI64,
    total: u64,
}

impl Board {
    fn new(scenario: &Scenario) -> Self {
        Self {
            published: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            at_ms: AtomicI64::new(scenario.start_ms()),
            total: scenario.total(),
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            published: self.published.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            total: self.total,
            at_ms: self.at_ms.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
        }
    }
}

/// When a reading is due.
#[derive(Clone, Copy, Debug)]
struct Pace {
    began: Instant,
    start_ms: i64,
    speed: Speed,
}

impl Pace {
    /// `None`: at once.
    #[expect(clippy::cast_precision_loss, reason = "a century of ms is below 2^53")]
    fn due(&self, at_ms: i64) -> Option<Instant> {
        match self.speed {
            Speed::Max => None,
            Speed::Times(factor) => {
                let simulated_s = (at_ms - self.start_ms).max(0) as f64 / 1000.0;
                // A pace so slow that its end cannot be told is never due.
                let wait =
                    Duration::try_from_secs_f64(simulated_s / factor).unwrap_or(Duration::MAX);
                Some(
                    self.began
                        .checked_add(wait)
                        .unwrap_or_else(|| self.began + FAR_FUTURE),
                )
            }
        }
    }
}

/// Longer than any run, and short enough for any clock.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 86_400);

struct Client {
    identity: Identity,
    readings: Readings,
    fleet: Fleet,
    pace: Pace,
    board: Arc<Board>,
    qos: Qos,
    inflight: u16,
    patience: Duration,
}

impl Client {
    async fn run(self) -> Result<(), PublishError> {
        let identity = self.identity;
        let mut outbox = link::Outbox::new(
            self.readings,
            self.fleet,
            self.pace,
            Arc::clone(&self.board),
            self.qos,
            self.inflight,
        );
        let mut link = match Link::open(&identity).await {
            Ok(link) => link,
            Err(LinkError::Io(source)) => {
                let broker = identity.broker;
                return Err(PublishError::Unreachable { broker, source });
            }
            Err(other) => return Err(other.give_up(&identity)),
        };
        let mut trouble = Trouble::default();
        loop {
            let opened = Instant::now();
            let before = outbox.acknowledged();
            match link.drive(&mut outbox).await {
                Ok(()) => break,
                Err(LinkError::Io(lost)) => {
                    // A broker may wait for our end to close before it takes us back.
                    drop(link);
                    if outbox.acknowledged() > before || opened.elapsed() > self.patience {
                        trouble = Trouble::default();
                    }
                    link = trouble.reopen(&identity, self.patience, lost).await?;
                    self.board.reconnects.fetch_add(1, Ordering::Relaxed);
                    outbox.resume();
                }
                Err(other) => return Err(other.give_up(&identity)),
            }
        }
        link.close(&identity).await;
        Ok(())
    }
}

/// How long the broker has been of no use: away, or there and gone again without acknowledging
/// anything.
#[derive(Debug, Default)]
struct Trouble {
    since: Option<Instant>,
}

impl Trouble {
    async fn reopen(
        &mut self,
        identity: &Identity,
        patience: Duration,
        mut lost: io::Error,
    ) -> Result<Link, PublishError> {
        const FIRST_WAIT: Duration = Duration::from_millis(50);
        const LONGEST_WAIT: Duration = Duration::from_secs(2);
        let since = *self.since.get_or_insert_with(Instant::now);
        let mut wait = FIRST_WAIT;
        while since.elapsed() < patience {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            match Link::open(identity).await {
                Ok(link) => return Ok(link),
                Err(LinkError::Io(error)) => lost = error,
                Err(other) => return Err(other.give_up(identity)),
            }
        }
        Err(PublishError::Lost {
            broker: identity.broker.clone(),
            patience,
            source: lost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_seeds_pace_a_quarter_hour_takes_a_second() {
        let began = Instant::now();
        let pace = Pace {
            began,
            start_ms: 0,
            speed: Speed::SEED,
        };
        assert_eq!(pace.due(900_000), Some(began + Duration::from_secs(1)));
    }

    #[test]
    fn a_pace_without_end_is_far_away_and_not_a_panic() {
        let began = Instant::now();
        let pace = Pace {
            began,
            start_ms: 0,
            speed: Speed::Times(1e-300),
        };
        assert!(pace.due(900_000) > Some(began + Duration::from_secs(86_400)));
    }
}
