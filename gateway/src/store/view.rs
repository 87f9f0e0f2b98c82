//! What everyone but the writer reads: the HTTP API, the command line, exports.
//!
//! Every call is one short read transaction: one that stays open makes the file grow. Ranges are
//! inclusive, `None` is open.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use engine::{BalanceId, Day, RestRow, SensorDay, SensorId};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::block::{self, Entry};
use super::error::{Fault, StoreError};
use super::incident::{self, Incident};
use super::late::{Exempt, late_rows};
use super::room::Room;
use super::rows::unpack_late;
use super::scan::{
    balances, each_block, entry, for_each_group, for_each_head, for_each_late, sensors,
};
use super::tables::{DAYS, LATE, LETTERS, LOG, RESTS, SEALS};
use super::types::{Fate, LateRow, Letter, Logged, SensorState, StoredReading, Totals, UserRow};
use super::{Shared, alerts, broker, log, open, rows};
use crate::alert::{AlertId, Kept, Notice};

/// A reader's handle. Clones share everything.
#[derive(Clone, Debug)]
pub struct View {
    shared: Arc<Shared>,
}

impl View {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The room on the store's disk; `None` where nobody can tell.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        let dir = self.shared.dir.as_deref()?;
        Room::of(dir).ok()
    }

    /// The store at a glance.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        self.shared.with("read the totals", |open| {
            let txn = open.database.begin_read()?;
            let checkpoint = open::read_checkpoint(&txn)?;
            let mut totals = Totals {
                generation: checkpoint.generation,
                next_seq: checkpoint.next_seq,
                site_time_ms: checkpoint.site_time_ms,
                counters: checkpoint.counters,
                waits: checkpoint.waits,
                dropped: checkpoint.dropped,
                late_rows: txn.open_table(LATE)?.len()?,
                letter_rows: txn.open_table(LETTERS)?.len()?,
                file_bytes: open.shield.bytes(),
            };
            if let Some((first_seq, value)) = txn.open_table(LOG)?.last()? {
                let first_seq = first_seq.value();
                let head = log::unpack_head(first_seq, value.value())
                    .map_err(Fault::damaged("log", first_seq))?;
                totals.next_seq = head.next_seq;
                totals.site_time_ms = head.site_time_ms;
                totals.counters = head.counters;
                totals.waits = head.waits;
            }
            Ok(totals)
        })
    }

    /// The damaged files that were set aside and lie there still, oldest first.
    pub fn incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.shared.read("read the incidents", incident::incidents)
    }

    /// All sensors, by number.
    pub fn sensors(&self) -> Result<Vec<SensorState>, StoreError> {
        let changed = self.shared.overlaid().sensors.clone();
        self.shared.read("read the sensors", |txn| {
            let mut found: BTreeMap<SensorId, SensorState> = BTreeMap::new();
            for_each_head(txn, |head| {
                for (id, name) in head.new_sensors {
                    found.insert(id, unsealed(id, name));
                }
            })?;
            found.extend(sensors(txn)?.into_iter().map(|s| (s.id, s)));
            found.extend(changed);
            Ok(found.into_values().collect())
        })
    }

    /// All balances and their names, by number.
    pub fn balances(&self) -> Result<Vec<(BalanceId, String)>, StoreError> {
        self.shared.read("read the balances", |txn| {
            let mut found: BTreeMap<BalanceId, String> = balances(txn)?.into_iter().collect();
            for_each_head(txn, |head| found.extend(head.new_balances))?;
            Ok(found.into_iter().collect())
        })
    }

    /// The current value of every identity of `sensor` from `from_ms` to `to_ms`, by time; at most
    /// `limit`, and only those after the identity `after` (time in ms, tie) where it is given.
    pub fn readings(
        &self,
        sensor: SensorId,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        after: Option<(i64, u64)>,
        limit: usize,
    ) -> Result<Vec<StoredReading>, StoreError> {
        let from = from_ms
            .unwrap_or(i64::MIN)
            .max(after.map_or(i64::MIN, |a| a.0));
        let wanted = Wanted {
            ms: from..=to_ms.unwrap_or(i64::MAX),
        };
        let is_after = |e: &Entry| after.is_none_or(|after| (e.time.ms(), e.tie) > after);
        self.shared.read("read the readings", |txn| {
            let mut held: Vec<Entry> = Vec::new();
            // Identities of the days that are done; where the entries of this day begin.
            let (mut identities, mut begin) = (0, 0);
            let mut day: Option<i32> = None;
            each_block(txn, sensor, wanted.days(), |key, block| {
                if day.replace(key.1).is_some_and(|day| day != key.1) {
                    identities += block::current(held[begin..].to_vec()).len();
                    begin = held.len();
                    if identities >= limit {
                        return Ok(false);
                    }
                }
                if block.overlaps(&wanted.ms)? {
                    let entries = block.entries()?.into_iter();
                    held.extend(entries.filter(|e| wanted.holds_time(e) && is_after(e)));
                }
                Ok(true)
            })?;
            for_each_group(txn, |group| {
                let of_sensor = group.readings.iter().filter(|r| r.sensor == sensor);
                let entries = of_sensor.map(entry).filter(|e| wanted.holds_time(e));
                held.extend(entries.filter(is_after));
            })?;
            let mut readings = block::current(held);
            readings.truncate(limit);
            Ok(readings)
        })
    }

    /// Everything that arrived of `sensor` for the times from `from_ms` to `to_ms`: corrections
    /// and what was set aside too, by arrival.
    pub fn history(
        &self,
        sensor: SensorId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Logged>, StoreError> {
        let wanted = Wanted {
            ms: from_ms..=to_ms,
        };
        self.shared.read("read the history", |txn| {
            let mut all: Vec<Logged> = Vec::new();
            each_block(txn, sensor, wanted.days(), |_, block| {
                if block.overlaps(&wanted.ms)? {
                    let entries = block.entries()?.into_iter();
                    all.extend(
                        entries
                            .filter(|e| wanted.holds_time(e))
                            .map(|e| logged(sensor, e)),
                    );
                }
                Ok(true)
            })?;
            for_each_late(txn, |row| {
                if row.sensor == sensor && wanted.ms.contains(&row.time.ms()) {
                    all.push(late_logged(&row));
                }
            })?;
            for_each_group(txn, |group| {
                let of_sensor = group.readings.into_iter().filter(|r| r.sensor == sensor);
                all.extend(of_sensor.filter(|r| wanted.ms.contains(&r.time.ms())));
            })?;
            all.sort_unstable_by_key(|r| r.seq);
            Ok(all)
        })
    }

    /// Everything of `sensors` that arrived from `from_seq` on and was written down, by arrival.
    pub fn arrivals(
        &self,
        sensors: &BTreeSet<SensorId>,
        from_seq: u64,
    ) -> Result<Vec<Logged>, StoreError> {
        self.shared.read("read the arrivals", |txn| {
            let mut all: Vec<Logged> = Vec::new();
            for (sensor, day) in touched_since(txn, from_seq)? {
                if sensors.contains(&sensor) {
                    each_block(txn, sensor, day..=day, |_, block| {
                        let entries = block.entries()?.into_iter();
                        all.extend(entries.map(|e| logged(sensor, e)));
                        Ok(true)
                    })?;
                }
            }
            for entry in txn.open_table(LATE)?.range(from_seq..)? {
                let (seq, value) = entry?;
                let seq = seq.value();
                let row = unpack_late(seq, value.value()).map_err(Fault::damaged("late", seq))?;
                all.push(late_logged(&row));
            }
            for_each_group(txn, |group| all.extend(group.readings))?;
            all.retain(|r| r.seq >= from_seq && sensors.contains(&r.sensor));
            all.sort_unstable_by_key(|r| r.seq);
            Ok(all)
        })
    }

    /// The days of `sensor` from `from` to `to`, by day.
    pub fn days(
        &self,
        sensor: SensorId,
        from: Option<Day>,
        to: Option<Day>,
    ) -> Result<Vec<(Day, SensorDay)>, StoreError> {
        let Some((from, to)) = ordered(from, to) else {
            return Ok(Vec::new());
        };
        let changed: Vec<(Day, SensorDay)> = {
            let overlay = self.shared.overlaid();
            let range = overlay.days.range((sensor, from)..=(sensor, to));
            range.map(|((_, day), row)| (*day, row.clone())).collect()
        };
        self.shared.read("read the days", |txn| {
            let range = (sensor.0, from.number())..=(sensor.0, to.number());
            let mut found = BTreeMap::new();
            for entry in txn.open_table(DAYS)?.range(range)? {
                let (key, value) = entry?;
                let key = key.value();
                let row = rows::unpack_day(value.value()).map_err(Fault::damaged("days", key))?;
                found.insert(Day::from_number(key.1), row);
            }
            found.extend(changed);
            found.retain(|_, state| !state.row.is_gone());
            Ok(found.into_iter().collect())
        })
    }

    /// The rests of `balance` from `from` to `to`, by day.
    pub fn rests(
        &self,
        balance: BalanceId,
        from: Option<Day>,
        to: Option<Day>,
    ) -> Result<Vec<(Day, RestRow)>, StoreError> {
        let Some((from, to)) = ordered(from, to) else {
            return Ok(Vec::new());
        };
        let changed: Vec<(Day, RestRow)> = {
            let overlay = self.shared.overlaid();
            let range = overlay.rests.range((balance, from)..=(balance, to));
            range.map(|((_, day), row)| (*day, row.clone())).collect()
        };
        self.shared.read("read the rests", |txn| {
            let range = (balance.0, from.number())..=(balance.0, to.number());
            let mut found = BTreeMap::new();
            for entry in txn.open_table(RESTS)?.range(range)? {
                let (key, value) = entry?;
                let key = key.value();
                let row = rows::unpack_rest(value.value()).map_err(Fault::damaged("rests", key))?;
                found.insert(Day::from_number(key.1), row);
            }
            found.extend(changed);
            found.retain(|_, row| !row.is_gone());
            Ok(found.into_iter().collect())
        })
    }

    /// Late rows of `sensor`, or of all, for the times from `from_ms` to `to_ms`, by arrival; the
    /// first `limit`.
    pub fn late(
        &self,
        sensor: Option<SensorId>,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LateRow>, StoreError> {
        let ms = from_ms.unwrap_or(i64::MIN)..=to_ms.unwrap_or(i64::MAX);
        let holds =
            |row: &LateRow| sensor.is_none_or(|s| s == row.sensor) && ms.contains(&row.time.ms());
        self.shared.read("read the late rows", |txn| {
            let mut found = Vec::new();
            let mut exempt = Exempt::default();
            for_each_late(txn, |row| {
                if holds(&row) {
                    found.push(row);
                }
            })?;
            for_each_group(txn, |group| {
                exempt.take(&group);
                found.extend(late_rows(&group).filter(|row| holds(row)));
            })?;
            found.truncate(limit);
            for row in &mut found {
                row.accepted |= exempt.accepts(row);
            }
            Ok(found)
        })
    }

    /// Dead letters after the arrival `after_seq`, by arrival; the first `limit`.
    pub fn letters(&self, after_seq: Option<u64>, limit: usize) -> Result<Vec<Letter>, StoreError> {
        let Some(from) = after_seq.map_or(Some(0), |seq| seq.checked_add(1)) else {
            return Ok(Vec::new());
        };
        self.shared.read("read the letters", |txn| {
            let mut found = Vec::new();
            for entry in txn.open_table(LETTERS)?.range(from..)?.take(limit) {
                let (seq, value) = entry?;
                let seq = seq.value();
                let letter = rows::unpack_letter(seq, value.value());
                found.push(letter.map_err(Fault::damaged("letters", seq))?);
            }
            if found.len() < limit {
                for_each_group(txn, |group| {
                    found.extend(group.letters.into_iter().filter(|l| l.seq >= from));
                })?;
                found.truncate(limit);
            }
            Ok(found)
        })
    }

    /// Every alert, by id.
    pub fn alerts(&self) -> Result<Vec<Kept>, StoreError> {
        self.shared.read("read the alerts", alerts::alerts)
    }

    /// The alert of that id.
    pub fn alert(&self, id: &AlertId) -> Result<Option<Kept>, StoreError> {
        self.shared
            .read("read an alert", |txn| alerts::alert(txn, id.as_str()))
    }

    /// The lines of the alerts' journal from the number `from` on, the first `limit`.
    pub fn journal(&self, from: u64, limit: usize) -> Result<Vec<Notice>, StoreError> {
        self.shared
            .read("read the journal", |txn| alerts::journal(txn, from, limit))
    }

    /// The number that the next line of the alerts' journal has, from 1.
    pub fn next_notice(&self) -> Result<u64, StoreError> {
        self.shared
            .read("read the journal's end", alerts::next_notice)
    }

    /// The notices that wait for `channel`, oldest first, at most `most`.
    pub fn outbox(&self, channel: &str, most: usize) -> Result<Vec<Notice>, StoreError> {
        self.shared
            .read("read the outbox", |txn| alerts::outbox(txn, channel, most))
    }

    /// The notices that were to go to a channel as one message, by their places in the journal; some may wait no
    /// longer.
    pub fn meant(&self, channel: &str) -> Result<Vec<u64>, StoreError> {
        self.shared
            .read("read the outbox", |txn| alerts::meant(txn, channel))
    }

    /// What waits for each channel that anything waits for: places in the journal, in order.
    pub fn waiting_notices(&self) -> Result<BTreeMap<String, Vec<u64>>, StoreError> {
        self.shared.read("read the outbox", alerts::waiting)
    }

    /// Every retained message under its topic, by topic.
    pub fn retained(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.shared
            .read("read the retained messages", broker::retained)
    }

    /// Every persistent session's state under its client id, by client id.
    pub fn sessions(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.shared.read("read the sessions", broker::sessions)
    }

    /// Every user under the name to log in with, by name.
    pub fn users(&self) -> Result<Vec<(String, UserRow)>, StoreError> {
        self.shared.read("read the users", broker::users)
    }

    /// The messages that wait for `client`, each with its ordinal, in order.
    pub fn queue(&self, client: &str) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.shared
            .read("read a session's queue", |txn| broker::queue(txn, client))
    }
}

/// An inclusive range of days; `None` when it is empty.
fn ordered(from: Option<Day>, to: Option<Day>) -> Option<(Day, Day)> {
    let from = from.unwrap_or(Day::from_number(i32::MIN));
    let to = to.unwrap_or(Day::from_number(i32::MAX));
    (from <= to).then_some((from, to))
}

/// A range of time.
struct Wanted {
    ms: RangeInclusive<i64>,
}

impl Wanted {
    /// The days that may hold a reading of the range. A day of any zone lies within one day of the
    /// UTC day of its name.
    fn days(&self) -> RangeInclusive<i32> {
        let day = |ms: i64, margin: i64| {
            let day = ms.div_euclid(DAY_MS).saturating_add(margin);
            i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
        };
        day(*self.ms.start(), -DAY_MARGIN)..=day(*self.ms.end(), DAY_MARGIN)
    }

    fn holds_time(&self, entry: &Entry) -> bool {
        self.ms.contains(&entry.time.ms())
    }
}

/// A day of UTC, in ms.
const DAY_MS: i64 = 86_400_000;
/// How many days a local day may begin before or end after the UTC day of its name.
const DAY_MARGIN: i64 = 2;

fn logged(sensor: SensorId, entry: Entry) -> Logged {
    Logged {
        seq: entry.seq,
        sensor,
        time: entry.time,
        tie: entry.tie,
        value: entry.value,
        fate: entry.fate,
        flag: entry.flag,
    }
}

fn late_logged(row: &LateRow) -> Logged {
    Logged {
        seq: row.seq,
        sensor: row.sensor,
        time: row.time,
        tie: row.tie,
        value: row.value,
        fate: Fate::Late,
        flag: None,
    }
}

/// The days that seals with arrivals from `from_seq` on put something into.
fn touched_since(
    txn: &redb::ReadTransaction,
    from_seq: u64,
) -> Result<BTreeSet<(SensorId, i32)>, Fault> {
    let mut touched = BTreeSet::new();
    for entry in txn.open_table(SEALS)?.range::<u64>(..)?.rev() {
        let (seal, value) = entry?;
        let seal = seal.value();
        let row = rows::unpack_seal(value.value()).map_err(Fault::damaged("seals", seal))?;
        if row.next_seq <= from_seq {
            break;
        }
        touched.extend(row.touched.into_iter().map(|(s, day)| (s, day.number())));
    }
    Ok(touched)
}

/// A sensor that was named in the log and has not been sealed or announced.
pub(super) fn unsealed(id: SensorId, name: String) -> SensorState {
    SensorState {
        id,
        name,
        newest: None,
        sure: None,
        first: None,
        last_value: None,
        fingerprint: 0,
    }
}
