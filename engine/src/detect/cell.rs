//! Windows over levels, and a noon-day's cell: what the day rules know of a day.
//!
//! A constant leak q satisfies q ≤ (v + e) / w for every window of length w in which v was counted, with
//! e for the meter's resolution: each window's *ceiling* is proven, the least of a day is its cell's.
//! Nothing here decides whether that is a leak.

use super::parameters::Persist;
use crate::Day;

/// A window may be this share shorter than its name says: reading times jitter.
const SHORTER_BY: i64 = 20;
/// A window of an hour rule may be half as long again.
const LONGER_BY: i64 = 2;

/// A level of a series at an instant, and the ceilings of the windows that end there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at_ms: i64,
    /// The level at the end of a window: a remainder's is high where reading times differ.
    pub(crate) end: i64,
    /// The level at the start of a window.
    pub(crate) start: i64,
    /// A remainder's sub-meters, thousandths.
    pub(crate) parts: i64,
    pub(crate) chain: (u32, u32),
    pub(crate) stands: Stands,
    /// The ceiling of the hour that ends here, L/h; not a number where it is unknown.
    pub(crate) hour: f64,
    /// The same of the quarter of an hour.
    pub(crate) quarter: f64,
}

/// Whether a sample counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    Yes,
    /// A later reading showed it to be a glitch, or a part's level is not known.
    No,
}

/// What is added to the volume of a window for it to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// The meters' resolutions, thousandths.
    pub(crate) resolution: i64,
    /// Thousandths of the sub-meters' volume; 0 where there are none.
    pub(crate) part_permille: i64,
}

/// A meter that counts more than this at once is coarse, thousandths of a litre.
const COARSE_ABOVE: i64 = 1_000;

impl Allowance {
    /// Whether the meters' steps are large beside what a small leak passes in an hour.
    pub(crate) fn is_coarse(&self) -> bool {
        self.resolution > 2 * COARSE_ABOVE
    }

    /// What an hour's window may hold beside what was counted: of a coarse meter no more than of a fine one, or
    /// one step an hour would pass for twice its flow.
    fn of_an_hour(self) -> Self {
        let resolution = if self.is_coarse() {
            COARSE_ABOVE
        } else {
            self.resolution
        };
        Self { resolution, ..self }
    }

    /// Whether a window without a count is taken for rest: what a coarse meter might have counted, or what a
    /// sub-meter may have missed, is no flow.
    pub(crate) fn rests(&self, window: &Window) -> bool {
        let is_wide = self.resolution > COARSE_ABOVE || self.part_permille > 0;
        is_wide && window.flow <= 0.0
    }
}

/// Two samples on one chain and what passed between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// ms since 1970 UTC.
    pub from_ms: i64,
    /// ms since 1970 UTC.
    pub until_ms: i64,
    /// (v + e) / w: no constant leak was larger, L/h.
    pub ceiling: f64,
    /// v / w: what was counted, L/h; of a remainder what no error of its sub-meters explains.
    pub flow: f64,
}

/// What is kept of a valid noon-day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The noon-day: it ends at the noon of this day.
    pub day: Day,
    /// The window of the least ceiling: its `ceiling` is C, its `flow` F.
    pub least: Window,
    /// The longest time in which nothing was counted, ms.
    pub rest_ms: i64,
    /// The least mean flow of a quiet stretch, L/h (energy: W).
    pub quiet: f64,
    /// What was counted between the first and the last sample of each chain, thousandths.
    pub milli: i64,
}

/// Thousandths in so many milliseconds, in whole units an hour.
#[expect(
    clippy::cast_precision_loss,
    reason = "volumes of windows stay far below 2^53 thousandths"
)]
pub(crate) fn per_hour(milli: i64, ms: i64) -> f64 {
    milli as f64 * 3_600.0 / ms as f64
}

/// The shortest time that counts as a window of this length, ms.
pub(crate) fn shortest(window_ms: i64) -> i64 {
    window_ms - window_ms / SHORTER_BY
}

/// The window between two samples; `None` where something unknown passed.
pub(crate) fn window(from: &Sample, until: &Sample, allowance: Allowance) -> Option<Window> {
    if from.chain != until.chain || from.stands == Stands::No || until.stands == Stands::No {
        return None;
    }
    let (milli, ms) = (until.end - from.start, until.at_ms - from.at_ms);
    let parts = until.parts - from.parts;
    let missed = (parts * allowance.part_permille + 999) / 1000;
    Some(Window {
        from_ms: from.at_ms,
        until_ms: until.at_ms,
        ceiling: per_hour(milli + allowance.resolution + missed, ms),
        flow: per_hour(milli - missed, ms).max(0.0),
    })
}

/// The ceiling of the window of about this length that ends at the newest sample.
pub(crate) fn ceiling_at_end(samples: &[Sample], window_ms: i64, allowance: Allowance) -> f64 {
    let unknown = f64::NAN;
    let Some((newest, before)) = samples.split_last() else {
        return unknown;
    };
    let from = before
        .iter()
        .rev()
        .filter(|sample| sample.stands == Stands::Yes)
        .find(|sample| newest.at_ms - sample.at_ms >= shortest(window_ms));
    let near = from.filter(|from| newest.at_ms - from.at_ms <= window_ms + window_ms / LONGER_BY);
    let found = near.and_then(|from| window(from, newest, allowance.of_an_hour()));
    found.map_or(unknown, |window| {
        if allowance.rests(&window) {
            0.0
        } else {
            window.ceiling
        }
    })
}

/// The window of the least ceiling among those of at least this length.
pub(crate) fn least(samples: &[Sample], window_ms: i64, allowance: Allowance) -> Option<Window> {
    let shortest_ms = shortest(window_ms);
    let mut least: Option<Window> = None;
    for (index, until) in samples.iter().enumerate() {
        for from in &samples[..index] {
            if until.at_ms - from.at_ms < shortest_ms {
                break;
            }
            if let Some(window) = window(from, until, allowance)
                && least.is_none_or(|least| window.ceiling < least.ceiling)
            {
                least = Some(window);
            }
        }
    }
    least
}

/// The cell of a noon-day, of its samples with both edges; `None` without a window.
pub(crate) fn cell(
    day: Day,
    samples: &[Sample],
    allowance: Allowance,
    parameters: &Persist,
) -> Option<Cell> {
    let least = least(samples, parameters.window_ms, allowance)?;
    let (mut rest_ms, mut quiet, mut milli) = (0, f64::INFINITY, 0);
    let mut last: Option<&Sample> = None;
    let (mut since, mut still) = (0, 0);
    for (index, until) in samples.iter().enumerate() {
        if until.stands == Stands::No {
            continue;
        }
        if let Some(last) = last.filter(|last| last.chain == until.chain) {
            milli += until.end - last.end;
        }
        // How far back nothing was counted.
        let moved = |from: &Sample| from.chain != until.chain || until.end > from.start;
        if last.is_none_or(moved) {
            still = index;
        }
        while samples[still].stands == Stands::No || (still < index && moved(&samples[still])) {
            still += 1;
        }
        rest_ms = rest_ms.max(until.at_ms - samples[still].at_ms);
        // The tightest stretch that is long enough ends here.
        while since < index && until.at_ms - samples[since + 1].at_ms >= parameters.quiet_ms {
            since += 1;
        }
        if until.at_ms - samples[since].at_ms >= parameters.quiet_ms
            && let Some(stretch) = window(&samples[since], until, allowance)
        {
            quiet = quiet.min(stretch.flow);
        }
        last = Some(until);
    }
    Some(Cell {
        day,
        least,
        rest_ms,
        quiet: if quiet.is_finite() { quiet } else { least.flow },
        milli,
    })
}

#[cfg(test)]
mod tests {
    use super::super::slots::SLOT_MS;
    use super::*;

    /// Samples a quarter of an hour apart, from what was counted in each: `#` nothing, a digit litres,
    /// `.` unknown.
    fn samples(counted: &str) -> Vec<Sample> {
        let (mut level, mut chain) = (0, 0);
        let sample = |at_ms, level, chain| Sample {
            at_ms,
            end: level,
            start: level,
            parts: 0,
            chain: (chain, 0),
            stands: Stands::Yes,
            hour: f64::NAN,
            quarter: f64::NAN,
        };
        let mut all = vec![sample(0, 0, 0)];
        for (slot, char) in (1..).zip(counted.chars()) {
            match char {
                '.' => chain += 1,
                '#' => {}
                digit => level += 1000 * i64::from(digit.to_digit(10).expect("a digit")),
            }
            all.push(sample(slot * SLOT_MS, level, chain));
        }
        all
    }

    fn check(counted: &str, expected: &str) {
        let allowance = Allowance {
            resolution: 1000,
            part_permille: 0,
        };
        let cell = cell(
            Day::from_number(0),
            &samples(counted),
            allowance,
            &Persist::default(),
        );
        let said = cell.map_or_else(
            || "nothing".to_owned(),
            |cell| {
                format!(
                    "under {:.2}, counted {:.2} L/h, still {} min, {} L",
                    cell.least.ceiling,
                    cell.least.flow,
                    cell.rest_ms / 60_000,
                    cell.milli / 1000
                )
            },
        );
        assert_eq!(said, expected, "{counted}");
    }

    #[test]
    fn the_longest_quiet_window_gives_the_least_ceiling() {
        check("####", "under 1.00, counted 0.00 L/h, still 60 min, 0 L");
        check("2####2", "under 1.00, counted 0.00 L/h, still 60 min, 4 L");
        check(
            "2########2",
            "under 0.50, counted 0.00 L/h, still 120 min, 4 L",
        );
        check(
            "1#1#1#1#1#1#",
            "under 2.18, counted 1.82 L/h, still 15 min, 6 L",
        );
    }

    #[test]
    fn what_is_unknown_lies_in_no_window() {
        check("###.###", "nothing");
        check(
            "####.222222",
            "under 1.00, counted 0.00 L/h, still 60 min, 12 L",
        );
        check("", "nothing");
    }
}
