//! Walks over the tables that readers and the seal share. Decides nothing.

use std::ops::RangeInclusive;

use engine::{BalanceId, SensorId};
use redb::{ReadTransaction, ReadableTable};

use super::block::{self, Entry, Span};
use super::error::Fault;
use super::tables::{BALANCES, BLOCKS, BlockKey, LATE, LOG, SENSORS};
use super::types::{Group, LateRow, Logged, SensorState};
use super::{log, rows};

/// A block where it lies.
pub(super) struct Block<'a> {
    key: BlockKey,
    value: &'a [u8],
}

impl Block<'_> {
    pub(super) fn span(&self) -> Result<Span, Fault> {
        block::peek(self.value).map_err(Fault::damaged("blocks", self.key))
    }

    pub(super) fn overlaps(&self, ms: &RangeInclusive<i64>) -> Result<bool, Fault> {
        let span = self.span()?;
        Ok(span.first.ms() <= *ms.end() && *ms.start() <= span.last.ms())
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, Fault> {
        block::unpack(self.value).map_err(Fault::damaged("blocks", self.key))
    }
}

/// Hands the blocks of `sensor` on `days` to `f`, by day and seal, until it returns false.
pub(super) fn each_block(
    txn: &ReadTransaction,
    sensor: SensorId,
    days: RangeInclusive<i32>,
    mut f: impl FnMut(BlockKey, Block<'_>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    if days.is_empty() {
        return Ok(());
    }
    let range = (sensor.0, *days.start(), 0)..=(sensor.0, *days.end(), u64::MAX);
    for entry in txn.open_table(BLOCKS)?.range(range)? {
        let (key, value) = entry?;
        let key = key.value();
        let block = Block {
            key,
            value: value.value(),
        };
        if !f(key, block)? {
            break;
        }
    }
    Ok(())
}

/// Hands every group since the last seal to `f`, in order.
pub(super) fn for_each_group(txn: &ReadTransaction, f: impl FnMut(Group)) -> Result<(), Fault> {
    groups(&txn.open_table(LOG)?, f)
}

/// The same, of a table that is open.
pub(super) fn groups(
    table: &impl ReadableTable<u64, &'static [u8]>,
    mut f: impl FnMut(Group),
) -> Result<(), Fault> {
    for entry in table.range::<u64>(..)? {
        let (first_seq, value) = entry?;
        let first_seq = first_seq.value();
        f(log::unpack(first_seq, value.value()).map_err(Fault::damaged("log", first_seq))?);
    }
    Ok(())
}

/// Hands the head of every group since the last seal to `f`, in order.
pub(super) fn for_each_head(
    txn: &ReadTransaction,
    mut f: impl FnMut(log::Head),
) -> Result<(), Fault> {
    for entry in txn.open_table(LOG)?.range::<u64>(..)? {
        let (first_seq, value) = entry?;
        let first_seq = first_seq.value();
        f(log::unpack_head(first_seq, value.value()).map_err(Fault::damaged("log", first_seq))?);
    }
    Ok(())
}

/// Hands every late row that was sealed to `f`, by arrival.
pub(super) fn for_each_late(txn: &ReadTransaction, f: impl FnMut(LateRow)) -> Result<(), Fault> {
    late_of(&txn.open_table(LATE)?, f)
}

/// The same, of a table that is open.
pub(super) fn late_of(
    table: &impl ReadableTable<u64, &'static [u8]>,
    mut f: impl FnMut(LateRow),
) -> Result<(), Fault> {
    for entry in table.range::<u64>(..)? {
        let (seq, value) = entry?;
        let seq = seq.value();
        f(rows::unpack_late(seq, value.value()).map_err(Fault::damaged("late", seq))?);
    }
    Ok(())
}

/// Every sensor as it was sealed, by number.
pub(super) fn sensors(txn: &ReadTransaction) -> Result<Vec<SensorState>, Fault> {
    let mut found = Vec::new();
    for entry in txn.open_table(SENSORS)?.range::<u32>(..)? {
        let (id, value) = entry?;
        let id = id.value();
        let sensor = rows::unpack_sensor(SensorId(id), value.value());
        found.push(sensor.map_err(Fault::damaged("sensors", id))?);
    }
    Ok(found)
}

/// Every balance as it was sealed, by number.
pub(super) fn balances(txn: &ReadTransaction) -> Result<Vec<(BalanceId, String)>, Fault> {
    let mut found = Vec::new();
    for entry in txn.open_table(BALANCES)?.range::<u32>(..)? {
        let (id, value) = entry?;
        let id = id.value();
        let name = rows::unpack_text(value.value()).map_err(Fault::damaged("balances", id))?;
        found.push((BalanceId(id), name));
    }
    Ok(found)
}

/// A reading as a block holds it.
pub(super) fn entry(reading: &Logged) -> Entry {
    Entry {
        time: reading.time,
        tie: reading.tie,
        seq: reading.seq,
        value: reading.value,
        fate: reading.fate,
        flag: reading.flag,
    }
}
