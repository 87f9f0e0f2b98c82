//! The only reader of clocks. Everything else takes the time as an argument, so that tests and
//! replays can say what time it is. It never sets a clock and never decides what a time means for a
//! reading.
//!
//! Many small machines wake up in 1970, or at the time at which they were last switched off, and
//! learn the time later or never. So a wall clock is believed only where something speaks for it:
//! [`Because`] says what.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the machine's clocks are read"
)]

mod machine;
mod pace;
mod trust;

pub use pace::{Beat, Pace};
pub use trust::{Because, Keeper, Trust, TrustRule};

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use trust::Evidence;

/// Tells one start of the machine from any other: uptimes of one boot can be compared, also after
/// the daemon was started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub u128);

/// A wall clock and a monotonic clock. Clones read the same clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    hands: Hands,
    standing: Arc<Standing>,
}

#[derive(Clone, Debug)]
enum Hands {
    Machine {
        started: Instant,
        boot: BootId,
        keeper: Keeper,
    },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
    uptime_ms: AtomicU64,
    boots: AtomicU8,
    /// What a test says of the clock, whatever else speaks for it.
    verdict: Mutex<Option<Trust>>,
}

/// What was learned of the clock.
#[derive(Debug)]
struct Standing {
    rule: Mutex<TrustRule>,
    /// The newest trusted time of the store; `i64::MIN`: none.
    floor_ms: AtomicI64,
    synchronised: AtomicBool,
    was_set: AtomicBool,
    jumps: AtomicU64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            rule: Mutex::default(),
            floor_ms: AtomicI64::new(i64::MIN),
            synchronised: AtomicBool::new(false),
            was_set: AtomicBool::new(false),
            jumps: AtomicU64::new(0),
        }
    }
}

impl Clock {
    /// The machine's clocks; the monotonic one starts at zero now.
    #[must_use]
    pub fn machine() -> Self {
        let wall_ms = wall_ms();
        let clock = Self {
            hands: Hands::Machine {
                started: Instant::now(),
                // Without a boot's number this run's own: what waits from another is estimated.
                boot: BootId(machine::boot_id().unwrap_or(wall_ms.unsigned_abs().into())),
                keeper: machine::keeper(wall_ms),
            },
            standing: Arc::default(),
        };
        let known = machine::is_known_to_be_synchronised();
        clock.standing.synchronised.store(known, Ordering::Release);
        clock
    }

    /// A clock that stands still until it is moved, for tests and simulations. It is kept by a host.
    #[must_use]
    pub fn manual(wall_ms: i64) -> (Self, ManualClock) {
        let hands = Arc::new(Manual {
            wall_ms: AtomicI64::new(wall_ms),
            monotonic_ms: AtomicU64::new(0),
            uptime_ms: AtomicU64::new(0),
            boots: AtomicU8::new(0),
            verdict: Mutex::default(),
        });
        let clock = Self {
            hands: Hands::Manual(Arc::clone(&hands)),
            standing: Arc::default(),
        };
        (clock, ManualClock(hands))
    }

    /// The wall clock in epoch milliseconds, UTC. It may jump in either direction; before 1970 it
    /// is negative.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match &self.hands {
            Hands::Machine { .. } => wall_ms(),
            Hands::Manual(manual) => manual.wall_ms.load(Ordering::Acquire),
        }
    }

    /// Milliseconds since this clock was made; never goes back.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        match &self.hands {
            Hands::Machine { started, .. } => {
                u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
            }
            Hands::Manual(manual) => manual.monotonic_ms.load(Ordering::Acquire),
        }
    }

    /// Milliseconds since the machine started, those that it slept through too; never goes back.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        match &self.hands {
            Hands::Machine { .. } => {
                let up = clock_gettime(ClockId::Boottime);
                let ms = up.tv_sec * 1000 + up.tv_nsec / 1_000_000;
                u64::try_from(ms).unwrap_or(0)
            }
            Hands::Manual(manual) => manual.uptime_ms.load(Ordering::Acquire),
        }
    }

    /// Which start of the machine this is.
    #[must_use]
    pub fn boot(&self) -> BootId {
        match &self.hands {
            Hands::Machine { boot, .. } => *boot,
            Hands::Manual(manual) => BootId(manual.boots.load(Ordering::Acquire).into()),
        }
    }

    /// Says whose word counts from now on.
    pub fn go_by(&self, rule: TrustRule) {
        let known = self.standing.rule.lock();
        *known.unwrap_or_else(PoisonError::into_inner) = rule;
    }

    /// Says what time it has been already: a clock that shows less has been set back, or was not set.
    pub fn not_before(&self, floor_ms: i64) {
        self.standing.floor_ms.fetch_max(floor_ms, Ordering::AcqRel);
    }

    /// Notes that the wall clock was seen to jump.
    pub fn note_jump(&self) {
        self.standing.was_set.store(true, Ordering::Release);
        self.standing.jumps.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the wall clock was seen to jump since this clock was made.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.standing.jumps.load(Ordering::Acquire)
    }

    /// Asks the machine's time service until it has said yes once; whether it has. Waits for other
    /// processes: not for a thread that must not.
    #[must_use]
    pub fn ask_time_service(&self) -> bool {
        let standing = &self.standing;
        if standing.synchronised.load(Ordering::Acquire) {
            return true;
        }
        let says_so = match &self.hands {
            Hands::Machine { .. } => machine::is_synchronised(),
            Hands::Manual(_) => false,
        };
        standing.synchronised.store(says_so, Ordering::Release);
        says_so
    }

    /// Whether the wall clock is trusted, and why. Costs no more than to read it.
    #[must_use]
    pub fn because(&self) -> Because {
        let keeper = match &self.hands {
            Hands::Machine { keeper, .. } => *keeper,
            Hands::Manual(manual) => {
                let verdict = manual.verdict.lock();
                match *verdict.unwrap_or_else(PoisonError::into_inner) {
                    Some(Trust::Synchronised) => return Because::TimeService,
                    Some(Trust::Unknown) => return Because::Stopped,
                    None => Keeper::Host,
                }
            }
        };
        let standing = &self.standing;
        let rule = *standing.rule.lock().unwrap_or_else(PoisonError::into_inner);
        let floor_ms = standing.floor_ms.load(Ordering::Acquire);
        let known = Evidence {
            wall_ms: self.wall_ms(),
            floor_ms: (floor_ms > i64::MIN).then_some(floor_ms),
            synchronised: standing.synchronised.load(Ordering::Acquire),
            was_set: standing.was_set.load(Ordering::Acquire),
            keeper,
        };
        trust::judge(rule, &known)
    }

    /// Whether the wall clock is trusted.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.because().trust()
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

fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

impl ManualClock {
    /// Lets `ms` milliseconds pass on all clocks.
    pub fn advance(&self, ms: u32) {
        self.0.wall_ms.fetch_add(i64::from(ms), Ordering::AcqRel);
        for hand in [&self.0.monotonic_ms, &self.0.uptime_ms] {
            hand.fetch_add(u64::from(ms), Ordering::AcqRel);
        }
    }

    /// Sets the wall clock, as a time server would; the monotonic clocks do not move.
    pub fn set_wall(&self, wall_ms: i64) {
        self.0.wall_ms.store(wall_ms, Ordering::Release);
    }

    /// Says whether the clock is trusted, whatever it shows; `None`: as it shows.
    pub fn set_trust(&self, trust: Option<Trust>) {
        let verdict = self.0.verdict.lock();
        *verdict.unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// Starts the machine anew, with the wall clock at `wall_ms`.
    pub fn reboot(&self, wall_ms: i64) {
        self.0.boots.fetch_add(1, Ordering::AcqRel);
        self.0.uptime_ms.store(0, Ordering::Release);
        self.set_wall(wall_ms);
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
    fn a_clock_behind_what_is_known_is_not_trusted_until_it_is_seen_to_be_set() {
        let (clock, _hand) = Clock::manual(1_790_000_000_000);
        clock.not_before(1_800_000_000_000);
        assert_eq!(
            clock.because(),
            Because::Behind {
                by_ms: 10_000_000_000
            }
        );
        clock.note_jump();
        assert_eq!(clock.because(), Because::WasSet);
    }

    #[test]
    fn the_machine_clock_runs() {
        let clock = Clock::machine();
        assert!(clock.wall_ms() > 0);
        assert!(clock.monotonic_ms() < 60_000);
        assert!(clock.uptime_ms() > 0);
        assert_eq!(clock.boot(), Clock::machine().boot());
    }
}
