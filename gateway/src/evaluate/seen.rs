//! Message ids that came: the same id of the same sensor and event time is the same message again.
//!
//! An id is forgotten when its reading could not count any more, however it came: so there are never more than
//! the allowed lateness holds.

use engine::SensorId;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};

/// Ids that are held before it is looked whether some can go.
const SWEEP_FROM: usize = 65_536;

/// Whether a message came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    First,
    Again,
}

/// The ids that came.
#[derive(Debug)]
pub(super) struct Seen {
    lateness_ms: i64,
    /// By sensor, event time and the id's hash.
    ids: FxHashSet<(SensorId, i64, u64)>,
    newest_ms: FxHashMap<SensorId, i64>,
    sweep_at: usize,
}

impl Seen {
    pub(super) fn new(lateness_ms: i64) -> Self {
        Self {
            lateness_ms,
            ids: FxHashSet::default(),
            newest_ms: FxHashMap::default(),
            sweep_at: SWEEP_FROM,
        }
    }

    /// Notes a message. Chance must find a pair of one sensor and one event time to confuse two.
    pub(super) fn note(&mut self, sensor: SensorId, time_ms: i64, id: &str) -> Came {
        let mut hasher = FxHasher::default();
        id.hash(&mut hasher);
        if !self.ids.insert((sensor, time_ms, hasher.finish())) {
            return Came::Again;
        }
        let newest = self.newest_ms.entry(sensor).or_insert(time_ms);
        *newest = time_ms.max(*newest);
        if self.ids.len() >= self.sweep_at {
            let (newest_ms, lateness_ms) = (&self.newest_ms, self.lateness_ms);
            self.ids.retain(|(sensor, time_ms, _)| {
                newest_ms
                    .get(sensor)
                    .is_none_or(|newest| newest - *time_ms <= lateness_ms)
            });
            self.sweep_at = (2 * self.ids.len()).max(SWEEP_FROM);
        }
        Came::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_once_for_a_sensor_and_a_time() {
        let mut seen = Seen::new(1000);
        assert_eq!(seen.note(SensorId(0), 5, "a"), Came::First);
        assert_eq!(seen.note(SensorId(0), 5, "a"), Came::Again);
        assert_eq!(seen.note(SensorId(0), 5, "b"), Came::First);
        assert_eq!(seen.note(SensorId(1), 5, "a"), Came::First);
        assert_eq!(seen.note(SensorId(0), 6, "a"), Came::First);
    }

    #[test]
    fn what_could_not_count_any_more_is_forgotten() {
        let mut seen = Seen::new(1000);
        for time_ms in 0..1_000_000 {
            assert_eq!(seen.note(SensorId(0), time_ms, "a"), Came::First);
        }
        assert!(seen.ids.len() <= SWEEP_FROM, "{}", seen.ids.len());
        assert_eq!(seen.note(SensorId(0), 999_500, "a"), Came::Again);
    }
}
