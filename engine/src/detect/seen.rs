//! What a meter that is read often saw between its days, for those who judge the days alone.
//!
//! A daily remainder rises for many reasons: a garden, a guest, a hobby. A leak is the one that does not sleep. A
//! constant one moves the meter all the time, a flap's several times a night. Where the meter stood
//! still for longer, night after night, the rise is no leak, however sure it is.

use super::cell::Cell;
use super::daily::{Answer, DayValue, Rest};
use super::parameters::HOUR_MS;
use super::series::{Series, With};
use super::shift::{Rise, real};
use crate::Day;

/// No flap that leaks stays shut for so long, ms.
const SHUT_MS: i64 = 3 * HOUR_MS;
/// A rest refutes a leak that would have moved the meter so many times.
const STEPS: f64 = 2.0;

/// A watched series, at an instant.
pub(crate) struct Seen<'a> {
    series: &'a Series,
    reached_ms: i64,
    /// One step of the meters, thousandths.
    step: f64,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(series: &'a Series, with: &With<'_>) -> Self {
        let allowance = series.allowance(&with.parameters.persist);
        Self {
            series,
            reached_ms: series.reached_ms(),
            step: real(allowance.resolution),
        }
    }

    /// Whether a noon-day's longest rest leaves no room for a leak of so many thousandths a day.
    fn refutes(&self, cell: &Cell, by: f64) -> bool {
        let passed = by * real(cell.rest_ms) / real(24 * HOUR_MS);
        cell.rest_ms >= SHUT_MS && passed >= STEPS * self.step
    }
}

impl Rest for Seen<'_> {
    fn confirms(&self, value: &DayValue) -> bool {
        self.reached_ms > value.at_ms
    }

    fn answer(&self, rise: &Rise, today: Day) -> Answer {
        // The noon-day of the rise's first day may have begun before it.
        let since = self.series.cells().rev().filter(|cell| cell.day <= today);
        let since = since.take_while(|cell| cell.day > rise.start);
        let (mut still, mut all) = (0, 0);
        for cell in since {
            all += 1;
            still += usize::from(self.refutes(cell, rise.by));
        }
        let days = today.number() - rise.start.number();
        if all == 0 && days < WAITS_DAYS {
            Answer::Waits
        } else if still * 2 > all {
            Answer::Refutes
        } else {
            Answer::Allows
        }
    }
}

/// A series without a valid noon-day is waited for so long.
const WAITS_DAYS: i32 = 3;
