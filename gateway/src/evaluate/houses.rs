//! The houses of a recording, and what they say: a small stand-in for those who watch the gateway's sites.

use std::collections::BTreeMap;

use engine::detect::{
    Change, Counts, Detector, Finding, House, HouseSpec, Known, Location, MemberSpec, Names,
    Parameters, PersistRule, Resource, Rests, Rule, Severity, Subject, milli, of_day, of_diff,
    of_rest, words,
};
use engine::{Admission, BalanceId, Calendar, Changes, Kind, Reading, SensorId};

use super::silence::{Noticed, Silences};
use crate::alert::{self, AlertId, Claim, Told};
use crate::config::SensorRule;

/// The houses of a recording.
pub(super) struct Houses {
    calendar: Calendar,
    sensors: BTreeMap<SensorId, (String, SensorRule)>,
    balances: Vec<(BalanceId, String, Vec<SensorId>)>,
    watched: Vec<Watched>,
    places: BTreeMap<SensorId, (usize, usize)>,
    rests: BTreeMap<BalanceId, usize>,
    touched: Vec<usize>,
    silences: Silences,
}

struct Watched {
    house: House,
    names: Vec<String>,
    balance: String,
    factor: f64,
}

impl Houses {
    pub(super) fn new(calendar: Calendar) -> Self {
        Self {
            calendar,
            sensors: BTreeMap::new(),
            balances: Vec::new(),
            watched: Vec::new(),
            places: BTreeMap::new(),
            rests: BTreeMap::new(),
            touched: Vec::new(),
            silences: Silences::default(),
        }
    }

    pub(super) fn sensor(&mut self, id: SensorId, name: &str, rule: &SensorRule) {
        self.silences
            .sensor(id, rule.spec.kind, rule.spec.interval_ms);
        self.sensors.insert(id, (name.to_owned(), rule.clone()));
    }

    pub(super) fn balance(
        &mut self,
        id: BalanceId,
        name: &str,
        meter: SensorId,
        parts: &[SensorId],
    ) {
        let members = std::iter::once(meter).chain(parts.iter().copied());
        self.balances.push((id, name.to_owned(), members.collect()));
    }

    pub(super) fn complete(&mut self) {
        for (id, name, members) in std::mem::take(&mut self.balances) {
            self.rests.insert(id, self.watched.len());
            self.build(&name, &members);
        }
        let lone: Vec<SensorId> = self.sensors.keys().copied().collect();
        for sensor in lone {
            if !self.places.contains_key(&sensor) {
                self.build("", &[sensor]);
            }
        }
    }

    fn build(&mut self, balance: &str, members: &[SensorId]) {
        let (mut specs, mut names, mut resource) = (Vec::new(), Vec::new(), None);
        for member in members {
            let Some((name, rule)) = self.sensors.get(member) else {
                return;
            };
            let Some((of, factor)) = resource_of(rule.unit.as_deref()) else {
                return;
            };
            let counts = match rule.spec.kind {
                Kind::Meter => Counts::Register {
                    modulus_milli: rule.spec.modulus.map(|modulus| milli(modulus * factor)),
                    max_rate_milli: rule.spec.max_rate.map(|rate| milli(rate * factor)),
                },
                Kind::Delta => Counts::Delta,
                Kind::Gauge | Kind::Event => return,
            };
            resource.get_or_insert((of, factor));
            specs.push(MemberSpec {
                known: Known {
                    counts,
                    interval_ms: None,
                    resolution_milli: None,
                },
                rests: if rule.rests {
                    Rests::Learned
                } else {
                    Rests::Never
                },
                normal: Vec::new(),
            });
            names.push(name.clone());
        }
        let Some((resource, factor)) = resource else {
            return;
        };
        for (place, member) in members.iter().enumerate() {
            self.places.insert(*member, (self.watched.len(), place));
        }
        self.watched.push(Watched {
            house: House::new(HouseSpec {
                calendar: self.calendar,
                resource,
                members: specs,
                normal: Vec::new(),
                parameters: Parameters::default(),
            }),
            names,
            balance: balance.to_owned(),
            factor,
        });
    }

    pub(super) fn admitted(&mut self, reading: Reading, admission: Admission) {
        self.silences.heard(reading.sensor, reading.time.ms());
        self.moved(reading);
        let Some((at, member)) = self.places.get(&reading.sensor).copied() else {
            return;
        };
        let watched = &mut self.watched[at];
        let (ms, value) = (reading.time.ms(), milli(reading.value * watched.factor));
        let _taken = match admission {
            Admission::Accepted => watched.house.put(member, ms, value),
            Admission::Corrected { was } => {
                let was = milli(was * watched.factor);
                watched.house.correct(member, ms, was, value)
            }
            Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => return,
        };
        self.touched.push(at);
    }

    pub(super) fn settled(&mut self, changes: &Changes) {
        for change in &changes.days {
            let Some((at, member)) = self.places.get(&change.sensor).copied() else {
                continue;
            };
            let (day, calendar) = (change.day, self.calendar);
            let value = match (&change.state.walk, &change.state.diff) {
                (Some(_), Some(diff)) => of_diff(diff, day, calendar),
                (Some(_), None) => continue,
                (None, _) => of_day(&change.state.row, day, calendar),
            };
            self.watched[at]
                .house
                .put_day(Subject::Member(member), day, value);
            self.touched.push(at);
        }
        for (balance, day, row) in &changes.rests {
            let Some(at) = self.rests.get(balance).copied() else {
                continue;
            };
            let value = of_rest(row, *day, self.calendar);
            self.watched[at]
                .house
                .put_day(Subject::Remainder, *day, value);
            self.touched.push(at);
        }
    }

    /// Somebody moved in the houses of a sensor's prefix.
    fn moved(&mut self, reading: Reading) {
        let known = self.sensors.get(&reading.sensor);
        let Some((name, _)) = known.filter(|(_, rule)| rule.spec.kind == Kind::Event) else {
            return;
        };
        if reading.value == 0.0 {
            return;
        }
        for (at, watched) in self.watched.iter_mut().enumerate() {
            if prefix(&watched.names[0]) == prefix(name) {
                let _taken = watched.house.moved(reading.time.ms());
                self.touched.push(at);
            }
        }
    }

    /// Whether there is something to say for want of readings.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.silences.is_due(now_ms)
    }

    fn silence(&self, sensor: SensorId, finding: &Finding) -> Claim {
        let name = self.sensors.get(&sensor).map_or("", |(name, _)| name);
        let names = Names {
            members: &[name],
            balance: "",
            resource: Resource::Water,
        };
        Claim {
            id: AlertId::new("silent", name),
            kind: "silent".to_owned(),
            rule: "3 intervals".to_owned(),
            subject: name.to_owned(),
            severity: alert::Severity::Info,
            location: None,
            raised_ms: finding.raised_ms,
            flow: None,
            start: None,
            amount: None,
            unit: None,
            cost: None,
            text: words(finding, &names, self.calendar),
            advice: String::new(),
        }
    }

    pub(super) fn standing(&self) -> Vec<Claim> {
        let all = self.watched.iter().flat_map(|watched| {
            let findings = watched.house.findings().into_iter();
            findings.map(|finding| watched.claim(&finding, self.calendar))
        });
        let silent = self.silences.standing();
        let silent = silent.map(|(sensor, finding)| self.silence(sensor, &finding));
        all.chain(silent).collect()
    }

    pub(super) fn settle(&mut self, now_ms: i64) -> Vec<Told> {
        let noticed = self.silences.notice(now_ms).into_iter();
        let noticed = noticed.map(|noticed| match noticed {
            Noticed::Fell(sensor, finding) => Told::Raised(self.silence(sensor, &finding)),
            Noticed::Spoke(sensor, finding, at_ms) => {
                Told::Cleared(self.silence(sensor, &finding), at_ms)
            }
        });
        let mut told: Vec<Told> = noticed.collect();
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for at in touched {
            let watched = &mut self.watched[at];
            for change in watched.house.settle() {
                told.push(watched.tell(&change, self.calendar));
            }
        }
        told
    }
}

impl Watched {
    fn tell(&self, change: &Change, calendar: Calendar) -> Told {
        match change {
            Change::Raised(finding) => Told::Raised(self.claim(finding, calendar)),
            Change::Updated(finding) => Told::Updated(self.claim(finding, calendar)),
            Change::Cleared(finding) => Told::Cleared(
                self.claim(finding, calendar),
                finding.cleared_ms.unwrap_or(finding.raised_ms),
            ),
            Change::Withdrawn {
                subject, detector, ..
            } => Told::Withdrawn(AlertId::new(word(*detector), self.name(*subject))),
        }
    }

    fn name(&self, subject: Subject) -> &str {
        match subject {
            Subject::Member(member) => &self.names[member],
            Subject::Remainder => &self.balance,
        }
    }

    fn claim(&self, finding: &Finding, calendar: Calendar) -> Claim {
        let members: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let resource = self.house.spec().resource;
        let names = Names {
            members: &members,
            balance: &self.balance,
            resource,
        };
        let (flow_unit, unit) = match resource {
            Resource::Water => ("L/h", "L"),
            Resource::Energy => ("W", "Wh"),
        };
        let parameters = &self.house.spec().parameters;
        let rule = match finding.rule {
            Rule::Persist(PersistRule::Day(at)) => {
                let rule = &parameters.persist.day_rules[usize::from(at)];
                format!("{} d > {} {flow_unit}", rule.days, rule.above)
            }
            Rule::Persist(PersistRule::Hour(at)) => {
                let rule = &parameters.persist.hour_rules[usize::from(at)];
                format!("{} h > {} {flow_unit}", rule.hours, rule.above)
            }
            Rule::HighFlow(at) => {
                let rule = &parameters.persist.high_flow[usize::from(at)];
                format!("{} h > {} {flow_unit}", rule.hours, rule.above)
            }
            Rule::Rise(_) => "rise".to_owned(),
            Rule::Only | Rule::Flag(_) => String::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "millilitres of a house")]
        let amount = finding.milli.map(|milli| milli as f64 / 1000.0);
        let subject = self.name(finding.subject);
        Claim {
            id: AlertId::new(word(finding.detector), subject),
            kind: word(finding.detector).to_owned(),
            rule,
            subject: subject.to_owned(),
            severity: match finding.severity {
                Severity::Info => alert::Severity::Info,
                Severity::Warning => alert::Severity::Warning,
                Severity::Critical => alert::Severity::Critical,
            },
            location: Some(match finding.location {
                Location::Main => "main".to_owned(),
                Location::Behind(member) => self.names[member].clone(),
                Location::Unknown => "unknown".to_owned(),
            }),
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
            cost: None,
            text: words(finding, &names, calendar),
            advice: String::new(),
        }
    }
}

fn prefix(name: &str) -> &str {
    name.rfind('/').map_or("", |slash| &name[..slash])
}

fn resource_of(unit: Option<&str>) -> Option<(Resource, f64)> {
    match unit? {
        "L" => Some((Resource::Water, 1.0)),
        "m³" | "m3" => Some((Resource::Water, 1000.0)),
        "Wh" => Some((Resource::Energy, 1.0)),
        "kWh" => Some((Resource::Energy, 1000.0)),
        _ => None,
    }
}

fn word(detector: Detector) -> &'static str {
    match detector {
        Detector::Persist => "persist",
        Detector::Commissioning => "commissioning",
        Detector::HighFlow => "high_flow",
        Detector::Away => "away",
        Detector::Balance => "balance",
        Detector::Daily => "daily",
        Detector::BaseLoad => "base_load",
        Detector::DayShock => "day_shock",
        Detector::Silent => "silent",
        Detector::Device => "flag",
    }
}
