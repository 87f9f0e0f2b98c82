//! Houses that are kept, and what is different since: for a start.

use std::collections::BTreeMap;

use engine::{Day, SensorId};
use redb::{ReadTransaction, TableError, WriteTransaction};
use rustc_hash::FxHashMap;

use super::error::{Fault, StoreError};
use super::house::{self, KeptHouse};
use super::tables::{HOUSES, SEALS};
use super::{Store, rows, scan};

/// A day of UTC, in ms.
const DAY_MS: i64 = 86_400_000;

/// From when on each sensor is different, by what was committed since.
#[derive(Debug, Default)]
pub struct Touched {
    /// The first sequence number that is not in it, and the event time of the earliest that may be different, ms.
    sensors: FxHashMap<SensorId, Vec<(u64, i64)>>,
}

impl Touched {
    /// From which event time on (ms) a sensor may be different to one who knows all before this sequence
    /// number; `None`: it is not.
    #[must_use]
    pub fn since(&self, sensor: SensorId, next_seq: u64) -> Option<i64> {
        let all = self.sensors.get(&sensor)?.iter();
        let after = all.filter(|(until_seq, _)| *until_seq > next_seq);
        after.map(|(_, at_ms)| *at_ms).min()
    }

    fn note(&mut self, sensor: SensorId, until_seq: u64, at_ms: i64) {
        let noted = self.sensors.entry(sensor).or_default();
        match noted.last_mut() {
            Some((last_seq, last_ms)) if *last_seq == until_seq => *last_ms = at_ms.min(*last_ms),
            Some(_) | None => noted.push((until_seq, at_ms)),
        }
    }
}

/// What a seal does about houses.
#[derive(Clone, Copy, Debug, Default)]
pub struct HousesSealed<'a> {
    /// They are kept as they are after the last group.
    pub kept: &'a [KeptHouse],
    /// The names of those that are no more.
    pub gone: &'a [String],
}

/// Writes houses.
pub(super) fn keep(txn: &WriteTransaction, houses: HousesSealed<'_>) -> Result<(), Fault> {
    let HousesSealed { kept, gone } = houses;
    if kept.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(HOUSES)?;
    for kept in kept {
        table.insert(kept.name.as_str(), house::pack(kept).as_slice())?;
    }
    for name in gone {
        table.remove(name.as_str())?;
    }
    Ok(())
}

impl Store {
    /// Bytes that a house takes where it is kept.
    #[must_use]
    pub fn house_bytes(kept: &KeptHouse) -> usize {
        house::pack(kept).len()
    }

    /// The houses that are kept, each with the first sequence number that it does not know. Of a damaged one
    /// nothing is said here.
    pub fn houses(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.shared.read("look at the houses", |txn| {
            let mut found = BTreeMap::new();
            let Some(table) = houses_of(txn)? else {
                return Ok(found);
            };
            for entry in table.range::<&str>(..)? {
                let (name, value) = entry?;
                if let Ok(next_seq) = house::peek(value.value()) {
                    found.insert(name.value().to_owned(), next_seq);
                }
            }
            Ok(found)
        })
    }

    /// A house as it was kept.
    pub fn house(&self, name: &str) -> Result<Option<KeptHouse>, StoreError> {
        self.shared.read("read a house", |txn| {
            let Some(table) = houses_of(txn)? else {
                return Ok(None);
            };
            let value = table.get(name)?;
            let unpack = |value: redb::AccessGuard<'_, _>| {
                let value: &[u8] = value.value();
                house::unpack(value).map_err(Fault::damaged("houses", name))
            };
            value.map(unpack).transpose()
        })
    }

    /// What was committed from `from_seq` on, by sensor.
    pub fn touched_since(&self, from_seq: u64) -> Result<Touched, StoreError> {
        self.shared.read("read what is different since", |txn| {
            let mut touched = Touched::default();
            for entry in txn.open_table(SEALS)?.range::<u64>(..)?.rev() {
                let (seal, value) = entry?;
                let seal = seal.value();
                let row =
                    rows::unpack_seal(value.value()).map_err(Fault::damaged("seals", seal))?;
                if row.next_seq <= from_seq {
                    break;
                }
                for (sensor, day) in row.touched {
                    touched.note(sensor, row.next_seq, begins_ms(day));
                }
            }
            scan::for_each_group(txn, |group| {
                for reading in group.readings.iter().filter(|r| r.fate.decides()) {
                    touched.note(reading.sensor, u64::MAX, reading.time.ms());
                }
            })?;
            Ok(touched)
        })
    }
}

/// No local day begins earlier than a day before the UTC day of its name.
fn begins_ms(day: Day) -> i64 {
    (i64::from(day.number()) - 1) * DAY_MS
}

type Houses = redb::ReadOnlyTable<&'static str, &'static [u8]>;

/// A store that no house was kept in yet may be without the table.
fn houses_of(txn: &ReadTransaction) -> Result<Option<Houses>, Fault> {
    match txn.open_table(HOUSES) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
