//! What detectors are set to: plain types, with or without a configuration file.

use engine::Calendar;
use engine::detect::{Flag, Parameters};

use super::parameters::{self, Set};
use crate::config::{Config, Glob};

/// What a site's detectors are told besides readings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site's days.
    pub calendar: Calendar,
    /// Changes to the detectors, in order of precedence.
    pub rules: Vec<Rule>,
    /// What things cost.
    pub tariffs: Tariffs,
}

/// A detector of some subjects is set otherwise than by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The detector.
    pub kind: Kind,
    /// The sensors or balances that it is about; `None`: all.
    pub subject: Option<Glob>,
    /// `false` switches it off.
    pub enabled: bool,
    /// How long its claims hold before they are said, ms.
    pub dwell_ms: i64,
    /// What a device says, where `kind` is [`Kind::Flag`].
    pub flag: Option<Flag>,
    /// Parameters, each with its value.
    pub parameters: Vec<Set>,
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
            rules: Vec::new(),
            tariffs: Tariffs::default(),
        }
    }

    /// The rule of a detector about a subject: the first that matches.
    #[must_use]
    pub fn rule(&self, kind: Kind, subject: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| {
            let is_about = |glob: &Glob| glob.matches(subject);
            rule.kind == kind && rule.subject.as_ref().is_none_or(is_about)
        })
    }

    /// Whether a detector watches a subject.
    #[must_use]
    pub fn watches(&self, kind: Kind, subject: &str) -> bool {
        self.rule(kind, subject).is_none_or(|rule| rule.enabled)
    }

    /// The parameters of a house: of each detector the first rule that matches the first of these names
    /// that any rule matches. A house has one set of them.
    #[must_use]
    pub fn parameters<'n>(
        &self,
        names: impl Iterator<Item = &'n str> + Clone,
        energy: bool,
    ) -> Parameters {
        let mut all = Parameters::default();
        for kind in Kind::ALL {
            let rule = names.clone().find_map(|name| self.rule(kind, name));
            for set in rule.into_iter().flat_map(|rule| &rule.parameters) {
                parameters::apply(kind, set, energy, &mut all);
            }
        }
        all
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            calendar: Calendar::new(config.site.timezone),
            rules: config.detectors.clone(),
            tariffs: Tariffs {
                water: config.alert.water_tariff,
                energy: config.alert.energy_tariff,
                currency: config.alert.currency.clone(),
            },
        }
    }
}
