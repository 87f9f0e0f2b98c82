//! `sluice completions` and `sluice man`: generated from the definition of the command line, so
//! that they cannot say anything else.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::Outcome;

/// For which shell.
#[derive(Debug, Clone, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: Shell,
}

/// Where to.
#[derive(Debug, Clone, Args)]
pub(super) struct ManArgs {
    /// Write a page for every command into this directory; default: sluice(1) to standard output
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

pub(super) fn completions(args: CompletionsArgs) -> Outcome {
    // Generated in memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sluice", &mut script);
    io::stdout()
        .write_all(&script)
        .context("cannot write the completions")?;
    Ok(())
}

pub(super) fn man(args: ManArgs) -> Outcome {
    match args.dir {
        Some(dir) => clap_mangen::generate_to(Cli::command(), &dir)
            .with_context(|| format!("cannot write manual pages to {}", dir.display()))?,
        None => clap_mangen::Man::new(Cli::command())
            .render(&mut io::stdout())
            .context("cannot write the manual page")?,
    }
    Ok(())
}
