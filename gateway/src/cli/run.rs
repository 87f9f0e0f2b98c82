//! `sluice run`: the daemon, in the foreground.

use clap::Args;

use super::SharedArgs;
use super::exit::Outcome;

/// The daemon takes everything from its configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {}

pub(super) fn run(_shared: &SharedArgs, _args: RunArgs) -> Outcome {
    Err(anyhow::anyhow!("cannot run the daemon: it is not wired up yet").into())
}
