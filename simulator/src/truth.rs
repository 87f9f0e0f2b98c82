//! What really happened: one line a leak and home.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::fleet;
use crate::leak::{Leak, Place, Shape};
use crate::scenario::Scenario;

/// A leak as it was in one home, cut to the run. As JSON it is one line of `sluice-sim truth`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// `h0001`; absent where there is a single home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// `main`, `branch` or `base`.
    pub leak: &'static str,
    /// Where a detector should put it: `main`, `W1` (behind it), or `base` for energy.
    pub location: &'static str,
    /// The sensors on which it shows, without the home.
    pub sensors: Vec<&'static str>,
    /// When it ran, RFC 3339 in UTC.
    pub start: String,
    /// When it stopped, or the run did.
    pub end: String,
    /// How it ran: `ramp` or `flapper`; absent where it was constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<&'static str>,
    /// Litres an hour, or watts: while a flapper runs, at the end of a ramp.
    pub rate: f64,
    /// `L/h` or `W`.
    pub unit: &'static str,
    /// What was lost in that time, for water.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub litres: Option<f64>,
    /// What was lost in that time, for energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watt_hours: Option<f64>,
}

/// The truth about every leak that overlaps the run, by home, then in the order given.
pub(crate) fn of(scenario: &Scenario) -> impl Iterator<Item = Truth> {
    (0..scenario.homes).flat_map(move |home| {
        scenario
            .leaks
            .iter()
            .filter(move |leak| leak.is_in(home))
            .filter_map(move |leak| in_home(scenario, leak, home))
    })
}

fn in_home(scenario: &Scenario, leak: &Leak, home: u32) -> Option<Truth> {
    let from_ms = leak.from_ms.max(scenario.start_ms());
    let until_ms = leak.until_ms.min(scenario.end_ms());
    if from_ms >= until_ms {
        return None;
    }
    let lost = hundredths(leak.hundredths_until(until_ms) - leak.hundredths_until(from_ms));
    let (name, location, unit, litres, watt_hours) = match leak.place {
        Place::Main => ("main", "main", "L/h", Some(lost), None),
        Place::Branch => ("branch", "W1", "L/h", Some(lost), None),
        Place::Base => ("base", "base", "W", None, Some(lost)),
    };
    Some(Truth {
        home: (scenario.homes > 1).then(|| fleet::prefix(home)),
        leak: name,
        location,
        sensors: leak
            .place
            .seen_by()
            .iter()
            .map(|sensor| sensor.name())
            .collect(),
        start: rfc3339(from_ms),
        end: rfc3339(until_ms),
        shape: (leak.shape != Shape::Constant).then(|| leak.shape.word()),
        rate: leak.rate(),
        unit,
        litres,
        watt_hours,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what leaks stays far below 2^53 hundredths"
)]
fn hundredths(count: i64) -> f64 {
    count as f64 / 100.0
}

fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .expect("a leak's times were parsed from calendar dates")
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}
