//! Room kept for a full disk: redb needs some even to delete.
//!
//! A file of zeros beside the store. When a write fails because the disk is full, opening the
//! store again throws it overboard, so that retention can make room. The next start of the
//! program that finds the disk with room takes it on again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Its name, beside the store's file.
const FILE: &str = "sluice.ballast";
/// Written at once.
static CHUNK: [u8; 64 << 10] = [0; 64 << 10];

/// Takes on `bytes` of ballast in `dir`, if it is not there yet. On a full disk there is none;
/// the store does without.
pub(super) fn take_on(dir: &Path, bytes: u64) -> io::Result<()> {
    let path = dir.join(FILE);
    if bytes == 0 || fs::metadata(&path).is_ok_and(|file| file.len() >= bytes) {
        return Ok(());
    }
    match fill(&path, bytes) {
        Err(error) if is_full(&error) => drop_overboard(dir),
        outcome => outcome,
    }
}

/// Removes it.
pub(super) fn drop_overboard(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether the disk has no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(CHUNK.len() as u64);
        file.write_all(&CHUNK[..usize::try_from(now).map_err(io::Error::other)?])?;
        left -= now;
    }
    file.sync_all()
}
