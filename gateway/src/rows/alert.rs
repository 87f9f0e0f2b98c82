//! An alert and a line of its journal as JSON spells them: what, where, since when, how much, how bad, what to do.

use serde::{Deserialize, Serialize};

use super::Word;
use super::when::Moment;
use crate::alert;

/// Something that somebody should know and do something about: the newest episode of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What tells it from others; holds no slash.
    pub id: String,
    /// `persist`, `balance`, `silent` … of a detector; `store_full`, `clock_unset` … of the gateway itself.
    pub kind: Word,
    /// The rule that decided; empty where there is but one.
    pub rule: String,
    /// `pending`, `firing`, `acknowledged`, `snoozed`, `cleared` or `withdrawn`.
    pub state: Word,
    /// `info`, `warning` or `critical`: the worst of the episode.
    pub severity: Word,
    /// The sensor, the balance or the part of the gateway that it is about.
    pub subject: String,
    /// `main`, the sensor that it is behind, or `unknown`; null where it has no place.
    pub location: Option<String>,
    /// When it was claimed, by the gateway's clock.
    pub since: Moment,
    /// When it was said first; null while it was not.
    pub fired: Option<Moment>,
    /// When it was over; null while it holds.
    pub ended: Option<Moment>,
    /// Event time of the reading that decided.
    pub raised: Moment,
    /// How often it came, this time included.
    pub episode: u32,
    /// How much flows.
    pub flow: Option<Flow>,
    /// When it began, as far as the readings tell.
    pub start: Option<Start>,
    /// How much it came to so far.
    pub amount: Option<f64>,
    /// `L` or `Wh`.
    pub unit: Option<String>,
    /// What that cost.
    pub cost: Option<Cost>,
    /// What happened, in words.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// Who answered.
    pub by: Option<String>,
    /// Until when nobody wants to hear of it.
    pub snoozed_until: Option<Moment>,
    /// Whether somebody said that it was normal.
    pub normal: bool,
}

/// A flow and the bounds that it lies within.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// When something began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Not before; null where the readings do not reach back.
    pub from: Option<Moment>,
    /// Not after.
    pub until: Moment,
}

/// What it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// In the currency.
    pub amount: f64,
    /// `EUR`
    pub currency: String,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place, from 1, without gaps.
    pub seq: u64,
    /// `fired`, `worsened`, `repeated`, `acknowledged`, `snoozed`, `woken`, `cleared` or `withdrawn`.
    pub what: Word,
    /// When, by the gateway's clock.
    pub at: Moment,
    /// Who did it, where a person did.
    pub by: Option<String>,
    /// The alert just after it.
    pub alert: Alert,
}

/// `{"alerts":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// By id.
    pub alerts: Vec<Alert>,
}

/// `{"journal":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The newest lines, oldest first.
    pub journal: Vec<Notice>,
}

impl Alert {
    /// An alert as the book has it.
    #[must_use]
    pub fn of(alert: &alert::Alert) -> Self {
        let claim = &alert.claim;
        Self {
            id: claim.id.to_string(),
            kind: Word::Owned(claim.kind.clone()),
            rule: claim.rule.clone(),
            state: Word::Borrowed(alert.state.word()),
            severity: Word::Borrowed(claim.severity.word()),
            subject: claim.subject.clone(),
            location: claim.location.clone(),
            since: Moment::from_ms(alert.since_ms),
            fired: alert.fired_ms.map(Moment::from_ms),
            ended: alert.ended_ms.map(Moment::from_ms),
            raised: Moment::from_ms(claim.raised_ms),
            episode: alert.episode,
            flow: claim.flow.as_ref().map(|flow| Flow {
                low: flow.low,
                best: flow.best,
                high: flow.high,
                unit: flow.unit.clone(),
            }),
            start: claim.start.map(|start| Start {
                from: start.from_ms.map(Moment::from_ms),
                until: Moment::from_ms(start.until_ms),
            }),
            amount: claim.amount,
            unit: claim.unit.clone(),
            cost: claim.cost.as_ref().map(|cost| Cost {
                amount: cost.amount,
                currency: cost.currency.clone(),
            }),
            text: claim.text.clone(),
            advice: claim.advice.clone(),
            by: alert.by.clone(),
            snoozed_until: alert.snoozed_until_ms.map(Moment::from_ms),
            normal: alert.normal,
        }
    }

    /// Whether it was said and holds.
    #[must_use]
    pub fn is_open(&self) -> bool {
        ["firing", "acknowledged", "snoozed"].contains(&self.state.as_ref())
    }
}

impl Notice {
    /// A notice as the book has it.
    #[must_use]
    pub fn of(notice: &alert::Notice) -> Self {
        Self {
            seq: notice.seq,
            what: Word::Borrowed(notice.what.word()),
            at: Moment::from_ms(notice.at_ms),
            by: notice.by.clone(),
            alert: Alert::of(&notice.alert),
        }
    }
}
