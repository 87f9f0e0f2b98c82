//! What a household uses water for, and what its two meters count of it.
//!
//! W1 measures the bathroom: showers, baths, and half of the toilets and basins. Wtot measures
//! everything. Both count whole litres.

use super::habits::{Chores, Presence};
use super::{Draws, MINUTES, SLOTS, Slots};
use crate::draw::Purpose;

/// One litre.
const LITRE: i64 = 1000;

/// The water side of a home.
#[derive(Clone, Debug)]
pub(super) struct Water {
    /// A flush, in mL.
    flush: i64,
    /// What a shower runs a minute, in mL.
    shower_a_minute: i64,
    irrigation: Option<Irrigation>,
    softener: Option<Softener>,
    machine: Option<Machine>,
    main: Slots,
    branch: Slots,
    /// What passed the meters since they were made, in mL.
    main_total: i64,
    branch_total: i64,
}

/// A garden that is watered by a clock.
#[derive(Clone, Copy, Debug)]
struct Irrigation {
    minute: i64,
    minutes: i64,
    a_minute: i64,
    every_days: i64,
}

/// A softener that rinses itself at night, slowly.
#[derive(Clone, Copy, Debug)]
struct Softener {
    every_days: i64,
    volume: i64,
}

/// Something that takes a little water day and night while it is on: an ice maker, a humidifier, a filter
/// that rinses itself, a drinking fountain.
#[derive(Clone, Copy, Debug)]
struct Machine {
    volume: i64,
    every_minutes: i64,
    /// Of a thousand days, how many it is on.
    on: i64,
}

/// What the meters say at the end of a quarter hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) register_litres: i64,
    pub(super) branch_litres: i64,
}

impl Water {
    pub(super) fn new(seed: u64, home: u32) -> Self {
        let mut draws = Draws::new(seed, home, Purpose::Plumbing, 0);
        let irrigation = Irrigation {
            minute: draws.within(300, 390),
            minutes: draws.within(15, 40),
            a_minute: draws.within(8, 16) * LITRE,
            every_days: draws.within(1, 3),
        };
        let softener = Softener {
            every_days: draws.within(4, 9),
            volume: draws.within(60, 150) * LITRE,
        };
        let machine = Machine {
            volume: draws.within(300, 1600),
            every_minutes: draws.within(35, 150),
            on: if draws.happens(80) {
                1000
            } else {
                draws.around(0, 600)
            },
        };
        Self {
            flush: draws.within(4500, 9000),
            shower_a_minute: draws.around(5500, 11_000),
            irrigation: draws.happens(300).then_some(irrigation),
            softener: draws.happens(200).then_some(softener),
            machine: draws.happens(250).then_some(machine),
            main: [0; SLOTS],
            branch: [0; SLOTS],
            main_total: draws.within(20_000, 900_000) * LITRE + draws.within(0, LITRE - 1),
            branch_total: draws.within(0, LITRE - 1),
        }
    }

    pub(super) fn begin_day(
        &mut self,
        calendar_day: i64,
        presence: &Presence,
        chores: &Chores,
        draws: &mut Draws,
    ) {
        for slots in [&mut self.main, &mut self.branch] {
            slots.copy_within(96.., 0);
            slots[SLOTS - 96..].fill(0);
        }
        for stay in &presence.people {
            for flush in 0..draws.around(2, 8) {
                self.toilet(stay.minute(draws), flush % 2 == 0, draws);
            }
            let asleep = (stay.sleeps - 1440 + 30).max(0);
            let part = (stay.wakes - asleep).max(3) / 3;
            for night in 0..3 {
                if draws.happens(stay.rises) {
                    let from = asleep + night * part;
                    self.toilet(draws.within(from, from + part), true, draws);
                }
            }
            if draws.happens(720) {
                let minute = if draws.happens(600) {
                    stay.wakes + draws.within(5, 40)
                } else {
                    stay.evening(draws)
                };
                let volume = self.shower_a_minute * draws.around(25, 95) / 10;
                self.run(minute, volume, self.shower_a_minute, true);
            }
            if draws.happens(40) {
                let volume = draws.within(90, 160) * LITRE;
                self.run(stay.evening(draws), volume, 14 * LITRE, true);
            }
            for tap in 0..draws.around(6, 16) {
                let volume = draws.within(150, 3000);
                self.run(stay.minute(draws), volume, 5 * LITRE, tap % 2 == 0);
            }
        }
        if let Some(cook) = presence.people.first() {
            for _ in 0..draws.around(4, 12) {
                let volume = draws.within(300, 5000);
                self.run(cook.minute(draws), volume, 7 * LITRE, false);
            }
        }
        for begins in &chores.laundry {
            for (fill, after) in [0, 25, 40, 55].into_iter().enumerate() {
                let volume = if fill == 0 {
                    draws.within(12_000, 18_000)
                } else {
                    draws.within(9000, 14_000)
                };
                self.run(begins + after, volume, 9 * LITRE, false);
            }
        }
        for begins in &chores.dishes {
            for after in [0, 20, 60, 85] {
                self.run(begins + after, draws.within(2500, 4000), 4 * LITRE, false);
            }
        }
        self.water_garden(calendar_day, draws);
        self.rinse_softener(calendar_day, presence);
        self.run_machine(draws);
    }

    /// From May to September, whoever is at home; a rainy day is left out.
    fn water_garden(&mut self, calendar_day: i64, draws: &mut Draws) {
        let Some(garden) = self.irrigation else {
            return;
        };
        let is_dry = draws.happens(750);
        // Days 120 to 272 of a year of 365.25 days, reckoned from 1970.
        let of_year = (calendar_day * 100).rem_euclid(36_525) / 100;
        if (120..273).contains(&of_year) && calendar_day % garden.every_days == 0 && is_dry {
            let volume = garden.minutes * garden.a_minute;
            self.run(garden.minute, volume, garden.a_minute, false);
        }
    }

    /// What nobody used needs no softening: an empty house is not rinsed.
    fn rinse_softener(&mut self, calendar_day: i64, presence: &Presence) {
        if let Some(softener) = self.softener
            && calendar_day % softener.every_days == 0
            && !presence.people.is_empty()
        {
            self.run(150, softener.volume, 1500, false);
        }
    }

    fn run_machine(&mut self, draws: &mut Draws) {
        let Some(machine) = self.machine else {
            return;
        };
        let (mut minute, is_on) = (
            draws.within(0, machine.every_minutes),
            draws.happens(machine.on),
        );
        while is_on && minute < MINUTES {
            self.run(minute, machine.volume, LITRE, false);
            minute += machine.every_minutes + draws.within(-5, 5);
        }
    }

    fn toilet(&mut self, minute: i64, of_bathroom: bool, draws: &mut Draws) {
        let small = draws.happens(550);
        let volume = if small { self.flush / 2 } else { self.flush };
        self.run(minute, volume, 6 * LITRE, of_bathroom);
    }

    /// Lets `volume` mL run from that minute on, so many a minute.
    fn run(&mut self, minute: i64, volume: i64, a_minute: i64, of_bathroom: bool) {
        let (mut minute, mut left) = (minute.max(0), volume);
        while left > 0 {
            let now = left.min(a_minute);
            let slot = usize::try_from(minute / 15).unwrap_or(0).min(SLOTS - 1);
            self.main[slot] += now;
            if of_bathroom {
                self.branch[slot] += now;
            }
            left -= now;
            minute += 1;
        }
    }

    /// Counts a quarter hour, with what leaked in it, in mL: before and behind W1, and behind it alone.
    pub(super) fn quarter_hour(
        &mut self,
        slot: usize,
        leaked_main: i64,
        leaked_branch: i64,
    ) -> Counted {
        let before = self.branch_total / LITRE;
        self.main_total += self.main[slot] + leaked_main;
        self.branch_total += self.branch[slot] + leaked_branch;
        Counted {
            register_litres: self.main_total / LITRE,
            branch_litres: self.branch_total / LITRE - before,
        }
    }
}
