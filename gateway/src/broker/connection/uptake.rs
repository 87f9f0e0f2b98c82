//! Whether a client takes what it is sent. One that does not, or a byte at a time, would hold its mail and
//! its place for ever: keep-alive is no help against a client that has none, or that only talks.
//! Pure: it is told what was written and when, and reads no clock.

use crate::broker::limits::{STALLED_AFTER, TAKEN_AT_LEAST};
use std::time::Instant;

/// What a client has taken of what waits for it.
#[derive(Debug, Default)]
pub(super) struct Uptake {
    /// Since when something has been waiting, or since it was last enough.
    since: Option<Instant>,
    taken: usize,
}

/// How a client takes what it is sent.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes enough, or nothing waits.
    Moving,
    /// Less than [`TAKEN_AT_LEAST`] within [`STALLED_AFTER`].
    Stalled,
}

impl Uptake {
    /// What waits at `now`: nothing is the end of all waiting.
    pub(super) fn owes(&mut self, waiting: usize, now: Instant) {
        if waiting == 0 {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
            self.taken = 0;
        }
    }

    /// The socket has taken so many bytes.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// When to ask for a verdict.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + STALLED_AFTER)
    }

    pub(super) fn verdict(&mut self, now: Instant) -> Verdict {
        if self.due().is_none_or(|due| now < due) {
            return Verdict::Moving;
        }
        if self.taken < TAKEN_AT_LEAST {
            return Verdict::Stalled;
        }
        self.since = Some(now);
        self.taken = 0;
        Verdict::Moving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What is taken in each second while `waiting` bytes wait, and the second of the verdict.
    fn stalls_at(taken: impl Fn(u64) -> usize, waiting: impl Fn(u64) -> usize) -> Option<u64> {
        let start = crate::broker::now();
        let mut uptake = Uptake::default();
        (0..1000).find(|second| {
            let now = start + Duration::from_secs(*second);
            let due = uptake.due().is_some_and(|due| due <= now);
            let stalled = due && uptake.verdict(now) == Verdict::Stalled;
            uptake.owes(waiting(*second), now);
            uptake.took(taken(*second));
            stalled
        })
    }

    #[test]
    fn who_takes_nothing_stalls_after_a_minute_and_who_takes_a_byte_a_second_too() {
        assert_eq!(stalls_at(|_| 0, |_| 1), Some(60));
        assert_eq!(stalls_at(|_| 1, |_| 100_000), Some(60));
        let stops = |second| if second < 70 { 1000 } else { 0 };
        assert_eq!(stalls_at(stops, |_| 100_000), Some(180));
    }

    #[test]
    fn who_is_slow_but_steady_or_owed_nothing_does_not() {
        assert_eq!(stalls_at(|_| 18, |_| 100_000), None);
        assert_eq!(stalls_at(|_| 0, |_| 0), None);
        assert_eq!(
            stalls_at(|_| 1, |second| usize::from(second % 50 != 0)),
            None
        );
    }
}
