//! A home with a leak on its main: its configuration, and its readings in order.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::ops::Range;

pub(crate) const START: i64 = 1_780_272_000_000; // 2026-06-01T00:00:00Z
pub(crate) const QUARTER: i64 = 900_000;
pub(crate) const DAY: i64 = 96 * QUARTER;

pub(crate) const HOME: &str = r#"
    [site]
    timezone = "Europe/Athens"
    [time]
    clock = "event"
    [[source]]
    topic = "s/#"
    sensor = "/n"
    time = "/t"
    [[sensor]]
    name = "Wtot"
    kind = "meter"
    unit = "m³"
    [[sensor]]
    name = "W1"
    kind = "delta"
    unit = "L"
    interval = "15m"
    [[sensor]]
    name = "Flood"
    kind = "gauge"
    [[balance]]
    name = "water"
    meter = "Wtot"
    parts = ["W1"]
    [[detector]]
    kind = "flag"
    subject = "Flood"
    flag = "flood"
    [[detector]]
    kind = "persist"
    subject = "W*"
    dwell = "1h"
    [alert]
    water_tariff = 4.0
"#;

/// Sensor, event time, value.
pub(crate) type Reading = (&'static str, i64, String);

/// A home that rests at night, with 6 L/h on the main from a day on.
pub(crate) fn home(days: i64, leak_from: i64) -> Vec<Reading> {
    leaky(days, leak_from..days)
}

/// The same, with the leak in these days alone.
pub(crate) fn leaky(days: i64, leak: Range<i64>) -> Vec<Reading> {
    let (mut litres, mut all) = (100_000_i64, Vec::new());
    for slot in 1..=days * 96 {
        let at_ms = START + slot * QUARTER;
        let used = match slot % 96 {
            0..24 => 0,
            hour => (hour * 31 + slot * 17) % 7,
        };
        litres += used;
        let leaked = (slot.min(leak.end * 96) - leak.start * 96).max(0) * 3 / 2;
        let total = litres + leaked;
        all.push((
            "Wtot",
            at_ms,
            format!("{}.{:03}", total / 1000, total % 1000),
        ));
        all.push(("W1", at_ms, format!("{}", used.min(2))));
    }
    all
}
