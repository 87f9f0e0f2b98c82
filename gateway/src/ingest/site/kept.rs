//! The past of a site's houses, out of its store. What is damaged there is said, and counts as nothing: a detector
//! that knows less keeps no gateway from starting.

use engine::{BalanceId, Day, RestRow, SensorDay, SensorId};

use crate::ingest::registry::Registry;
use crate::store::{Failure, Store, StoreError, View};
use crate::watch::History;

/// What is committed.
pub(super) struct Kept<'a> {
    view: View,
    registry: &'a Registry,
}

impl<'a> Kept<'a> {
    pub(super) fn new(store: &Store, registry: &'a Registry) -> Self {
        Self {
            view: store.view(),
            registry,
        }
    }
}

/// A list, or nothing where it is damaged.
fn sound<T>(read: Result<Vec<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    match read {
        Err(error) if error.failure() == Failure::Damaged => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "detectors go on without a part of the past"
            );
            Ok(Vec::new())
        }
        read => read,
    }
}

impl History for Kept<'_> {
    type Error = StoreError;

    fn newest_ms(&mut self, sensor: SensorId) -> Option<i64> {
        let (newest, _) = self.registry.sensor(sensor).last?;
        Some(newest.ms())
    }

    fn readings(&mut self, sensor: SensorId, from_ms: i64) -> Result<Vec<(i64, f64)>, StoreError> {
        let read = self
            .view
            .readings(sensor, Some(from_ms), None, None, usize::MAX);
        let readings = sound(read)?.into_iter();
        Ok(readings.map(|r| (r.time.ms(), r.value)).collect())
    }

    fn days(&mut self, sensor: SensorId, from: Day) -> Result<Vec<(Day, SensorDay)>, StoreError> {
        sound(self.view.days(sensor, Some(from), None))
    }

    fn rests(&mut self, balance: BalanceId, from: Day) -> Result<Vec<(Day, RestRow)>, StoreError> {
        sound(self.view.rests(balance, Some(from), None))
    }
}
