//! The entry: (held state, batch, now) → what changed.

use crate::{BalanceId, Day, Held, RestRow, SensorDay, SensorId};

/// What the engine asks of the past that it does not hold in memory.
///
/// It is asked only about days that were not touched since they were last handed over.
pub trait Past {
    /// Why the past cannot be told.
    type Error;
    /// The current value of every identity held of that day, ordered by `(time, tie)`.
    fn readings(&mut self, sensor: SensorId, day: Day) -> Result<Vec<Held>, Self::Error>;
    /// What was kept of that day.
    fn day(&mut self, sensor: SensorId, day: Day) -> Result<Option<SensorDay>, Self::Error>;
    /// The nearest earlier day that holds a reading.
    fn before(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Self::Error>;
    /// The nearest later day that holds a reading.
    fn after(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Self::Error>;
    /// The row of a balance.
    fn rest(&mut self, balance: BalanceId, day: Day) -> Result<Option<RestRow>, Self::Error>;
}
