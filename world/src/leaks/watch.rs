//! Recorded arrivals through the engine and into a house: what the gateway does, without one.

use chrono_tz::Tz;
use engine::detect::{
    Change, Counts, Finding, House, HouseSpec, Known, MemberSpec, Parameters, Resource, Rests,
    Severity, Subject, milli, of_day, of_rest,
};
use engine::{
    Admission, BalanceId, Calendar, Changes, Engine, EventTime, Kind, NoPast, Reading, Rules,
    SensorId, SensorMemory, SensorSpec, SiteClock,
};

use super::case::{Arrival, Case, DAY_MS, METER, MOVES, Part};

const METER_ID: SensorId = SensorId(0);
const PART_ID: SensorId = SensorId(1);

/// Something that was said, and at the arrival of which reading, ms.
pub type Said = (i64, Change);

/// A water meter, and a delta sensor behind it where the home has one.
pub struct Watch {
    engine: Engine,
    house: House,
    calendar: Calendar,
}

impl Watch {
    /// With the detectors as they come.
    #[must_use]
    pub fn new(zone: Tz, part: Option<Part>) -> Self {
        Self::with(zone, part, &Parameters::default())
    }

    /// With the detectors set to this.
    #[must_use]
    pub fn with(zone: Tz, part: Option<Part>, parameters: &Parameters) -> Self {
        Self::of_resource(Resource::Water, zone, part, parameters)
    }

    /// A meter of energy and what is behind it, with the detectors set to this.
    #[must_use]
    pub fn of_energy(case: &Case, parameters: &Parameters) -> Vec<Said> {
        Self::of_resource(Resource::Energy, case.zone, case.part, parameters)
            .hear(case.arrivals.iter().copied())
    }

    fn of_resource(
        resource: Resource,
        zone: Tz,
        part: Option<Part>,
        parameters: &Parameters,
    ) -> Self {
        let calendar = Calendar::new(zone);
        let rules = Rules {
            calendar,
            allowed_lateness_ms: 7 * DAY_MS,
            grace_ms: 900_000,
            clock: SiteClock::Event,
        };
        let mut engine = Engine::new(rules, None);
        let meter = SensorSpec::of_kind(Kind::Meter);
        engine.register(METER_ID, meter, SensorMemory::default());
        let register = Counts::Register {
            modulus_milli: None,
            max_rate_milli: None,
        };
        let mut members = vec![member(register, Rests::Learned)];
        if let Some(part) = part {
            let spec = SensorSpec {
                interval_ms: Some(part.interval_ms),
                ..SensorSpec::of_kind(Kind::Delta)
            };
            engine.register(PART_ID, spec, SensorMemory::default());
            engine.register_balance(BalanceId(0), METER_ID, vec![PART_ID], Vec::new());
            members.push(member(Counts::Delta, part.rests));
        }
        let house = House::new(HouseSpec {
            calendar,
            resource,
            members,
            normal: Vec::new(),
            parameters: *parameters,
        });
        Self {
            engine,
            house,
            calendar,
        }
    }

    /// What is said while a home's readings arrive.
    #[must_use]
    pub fn of(case: &Case, parameters: &Parameters) -> Vec<Said> {
        Self::with(case.zone, case.part, parameters).hear(case.arrivals.iter().copied())
    }

    /// What is said while these arrive.
    pub fn hear(&mut self, arrivals: impl IntoIterator<Item = Arrival>) -> Vec<Said> {
        let mut said = Vec::new();
        for arrival in arrivals {
            let changes = self.take(arrival);
            said.extend(changes.into_iter().map(|change| (arrival.1, change)));
        }
        said
    }

    /// The detectors as they stand.
    #[must_use]
    pub fn house(&self) -> &House {
        &self.house
    }

    fn take(&mut self, (member, _, time_ms, value): Arrival) -> Vec<Change> {
        if member == MOVES {
            let _taken = self.house.moved(time_ms);
            return self.house.settle();
        }
        let reading = Reading {
            sensor: if member == METER { METER_ID } else { PART_ID },
            time: EventTime::from_ms(time_ms).expect("a time of our century"),
            tie: 0,
            value,
            exempt: false,
        };
        let Ok(admission) = self.engine.admit(reading, &mut NoPast);
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
        let Ok(changes) = self.engine.settle(&mut NoPast);
        self.tell_days(&changes);
        self.house.settle()
    }

    fn tell_days(&mut self, changes: &Changes) {
        let calendar = self.calendar;
        for change in &changes.days {
            if change.sensor == PART_ID {
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
pub fn alarms(said: &[Said]) -> impl Iterator<Item = (i64, Finding)> + '_ {
    said.iter().filter_map(|(at_ms, change)| match change {
        Change::Raised(finding) if finding.severity > Severity::Info => Some((*at_ms, *finding)),
        Change::Raised(_) | Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => {
            None
        }
    })
}
