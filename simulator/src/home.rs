//! The seed home: what each sensor says at a tick, a midnight, and in between.
//!
//! Values are whole hundredths of the unit, as the home rounds to two decimals. Integers make the
//! meters exact and the bytes the same everywhere.

use crate::draw::{Purpose, Stream};
use crate::leak::Leak;
use crate::message::Reading;
use crate::sensor::Sensor;
use crate::{DAY_MS, TICK_MS};

/// One °C, Wh or litre.
const UNIT: i64 = 100;

/// What a quarter hour's sensors draw from, both ends included.
const QUARTER_HOUR: [(Sensor, i64, i64); 7] = [
    (Sensor::Th1, 12 * UNIT, 35 * UNIT),
    (Sensor::Th2, 12 * UNIT, 35 * UNIT),
    (Sensor::Hvac1, 0, 100 * UNIT),
    (Sensor::Hvac2, 0, 200 * UNIT),
    (Sensor::MiAc1, 0, 150 * UNIT),
    (Sensor::MiAc2, 0, 200 * UNIT),
    (Sensor::W1, WATER.0, WATER.1),
];
/// W1's litres a quarter hour.
const WATER: (i64, i64) = (0, UNIT);
/// What the energy meter gains a day.
const ENERGY_A_DAY: (i64, i64) = (61_400 * UNIT, 63_400 * UNIT);
/// What the water meter gains a day.
const WATER_A_DAY: (i64, i64) = (100 * UNIT, 120 * UNIT);
/// How often somebody moves in a day.
pub(crate) const MOVEMENTS_A_DAY: usize = 5;

/// One home, at one moment of its run.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) number: u32,
    quarter_hour: [Stream; QUARTER_HOUR.len()],
    late: [Stream; 2],
    etot: Meter,
    wtot: Meter,
    movement: Stream,
    leaks: Vec<Leak>,
}

/// A cumulative counter: what the house used so far, leaks apart.
#[derive(Clone, Debug)]
struct Meter {
    draws: Stream,
    gained: i64,
}

/// Which of the two kinds of late reading.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overdue {
    TwoDays,
    TenDays,
}

impl Home {
    /// The home with this number (from 0), with those of `leaks` that are its own.
    pub(crate) fn new(seed: u64, number: u32, leaks: &[Leak]) -> Self {
        let stream = |purpose| Stream::new(seed, number, purpose);
        let meter = |purpose| Meter {
            draws: stream(purpose),
            gained: 0,
        };
        Self {
            number,
            quarter_hour: QUARTER_HOUR.map(|(sensor, _, _)| stream(sensor.purpose())),
            late: [
                stream(Purpose::LateByTwoDays),
                stream(Purpose::LateByTenDays),
            ],
            etot: meter(Purpose::Etot),
            wtot: meter(Purpose::Wtot),
            movement: stream(Purpose::Mov1),
            leaks: leaks
                .iter()
                .filter(|leak| leak.is_in(number))
                .copied()
                .collect(),
        }
    }

    /// The readings of the quarter hour that ends at `at_ms`, the run's `tick`-th.
    pub(crate) fn quarter_hour(&self, tick: u64, at_ms: i64, out: &mut Vec<Reading>) {
        for ((sensor, low, high), stream) in QUARTER_HOUR.into_iter().zip(self.quarter_hour) {
            let mut hundredths = stream.within(tick, low, high);
            if sensor == Sensor::W1 {
                hundredths += self.leaked_behind_w1(at_ms);
            }
            out.push(self.reading(sensor, at_ms, at_ms, hundredths));
        }
    }

    /// One more W1 reading, sent at `at_ms` and dated back by whole days.
    ///
    /// Whole days: the home has a reading of that very moment already (or will never have one, where
    /// the date lies before the run). So within the allowed lateness it is a correction of that
    /// reading, as it was in the seed, and beyond it one to set aside. What leaked behind W1 in the
    /// quarter hour that it is dated to is in it.
    pub(crate) fn overdue(&self, overdue: Overdue, tick: u64, at_ms: i64, out: &mut Vec<Reading>) {
        let (stream, days) = match overdue {
            Overdue::TwoDays => (self.late[0], 2),
            Overdue::TenDays => (self.late[1], 10),
        };
        let time_ms = at_ms - days * DAY_MS;
        let hundredths = stream.within(tick, WATER.0, WATER.1) + self.leaked_behind_w1(time_ms);
        out.push(self.reading(Sensor::W1, at_ms, time_ms, hundredths));
    }

    /// Both meters at the midnight that begins the run's `day`-th day (from 0); once each, in order.
    pub(crate) fn midnight(&mut self, day: u64, at_ms: i64, out: &mut Vec<Reading>) {
        let leaked = |sensor| -> i64 {
            self.leaks
                .iter()
                .filter(|leak| leak.place.is_seen_by(sensor))
                .map(|leak| leak.hundredths_until(at_ms))
                .sum()
        };
        let (energy, water) = (leaked(Sensor::Etot), leaked(Sensor::Wtot));
        let etot = self.etot.advance(day, ENERGY_A_DAY) + energy;
        let wtot = self.wtot.advance(day, WATER_A_DAY) + water;
        out.push(self.reading(Sensor::Etot, at_ms, at_ms, etot));
        out.push(self.reading(Sensor::Wtot, at_ms, at_ms, wtot));
    }

    /// The movements of the run's `day`-th day (from 0): five different seconds strictly between its
    /// midnights, so that they are of that day however its ends are counted.
    pub(crate) fn movements(&self, day: u64, midnight_ms: i64, out: &mut Vec<Reading>) {
        /// Draws set apart for a day; more than enough, as one in 17 000 repeats a second.
        const DRAWS_A_DAY: u64 = 64;
        let mut seconds = [0_i64; MOVEMENTS_A_DAY];
        let mut found = 0;
        for draw in 0..DRAWS_A_DAY {
            let second = self
                .movement
                .within(day * DRAWS_A_DAY + draw, 1, DAY_MS / 1000 - 1);
            if !seconds[..found].contains(&second) {
                seconds[found] = second;
                found += 1;
            }
            if found == MOVEMENTS_A_DAY {
                break;
            }
        }
        for second in &seconds[..found] {
            let at_ms = midnight_ms + second * 1000;
            out.push(self.reading(Sensor::Mov1, at_ms, at_ms, UNIT));
        }
    }

    fn leaked_behind_w1(&self, until_ms: i64) -> i64 {
        self.leaks
            .iter()
            .filter(|leak| leak.place.is_seen_by(Sensor::W1))
            .map(|leak| leak.hundredths_until(until_ms) - leak.hundredths_until(until_ms - TICK_MS))
            .sum()
    }

    fn reading(&self, sensor: Sensor, at_ms: i64, time_ms: i64, hundredths: i64) -> Reading {
        Reading {
            at_ms,
            time_ms,
            home: self.number,
            sensor,
            hundredths,
        }
    }
}

impl Meter {
    fn advance(&mut self, day: u64, (low, high): (i64, i64)) -> i64 {
        self.gained += self.draws.within(day, low, high);
        self.gained
    }
}
