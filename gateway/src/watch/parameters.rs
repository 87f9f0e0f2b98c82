//! Every parameter of a detector by its name in the configuration: unit, range, meaning, default, and the place
//! that it sets. docs/DETECTORS.md is this table.

use engine::detect::Parameters;
use engine::detect::parameters::{Persist, Shift, Shock};

use super::settings::Kind;

/// A parameter with a value that lies in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Set {
    /// Its name; one of the detector's [`known`].
    pub name: &'static str,
    /// In the parameter's unit; a length of time in ms.
    pub value: f64,
}

/// In what a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A length of time, such as `"3h"`.
    Time,
    /// A whole number.
    Count,
    /// A number, in a unit.
    Number(&'static str),
}

/// What is to be known of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is written in.
    pub unit: Unit,
    /// The least and the greatest that is allowed; of a length of time in ms.
    pub range: (f64, f64),
    /// What it means.
    pub meaning: &'static str,
    /// Its place among all parameters.
    place: Place,
}

/// A parameter's place: out of all, and into it.
#[derive(Clone, Copy, Debug)]
enum Place {
    Persist(fn(&mut Persist) -> Slot<'_>),
    Shift(fn(&mut Shift) -> Slot<'_>),
    Shock(fn(&mut Shock) -> Slot<'_>),
    Any(fn(&mut Parameters) -> Slot<'_>),
}

/// A number where it is kept, and what one of it is in the parameter's unit.
enum Slot<'a> {
    Real(&'a mut f64),
    Days(&'a mut usize),
    Small(&'a mut u16),
    Signed(&'a mut i32),
    Whole(&'a mut i64),
    /// Thousandths of the unit.
    Milli(&'a mut i64),
    Quantile(&'a mut Option<f64>),
}

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;

const fn parameter(
    name: &'static str,
    unit: Unit,
    range: (f64, f64),
    meaning: &'static str,
    place: Place,
) -> Parameter {
    Parameter {
        name,
        unit,
        range,
        meaning,
        place,
    }
}

const LPH: Unit = Unit::Number("L/h");
const SHARE: Unit = Unit::Number("share");
const TIMES: Unit = Unit::Number("times");

/// Rules over days and over hours: their places are parts of their names.
macro_rules! day_rules {
    ($($days:literal, $above:literal, $quantile:literal, $at:literal;)*) => {
        [$(
            parameter($days, Unit::Count, (1.0, 60.0), "Day rule: so many valid noon-days in a row",
                Place::Persist(|p| Slot::Small(&mut p.day_rules[$at].days))),
            parameter($above, LPH, (0.01, 1e6), "whose least ceiling lies above this",
                Place::Persist(|p| Slot::Real(&mut p.day_rules[$at].above))),
            parameter($quantile, SHARE, (0.0, 1.0), "and above this quantile of the home's own; 0: none",
                Place::Persist(|p| Slot::Quantile(&mut p.day_rules[$at].quantile))),
        )*]
    };
}

macro_rules! hour_rules {
    ($($hours:literal, $above:literal, $at:literal;)*) => {
        [$(
            parameter($hours, Unit::Count, (1.0, 37.0), "Hour rule: in the last so many hours",
                Place::Persist(|p| Slot::Small(&mut p.hour_rules[$at].hours))),
            parameter($above, LPH, (0.01, 1e6), "every hour passed more than this",
                Place::Persist(|p| Slot::Real(&mut p.hour_rules[$at].above))),
        )*]
    };
}

static DAY_RULES: [Parameter; 24] = day_rules! {
    "day_1_days", "day_1_above", "day_1_quantile", 0;
    "day_2_days", "day_2_above", "day_2_quantile", 1;
    "day_3_days", "day_3_above", "day_3_quantile", 2;
    "day_4_days", "day_4_above", "day_4_quantile", 3;
    "day_5_days", "day_5_above", "day_5_quantile", 4;
    "day_6_days", "day_6_above", "day_6_quantile", 5;
    "day_7_days", "day_7_above", "day_7_quantile", 6;
    "day_8_days", "day_8_above", "day_8_quantile", 7;
};

static HOUR_RULES: [Parameter; 14] = hour_rules! {
    "hour_1_hours", "hour_1_above", 0;
    "hour_2_hours", "hour_2_above", 1;
    "hour_3_hours", "hour_3_above", 2;
    "hour_4_hours", "hour_4_above", 3;
    "hour_5_hours", "hour_5_above", 4;
    "hour_6_hours", "hour_6_above", 5;
    "hour_7_hours", "hour_7_above", 6;
};

macro_rules! persist {
    ($name:ident, $unit:expr, $range:expr, $meaning:literal, $slot:ident) => {
        parameter(
            stringify!($name),
            $unit,
            $range,
            $meaning,
            Place::Persist(|p| Slot::$slot(&mut p.$name)),
        )
    };
}

static PERSIST: [Parameter; 17] = [
    persist!(
        window_ms,
        Unit::Time,
        (HOUR_MS / 4.0, 12.0 * HOUR_MS),
        "The shortest window of a day's ceiling",
        Whole
    ),
    persist!(
        base_days,
        Unit::Count,
        (1.0, 60.0),
        "How many of the home's own ceilings a quantile is taken of, at most",
        Days
    ),
    persist!(
        lag_days,
        Unit::Count,
        (0.0, 30.0),
        "Ceilings of so many days before a run are left out of its quantile",
        Small
    ),
    persist!(
        base_least,
        Unit::Count,
        (1.0, 60.0),
        "Without so many ceilings there is no quantile",
        Days
    ),
    persist!(
        coverage_register,
        SHARE,
        (0.0, 1.0),
        "A register's noon-day is valid with this share of its boundaries",
        Real
    ),
    persist!(
        coverage_delta,
        SHARE,
        (0.0, 1.0),
        "A delta series' noon-day is valid with this share of its slots",
        Real
    ),
    persist!(
        coverage_windows,
        SHARE,
        (0.0, 1.0),
        "An hour rule needs this share of its windows",
        Real
    ),
    persist!(
        part_error_permille,
        Unit::Count,
        (0.0, 1000.0),
        "Added to a remainder's ceiling, thousandths of its parts' volume",
        Whole
    ),
    persist!(
        rejoin_ms,
        Unit::Time,
        (0.0, 30.0 * DAY_MS),
        "An episode that comes back within this time is the same one",
        Whole
    ),
    persist!(
        clear_share,
        SHARE,
        (0.05, 1.0),
        "An hour rule is over below this share of its θ",
        Real
    ),
    persist!(
        normal_factor,
        TIMES,
        (1.0, 10.0),
        "\"This was normal\" multiplies the rule's θ by this, for a year",
        Real
    ),
    persist!(
        intermittent_below,
        SHARE,
        (0.0, 1.0),
        "Below this ratio of the lower to the upper bound a leak is intermittent",
        Real
    ),
    persist!(
        quiet_ms,
        Unit::Time,
        (HOUR_MS, 12.0 * HOUR_MS),
        "What a quiet stretch is at least",
        Whole
    ),
    persist!(
        before_share,
        SHARE,
        (0.1, 1.0),
        "A window whose ceiling lies under this share of the flow was before the leak",
        Real
    ),
    persist!(
        interval_max_ms,
        Unit::Time,
        (HOUR_MS / 4.0, 12.0 * HOUR_MS),
        "Series that are read more seldom are not watched for rest",
        Whole
    ),
    persist!(
        critical_from,
        LPH,
        (0.1, 1e6),
        "A flow from here on is critical",
        Real
    ),
    persist!(
        restless_waits_below,
        LPH,
        (0.0, 1e6),
        "Hour rules with a lower θ wait on a series that never rests until its own ceilings are known",
        Real
    ),
];

static COMMISSIONING: [Parameter; 4] = [
    persist!(
        restless_above,
        LPH,
        (0.01, 1e4),
        "A series never rests where ceilings lie above this",
        Real
    ),
    persist!(
        restless_share,
        SHARE,
        (0.0, 1.0),
        "on more than this share",
        Real
    ),
    persist!(
        restless_days,
        Unit::Count,
        (4.0, 60.0),
        "of so many first noon-days",
        Small
    ),
    persist!(
        restless_factor,
        TIMES,
        (1.0, 10.0),
        "θ on a series that never rests is at least this often its 95th percentile",
        Real
    ),
];

static HIGH_FLOW: [Parameter; 4] = [
    parameter(
        "flow_1_hours",
        Unit::Count,
        (1.0, 36.0),
        "In the last so many hours",
        Place::Persist(|p| Slot::Small(&mut p.high_flow[0].hours)),
    ),
    parameter(
        "flow_1_above",
        LPH,
        (0.1, 1e6),
        "every quarter of an hour passed more than this",
        Place::Persist(|p| Slot::Real(&mut p.high_flow[0].above)),
    ),
    parameter(
        "flow_2_hours",
        Unit::Count,
        (1.0, 36.0),
        "The same, of a longer time",
        Place::Persist(|p| Slot::Small(&mut p.high_flow[1].hours)),
    ),
    parameter(
        "flow_2_above",
        LPH,
        (0.1, 1e6),
        "and a lower flow",
        Place::Persist(|p| Slot::Real(&mut p.high_flow[1].above)),
    ),
];

static AWAY: [Parameter; 4] = [
    parameter(
        "still_ms",
        Unit::Time,
        (HOUR_MS, 7.0 * DAY_MS),
        "Nobody moved for this long",
        Place::Any(|all| Slot::Whole(&mut all.away.still_ms)),
    ),
    parameter(
        "hours",
        Unit::Count,
        (1.0, 36.0),
        "and in the last so many hours",
        Place::Any(|all| Slot::Small(&mut all.away.flow.hours)),
    ),
    parameter(
        "above",
        LPH,
        (0.01, 1e6),
        "every hour passed more than this",
        Place::Any(|all| Slot::Real(&mut all.away.flow.above)),
    ),
    parameter(
        "alive_ms",
        Unit::Time,
        (HOUR_MS, 15.0 * DAY_MS),
        "Somebody moved at least once in this time, or the sensor counts as dead",
        Place::Any(|all| Slot::Whole(&mut all.away.alive_ms)),
    ),
];

macro_rules! shift {
    ($name:literal, $unit:expr, $range:expr, $meaning:literal, $slot:ident, $($field:tt)+) => {
        parameter($name, $unit, $range, $meaning, Place::Shift(|s| Slot::$slot(&mut s.$($field)+)))
    };
}

/// L or Wh a day; of a base load W.
const A_DAY: Unit = Unit::Number("L or Wh a day, W");

static SHIFT: [Parameter; 21] = [
    shift!(
        "reach_days",
        Unit::Count,
        (1.0, 60.0),
        "A rise began at most so many days ago",
        Signed,
        reach_days
    ),
    shift!(
        "base_days",
        Unit::Count,
        (7.0, 60.0),
        "Known days before it that are the base, at most",
        Days,
        base_days
    ),
    shift!(
        "base_least",
        Unit::Count,
        (3.0, 60.0),
        "and at least",
        Days,
        base_least
    ),
    shift!(
        "floor",
        A_DAY,
        (0.0, 1e6),
        "The least deviation that is believed",
        Milli,
        floor_milli
    ),
    shift!(
        "floor_share",
        SHARE,
        (0.0, 1.0),
        "and as a share of the median daily total",
        Real,
        floor_share
    ),
    shift!(
        "least_shift",
        A_DAY,
        (0.0, 1e7),
        "The least rise of the daily mean",
        Milli,
        least_shift_milli
    ),
    shift!(
        "trim",
        SHARE,
        (0.0, 0.45),
        "The share of a heavy base that is cut off at either end of its mean",
        Real,
        trim
    ),
    shift!(
        "light_tail",
        Unit::Number("ratio"),
        (0.0, 100.0),
        "Noise is light up to this ratio of its upper tail to a normal one's",
        Real,
        light_tail
    ),
    shift!(
        "light_reach",
        Unit::Number("deviations"),
        (0.0, 100.0),
        "up to so many deviations from the median to the maximum",
        Real,
        light_reach
    ),
    shift!(
        "light_least",
        Unit::Count,
        (3.0, 60.0),
        "and from so many known days on",
        Days,
        light_least
    ),
    shift!(
        "mild_tail",
        Unit::Number("ratio"),
        (0.0, 100.0),
        "Noise is mild up to this ratio of its upper tail to a normal one's",
        Real,
        mild_tail
    ),
    shift!(
        "mild_reach",
        Unit::Number("deviations"),
        (0.0, 100.0),
        "and up to so many deviations from the median to the maximum",
        Real,
        mild_reach
    ),
    shift!(
        "light_clip",
        Unit::Number("deviations"),
        (0.5, 100.0),
        "Light noise: a day counts for at most so many deviations",
        Real,
        light.clip
    ),
    shift!(
        "light_raise_at",
        Unit::Number("evidence"),
        (1.0, 1000.0),
        "Light noise: the evidence that raises",
        Real,
        light.raise_at
    ),
    shift!(
        "light_days",
        Unit::Count,
        (1.0, 30.0),
        "Light noise: days after the start, at least",
        Days,
        light.days
    ),
    shift!(
        "heavy_clip",
        Unit::Number("deviations"),
        (0.5, 100.0),
        "Other noise: a day counts for at most so many deviations",
        Real,
        heavy.clip
    ),
    shift!(
        "heavy_raise_at",
        Unit::Number("evidence"),
        (1.0, 1000.0),
        "Other noise: the evidence that raises",
        Real,
        heavy.raise_at
    ),
    shift!(
        "heavy_days",
        Unit::Count,
        (1.0, 30.0),
        "Other noise: days after the start, at least",
        Days,
        heavy.days
    ),
    shift!(
        "heavy_base_error",
        TIMES,
        (1.0, 10.0),
        "Other noise: how much the error of the base's mean exceeds that of a plain mean",
        Real,
        heavy.base_error
    ),
    shift!(
        "clear_share",
        SHARE,
        (0.0, 1.0),
        "It is over when the mean of the last days is under the base and this share of the rise",
        Real,
        clear_share
    ),
    shift!(
        "clear_days",
        Unit::Count,
        (1.0, 30.0),
        "How many last known days that is",
        Days,
        clear_days
    ),
];

static SHOCK: [Parameter; 4] = [
    parameter(
        "times",
        TIMES,
        (1.0, 100.0),
        "So many times the largest of the last known days",
        Place::Shock(|s| Slot::Real(&mut s.times)),
    ),
    parameter(
        "base_days",
        Unit::Count,
        (1.0, 111.0),
        "which are so many at most",
        Place::Shock(|s| Slot::Days(&mut s.base_days)),
    ),
    parameter(
        "base_least",
        Unit::Count,
        (1.0, 111.0),
        "and at least",
        Place::Shock(|s| Slot::Days(&mut s.base_least)),
    ),
    parameter(
        "least",
        Unit::Number("L or Wh"),
        (0.0, 1e9),
        "and never less than this",
        Place::Shock(|s| Slot::Milli(&mut s.least_milli)),
    ),
];

static SILENT: [Parameter; 2] = [
    parameter(
        "intervals",
        Unit::Count,
        (1.0, 1000.0),
        "Without a reading for so many of its intervals",
        Place::Any(|all| Slot::Whole(&mut all.silent.intervals)),
    ),
    parameter(
        "learn_days",
        Unit::Count,
        (1.0, 15.0),
        "How many days an interval is learned from, at least",
        Place::Any(|all| Slot::Days(&mut all.silent.learn_days)),
    ),
];

/// The parameters of a detector.
pub fn known(kind: Kind) -> impl Iterator<Item = &'static Parameter> {
    let (first, second, third): (&[Parameter], &[Parameter], &[Parameter]) = match kind {
        Kind::Persist => (&DAY_RULES, &HOUR_RULES, &PERSIST),
        Kind::Commissioning => (&COMMISSIONING, &[], &[]),
        Kind::HighFlow => (&HIGH_FLOW, &[], &[]),
        Kind::Away => (&AWAY, &[], &[]),
        Kind::Balance | Kind::Daily | Kind::BaseLoad => (&SHIFT, &[], &[]),
        Kind::DayShock => (&SHOCK, &[], &[]),
        Kind::Silent => (&SILENT, &[], &[]),
        Kind::Flag => (&[], &[], &[]),
    };
    first.iter().chain(second).chain(third)
}

/// Puts a value where it belongs. BALANCE and DAILY of energy share their parameters.
pub(super) fn apply(kind: Kind, set: &Set, energy: bool, all: &mut Parameters) {
    let Some(parameter) = known(kind).find(|known| known.name == set.name) else {
        return;
    };
    place(kind, parameter, energy, all).put(set.value);
}

/// What a parameter is by default, in its unit; of a length of time in ms.
#[must_use]
pub fn default(kind: Kind, parameter: &Parameter) -> f64 {
    place(kind, parameter, false, &mut Parameters::default()).value()
}

fn place<'a>(kind: Kind, parameter: &Parameter, energy: bool, all: &'a mut Parameters) -> Slot<'a> {
    match parameter.place {
        Place::Persist(slot) => slot(&mut all.persist),
        Place::Shock(slot) => slot(&mut all.day_shock),
        Place::Any(slot) => slot(all),
        Place::Shift(slot) => slot(match (kind, energy) {
            (Kind::BaseLoad, _) => &mut all.base_load,
            (Kind::Balance | Kind::Daily, true) => &mut all.energy,
            (Kind::Daily, false) => &mut all.daily,
            (
                Kind::Balance
                | Kind::Persist
                | Kind::Commissioning
                | Kind::HighFlow
                | Kind::Away
                | Kind::DayShock
                | Kind::Silent
                | Kind::Flag,
                _,
            ) => &mut all.balance,
        }),
    }
}

impl Slot<'_> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "every parameter's range fits its place, which a test holds"
    )]
    fn put(self, value: f64) {
        match self {
            Self::Real(slot) => *slot = value,
            Self::Days(slot) => *slot = value as usize,
            Self::Small(slot) => *slot = value as u16,
            Self::Signed(slot) => *slot = value as i32,
            Self::Whole(slot) => *slot = value as i64,
            Self::Milli(slot) => *slot = (value * 1000.0).round() as i64,
            Self::Quantile(slot) => *slot = (value > 0.0).then_some(value),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "defaults are small; lengths of time are days of milliseconds"
    )]
    fn value(&self) -> f64 {
        match self {
            Self::Real(slot) => **slot,
            Self::Days(slot) => **slot as f64,
            Self::Small(slot) => f64::from(**slot),
            Self::Signed(slot) => f64::from(**slot),
            Self::Whole(slot) => **slot as f64,
            Self::Milli(slot) => **slot as f64 / 1000.0,
            Self::Quantile(slot) => slot.unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length of time as the configuration spells it.
    fn time(ms: f64) -> String {
        for (unit, one) in [("d", DAY_MS), ("h", HOUR_MS), ("m", 60_000.0)] {
            if ms >= one && ms % one == 0.0 {
                return format!("\"{}{unit}\"", ms / one);
            }
        }
        format!("\"{ms}ms\"")
    }

    fn document() -> String {
        let mut text = String::from(
            "# What detectors are set to\n\n\
            `[[detector]]` changes a detector: `kind`, `subject` (a sensor's or a balance's name, or a pattern; all \
            without it), `enabled = false` switches it off, `dwell` has its claims hold so long before they are said, \
            and the parameters below. The first that matches counts, as with `[[sensor]]`. A house is a meter with its \
            parts, or a lone sensor: it has one set of parameters, of the first of its names (the balance's, the \
            meter's, the parts') that a `[[detector]]` matches. What is changed holds for what is evaluated from then \
            on.\n\n\
            Generated from the gateway's table; a test compares it.\n",
        );
        for kind in Kind::ALL {
            text.push_str(&format!("\n## `{}`\n", kind.word()));
            if kind == Kind::Flag {
                text.push_str(
                    "`subject` is a sensor whose values are a device's own word, `flag` which: `leak`, `burst`, \
                    `flood` or `dry`. Not 0 (JSON: `true`) is said at once, 0 (`false`) takes it back.\n",
                );
                continue;
            }
            text.push_str("| parameter | default | range | unit | meaning |\n| --- | --- | --- | --- | --- |\n");
            for parameter in known(kind) {
                let shown = |value: f64| match parameter.unit {
                    Unit::Time => time(value),
                    Unit::Count | Unit::Number(_) => {
                        format!("{}", (value * 1000.0).round() / 1000.0)
                    }
                };
                let unit = match parameter.unit {
                    Unit::Time => "duration",
                    Unit::Count => "whole number",
                    Unit::Number(unit) => unit,
                };
                let (low, high) = parameter.range;
                text.push_str(&format!(
                    "| `{}` | {} | {} to {} | {unit} | {} |\n",
                    parameter.name,
                    shown(default(kind, parameter)),
                    shown(low),
                    shown(high),
                    parameter.meaning
                ));
            }
        }
        text
    }

    #[test]
    fn every_parameter_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/DETECTORS.md");
        if std::env::var_os("SLUICE_BLESS").is_some() {
            std::fs::write(path, document()).expect("docs/DETECTORS.md is written");
        }
        let written = std::fs::read_to_string(path).expect("docs/DETECTORS.md is there");
        assert!(
            written == document(),
            "run with SLUICE_BLESS=1 to write docs/DETECTORS.md again"
        );
    }

    #[test]
    fn every_default_is_in_its_range_and_setting_it_changes_nothing() {
        for kind in Kind::ALL {
            for parameter in known(kind) {
                let value = default(kind, parameter);
                let (low, high) = parameter.range;
                assert!((low..=high).contains(&value), "{} {value}", parameter.name);
                let mut all = Parameters::default();
                let name = parameter.name;
                apply(kind, &Set { name, value }, false, &mut all);
                assert_eq!(all, Parameters::default(), "{name}");
                for value in [low, high] {
                    apply(kind, &Set { name, value }, false, &mut all);
                    let back = place(kind, parameter, false, &mut all).value();
                    assert!((back - value).abs() < 1e-3, "{name}: {value} became {back}");
                }
            }
        }
    }
}
