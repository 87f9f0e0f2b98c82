//! `sluice`: the daemon and the command line in one binary. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main()
}
