//! The only reader of clocks. Everything else takes the time as an argument, so that tests and
//! replays can say what time it is. It never sets a clock and never decides what a time means for a
//! reading.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the machine's clocks are read"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// 2025-01-01T00:00:00Z in epoch milliseconds. A machine without a battery-backed clock wakes in
/// 1970 or at the date of its file system: a wall clock before this has certainly not been set.
const PLAUSIBLE_FROM_MS: i64 = 1_735_689_600_000;

/// Whether the wall clock may be used to judge readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The wall clock has been set.
    Synchronised,
    /// It has not been set, or nobody can say.
    Unknown,
}

/// A wall clock and a monotonic clock. Clones read the same clocks.
#[derive(Clone, Debug)]
pub struct Clock(Hands);

#[derive(Clone, Debug)]
enum Hands {
    Machine { started: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl Clock {
    /// The machine's clocks; the monotonic one starts at zero now.
    #[must_use]
    pub fn machine() -> Self {
        Self(Hands::Machine {
            started: Instant::now(),
        })
    }

    /// A clock that stands still until it is moved, for tests and simulations.
    #[must_use]
    pub fn manual(wall_ms: i64) -> (Self, ManualClock) {
        let hands = Arc::new(Manual {
            wall_ms: AtomicI64::new(wall_ms),
            monotonic_ms: AtomicU64::new(0),
        });
        (Self(Hands::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// The wall clock in epoch milliseconds, UTC. It may jump in either direction; before 1970 it
    /// is negative.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match &self.0 {
            Hands::Machine { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => {
                    i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms)
                }
            },
            Hands::Manual(manual) => manual.wall_ms.load(Ordering::Acquire),
        }
    }

    /// Milliseconds since this clock was made; never goes back.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        match &self.0 {
            Hands::Machine { started } => {
                u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
            }
            Hands::Manual(manual) => manual.monotonic_ms.load(Ordering::Acquire),
        }
    }

    /// Whether the wall clock has been set, as far as its own value tells.
    #[must_use]
    pub fn trust(&self) -> Trust {
        if self.wall_ms() >= PLAUSIBLE_FROM_MS {
            Trust::Synchronised
        } else {
            Trust::Unknown
        }
    }

    /// The wall clock in epoch milliseconds where it can be trusted.
    #[must_use]
    pub fn trusted_wall_ms(&self) -> Option<i64> {
        match self.trust() {
            Trust::Synchronised => Some(self.wall_ms()),
            Trust::Unknown => None,
        }
    }
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

impl ManualClock {
    /// Lets `ms` milliseconds pass on both clocks.
    pub fn advance(&self, ms: u32) {
        self.0.wall_ms.fetch_add(i64::from(ms), Ordering::AcqRel);
        self.0
            .monotonic_ms
            .fetch_add(u64::from(ms), Ordering::AcqRel);
    }

    /// Sets the wall clock, as a time server would; the monotonic clock does not move.
    pub fn set_wall(&self, wall_ms: i64) {
        self.0.wall_ms.store(wall_ms, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_1970_is_not_trusted_until_it_is_set() {
        let (clock, hand) = Clock::manual(5_000);
        assert_eq!(clock.trust(), Trust::Unknown);
        assert_eq!(clock.trusted_wall_ms(), None);
        hand.advance(250);
        hand.set_wall(1_800_000_000_000);
        assert_eq!(clock.trusted_wall_ms(), Some(1_800_000_000_000));
        assert_eq!(clock.monotonic_ms(), 250);
    }

    #[test]
    fn the_machine_clock_runs() {
        let clock = Clock::machine();
        assert!(clock.wall_ms() > 0);
        assert!(clock.monotonic_ms() < 60_000);
    }
}
