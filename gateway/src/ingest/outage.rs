//! While the store takes nothing: what is said of it, and when it is tried again.
//!
//! Decides, and does nothing: no disk, no clock.

use crate::store::{Failure, Level};

/// The first waiting between two tries; each failure in a row doubles it,
const RETRY_MS: u64 = 1_000;
/// up to this.
const RETRY_AT_MOST_MS: u64 = 32_000;

/// Whether readings are taken, and whether they will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are; the disk has so much room.
    Taking(Level),
    /// They are refused: the disk is full. They are taken again when there is so much room.
    Full {
        /// In bytes.
        needed_bytes: u64,
    },
    /// They are refused: the store cannot be written, for this reason. It is tried again.
    Failing(String),
}

impl Default for Standing {
    fn default() -> Self {
        Self::Taking(Level::Ample)
    }
}

impl Standing {
    /// What it is called.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Taking(Level::Ample) => "ok",
            Self::Taking(Level::Low) => "low",
            Self::Taking(Level::Scarce) => "scarce",
            Self::Full { .. } => "full",
            Self::Failing(_) => "failing",
        }
    }

    /// Why readings are refused, and what to do; `None` while they are taken.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Taking(_) => None,
            Self::Full { needed_bytes } => Some(format!(
                "the disk of the store is full: readings are refused unacknowledged, their senders keep them; \
                 delete files on that disk until {} MiB are free: readings are taken again without a restart; \
                 or write a shorter [store] retain_readings, and restart",
                needed_bytes.div_ceil(1 << 20)
            )),
            Self::Failing(why) => Some(format!(
                "the store cannot be written: readings are refused unacknowledged, their senders keep them; \
                 look at the disk, it is tried again by itself ({why})"
            )),
        }
    }
}

/// What is to be done next to end an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Open the store again, and the site out of it.
    Reopen,
    /// Fold the log and let retention make room within the file.
    MakeRoom,
    /// Ask the disk for room.
    AwaitRoom,
}

/// A time in which the store takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// What began it.
    pub(super) failure: Failure,
    pub(super) stage: Stage,
    /// Whether there was an attempt to make room: one is enough.
    pub(super) made_room: bool,
    retry_at_ms: u64,
}

impl Outage {
    /// One that begins with the `strikes`th failure in a row: the first is mended at once.
    pub(super) fn begin(failure: Failure, strikes: u32, now_ms: u64) -> Self {
        let waiting_ms = match strikes {
            0 | 1 => 0,
            more => RETRY_MS
                .saturating_mul(1 << (more - 2).min(16))
                .min(RETRY_AT_MOST_MS),
        };
        Self {
            failure,
            stage: Stage::Reopen,
            made_room: false,
            retry_at_ms: now_ms.saturating_add(waiting_ms),
        }
    }

    /// What follows when the store is open again.
    pub(super) fn opened(&mut self) -> Option<Stage> {
        self.stage = match (self.failure, self.made_room) {
            (Failure::DiskFull, false) => Stage::MakeRoom,
            (Failure::DiskFull, true) => Stage::AwaitRoom,
            (Failure::Damaged | Failure::Otherwise, _) => return None,
        };
        Some(self.stage)
    }

    /// Nothing has changed: another try later.
    pub(super) fn wait(&mut self, now_ms: u64) {
        self.retry_at_ms = now_ms.saturating_add(RETRY_MS);
    }

    /// How long until the next try.
    pub(super) fn wait_ms(&self, now_ms: u64) -> u64 {
        self.retry_at_ms.saturating_sub(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_mended_at_once_and_those_that_follow_ever_later() {
        let waits: Vec<u64> = (1..=9)
            .map(|strikes| Outage::begin(Failure::Otherwise, strikes, 5).wait_ms(5))
            .collect();
        assert_eq!(
            waits,
            [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 32_000, 32_000]
        );
        assert_eq!(
            Outage::begin(Failure::Otherwise, u32::MAX, 0).wait_ms(0),
            32_000
        );
    }

    #[test]
    fn room_is_made_once_and_then_awaited() {
        let mut outage = Outage::begin(Failure::DiskFull, 1, 0);
        assert_eq!(outage.opened(), Some(Stage::MakeRoom));
        outage.made_room = true;
        assert_eq!(outage.opened(), Some(Stage::AwaitRoom));
        assert_eq!(Outage::begin(Failure::Otherwise, 1, 0).opened(), None);
    }
}
