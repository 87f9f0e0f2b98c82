//! When somebody moved: for AWAY, and for what counts as nobody being home.

use std::collections::VecDeque;

use super::parameters::Away;
use super::slots::{SLOT_MS, Taken};

/// Slots with a movement that are held: the days of points, and the longest stillness before them.
const MOVEMENTS_MAX: usize = 15 * 96;

/// Quarters of an hour in which somebody moved; the order of arrival leaves no trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Movements {
    /// Numbers of slots, ascending.
    slots: VecDeque<i64>,
}

impl Movements {
    /// As they were left: ends of slots, ms since 1970 UTC.
    #[must_use]
    pub(crate) fn of(ends_ms: &[i64]) -> Self {
        let mut movements = Self::default();
        for end_ms in ends_ms {
            let _same_or_new = movements.put(*end_ms);
        }
        movements
    }

    /// What is held: the ends of slots with a movement, ms since 1970 UTC, ascending.
    pub(crate) fn ends_ms(&self) -> impl ExactSizeIterator<Item = i64> + '_ {
        self.slots.iter().map(|slot| slot * SLOT_MS)
    }

    /// Somebody moved at this event time, ms.
    pub(crate) fn put(&mut self, at_ms: i64) -> Taken {
        let slot = (at_ms + SLOT_MS - 1).div_euclid(SLOT_MS);
        let index = self.slots.partition_point(|held| *held < slot);
        if self.slots.get(index) == Some(&slot) {
            return Taken::Same;
        }
        if self.slots.len() == MOVEMENTS_MAX {
            if index == 0 {
                return Taken::Beyond;
            }
            self.slots.pop_front();
            self.slots.insert(index - 1, slot);
        } else {
            self.slots.insert(index, slot);
        }
        Taken::From(at_ms)
    }

    /// Since when nobody has moved, ms; `None` while somebody has lately, or where the sensor has said
    /// nothing for so long that it may be dead.
    pub(crate) fn nobody_since(&self, at_ms: i64, away: &Away) -> Option<i64> {
        let after = self.slots.partition_point(|slot| slot * SLOT_MS <= at_ms);
        let last_ms = self.slots[after.checked_sub(1)?] * SLOT_MS;
        let still_ms = at_ms - last_ms;
        let is_away = still_ms >= away.still_ms && still_ms <= away.alive_ms;
        // A movement later in the slot at hand may be of now.
        let moves_now = self
            .slots
            .get(after)
            .is_some_and(|slot| slot * SLOT_MS - SLOT_MS < at_ms);
        (is_away && !moves_now).then_some(last_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn nobody_is_home_after_fourteen_still_hours_and_a_dead_sensor_says_nothing() {
        let mut movements = Movements::default();
        let away = Away::default();
        assert_eq!(movements.nobody_since(0, &away), None);
        assert_eq!(movements.put(10 * HOUR), Taken::From(10 * HOUR));
        assert_eq!(movements.put(10 * HOUR), Taken::Same);
        assert_eq!(movements.nobody_since(23 * HOUR, &away), None);
        assert_eq!(movements.nobody_since(24 * HOUR, &away), Some(10 * HOUR));
        assert_eq!(movements.nobody_since(200 * HOUR, &away), None);
    }

    #[test]
    fn movements_are_the_same_in_any_order() {
        let forth = Movements::of(&[HOUR, 2 * HOUR, 30 * HOUR]);
        let back = Movements::of(&[30 * HOUR, 2 * HOUR, HOUR]);
        assert_eq!(forth, back);
    }
}
