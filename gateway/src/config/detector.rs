//! `[[detector]]`: changes to the detectors that run by default. Which parameters there are is the table of
//! `watch::parameters`; this reads them.

use engine::detect::Flag;
use toml::de::DeValue;

use super::Glob;
use super::raw::Section;
use super::value::{choice, duration, flag, number, parsed};
use crate::watch::parameters::{Parameter, Set, Unit, known};
use crate::watch::{Kind, Rule};

const FLAGS: [(&str, Flag); 4] = [
    ("leak", Flag::Leak),
    ("burst", Flag::Burst),
    ("flood", Flag::Flood),
    ("dry", Flag::Dry),
];

pub(super) fn detectors(sections: Vec<Section<'_, '_>>) -> Vec<Rule> {
    sections.into_iter().filter_map(detector).collect()
}

fn detector(mut detector: Section<'_, '_>) -> Option<Rule> {
    let kinds = Kind::ALL.map(|kind| (kind.word(), kind));
    let words = Kind::ALL.map(Kind::word).join(", ");
    let kind = detector.need("kind", &format!("one of {words}"), choice(&kinds));
    let names = "a name or a pattern of names";
    let subject = detector.take("subject", parsed(Glob::new, names));
    let enabled = detector.take("enabled", flag).unwrap_or(true);
    let dwell_ms = detector.take("dwell", duration("0ms"..="30d")).unwrap_or(0);
    let Some(kind) = kind else {
        // Which keys it may have is not known.
        let _unjudged = detector.rest();
        return None;
    };
    let flag = match kind {
        Kind::Flag => {
            if !detector.has("subject") {
                detector.problem(
                    "subject",
                    "is missing; write the sensor whose values are the flag",
                );
            }
            Some(detector.need("flag", "leak, burst, flood or dry", choice(&FLAGS))?)
        }
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
    let parameters = known(kind).filter_map(|parameter| {
        let value = detector.take(parameter.name, |value| read(value, parameter))?;
        let name = parameter.name;
        Some(Set { name, value })
    });
    let parameters = parameters.collect();
    Some(Rule {
        kind,
        subject,
        enabled,
        dwell_ms,
        flag,
        parameters,
    })
}

/// A value in its parameter's range; a length of time in ms.
fn read(value: &DeValue<'_>, parameter: &Parameter) -> Result<f64, String> {
    let (low, high) = parameter.range;
    let found = match parameter.unit {
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most ten years of milliseconds"
        )]
        Unit::Time => duration("0ms"..="3650d")(value).map(|ms| ms as f64)?,
        Unit::Count | Unit::Number(_) => number(value)?,
    };
    let shown = |value: f64| match parameter.unit {
        Unit::Time => format!("{} min", value / 60_000.0),
        Unit::Count | Unit::Number(_) => format!("{value}"),
    };
    if !(low..=high).contains(&found) {
        return Err(format!(
            "{} is not within {} to {}",
            shown(found),
            shown(low),
            shown(high)
        ));
    }
    match parameter.unit {
        Unit::Count if found.fract() != 0.0 => Err(format!(
            "{found} is not a whole number from {low} to {high}"
        )),
        Unit::Count | Unit::Time | Unit::Number(_) => Ok(found),
    }
}
