//! SILENT for every sensor: when each is due, which of them are silent, and that they spoke again.
//!
//! A reading costs a look at its sensor; only those that are due are judged. Site time is an argument. Whoever was
//! not there to hear calls nobody silent: intervals count from when there was somebody.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use engine::detect::parameters::Silence;
use engine::detect::{Availability, Finding, Subject, learned_interval_ms, silent};
use engine::{Day, Kind, SensorId};
use rustc_hash::FxHashMap;

/// Days whose counts an interval is learned from, at most.
const COUNTS_DAYS: usize = 15;

/// Sensors are looked at together, at whole ones of the longest of these that is no longer than an interval, ms: what
/// one dead stick silences is said in one message or two, not in one for each.
const TOGETHER_MS: [i64; 3] = [15 * 60_000, 5 * 60_000, 60_000];

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
    hearing: Hearing,
}

/// Since when what sensors say is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hearing {
    /// Always: time passes with readings alone.
    #[default]
    Always,
    /// Since just now; what time that is is not known yet.
    Now,
    /// Since this site time, ms.
    Since(i64),
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

    /// Nobody was heard before now: the time of the next look.
    pub(super) fn listen(&mut self) {
        self.hearing = Hearing::Now;
    }

    /// A sensor was said to be silent from this time on, ms, by whoever was here before: it is still where it has
    /// not spoken since.
    pub(super) fn said(&mut self, id: SensorId, raised_ms: i64, now_ms: i64) {
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        if sensor.newest_ms.is_none_or(|newest| newest > raised_ms) {
            return;
        }
        if let Some(found) = sensor.silent_at(now_ms.max(raised_ms), i64::MIN) {
            sensor.finding = Some(Finding { raised_ms, ..found });
            self.silent.insert(id);
        }
    }

    /// Whether somebody may be silent, or has spoken.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        let is_new = self.hearing == Hearing::Now;
        is_new || !self.spoke.is_empty() || self.due_ms().is_some_and(|due_ms| due_ms <= now_ms)
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
        if self.hearing == Hearing::Now {
            self.hearing = Hearing::Since(now_ms);
            let ids: Vec<SensorId> = self.sensors.keys().copied().collect();
            for id in ids {
                self.look_later(id);
            }
        }
        let heard_from_ms = self.heard_from_ms().unwrap_or(now_ms);
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
            let found = sensor.looked_at(now_ms, heard_from_ms);
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

    /// `None`: it is not known yet.
    fn heard_from_ms(&self) -> Option<i64> {
        match self.hearing {
            Hearing::Always => Some(i64::MIN),
            Hearing::Now => None,
            Hearing::Since(ms) => Some(ms),
        }
    }

    /// Has a sensor looked at when it may be silent, unless that is so already.
    fn look_later(&mut self, id: SensorId) {
        let Some(heard_from_ms) = self.heard_from_ms() else {
            return; // all are, as soon as it is known
        };
        let Some(sensor) = self.sensors.get_mut(&id) else {
            return;
        };
        let Some(due_ms) = sensor.silent_from_ms(heard_from_ms) else {
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

    /// When it is looked at, where it speaks no more: `heard_from_ms` is since when it could be heard.
    fn silent_from_ms(&self, heard_from_ms: i64) -> Option<i64> {
        let interval_ms = self.interval_ms()?;
        let from_ms = self.last_ms()?.max(heard_from_ms);
        let due_ms = from_ms.checked_add(self.patience_ms()?)?;
        match TOGETHER_MS.into_iter().find(|step| *step <= interval_ms) {
            Some(step) => Some(due_ms.checked_add(step - 1)?.div_euclid(step) * step),
            None => Some(due_ms),
        }
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

    /// What is said of it at a look; who left says so at any time.
    fn looked_at(&self, now_ms: i64, heard_from_ms: i64) -> Option<Finding> {
        let is_time = match self.availability {
            Availability::Online => {
                let from_ms = self.silent_from_ms(heard_from_ms);
                from_ms.is_some_and(|from_ms| from_ms <= now_ms)
            }
            Availability::Offline(_) => true,
        };
        self.silent_at(now_ms, heard_from_ms).filter(|_| is_time)
    }

    fn silent_at(&self, now_ms: i64, heard_from_ms: i64) -> Option<Finding> {
        silent(
            Subject::Member(0),
            self.last_ms()?,
            heard_from_ms,
            self.interval_ms(),
            self.availability,
            now_ms,
            &self.silence,
        )
    }
}
