//! What no store can tell: how the daemon itself is doing.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};

use crate::alert::{Alert, AlertId};
use crate::ingest::{AlertsSeen, IngestStats, Standing};
use crate::notify::Tally;
use crate::rows::{BrokerStatus, ChannelCounts};
use crate::watch::Night;
use crate::web::reading::Readiness;

/// For so long after its noon a night is the last one: a day, and what the next one's readings take to come.
const NIGHT_HOLDS_MS: i64 = 26 * 3_600_000;

/// What only the running daemon knows, told by those who see it happen.
pub struct Vitals {
    /// Commits since the start.
    pub commits: AtomicU64,
    ingest: Arc<IngestStats>,
    /// How the store stands.
    standing: RwLock<Standing>,
    /// What is said from memory while the store takes nothing, and what fell out of the outbox.
    alerts: Option<AlertsSeen>,
    /// What the channels' couriers count.
    tally: Tally,
    /// Sensors' last nights.
    nights: RwLock<BTreeMap<String, Night>>,
    broker: Box<dyn Fn() -> BrokerStatus + Send + Sync>,
    not_ready: RwLock<Option<String>>,
}

impl Vitals {
    /// Those of a daemon before anything listens; `broker` tells how the broker is doing.
    #[must_use]
    pub fn starting(broker: impl Fn() -> BrokerStatus + Send + Sync + 'static) -> Self {
        Self {
            commits: AtomicU64::new(0),
            ingest: Arc::default(),
            standing: RwLock::default(),
            alerts: None,
            tally: Tally::default(),
            nights: RwLock::default(),
            broker: Box::new(broker),
            not_ready: RwLock::new(Some("the daemon is starting".to_owned())),
        }
    }

    /// Those of a daemon that is stopped: its store is read, and nothing else is there.
    #[must_use]
    pub fn stopped() -> Self {
        Self::starting(BrokerStatus::default)
    }

    /// The same, with what the writer counts.
    #[must_use]
    pub fn counting(mut self, ingest: Arc<IngestStats>) -> Self {
        self.ingest = ingest;
        self
    }

    /// The same, with what the writer says of its alerts.
    #[must_use]
    pub fn seeing(mut self, alerts: AlertsSeen) -> Self {
        self.alerts = Some(alerts);
        self
    }

    /// The same, with what couriers count.
    #[must_use]
    pub fn sending(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self
    }

    /// What became of notices since the start, by channel.
    pub(super) fn channels(&self) -> BTreeMap<String, ChannelCounts> {
        let all = self.tally.channels().into_iter();
        let counts = all.map(|(channel, counted)| {
            let counts = ChannelCounts {
                sent: counted.sent(),
                expired: counted.expired(),
                failures: counted.failed(),
            };
            (channel, counts)
        });
        counts.collect()
    }

    /// Alerts that are not on disk as they are now.
    pub(super) fn unwritten(&self) -> BTreeMap<AlertId, Alert> {
        let seen = self.alerts.as_ref();
        seen.map_or_else(BTreeMap::new, |seen| seen.volatile.alerts())
    }

    /// Notices that fell out of an outbox since the start.
    pub(super) fn dropped_notices(&self) -> u64 {
        let seen = self.alerts.as_ref();
        seen.map_or(0, |seen| seen.dropped.load(Relaxed))
    }

    /// Says what is known of sensors' last nights, or not any more.
    pub fn set_nights(&self, news: Vec<(String, Option<Night>)>) {
        let mut nights = self.nights.write().unwrap_or_else(PoisonError::into_inner);
        for (sensor, night) in news {
            match night {
                Some(night) => nights.insert(sensor, night),
                None => nights.remove(&sensor),
            };
        }
    }

    /// What is known of a sensor's last night at a site time, ms UTC.
    pub(super) fn night(&self, sensor: &str, now_ms: i64) -> Option<String> {
        let nights = self.nights.read().unwrap_or_else(PoisonError::into_inner);
        let night = nights.get(sensor)?;
        (now_ms < night.until_ms.saturating_add(NIGHT_HOLDS_MS)).then(|| night.text.clone())
    }

    /// Says how the store stands.
    pub fn set_standing(&self, standing: Standing) {
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// How the store stands.
    pub fn standing(&self) -> Standing {
        let standing = self.standing.read();
        standing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the daemon can do its work from now on.
    pub fn set_ready(&self) {
        *self
            .not_ready
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says why it no longer can.
    pub fn set_not_ready(&self, why: impl Into<String>) {
        *self
            .not_ready
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    pub(super) fn failures(&self) -> u64 {
        self.ingest.failures.load(Relaxed)
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }

    pub(super) fn broker(&self) -> BrokerStatus {
        (self.broker)()
    }

    pub(super) fn readiness(&self) -> Readiness {
        let why = self
            .not_ready
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let why = why.or_else(|| self.standing().refusal());
        why.map_or(Readiness::Ready, Readiness::NotReady)
    }
}
