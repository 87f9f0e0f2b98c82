//! Every parameter of every detector: its name in TOML, how it is written, what is allowed, what it means, and
//! where the engine holds it. The documentation's tables are made of these, and so are the parsers.
//!
//! The ranges keep out what the engine cannot hold, or what makes no sense of any meter; what makes none of
//! two parameters together is `check`'s.

use engine::detect::Parameters;
use engine::detect::parameters::Shift;

use super::form::{At, Form, Slot};

/// A parameter.
pub(super) struct Row {
    /// The key.
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) at: At,
    /// What it means, as a phrase.
    pub(super) meaning: &'static str,
}

impl PartialEq for Row {
    /// A row is its place in the table.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn one(
    name: &'static str,
    form: Form,
    at: fn(&mut Parameters) -> Slot<'_>,
    meaning: &'static str,
) -> Row {
    Row {
        name,
        form,
        at: At::One(at),
        meaning,
    }
}

const fn series(
    name: &'static str,
    form: Form,
    at: fn(&mut Shift) -> Slot<'_>,
    meaning: &'static str,
) -> Row {
    Row {
        name,
        form,
        at: At::Series(at),
        meaning,
    }
}

/// A share that may be all, and is never nothing.
const fn share() -> Form {
    Form::Number("share", 0.01..=1.0)
}

/// A share of which something is left.
const fn part() -> Form {
    Form::Number("share", 0.01..=0.99)
}

const fn ratio() -> Form {
    Form::Number("ratio", 1.0..=100.0)
}

const fn flow() -> Form {
    Form::Number("L/h", 0.01..=100_000.0)
}

const fn days(most: usize) -> Form {
    Form::Count("days", 1..=most)
}

/// PERSIST and what it says besides leaks.
pub(super) static PERSIST: [Row; 24] = [
    Row {
        name: "day_rules",
        form: Form::Days(8),
        at: At::Days(|p| &mut p.persist.day_rules),
        meaning: "a leak where so many valid noon-days in a row had a ceiling above this, L/h; with a quantile the \
                  threshold is at least that of the home's own ceilings",
    },
    Row {
        name: "hour_rules",
        form: Form::Hours(7),
        at: At::Hours(|p| &mut p.persist.hour_rules),
        meaning: "a leak where every hour within so many had a ceiling above this, L/h",
    },
    Row {
        name: "high_flow",
        form: Form::Hours(2),
        at: At::Hours(|p| &mut p.persist.high_flow),
        meaning: "a notice of high flow where every quarter hour within so many hours had a ceiling above this, L/h",
    },
    one(
        "window",
        Form::Duration("15m"..="12h"),
        |p| Slot::Long(&mut p.persist.window_ms),
        "the shortest window whose flow is a day's ceiling",
    ),
    one(
        "base_days",
        days(60),
        |p| Slot::Size(&mut p.persist.base_days),
        "how many of the home's own ceilings a quantile is taken of, at most",
    ),
    one(
        "lag_days",
        Form::Count("days", 0..=28),
        |p| Slot::Short(&mut p.persist.lag_days),
        "the days just before a run that are left out of its quantile",
    ),
    one(
        "base_least",
        days(60),
        |p| Slot::Size(&mut p.persist.base_least),
        "without so many ceilings no rule with a quantile is raised",
    ),
    one(
        "coverage_register",
        share(),
        |p| Slot::Real(&mut p.persist.coverage_register),
        "a register's noon-day is valid with this share of its readings",
    ),
    one(
        "coverage_delta",
        share(),
        |p| Slot::Real(&mut p.persist.coverage_delta),
        "a noon-day of a delta series or a remainder is valid with this share of its readings",
    ),
    one(
        "coverage_windows",
        share(),
        |p| Slot::Real(&mut p.persist.coverage_windows),
        "an hour rule needs this share of its windows",
    ),
    one(
        "part_error",
        Form::Share(0.0..=0.5),
        |p| Slot::Long(&mut p.persist.part_error_permille),
        "what sub-meters may be wrong by, as a share of their volume; added to a remainder's ceiling",
    ),
    one(
        "rejoin",
        Form::Duration("0ms"..="30d"),
        |p| Slot::Long(&mut p.persist.rejoin_ms),
        "what comes back within this time is the same episode",
    ),
    one(
        "clear_share",
        part(),
        |p| Slot::Real(&mut p.persist.clear_share),
        "an hour rule is over below this share of its threshold",
    ),
    one(
        "restless_above",
        flow(),
        |p| Slot::Real(&mut p.persist.restless_above),
        "a noon-day is without rest where its ceiling lies above this",
    ),
    one(
        "restless_share",
        part(),
        |p| Slot::Real(&mut p.persist.restless_share),
        "a series never rests where more than this share of its first noon-days is without rest",
    ),
    one(
        "restless_days",
        // A quarter of it must be a day: so many with rest show that the series has begun to.
        Form::Count("days", 4..=60),
        |p| Slot::Short(&mut p.persist.restless_days),
        "how many noon-days those first ones are",
    ),
    one(
        "restless_factor",
        ratio(),
        |p| Slot::Real(&mut p.persist.restless_factor),
        "thresholds on a series that never rests are at least so many times its 95th percentile",
    ),
    one(
        "restless_waits_below",
        flow(),
        |p| Slot::Real(&mut p.persist.restless_waits_below),
        "hour rules below this wait, on such a series, until that percentile is known",
    ),
    one(
        "normal_factor",
        ratio(),
        |p| Slot::Real(&mut p.persist.normal_factor),
        "the answer \"this was normal\" multiplies the rule's threshold by this",
    ),
    one(
        "intermittent_below",
        part(),
        |p| Slot::Real(&mut p.persist.intermittent_below),
        "a leak whose least flow is under this share of its most is intermittent",
    ),
    one(
        "quiet",
        Form::Duration("30m"..="12h"),
        |p| Slot::Long(&mut p.persist.quiet_ms),
        "the shortest quiet stretch: its mean is the flow of an intermittent leak. Energy always takes 2h",
    ),
    one(
        "before_share",
        part(),
        |p| Slot::Real(&mut p.persist.before_share),
        "a window whose ceiling is under this share of the flow was before the leak",
    ),
    one(
        "interval_max",
        Form::Duration("15m"..="6h"),
        |p| Slot::Long(&mut p.persist.interval_max_ms),
        "a series that is read more seldom is not watched for rest",
    ),
    one(
        "critical_from",
        flow(),
        |p| Slot::Real(&mut p.persist.critical_from),
        "a leak from this flow on is critical",
    ),
];

/// BALANCE, DAILY and the base load.
pub(super) static SHIFT: [Row; 22] = [
    series(
        "reach_days",
        // With the base they fit into the days that the engine holds, 112.
        days(52),
        |s| Slot::Int(&mut s.reach_days),
        "a rise began at most so many days ago",
    ),
    series(
        "base_days",
        days(60),
        |s| Slot::Size(&mut s.base_days),
        "known days before it that it is held against, at most",
    ),
    series(
        "base_least",
        days(60),
        |s| Slot::Size(&mut s.base_least),
        "known days before it, at least",
    ),
    series(
        "floor",
        Form::Amount(0.001..=1_000_000.0),
        |s| Slot::Long(&mut s.floor_milli),
        "the least deviation that is believed",
    ),
    series(
        "floor_share",
        Form::Number("share", 0.0..=1.0),
        |s| Slot::Real(&mut s.floor_share),
        "the least deviation as a share of the median daily total; the larger of both counts",
    ),
    series(
        "least_shift",
        Form::Amount(0.001..=1_000_000.0),
        |s| Slot::Long(&mut s.least_shift_milli),
        "the least rise of the mean",
    ),
    series(
        "trim",
        Form::Number("share", 0.0..=0.45),
        |s| Slot::Real(&mut s.trim),
        "the share of a heavy base that is cut off at either end of its mean",
    ),
    series(
        "light_tail",
        Form::Number("ratio", 0.1..=100.0),
        |s| Slot::Real(&mut s.light_tail),
        "noise is light up to this ratio of its upper tail to a normal one's",
    ),
    series(
        "light_reach",
        Form::Number("deviations", 0.1..=100.0),
        |s| Slot::Real(&mut s.light_reach),
        "and up to so many deviations from the median to the largest day",
    ),
    series(
        "light_least",
        days(60),
        |s| Slot::Size(&mut s.light_least),
        "and from so many known days on",
    ),
    series(
        "mild_tail",
        Form::Number("ratio", 0.1..=100.0),
        |s| Slot::Real(&mut s.mild_tail),
        "noise is mild up to this ratio of tails",
    ),
    series(
        "mild_reach",
        Form::Number("deviations", 0.1..=100.0),
        |s| Slot::Real(&mut s.mild_reach),
        "and up to so many deviations; any other is heavy, and what is found in it is advice",
    ),
    series(
        "light_clip",
        Form::Number("deviations", 0.5..=100.0),
        |s| Slot::Real(&mut s.light.clip),
        "in light noise a day counts for at most so many deviations",
    ),
    series(
        "light_raise_at",
        Form::Number("evidence", 0.1..=1000.0),
        |s| Slot::Real(&mut s.light.raise_at),
        "in light noise so much evidence raises",
    ),
    series(
        "light_days",
        days(52),
        |s| Slot::Size(&mut s.light.days),
        "in light noise after so many days at the earliest",
    ),
    series(
        "light_base_error",
        Form::Number("ratio", 0.1..=10.0),
        |s| Slot::Real(&mut s.light.base_error),
        "in light noise the error of the base's mean is so many times that of a plain mean",
    ),
    series(
        "heavy_clip",
        Form::Number("deviations", 0.5..=100.0),
        |s| Slot::Real(&mut s.heavy.clip),
        "in mild and heavy noise a day counts for at most so many deviations",
    ),
    series(
        "heavy_raise_at",
        Form::Number("evidence", 0.1..=1000.0),
        |s| Slot::Real(&mut s.heavy.raise_at),
        "in mild and heavy noise so much evidence raises",
    ),
    series(
        "heavy_days",
        days(52),
        |s| Slot::Size(&mut s.heavy.days),
        "in mild and heavy noise after so many days at the earliest",
    ),
    series(
        "heavy_base_error",
        Form::Number("ratio", 0.1..=10.0),
        |s| Slot::Real(&mut s.heavy.base_error),
        "in mild and heavy noise the error of the base's mean is so many times that of a plain mean",
    ),
    series(
        "clear_share",
        Form::Number("share", 0.0..=0.99),
        |s| Slot::Real(&mut s.clear_share),
        "it is over when the mean of the last days is under that of before and this share of the rise",
    ),
    series(
        "clear_days",
        days(52),
        |s| Slot::Size(&mut s.clear_days),
        "how many last known days those are",
    ),
];

/// DAY-SHOCK.
pub(super) static DAY_SHOCK: [Row; 4] = [
    one(
        "times",
        Form::Number("ratio", 1.0..=100.0),
        |p| Slot::Real(&mut p.day_shock.times),
        "a day is out of proportion above so many times the largest of the last known days",
    ),
    one(
        "base_days",
        // One less than the days that the engine holds: the newest is the one that is judged.
        days(111),
        |p| Slot::Size(&mut p.day_shock.base_days),
        "how many last known days those are, at most",
    ),
    one(
        "base_least",
        days(111),
        |p| Slot::Size(&mut p.day_shock.base_least),
        "how many last known days those are, at least",
    ),
    one(
        "least",
        Form::Amount(0.001..=1_000_000.0),
        |p| Slot::Long(&mut p.day_shock.least_milli),
        "a day is never out of proportion below this",
    ),
];

/// SILENT.
pub(super) static SILENT: [Row; 2] = [
    one(
        "intervals",
        Form::Count("intervals", 1..=1000),
        |p| Slot::Long(&mut p.silent.intervals),
        "a sensor is silent without a reading for so many of its intervals",
    ),
    one(
        "learn_days",
        days(15),
        |p| Slot::Size(&mut p.silent.learn_days),
        "how many whole days an interval is learned of, at least, where none is configured",
    ),
];

/// AWAY.
pub(super) static AWAY: [Row; 4] = [
    one(
        "still",
        Form::Duration("1h"..="14d"),
        |p| Slot::Long(&mut p.away.still_ms),
        "nobody is home when nobody has moved for this long",
    ),
    one(
        "flow_hours",
        Form::Count("hours", 1..=36),
        |p| Slot::Short(&mut p.away.flow.hours),
        "water that runs then in every one of so many hours is a leak",
    ),
    one(
        "flow_above",
        flow(),
        |p| Slot::Real(&mut p.away.flow.above),
        "water runs in an hour whose ceiling lies above this",
    ),
    one(
        "alive",
        Form::Duration("1h"..="14d"),
        |p| Slot::Long(&mut p.away.alive_ms),
        "a sensor of movements that has said nothing for this long counts as dead, and nobody as away",
    ),
];
