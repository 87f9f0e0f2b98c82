//! FLAG: sensors whose values are a device's own word. Not 0 is said at once, 0 takes it back.

use std::collections::{BTreeMap, BTreeSet};

use engine::SensorId;
use engine::detect::{Finding, Flag, Subject, flagged};

/// Sensors that are flags, and how each stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    sensors: BTreeMap<SensorId, Stand>,
    /// Those that were heard since the last notice.
    heard: BTreeSet<SensorId>,
}

#[derive(Clone, Debug)]
struct Stand {
    flag: Flag,
    newest_ms: i64,
    /// Since when it is raised, ms.
    raised_ms: Option<i64>,
    said: Option<Finding>,
}

/// Something was noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noticed {
    /// It is raised.
    Raised(SensorId, Finding),
    /// It is taken back at this event time, ms.
    Over(SensorId, Finding, i64),
}

impl Flags {
    pub(super) fn sensor(&mut self, id: SensorId, flag: Flag) {
        self.sensors.entry(id).or_insert(Stand {
            flag,
            newest_ms: i64::MIN,
            raised_ms: None,
            said: None,
        });
    }

    pub(super) fn is_flag(&self, id: SensorId) -> bool {
        self.sensors.contains_key(&id)
    }

    /// A reading counts: the newest one says how things stand.
    pub(super) fn heard(&mut self, id: SensorId, at_ms: i64, value: f64) {
        let Some(stand) = self.sensors.get_mut(&id) else {
            return;
        };
        if at_ms < stand.newest_ms {
            return;
        }
        stand.newest_ms = at_ms;
        stand.raised_ms = (value != 0.0).then(|| stand.raised_ms.unwrap_or(at_ms));
        self.heard.insert(id);
    }

    /// Nothing is known of a sensor any more.
    pub(super) fn forget(&mut self, id: SensorId) {
        if let Some(stand) = self.sensors.get_mut(&id) {
            (stand.newest_ms, stand.raised_ms) = (i64::MIN, None);
            self.heard.insert(id);
        }
    }

    /// What is different since the last time.
    pub(super) fn notice(&mut self) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        for id in std::mem::take(&mut self.heard) {
            let Some(stand) = self.sensors.get_mut(&id) else {
                continue;
            };
            match (stand.said, stand.raised_ms) {
                (None, Some(raised_ms)) => {
                    let finding = flagged(Subject::Member(0), stand.flag, raised_ms);
                    stand.said = Some(finding);
                    noticed.push(Noticed::Raised(id, finding));
                }
                (Some(finding), None) => {
                    stand.said = None;
                    let at_ms = stand.newest_ms.max(finding.raised_ms);
                    noticed.push(Noticed::Over(id, finding, at_ms));
                }
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        noticed
    }

    /// All that are raised.
    pub(super) fn standing(&self) -> impl Iterator<Item = (SensorId, Finding)> {
        let raised = |(id, stand): (&SensorId, &Stand)| Some((*id, stand.said?));
        self.sensors.iter().filter_map(raised)
    }
}
