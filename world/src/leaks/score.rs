//! What was said, held against the truth.

use std::collections::BTreeSet;

use engine::detect::{Change, Finding, Location, Severity};

use super::case::{Case, DAY_MS, Leaking, Place, hours, many};
use super::watch::{Said, alarms};

/// An alarm so long after a leak's end is still about it, ms: a day rule looks back as far.
const AFTER_MS: i64 = 3 * DAY_MS;

/// What became of the leaks of some cases, and what was said without any.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// How many there were.
    pub leaks: usize,
    /// Hours until each that was found.
    pub after: Vec<f64>,
    /// Estimated over true flow of each that was found, as it was said last.
    pub ratios: Vec<f64>,
    /// How many were said to be where they are.
    pub placed: usize,
    /// Episodes that no leak explains.
    pub false_alarms: usize,
    /// Days without a leak.
    pub days: f64,
}

impl Score {
    /// Takes notice of what was said of a home with one leak or none.
    pub fn hear(&mut self, case: &Case, said: &[Said]) {
        let (begin_ms, end_ms) = case.span;
        self.false_alarms += distinct(unexplained(case, said));
        let leaking = case
            .leaks
            .iter()
            .map(|leak| end_ms.min(leak.until_ms + AFTER_MS) - leak.from_ms);
        self.days += hours(end_ms - begin_ms - leaking.sum::<i64>()) / 24.0;
        let Some(leak) = case.leaks.first() else {
            return;
        };
        self.leaks += 1;
        let of_leak = |at_ms: i64| leak.explains(at_ms, AFTER_MS);
        let mut found = alarms(said).filter(|(at_ms, _)| of_leak(*at_ms)).peekable();
        let Some((at_ms, _)) = found.peek() else {
            return;
        };
        self.after.push(hours(at_ms - leak.from_ms));
        let place = location(case, leak);
        self.placed += usize::from(found.any(|(_, finding)| finding.location == place));
        let flow = said.iter().rev().find_map(|(at_ms, change)| match change {
            Change::Raised(finding) | Change::Updated(finding)
                if of_leak(*at_ms) && finding.severity > Severity::Info =>
            {
                finding.flow
            }
            Change::Raised(_)
            | Change::Updated(_)
            | Change::Cleared(_)
            | Change::Withdrawn { .. } => None,
        });
        self.ratios.extend(flow.map(|flow| flow.best / leak.rate));
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.leaks += other.leaks;
        self.after.extend(other.after);
        self.ratios.extend(other.ratios);
        self.placed += other.placed;
        self.false_alarms += other.false_alarms;
        self.days += other.days;
        self
    }

    /// The share that was found, 0 to 1.
    #[must_use]
    pub fn found(&self) -> f64 {
        many(self.after.len()) / many(self.leaks.max(1))
    }

    /// The share of those found that was said to be where it is.
    #[must_use]
    pub fn placed(&self) -> f64 {
        many(self.placed) / many(self.after.len().max(1))
    }

    /// Hours within which so many of a hundred leaks were found; infinite where fewer were at all.
    #[must_use]
    pub fn within(&self, percent: usize) -> f64 {
        let mut all = self.after.clone();
        all.resize(self.leaks, f64::INFINITY);
        quantile(all, percent).unwrap_or(f64::INFINITY)
    }

    /// False alarms a house and year.
    #[must_use]
    pub fn a_year(&self) -> f64 {
        many(self.false_alarms) * 365.0 / self.days.max(1.0)
    }
}

/// Alarms that no leak explains.
pub fn unexplained<'a>(
    case: &'a Case,
    said: &'a [Said],
) -> impl Iterator<Item = (i64, Finding)> + 'a {
    alarms(said).filter(|(at_ms, _)| {
        !case
            .leaks
            .iter()
            .any(|leak| leak.explains(*at_ms, AFTER_MS))
    })
}

/// How many episodes these are: one that late readings take back and bring again is one.
pub fn distinct(alarms: impl Iterator<Item = (i64, Finding)>) -> usize {
    let episodes =
        alarms.map(|(_, finding)| (finding.subject, finding.detector, finding.raised_ms));
    episodes.collect::<BTreeSet<_>>().len()
}

/// Where a finding should put a leak.
#[must_use]
pub fn location(case: &Case, leak: &Leaking) -> Location {
    match (case.part, leak.place) {
        (None, _) => Location::Behind(0),
        (Some(_), Place::Main) => Location::Main,
        (Some(_), Place::Branch) => Location::Behind(1),
    }
}

/// The value that so many of a hundred lie at or below; nothing of nothing.
#[must_use]
pub fn quantile(mut values: Vec<f64>, percent: usize) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(values[(values.len() * percent / 100).min(last)])
}
