//! `sluice alert ack`, `snooze` and `normal`: asked of the daemon over its control socket, or, when it is
//! stopped, carried out on its store.

use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use reqwest::{Client, Url};
use serde_json::json;

use super::SharedArgs;
use super::exit::Outcome;
use super::operate::{Answer, address, by_daemon, by_stopped};
use super::settings;
use crate::alert::{Action, AlertId};
use crate::config::duration_ms;
use crate::ingest::Order;
use crate::rows::Alert;

/// Which alert, and who answers.
#[derive(Debug, Clone, Args)]
pub(super) struct AnswerArgs {
    /// The alert's id, as `sluice alerts` shows it
    id: String,
    /// Who says so
    #[arg(long, value_name = "NAME", default_value = "operator")]
    by: String,
}

/// For how long.
#[derive(Debug, Clone, Args)]
pub(super) struct SnoozeArgs {
    #[command(flatten)]
    answer: AnswerArgs,
    /// For how long: a whole number and m, h or d, such as 2h
    #[arg(value_name = "DURATION", value_parser = duration_ms)]
    how_long_ms: i64,
}

pub(super) async fn snooze(shared: &SharedArgs, args: SnoozeArgs) -> Outcome {
    answer(shared, args.answer, Action::Snooze(args.how_long_ms)).await
}

pub(super) async fn answer(shared: &SharedArgs, args: AnswerArgs, action: Action) -> Outcome {
    let AnswerArgs { id, by } = args;
    let config = settings::load(shared)?;
    let (path, said, done) = match action {
        Action::Acknowledge => ("ack", json!({ "by": by }), "acknowledged"),
        Action::Snooze(ms) => (
            "snooze",
            json!({ "by": by, "for": format!("{}s", ms / 1000) }),
            "snoozed",
        ),
        Action::Normal => ("normal", json!({ "by": by }), "taken for normal"),
    };
    let mut url = Url::parse(&address("/"))?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(["api", "v1", "alerts", &id, path]);
    }
    let asking = |client: &Client| client.post(url).json(&said);
    match by_daemon::<Alert>(&config.control.socket, asking).await {
        Answer::Done(_) => {}
        Answer::Failed(why) => return Err(why.into()),
        Answer::Nobody(why) => {
            let order = Order::Alert {
                id: AlertId::from_text(&id),
                action,
                by: by.clone(),
            };
            by_stopped(&Arc::new(config), &order, &why)?;
        }
    }
    writeln!(io::stdout(), "{id} is {done}.")?;
    Ok(())
}
