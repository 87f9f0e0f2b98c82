//! A first look at a recording: which sensors it holds, and how often each reports.
//!
//! It stands for what an owner would have configured, names and intervals. It never looks at a value, so no
//! detector knows anything beforehand.

use std::collections::BTreeMap;

use super::arrival::{Arrival, Arrivals};
use super::lines::ReadError;
use crate::source::{Name, Stamped};

const MINUTE_MS: i64 = 60_000;
/// Longer pauses say nothing about an interval.
const SPACING_MAX_MS: i64 = 86_400_000;
/// Different spacings that are counted of a sensor; one without an interval has no end of them.
const SPACINGS_MAX: usize = 256;
/// An interval is the spacing of more than this share of the readings, in hundredths.
const REGULAR_PERCENT: u64 = 50;
/// Spacings that an interval is learned from, at least.
const REGULAR_LEAST: u64 = 8;

/// What a recording holds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Its sensors, and how often each reports.
    pub sensors: BTreeMap<String, Rhythm>,
    /// How many readings there are.
    pub readings: u64,
}

/// How often a sensor reports.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    previous_ms: Option<i64>,
    spacings: BTreeMap<i64, u64>,
    counted: u64,
}

impl Survey {
    /// Looks at all of a recording.
    ///
    /// # Errors
    /// Where the recording cannot be read.
    pub fn of(arrivals: Arrivals) -> Result<Self, ReadError> {
        let mut survey = Self::default();
        for arrival in arrivals {
            survey.note(&arrival?);
        }
        Ok(survey)
    }

    pub(super) fn note(&mut self, arrival: &Arrival) {
        self.readings += 1;
        let name: &Name = &arrival.decoded.sensor;
        let rhythm = match self.sensors.get_mut(name.as_str()) {
            Some(rhythm) => rhythm,
            None => self.sensors.entry(name.as_str().to_owned()).or_default(),
        };
        match arrival.decoded.time {
            Stamped::At(ms) | Stamped::AtFlagged(ms, _) => rhythm.note(ms),
            Stamped::Arrival => {}
        }
    }
}

impl Rhythm {
    /// The interval, ms; `None` where there is none.
    #[must_use]
    pub fn interval_ms(&self) -> Option<i64> {
        let commonest = self.spacings.iter().max_by_key(|(_, count)| **count);
        let (spacing, count) = commonest?;
        let is_regular = *count >= REGULAR_LEAST && count * 100 > self.counted * REGULAR_PERCENT;
        is_regular.then_some(*spacing)
    }

    fn note(&mut self, ms: i64) {
        let spacing = self.previous_ms.map(|previous| ms.saturating_sub(previous));
        self.previous_ms = Some(ms);
        // What came late or twice, and what came after it, is no spacing.
        let Some(spacing) = spacing.filter(|spacing| (1..=SPACING_MAX_MS).contains(spacing)) else {
            return;
        };
        self.counted += 1;
        // A clock that is off by seconds does not make another interval.
        let spacing = if spacing > 2 * MINUTE_MS {
            (spacing + MINUTE_MS / 2) / MINUTE_MS * MINUTE_MS
        } else {
            spacing
        };
        if self.spacings.len() < SPACINGS_MAX || self.spacings.contains_key(&spacing) {
            *self.spacings.entry(spacing).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER_MS: i64 = 900_000;

    fn interval(times: impl IntoIterator<Item = i64>) -> Option<i64> {
        let mut rhythm = Rhythm::default();
        times.into_iter().for_each(|ms| rhythm.note(ms));
        rhythm.interval_ms()
    }

    #[test]
    fn an_interval_is_seen_through_loss_duplicates_lateness_and_jitter() {
        let mut times = Vec::new();
        for slot in 0..200 {
            let at_ms = slot * QUARTER_MS + (slot % 3) * 4000;
            match slot % 10 {
                3 => {}
                5 => times.extend([at_ms, at_ms]),
                7 => times.extend([at_ms, at_ms - 2 * 86_400_000]),
                _ => times.push(at_ms),
            }
        }
        assert_eq!(interval(times), Some(QUARTER_MS));
    }

    #[test]
    fn what_happens_now_and_then_has_no_interval() {
        assert_eq!(interval((0..100).map(|n| n * n * 7919)), None);
        assert_eq!(interval([0, QUARTER_MS]), None);
    }
}
