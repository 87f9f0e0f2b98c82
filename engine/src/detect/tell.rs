//! What a house says: what stands, where it is, and what is different since it was said last.

use super::evidence;
use super::finding::{Change, Detector, Finding, Location, Subject};
use super::house::{House, held};
use super::line::{ALL, Kind, Line, detector, stretches};
use super::report::Report;
use super::said::{Said, Stretch, Verdict, judge};
use super::series::{Resource, With, newest_day};

/// A part whose ceiling is under this share of a leak does not hold it.
const NOT_BEHIND_SHARE: f64 = 0.5;

impl House {
    /// Everything that stands.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let lines = self.lines.iter();
        let standing = lines.flat_map(|line| {
            ALL.into_iter().filter_map(|kind| {
                let (last, _) = self.stretches(line, kind);
                last.filter(|last| last.cleared_ms.is_none())?;
                self.finding(line, kind)
            })
        });
        standing.collect()
    }

    pub(crate) fn tell(&mut self, index: usize, changes: &mut Vec<Change>) {
        let line = &mut self.lines[index];
        let newest = [
            newest_day(&line.series),
            line.days.entries().next_back().map(|entry| entry.day),
        ];
        let is_day_over = newest != line.told;
        line.told = newest;
        for kind in ALL {
            let line = &self.lines[index];
            let said = line.said[kind as usize];
            let (last, before) = self.stretches(line, kind);
            let verdict = judge(said, last, before);
            if verdict == Verdict::Same && (!is_day_over || said.is_none()) {
                continue;
            }
            let found = || self.finding(line, kind);
            let withdrawn = said.map(|said| Change::Withdrawn {
                subject: line.subject,
                detector: detector(kind, line.subject),
                raised_ms: said.raised_ms,
            });
            let over = |finding: Finding, last: Option<Stretch>| {
                let cleared_ms = last.map_or(finding.raised_ms, |last| last.raised_ms);
                Finding {
                    cleared_ms: finding.cleared_ms.or(Some(cleared_ms)),
                    ..finding
                }
            };
            let standing = |finding: Finding| Finding {
                cleared_ms: None,
                ..finding
            };
            match verdict {
                Verdict::Same => {
                    let stands = last.is_some_and(|last| last.cleared_ms.is_none());
                    if stands {
                        changes.extend(found().map(Change::Updated));
                    }
                    continue;
                }
                Verdict::Raise => changes.extend(found().map(Change::Raised)),
                Verdict::RaiseAndClear => {
                    changes.extend(found().map(standing).map(Change::Raised));
                    changes.extend(found().map(Change::Cleared));
                }
                Verdict::Clear => changes.extend(found().map(Change::Cleared)),
                Verdict::ClearAndRaise => {
                    let ended = before.or(last);
                    let cleared = found().map(|finding| Finding {
                        raised_ms: said.map_or(finding.raised_ms, |said| said.raised_ms),
                        cleared_ms: ended.and_then(|ended| ended.cleared_ms),
                        ..finding
                    });
                    changes.extend(cleared.map(|cleared| Change::Cleared(over(cleared, last))));
                    changes.extend(found().map(standing).map(Change::Raised));
                    if last.is_some_and(|last| last.cleared_ms.is_some()) {
                        changes.extend(found().map(Change::Cleared));
                    }
                }
                Verdict::Withdraw => changes.extend(withdrawn),
                Verdict::WithdrawAndRaise => {
                    changes.extend(withdrawn);
                    changes.extend(found().map(Change::Raised));
                }
            }
            self.lines[index].said[kind as usize] = match verdict {
                Verdict::Withdraw => None,
                Verdict::Same
                | Verdict::Raise
                | Verdict::RaiseAndClear
                | Verdict::Clear
                | Verdict::ClearAndRaise
                | Verdict::WithdrawAndRaise => last.map(|last| Said {
                    raised_ms: last.raised_ms,
                    cleared_ms: last.cleared_ms,
                }),
            };
        }
    }

    /// The newest two episodes of a kind.
    fn stretches(&self, line: &Line, kind: Kind) -> (Option<Stretch>, Option<Stretch>) {
        let standing = &line.series.now().standing;
        match kind {
            Kind::Leak => stretches(&standing.leaks),
            Kind::HighFlow => stretches(&standing.notices),
            // The meter sees what its parts do.
            Kind::Away if line.subject == Subject::Member(0) => stretches(&standing.away),
            Kind::Commissioning => stretches(&standing.commissioning),
            Kind::Rise if self.watches_days(line) => stretches(&line.days.latch().rises),
            Kind::Shock if line.subject == Subject::Member(0) => {
                stretches(&line.days.latch().shocks)
            }
            // What heating and cooling draw comes and goes with the weather: only what they do not explain tells.
            Kind::BaseLoad if line.subject == Subject::Remainder => {
                stretches(&line.loads.latch().rises)
            }
            Kind::Away | Kind::Rise | Kind::Shock | Kind::BaseLoad => (None, None),
        }
    }

    /// BALANCE watches the remainder; DAILY what no interval series, or none that rests, can be told of.
    fn watches_days(&self, line: &Line) -> bool {
        match line.subject {
            Subject::Remainder => true,
            Subject::Member(_) if self.spec.resource == Resource::Energy => false,
            Subject::Member(0) if self.spec.members.len() > 1 => false,
            Subject::Member(_) => {
                let is_restless = line.series.now().standing.restless;
                is_restless || !line.series.is_watched(&self.spec.parameters.persist)
            }
        }
    }

    /// The newest episode of a kind, in fields.
    fn finding(&self, line: &Line, kind: Kind) -> Option<Finding> {
        let with = self.with(line);
        let report = Report {
            subject: line.subject,
            series: &line.series,
            with: &with,
            resource: self.spec.resource,
        };
        let standing = &line.series.now().standing;
        let located = |flow: f64, seen_ms: i64| self.locate(line, flow, seen_ms);
        match kind {
            Kind::Leak => standing.leaks.last.map(|e| report.leak(&e, located)),
            Kind::HighFlow => standing.notices.last.map(|e| {
                let away = standing.away.open().is_some();
                report.high_flow(&e, away)
            }),
            Kind::Away => standing.away.last.map(|e| report.away(&e)),
            Kind::Commissioning => standing.commissioning.last.map(|e| report.restless(&e)),
            Kind::Rise => report.rise(&line.days, detector(kind, line.subject)),
            Kind::BaseLoad => report.rise(&line.loads, Detector::BaseLoad),
            Kind::Shock => report.shock(&line.days),
        }
    }

    fn with(&self, line: &Line) -> With<'_> {
        With {
            calendar: self.spec.calendar,
            parameters: &self.spec.parameters,
            held: held(&self.slots, line.subject),
            movements: self.movements.as_ref(),
        }
    }

    /// Where a leak of that flow is, which a series has shown since then.
    fn locate(&self, line: &Line, flow: f64, seen_ms: i64) -> Location {
        let member = match line.subject {
            Subject::Remainder => return Location::Main,
            Subject::Member(member) => member,
        };
        if member > 0 || self.spec.members.len() == 1 {
            return Location::Behind(member);
        }
        let (mut clear, mut parts) = (0, 0);
        for part in &self.lines[1..self.spec.members.len()] {
            parts += 1;
            let leaks = part.series.now().standing.leaks.open().is_some();
            let rises = self.watches_days(part) && part.days.latch().rises.open().is_some();
            if let (Subject::Member(member), true) = (part.subject, leaks || rises) {
                return Location::Behind(member);
            }
            let with = self.with(part);
            let ceiling = evidence::ceiling_since(&part.series, seen_ms, &with);
            clear += usize::from(ceiling.is_some_and(|c| c < NOT_BEHIND_SHARE * flow));
        }
        if clear == parts {
            Location::Main
        } else {
            Location::Unknown
        }
    }
}
