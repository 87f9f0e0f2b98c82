//! One series through time: its noon-days' cells, and where PERSIST stands.
//!
//! What stands is a fold over the readings in event time, with a checkpoint at the start of each noon-day. A
//! late reading goes back to the checkpoint before it and comes forth again: a function of the readings
//! held, whatever the order in which they came. It never asks what was said before.

use std::collections::VecDeque;

use super::absorb::{Held, Members, REACH_MS};
use super::cell::{Allowance, Cell, Sample, cell};
use super::parameters::{Parameters, Persist};
use super::persist::{Normal, Rests, Settings, Standing};
use super::slots::{Counts, SLOT_MS};
use super::still::Movements;
use super::stream::{Known, Stream};
use crate::calendar::Span;
use crate::{Calendar, Day};

/// Noon-days of cells held: the home's own quantiles look back sixty valid ones, a week ago and before.
const CELL_DAYS: i32 = 90;
/// Noon-days that a checkpoint is held for, behind the newest.
const CHECKPOINT_DAYS: i32 = 12;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Litres: PERSIST watches.
    Water,
    /// Watt hours: the base load does.
    Energy,
}

/// What a series is, and what was answered about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeriesSpec {
    /// The meter and its parts, or a lone sensor.
    pub(crate) members: Members,
    /// What is measured.
    pub(crate) resource: Resource,
    /// Whether it ever stands still.
    pub(crate) rests: Rests,
    /// "This was normal".
    pub(crate) normal: Vec<Normal>,
}

/// Where a series stands at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// The noon-day at hand; `None` between two.
    pub span: Option<Span>,
    /// The meter's and the parts' points.
    pub streams: Vec<Stream>,
    /// PERSIST.
    pub standing: Standing,
}

/// A [`Fold`] as it was before a noon-day's first reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The noon-day.
    pub span: Span,
    /// Before it.
    pub fold: Fold,
}

/// What must be kept of a series beside its members' points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesState {
    /// Of valid noon-days, oldest first.
    pub cells: Vec<Cell>,
    /// Of noon-days with readings, oldest first.
    pub checkpoints: Vec<Checkpoint>,
}

/// One series: a sensor, or a meter less its parts.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    spec: SeriesSpec,
    now: Fold,
    cells: VecDeque<Cell>,
    checkpoints: VecDeque<Checkpoint>,
    /// Of the last hours.
    samples: Vec<Sample>,
    dirty_ms: Option<i64>,
}

/// How a series came to where it stands.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It went on from where it was.
    Onward,
    /// It went back first, to this event time, ms.
    Again { from_ms: i64 },
}

/// What a series is evaluated with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) calendar: Calendar,
    pub(crate) parameters: &'a Parameters,
    /// Its members' points.
    pub(crate) held: Held<'a>,
    pub(crate) movements: Option<&'a Movements>,
}

impl Series {
    pub(crate) fn new(spec: SeriesSpec) -> Self {
        Self {
            now: Fold {
                span: None,
                streams: spec.members.streams(),
                standing: Standing::new(spec.rests),
            },
            cells: VecDeque::with_capacity(92),
            checkpoints: VecDeque::with_capacity(16),
            samples: Vec::with_capacity(256),
            dirty_ms: None,
            spec,
        }
    }

    /// As it was left: the last noon-day comes forth again from its members' points.
    pub(crate) fn of(spec: SeriesSpec, state: SeriesState) -> Self {
        let mut series = Self::new(spec);
        series.cells.extend(state.cells);
        series.checkpoints.extend(state.checkpoints);
        series.dirty_ms = series.checkpoints.back().map(|last| last.span.start_ms + 1);
        series
    }

    pub(crate) fn state(&self) -> SeriesState {
        SeriesState {
            cells: self.cells.iter().copied().collect(),
            checkpoints: self.checkpoints.iter().cloned().collect(),
        }
    }

    pub(crate) fn now(&self) -> &Fold {
        &self.now
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub(crate) fn cells(&self) -> impl DoubleEndedIterator<Item = &Cell> + Clone {
        self.cells.iter()
    }

    pub(crate) fn allowance(&self, persist: &Persist) -> Allowance {
        self.spec.members.allowance(&self.now.streams, persist)
    }

    /// The newest event time that is evaluated, ms.
    pub(crate) fn reached_ms(&self) -> i64 {
        self.now.streams[0].taken_ms
    }

    /// Whether it is read often enough to be watched for rest.
    pub(crate) fn is_watched(&self, persist: &Persist) -> bool {
        self.spec.resource == Resource::Water && self.interval_ms() <= persist.interval_max_ms
    }

    /// Whether its rest says anything: of a series that is known never to stand still it does not.
    pub(crate) fn may_rest(&self) -> bool {
        self.spec.rests != Rests::Never
    }

    /// How often it is read, ms.
    pub(crate) fn interval_ms(&self) -> i64 {
        self.spec.members.interval_ms(&self.now.streams)
    }

    /// What is known of rest, or was answered, is another: it holds from now on.
    pub(crate) fn answer(&mut self, rests: Rests, normal: Vec<Normal>) {
        self.spec.rests = rests;
        self.spec.normal = normal;
        if rests == Rests::Never {
            self.now.standing.restless = true;
        }
    }

    /// Something at this event time (ms) is different: from there on it is evaluated again.
    pub(crate) fn touch(&mut self, at_ms: i64) {
        if at_ms <= self.reached_ms() || self.dirty_ms.is_some() {
            self.dirty_ms = Some(self.dirty_ms.map_or(at_ms, |dirty| dirty.min(at_ms)));
        }
    }

    /// Evaluates what came.
    pub(crate) fn settle(&mut self, with: &With<'_>) -> Settled {
        let dirty_ms = self.dirty_ms.take();
        if let Some(dirty_ms) = dirty_ms {
            self.go_back(dirty_ms, with);
        }
        while self.step(with) {}
        match dirty_ms {
            Some(from_ms) => Settled::Again { from_ms },
            None => Settled::Onward,
        }
    }

    fn step(&mut self, with: &With<'_>) -> bool {
        let Some(point) = with.held.next(&self.now.streams) else {
            return false;
        };
        if let Some(span) = self.now.span
            && point.at_ms > span.end_ms
        {
            self.close_day(span, point.at_ms, with);
        }
        let span = match self.now.span {
            Some(span) => span,
            None => self.begin_day(with.calendar.noon_span_of(point.at_ms)),
        };
        let persist = &with.parameters.persist;
        self.spec.members.absorb(
            point,
            &mut self.now.streams,
            with.held,
            &mut self.samples,
            persist,
        );
        if self.is_watched(persist) {
            let settings = settings(&self.spec, &self.now.streams, with);
            let standing = &mut self.now.standing;
            let cells = self.cells.iter().copied();
            standing.hear(&self.samples, cells.clone(), &settings);
            let away = &with.parameters.away;
            let nobody = with
                .movements
                .and_then(|m| m.nobody_since(point.at_ms, away));
            standing.hear_away(nobody, &self.samples, cells, &settings, point.at_ms);
        }
        if point.at_ms == span.end_ms {
            self.close_day(span, point.at_ms, with);
        }
        true
    }

    fn begin_day(&mut self, span: Span) -> Span {
        let fold = self.now.clone();
        self.checkpoints.push_back(Checkpoint { span, fold });
        let oldest = span.day.number() - CHECKPOINT_DAYS;
        // One before them all stays: what falls into a gap goes back to it.
        while self
            .checkpoints
            .get(1)
            .is_some_and(|second| second.span.day.number() < oldest)
        {
            self.checkpoints.pop_front();
        }
        self.now.span = Some(span);
        span
    }

    fn close_day(&mut self, span: Span, at_ms: i64, with: &With<'_>) {
        let persist = &with.parameters.persist;
        let allowance = self.allowance(persist);
        let first = self
            .samples
            .partition_point(|sample| sample.at_ms < span.start_ms);
        let end = self
            .samples
            .partition_point(|sample| sample.at_ms <= span.end_ms);
        let samples = &self.samples[first..end];
        let found = if self.is_covered(span, persist) {
            cell(span.day, samples, allowance, persist)
        } else {
            None
        };
        if let Some(cell) = found
            && self.interval_ms() <= persist.interval_max_ms
        {
            if self.is_watched(persist) {
                let settings = settings(&self.spec, &self.now.streams, with);
                let before = self.cells.iter().copied();
                self.now.standing.close_day(&cell, before, &settings, at_ms);
            }
            self.cells.push_back(cell);
            let oldest = span.day.number() - CELL_DAYS;
            while self
                .cells
                .front()
                .is_some_and(|cell| cell.day.number() < oldest)
            {
                self.cells.pop_front();
            }
        }
        for stream in &mut self.now.streams {
            stream.in_day = 0;
        }
        self.now.span = None;
    }

    /// Whether enough of a noon-day is known of every member.
    fn is_covered(&self, span: Span, persist: &Persist) -> bool {
        let members = &self.spec.members;
        let known = std::iter::once(&members.meter).chain(&members.parts);
        known.zip(&self.now.streams).all(|(known, stream)| {
            let step_ms = stream.interval_ms(known).unwrap_or(SLOT_MS);
            let share = match known.counts {
                Counts::Register { .. } => persist.coverage_register,
                Counts::Delta => persist.coverage_delta,
            };
            f64::from(stream.in_day) >= share * f64::from(span.expected(step_ms))
        })
    }

    /// Back to the checkpoint before an event time, with the samples of the hours before it.
    fn go_back(&mut self, dirty_ms: i64, with: &With<'_>) {
        let later = self
            .checkpoints
            .partition_point(|checkpoint| checkpoint.span.start_ms < dirty_ms);
        self.samples.clear();
        let Some(index) = later.checked_sub(1) else {
            self.checkpoints.clear();
            self.cells.clear();
            self.now = Self::new(self.spec.clone()).now;
            return;
        };
        let target = self.checkpoints[index].clone();
        let day = target.span.day.number();
        let warm = self
            .checkpoints
            .partition_point(|checkpoint| checkpoint.span.day.number() < day - WARM_DAYS);
        let mut streams = self.checkpoints[warm].fold.streams.clone();
        self.replay(&mut streams, target.span.start_ms, with);
        self.now = target.fold;
        self.checkpoints.truncate(index);
        let keep = self.cells.partition_point(|cell| cell.day.number() < day);
        self.cells.truncate(keep);
    }

    /// Samples up to an instant, from where these streams stand; no rule hears them.
    fn replay(&mut self, streams: &mut [Stream], until_ms: i64, with: &With<'_>) {
        let members = &self.spec.members;
        while let Some(point) = with.held.next(streams)
            && point.at_ms <= until_ms
        {
            let persist = &with.parameters.persist;
            members.absorb(point, streams, with.held, &mut self.samples, persist);
        }
    }

    /// All samples that can still be told of the readings held, oldest first: for a question that is
    /// asked seldom.
    pub(crate) fn long_ago(&self, with: &With<'_>) -> Vec<Sample> {
        let Some(first) = self.checkpoints.front() else {
            return Vec::new();
        };
        let mut past = Self::new(self.spec.clone());
        let (mut streams, mut all) = (first.fold.streams.clone(), Vec::new());
        let members = &self.spec.members;
        while let Some(point) = with.held.next(&streams)
            && point.at_ms <= self.reached_ms()
        {
            let persist = &with.parameters.persist;
            members.absorb(point, &mut streams, with.held, &mut past.samples, persist);
            // An hour later no reading strikes a sample any more.
            if past.samples.len() > 200 {
                all.extend(past.samples.drain(..100));
            }
        }
        all.append(&mut past.samples);
        all
    }
}

/// Noon-days before the one gone back to whose samples are needed again.
const WARM_DAYS: i32 = 2;
const _: () = assert!(WARM_DAYS as i64 * 23 * 3_600_000 >= REACH_MS);

fn settings<'a>(spec: &'a SeriesSpec, streams: &[Stream], with: &With<'a>) -> Settings<'a> {
    let persist = &with.parameters.persist;
    Settings {
        calendar: with.calendar,
        persist,
        away_flow: with.parameters.away.flow,
        rests: spec.rests,
        normal: &spec.normal,
        allowance: spec.members.allowance(streams, persist),
        interval_ms: spec.members.interval_ms(streams),
    }
}

/// A lone sensor.
impl From<Known> for Members {
    fn from(meter: Known) -> Self {
        Self {
            meter,
            parts: Vec::new(),
        }
    }
}

/// The day of a cell that closed last.
pub(crate) fn newest_day(series: &Series) -> Option<Day> {
    series.cells().next_back().map(|cell| cell.day)
}
