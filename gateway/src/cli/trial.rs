//! `sluice alert test`: one message through every configured channel, and what each answered. It needs no daemon:
//! the channels are the configuration's, and what is sent is nobody's alert.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::Args;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::settings;
use super::table::{Column, Look, table};
use crate::clock::Clock;
use crate::config::{Channel, Config};
use crate::notify::{Bundle, House, Sender};

/// Which channels to try.
#[derive(Debug, Clone, Args)]
pub(super) struct TrialArgs {
    /// The channel's name; default: all of them
    channel: Option<String>,
}

/// How one channel did.
struct Tried {
    channel: String,
    kind: &'static str,
    result: Result<String, String>,
    took_ms: u64,
}

pub(super) async fn trial(shared: &SharedArgs, args: TrialArgs) -> Outcome {
    let config = settings::load(shared)?;
    let meant = meant(&config, args.channel.as_deref())?;
    let clock = settings::clock(&config);
    let trials = meant
        .into_iter()
        .map(|channel| one(channel, House::of(&config), &clock));
    // None waits for another.
    let tried = futures_util::future::join_all(trials).await;
    let failed = tried.iter().filter(|tried| tried.result.is_err()).count();
    let rows = tried.iter().map(|tried| {
        let (verdict, words) = match &tried.result {
            Ok(words) => ("sent", words),
            Err(why) => ("FAILED", why),
        };
        vec![
            tried.channel.clone(),
            tried.kind.to_owned(),
            verdict.to_owned(),
            format!("{} ms", tried.took_ms),
            words.clone(),
        ]
    });
    let columns = [
        Column::Text("Channel"),
        Column::Text("Type"),
        Column::Text("Result"),
        Column::Number("Time"),
        Column::Text("Answer"),
    ];
    writeln!(io::stdout(), "{}", table(Look::of_stdout(), &columns, rows))?;
    if failed == 0 {
        return Ok(());
    }
    let why = anyhow!(
        "the test did not get through {failed} of {} channels",
        tried.len()
    );
    Err(Failure::new(Exit::Failed, why))
}

fn meant<'c>(config: &'c Config, only: Option<&str>) -> Outcome<Vec<&'c Channel>> {
    let channels = &config.alert.channels;
    let meant: Vec<&Channel> = channels
        .iter()
        .filter(|channel| only.is_none_or(|name| channel.name == name))
        .collect();
    if !meant.is_empty() {
        return Ok(meant);
    }
    let names: Vec<&str> = channels.iter().map(|channel| &*channel.name).collect();
    let why = match only {
        Some(name) if names.is_empty() => {
            anyhow!("there is no channel {name:?}: the configuration has no [[alert.channel]]")
        }
        Some(name) => anyhow!(
            "there is no channel {name:?}; there are {}",
            names.join(", ")
        ),
        None => anyhow!(
            "there is no channel to test: write an [[alert.channel]]; alerts are on the broker and on the dashboard \
             without one"
        ),
    };
    Err(Failure::new(Exit::Failed, why))
}

async fn one(channel: &Channel, house: House, clock: &Clock) -> Tried {
    let bundle = Bundle::trial(house, clock.wall_ms(), rand::random());
    let began = clock.monotonic_ms();
    let sent = Sender::new(channel.clone(), None).send(&bundle).await;
    Tried {
        channel: channel.name.clone(),
        kind: channel.kind().word(),
        result: sent
            .map(|reply| reply.words)
            .map_err(|failure| failure.text),
        took_ms: clock.monotonic_ms().saturating_sub(began),
    }
}
