//! The weather, and the temperature of a room, in hundredths of a degree Celsius.

use super::Draws;
use crate::draw::Purpose;

/// The mean of each month outdoors: a mild Mediterranean city.
const MONTHS: [i64; 12] = [
    980, 1020, 1230, 1580, 2040, 2510, 2790, 2780, 2390, 1920, 1500, 1150,
];
/// Nobody heats above this outdoors,
const WARM_ENOUGH: i64 = 1700;
/// or cools below this.
const COOL_ENOUGH: i64 = 2500;
/// How far the afternoon is above the mean, and the end of the night below it.
const SWING: i64 = 450;

/// The climate of a home and a day.
#[derive(Clone, Debug)]
pub(super) struct Climate {
    /// What its people like.
    comfort: i64,
    /// Today's mean outdoors; weather stays for days, so it follows yesterday's.
    mean: i64,
    deviation: i64,
    noise: [i64; 96],
}

/// Two thermometers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Temperatures {
    pub(super) indoors: i64,
    pub(super) outdoors: i64,
}

impl Climate {
    pub(super) fn new(seed: u64, home: u32) -> Self {
        let mut draws = Draws::new(seed, home, Purpose::Comfort, 0);
        Self {
            comfort: draws.around(1950, 2250),
            mean: 0,
            deviation: 0,
            noise: [0; 96],
        }
    }

    pub(super) fn begin_day(&mut self, calendar_day: i64, draws: &mut Draws) {
        let of_year = (calendar_day * 100).rem_euclid(36_525);
        // The middle of a month is its mean; in between lies a straight line.
        let place = (of_year * 12 - 18_262).rem_euclid(12 * 36_525);
        let (month, part) = (place / 36_525, place % 36_525);
        let mean = |month: i64| MONTHS[usize::try_from(month % 12).unwrap_or(0)];
        let usual = mean(month) + (mean(month + 1) - mean(month)) * part / 36_525;
        self.deviation = self.deviation * 7 / 10 + draws.around(-500, 500);
        self.mean = usual + self.deviation;
        self.noise = std::array::from_fn(|_| draws.within(-25, 25));
    }

    /// Coldest at five, warmest at three: two straight lines are near enough to the sun.
    fn outdoors(&self, slot: usize) -> i64 {
        let slot = i64::try_from(slot).expect("a quarter hour of a day");
        let since_coldest = (slot - 20).rem_euclid(96);
        let rise = if since_coldest < 40 {
            since_coldest * 100 / 40
        } else {
            (96 - since_coldest) * 100 / 56
        };
        self.mean - SWING + 2 * SWING * rise / 100
    }

    pub(super) fn quarter_hour(&self, slot: usize) -> Temperatures {
        let outdoors = self.outdoors(slot);
        Temperatures {
            // Walls and machines keep four fifths of the weather out.
            indoors: self.comfort + (outdoors - 1800) / 5 + self.noise[slot] / 2,
            outdoors: outdoors + self.noise[slot],
        }
    }

    /// By how much it is too cold, and too hot.
    pub(super) fn discomfort(&self, slot: usize) -> (i64, i64) {
        let outdoors = self.outdoors(slot);
        (
            (WARM_ENOUGH - outdoors).max(0),
            (outdoors - COOL_ENOUGH).max(0),
        )
    }
}
