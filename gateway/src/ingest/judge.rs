//! The judgement of a reading against its sensor, up to where the engine takes over: range and
//! time (semantics, steps 2 and 3).

use crate::config::SensorRule;
use crate::source::{Decoded, Reason, Stamped};
use engine::{EventTime, OnConflict, Reading, SensorId};

/// What time it is, as far as readings are judged by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// What readings without a time of their own are stamped with, in ms UTC.
    pub(super) stamp_ms: i64,
    /// The latest time that is not in the future, in ms UTC; `None`: the clock is not trusted, or
    /// is not asked.
    pub(super) latest_ms: Option<i64>,
}

/// A decoded reading, as the engine takes it.
pub(super) fn judge(
    sensor: SensorId,
    rule: &SensorRule,
    decoded: &Decoded,
    now: Now,
) -> Result<Reading, Reason> {
    let value = rule.scaled(decoded.value)?;
    let ms = match decoded.time {
        Stamped::At(ms) | Stamped::AtFlagged(ms, _) => ms,
        Stamped::Arrival => now.stamp_ms,
    };
    let time = EventTime::from_ms(ms).ok_or(Reason::TimeOutOfRange)?;
    if let Some(latest) = now.latest_ms
        && ms > latest
    {
        return Err(Reason::FutureTime {
            ahead_ms: ms - latest,
        });
    }
    let tie = match (rule.spec.on_conflict, &decoded.id) {
        (OnConflict::Add, Some(id)) => tie(id),
        (OnConflict::Add, None) => return Err(Reason::MissingId),
        (OnConflict::Replace | OnConflict::Keep, _) => 0,
    };
    Ok(Reading {
        sensor,
        time,
        tie,
        value,
        exempt: false,
    })
}

/// A message id as a number: FNV-1a over its bytes, with 64 bits. It tells apart messages of one
/// sensor and one event time only, so chance has to find a pair among very few.
fn tie(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
