//! The seed home, as the contract describes it; any number of them, by the prefix of their names.

use chrono_tz::Tz;

use super::{Balance, Kind, Sensor, Site, Stamp};

const QUARTER_MS: i64 = 15 * 60_000;
const DAY_MS: i64 = 24 * 3_600_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// The seed home in a zone (its own is UTC).
#[must_use]
pub fn seed_home(zone: Tz) -> Site {
    let sensor = |kind, interval_ms| Sensor {
        stamp: Stamp::End,
        interval_ms,
        ..Sensor::of_kind(kind)
    };
    let sensors = [
        ("TH*", sensor(Kind::Gauge, Some(QUARTER_MS))),
        ("HVAC*", sensor(Kind::Delta, Some(QUARTER_MS))),
        ("MiAC*", sensor(Kind::Delta, Some(QUARTER_MS))),
        ("W1", sensor(Kind::Delta, Some(QUARTER_MS))),
        ("Etot", sensor(Kind::Meter, Some(DAY_MS))),
        ("Wtot", sensor(Kind::Meter, Some(DAY_MS))),
        ("Mov1", sensor(Kind::Event, None)),
    ];
    let balance = |name: &str, meter: &str, parts: &[&str]| Balance {
        name: name.to_owned(),
        meter: meter.to_owned(),
        parts: parts.iter().map(|&part| part.to_owned()).collect(),
    };
    Site {
        zone,
        allowed_lateness_ms: WEEK_MS,
        sensors: sensors
            .map(|(name, sensor)| (name.to_owned(), sensor))
            .into(),
        balances: vec![
            balance("energy", "Etot", &["HVAC1", "HVAC2", "MiAC1", "MiAC2"]),
            balance("water", "Wtot", &["W1"]),
        ],
    }
}
