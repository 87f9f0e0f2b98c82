//! The tables, their keys, and the version of the whole. docs/FORMAT.md says what is in them.
//!
//! Keys are primitives, tuples of them, or text; values are bytes of ours. redb ties a table to
//! the names of its types: none of ours is among them, so they may be renamed and moved.

use redb::{TableDefinition, WriteTransaction};

/// The version of the schema that this program writes, and the newest it opens.
pub const SCHEMA: u64 = 1;

/// In `meta`: the schema's version.
pub(super) const META_SCHEMA: &str = "schema";
/// In `meta`: the checkpoint of the last seal.
pub(super) const META_CHECKPOINT: &str = "checkpoint";

/// In `meta`: readings that wait until the clock is trusted, as of the last seal; not there if none do.
pub(super) const META_WAITING: &str = "waiting";

/// In `meta`: damaged files that were set aside.
pub(super) const META_INCIDENTS: &str = "incidents";

pub(super) type Bytes = &'static [u8];
/// Of a sensor's block: sensor, day, seal.
pub(super) type BlockKey = (u32, i32, u64);
/// Of a day or a rest: sensor or balance, day.
pub(super) type DayKey = (u32, i32);
/// Of a queued message: client id, ordinal.
pub(super) type QueueKey = (&'static str, u64);
/// Of an entry of the outbox: channel, the notice's place in the journal.
pub(super) type OutboxKey = (&'static str, u64);

pub(super) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
pub(super) const LOG: TableDefinition<'_, u64, Bytes> = TableDefinition::new("log");
pub(super) const BLOCKS: TableDefinition<'_, BlockKey, Bytes> = TableDefinition::new("blocks");
pub(super) const DAYS: TableDefinition<'_, DayKey, Bytes> = TableDefinition::new("days");
pub(super) const RESTS: TableDefinition<'_, DayKey, Bytes> = TableDefinition::new("rests");
pub(super) const SENSORS: TableDefinition<'_, u32, Bytes> = TableDefinition::new("sensors");
pub(super) const BALANCES: TableDefinition<'_, u32, Bytes> = TableDefinition::new("balances");
pub(super) const SEALS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("seals");
pub(super) const LATE: TableDefinition<'_, u64, Bytes> = TableDefinition::new("late");
pub(super) const LETTERS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("letters");
pub(super) const RETAINED: TableDefinition<'_, &str, Bytes> = TableDefinition::new("retained");
pub(super) const SESSIONS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("sessions");
pub(super) const QUEUE: TableDefinition<'_, QueueKey, Bytes> = TableDefinition::new("queue");
pub(super) const USERS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("users");
pub(super) const ALERTS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("alerts");
pub(super) const JOURNAL: TableDefinition<'_, u64, Bytes> = TableDefinition::new("journal");
pub(super) const OUTBOX: TableDefinition<'_, OutboxKey, Bytes> = TableDefinition::new("outbox");
pub(super) const HOUSES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("houses");

/// Makes every table, so that readers find them all.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), redb::TableError> {
    txn.open_table(META)?;
    txn.open_table(LOG)?;
    txn.open_table(BLOCKS)?;
    txn.open_table(DAYS)?;
    txn.open_table(RESTS)?;
    txn.open_table(SENSORS)?;
    txn.open_table(BALANCES)?;
    txn.open_table(SEALS)?;
    txn.open_table(LATE)?;
    txn.open_table(LETTERS)?;
    txn.open_table(RETAINED)?;
    txn.open_table(SESSIONS)?;
    txn.open_table(QUEUE)?;
    txn.open_table(USERS)?;
    txn.open_table(ALERTS)?;
    txn.open_table(JOURNAL)?;
    txn.open_table(OUTBOX)?;
    txn.open_table(HOUSES)?;
    Ok(())
}
