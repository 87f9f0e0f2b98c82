//! What is published: one row per sensor and day, meter and day, balance and day.
//!
//! Every field but `closed` and `revision` is a function of the accepted readings alone.

use crate::{Aggregate, SensorId};

/// `AggDay`: one sensor's day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayRow {
    /// How `value` was made.
    pub aggregate: Aggregate,
    /// The day's value in the sensor's unit.
    pub value: f64,
    /// Readings held.
    pub count: u32,
    /// Readings that the sensor's interval promises for this day; `None` without an interval.
    pub expected: Option<u32>,
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
    /// The value with the oldest event time.
    pub first: f64,
    /// The value with the newest event time.
    pub last: f64,
    /// Whether no more readings of this day are expected.
    pub closed: bool,
    /// 0 while provisional, 1 at closing, one more with every commit that changes a closed row.
    pub revision: u32,
}

impl DayRow {
    /// Whether the day holds no reading any more: it is no row, and kept for its revision alone.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.count == 0
    }

    /// Readings held over readings expected, at most 1; `None` without an interval.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        self.expected
            .map(|expected| (f64::from(self.count) / f64::from(expected.max(1))).min(1.0))
    }
}

/// Why a difference is what it is; the most notable cause of its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiffKind {
    /// The register only rose.
    Normal,
    /// A reading without which its neighbours are consistent was left out.
    Glitch,
    /// The register passed its modulus.
    Rollover,
    /// The register began again near zero.
    Reset,
    /// A reading is, or was found to be, implausible and does not count.
    Suspect,
}

/// `AggDayDiff`: what a meter counted from the last reading of the day before to the last of this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiffRow {
    /// The increase in the sensor's unit; never negative.
    pub value: f64,
    /// Why.
    pub kind: DiffKind,
    /// As of the meter's day.
    pub closed: bool,
    /// As [`DayRow::revision`].
    pub revision: u32,
}

/// `AggDayRest`: a meter's difference less the sum of its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct RestRow {
    /// `meter − parts`, rounded once.
    pub value: f64,
    /// The meter's difference.
    pub meter: f64,
    /// The sum of the parts.
    pub parts: f64,
    /// For each part its day's coverage: 0 without readings, `None` without an interval.
    pub coverage: Vec<(SensorId, Option<f64>)>,
    /// Whether the meter's and all the parts' days are closed.
    pub closed: bool,
    /// As [`DayRow::revision`].
    pub revision: u32,
}

impl RestRow {
    /// Whether its meter has no difference of that day any more: it is no row, and kept for its
    /// revision alone.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.meter.is_nan()
    }
}

/// What is kept of one sensor's day beside its readings.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorDay {
    /// Its aggregate.
    pub row: DayRow,
    /// Its difference, where it is a meter's and the day before holds a reading.
    pub diff: Option<DiffRow>,
    /// A meter's state at the end of the day, from which the next day goes on
    /// (module `meter`); opaque to the keeper.
    pub walk: Option<Vec<u8>>,
}
