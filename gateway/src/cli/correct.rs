//! `sluice correct`: an operator replaces a reading's value.

use clap::Args;

use super::SharedArgs;
use super::exit::Outcome;
use crate::web::when::Moment;

/// Which reading, and what it should have said.
#[derive(Debug, Clone, Args)]
pub(super) struct CorrectArgs {
    /// The sensor's name
    pub(super) sensor: String,
    /// The reading's time, RFC 3339
    pub(super) time: Moment,
    /// The value that shall count, in the sensor's unit
    #[arg(allow_negative_numbers = true)]
    pub(super) value: f64,
}

pub(super) fn run(_shared: &SharedArgs, args: CorrectArgs) -> Outcome {
    let CorrectArgs {
        sensor,
        time,
        value,
    } = args;
    Err(anyhow::anyhow!("cannot set {sensor} at {time} to {value}: it is not wired up yet").into())
}
