//! What is owed once the clock is trusted: readings that came before are looked at again.
//!
//! Those that were held and lie ahead are withdrawn, those that were late by them alone count after
//! all, and those that had no time get one. Deciding is apart from doing: [`amends`] and [`stamps`]
//! are told everything and change nothing.

use super::Site;
use crate::clock::Clock;
use crate::config::ClockMode;
use crate::source::Reason;
use crate::store::{Fate, Flag, Logged, Store, StoreError, Waiting};
use engine::{Admission, EventTime, Reading, SensorId};
use std::collections::{BTreeMap, BTreeSet};

/// Readings that wait for the clock to be set, at most: some hours of a large home. The oldest
/// beyond them become dead letters.
pub(super) const MAX_WAITING: usize = 100_000;

/// How far a stamp is moved forward at most to tell it from the one before it, in ms: as many readings
/// as a group holds, and less than a clock that is set back by hand.
const TOLD_APART_MS: i64 = 10_000;

/// What the arrivals of one sensor come to, now that it is known what time it is.
#[derive(Debug, Default, PartialEq)]
struct Amends {
    /// Arrivals whose identities are ahead: they are held no longer.
    withdrawn: Vec<Logged>,
    /// Arrivals that were set aside and would not have been.
    rejudged: Vec<Logged>,
}

/// Judges anew what arrived of one sensor while the clock was not trusted: by arrival, from the
/// newest time that is sure on.
fn amends(
    arrivals: &[Logged],
    sure: Option<EventTime>,
    latest_ms: i64,
    allowed_lateness_ms: i64,
) -> Amends {
    let mut amends = Amends::default();
    let mut newest = sure;
    let mut begun = BTreeSet::new();
    for (at, arrival) in arrivals.iter().enumerate() {
        let is_ahead = arrival.time.ms() > latest_ms;
        let identity = (arrival.time, arrival.tie);
        match arrival.fate {
            Fate::Accepted | Fate::AcceptedLate => {
                begun.insert(identity);
            }
            Fate::Corrected | Fate::CorrectedLate => {}
            Fate::Late => {
                let is_late =
                    newest.is_some_and(|n| n.ms() - arrival.time.ms() > allowed_lateness_ms);
                // An operator may have accepted it meanwhile.
                let later = &arrivals[at + 1..];
                let counts = |other: &Logged| {
                    other.fate.is_exempt()
                        && (other.time, other.value.to_bits())
                            == (arrival.time, arrival.value.to_bits())
                };
                // What is ahead as well stays set aside: that costs no result anything.
                if is_ahead || is_late || later.iter().any(counts) {
                    continue;
                }
                amends.rejudged.push(*arrival);
            }
            Fate::Withdrawn => continue,
        }
        // What was held before the clock was doubted was judged by one that was right.
        if is_ahead && begun.contains(&identity) {
            amends.withdrawn.push(*arrival);
        } else {
            newest = newest.max(Some(arrival.time));
        }
    }
    amends
}

/// What time it is, by all clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall_ms: i64,
    boot: u128,
    uptime_ms: u64,
    /// The newest time that was trusted before.
    floor_ms: Option<i64>,
}

/// When the waiting readings, which are in order of arrival, came.
///
/// Those of this start of the machine are known to the millisecond. An earlier one ended, at the
/// latest, when the next began, and began after the newest time that was trusted before it: its
/// readings keep their distances, and are as late as that allows.
fn stamps(waiting: &[Waiting], now: Moment) -> Vec<(i64, Flag)> {
    let mut stamps = vec![(0, Flag::Stamped); waiting.len()];
    let mut end_ms = now.wall_ms.saturating_sub_unsigned(now.uptime_ms);
    let mut to = waiting.len();
    for boot in waiting.chunk_by(|one, other| one.boot == other.boot).rev() {
        let from = to - boot.len();
        let is_this = boot[0].boot == now.boot;
        let uptimes = boot.iter().map(|reading| reading.uptime_ms);
        let (first_ms, last_ms) = uptimes.fold((u64::MAX, 0), |(first, last), ms| {
            (first.min(ms), last.max(ms))
        });
        let (start_ms, flag) = if is_this {
            (end_ms, Flag::Stamped)
        } else {
            (end_ms.saturating_sub_unsigned(last_ms), Flag::Estimated)
        };
        let earliest_ms = start_ms.saturating_add_unsigned(first_ms);
        let short_ms = match now.floor_ms {
            // A time that was known wrongly does not put them into the future.
            Some(floor) if !is_this => {
                let room_ms = now.wall_ms.saturating_sub(end_ms).max(0);
                floor.saturating_sub(earliest_ms).clamp(0, room_ms)
            }
            Some(_) | None => 0,
        };
        for (stamp, reading) in stamps[from..to].iter_mut().zip(boot) {
            let ms = start_ms.saturating_add_unsigned(reading.uptime_ms);
            *stamp = (ms.saturating_add(short_ms), flag);
        }
        end_ms = start_ms;
        to = from;
    }
    tell_apart(waiting, &mut stamps);
    stamps
}

/// Two readings of a sensor within a millisecond are two readings, in order of arrival.
fn tell_apart(waiting: &[Waiting], stamps: &mut [(i64, Flag)]) {
    let mut next: BTreeMap<SensorId, i64> = BTreeMap::new();
    for (reading, (ms, _)) in waiting.iter().zip(stamps) {
        let free_ms = next.entry(reading.sensor).or_insert(*ms);
        *ms = (*free_ms).max(*ms);
        *free_ms = *ms + 1;
    }
}

/// `ms`, or the millisecond after `before` where the two could be taken for one.
pub(super) fn after(before: Option<i64>, ms: i64) -> i64 {
    match before {
        Some(before) if ms <= before && before - ms < TOLD_APART_MS => before + 1,
        Some(_) | None => ms,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const NOON: i64 = 1_780_315_200_000;

    fn arrival(seq: u64, days: i64, fate: Fate) -> Logged {
        Logged {
            seq,
            sensor: SensorId(0),
            time: EventTime::from_ms(NOON + days * DAY_MS).expect("in range"),
            tie: 0,
            value: 1.0,
            fate,
            flag: None,
        }
    }

    fn seqs(arrivals: &[Logged]) -> Vec<u64> {
        arrivals.iter().map(|arrival| arrival.seq).collect()
    }

    #[test]
    fn what_was_late_by_a_reading_ahead_alone_counts_after_all() {
        let arrivals = [
            arrival(1, 0, Fate::Accepted),
            arrival(2, 900, Fate::Accepted),
            arrival(3, 900, Fate::Corrected),
            arrival(4, -1, Fate::Late),
            arrival(5, -8, Fate::Late),
        ];
        let amends = amends(&arrivals, None, NOON + DAY_MS, 7 * DAY_MS);
        assert_eq!(seqs(&amends.withdrawn), [2, 3]);
        assert_eq!(seqs(&amends.rejudged), [4], "5 is late by 1, too");
    }

    #[test]
    fn what_was_held_before_the_clock_was_doubted_stays() {
        let sure = EventTime::from_ms(NOON + 20 * DAY_MS);
        let arrivals = [
            arrival(1, 20, Fate::Corrected),
            arrival(2, 0, Fate::Late),
            arrival(3, 30, Fate::Accepted),
            arrival(4, 30, Fate::AcceptedLate),
        ];
        let amends = amends(&arrivals, sure, NOON, 7 * DAY_MS);
        assert_eq!(seqs(&amends.withdrawn), [3, 4]);
        assert!(amends.rejudged.is_empty());
    }

    fn waiting(boot: u128, uptime_ms: u64) -> Waiting {
        Waiting {
            seq: 0,
            sensor: SensorId(0),
            tie: 0,
            value: 1.0,
            boot,
            uptime_ms,
        }
    }

    fn stamped(readings: &[Waiting], floor_ms: Option<i64>) -> Vec<(i64, Flag)> {
        let now = Moment {
            wall_ms: NOON,
            boot: 3,
            uptime_ms: 60_000,
            floor_ms,
        };
        let stamps = stamps(readings, now).into_iter();
        stamps.map(|(ms, flag)| (ms - NOON, flag)).collect()
    }

    #[test]
    fn readings_of_this_start_of_the_machine_are_stamped_to_the_millisecond() {
        let readings = [waiting(3, 1_000), waiting(3, 1_000), waiting(3, 60_000)];
        let exact = [-59_000, -58_999, 0].map(|ms| (ms, Flag::Stamped));
        assert_eq!(stamped(&readings, None), exact);
        assert_eq!(stamped(&readings, Some(NOON)), exact, "whatever was known");
    }

    #[test]
    fn an_earlier_start_ended_at_the_latest_when_the_next_began() {
        let readings = [
            waiting(1, 5_000),
            waiting(2, 1_000),
            waiting(2, 9_000),
            waiting(3, 30_000),
        ];
        let estimated = |ms| (ms, Flag::Estimated);
        let expected = [
            estimated(-69_000),
            estimated(-68_000),
            estimated(-60_000),
            (-30_000, Flag::Stamped),
        ];
        assert_eq!(stamped(&readings, None), expected);
    }

    #[test]
    fn what_was_known_wrongly_puts_nothing_into_the_future() {
        let readings = [waiting(2, 1_000), waiting(2, 9_000)];
        let bounded = stamped(&readings, Some(NOON + DAY_MS));
        assert_eq!(bounded, [(-8_000, Flag::Estimated), (0, Flag::Estimated)]);
    }

    #[test]
    fn an_earlier_start_is_not_put_before_what_was_known() {
        let readings = [waiting(2, 1_000), waiting(2, 9_000)];
        let bounded = stamped(&readings, Some(NOON - 65_000));
        assert_eq!(
            bounded,
            [(-65_000, Flag::Estimated), (-57_000, Flag::Estimated)]
        );
    }
}
