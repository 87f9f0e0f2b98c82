//! The readings of one sensor that are held: at most one point a quarter of an hour, of the last days.
//!
//! A register's point is its last reading in the slot, a delta's the sum of its readings there, at the
//! time of the last. Fewer points than readings prove just as much: a ceiling holds for any two of them.
//! What is held does not depend on the order of arrival. It never decides what a reading means.

use std::collections::VecDeque;

use crate::{Calendar, Day};

/// The width of a slot, ms; it ends at a whole multiple.
pub const SLOT_MS: i64 = 900_000;
/// Noon-days behind the newest for which readings are taken: a week's lateness.
const TAKEN_DAYS: i32 = 8;
/// Noon-days of points behind the newest: those, and what lies before them for windows.
const HELD_DAYS: i32 = 11;
/// From so many readings in a slot on, a sensor is fast: its newest slot is waited for.
const FAST_FROM: u32 = 3;
/// The most points held: eleven days of slots and one with an hour more.
pub const POINTS_MAX: usize = 12 * 96 + 4;

/// What is held of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Event time of the slot's last reading, ms since 1970 UTC.
    pub at_ms: i64,
    /// Thousandths of the unit: a register's last reading, a delta's sum.
    pub milli: i64,
    /// Readings in the slot.
    pub count: u32,
}

/// What became of a reading.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts: what lies at this event time (ms) and after it is evaluated again.
    From(i64),
    /// It changes nothing: held already, or a later reading of the slot stands.
    Same,
    /// It is older than the days held: rebuild from the readings kept, or go on without it.
    Beyond,
}

/// The points of one sensor, in the order of event time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slots {
    counts: Counts,
    points: VecDeque<Point>,
    /// Event times at or before this are not taken any more.
    beyond_ms: i64,
}

/// What a sensor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// A cumulative register.
    Register {
        /// It rolls over at this value, thousandths of the unit.
        modulus_milli: Option<i64>,
        /// The fastest plausible rise, thousandths of the unit an hour.
        max_rate_milli: Option<i64>,
    },
    /// What was counted since the reading before.
    Delta,
}

fn slot_of(at_ms: i64) -> i64 {
    (at_ms + SLOT_MS - 1).div_euclid(SLOT_MS)
}

impl Slots {
    /// No points.
    #[must_use]
    pub(crate) fn new(counts: Counts) -> Self {
        Self {
            counts,
            points: VecDeque::with_capacity(POINTS_MAX),
            beyond_ms: i64::MIN,
        }
    }

    /// As it was left: points in the order of event time, at most [`POINTS_MAX`] of them.
    #[must_use]
    pub(crate) fn of(counts: Counts, points: &[Point], calendar: Calendar) -> Self {
        let mut slots = Self::new(counts);
        let surplus = points.len().saturating_sub(POINTS_MAX);
        slots.points.extend(&points[surplus..]);
        slots.forget(calendar);
        slots
    }

    /// The points, oldest first.
    pub(crate) fn points(&self) -> impl ExactSizeIterator<Item = Point> + '_ {
        self.points.iter().copied()
    }

    /// Puts a reading that was accepted, with its event time in ms and its value in thousandths.
    pub(crate) fn put(&mut self, at_ms: i64, milli: i64, calendar: Calendar) -> Taken {
        let slot = slot_of(at_ms);
        let newest = self.points.back().map(|point| slot_of(point.at_ms));
        if newest.is_none_or(|newest| newest < slot) {
            self.append(at_ms, milli, calendar);
            return Taken::From(at_ms);
        }
        if at_ms <= self.beyond_ms {
            return Taken::Beyond;
        }
        let index = self.first_of(slot);
        match self.points.get_mut(index) {
            Some(point) if slot_of(point.at_ms) == slot => merge(self.counts, point, at_ms, milli),
            Some(_) | None => {
                let count = 1;
                self.points.insert(
                    index,
                    Point {
                        at_ms,
                        milli,
                        count,
                    },
                );
                Taken::From(at_ms)
            }
        }
    }

    /// A reading that is held has another value now.
    pub(crate) fn correct(&mut self, at_ms: i64, was_milli: i64, milli: i64) -> Taken {
        let slot = slot_of(at_ms);
        let index = self.first_of(slot);
        let held = self.points.get_mut(index);
        let Some(point) = held.filter(|point| slot_of(point.at_ms) == slot) else {
            return Taken::Beyond;
        };
        match self.counts {
            Counts::Delta if was_milli != milli => point.milli += milli - was_milli,
            Counts::Register { .. } if point.at_ms == at_ms && point.milli != milli => {
                point.milli = milli;
            }
            Counts::Delta | Counts::Register { .. } => return Taken::Same,
        }
        Taken::From(at_ms.min(point.at_ms))
    }

    /// Has exactly these readings (event time in ms, thousandths) in the slots that lie in
    /// (`from_ms`, `until_ms`], which begin and end at multiples of [`SLOT_MS`]: what a withdrawal needs.
    pub(crate) fn replace(
        &mut self,
        (from_ms, until_ms): (i64, i64),
        readings: impl Iterator<Item = (i64, i64)>,
        calendar: Calendar,
    ) -> Taken {
        self.points
            .retain(|point| point.at_ms <= from_ms || point.at_ms > until_ms);
        let mut beyond = from_ms < self.beyond_ms;
        for (at_ms, milli) in readings {
            beyond |= self.put(at_ms, milli, calendar) == Taken::Beyond;
        }
        if beyond {
            Taken::Beyond
        } else {
            Taken::From(from_ms + 1)
        }
    }

    /// Event time of the newest point that counts already, ms: a fast sensor's newest slot does not
    /// before it is over.
    #[must_use]
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        self.whole().last().map(|point| point.at_ms)
    }

    /// The oldest point after an event time (ms) that counts already.
    pub(crate) fn after(&self, at_ms: i64) -> Option<Point> {
        let whole = self.whole_len();
        let newest = whole.checked_sub(1).map(|last| self.points[last])?;
        if newest.at_ms <= at_ms {
            return None;
        }
        // In order, the newest is the one after.
        match whole.checked_sub(2).map(|last| self.points[last]) {
            Some(second) if second.at_ms > at_ms => {}
            Some(_) | None => return Some(newest),
        }
        let index = self.points.partition_point(|point| point.at_ms <= at_ms);
        Some(self.points[index])
    }

    fn whole(&self) -> impl Iterator<Item = Point> + '_ {
        self.points.iter().copied().take(self.whole_len())
    }

    fn whole_len(&self) -> usize {
        let len = self.points.len();
        let waits = len >= 2
            && self.points[len - 2].count >= FAST_FROM
            && self.points[len - 1].at_ms.rem_euclid(SLOT_MS) != 0;
        len - usize::from(waits)
    }

    /// The first point of that slot or after it.
    fn first_of(&self, slot: i64) -> usize {
        self.points
            .partition_point(|point| slot_of(point.at_ms) < slot)
    }

    fn append(&mut self, at_ms: i64, milli: i64, calendar: Calendar) {
        let is_new_day = self
            .points
            .back()
            .is_none_or(|last| at_ms - last.at_ms > SLOT_MS || at_ms.rem_euclid(4 * SLOT_MS) == 0);
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        let count = 1;
        self.points.push_back(Point {
            at_ms,
            milli,
            count,
        });
        if is_new_day {
            self.forget(calendar);
        }
    }

    /// Lets go of what lies further back than is held.
    fn forget(&mut self, calendar: Calendar) {
        let Some(newest) = self.points.back() else {
            return;
        };
        let today = calendar.noon_span_of(newest.at_ms).day.number();
        let start_ms = |days| calendar.noon_span(Day::from_number(today - days)).start_ms;
        self.beyond_ms = self.beyond_ms.max(start_ms(TAKEN_DAYS));
        let held_ms = start_ms(HELD_DAYS);
        while self
            .points
            .front()
            .is_some_and(|point| point.at_ms <= held_ms)
        {
            self.points.pop_front();
        }
    }
}

/// Puts a reading into a slot that holds one.
fn merge(counts: Counts, point: &mut Point, at_ms: i64, milli: i64) -> Taken {
    let from = at_ms.min(point.at_ms);
    match counts {
        Counts::Register { .. } if at_ms < point.at_ms => {
            point.count += 1;
            return Taken::Same;
        }
        Counts::Register { .. } if at_ms == point.at_ms => {
            if point.milli == milli {
                return Taken::Same;
            }
            point.milli = milli;
        }
        Counts::Register { .. } => {
            point.count += 1;
            (point.at_ms, point.milli) = (at_ms, milli);
        }
        // Two of one time are two: whoever puts knows a duplicate and a correction from a reading.
        Counts::Delta => {
            point.count += 1;
            point.milli += milli;
            point.at_ms = point.at_ms.max(at_ms);
        }
    }
    Taken::From(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: Counts = Counts::Register {
        modulus_milli: None,
        max_rate_milli: None,
    };
    const MINUTE: i64 = 60_000;
    /// 2020-01-01T00:00:00Z.
    const START: i64 = 1_577_836_800_000;

    fn utc() -> Calendar {
        Calendar::new(chrono_tz::UTC)
    }

    fn held(counts: Counts, readings: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut slots = Slots::new(counts);
        for (minute, milli) in readings {
            let taken = slots.put(START + minute * MINUTE, *milli, utc());
            assert_ne!(taken, Taken::Beyond);
        }
        slots
            .points()
            .map(|point| ((point.at_ms - START) / MINUTE, point.milli))
            .collect()
    }

    #[test]
    fn a_slot_keeps_a_registers_last_reading_and_a_deltas_sum_in_any_order() {
        let in_order = [(1, 10), (14, 11), (15, 12), (16, 20)];
        let other = [(16, 20), (15, 12), (1, 10), (14, 11)];
        for arrivals in [in_order, other] {
            assert_eq!(held(REGISTER, &arrivals), [(15, 12), (16, 20)]);
            assert_eq!(held(Counts::Delta, &arrivals), [(15, 33), (16, 20)]);
        }
    }

    #[test]
    fn what_is_older_than_the_days_held_is_said_to_be() {
        let mut slots = Slots::new(REGISTER);
        let day = 24 * 60 * MINUTE;
        assert_eq!(slots.put(START, 1, utc()), Taken::From(START));
        let later = START + 20 * day;
        assert_eq!(slots.put(later, 2, utc()), Taken::From(later));
        assert_eq!(slots.put(START + 5 * day, 1, utc()), Taken::Beyond);
        let week = later - 7 * day;
        assert_eq!(slots.put(week, 1, utc()), Taken::From(week));
    }

    #[test]
    fn a_year_of_quarter_hours_is_held_within_the_named_limit() {
        let mut slots = Slots::new(REGISTER);
        for n in 0..96 * 365 {
            assert_ne!(slots.put(START + n * SLOT_MS, n, utc()), Taken::Beyond);
            assert!(slots.points().len() <= POINTS_MAX);
        }
        assert!(slots.points().len() >= 96 * 11);
    }

    #[test]
    fn a_fast_sensors_newest_slot_is_waited_for() {
        let mut slots = Slots::new(REGISTER);
        for minute in 1..=29 {
            assert_ne!(
                slots.put(START + minute * MINUTE, minute, utc()),
                Taken::Beyond
            );
        }
        assert_eq!(slots.newest_ms(), Some(START + 15 * MINUTE));
        assert_ne!(slots.put(START + 30 * MINUTE, 30, utc()), Taken::Beyond);
        assert_eq!(slots.newest_ms(), Some(START + 30 * MINUTE));
    }
}
