//! Readings set aside, and which of them an operator accepted since.

use std::collections::HashMap;

use engine::{EventTime, SensorId};

use super::types::{Fate, Group, LateRow};

/// The late rows that `group` brings.
pub(super) fn late_rows(group: &Group) -> impl Iterator<Item = LateRow> {
    group
        .readings
        .iter()
        .filter_map(|reading| match reading.fate {
            Fate::Late => Some(LateRow {
                seq: reading.seq,
                sensor: reading.sensor,
                time: reading.time,
                tie: reading.tie,
                value: reading.value,
                arrived_ms: group.arrived_ms,
                accepted: false,
            }),
            Fate::Accepted
            | Fate::Corrected
            | Fate::AcceptedLate
            | Fate::CorrectedLate
            | Fate::Withdrawn => None,
        })
}

/// What operators accepted: the last arrival of each identity and value.
#[derive(Debug, Default)]
pub(super) struct Exempt(HashMap<(SensorId, EventTime, u64), u64>);

impl Exempt {
    /// Notes what was accepted in `group`, which follows those before it.
    pub(super) fn take(&mut self, group: &Group) {
        let exempt = group.readings.iter().filter(|r| r.fate.is_exempt());
        self.0
            .extend(exempt.map(|r| ((r.sensor, r.time, r.value.to_bits()), r.seq)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what `row` says was accepted after it arrived.
    pub(super) fn accepts(&self, row: &LateRow) -> bool {
        let key = (row.sensor, row.time, row.value.to_bits());
        self.0.get(&key).is_some_and(|&seq| seq > row.seq)
    }
}
