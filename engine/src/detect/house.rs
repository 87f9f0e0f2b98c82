//! A meter, its parts and what remains: one house of series, and what all of it is evidence of.
//!
//! The entry for those who hold readings: put what was accepted, settle, and be told what is different. Time
//! comes from the readings alone. It keeps no more than the days that it needs, and asks for none.

use super::absorb::{Held, Members};
use super::cell::Cell;
use super::daily::{Daily, DailyEntry, DayValue};
use super::evidence;
use super::finding::{Change, Detector, Finding, Location, Subject};
use super::parameters::{HOUR_MS, Parameters};
use super::persist::{Episode, Episodes, Normal, Rests};
use super::report::Report;
use super::said::{Said, Stretch, Verdict, judge};
use super::series::{Resource, Series, SeriesSpec, SeriesState, Settled, With, newest_day};
use super::slots::{Point, Slots, Taken};
use super::still::Movements;
use super::stream::Known;
use crate::{Calendar, Day};

/// A part's level is looked for so far ahead of the meter's reading, ms: two hours' interval and half.
const PART_AHEAD_MS: i64 = 3 * HOUR_MS;
/// A part whose ceiling is under this share of a leak does not hold it.
const NOT_BEHIND_SHARE: f64 = 0.5;

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
    pub days: Vec<[Vec<DailyEntry>; 2]>,
    /// Slots with a movement, ms since 1970 UTC.
    pub movements: Vec<i64>,
    /// What was said of each series, by [`KINDS`].
    pub said: Vec<[Option<Said>; KINDS]>,
}

/// How many kinds of findings a series has.
pub const KINDS: usize = 7;

/// The kinds, in the order in which what was said of them is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Leak,
    HighFlow,
    Away,
    Commissioning,
    Rise,
    Shock,
    BaseLoad,
}

/// All of them.
const ALL: [Kind; KINDS] = [
    Kind::Leak,
    Kind::HighFlow,
    Kind::Away,
    Kind::Commissioning,
    Kind::Rise,
    Kind::Shock,
    Kind::BaseLoad,
];

/// A meter with its parts, or a lone sensor.
#[derive(Clone, Debug)]
pub struct House {
    spec: HouseSpec,
    slots: Vec<Slots>,
    movements: Option<Movements>,
    /// Each member's, then the remainder's.
    lines: Vec<Line>,
}

/// Whether a reading is its sensor's newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    InOrder,
    Late,
}

/// A series with its daily values and what was said of it.
#[derive(Clone, Debug)]
struct Line {
    subject: Subject,
    series: Series,
    days: Daily,
    loads: Daily,
    said: [Option<Said>; KINDS],
    /// The newest noon-day and the newest day that were told of.
    told: [Option<Day>; 2],
    /// Whether a late reading, or a day, asks for another look.
    stirred: bool,
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
                days.last().map(|entry| entry.day),
            ];
            Line {
                subject,
                series: Series::of(of, kept),
                days: Daily::of(days),
                loads: Daily::of(loads),
                said: said.next().unwrap_or_default(),
                told,
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
        let entries = |daily: &Daily| daily.entries().copied().collect();
        HouseState {
            points: self.slots.iter().map(|s| s.points().collect()).collect(),
            series: self.lines.iter().map(|line| line.series.state()).collect(),
            days: self
                .lines
                .iter()
                .map(|line| [entries(&line.days), entries(&line.loads)])
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

    /// Puts a reading that was accepted: member, event time in ms, thousandths of the unit.
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

    /// What was answered about a series: it holds from the next reading on.
    pub fn answer(&mut self, subject: Subject, rests: Rests, normal: Vec<Normal>) {
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

    /// Everything that stands.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let lines = self.lines.iter();
        let standing = lines.flat_map(|line| {
            ALL.into_iter().filter_map(|kind| {
                let (last, _) = self.stretches(line, kind);
                last.filter(|last| last.cleared_ms.is_none())?;
                self.finding(line, kind)
            })
        });
        standing.collect()
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
        let shift = match self.spec.resource {
            Resource::Water => &parameters.balance,
            Resource::Energy => &parameters.energy,
        };
        line.days.settle(shift, &parameters.day_shock);
        if self.spec.resource == Resource::Energy
            && (settled == Settled::Again || newest_day(&line.series) != line.told[0])
        {
            line.load(&self.spec);
        }
    }

    fn tell(&mut self, index: usize, changes: &mut Vec<Change>) {
        let line = &mut self.lines[index];
        let newest = [
            newest_day(&line.series),
            line.days.entries().next_back().map(|entry| entry.day),
        ];
        let is_day_over = newest != line.told;
        line.told = newest;
        for kind in ALL {
            let line = &self.lines[index];
            let said = line.said[kind as usize];
            let (last, before) = self.stretches(line, kind);
            let verdict = judge(said, last, before);
            if verdict == Verdict::Same && (!is_day_over || said.is_none()) {
                continue;
            }
            let found = || self.finding(line, kind);
            let withdrawn = said.map(|said| Change::Withdrawn {
                subject: line.subject,
                detector: detector(kind, line.subject),
                raised_ms: said.raised_ms,
            });
            let over = |finding: Finding, last: Option<Stretch>| {
                let cleared_ms = last.map_or(finding.raised_ms, |last| last.raised_ms);
                Finding {
                    cleared_ms: finding.cleared_ms.or(Some(cleared_ms)),
                    ..finding
                }
            };
            let standing = |finding: Finding| Finding {
                cleared_ms: None,
                ..finding
            };
            match verdict {
                Verdict::Same => {
                    let stands = last.is_some_and(|last| last.cleared_ms.is_none());
                    if stands {
                        changes.extend(found().map(Change::Updated));
                    }
                    continue;
                }
                Verdict::Raise => changes.extend(found().map(Change::Raised)),
                Verdict::RaiseAndClear => {
                    changes.extend(found().map(standing).map(Change::Raised));
                    changes.extend(found().map(Change::Cleared));
                }
                Verdict::Clear => changes.extend(found().map(Change::Cleared)),
                Verdict::ClearAndRaise => {
                    let ended = before.or(last);
                    let cleared = found().map(|finding| Finding {
                        raised_ms: said.map_or(finding.raised_ms, |said| said.raised_ms),
                        cleared_ms: ended.and_then(|ended| ended.cleared_ms),
                        ..finding
                    });
                    changes.extend(cleared.map(|cleared| Change::Cleared(over(cleared, last))));
                    changes.extend(found().map(standing).map(Change::Raised));
                    if last.is_some_and(|last| last.cleared_ms.is_some()) {
                        changes.extend(found().map(Change::Cleared));
                    }
                }
                Verdict::Withdraw => changes.extend(withdrawn),
                Verdict::WithdrawAndRaise => {
                    changes.extend(withdrawn);
                    changes.extend(found().map(Change::Raised));
                }
            }
            self.lines[index].said[kind as usize] = match verdict {
                Verdict::Withdraw => None,
                Verdict::Same
                | Verdict::Raise
                | Verdict::RaiseAndClear
                | Verdict::Clear
                | Verdict::ClearAndRaise
                | Verdict::WithdrawAndRaise => last.map(|last| Said {
                    raised_ms: last.raised_ms,
                    cleared_ms: last.cleared_ms,
                }),
            };
        }
    }

    /// The newest two episodes of a kind.
    fn stretches(&self, line: &Line, kind: Kind) -> (Option<Stretch>, Option<Stretch>) {
        let standing = &line.series.now().standing;
        match kind {
            Kind::Leak => stretches(&standing.leaks),
            Kind::HighFlow => stretches(&standing.notices),
            Kind::Away => stretches(&standing.away),
            Kind::Commissioning => stretches(&standing.commissioning),
            Kind::Rise if self.watches_days(line) => stretches(&line.days.latch().rises),
            Kind::Shock if line.subject == Subject::Member(0) => {
                stretches(&line.days.latch().shocks)
            }
            Kind::BaseLoad => stretches(&line.loads.latch().rises),
            Kind::Rise | Kind::Shock => (None, None),
        }
    }

    /// BALANCE watches the remainder; DAILY what no interval series, or none that rests, can be told of.
    fn watches_days(&self, line: &Line) -> bool {
        match line.subject {
            Subject::Remainder => true,
            Subject::Member(0) if self.spec.members.len() > 1 => false,
            Subject::Member(_) => {
                let is_restless = line.series.now().standing.restless;
                is_restless || !line.series.is_watched(&self.spec.parameters.persist)
            }
        }
    }

    /// The newest episode of a kind, in fields.
    fn finding(&self, line: &Line, kind: Kind) -> Option<Finding> {
        let with = self.with(line);
        let report = Report {
            subject: line.subject,
            series: &line.series,
            with: &with,
            resource: self.spec.resource,
        };
        let standing = &line.series.now().standing;
        let located = |flow: f64, seen_ms: i64| self.locate(line, flow, seen_ms);
        match kind {
            Kind::Leak => standing.leaks.last.map(|e| report.leak(&e, located)),
            Kind::HighFlow => standing.notices.last.map(|e| {
                let away = standing.away.open().is_some();
                report.high_flow(&e, away)
            }),
            Kind::Away => standing.away.last.map(|e| report.away(&e)),
            Kind::Commissioning => standing.commissioning.last.map(|e| report.restless(&e)),
            Kind::Rise => report.rise(&line.days, detector(kind, line.subject)),
            Kind::BaseLoad => report.rise(&line.loads, Detector::BaseLoad),
            Kind::Shock => report.shock(&line.days),
        }
    }

    fn with(&self, line: &Line) -> With<'_> {
        With {
            calendar: self.spec.calendar,
            parameters: &self.spec.parameters,
            held: held(&self.slots, line.subject),
            movements: self.movements.as_ref(),
        }
    }

    /// Where a leak of that flow is, which a series has shown since then.
    fn locate(&self, line: &Line, flow: f64, seen_ms: i64) -> Location {
        let member = match line.subject {
            Subject::Remainder => return Location::Main,
            Subject::Member(member) => member,
        };
        if member > 0 || self.spec.members.len() == 1 {
            return Location::Behind(member);
        }
        let (mut clear, mut parts) = (0, 0);
        for part in &self.lines[1..self.spec.members.len()] {
            parts += 1;
            let leaks = part.series.now().standing.leaks.open().is_some();
            let rises = self.watches_days(part) && part.days.latch().rises.open().is_some();
            if let (Subject::Member(member), true) = (part.subject, leaks || rises) {
                return Location::Behind(member);
            }
            let with = self.with(part);
            let ceiling = evidence::ceiling_since(&part.series, seen_ms, &with);
            clear += usize::from(ceiling.is_some_and(|c| c < NOT_BEHIND_SHARE * flow));
        }
        if clear == parts {
            Location::Main
        } else {
            Location::Unknown
        }
    }
}

impl Line {
    /// The base loads of the noon-days that closed.
    fn load(&mut self, spec: &HouseSpec) {
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
            .settle(&parameters.base_load, &parameters.day_shock);
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

fn held(slots: &[Slots], subject: Subject) -> Held<'_> {
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

fn stretches<R: Copy>(episodes: &Episodes<R>) -> (Option<Stretch>, Option<Stretch>) {
    let stretch = |episode: Episode<R>| Stretch {
        raised_ms: episode.raised_ms,
        cleared_ms: episode.cleared_ms,
    };
    (episodes.last.map(stretch), episodes.before.map(stretch))
}

fn detector(kind: Kind, subject: Subject) -> Detector {
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
