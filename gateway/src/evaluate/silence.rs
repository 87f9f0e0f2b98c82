//! Sensors that stopped: told when the clock of the arrivals says so, over with the next reading.

use std::collections::{BTreeMap, VecDeque};

use engine::detect::parameters::Silence;
use engine::detect::{Availability, Finding, Subject, learned_interval_ms, silent};
use engine::{Kind, SensorId};

const DAY_MS: i64 = 86_400_000;
/// Whole days that an interval is learned from.
const DAYS_LEARNED: usize = 15;

/// What became of a sensor's silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noticed {
    /// It is silent.
    Fell(SensorId, Finding),
    /// It is not any more, since this event time, ms since 1970 UTC.
    Spoke(SensorId, Finding, i64),
}

/// When every sensor was heard last.
#[derive(Debug, Default)]
pub(super) struct Silences {
    rules: Silence,
    pulses: BTreeMap<SensorId, Pulse>,
    /// Nobody can be silent before, ms since 1970 UTC.
    due_ms: i64,
    spoke: Vec<Noticed>,
}

#[derive(Debug)]
struct Pulse {
    /// As configured, ms.
    interval_ms: Option<i64>,
    /// Whether an interval can be learned.
    learns: bool,
    newest_ms: i64,
    /// The day at hand, and the readings of those before it.
    day: i64,
    count: u32,
    /// Whether the day at hand is the one on which it was first heard.
    is_first_day: bool,
    counts: VecDeque<u32>,
    said: Option<Finding>,
}

impl Silences {
    pub(super) fn sensor(&mut self, id: SensorId, kind: Kind, interval_ms: Option<i64>) {
        let learns = match kind {
            Kind::Gauge | Kind::Delta | Kind::Meter => true,
            // What happens now and then has no interval.
            Kind::Event => false,
        };
        let pulse = Pulse {
            interval_ms,
            learns,
            newest_ms: i64::MIN,
            day: i64::MIN,
            count: 0,
            is_first_day: false,
            counts: VecDeque::new(),
            said: None,
        };
        self.pulses.insert(id, pulse);
    }

    /// A reading of this event time counts, ms since 1970 UTC.
    pub(super) fn heard(&mut self, id: SensorId, at_ms: i64) {
        let Some(pulse) = self.pulses.get_mut(&id) else {
            return;
        };
        if pulse.note(at_ms) {
            self.due_ms = i64::MIN;
        }
        if at_ms == pulse.newest_ms
            && let Some(said) = pulse.said.take()
        {
            self.spoke.push(Noticed::Spoke(id, said, at_ms));
            self.due_ms = i64::MIN;
        }
    }

    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.due_ms
    }

    /// What is different at this time, ms since 1970 UTC.
    pub(super) fn notice(&mut self, now_ms: i64) -> Vec<Noticed> {
        let mut noticed = std::mem::take(&mut self.spoke);
        if now_ms < self.due_ms {
            return noticed;
        }
        self.due_ms = i64::MAX;
        for (id, pulse) in &mut self.pulses {
            let Some(interval_ms) = pulse.interval_ms(&self.rules).filter(|_| pulse.is_known())
            else {
                continue;
            };
            if pulse.said.is_some() {
                continue;
            }
            let newest_ms = pulse.newest_ms;
            let interval = Some(interval_ms);
            let there = Availability::Online;
            let subject = Subject::Member(0);
            let found = silent(subject, newest_ms, interval, there, now_ms, &self.rules);
            if let Some(finding) = found {
                pulse.said = Some(finding);
                noticed.push(Noticed::Fell(*id, finding));
            } else {
                let due_ms = newest_ms + interval_ms * self.rules.intervals;
                self.due_ms = self.due_ms.min(due_ms);
            }
        }
        noticed
    }

    /// Who is silent.
    pub(super) fn standing(&self) -> impl Iterator<Item = (SensorId, Finding)> {
        let pulses = self.pulses.iter();
        pulses.filter_map(|(id, pulse)| Some((*id, pulse.said?)))
    }
}

impl Pulse {
    fn is_known(&self) -> bool {
        self.newest_ms > i64::MIN
    }

    /// Notes a reading; whether a day is over, so that there is more to learn from.
    fn note(&mut self, at_ms: i64) -> bool {
        let is_first = !self.is_known();
        self.newest_ms = self.newest_ms.max(at_ms);
        let day = at_ms.div_euclid(DAY_MS);
        if day < self.day {
            return false;
        }
        if day == self.day {
            self.count += 1;
            return is_first;
        }
        // The first day is not whole.
        let is_whole = !std::mem::replace(&mut self.is_first_day, false);
        if is_whole && self.day > i64::MIN {
            self.counts.push_front(self.count);
            self.counts.truncate(DAYS_LEARNED);
        }
        (self.day, self.count) = (day, 1);
        self.is_first_day = is_first;
        true
    }

    fn interval_ms(&self, rules: &Silence) -> Option<i64> {
        self.interval_ms.or_else(|| {
            let counts = self.counts.iter().copied();
            self.learns.then(|| learned_interval_ms(counts, rules))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER_MS: i64 = 900_000;
    const W1: SensorId = SensorId(0);

    #[test]
    fn a_sensor_that_stops_is_silent_after_three_intervals_and_until_its_next_reading() {
        let mut silences = Silences::default();
        silences.sensor(W1, Kind::Delta, Some(QUARTER_MS));
        silences.heard(W1, 10 * QUARTER_MS);
        assert_eq!(silences.notice(12 * QUARTER_MS), []);
        assert!(!silences.is_due(12 * QUARTER_MS) && silences.is_due(13 * QUARTER_MS));
        let [Noticed::Fell(W1, finding)] = silences.notice(20 * QUARTER_MS)[..] else {
            panic!("it is silent");
        };
        assert_eq!(finding.raised_ms, 13 * QUARTER_MS);
        assert_eq!(silences.notice(30 * QUARTER_MS), []);
        assert_eq!(silences.standing().count(), 1);
        silences.heard(W1, 30 * QUARTER_MS);
        assert_eq!(
            silences.notice(30 * QUARTER_MS),
            [Noticed::Spoke(W1, finding, 30 * QUARTER_MS)]
        );
    }

    #[test]
    fn an_interval_is_learned_and_movements_have_none() {
        for (kind, silent) in [(Kind::Gauge, 1), (Kind::Event, 0)] {
            let mut silences = Silences::default();
            silences.sensor(W1, kind, None);
            for slot in 0..5 * 96 {
                silences.heard(W1, slot * QUARTER_MS);
                assert_eq!(silences.notice(slot * QUARTER_MS), []);
            }
            assert_eq!(silences.notice(5 * 96 * QUARTER_MS + DAY_MS).len(), silent);
        }
    }
}
