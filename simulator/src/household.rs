//! A household as it lives: people who wake, wash, cook, leave, travel and come back, and the meters that
//! see it.
//!
//! The seed home draws every value evenly and independently. This one is made of causes: who lives there
//! (`habits`), what they use water for, minute by minute (`water`), what draws power (`power`), the
//! weather (`climate`), and what happens to a reading between the meter and the broker (`radio`). So
//! its series have what makes leaks hard to find: nights that are quiet on most days and not on all,
//! irrigation and softeners that run while everybody sleeps, weeks away, a meter that counts whole litres,
//! readings that are lost, late, doubled or wrong, and a counter that starts again.
//!
//! The shares follow the largest published end-use study (Water Research Foundation, "Residential End Uses
//! of Water, Version 2", report 4309b, 2016: indoors toilets take 24 %, showers 20 %, taps 19 %, washing
//! machines 17 %), scaled to some 120 L a person and day. How long a meter rests was fitted to 77 homes of
//! Alicante that the project DAIAD metered hourly in 2016 and 2017 (CC BY-SA 4.0); `tests/household.rs` has
//! their figures and holds the model to them. What is not modelled: a meter's own error, and that it does
//! not turn at very small flow. Times are UTC.
//!
//! All draws are pure functions of seed, home, purpose and day, all arithmetic is on integers: the same
//! arguments give the same bytes.

mod climate;
mod habits;
mod power;
mod radio;
mod water;

use crate::draw::{Purpose, Stream};
use crate::leak::Leak;
use crate::message::Reading;
use crate::sensor::Sensor;
use crate::{DAY_MS, TICK_MS, TICKS_A_DAY};

use climate::Climate;
use habits::{Habits, Presence};
use power::Power;
use radio::Radio;
use water::Water;

/// A day has so many minutes.
const MINUTES: i64 = 1440;
/// Quarter hours of a day, and of the morning after that an evening may reach into.
const SLOTS: usize = 96 + 16;

/// Millilitres or watt hours by the quarter hour, from midnight on.
type Slots = [i64; SLOTS];

/// One household at one moment of its run.
#[derive(Debug)]
pub(crate) struct Household {
    number: u32,
    seed: u64,
    start_day: i64,
    habits: Habits,
    water: Water,
    power: Power,
    climate: Climate,
    radio: Radio,
    leaks: Vec<Leak>,
    /// Of the day at hand.
    presence: Presence,
    movements: Vec<i64>,
}

/// Draws of one purpose and day, one after another.
#[derive(Clone, Debug)]
struct Draws {
    stream: Stream,
    next: u64,
}

impl Draws {
    /// Enough for the busiest day.
    const A_DAY: u64 = 4096;

    fn new(seed: u64, home: u32, purpose: Purpose, day: u64) -> Self {
        Self {
            stream: Stream::new(seed, home, purpose),
            next: day * Self::A_DAY,
        }
    }

    /// From `low` to `high`, both included.
    fn within(&mut self, low: i64, high: i64) -> i64 {
        self.next += 1;
        self.stream.within(self.next, low, high)
    }

    /// Likewise, the middle more often than the ends.
    fn around(&mut self, low: i64, high: i64) -> i64 {
        (self.within(low, high) + self.within(low, high) + self.within(low, high)) / 3
    }

    /// Whether something happens that does so many times in a thousand.
    fn happens(&mut self, in_thousand: i64) -> bool {
        self.within(1, 1000) <= in_thousand
    }
}

impl Household {
    /// The household with this number (from 0), with those of `leaks` that are its own.
    pub(crate) fn new(seed: u64, number: u32, start_ms: i64, leaks: &[Leak]) -> Self {
        let habits = Habits::new(seed, number);
        Self {
            number,
            seed,
            start_day: start_ms.div_euclid(DAY_MS),
            water: Water::new(seed, number),
            power: Power::new(seed, number),
            climate: Climate::new(seed, number),
            radio: Radio::new(seed, number),
            presence: Presence::default(),
            movements: Vec::new(),
            leaks: leaks
                .iter()
                .filter(|leak| leak.is_in(number))
                .copied()
                .collect(),
            habits,
        }
    }

    /// A household whose readings all arrive, at once and as they were measured.
    pub(crate) fn with_good_radio(mut self) -> Self {
        self.radio = Radio::perfect();
        self
    }

    /// What arrives in the quarter hour that ends at `at_ms`, the run's `tick`-th (from 1).
    pub(crate) fn quarter_hour(&mut self, tick: u64, at_ms: i64, out: &mut Vec<Reading>) {
        let (day, slot) = ((tick - 1) / TICKS_A_DAY, (tick - 1) % TICKS_A_DAY);
        if slot == 0 {
            self.begin_day(day);
        }
        self.move_about(at_ms, out);
        let mut measured = Vec::with_capacity(Sensor::ALL.len());
        self.measure(slot, at_ms, &mut measured);
        self.radio.send(tick, measured, out);
    }

    fn begin_day(&mut self, day: u64) {
        let calendar_day = self.start_day + i64::try_from(day).expect("days of at most a century");
        let draws = |purpose| Draws::new(self.seed, self.number, purpose, day);
        self.presence = self
            .habits
            .presence(day, calendar_day, &mut draws(Purpose::Presence));
        self.climate
            .begin_day(calendar_day, &mut draws(Purpose::Weather));
        let chores = self.presence.chores(&mut draws(Purpose::Chores));
        self.water.begin_day(
            calendar_day,
            &self.presence,
            &chores,
            &mut draws(Purpose::WaterUse),
        );
        self.power.begin_day(
            &self.presence,
            &chores,
            &self.climate,
            &mut draws(Purpose::PowerUse),
        );
        let midnight_ms = calendar_day * DAY_MS;
        let minutes = self.presence.movements(&mut draws(Purpose::Moving));
        self.movements = minutes
            .into_iter()
            .map(|second| midnight_ms + second * 1000)
            .collect();
        self.radio.begin_day(day, &mut draws(Purpose::Radio));
    }

    /// A movement is told when it happens.
    fn move_about(&mut self, at_ms: i64, out: &mut Vec<Reading>) {
        let count = self.movements.partition_point(|moved| *moved <= at_ms);
        for time_ms in self.movements.drain(..count) {
            out.push(Reading {
                at_ms: time_ms,
                time_ms,
                home: self.number,
                sensor: Sensor::Mov1,
                hundredths: 100,
            });
        }
    }

    fn measure(&mut self, slot: u64, at_ms: i64, out: &mut Vec<Reading>) {
        let slot = usize::try_from(slot).expect("a day has 96 quarter hours");
        let leaked = |sensor| -> i64 {
            self.leaks
                .iter()
                .filter(|leak| leak.place.is_seen_by(sensor))
                .map(|leak| leak.hundredths_until(at_ms) - leak.hundredths_until(at_ms - TICK_MS))
                .sum()
        };
        let (main, branch, base) = (
            leaked(Sensor::Wtot),
            leaked(Sensor::W1),
            leaked(Sensor::Etot),
        );
        let water = self.water.quarter_hour(slot, main * 10, branch * 10);
        let power = self.power.quarter_hour(slot, base);
        let climate = self.climate.quarter_hour(slot);
        for (sensor, hundredths) in [
            (Sensor::Th1, climate.indoors),
            (Sensor::Th2, climate.outdoors),
            (Sensor::Hvac1, power.heating[0] * 100),
            (Sensor::Hvac2, power.heating[1] * 100),
            (Sensor::MiAc1, power.cooling[0] * 100),
            (Sensor::MiAc2, power.cooling[1] * 100),
            (Sensor::W1, water.branch_litres * 100),
            (Sensor::Etot, power.register_wh * 100),
            (Sensor::Wtot, water.register_litres * 100),
        ] {
            out.push(Reading {
                at_ms,
                time_ms: at_ms,
                home: self.number,
                sensor,
                hundredths,
            });
        }
    }
}
