//! What a house asks of the past: readings and rows out of the store. It decides nothing.

use std::convert::Infallible;

use engine::{BalanceId, Day, RestRow, SensorDay, SensorId};

/// Readings and rows that are committed.
pub trait History {
    /// Why they cannot be told.
    type Error;
    /// A sensor's newest event time, ms.
    fn newest_ms(&mut self, sensor: SensorId) -> Option<i64>;
    /// Readings held from an event time (ms) on, in the order of event time: when, and the value.
    fn readings(&mut self, sensor: SensorId, from_ms: i64) -> Result<Vec<(i64, f64)>, Self::Error>;
    /// A sensor's rows from a day on, by day.
    fn days(&mut self, sensor: SensorId, from: Day) -> Result<Vec<(Day, SensorDay)>, Self::Error>;
    /// A balance's rows from a day on, by day.
    fn rests(&mut self, balance: BalanceId, from: Day) -> Result<Vec<(Day, RestRow)>, Self::Error>;
}

/// A past in which nothing happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl History for NoHistory {
    type Error = Infallible;

    fn newest_ms(&mut self, _: SensorId) -> Option<i64> {
        None
    }

    fn readings(&mut self, _: SensorId, _: i64) -> Result<Vec<(i64, f64)>, Infallible> {
        Ok(Vec::new())
    }

    fn days(&mut self, _: SensorId, _: Day) -> Result<Vec<(Day, SensorDay)>, Infallible> {
        Ok(Vec::new())
    }

    fn rests(&mut self, _: BalanceId, _: Day) -> Result<Vec<(Day, RestRow)>, Infallible> {
        Ok(Vec::new())
    }
}
