//! Room kept for a full disk: redb needs some even to delete.
//!
//! A file of zeros beside the store. When a write fails because the disk is full, opening the
//! store again throws it overboard, so that retention can make room. It is taken on again when the
//! disk has room for it and then some: what is left over is for the store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::room::Room;

/// Its name, beside the store's file.
const FILE: &str = "sluice.ballast";
/// Written at once.
static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
/// What must be free beside it: a store that takes readings again must not stop at the next one.
pub(super) const MARGIN_BYTES: u64 = 8 << 20;

/// Whether there is room for the day the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ballast {
    /// It is there.
    Aboard,
    /// The disk has no room for it and a margin.
    NoRoom,
}

/// Whether anything went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overboard {
    /// The ballast: there is a little room now.
    Ballast,
    /// There was none.
    Nothing,
}

/// Takes on `bytes` of ballast in `dir`, if it is not there yet and the disk has room.
pub(super) fn take_on(dir: &Path, bytes: u64) -> io::Result<Ballast> {
    let path = dir.join(FILE);
    let aboard = fs::metadata(&path).map_or(0, |file| file.len());
    let missing = bytes.saturating_sub(aboard);
    // A file system that cannot tell is asked by writing.
    if Room::of(dir).is_ok_and(|room| room.free_bytes < missing.saturating_add(MARGIN_BYTES)) {
        return Ok(Ballast::NoRoom);
    }
    if missing == 0 {
        return Ok(Ballast::Aboard);
    }
    match fill(&path, bytes) {
        Err(error) if is_full(&error) => drop_overboard(dir).map(|_| Ballast::NoRoom),
        outcome => outcome.map(|()| Ballast::Aboard),
    }
}

/// Removes it.
pub(super) fn drop_overboard(dir: &Path) -> io::Result<Overboard> {
    match fs::remove_file(dir.join(FILE)) {
        Ok(()) => Ok(Overboard::Ballast),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Overboard::Nothing),
        Err(error) => Err(error),
    }
}

/// Whether the disk has no room, or none for us.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
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
