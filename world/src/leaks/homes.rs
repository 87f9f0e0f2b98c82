//! Cases from the simulator: the seed home, and households as they live.

use chrono::NaiveDate;
use chrono_tz::Tz;
use engine::detect::Rests;
use simulator::{Late, Profile, Scenario, Sensor};

use super::case::{
    Arrival, Case, DAY_MS, HOUR_MS, Leaking, METER, MOVES, PART, Part, Place, START_MS, Shape,
};

/// Every quarter of an hour, ms.
const QUARTER_MS: i64 = HOUR_MS / 4;

/// How a simulated home lives and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The seed's: even draws, the meter at midnight, a sub-meter that never rests.
    Seed,
    /// People, and a register and a sub-meter that report every quarter of an hour over a real radio.
    Household,
    /// The same people, but the meter is read at midnight only.
    Daily,
    /// The energy of the same people: a register, and what their machines draw.
    Energy,
}

/// A home of so many days with at most one leak, as the simulator sends it.
///
/// # Panics
/// For a leak that the simulator does not know.
#[must_use]
pub fn home(model: Model, seed: u64, days: u32, leak: Option<Leaking>) -> Case {
    let scenario = Scenario {
        days,
        seed,
        start: NaiveDate::from_ymd_opt(2020, 1, 1).expect("a day of the calendar"),
        profile: match model {
            Model::Seed => Profile::Paper,
            Model::Household | Model::Daily | Model::Energy => Profile::Household,
        },
        late: Late::Paper,
        leaks: leak.iter().map(|leak| simulated(model, leak)).collect(),
        ..Scenario::default()
    };
    if model == Model::Energy {
        return energy(&scenario, leak);
    }
    let member = |sensor| match (sensor, model) {
        (Sensor::Wtot, _) => Some(METER),
        (Sensor::W1, _) => Some(PART),
        // Five movements at random times say nothing of anybody being home.
        (Sensor::Mov1, Model::Household | Model::Daily) => Some(MOVES),
        _ => None,
    };
    let readings = scenario.readings().filter_map(|reading| {
        let member = member(reading.sensor)?;
        let is_midnight = reading.time_ms % DAY_MS == 0;
        if model == Model::Daily && member == METER && !is_midnight {
            return None;
        }
        Some((member, reading.at_ms, reading.time_ms, reading.value()))
    });
    let arrivals: Vec<Arrival> = readings.collect();
    Case {
        name: format!("{model:?} {seed}"),
        zone: Tz::UTC,
        part: Some(Part {
            interval_ms: QUARTER_MS,
            rests: match model {
                Model::Seed => Rests::Never,
                Model::Household | Model::Daily | Model::Energy => Rests::Learned,
            },
        }),
        arrivals,
        span: (START_MS, START_MS + i64::from(days) * DAY_MS),
        leaks: leak.into_iter().collect(),
    }
}

/// The machines report as one: the sum of what they drew in a quarter of an hour.
fn energy(scenario: &Scenario, leak: Option<Leaking>) -> Case {
    let scenario = Scenario {
        late: Late::None,
        ..scenario.clone()
    };
    let (mut arrivals, mut machines): (Vec<Arrival>, (i64, f64)) = (Vec::new(), (0, 0.0));
    for reading in scenario.readings() {
        match reading.sensor {
            Sensor::Hvac1 | Sensor::Hvac2 | Sensor::MiAc1 | Sensor::MiAc2 => {
                if machines.0 != reading.time_ms {
                    machines = (reading.time_ms, 0.0);
                }
                machines.1 += reading.value();
            }
            Sensor::Etot => {
                let at_ms = reading.time_ms;
                arrivals.push((PART, at_ms, at_ms, machines.1));
                arrivals.push((METER, at_ms, at_ms, reading.value()));
            }
            Sensor::Th1 | Sensor::Th2 | Sensor::W1 | Sensor::Wtot | Sensor::Mov1 => {}
        }
    }
    Case {
        name: format!("Energy {}", scenario.seed),
        zone: Tz::UTC,
        part: Some(Part {
            interval_ms: QUARTER_MS,
            rests: Rests::Learned,
        }),
        arrivals,
        span: (scenario.start_ms(), scenario.end_ms()),
        leaks: leak.into_iter().collect(),
    }
}

fn simulated(model: Model, leak: &Leaking) -> simulator::Leak {
    simulator::Leak {
        place: match (model, leak.place) {
            (Model::Energy, _) => simulator::Place::Base,
            (_, Place::Main) => simulator::Place::Main,
            (_, Place::Branch) => simulator::Place::Branch,
        },
        rate_thousandths: milli(leak.rate),
        from_ms: leak.from_ms,
        until_ms: leak.until_ms,
        home: None,
        shape: match leak.shape {
            Shape::Constant => simulator::Shape::Constant,
            Shape::Ramp => simulator::Shape::Ramp,
            Shape::Flapper => simulator::Shape::Flapper,
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a rate of at most some thousand litres"
)]
fn milli(rate: f64) -> i64 {
    (rate * 1000.0).round() as i64
}
