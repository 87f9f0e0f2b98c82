//! The entry: (held state, batch, now) → what changed.
//!
//! [`Engine::admit`] judges one reading and puts it where it belongs; [`Engine::settle`] ends a
//! commit and tells which rows are different now. A commit that fails leaves the engine ahead of
//! the disk: build a new one from the [`Past`].

use crate::{
    Admission, BalanceId, Calendar, Day, EventTime, Held, OnConflict, RestRow, SensorDay, SensorId,
    SensorSpec,
    balance::{Balance, lost, rest},
    day::Put,
    reading::Reading,
    track::{DayChange, SensorMemory, Track},
};
use std::convert::Infallible;

/// What the engine asks of the past that it does not hold in memory.
///
/// It is asked only about days that were not touched since they were last handed over.
pub trait Past {
    /// Why the past cannot be told.
    type Error;
    /// The current value of every identity held of that day, ordered by `(time, tie)`.
    fn readings(&mut self, sensor: SensorId, day: Day) -> Result<Vec<Held>, Self::Error>;
    /// What was kept of that day.
    fn day(&mut self, sensor: SensorId, day: Day) -> Result<Option<SensorDay>, Self::Error>;
    /// The nearest earlier day that holds a reading.
    fn before(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Self::Error>;
    /// The nearest later day that holds a reading.
    fn after(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Self::Error>;
    /// The row of a balance.
    fn rest(&mut self, balance: BalanceId, day: Day) -> Result<Option<RestRow>, Self::Error>;
}

/// A past in which nothing happened: whoever keeps in memory every day that may still change asks for no other.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPast;

impl Past for NoPast {
    type Error = Infallible;

    fn readings(&mut self, _: SensorId, _: Day) -> Result<Vec<Held>, Infallible> {
        Ok(Vec::new())
    }
    fn day(&mut self, _: SensorId, _: Day) -> Result<Option<SensorDay>, Infallible> {
        Ok(None)
    }
    fn before(&mut self, _: SensorId, _: Day) -> Result<Option<(Day, SensorDay)>, Infallible> {
        Ok(None)
    }
    fn after(&mut self, _: SensorId, _: Day) -> Result<Option<(Day, SensorDay)>, Infallible> {
        Ok(None)
    }
    fn rest(&mut self, _: BalanceId, _: Day) -> Result<Option<RestRow>, Infallible> {
        Ok(None)
    }
}

/// What holds for all sensors of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The site's days.
    pub calendar: Calendar,
    /// How far behind its sensor's newest event time a reading may be, in milliseconds.
    pub allowed_lateness_ms: i64,
    /// How long after its end a day waits for its readings, in milliseconds of site time.
    pub grace_ms: i64,
    /// What site time is.
    pub clock: SiteClock,
}

/// What site time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteClock {
    /// The wall clock, as [`Engine::advance`] tells it once it is trusted.
    Wall,
    /// The newest event time of the site: simulation and replay.
    Event,
}

/// What a commit changed.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Days whose rows, or whose hidden state, are different now.
    pub days: Vec<DayChange>,
    /// Rows of balances that are different now.
    pub rests: Vec<(BalanceId, Day, RestRow)>,
}

/// All sensors and balances of a site.
#[derive(Clone, Debug)]
pub struct Engine {
    rules: Rules,
    tracks: Vec<Option<Member>>,
    balances: Vec<Option<Balance>>,
    /// Sensors with something to settle.
    dirty: Vec<SensorId>,
    site_time_ms: Option<i64>,
    /// The earliest site time at which an open row closes for want of readings.
    deadline_ms: i64,
}

#[derive(Clone, Debug)]
struct Member {
    track: Track,
    /// Balances that it is a meter or a part of.
    balances: Vec<BalanceId>,
    /// The next midnight after its newest event time.
    edge_ms: i64,
    listed: bool,
}

impl Engine {
    /// A site without sensors, at the site time at which it was last left.
    #[must_use]
    pub fn new(rules: Rules, site_time_ms: Option<i64>) -> Self {
        Self {
            rules,
            tracks: Vec::new(),
            balances: Vec::new(),
            dirty: Vec::new(),
            site_time_ms,
            deadline_ms: i64::MIN,
        }
    }

    /// Makes a sensor known, as it was last left.
    pub fn register(&mut self, id: SensorId, spec: SensorSpec, memory: SensorMemory) {
        let member = Member {
            edge_ms: self.edge_after(memory.newest),
            track: Track::new(id, spec, memory),
            balances: Vec::new(),
            listed: false,
        };
        *slot(&mut self.tracks, id.0) = Some(member);
        self.deadline_ms = i64::MIN;
    }

    /// Makes a balance of known sensors known, with the days on which its row is provisional.
    pub fn register_balance(
        &mut self,
        id: BalanceId,
        meter: SensorId,
        parts: Vec<SensorId>,
        open: Vec<Day>,
    ) {
        for sensor in std::iter::once(meter).chain(parts.iter().copied()) {
            let member = self.member(sensor);
            if !member.balances.contains(&id) {
                member.balances.push(id);
            }
        }
        *slot(&mut self.balances, id.0) = Some(Balance::new(meter, parts, open));
        self.deadline_ms = i64::MIN;
    }

    /// Has the next [`settle`](Self::settle) look at a balance's row again: for days from before
    /// the balance was known.
    pub fn reconsider(&mut self, balance: BalanceId, day: Day) {
        if let Some(balance) = slot(&mut self.balances, balance.0) {
            balance.dirty.insert(day);
        }
    }

    /// What to keep of a sensor beside its days.
    #[must_use]
    pub fn memory(&self, sensor: SensorId) -> SensorMemory {
        let member = self.known(sensor);
        member
            .map(|member| member.track.memory())
            .unwrap_or_default()
    }

    /// The days on which a balance's row is provisional.
    #[must_use]
    pub fn open_rests(&self, balance: BalanceId) -> Vec<Day> {
        let balance = self
            .balances
            .get(balance.0 as usize)
            .and_then(Option::as_ref);
        balance
            .map(|b| b.open.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Site time, in milliseconds since 1970 UTC; `None` while it is not known.
    #[must_use]
    pub fn site_time_ms(&self) -> Option<i64> {
        self.site_time_ms
    }

    /// Readings in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.tracks
            .iter()
            .flatten()
            .map(|member| member.track.held())
            .sum()
    }

    /// Judges a reading of a known sensor and puts it where it belongs.
    ///
    /// # Panics
    /// If the sensor was never registered.
    pub fn admit<P: Past>(
        &mut self,
        reading: Reading,
        past: &mut P,
    ) -> Result<Admission, P::Error> {
        let allowed = self.rules.allowed_lateness_ms;
        let track = &self.member(reading.sensor).track;
        if let Some(newest) = track.newest()
            && !reading.exempt
        {
            let late_by_ms = newest.ms() - reading.time.ms();
            if late_by_ms > allowed {
                return Ok(Admission::SetAside { late_by_ms });
            }
        }
        let policy = track.spec().on_conflict;
        self.put(reading, policy, past).map(admission)
    }

    /// Puts a reading as an operator says: neither lateness nor what is held stands against it.
    ///
    /// # Panics
    /// If the sensor was never registered.
    pub fn overrule<P: Past>(
        &mut self,
        reading: Reading,
        past: &mut P,
    ) -> Result<Admission, P::Error> {
        let policy = self.unconditional(reading.sensor);
        self.put(reading, policy, past).map(admission)
    }

    /// Puts a reading that was admitted before: the log is repeated, not judged again.
    ///
    /// # Panics
    /// If the sensor was never registered.
    pub fn restore<P: Past>(&mut self, reading: Reading, past: &mut P) -> Result<(), P::Error> {
        let policy = self.unconditional(reading.sensor);
        self.put(reading, policy, past).map(|_| ())
    }

    /// Takes a reading out that was put, as if it had never been; says what the sensor's newest
    /// reading is then. Its rows follow with the next [`settle`](Self::settle); a day without
    /// readings has a row that [is gone](crate::DayRow::is_gone).
    ///
    /// # Panics
    /// If the sensor was never registered.
    pub fn withdraw<P: Past>(
        &mut self,
        sensor: SensorId,
        time: EventTime,
        tie: u64,
        past: &mut P,
    ) -> Result<Option<Held>, P::Error> {
        let calendar = self.rules.calendar;
        let track = &mut self.member(sensor).track;
        track.withdraw(time, tie, calendar, past)?;
        let newest = track.newest_held(calendar, past)?;
        let edge_ms = self.edge_after(newest.map(|held| held.time));
        let member = self.member(sensor);
        member.edge_ms = edge_ms;
        if member.track.is_dirty() && !member.listed {
            member.listed = true;
            self.dirty.push(sensor);
        }
        Ok(newest)
    }

    fn unconditional(&mut self, sensor: SensorId) -> OnConflict {
        match self.member(sensor).track.spec().on_conflict {
            OnConflict::Add => OnConflict::Add,
            OnConflict::Replace | OnConflict::Keep => OnConflict::Replace,
        }
    }

    fn put<P: Past>(
        &mut self,
        reading: Reading,
        policy: OnConflict,
        past: &mut P,
    ) -> Result<Put, P::Error> {
        let Rules {
            calendar, clock, ..
        } = self.rules;
        let member = self.member(reading.sensor);
        let held = Held {
            time: reading.time,
            tie: reading.tie,
            value: reading.value + 0.0, // −0 and 0 are one value
        };
        let put = member.track.put(held, policy, calendar, past)?;
        let newest = member.track.newest();
        if member.track.is_dirty() && !member.listed {
            member.listed = true;
            self.dirty.push(reading.sensor);
        }
        self.cross_midnight(reading.sensor, newest, past)?;
        if clock == SiteClock::Event && matches!(put, Put::New { .. }) {
            self.site_time_ms = self.site_time_ms.max(newest.map(EventTime::ms));
        }
        Ok(put)
    }

    /// Tells the wall clock's time, once it is trusted; does nothing in event mode. Site time goes
    /// back with a clock that was set back: rows that are closed stay so, and no other closes by a
    /// time that was wrong.
    pub fn advance(&mut self, now_ms: i64) {
        match self.rules.clock {
            SiteClock::Wall => self.site_time_ms = Some(now_ms),
            SiteClock::Event => {}
        }
    }

    /// Whether [`settle`](Self::settle) would close rows for want of readings.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.site_time_ms.is_some_and(|now| now >= self.deadline_ms)
    }

    /// Ends a commit: what is different now.
    pub fn settle<P: Past>(&mut self, past: &mut P) -> Result<Changes, P::Error> {
        let mut changes = Changes::default();
        if self.is_due() {
            self.revisit_due(past)?;
        }
        let (rules, site) = (self.rules, self.site_time_ms);
        let mut soonest = i64::MAX;
        for sensor in std::mem::take(&mut self.dirty) {
            let member = self.member(sensor);
            member.listed = false;
            let balances = member.balances.clone();
            let first = changes.days.len();
            member.track.settle(
                |track, span| is_over(track.newest(), site, span.end_ms, rules.grace_ms),
                |change| changes.days.push(change),
            );
            for change in &changes.days[first..] {
                if !change.state.row.closed {
                    soonest = soonest.min(rules.calendar.bounds(change.day).1 + rules.grace_ms);
                }
                let has_lost = change.diff_changed && change.state.diff.is_none();
                for balance in &balances {
                    self.reconsider(*balance, change.day);
                    if let Some(balance) = slot(&mut self.balances, balance.0)
                        && has_lost
                        && balance.meter == sensor
                    {
                        balance.lost.insert(change.day);
                    }
                }
            }
        }
        self.settle_balances(past, &mut changes, &mut soonest)?;
        self.deadline_ms = self.deadline_ms.min(soonest);
        Ok(changes)
    }

    /// The past knows now what changed: days but the newest `keep` of each sensor leave memory.
    pub fn hand_over(&mut self, keep: usize) {
        for member in self.tracks.iter_mut().flatten() {
            member.track.hand_over(keep);
        }
        for balance in self.balances.iter_mut().flatten() {
            balance.rows.clear();
        }
    }

    fn settle_balances<P: Past>(
        &mut self,
        past: &mut P,
        changes: &mut Changes,
        soonest: &mut i64,
    ) -> Result<(), P::Error> {
        for index in 0..self.balances.len() {
            let Some(balance) = &mut self.balances[index] else {
                continue;
            };
            if balance.dirty.is_empty() {
                continue;
            }
            let id = BalanceId(u32::try_from(index).expect("ids are 32 bits"));
            for day in std::mem::take(&mut balance.dirty) {
                if let Some(row) = self.weigh(id, day, past)? {
                    if !row.closed && !row.is_gone() {
                        let end = self.rules.calendar.bounds(day).1;
                        *soonest = (*soonest).min(end + self.rules.grace_ms);
                    }
                    changes.rests.push((id, day, row));
                }
            }
        }
        Ok(())
    }

    /// A balance's row, if it is different from what was published.
    fn weigh<P: Past>(
        &mut self,
        id: BalanceId,
        day: Day,
        past: &mut P,
    ) -> Result<Option<RestRow>, P::Error> {
        let Some(balance) = &mut self.balances[id.0 as usize] else {
            return Ok(None);
        };
        let has_lost = balance.lost.remove(&day);
        let (meter, sensors) = (balance.meter, balance.parts.clone());
        let kept = balance.rows.get(&day).cloned();
        let metered = self.state(meter, day, past)?;
        let metered = metered.filter(|metered| metered.diff.is_some());
        if metered.is_none() && !has_lost {
            return Ok(None);
        }
        let old = match kept {
            Some(row) => Some(row),
            None => past.rest(id, day)?,
        };
        let Some(metered) = metered else {
            let gone = lost(old.as_ref());
            if let (Some(row), Some(balance)) = (&gone, &mut self.balances[id.0 as usize]) {
                balance.open.remove(&day);
                balance.rows.insert(day, row.clone());
            }
            return Ok(gone);
        };
        let end_ms = self.rules.calendar.bounds(day).1;
        let mut closed = self.is_over_for(meter, end_ms);
        let mut parts = Vec::with_capacity(sensors.len());
        for part in sensors {
            closed &= self.is_over_for(part, end_ms);
            parts.push((part, self.state(part, day, past)?));
        }
        let row = rest(&metered, &parts, closed, old.as_ref());
        let Some(row) = row.filter(|row| old.as_ref() != Some(row)) else {
            return Ok(None);
        };
        if let Some(balance) = &mut self.balances[id.0 as usize] {
            if row.closed {
                balance.open.remove(&day);
            } else {
                balance.open.insert(day);
            }
            balance.rows.insert(day, row.clone());
        }
        Ok(Some(row))
    }

    fn state<P: Past>(
        &self,
        sensor: SensorId,
        day: Day,
        past: &mut P,
    ) -> Result<Option<SensorDay>, P::Error> {
        match self.known(sensor) {
            Some(member) => member.track.state(day, past),
            None => Ok(None),
        }
    }

    fn is_over_for(&self, sensor: SensorId, end_ms: i64) -> bool {
        let newest = self.known(sensor).and_then(|member| member.track.newest());
        is_over(newest, self.site_time_ms, end_ms, self.rules.grace_ms)
    }

    /// Past a midnight of its own, a sensor's open days and its balances' may close.
    fn cross_midnight<P: Past>(
        &mut self,
        sensor: SensorId,
        newest: Option<EventTime>,
        past: &mut P,
    ) -> Result<(), P::Error> {
        if newest.is_none_or(|newest| newest.ms() < self.member(sensor).edge_ms) {
            return Ok(());
        }
        let edge_ms = self.edge_after(newest);
        self.member(sensor).edge_ms = edge_ms;
        self.revisit_open(sensor, past)?;
        for balance in self.member(sensor).balances.clone() {
            if let Some(balance) = slot(&mut self.balances, balance.0) {
                balance.dirty.extend(balance.open.iter().copied());
            }
        }
        Ok(())
    }

    /// Site time has passed a deadline: every open row is looked at again, and the next deadline
    /// is found.
    fn revisit_due<P: Past>(&mut self, past: &mut P) -> Result<(), P::Error> {
        let Some(now) = self.site_time_ms else {
            return Ok(());
        };
        let Rules {
            calendar, grace_ms, ..
        } = self.rules;
        self.deadline_ms = i64::MAX;
        for index in 0..self.tracks.len() {
            let Some(member) = &self.tracks[index] else {
                continue;
            };
            let deadline = |day| calendar.bounds(day).1 + grace_ms;
            let (due, waiting): (Vec<Day>, Vec<Day>) = member
                .track
                .open_days()
                .partition(|day| deadline(*day) <= now);
            let next = waiting.into_iter().map(deadline).min().unwrap_or(i64::MAX);
            self.deadline_ms = self.deadline_ms.min(next);
            if !due.is_empty() {
                let id = SensorId(u32::try_from(index).expect("ids are 32 bits"));
                self.revisit_open(id, past)?;
            }
        }
        for balance in self.balances.iter_mut().flatten() {
            for day in &balance.open {
                let deadline = calendar.bounds(*day).1 + grace_ms;
                if deadline <= now {
                    balance.dirty.insert(*day);
                } else {
                    self.deadline_ms = self.deadline_ms.min(deadline);
                }
            }
        }
        Ok(())
    }

    fn revisit_open<P: Past>(&mut self, sensor: SensorId, past: &mut P) -> Result<(), P::Error> {
        let calendar = self.rules.calendar;
        let member = self.member(sensor);
        for day in member.track.open_days().collect::<Vec<_>>() {
            member.track.revisit(day, calendar, past)?;
        }
        if member.track.is_dirty() && !member.listed {
            member.listed = true;
            self.dirty.push(sensor);
        }
        Ok(())
    }

    fn edge_after(&self, newest: Option<EventTime>) -> i64 {
        newest.map_or(i64::MIN, |newest| {
            self.rules
                .calendar
                .span_of(newest, crate::Stamp::Start)
                .end_ms
        })
    }

    fn known(&self, sensor: SensorId) -> Option<&Member> {
        self.tracks.get(sensor.0 as usize)?.as_ref()
    }

    fn member(&mut self, sensor: SensorId) -> &mut Member {
        self.tracks
            .get_mut(sensor.0 as usize)
            .and_then(Option::as_mut)
            .expect("a sensor is registered before its readings are admitted")
    }
}

/// Whether no more readings of a day are expected.
fn is_over(newest: Option<EventTime>, site_ms: Option<i64>, end_ms: i64, grace_ms: i64) -> bool {
    newest.is_some_and(|newest| newest.ms() >= end_ms)
        || site_ms.is_some_and(|now| now >= end_ms + grace_ms)
}

fn admission(put: Put) -> Admission {
    match put {
        Put::New { .. } => Admission::Accepted,
        Put::Same => Admission::Duplicate,
        Put::Replaced { was, .. } => Admission::Corrected { was },
        Put::Kept { held } => Admission::Kept { held },
    }
}

fn slot<T>(slots: &mut Vec<Option<T>>, id: u32) -> &mut Option<T> {
    let index = id as usize;
    if slots.len() <= index {
        slots.resize_with(index + 1, || None);
    }
    &mut slots[index]
}
