//! What detectors are set to: plain types, with or without a configuration file.

use engine::Calendar;
use engine::detect::{Flag, Parameters};

pub use crate::config::DetectorKind as Kind;
use crate::config::{Config, Tuning};

/// What a site's detectors are told besides readings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site's days.
    pub calendar: Calendar,
    /// `[[detector]]`
    pub tuning: Tuning,
    /// What things cost.
    pub tariffs: Tariffs,
}

/// What a unit of a resource costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tariffs {
    /// Price of a cubic metre.
    pub water: Option<f64>,
    /// Price of a kilowatt hour.
    pub energy: Option<f64>,
    /// The currency of both.
    pub currency: String,
}

impl Settings {
    /// Every detector as it is by default.
    #[must_use]
    pub fn new(calendar: Calendar) -> Self {
        Self {
            calendar,
            tuning: Tuning::default(),
            tariffs: Tariffs::default(),
        }
    }

    /// Whether a detector watches a subject.
    #[must_use]
    pub fn watches(&self, kind: Kind, subject: &str) -> bool {
        self.tuning.is_enabled(kind.word(), subject)
    }

    /// Whether anything that looks at a house watches a series of this name.
    #[must_use]
    pub fn watches_at_all(&self, series: &str) -> bool {
        let mut kinds = Kind::OF_HOUSES.into_iter();
        kinds.any(|kind| self.watches(kind, series))
    }

    /// How long a detector's claims about a subject hold before they are said, ms.
    #[must_use]
    pub fn dwell_ms(&self, kind: Kind, subject: &str) -> i64 {
        self.tuning.dwell_ms(kind.word(), subject)
    }

    /// What a sensor's values say, where they are a device's own word.
    #[must_use]
    pub fn flag(&self, sensor: &str) -> Option<Flag> {
        let flag = self.tuning.flag_of(sensor);
        flag.filter(|_| self.watches(Kind::Flag, sensor))
    }

    /// The parameters of a house: those of its balance, or of its lone sensor.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Parameters {
        self.tuning.parameters(name)
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            calendar: Calendar::new(config.site.timezone),
            tuning: config.detectors.clone(),
            tariffs: Tariffs {
                water: config.alert.water_tariff,
                energy: config.alert.energy_tariff,
                currency: config.alert.currency.clone(),
            },
        }
    }
}
