//! What one section says of another: rules that no single value can break.

use engine::{Kind, OnConflict};

use super::raw::{Placed, Sheet};
use super::sensor::{Balance, SensorRule};
use super::validate::DAY_MS;
use super::{Broker, BrokerMode, Glob, Store, Time, Web};
use crate::source::{Format, Source, home};

/// Readings are kept for as long as a correction may still arrive for their day.
pub(super) fn retention(sheet: &Sheet<'_>, line: usize, store: &Store, time: &Time) {
    if store.retain_readings_ms < time.allowed_lateness_ms + 2 * DAY_MS {
        sheet.problem(
            line,
            "store.retain_readings",
            "is too short: late readings correct days that must still be there; write at least 2 days more than \
             time.allowed_lateness",
        );
    }
}

/// No two listeners want the same address.
pub(super) fn addresses(sheet: &Sheet<'_>, lines: [usize; 2], broker: &Broker, web: &Web) {
    let [broker_line, web_line] = lines;
    let mut taken = Vec::new();
    let brokers = broker.listeners().map(|at| (at, broker_line, "broker"));
    for (listen, line, key) in brokers.chain([(web.listen, web_line, "web.listen")]) {
        // Port 0 is any free port, each time another.
        if listen.port() != 0 && taken.contains(&listen) {
            let text = format!("{listen} is wanted by two listeners; write an address for each");
            sheet.problem(line, key, text);
        }
        taken.push(listen);
    }
}

/// Where several gateways part a site, a balance stays whole: its sensors are of one home.
pub(super) fn shards(sheet: &Sheet<'_>, broker: &Broker, balances: &[Placed<Balance>]) {
    let shard = match &broker.mode {
        BrokerMode::External(external) => external.shard,
        BrokerMode::Embedded => None,
    };
    if shard.is_none() {
        return;
    }
    for balance in balances {
        let Balance { meter, parts, .. } = &balance.value;
        let elsewhere = |part: &&Glob| home(part.as_str()) != home(meter.as_str());
        if let Some(part) = parts.iter().find(elsewhere) {
            let text = format!(
                "\"{part}\" may be kept by another gateway than \"{meter}\": broker.external.shard parts the \
                 sensors by what stands before the last / of their names; give both the same there"
            );
            sheet.problem(balance.line_of("parts"), "balance.parts", text);
        }
    }
}

/// Sources, sensors and balances fit each other.
pub(super) fn mapping(
    sheet: &Sheet<'_>,
    sources: &[Placed<Source>],
    sensors: &[Placed<SensorRule>],
    balances: &[Placed<Balance>],
) {
    if sources.is_empty() {
        sheet.warn(
            1,
            "source",
            "no [[source]]: the broker runs, but no reading is kept",
        );
    }
    unreachable_sensors(sheet, sensors);
    ids_to_add_by(sheet, sources, sensors);
    for (index, balance) in balances.iter().enumerate() {
        let earlier = balances[..index]
            .iter()
            .find(|earlier| earlier.value.name == balance.value.name);
        if let Some(earlier) = earlier {
            let text = format!(
                "\"{}\" is taken by the balance on line {}; write another name",
                balance.value.name,
                earlier.line_of("name")
            );
            sheet.problem(balance.line_of("name"), "balance.name", text);
        }
        known_sensors(sheet, balance, sensors);
    }
}

fn unreachable_sensors(sheet: &Sheet<'_>, sensors: &[Placed<SensorRule>]) {
    for (index, sensor) in sensors.iter().enumerate() {
        let name = &sensor.value.name;
        let covering = sensors[..index]
            .iter()
            .find(|earlier| earlier.value.name.covers(name));
        if let Some(earlier) = covering {
            let text = format!(
                "\"{name}\" is never reached: \"{}\" on line {} matches all of it; write the narrower pattern first",
                earlier.value.name,
                earlier.line_of("name")
            );
            sheet.problem(sensor.line_of("name"), "sensor.name", text);
        }
    }
}

/// Without an id a redelivery cannot be told from a second reading.
fn ids_to_add_by(sheet: &Sheet<'_>, sources: &[Placed<Source>], sensors: &[Placed<SensorRule>]) {
    let has_id = |source: &Placed<Source>| match &source.value.format {
        Format::Json(spec) => spec.id.is_some(),
        Format::Number | Format::Text => false,
    };
    let key = "sensor.on_conflict";
    for sensor in sensors {
        if sensor.value.spec.on_conflict != OnConflict::Add {
            continue;
        }
        let line = sensor.line_of("on_conflict");
        if !sources.iter().any(has_id) {
            let text = "\"add\" needs a [[source]] with id, or redeliveries would count twice; write id there, or \
                        \"replace\" or \"keep\" here";
            sheet.problem(line, key, text);
        } else if let Some(without) = sources.iter().find(|source| !has_id(source)) {
            let text = format!(
                "\"add\" cannot tell redeliveries of the [[source]] on line {}, which has no id",
                without.line_of("topic")
            );
            sheet.warn(line, key, text);
        }
    }
}

/// A balance needs a meter; patterns are tried with one of their names.
fn known_sensors(sheet: &Sheet<'_>, balance: &Placed<Balance>, sensors: &[Placed<SensorRule>]) {
    let Balance { meter, parts, .. } = &balance.value;
    let rule = |pattern: &Glob| {
        let name = pattern.sample();
        sensors
            .iter()
            .find(|sensor| sensor.value.name.matches(&name))
    };
    for (key, pattern) in
        std::iter::once(("meter", meter)).chain(parts.iter().map(|part| ("parts", part)))
    {
        if rule(pattern).is_none() {
            let text = format!("no [[sensor]] matches \"{pattern}\"");
            sheet.warn(balance.line_of(key), format!("balance.{key}"), text);
        }
    }
    if let Some(sensor) = rule(meter)
        && sensor.value.spec.kind != Kind::Meter
    {
        let text = format!(
            "\"{meter}\" is not a meter by the [[sensor]] on line {}; a balance needs kind = \"meter\"",
            sensor.line_of("kind")
        );
        sheet.problem(balance.line_of("meter"), "balance.meter", text);
    }
}
