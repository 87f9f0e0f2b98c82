//! Incidents: what happened to the store that its owner must know, for as long as it matters.
//!
//! There is one kind: a damaged file was set aside and the store began anew. The files are the truth:
//! each that lies there is an incident, and it ends when its file is moved away or deleted. What a
//! file cannot tell is kept in the store.

use std::path::Path;

use super::aside::{self, Aside};
use super::error::{Fault, StoreError};
use super::tables::{META, META_INCIDENTS};
use super::{Medium, Store, rows};

/// The most that are told: of more, the newest.
const MOST: usize = 16;

/// A damaged file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The file's name, in the store's directory.
    pub file: String,
    /// When it was found, in ms UTC as far as the machine knew.
    pub at_ms: i64,
    /// What was wrong with it.
    pub why: String,
    /// The newest backup there was.
    pub backup: Option<String>,
}

impl Incident {
    /// What tells it from others, without a slash.
    #[must_use]
    pub fn id(&self) -> String {
        format!("store-{}", aside::mark(&self.file))
    }
}

/// What became of the incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tended {
    /// They are as they were.
    Unchanged,
    /// There are other ones now: these.
    Changed(Vec<Incident>),
}

/// The incidents there are, given those `known` and the `files` there are.
fn tend(known: &[Incident], files: Vec<String>, made: impl Fn(String) -> Incident) -> Tended {
    let beyond = files.len().saturating_sub(MOST);
    let now: Vec<Incident> = files
        .into_iter()
        .skip(beyond)
        .map(|file| {
            let held = known.iter().find(|incident| incident.file == file);
            held.cloned().unwrap_or_else(|| made(file))
        })
        .collect();
    if now == known {
        Tended::Unchanged
    } else {
        Tended::Changed(now)
    }
}

impl Store {
    /// Begins an incident for each damaged file beside the store that has none, and ends those
    /// whose file is gone. `aside` was set aside just now; `backups` is where backups lie; `at_ms`
    /// is the time.
    pub fn tend_incidents(
        &mut self,
        backups: &Path,
        aside: Option<&Aside>,
        at_ms: i64,
    ) -> Result<Tended, StoreError> {
        let Medium::Directory(place) = &self.medium else {
            return Ok(Tended::Unchanged);
        };
        let doing = "look for damaged files beside the store";
        let files = aside::damaged_files(&place.dir)
            .map_err(|error| Fault::Database(redb::Error::Io(error)).while_doing(doing))?;
        let known = self.view().incidents()?;
        let tended = tend(&known, files, |file| Incident {
            at_ms,
            why: match aside {
                Some(aside) if aside.file == file => aside.why.clone(),
                Some(_) | None => "it was set aside earlier".to_owned(),
            },
            backup: aside::newest_backup(backups).map(|path| path.display().to_string()),
            file,
        });
        if let Tended::Changed(incidents) = &tended {
            self.keep(incidents)?;
        }
        Ok(tended)
    }

    fn keep(&mut self, incidents: &[Incident]) -> Result<(), StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::MustReopen);
        }
        let written = self.shared.with("keep the incidents", |open| {
            let mut txn = open.database.begin_write()?;
            // As a seal: it is rare, and opening after a crash stays quick.
            txn.set_quick_repair(true);
            txn.open_table(META)?
                .insert(META_INCIDENTS, rows::pack_incidents(incidents).as_slice())?;
            txn.commit()?;
            Ok(())
        });
        self.failed = written.as_ref().err().map(StoreError::failure);
        written
    }
}

pub(super) fn incidents(txn: &redb::ReadTransaction) -> Result<Vec<Incident>, Fault> {
    match txn.open_table(META)?.get(META_INCIDENTS)? {
        None => Ok(Vec::new()),
        Some(value) => {
            rows::unpack_incidents(value.value()).map_err(Fault::damaged("meta", META_INCIDENTS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(file: String) -> Incident {
        Incident {
            at_ms: 1,
            why: "new".to_owned(),
            backup: None,
            file,
        }
    }

    #[test]
    fn an_incident_lasts_as_long_as_its_file() {
        let files = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let Tended::Changed(begun) = tend(&[], files(&["a"]), made) else {
            panic!("it has begun")
        };
        let known = [Incident {
            why: "known".to_owned(),
            ..begun[0].clone()
        }];
        assert_eq!(tend(&known, files(&["a"]), made), Tended::Unchanged);
        assert_eq!(
            tend(&known, files(&["a", "b"]), made),
            Tended::Changed(vec![known[0].clone(), made("b".to_owned())])
        );
        assert_eq!(tend(&known, files(&[]), made), Tended::Changed(Vec::new()));
    }

    #[test]
    fn of_many_the_newest_are_told() {
        let names = (0..100).map(|n| format!("{n:03}")).collect();
        let Tended::Changed(told) = tend(&[], names, made) else {
            panic!("they have begun")
        };
        let told: Vec<_> = told.iter().map(|incident| &incident.file).collect();
        assert_eq!((told.len(), told[0].as_str()), (MOST, "084"));
    }
}
