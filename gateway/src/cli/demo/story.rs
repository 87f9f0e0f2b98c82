//! What a demo tells while it runs: a bar on a terminal, and a line for every simulated week.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use simulator::Scenario;
use simulator::publish::Progress;

use super::say;
use crate::app::Running;
use crate::rows::when::{Date, Moment, Span};
use crate::web::facts::StoreFacts;
use crate::web::reading::{Facts, Unreadable};

const DAY_MS: i64 = 86_400_000;
/// Simulated days from line to line.
const LINE_DAYS: i64 = 7;

/// Says lines to who watches, above the bar where there is one. Cloning it gives another handle.
#[derive(Clone)]
pub(super) struct Voice(Option<ProgressBar>);

impl Voice {
    pub(super) fn line(&self, line: &str) {
        match &self.0 {
            Some(bar) => bar.println(line),
            None => say(line),
        }
    }
}

/// The story of one run.
pub(super) struct Story {
    facts: Arc<StoreFacts>,
    start_ms: i64,
    voice: Voice,
    /// Simulated days that have been told of.
    told: i64,
}

impl Story {
    pub(super) fn begin(running: &Running, scenario: &Scenario) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = "{bar:30} {pos}/{len} readings  {msg}  {eta} left";
            let style = ProgressStyle::with_template(template);
            let style = style.expect("the template above is well-formed");
            ProgressBar::new(scenario.total()).with_style(style)
        });
        Self {
            facts: running.facts(),
            start_ms: scenario.start_ms(),
            voice: Voice(bar),
            told: 0,
        }
    }

    pub(super) fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        let days = (progress.at_ms - self.start_ms).max(0) / DAY_MS;
        if let Some(bar) = &self.voice.0 {
            bar.set_position(progress.acknowledged);
            let now = Moment::from_ms(progress.at_ms).to_string();
            bar.set_message(now.chars().take(10).collect::<String>());
        }
        if days >= self.told + LINE_DAYS {
            self.told = days - days % LINE_DAYS;
            match self.week() {
                Ok(line) => self.voice.line(&line),
                Err(error) => self
                    .voice
                    .line(&format!("cannot tell of this week: {error}")),
            }
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.voice.0 {
            bar.finish_and_clear();
        }
    }

    /// What leaked on the newest day that is known, and what late data has done so far.
    fn week(&self) -> Result<String, Unreadable> {
        let mut line = String::new();
        for balance in self.facts.balance_names()? {
            let rests = self.facts.rests(&balance, &Span::default())?;
            if let Some(rest) = rests.last() {
                let day: Date = rest.day;
                let unit = rest.unit.as_deref().unwrap_or_default();
                line += &format!("{day} {balance} rest {:.1} {unit}   ", rest.value);
            }
        }
        let counters = self.facts.status()?.counters;
        line += &format!(
            "{} accepted, {} corrected by late data, {} set aside",
            counters.accepted, counters.corrected, counters.late
        );
        Ok(line)
    }
}
