//! Alerts and notices that are said from memory while the store takes nothing: a full disk must reach the
//! phone.
//!
//! Such a notice has a number of its own, above all that the journal gives, and the key that it will have
//! there. Once the store takes it, what was sent meanwhile is not sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Alert, AlertId, Notice, What};

/// Numbers from here on are of notices that are in no journal.
const FIRST: u64 = 1 << 63;
/// Notices kept in memory at most; the oldest go.
const MOST: usize = 256;

/// Whether a notice of this number is in no journal.
#[must_use]
pub const fn is_volatile(seq: u64) -> bool {
    seq >= FIRST
}

/// What a notice is, whatever its number: alert, episode, place in it, what happened.
type Key = (AlertId, u32, u32, What);

/// What is said from memory.
#[derive(Debug, Default)]
pub struct Volatile(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    alerts: BTreeMap<AlertId, Alert>,
    /// Each for its channel, under the number that the journal would have given it.
    waiting: Vec<(String, Notice)>,
    sent: BTreeSet<(String, Key)>,
    /// The number that the journal gave in the end.
    numbers: BTreeMap<u64, u64>,
}

impl Volatile {
    /// Whether anything is said from memory.
    #[must_use]
    pub fn speaks(&self) -> bool {
        !self.lock().alerts.is_empty()
    }

    /// The alerts that are not on disk as they are now.
    pub fn alerts(&self) -> BTreeMap<AlertId, Alert> {
        self.lock().alerts.clone()
    }

    /// These alerts are not on disk as they are, nor these notices for these channels.
    pub fn set(&self, alerts: Vec<Alert>, notices: &[Notice], outbox: &[(String, u64)]) {
        let mut said = self.lock();
        said.numbers.clear();
        said.alerts = alerts
            .into_iter()
            .map(|alert| (alert.claim.id.clone(), alert))
            .collect();
        let beyond = outbox.len().saturating_sub(MOST);
        said.waiting = outbox[beyond..]
            .iter()
            .filter_map(|(channel, seq)| {
                let notice = notices.iter().find(|notice| notice.seq == *seq)?;
                Some((channel.clone(), notice.clone()))
            })
            .collect();
    }

    /// Everything is on disk, each notice under the number that `numbers` has for the one it had here.
    pub fn settle(&self, numbers: BTreeMap<u64, u64>) {
        *self.lock() = Said {
            numbers,
            ..Said::default()
        };
    }

    /// Whether this notice was sent to this channel from memory.
    #[must_use]
    pub fn was_sent(&self, channel: &str, notice: &Notice) -> bool {
        self.lock().was_sent(channel, notice)
    }

    /// What waits for a channel here, oldest first.
    #[must_use]
    pub fn waiting(&self, channel: &str, most: usize) -> Vec<Notice> {
        let said = self.lock();
        let waits = said.waiting.iter();
        let waits = waits.filter(|(to, notice)| to == channel && !said.was_sent(to, notice));
        let notices = waits.take(most).map(|(_, notice)| Notice {
            seq: FIRST | notice.seq,
            ..notice.clone()
        });
        notices.collect()
    }

    /// Notes what was sent from memory; says which of these are in the journal by now, under their
    /// numbers there.
    #[must_use]
    pub fn sent(&self, channel: &str, seqs: &[u64]) -> Vec<u64> {
        let mut said = self.lock();
        let mut kept = Vec::new();
        for seq in seqs {
            if is_volatile(*seq) {
                let seq = seq & !FIRST;
                let held = said.waiting.iter().find(|(_, notice)| notice.seq == seq);
                if let Some(key) = held.map(|(_, notice)| key(notice)) {
                    said.sent.insert((channel.to_owned(), key));
                }
                kept.extend(said.numbers.get(&seq).copied());
            } else {
                kept.push(*seq);
            }
        }
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn was_sent(&self, channel: &str, notice: &Notice) -> bool {
        self.sent.contains(&(channel.to_owned(), key(notice)))
    }
}

fn key(notice: &Notice) -> Key {
    let alert = &notice.alert;
    (
        alert.claim.id.clone(),
        alert.episode,
        alert.notices,
        notice.what,
    )
}
