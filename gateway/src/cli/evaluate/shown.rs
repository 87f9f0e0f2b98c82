//! What people see of an evaluation: how far it is, a table with the words behind it, and the scores.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::DateTime;
use chrono_tz::Tz;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::table::{self as tables, Column, Look};
use crate::alert::Severity;
use crate::evaluate::{Ending, Episode, Heard, Score, Scores};

/// Elsewhere than on a terminal, progress is a line every so many readings.
const READINGS_A_NOTE: u64 = 5_000_000;

/// A bar on a terminal, a line now and then elsewhere; both on stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    cases: usize,
    heard: AtomicU64,
    readings: AtomicU64,
}

impl Progress {
    pub(super) fn over(cases: usize, bytes: u64) -> Self {
        let style =
            ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg} readings  {eta} left");
        let style = style.expect("the template above is well-formed");
        let is_watched = io::stderr().is_terminal();
        Self {
            bar: is_watched.then(|| ProgressBar::new(bytes).with_style(style)),
            cases,
            heard: AtomicU64::new(0),
            readings: AtomicU64::new(0),
        }
    }

    pub(super) fn read(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    pub(super) fn heard(&self, readings: u64) {
        let before = self.readings.fetch_add(readings, Ordering::AcqRel);
        let (cases, all) = (
            self.heard.fetch_add(1, Ordering::AcqRel) + 1,
            before + readings,
        );
        match &self.bar {
            Some(bar) => bar.set_message(all.to_string()),
            None if before / READINGS_A_NOTE < all / READINGS_A_NOTE => {
                self.note(&format!("{cases} of {} cases, {all} readings", self.cases));
            }
            None => {}
        }
    }

    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Without a stderr nobody wants to know.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What was heard, how fast, and what of it was part of no result.
pub(super) fn notes(heard: &[(&str, Heard)], took_ms: u64) -> String {
    let mut text = String::new();
    for (case, heard) in heard {
        let refusals = &heard.refusals;
        if let Some(reason) = &refusals.first_reason {
            let case = tables::printable(case);
            text.push_str(&format!(
                "{case}: {} refused; the first: {reason}\n",
                counted(refusals.refused, "reading")
            ));
        }
    }
    let sum = |of: fn(&Heard) -> u64| heard.iter().map(|(_, heard)| of(heard)).sum::<u64>();
    let readings = sum(|heard| heard.readings);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let seconds = took_ms.max(1) as f64 / 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = readings as f64 / seconds;
    text.push_str(&format!(
        "{}, {readings} readings in {seconds:.1} s, {rate:.0} a second; {} were duplicates, {} late, {} refused\n",
        counted(heard.len(), "case"),
        sum(|heard| heard.refusals.duplicate + heard.refusals.again),
        sum(|heard| heard.refusals.late),
        sum(|heard| heard.refusals.refused),
    ));
    text
}

/// Everything that was said: a table, and the words behind it.
pub(super) fn table(heard: &[(&str, Heard)], look: Look, zone: Tz) -> String {
    let columns = [
        Column::Number("#"),
        Column::Text("case"),
        Column::Text("raised"),
        Column::Text("cleared"),
        Column::Text("severity"),
        Column::Text("detector"),
        Column::Text("rule"),
        Column::Text("series"),
        Column::Text("where"),
        Column::Number("flow"),
        Column::Number("so far"),
    ];
    let mut said: Vec<(&str, &Episode)> = Vec::new();
    for (case, heard) in heard {
        let from = said.len();
        said.extend(heard.episodes.iter().map(|episode| (*case, episode)));
        said[from..].sort_by_key(|(_, episode)| episode.raised_ms);
    }
    if said.is_empty() {
        return "Nothing would have been said.\n".to_owned();
    }
    let rows = (1..).zip(&said).map(|(number, (case, episode))| {
        let claim = &episode.claim;
        let cleared = episode.cleared_ms.map(|ms| local(ms, zone));
        vec![
            format!("{number}"),
            tables::printable(case),
            local(episode.raised_ms, zone),
            match (episode.ending, cleared) {
                (Ending::Withdrawn, Some(at)) => format!("{at} (withdrawn)"),
                (Ending::Open | Ending::Cleared, Some(at)) => at,
                (_, None) => tables::dash(),
            },
            word(claim.severity).to_owned(),
            claim.kind.clone(),
            claim.rule.clone(),
            tables::printable(&claim.subject),
            tables::text(claim.location.as_deref()),
            claim.flow.as_ref().map_or_else(tables::dash, |flow| {
                format!("{:.2} {}", flow.best, flow.unit)
            }),
            claim.amount.map_or_else(tables::dash, |amount| {
                format!("{amount:.0} {}", claim.unit.as_deref().unwrap_or_default())
            }),
        ]
    });
    let mut text = tables::table(look, &columns, rows);
    for (number, (_, episode)) in (1..).zip(&said) {
        let words = tables::printable(&episode.claim.text);
        text.push_str(&format!("\n{number}. {words}"));
    }
    text.push('\n');
    text
}

/// How well it went, a line for each size of leak.
pub(super) fn score_table(scores: &Scores, look: Look) -> String {
    let columns = [
        Column::Text("leak"),
        Column::Number("leaks"),
        Column::Number("found"),
        Column::Number("after (median)"),
        Column::Number("90 % within"),
        Column::Number("flow off by"),
        Column::Number("start off by"),
        Column::Number("place right"),
    ];
    let sizes = scores
        .sizes
        .iter()
        .map(|size| row(format!("{} {}", size.rate, size.unit), &size.score));
    let all = (scores.sizes.len() > 1).then(|| row("all".to_owned(), &scores.all));
    let mut text = tables::table(look, &columns, sizes.chain(all));
    let rate = scores.false_alarms_per_house_year;
    text.push_str(&format!(
        "\n{} false alarms in {:.2} house years without a leak: {} a house and year\n",
        scores.false_alarms,
        scores.house_years,
        rate.map_or_else(tables::dash, |rate| format!("{rate:.2}"))
    ));
    text
}

fn row(leak: String, score: &Score) -> Vec<String> {
    let hours = |hours: Option<f64>| {
        hours.map_or_else(tables::dash, |hours| {
            if hours < 48.0 {
                format!("{hours:.1} h")
            } else {
                format!("{:.1} d", hours / 24.0)
            }
        })
    };
    vec![
        leak,
        score.leaks.to_string(),
        tables::percent(share(score.found, score.leaks)),
        hours(score.hours_median),
        hours(score.hours_90),
        tables::percent(score.flow_error_median),
        hours(score.start_error_hours_median),
        tables::percent(share(score.placed, score.placeable)),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts of leaks")]
fn share(count: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

/// A number with its noun.
fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn local(ms: i64, zone: Tz) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(at) => at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string(),
        None => format!("{ms} ms"),
    }
}
