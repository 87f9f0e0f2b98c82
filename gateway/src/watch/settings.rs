//! What detectors are set to: plain types, with or without a configuration file.

use engine::Calendar;
use engine::detect::{Flag, Parameters};

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

/// The detectors, as the configuration names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The meter never rested.
    Persist,
    /// A series that never rests since it is known.
    Commissioning,
    /// More than a tap for an hour or two.
    HighFlow,
    /// Water runs and nobody is home.
    Away,
    /// The remainder of a balance rose.
    Balance,
    /// A daily total rose.
    Daily,
    /// The least power of the day rose.
    BaseLoad,
    /// One day was far above all others.
    DayShock,
    /// No readings.
    Silent,
    /// A device's own word.
    Flag,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Persist,
        Self::Commissioning,
        Self::HighFlow,
        Self::Away,
        Self::Balance,
        Self::Daily,
        Self::BaseLoad,
        Self::DayShock,
        Self::Silent,
        Self::Flag,
    ];

    /// Its word, in configurations and in ids of alerts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Persist => "persist",
            Self::Commissioning => "commissioning",
            Self::HighFlow => "high_flow",
            Self::Away => "away",
            Self::Balance => "balance",
            Self::Daily => "daily",
            Self::BaseLoad => "base_load",
            Self::DayShock => "day_shock",
            Self::Silent => "silent",
            Self::Flag => "flag",
        }
    }

    /// Those that look at a house; the others look at a sensor by itself.
    pub const OF_HOUSES: [Self; 8] = [
        Self::Persist,
        Self::Commissioning,
        Self::HighFlow,
        Self::Away,
        Self::Balance,
        Self::Daily,
        Self::BaseLoad,
        Self::DayShock,
    ];

    /// The detector of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
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
