//! When to try the far broker again. Pure: chance is an argument, and no clock is read.

use std::time::Duration;

/// The longest first pause.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause of all.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// A connection that lasted so long was a good one: the next trouble is a new one.
const STEADY: Duration = Duration::from_secs(60);

/// How soon trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It may pass by itself: a restart, a cable.
    Soon,
    /// Somebody must change something: it is tried at the slow end, so that the far broker's log stays
    /// readable and it does not lock us out.
    Slow,
}

/// Pauses that double.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Pauses since the last good connection.
    pauses: u32,
}

impl Backoff {
    /// The pause after a connection that lasted `lasted` (zero: it never came to one). `draw` is chance
    /// in 0..1: half of the pause is drawn, so that a site's gateways do not all come at once.
    pub(super) fn after(&mut self, pace: Pace, lasted: Duration, draw: f64) -> Duration {
        if lasted >= STEADY {
            self.pauses = 0;
        }
        let doubled = SHORTEST.saturating_mul(1_u32.checked_shl(self.pauses).unwrap_or(u32::MAX));
        let ceiling = match pace {
            Pace::Soon => doubled.min(LONGEST),
            Pace::Slow => LONGEST,
        };
        self.pauses = self.pauses.saturating_add(1);
        let half = ceiling / 2;
        half + half.mul_f64(draw.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(backoff: &mut Backoff, pace: Pace, lasted: u64) -> u64 {
        let pause = backoff.after(pace, Duration::from_secs(lasted), 1.0);
        pause.as_secs()
    }

    #[test]
    fn pauses_double_to_a_minute_and_never_end() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..8)
            .map(|_| longest(&mut backoff, Pace::Soon, 0))
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        for _ in 0..100 {
            assert_eq!(longest(&mut backoff, Pace::Soon, 0), 60);
        }
    }

    #[test]
    fn half_of_a_pause_is_chance() {
        for (draw, expected) in [(0.0, 500), (0.5, 750), (1.0, 1000)] {
            let pause = Backoff::default().after(Pace::Soon, Duration::ZERO, draw);
            assert_eq!(pause, Duration::from_millis(expected));
        }
    }

    #[test]
    fn a_good_connection_makes_the_next_pause_short_and_a_brief_one_does_not() {
        let mut backoff = Backoff::default();
        assert_eq!(longest(&mut backoff, Pace::Soon, 0), 1);
        assert_eq!(longest(&mut backoff, Pace::Soon, 59), 2);
        assert_eq!(longest(&mut backoff, Pace::Soon, 60), 1);
    }

    #[test]
    fn what_only_people_can_mend_is_tried_once_a_minute() {
        assert_eq!(longest(&mut Backoff::default(), Pace::Slow, 0), 60);
    }
}
