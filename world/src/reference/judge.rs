//! From messages to the readings that count, in order of arrival.
//!
//! The only part of the reference in which arrival matters: which readings are late, and which of
//! two contradicting ones came later.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use chrono_tz::Tz;
use serde_json::Value;

use super::calendar::instant_of;
use super::{Counters, LateRow, Letter, OnConflict, Site};

/// Longest name of a sensor, in bytes.
const NAME_MAX: usize = 128;
/// 2000-01-01T00:00:00Z.
const EARLIEST_MS: i64 = 946_684_800_000;
/// 2100-01-01T00:00:00Z, itself refused.
const END_MS: i64 = 4_102_444_800_000;
/// Numbers from here on are milliseconds since 1970, smaller ones seconds.
const LEAST_EPOCH_MS: f64 = 1e11;

/// What tells one held reading of a sensor from another: event time in milliseconds UTC, and the
/// message id where the sensor adds contradicting readings (else nothing).
pub(super) type Identity = (i64, String);

/// The readings of each sensor that count, by identity.
pub(super) type Held = BTreeMap<String, BTreeMap<Identity, f64>>;

/// What became of the messages.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) held: Held,
    pub(super) late: Vec<LateRow>,
    pub(super) letters: Vec<Letter>,
    pub(super) counters: Counters,
}

struct Reading {
    name: String,
    time_ms: i64,
    value: f64,
    id: Option<String>,
}

impl Judged {
    pub(super) fn judge(&mut self, site: &Site, line: usize, message: &str) {
        self.counters.received += 1;
        if let Err(reason) = self.admit(site, message) {
            self.counters.dead_letter += 1;
            self.letters.push(Letter { line, reason });
        }
    }

    fn admit(&mut self, site: &Site, message: &str) -> Result<(), &'static str> {
        let reading = decode(site.zone, message)?;
        let sensor = site.sensor(&reading.name).ok_or("no such sensor")?;
        if sensor.min.is_some_and(|min| reading.value < min) {
            return Err("below min");
        }
        if sensor.max.is_some_and(|max| reading.value > max) {
            return Err("above max");
        }
        if !(EARLIEST_MS..END_MS).contains(&reading.time_ms) {
            return Err("outside 2000..2100");
        }
        let tie = match (sensor.on_conflict, reading.id) {
            (OnConflict::Add, Some(id)) => id,
            (OnConflict::Add, None) => return Err("no message id"),
            (OnConflict::Replace | OnConflict::Keep, _) => String::new(),
        };

        let held = self.held.entry(reading.name.clone()).or_default();
        // Corrections keep their identity's time, so the newest held is the newest accepted.
        let newest = held.last_key_value().map(|((time, _), _)| *time);
        if newest.is_some_and(|newest| newest - reading.time_ms > site.allowed_lateness_ms) {
            self.counters.late += 1;
            self.late.push(LateRow {
                sensor: reading.name,
                time: rfc3339(reading.time_ms),
                value: reading.value,
            });
            return Ok(());
        }

        let identity = (reading.time_ms, tie);
        match held.get(&identity) {
            None => {
                held.insert(identity, reading.value);
                self.counters.accepted += 1;
            }
            #[expect(clippy::float_cmp, reason = "the same value means the same number")]
            Some(&value) if value == reading.value => self.counters.duplicate += 1,
            Some(_) => match sensor.on_conflict {
                // A message id that returns with another value corrects its own reading.
                OnConflict::Replace | OnConflict::Add => {
                    held.insert(identity, reading.value);
                    self.counters.corrected += 1;
                }
                OnConflict::Keep => return Err("another value is held and kept"),
            },
        }
        Ok(())
    }
}

fn decode(zone: Tz, message: &str) -> Result<Reading, &'static str> {
    let json: Value = serde_json::from_str(message).map_err(|_| "not JSON")?;
    let name = json.get("name").and_then(Value::as_str).ok_or("no name")?;
    if name.is_empty() || name.len() > NAME_MAX || name.contains(['+', '#', '\0']) {
        return Err("not a name");
    }
    let value = json
        .get("value")
        .and_then(Value::as_f64)
        .ok_or("no value")?;
    if !value.is_finite() {
        return Err("not a finite value");
    }
    let time_ms = json
        .get("timestamp")
        .and_then(|time| epoch_ms(zone, time))
        .ok_or("no time")?;
    let id = match json.get("id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    Ok(Reading {
        name: name.to_owned(),
        time_ms,
        value: value + 0.0, // −0 is 0
        id,
    })
}

/// RFC 3339, a local time of the site, or a number of seconds or milliseconds since 1970.
fn epoch_ms(zone: Tz, time: &Value) -> Option<i64> {
    if let Some(number) = time.as_f64() {
        let ms = if number.abs() < LEAST_EPOCH_MS {
            number * 1000.0
        } else {
            number
        };
        // Text keeps what a cast would have to explain; what is no i64 is no time either.
        return format!("{ms:.0}").parse().ok();
    }
    let text = time.as_str()?;
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp_millis());
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|local| instant_of(zone, local))
}

fn rfc3339(time_ms: i64) -> String {
    DateTime::from_timestamp_millis(time_ms)
        .expect("times are within 2000..2100")
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
