//! What the writer knows of its site: the engine, the names, and the group in the making.
//!
//! [`Site::open`] makes it from the last seal and the log's tail; from then on every group goes
//! [`begin`](Site::begin) → [`reckon`](Site::reckon) → [`take`](Site::take) … →
//! [`settle`](Site::settle) → [`commit`](Site::commit). After a failure in between it is ahead of the disk, and is opened
//! again.

mod doubt;
mod kept;
mod open;
mod orders;

pub use open::SiteError;

use super::judge::{Judged, Now, judge};
use super::reckon::after;
use super::registry::{KnownBalance, News, Registry};
use crate::alert::{AlertId, Claim, Told};
use crate::clock::{Beat, Clock, Pace};
use crate::config::{ClockMode, Config};
use crate::source::{Decoded, Reason, Stamped, Verdict};
use crate::store::{
    AlertWrite, BrokerWrite, Changed, Committed, Fate, Flag, Group, HousesSealed, KeptHouse,
    Letter, Logged, Seal, Sealed, Store, StoreError, Waiting,
};
use crate::watch::{Answered, Night, Watch, What};
use engine::{
    Admission, Calendar, Changes, Day, Engine, EventTime, Reading, SensorId, SensorMemory, Stamp,
};
use kept::Kept;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a payload that a dead letter keeps.
const LETTER_PAYLOAD_BYTES: usize = 1024;
/// Bytes of a topic that a dead letter keeps.
const LETTER_TOPIC_BYTES: usize = 1024;
/// Days of each sensor that stay in memory after a seal.
const DAYS_KEPT: usize = 3;

/// What a seal keeps of houses at most: more of them wait for the next.
const SEAL_HOUSES_BYTES: usize = 2 << 20;
/// Houses that are no more and go at a seal, at most: more of them wait for the next.
const SEAL_HOUSES_GONE: usize = 1000;

/// A site as its writer knows it.
pub struct Site {
    config: Arc<Config>,
    engine: Engine,
    registry: Registry,
    /// The group in the making, with the totals so far.
    group: Group,
    /// Users that an operator changed in it.
    users: Vec<BrokerWrite>,
    now: Now,
    changes: Changes,
    watch: Watch,
    /// What the watch says of the group that was settled last.
    told: Vec<Told>,
    /// At which seal each house of the store was kept last (0: before the start), and with which newest noon-day.
    kept: FxHashMap<String, (u64, Option<Day>)>,
    /// Readings that wait until the clock is trusted, by arrival.
    waiting: VecDeque<Waiting>,
    /// What the last reading without a time of its own was stamped with, by sensor.
    stamped: FxHashMap<SensorId, i64>,
    pace: Pace,
    /// The newest time that was trusted before the group at hand was begun.
    floor_ms: Option<i64>,
}

/// What a commit brought.
#[derive(Clone, Copy, Debug)]
pub struct Announced<'a> {
    /// What was judged.
    pub group: &'a Group,
    /// The rows that are different now.
    pub changes: &'a Changes,
    /// Whose they are.
    pub registry: &'a Registry,
    /// What detectors say of it.
    pub told: &'a [Told],
}

impl Site {
    /// The names.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What the last commit brought.
    #[must_use]
    pub fn announced(&self) -> Announced<'_> {
        Announced {
            group: &self.group,
            changes: &self.changes,
            registry: &self.registry,
            told: &self.told,
        }
    }

    /// What detectors say of the group that was settled last.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// All that detectors claim.
    #[must_use]
    pub fn standing(&self) -> Vec<Claim> {
        self.watch.standing()
    }

    /// "This was normal": what an alert claims needs more from now on. The next commit keeps that.
    pub fn normal(&mut self, alert: &AlertId) -> Answered {
        let at_ms = self.now.stamp_ms.unwrap_or(self.now.wall_ms);
        self.watch.answer(alert, at_ms)
    }

    /// What can be said of sensors' last nights, where that is different since it was taken.
    pub fn take_nights(&mut self) -> Vec<(String, Option<Night>)> {
        self.watch.take_nights()
    }

    /// Nothing was taken until now: what sensors said meanwhile nobody heard, and silence counts from here. Where time
    /// passes with readings alone none has passed.
    pub(super) fn listen(&mut self) {
        match self.config.time.clock {
            ClockMode::Wall => self.watch.listen(),
            ClockMode::Event => {}
        }
    }

    /// How long what is claimed has to hold before it is said, in ms.
    #[must_use]
    pub fn dwell_ms(&self, alert: &AlertId) -> i64 {
        self.watch.dwell_ms(alert)
    }

    /// Readings in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.engine.held()
    }

    /// Begins a group at the clock's time.
    pub fn begin(&mut self, clock: &Clock) {
        self.look_at(clock);
        let wall_ms = clock.wall_ms();
        let trusted_ms = clock.trusted_wall_ms();
        self.floor_ms = self.engine.site_time_ms();
        let (stamp_ms, latest_ms) = match self.config.time.clock {
            ClockMode::Wall => {
                if let Some(now) = trusted_ms {
                    self.engine.advance(now);
                }
                let tolerance = self.config.time.future_tolerance_ms;
                let latest_ms = trusted_ms.map(|now| now.saturating_add(tolerance));
                (trusted_ms, latest_ms)
            }
            ClockMode::Event => (Some(self.floor_ms.unwrap_or(wall_ms)), None),
        };
        self.now = Now {
            wall_ms,
            stamp_ms,
            ago_ms: 0,
            boot: clock.boot().0,
            uptime_ms: clock.uptime_ms(),
            latest_ms,
        };
        let group = &mut self.group;
        group.first_seq = group.next_seq;
        group.arrived_ms = stamp_ms.unwrap_or(wall_ms);
        group.doubt.waiting.clear();
        group.doubt.waited_to = None;
        group.doubt.waits = self.waiting.len() as u64;
        if stamp_ms.is_none() {
            group.doubt.from.get_or_insert(group.first_seq);
        }
        group.new_sensors.clear();
        group.new_balances.clear();
        group.readings.clear();
        group.letters.clear();
        self.users.clear();
        self.told.clear();
        self.changes = Changes::default();
    }

    /// Notices where the wall clock was set, and lets everybody know.
    pub(super) fn look_at(&mut self, clock: &Clock) {
        match self.pace.step(clock.wall_ms(), clock.uptime_ms()) {
            Beat::Even => {}
            Beat::Jumped { by_ms } => {
                clock.note_jump();
                tracing::warn!(by_ms, because = %clock.because(), "the wall clock was set");
            }
        }
    }

    /// Says that the messages taken next arrived `ago_ms` milliseconds before the group was begun.
    pub(super) fn arrived(&mut self, ago_ms: u64) {
        self.now.ago_ms = match self.config.time.clock {
            ClockMode::Wall => ago_ms,
            ClockMode::Event => 0,
        };
    }

    /// Judges one message and puts its readings where they belong.
    pub fn take(
        &mut self,
        topic: &str,
        payload: &[u8],
        verdict: &Verdict,
        store: &mut Store,
    ) -> Result<(), StoreError> {
        match verdict {
            Verdict::NotMapped => {}
            Verdict::Letter(reason) => self.refuse(topic, payload, reason),
            Verdict::Readings(readings) => {
                for decoded in readings {
                    match self.judge(decoded, store)? {
                        Ok((_, Judged::Reading(reading, flag))) => {
                            self.admit(reading, flag, topic, payload, store)?;
                        }
                        Ok((sensor, Judged::Waits { tie, value })) => self.wait(sensor, tie, value),
                        Err(reason) => self.refuse(topic, payload, &reason),
                    }
                }
            }
        }
        Ok(())
    }

    fn judge(
        &mut self,
        decoded: &Decoded,
        store: &mut Store,
    ) -> Result<Result<(SensorId, Judged), Reason>, StoreError> {
        let mut news = News::default();
        let resolved = self.registry.resolve(&decoded.sensor, &mut news);
        self.welcome(news, store)?;
        Ok(resolved.and_then(|id| {
            let judged = match &self.registry.sensor(id).rule {
                Some(rule) => judge(id, rule, decoded, self.now)?,
                None => return Err(Reason::UnknownSensor),
            };
            Ok((id, self.told_apart(decoded, judged)))
        }))
    }

    /// Two readings of a sensor that are stamped within a millisecond are two readings.
    fn told_apart(&mut self, decoded: &Decoded, judged: Judged) -> Judged {
        let Judged::Reading(mut reading, flag) = judged else {
            return judged;
        };
        if decoded.time == Stamped::Arrival && self.config.time.clock == ClockMode::Wall {
            let before = self.stamped.get(&reading.sensor).copied();
            let ms = after(before, reading.time.ms());
            reading.time = EventTime::from_ms(ms).unwrap_or(reading.time);
            self.stamped.insert(reading.sensor, ms);
        }
        Judged::Reading(reading, flag)
    }

    fn admit(
        &mut self,
        reading: Reading,
        flag: Option<Flag>,
        topic: &str,
        payload: &[u8],
        store: &mut Store,
    ) -> Result<(), StoreError> {
        let admission = self.engine.admit(reading, &mut &*store)?;
        self.watch.admitted(reading, admission);
        match admission {
            Admission::Kept { held } => {
                self.refuse(topic, payload, &Reason::ConflictKept { held });
            }
            Admission::Accepted => self.log(reading, Fate::Accepted, flag),
            Admission::Corrected { .. } => self.log(reading, Fate::Corrected, flag),
            Admission::SetAside { .. } => self.log(reading, Fate::Late, flag),
            Admission::Duplicate => {
                self.number();
                self.group.counters.duplicate += 1;
            }
        }
        Ok(())
    }

    fn log(&mut self, reading: Reading, fate: Fate, flag: Option<Flag>) {
        let seq = self.number();
        let counters = &mut self.group.counters;
        match fate {
            Fate::Accepted | Fate::AcceptedLate => counters.accepted += 1,
            Fate::Corrected | Fate::CorrectedLate => counters.corrected += 1,
            Fate::Late => counters.late += 1,
            Fate::Withdrawn => {}
        }
        if fate.is_held() {
            let is_sure = self.group.doubt.from.is_none();
            self.registry
                .note(reading.sensor, reading.time, reading.value, is_sure);
        }
        self.group.readings.push(Logged {
            seq,
            sensor: reading.sensor,
            time: reading.time,
            tie: reading.tie,
            value: reading.value,
            fate,
            flag,
        });
    }

    fn refuse(&mut self, topic: &str, payload: &[u8], reason: &Reason) {
        let seq = self.number();
        self.letter(seq, topic, payload, reason);
    }

    fn letter(&mut self, seq: u64, topic: &str, payload: &[u8], reason: &Reason) {
        self.group.counters.dead_letter += 1;
        self.group.letters.push(Letter {
            seq,
            arrived_ms: self.group.arrived_ms,
            topic: beginning(topic, LETTER_TOPIC_BYTES).to_owned(),
            reason: format!("{}: {reason}", reason.code()),
            payload: payload[..payload.len().min(LETTER_PAYLOAD_BYTES)].to_vec(),
        });
    }

    /// The next place in the order of arrival, for a reading that was received.
    fn number(&mut self) -> u64 {
        self.group.counters.received += 1;
        self.place()
    }

    /// The same, for what is not received now: it waits, or was received before.
    fn place(&mut self) -> u64 {
        let seq = self.group.next_seq;
        self.group.next_seq += 1;
        seq
    }

    /// Whether days are due to close for want of readings, or the clock is trusted now and readings
    /// are to be looked at again.
    pub(super) fn is_due(&mut self, clock: &Clock) -> bool {
        self.look_at(clock);
        if self.owes(clock) {
            return true;
        }
        match (self.config.time.clock, clock.trusted_wall_ms()) {
            (ClockMode::Wall, Some(now)) => self.engine.advance(now),
            (ClockMode::Wall | ClockMode::Event, _) => {}
        }
        let now_ms = self.watched_time(clock.trusted_wall_ms());
        self.engine.is_due() || now_ms.is_some_and(|now_ms| self.watch.is_due(now_ms))
    }

    /// The site time by which detectors judge: none while the clock is not trusted.
    fn watched_time(&self, trusted_ms: Option<i64>) -> Option<i64> {
        match self.config.time.clock {
            ClockMode::Wall => trusted_ms,
            ClockMode::Event => self.engine.site_time_ms(),
        }
    }

    /// What time it is, in ms UTC, where a clock that is trusted says so.
    pub(super) fn known_time(&self, clock: &Clock) -> Option<i64> {
        match self.config.time.clock {
            ClockMode::Wall => clock.trusted_wall_ms(),
            ClockMode::Event => None,
        }
    }

    /// Ends the group: what is different now.
    pub fn settle(&mut self, store: &mut Store) -> Result<(), StoreError> {
        self.changes = self.engine.settle(&mut &*store)?;
        let group = &mut self.group;
        group.site_time_ms = self.engine.site_time_ms();
        let changed = !self.changes.days.is_empty() || !self.changes.rests.is_empty();
        if changed && group.next_seq == group.first_seq {
            // Rows that closed by the clock alone must close again when the log is repeated.
            group.next_seq += 1;
        }
        self.watch.settled(&self.changes);
        let now_ms = self.watched_time(self.now.stamp_ms);
        self.told = self.watch.settle(now_ms);
        Ok(())
    }

    /// Writes the group, and the rows of the broker that belong to it. `None`: there is nothing to
    /// write.
    pub fn commit(
        &mut self,
        store: &mut Store,
        rows: &[BrokerWrite],
    ) -> Result<Option<Committed>, StoreError> {
        let unchanged = rows.is_empty() && self.users.is_empty();
        if self.group.next_seq == self.group.first_seq && unchanged {
            return Ok(None);
        }
        let answered = self.watch.answered(self.group.next_seq).map(Box::new);
        let answered = answered.map(AlertWrite::House).map(BrokerWrite::Alert);
        let answered: Vec<BrokerWrite> = answered.collect();
        let committed = if self.users.is_empty() && answered.is_empty() {
            store.commit(&self.group, rows)?
        } else {
            store.commit(&self.group, &[rows, &self.users, &answered].concat())?
        };
        self.watch.kept_answers();
        self.announce(store);
        Ok(Some(committed))
    }

    fn announce(&self, store: &Store) {
        let mut sensors: Vec<SensorId> = self.changes.days.iter().map(|c| c.sensor).collect();
        sensors.extend(self.group.new_sensors.iter().map(|(id, _)| *id));
        sensors.sort_unstable();
        sensors.dedup();
        let days = self.changes.days.iter();
        store.announce(Changed {
            days: days.map(|c| (c.sensor, c.day, c.state.clone())).collect(),
            rests: self.changes.rests.clone(),
            sensors: sensors
                .into_iter()
                .map(|id| self.registry.state(id))
                .collect(),
        });
    }

    /// The day that a reading belongs to.
    pub(super) fn day_of(&self) -> impl Fn(SensorId, EventTime) -> Day + use<> {
        let calendar = Calendar::new(self.config.site.timezone);
        let sensors = 0..self.registry.sensors().len();
        let stamps: Vec<Stamp> = sensors
            .map(|i| SensorId(u32::try_from(i).expect("sensors are capped")))
            .map(|id| self.registry.spec(id).stamp)
            .collect();
        move |sensor, time| calendar.day_of(time, stamps[sensor.0 as usize])
    }

    /// The first day that retention keeps.
    fn drop_before(&self, retain_ms: i64) -> Option<Day> {
        let now = self.engine.site_time_ms()?;
        let oldest = EventTime::from_ms(now.checked_sub(retain_ms)?)?;
        Some(Calendar::new(self.config.site.timezone).day_of(oldest, Stamp::Start))
    }

    /// Letters and late rows that arrived before this are forgotten.
    fn forget_before_ms(&self) -> Option<i64> {
        let now = self.engine.site_time_ms()?;
        now.checked_sub(self.config.store.retain_letters_ms)
    }

    /// The first day that retention keeps of a sensor: counted back from its own newest reading
    /// where that is older than site time. So no reading that may still be corrected ever goes.
    fn kept_from(&self, retain_ms: i64) -> impl Fn(SensorId, Day) -> Day + use<> {
        let calendar = Calendar::new(self.config.site.timezone);
        let newest: Vec<_> = self.registry.sensors().iter().map(|s| s.last).collect();
        move |sensor, day| {
            let own = newest[sensor.0 as usize].and_then(|(last, _)| {
                let oldest = EventTime::from_ms(last.ms().checked_sub(retain_ms)?)?;
                Some(calendar.day_of(oldest, Stamp::Start))
            });
            own.map_or(day, |own| own.min(day))
        }
    }

    /// Folds the log's tail into blocks and rows, and lets go of the days that are older.
    pub fn seal(&mut self, store: &mut Store) -> Result<Sealed, StoreError> {
        let retain_ms = self.config.store.retain_readings_ms;
        let unsealed = store.unsealed();
        let (day_of, kept_from) = (self.day_of(), self.kept_from(retain_ms));
        let (houses, newest) = self.houses_to_keep(store.next_seq());
        let gone = self.houses_gone();
        let seal = Seal {
            sensors: self.registry.changed_states(),
            days: unsealed.days,
            rests: unsealed.rests,
            day_of: &day_of,
            drop_before: self.drop_before(retain_ms),
            forget_before_ms: self.forget_before_ms(),
            kept_from: &kept_from,
        };
        let houses_sealed = HousesSealed {
            kept: &houses,
            gone: &gone,
        };
        let sealed = store.seal_with(seal, houses_sealed)?;
        for (house, newest) in houses.into_iter().zip(newest) {
            self.kept.insert(house.name, (sealed.seal, newest));
        }
        for name in gone {
            self.kept.remove(&name);
        }
        self.engine.hand_over(DAYS_KEPT);
        Ok(sealed)
    }

    /// Houses whose newest noon-day is another than when they were kept, those kept longest ago first, as many as fit
    /// into a seal; and the newest noon-day of each.
    fn houses_to_keep(&self, next_seq: u64) -> (Vec<KeptHouse>, Vec<Option<Day>>) {
        if self.watch.owes() {
            return Default::default(); // what was withdrawn is in them still
        }
        let due = self.watch.houses().filter_map(|(at, name, newest)| {
            let (seal, kept) = self.kept.get(name).copied().unwrap_or_default();
            (newest.is_some() && newest != kept).then_some((seal, at, newest))
        });
        let mut due: Vec<(u64, usize, Option<Day>)> = due.collect();
        due.sort_unstable();
        let (mut bytes, mut houses, mut days) = (0, Vec::new(), Vec::new());
        for (_, at, newest) in due {
            let Some(house) = self.watch.kept(at, next_seq) else {
                continue;
            };
            bytes += Store::house_bytes(&house);
            if bytes > SEAL_HOUSES_BYTES && !houses.is_empty() {
                break;
            }
            houses.push(house);
            days.push(newest);
        }
        (houses, days)
    }

    /// Houses that are kept and are no more: their sensors are not configured, or a balance took them up.
    fn houses_gone(&self) -> Vec<String> {
        let houses = self.watch.houses();
        let there: FxHashSet<&str> = houses.map(|(_, name, _)| name).collect();
        let gone = self
            .kept
            .keys()
            .filter(|name| !there.contains(name.as_str()));
        gone.take(SEAL_HOUSES_GONE).cloned().collect()
    }

    /// Makes known to the engine, and to the log, what became known with a sensor.
    fn welcome(&mut self, news: News, store: &mut Store) -> Result<(), StoreError> {
        for id in news.sensors {
            let name = self.registry.sensor(id).name.as_str().to_owned();
            self.engine
                .register(id, self.registry.spec(id), SensorMemory::default());
            self.watch_sensor(id);
            self.group.new_sensors.push((id, name));
        }
        for balance in news.balances {
            let name = self.registry.balances()[balance.id.0 as usize].clone();
            let (id, meter) = (balance.id, balance.meter);
            let mut past = Kept::new(store, &self.registry);
            self.watch
                .balance(id, &name, meter, &balance.parts, &mut past)?;
            self.group.new_balances.push((id, name));
            self.register(balance, Vec::new());
            for (day, state) in store.view().days(meter, None, None)? {
                if state.diff.is_some() {
                    self.engine.reconsider(id, day);
                }
            }
        }
        Ok(())
    }

    /// A sensor that the configuration has no rule for any more is not watched.
    fn watch_sensor(&mut self, id: SensorId) {
        let sensor = self.registry.sensor(id);
        if let Some(rule) = &sensor.rule {
            self.watch
                .sensor(id, sensor.name.as_str(), What::from(rule));
        }
    }

    fn register(&mut self, balance: KnownBalance, open: Vec<Day>) {
        let KnownBalance { id, meter, parts } = balance;
        self.engine.register_balance(id, meter, parts, open);
    }
}

fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
