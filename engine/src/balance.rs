//! Remainders: a meter less its parts.

use crate::{Day, RestRow, SensorDay, SensorId, sum::ExactSum, track::revise};
use std::collections::{BTreeMap, BTreeSet};

/// One balance through time.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    pub(crate) meter: SensorId,
    pub(crate) parts: Vec<SensorId>,
    /// Days whose row is provisional.
    pub(crate) open: BTreeSet<Day>,
    /// Days to be looked at again.
    pub(crate) dirty: BTreeSet<Day>,
    /// Days of which the meter has no difference any more.
    pub(crate) lost: BTreeSet<Day>,
    /// Rows that changed since they were last handed over.
    pub(crate) rows: BTreeMap<Day, RestRow>,
}

impl Balance {
    pub(crate) fn new(meter: SensorId, parts: Vec<SensorId>, open: Vec<Day>) -> Self {
        Self {
            meter,
            parts,
            open: open.into_iter().collect(),
            dirty: BTreeSet::new(),
            lost: BTreeSet::new(),
            rows: BTreeMap::new(),
        }
    }
}

/// The row of a day on which the meter has a difference; `None` on any other.
///
/// A part that is a meter contributes its difference, any other its aggregate; one without
/// readings contributes nothing and has coverage 0.
pub(crate) fn rest(
    meter: &SensorDay,
    parts: &[(SensorId, Option<SensorDay>)],
    closed: bool,
    old: Option<&RestRow>,
) -> Option<RestRow> {
    let meter = meter.diff?.value;
    let (mut sum, mut coverage) = (ExactSum::default(), Vec::with_capacity(parts.len()));
    for (sensor, day) in parts {
        coverage.push((
            *sensor,
            day.as_ref().map_or(Some(0.0), |day| day.row.coverage()),
        ));
        if let Some(value) = day.as_ref().and_then(contribution) {
            sum.add(value);
        }
    }
    let total = sum.value();
    let mut remainder = ExactSum::default();
    remainder.add(meter);
    remainder.subtract_sum(&sum);
    let value = remainder.value();
    let same = old.is_some_and(|old| {
        old.value == value && old.meter == meter && old.parts == total && old.coverage == coverage
    });
    let label = old.map(|old| (old.closed, old.revision));
    let (closed, revision) = revise(label, same, closed);
    Some(RestRow {
        value,
        meter,
        parts: total,
        coverage,
        closed,
        revision,
    })
}

/// What is left of a row whose meter has no difference any more; `None` where there was no row.
pub(crate) fn lost(old: Option<&RestRow>) -> Option<RestRow> {
    let old = old.filter(|old| !old.is_gone())?;
    let (closed, revision) = revise(Some((old.closed, old.revision)), false, old.closed);
    Some(RestRow {
        value: f64::NAN,
        meter: f64::NAN,
        parts: 0.0,
        coverage: Vec::new(),
        closed,
        revision,
    })
}

/// A meter is known by its walk.
fn contribution(day: &SensorDay) -> Option<f64> {
    match (&day.walk, day.diff) {
        (Some(_), diff) => diff.map(|diff| diff.value),
        (None, _) => Some(day.row.value),
    }
}
