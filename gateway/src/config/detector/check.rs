//! What one `[[detector]]` says of another, of itself, and of sensors and balances: rules that no single value
//! can break.

use engine::detect::Parameters;

use super::form::{At, Form};
use super::table::Row;
use super::{Kind, Rule, Setting, settled};
use crate::config::raw::{Placed, Sheet};
use crate::config::sensor::{Balance, SensorRule};

/// In every kind that has both, the first is at most the second, or else …
const ORDERS: [(&str, &str, &str); 7] = [
    (
        "base_least",
        "base_days",
        "there would never be enough days",
    ),
    ("light_least", "base_days", "noise would never be light"),
    ("light_days", "reach_days", "light noise would never raise"),
    ("heavy_days", "reach_days", "heavy noise would never raise"),
    ("light_tail", "mild_tail", "light noise would not be mild"),
    ("light_reach", "mild_reach", "light noise would not be mild"),
    (
        "still",
        "alive",
        "the sensor would be dead before anybody is away",
    ),
];

/// A key that an earlier section of the same kind decides for all of the same subjects has no effect.
pub(super) fn unreachable(sheet: &Sheet<'_>, rules: &[Placed<Rule>]) {
    for (index, rule) in rules.iter().enumerate() {
        for key in rule.value.names() {
            let deciding = rules[..index].iter().find(|earlier| {
                earlier.value.covers(&rule.value) && earlier.value.names().any(|name| name == key)
            });
            if let Some(earlier) = deciding {
                let text = format!(
                    "is never reached: line {} decides it for all of the same subjects; write the narrower \
                     subject first",
                    earlier.line_of(key)
                );
                sheet.problem(rule.line_of(key), format!("detector.{key}"), text);
            }
        }
        if rule.value.names().next().is_none() {
            sheet.warn(
                rule.line_of("kind"),
                "detector.kind",
                "says nothing: write enabled, dwell or a parameter beside it",
            );
        }
    }
}

/// Two parameters that together raise nothing, as they are for one of the section's subjects.
pub(super) fn nonsense(sheet: &Sheet<'_>, rules: &[Placed<Rule>]) {
    for rule in rules {
        let sample = rule.value.subject.as_ref().map(super::Glob::sample);
        let beside = rules.iter().map(|placed| &placed.value);
        let mut parameters = settled(beside.filter(|other| match &sample {
            Some(subject) => other.matches(subject),
            None => other.subject.is_none(),
        }));
        for (low, high, else_what) in ORDERS {
            let kind = rule.value.kind;
            let (Some((low_row, least)), Some((high_row, most))) = (
                value(kind, low, &mut parameters),
                value(kind, high, &mut parameters),
            ) else {
                continue;
            };
            let named = rule.value.names().find(|name| [low, high].contains(name));
            if least > most
                && let Some(key) = named
            {
                let (least, most) = (low_row.form.written(least), high_row.form.written(most));
                let text = format!(
                    "{low}, {least}, is above {high}, {most}: {else_what}; write a smaller {low} or a larger {high}"
                );
                sheet.problem(rule.line_of(key), format!("detector.{key}"), text);
            }
        }
    }
}

/// An amount of every balance is one of litres and of watt hours.
pub(super) fn mixed_amounts(
    sheet: &Sheet<'_>,
    rules: &[Placed<Rule>],
    balances: &[Placed<Balance>],
) {
    let of_all = |rule: &&Placed<Rule>| {
        rule.value.kind == Kind::Balance && rule.value.subject.is_none() && balances.len() > 1
    };
    for rule in rules.iter().filter(of_all) {
        for Setting { row, .. } in &rule.value.settings {
            if matches!(row.form, Form::Amount(_)) {
                sheet.warn(
                    rule.line_of(row.name),
                    format!("detector.{}", row.name),
                    "holds for every balance, litres of water and watt hours of energy alike; write the name of \
                     one into subject",
                );
            }
        }
    }
}

/// A parameter's value, where the kind has it: the first, where it is in several places.
fn value(kind: Kind, name: &str, parameters: &mut Parameters) -> Option<(&'static Row, f64)> {
    let row = kind.rows().iter().find(|row| row.name == name)?;
    let value = match row.at {
        At::One(at) => at(parameters),
        At::Series(at) => at(kind.shifts(parameters).into_iter().next()?),
        At::Days(_) | At::Hours(_) => return None,
    };
    Some((row, value.read()))
}

/// A subject without wildcards is the name of something.
pub(super) fn unknown_subjects(
    sheet: &Sheet<'_>,
    rules: &[Placed<Rule>],
    sensors: &[Placed<SensorRule>],
    balances: &[Placed<Balance>],
) {
    let sensors = sensors.iter().map(|sensor| &sensor.value.name);
    let known: Vec<_> = sensors
        .chain(balances.iter().map(|balance| &balance.value.name))
        .collect();
    for rule in rules {
        let literal = rule
            .value
            .subject
            .as_ref()
            .filter(|subject| subject.is_literal());
        if let Some(subject) = literal
            && !known
                .iter()
                .any(|pattern| pattern.matches(subject.as_str()))
        {
            let text = format!("no [[sensor]] and no [[balance]] matches \"{subject}\"");
            sheet.warn(rule.line_of("subject"), "detector.subject", text);
        }
    }
}
