//! BALANCE, DAILY and the base load: one daily series through time, and days out of all proportion.
//!
//! A fold over known days with its state kept where it turned: a revised day is evaluated again from there on. What
//! a revision takes the evidence of is as if it had never been raised. An unknown day is none.

use std::collections::VecDeque;

use super::parameters::{Shift, Shock};
use super::persist::Episodes;
use super::shift::{Rise, Tail, Value, grown, real, rise};
use crate::Day;

/// The most known days held: the base, the reach before it, and as much again for gaps.
pub const DAYS_MAX: usize = 112;

/// The most turns held: what is raised and cleared in a quarter of a year is far less.
pub const TURNS_MAX: usize = 12;

/// What a meter that is read often says of a rise that its days show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may be a leak.
    Allows,
    /// It stood still for longer than any leak of that size, constant or of a flap, would have let it.
    Refutes,
    /// That is not known yet.
    Waits,
}

/// What is known of a series between its days.
pub(crate) trait Rest {
    /// Whether a day's value has a reading behind it, which shows that its last one was no glitch.
    fn confirms(&self, value: &DayValue) -> bool;
    /// What rest says of a rise, at the end of a day.
    fn answer(&self, rise: &Rise, today: Day) -> Answer;
}

/// A series that is not read between its days.
pub(crate) struct Unseen;

impl Rest for Unseen {
    fn confirms(&self, _: &DayValue) -> bool {
        true
    }
    fn answer(&self, _: &Rise, _: Day) -> Answer {
        Answer::Allows
    }
}

/// What is known of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayValue {
    /// Thousandths of the unit: a remainder may be negative.
    pub milli: i64,
    /// What it is a remainder of, or itself, thousandths.
    pub total_milli: i64,
    /// When the day was over: its end, or the event time of the reading that decided, ms since 1970 UTC.
    pub at_ms: i64,
}

/// A rise that was raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Raised {
    /// As it was found.
    pub rise: Rise,
    /// The day at whose end that was.
    pub on: Day,
}

/// Where a daily series stands after a day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latch {
    /// The rise that stands, or stood last.
    pub raised: Option<Raised>,
    /// The day on which one was over last: no new one began before it.
    pub cleared: Option<Day>,
    /// When each stood.
    pub rises: Episodes<Tail>,
    /// Days out of all proportion.
    pub shocks: Episodes<()>,
}

/// A day that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyEntry {
    /// The day.
    pub day: Day,
    /// What is known of it.
    pub value: DayValue,
}

/// A day after which the series stood otherwise than before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The day.
    pub day: Day,
    /// After it.
    pub latch: Latch,
}

/// What must be kept of a daily series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailyState {
    /// Known days, oldest first; at most [`DAYS_MAX`].
    pub entries: Vec<DailyEntry>,
    /// Turns, oldest first; at most [`TURNS_MAX`].
    pub turns: Vec<Turn>,
}

/// One daily series.
#[derive(Clone, Debug)]
pub(crate) struct Daily {
    entries: VecDeque<DailyEntry>,
    turns: VecDeque<Turn>,
    dirty: Option<Day>,
}

impl Daily {
    pub(crate) fn of(state: DailyState) -> Self {
        let surplus = state.entries.len().saturating_sub(DAYS_MAX);
        Self {
            // The newest day may not have been confirmed yet.
            dirty: state.entries.last().map(|last| last.day),
            entries: state.entries.into_iter().skip(surplus).collect(),
            turns: state.turns.into(),
        }
    }

    pub(crate) fn state(&self) -> DailyState {
        DailyState {
            entries: self.entries.iter().copied().collect(),
            turns: self.turns.iter().copied().collect(),
        }
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &DailyEntry> {
        self.entries.iter()
    }

    /// Where it stands.
    pub(crate) fn latch(&self) -> Latch {
        self.turns.back().map(|last| last.latch).unwrap_or_default()
    }

    /// What is known of a day is this now, or nothing.
    pub(crate) fn put(&mut self, day: Day, value: Option<DayValue>) {
        let index = self.entries.partition_point(|entry| entry.day < day);
        let is_full = self.entries.len() == DAYS_MAX;
        let held = self.entries.get_mut(index).filter(|entry| entry.day == day);
        match (held, value) {
            (Some(entry), Some(value)) if entry.value == value => return,
            (Some(entry), Some(value)) => entry.value = value,
            (Some(_), None) => {
                self.entries.remove(index);
            }
            (None, Some(_)) if index == 0 && is_full => return,
            (None, Some(value)) => {
                self.entries.insert(index, DailyEntry { day, value });
            }
            (None, None) => return,
        }
        self.dirty = Some(self.dirty.map_or(day, |dirty| dirty.min(day)));
    }

    /// Evaluates the days that are different now, and those after them, but for those that `rests` leaves for later.
    pub(crate) fn settle(&mut self, shift: &Shift, shock: &Shock, rests: &impl Rest) {
        let Some(dirty) = self.dirty.take() else {
            return;
        };
        let first = self.entries.partition_point(|entry| entry.day < dirty);
        let values: Vec<Value> = self.entries.iter().map(value_of).collect();
        let kept = self.turns.partition_point(|turn| turn.day < dirty);
        self.turns.truncate(kept);
        for (index, entry) in self.entries.iter().enumerate().skip(first) {
            if !rests.confirms(&entry.value) {
                self.dirty = Some(entry.day);
                break;
            }
            let before = self.latch();
            let mut latch = before;
            let at_ms = entry.value.at_ms;
            latch.follow(&values[..=index], at_ms, shift, rests);
            let is_shock = is_shock(&values[..=index], shock);
            let from_ms = at_ms - 24 * super::parameters::HOUR_MS;
            let standing = is_shock.then_some(((), from_ms));
            latch.shocks.observe(standing, at_ms, 0);
            if latch != before {
                let day = entry.day;
                self.turns.push_back(Turn { day, latch });
            }
        }
        while self.turns.len() > TURNS_MAX {
            self.turns.pop_front();
        }
        while self.entries.len() > DAYS_MAX {
            self.entries.pop_front();
        }
    }

    /// What is known of rest from a day on is another: the days from there are judged again.
    pub(crate) fn stir(&mut self, from: Day) {
        let first = self.entries.iter().find(|entry| entry.day >= from);
        if let Some(first) = first {
            let day = first.day;
            self.dirty = Some(self.dirty.map_or(day, |dirty| dirty.min(day)));
        }
    }

    /// The rise that stands or stood last, as it amounts to now; of one that is over, without the days that showed it.
    pub(crate) fn rise(&self, clear_days: usize) -> Option<Raised> {
        let raised = self.latch().raised?;
        let until_ms = self.ran_until_ms(clear_days)?;
        let values: Vec<Value> = self
            .entries
            .iter()
            .filter(|entry| entry.value.at_ms <= until_ms)
            .map(value_of)
            .collect();
        if values.last().is_none_or(|last| last.day <= raised.on) {
            return Some(raised);
        }
        let rise = grown(&values, &raised.rise);
        Some(Raised { rise, ..raised })
    }

    /// Until when the rise that stands or stood last is known to have lasted, ms since 1970 UTC.
    pub(crate) fn ran_until_ms(&self, clear_days: usize) -> Option<i64> {
        let last = self.latch().rises.last?;
        let cleared_ms = last.cleared_ms.unwrap_or(i64::MAX);
        let before = self.entries.iter().rev();
        let mut before = before.filter(|entry| entry.value.at_ms <= cleared_ms);
        let after = last.cleared_ms.map_or(0, |_| clear_days);
        let lasted = before.nth(after).map(|entry| entry.value.at_ms);
        Some(lasted.unwrap_or(cleared_ms).max(last.raised_ms))
    }
}

fn value_of(entry: &DailyEntry) -> Value {
    Value {
        day: entry.day,
        milli: entry.value.milli,
        total_milli: entry.value.total_milli,
    }
}

impl Latch {
    /// The last of these days is over.
    fn follow(&mut self, values: &[Value], at_ms: i64, shift: &Shift, rests: &impl Rest) {
        let Some(today) = values.last().map(|value| value.day) else {
            return;
        };
        let standing = if let (Some(open), Some(raised)) = (self.rises.open(), self.raised) {
            let last = &values[values.len().saturating_sub(shift.clear_days)..];
            let sum: i64 = last.iter().map(|value| value.milli).sum();
            let enough = raised.rise.before + shift.clear_share * raised.rise.by;
            // The mean of the last days, without dividing.
            let stands = last.iter().fold(real(sum), |left, _| left - enough) >= 0.0
                && rests.answer(&raised.rise, today) != Answer::Refutes;
            if !stands {
                self.cleared = Some(today);
            }
            stands.then_some((open.rule, open.seen_ms))
        } else {
            let found = rise(values, self.cleared, shift)
                .filter(|rise| rise.evidence >= 1.0)
                .filter(|rise| rests.answer(rise, today) == Answer::Allows);
            if let Some(rise) = found {
                self.raised = Some(Raised { rise, on: today });
            }
            found.map(|rise| (rise.tail, at_ms))
        };
        self.rises.observe(standing, at_ms, 0);
    }
}

/// Whether the last of these days is out of all proportion to those before it.
fn is_shock(values: &[Value], shock: &Shock) -> bool {
    let Some((today, before)) = values.split_last() else {
        return false;
    };
    let base = before.len().saturating_sub(shock.base_days);
    let largest = before[base..].iter().map(|value| value.total_milli).max();
    let most = real(largest.unwrap_or(0)) * shock.times;
    before.len() >= shock.base_least && real(today.total_milli) > most.max(real(shock.least_milli))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(day: i32, litres: i64) -> DayValue {
        DayValue {
            milli: litres * 1000,
            total_milli: litres * 1000,
            at_ms: i64::from(day + 1) * 86_400_000,
        }
    }

    fn noisy(day: i32) -> i64 {
        60 + i64::from(day * 37 % 13) - 6
    }

    fn settled(days: impl IntoIterator<Item = (i32, Option<i64>)>) -> Daily {
        let mut daily = Daily::of(DailyState::default());
        for (day, litres) in days {
            daily.put(
                Day::from_number(day),
                litres.map(|litres| value(day, litres)),
            );
            daily.settle(&Shift::water(), &Shock::default(), &Unseen);
        }
        daily
    }

    fn raised_on(daily: &Daily) -> Option<i32> {
        let open = daily.latch().rises.open();
        open.and_then(|_| daily.rise(Shift::water().clear_days))
            .map(|raised| raised.on.number())
    }

    #[test]
    fn a_rise_is_raised_once_and_is_over_when_the_days_are_as_before() {
        let leak = |day| Some(noisy(day) + if (60..70).contains(&day) { 48 } else { 0 });
        let days = |until| (0..until).map(|day| (day, leak(day)));
        assert_eq!(raised_on(&settled(days(60))), None);
        assert_eq!(raised_on(&settled(days(61))), Some(60));
        assert_eq!(raised_on(&settled(days(70))), Some(60));
        assert_eq!(raised_on(&settled(days(73))), None);
        assert_eq!(
            settled(days(73)).latch().rises.last.map(|e| e.raised_ms),
            Some(61 * 86_400_000)
        );
    }

    #[test]
    fn a_revision_that_takes_the_evidence_takes_the_rise_as_well() {
        let mut daily = settled((0..60).map(|day| (day, Some(noisy(day)))));
        let put = |daily: &mut Daily, litres| {
            daily.put(Day::from_number(60), Some(value(60, litres)));
            daily.settle(&Shift::water(), &Shock::default(), &Unseen);
        };
        put(&mut daily, 120);
        assert_eq!(raised_on(&daily), Some(60));
        put(&mut daily, 61);
        assert_eq!(daily.latch().rises.last, None, "withdrawn, not cleared");
    }

    #[test]
    fn days_in_any_order_end_in_the_same_state() {
        let days = |day: i32| (day, Some(noisy(day) + if day > 50 { 20 } else { 0 }));
        let forth = settled((0..90).map(days));
        let mixed = settled(
            (0..90)
                .map(|n| days((n * 7 + n / 30 * 2) % 90))
                .chain((0..90).map(days)),
        );
        assert_eq!(forth.state(), mixed.state());
    }

    #[test]
    fn a_day_out_of_all_proportion_is_a_notice_and_an_unknown_day_is_none() {
        let mut days: Vec<_> = (0..30).map(|day| (day, Some(noisy(day)))).collect();
        days.extend([(30, None), (31, Some(900))]);
        let daily = settled(days);
        assert_eq!(
            daily.latch().shocks.open().map(|e| e.raised_ms),
            Some(32 * 86_400_000)
        );
        assert_eq!(daily.entries().count(), 31);
    }
}
