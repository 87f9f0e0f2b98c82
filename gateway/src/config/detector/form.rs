//! How a parameter is written in TOML, and where it goes: people write litres and durations, the engine holds
//! thousandths and milliseconds. It never says which parameters there are.

use std::ops::RangeInclusive;

use engine::detect::Parameters;
use engine::detect::parameters::{DayRule, HourRule, Shift};
use toml::de::{DeTable, DeValue};

use super::Kind;
use super::table::Row;
use crate::config::value::{count, duration, number, within};

/// Longer a rule's evidence is not held back: ceilings of so many days are kept with room to spare.
const LONGEST_DAYS: usize = 60;
/// Hour rules look back over the samples in memory, which reach a little further than this.
const LONGEST_HOURS: usize = 36;
/// The range of a rule's θ, L/h: from a drip every few seconds to more than a house connection passes.
const FLOWS: RangeInclusive<f64> = 0.01..=100_000.0;
/// A θ that nothing reaches: a rule that is there and never raised.
const UNREACHABLE: f64 = f64::INFINITY;
/// Thousandths in one.
const MILLI: f64 = 1000.0;
/// Milliseconds in the units of durations, the longest first.
const DURATIONS: [(&str, f64); 4] = [
    ("d", 86_400_000.0),
    ("h", 3_600_000.0),
    ("m", 60_000.0),
    ("s", 1000.0),
];

/// How a value is written, and what is allowed.
pub(super) enum Form {
    /// A number in this unit; the engine's is the same.
    Number(&'static str, RangeInclusive<f64>),
    /// A number of which the engine holds thousandths: litres or watt hours.
    Amount(RangeInclusive<f64>),
    /// A share of which the engine holds thousandths.
    Share(RangeInclusive<f64>),
    /// A whole number of these.
    Count(&'static str, RangeInclusive<usize>),
    /// A duration; the engine holds milliseconds.
    Duration(RangeInclusive<&'static str>),
    /// Rules over days: at most so many.
    Days(usize),
    /// Rules over hours: at most so many.
    Hours(usize),
}

/// Where a parameter is.
pub(super) enum At {
    /// In one place.
    One(fn(&mut Parameters) -> Slot<'_>),
    /// In every daily series of the kind.
    Series(fn(&mut Shift) -> Slot<'_>),
    /// A list of rules over days.
    Days(fn(&mut Parameters) -> &mut [DayRule]),
    /// A list of rules over hours.
    Hours(fn(&mut Parameters) -> &mut [HourRule]),
}

/// A number of the engine's.
pub(super) enum Slot<'p> {
    Real(&'p mut f64),
    Short(&'p mut u16),
    Size(&'p mut usize),
    Int(&'p mut i32),
    Long(&'p mut i64),
}

/// What a parameter is changed to, as the engine holds it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Scalar(f64),
    Days(Vec<DayRule>),
    /// Hours and θ: the windows stay as they are.
    Hours(Vec<(u16, f64)>),
}

impl Form {
    /// What a value is counted in.
    pub(super) fn unit(&self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Number(unit, _) | Self::Count(unit, _), _) => unit,
            (Self::Share(_), _) => "share",
            (Self::Duration(_), _) => "duration",
            (Self::Days(_) | Self::Hours(_), _) => "rules",
            (Self::Amount(_), Kind::Daily) => "L",
            // Its values are means over an hour.
            (Self::Amount(_), Kind::BaseLoad) => "W",
            (
                Self::Amount(_),
                Kind::Balance
                | Kind::DayShock
                | Kind::Persist
                | Kind::Commissioning
                | Kind::HighFlow
                | Kind::Away
                | Kind::Silent
                | Kind::Flag,
            ) => "L or Wh",
        }
    }

    /// What the engine holds, as it is written in TOML: to three places, for people.
    pub(super) fn written(&self, held: f64) -> String {
        let scale = match self {
            Self::Amount(_) | Self::Share(_) => MILLI,
            Self::Number(..) | Self::Count(..) | Self::Days(_) | Self::Hours(_) => 1.0,
            Self::Duration(_) => {
                let whole = DURATIONS.into_iter().find(|(_, ms)| held % ms == 0.0);
                let (unit, ms) = whole.unwrap_or(("ms", 1.0));
                return format!("\"{}{unit}\"", held / ms);
            }
        };
        let three = format!("{:.3}", held / scale);
        three.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// The value, if it is allowed.
    pub(super) fn read(&self, value: &DeValue<'_>) -> Result<Change, String> {
        let scalar = match self {
            Self::Number(_, allowed) => within(allowed.clone())(value)?,
            Self::Amount(allowed) | Self::Share(allowed) => {
                (within(allowed.clone())(value)? * MILLI).round()
            }
            Self::Count(_, allowed) => {
                count(allowed.clone())(value)?;
                number(value)?
            }
            Self::Duration(allowed) => real(duration(allowed.clone())(value)?),
            Self::Days(most) => return day_rules(value, *most).map(Change::Days),
            Self::Hours(most) => return hour_rules(value, *most).map(Change::Hours),
        };
        Ok(Change::Scalar(scalar))
    }
}

impl Change {
    /// Writes it where its row says.
    pub(super) fn apply(&self, row: &Row, kind: Kind, parameters: &mut Parameters) {
        match (self, &row.at) {
            (Self::Scalar(value), At::One(at)) => at(parameters).write(*value),
            (Self::Scalar(value), At::Series(at)) => {
                for series in kind.shifts(parameters) {
                    at(series).write(*value);
                }
            }
            (Self::Days(rules), At::Days(at)) => put_days(at(parameters), rules),
            (Self::Hours(rules), At::Hours(at)) => put_hours(at(parameters), rules),
            (Self::Scalar(_), At::Days(_) | At::Hours(_))
            | (Self::Days(_), At::One(_) | At::Series(_) | At::Hours(_))
            | (Self::Hours(_), At::One(_) | At::Series(_) | At::Days(_)) => {
                unreachable!("a test writes every row of the table with its own form")
            }
        }
    }
}

impl Slot<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the form's range lies within the type's: a test writes both ends of each"
    )]
    fn write(self, value: f64) {
        match self {
            Self::Real(at) => *at = value,
            Self::Short(at) => *at = value as u16,
            Self::Size(at) => *at = value as usize,
            Self::Int(at) => *at = value as i32,
            Self::Long(at) => *at = value as i64,
        }
    }

    /// The number, as the engine holds it.
    #[expect(clippy::cast_precision_loss, reason = "all are far below 2^53")]
    pub(super) fn read(self) -> f64 {
        match self {
            Self::Real(at) => *at,
            Self::Short(at) => f64::from(*at),
            Self::Size(at) => *at as f64,
            Self::Int(at) => f64::from(*at),
            Self::Long(at) => *at as f64,
        }
    }
}

/// What is not named is out of reach.
fn put_days(places: &mut [DayRule], rules: &[DayRule]) {
    for place in &mut *places {
        *place = DayRule {
            days: 1,
            above: UNREACHABLE,
            quantile: None,
        };
    }
    for (place, rule) in places.iter_mut().zip(rules) {
        *place = *rule;
    }
}

/// What is not named is out of reach, and as long as the longest: the engine wants them in order.
fn put_hours(places: &mut [HourRule], rules: &[(u16, f64)]) {
    let longest = rules.last().map_or(1, |(hours, _)| *hours);
    let rest = std::iter::repeat((longest, UNREACHABLE));
    for (place, (hours, above)) in places.iter_mut().zip(rules.iter().copied().chain(rest)) {
        (place.hours, place.above) = (hours, above);
    }
}

fn day_rules(value: &DeValue<'_>, most: usize) -> Result<Vec<DayRule>, String> {
    let example = "{ days = 2, above = 1.5, quantile = 0.95 }";
    rules(
        value,
        most,
        &["days", "above", "quantile"],
        example,
        |rule| {
            Ok(DayRule {
                days: short(needed(rule, "days", count(1..=LONGEST_DAYS))?),
                above: needed(rule, "above", within(FLOWS))?,
                quantile: field(rule, "quantile", within(0.01..=1.0))?,
            })
        },
    )
}

/// Ascending in their hours, as the engine wants them.
fn hour_rules(value: &DeValue<'_>, most: usize) -> Result<Vec<(u16, f64)>, String> {
    let example = "{ hours = 3, above = 300.0 }";
    let mut rules = rules(value, most, &["hours", "above"], example, |rule| {
        let hours = needed(rule, "hours", count(1..=LONGEST_HOURS))?;
        Ok((short(hours), needed(rule, "above", within(FLOWS))?))
    })?;
    rules.sort_by_key(|(hours, _)| *hours);
    Ok(rules)
}

/// A list of tables with these keys, each valid.
fn rules<T>(
    value: &DeValue<'_>,
    most: usize,
    keys: &[&str],
    example: &str,
    read: impl Fn(&DeTable<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let wanted = format!("write a list of 1 to {most} rules such as [{example}]");
    let Some(array) = value.as_array() else {
        return Err(format!("is of type {}; {wanted}", value.type_str()));
    };
    if !(1..=most).contains(&array.len()) {
        return Err(format!("holds {} rules; {wanted}", array.len()));
    }
    let each = (1..).zip(array.iter()).map(|(place, item)| {
        let Some(rule) = item.get_ref().as_table() else {
            let found = item.get_ref().type_str();
            return Err(format!("rule {place} is of type {found}; write {example}"));
        };
        let unknown = rule.keys().map(|key| key.get_ref().as_ref());
        if let Some(key) = unknown.into_iter().find(|key| !keys.contains(key)) {
            let known = keys.join(", ");
            return Err(format!("rule {place} has {key:?}; known there: {known}"));
        }
        read(rule).map_err(|text| format!("rule {place}: {text}; write {example}"))
    });
    each.collect()
}

fn field<T>(
    rule: &DeTable<'_>,
    key: &str,
    parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let value = rule.get(key).map(|value| parse(value.get_ref()));
    value.transpose().map_err(|text| format!("{key} {text}"))
}

fn needed<T>(
    rule: &DeTable<'_>,
    key: &str,
    parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Result<T, String> {
    field(rule, key, parse)?.ok_or_else(|| format!("{key} is missing"))
}

fn short(count: usize) -> u16 {
    u16::try_from(count).expect("rules have at most 60 days and 36 hours")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "durations of years are far below 2^53 ms"
)]
fn real(ms: i64) -> f64 {
    ms as f64
}
