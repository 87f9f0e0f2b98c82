//! A fixed ring of samples between the sensor and the radio.
//!
//! While nothing can be sent the ring fills; then the oldest sample gives way to the newest, and is
//! counted. The count leaves with the next samples taken, which are the ones that come after the
//! gap: a loss is always known, and where it was.

use wire::Sample;

/// What adding a sample did. The ring itself counts what was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// There was room.
    All,
    /// The oldest sample gave way and was counted as lost.
    ButTheOldest,
}

/// At most `N` samples, and how many came before them and are gone.
#[derive(Clone, Debug)]
pub struct Ring<const N: usize> {
    samples: [Option<Sample>; N],
    oldest: usize,
    held: usize,
    lost: u32,
}

impl<const N: usize> Ring<N> {
    /// An empty ring. One without room does not compile.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0, "a ring holds at least one sample") };
        Self {
            samples: [None; N],
            oldest: 0,
            held: 0,
            lost: 0,
        }
    }

    /// Adds the newest sample.
    pub fn push(&mut self, sample: Sample) -> Kept {
        let place = (self.oldest + self.held) % N;
        let gone = self.samples[place].replace(sample);
        if gone.is_none() {
            self.held += 1;
            return Kept::All;
        }
        self.oldest = (self.oldest + 1) % N;
        self.lost = self.lost.saturating_add(1);
        Kept::ButTheOldest
    }

    /// Takes the oldest sample away.
    pub fn pop(&mut self) -> Option<Sample> {
        let sample = self.samples[self.oldest].take()?;
        self.oldest = (self.oldest + 1) % N;
        self.held -= 1;
        Some(sample)
    }

    /// The oldest sample, left where it is.
    #[must_use]
    pub fn oldest(&self) -> Option<&Sample> {
        self.samples[self.oldest].as_ref()
    }

    /// How many samples it holds.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many samples were lost before the oldest one, since this was last asked. At
    /// [`u32::MAX`] it is that many or more.
    #[must_use = "a loss that is taken and not told is silent"]
    pub fn take_lost(&mut self) -> u32 {
        core::mem::take(&mut self.lost)
    }

    /// Whether there is anything to tell: samples or a loss.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.held == 0 && self.lost == 0
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use wire::{Channel, Kind, Unit};

    use super::*;

    fn sample(mantissa: i64) -> Sample {
        let channel = Channel {
            id: 0,
            kind: Kind::Gauge,
            unit: Unit::None,
            decimals: 0,
        };
        Sample {
            channel,
            time_ms: 0,
            mantissa,
        }
    }

    fn drain<const N: usize>(ring: &mut Ring<N>) -> Vec<i64> {
        core::iter::from_fn(|| ring.pop())
            .map(|sample| sample.mantissa)
            .collect()
    }

    #[test]
    fn samples_leave_in_the_order_they_came() {
        let mut ring = Ring::<3>::new();
        for round in 0..5 {
            assert_eq!(ring.push(sample(round)), Kept::All);
            assert_eq!(ring.push(sample(-round)), Kept::All);
            assert_eq!(drain(&mut ring), [round, -round]);
        }
        assert!(ring.is_quiet());
    }

    #[test]
    fn a_full_ring_gives_up_its_oldest_and_counts_each() {
        let mut ring = Ring::<3>::new();
        let kept: Vec<Kept> = (0..5).map(|value| ring.push(sample(value))).collect();
        assert_eq!(
            kept[2..],
            [Kept::All, Kept::ButTheOldest, Kept::ButTheOldest]
        );
        assert_eq!((ring.held(), ring.take_lost(), ring.take_lost()), (3, 2, 0));
        assert_eq!(drain(&mut ring), [2, 3, 4]);
    }

    #[test]
    fn every_sample_is_held_taken_or_counted_as_lost() {
        let mut ring = Ring::<4>::new();
        let (mut taken, mut lost) = (0, 0);
        for value in 0..100 {
            ring.push(sample(value));
            if value % 7 < 4 {
                lost += ring.take_lost();
                taken += u32::from(ring.pop().is_some());
            }
        }
        let held = u32::try_from(ring.held()).expect("at most four");
        assert_eq!(taken + lost + ring.take_lost() + held, 100);
    }
}
