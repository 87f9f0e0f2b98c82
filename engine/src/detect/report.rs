//! An episode of a detector → a finding, in fields: flow, bounds, beginning, severity.

use super::daily::Daily;
use super::evidence::{self, Leak};
use super::finding::{Detector, Evidence, Finding, Flow, Location, Rule, Severity, Start, Subject};
use super::parameters::HOUR_MS;
use super::persist::{Episode, PersistRule};
use super::series::{Resource, Series, With};
use super::shift::real;

/// A series whose episodes are reported.
pub(crate) struct Report<'a> {
    pub(crate) subject: Subject,
    pub(crate) series: &'a Series,
    pub(crate) with: &'a With<'a>,
    pub(crate) resource: Resource,
}

impl Report<'_> {
    pub(crate) fn leak(
        &self,
        episode: &Episode<PersistRule>,
        locate: impl Fn(f64, i64) -> Location,
    ) -> Finding {
        let Leak {
            flow,
            start,
            milli,
            evidence,
        } = evidence::leak(self.series, self.with, episode);
        Finding {
            rule: Rule::Persist(episode.rule),
            severity: self.severity(flow.best),
            location: locate(flow.best, episode.seen_ms),
            flow: Some(flow),
            start: Some(start),
            milli: Some(milli),
            ..self.plain(Detector::Persist, episode, evidence)
        }
    }

    pub(crate) fn high_flow(&self, episode: &Episode<u8>, is_away: bool) -> Finding {
        let rules = &self.with.parameters.persist.high_flow;
        let rule = &rules[usize::from(episode.rule).min(rules.len() - 1)];
        let severity = if is_away {
            Severity::Warning
        } else {
            Severity::Info
        };
        let evidence = Evidence::HighFlow {
            above: rule.above,
            hours: rule.hours,
        };
        Finding {
            rule: Rule::HighFlow(episode.rule),
            severity,
            ..self.plain(Detector::HighFlow, episode, evidence)
        }
    }

    pub(crate) fn away(&self, episode: &Episode<()>) -> Finding {
        let since_ms = episode.seen_ms;
        Finding {
            severity: Severity::Warning,
            ..self.plain(Detector::Away, episode, Evidence::Nobody { since_ms })
        }
    }

    pub(crate) fn restless(&self, episode: &Episode<()>) -> Finding {
        let cells = self.series.cells().rev().take(14);
        let ceilings = cells.clone().map(|cell| cell.least.ceiling);
        let high = ceilings.reduce(f64::min).unwrap_or(0.0);
        let lows = cells.map(|cell| cell.least.flow);
        let low = lows.reduce(f64::min).unwrap_or(0.0);
        let evidence = Evidence::NoRest {
            constancy: super::finding::Constancy::Constant,
            quietest: high,
            days: self.with.parameters.persist.restless_days,
            rested: (0, 0, 0),
        };
        let flow = Flow {
            low,
            best: high,
            high,
        };
        Finding {
            flow: Some(flow),
            ..self.plain(Detector::Commissioning, episode, evidence)
        }
    }

    pub(crate) fn rise(&self, daily: &Daily, detector: Detector) -> Option<Finding> {
        let episode = daily.latch().rises.last?;
        let parameters = self.with.parameters;
        let shift = match (detector, self.resource) {
            (Detector::BaseLoad, _) => &parameters.base_load,
            (_, Resource::Water) => &parameters.balance,
            (_, Resource::Energy) => &parameters.energy,
        };
        let hours = real(shift.per_ms / HOUR_MS) * 1000.0;
        let rise = daily.rise(shift.clear_days)?.rise;
        let best = rise.by / hours;
        let error = rise.error / hours;
        let calendar = self.with.calendar;
        let (from_ms, day_end_ms) = calendar.bounds(rise.start);
        let start = Start {
            from_ms: Some(from_ms),
            until_ms: day_end_ms,
        };
        let until_ms = daily.ran_until_ms(shift.clear_days)?;
        let severity = match self.resource {
            Resource::Water => self.severity(best),
            Resource::Energy => Severity::Warning,
        };
        let evidence = Evidence::Rise {
            before: rise.before / 1000.0,
            by: rise.by / 1000.0,
            error: rise.error / 1000.0,
            start: rise.start,
            days: rise.days,
            base_days: rise.base_days,
        };
        let location = match self.subject {
            Subject::Remainder => Location::Main,
            Subject::Member(member) => Location::Behind(member),
        };
        Some(Finding {
            rule: Rule::Rise(rise.tail),
            severity,
            location,
            flow: Some(Flow {
                low: (best - 2.0 * error).max(0.0),
                best,
                high: best + 2.0 * error,
            }),
            milli: Some(evidence::volume(best, until_ms - from_ms)),
            start: Some(start),
            ..self.plain(detector, &episode, evidence)
        })
    }

    pub(crate) fn shock(&self, daily: &Daily) -> Option<Finding> {
        let episode = daily.latch().shocks.last?;
        let totals = |is: fn(i64, i64) -> bool| {
            let entries = daily.entries();
            let those = entries.filter(move |entry| is(entry.value.at_ms, episode.raised_ms));
            those.map(|entry| entry.value.total_milli).max()
        };
        let evidence = Evidence::Shock {
            total: real(totals(|at, raised| at == raised)?) / 1000.0,
            largest: real(totals(|at, raised| at < raised).unwrap_or(0)) / 1000.0,
        };
        Some(self.plain(Detector::DayShock, &episode, evidence))
    }

    fn severity(&self, flow: f64) -> Severity {
        if flow >= self.with.parameters.persist.critical_from {
            Severity::Critical
        } else {
            Severity::Warning
        }
    }

    /// What every finding has.
    fn plain<R>(&self, detector: Detector, episode: &Episode<R>, evidence: Evidence) -> Finding {
        Finding {
            subject: self.subject,
            detector,
            rule: Rule::Only,
            severity: Severity::Info,
            location: Location::Unknown,
            raised_ms: episode.raised_ms,
            cleared_ms: episode.cleared_ms,
            flow: None,
            start: None,
            milli: None,
            evidence,
        }
    }
}
