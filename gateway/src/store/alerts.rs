//! Alerts, their journal, and what of it each channel has not had yet.
//!
//! Written in the transaction of the readings that caused them. Their content is `alert`'s own, in postcard
//! within our rows: nobody but this program writes them. A store that was made before there were alerts has
//! none of these tables: to readers they are empty.

use std::collections::BTreeMap;

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, Value, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bytes::{self, Damage};
use super::error::Fault;
use super::house::KeptHouse;
use super::houses;
use super::houses::HousesSealed;
use super::rows;
use super::tables::{ALERTS, JOURNAL, OUTBOX};
use crate::alert::{AlertId, Kept, Notice};

/// The version of the contents.
const FORMAT: u8 = 1;
/// Notices that the journal holds; the oldest go.
pub const JOURNAL_MOST: u64 = 10_000;
/// A notice stays for so long, counted back from the newest. The newest always stays: its number is known by it.
pub const JOURNAL_AGE_MS: i64 = 400 * 86_400_000;

/// In the outbox: the place of the message that a channel was sent last. The journal begins at 1.
const MEANT: u64 = 0;

/// A change to alerts, their journal or their outbox.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertWrite {
    /// An alert is this.
    Set(Box<Kept>),
    /// There is no such alert any more.
    Drop(AlertId),
    /// A line of the journal. The oldest go beyond [`JOURNAL_MOST`] and [`JOURNAL_AGE_MS`].
    Notice(Box<Notice>),
    /// A notice waits for a channel.
    Wait {
        /// The channel's name.
        channel: String,
        /// The notice's place in the journal.
        seq: u64,
        /// Since when, ms since 1970 UTC.
        at_ms: i64,
    },
    /// A house of detectors is this: it was answered something, which is in no reading.
    House(Box<KeptHouse>),
    /// These notices go to a channel as one message from now on, whoever sends it.
    Mean {
        /// The channel's name.
        channel: String,
        /// The notices' places in the journal, in order.
        seqs: Vec<u64>,
    },
    /// A notice waits for a channel no longer.
    Done {
        /// The channel's name.
        channel: String,
        /// The notice's place in the journal.
        seq: u64,
    },
}

/// Applies one write.
pub(super) fn apply(txn: &WriteTransaction, write: &AlertWrite) -> Result<(), Fault> {
    match write {
        AlertWrite::Set(kept) => {
            let id = kept.alert.claim.id.as_str();
            txn.open_table(ALERTS)?
                .insert(id, pack(kept.as_ref()).as_slice())?;
        }
        AlertWrite::Drop(id) => {
            txn.open_table(ALERTS)?.remove(id.as_str())?;
        }
        AlertWrite::Notice(notice) => {
            let mut journal = txn.open_table(JOURNAL)?;
            journal.insert(notice.seq, pack(notice.as_ref()).as_slice())?;
            let oldest_ms = notice.at_ms.saturating_sub(JOURNAL_AGE_MS);
            loop {
                let is_old = match journal.first()? {
                    Some((seq, value)) if seq.value() < notice.seq => {
                        let first: Notice = unpack("journal", seq.value(), value.value())?;
                        journal.len()? > JOURNAL_MOST || first.at_ms < oldest_ms
                    }
                    Some(_) | None => false,
                };
                if !is_old {
                    break;
                }
                journal.pop_first()?;
            }
        }
        AlertWrite::Wait {
            channel,
            seq,
            at_ms,
        } => {
            let mut at = Vec::new();
            bytes::put_signed(&mut at, *at_ms);
            let key = (channel.as_str(), *seq);
            txn.open_table(OUTBOX)?
                .insert(key, rows::pack_opaque(&at).as_slice())?;
        }
        AlertWrite::House(kept) => {
            let kept = std::slice::from_ref(kept.as_ref());
            houses::keep(txn, HousesSealed { kept, gone: &[] })?;
        }
        AlertWrite::Mean { channel, seqs } => {
            let key = (channel.as_str(), MEANT);
            txn.open_table(OUTBOX)?.insert(key, pack(seqs).as_slice())?;
        }
        AlertWrite::Done { channel, seq } => {
            txn.open_table(OUTBOX)?.remove((channel.as_str(), *seq))?;
        }
    }
    Ok(())
}

/// Every alert, by id.
pub(super) fn alerts(txn: &ReadTransaction) -> Result<Vec<Kept>, Fault> {
    let mut found = Vec::new();
    if let Some(table) = if_there(txn, ALERTS)? {
        for entry in table.range::<&str>(..)? {
            let (id, value) = entry?;
            found.push(unpack("alerts", id.value(), value.value())?);
        }
    }
    Ok(found)
}

/// One alert.
pub(super) fn alert(txn: &ReadTransaction, id: &str) -> Result<Option<Kept>, Fault> {
    let Some(table) = if_there(txn, ALERTS)? else {
        return Ok(None);
    };
    let found = table.get(id)?;
    found
        .map(|value| unpack("alerts", id, value.value()))
        .transpose()
}

/// The lines of the journal from `from` on, the first `limit`.
pub(super) fn journal(
    txn: &ReadTransaction,
    from: u64,
    limit: usize,
) -> Result<Vec<Notice>, Fault> {
    let mut found = Vec::new();
    if let Some(table) = if_there(txn, JOURNAL)? {
        for entry in table.range(from..)?.take(limit) {
            let (seq, value) = entry?;
            found.push(unpack("journal", seq.value(), value.value())?);
        }
    }
    Ok(found)
}

/// The number that the next line of the journal has, from 1.
pub(super) fn next_notice(txn: &ReadTransaction) -> Result<u64, Fault> {
    let Some(table) = if_there(txn, JOURNAL)? else {
        return Ok(1);
    };
    let last = table.last()?;
    Ok(last.map_or(1, |(seq, _)| seq.value() + 1))
}

/// The notices that wait for `channel`, oldest first, at most `most`.
pub(super) fn outbox(
    txn: &ReadTransaction,
    channel: &str,
    most: usize,
) -> Result<Vec<Notice>, Fault> {
    let mut found = Vec::new();
    let (Some(outbox), Some(journal)) = (if_there(txn, OUTBOX)?, if_there(txn, JOURNAL)?) else {
        return Ok(found);
    };
    for entry in outbox.range((channel, MEANT + 1)..=(channel, u64::MAX))? {
        if found.len() == most {
            break;
        }
        let (_, seq) = entry?.0.value();
        // One that the journal has let go of is too old to be sent.
        if let Some(value) = journal.get(seq)? {
            found.push(unpack("journal", seq, value.value())?);
        }
    }
    Ok(found)
}

/// The notices that were to go to `channel` as one message: they may be there. Empty: nobody said.
pub(super) fn meant(txn: &ReadTransaction, channel: &str) -> Result<Vec<u64>, Fault> {
    let Some(table) = if_there(txn, OUTBOX)? else {
        return Ok(Vec::new());
    };
    let key = (channel, MEANT);
    let found = table.get(key)?;
    let seqs = found.map(|value| unpack("outbox", key, value.value()));
    Ok(seqs.transpose()?.unwrap_or_default())
}

/// What waits for each channel: the notices' places in the journal.
pub(super) fn waiting(txn: &ReadTransaction) -> Result<BTreeMap<String, Vec<u64>>, Fault> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    if let Some(table) = if_there(txn, OUTBOX)? {
        for entry in table.iter()? {
            let (key, _) = entry?;
            let (channel, seq) = key.value();
            if seq == MEANT {
                continue;
            }
            found.entry(channel.to_owned()).or_default().push(seq);
        }
    }
    Ok(found)
}

/// A table that an older store does not have.
fn if_there<K: Key + 'static, V: Value + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, Fault> {
    match txn.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn pack<T: Serialize>(content: &T) -> Vec<u8> {
    let packed = postcard::to_extend(content, vec![FORMAT]);
    rows::pack_opaque(&packed.expect("writing to memory does not fail"))
}

fn unpack<T: DeserializeOwned>(
    table: &'static str,
    key: impl std::fmt::Debug,
    value: &[u8],
) -> Result<T, Fault> {
    let content = rows::unpack_opaque(value).and_then(|content| match content.split_first() {
        Some((&FORMAT, body)) => {
            postcard::from_bytes(body).map_err(|_| Damage("its content is not what it should be"))
        }
        Some(_) | None => Err(Damage("its content has another version")),
    });
    content.map_err(Fault::damaged(table, key))
}
