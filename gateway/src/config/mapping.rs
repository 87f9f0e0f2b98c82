//! The sections that make readings of messages: sources, sensors, balances.

use chrono_tz::Tz;
use engine::{Aggregate, Kind, OnConflict, SensorSpec, Stamp};

use super::raw::{Placed, Section};
use super::value::{choice, duration, flag, list, nonzero, number, parsed, positive, word, zone};
use super::{Balance, Glob, SensorRule};
use crate::source::json::{Pointer, Spec};
use crate::source::{Filter, Format, Naming, Source, Template, TimeFormat, TimeRule};

const KINDS: [(&str, Kind); 4] = [
    ("gauge", Kind::Gauge),
    ("delta", Kind::Delta),
    ("meter", Kind::Meter),
    ("event", Kind::Event),
];

const STAMPS: [(&str, Stamp); 3] = [
    ("start", Stamp::Start),
    ("end", Stamp::End),
    ("instant", Stamp::Instant),
];

const AGGREGATES: [(&str, Aggregate); 6] = [
    ("mean", Aggregate::Mean),
    ("sum", Aggregate::Sum),
    ("max", Aggregate::Max),
    ("min", Aggregate::Min),
    ("last", Aggregate::Last),
    ("count", Aggregate::Count),
];

const CONFLICTS: [(&str, OnConflict); 3] = [
    ("replace", OnConflict::Replace),
    ("keep", OnConflict::Keep),
    ("add", OnConflict::Add),
];

const NAMES: &str = "a name or a pattern such as \"*/W1\"";

/// The formats of payloads, as the file names them.
#[derive(Clone, Copy)]
enum Shape {
    Json,
    Number,
    Text,
}

/// The keys that only a document with pointers has a use for.
const JSON_KEYS: [&str; 5] = ["value", "time", "time_format", "time_zone", "id"];

pub(super) fn sources(sections: Vec<Section<'_, '_>>, site: Tz) -> Vec<Placed<Source>> {
    placed(sections, |section| source(section, site))
}

pub(super) fn sensors(sections: Vec<Section<'_, '_>>) -> Vec<Placed<SensorRule>> {
    placed(sections, sensor)
}

pub(super) fn balances(sections: Vec<Section<'_, '_>>) -> Vec<Placed<Balance>> {
    placed(sections, balance)
}

fn placed<'s, 'i, T>(
    sections: Vec<Section<'s, 'i>>,
    read: impl Fn(&mut Section<'s, 'i>) -> Option<T>,
) -> Vec<Placed<T>> {
    let read = |mut section: Section<'s, 'i>| {
        let value = read(&mut section)?;
        Some(section.place(value))
    };
    sections.into_iter().filter_map(read).collect()
}

fn source(source: &mut Section<'_, '_>, site: Tz) -> Option<Source> {
    let filters = "an MQTT topic filter such as \"sensors/#\"";
    let filter = source.need("topic", filters, parsed(Filter::new, filters));
    if filter.as_ref().is_some_and(Filter::is_reserved) {
        source.problem(
            "topic",
            "would read sluice/, homeassistant/ or a $ topic, which are for results; write a filter for devices' topics",
        );
    }
    let shapes = [
        ("json", Shape::Json),
        ("number", Shape::Number),
        ("text", Shape::Text),
    ];
    let shape = source.take("format", choice(&shapes));
    let sensor = source.take("sensor", word);
    let (naming, pointer) = naming(source, sensor.as_deref());
    let spec = json_spec(source, site, pointer.clone());
    let format = match shape {
        None if source.has("format") => return None,
        None | Some(Shape::Json) => {
            for key in ["time_format", "time_zone"] {
                if source.has(key) && !source.has("time") {
                    source.problem(
                        key,
                        "has no effect without time; write time = and a pointer, too",
                    );
                }
            }
            Format::Json(Box::new(spec))
        }
        Some(plain @ (Shape::Number | Shape::Text)) => {
            let unused = JSON_KEYS.into_iter().filter(|key| source.has(key));
            for key in unused.chain(pointer.map(|_| "sensor")) {
                source.problem(
                    key,
                    "needs format = \"json\": other payloads hold nothing but a value",
                );
            }
            match plain {
                Shape::Number => Format::Number,
                Shape::Text | Shape::Json => Format::Text,
            }
        }
    };
    Some(Source {
        filter: filter?,
        naming,
        format,
    })
}

fn naming(source: &Section<'_, '_>, sensor: Option<&str>) -> (Naming, Option<Pointer>) {
    let allowed =
        r#"a JSON pointer such as "/name", or topic levels such as "{2}/{3}", counted from 1"#;
    let refuse = |text: &str, error: &dyn std::fmt::Display| {
        source.problem("sensor", format!("{text:?} {error}; write {allowed}"));
        (Naming::LastLevel, None)
    };
    match sensor {
        None => (Naming::LastLevel, None),
        Some(text) if text.starts_with('/') => match Pointer::new(text) {
            Ok(pointer) => (Naming::LastLevel, Some(pointer)),
            Err(error) => refuse(text, &error),
        },
        Some(text) => match Template::new(text) {
            Ok(template) => (Naming::Levels(template), None),
            Err(error) => refuse(text, &error),
        },
    }
}

fn json_spec(source: &mut Section<'_, '_>, site: Tz, sensor: Option<Pointer>) -> Spec {
    let pointer = || parsed(Pointer::new, "a JSON pointer such as \"/value\"");
    let value = source.take("value", pointer());
    let time = source.take("time", pointer());
    let id = source.take("id", pointer());
    let formats = "strftime's, with date and time, such as \"%d.%m.%Y %H:%M\"";
    let format = source.take("time_format", parsed(TimeFormat::new, formats));
    let zone = source.take("time_zone", |value| match value.as_str() {
        Some("site") => Ok(site),
        _ => zone(value).map_err(|text| format!("{text}, or \"site\"")),
    });
    let rule = TimeRule {
        zone: zone.unwrap_or(site),
        format,
    };
    Spec {
        sensor,
        value: value.unwrap_or_else(|| Pointer::new("/value").expect("a constant pointer")),
        time: time.map(|pointer| (pointer, rule)),
        id,
    }
}

fn sensor(sensor: &mut Section<'_, '_>) -> Option<SensorRule> {
    let name = sensor.need("name", NAMES, parsed(Glob::new, NAMES));
    let kind = sensor.need("kind", "gauge, delta, meter or event", choice(&KINDS));
    // Where the kind is wrong, go on with the one that no other rule refuses.
    let of_kind = SensorSpec::of_kind(kind.unwrap_or(Kind::Meter));
    let spec = SensorSpec {
        kind: of_kind.kind,
        aggregate: sensor
            .take("aggregate", choice(&AGGREGATES))
            .unwrap_or(of_kind.aggregate),
        stamp: sensor
            .take("stamp", choice(&STAMPS))
            .unwrap_or(of_kind.stamp),
        interval_ms: sensor.take("interval", duration("1s"..="366d")),
        on_conflict: sensor
            .take("on_conflict", choice(&CONFLICTS))
            .unwrap_or(of_kind.on_conflict),
        modulus: sensor.take("modulus", positive),
        max_rate: sensor.take("max_rate", positive),
    };
    if of_kind.kind != Kind::Meter {
        for key in ["modulus", "max_rate"] {
            if sensor.has(key) {
                sensor.warn(key, "has no effect: it is for kind = \"meter\"");
            }
        }
    }
    let (min, max) = (sensor.take("min", number), sensor.take("max", number));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        sensor.problem(
            "min",
            format!("{min} is above max, {max}: no reading would count"),
        );
    }
    let unit = sensor.take("unit", word);
    let scale = sensor.take("scale", nonzero).unwrap_or(1.0);
    let offset = sensor.take("offset", number).unwrap_or(0.0);
    let rests = sensor.take("rests", flag).unwrap_or(true);
    Some(SensorRule {
        name: name?,
        spec,
        unit,
        min,
        max,
        scale,
        offset,
        rests,
    })
}

fn balance(balance: &mut Section<'_, '_>) -> Option<Balance> {
    let glob = || parsed(Glob::new, NAMES);
    let name = balance.need("name", NAMES, glob());
    let meter = balance.need("meter", NAMES, glob());
    let parts = balance.need("parts", "a list of names or patterns", list(glob()));
    let (name, meter, parts) = (name?, meter?, parts?);
    let captured = "write the same wildcards in the same order as in meter, so that each stands for the same text";
    for (key, pattern) in [("name", &name)]
        .into_iter()
        .chain(parts.iter().map(|part| ("parts", part)))
    {
        if !pattern.captures_like(&meter) {
            balance.problem(
                key,
                format!("\"{pattern}\" does not fit meter \"{meter}\"; {captured}"),
            );
        }
    }
    for (index, part) in parts.iter().enumerate() {
        if *part == meter {
            balance.problem(
                "parts",
                format!("\"{part}\" is the meter itself; write what it is made of"),
            );
        }
        if parts[..index].contains(part) {
            balance.problem("parts", format!("\"{part}\" is there twice; write it once"));
        }
    }
    Some(Balance { name, meter, parts })
}
