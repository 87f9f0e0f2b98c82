//! Chance, as a pure function: (seed, home, purpose, index) → number.
//!
//! Each purpose has a stream of its own, so another home, another leak or a longer run changes no
//! other draw. The generator is `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
//! Generators", 2014) read by index. It is written out here because the sequence is part of what a
//! seed promises: a library's default generator may change between versions.

/// The golden ratio in 64 bits: `SplitMix64`'s increment.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a stream is drawn for. The numbers are part of what a seed means: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    Th1 = 0,
    Th2 = 1,
    Hvac1 = 2,
    Hvac2 = 3,
    MiAc1 = 4,
    MiAc2 = 5,
    W1 = 6,
    Etot = 7,
    Wtot = 8,
    Mov1 = 9,
    LateByTwoDays = 16,
    LateByTenDays = 17,
    Flapping = 32,
    Flapper = 33,
    Habits = 48,
    Travel = 49,
    Weekend = 50,
    Presence = 51,
    Chores = 52,
    Plumbing = 53,
    WaterUse = 54,
    Wiring = 55,
    PowerUse = 56,
    Comfort = 57,
    Weather = 58,
    Moving = 59,
    Link = 60,
    Radio = 61,
}

/// One sequence of draws, readable at any index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    pub(crate) fn new(seed: u64, home: u32, purpose: Purpose) -> Self {
        let of_seed = mix(seed.wrapping_add(GAMMA));
        let of_home = mix(of_seed.wrapping_add(GAMMA.wrapping_mul(u64::from(home) + 1)));
        Self(mix(
            of_home.wrapping_add(GAMMA.wrapping_mul(purpose as u64 + 1))
        ))
    }

    /// A whole number from `low` to `high`, both included, each as likely as any other (to within
    /// 2⁻⁴⁰ for the small ranges used here).
    pub(crate) fn within(self, index: u64, low: i64, high: i64) -> i64 {
        debug_assert!(low <= high, "a range needs at least one number");
        let span = u128::from(low.abs_diff(high)) + 1;
        let offset = (u128::from(self.word(index)) * span) >> 64;
        low + i64::try_from(offset).expect("an offset below the span of two i64 in use here")
    }

    fn word(self, index: u64) -> u64 {
        mix(self
            .0
            .wrapping_add(GAMMA.wrapping_mul(index.wrapping_add(1))))
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_splitmix64() {
        let stream = Stream(1_234_567);
        let words: Vec<u64> = (0..3).map(|index| stream.word(index)).collect();
        assert_eq!(
            words,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_range_reaches_both_ends_evenly() {
        let stream = Stream::new(1, 0, Purpose::W1);
        let mut seen = [0_u32; 5];
        for index in 0..10_000 {
            let drawn = stream.within(index, -2, 2);
            seen[usize::try_from(drawn + 2).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|count| (1850..2150).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn streams_of_other_homes_sensors_and_seeds_differ() {
        let word = |seed, home, purpose| Stream::new(seed, home, purpose).word(0);
        let here = word(1, 0, Purpose::Th1);
        assert_ne!(here, word(2, 0, Purpose::Th1));
        assert_ne!(here, word(1, 1, Purpose::Th1));
        assert_ne!(here, word(1, 0, Purpose::Th2));
    }
}
