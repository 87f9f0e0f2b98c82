//! What is to be done later, in order of time, and a bell for the one who does it. It knows nothing of what
//! is done; what has become void is seen by its epoch.

use crate::broker::locked;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::Notify;

/// Where something stands on the agenda.
pub(super) type DueKey = (Instant, u64);

/// Two entries an absent client at most, and one more when its session ends early.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Mutex<BTreeMap<DueKey, Due>>,
    next_key: AtomicU64,
    changed: Notify,
}

#[derive(Debug)]
pub(super) struct Due {
    pub(super) client: Arc<str>,
    /// Of the absence that it belongs to.
    pub(super) epoch: u64,
    pub(super) what: DueWhat,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum DueWhat {
    Will,
    Expiry,
}

impl Agenda {
    pub(super) fn schedule(&self, at: Instant, due: Due) -> DueKey {
        let key = (at, self.next_key.fetch_add(1, Ordering::Relaxed));
        locked(&self.entries).insert(key, due);
        self.changed.notify_one();
        key
    }

    pub(super) fn take_back(&self, keys: &[DueKey]) {
        let mut entries = locked(&self.entries);
        for key in keys {
            entries.remove(key);
        }
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Instant> {
        locked(&self.entries)
            .first_key_value()
            .map(|((at, _), _)| *at)
    }

    /// The first thing that is due by `now`.
    pub(super) fn take(&self, now: Instant) -> Option<Due> {
        let mut entries = locked(&self.entries);
        let entry = entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Rings when something was added.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
