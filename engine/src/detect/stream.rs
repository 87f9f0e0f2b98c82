//! Points as they come → levels on chains: what a register counted between any two of them.
//!
//! A chain is a stretch in which no volume is unknown. A reset, an exchanged meter or an impossible leap
//! begins a new one, a missing delta slot too, a missing register reading does not. A reading without
//! which its neighbours agree is struck when the next one comes. The meter's resolution and the spacing
//! of its readings are learned on the way. Two registers' levels mean nothing across chains.

use super::slots::{Counts, Point, SLOT_MS};

/// The coarsest resolution that is learned, thousandths of the unit: a pulse of 100 L.
const GRAIN_MAX: i64 = 100_000;
/// Before so many increases were seen the resolution is not believed.
const GRAIN_LEAST: u32 = 8;
/// What it is taken for until then, thousandths of the unit: one litre, as most meters count.
const GRAIN_UNKNOWN: i64 = 1_000;
/// Spacings that are told apart, minutes.
const SPACINGS: [i64; 7] = [15, 30, 60, 120, 360, 720, 1440];
/// Spacings are counted up to this number, and halved then: an exchanged device is learned anew.
const SPACINGS_MAX: u16 = 200;
/// Before so many spacings the interval is not known.
const SPACINGS_LEAST: u16 = 4;

/// A known level at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// ms since 1970 UTC.
    pub at_ms: i64,
    /// Thousandths of the unit since the chain began, or a register's reading.
    pub level: i64,
    /// Levels of one chain can be subtracted.
    pub chain: u32,
}

/// What a point adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The mark before this one is struck: a glitch.
    pub(crate) strikes: bool,
    /// A delta's chain begins: the level at the start of its first slot.
    pub(crate) opening: Option<Mark>,
    /// The level at the point.
    pub(crate) mark: Mark,
}

/// Where a series of points stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stream {
    /// Event time of the last point taken, ms; `i64::MIN` before the first.
    pub taken_ms: i64,
    /// The last mark that stands, and the one before it.
    pub marks: [Option<Mark>; 2],
    /// The last two points as they came: event time, level.
    pub raw: [Option<(i64, i64)>; 2],
    /// What rollovers added.
    pub lift: i64,
    /// The number of the next chain.
    pub next_chain: u32,
    /// The greatest common divisor of the increases, and how many there were.
    pub grain: (i64, u32),
    /// How often each spacing was seen, and in all.
    pub spacings: ([u16; 7], u16),
    /// Points taken since the noon-day began.
    pub in_day: u32,
}

/// What is configured of a series and need not be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it counts.
    pub counts: Counts,
    /// How often it is read, ms.
    pub interval_ms: Option<i64>,
    /// One count of the meter, thousandths of the unit.
    pub resolution_milli: Option<i64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            taken_ms: i64::MIN,
            marks: [None; 2],
            raw: [None; 2],
            lift: 0,
            next_chain: 0,
            grain: (0, 0),
            spacings: ([0; 7], 0),
            in_day: 0,
        }
    }
}

impl Stream {
    /// Takes the next point in event time.
    pub(crate) fn take(&mut self, point: Point, known: &Known) -> Step {
        if self.taken_ms > i64::MIN {
            self.learn_spacing(point.at_ms - self.taken_ms);
        }
        self.taken_ms = point.at_ms;
        self.in_day += 1;
        match known.counts {
            Counts::Register {
                modulus_milli,
                max_rate_milli,
            } => self.take_register(point, modulus_milli, max_rate_milli),
            Counts::Delta => self.take_delta(point, known),
        }
    }

    /// How often the series is read, ms; `None` before it is known. At least a slot.
    pub(crate) fn interval_ms(&self, known: &Known) -> Option<i64> {
        let (counts, total) = self.spacings;
        let learned = || {
            let most = (0..SPACINGS.len()).rev().max_by_key(|class| counts[*class]);
            most.filter(|_| total >= SPACINGS_LEAST)
                .map(|class| SPACINGS[class] * 60_000)
        };
        known.interval_ms.or_else(learned).map(|ms| ms.max(SLOT_MS))
    }

    /// One count of the meter, thousandths of the unit.
    pub(crate) fn resolution(&self, known: &Known) -> i64 {
        known.resolution_milli.unwrap_or(match self.grain {
            (grain, seen) if seen >= GRAIN_LEAST => grain.min(GRAIN_MAX),
            (grain, seen) if seen > 0 => grain.min(GRAIN_UNKNOWN),
            (_, _) => GRAIN_UNKNOWN,
        })
    }

    fn take_register(&mut self, point: Point, modulus: Option<i64>, rate: Option<i64>) -> Step {
        let at_ms = point.at_ms;
        if let (Some(modulus), Some((_, last))) = (modulus, self.raw[1])
            && (last - self.lift) * 10 > modulus * 9
            && point.milli * 10 < modulus
        {
            self.lift += modulus;
        }
        let level = point.milli + self.lift;
        let here = (at_ms, level);
        let strikes = match self.raw {
            [Some(before), Some(last)] => {
                follows(before, here, rate)
                    && !(follows(before, last, rate) && follows(last, here, rate))
            }
            [_, _] => false,
        };
        if strikes {
            self.marks = [None, self.marks[0]];
        }
        self.raw = [self.raw[1], Some(here)];
        let chain = match self.marks[1] {
            Some(last) if follows((last.at_ms, last.level), here, rate) => {
                self.learn_grain(level - last.level);
                last.chain
            }
            Some(_) | None => self.begin_chain(),
        };
        self.step(strikes, None, at_ms, level, chain)
    }

    fn take_delta(&mut self, point: Point, known: &Known) -> Step {
        let interval = self.interval_ms(known).unwrap_or(SLOT_MS);
        let last = self.marks[1];
        let goes_on = last.filter(|last| (point.at_ms - last.at_ms) * 2 <= interval * 3);
        self.learn_grain(point.milli);
        let (opening, before, chain) = if let Some(last) = goes_on {
            (None, last.level, last.chain)
        } else {
            let level = last.map_or(0, |last| last.level);
            let at_ms = point.at_ms - interval;
            let at_ms = last.map_or(at_ms, |last| at_ms.max(last.at_ms));
            let chain = self.begin_chain();
            let mark = Mark {
                at_ms,
                level,
                chain,
            };
            (Some(mark), level, chain)
        };
        self.step(false, opening, point.at_ms, before + point.milli, chain)
    }

    fn step(
        &mut self,
        strikes: bool,
        opening: Option<Mark>,
        at_ms: i64,
        level: i64,
        chain: u32,
    ) -> Step {
        let mark = Mark {
            at_ms,
            level,
            chain,
        };
        self.marks = [self.marks[1], Some(mark)];
        Step {
            strikes,
            opening,
            mark,
        }
    }

    fn begin_chain(&mut self) -> u32 {
        let chain = self.next_chain;
        self.next_chain = self.next_chain.wrapping_add(1);
        chain
    }

    fn learn_grain(&mut self, rise: i64) {
        if rise > 0 {
            let (grain, seen) = self.grain;
            self.grain = (gcd(grain, rise), seen.saturating_add(1));
        }
    }

    fn learn_spacing(&mut self, spacing_ms: i64) {
        let minutes = spacing_ms / 60_000;
        // Nearest by ratio: half way between two classes is told by the lower one's half more.
        let class = SPACINGS.iter().position(|class| minutes * 2 <= class * 3);
        let (counts, total) = &mut self.spacings;
        if let Some(class) = class {
            counts[class] += 1;
            *total += 1;
        }
        if *total >= SPACINGS_MAX {
            for count in counts.iter_mut() {
                *count /= 2;
            }
            *total = counts.iter().sum();
        }
    }
}

/// Whether a register may have gone from one reading to the other.
fn follows(from: (i64, i64), to: (i64, i64), max_rate: Option<i64>) -> bool {
    let (hours_ms, rise) = (i128::from(to.0 - from.0), to.1 - from.1);
    rise >= 0
        && max_rate.is_none_or(|rate| i128::from(rise) * 3_600_000 <= i128::from(rate) * hours_ms)
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(modulus_milli: Option<i64>, max_rate_milli: Option<i64>) -> Known {
        Known {
            counts: Counts::Register {
                modulus_milli,
                max_rate_milli,
            },
            interval_ms: Some(SLOT_MS),
            resolution_milli: None,
        }
    }

    const DELTA: Known = Known {
        counts: Counts::Delta,
        interval_ms: Some(SLOT_MS),
        resolution_milli: None,
    };

    /// A letter a chain for every mark that stands; `.` for a slot without a reading.
    fn chains(known: Known, levels: &[i64]) -> String {
        let (mut stream, mut marks) = (Stream::default(), Vec::new());
        for (slot, level) in (1_i64..).zip(levels) {
            if *level < 0 {
                marks.push(None);
                continue;
            }
            let point = Point {
                at_ms: slot * SLOT_MS,
                milli: *level,
                count: 1,
            };
            let step = stream.take(point, &known);
            if step.strikes
                && let Some(last) = marks.iter_mut().rev().find(|mark| mark.is_some())
            {
                *last = None;
            }
            marks.push(Some(step.mark.chain));
        }
        let mut names: Vec<u32> = marks.iter().flatten().copied().collect();
        names.dedup();
        let letter = |chain: u32| {
            let index = names.iter().position(|name| *name == chain);
            char::from(b'a' + u8::try_from(index.expect("a chain seen")).expect("a few chains"))
        };
        let text = marks.iter().map(|mark| mark.map_or('.', letter));
        text.collect()
    }

    #[test]
    fn a_missing_register_reading_breaks_no_chain_and_a_missing_delta_does() {
        assert_eq!(chains(register(None, None), &[1, 2, -1, 4]), "aa.a");
        assert_eq!(chains(DELTA, &[1, 2, -1, 4]), "aa.b");
    }

    #[test]
    fn a_reading_without_which_its_neighbours_agree_is_struck() {
        assert_eq!(chains(register(None, None), &[10, 11, 0, 12, 13]), "aa.aa");
        assert_eq!(chains(register(None, None), &[10, 11, 90, 12, 13]), "aa.aa");
        let slow = register(None, Some(100));
        assert_eq!(chains(slow, &[10, 11, 9000, 12]), "aa.a");
    }

    #[test]
    fn a_reset_and_an_impossible_leap_begin_a_chain_and_a_rollover_does_not() {
        assert_eq!(chains(register(None, None), &[10, 11, 0, 1]), "aabb");
        let slow = register(None, Some(100));
        assert_eq!(chains(slow, &[10, 11, 9000, 9001]), "aabb");
        assert_eq!(chains(register(Some(100), None), &[97, 99, 1, 2]), "aaaa");
    }

    #[test]
    fn the_resolution_is_the_largest_count_that_explains_every_increase() {
        let mut stream = Stream::default();
        for n in 0..20 {
            let point = Point {
                at_ms: n * SLOT_MS,
                milli: n * n * 500,
                count: 1,
            };
            let _step = stream.take(point, &register(None, None));
        }
        assert_eq!(stream.resolution(&register(None, None)), 500);
        assert_eq!(stream.interval_ms(&register(None, None)), Some(SLOT_MS));
    }
}
