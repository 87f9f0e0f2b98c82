//! The state of one sensor's day: its readings, and what they add up to.
//!
//! Readings are held in event time, in stretches of at most [`STRETCH`], each with its own
//! extremes and, for a meter, the walk before and after it. So a reading costs a search and at
//! most one stretch, however many the day holds: a correction takes the old value out of an exact
//! sum, and looks for a new extreme only where it replaced one.

use crate::{
    Aggregate, DayRow, EventTime, Held, OnConflict, SensorSpec,
    calendar::Span,
    meter::{Point, Rules, Stretch, Tally, Walk, Writing},
    sum::ExactSum,
};

/// Readings in one stretch.
const STRETCH: usize = 128;

/// One sensor's day.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    span: Span,
    chunks: Vec<Chunk>,
    count: u32,
    sum: ExactSum,
    extremes: Extremes,
    /// What the day's own readings say of it; `None` unless they are a meter's.
    meter: Option<MeterDay>,
}

/// The meter's part of a day.
#[derive(Clone, Debug)]
struct MeterDay {
    rules: Rules,
    /// The walk before the day's first reading.
    entry: Walk,
    own: Tally,
}

/// Up to [`STRETCH`] readings that follow each other in event time.
#[derive(Clone, Debug)]
struct Chunk {
    /// Milliseconds since the day's first instant.
    offsets: Vec<u32>,
    values: Vec<f64>,
    /// Only where contradicting readings add up; else empty.
    ties: Vec<u64>,
    extremes: Extremes,
    meter: Option<Box<ChunkWalk>>,
}

#[derive(Clone, Debug, Default)]
struct ChunkWalk {
    exit: Walk,
    said: Stretch,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Extremes {
    min: f64,
    max: f64,
}

impl Extremes {
    const NONE: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    fn with(self, value: f64) -> Self {
        Self {
            min: self.min.min(value),
            max: self.max.max(value),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn rests_on(self, value: f64) -> bool {
        value <= self.min || value >= self.max
    }
}

/// What an identity was before it was put.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Put {
    New { chunk: usize },
    Same,
    Replaced { was: f64, chunk: usize },
    Kept { held: f64 },
}

/// What taking an identity out leaves to do for a meter.
#[must_use]
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where to walk again from.
    pub(crate) chunk: usize,
    /// What is taken back before that.
    pub(crate) walked: Rewalked,
}

/// The difference that a repeated walk makes to other days.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Rewalked {
    /// What was said of earlier days and is taken back.
    pub(crate) withdrawn: Vec<(crate::Day, Tally)>,
    /// What is said of them now.
    pub(crate) said: Vec<(crate::Day, Tally)>,
}

impl Readings {
    /// A day without readings.
    pub(crate) fn empty(span: Span, spec: &SensorSpec, entry: Option<Walk>) -> Self {
        Self {
            span,
            chunks: Vec::new(),
            count: 0,
            sum: ExactSum::default(),
            extremes: Extremes::NONE,
            meter: entry.map(|entry| MeterDay {
                rules: Rules::of(spec),
                entry,
                own: Tally::default(),
            }),
        }
    }

    /// A day with the readings that were held, ordered by `(time, tie)`.
    pub(crate) fn of(span: Span, spec: &SensorSpec, entry: Option<Walk>, held: &[Held]) -> Self {
        let mut day = Self::empty(span, spec, entry);
        for reading in held {
            let adds = match spec.on_conflict {
                OnConflict::Add => OnConflict::Add,
                OnConflict::Replace | OnConflict::Keep => OnConflict::Replace,
            };
            day.put(reading.time, reading.tie, reading.value, adds);
        }
        // What these readings say of earlier days is in those days already.
        let _said_before = day.rewalk(0, entry);
        day
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Puts a value under its identity, as the policy says. A meter's day must be walked again
    /// from the chunk that changed.
    pub(crate) fn put(
        &mut self,
        time: EventTime,
        tie: u64,
        value: f64,
        on_conflict: OnConflict,
    ) -> Put {
        let offset = u32::try_from(time.ms() - self.span.start_ms)
            .expect("a reading is put into its own day, and days are shorter than 49 days");
        let adds = on_conflict == OnConflict::Add;
        let key = (offset, if adds { tie } else { 0 });
        match self.find(key) {
            Place::Held { chunk, at } => {
                let was = self.chunks[chunk].values[at];
                if was == value {
                    return Put::Same;
                }
                if on_conflict == OnConflict::Keep {
                    return Put::Kept { held: was };
                }
                self.replace(chunk, at, value);
                Put::Replaced { was, chunk }
            }
            Place::Free { chunk, at } => {
                let chunk = self.insert(chunk, at, key, value, adds);
                self.count += 1;
                self.sum.add(value);
                self.extremes = self.extremes.with(value);
                Put::New { chunk }
            }
        }
    }

    /// Takes an identity out; `None`: it is not held. A meter's day is then to be walked again from
    /// the chunk that is named, and what the vanished chunk said of earlier days is taken back.
    pub(crate) fn take(&mut self, time: EventTime, tie: u64) -> Option<Taken> {
        let offset = u32::try_from(time.ms() - self.span.start_ms).ok()?;
        let Place::Held { chunk, at } = self.find((offset, tie)) else {
            return None;
        };
        let held = &mut self.chunks[chunk];
        let was = held.remove(at);
        let mut walked = Rewalked::default();
        if held.values.is_empty() {
            let gone = self.chunks.remove(chunk);
            if let (Some(meter), Some(walk)) = (&mut self.meter, gone.meter) {
                meter.own.subtract(&walk.said.own);
                walked.withdrawn = walk.said.earlier;
            }
        }
        self.count -= 1;
        self.sum.subtract(was);
        if self.extremes.rests_on(was) {
            let chunks = self.chunks.iter();
            self.extremes = chunks.fold(Extremes::NONE, |e, chunk| e.and(chunk.extremes));
        }
        Some(Taken { chunk, walked })
    }

    /// The reading with the newest event time.
    pub(crate) fn newest(&self) -> Option<Held> {
        let last = self.chunks.last()?;
        let (offset, tie) = last.key(last.len() - 1);
        Some(Held {
            time: EventTime::from_ms(self.span.start_ms + i64::from(offset))?,
            tie,
            value: *last.values.last()?,
        })
    }

    fn find(&self, key: (u32, u64)) -> Place {
        let chunk = match self.chunks.last() {
            None => return Place::Free { chunk: 0, at: 0 },
            Some(last) if last.key(0) <= key => self.chunks.len() - 1,
            Some(_) => self
                .chunks
                .partition_point(|chunk| chunk.key(chunk.len() - 1) < key),
        };
        let held = &self.chunks[chunk];
        if held.key(held.len() - 1) < key {
            return Place::Free {
                chunk,
                at: held.len(),
            };
        }
        match held.search(key) {
            Ok(at) => Place::Held { chunk, at },
            Err(at) => Place::Free { chunk, at },
        }
    }

    fn replace(&mut self, chunk: usize, at: usize, value: f64) {
        let held = &mut self.chunks[chunk];
        let was = std::mem::replace(&mut held.values[at], value);
        held.extremes = if held.extremes.rests_on(was) {
            held.values.iter().fold(Extremes::NONE, |e, v| e.with(*v))
        } else {
            held.extremes.with(value)
        };
        self.extremes = if self.extremes.rests_on(was) {
            let chunks = self.chunks.iter();
            chunks.fold(Extremes::NONE, |e, chunk| e.and(chunk.extremes))
        } else {
            self.extremes.with(value)
        };
        self.sum.subtract(was);
        self.sum.add(value);
    }

    /// Returns the chunk from which a meter must be walked again.
    fn insert(
        &mut self,
        chunk: usize,
        at: usize,
        key: (u32, u64),
        value: f64,
        adds: bool,
    ) -> usize {
        let is_full = self.chunks.get(chunk).is_some_and(|c| c.len() >= STRETCH);
        let appends =
            chunk + 1 >= self.chunks.len() && self.chunks.get(chunk).is_none_or(|c| at == c.len());
        if self.chunks.is_empty() || (is_full && appends) {
            let mut fresh = Chunk::new(self.meter.is_some());
            fresh.insert(0, key, value, adds);
            self.chunks.push(fresh);
            return self.chunks.len() - 1;
        }
        if !is_full {
            self.chunks[chunk].insert(at, key, value, adds);
            return chunk;
        }
        let upper = self.chunks[chunk].split();
        self.chunks.insert(chunk + 1, upper);
        let half = self.chunks[chunk].len();
        let (target, at) = if at <= half {
            (chunk, at)
        } else {
            (chunk + 1, at - half)
        };
        self.chunks[target].insert(at, key, value, adds);
        chunk
    }

    /// The row, but for what its publishing adds.
    pub(crate) fn row(&self, spec: &SensorSpec) -> Option<DayRow> {
        let first = *self.chunks.first()?.values.first()?;
        let last = *self.chunks.last()?.values.last()?;
        let value = match spec.aggregate {
            Aggregate::Mean => self.sum.mean(self.count),
            Aggregate::Sum => self.sum.value(),
            Aggregate::Max => self.extremes.max,
            Aggregate::Min => self.extremes.min,
            Aggregate::Last => last,
            Aggregate::Count => f64::from(self.count),
        };
        Some(DayRow {
            aggregate: spec.aggregate,
            value,
            count: self.count,
            expected: spec
                .interval_ms
                .map(|interval| self.span.expected(interval)),
            min: self.extremes.min,
            max: self.extremes.max,
            first,
            last,
            closed: false,
            revision: 0,
        })
    }

    /// What the day's own readings say of it; nothing unless they are a meter's.
    pub(crate) fn own_tally(&self) -> Option<&Tally> {
        self.meter.as_ref().map(|meter| &meter.own)
    }

    /// The walk before the day's first reading.
    pub(crate) fn entry(&self) -> Option<Walk> {
        self.meter.as_ref().map(|meter| meter.entry)
    }

    /// The walk after the day's last reading.
    pub(crate) fn exit(&self) -> Option<Walk> {
        let meter = self.meter.as_ref()?;
        Some(self.chunks.last().map_or(meter.entry, |chunk| {
            chunk.meter.as_ref().map_or(meter.entry, |walk| walk.exit)
        }))
    }

    /// Walks a meter's day again from that chunk on, with a new state before its first reading
    /// where one is given, until the walk is where it was before.
    pub(crate) fn rewalk(&mut self, from: usize, entry: Option<Walk>) -> Rewalked {
        let mut changes = Rewalked::default();
        let Some(meter) = &mut self.meter else {
            return changes;
        };
        if let Some(entry) = entry {
            meter.entry = entry;
        }
        let mut walk = match from.checked_sub(1) {
            None => meter.entry,
            Some(before) => self.chunks[before]
                .meter
                .as_ref()
                .map_or(meter.entry, |walk| walk.exit),
        };
        let (span, rules) = (self.span, meter.rules);
        let mut settled = false;
        for chunk in self.chunks.iter_mut().skip(from) {
            // A chunk that was split off has never been walked: the one after it must be, too.
            let fresh = chunk
                .meter
                .as_ref()
                .is_none_or(|m| m.exit == Walk::default());
            if settled && !fresh {
                break;
            }
            let old = chunk.meter.take().unwrap_or_default();
            let mut said = Stretch::default();
            for (offset, value) in chunk.offsets.iter().zip(&chunk.values) {
                let time = EventTime::from_ms(span.start_ms + i64::from(*offset))
                    .expect("a held reading's time is a possible event time");
                let x = Point {
                    time,
                    day: span.day,
                    value: *value,
                };
                walk.step(x, &rules, &mut Writing(span.day, &mut said));
            }
            meter.own.subtract(&old.said.own);
            meter.own.add(&said.own);
            settled = old.exit == walk;
            if old.said.earlier != said.earlier {
                changes.withdrawn.extend(old.said.earlier);
                changes.said.extend(said.earlier.iter().cloned());
            }
            chunk.meter = Some(Box::new(ChunkWalk { exit: walk, said }));
        }
        changes
    }

    /// Whether the chunk is the day's last and its newest reading was just appended: then the walk
    /// need only take one step.
    pub(crate) fn step_appended(&mut self, chunk: usize) -> Option<Rewalked> {
        let span = self.span;
        let meter = self.meter.as_mut()?;
        if chunk + 1 != self.chunks.len() {
            return None;
        }
        let before = match chunk.checked_sub(1) {
            None => meter.entry,
            Some(before) => self.chunks[before].meter.as_ref()?.exit,
        };
        let last = &mut self.chunks[chunk];
        let (offset, value) = (*last.offsets.last()?, *last.values.last()?);
        let held = last.meter.get_or_insert_default();
        if last.offsets.len() == 1 {
            held.exit = before;
        }
        let time = EventTime::from_ms(span.start_ms + i64::from(offset))?;
        let x = Point {
            time,
            day: span.day,
            value,
        };
        let mut said = Stretch::default();
        let rules = meter.rules;
        held.exit.step(x, &rules, &mut Writing(span.day, &mut said));
        held.said.own.add(&said.own);
        meter.own.add(&said.own);
        for (day, tally) in &said.earlier {
            use crate::meter::Ledger as _;
            Writing(span.day, &mut held.said).of(*day).add(tally);
        }
        Some(Rewalked {
            withdrawn: Vec::new(),
            said: said.earlier,
        })
    }

    /// Whether that identity would be the day's newest.
    pub(crate) fn is_after_all(&self, time: EventTime, tie: u64) -> bool {
        self.chunks.last().is_none_or(|last| {
            let offset = time.ms() - self.span.start_ms;
            let (newest, newest_tie) = last.key(last.len() - 1);
            (i64::from(newest), newest_tie) < (offset, tie)
        })
    }
}

/// Where an identity is, or would be.
enum Place {
    Held { chunk: usize, at: usize },
    Free { chunk: usize, at: usize },
}

impl Chunk {
    fn new(is_meter: bool) -> Self {
        Self {
            offsets: Vec::new(),
            values: Vec::new(),
            ties: Vec::new(),
            extremes: Extremes::NONE,
            meter: is_meter.then(Box::default),
        }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn key(&self, i: usize) -> (u32, u64) {
        (self.offsets[i], self.ties.get(i).copied().unwrap_or(0))
    }

    fn search(&self, key: (u32, u64)) -> Result<usize, usize> {
        let at = self.offsets.partition_point(|offset| *offset < key.0);
        let same = self.offsets[at..]
            .iter()
            .take_while(|o| **o == key.0)
            .count();
        let found = (at..at + same).find(|i| self.key(*i) >= key);
        match found {
            Some(i) if self.key(i) == key => Ok(i),
            Some(i) => Err(i),
            None => Err(at + same),
        }
    }

    fn insert(&mut self, at: usize, key: (u32, u64), value: f64, adds: bool) {
        self.offsets.insert(at, key.0);
        self.values.insert(at, value);
        if adds {
            self.ties.insert(at, key.1);
        }
        self.extremes = self.extremes.with(value);
    }

    fn remove(&mut self, at: usize) -> f64 {
        self.offsets.remove(at);
        if !self.ties.is_empty() {
            self.ties.remove(at);
        }
        let was = self.values.remove(at);
        if self.extremes.rests_on(was) {
            self.extremes = self.values.iter().fold(Extremes::NONE, |e, v| e.with(*v));
        }
        was
    }

    /// Keeps the lower half and returns the upper; neither's walk is known any more.
    fn split(&mut self) -> Self {
        let half = self.len() / 2;
        let mut upper = Self {
            offsets: self.offsets.split_off(half),
            values: self.values.split_off(half),
            ties: if self.ties.is_empty() {
                Vec::new()
            } else {
                self.ties.split_off(half)
            },
            extremes: Extremes::NONE,
            meter: self.meter.is_some().then(Box::default),
        };
        upper.extremes = upper.values.iter().fold(Extremes::NONE, |e, v| e.with(*v));
        self.extremes = self.values.iter().fold(Extremes::NONE, |e, v| e.with(*v));
        upper
    }
}
