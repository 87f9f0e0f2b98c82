//! Rows from the readings that count; every row from scratch.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::calendar::{day_of, length_ms};
use super::exact::Exact;
use super::judge::Held;
use super::meter::{self, At};
use super::{Aggregate, Balance, DayRow, DiffKind, DiffRow, Kind, RestRow, Sensor, Site, split};

pub(super) fn days(site: &Site, held: &Held) -> Vec<DayRow> {
    let mut rows = Vec::new();
    for (name, sensor, readings) in sensors(site, held) {
        let mut days: BTreeMap<NaiveDate, Vec<f64>> = BTreeMap::new();
        for reading in readings {
            days.entry(reading.day).or_default().push(reading.value);
        }
        for (day, values) in days {
            rows.push(day_row(site, name, &sensor, day, &values));
        }
    }
    rows
}

/// `values` in order of event time, at least one.
fn day_row(site: &Site, name: &str, sensor: &Sensor, day: NaiveDate, values: &[f64]) -> DayRow {
    let mut sum = Exact::default();
    for &value in values {
        sum.add(value);
    }
    let count = u32::try_from(values.len()).expect("a day has fewer than 2^32 milliseconds");
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let first = values[0];
    let last = values[values.len() - 1];
    let expected = sensor
        .interval_ms
        .map(|interval| expected(length_ms(site.zone, day), interval));
    DayRow {
        sensor: name.to_owned(),
        day,
        aggregate: sensor.aggregate,
        value: match sensor.aggregate {
            Aggregate::Mean => sum.divided_by(count),
            Aggregate::Sum => sum.total(),
            Aggregate::Max => max,
            Aggregate::Min => min,
            Aggregate::Last => last,
            Aggregate::Count => f64::from(count),
        },
        count,
        expected,
        coverage: expected.map(|expected| (f64::from(count) / f64::from(expected)).min(1.0)),
        min,
        max,
        first,
        last,
    }
}

/// The whole number of intervals nearest to the day's length, at least one.
fn expected(length_ms: i64, interval_ms: i64) -> u32 {
    let nearest = (2 * length_ms + interval_ms) / (2 * interval_ms);
    u32::try_from(nearest.max(1)).expect("a day has fewer than 2^32 milliseconds")
}

pub(super) fn diffs(site: &Site, held: &Held) -> Vec<DiffRow> {
    let mut rows = Vec::new();
    for (name, sensor, readings) in sensors(site, held) {
        if sensor.kind != Kind::Meter {
            continue;
        }
        let with_readings: BTreeSet<NaiveDate> = readings.iter().map(|at| at.day).collect();
        let gathered = meter::walk(&sensor, &readings);
        for &day in &with_readings {
            if !day
                .pred_opt()
                .is_some_and(|eve| with_readings.contains(&eve))
            {
                continue;
            }
            let found = gathered.get(&day);
            rows.push(DiffRow {
                sensor: name.to_owned(),
                day,
                value: found.map_or(0.0, |found| found.increases.total()),
                kind: found.map_or(DiffKind::Normal, |found| found.kind),
            });
        }
    }
    rows
}

pub(super) fn rests(site: &Site, days: &[DayRow], diffs: &[DiffRow]) -> Vec<RestRow> {
    let mut rows = Vec::new();
    for diff in diffs {
        let (home, leaf) = split(&diff.sensor);
        for balance in site.balances.iter().filter(|balance| balance.meter == leaf) {
            rows.push(rest_row(site, home, balance, diff, days, diffs));
        }
    }
    rows.sort_by(|a, b| (&a.balance, a.day).cmp(&(&b.balance, b.day)));
    rows
}

fn rest_row(
    site: &Site,
    home: &str,
    balance: &Balance,
    meter: &DiffRow,
    days: &[DayRow],
    diffs: &[DiffRow],
) -> RestRow {
    let mut value = Exact::default();
    let mut parts = Exact::default();
    let mut coverage = BTreeMap::new();
    value.add(meter.value);
    for leaf in &balance.parts {
        let name = format!("{home}{leaf}");
        let found = find(days, &name, meter.day, |row| (&row.sensor, row.day));
        coverage.insert(name.clone(), found.map_or(Some(0.0), |row| row.coverage));
        let is_meter = site
            .sensor(&name)
            .is_some_and(|part| part.kind == Kind::Meter);
        let part = if is_meter {
            find(diffs, &name, meter.day, |row| (&row.sensor, row.day)).map(|row| row.value)
        } else {
            found.map(|row| row.value)
        };
        parts.add(part.unwrap_or(0.0));
        value.subtract(part.unwrap_or(0.0));
    }
    RestRow {
        balance: format!("{home}{}", balance.name),
        meter_name: meter.sensor.clone(),
        day: meter.day,
        value: value.total(),
        meter: meter.value,
        parts: parts.total(),
        coverage,
    }
}

/// The row of a sensor and day; rows are in that order.
fn find<'a, R>(
    rows: &'a [R],
    sensor: &str,
    day: NaiveDate,
    key: impl Fn(&R) -> (&String, NaiveDate),
) -> Option<&'a R> {
    let place = rows.binary_search_by(|row| {
        let (name, of) = key(row);
        (name.as_str(), of).cmp(&(sensor, day))
    });
    place.ok().map(|index| &rows[index])
}

/// Each sensor by name, with its readings in order of time.
fn sensors<'a>(site: &Site, held: &'a Held) -> impl Iterator<Item = (&'a str, Sensor, Vec<At>)> {
    held.iter()
        .filter(|(_, readings)| !readings.is_empty())
        .map(|(name, readings)| {
            let sensor = site.sensor(name).expect("only described sensors are held");
            let at = |((time_ms, _), &value): (&(i64, String), &f64)| At {
                time_ms: *time_ms,
                day: day_of(site.zone, *time_ms, sensor.stamp),
                value,
            };
            (name.as_str(), sensor, readings.iter().map(at).collect())
        })
}
