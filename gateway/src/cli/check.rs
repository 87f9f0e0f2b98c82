//! `sluice check`: every problem of the configuration at once, before it is put to use.

mod channels;

use std::io::{self, Write};

use std::path::Path;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::settings;
use crate::config::{Config, Problem, Problems};
use crate::tls::{self, TlsError};

pub(super) fn run(shared: &SharedArgs) -> Outcome {
    let path = settings::path(shared)?;
    let config = settings::load(shared)?;
    for warning in &config.warnings {
        writeln!(io::stderr(), "{warning}")?;
    }
    for remark in files(&config, &path)? {
        writeln!(io::stderr(), "{remark}")?;
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

/// What files that the configuration names hold: what is remarkable, or everything that is wrong.
fn files(config: &Config, path: &Path) -> Outcome<Vec<Problem>> {
    let tls = config.broker.tls.as_ref();
    let wrong = tls.and_then(|tls| tls::read(tls).err()).unwrap_or_default();
    let mut found = Found::default();
    for error in &wrong {
        found.add(of_tls(error), problem(error, path));
    }
    channels::files(config, path, &mut found);
    if found.wrong.is_empty() {
        return Ok(found.remarks);
    }
    Err(Failure::new(Exit::Configuration, Problems(found.wrong)))
}

/// What came of looking at files.
#[derive(Default)]
struct Found {
    /// What the daemon may well run with.
    remarks: Vec<Problem>,
    /// What it cannot do with.
    wrong: Vec<Problem>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Remark,
    Wrong,
}

impl Found {
    fn add(&mut self, weight: Weight, problem: Problem) {
        match weight {
            Weight::Remark => self.remarks.push(problem),
            Weight::Wrong => self.wrong.push(problem),
        }
    }
}

/// What this user may not read the daemon's may: that is told, and nothing is wrong with it.
fn of_tls(error: &TlsError) -> Weight {
    if error.is_a_lack_of_permission() {
        Weight::Remark
    } else {
        Weight::Wrong
    }
}

fn problem(error: &TlsError, path: &Path) -> Problem {
    let file = error.file();
    let text = match error {
        TlsError::Unusable { .. } => error.to_string(),
        TlsError::Unreadable { source, .. } if error.is_a_lack_of_permission() => format!(
            "{error}: {source}; whether it is good is only known to the user that the daemon runs as: check \
             as that user"
        ),
        TlsError::Unreadable { source, .. } => {
            format!("{error}: {source}; write the path of a PEM file that is there")
        }
    };
    Problem {
        file: path.display().to_string(),
        line: Some(file.line),
        key: file.key.clone(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NamedFile;

    #[test]
    fn a_file_that_this_user_may_not_read_is_a_remark_and_a_missing_one_a_problem() {
        let at = |kind: io::ErrorKind| TlsError::Unreadable {
            file: NamedFile {
                path: "key.pem".into(),
                key: "broker.tls_key".to_owned(),
                line: 7,
            },
            source: kind.into(),
        };
        let secret = at(io::ErrorKind::PermissionDenied);
        assert!(secret.is_a_lack_of_permission());
        assert_eq!(
            problem(&secret, Path::new("sluice.toml")).to_string(),
            "sluice.toml:7: broker.tls_key: cannot read key.pem: permission denied; whether it is good is only \
             known to the user that the daemon runs as: check as that user"
        );
        let missing = at(io::ErrorKind::NotFound);
        assert!(!missing.is_a_lack_of_permission());
        assert_eq!(
            problem(&missing, Path::new("sluice.toml")).to_string(),
            "sluice.toml:7: broker.tls_key: cannot read key.pem: entity not found; write the path of a PEM file \
             that is there"
        );
    }
}
