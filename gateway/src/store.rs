//! The durable store: one redb file, one writer, and the log is the truth.
//!
//! A commit appends one packed group to the log and syncs; once it returns, everything in the
//! group may be acknowledged. A *seal*, every quarter of an hour or so, folds the log's tail into
//! one block a sensor and day and into the rows of days, in one transaction, and cuts the log.
//! After a crash the state is the last seal's checkpoint with the tail replayed on top.
//!
//! [`Store`] is the writer's handle, [`View`] everyone else's. The store decides nothing: what is
//! late, a duplicate, a correction, and which day a reading belongs to, it is told. It reads no
//! clock. docs/FORMAT.md has the file to the byte.

mod ballast;
mod block;
mod broker;
mod bytes;
mod decimal;
#[cfg(test)]
pub(crate) mod document;
mod error;
mod late;
mod log;
mod open;
mod overlay;
mod past;
mod rows;
mod scan;
mod seal;
mod shield;
mod tables;
mod types;
mod view;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, StorageBackend};

pub use self::error::{OpenError, StoreError};
pub use self::open::FILE;
pub use self::overlay::Changed;
pub use self::tables::SCHEMA;
pub use self::types::{
    BrokerWrite, Checkpoint, Committed, Counters, Dropped, Fate, Group, LateRow, Letter, Logged,
    Seal, Sealed, SensorState, StoredReading, Tail, Totals, UserRow,
};
pub use self::view::View;

use self::error::Fault;
use self::open::{Known, Opened};
use self::overlay::Overlay;
use self::shield::Shield;

/// How the store is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages, in bytes.
    pub cache_bytes: usize,
    /// A number that tells this store from any other, chance's or time's; used when it is created.
    pub generation: u64,
    /// The most late rows kept; the oldest go, and are counted.
    pub late_cap: u64,
    /// The most dead letters kept; the oldest go, and are counted.
    pub letter_cap: u64,
    /// A file up to this long is read and checked whole when it is opened.
    pub verify_below_bytes: u64,
    /// With a file longer than this every commit, not only a seal, records which pages are free:
    /// it writes more, and opening after a crash need not read the whole file to find out.
    pub quick_repair_above_bytes: u64,
    /// Room kept beside the store for the day the disk is full; 0 for none.
    pub ballast_bytes: u64,
}

/// Pages kept in memory: enough for a home's hot pages on a machine with 512 MB.
const CACHE_BYTES: usize = 8 << 20;
/// Late rows or dead letters kept.
const ROWS_CAP: u64 = 100_000;
/// Checked whole in about a second on an SD card.
const VERIFY_BELOW_BYTES: u64 = 32 << 20;
/// Read whole in a few seconds on an SD card.
const QUICK_REPAIR_ABOVE_BYTES: u64 = 256 << 20;

/// A seal with some retention fits into it.
const BALLAST_BYTES: u64 = 8 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: CACHE_BYTES,
            generation: 0,
            late_cap: ROWS_CAP,
            letter_cap: ROWS_CAP,
            verify_below_bytes: VERIFY_BELOW_BYTES,
            quick_repair_above_bytes: QUICK_REPAIR_ABOVE_BYTES,
            ballast_bytes: BALLAST_BYTES,
        }
    }
}

/// The single writer's handle. Blocks on the disk: it belongs on a thread of its own.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    options: Options,
    /// `None`: a backend of the caller's, which cannot be opened again.
    place: Option<Place>,
    known: Known,
    /// A write failed: what is on disk is not known.
    failed: Option<Failed>,
    /// A group is packed here.
    packed: Vec<u8>,
}

/// How a write failed.
#[derive(Clone, Copy, Debug)]
enum Failed {
    /// There was no room.
    DiskFull,
    /// Any other way.
    Otherwise,
}

impl Failed {
    fn of<T>(written: &Result<T, StoreError>) -> Option<Self> {
        match written {
            Ok(_) => None,
            Err(error) if error.is_disk_full() => Some(Self::DiskFull),
            Err(_) => Some(Self::Otherwise),
        }
    }
}

#[derive(Debug)]
struct Place {
    dir: PathBuf,
    /// Locked while the store is open.
    handle: File,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    /// `None` once it is closed. Locked for writing only to close it and open it again.
    open: RwLock<Option<Open>>,
    overlay: RwLock<Overlay>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    shield: Shield,
}

impl Shared {
    /// Runs `f` on the database; its errors become "cannot `doing`".
    fn with<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&Open) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or(StoreError::Closed(doing))?;
        f(open).map_err(|fault| fault.while_doing(doing))
    }

    /// Runs `f` in one short read transaction.
    fn read<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with(doing, |open| f(&open.database.begin_read()?))
    }
}

impl Store {
    /// Opens the store in `dir`; creates it, and the directory, where they are not there.
    ///
    /// # Errors
    /// The file belongs to a newer version, is damaged, is open elsewhere, or cannot be reached;
    /// it is left as it was.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, OpenError> {
        let handle = open::take_directory(dir)?;
        let opened = open::open_file(dir, &handle, options)?;
        ballast::take_on(dir, options.ballast_bytes).map_err(|source| OpenError::Io {
            doing: "keep some room beside the store in",
            path: dir.to_owned(),
            source,
        })?;
        let place = Place {
            dir: dir.to_owned(),
            handle,
        };
        Ok(Self::new(opened, options, Some(place)))
    }

    /// Opens the store that `backend` holds, or creates one there if it is empty (not atomically:
    /// only a directory can do that). It cannot be opened again after a failed write.
    pub fn open_backend(
        backend: impl StorageBackend + Clone,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let path = Path::new("memory");
        let is_empty = backend.len().map_err(|source| OpenError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })? == 0;
        if is_empty {
            open::initialise(backend.clone(), options).map_err(|fault| OpenError::Damaged {
                path: path.to_owned(),
                why: fault.to_string(),
            })?;
        }
        let opened = open::open_backend(Box::new(backend), path, options)?;
        Ok(Self::new(opened, options, None))
    }

    fn new(opened: Opened, options: &Options, place: Option<Place>) -> Self {
        let Opened {
            database,
            shield,
            known,
        } = opened;
        Self {
            shared: Arc::new(Shared {
                open: RwLock::new(Some(Open { database, shield })),
                overlay: RwLock::default(),
            }),
            options: options.clone(),
            place,
            known,
            failed: None,
            packed: Vec::new(),
        }
    }

    /// A reader's handle, cheap to clone. It outlives a reopening, and after the store is dropped
    /// it finds it closed.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.shared))
    }

    /// What the last seal knew.
    pub fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        self.shared.read("read the checkpoint", |txn| {
            Ok(Checkpoint {
                sensors: scan::sensors(txn)?,
                balances: scan::balances(txn)?,
                ..open::read_checkpoint(txn)?
            })
        })
    }

    /// Hands the groups since the last seal to `f`, in order; stops at its first error.
    pub fn replay<E: From<StoreError>>(
        &self,
        mut f: impl FnMut(Group) -> Result<(), E>,
    ) -> Result<(), E> {
        let doing = "replay the log";
        let mut stopped = Ok(());
        self.shared.read(doing, |txn| {
            for entry in txn.open_table(tables::LOG)?.range::<u64>(..)? {
                let (first_seq, value) = entry?;
                let first_seq = first_seq.value();
                let group = log::unpack(first_seq, value.value())
                    .map_err(Fault::damaged("log", first_seq))?;
                stopped = f(group);
                if stopped.is_err() {
                    break;
                }
            }
            Ok(())
        })?;
        stopped
    }

    /// Writes `group` and what the broker keeps, in one transaction, and syncs.
    ///
    /// # Errors
    /// After any the disk is to be asked what it holds: [`reopen`](Self::reopen), take the
    /// checkpoint, replay. The group is there whole or not at all.
    pub fn commit(
        &mut self,
        group: &Group,
        broker: &[BrokerWrite],
    ) -> Result<Committed, StoreError> {
        if self.failed.is_some() {
            return Err(StoreError::MustReopen);
        }
        let (first, next) = (group.first_seq, group.next_seq);
        if first != self.known.next_seq || next < first {
            return Err(StoreError::OutOfOrder {
                first,
                next,
                expected: self.known.next_seq,
            });
        }
        if group.readings.len().max(group.letters.len()) > bytes::MAX_ENTRIES {
            return Err(StoreError::TooLarge(group.readings.len()));
        }
        self.packed.clear();
        if next > first {
            log::pack(&mut self.packed, group);
        }
        let quick_repair_above = self.options.quick_repair_above_bytes;
        let packed = self.packed.as_slice();
        let written = self.shared.with("commit a group", |open| {
            let mut txn = open.database.begin_write()?;
            txn.set_quick_repair(open.shield.bytes() > quick_repair_above);
            if !packed.is_empty() {
                txn.open_table(tables::LOG)?.insert(first, packed)?;
            }
            broker::apply(&txn, broker)?;
            txn.commit()?;
            Ok(())
        });
        self.failed = Failed::of(&written);
        written?;
        let bytes = packed.len() as u64;
        if bytes > 0 {
            self.known.next_seq = next;
            self.known.counters = group.counters;
            self.known.site_time_ms = group.site_time_ms;
            self.known.tail.groups += 1;
            self.known.tail.readings += group.readings.len() as u64;
            self.known.tail.bytes += bytes;
        }
        Ok(Committed { bytes })
    }

    /// What the log holds since the last seal.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.known.tail
    }

    /// The sequence number that the next group begins with.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.known.next_seq
    }

    /// Shows readers the rows that the last commit changed, until the next seal writes them down.
    pub fn announce(&self, changed: Changed) {
        self.shared.overlay().extend(changed);
    }

    /// What was announced since the last seal: what the next one writes down.
    #[must_use]
    pub fn unsealed(&self) -> Changed {
        self.shared.overlaid().all()
    }

    /// Closes the file and opens it again: the way on after a failed write. Readers wait for it.
    /// What was announced is forgotten; take the checkpoint and replay. If the disk was full, the
    /// room kept beside the store is given up first, so that retention can make more.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        let place = self
            .place
            .as_ref()
            .ok_or(StoreError::Closed("open again"))?;
        let mut open = self
            .shared
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Closes it, which releases its lock.
        *open = None;
        if let Some(Failed::DiskFull) = self.failed {
            ballast::drop_overboard(&place.dir).map_err(|source| {
                Box::new(OpenError::Io {
                    doing: "give up the room kept beside the store in",
                    path: place.dir.clone(),
                    source,
                })
            })?;
        }
        let opened = open::open_file(&place.dir, &place.handle, &self.options).map_err(Box::new)?;
        *open = Some(Open {
            database: opened.database,
            shield: opened.shield,
        });
        self.known = opened.known;
        self.failed = None;
        self.shared.overlay().clear();
        Ok(())
    }
}

impl Drop for Store {
    /// Closes the file even while views live: they find it closed.
    fn drop(&mut self) {
        *self
            .shared
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }
}
