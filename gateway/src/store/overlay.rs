//! Rows that changed since the last seal: readers see them over what the seal wrote.
//!
//! The writer adds after each commit and clears after a seal. A reader takes what it needs first
//! and begins its read transaction second: a seal in between can then only make the rows beneath
//! newer, never leave a gap. Held in memory only, and never locked across a disk operation.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use engine::{BalanceId, Day, RestRow, SensorDay, SensorId};

use super::Shared;
use super::types::SensorState;

/// What a commit changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// Days of sensors.
    pub days: Vec<(SensorId, Day, SensorDay)>,
    /// Rests of balances.
    pub rests: Vec<(BalanceId, Day, RestRow)>,
    /// Sensors.
    pub sensors: Vec<SensorState>,
}

#[derive(Debug, Default)]
pub(super) struct Overlay {
    pub(super) days: BTreeMap<(SensorId, Day), SensorDay>,
    pub(super) rests: BTreeMap<(BalanceId, Day), RestRow>,
    pub(super) sensors: BTreeMap<SensorId, SensorState>,
}

impl Overlay {
    pub(super) fn extend(&mut self, changed: Changed) {
        self.days
            .extend(changed.days.into_iter().map(|(s, d, row)| ((s, d), row)));
        self.rests
            .extend(changed.rests.into_iter().map(|(b, d, row)| ((b, d), row)));
        self.sensors
            .extend(changed.sensors.into_iter().map(|s| (s.id, s)));
    }

    pub(super) fn all(&self) -> Changed {
        let days = self.days.iter().map(|((s, d), row)| (*s, *d, row.clone()));
        let rests = self.rests.iter().map(|((b, d), row)| (*b, *d, row.clone()));
        Changed {
            days: days.collect(),
            rests: rests.collect(),
            sensors: self.sensors.values().cloned().collect(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Shared {
    pub(super) fn overlay(&self) -> RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn overlaid(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }
}
