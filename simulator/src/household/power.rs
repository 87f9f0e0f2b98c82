//! What draws power in a household, and what its meter counts of it.

use super::climate::Climate;
use super::habits::{Chores, Presence};
use super::{Draws, SLOTS, Slots};
use crate::draw::Purpose;

/// The electric side of a home.
#[derive(Clone, Debug)]
pub(super) struct Power {
    /// What runs day and night, in W.
    base: i64,
    /// What the refrigerators take while they run, in W.
    fridge: i64,
    /// Light and screens of a person, in W.
    light: i64,
    used: Slots,
    heating: [Slots; 2],
    cooling: [Slots; 2],
    /// What it counted since it was made, in hundredths of a Wh.
    total: i64,
}

/// What the meter and the machines say at the end of a quarter hour, in Wh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) register_wh: i64,
    pub(super) heating: [i64; 2],
    pub(super) cooling: [i64; 2],
}

impl Power {
    pub(super) fn new(seed: u64, home: u32) -> Self {
        let mut draws = Draws::new(seed, home, Purpose::Wiring, 0);
        Self {
            base: draws.around(40, 180),
            fridge: draws.within(60, 140),
            light: draws.within(40, 120),
            used: [0; SLOTS],
            heating: [[0; SLOTS]; 2],
            cooling: [[0; SLOTS]; 2],
            total: draws.within(1_000_000, 40_000_000) * 100,
        }
    }

    pub(super) fn begin_day(
        &mut self,
        presence: &Presence,
        chores: &Chores,
        climate: &Climate,
        draws: &mut Draws,
    ) {
        let all = self.heating.iter_mut().chain(&mut self.cooling);
        for slots in all.chain([&mut self.used]) {
            slots.copy_within(96.., 0);
            slots[SLOTS - 96..].fill(0);
        }
        for slot in 0..96 {
            let minute = i64::try_from(slot).expect("a quarter hour of a day") * 15 + 7;
            let runs = draws.within(20, 60);
            let mut watts = self.base + self.fridge * runs / 100 + draws.within(0, 6);
            let here = presence.people.iter().filter(|stay| stay.is_in(minute));
            let people = i64::try_from(here.count()).unwrap_or(0);
            let dark = !(8 * 60..17 * 60).contains(&minute);
            watts += people * if dark { self.light } else { self.light / 3 };
            self.used[slot] += watts / 4;
            // Machines hold their temperature for whoever is in, and less for nobody.
            let (cold, hot) = climate.discomfort(slot);
            let share = if people > 0 { 100 } else { 35 };
            for (room, factor) in [(0, 5), (1, 8)] {
                self.heating[room][slot] += cold * factor * share / 10_000 + draws.within(0, 2);
                self.cooling[room][slot] += hot * factor * share / 8000 + draws.within(0, 2);
            }
        }
        for begins in &chores.laundry {
            self.run(*begins, 80, draws.within(500, 900));
        }
        for begins in &chores.dishes {
            self.run(*begins, 95, draws.within(800, 1200));
        }
        for begins in &chores.cooking {
            self.run(*begins, draws.within(15, 55), draws.within(250, 1100));
        }
    }

    /// Takes so many Wh over these minutes.
    fn run(&mut self, from: i64, minutes: i64, watt_hours: i64) {
        for minute in 0..minutes {
            let slot = usize::try_from((from + minute).max(0) / 15).unwrap_or(0);
            // Shares of a whole that add up to it, however it is divided.
            let share = watt_hours * (minute + 1) / minutes - watt_hours * minute / minutes;
            self.used[slot.min(SLOTS - 1)] += share;
        }
    }

    /// Counts a quarter hour, with what ran in it that should not, in hundredths of a Wh.
    pub(super) fn quarter_hour(&mut self, slot: usize, leaked: i64) -> Drawn {
        let heating = self.heating.map(|slots| slots[slot]);
        let cooling = self.cooling.map(|slots| slots[slot]);
        let parts: i64 = heating.iter().chain(&cooling).sum();
        self.total += (self.used[slot] + parts) * 100 + leaked;
        Drawn {
            register_wh: self.total / 100,
            heating,
            cooling,
        }
    }
}
