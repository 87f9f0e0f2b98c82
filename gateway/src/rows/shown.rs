//! An alert as people are shown it, on the page and by the demo: its fields in words.

use super::alert::{Alert, Cost, Flow, Start};
use super::when::Moment;
use crate::alert::{Severity, title};

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

impl Alert {
    /// What people call it.
    pub(crate) fn title(&self) -> String {
        title(&self.kind, &self.subject, self.measure())
    }

    /// Whether there is something to do.
    pub(crate) fn stage(&self) -> Stage {
        match self.state.as_ref() {
            "firing" | "acknowledged" | "snoozed" => Stage::Open,
            "cleared" | "withdrawn" => Stage::Over,
            _ => Stage::Unsaid,
        }
    }

    /// How bad it is.
    pub(crate) fn grade(&self) -> Severity {
        match self.severity.as_ref() {
            "critical" => Severity::Critical,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        }
    }

    /// Whether it is about water.
    pub(crate) fn is_of_water(&self) -> bool {
        matches!(self.measure(), Some("L/h" | "L"))
    }

    /// The unit of what flows, or of what it came to.
    fn measure(&self) -> Option<&str> {
        let flows = self.flow.as_ref().map(|flow| flow.unit.as_str());
        flows.or(self.unit.as_deref())
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
            None => minutes(self.raised),
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
        match (self.state.as_ref(), self.snoozed_until) {
            ("acknowledged", _) => Some(format!("Acknowledged by {by}.")),
            ("snoozed", Some(until)) => Some(format!("Snoozed by {by} until {}.", minutes(until))),
            (_, _) => None,
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
