//! What of the rows that pile up goes at a seal: the oldest beyond a cap, and those beyond an age.
//! All of it is counted.

use engine::EventTime;
use redb::{ReadableTable, ReadableTableMetadata, Table};

use super::error::Fault;
use super::tables::Bytes;

/// Rows that arrived earlier than this have no known time: the clock was not set.
const KNOWN_FROM_MS: i64 = EventTime::FIRST_MS;

/// Removes the oldest rows beyond `cap`; says how many.
pub(super) fn beyond(table: &mut Table<'_, u64, Bytes>, cap: u64) -> Result<u64, Fault> {
    let beyond = table.len()?.saturating_sub(cap);
    for _ in 0..beyond {
        table.pop_first()?;
    }
    Ok(beyond)
}

/// Removes the rows that arrived before `before_ms`; says how many. They lie in the order of arrival:
/// the first that is younger ends it, and one of unknown time goes with the next of known time.
pub(super) fn before(
    table: &mut Table<'_, u64, Bytes>,
    before_ms: i64,
    arrived_ms: impl Fn(u64, &[u8]) -> Result<i64, Fault>,
) -> Result<u64, Fault> {
    let mut last = None;
    for entry in table.range::<u64>(..)? {
        let (seq, value) = entry?;
        let seq = seq.value();
        let arrived_ms = arrived_ms(seq, value.value())?;
        if arrived_ms >= before_ms {
            break;
        }
        if arrived_ms >= KNOWN_FROM_MS {
            last = Some(seq);
        }
    }
    let Some(last) = last else {
        return Ok(0);
    };
    let mut removed = 0;
    table.retain_in(..=last, |_, _| {
        removed += 1;
        false
    })?;
    Ok(removed)
}
