//! What a house says: what stands, where it is, and what is different since it was said last.

use super::evidence;
use super::finding::{Change, Constancy, Detector, Evidence, Finding, Location, Subject};
use super::house::{House, held};
use super::line::{ALL, Kind, Line, detector, stretches};
use super::persist::{Episode, PersistRule};
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
        // A burst on top of a leak that stands is told at once.
        let large = evidence::large(
            line.series.now().standing.hours,
            &self.spec.parameters.persist,
        );
        let is_burst = large & !line.told_large != 0;
        line.told_large = large;
        for kind in ALL {
            let line = &self.lines[index];
            let said = line.said[kind as usize];
            let (last, before) = self.stretches(line, kind);
            let verdict = judge(said, last, before);
            let is_news = is_day_over || (kind == Kind::Leak && is_burst);
            if verdict == Verdict::Same && (!is_news || said.is_none()) {
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
            whole: match line.subject {
                Subject::Remainder => Some(&self.lines[0].series),
                Subject::Member(_) => None,
            },
            with: &with,
            resource: self.spec.resource,
        };
        let standing = &line.series.now().standing;
        let located = |flow: f64, of: &Episode<PersistRule>| self.locate(line, flow, of);
        match kind {
            Kind::Leak => standing.leaks.last.map(|e| report.leak(&e, located)),
            Kind::HighFlow => standing.notices.last.map(|e| {
                let away = standing.away.open().is_some();
                report.high_flow(&e, away)
            }),
            Kind::Away => standing.away.last.map(|e| report.away(&e)),
            Kind::Commissioning => standing.commissioning.last.map(|e| report.restless(&e)),
            Kind::Rise => {
                let rise = report.rise(&line.days, detector(kind, line.subject))?;
                // The least of what never rests is its own flow and the leak's.
                let leak = standing.leaks.last.filter(|_| !standing.restless);
                let leak = leak.map(|e| report.leak(&e, located));
                Some(surer(rise, leak))
            }
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

    /// Where a leak of that flow is, which a series showed in that time.
    fn locate(&self, line: &Line, flow: f64, of: &Episode<PersistRule>) -> Location {
        let member = match line.subject {
            Subject::Remainder => return Location::Main,
            Subject::Member(member) => member,
        };
        if member > 0 || self.spec.members.len() == 1 {
            return Location::Behind(member);
        }
        let now_ms = line.series.reached_ms();
        let (mut clear, mut parts) = (0, 0);
        for part in &self.lines[1..self.spec.members.len()] {
            parts += 1;
            // What is over may have been seen to be so in one of them first.
            let leaks = part.series.now().standing.leaks.held_most_of(of, now_ms);
            let rises = self.watches_days(part) && part.days.latch().rises.held_most_of(of, now_ms);
            if let (Subject::Member(member), true) = (part.subject, leaks || rises) {
                return Location::Behind(member);
            }
            let with = self.with(part);
            let ceiling = evidence::ceiling_since(&part.series, of.seen_ms, &with);
            clear += usize::from(ceiling.is_some_and(|c| c < NOT_BEHIND_SHARE * flow));
        }
        if clear == parts {
            Location::Main
        } else {
            Location::Unknown
        }
    }
}

/// A rise with the flow of the leak that the nights of the same days prove, where that is known better.
fn surer(rise: Finding, leak: Option<Finding>) -> Finding {
    let (Some(days), Some(leak)) = (rise.flow, leak) else {
        return rise;
    };
    let (Some(nights), Evidence::NoRest { constancy, .. }) = (leak.flow, leak.evidence) else {
        return rise;
    };
    let over = |finding: &Finding| finding.cleared_ms.unwrap_or(i64::MAX);
    let is_same = leak.raised_ms < over(&rise)
        && rise
            .start
            .is_some_and(|start| start.about_ms() < over(&leak))
        && constancy == Constancy::Constant
        // What else the days gained is no leak that runs through the night.
        && days.low <= nights.high;
    if !is_same || nights.high - nights.low >= days.high - days.low {
        return rise;
    }
    let share = nights.best / days.best;
    Finding {
        flow: Some(nights),
        milli: rise.milli.map(|milli| scaled(milli, share)),
        ..rise
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "litres of one leak: far below 2^53 thousandths"
)]
fn scaled(milli: i64, share: f64) -> i64 {
    (milli as f64 * share).round() as i64
}
