//! The judgement of a reading against its sensor, up to where the engine takes over: range and
//! time (semantics, steps 2 and 3).

use crate::config::SensorRule;
use crate::source::{Decoded, Reason, Stamped, TimeFlag};
use crate::store::Flag;
use engine::{EventTime, OnConflict, Reading, SensorId};

/// What time it is, as far as readings are judged by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The wall clock in ms UTC, right or wrong.
    pub(crate) wall_ms: i64,
    /// What readings without a time of their own are stamped with, in ms UTC; `None`: nobody knows,
    /// and they wait.
    pub(crate) stamp_ms: Option<i64>,
    /// How long before that the message at hand arrived, in ms.
    pub(crate) ago_ms: u64,
    /// Which start of the machine this is, and how long ago it was, in ms.
    pub(crate) boot: u128,
    pub(crate) uptime_ms: u64,
    /// The latest time that is not in the future, in ms UTC; `None`: the clock is not trusted, or
    /// is not asked.
    pub(crate) latest_ms: Option<i64>,
}

/// A decoded reading that nothing stands against so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judged {
    /// As the engine takes it, and what is to be known of its time.
    Reading(Reading, Option<Flag>),
    /// The same, but for a time that nobody knows yet.
    Waits { tie: u64, value: f64 },
}

/// Judges a decoded reading.
pub(crate) fn judge(
    sensor: SensorId,
    rule: &SensorRule,
    decoded: &Decoded,
    now: Now,
) -> Result<Judged, Reason> {
    let value = rule.scaled(decoded.value)?;
    let tie = match (rule.spec.on_conflict, &decoded.id) {
        (OnConflict::Add, Some(id)) => Ok(tie(id)),
        (OnConflict::Add, None) => Err(Reason::MissingId),
        (OnConflict::Replace | OnConflict::Keep, _) => Ok(0),
    };
    let (ms, flag) = match (decoded.time, now.stamp_ms) {
        (Stamped::At(ms), _) => (ms, None),
        (Stamped::AtFlagged(ms, TimeFlag::AmbiguousLocal), _) => (ms, Some(Flag::Ambiguous)),
        (Stamped::AtFlagged(ms, TimeFlag::SkippedLocal), _) => (ms, Some(Flag::Shifted)),
        (Stamped::Arrival, Some(ms)) => (ms.saturating_sub_unsigned(now.ago_ms), None),
        (Stamped::Arrival, None) => return Ok(Judged::Waits { tie: tie?, value }),
    };
    let time = EventTime::from_ms(ms).ok_or(Reason::TimeOutOfRange)?;
    if let Some(latest) = now.latest_ms
        && ms > latest
    {
        return Err(Reason::FutureTime {
            ahead_ms: ms - latest,
        });
    }
    let reading = Reading {
        sensor,
        time,
        tie: tie?,
        value,
        exempt: false,
    };
    Ok(Judged::Reading(reading, flag))
}

/// A message id as a number: FNV-1a over its bytes, with 64 bits. It tells apart messages of one
/// sensor and one event time only, so chance has to find a pair among very few.
fn tie(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
