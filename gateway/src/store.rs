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

mod alerts;
mod aside;
mod ballast;
mod block;
mod broker;
mod bytes;
mod decimal;
#[cfg(test)]
pub(crate) mod document;
mod error;
mod forget;
mod house;
mod houses;
mod incident;
mod late;
mod log;
mod open;
mod overlay;
mod past;
mod reopen;
mod room;
mod rows;
mod scan;
mod seal;
mod shield;
mod starts;
mod tables;
mod types;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, StorageBackend};

pub use self::alerts::{AlertWrite, JOURNAL_AGE_MS, JOURNAL_MOST};
pub use self::aside::{Aside, set_aside};
pub use self::error::{Failure, OpenError, StoreError};
pub use self::house::KeptHouse;
pub use self::houses::{HousesSealed, Touched};
pub use self::incident::{Incident, Tended};
pub use self::open::FILE;
pub use self::overlay::Changed;
pub use self::reopen::{Regained, Reopened};
pub use self::room::{Level, Room};
pub use self::tables::SCHEMA;
pub use self::types::{
    BrokerWrite, Checkpoint, Committed, Counters, Doubt, Dropped, Fate, Flag, Group, LateRow,
    Letter, Logged, Seal, Sealed, SensorState, StoredReading, Tail, Totals, UserRow, Waiting,
};
pub use self::view::View;

use self::error::Fault;
use self::open::{Known, Lift, Opened};
use self::overlay::Overlay;
use self::reopen::{Medium, Place};
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
    /// After so many starts in a row that reached neither a seal nor a clean end the file is read whole, however
    /// long it is; 0: starts are not counted, as by those who only look.
    pub verify_after_starts: u32,
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
            verify_after_starts: 0,
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
    medium: Medium,
    known: Known,
    /// A write failed: what is on disk is not known.
    failed: Option<Failure>,
    /// A group is packed here.
    packed: Vec<u8>,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    /// The directory of the store, where it is in one.
    dir: Option<PathBuf>,
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
        // redb may panic on a page that was changed behind its back; a transaction that unwinds is
        // aborted, and whoever wrote opens the file again.
        let done = catch_unwind(AssertUnwindSafe(|| f(open)));
        done.unwrap_or_else(|_panic| Err(Fault::contradiction()))
            .map_err(|fault| fault.while_doing(doing))
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
        let place = Place {
            dir: dir.to_owned(),
            handle: open::take_directory(dir)?,
        };
        let ballast_bytes = options.ballast_bytes;
        let medium = Medium::Directory(place);
        let opened = if options.verify_after_starts > 0
            && starts::begin(dir) >= options.verify_after_starts
        {
            tracing::warn!(
                path = %dir.join(FILE).display(),
                "the last starts ended before anything was sealed: the store is checked whole"
            );
            medium.open(&Options {
                verify_below_bytes: u64::MAX,
                ..options.clone()
            })?
        } else {
            medium.open(options)?
        };
        if let (Lift::Done, Medium::Directory(place)) = (opened.lift, &medium) {
            // On a full disk there is none: the store does without.
            place.take_ballast(ballast_bytes)?;
        }
        Ok(Self::new(opened, options, medium))
    }

    /// Opens the store that `backend` holds, or creates one there if it is empty (not atomically:
    /// only a directory can do that). Opening it again takes another clone of it.
    pub fn open_backend(
        backend: impl StorageBackend + Clone,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let path = Path::new(open::IN_MEMORY);
        let is_empty = backend.len().map_err(|source| OpenError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })? == 0;
        if is_empty {
            open::initialise(backend.clone(), options).map_err(|fault| open::fault(fault, path))?;
        }
        let medium = Medium::of_backend(backend);
        let opened = medium.open(options)?;
        Ok(Self::new(opened, options, medium))
    }

    fn new(opened: Opened, options: &Options, medium: Medium) -> Self {
        let Opened {
            database,
            shield,
            known,
            lift,
        } = opened;
        Self {
            shared: Arc::new(Shared {
                dir: medium.dir().map(Path::to_owned),
                open: RwLock::new(Some(Open { database, shield })),
                overlay: RwLock::default(),
            }),
            options: options.clone(),
            medium,
            known,
            failed: lift.failure(),
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

    /// What waited at the last seal until the clock is trusted, by arrival.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.shared.read("read what waits", |txn| {
            let kept = txn.open_table(tables::META)?.get(tables::META_WAITING)?;
            kept.map_or(Ok(Vec::new()), |value| {
                rows::unpack_waiting(value.value())
                    .map_err(Fault::damaged("meta", tables::META_WAITING))
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
        self.failed = written.as_ref().err().map(StoreError::failure);
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

    /// The starts before this one need not be counted any more.
    fn came_to_something(&self) {
        if let (true, Some(dir)) = (self.options.verify_after_starts > 0, self.medium.dir()) {
            starts::succeed(dir);
        }
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
}

impl Drop for Store {
    /// Closes the file even while views live: they find it closed.
    fn drop(&mut self) {
        if self.failed.is_none() && !std::thread::panicking() {
            self.came_to_something();
        }
        let mut open = self
            .shared
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        reopen::close(&mut open);
    }
}
