//! How long things may still live, over a restart too. An expiry is a deadline, not a span that begins
//! anew: what is left of it is stored together with the wall clock's time, and what has passed since is
//! taken off when it is read back. Where either of the two times cannot be trusted nothing is taken off:
//! better too late than lost.

use super::now;
use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// An instant on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// On the broker's own, which is monotonic and ends with the process.
    pub(crate) now: Instant,
    /// Epoch milliseconds, where the wall clock is trusted.
    pub(crate) wall_ms: Option<i64>,
}

impl Present {
    pub(crate) fn read(clock: &Clock) -> Self {
        Self {
            now: now(),
            wall_ms: clock.trusted_wall_ms(),
        }
    }
}

/// What is left of something, as of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remaining {
    left_ms: u64,
    as_of_ms: Option<i64>,
}

impl Remaining {
    /// Of what ends at `end`.
    pub(crate) fn until(end: Instant, present: Present) -> Self {
        Self::whole(end.saturating_duration_since(present.now), present.wall_ms)
    }

    /// Of what began at `as_of_ms` and lasts for `span`.
    pub(crate) fn whole(span: Duration, as_of_ms: Option<i64>) -> Self {
        Self {
            left_ms: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
            as_of_ms,
        }
    }

    /// What is left of it now; nothing when it is over.
    pub(crate) fn left(self, present: Present) -> Duration {
        let passed = match (self.as_of_ms, present.wall_ms) {
            // A wall clock that was set back gives nothing back.
            (Some(then), Some(now)) => u64::try_from(now.saturating_sub(then)).unwrap_or(0),
            (Some(_), None) | (None, Some(_) | None) => 0,
        };
        Duration::from_millis(self.left_ms.saturating_sub(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(wall_ms: Option<i64>) -> Present {
        Present {
            now: now(),
            wall_ms,
        }
    }

    #[test]
    fn what_has_passed_is_taken_off_where_both_times_are_trusted() {
        let stored = Remaining::whole(MINUTE, Some(1_000_000));
        for (then, left_s) in [
            (Some(1_000_000), 60),
            (Some(1_045_000), 15),
            (Some(1_060_000), 0),
            (Some(9_000_000), 0),
            (Some(999_000), 60),
            (None, 60),
        ] {
            assert_eq!(stored.left(at(then)), Duration::from_secs(left_s));
        }
        let unset = Remaining::whole(MINUTE, None);
        assert_eq!(unset.left(at(Some(9_000_000))), MINUTE);
    }

    #[test]
    fn a_deadline_on_the_monotonic_clock_is_what_is_left_until_it() {
        let present = at(Some(5));
        let stored = Remaining::until(present.now + MINUTE, present);
        assert_eq!(stored, Remaining::whole(MINUTE, Some(5)));
    }
}
