//! `sluice check`: every problem of the configuration at once, before it is put to use.

use std::io::{self, Write};

use super::SharedArgs;
use super::exit::Outcome;
use super::settings;

pub(super) fn run(shared: &SharedArgs) -> Outcome {
    let path = settings::path(shared)?;
    let config = settings::load(shared)?;
    for warning in &config.warnings {
        writeln!(io::stderr(), "{warning}")?;
    }
    for feature in settings::served(&config)? {
        writeln!(io::stderr(), "{}: {feature}", path.display())?;
    }
    writeln!(
        io::stdout(),
        "{}: the configuration is good",
        path.display()
    )?;
    Ok(())
}
