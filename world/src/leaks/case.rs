//! What arrives from one home, and the truth about its leaks.

use chrono_tz::Tz;
use engine::detect::Rests;

/// One hour, ms.
pub const HOUR_MS: i64 = 3_600_000;
/// One day, ms.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// 2020-01-01T00:00:00Z: every run begins here, unless it says otherwise.
pub const START_MS: i64 = 1_577_836_800_000;

/// The meter's place among a home's sensors.
pub const METER: usize = 0;
/// The sub-meter's.
pub const PART: usize = 1;
/// The movement sensor's.
pub const MOVES: usize = 2;

/// A reading that arrives: sensor ([`METER`], [`PART`], [`MOVES`]), when (ms), event time (ms), value.
pub type Arrival = (usize, i64, i64, f64);

/// One home.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called where it is told of: enough to draw it again.
    pub name: String,
    /// Its days.
    pub zone: Tz,
    /// The delta sensor behind the meter; `None`: there is none.
    pub part: Option<Part>,
    /// What arrives, in that order.
    pub arrivals: Vec<Arrival>,
    /// When the run begins and ends, ms.
    pub span: (i64, i64),
    /// What leaks.
    pub leaks: Vec<Leaking>,
}

/// A delta sensor behind the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How often it reports, ms.
    pub interval_ms: i64,
    /// Whether it ever stands still.
    pub rests: Rests,
}

/// Where a leak is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Between the meter and the sub-meter: the meter alone sees it.
    Main,
    /// Behind the sub-meter: both do.
    Branch,
}

/// How a leak runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Always at its rate.
    Constant,
    /// From nothing at its start to its rate at its end.
    Ramp,
    /// For an hour in each three.
    Flapper,
}

/// A leak that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaking {
    /// Where.
    pub place: Place,
    /// How.
    pub shape: Shape,
    /// L/h.
    pub rate: f64,
    /// From when on, ms.
    pub from_ms: i64,
    /// Until when, ms.
    pub until_ms: i64,
}

impl Place {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Branch => "branch",
        }
    }
}

impl Shape {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Ramp => "ramp",
            Self::Flapper => "flapper",
        }
    }
}

impl Leaking {
    /// What ran out until then, mL.
    #[must_use]
    pub fn milli_until(&self, at_ms: i64) -> f64 {
        let ran_ms = at_ms.clamp(self.from_ms, self.until_ms) - self.from_ms;
        let rate = self.rate / 3_600.0;
        match self.shape {
            Shape::Constant => rate * real(ran_ms),
            Shape::Ramp => {
                let whole_ms = real(self.until_ms - self.from_ms);
                rate * real(ran_ms) * real(ran_ms) / (2.0 * whole_ms)
            }
            Shape::Flapper => {
                let (whole, rest) = (ran_ms / (3 * HOUR_MS), ran_ms % (3 * HOUR_MS));
                // Its hour lies elsewhere in each three.
                let begins = whole * 7 % 5 * HOUR_MS / 2;
                rate * real(whole * HOUR_MS + (rest - begins).clamp(0, HOUR_MS))
            }
        }
    }

    /// Whether it runs at an instant, or has within so long before it, ms.
    #[must_use]
    pub fn explains(&self, at_ms: i64, after_ms: i64) -> bool {
        (self.from_ms..self.until_ms + after_ms).contains(&at_ms)
    }
}

/// A time or a volume as a real number.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "times and volumes of a run lie far below 2^53"
)]
pub fn real(whole: i64) -> f64 {
    whole as f64
}

/// A count as a real number.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of a run")]
pub fn many(count: usize) -> f64 {
    count as f64
}

/// Hours in so many ms.
#[must_use]
pub fn hours(ms: i64) -> f64 {
    real(ms) / real(HOUR_MS)
}
