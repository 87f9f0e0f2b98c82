//! A run of the simulated home: its arguments, and its readings in arrival order.
//!
//! Time goes tick by tick. At each quarter hour every home sends its seven readings, at midnight its
//! meters too, then what is overdue; movements arrive when they happen. The run ends with the tick at
//! its last midnight; the meters' reading of that midnight belongs to the day after, so a run of N
//! days holds N readings of each meter, the first being its starting value.

use std::vec;

use chrono::{NaiveDate, NaiveTime};

use crate::fleet::Fleet;
use crate::home::{Home, MOVEMENTS_A_DAY};
use crate::household::Household;
use crate::late::Late;
use crate::leak::Leak;
use crate::message::{Message, Reading};
use crate::truth::{self, Truth};
use crate::{DAY_MS, TICK_MS, TICKS_A_DAY};

/// The arguments of a run. The same ones give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// How many homes; above one their sensors carry a prefix.
    pub homes: u32,
    /// How many days.
    pub days: u32,
    /// The first day; it begins at midnight UTC.
    pub start: NaiveDate,
    /// Where chance comes from.
    pub seed: u64,
    /// How the homes live.
    pub profile: Profile,
    /// Whether late readings are sent.
    pub late: Late,
    /// What leaks.
    pub leaks: Vec<Leak>,
}

/// How a home lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// As the seed's: every value drawn evenly, meters read at midnight.
    #[default]
    Paper,
    /// As people do, with meters read every quarter hour. With late readings come lost, doubled and
    /// wrong ones.
    Household,
}

impl Default for Scenario {
    /// One home, 14 days from 2020-01-01, seed 1, late readings, no leaks.
    fn default() -> Self {
        Self {
            homes: 1,
            days: 14,
            start: NaiveDate::from_ymd_opt(2020, 1, 1).expect("a day of the calendar"),
            seed: 1,
            profile: Profile::Paper,
            late: Late::Paper,
            leaks: Vec::new(),
        }
    }
}

impl Scenario {
    /// The most homes a scenario is meant for.
    pub const HOMES_MAX: u32 = 10_000;
    /// The most days a scenario is meant for.
    pub const DAYS_MAX: u32 = 36_525;

    /// Every reading, in arrival order.
    #[must_use]
    pub fn readings(&self) -> Readings {
        self.share(0, 1)
    }

    /// The readings of every `of`-th home beginning with `share` (from 0), in arrival order. All
    /// shares together are all readings, and each home's are in one share, in order.
    ///
    /// # Panics
    /// When `of` is 0.
    #[must_use]
    pub fn share(&self, share: u32, of: u32) -> Readings {
        let numbers = (share..self.homes).step_by(of as usize);
        let (mut homes, mut households) = (Vec::new(), Vec::new());
        match self.profile {
            Profile::Paper => {
                homes = numbers
                    .map(|number| Home::new(self.seed, number, &self.leaks))
                    .collect();
            }
            Profile::Household => {
                let start_ms = self.start_ms();
                let household = |number| {
                    let household = Household::new(self.seed, number, start_ms, &self.leaks);
                    match self.late {
                        Late::Paper => household,
                        Late::None => household.with_good_radio(),
                    }
                };
                households = numbers.map(household).collect();
            }
        }
        Readings {
            homes,
            households,
            start_ms: self.start_ms(),
            tick: 0,
            ticks: self.ticks(),
            late: self.late,
            movements: Vec::new().into_iter(),
            ready: Vec::new(),
            taken: 0,
        }
    }

    /// Every message, in arrival order.
    pub fn messages(&self) -> impl Iterator<Item = Message> + use<> {
        let fleet = self.fleet();
        self.readings().map(move |reading| reading.message(&fleet))
    }

    /// The names and topics of its sensors.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.homes)
    }

    /// What leaked when, and how much: a line for each leak and home.
    pub fn truth(&self) -> impl Iterator<Item = Truth> {
        truth::of(self)
    }

    /// How many messages the run has. A household's are counted by living through the run.
    #[must_use]
    pub fn total(&self) -> u64 {
        match self.profile {
            Profile::Paper => {}
            Profile::Household => return self.readings().map(|_| 1).sum(),
        }
        let days = u64::from(self.days);
        let daily = 7 * TICKS_A_DAY + 2 + MOVEMENTS_A_DAY as u64;
        u64::from(self.homes) * (days * daily + self.late.total(self.ticks()))
    }

    /// When the run begins, ms UTC.
    #[must_use]
    pub fn start_ms(&self) -> i64 {
        self.start
            .and_time(NaiveTime::MIN)
            .and_utc()
            .timestamp_millis()
    }

    /// When the run ends, ms UTC: the midnight after its last day.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.start_ms() + i64::from(self.days) * DAY_MS
    }

    fn ticks(&self) -> u64 {
        u64::from(self.days) * TICKS_A_DAY
    }
}

/// Readings in arrival order; holds a tick of them and a day of movements.
#[derive(Debug)]
pub struct Readings {
    homes: Vec<Home>,
    households: Vec<Household>,
    start_ms: i64,
    /// The tick to come.
    tick: u64,
    ticks: u64,
    late: Late,
    /// What is left of the day's movements, by time.
    movements: vec::IntoIter<Reading>,
    /// The tick at hand.
    ready: Vec<Reading>,
    taken: usize,
}

impl Readings {
    /// Makes the next tick ready; `false` when the run is over.
    fn advance(&mut self) -> bool {
        let tick = self.tick;
        if tick > self.ticks || self.ticks == 0 {
            return false;
        }
        self.ready.clear();
        self.taken = 0;
        self.tick += 1;
        let at_ms =
            self.start_ms + TICK_MS * i64::try_from(tick).expect("ticks of at most u32 days");
        self.move_until(at_ms);
        let (day, midnight) = (tick / TICKS_A_DAY, tick.is_multiple_of(TICKS_A_DAY));
        for home in &mut self.homes {
            if tick > 0 {
                home.quarter_hour(tick, at_ms, &mut self.ready);
            }
            if midnight && tick < self.ticks {
                home.midnight(day, at_ms, &mut self.ready);
            }
            if tick > 0 {
                for overdue in self.late.at(tick) {
                    home.overdue(overdue, tick, at_ms, &mut self.ready);
                }
            }
        }
        if midnight && tick < self.ticks {
            self.plan_movements(day, at_ms);
        }
        self.live(tick, at_ms);
        true
    }

    fn live(&mut self, tick: u64, at_ms: i64) {
        if tick == 0 || self.households.is_empty() {
            return;
        }
        for household in &mut self.households {
            household.quarter_hour(tick, at_ms, &mut self.ready);
        }
        // Stable: what is sent at one moment stays in a home's order.
        self.ready.sort_by_key(|reading| reading.at_ms);
    }

    fn move_until(&mut self, at_ms: i64) {
        let moved = self.movements.as_slice();
        let count = moved.partition_point(|reading| reading.at_ms <= at_ms);
        self.ready.extend(self.movements.by_ref().take(count));
    }

    fn plan_movements(&mut self, day: u64, midnight_ms: i64) {
        let mut planned = Vec::with_capacity(self.homes.len() * MOVEMENTS_A_DAY);
        for home in &self.homes {
            home.movements(day, midnight_ms, &mut planned);
        }
        planned.sort_by_key(|reading| (reading.at_ms, reading.home));
        self.movements = planned.into_iter();
    }
}

impl Iterator for Readings {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        loop {
            if let Some(reading) = self.ready.get(self.taken) {
                self.taken += 1;
                return Some(*reading);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}
