//! What the configuration says of sensors, and of the balances between them.

use engine::SensorSpec;

use super::Glob;
use crate::source::Reason;

/// `[[sensor]]`: what the sensors that match a pattern measure.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorRule {
    /// Whose rule it is.
    pub name: Glob,
    /// What the engine must know.
    pub spec: SensorSpec,
    /// The unit of the values, scaled.
    pub unit: Option<String>,
    /// The least plausible value, scaled.
    pub min: Option<f64>,
    /// The greatest plausible value, scaled.
    pub max: Option<f64>,
    /// What a value as sent is multiplied by.
    pub scale: f64,
    /// What is added to it then.
    pub offset: f64,
    /// Whether the sensor stands still at times; `false`: detectors must not wait for it.
    pub rests: bool,
}

/// `[[balance]]`: meters, and the sensors that account for a part of what they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The balance's name, with the meter's wildcards.
    pub name: Glob,
    /// The meter.
    pub meter: Glob,
    /// Its parts, with the meter's wildcards.
    pub parts: Vec<Glob>,
}

/// A balance between named sensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcreteBalance {
    /// The balance's name.
    pub name: String,
    /// The meter's name.
    pub meter: String,
    /// The parts' names, in the order of the configuration.
    pub parts: Vec<String>,
}

impl SensorRule {
    /// A value as sent, in the sensor's unit.
    ///
    /// # Errors
    /// The reason for a dead letter where it is not within the sensor's range.
    pub fn scaled(&self, sent: f64) -> Result<f64, Reason> {
        let value = sent * self.scale + self.offset;
        if !value.is_finite() {
            return Err(Reason::NonFinite);
        }
        match (self.min, self.max) {
            (Some(min), _) if value < min => Err(Reason::RangeMin { value, min }),
            (_, Some(max)) if value > max => Err(Reason::RangeMax { value, max }),
            (Some(_) | None, Some(_) | None) => Ok(value),
        }
    }
}

impl Balance {
    /// The balances of this pattern that a sensor belongs to.
    pub(super) fn touching(&self, sensor: &str) -> impl Iterator<Item = ConcreteBalance> {
        std::iter::once(&self.meter)
            .chain(&self.parts)
            .filter_map(|pattern| pattern.captures(sensor))
            .map(|captures| ConcreteBalance {
                name: self.name.fill(&captures),
                meter: self.meter.fill(&captures),
                parts: self.parts.iter().map(|part| part.fill(&captures)).collect(),
            })
    }
}
