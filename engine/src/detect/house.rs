//! A meter, its parts and what remains: one house of series, and what all of it is evidence of.
//!
//! The entry for those who hold readings: put what was accepted, settle, and be told what is different. Time
//! comes from the readings alone. It keeps no more than the days that it needs, and asks for none.

use super::absorb::{Held, Members};
use super::cell::Cell;
use super::daily::{Daily, DailyState, DayValue, Unseen};
use super::finding::{Change, Subject};
use super::line::{KINDS, Line};
use super::parameters::{HOUR_MS, Parameters};
use super::persist::{Normal, Rests};
use super::said::Said;
use super::seen::Seen;
use super::series::{Resource, Series, SeriesSpec, SeriesState, Settled, With, newest_day};
use super::slots::{Point, Slots, Taken};
use super::still::Movements;
use super::stream::Known;
use crate::{Calendar, Day};

/// A part's level is looked for so far ahead of the meter's reading, ms: two hours' interval and half.
const PART_AHEAD_MS: i64 = 3 * HOUR_MS;

/// One sensor of a house.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSpec {
    /// What it counts, and what is known of that.
    pub known: Known,
    /// Whether it ever stands still.
    pub rests: Rests,
    /// "This was normal".
    pub normal: Vec<Normal>,
}

/// What a house is.
#[derive(Clone, Debug, PartialEq)]
pub struct HouseSpec {
    /// The site's days.
    pub calendar: Calendar,
    /// What is measured.
    pub resource: Resource,
    /// The meter, then its parts; or one lone sensor.
    pub members: Vec<MemberSpec>,
    /// "This was normal", of the remainder.
    pub normal: Vec<Normal>,
    /// What the detectors are set to.
    pub parameters: Parameters,
}

/// What must be kept of a house for it to go on as if it had never stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HouseState {
    /// Each member's points, in the order of event time.
    pub points: Vec<Vec<Point>>,
    /// Each member's series, then the remainder's where there are parts.
    pub series: Vec<SeriesState>,
    /// Each series' days, and each series' base loads: in the same order.
    pub days: Vec<[DailyState; 2]>,
    /// Slots with a movement, ms since 1970 UTC.
    pub movements: Vec<i64>,
    /// What was said of each series, of each of its kinds.
    pub said: Vec<[Option<Said>; KINDS]>,
}

/// A meter with its parts, or a lone sensor.
#[derive(Clone, Debug)]
pub struct House {
    pub(crate) spec: HouseSpec,
    pub(crate) slots: Vec<Slots>,
    pub(crate) movements: Option<Movements>,
    /// Each member's, then the remainder's.
    pub(crate) lines: Vec<Line>,
}

/// Whether a reading is its sensor's newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    InOrder,
    Late,
}

impl House {
    /// A house without readings.
    ///
    /// # Panics
    /// Without a member.
    #[must_use]
    pub fn new(spec: HouseSpec) -> Self {
        Self::of(spec, HouseState::default())
    }

    /// A house as it was left. What came since is put again: the rest is as if it had never stopped.
    ///
    /// # Panics
    /// Without a member.
    #[must_use]
    pub fn of(mut spec: HouseSpec, state: HouseState) -> Self {
        assert!(!spec.members.is_empty(), "a house has at least one sensor");
        if spec.resource == Resource::Energy {
            // A base load is the least mean of two hours.
            spec.parameters.persist.quiet_ms = 2 * HOUR_MS;
        }
        let mut points = state.points.into_iter();
        let slots = spec.members.iter().map(|member| {
            let held = points.next().unwrap_or_default();
            Slots::of(member.known.counts, &held, spec.calendar)
        });
        let slots = slots.collect();
        let mut series = state.series.into_iter();
        let mut days = state.days.into_iter();
        let mut said = state.said.into_iter();
        let lines = series_of(&spec).into_iter().map(|(subject, of)| {
            let [days, loads] = days.next().unwrap_or_default();
            let kept = series.next().unwrap_or_default();
            let told = [
                kept.cells.last().map(|cell| cell.day),
                days.entries.last().map(|entry| entry.day),
            ];
            Line {
                subject,
                series: Series::of(of, kept),
                days: Daily::of(days),
                loads: Daily::of(loads),
                said: said.next().unwrap_or_default(),
                told,
                told_large: 0,
                stirred: true,
            }
        });
        let lines: Vec<Line> = lines.collect();
        let moved = !state.movements.is_empty();
        let mut house = Self {
            spec,
            slots,
            movements: moved.then(|| Movements::of(&state.movements)),
            lines,
        };
        for index in 0..house.lines.len() {
            house.evaluate(index);
        }
        house
    }

    /// What must be kept of it.
    #[must_use]
    pub fn state(&self) -> HouseState {
        HouseState {
            points: self.slots.iter().map(|s| s.points().collect()).collect(),
            series: self.lines.iter().map(|line| line.series.state()).collect(),
            days: self
                .lines
                .iter()
                .map(|line| [line.days.state(), line.loads.state()])
                .collect(),
            movements: self.movements.iter().flat_map(Movements::ends_ms).collect(),
            said: self.lines.iter().map(|line| line.said).collect(),
        }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &HouseSpec {
        &self.spec
    }

    /// Puts a reading that was accepted: member, event time in ms, thousandths of the unit. Whether it is the same
    /// as another, or corrects one, has been decided: two deltas of one time are two.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn put(&mut self, member: usize, at_ms: i64, milli: i64) -> Taken {
        let taken = self.slots[member].put(at_ms, milli, self.spec.calendar);
        let newest_ms = self.slots[member].newest_ms();
        let came = if newest_ms.is_some_and(|newest_ms| at_ms >= newest_ms) {
            Came::InOrder
        } else {
            Came::Late
        };
        self.touch(member, taken, came)
    }

    /// A reading that was put has another value now.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn correct(&mut self, member: usize, at_ms: i64, was_milli: i64, milli: i64) -> Taken {
        let taken = self.slots[member].correct(at_ms, was_milli, milli);
        self.touch(member, taken, Came::Late)
    }

    /// Has exactly these readings (event time in ms, thousandths) of a member in the slots that lie in
    /// (`from_ms`, `until_ms`], which begin and end at multiples of [`SLOT_MS`](super::SLOT_MS).
    ///
    /// # Panics
    /// If there is no such member.
    pub fn replace(
        &mut self,
        member: usize,
        span: (i64, i64),
        readings: impl Iterator<Item = (i64, i64)>,
    ) -> Taken {
        let taken = self.slots[member].replace(span, readings, self.spec.calendar);
        self.touch(member, taken, Came::Late)
    }

    /// Somebody moved at this event time, ms.
    pub fn moved(&mut self, at_ms: i64) -> Taken {
        let movements = self.movements.get_or_insert_default();
        let taken = movements.put(at_ms);
        if let Taken::From(at_ms) = taken {
            for line in &mut self.lines {
                line.series.touch(at_ms);
                line.stirred = true;
            }
        }
        taken
    }

    /// What is known of a day of a series; `None`: nothing, or not all of it.
    pub fn put_day(&mut self, subject: Subject, day: Day, value: Option<DayValue>) {
        let line = self.lines.iter_mut().find(|line| line.subject == subject);
        if let Some(line) = line {
            line.days.put(day, value);
            line.stirred = true;
        }
    }

    /// What was answered about a series: it holds from the next reading on, and is part of the
    /// [`spec`](Self::spec) that the house goes on with. A remainder has no rest that could be known.
    pub fn answer(&mut self, subject: Subject, rests: Rests, normal: Vec<Normal>) {
        match subject {
            Subject::Member(member) => {
                let member = self.spec.members.get_mut(member);
                if let Some(member) = member {
                    member.rests = rests;
                    member.normal.clone_from(&normal);
                }
            }
            Subject::Remainder => self.spec.normal.clone_from(&normal),
        }
        let line = self.lines.iter_mut().find(|line| line.subject == subject);
        if let Some(line) = line {
            line.series.answer(rests, normal);
        }
    }

    /// The newest event time of a series that is evaluated, ms.
    #[must_use]
    pub fn reached_ms(&self, subject: Subject) -> Option<i64> {
        let line = self.lines.iter().find(|line| line.subject == subject)?;
        Some(line.series.reached_ms()).filter(|ms| *ms > i64::MIN)
    }

    /// Ends a commit: what is different now.
    pub fn settle(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.lines.len() {
            self.evaluate(index);
        }
        for index in 0..self.lines.len() {
            self.tell(index, &mut changes);
        }
        changes
    }

    /// The newest valid noon-day of a series, for what can be said of a night without a finding.
    #[must_use]
    pub fn newest_cell(&self, subject: Subject) -> Option<Cell> {
        let line = self.lines.iter().find(|line| line.subject == subject)?;
        line.series.cells().next_back().copied()
    }

    /// The newest day that anything of it has come to: a noon-day of a series that is watched for rest, a day of one
    /// that is not.
    #[must_use]
    pub fn newest_day(&self) -> Option<Day> {
        let days = self.lines.iter().flat_map(|line| {
            let cell = newest_day(&line.series);
            let day = line.days.entries().next_back().map(|entry| entry.day);
            [cell, day]
        });
        days.flatten().max()
    }

    fn touch(&mut self, member: usize, taken: Taken, came: Came) -> Taken {
        if let Taken::From(at_ms) = taken {
            for line in &mut self.lines {
                let from_ms = match (line.subject, came) {
                    (Subject::Member(of), _) if of != member => continue,
                    // What remains waits for its parts: it never saw beyond the newest.
                    (Subject::Remainder, Came::Late) if member > 0 => at_ms - PART_AHEAD_MS,
                    (Subject::Member(_) | Subject::Remainder, _) => at_ms,
                };
                line.series.touch(from_ms);
                line.stirred = true;
            }
        }
        taken
    }

    fn evaluate(&mut self, index: usize) {
        let line = &mut self.lines[index];
        if !std::mem::take(&mut line.stirred) {
            return;
        }
        let with = With {
            calendar: self.spec.calendar,
            parameters: &self.spec.parameters,
            held: held(&self.slots, line.subject),
            movements: self.movements.as_ref(),
        };
        let settled = line.series.settle(&with);
        let parameters = &self.spec.parameters;
        let shift = match (self.spec.resource, line.subject) {
            (Resource::Water, Subject::Remainder) => &parameters.balance,
            (Resource::Water, Subject::Member(_)) => &parameters.daily,
            (Resource::Energy, _) => &parameters.energy,
        };
        if line.series.is_watched(&parameters.persist) && line.series.may_rest() {
            if let Settled::Again { from_ms } = settled {
                // Noon-days reach into the day before and after.
                line.days
                    .stir(self.spec.calendar.noon_span_of(from_ms).day.pred());
            }
            let seen = Seen::of(&line.series, &with);
            line.days.settle(shift, &parameters.day_shock, &seen);
        } else {
            line.days.settle(shift, &parameters.day_shock, &Unseen);
        }
        if self.spec.resource == Resource::Energy
            && (settled != Settled::Onward || newest_day(&line.series) != line.told[0])
        {
            line.load(&self.spec);
        }
    }
}

/// A series for each member, and one for the remainder where there are parts.
fn series_of(spec: &HouseSpec) -> Vec<(Subject, SeriesSpec)> {
    let mut all = Vec::with_capacity(spec.members.len() + 1);
    for (place, member) in spec.members.iter().enumerate() {
        let of = SeriesSpec {
            members: Members::from(member.known),
            resource: spec.resource,
            rests: member.rests,
            normal: member.normal.clone(),
        };
        all.push((Subject::Member(place), of));
    }
    if let Some((meter, parts)) = spec.members.split_first()
        && !parts.is_empty()
    {
        let of = SeriesSpec {
            members: Members {
                meter: meter.known,
                parts: parts.iter().map(|part| part.known).collect(),
            },
            resource: spec.resource,
            rests: Rests::Learned,
            normal: spec.normal.clone(),
        };
        all.push((Subject::Remainder, of));
    }
    all
}

pub(crate) fn held(slots: &[Slots], subject: Subject) -> Held<'_> {
    match subject {
        Subject::Member(member) => Held {
            meter: &slots[member],
            parts: &[],
        },
        Subject::Remainder => Held {
            meter: &slots[0],
            parts: &slots[1..],
        },
    }
}
