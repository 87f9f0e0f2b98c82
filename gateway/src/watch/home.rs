//! One house of a site: its sensors, their names and units, and how it comes out of the past.

use engine::detect::{
    Cell, Change, Detector, Finding, House, HouseSpec, HouseState, MemberSpec, Names, Normal,
    PersistRule, Resource, Rests, Subject, Taken, milli, night, of_day, of_diff, of_rest,
};
use engine::{BalanceId, Calendar, Day, Kind, RestRow, SensorDay, SensorId, Stamp};

use super::claim::{Naming, kind_of};
use super::history::History;
use super::plan::Part;
use super::settings::Settings;
use crate::alert::{Claim, Told};
use crate::store::KeptHouse;

/// Days of readings that a house is made of again where nothing of it was kept.
const REBUILT_DAYS: i64 = 90;
/// Days of rows likewise: what a daily series holds, and gaps.
const ROWS_DAYS: i32 = 200;
const DAY_MS: i64 = 86_400_000;
/// What is different since a house was kept is put into it again, if it is of so many last days: less than a
/// house holds points of.
const CAUGHT_UP_MS: i64 = 7 * DAY_MS;
/// "This was normal" holds so long.
const NORMAL_MS: i64 = 365 * DAY_MS;

/// One sensor of a house.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: SensorId,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) part: Part,
    /// Another house tells of it.
    pub(super) is_told_elsewhere: bool,
}

/// A house and its names.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) house: House,
    pub(super) members: Vec<Member>,
    pub(super) balance: Option<(BalanceId, String)>,
    /// What was known of each member's last night when it was said.
    nights: Vec<Option<Cell>>,
}

/// What can be said of a sensor's night.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Night {
    /// The noon that it ended with, ms UTC.
    pub until_ms: i64,
    /// A sentence: how long nothing flowed, and what leak that leaves possible.
    pub text: String,
}

/// Whether a house can go on as it is.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It can.
    Goes,
    /// It holds what is not so any more: it is to be made again of the past.
    Again,
}

impl Home {
    pub(super) fn new(
        members: Vec<Member>,
        balance: Option<(BalanceId, String)>,
        settings: &Settings,
        state: HouseState,
    ) -> Self {
        let resource = members[0].part.resource;
        let name = balance.as_ref().map_or(&members[0].name, |(_, name)| name);
        let parameters = settings.parameters(name);
        let spec = HouseSpec {
            calendar: settings.calendar,
            resource,
            members: members
                .iter()
                .map(|member| MemberSpec {
                    known: member.part.known,
                    rests: member.part.rests,
                    normal: Vec::new(),
                })
                .collect(),
            normal: Vec::new(),
            parameters,
        };
        Self {
            house: House::of(spec, state),
            nights: vec![None; members.len()],
            members,
            balance,
        }
    }

    /// Of its sensors and their units: FNV-1a, the same in every build.
    fn fingerprint(&self) -> u64 {
        let of = |member: &Member| (member.id, member.part.factor.to_bits(), member.part.known);
        let members: Vec<_> = self.members.iter().map(of).collect();
        let text = format!("{} {members:?}", self.house.spec().calendar.zone());
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Whether what was kept is of a house like this one.
    pub(super) fn fits(&self, kept: &KeptHouse) -> bool {
        let (members, state) = (self.members.len(), &kept.state);
        let lines = if members > 1 { members + 1 } else { 1 };
        let streams = state.series.iter().enumerate().all(|(line, series)| {
            let expected = if line == members { members } else { 1 };
            let mut folds = series.checkpoints.iter().map(|checkpoint| &checkpoint.fold);
            folds.all(|fold| fold.streams.len() == expected)
        });
        kept.fingerprint == self.fingerprint()
            && state.points.len() == members
            && [state.series.len(), state.days.len(), kept.answers.len()] == [lines; 3]
            && streams
    }

    /// Goes on from what was kept, with what is configured now.
    pub(super) fn restore(&mut self, kept: KeptHouse) {
        let mut spec = self.house.spec().clone();
        for (line, (never, normal)) in kept.answers.into_iter().enumerate() {
            if let Some(member) = spec.members.get_mut(line) {
                if never {
                    member.rests = Rests::Never;
                }
                member.normal = normal;
            } else {
                spec.normal = normal;
            }
        }
        self.house = House::of(spec, kept.state);
    }

    /// What must be kept of it, as of before this sequence number.
    pub(super) fn kept(&self, next_seq: u64) -> KeptHouse {
        let spec = self.house.spec();
        let members = spec.members.iter().zip(&self.members);
        // What is configured is not kept: it may be taken back.
        let answered = |(of, member): (&MemberSpec, &Member)| {
            let never = of.rests == Rests::Never && member.part.rests != Rests::Never;
            (never, of.normal.clone())
        };
        let mut answers: Vec<_> = members.map(answered).collect();
        if self.members.len() > 1 {
            answers.push((false, spec.normal.clone()));
        }
        KeptHouse {
            name: self.name().to_owned(),
            next_seq,
            fingerprint: self.fingerprint(),
            answers,
            state: self.house.state(),
        }
    }

    /// The name that it is known by: its balance's, or its sensor's.
    pub(super) fn name(&self) -> &str {
        let balance = self.balance.as_ref().map(|(_, name)| name.as_str());
        balance.unwrap_or(&self.members[0].name)
    }

    pub(super) fn put(&mut self, member: usize, at_ms: i64, value: f64) {
        let factor = self.members[member].part.factor;
        let _taken = self.house.put(member, at_ms, milli(value * factor));
    }

    pub(super) fn correct(&mut self, member: usize, at_ms: i64, was: f64, value: f64) {
        let factor = self.members[member].part.factor;
        let (was, value) = (milli(was * factor), milli(value * factor));
        let _taken = self.house.correct(member, at_ms, was, value);
    }

    pub(super) fn put_day(&mut self, member: usize, day: Day, state: &SensorDay) {
        let Member { kind, part, .. } = &self.members[member];
        let calendar = self.house.spec().calendar;
        let value = match kind {
            Kind::Meter => state.diff.and_then(|mut diff| {
                diff.value *= part.factor;
                of_diff(&diff, day, calendar)
            }),
            Kind::Delta if state.row.is_gone() => None,
            Kind::Delta => {
                let mut row = state.row;
                row.value *= part.factor;
                of_day(&row, day, calendar)
            }
            Kind::Gauge | Kind::Event => None,
        };
        self.house.put_day(Subject::Member(member), day, value);
    }

    /// A remainder is one of numbers in one unit: where its sensors have several, its rows say nothing.
    pub(super) fn put_rest(&mut self, day: Day, row: &RestRow) {
        let factor = self.members[0].part.factor;
        let is_other = |member: &Member| member.part.factor.to_bits() != factor.to_bits();
        if self.members.iter().any(is_other) {
            return;
        }
        let value = if row.is_gone() {
            None
        } else {
            let row = RestRow {
                value: row.value * factor,
                meter: row.meter * factor,
                ..row.clone()
            };
            of_rest(&row, day, self.house.spec().calendar)
        };
        self.house.put_day(Subject::Remainder, day, value);
    }

    /// Makes it of nothing but the past, and what was said of it and answered.
    pub(super) fn rebuild<H: History>(
        &mut self,
        movers: &[SensorId],
        history: &mut H,
    ) -> Result<(), H::Error> {
        let spec = self.house.spec().clone();
        let said = self.house.state().said;
        self.house = House::of(
            spec,
            HouseState {
                said,
                ..HouseState::default()
            },
        );
        let ids = self.members.iter().map(|member| member.id);
        let newest = ids.clone().filter_map(|id| history.newest_ms(id)).max();
        let Some(newest_ms) = newest else {
            return Ok(());
        };
        let from_ms = newest_ms - REBUILT_DAYS * DAY_MS;
        let mut all: Vec<(i64, Option<usize>, f64)> = Vec::new();
        for (member, id) in ids.enumerate() {
            let readings = history.readings(id, from_ms)?.into_iter();
            all.extend(readings.map(|(at_ms, value)| (at_ms, Some(member), value)));
        }
        for mover in movers {
            let readings = history.readings(*mover, from_ms)?.into_iter();
            all.extend(readings.map(|(at_ms, value)| (at_ms, None, value)));
        }
        all.sort_by_key(|(at_ms, _, _)| *at_ms);
        let day = |at_ms: i64| at_ms.div_euclid(DAY_MS);
        for readings in all.chunk_by(|a, b| day(a.0) == day(b.0)) {
            for (at_ms, member, value) in readings {
                match member {
                    Some(member) => self.put(*member, *at_ms, *value),
                    None if *value != 0.0 => {
                        let _taken = self.house.moved(*at_ms);
                    }
                    None => {}
                }
            }
            let _said = self.house.settle();
        }
        self.recall_rows(history)?;
        let _said = self.house.settle();
        Ok(())
    }

    /// Brings a house that was kept up to what is committed: `since` says for each member from which event
    /// time on (ms) something may be different.
    pub(super) fn catch_up<H: History>(
        &mut self,
        since: &[Option<i64>],
        movers: &[SensorId],
        history: &mut H,
    ) -> Result<Fit, H::Error> {
        const SLOT_MS: i64 = engine::detect::SLOT_MS;
        for (member, since_ms) in since.iter().enumerate() {
            let Some(since_ms) = since_ms else { continue };
            let newest_ms = history.newest_ms(self.members[member].id);
            if newest_ms.is_none_or(|newest_ms| newest_ms - since_ms > CAUGHT_UP_MS) {
                return Ok(Fit::Again);
            }
            let from_ms = (since_ms.div_euclid(SLOT_MS) - 1) * SLOT_MS;
            let Member { id, part, .. } = self.members[member];
            let readings = history.readings(id, from_ms + 1)?;
            let scaled = readings
                .into_iter()
                .map(|(at_ms, value)| (at_ms, milli(value * part.factor)));
            let span = (from_ms, i64::MAX / SLOT_MS * SLOT_MS);
            if self.house.replace(member, span, scaled) == Taken::Beyond {
                return Ok(Fit::Again);
            }
        }
        let newest = self.members.iter().filter_map(|m| history.newest_ms(m.id));
        if let Some(newest_ms) = newest.max() {
            for mover in movers {
                for (at_ms, value) in history.readings(*mover, newest_ms - 16 * DAY_MS)? {
                    if value != 0.0 {
                        let _taken = self.house.moved(at_ms);
                    }
                }
            }
        }
        self.recall_rows(history)?;
        let _said = self.house.settle();
        Ok(Fit::Goes)
    }

    fn recall_rows<H: History>(&mut self, history: &mut H) -> Result<(), H::Error> {
        let newest = self.members.iter().filter_map(|m| history.newest_ms(m.id));
        let Some(newest) = newest.max().and_then(engine::EventTime::from_ms) else {
            return Ok(());
        };
        let calendar: Calendar = self.house.spec().calendar;
        let newest = calendar.day_of(newest, Stamp::Start);
        let from = Day::from_number(newest.number() - ROWS_DAYS);
        for member in 0..self.members.len() {
            for (day, state) in history.days(self.members[member].id, from)? {
                self.put_day(member, day, &state);
            }
        }
        if let Some((balance, _)) = &self.balance {
            for (day, row) in history.rests(*balance, from)? {
                self.put_rest(day, &row);
            }
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settings: &Settings, told: &mut Vec<Told>) {
        for change in self.house.settle() {
            let (detector, subject) = match &change {
                Change::Raised(finding) | Change::Updated(finding) | Change::Cleared(finding) => {
                    (finding.detector, finding.subject)
                }
                Change::Withdrawn {
                    detector, subject, ..
                } => (*detector, *subject),
            };
            if !self.tells(detector, subject, settings) {
                continue;
            }
            told.push(self.named(settings, |naming| match &change {
                Change::Raised(finding) => Told::Raised(naming.claim(finding)),
                Change::Updated(finding) => Told::Updated(naming.claim(finding)),
                Change::Cleared(finding) => {
                    let at_ms = finding.cleared_ms.unwrap_or(finding.raised_ms);
                    Told::Cleared(naming.claim(finding), at_ms)
                }
                Change::Withdrawn {
                    detector, subject, ..
                } => Told::Withdrawn(naming.id(*detector, *subject)),
            }));
        }
    }

    pub(super) fn standing(&self, settings: &Settings) -> Vec<Claim> {
        let findings = self.house.findings();
        let told = findings
            .iter()
            .filter(|finding| self.tells(finding.detector, finding.subject, settings));
        self.named(settings, |naming| told.map(|f| naming.claim(f)).collect())
    }

    /// What can be said anew of the last night of sensors; `None`: nothing any more. Of water: for power that is always
    /// drawn nobody lies awake.
    pub(super) fn nights(&mut self, news: &mut Vec<(String, Option<Night>)>) {
        let spec = self.house.spec();
        match spec.resource {
            Resource::Water => {}
            Resource::Energy => return,
        }
        let calendar = spec.calendar;
        for (place, member) in self.members.iter().enumerate() {
            let cell = self.house.newest_cell(Subject::Member(place));
            if member.is_told_elsewhere || self.nights[place] == cell {
                continue;
            }
            self.nights[place] = cell;
            let night = cell.map(|cell| Night {
                until_ms: calendar.noon_span(cell.day).end_ms,
                text: night(&cell, &member.name),
            });
            news.push((member.name.clone(), night));
        }
    }

    /// What a series of this name is, where it is one of this house that is told of here.
    pub(super) fn subject(&self, name: &str) -> Option<Subject> {
        if self.balance.as_ref().is_some_and(|(_, own)| own == name) {
            return Some(Subject::Remainder);
        }
        let member = self
            .members
            .iter()
            .position(|member| member.name == name && !member.is_told_elsewhere)?;
        Some(Subject::Member(member))
    }

    /// "This was normal."
    pub(super) fn normal(&mut self, detector: Detector, subject: Subject, at_ms: i64) -> bool {
        let spec = self.house.spec();
        let (rests, mut normal) = match subject {
            Subject::Member(member) => {
                let member = &spec.members[member];
                (member.rests, member.normal.clone())
            }
            Subject::Remainder => (Rests::Learned, spec.normal.clone()),
        };
        match detector {
            Detector::Commissioning => {
                self.house.answer(subject, Rests::Never, normal);
                true
            }
            Detector::Persist => {
                let Some(rule) = self.persist_rule(subject) else {
                    return false;
                };
                let answer = Normal {
                    rule,
                    from_ms: at_ms,
                    until_ms: at_ms.saturating_add(NORMAL_MS),
                };
                if !normal.contains(&answer) {
                    normal.push(answer);
                }
                self.house.answer(subject, rests, normal);
                true
            }
            Detector::HighFlow
            | Detector::Away
            | Detector::Balance
            | Detector::Daily
            | Detector::BaseLoad
            | Detector::DayShock
            | Detector::Silent
            | Detector::Device => false,
        }
    }

    fn persist_rule(&self, subject: Subject) -> Option<PersistRule> {
        let findings = self.house.findings();
        let of = |finding: &&Finding| {
            finding.subject == subject && finding.detector == Detector::Persist
        };
        match findings.iter().find(of)?.rule {
            engine::detect::Rule::Persist(rule) => Some(rule),
            engine::detect::Rule::HighFlow(_)
            | engine::detect::Rule::Rise(_)
            | engine::detect::Rule::Only
            | engine::detect::Rule::Flag(_) => None,
        }
    }

    fn tells(&self, detector: Detector, subject: Subject, settings: &Settings) -> bool {
        let name = match subject {
            Subject::Member(member) if self.members[member].is_told_elsewhere => return false,
            Subject::Member(member) => self.members[member].name.as_str(),
            Subject::Remainder => self.name(),
        };
        settings.watches(kind_of(detector), name)
    }

    fn named<T>(&self, settings: &Settings, f: impl FnOnce(&Naming<'_>) -> T) -> T {
        let members: Vec<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
        let spec = self.house.spec();
        f(&Naming {
            calendar: spec.calendar,
            tariffs: &settings.tariffs,
            parameters: &spec.parameters,
            names: Names {
                members: &members,
                balance: self.balance.as_ref().map_or("", |(_, name)| name),
                resource: spec.resource,
            },
        })
    }
}
