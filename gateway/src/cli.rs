//! The command line: what can be asked, and how each command ends.
//!
//! Output that was asked for goes to stdout, what went wrong to stderr, and the exit code is one
//! of the contract's. Errors are told and not handled here; nothing below decides what a number
//! means.

mod alert;
mod answer;
mod ask;
mod check;
mod demo;
mod evaluate;
mod exit;
mod explain;
mod export;
mod logs;
mod operate;
mod replay;
mod run;
mod settings;
mod shell;
mod show;
pub(crate) mod table;
pub(crate) mod tables;
mod trial;
mod user;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::exit::{Exit, Failure, Outcome};
use self::logs::LogArgs;

/// Sensors in, daily results out, nothing lost: an MQTT gateway for the home
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct SharedArgs {
    /// The configuration
    ///
    /// Default: `$SLUICE_CONFIG`, else /etc/sluice/sluice.toml, else ./sluice.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Run(run::RunArgs),
    /// Show everything in one process: broker, gateway and a simulated home
    Demo(demo::DemoArgs),
    /// Check the configuration and name every problem at once
    Check,
    /// Show how the gateway is doing
    Status(show::PlainArgs),
    /// List the sensors and their newest readings
    Sensors(show::PlainArgs),
    /// Show daily aggregates
    Days(show::SensorDaysArgs),
    /// Show what meters rose, day by day
    Diffs(show::SensorDaysArgs),
    /// Show what meters counted and their parts did not, day by day
    Rests(show::BalanceDaysArgs),
    /// List what is wrong, and what was
    Alerts(show::AlertsArgs),
    /// List messages and readings that were refused, with the reason
    Letters(show::LettersArgs),
    /// List readings that came too late and were set aside
    Late(show::LateArgs),
    /// Show which readings make up a daily number
    Explain(explain::ExplainArgs),
    /// Replace the value of a reading
    Correct(operate::CorrectArgs),
    /// Answer alerts, show what was said of them, and try the channels
    Alert(alert::AlertArgs),
    /// Change and list the users of the broker
    User(user::UserArgs),
    /// Write readings to standard output
    Export(export::ExportArgs),
    /// Publish recorded readings to the running daemon
    Replay(replay::ReplayArgs),
    /// Show what the detectors would have said of recorded readings
    ///
    /// Needs no daemon and no store. Sensors are known by their names (`Wtot`, `W1`, `Etot`, `HVAC1`,
    /// `MiAC1`, `TH1`, `Mov1` and their like); a configuration is used only where --config names one.
    Evaluate(evaluate::EvaluateArgs),
    /// Write a completion script for a shell to standard output
    Completions(shell::CompletionsArgs),
    /// Write the manual pages
    Man(shell::ManArgs),
}

impl Command {
    /// What is logged unless the user says: a daemon tells its story, a command only what is odd.
    fn log_filter(&self) -> &'static str {
        match self {
            Self::Run(_) => "info",
            Self::Demo(_)
            | Self::Check
            | Self::Status(_)
            | Self::Sensors(_)
            | Self::Days(_)
            | Self::Diffs(_)
            | Self::Rests(_)
            | Self::Alerts(_)
            | Self::Letters(_)
            | Self::Late(_)
            | Self::Explain(_)
            | Self::Correct(_)
            | Self::Alert(_)
            | Self::User(_)
            | Self::Export(_)
            | Self::Replay(_)
            | Self::Evaluate(_)
            | Self::Completions(_)
            | Self::Man(_) => "warn",
        }
    }
}

/// Does what the command line asks and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = logs::start(&cli.log, cli.command.log_filter());
    match ended.and_then(|()| obey(&cli.shared, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Without a stderr the code alone must do.
            drop(match failure.exit() {
                // `file:line: key: …`, as editors know it.
                Exit::Configuration => writeln!(io::stderr(), "{failure}"),
                Exit::Failed | Exit::Usage | Exit::NoDaemon => {
                    writeln!(io::stderr(), "sluice: {failure}")
                }
            });
            failure.exit().into()
        }
    }
}

fn obey(shared: &SharedArgs, command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::run(shared, args),
        Command::Demo(args) => demo::run(shared, args),
        Command::Check => check::run(shared),
        Command::Status(args) => now(show::status(shared, args)),
        Command::Sensors(args) => now(show::sensors(shared, args)),
        Command::Days(args) => now(show::days(shared, args)),
        Command::Diffs(args) => now(show::diffs(shared, args)),
        Command::Rests(args) => now(show::rests(shared, args)),
        Command::Alerts(args) => now(show::alerts(shared, args)),
        Command::Letters(args) => now(show::letters(shared, args)),
        Command::Late(args) => now(show::late(shared, args)),
        Command::Explain(args) => now(explain::run(shared, args)),
        Command::Correct(args) => now(operate::correct(shared, args)),
        Command::Alert(args) => now(alert::run(shared, args)),
        Command::User(args) => user::run(shared, args),
        Command::Export(args) => now(export::run(shared, args)),
        Command::Replay(args) => now(replay::run(shared, args)),
        Command::Evaluate(args) => evaluate::run(shared, args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    }
}

/// Runs a command that waits for others, on this thread.
fn now(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}
