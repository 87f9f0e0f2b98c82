//! Recorded arrivals through the engine and into a house: what the gateway does, without one.

use std::convert::Infallible;

use engine::detect::{
    Change, Counts, Finding, House, HouseSpec, Known, MemberSpec, Parameters, Resource, Rests,
    Severity, Subject, milli, of_day, of_rest,
};
use engine::{
    Admission, BalanceId, Calendar, Changes, Day, Engine, EventTime, Held, Kind, Past, Reading,
    RestRow, Rules, SensorDay, SensorId, SensorMemory, SensorSpec, SiteClock,
};

/// A past in which nothing happened: all days of a run stay in memory.
struct Nothing;

impl Past for Nothing {
    type Error = Infallible;

    fn readings(&mut self, _: SensorId, _: Day) -> Result<Vec<Held>, Infallible> {
        Ok(Vec::new())
    }
    fn day(&mut self, _: SensorId, _: Day) -> Result<Option<SensorDay>, Infallible> {
        Ok(None)
    }
    fn before(&mut self, _: SensorId, _: Day) -> Result<Option<(Day, SensorDay)>, Infallible> {
        Ok(None)
    }
    fn after(&mut self, _: SensorId, _: Day) -> Result<Option<(Day, SensorDay)>, Infallible> {
        Ok(None)
    }
    fn rest(&mut self, _: BalanceId, _: Day) -> Result<Option<RestRow>, Infallible> {
        Ok(None)
    }
}

/// A reading that arrives: member (the meter is 0, its part 1), when (ms), event time (ms), value.
pub(crate) type Arrival = (usize, i64, i64, f64);

/// Something that was said, and at the arrival of which reading, ms.
pub(crate) type Said = (i64, Change);

/// A water meter, and a delta sensor behind it where `rests` says whether that ever stands still.
pub(crate) struct Watch {
    engine: Engine,
    house: House,
}

impl Watch {
    pub(crate) fn new(part: Option<Rests>) -> Self {
        let calendar = Calendar::new(chrono_tz::UTC);
        let rules = Rules {
            calendar,
            allowed_lateness_ms: 7 * 86_400_000,
            grace_ms: 900_000,
            clock: SiteClock::Event,
        };
        let mut engine = Engine::new(rules, None);
        let meter = SensorSpec {
            // What a house's connection can carry; far above it a reading is a mistake.
            max_rate: Some(6000.0),
            ..SensorSpec::of_kind(Kind::Meter)
        };
        engine.register(SensorId(0), meter, SensorMemory::default());
        let register = Counts::Register {
            modulus_milli: None,
            max_rate_milli: Some(6_000_000),
        };
        let mut members = vec![member(register, Rests::Learned)];
        if let Some(rests) = part {
            let part = SensorSpec {
                interval_ms: Some(900_000),
                ..SensorSpec::of_kind(Kind::Delta)
            };
            engine.register(SensorId(1), part, SensorMemory::default());
            engine.register_balance(BalanceId(0), SensorId(0), vec![SensorId(1)], Vec::new());
            members.push(member(Counts::Delta, rests));
        }
        let house = House::new(HouseSpec {
            calendar,
            resource: Resource::Water,
            members,
            normal: Vec::new(),
            parameters: Parameters::default(),
        });
        Self { engine, house }
    }

    /// What is said while these arrive.
    pub(crate) fn hear(&mut self, arrivals: impl IntoIterator<Item = Arrival>) -> Vec<Said> {
        let mut said = Vec::new();
        for arrival in arrivals {
            said.extend(
                self.take(arrival)
                    .into_iter()
                    .map(|change| (arrival.1, change)),
            );
        }
        said
    }

    fn take(&mut self, (member, _, time_ms, value): Arrival) -> Vec<Change> {
        let reading = Reading {
            sensor: SensorId(u32::try_from(member).expect("one or two members")),
            time: EventTime::from_ms(time_ms).expect("a time of our century"),
            tie: 0,
            value,
            exempt: false,
        };
        let Ok(admission) = self.engine.admit(reading, &mut Nothing);
        match admission {
            Admission::Accepted => {
                let _taken = self.house.put(member, time_ms, milli(value));
            }
            Admission::Corrected { was } => {
                let (was, now) = (milli(was), milli(value));
                let _taken = self.house.correct(member, time_ms, was, now);
            }
            Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => {}
        }
        let Ok(changes) = self.engine.settle(&mut Nothing);
        self.tell_days(&changes);
        self.house.settle()
    }

    fn tell_days(&mut self, changes: &Changes) {
        let calendar = Calendar::new(chrono_tz::UTC);
        for change in &changes.days {
            if change.sensor == SensorId(1) {
                let value = of_day(&change.state.row, change.day, calendar);
                self.house.put_day(Subject::Member(1), change.day, value);
            } else if let Some(diff) = &change.state.diff {
                let value = engine::detect::of_diff(diff, change.day, calendar);
                self.house.put_day(Subject::Member(0), change.day, value);
            }
        }
        for (_, day, row) in &changes.rests {
            let value = of_rest(row, *day, calendar);
            self.house.put_day(Subject::Remainder, *day, value);
        }
    }
}

fn member(counts: Counts, rests: Rests) -> MemberSpec {
    MemberSpec {
        known: Known {
            counts,
            interval_ms: None,
            resolution_milli: None,
        },
        rests,
        normal: Vec::new(),
    }
}

/// What is said of leaks: raised, as a warning or worse.
pub(crate) fn alarms(said: &[Said]) -> impl Iterator<Item = (i64, Finding)> + '_ {
    said.iter().filter_map(|(at_ms, change)| match change {
        Change::Raised(finding) if finding.severity > Severity::Info => Some((*at_ms, *finding)),
        Change::Raised(_) | Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => {
            None
        }
    })
}

/// The middle of these; nothing of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "times of a test's run")]
pub(crate) fn hours(ms: i64) -> f64 {
    ms as f64 / 3_600_000.0
}
