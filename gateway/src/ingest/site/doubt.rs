//! What is owed once the clock is trusted: readings that came before are looked at again.
//!
//! Those that were held and lie ahead are withdrawn, those that were late by them alone count after
//! all, and those that had no time get one. `ingest::reckon` decides; this does it.

use super::Site;
use super::kept::Kept;
use crate::clock::Clock;
use crate::config::ClockMode;
use crate::ingest::reckon::{Moment, amends, stamps};
use crate::source::Reason;
use crate::store::{Fate, Flag, Logged, Store, StoreError, Waiting};
use engine::{Admission, EventTime, Reading, SensorId};
use std::collections::{BTreeMap, BTreeSet};

/// Readings that wait for the clock to be set, at most: some hours of a large home. The oldest
/// beyond them become dead letters.
pub(super) const MAX_WAITING: usize = 100_000;

impl Site {
    /// Whether readings are to be looked at again, now that the clock is trusted.
    pub(super) fn owes(&self, clock: &Clock) -> bool {
        let is_doubtful = self.group.doubt.from.is_some() || !self.waiting.is_empty();
        is_doubtful
            && self.config.time.clock == ClockMode::Wall
            && clock.trusted_wall_ms().is_some()
    }

    /// Makes good within the group that was begun what was judged while the clock was not trusted.
    /// Does nothing until it is.
    ///
    /// # Errors
    /// The store cannot be read; the group cannot be committed.
    pub fn reckon(&mut self, store: &mut Store) -> Result<(), StoreError> {
        if self.watch.owes() {
            // What the group before withdrew is on disk now.
            self.watch.mend(&mut Kept::new(store, &self.registry))?;
        }
        let Some(latest_ms) = self.now.latest_ms else {
            return Ok(());
        };
        if let Some(from) = self.group.doubt.from.take() {
            self.amend(from, latest_ms, store)?;
            self.registry.be_sure();
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.stamp_waiting(store)
    }

    fn amend(&mut self, from: u64, latest_ms: i64, store: &mut Store) -> Result<(), StoreError> {
        let is_ahead = |id: &SensorId| {
            let last = self.registry.sensor(*id).last;
            last.is_some_and(|(time, _)| time.ms() > latest_ms)
        };
        let ahead: BTreeSet<SensorId> = self.registry.sensor_ids().filter(is_ahead).collect();
        if ahead.is_empty() {
            return Ok(());
        }
        let mut arrivals: BTreeMap<SensorId, Vec<Logged>> = BTreeMap::new();
        for arrival in store.view().arrivals(&ahead, from)? {
            arrivals.entry(arrival.sensor).or_default().push(arrival);
        }
        let allowed_ms = self.config.time.allowed_lateness_ms;
        let mut rejudged = Vec::new();
        let mut letters = Vec::new();
        for (id, arrivals) in arrivals {
            let sure = self.registry.sensor(id).sure;
            let mut amends = amends(&arrivals, sure, latest_ms, allowed_ms);
            rejudged.append(&mut amends.rejudged);
            letters.extend_from_slice(&amends.withdrawn);
            self.withdraw(amends.withdrawn, store)?;
        }
        tracing::info!(
            withdrawn = letters.len(),
            rejudged = rejudged.len(),
            "the clock is trusted now: readings ahead of it are dead letters"
        );
        letters.sort_unstable_by_key(|arrival| arrival.seq);
        for arrival in letters {
            let ahead_ms = arrival.time.ms() - latest_ms;
            self.quarantine(&arrival, &Reason::FutureTime { ahead_ms });
        }
        rejudged.sort_unstable_by_key(|arrival| arrival.seq);
        for arrival in rejudged {
            self.rejudge(&arrival, store)?;
        }
        Ok(())
    }

    /// Takes the identities of these arrivals out, the newest first.
    fn withdraw(&mut self, mut arrivals: Vec<Logged>, store: &Store) -> Result<(), StoreError> {
        arrivals.sort_unstable_by_key(|a| std::cmp::Reverse((a.time, a.tie, a.seq)));
        // Of each identity the last arrival: the value that was held.
        arrivals.dedup_by_key(|a| (a.time, a.tie));
        for held in arrivals {
            let newest = self
                .engine
                .withdraw(held.sensor, held.time, held.tie, &mut &*store)?;
            self.registry.withdrew(held.sensor, newest);
            let newest_ms = newest.map(|newest| newest.time.ms());
            self.watch.withdrawn(held.sensor, newest_ms);
            let seq = self.place();
            self.group.readings.push(Logged {
                seq,
                fate: Fate::Withdrawn,
                flag: None,
                ..held
            });
        }
        Ok(())
    }

    /// Makes a dead letter of an arrival that counted: it was received before.
    fn quarantine(&mut self, arrival: &Logged, reason: &Reason) {
        let counters = &mut self.group.counters;
        let counted = match arrival.fate {
            Fate::Accepted | Fate::AcceptedLate => &mut counters.accepted,
            Fate::Corrected | Fate::CorrectedLate => &mut counters.corrected,
            Fate::Late | Fate::Withdrawn => &mut counters.late,
        };
        *counted = counted.saturating_sub(1);
        let (topic, payload) = self.as_message(arrival.sensor, arrival.value);
        let seq = self.place();
        self.letter(seq, &topic, payload.as_bytes(), reason);
    }

    /// Admits an arrival that was set aside and would not have been: it was received before.
    fn rejudge(&mut self, arrival: &Logged, store: &Store) -> Result<(), StoreError> {
        let reading = Reading {
            sensor: arrival.sensor,
            time: arrival.time,
            tie: arrival.tie,
            value: arrival.value,
            exempt: true,
        };
        let flag = Some(Flag::Rejudged);
        let admission = self.engine.admit(reading, &mut &*store)?;
        self.watch.admitted(reading, admission);
        self.group.counters.late = self.group.counters.late.saturating_sub(1);
        self.group.counters.received = self.group.counters.received.saturating_sub(1);
        match admission {
            Admission::Accepted => self.log(reading, Fate::AcceptedLate, flag),
            Admission::Corrected { .. } => self.log(reading, Fate::CorrectedLate, flag),
            Admission::Duplicate | Admission::SetAside { .. } => {
                self.number();
                self.group.counters.duplicate += 1;
            }
            Admission::Kept { held } => {
                let (topic, payload) = self.as_message(arrival.sensor, arrival.value);
                self.refuse(&topic, payload.as_bytes(), &Reason::ConflictKept { held });
            }
        }
        Ok(())
    }

    /// Makes what waits arrivals of this moment, each with the time at which it came.
    fn stamp_waiting(&mut self, store: &mut Store) -> Result<(), StoreError> {
        let waiting: Vec<Waiting> = std::mem::take(&mut self.waiting).into();
        let now = Moment {
            wall_ms: self.now.wall_ms,
            boot: self.now.boot,
            uptime_ms: self.now.uptime_ms,
            floor_ms: self.floor_ms,
        };
        let stamps = stamps(&waiting, now);
        tracing::info!(
            readings = waiting.len(),
            "the clock is trusted now: readings that waited for it are stamped"
        );
        for (reading, (ms, flag)) in waiting.iter().zip(stamps) {
            let (topic, payload) = self.as_message(reading.sensor, reading.value);
            let time = match &self.registry.sensor(reading.sensor).rule {
                Some(_) => EventTime::from_ms(ms).ok_or(Reason::TimeOutOfRange),
                None => Err(Reason::UnknownSensor),
            };
            match time {
                Ok(time) => {
                    self.stamped.insert(reading.sensor, ms);
                    let reading = Reading {
                        sensor: reading.sensor,
                        time,
                        tie: reading.tie,
                        value: reading.value,
                        exempt: false,
                    };
                    self.admit(reading, Some(flag), &topic, payload.as_bytes(), store)?;
                }
                Err(reason) => self.refuse(&topic, payload.as_bytes(), &reason),
            }
        }
        self.group.doubt.waited_to = waiting.last().map(|last| last.seq + 1);
        self.group.doubt.waits = 0;
        Ok(())
    }

    /// Has a reading wait until the clock is trusted; the oldest go where too many do.
    pub(super) fn wait(&mut self, sensor: SensorId, tie: u64, value: f64) {
        if self.waiting.len() >= MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            let (topic, payload) = self.as_message(oldest.sensor, oldest.value);
            let reason = Reason::TooManyWait { cap: MAX_WAITING };
            self.refuse(&topic, payload.as_bytes(), &reason);
            self.group.doubt.waited_to = Some(oldest.seq + 1);
        }
        let waiting = Waiting {
            seq: self.place(),
            sensor,
            tie,
            value,
            boot: self.now.boot,
            uptime_ms: self.now.uptime_ms.saturating_sub(self.now.ago_ms),
        };
        self.waiting.push_back(waiting);
        self.group.doubt.waiting.push(waiting);
        self.group.doubt.waits = self.waiting.len() as u64;
    }

    /// A reading of which only the sensor and the value are left, for a dead letter: the name stands
    /// for the topic.
    fn as_message(&self, sensor: SensorId, value: f64) -> (String, String) {
        let name = self.registry.sensor(sensor).name.as_str().to_owned();
        (name, value.to_string())
    }
}
