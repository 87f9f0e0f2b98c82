//! What the sensors of a recording are: by their names, or as a configuration says, with what the command
//! line adds. The answer is a [`Config`] for that recording alone, in which every sensor has its own entry.

use std::sync::Arc;

use anyhow::bail;
use chrono_tz::Tz;
use engine::{Kind, OnConflict, SensorSpec, Stamp};

use super::survey::{Rhythm, Survey};
use crate::config::{Balance, ClockMode, Config, Glob, SensorRule};

/// What no connection of a house carries, L/h: a register that rises faster is misread.
const WATER_RATE_MAX: f64 = 6000.0;
/// Nothing but defaults.
const EMPTY: &str = "";

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The configuration that knows the sensors; `None`: their names do.
    pub config: Option<Arc<Config>>,
    /// The zone of the days; `None`: the configuration's, or UTC.
    pub timezone: Option<Tz>,
    /// Whether sensors stand still at times.
    pub rests: Vec<(Glob, bool)>,
    /// What a contradiction does.
    pub on_conflict: Vec<(Glob, OnConflict)>,
}

/// How a recording is evaluated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sensors, the balances and everything else.
    pub config: Config,
    /// Sensors that nothing is known of: they are left out.
    pub unknown: Vec<String>,
}

impl Wishes {
    /// The zone of the days, and of times without an offset.
    #[must_use]
    pub fn zone(&self) -> Tz {
        let configured = self.config.as_ref().map(|config| config.site.timezone);
        self.timezone.or(configured).unwrap_or(Tz::UTC)
    }

    /// What a recording's sensors are.
    ///
    /// # Errors
    /// Where none of them is known.
    pub fn plan(&self, survey: &Survey) -> anyhow::Result<Plan> {
        let mut config = match &self.config {
            Some(config) => Config::clone(config),
            None => Config::parse(EMPTY, "defaults").expect("nothing but defaults is valid"),
        };
        config.site.timezone = self.zone();
        config.time.clock = ClockMode::Wall;
        let (mut rules, mut unknown) = (Vec::new(), Vec::new());
        for (name, rhythm) in &survey.sensors {
            let rule = match &self.config {
                Some(config) => config.sensor_for(name).cloned(),
                None => by_name(name, rhythm),
            };
            match rule {
                Some(rule) => rules.push(self.adjusted(name, rule)),
                None => unknown.push(name.clone()),
            }
        }
        if rules.is_empty() && !unknown.is_empty() {
            let names = listed(&unknown);
            match &self.config {
                Some(_) => bail!("no [[sensor]] of the configuration matches {names}"),
                None => bail!(
                    "nobody knows what {names} count: name a configuration with --config whose [[sensor]] \
                     entries say so (known without one: Wtot, W1, Etot, HVAC1, MiAC1, TH1, Mov1 and their \
                     like, with or without a prefix such as h0001/)"
                ),
            }
        }
        if self.config.is_none() {
            config.balances = balances(&rules);
        }
        rules.append(&mut config.sensors);
        config.sensors = rules;
        Ok(Plan { config, unknown })
    }

    fn adjusted(&self, name: &str, rule: SensorRule) -> SensorRule {
        let rests = self.rests.iter().rfind(|(glob, _)| glob.matches(name));
        let conflict = self.on_conflict.iter();
        let conflict = conflict.rev().find(|(glob, _)| glob.matches(name));
        SensorRule {
            name: literal(name),
            rests: rests.map_or(rule.rests, |(_, rests)| *rests),
            spec: SensorSpec {
                on_conflict: conflict.map_or(rule.spec.on_conflict, |(_, policy)| *policy),
                ..rule.spec
            },
            ..rule
        }
    }
}

/// A few names, for a sentence.
#[must_use]
pub fn listed(names: &[String]) -> String {
    /// More than these nobody reads.
    const SHOWN: usize = 5;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

fn literal(name: &str) -> Glob {
    Glob::new(name).expect("what names a sensor is a pattern of that name")
}

/// A name without its prefix, and the prefix with its slash.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('/') {
        Some(slash) => name.split_at(slash + 1),
        None => ("", name),
    }
}

/// What a name of the seed home, or one like it, says.
fn by_name(name: &str, rhythm: &Rhythm) -> Option<SensorRule> {
    let (_, own) = split(name);
    let stem = own.trim_end_matches(|last: char| last.is_ascii_digit());
    let is_numbered = stem.len() < own.len();
    let (kind, unit) = match (stem, is_numbered) {
        ("Wtot", false) => (Kind::Meter, Some("L")),
        ("Etot", false) => (Kind::Meter, Some("Wh")),
        ("W", true) => (Kind::Delta, Some("L")),
        ("HVAC" | "MiAC", true) => (Kind::Delta, Some("Wh")),
        ("TH", true) => (Kind::Gauge, Some("°C")),
        ("Mov", true) => (Kind::Event, None),
        _ => return None,
    };
    let (counts, is_water) = match kind {
        Kind::Meter | Kind::Delta => (true, unit == Some("L")),
        Kind::Gauge | Kind::Event => (false, false),
    };
    let interval_ms = match kind {
        // How complete a day of these is follows from it; a register tells without.
        Kind::Delta => rhythm.interval_ms(),
        Kind::Meter | Kind::Gauge | Kind::Event => None,
    };
    Some(SensorRule {
        name: literal(name),
        spec: SensorSpec {
            stamp: Stamp::End,
            interval_ms,
            max_rate: (kind == Kind::Meter && is_water).then_some(WATER_RATE_MAX),
            ..SensorSpec::of_kind(kind)
        },
        unit: unit.map(str::to_owned),
        min: counts.then_some(0.0),
        max: None,
        scale: 1.0,
        offset: 0.0,
        rests: true,
    })
}

/// A balance for each meter that comes with parts: `water` of Wtot and W1, `energy` of Etot and the rest.
fn balances(rules: &[SensorRule]) -> Vec<Balance> {
    let with_meters = rules.iter().filter(|rule| rule.spec.kind == Kind::Meter);
    let balance = |meter: &SensorRule| {
        let (prefix, own) = split(meter.name.as_str());
        let resource = if own == "Wtot" { "water" } else { "energy" };
        let parts = rules.iter().filter(|rule| {
            let is_near = split(rule.name.as_str()).0 == prefix;
            is_near && rule.spec.kind == Kind::Delta && rule.unit == meter.unit
        });
        let parts: Vec<Glob> = parts.map(|rule| rule.name.clone()).collect();
        let name = Glob::new(&format!("{prefix}{resource}")).ok()?;
        let meter = meter.name.clone();
        (!parts.is_empty()).then_some(Balance { name, meter, parts })
    };
    with_meters.filter_map(balance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(names: &[&str]) -> Survey {
        let sensors = names
            .iter()
            .map(|name| ((*name).to_owned(), Rhythm::default()));
        Survey {
            sensors: sensors.collect(),
            readings: 0,
        }
    }

    #[test]
    fn names_say_what_a_sensor_is_and_what_belongs_together() {
        let names = ["W1", "Wtot", "h2/Etot", "h2/HVAC1", "h2/W1", "Mov1", "pump"];
        let plan = Wishes::default()
            .plan(&survey(&names))
            .expect("some are known");
        assert_eq!(plan.unknown, ["pump"]);
        let spec = |name| plan.config.sensor_for(name).map(|rule| rule.spec.kind);
        assert_eq!(spec("W1"), Some(Kind::Delta));
        assert_eq!(spec("Wtot"), Some(Kind::Meter));
        assert_eq!(spec("h2/HVAC1"), Some(Kind::Delta));
        assert_eq!(spec("Mov1"), Some(Kind::Event));
        assert_eq!(spec("Wx"), None);
        let balances = plan.config.balances.iter();
        let balances: Vec<&str> = balances.map(|balance| balance.name.as_str()).collect();
        assert_eq!(balances, ["water", "h2/energy"]);
    }

    #[test]
    fn a_meter_without_parts_is_no_balance_and_strange_names_alone_are_an_error() {
        let plan = Wishes::default()
            .plan(&survey(&["Wtot"]))
            .expect("it is known");
        assert!(plan.config.balances.is_empty());
        let why = Wishes::default()
            .plan(&survey(&["pump"]))
            .expect_err("nobody knows it");
        assert!(why.to_string().contains("pump") && why.to_string().contains("--config"));
    }

    #[test]
    fn the_command_line_overrules_names_and_configuration_and_the_last_word_counts() {
        let config = Config::home();
        for config in [None, Some(Arc::new(config))] {
            let glob = |text| Glob::new(text).expect("a pattern");
            let wishes = Wishes {
                config,
                timezone: Some(chrono_tz::Europe::Athens),
                rests: vec![(glob("**/W*"), true), (glob("W1"), false)],
                on_conflict: vec![(glob("W1"), OnConflict::Add)],
            };
            let plan = wishes.plan(&survey(&["W1", "Wtot"])).expect("known");
            assert_eq!(plan.config.site.timezone, chrono_tz::Europe::Athens);
            let rule = |name| plan.config.sensor_for(name).expect("known");
            assert!(!rule("W1").rests && rule("Wtot").rests);
            assert_eq!(rule("W1").spec.on_conflict, OnConflict::Add);
            assert_eq!(rule("Wtot").spec.on_conflict, OnConflict::Replace);
        }
    }
}
