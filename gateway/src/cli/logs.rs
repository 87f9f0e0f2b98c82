//! Where the log goes: to stderr, as lines for people or JSON for collectors. Output that was
//! asked for goes to stdout and never mixes with it.

use std::env;
use std::io::{self, IsTerminal};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::exit::{Exit, Failure, Outcome};

/// How much is logged, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct LogArgs {
    /// What to log
    ///
    /// error, warn, info, debug or trace, or by module such as `info,gateway::web=debug`.
    /// Default: `$RUST_LOG`, else info for the daemon and warn for other commands.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        help_heading = "Global options"
    )]
    pub(super) log: Option<String>,

    /// How to log
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT",
        help_heading = "Global options"
    )]
    pub(super) log_format: LogFormat,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Starts logging. Without `--log`, `$RUST_LOG` decides, and without that `default`.
pub(super) fn start(args: &LogArgs, default: &str) -> Outcome {
    let from_environment = env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|text| !text.is_empty());
    let filter = args
        .log
        .clone()
        .or(from_environment)
        .unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("--log: `{filter}` is no filter"))
        .map_err(|why| Failure::new(Exit::Usage, why))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match args.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|why| anyhow::anyhow!("cannot start logging: {why}").into())
}
