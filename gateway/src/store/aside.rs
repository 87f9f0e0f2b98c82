//! A damaged file, set aside whole: it gets another name beside the new one, and keeps its bytes.
//!
//! Never overwrites and never removes anything: what can be saved of a damaged file, and when it
//! may go, is its owner's business.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::DateTime;

use super::error::OpenError;
use super::open::{self, FILE};

/// What follows the store's name in that of a file set aside; then comes the time.
const DAMAGED: &str = ".damaged-";
/// How backups are called: by what follows, or by what stands around.
const BACKUP_ENDINGS: [(&str, &str); 2] = [("", ".sluice-backup"), ("sluice-", ".redb")];
/// Files set aside within the same second.
const WITHIN_A_SECOND: u32 = 1000;

/// A file that was set aside just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its name, beside the store's.
    pub file: String,
    /// What was wrong with it.
    pub why: String,
}

/// Sets the store's file in `dir` aside as `sluice.redb.damaged-<UTC time>`, because of `why`.
/// `at_ms` is the time, in ms since 1970.
///
/// # Errors
/// The directory is another process's, there is no file, or it cannot be renamed; it is left as
/// it was.
pub fn set_aside(dir: &Path, why: &str, at_ms: i64) -> Result<Aside, OpenError> {
    let handle = open::take_directory(dir)?;
    let damaged = dir.join(FILE);
    let renaming = "set aside the damaged";
    let file = free_name(dir, at_ms).map_err(open::failed(renaming, &damaged))?;
    fs::rename(&damaged, dir.join(&file)).map_err(open::failed(renaming, &damaged))?;
    let synced = handle.sync_all();
    synced.map_err(open::failed("sync the directory", dir))?;
    Ok(Aside {
        file,
        why: why.to_owned(),
    })
}

/// A name that nobody has: the directory is ours, so nobody takes it meanwhile.
fn free_name(dir: &Path, at_ms: i64) -> io::Result<String> {
    let time = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let plain = format!("{FILE}{DAMAGED}{}", time.format("%Y%m%dT%H%M%SZ"));
    let numbered = (2..WITHIN_A_SECOND).map(|n| format!("{plain}-{n}"));
    let mut names = std::iter::once(plain.clone()).chain(numbered);
    names
        .find(|name| fs::symlink_metadata(dir.join(name)).is_err())
        .ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// The names of the files in `dir` that were set aside, oldest first.
pub(super) fn damaged_files(dir: &Path) -> io::Result<Vec<String>> {
    let is_damaged = |name: &String| {
        name.strip_prefix(FILE)
            .is_some_and(|rest| rest.starts_with(DAMAGED))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().into_string().ok().filter(is_damaged));
    }
    found.sort_unstable();
    Ok(found)
}

/// What tells a file set aside from the others, for ids: `damaged-20260102T030405Z`.
pub(super) fn mark(file: &str) -> &str {
    file.strip_prefix(FILE)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(file)
}

/// The newest backup in `dir`; `None` where there is none, or no such directory.
pub(super) fn newest_backup(dir: &Path) -> Option<PathBuf> {
    let backups = fs::read_dir(dir).ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        BACKUP_ENDINGS.iter().any(|(begins, ends)| {
            name.to_str()
                .is_some_and(|name| name.starts_with(begins) && name.ends_with(ends))
        })
    });
    let made = |entry: &fs::DirEntry| {
        let made = entry.metadata().and_then(|file| file.modified());
        (made.unwrap_or(SystemTime::UNIX_EPOCH), entry.file_name())
    };
    Some(backups.max_by_key(made)?.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for content in ["one", "two", "three"] {
            fs::write(dir.path().join(FILE), content).unwrap();
            let aside = set_aside(dir.path(), "it is noise", 1_577_934_245_678).unwrap();
            assert_eq!(
                fs::read_to_string(dir.path().join(&aside.file)).unwrap(),
                content
            );
            names.push(aside.file);
        }
        let expected = ["", "-2", "-3"].map(|n| format!("sluice.redb.damaged-20200102T030405Z{n}"));
        assert_eq!(names, expected);
        assert_eq!(damaged_files(dir.path()).unwrap(), expected);
        assert_eq!(mark(&names[0]), "damaged-20200102T030405Z");
    }

    #[test]
    fn the_newest_backup_is_found_by_either_name_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest_backup(&dir.path().join("nowhere")), None);
        assert_eq!(newest_backup(dir.path()), None);
        for (name, second) in [
            ("sluice-1.redb", 30),
            ("x.sluice-backup", 40),
            ("sluice-2.redb", 20),
            ("other.redb", 50),
        ] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            let made = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            file.set_modified(made).unwrap();
        }
        let newest = newest_backup(dir.path()).unwrap();
        assert_eq!(newest, dir.path().join("x.sluice-backup"));
    }
}
