//! How far a run is, for people: a bar on a terminal, a plain line now and then elsewhere. On stderr;
//! stdout is for results.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use chrono::DateTime;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::publish::Progress;
use tokio::time::Instant;

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where progress is shown.
pub(crate) enum Display {
    /// On a terminal.
    Bar(ProgressBar),
    /// Into a file or a pipe; the next line is due then.
    Lines(Instant),
}

impl Display {
    pub(crate) fn new(total: u64) -> Self {
        if stderr().is_terminal() {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template(
                "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} eta {eta}",
            )
            .expect("the template is a constant");
            bar.set_style(style);
            Self::Bar(bar)
        } else {
            Self::Lines(Instant::now() + LINE_EVERY)
        }
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        let day = DateTime::from_timestamp_millis(progress.at_ms)
            .map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default();
        match self {
            Self::Bar(bar) => {
                bar.set_message(day);
                bar.set_position(progress.acknowledged);
            }
            Self::Lines(due) => {
                let now = Instant::now();
                if now >= *due {
                    *due = now + LINE_EVERY;
                    eprintln!(
                        "{day}: {} of {} messages acknowledged",
                        progress.acknowledged, progress.total
                    );
                }
            }
        }
    }

    pub(crate) fn finish(self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines(_) => {}
        }
    }
}
