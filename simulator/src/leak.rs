//! Leaks: where, how much, from when to when; and how a command line says so.
//!
//! `main:5L/h@2020-01-20T03:00+10d` is five litres an hour on the main, from that moment (UTC), for
//! ten days. `,ramp` at the end lets it grow from nothing to that rate over its length, `,flapper` lets it
//! run for one hour in each three, as a toilet whose flap sticks now and then. What leaked until a moment is rounded once, from the leak's start: the parts that a
//! meter sees always add up to the whole.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDateTime;

use crate::DAY_MS;
use crate::draw::{Purpose, Stream};
use crate::sensor::Sensor;

/// The largest rate: litres an hour, or watts.
const RATE_MAX: f64 = 100_000.0;
/// The finest rate.
const RATE_MIN: f64 = 0.001;
/// The longest leak, in days.
const DAYS_MAX: i64 = 36_525;

/// Something that runs when it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Where it is, and so which meters see it.
    pub place: Place,
    /// How much: thousandths of a litre an hour, or of a watt.
    pub rate_thousandths: i64,
    /// When it starts, ms UTC.
    pub from_ms: i64,
    /// When it ends, ms UTC.
    pub until_ms: i64,
    /// The one home that has it, from 0; `None`: all of them.
    pub home: Option<u32>,
    /// How it runs.
    pub shape: Shape,
}

/// How a leak runs from its start to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Always at its rate.
    #[default]
    Constant,
    /// From nothing at its start to its rate at its end.
    Ramp,
    /// At its rate for [`FLAPPER_RUNS_MS`] in each [`FLAPPER_EVERY_MS`], at a time that chance picks.
    Flapper,
}

/// A flapper leaks once in so many ms,
pub const FLAPPER_EVERY_MS: i64 = 3 * 3_600_000;
/// for so many.
pub const FLAPPER_RUNS_MS: i64 = 3_600_000;

/// Where a leak is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Water on the main, before W1: Wtot alone sees it.
    Main,
    /// Water behind W1: W1 and Wtot see it.
    Branch,
    /// Energy that no part explains: Etot alone sees it.
    Base,
}

/// What is wrong with a leak's SPEC, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The parts are not there.
    #[error(
        "a leak reads PLACE:RATE@START+LENGTH, such as main:5L/h@2020-01-20T03:00+10d; `{0}` has no {1}"
    )]
    Shape(String, &'static str),
    /// The home before the place.
    #[error(
        "`{0}` is not a home: they are h0001, h0002 and so on (without one the leak is in every home)"
    )]
    Home(String),
    /// The place.
    #[error(
        "`{0}` is not a place: main (seen by Wtot only), branch (by W1 and Wtot) or base (energy, by Etot)"
    )]
    Place(String),
    /// The rate or its unit.
    #[error(
        "`{given}` is not a rate for {place}: it takes {unit} from {RATE_MIN} to {RATE_MAX}, such as {example}"
    )]
    Rate {
        /// What stood there.
        given: String,
        /// The leak's place.
        place: Place,
        /// The unit that the place takes.
        unit: &'static str,
        /// A rate that would do.
        example: &'static str,
    },
    /// The start.
    #[error(
        "`{0}` is not a start: it is a time in UTC such as 2020-01-20T03:00 or 2020-01-20T03:00:00"
    )]
    Start(String),
    /// How it runs.
    #[error("`{0}` is not how a leak runs: it is ramp or flapper, or nothing where it is constant")]
    Runs(String),
    /// The length.
    #[error(
        "`{0}` is not a length: it is a whole number above 0 of m, h or d, such as 10d, at most {DAYS_MAX}d"
    )]
    Length(String),
}

impl Leak {
    /// What ran out until `ms`, in hundredths of a litre or of a watt hour.
    pub(crate) fn hundredths_until(&self, ms: i64) -> i64 {
        /// Thousandths of a unit-hour in ms, to hundredths: 3 600 000 ms × 10.
        const DIVISOR: i128 = 36_000_000;
        let elapsed = ms.clamp(self.from_ms, self.until_ms) - self.from_ms;
        let rate = i128::from(self.rate_thousandths);
        let exact = match self.shape {
            Shape::Constant => rate * i128::from(elapsed),
            Shape::Ramp => {
                let whole = i128::from(self.until_ms - self.from_ms);
                rate * i128::from(elapsed) * i128::from(elapsed) / (2 * whole)
            }
            Shape::Flapper => rate * i128::from(self.ran_ms(elapsed)),
        };
        i64::try_from((exact + DIVISOR / 2) / DIVISOR)
            .expect("the largest rate for the longest time is below 10^13 hundredths")
    }

    /// For how long a flapper has run after `elapsed` ms.
    fn ran_ms(&self, elapsed: i64) -> i64 {
        let (whole, rest) = (elapsed / FLAPPER_EVERY_MS, elapsed % FLAPPER_EVERY_MS);
        let chance = Stream::new(
            self.from_ms.unsigned_abs(),
            self.home.unwrap_or(0),
            Purpose::Flapper,
        );
        let begins = chance.within(whole.unsigned_abs(), 0, FLAPPER_EVERY_MS - FLAPPER_RUNS_MS);
        whole * FLAPPER_RUNS_MS + (rest - begins).clamp(0, FLAPPER_RUNS_MS)
    }

    /// Whether this home (from 0) has it.
    pub(crate) fn is_in(&self, home: u32) -> bool {
        self.home.is_none_or(|only| only == home)
    }

    /// The rate in litres an hour or watts.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "rates are at most 10^8 thousandths"
    )]
    pub fn rate(&self) -> f64 {
        self.rate_thousandths as f64 / 1000.0
    }
}

impl Place {
    /// Whether what leaks here shows on that sensor.
    #[must_use]
    pub fn is_seen_by(self, sensor: Sensor) -> bool {
        self.seen_by().contains(&sensor)
    }

    /// The sensors on which it shows.
    #[must_use]
    pub fn seen_by(self) -> &'static [Sensor] {
        match self {
            Self::Main => &[Sensor::Wtot],
            Self::Branch => &[Sensor::W1, Sensor::Wtot],
            Self::Base => &[Sensor::Etot],
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Main | Self::Branch => "L/h",
            Self::Base => "W",
        }
    }
}

impl Shape {
    /// Its word in a SPEC and in the truth.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Ramp => "ramp",
            Self::Flapper => "flapper",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Branch => "branch",
            Self::Base => "base",
        })
    }
}

impl FromStr for Leak {
    type Err = SpecError;

    /// Reads `[HOME/]PLACE:RATE@START+LENGTH[,ramp|,flapper]`.
    fn from_str(spec: &str) -> Result<Self, SpecError> {
        let lacks = |what| SpecError::Shape(spec.to_owned(), what);
        let (place, rest) = spec.split_once(':').ok_or_else(|| lacks("`:`"))?;
        let (rate, rest) = rest.split_once('@').ok_or_else(|| lacks("`@`"))?;
        let (start, length) = rest.split_once('+').ok_or_else(|| lacks("`+`"))?;
        let (home, place) = match place.split_once('/') {
            Some((home, place)) => (Some(parse_home(home)?), place),
            None => (None, place),
        };
        let place = match place {
            "main" => Place::Main,
            "branch" => Place::Branch,
            "base" => Place::Base,
            other => return Err(SpecError::Place(other.to_owned())),
        };
        let (length, shape) = match length.split_once(',') {
            None => (length, Shape::Constant),
            Some((length, "ramp")) => (length, Shape::Ramp),
            Some((length, "flapper")) => (length, Shape::Flapper),
            Some((_, other)) => return Err(SpecError::Runs(other.to_owned())),
        };
        let from_ms = parse_start(start)?;
        Ok(Self {
            place,
            rate_thousandths: parse_rate(place, rate)?,
            from_ms,
            until_ms: from_ms + parse_length(length)?,
            home,
            shape,
        })
    }
}

fn parse_home(given: &str) -> Result<u32, SpecError> {
    given
        .strip_prefix('h')
        .filter(|digits| digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u32>().ok())
        .and_then(|number| number.checked_sub(1))
        .ok_or_else(|| SpecError::Home(given.to_owned()))
}

fn parse_rate(place: Place, given: &str) -> Result<i64, SpecError> {
    given
        .strip_suffix(place.unit())
        .filter(|number| {
            number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
        .and_then(|number| number.parse::<f64>().ok())
        .filter(|rate| (RATE_MIN..=RATE_MAX).contains(rate))
        .map(thousandths)
        .ok_or_else(|| SpecError::Rate {
            given: given.to_owned(),
            place,
            unit: place.unit(),
            example: match place {
                Place::Main | Place::Branch => "5L/h",
                Place::Base => "40W",
            },
        })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a rate is between RATE_MIN and RATE_MAX here"
)]
fn thousandths(rate: f64) -> i64 {
    (rate * 1000.0).round() as i64
}

fn parse_start(given: &str) -> Result<i64, SpecError> {
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(given, format).ok())
        .map(|start| start.and_utc().timestamp_millis())
        .ok_or_else(|| SpecError::Start(given.to_owned()))
}

fn parse_length(given: &str) -> Result<i64, SpecError> {
    let refused = || SpecError::Length(given.to_owned());
    let unit_ms = match given.chars().last() {
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => DAY_MS,
        Some(_) | None => return Err(refused()),
    };
    given[..given.len() - 1]
        .parse::<u32>()
        .ok()
        .and_then(|count| i64::from(count).checked_mul(unit_ms))
        .filter(|ms| (1..=DAYS_MAX * DAY_MS).contains(ms))
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &str) -> Result<Leak, String> {
        spec.parse::<Leak>().map_err(|error| error.to_string())
    }

    #[test]
    fn the_contracts_examples_are_read() {
        let from_ms = 1_579_489_200_000;
        let until_ms = from_ms + 10 * DAY_MS;
        let leak = |place, rate_thousandths, home| Leak {
            place,
            rate_thousandths,
            from_ms,
            until_ms,
            home,
            shape: Shape::Constant,
        };
        let cases = [
            (
                "main:5L/h@2020-01-20T03:00+10d",
                leak(Place::Main, 5000, None),
            ),
            (
                "branch:0.25L/h@2020-01-20T03:00:00+240h",
                leak(Place::Branch, 250, None),
            ),
            (
                "h0002/base:40W@2020-01-20T03:00+10d",
                leak(Place::Base, 40_000, Some(1)),
            ),
        ];
        for (spec, expected) in cases {
            assert_eq!(parse(spec), Ok(expected), "{spec}");
        }
    }

    #[test]
    fn a_wrong_spec_is_told_what_is_allowed() {
        let cases = [
            ("5L/h", "has no `:`"),
            ("main:5L/h", "has no `@`"),
            ("main:5L/h@2020-01-20T03:00", "has no `+`"),
            (
                "roof:5L/h@2020-01-20T03:00+10d",
                "`roof` is not a place: main",
            ),
            ("h1/main:5L/h@2020-01-20T03:00+10d", "`h1` is not a home"),
            (
                "h0000/main:5L/h@2020-01-20T03:00+10d",
                "`h0000` is not a home",
            ),
            (
                "main:5W@2020-01-20T03:00+10d",
                "takes L/h from 0.001 to 100000, such as 5L/h",
            ),
            ("base:5L/h@2020-01-20T03:00+10d", "takes W from"),
            ("main:0L/h@2020-01-20T03:00+10d", "`0L/h` is not a rate"),
            ("main:infL/h@2020-01-20T03:00+10d", "is not a rate"),
            ("main:5L/h@2020-01-20+10d", "`2020-01-20` is not a start"),
            ("main:5L/h@2020-02-30T03:00+10d", "is not a start"),
            ("main:5L/h@2020-01-20T03:00+10", "`10` is not a length"),
            ("main:5L/h@2020-01-20T03:00+0d", "`0d` is not a length"),
            ("main:5L/h@2020-01-20T03:00+10é", "is not a length"),
            ("main:5L/h@2020-01-20T03:00+10d,drip", "`drip` is not how"),
            ("main:5L/h@2020-01-20T03:00+99999999d", "is not a length"),
        ];
        for (spec, expected) in cases {
            let message = parse(spec).expect_err(spec);
            assert!(message.contains(expected), "{spec}: {message}");
        }
    }

    #[test]
    fn the_parts_of_a_leak_add_up_to_the_whole() {
        let leak = parse("branch:0.125L/h@2020-01-20T03:07+3d").unwrap();
        let quarter = 15 * 60 * 1000;
        let parts: i64 = (0..400)
            .map(|tick| leak.from_ms - quarter + tick * quarter)
            .map(|ms| leak.hundredths_until(ms + quarter) - leak.hundredths_until(ms))
            .sum();
        assert_eq!(parts, 900, "0.125 L/h for 72 h");
    }

    #[test]
    fn a_ramp_loses_half_and_a_flapper_a_third_of_a_constant_leak() {
        let lost = |shape: &str| {
            let spec = format!("main:6L/h@2020-01-20T03:00+30d{shape}");
            let leak = parse(&spec).unwrap();
            leak.hundredths_until(leak.until_ms)
        };
        let constant = lost("");
        assert_eq!(constant, 6 * 24 * 30 * 100);
        assert_eq!(lost(",ramp"), constant / 2);
        assert_eq!(lost(",flapper"), constant / 3);
    }
}
