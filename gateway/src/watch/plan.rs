//! Which sensors are watched, in which unit, and whose they are: decided by what is configured alone.
//!
//! It holds no readings and no houses.

use engine::Kind;
use engine::detect::{Counts, Known, Resource, Rests, milli};

use crate::config::SensorRule;

/// What a sensor is, as far as detectors care.
#[derive(Clone, Debug, PartialEq)]
pub struct What {
    /// What its values are.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Option<String>,
    /// How often it reports, ms, where that is configured.
    pub interval_ms: Option<i64>,
    /// Meters: the register rolls over at this value, in its unit.
    pub modulus: Option<f64>,
    /// Meters: the fastest plausible rise, in its unit an hour.
    pub max_rate: Option<f64>,
    /// Whether it ever stands still.
    pub rests: bool,
}

impl From<&SensorRule> for What {
    fn from(rule: &SensorRule) -> Self {
        Self {
            kind: rule.spec.kind,
            unit: rule.unit.clone(),
            interval_ms: rule.spec.interval_ms,
            modulus: rule.spec.modulus,
            max_rate: rule.spec.max_rate,
            rests: rule.rests,
        }
    }
}

/// Units that are known: what they measure, and how many litres or watt hours one is.
const UNITS: [(&str, Resource, f64); 18] = [
    ("L", Resource::Water, 1.0),
    ("l", Resource::Water, 1.0),
    ("litre", Resource::Water, 1.0),
    ("litres", Resource::Water, 1.0),
    ("mL", Resource::Water, 0.001),
    ("ml", Resource::Water, 0.001),
    ("m³", Resource::Water, 1000.0),
    ("m3", Resource::Water, 1000.0),
    ("gal", Resource::Water, 3.785_411_784),
    ("ft³", Resource::Water, 28.316_846_592),
    ("ft3", Resource::Water, 28.316_846_592),
    ("CCF", Resource::Water, 2_831.684_659_2),
    ("Wh", Resource::Energy, 1.0),
    ("kWh", Resource::Energy, 1000.0),
    ("MWh", Resource::Energy, 1_000_000.0),
    ("J", Resource::Energy, 1.0 / 3600.0),
    ("kJ", Resource::Energy, 1.0 / 3.6),
    ("MJ", Resource::Energy, 1000.0 / 3.6),
];

/// What a unit measures, and how many litres or watt hours one of it is; `None`: nothing that is watched.
#[must_use]
pub fn measure(unit: Option<&str>) -> Option<(Resource, f64)> {
    let (_, resource, factor) = UNITS.iter().find(|(name, _, _)| Some(*name) == unit)?;
    Some((*resource, *factor))
}

/// How a sensor takes part in a house.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) resource: Resource,
    /// Litres or watt hours in one of its unit.
    pub(super) factor: f64,
    pub(super) known: Known,
    pub(super) rests: Rests,
}

/// How a sensor takes part in a house; one without a unit has that of its meter. `None`: it cannot.
pub(super) fn part(what: &What, meter: Option<&What>) -> Option<Part> {
    let of_meter = meter.and_then(|meter| meter.unit.as_deref());
    let (resource, factor) = measure(what.unit.as_deref().or(of_meter))?;
    let counts = match what.kind {
        Kind::Meter => Counts::Register {
            modulus_milli: what.modulus.map(|modulus| milli(modulus * factor)),
            max_rate_milli: what.max_rate.map(|rate| milli(rate * factor)),
        },
        Kind::Delta => Counts::Delta,
        Kind::Gauge | Kind::Event => return None,
    };
    let rests = if what.rests {
        Rests::Learned
    } else {
        Rests::Never
    };
    Some(Part {
        resource,
        factor,
        known: Known {
            counts,
            interval_ms: None,
            resolution_milli: None,
        },
        rests,
    })
}

/// How the members of a balance take part, its meter first; `None`: it is no house.
pub(super) fn balance(members: &[&What]) -> Option<Vec<Part>> {
    let meter = *members.first()?;
    if meter.kind != Kind::Meter {
        return None;
    }
    let parts: Option<Vec<Part>> = members.iter().map(|what| part(what, Some(meter))).collect();
    let parts = parts?;
    let is_one = |of: &Part| of.resource == parts[0].resource;
    parts.iter().all(is_one).then_some(parts)
}

/// The home that a sensor's name is of: all up to its last slash.
pub(super) fn prefix(name: &str) -> &str {
    name.rfind('/').map_or("", |slash| &name[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(kind: Kind, unit: Option<&str>) -> What {
        What {
            kind,
            unit: unit.map(str::to_owned),
            interval_ms: None,
            modulus: None,
            max_rate: None,
            rests: true,
        }
    }

    #[test]
    fn a_balance_is_a_house_where_all_its_sensors_measure_the_same() {
        let meter = what(Kind::Meter, Some("m³"));
        for (part, expected) in [
            (what(Kind::Delta, Some("L")), Some(vec![1000.0, 1.0])),
            (what(Kind::Delta, None), Some(vec![1000.0, 1000.0])),
            (what(Kind::Delta, Some("kWh")), None),
            (what(Kind::Gauge, Some("L")), None),
        ] {
            let factors = balance(&[&meter, &part]);
            let factors = factors.map(|parts| parts.iter().map(|p| p.factor).collect::<Vec<_>>());
            assert_eq!(factors, expected, "{part:?}");
        }
        let delta = what(Kind::Delta, Some("L"));
        assert_eq!(balance(&[&delta, &delta]), None, "a delta is no meter");
    }

    #[test]
    fn a_home_is_all_up_to_the_last_slash() {
        assert_eq!(prefix("h0001/W1"), "h0001");
        assert_eq!(prefix("W1"), "");
        assert_eq!(prefix("a/b/W1"), "a/b");
    }
}
