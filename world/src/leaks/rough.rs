//! Homes as rough as the world: whatever a meter, its radio, its people and its owner may do, drawn from dice.
//!
//! What passes is a function of time, in thousandths of a litre; what arrives of it is drawn apart from that.
//! One number draws a home, so that a case can be looked at again.

use chrono_tz::Tz;
use engine::detect::Rests;

use super::case::{
    Arrival, Case, DAY_MS, HOUR_MS, Leaking, METER, MOVES, PART, Part, Place, START_MS, Shape, real,
};
use super::plain;
use crate::dice::Dice;

/// How long a rough home is looked at, days.
pub const DAYS: usize = 140;
/// The first day on which a leak may begin, unless it is there from the start.
const LEAK_FROM_DAY: usize = 60;
const QUARTER_MS: i64 = HOUR_MS / 4;

/// What is rough about a home.
#[derive(Clone, Debug)]
pub struct Traits {
    /// How often the meter is read, ms.
    pub interval_ms: i64,
    /// Thousandths of a litre that the meter counts by.
    pub resolution: i64,
    /// A reading comes up to so much off its time, ms.
    pub jitter_ms: i64,
    /// One reading in so many is lost; 0: none.
    pub lost_one_in: usize,
    /// One day in so many is silent for hours; 0: none.
    pub silent_one_in: usize,
    /// Whether what a silence held up comes days later, or never.
    pub backlog: bool,
    /// Litres an hour that never stop, and that is right.
    pub restless: f64,
    /// Whether a garden is watered at dawn.
    pub garden: bool,
    /// Whether a softener rinses at night.
    pub softener: bool,
    /// Whether the meter is exchanged on a day.
    pub exchanged: Option<usize>,
    /// One reading in so many is misread; 0: none.
    pub glitch_one_in: usize,
    /// Whether there is a sub-meter, and a movement sensor.
    pub has: (bool, bool),
    /// Where it is.
    pub zone: Tz,
}

/// A rough home, its traits, and at most two leaks.
#[must_use]
pub fn home(seed: u64) -> (Case, Traits) {
    let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(17));
    let traits = traits(&mut dice);
    let leaks = leaks(&mut dice);
    let uses = uses(&traits, &mut dice);
    let case = Case {
        name: format!("rough {seed}"),
        zone: traits.zone,
        part: traits.has.0.then_some(Part {
            interval_ms: QUARTER_MS,
            rests: Rests::Learned,
        }),
        arrivals: arrivals(&traits, &leaks, &uses, &mut dice),
        span: (START_MS, START_MS + days(DAYS)),
        leaks,
    };
    (case, traits)
}

fn days(count: usize) -> i64 {
    i64::try_from(count).expect("days of a run") * DAY_MS
}

fn one<T: Copy>(of: &[T], dice: &mut Dice) -> T {
    of[dice.below(of.len())]
}

fn traits(dice: &mut Dice) -> Traits {
    let zones = [
        Tz::UTC,
        Tz::Europe__Athens,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
    ];
    let interval_ms = QUARTER_MS * one(&[1, 1, 1, 2, 4, 4], dice);
    Traits {
        interval_ms,
        resolution: one(&[100, 1000, 1000, 1000, 10_000], dice),
        jitter_ms: one(&[0, 0, 60_000, 180_000, interval_ms / 3], dice),
        lost_one_in: one(&[0, 200, 50, 12], dice),
        silent_one_in: one(&[0, 60, 20], dice),
        backlog: dice.once_in(2),
        restless: if dice.once_in(12) {
            one(&[0.8, 2.0, 6.0, 20.0], dice)
        } else {
            0.0
        },
        garden: dice.once_in(4),
        softener: dice.once_in(4),
        exchanged: dice.once_in(6).then(|| 20 + dice.below(DAYS - 30)),
        glitch_one_in: one(&[0, 0, 3000], dice),
        has: (dice.once_in(2), dice.once_in(2)),
        zone: one(&zones, dice),
    }
}

fn leaks(dice: &mut Dice) -> Vec<Leaking> {
    let leak = |dice: &mut Dice| {
        let rate = one(&[0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 50.0, 500.0], dice);
        let place = one(&[Place::Main, Place::Branch], dice);
        let shape = one(
            &[
                Shape::Constant,
                Shape::Constant,
                Shape::Constant,
                Shape::Ramp,
                Shape::Flapper,
            ],
            dice,
        );
        let from_ms = START_MS + days(LEAK_FROM_DAY + dice.below(40)) + QUARTER_MS * quarter(dice);
        let length = if dice.once_in(3) {
            3 + dice.below(10)
        } else {
            100
        };
        Leaking {
            place,
            shape,
            rate,
            from_ms,
            until_ms: (from_ms + days(length)).min(START_MS + days(DAYS)),
        }
    };
    match dice.below(10) {
        0..5 => Vec::new(),
        5 => vec![Leaking {
            from_ms: START_MS,
            ..leak(dice)
        }],
        6 => vec![leak(dice), leak(dice)],
        _ => vec![leak(dice)],
    }
}

fn quarter(dice: &mut Dice) -> i64 {
    i64::try_from(dice.below(96)).expect("a quarter hour of a day")
}

/// Tenths of a litre by the quarter hour: all of it, and what went through the sub-meter.
fn uses(traits: &Traits, dice: &mut Dice) -> Vec<(i64, i64)> {
    let mut uses = plain::uses(DAYS, dice);
    let softens = 4 + dice.below(5);
    for day in 0..DAYS {
        let is_used = uses[day * 96..(day + 1) * 96]
            .iter()
            .any(|(tenths, _)| *tenths > 0);
        if traits.garden && (30..120).contains(&day) && dice.below(4) > 0 {
            for slot in 20..22 + dice.below(3) {
                uses[day * 96 + slot].0 += 1200;
            }
        }
        if traits.softener && is_used && day % softens == 0 {
            for slot in 8..14 {
                uses[day * 96 + slot].0 += 150;
            }
        }
    }
    uses
}

/// What passed until an instant, thousandths of a litre: all of it, and through the sub-meter.
struct Passed<'a> {
    sums: Vec<(i64, i64)>,
    leaks: &'a [Leaking],
    restless: f64,
}

impl Passed<'_> {
    fn until(&self, at_ms: i64) -> (i64, i64) {
        let since_ms = at_ms - START_MS;
        let slot = usize::try_from(since_ms.div_euclid(QUARTER_MS))
            .unwrap_or(0)
            .min(self.sums.len() - 2);
        let part_ms = since_ms - QUARTER_MS * i64::try_from(slot).expect("a slot of a run");
        let between =
            |from: i64, until: i64| from + (until - from) * part_ms.min(QUARTER_MS) / QUARTER_MS;
        let (from, until) = (self.sums[slot], self.sums[slot + 1]);
        let leaked = |is: fn(Place) -> bool| {
            let seen = self.leaks.iter().filter(|leak| is(leak.place));
            seen.map(|leak| leak.milli_until(at_ms)).sum::<f64>()
        };
        let always = self.restless / 3_600.0 * real(since_ms);
        (
            between(from.0, until.0) + whole(leaked(|_| true) + always),
            between(from.1, until.1) + whole(leaked(|place| place == Place::Branch)),
        )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "thousandths of a litre of a run"
)]
fn whole(milli: f64) -> i64 {
    milli.floor() as i64
}

fn arrivals(
    traits: &Traits,
    leaks: &[Leaking],
    uses: &[(i64, i64)],
    dice: &mut Dice,
) -> Vec<Arrival> {
    let mut sums = vec![(0, 0)];
    for (all, through) in uses {
        let (sum, behind) = sums[sums.len() - 1];
        sums.push((sum + all * 100, behind + through * 100));
    }
    let passed = Passed {
        sums,
        leaks,
        restless: traits.restless,
    };
    let mut sent = Sent {
        traits,
        silences: silences(traits, dice),
        arrivals: Vec::new(),
    };
    let begin = 100_000_000 + i64::try_from(dice.below(1_000_000)).expect("a million");
    let exchanged_ms = traits
        .exchanged
        .map_or(i64::MAX, |day| START_MS + days(day) + 11 * HOUR_MS);
    let end_ms = START_MS + days(DAYS);
    let mut at_ms = START_MS + traits.interval_ms;
    while at_ms <= end_ms {
        let off = i64::try_from(dice.below(1000)).expect("a thousand") * traits.jitter_ms / 1000;
        let read_ms = (at_ms - off).max(START_MS);
        let mut level = begin + passed.until(read_ms).0;
        if read_ms >= exchanged_ms {
            level -= begin + passed.until(exchanged_ms).0;
        }
        let level = level / traits.resolution * traits.resolution;
        let misread = traits.glitch_one_in > 0 && dice.once_in(traits.glitch_one_in);
        let shown = match (misread, dice.below(3)) {
            (false, _) => level,
            (true, 0) => 0,
            (true, 1) => level * 10,
            (true, _) => level - 7_000,
        };
        sent.send(METER, read_ms, real(shown) / 1000.0, dice);
        at_ms += traits.interval_ms;
    }
    if traits.has.0 {
        let mut told = 0;
        for slot in 1..=DAYS * 96 {
            let at_ms = START_MS + QUARTER_MS * i64::try_from(slot).expect("a slot");
            let behind = passed.until(at_ms).1 / 100 * 100;
            sent.send(PART, at_ms, real(behind - told) / 1000.0, dice);
            told = behind;
        }
    }
    if traits.has.1 {
        move_about(uses, &mut sent.arrivals, dice);
    }
    sent.arrivals.sort_by_key(|arrival| arrival.1);
    sent.arrivals
}

/// Who uses water has moved; nobody else does.
fn move_about(uses: &[(i64, i64)], arrivals: &mut Vec<Arrival>, dice: &mut Dice) {
    for (slot, (tenths, _)) in uses.iter().enumerate() {
        // A garden waters itself; a person is seen most times.
        if (1..1000).contains(tenths) && !dice.once_in(4) {
            let at_ms = START_MS + QUARTER_MS * i64::try_from(slot).expect("a slot") + 60_000;
            arrivals.push((MOVES, at_ms, at_ms, 1.0));
        }
    }
}

/// From when to when nothing is heard, and when what was held up comes, ms.
fn silences(traits: &Traits, dice: &mut Dice) -> Vec<(i64, i64, i64)> {
    let mut all = Vec::new();
    if traits.silent_one_in == 0 {
        return all;
    }
    for day in 1..DAYS - 6 {
        if dice.once_in(traits.silent_one_in) {
            let from_ms = START_MS + days(day) + QUARTER_MS * quarter(dice);
            let until_ms = from_ms + HOUR_MS * i64::try_from(1 + dice.below(60)).expect("hours");
            let later = HOUR_MS * i64::try_from(dice.below(60)).expect("hours");
            all.push((from_ms, until_ms, until_ms + later));
        }
    }
    all
}

struct Sent<'a> {
    traits: &'a Traits,
    silences: Vec<(i64, i64, i64)>,
    arrivals: Vec<Arrival>,
}

impl Sent<'_> {
    fn send(&mut self, sensor: usize, time_ms: i64, value: f64, dice: &mut Dice) {
        let silent = self
            .silences
            .iter()
            .find(|(from, until, _)| (*from..*until).contains(&time_ms));
        let at_ms = match silent {
            Some(_) if !self.traits.backlog => return,
            Some((_, _, comes_ms)) => *comes_ms,
            None => time_ms,
        };
        if self.traits.lost_one_in > 0 && dice.once_in(self.traits.lost_one_in) {
            return;
        }
        self.arrivals.push((sensor, at_ms, time_ms, value));
        if dice.once_in(300) {
            self.arrivals
                .push((sensor, at_ms + HOUR_MS, time_ms, value));
        }
    }
}
