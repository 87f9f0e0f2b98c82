//! An alert's JSON as those read it who show it to people: the page, and the demo.
//!
//! What an alert need not have, it may leave out.

use serde::Deserialize;

use super::when::Moment;
use crate::alert::{Cost, Flow, Severity, State, title};

/// What people are shown of an alert.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) state: State,
    pub(crate) severity: Severity,
    pub(crate) subject: String,
    pub(crate) since: Moment,
    pub(crate) text: String,
    pub(crate) advice: String,
    #[serde(default)]
    pub(crate) location: Option<String>,
    #[serde(default)]
    pub(crate) start: Option<Start>,
    #[serde(default)]
    pub(crate) ended: Option<Moment>,
    #[serde(default)]
    pub(crate) flow: Option<Flow>,
    #[serde(default)]
    pub(crate) amount: Option<f64>,
    #[serde(default)]
    pub(crate) unit: Option<String>,
    #[serde(default)]
    pub(crate) cost: Option<Cost>,
    #[serde(default)]
    pub(crate) by: Option<String>,
    #[serde(default)]
    pub(crate) snoozed_until: Option<Moment>,
    #[serde(default)]
    pub(crate) normal: bool,
}

/// When it began, as far as readings tell.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Start {
    pub(crate) from: Option<Moment>,
    pub(crate) until: Moment,
}

/// Whether there is something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was not said, and may never be.
    Unsaid,
    /// It holds.
    Open,
    /// It held.
    Over,
}

impl Shown {
    /// What people call it.
    pub(crate) fn title(&self) -> String {
        let flows = self.flow.as_ref().map(|flow| flow.unit.as_str());
        title(&self.kind, &self.subject, flows.or(self.unit.as_deref()))
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.state {
            State::Pending => Stage::Unsaid,
            State::Firing | State::Acknowledged | State::Snoozed => Stage::Open,
            State::Cleared | State::Withdrawn => Stage::Over,
        }
    }

    /// What is known of it, in the order in which people ask.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(place) = &self.location {
            facts.push(("Where", place.clone()));
        }
        facts.push(("Since", self.beginning()));
        if let Some(Flow {
            low,
            best,
            high,
            unit,
        }) = &self.flow
        {
            let flow = format!("{best:.1} {unit} ({low:.1} to {high:.1})");
            facts.push(("Flow", flow));
        }
        if let (Some(amount), Some(unit)) = (self.amount, &self.unit) {
            facts.push(("So far", quantity(amount, unit)));
        }
        if let Some(Cost { amount, currency }) = &self.cost {
            facts.push(("Cost so far", format!("{amount:.2} {currency}")));
        }
        facts
    }

    /// Since when.
    pub(crate) fn beginning(&self) -> String {
        match &self.start {
            None => minutes(self.since),
            Some(Start { from: None, until }) => format!("before {}", minutes(*until)),
            Some(Start {
                from: Some(from),
                until,
            }) if from == until => minutes(*until),
            Some(Start {
                from: Some(from),
                until,
            }) => {
                format!("between {} and {}", minutes(*from), minutes(*until))
            }
        }
    }

    /// What somebody said of it.
    pub(crate) fn answered(&self) -> Option<String> {
        let by = self.by.as_deref().unwrap_or("somebody");
        match (self.state, self.snoozed_until) {
            (State::Acknowledged, _) => Some(format!("Acknowledged by {by}.")),
            (State::Snoozed, Some(until)) => {
                Some(format!("Snoozed by {by} until {}.", minutes(until)))
            }
            (State::Snoozed, None) => Some(format!("Snoozed by {by}.")),
            (State::Pending | State::Firing | State::Cleared | State::Withdrawn, _) => None,
        }
    }

    /// How much in all, and what it cost.
    pub(crate) fn came_to(&self) -> String {
        match (self.amount, &self.unit, &self.cost) {
            (
                Some(amount),
                Some(unit),
                Some(Cost {
                    amount: cost,
                    currency,
                }),
            ) => {
                format!("{}, {cost:.2} {currency}.", quantity(amount, unit))
            }
            (Some(amount), Some(unit), None) => format!("{}.", quantity(amount, unit)),
            (Some(_) | None, _, _) => String::new(),
        }
    }
}

/// `118 L`, `3.4 L`, `12.5 kWh`.
pub(crate) fn quantity(amount: f64, unit: &str) -> String {
    match unit {
        "Wh" if amount >= 1000.0 => format!("{:.1} kWh", amount / 1000.0),
        unit if amount >= 100.0 => format!("{amount:.0} {unit}"),
        unit => format!("{amount:.1} {unit}"),
    }
}

/// `2020-02-20 03:15 UTC`
pub(crate) fn minutes(moment: Moment) -> String {
    let text = moment.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        (_, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_as_exact_as_people_read_them() {
        for (amount, unit, expected) in [
            (3.42, "L", "3.4 L"),
            (121.4, "L", "121 L"),
            (999.0, "Wh", "999 Wh"),
            (12_540.0, "Wh", "12.5 kWh"),
        ] {
            assert_eq!(quantity(amount, unit), expected);
        }
    }
}
