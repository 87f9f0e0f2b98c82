//! `sluice explain`: which readings, corrections and late readings make up a daily number.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Args;

use super::SharedArgs;
use super::ask::{AskArgs, Gateway};
use super::exit::Outcome;
use super::table::{Look, percent, printable, quantity, state};
use super::tables;
use crate::web::rows::Explanation;
use crate::web::when::Date;

/// Which number.
#[derive(Debug, Clone, Args)]
pub(super) struct ExplainArgs {
    /// The sensor's name
    sensor: String,
    /// The day, YYYY-MM-DD in the site's zone
    day: Date,
    #[command(flatten)]
    ask: AskArgs,
    /// Print the JSON of the HTTP API
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(shared: &SharedArgs, args: ExplainArgs) -> Outcome {
    let gateway = Gateway::find(shared, &args.ask).await?;
    let query = [("sensor", args.sensor), ("day", args.day.to_string())];
    let mut out = io::stdout().lock();
    if args.json {
        gateway.copy("/api/v1/explain", &query, &mut out).await?;
    } else {
        let why = gateway.get("/api/v1/explain", &query).await?;
        out.write_all(text(Look::of_stdout(), &why).as_bytes())?;
    }
    Ok(())
}

fn text(look: Look, why: &Explanation) -> String {
    let mut out = sentences(why);
    if !why.arrivals.is_empty() {
        out.push('\n');
        out.push_str(&tables::arrivals(look, &why.arrivals));
    }
    out
}

fn sentences(why: &Explanation) -> String {
    let unit = why.unit.as_deref();
    let name = printable(&why.sensor);
    let mut out = String::new();
    let mut say = |line: String| writeln!(out, "{line}").expect("a String takes all");
    match &why.row {
        None => say(format!("{name} has no reading that counts on {}.", why.day)),
        Some(row) => {
            let expected = match row.expected {
                Some(expected) => format!(" of {expected} readings ({})", percent(row.coverage)),
                None if row.count == 1 => " reading".to_owned(),
                None => " readings".to_owned(),
            };
            say(format!(
                "{name} on {}: {} {} from {}{expected}, {}.",
                why.day,
                row.aggregate,
                quantity(row.value, unit),
                row.count,
                state(row.closed, row.revision),
            ));
        }
    }
    if let Some(diff) = &why.diff {
        let since = why.before.map(|value| {
            format!(
                " since {}, the last value of the day before",
                quantity(value, unit)
            )
        });
        say(format!(
            "It rose {}{} ({}), {}.",
            quantity(diff.value, unit),
            since.unwrap_or_default(),
            diff.kind,
            state(diff.closed, diff.revision),
        ));
    }
    let count = |fate: &str| {
        why.arrivals
            .iter()
            .filter(|arrival| arrival.fate == fate)
            .count()
    };
    let corrections = count("corrected") + count("corrected late");
    if corrections > 0 {
        say(format!(
            "Corrections: {corrections}; the latest value of a time counts."
        ));
    }
    let withdrawn = count("withdrawn");
    if withdrawn > 0 {
        say(format!(
            "Withdrawn because they lay ahead when the clock was set: {withdrawn}; `sluice letters` \
             lists them."
        ));
    }
    let late = count("late");
    if late > 0 {
        say(format!(
            "Set aside because they came too late: {late}; they do not count."
        ));
    }
    out
}
