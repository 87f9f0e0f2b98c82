//! `sluice alert`: what a person says to an alert, what was said of all of them, and whether it would be heard.

use clap::{Args, Subcommand};

use super::SharedArgs;
use super::answer::{AnswerArgs, SnoozeArgs, answer, snooze};
use super::exit::Outcome;
use super::show::{JournalArgs, journal};
use super::trial::{TrialArgs, trial};
use crate::alert::Action;

/// What to do about alerts.
#[derive(Debug, Clone, Args)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum AlertCommand {
    /// Say that you know: it is not repeated, unless it gets worse
    Ack(AnswerArgs),
    /// Say "not now": it is said again after a while, if it still holds
    Snooze(SnoozeArgs),
    /// Say that this was normal: it is over, and its detector needs more from now on
    Normal(AnswerArgs),
    /// List what was said of alerts, the newest last
    Journal(JournalArgs),
    /// Send a test through the alert channels and say what each answered
    ///
    /// Fails if any channel does. The daemon need not run.
    Test(TrialArgs),
}

pub(super) async fn run(shared: &SharedArgs, args: AlertArgs) -> Outcome {
    match args.command {
        AlertCommand::Ack(args) => answer(shared, args, Action::Acknowledge).await,
        AlertCommand::Snooze(args) => snooze(shared, args).await,
        AlertCommand::Normal(args) => answer(shared, args, Action::Normal).await,
        AlertCommand::Journal(args) => journal(shared, args).await,
        AlertCommand::Test(args) => trial(shared, args).await,
    }
}
