//! What the engine asks of days that it does not hold in memory.
//!
//! It asks only about days untouched since the last seal, so the log's tail is not read.

use engine::{BalanceId, Day, Held, Past, RestRow, SensorDay, SensorId};

use super::error::{Fault, StoreError};
use super::tables::{DAYS, RESTS};
use super::{Store, block, rows, scan};

impl Past for &Store {
    type Error = StoreError;

    fn readings(&mut self, sensor: SensorId, day: Day) -> Result<Vec<Held>, StoreError> {
        self.shared.read("read a day's readings", |txn| {
            let mut entries = Vec::new();
            scan::each_block(txn, sensor, day.number()..=day.number(), |_, block| {
                entries.extend(block.entries()?);
                Ok(true)
            })?;
            let held = block::current(entries).into_iter().map(|r| Held {
                time: r.time,
                tie: r.tie,
                value: r.value,
            });
            Ok(held.collect())
        })
    }

    fn day(&mut self, sensor: SensorId, day: Day) -> Result<Option<SensorDay>, StoreError> {
        self.shared.read("read a day", |txn| {
            let key = (sensor.0, day.number());
            let value = txn.open_table(DAYS)?.get(key)?;
            value
                .map(|value| rows::unpack_day(value.value()).map_err(Fault::damaged("days", key)))
                .transpose()
        })
    }

    fn before(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, StoreError> {
        self.shared.read("read the day before", |txn| {
            let range = (sensor.0, i32::MIN)..(sensor.0, day.number());
            first_held(txn.open_table(DAYS)?.range(range)?.rev())
        })
    }

    fn after(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, StoreError> {
        self.shared.read("read the day after", |txn| {
            let Some(next) = day.number().checked_add(1) else {
                return Ok(None);
            };
            let range = (sensor.0, next)..=(sensor.0, i32::MAX);
            first_held(txn.open_table(DAYS)?.range(range)?)
        })
    }

    fn rest(&mut self, balance: BalanceId, day: Day) -> Result<Option<RestRow>, StoreError> {
        self.shared.read("read a rest", |txn| {
            let key = (balance.0, day.number());
            let value = txn.open_table(RESTS)?.get(key)?;
            value
                .map(|value| rows::unpack_rest(value.value()).map_err(Fault::damaged("rests", key)))
                .transpose()
        })
    }
}

impl Store {
    /// The latest day of `sensor` that has a row, be it one that is gone.
    pub fn last_row(&self, sensor: SensorId) -> Result<Option<Day>, StoreError> {
        self.shared.read("read the last day", |txn| {
            let range = (sensor.0, i32::MIN)..=(sensor.0, i32::MAX);
            let last = txn
                .open_table(DAYS)?
                .range(range)?
                .next_back()
                .transpose()?;
            Ok(last.map(|(key, _)| Day::from_number(key.value().1)))
        })
    }
}

type Guards<'a> = (
    redb::AccessGuard<'a, super::tables::DayKey>,
    redb::AccessGuard<'a, super::tables::Bytes>,
);

/// The first of `days` that holds a reading.
fn first_held<'a>(
    days: impl Iterator<Item = Result<Guards<'a>, redb::StorageError>>,
) -> Result<Option<(Day, SensorDay)>, Fault> {
    for entry in days {
        let (key, value) = entry?;
        let key = key.value();
        let day = rows::unpack_day(value.value()).map_err(Fault::damaged("days", key))?;
        if !day.row.is_gone() {
            return Ok(Some((Day::from_number(key.1), day)));
        }
    }
    Ok(None)
}
