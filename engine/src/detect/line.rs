//! One series of a house: its days beside it, the kinds of findings it may have, and what was said of each.

use super::daily::{Daily, DayValue, Unseen};
use super::evidence;
use super::finding::{Detector, Subject};
use super::house::HouseSpec;
use super::parameters::HOUR_MS;
use super::persist::{Episode, Episodes};
use super::said::{Said, Stretch};
use super::series::Series;
use crate::Day;

/// How many kinds of findings a series has.
pub const KINDS: usize = 7;

/// The kinds, in the order in which what was said of them is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Leak,
    HighFlow,
    Away,
    Commissioning,
    Rise,
    Shock,
    BaseLoad,
}

/// All of them.
pub(crate) const ALL: [Kind; KINDS] = [
    Kind::Leak,
    Kind::HighFlow,
    Kind::Away,
    Kind::Commissioning,
    Kind::Rise,
    Kind::Shock,
    Kind::BaseLoad,
];

/// A series with its daily values and what was said of it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) subject: Subject,
    pub(crate) series: Series,
    pub(crate) days: Daily,
    pub(crate) loads: Daily,
    pub(crate) said: [Option<Said>; KINDS],
    /// The newest noon-day and the newest day that were told of.
    pub(crate) told: [Option<Day>; 2],
    /// The rules for large leaks that were raised when it was told of, a bit each.
    pub(crate) told_large: u8,
    /// Whether a late reading, or a day, asks for another look.
    pub(crate) stirred: bool,
}

impl Line {
    /// The base loads of the noon-days that closed.
    pub(crate) fn load(&mut self, spec: &HouseSpec) {
        for cell in self.series.cells() {
            let milli = evidence::volume(cell.quiet, HOUR_MS);
            let value = DayValue {
                milli,
                total_milli: milli,
                at_ms: spec.calendar.noon_span(cell.day).end_ms,
            };
            self.loads.put(cell.day, Some(value));
        }
        let gone: Vec<Day> = {
            let held = |day: Day| self.series.cells().any(|cell| cell.day == day);
            let oldest = self.series.cells().next().map(|cell| cell.day);
            let days = self.loads.entries().map(|entry| entry.day);
            days.filter(|day| oldest.is_some_and(|oldest| *day >= oldest) && !held(*day))
                .collect()
        };
        for day in gone {
            self.loads.put(day, None);
        }
        let parameters = &spec.parameters;
        self.loads
            .settle(&parameters.base_load, &parameters.day_shock, &Unseen);
    }
}

pub(crate) fn stretches<R: Copy>(episodes: &Episodes<R>) -> (Option<Stretch>, Option<Stretch>) {
    let stretch = |episode: Episode<R>| Stretch {
        raised_ms: episode.raised_ms,
        cleared_ms: episode.cleared_ms,
    };
    (episodes.last.map(stretch), episodes.before.map(stretch))
}

pub(crate) fn detector(kind: Kind, subject: Subject) -> Detector {
    match (kind, subject) {
        (Kind::Leak, _) => Detector::Persist,
        (Kind::HighFlow, _) => Detector::HighFlow,
        (Kind::Away, _) => Detector::Away,
        (Kind::Commissioning, _) => Detector::Commissioning,
        (Kind::Rise, Subject::Remainder) => Detector::Balance,
        (Kind::Rise, Subject::Member(_)) => Detector::Daily,
        (Kind::Shock, _) => Detector::DayShock,
        (Kind::BaseLoad, _) => Detector::BaseLoad,
    }
}
