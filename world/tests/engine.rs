//! The engine against the reference: bit for bit the same rows, whatever arrives and however it is
//! grouped into commits.

use std::collections::BTreeMap;
use std::convert::Infallible;

use chrono_tz::{Europe, Tz};
use engine::{
    Admission, BalanceId, Calendar, Changes, Day, Engine, EventTime, Held, Past, Reading, RestRow,
    Rules, SensorDay, SensorId, SensorMemory, SensorSpec, SiteClock,
};
use proptest::collection::vec;
use proptest::prelude::*;
use world::reference::{
    Aggregate, Balance, Counters, Kind, OnConflict, Results, Sensor, Site, Stamp, compute,
};

/// A meter, and its parts of three kinds.
const NAMES: [&str; 4] = ["M", "D", "P", "G"];
const KINDS: [Kind; 4] = [Kind::Meter, Kind::Delta, Kind::Meter, Kind::Gauge];
const MODULUS: f64 = 1000.0;
const HOUR_MS: i64 = 3_600_000;
/// Two days before the clocks of Athens go forward, at its midnight.
const START_MS: i64 = 1_585_260_000_000;

/// What a meter does next; anything else just takes the number.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Goes on.
    Rise(f64),
    /// Shows something else once.
    Spike(f64),
    /// Goes on from somewhere else.
    Jump(f64),
}

/// Messages in order of arrival: sensor, time, value. After each one, whether to commit, and
/// whether to let go of what is in memory.
#[derive(Clone, Debug)]
struct Workload {
    site: Site,
    messages: Vec<(usize, i64, f64)>,
    ends: Vec<(bool, bool)>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..30).prop_map(|tenths| Step::Rise(f64::from(tenths) * 0.7)),
        1 => (0..1000).prop_map(|value| Step::Spike(f64::from(value))),
        1 => (0..1000).prop_map(|value| Step::Jump(f64::from(value))),
        1 => (0..60).prop_map(|value| Step::Jump(f64::from(value))),
    ]
}

fn sensor(kind: Kind) -> impl Strategy<Value = Sensor> {
    let aggregates = match kind {
        Kind::Meter => vec![Aggregate::Max],
        Kind::Delta | Kind::Gauge | Kind::Event => vec![
            Aggregate::Mean,
            Aggregate::Sum,
            Aggregate::Min,
            Aggregate::Last,
            Aggregate::Count,
        ],
    };
    let choose = |choices: Vec<Option<f64>>| prop::sample::select(choices);
    (
        prop::sample::select(aggregates),
        prop::sample::select(vec![Stamp::End, Stamp::Start]),
        prop::sample::select(vec![
            None,
            Some(HOUR_MS / 4),
            Some(5 * HOUR_MS),
            Some(24 * HOUR_MS),
        ]),
        prop::sample::select(vec![OnConflict::Replace, OnConflict::Keep]),
        choose(vec![None, Some(MODULUS)]),
        choose(vec![None, Some(40.0)]),
    )
        .prop_map(
            move |(aggregate, stamp, interval_ms, on_conflict, modulus, max_rate)| Sensor {
                aggregate,
                stamp,
                interval_ms,
                on_conflict,
                modulus,
                max_rate,
                ..Sensor::of_kind(kind)
            },
        )
}

fn site() -> impl Strategy<Value = Site> {
    let zone = prop::sample::select(vec![Tz::UTC, Europe::Athens]);
    let days = prop::sample::select(vec![1, 7, 1000]);
    (zone, days, KINDS.map(sensor)).prop_map(|(zone, days, sensors)| Site {
        zone,
        allowed_lateness_ms: days * 24 * HOUR_MS,
        sensors: NAMES.map(str::to_owned).into_iter().zip(sensors).collect(),
        balances: vec![Balance {
            name: "B".to_owned(),
            meter: NAMES[0].to_owned(),
            parts: NAMES[1..].iter().map(|&name| name.to_owned()).collect(),
        }],
    })
}

fn workload() -> impl Strategy<Value = Workload> {
    let hours = prop::sample::select(vec![1_i64, 4, 6, 12, 24]);
    let delay = prop_oneof![3 => Just(0_i64), 1 => 0..40_i64];
    let measured = (0..4_usize, 0..40_i64, step(), delay, any::<(bool, bool)>());
    (site(), hours, vec(measured, 1..150)).prop_map(|(site, hours, mut measured)| {
        measured.sort_by_key(|(_, slot, ..)| *slot);
        let mut levels = [500.0; 4];
        let mut arrivals = Vec::new();
        for (sensor, slot, step, delay, ends) in measured {
            let level = &mut levels[sensor];
            let value = match step {
                Step::Rise(by) => {
                    *level = (*level + by) % MODULUS;
                    *level
                }
                Step::Spike(value) => value,
                Step::Jump(to) => {
                    *level = to;
                    to
                }
            };
            let time_ms = START_MS + slot * hours * HOUR_MS;
            arrivals.push((slot + delay, (sensor, time_ms, value), ends));
        }
        arrivals.sort_by_key(|(arrival, ..)| *arrival);
        Workload {
            site,
            messages: arrivals.iter().map(|(_, message, _)| *message).collect(),
            ends: arrivals.iter().map(|(_, _, ends)| *ends).collect(),
        }
    })
}

/// Rows as text: names, days, and floats as they print, which is one text for one value.
type Rows = BTreeMap<String, String>;

fn referred(workload: &Workload) -> (Rows, Counters) {
    let line = |(sensor, time_ms, value): &(usize, i64, f64)| {
        format!(
            r#"{{"name":"{}","timestamp":{time_ms},"value":{value:?}}}"#,
            NAMES[*sensor]
        )
    };
    let lines: Vec<String> = workload.messages.iter().map(line).collect();
    let Results {
        days,
        diffs,
        rests,
        counters,
        ..
    } = compute(&workload.site, lines.iter().map(String::as_str));
    let mut rows = Rows::new();
    for row in days {
        let told = (
            row.value,
            row.count,
            row.expected,
            row.coverage,
            row.min,
            row.max,
            row.first,
            row.last,
        );
        rows.insert(
            format!("day {} {}", row.sensor, row.day),
            format!("{told:?}"),
        );
    }
    for row in diffs {
        rows.insert(
            format!("diff {} {}", row.sensor, row.day),
            format!("{:?} {:?}", row.value, row.kind),
        );
    }
    for row in rests {
        let coverage: Vec<_> = NAMES[1..].iter().map(|part| row.coverage[*part]).collect();
        rows.insert(
            format!("rest {}", row.day),
            format!("{:?}", (row.value, row.meter, row.parts, coverage)),
        );
    }
    (rows, counters)
}

/// What the engine has been told to keep elsewhere.
#[derive(Default)]
struct Shelf {
    readings: BTreeMap<(SensorId, Day, EventTime), f64>,
    days: BTreeMap<(SensorId, Day), SensorDay>,
    rests: BTreeMap<Day, RestRow>,
}

impl Past for Shelf {
    type Error = Infallible;

    fn readings(&mut self, sensor: SensorId, day: Day) -> Result<Vec<Held>, Infallible> {
        let of_day = self
            .readings
            .iter()
            .filter(|((of, on, _), _)| (*of, *on) == (sensor, day));
        let held = |((_, _, time), value): (&(SensorId, Day, EventTime), &f64)| Held {
            time: *time,
            tie: 0,
            value: *value,
        };
        Ok(of_day.map(held).collect())
    }

    fn day(&mut self, sensor: SensorId, day: Day) -> Result<Option<SensorDay>, Infallible> {
        Ok(self.days.get(&(sensor, day)).cloned())
    }

    fn before(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Infallible> {
        let earlier = self
            .days
            .range((sensor, Day::from_number(0))..(sensor, day));
        Ok(earlier.last().map(|((_, day), kept)| (*day, kept.clone())))
    }

    fn after(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Infallible> {
        let mut later = self
            .days
            .range((sensor, day.succ())..=(sensor, Day::from_number(99_999)));
        Ok(later.next().map(|((_, day), kept)| (*day, kept.clone())))
    }

    fn rest(&mut self, _: BalanceId, day: Day) -> Result<Option<RestRow>, Infallible> {
        Ok(self.rests.get(&day).cloned())
    }
}

fn spec(sensor: &Sensor) -> SensorSpec {
    SensorSpec {
        kind: match sensor.kind {
            Kind::Gauge => engine::Kind::Gauge,
            Kind::Delta => engine::Kind::Delta,
            Kind::Meter => engine::Kind::Meter,
            Kind::Event => engine::Kind::Event,
        },
        aggregate: match sensor.aggregate {
            Aggregate::Mean => engine::Aggregate::Mean,
            Aggregate::Sum => engine::Aggregate::Sum,
            Aggregate::Max => engine::Aggregate::Max,
            Aggregate::Min => engine::Aggregate::Min,
            Aggregate::Last => engine::Aggregate::Last,
            Aggregate::Count => engine::Aggregate::Count,
        },
        stamp: match sensor.stamp {
            Stamp::Start => engine::Stamp::Start,
            Stamp::End => engine::Stamp::End,
            Stamp::Instant => engine::Stamp::Instant,
        },
        on_conflict: match sensor.on_conflict {
            OnConflict::Replace => engine::OnConflict::Replace,
            OnConflict::Keep => engine::OnConflict::Keep,
            OnConflict::Add => engine::OnConflict::Add,
        },
        interval_ms: sensor.interval_ms,
        modulus: sensor.modulus,
        max_rate: sensor.max_rate,
    }
}

fn settled(workload: &Workload) -> (Rows, Counters) {
    let site = &workload.site;
    let calendar = Calendar::new(site.zone);
    let rules = Rules {
        calendar,
        allowed_lateness_ms: site.allowed_lateness_ms,
        grace_ms: HOUR_MS / 4,
        clock: SiteClock::Event,
    };
    let mut engine = Engine::new(rules, None);
    let ids = [0, 1, 2, 3].map(SensorId);
    let specs: Vec<SensorSpec> = site
        .sensors
        .iter()
        .map(|(_, sensor)| spec(sensor))
        .collect();
    for (id, spec) in ids.iter().zip(&specs) {
        engine.register(*id, *spec, SensorMemory::default());
    }
    engine.register_balance(BalanceId(0), ids[0], ids[1..].to_vec(), Vec::new());

    let mut shelf = Shelf::default();
    let mut counters = Counters::default();
    let mut changes: Vec<Changes> = Vec::new();
    let mut admitted = Vec::new();
    let last = workload.messages.len() - 1;
    for (index, &(sensor, time_ms, value)) in workload.messages.iter().enumerate() {
        let time = EventTime::from_ms(time_ms).expect("within the years 2000 to 2099");
        let reading = Reading {
            sensor: ids[sensor],
            time,
            tie: 0,
            value,
            exempt: false,
        };
        let Ok(admission) = engine.admit(reading, &mut shelf);
        counters.received += 1;
        let (counter, counts) = match admission {
            Admission::Accepted => (&mut counters.accepted, true),
            Admission::Corrected { .. } => (&mut counters.corrected, true),
            Admission::Duplicate => (&mut counters.duplicate, false),
            Admission::SetAside { .. } => (&mut counters.late, false),
            Admission::Kept { .. } => (&mut counters.dead_letter, false),
        };
        *counter += 1;
        if counts {
            let day = calendar.day_of(time, specs[sensor].stamp);
            admitted.push(((ids[sensor], day, time), value));
        }
        let (commit, hand_over) = workload.ends[index];
        if commit || index == last {
            let Ok(settled) = engine.settle(&mut shelf);
            changes.push(settled);
            if hand_over || index == last {
                shelf.readings.extend(admitted.drain(..));
                for Changes { days, rests } in changes.drain(..) {
                    shelf.days.extend(
                        days.into_iter()
                            .map(|day| ((day.sensor, day.day), day.state)),
                    );
                    shelf
                        .rests
                        .extend(rests.into_iter().map(|(_, day, row)| (day, row)));
                }
                engine.hand_over(index % 3);
            }
        }
    }
    (shelf.rows(), counters)
}

impl Shelf {
    fn rows(self) -> Rows {
        let mut rows = Rows::new();
        for ((SensorId(id), day), SensorDay { row, diff, .. }) in self.days {
            let name = NAMES[id as usize];
            let told = (
                row.value,
                row.count,
                row.expected,
                row.coverage(),
                row.min,
                row.max,
                row.first,
                row.last,
            );
            rows.insert(format!("day {name} {day}"), format!("{told:?}"));
            if let Some(diff) = diff {
                rows.insert(
                    format!("diff {name} {day}"),
                    format!("{:?} {:?}", diff.value, diff.kind),
                );
            }
        }
        for (day, row) in self.rests {
            let coverage: Vec<_> = row.coverage.iter().map(|(_, covered)| *covered).collect();
            rows.insert(
                format!("rest {day}"),
                format!("{:?}", (row.value, row.meter, row.parts, coverage)),
            );
        }
        rows
    }
}

proptest! {
    #[test]
    fn the_engine_gives_the_rows_of_the_reference(workload in workload()) {
        let (expected, counted) = referred(&workload);
        let (rows, counters) = settled(&workload);
        prop_assert_eq!(counters, counted);
        prop_assert_eq!(rows, expected);
    }
}
