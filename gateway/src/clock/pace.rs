//! Tells a wall clock that was set from one that runs. Pure.

/// A wall clock that moves this much against the monotonic one between two looks was set. Time
/// services step by more and slew by less: a smeared leap second is 12 µs in a second.
const JUMP_MS: u64 = 1_000;

/// The wall clock less the monotonic one, as last seen.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    ahead_ms: i64,
}

/// What became of the wall clock since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Beat {
    /// It ran.
    Even,
    /// It was set.
    Jumped {
        /// Forward, or back where negative, in milliseconds.
        by_ms: i64,
    },
}

impl Pace {
    /// As the clocks are now, both in milliseconds.
    #[must_use]
    pub fn at(wall_ms: i64, uptime_ms: u64) -> Self {
        Self {
            ahead_ms: wall_ms.saturating_sub_unsigned(uptime_ms),
        }
    }

    /// Looks again.
    pub fn step(&mut self, wall_ms: i64, uptime_ms: u64) -> Beat {
        let now = Self::at(wall_ms, uptime_ms);
        let by_ms = now.ahead_ms.saturating_sub(self.ahead_ms);
        *self = now;
        if by_ms.unsigned_abs() >= JUMP_MS {
            Beat::Jumped { by_ms }
        } else {
            Beat::Even
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smeared_leap_second_is_no_jump() {
        let mut pace = Pace::at(1_780_315_200_000, 0);
        for second in 1..=86_400_u64 {
            let (uptime_ms, lost_us) = (second * 1000, second * 1_000_000 / 86_400);
            let wall_ms = 1_780_315_200_000 + (uptime_ms - lost_us / 1000).cast_signed();
            assert_eq!(pace.step(wall_ms, uptime_ms), Beat::Even, "{second}");
        }
    }

    #[test]
    fn a_step_of_a_second_either_way_is_one() {
        let mut pace = Pace::at(10_000, 0);
        assert_eq!(pace.step(11_999, 1_000), Beat::Even);
        assert_eq!(pace.step(14_000, 2_000), Beat::Jumped { by_ms: 1_001 });
        assert_eq!(pace.step(-86_000, 2_000), Beat::Jumped { by_ms: -100_000 });
        assert_eq!(pace.step(-85_000, 3_000), Beat::Even);
    }
}
