//! What arrives, and the verdict on it.

/// A sensor, numbered by the store in the order of first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorId(pub u32);

/// A balance (a meter and its parts), numbered like sensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BalanceId(pub u32);

/// Arrival order: the place of a judged reading in the one sequence of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// When the sensor says it measured: milliseconds since 1970-01-01 UTC, within the years
/// 2000 to 2099.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// 2000-01-01T00:00:00Z, the first instant that is a possible event time.
    pub const FIRST_MS: i64 = 946_684_800_000;
    /// 2100-01-01T00:00:00Z, the first instant that is not one any more.
    pub const END_MS: i64 = 4_102_444_800_000;

    /// The event time at `ms` milliseconds since 1970 UTC; `None` outside the years 2000 to 2099.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Option<Self> {
        if ms >= Self::FIRST_MS && ms < Self::END_MS {
            Some(Self(ms))
        } else {
            None
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }
}

/// One reading as it comes in: decoded, scaled, and already found to be finite and in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Whose reading.
    pub sensor: SensorId,
    /// When it was measured.
    pub time: EventTime,
    /// Tells apart readings of one event time under [`OnConflict::Add`](crate::OnConflict::Add):
    /// a hash of the message id. Ignored (taken as 0) under the other policies.
    pub tie: u64,
    /// In the sensor's unit; finite.
    pub value: f64,
    /// An operator accepted it: the rule of lateness does not apply.
    pub exempt: bool,
}

/// One reading that is held: an identity `(time, tie)` and its current value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// When it was measured.
    pub time: EventTime,
    /// 0 unless the sensor adds contradicting readings.
    pub tie: u64,
    /// In the sensor's unit; finite.
    pub value: f64,
}

/// What became of a reading.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admission {
    /// A new identity: it counts.
    Accepted,
    /// The identity is held with this very value: no effect.
    Duplicate,
    /// The identity was held with another value, which this one replaces.
    Corrected {
        /// The value that was replaced.
        was: f64,
    },
    /// Older than the allowed lateness: kept, forwarded as late, part of no result.
    SetAside {
        /// How far behind the sensor's newest event time, in milliseconds.
        late_by_ms: i64,
    },
    /// The identity is held with another value and the sensor keeps the first.
    Kept {
        /// The value that stays.
        held: f64,
    },
}
