//! What was told while a recording was heard → its episodes, each with the last that was known of it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::alert::{AlertId, Claim, Severity, Told};

/// One episode of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// What is claimed, as of the last time.
    pub claim: Claim,
    /// Arrival of the reading that decided, ms since 1970 UTC.
    pub raised_ms: i64,
    /// Arrival of the reading with which it was over, ms since 1970 UTC; `None`: it stands.
    pub cleared_ms: Option<i64>,
    /// How it ended.
    pub ending: Ending,
}

/// How an episode ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It stands.
    Open,
    /// The evidence was gone.
    Cleared,
    /// A late reading took it: it should never have been said.
    Withdrawn,
}

/// All episodes of a recording, in the order in which they were raised.
#[derive(Debug, Default)]
pub struct Episodes {
    all: Vec<Episode>,
    newest: BTreeMap<AlertId, usize>,
}

impl Episodes {
    /// Takes notice of what was told at this arrival, ms since 1970 UTC.
    pub fn hear(&mut self, told: Told, at_ms: i64) {
        match told {
            Told::Raised(claim) => self.raise(claim, at_ms),
            Told::Updated(claim) => {
                if let Some(episode) = self.newest(&claim.id) {
                    episode.know(claim);
                }
            }
            Told::Cleared(claim, _) => {
                if let Some(episode) = self.newest(&claim.id) {
                    // What comes after its end says nothing of its place.
                    if episode.claim.location == claim.location {
                        episode.know(claim);
                    }
                    episode.end(Ending::Cleared, at_ms);
                }
            }
            Told::Withdrawn(id) => {
                if let Some(episode) = self.newest(&id) {
                    episode.end(Ending::Withdrawn, at_ms);
                }
            }
        }
    }

    /// Takes notice of what stands when the recording ends: the last that is known of it.
    pub fn end(&mut self, standing: Vec<Claim>) {
        for claim in standing {
            if let Some(episode) = self.newest(&claim.id)
                && episode.ending == Ending::Open
            {
                episode.know(claim);
            }
        }
    }

    /// Everything that was said.
    #[must_use]
    pub fn into_all(self) -> Vec<Episode> {
        self.all
    }

    /// An episode that came back is the same, and was raised when it was raised first.
    fn raise(&mut self, claim: Claim, at_ms: i64) {
        if let Some(episode) = self.newest(&claim.id)
            && (episode.ending == Ending::Open || episode.claim.raised_ms == claim.raised_ms)
        {
            episode.know(claim);
            episode.cleared_ms = None;
            episode.ending = Ending::Open;
            return;
        }
        self.newest.insert(claim.id.clone(), self.all.len());
        self.all.push(Episode {
            claim,
            raised_ms: at_ms,
            cleared_ms: None,
            ending: Ending::Open,
        });
    }

    fn newest(&mut self, id: &AlertId) -> Option<&mut Episode> {
        let place = self.newest.get(id)?;
        self.all.get_mut(*place)
    }
}

impl Episode {
    /// More is known of it; it stays as severe as it ever was, as the alert does.
    fn know(&mut self, claim: Claim) {
        let severity = self.claim.severity.max(claim.severity);
        self.claim = Claim { severity, ..claim };
    }

    /// The episode as the contract's object, of the case that it was found in.
    #[must_use]
    pub fn row<'e>(&'e self, case: &'e str) -> Row<'e> {
        let claim = &self.claim;
        let flow = claim.flow.as_ref();
        let amount = |unit| claim.amount.filter(|_| claim.unit.as_deref() == Some(unit));
        Row {
            case,
            detector: &claim.kind,
            rule: &claim.rule,
            series: &claim.subject,
            severity: claim.severity,
            location: claim.location.as_deref().unwrap_or("unknown"),
            raised: Seconds(self.raised_ms),
            cleared: self.cleared_ms.map(Seconds),
            flow_lph: flow.map(|flow| flow.best),
            flow_lo: flow.map(|flow| flow.low),
            flow_hi: flow.map(|flow| flow.high),
            litres: amount("L"),
            start_lo: claim.start.and_then(|start| start.from_ms).map(Seconds),
            start_hi: claim.start.map(|start| Seconds(start.until_ms)),
            text: &claim.text,
            unit: flow.map(|flow| flow.unit.as_str()),
            watt_hours: amount("Wh"),
            withdrawn: self.ending == Ending::Withdrawn,
        }
    }

    fn end(&mut self, ending: Ending, at_ms: i64) {
        if self.ending == Ending::Open {
            self.ending = ending;
            // Also where the clock that received the readings was set back.
            self.cleared_ms = Some(at_ms.max(self.raised_ms));
        }
    }
}

/// An episode as JSON spells it: the contract's fields, then three more.
#[derive(Debug, Serialize)]
pub struct Row<'e> {
    case: &'e str,
    detector: &'e str,
    rule: &'e str,
    series: &'e str,
    severity: Severity,
    location: &'e str,
    raised: Seconds,
    cleared: Option<Seconds>,
    flow_lph: Option<f64>,
    flow_lo: Option<f64>,
    flow_hi: Option<f64>,
    litres: Option<f64>,
    start_lo: Option<Seconds>,
    start_hi: Option<Seconds>,
    text: &'e str,
    unit: Option<&'e str>,
    watt_hours: Option<f64>,
    withdrawn: bool,
}

/// Milliseconds since 1970 UTC, written as seconds: whole ones without a fraction.
#[derive(Clone, Copy, Debug)]
struct Seconds(i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            return serializer.serialize_i64(self.0 / 1000);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "times of our century are exact to the ms"
        )]
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Flow, Start};

    fn claim(raised_ms: i64) -> Claim {
        Claim {
            id: AlertId::new("persist", "Wtot"),
            kind: "persist".to_owned(),
            rule: "24 h > 5 L/h".to_owned(),
            subject: "Wtot".to_owned(),
            severity: Severity::Warning,
            location: Some("main".to_owned()),
            raised_ms,
            flow: Some(Flow {
                low: 4.5,
                best: 5.0,
                high: 5.5,
                unit: "L/h".to_owned(),
            }),
            start: Some(Start {
                from_ms: None,
                until_ms: 1_577_836_800_000,
            }),
            amount: Some(120.0),
            unit: Some("L".to_owned()),
            cost: None,
            text: "Wtot runs.".to_owned(),
            advice: String::new(),
        }
    }

    fn heard(told: impl IntoIterator<Item = (Told, i64)>) -> Vec<Episode> {
        let mut episodes = Episodes::default();
        for (told, at_ms) in told {
            episodes.hear(told, at_ms);
        }
        episodes.into_all()
    }

    #[test]
    fn an_episode_as_json_has_exactly_the_fields_of_the_contract_and_three_more() {
        let told = [
            (Told::Raised(claim(1)), 1_577_923_200_500),
            (Told::Cleared(claim(1), 2), 1_577_930_400_000),
        ];
        let json = serde_json::to_string(&heard(told)[0].row("leaky")).expect("plain values");
        assert_eq!(
            json,
            r#"{"case":"leaky","detector":"persist","rule":"24 h > 5 L/h","series":"Wtot","severity":"warning","location":"main","raised":1577923200.5,"cleared":1577930400,"flow_lph":5.0,"flow_lo":4.5,"flow_hi":5.5,"litres":120.0,"start_lo":null,"start_hi":1577836800,"text":"Wtot runs.","unit":"L/h","watt_hours":null,"withdrawn":false}"#
        );
    }

    #[test]
    fn an_episode_stays_as_severe_as_it_ever_was() {
        let burst = Claim {
            severity: Severity::Critical,
            ..claim(1)
        };
        let told = [
            (Told::Raised(claim(1)), 10),
            (Told::Updated(burst), 20),
            (Told::Updated(claim(1)), 30),
            (Told::Cleared(claim(1), 35), 40),
        ];
        assert_eq!(heard(told)[0].row("nested").severity, Severity::Critical);
    }

    #[test]
    fn what_comes_back_is_the_episode_it_was_and_what_is_new_is_another() {
        let told = [
            (Told::Raised(claim(1)), 10),
            (Told::Withdrawn(claim(1).id), 20),
            (Told::Raised(claim(1)), 30),
            (Told::Cleared(claim(1), 35), 40),
            (Told::Raised(claim(99)), 100),
        ];
        let all = heard(told);
        let seen: Vec<_> = all
            .iter()
            .map(|e| (e.raised_ms, e.cleared_ms, e.ending))
            .collect();
        assert_eq!(
            seen,
            [(10, Some(40), Ending::Cleared), (100, None, Ending::Open)]
        );
    }

    #[test]
    fn what_is_last_known_of_an_episode_is_of_while_it_stood() {
        let elsewhere = Claim {
            location: Some("W1".to_owned()),
            amount: Some(1.0),
            ..claim(1)
        };
        let all = heard([
            (Told::Raised(claim(1)), 10),
            (Told::Cleared(elsewhere.clone(), 15), 20),
        ]);
        assert_eq!(all[0].claim, claim(1));
        let mut episodes = Episodes::default();
        episodes.hear(Told::Raised(claim(1)), 10);
        episodes.end(vec![elsewhere.clone()]);
        assert_eq!(episodes.into_all()[0].claim, elsewhere);
    }

    #[test]
    fn what_was_taken_back_is_told_with_the_time_it_was() {
        let all = heard([
            (Told::Raised(claim(1)), 10),
            (Told::Withdrawn(claim(1).id), 20),
        ]);
        assert_eq!(
            (all[0].cleared_ms, all[0].ending),
            (Some(20), Ending::Withdrawn)
        );
    }
}
