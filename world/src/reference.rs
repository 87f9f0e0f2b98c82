//! A second, naive reading of the semantics: what the rows must be, recomputed from nothing.
//!
//! The engine keeps its results up to date as readings arrive. This module does the opposite: it
//! judges the messages in their order of arrival, holds what counts in one sorted map, and computes
//! every row from that map with the plainest code that can be right. It is slow on purpose, shares
//! no line with the engine, and never learns anything from it.
//!
//! Arithmetic is exact: sums are integers a few thousand bits wide ([`exact`]), rounded to the
//! nearest f64 once, at the end.

pub mod calendar;
mod days;
pub mod exact;
mod judge;
mod meter;
mod seed;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Serialize;

pub use seed::seed_home;

/// What a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A state that holds at an instant, such as a temperature.
    Gauge,
    /// An amount since the last reading.
    Delta,
    /// A register that only rises.
    Meter,
    /// Something that happened.
    Event,
}

/// How the readings of a day become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Exact sum divided by the count, rounded once.
    Mean,
    /// Exact sum, rounded once.
    Sum,
    /// The greatest value.
    Max,
    /// The least value.
    Min,
    /// The value with the latest event time.
    Last,
    /// How many readings there are.
    Count,
}

/// Which day a reading at exactly midnight belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The value belongs to the interval that starts at its time: days are [00:00, 24:00).
    Start,
    /// The value belongs to the interval that ends at its time: days are (00:00, 24:00].
    End,
    /// The value holds at its time: days are [00:00, 24:00).
    Instant,
}

/// What becomes of a second value for an identity that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The later arrival wins.
    Replace,
    /// The first stays; the loser is a dead letter.
    Keep,
    /// Both count; the message id is part of the identity.
    Add,
}

/// How one sensor is to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensor {
    /// What it measures.
    pub kind: Kind,
    /// How its days are summarised.
    pub aggregate: Aggregate,
    /// Where its midnight reading goes.
    pub stamp: Stamp,
    /// Time between readings in milliseconds, where it is known.
    pub interval_ms: Option<i64>,
    /// What to do with contradicting readings.
    pub on_conflict: OnConflict,
    /// Meters: the value at which the register starts again from zero.
    pub modulus: Option<f64>,
    /// Meters: the greatest plausible rise, in the sensor's unit per hour.
    pub max_rate: Option<f64>,
    /// Readings below this are dead letters.
    pub min: Option<f64>,
    /// Readings above this are dead letters.
    pub max: Option<f64>,
}

impl Sensor {
    /// The defaults of a kind.
    #[must_use]
    pub fn of_kind(kind: Kind) -> Self {
        let (aggregate, stamp) = match kind {
            Kind::Gauge => (Aggregate::Mean, Stamp::Instant),
            Kind::Delta => (Aggregate::Sum, Stamp::End),
            Kind::Meter => (Aggregate::Max, Stamp::End),
            Kind::Event => (Aggregate::Sum, Stamp::Instant),
        };
        Self {
            kind,
            aggregate,
            stamp,
            interval_ms: None,
            on_conflict: OnConflict::Replace,
            modulus: None,
            max_rate: None,
            min: None,
            max: None,
        }
    }
}

/// A meter and the parts that it should be the sum of. The names are leaves: they are looked up
/// beside one another, so `energy` of `h0001/Etot` is `h0001/energy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Leaf of the balance's name.
    pub name: String,
    /// Leaf of its meter's name.
    pub meter: String,
    /// Leaves of its parts' names.
    pub parts: Vec<String>,
}

/// Everything the rows depend on besides the messages.
#[derive(Clone, Debug)]
pub struct Site {
    /// The zone whose calendar days count, and in which times without an offset are read.
    pub zone: Tz,
    /// How far behind its sensor's newest event time a reading may be and still count.
    pub allowed_lateness_ms: i64,
    /// Sensors by the leaf of their name (what follows the last `/`); a final `*` stands for any
    /// ending; the first match wins.
    pub sensors: Vec<(String, Sensor)>,
    /// The balances of every home.
    pub balances: Vec<Balance>,
}

impl Site {
    /// The description of a sensor, if there is one for this name.
    #[must_use]
    pub fn sensor(&self, name: &str) -> Option<Sensor> {
        let (_, leaf) = split(name);
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => leaf.starts_with(start),
            None => leaf == pattern,
        };
        let found = self.sensors.iter().find(|(pattern, _)| matches(pattern));
        found.map(|(_, sensor)| *sensor)
    }
}

/// One sensor's day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayRow {
    /// Full name of the sensor.
    pub sensor: String,
    /// Calendar day in the site's zone.
    #[serde(serialize_with = "as_text")]
    pub day: NaiveDate,
    /// How `value` came about.
    pub aggregate: Aggregate,
    /// The day's number, in the sensor's unit.
    pub value: f64,
    /// Readings held.
    pub count: u32,
    /// Readings expected, where the interval is known.
    pub expected: Option<u32>,
    /// Held of expected, at most 1.
    pub coverage: Option<f64>,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Value with the earliest event time.
    pub first: f64,
    /// Value with the latest event time.
    pub last: f64,
}

/// What was most notable in a meter's day; the later, the more notable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiffKind {
    /// Nothing.
    Normal,
    /// A reading was left out because its neighbours agree without it.
    Glitch,
    /// The register went through its modulus.
    Rollover,
    /// The register started again near zero.
    Reset,
    /// A reading was left out and nothing explains it.
    Suspect,
}

/// A meter's consumption of one day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiffRow {
    /// Full name of the meter.
    pub sensor: String,
    /// Calendar day in the site's zone.
    #[serde(serialize_with = "as_text")]
    pub day: NaiveDate,
    /// Consumption, in the meter's unit.
    pub value: f64,
    /// The most notable thing that touched the day.
    pub kind: DiffKind,
}

/// What a balance's meter counted and none of its parts did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RestRow {
    /// Full name of the balance.
    pub balance: String,
    /// Full name of its meter, which the shared vectors name the rows by.
    #[serde(skip)]
    pub meter_name: String,
    /// Calendar day in the site's zone.
    #[serde(serialize_with = "as_text")]
    pub day: NaiveDate,
    /// `meter` − `parts`, rounded once.
    pub value: f64,
    /// The meter's difference.
    pub meter: f64,
    /// Sum of the parts.
    pub parts: f64,
    /// Coverage of each part: none without an interval, 0 without readings.
    pub coverage: BTreeMap<String, Option<f64>>,
}

/// A reading that came too late to count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LateRow {
    /// Full name of the sensor.
    pub sensor: String,
    /// Event time, RFC 3339 in UTC.
    pub time: String,
    /// Its value.
    pub value: f64,
}

/// A message that could not become a reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Position of the message in the input, from 1.
    pub line: usize,
    /// What was wrong with it.
    pub reason: &'static str,
}

/// What became of the readings; `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// All of them; an undecodable message counts as one.
    pub received: u64,
    /// New identities.
    pub accepted: u64,
    /// Held identities with the value held.
    pub duplicate: u64,
    /// Held identities with another value that took its place.
    pub corrected: u64,
    /// Set aside.
    pub late: u64,
    /// Not readings.
    pub dead_letter: u64,
}

/// Every row the messages must give. Lists are ordered by name, then day; late rows and letters
/// by arrival.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// `AggDay`.
    pub days: Vec<DayRow>,
    /// `AggDayDiff`.
    pub diffs: Vec<DiffRow>,
    /// `AggDayRest`.
    pub rests: Vec<RestRow>,
    /// Readings set aside.
    pub late: Vec<LateRow>,
    /// Dead letters.
    pub letters: Vec<Letter>,
    /// What became of the readings.
    pub counters: Counters,
}

/// Computes every row from the messages' payloads in arrival order, one payload an item.
pub fn compute<'a>(site: &Site, messages: impl IntoIterator<Item = &'a str>) -> Results {
    let mut judged = judge::Judged::default();
    for (index, message) in messages.into_iter().enumerate() {
        judged.judge(site, index + 1, message);
    }
    let days = days::days(site, &judged.held);
    let diffs = days::diffs(site, &judged.held);
    let rests = days::rests(site, &days, &diffs);
    Results {
        days,
        diffs,
        rests,
        late: judged.late,
        letters: judged.letters,
        counters: judged.counters,
    }
}

/// A name's home (with its final `/`, or nothing) and leaf.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |slash| slash + 1))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn as_text<S: serde::Serializer>(day: &NaiveDate, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(day)
}
