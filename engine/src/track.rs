//! One sensor through time: the days that are in memory, and how they hang together.
//!
//! A day is loaded from the past when a reading falls into it, and stays until what changed has
//! been handed over ([`Track::hand_over`]). A meter's days form a chain: each begins its walk
//! where the day before ended it, so a change runs on into later days until it makes no
//! difference any more, which is the next day at the latest but for undecided readings.

use crate::{
    Calendar, Day, DayRow, DiffRow, EventTime, Held, Kind, OnConflict, Past, SensorDay, SensorId,
    SensorSpec,
    calendar::Span,
    day::{Put, Readings, Rewalked},
    meter::{Carried, Ledger, Rules, Tally, Walk},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of a sensor beside its days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorMemory {
    /// Its newest accepted event time.
    pub newest: Option<EventTime>,
    /// The latest day that holds a reading.
    pub last_day: Option<Day>,
    /// The latest day that has a row, be it one that is gone.
    pub last_row: Option<Day>,
    /// Days whose rows are provisional.
    pub open: Vec<Day>,
}

/// One sensor through time.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    id: SensorId,
    spec: SensorSpec,
    newest: Option<EventTime>,
    last_day: Option<Day>,
    days: BTreeMap<Day, HotDay>,
    open: BTreeSet<Day>,
    dirty: Vec<Day>,
    /// The day of the last reading: the next one mostly falls into it, too.
    recent: Option<Span>,
    /// What readings that are still undecided say while nothing follows them; part of what the
    /// days they belong to have received. `None` until it was asked of the past.
    finish: Option<Vec<(Day, Tally)>>,
    /// The latest day that has a row, be it one that is gone.
    last_row: Option<Day>,
}

#[derive(Clone, Debug)]
struct HotDay {
    readings: Readings,
    /// What later days' readings say of this day.
    received: Tally,
    /// Whether the calendar day before holds a reading.
    follows: bool,
    published: Option<(DayRow, Option<DiffRow>)>,
    dirty: bool,
    handed_over: bool,
}

/// One day's new state, and which of its rows differ from what was published before.
#[derive(Clone, Debug, PartialEq)]
pub struct DayChange {
    /// Whose.
    pub sensor: SensorId,
    /// Which day.
    pub day: Day,
    /// What is true now.
    pub state: SensorDay,
    /// The aggregate is new, is gone, or differs in any field.
    pub row_changed: bool,
    /// The difference is new, is gone, or differs in any field.
    pub diff_changed: bool,
}

/// Collects what undecided readings say.
#[derive(Default)]
struct Said(Vec<(Day, Tally)>);

impl Ledger for Said {
    fn of(&mut self, day: Day) -> &mut Tally {
        let said = &mut self.0;
        let at = said.iter().position(|(d, _)| *d == day).unwrap_or_else(|| {
            said.push((day, Tally::default()));
            said.len() - 1
        });
        &mut said[at].1
    }
}

impl Track {
    pub(crate) fn new(id: SensorId, spec: SensorSpec, memory: SensorMemory) -> Self {
        Self {
            id,
            spec,
            newest: memory.newest,
            finish: memory.last_day.is_none().then(Vec::new),
            last_row: memory.last_row.max(memory.last_day),
            last_day: memory.last_day,
            days: BTreeMap::new(),
            open: memory.open.into_iter().collect(),
            dirty: Vec::new(),
            recent: None,
        }
    }

    pub(crate) fn memory(&self) -> SensorMemory {
        SensorMemory {
            newest: self.newest,
            last_day: self.last_day,
            last_row: self.last_row,
            open: self.open.iter().copied().collect(),
        }
    }

    pub(crate) fn spec(&self) -> &SensorSpec {
        &self.spec
    }

    pub(crate) fn newest(&self) -> Option<EventTime> {
        self.newest
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn open_days(&self) -> impl Iterator<Item = Day> + '_ {
        self.open.iter().copied()
    }

    /// Readings in memory.
    pub(crate) fn held(&self) -> usize {
        self.days
            .values()
            .map(|day| day.readings.count() as usize)
            .sum()
    }

    /// Puts a reading under its identity.
    pub(crate) fn put<P: Past>(
        &mut self,
        held: Held,
        on_conflict: OnConflict,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<Put, P::Error> {
        let span = self.span_of(held.time, calendar);
        let day = span.day;
        if self.finish.is_none() {
            self.finish = Some(self.undecided(past)?);
        }
        let is_new_day = self.ensure(day, calendar, past)?;
        if self.spec.kind == Kind::Meter {
            // A day is loaded while the one before it still is what it was when both were kept.
            let _loaded = self.after(day, calendar, past)?;
        }
        let hot = self.hot(day);
        let tie = if on_conflict == OnConflict::Add {
            held.tie
        } else {
            0
        };
        let appends = hot.readings.is_after_all(held.time, tie);
        let put = hot.readings.put(held.time, tie, held.value, on_conflict);
        let chunk = match put {
            Put::Same | Put::Kept { .. } => return Ok(put),
            Put::New { chunk } | Put::Replaced { chunk, .. } => chunk,
        };
        self.touch(day);
        if is_new_day {
            self.begin_day(day, calendar, past)?;
        }
        if self.spec.kind == Kind::Meter {
            self.walk_on(day, chunk, appends, calendar, past)?;
        }
        self.newest = self.newest.max(Some(held.time));
        Ok(put)
    }

    /// Takes a reading out that was put, as if it had never been; `false`: it is not held.
    pub(crate) fn withdraw<P: Past>(
        &mut self,
        time: EventTime,
        tie: u64,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<bool, P::Error> {
        let day = self.span_of(time, calendar).day;
        if self.finish.is_none() {
            self.finish = Some(self.undecided(past)?);
        }
        if self.ensure(day, calendar, past)? {
            self.forget_unused(day);
            return Ok(false);
        }
        let next = self.after(day, calendar, past)?;
        let tie = match self.spec.on_conflict {
            OnConflict::Add => tie,
            OnConflict::Replace | OnConflict::Keep => 0,
        };
        let Some(taken) = self.hot(day).readings.take(time, tie) else {
            return Ok(false);
        };
        self.touch(day);
        let is_empty = self.hot(day).readings.count() == 0;
        if is_empty {
            self.open.remove(&day);
            if self.spec.kind == Kind::Meter && next == Some(day.succ()) {
                self.hot(day.succ()).follows = false;
                self.touch(day.succ());
            }
        }
        if self.spec.kind == Kind::Meter {
            self.take_finish_back(calendar, past)?;
            self.tell_earlier_days(taken.walked, calendar, past)?;
            let changes = self.hot(day).readings.rewalk(taken.chunk, None);
            self.carry_on(day, changes, calendar, past)?;
        }
        if is_empty && self.last_day == Some(day) {
            self.last_day = self.nearest_before(day, past)?.map(|(d, _)| d);
        }
        if self.spec.kind == Kind::Meter {
            self.finish(calendar, past)?;
        }
        if self.newest == Some(time) {
            self.newest = self.newest_held(calendar, past)?.map(|held| held.time);
        }
        Ok(true)
    }

    /// A day that was loaded and found without readings leaves memory, unless it has something to say.
    fn forget_unused(&mut self, day: Day) {
        let unused = |hot: &HotDay| !hot.dirty && hot.published.is_none();
        if self.days.get(&day).is_some_and(unused) {
            self.days.remove(&day);
        }
    }

    /// The reading with the newest event time.
    pub(crate) fn newest_held<P: Past>(
        &mut self,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<Option<Held>, P::Error> {
        let Some(last) = self.last_day else {
            return Ok(None);
        };
        self.ensure(last, calendar, past)?;
        let newest = self.hot(last).readings.newest();
        if newest.is_none() && !self.hot(last).dirty {
            // Its row has outlived its readings, and must not be taken for a day that lost them.
            self.days.remove(&last);
        }
        Ok(newest)
    }

    /// Marks a day for the next [`settle`](Self::settle), loading it if need be.
    pub(crate) fn revisit<P: Past>(
        &mut self,
        day: Day,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        self.ensure(day, calendar, past)?;
        self.touch(day);
        Ok(())
    }

    /// What is true of the days that were touched since the last call.
    pub(crate) fn settle(
        &mut self,
        is_closed: impl Fn(&Self, &Span) -> bool,
        mut changed: impl FnMut(DayChange),
    ) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for day in dirty.drain(..) {
            let closed = is_closed(self, &self.days[&day].readings.span());
            let Some(change) = self.publish(day, closed) else {
                self.days.remove(&day);
                continue;
            };
            let row = &change.state.row;
            // A row that is closed stays so, even where site time went back behind its end.
            if row.closed || row.is_gone() {
                self.open.remove(&day);
            } else {
                self.open.insert(day);
            }
            changed(change);
        }
        self.dirty = dirty;
    }

    /// `None`: the day holds no reading, and none was ever published of it.
    fn publish(&mut self, day: Day, closed: bool) -> Option<DayChange> {
        let (id, spec) = (self.id, self.spec);
        let hot = self.hot(day);
        hot.dirty = false;
        let (old_row, old_diff) = match hot.published {
            Some((row, diff)) => (Some(row), diff),
            None => (None, None),
        };
        let mut row = match hot.readings.row(&spec) {
            Some(row) => row,
            None => gone(old_row?),
        };
        let closed = closed && !row.is_gone();
        let label = |row: &DayRow| (row.closed, row.revision);
        let same = old_row.is_some_and(|old| {
            let unlabelled = DayRow {
                closed: false,
                revision: 0,
                ..old
            };
            unlabelled == row
        });
        (row.closed, row.revision) = revise(old_row.as_ref().map(label), same, closed);
        let diff = hot.diff().filter(|_| !row.is_gone()).map(|mut diff| {
            let same = old_diff.is_some_and(|old| old.value == diff.value && old.kind == diff.kind);
            let label = old_diff.map(|old| (old.closed, old.revision));
            (diff.closed, diff.revision) = revise(label, same, row.closed);
            diff
        });
        hot.published = Some((row, diff));
        Some(DayChange {
            sensor: id,
            day,
            state: hot.state(row, diff),
            row_changed: old_row != Some(row),
            diff_changed: old_diff != diff,
        })
    }

    /// What was last published of a day.
    pub(crate) fn state<P: Past>(
        &self,
        day: Day,
        past: &mut P,
    ) -> Result<Option<SensorDay>, P::Error> {
        let state = match self.days.get(&day) {
            Some(hot) => hot.published.map(|(row, diff)| hot.state(row, diff)),
            None => past.day(self.id, day)?,
        };
        Ok(state.filter(|state| !state.row.is_gone()))
    }

    /// The past knows now what changed: days but the newest `keep` leave memory.
    pub(crate) fn hand_over(&mut self, keep: usize) {
        let leave = self.days.len().saturating_sub(keep);
        let mut nth = 0;
        self.days.retain(|_, hot| {
            hot.handed_over = true;
            nth += 1;
            nth > leave || hot.dirty
        });
    }

    fn span_of(&mut self, time: EventTime, calendar: Calendar) -> Span {
        let stamp = self.spec.stamp;
        match self.recent {
            Some(span) if span.holds(time, stamp) => span,
            Some(_) | None => {
                let span = calendar.span_of(time, stamp);
                self.recent = Some(span);
                span
            }
        }
    }

    fn hot(&mut self, day: Day) -> &mut HotDay {
        self.days
            .get_mut(&day)
            .expect("a day is loaded before it is used")
    }

    fn touch(&mut self, day: Day) {
        let hot = self.hot(day);
        hot.handed_over = false;
        if !hot.dirty {
            hot.dirty = true;
            self.dirty.push(day);
        }
    }

    /// Brings a day into memory; whether it is a day without readings so far.
    fn ensure<P: Past>(
        &mut self,
        day: Day,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<bool, P::Error> {
        if let Some(hot) = self.days.get(&day) {
            if hot.readings.count() > 0 {
                return Ok(false);
            }
            self.begin_again(day, past)?;
            return Ok(true);
        }
        let kept = match self.last_row {
            Some(last) if day <= last => past.day(self.id, day)?,
            Some(_) | None => None,
        };
        let (entry, follows) = self.before(day, past)?;
        let entry = (self.spec.kind == Kind::Meter).then_some(entry);
        let span = calendar.span(day);
        let is_new = kept.as_ref().is_none_or(|kept| kept.row.is_gone());
        let hot = match kept {
            None => HotDay {
                readings: Readings::empty(span, &self.spec, entry),
                received: Tally::default(),
                follows,
                published: None,
                dirty: false,
                handed_over: false,
            },
            Some(kept) => {
                let held = past.readings(self.id, day)?;
                HotDay {
                    readings: Readings::of(span, &self.spec, entry, &held),
                    received: carried(&kept).received,
                    follows,
                    published: Some((kept.row, kept.diff)),
                    dirty: false,
                    handed_over: true,
                }
            }
        };
        self.days.insert(day, hot);
        Ok(is_new)
    }

    /// A day in memory that has lost its readings may get new ones, and the days before it may have
    /// changed since.
    fn begin_again<P: Past>(&mut self, day: Day, past: &mut P) -> Result<(), P::Error> {
        let (entry, follows) = self.before(day, past)?;
        let entry = (self.spec.kind == Kind::Meter).then_some(entry);
        let spec = self.spec;
        let hot = self.hot(day);
        hot.readings = Readings::empty(hot.readings.span(), &spec, entry);
        hot.follows = follows;
        Ok(())
    }

    /// The walk before a day, and whether the calendar day before it holds a reading.
    fn before<P: Past>(&self, day: Day, past: &mut P) -> Result<(Walk, bool), P::Error> {
        let nearest = self.nearest_before(day, past)?;
        Ok(nearest.map_or((Walk::default(), false), |(d, walk)| {
            (walk, d == day.pred())
        }))
    }

    /// The nearest earlier day that holds a reading, and the walk after it.
    fn nearest_before<P: Past>(
        &self,
        day: Day,
        past: &mut P,
    ) -> Result<Option<(Day, Walk)>, P::Error> {
        if self.last_day.is_none() {
            return Ok(None);
        }
        let mut hot = self.days.range(..day).rev();
        let hot = hot.find(|(_, hot)| hot.readings.count() > 0);
        let hot = hot.map(|(d, hot)| (*d, hot.readings.exit().unwrap_or_default()));
        if let Some((d, _)) = hot
            && (d == day.pred() || self.last_day == Some(d))
        {
            return Ok(hot);
        }
        let mut kept = past.before(self.id, day)?;
        while let Some((k, _)) = kept
            && self.has_emptied(k)
        {
            kept = past.before(self.id, k)?;
        }
        Ok(match (hot, kept) {
            (None, None) => None,
            (Some(hot), None) => Some(hot),
            (Some(hot), Some((k, _))) if hot.0 >= k => Some(hot),
            (_, Some((k, kept))) => Some((k, carried(&kept).exit)),
        })
    }

    /// Whether the past still tells of readings that a day in memory has lost.
    fn has_emptied(&self, day: Day) -> bool {
        let hot = self.days.get(&day);
        hot.is_some_and(|hot| hot.readings.count() == 0)
    }

    /// The nearest later day that holds a reading, in memory.
    fn after<P: Past>(
        &mut self,
        day: Day,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<Option<Day>, P::Error> {
        if self.last_day.is_none_or(|last| day >= last) {
            return Ok(None);
        }
        let mut hot = self.days.range(day.succ()..);
        let hot = hot.find(|(_, hot)| hot.readings.count() > 0);
        let hot = hot.map(|(d, _)| *d);
        if hot == Some(day.succ()) {
            return Ok(hot);
        }
        let mut kept = past.after(self.id, day)?.map(|(d, _)| d);
        while let Some(k) = kept
            && self.has_emptied(k)
        {
            kept = past.after(self.id, k)?.map(|(d, _)| d);
        }
        let next = match (hot, kept) {
            (Some(hot), Some(kept)) => Some(hot.min(kept)),
            (hot, kept) => hot.or(kept),
        };
        if let Some(next) = next {
            self.ensure(next, calendar, past)?;
        }
        Ok(next)
    }

    /// A day got its first reading: the calendar day after it has a day before it now.
    fn begin_day<P: Past>(
        &mut self,
        day: Day,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        if self.spec.kind == Kind::Meter && self.after(day, calendar, past)? == Some(day.succ()) {
            self.hot(day.succ()).follows = true;
            self.touch(day.succ());
        }
        self.last_day = self.last_day.max(Some(day));
        self.last_row = self.last_row.max(Some(day));
        Ok(())
    }

    /// Walks a meter again from a reading that was put, as far as it makes a difference.
    fn walk_on<P: Past>(
        &mut self,
        day: Day,
        chunk: usize,
        appends: bool,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        self.take_finish_back(calendar, past)?;
        let readings = &mut self.hot(day).readings;
        let stepped = if appends {
            readings.step_appended(chunk)
        } else {
            None
        };
        let changes = match stepped {
            Some(changes) => changes,
            None => readings.rewalk(chunk, None),
        };
        self.carry_on(day, changes, calendar, past)?;
        self.finish(calendar, past)
    }

    /// Tells what a day's walk changed, and walks the days after it as far as it makes a difference.
    fn carry_on<P: Past>(
        &mut self,
        mut day: Day,
        mut changes: Rewalked,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        loop {
            self.tell_earlier_days(changes, calendar, past)?;
            let Some(next) = self.after(day, calendar, past)? else {
                return Ok(());
            };
            let exit = self.hot(day).readings.exit();
            let _loaded = self.after(next, calendar, past)?;
            let following = &mut self.hot(next).readings;
            if following.entry() == exit {
                return Ok(());
            }
            changes = following.rewalk(0, exit);
            self.touch(next);
            day = next;
        }
    }

    fn tell_earlier_days<P: Past>(
        &mut self,
        changes: Rewalked,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        for (day, tally) in changes.withdrawn {
            self.ensure(day, calendar, past)?;
            self.hot(day).received.subtract(&tally);
            self.touch(day);
        }
        for (day, tally) in changes.said {
            self.ensure(day, calendar, past)?;
            self.hot(day).received.add(&tally);
            self.touch(day);
        }
        Ok(())
    }

    fn take_finish_back<P: Past>(
        &mut self,
        calendar: Calendar,
        past: &mut P,
    ) -> Result<(), P::Error> {
        let said = self.finish.take().unwrap_or_default();
        let withdrawn = Rewalked {
            withdrawn: said,
            said: Vec::new(),
        };
        self.tell_earlier_days(withdrawn, calendar, past)
    }

    fn finish<P: Past>(&mut self, calendar: Calendar, past: &mut P) -> Result<(), P::Error> {
        let said = self.undecided(past)?;
        self.finish = Some(said.clone());
        let said = Rewalked {
            withdrawn: Vec::new(),
            said,
        };
        self.tell_earlier_days(said, calendar, past)
    }

    fn undecided<P: Past>(&self, past: &mut P) -> Result<Vec<(Day, Tally)>, P::Error> {
        let Some(last) = self.last_day else {
            return Ok(Vec::new());
        };
        let exit = match self.days.get(&last) {
            Some(hot) => hot.readings.exit().unwrap_or_default(),
            None => past
                .day(self.id, last)?
                .map_or(Walk::default(), |kept| carried(&kept).exit),
        };
        let mut said = Said::default();
        if exit.is_open() {
            exit.finish(&Rules::of(&self.spec), &mut said);
        }
        Ok(said.0)
    }
}

impl HotDay {
    fn diff(&self) -> Option<DiffRow> {
        let own = self.readings.own_tally().filter(|_| self.follows)?;
        let (value, kind) = if self.received.is_nothing() {
            (own.value(), own.kind())
        } else {
            let mut tally = own.clone();
            tally.add(&self.received);
            (tally.value(), tally.kind())
        };
        Some(DiffRow {
            value,
            kind,
            closed: false,
            revision: 0,
        })
    }

    fn state(&self, row: DayRow, diff: Option<DiffRow>) -> SensorDay {
        let walk = self.readings.exit().map(|exit| {
            let received = self.received.clone();
            Carried { exit, received }.pack()
        });
        SensorDay { row, diff, walk }
    }
}

/// The row of a day that has lost its readings.
fn gone(old: DayRow) -> DayRow {
    DayRow {
        value: 0.0,
        count: 0,
        min: 0.0,
        max: 0.0,
        first: 0.0,
        last: 0.0,
        closed: false,
        revision: 0,
        ..old
    }
}

/// What was carried over from a day that was kept.
///
/// What cannot be read counts as a meter that has not begun: the store vouches for its bytes, and
/// a day that is loaded is walked anew from its readings anyway.
fn carried(kept: &SensorDay) -> Carried {
    let bytes = kept.walk.as_deref();
    bytes.and_then(Carried::unpack).unwrap_or_default()
}

/// The label of a row: provisional rows stay at 0, closing makes 1, a closed row that changes
/// gains one.
pub(crate) fn revise(old: Option<(bool, u32)>, same: bool, closed: bool) -> (bool, u32) {
    match old {
        Some((true, revision)) => (true, if same { revision } else { revision + 1 }),
        Some((false, _)) | None => (closed, u32::from(closed)),
    }
}
