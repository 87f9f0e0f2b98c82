//! What somebody holds to be so, with names instead of numbers: in fields, and in words.

use serde::{Deserialize, Serialize};

use super::AlertId;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing: silence, commissioning, high flow, advice.
    Info,
    /// A leak; something that will get worse.
    Warning,
    /// At once.
    Critical,
}

impl Severity {
    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A flow and the bounds that it lies within.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// At least.
    pub low: f64,
    /// The estimate.
    pub best: f64,
    /// At most.
    pub high: f64,
    /// `L/h` or `W`.
    pub unit: String,
}

/// When it began, as far as the readings tell, ms since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Not before; `None` where the readings held do not reach back.
    pub from_ms: Option<i64>,
    /// Not after.
    pub until_ms: i64,
}

/// What it has cost so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// In the currency.
    pub amount: f64,
    /// `EUR`
    pub currency: String,
}

/// What a detector holds to be so of a sensor or a balance, or the gateway of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Which alert it is of: the detector and the subject.
    pub id: AlertId,
    /// The detector's word: `persist`, `balance`, `silent`, `store_full` ….
    pub kind: String,
    /// The rule that decided, in a few characters: `24 h > 5 L/h`; empty where there is but one.
    pub rule: String,
    /// The sensor's or the balance's name; `store`, `upstream` or another part of the gateway.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// `main`, the name of the sensor that it is behind, or `unknown`; `None`: it has no place.
    pub location: Option<String>,
    /// Event time of the reading that decided, ms since 1970 UTC; an episode is known by it.
    pub raised_ms: i64,
    /// How much flows.
    pub flow: Option<Flow>,
    /// Since when.
    pub start: Option<Start>,
    /// How much it came to so far, in litres or watt hours.
    pub amount: Option<f64>,
    /// `L` or `Wh`.
    pub unit: Option<String>,
    /// What that cost, where a tariff is configured.
    pub cost: Option<Cost>,
    /// What, where, since when, how much and why, in words.
    pub text: String,
    /// What to do, in words.
    pub advice: String,
}

/// What is different about a claim since the last time.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It holds, and did not; or it came back.
    Raised(Claim),
    /// It holds still, and more is known of it.
    Updated(Claim),
    /// It held until then (ms since 1970 UTC), and is over.
    Cleared(Claim, i64),
    /// A late reading took it: it should never have been said.
    Withdrawn(AlertId),
}
