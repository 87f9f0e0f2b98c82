//! A realistic household, drawn from dice: people who sleep, flush, wash and sometimes leave; a register of
//! one litre and a sub-meter of a tenth, every quarter of an hour.

use crate::dice::Dice;

/// The first midnight, 2020-01-01T00:00:00Z.
pub const START_MS: i64 = 1_577_836_800_000;
/// A quarter of an hour.
pub const SLOT_MS: i64 = 900_000;

/// Tenths of a litre in each slot: all of it, and what went through the sub-meter.
pub fn uses(days: usize, dice: &mut Dice) -> Vec<(i64, i64)> {
    let people = 1 + dice.below(4);
    let mut slots = vec![(0, 0); days * 96];
    let mut away = 0;
    for day in 0..days {
        if away == 0 && dice.once_in(60) {
            away = 2 + dice.below(9);
        }
        if away > 0 {
            away -= 1;
            continue;
        }
        let wakes = 24 + dice.below(6);
        let sleeps = 88 + dice.below(8);
        let mut use_of = |tenths: usize, behind: bool, dice: &mut Dice| {
            let slot = wakes + dice.below(sleeps - wakes);
            put(&mut slots, day * 96 + slot, tenths, behind);
        };
        for _ in 0..people {
            for _ in 0..5 {
                use_of(60 + dice.below(30), false, dice);
            }
            for _ in 0..12 {
                use_of(5 + dice.below(30), true, dice);
            }
            if !dice.once_in(5) {
                use_of(350 + dice.below(300), false, dice);
            }
        }
        if dice.once_in(2) {
            use_of(500, true, dice);
        }
        if dice.once_in(2) {
            use_of(120, true, dice);
        }
        // Somebody gets up at night, now and then.
        for _ in 0..people {
            if dice.once_in(3) {
                put(&mut slots, day * 96 + dice.below(24), 60, false);
            }
        }
    }
    slots
}

fn put(slots: &mut [(i64, i64)], slot: usize, tenths: usize, behind: bool) {
    let tenths = i64::try_from(tenths).expect("a bath at most");
    slots[slot].0 += tenths;
    slots[slot].1 += if behind { tenths } else { 0 };
}

/// Where a leak is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaks {
    /// Between the meter and the sub-meter.
    Main,
    /// Behind the sub-meter.
    Behind,
}

/// What the meter and the sub-meter send, with a leak (thousandths of a litre an hour) from a slot on:
/// slot, litres of the register, tenths of the sub-meter.
#[must_use]
pub fn readings(
    uses: &[(i64, i64)],
    milli_per_hour: i64,
    from_slot: usize,
    place: Leaks,
) -> Vec<(i64, i64, i64)> {
    let (mut level, mut behind, mut told) = (0, 0, 0);
    let mut readings = Vec::with_capacity(uses.len());
    for (slot, (used, through)) in uses.iter().enumerate() {
        let leaked = if slot >= from_slot {
            milli_per_hour / 4
        } else {
            0
        };
        level += used * 100 + leaked;
        behind += through * 100 + if place == Leaks::Behind { leaked } else { 0 };
        let sub = (behind - told) / 100;
        told += sub * 100;
        let number = i64::try_from(slot).expect("a few thousand") + 1;
        readings.push((number, level / 1000, sub));
    }
    readings
}
