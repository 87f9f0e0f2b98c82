//! A finding → a claim: ids, words, what it costs and what to do.

use engine::Calendar;
use engine::detect::{
    Detector, Finding, Flag, Location, Names, Parameters, PersistRule, Resource, Rule, Severity,
    Subject, Tail, words,
};

use super::settings::{Kind, Tariffs};
use crate::alert::{self, AlertId, Claim};

/// What the sensors of a finding are called, and what things cost.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) calendar: Calendar,
    pub(super) tariffs: &'a Tariffs,
    pub(super) parameters: &'a Parameters,
    pub(super) names: Names<'a>,
}

impl Naming<'_> {
    pub(super) fn subject(&self, subject: Subject) -> &str {
        match subject {
            Subject::Member(member) => self.names.members.get(member).copied().unwrap_or(""),
            Subject::Remainder => self.names.balance,
        }
    }

    pub(super) fn id(&self, detector: Detector, subject: Subject) -> AlertId {
        AlertId::new(kind_of(detector).word(), self.subject(subject))
    }

    pub(super) fn claim(&self, finding: &Finding) -> Claim {
        let (flow_unit, unit) = match self.names.resource {
            Resource::Water => ("L/h", "L"),
            Resource::Energy => ("W", "Wh"),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a house's litres in thousandths"
        )]
        let amount = finding.milli.map(|milli| milli as f64 / 1000.0);
        let cost = amount.and_then(|amount| self.cost(amount));
        let mut text = words(finding, &self.names, self.calendar);
        if let Some(cost) = &cost {
            text.push_str(&format!(
                " That has cost about {:.2} {}.",
                cost.amount, cost.currency
            ));
        }
        Claim {
            id: self.id(finding.detector, finding.subject),
            kind: kind_of(finding.detector).word().to_owned(),
            rule: self.rule(finding.rule, flow_unit),
            subject: self.subject(finding.subject).to_owned(),
            severity: match finding.severity {
                Severity::Info => alert::Severity::Info,
                Severity::Warning => alert::Severity::Warning,
                Severity::Critical => alert::Severity::Critical,
            },
            location: self.location(finding),
            raised_ms: finding.raised_ms,
            flow: finding.flow.map(|flow| alert::Flow {
                low: flow.low,
                best: flow.best,
                high: flow.high,
                unit: flow_unit.to_owned(),
            }),
            start: finding.start.map(|start| alert::Start {
                from_ms: start.from_ms,
                until_ms: start.until_ms,
            }),
            amount,
            unit: amount.map(|_| unit.to_owned()),
            cost,
            text,
            advice: self.advice(finding),
        }
    }

    fn location(&self, finding: &Finding) -> Option<String> {
        if finding.detector == Detector::Silent {
            return None;
        }
        Some(match finding.location {
            Location::Main => "main".to_owned(),
            Location::Behind(member) => self.subject(Subject::Member(member)).to_owned(),
            Location::Unknown => "unknown".to_owned(),
        })
    }

    fn rule(&self, rule: Rule, unit: &str) -> String {
        let persist = &self.parameters.persist;
        match rule {
            Rule::Persist(PersistRule::Day(at)) => {
                let rule = &persist.day_rules[usize::from(at)];
                format!("{} d > {} {unit}", rule.days, rule.above)
            }
            Rule::Persist(PersistRule::Hour(at)) => {
                let rule = &persist.hour_rules[usize::from(at)];
                format!("{} h > {} {unit}", rule.hours, rule.above)
            }
            Rule::HighFlow(at) => {
                let rule = &persist.high_flow[usize::from(at)];
                format!("{} h > {} {unit}", rule.hours, rule.above)
            }
            Rule::Rise(Tail::Light | Tail::Mild) => "rise".to_owned(),
            Rule::Rise(Tail::Heavy) => "rise, uneven days".to_owned(),
            Rule::Flag(flag) => flag_word(flag).to_owned(),
            Rule::Only => String::new(),
        }
    }

    fn cost(&self, amount: f64) -> Option<alert::Cost> {
        let tariff = match self.names.resource {
            Resource::Water => self.tariffs.water,
            Resource::Energy => self.tariffs.energy,
        };
        Some(alert::Cost {
            amount: amount / 1000.0 * tariff?,
            currency: self.tariffs.currency.clone(),
        })
    }

    fn advice(&self, finding: &Finding) -> String {
        let place = match finding.location {
            Location::Main => "Close the stopcock after the main meter: if the meter still turns, \
                the pipe before it leaks; if it stands still, look between the main meter and the sub-meters."
                .to_owned(),
            Location::Behind(member) => {
                let name = self.subject(Subject::Member(member));
                format!(
                    "Look behind {name}: put a few drops of dye into each toilet's tank and see whether the \
                     bowl takes colour, then taps, the boiler's safety valve and the washing machine's hose. \
                     Closing one valve after the other shows which branch it is."
                )
            }
            Location::Unknown => "Close every tap and watch the meter; then close one valve after the other \
                until it stands still: what was closed last holds the leak."
                .to_owned(),
        };
        match (finding.detector, self.names.resource) {
            (Detector::Persist | Detector::Balance | Detector::Daily, Resource::Water) => place,
            (Detector::HighFlow, _) => "If nobody waters the garden or fills a pool, close the main \
                stopcock now."
                .to_owned(),
            (Detector::Away, _) => "Nobody seems to be home: have somebody close the main stopcock.".to_owned(),
            (Detector::Commissioning, _) => "If something there never stops by design, answer that it is \
                normal, or write rests = false into its [[sensor]]; otherwise look for the leak."
                .to_owned(),
            (Detector::DayShock, _) => "Think of what was different that day; if nothing was, read the \
                meter tonight and tomorrow morning."
                .to_owned(),
            (Detector::BaseLoad, _)
            | (Detector::Persist | Detector::Balance | Detector::Daily, Resource::Energy) => {
                "Look for what runs all the time since then: a heater, a pump, a freezer whose door does not \
                 close. Switching off one breaker after the other shows which circuit it is."
                    .to_owned()
            }
            (Detector::Silent, _) => "Look at its battery, its radio and whether it is still where it was."
                .to_owned(),
            (Detector::Device, _) => match finding.rule {
                Rule::Flag(Flag::Burst | Flag::Flood) => {
                    "Close the main stopcock now, and mind the electricity near water.".to_owned()
                }
                Rule::Flag(Flag::Dry) => "See whether the supply is closed, or the meter is empty.".to_owned(),
                Rule::Flag(Flag::Leak)
                | Rule::Persist(_)
                | Rule::HighFlow(_)
                | Rule::Rise(_)
                | Rule::Only => "Look at the place where the device is.".to_owned(),
            },
        }
    }
}

/// Which detector of the configuration a finding's is.
pub(super) const fn kind_of(detector: Detector) -> Kind {
    match detector {
        Detector::Persist => Kind::Persist,
        Detector::Commissioning => Kind::Commissioning,
        Detector::HighFlow => Kind::HighFlow,
        Detector::Away => Kind::Away,
        Detector::Balance => Kind::Balance,
        Detector::Daily => Kind::Daily,
        Detector::BaseLoad => Kind::BaseLoad,
        Detector::DayShock => Kind::DayShock,
        Detector::Silent => Kind::Silent,
        Detector::Device => Kind::Flag,
    }
}

const fn flag_word(flag: Flag) -> &'static str {
    match flag {
        Flag::Leak => "leak",
        Flag::Burst => "burst",
        Flag::Flood => "flood",
        Flag::Dry => "dry",
    }
}
