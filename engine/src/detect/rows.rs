//! Published rows → days of a daily series. An incomplete day is unknown, not zero.

use super::daily::DayValue;
use crate::{Calendar, Day, DayRow, DiffKind, DiffRow, RestRow};

/// A day with less of its readings is unknown: one reading in a hundred may be missing.
const COVERAGE_LEAST: f64 = 0.98;
/// The largest amount that is taken, thousandths of the unit: far above any meter, far below where sums
/// would overflow.
const MILLI_MAX: f64 = 1e15;

/// A value in whole thousandths of its unit; what no meter shows is taken for the largest there is.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to whole numbers far below 2^63 first"
)]
pub fn milli(value: f64) -> i64 {
    (value * 1000.0).round().clamp(-MILLI_MAX, MILLI_MAX) as i64
}

/// What a remainder's row says of its day; `None` while it may still change, or where a part is incomplete.
#[must_use]
pub fn of_rest(row: &RestRow, day: Day, calendar: Calendar) -> Option<DayValue> {
    let is_whole = |coverage: &Option<f64>| coverage.is_none_or(|share| share >= COVERAGE_LEAST);
    let whole = row.coverage.iter().all(|(_, coverage)| is_whole(coverage));
    (row.closed && whole).then(|| value(row.value, row.meter, day, calendar))
}

/// What a meter's difference says of its day.
#[must_use]
pub fn of_diff(row: &DiffRow, day: Day, calendar: Calendar) -> Option<DayValue> {
    let is_known = match row.kind {
        DiffKind::Normal | DiffKind::Glitch | DiffKind::Rollover | DiffKind::Reset => true,
        DiffKind::Suspect => false,
    };
    (row.closed && is_known).then(|| value(row.value, row.value, day, calendar))
}

/// What a delta sensor's sum says of its day.
#[must_use]
pub fn of_day(row: &DayRow, day: Day, calendar: Calendar) -> Option<DayValue> {
    let is_whole = row.coverage().is_none_or(|share| share >= COVERAGE_LEAST);
    (row.closed && is_whole).then(|| value(row.value, row.value, day, calendar))
}

fn value(value: f64, total: f64, day: Day, calendar: Calendar) -> DayValue {
    DayValue {
        milli: milli(value),
        total_milli: milli(total),
        at_ms: calendar.bounds(day).1,
    }
}
