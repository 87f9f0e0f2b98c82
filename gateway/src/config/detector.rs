//! `[[detector]]`: what the detectors are set to, for each sensor and each balance.
//!
//! The detectors run by themselves with settings that were measured; a section changes some of that for the
//! subjects that it names. Of several sections that match, the first that names a thing decides it, and only
//! it: a later one still decides what the first leaves out. Nothing here knows a reading, nor what a
//! parameter does: which there are is in [`table`], how a value is written in [`form`].

mod check;
mod form;
#[cfg(test)]
mod page;
mod table;

use engine::detect::parameters::Shift;
use engine::detect::{Flag, Parameters};
use toml::de::DeValue;

use super::Glob;
use super::raw::{Placed, Section, Sheet};
use super::sensor::{Balance, SensorRule};
use super::value::{choice, duration, flag, parsed};
use form::Change;
use table::Row;

/// The kinds of alerts that a section can speak of, by their words.
const KINDS: [(&str, Kind); 10] = [
    ("persist", Kind::Persist),
    ("commissioning", Kind::Commissioning),
    ("high_flow", Kind::HighFlow),
    ("away", Kind::Away),
    ("balance", Kind::Balance),
    ("daily", Kind::Daily),
    ("base_load", Kind::BaseLoad),
    ("day_shock", Kind::DayShock),
    ("silent", Kind::Silent),
    ("flag", Kind::Flag),
];

const FLAGS: [(&str, Flag); 4] = [
    ("leak", Flag::Leak),
    ("burst", Flag::Burst),
    ("flood", Flag::Flood),
    ("dry", Flag::Dry),
];

/// The longest that an alert may be held back: a day's evidence comes once a day.
const LONGEST_DWELL: &str = "30d";

/// What the detectors are set to. Without a section: as they are by themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuning {
    /// The sections, in order of precedence.
    rules: Vec<Rule>,
}

/// One section.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    kind: Kind,
    /// The sensors or balances that it is about; `None`: all.
    subject: Option<Glob>,
    enabled: Option<bool>,
    dwell_ms: Option<i64>,
    flag: Option<Flag>,
    settings: Vec<Setting>,
}

/// A parameter, and what it is changed to.
#[derive(Clone, Debug, PartialEq)]
struct Setting {
    row: &'static Row,
    change: Change,
}

/// What an alert is about: the detectors, and what PERSIST says besides leaks.
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

impl Tuning {
    /// What the detectors of a sensor or a balance are set to: the defaults, changed by every section that
    /// matches its name. The first that names a parameter decides it.
    #[must_use]
    pub fn parameters(&self, subject: &str) -> Parameters {
        settled(self.matching(subject))
    }

    /// Whether alerts of a kind (`persist`, `commissioning`, `high_flow`, `away`, `balance`, `daily`,
    /// `base_load`, `day_shock`, `silent`, `flag`) are raised of a sensor or a balance. The first matching
    /// section with `enabled` decides; without one, and for other words, they are.
    #[must_use]
    pub fn is_enabled(&self, word: &str, subject: &str) -> bool {
        let mut rules = self.of(word, subject);
        rules.find_map(|rule| rule.enabled).unwrap_or(true)
    }

    /// How long such an alert must hold before it is said, in milliseconds. The first matching section with
    /// `dwell` decides; without one it is 0.
    #[must_use]
    pub fn dwell_ms(&self, word: &str, subject: &str) -> i64 {
        let mut rules = self.of(word, subject);
        rules.find_map(|rule| rule.dwell_ms).unwrap_or(0)
    }

    /// Of what a sensor is a device's own word, if it is one: its readings are 0 or not. The first matching
    /// section of the kind `flag` decides.
    #[must_use]
    pub fn flag_of(&self, sensor: &str) -> Option<Flag> {
        let mut rules = self.of(Kind::Flag.word(), sensor);
        rules.find_map(|rule| rule.flag)
    }

    fn matching(&self, subject: &str) -> impl DoubleEndedIterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.matches(subject))
    }

    fn of(&self, word: &str, subject: &str) -> impl Iterator<Item = &Rule> {
        self.matching(subject)
            .filter(move |rule| rule.kind.word() == word)
    }
}

impl Rule {
    fn matches(&self, subject: &str) -> bool {
        self.subject
            .as_ref()
            .is_none_or(|pattern| pattern.matches(subject))
    }

    /// Whether it is about everything that another is about.
    fn covers(&self, other: &Self) -> bool {
        self.kind == other.kind
            && match (&self.subject, &other.subject) {
                (None, Some(_) | None) => true,
                (Some(_), None) => false,
                (Some(wide), Some(narrow)) => wide.covers(narrow),
            }
    }

    /// The keys that it decides.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let enabled = self.enabled.map(|_| "enabled");
        let dwell = self.dwell_ms.map(|_| "dwell");
        let flag = self.flag.map(|_| "flag");
        let settings = self.settings.iter().map(|setting| setting.row.name);
        enabled.into_iter().chain(dwell).chain(flag).chain(settings)
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = {
        let mut all = [Self::Persist; KINDS.len()];
        let mut at = 0;
        while at < KINDS.len() {
            all[at] = KINDS[at].1;
            at += 1;
        }
        all
    };

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

    /// Its word, in configurations and in ids of alerts.
    #[must_use]
    pub fn word(self) -> &'static str {
        let mut kinds = KINDS.iter();
        kinds
            .find(|(_, kind)| *kind == self)
            .map(|(word, _)| *word)
            .expect("KINDS has every kind")
    }

    /// The kind of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let mut kinds = KINDS.iter();
        kinds
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| *kind)
    }

    /// Its parameters.
    const fn rows(self) -> &'static [Row] {
        match self {
            Self::Persist => &table::PERSIST,
            Self::Balance | Self::Daily | Self::BaseLoad => &table::SHIFT,
            Self::DayShock => &table::DAY_SHOCK,
            Self::Silent => &table::SILENT,
            Self::Away => &table::AWAY,
            Self::Commissioning | Self::HighFlow | Self::Flag => &[],
        }
    }

    /// The daily series that it is about. A remainder is of water or of energy, and energy has one setting for
    /// remainders and consumption.
    fn shifts(self, parameters: &mut Parameters) -> Vec<&mut Shift> {
        match self {
            Self::Balance => vec![&mut parameters.balance, &mut parameters.energy],
            Self::Daily => vec![&mut parameters.daily],
            Self::BaseLoad => vec![&mut parameters.base_load],
            Self::Persist
            | Self::Commissioning
            | Self::HighFlow
            | Self::Away
            | Self::DayShock
            | Self::Silent
            | Self::Flag => Vec::new(),
        }
    }
}

/// The defaults, changed by these sections: the first that names a parameter decides it.
fn settled<'r>(rules: impl DoubleEndedIterator<Item = &'r Rule>) -> Parameters {
    let mut parameters = Parameters::default();
    // The last first, so that what comes before it writes over it.
    for rule in rules.rev() {
        for setting in &rule.settings {
            setting
                .change
                .apply(setting.row, rule.kind, &mut parameters);
        }
    }
    parameters
}

/// Reads the sections, and holds them against each other and against what there is to detect.
pub(super) fn detectors(
    sheet: &Sheet<'_>,
    sections: Vec<Section<'_, '_>>,
    sensors: &[Placed<SensorRule>],
    balances: &[Placed<Balance>],
) -> Tuning {
    let rules: Vec<Placed<Rule>> = sections.into_iter().filter_map(rule).collect();
    check::unreachable(sheet, &rules);
    check::nonsense(sheet, &rules);
    check::mixed_amounts(sheet, &rules, balances);
    check::unknown_subjects(sheet, &rules, sensors, balances);
    Tuning {
        rules: rules.into_iter().map(|placed| placed.value).collect(),
    }
}

fn rule(mut detector: Section<'_, '_>) -> Option<Placed<Rule>> {
    let words = KINDS.map(|(word, _)| word).join(", ");
    let Some(kind) = detector.need("kind", &format!("one of {words}"), choice(&KINDS)) else {
        // Which keys there are depends on the kind.
        drop(detector.rest());
        return None;
    };
    let names = "a name or a pattern such as \"*/water\"";
    let subject = match kind {
        Kind::Flag => detector.need("subject", names, parsed(Glob::new, names)),
        Kind::Persist
        | Kind::Commissioning
        | Kind::HighFlow
        | Kind::Away
        | Kind::Balance
        | Kind::Daily
        | Kind::BaseLoad
        | Kind::DayShock
        | Kind::Silent => detector.take("subject", parsed(Glob::new, names)),
    };
    let enabled = detector.take("enabled", flag);
    let dwell_ms = detector.take("dwell", duration("0ms"..=LONGEST_DWELL));
    let flag = match kind {
        Kind::Flag => detector.need("flag", "leak, burst, flood or dry", choice(&FLAGS)),
        Kind::Persist
        | Kind::Commissioning
        | Kind::HighFlow
        | Kind::Away
        | Kind::Balance
        | Kind::Daily
        | Kind::BaseLoad
        | Kind::DayShock
        | Kind::Silent => None,
    };
    let settings = kind.rows().iter().filter_map(|row| {
        let meant = |text| format!("{text} ({}: {})", row.form.unit(kind), row.meaning);
        let read = |value: &DeValue<'_>| row.form.read(value).map_err(meant);
        let change = detector.take(row.name, read)?;
        Some(Setting { row, change })
    });
    let rule = Rule {
        kind,
        subject,
        enabled,
        dwell_ms,
        flag,
        settings: settings.collect(),
    };
    Some(detector.place(rule))
}
