//! The way on after a failed write: close the file, open it again, and ask for room.
//!
//! What a failed write left on the disk is known only by opening it. Readers wait while that is
//! done, and go on after it even where the disk has no room for a single page.

use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use redb::StorageBackend;

use super::ballast::{self, Ballast, Overboard};
use super::error::{Failure, OpenError, StoreError};
use super::open::{self, Lift, Opened};
use super::room::Room;
use super::{Open, Options, Store};

/// What the store is opened from, again and again.
pub(super) enum Medium {
    /// Its file in a directory.
    Directory(Place),
    /// Another handle to a backend of the caller's.
    Backend(Box<dyn Fn() -> Box<dyn StorageBackend> + Send + Sync>),
}

/// A directory that is ours.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// Locked while the store is open.
    pub(super) handle: File,
}

/// What opening the store again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopened {
    /// It is read and written.
    Whole,
    /// The disk has no room even for what opening writes: it is read, and must be opened again to
    /// be written.
    ReadOnly,
}

/// Whether a disk that was full has room again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regained {
    /// As far as anybody can tell: the ballast is aboard again.
    Room,
    /// It has so little, in bytes.
    NotYet {
        /// What is free.
        free_bytes: u64,
        /// What must be.
        needed_bytes: u64,
    },
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(place) => place.fmt(f),
            Self::Backend(_) => f.write_str("Backend"),
        }
    }
}

impl Medium {
    /// Another handle to the same `backend` each time.
    pub(super) fn of_backend(backend: impl StorageBackend + Clone) -> Self {
        Self::Backend(Box::new(move || Box::new(backend.clone())))
    }

    /// The directory, where it is one.
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Directory(place) => Some(&place.dir),
            Self::Backend(_) => None,
        }
    }

    pub(super) fn open(&self, options: &Options) -> Result<Opened, OpenError> {
        match self {
            Self::Directory(place) => place.open(options),
            Self::Backend(again) => {
                open::open_backend(again(), Path::new(open::IN_MEMORY), options)
            }
        }
    }
}

impl Place {
    /// Opens the file, and where the disk is too full for that, without the ballast.
    fn open(&self, options: &Options) -> Result<Opened, OpenError> {
        let opened = open::open_file(&self.dir, &self.handle, options);
        let is_stuck = match &opened {
            Ok(opened) => opened.lift == Lift::NoRoom,
            Err(error) => error.failure() == Failure::DiskFull,
        };
        if !is_stuck {
            return opened;
        }
        match self.drop_ballast()? {
            Overboard::Nothing => opened,
            Overboard::Ballast => {
                // Closed first: it is locked.
                drop(opened);
                open::open_file(&self.dir, &self.handle, options)
            }
        }
    }

    pub(super) fn take_ballast(&self, bytes: u64) -> Result<Ballast, OpenError> {
        ballast::take_on(&self.dir, bytes).map_err(open::failed(
            "keep some room beside the store in",
            &self.dir,
        ))
    }

    fn drop_ballast(&self) -> Result<Overboard, OpenError> {
        ballast::drop_overboard(&self.dir).map_err(open::failed(
            "give up the room kept beside the store in",
            &self.dir,
        ))
    }
}

/// Closes the file, which releases its lock. redb may panic over one that was changed behind its back;
/// what it leaves then is what a power cut leaves.
pub(super) fn close(open: &mut Option<Open>) {
    let closing = open.take();
    drop(catch_unwind(AssertUnwindSafe(|| drop(closing))));
}

impl Store {
    /// Closes the file and opens it again: the way on after a failed write. Readers wait for it.
    /// What was announced is forgotten; take the checkpoint and replay. If the disk was full, the
    /// room kept beside the store is given up first, so that retention can make more.
    ///
    /// # Errors
    /// As those of [`open`](Self::open). The store is closed then, and may be opened again later.
    pub fn reopen(&mut self) -> Result<Reopened, StoreError> {
        let mut open = self
            .shared
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        close(&mut open);
        if let (Some(Failure::DiskFull), Medium::Directory(place)) = (self.failed, &self.medium) {
            place.drop_ballast().map_err(Box::new)?;
        }
        let opened = self.medium.open(&self.options).map_err(Box::new)?;
        *open = Some(Open {
            database: opened.database,
            shield: opened.shield,
        });
        drop(open);
        self.known = opened.known;
        self.failed = opened.lift.failure();
        self.shared.overlay().clear();
        Ok(match opened.lift {
            Lift::Done => Reopened::Whole,
            Lift::NoRoom => Reopened::ReadOnly,
        })
    }

    /// Asks whether a disk that was full has room again, for the ballast and a margin; takes the
    /// ballast on if it has. Of a backend of the caller's nobody can tell: it has.
    pub fn regain_room(&mut self) -> Result<Regained, StoreError> {
        let Medium::Directory(place) = &self.medium else {
            return Ok(Regained::Room);
        };
        let ballast = place.take_ballast(self.options.ballast_bytes);
        Ok(match ballast.map_err(Box::new)? {
            Ballast::Aboard => Regained::Room,
            Ballast::NoRoom => Regained::NotYet {
                free_bytes: Room::of(&place.dir).map_or(0, |room| room.free_bytes),
                needed_bytes: self.options.ballast_bytes + ballast::MARGIN_BYTES,
            },
        })
    }

    /// Why it cannot be written until it is opened again; `None` while it can.
    #[must_use]
    pub fn failed(&self) -> Option<Failure> {
        self.failed
    }
}
