//! SILENT for every sensor: when each is due, which of them are silent, and that they spoke again.
//!
//! A reading costs a look at its sensor; only those that are due are judged. Site time is an argument.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use engine::detect::parameters::Silence;
use engine::detect::{Availability, Finding, Subject, learned_interval_ms, silent};
use engine::{Day, Kind, SensorId};
use rustc_hash::FxHashMap;

/// Days whose counts an interval is learned from, at most.
const COUNTS_DAYS: usize = 15;

/// Sensors and when each spoke last.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences {
    sensors: FxHashMap<SensorId, Sensor>,
    /// When to look at a sensor, ms; at most one entry a sensor is its own.
    due: BinaryHeap<Reverse<(i64, SensorId)>>,
    silent: BTreeSet<SensorId>,
    /// Those that were silent and spoke.
    spoke: BTreeSet<SensorId>,
    /// Those that were heard since somebody was last looked at; each at most once.
    heard: Vec<SensorId>,
    /// Somebody was looked at: what was heard before that is what the store knows, and no news.
    has_looked: bool,
}

#[derive(Clone, Debug)]
struct Sensor {
    kind: Kind,
    configured_ms: Option<i64>,
    silence: Silence,
    newest_ms: Option<i64>,
    /// When it was heard last, if what it said was so old that it would pass for silent, ms of site time.
    late_ms: Option<i64>,
    is_heard: bool,
    availability: Availability,
    /// Readings on days that are closed, oldest first.
    counts: Vec<(Day, u32)>,
    looks_ms: Option<i64>,
    finding: Option<Finding>,
}

/// Something was noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noticed {
    /// It fell silent.
    Fell(SensorId, Finding),
    /// It spoke again, at this event time, ms.
    Spoke(SensorId, Finding, i64),
}

impl Silences {
    pub(super) fn sensor(
        &mut self,
        id: SensorId,
        kind: Kind,
        configured_ms: Option<i64>,
        silence: Silence,
    ) {
        self.sensors.entry(id).or_insert(Sensor {
            kind,
            configured_ms,
            silence,
            newest_ms: None,
            late_ms: None,
            is_heard: false,
            availability: Availability::Online,
            counts: Vec::new(),
            looks_ms: None,
            finding: None,
        });
    }

    /// A reading counts.
    pub(super) fn heard(&mut self, id: SensorId, at_ms: i64) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        sensor.newest_ms = Some(sensor.newest_ms.map_or(at_ms, |newest| newest.max(at_ms)));
        if self.has_looked && !sensor.is_heard {
            sensor.is_heard = true;
            self.heard.push(id);
        }
        if sensor.finding.is_some() {
            self.spoke.insert(id);
        }
        if sensor.looks_ms.is_none() {
            self.look_later(id);
        }
    }

    /// Readings count no longer: the newest is this.
    pub(super) fn withdrew(&mut self, id: SensorId, newest_ms: Option<i64>) {
        if let Some(sensor) = self.sensors.get_mut(&id) {
            sensor.newest_ms = newest_ms;
        }
        self.look_later(id);
    }

    /// A device said whether it is there.
    pub(super) fn availability(&mut self, id: SensorId, availability: Availability) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        sensor.availability = availability;
        if let Availability::Offline(at_ms) = availability {
            self.due.push(Reverse((at_ms, id)));
        } else if sensor.finding.is_some() {
            self.spoke.insert(id);
        }
    }

    /// A day that is closed held so many readings.
    pub(super) fn counted(&mut self, id: SensorId, day: Day, count: u32) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        if sensor.configured_ms.is_some() || sensor.kind == Kind::Event {
            return;
        }
        let at = sensor.counts.partition_point(|(held, _)| *held < day);
        match sensor.counts.get_mut(at) {
            Some((held, of)) if *held == day => *of = count,
            Some(_) | None => sensor.counts.insert(at, (day, count)),
        }
        if sensor.counts.len() > COUNTS_DAYS {
            sensor.counts.remove(0);
        }
        self.look_later(id);
    }

    /// Whether somebody may be silent, or has spoken.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        !self.spoke.is_empty() || self.due_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// When to look again, ms of site time.
    pub(super) fn due_ms(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    /// What is different at a site time.
    pub(super) fn notice(&mut self, now_ms: Option<i64>) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        for id in std::mem::take(&mut self.spoke) {
            noticed.extend(self.end(id));
        }
        let Some(now_ms) = now_ms else {
            return noticed;
        };
        self.has_looked = true;
        for id in std::mem::take(&mut self.heard) {
            if let Some(sensor) = self.sensors.get_mut(&id) {
                sensor.speaks_late(now_ms);
            }
        }
        while let Some(Reverse((at_ms, id))) = self.due.peek().copied()
            && at_ms <= now_ms
        {
            self.due.pop();
            let Some(sensor) = self.sensors.get_mut(&id) else {
                continue;
            };
            if sensor.looks_ms.is_some_and(|looks_ms| looks_ms <= at_ms) {
                sensor.looks_ms = None;
            }
            let found = sensor.silent_at(now_ms);
            if sensor.finding.is_none()
                && let Some(finding) = found
            {
                sensor.finding = Some(finding);
                self.silent.insert(id);
                noticed.push(Noticed::Fell(id, finding));
            } else if found.is_none() {
                self.look_later(id);
            }
        }
        noticed
    }

    /// All that are silent.
    pub(super) fn standing(&self) -> impl Iterator<Item = (SensorId, Finding)> {
        let of = |id: &SensorId| Some((*id, self.sensors.get(id)?.finding?));
        self.silent.iter().filter_map(of)
    }

    fn end(&mut self, id: SensorId) -> Option<Noticed> {
        let sensor = self.sensors.get_mut(&id)?;
        let finding = sensor.finding.take()?;
        let at_ms = sensor
            .newest_ms
            .map_or(finding.raised_ms, |newest| newest.max(finding.raised_ms));
        self.silent.remove(&id);
        self.look_later(id);
        Some(Noticed::Spoke(id, finding, at_ms))
    }

    /// Has a sensor looked at when it may be silent, unless that is so already.
    fn look_later(&mut self, id: SensorId) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        let Some(due_ms) = sensor.silent_from_ms() else {
            return;
        };
        if sensor.looks_ms.is_none_or(|looks_ms| due_ms < looks_ms) {
            sensor.looks_ms = Some(due_ms);
            self.due.push(Reverse((due_ms, id)));
        }
    }
}

impl Sensor {
    fn interval_ms(&self) -> Option<i64> {
        let learned = || {
            let counts = self.counts.iter().rev().map(|(_, count)| *count);
            (self.kind != Kind::Event)
                .then(|| learned_interval_ms(counts, &self.silence))
                .flatten()
        };
        self.configured_ms.or_else(learned)
    }

    fn silent_from_ms(&self) -> Option<i64> {
        self.last_ms()?.checked_add(self.patience_ms()?)
    }

    fn patience_ms(&self) -> Option<i64> {
        self.interval_ms()?.checked_mul(self.silence.intervals)
    }

    /// Who tells of hours ago, tells: silence is counted from when that was heard.
    fn speaks_late(&mut self, now_ms: i64) {
        self.is_heard = false;
        let age_ms = self.newest_ms.map(|newest_ms| now_ms - newest_ms);
        if age_ms >= self.patience_ms() {
            self.late_ms = Some(now_ms);
        }
    }

    /// What silence is counted from.
    fn last_ms(&self) -> Option<i64> {
        self.newest_ms.max(self.late_ms)
    }

    fn silent_at(&self, now_ms: i64) -> Option<Finding> {
        silent(
            Subject::Member(0),
            self.last_ms()?,
            self.interval_ms(),
            self.availability,
            now_ms,
            &self.silence,
        )
    }
}
