//! Creating the file, and deciding whether a file that is there is ours to open.
//!
//! Creation is atomic: the file appears under its name whole. A file that is refused is left as
//! it is, to the byte. Never panics on what it finds in a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, StorageBackend};

use super::ballast;
use super::error::{Failure, Fault, OpenError, is_cut_short};
use super::shield::Shield;
use super::tables::{self, LOG, META, META_CHECKPOINT, META_SCHEMA, SCHEMA};
use super::types::{Checkpoint, Counters, Tail};
use super::{Options, incident, log, rows, scan};

/// The store's file, in its directory.
pub const FILE: &str = "sluice.redb";
/// What a backend of the caller's is called in errors.
pub(super) const IN_MEMORY: &str = "memory";
/// The name it is created under.
const FILE_NEW: &str = "sluice.redb.new";

/// A database that was found good, with what its rows say.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) shield: Shield,
    pub(super) known: Known,
    pub(super) lift: Lift,
}

/// Whether what opening wrote is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lift {
    /// It is: the file may be written.
    Done,
    /// The disk has no room for it. It is held in memory, so the file can be read, not written.
    NoRoom,
}

impl Lift {
    /// What that is for who wants to write.
    pub(super) fn failure(self) -> Option<Failure> {
        match self {
            Self::Done => None,
            Self::NoRoom => Some(Failure::DiskFull),
        }
    }
}

/// What the writer keeps in mind.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Of the last seal, without sensors and balances.
    pub(super) checkpoint: Checkpoint,
    pub(super) tail: Tail,
    /// As of the last group of the tail.
    pub(super) next_seq: u64,
    pub(super) counters: Counters,
    pub(super) site_time_ms: Option<i64>,
}

/// Makes sure of the directory and takes it for this process alone. The lock lives as long as the
/// file that is returned; on file systems without locks redb's own lock must do.
pub(super) fn take_directory(dir: &Path) -> Result<File, OpenError> {
    fs::create_dir_all(dir).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            OpenError::NotADirectory(dir.to_owned())
        }
        _ => failed("create the directory", dir)(source),
    })?;
    let handle = File::open(dir).map_err(failed("open the directory", dir))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(handle),
    }
}

/// Opens the store's file in `dir`, which is ours; creates it if it is not there.
pub(super) fn open_file(dir: &Path, handle: &File, options: &Options) -> Result<Opened, OpenError> {
    let path = dir.join(FILE);
    match fs::symlink_metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, handle, options)?,
        Err(error) => return Err(failed("look at", &path)(error)),
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed("open", &path))?;
    open_backend(Box::new(backend(file, &path)?), &path, options)
}

/// Another name, sync, rename, sync of the directory.
fn create(dir: &Path, handle: &File, options: &Options) -> Result<(), OpenError> {
    let (new, path) = (dir.join(FILE_NEW), dir.join(FILE));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&new)
        .map_err(failed("create", &new))?;
    initialise(backend(file, &new)?, options).map_err(|error| fault(error, &new))?;
    File::open(&new)
        .and_then(|file| file.sync_all())
        .map_err(failed("sync", &new))?;
    fs::rename(&new, &path).map_err(failed("rename to its name", &new))?;
    handle.sync_all().map_err(failed("sync the directory", dir))
}

/// Writes an empty store. Not atomic: a cut in between leaves neither a store nor nothing.
pub(super) fn initialise(backend: impl StorageBackend, options: &Options) -> Result<(), Fault> {
    let database = Builder::new()
        .set_cache_size(options.cache_bytes)
        .create_with_backend(backend)?;
    let txn = database.begin_write()?;
    tables::create(&txn)?;
    {
        let checkpoint = Checkpoint {
            generation: options.generation,
            ..Checkpoint::default()
        };
        let mut meta = txn.open_table(META)?;
        meta.insert(META_SCHEMA, rows::pack_number(SCHEMA).as_slice())?;
        meta.insert(
            META_CHECKPOINT,
            rows::pack_checkpoint(&checkpoint).as_slice(),
        )?;
    }
    txn.commit()?;
    database.close()?;
    Ok(())
}

/// Opens what `backend` holds, behind a shield that is lifted only when all is found good.
pub(super) fn open_backend(
    backend: Box<dyn StorageBackend>,
    path: &Path,
    options: &Options,
) -> Result<Opened, OpenError> {
    let shield = Shield::new(backend).map_err(failed("read", path))?;
    if shield.bytes() == 0 {
        return Err(damaged(path, "it is empty"));
    }
    let verify = shield.bytes() <= options.verify_below_bytes;
    // redb may panic on a file that was changed behind its back. Nothing of ours is left half
    // done: the shield is the only thing shared, and it is not lifted.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Builder::new()
            .set_cache_size(options.cache_bytes)
            .set_check_integrity_on_open(verify)
            .create_with_backend(shield.clone())?;
        let known = inspect(&database)?;
        Ok((database, known))
    }));
    let (database, known) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(Refusal::Newer(found))) => {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: SCHEMA,
            });
        }
        Ok(Err(Refusal::Fault(error))) => return Err(fault(error, path)),
        Err(_panic) => return Err(damaged(path, "its pages contradict each other")),
    };
    let lift = match shield.lift() {
        Ok(()) => Lift::Done,
        Err(error) if ballast::is_full(&error) => Lift::NoRoom,
        Err(error) => return Err(failed("repair", path)(error)),
    };
    Ok(Opened {
        database,
        shield,
        known,
        lift,
    })
}

/// Why a file is not opened.
enum Refusal {
    Newer(u64),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Reads the version, then what no gateway starts without: the checkpoint, the names, the heads of the
/// log.
fn inspect(database: &Database) -> Result<Known, Refusal> {
    let txn = database.begin_read()?;
    let meta = txn.open_table(META)?;
    let schema = match meta.get(META_SCHEMA)? {
        Some(value) => rows::unpack_number(value.value()),
        None => Err(super::bytes::Damage("it is not there")),
    };
    let schema = schema.map_err(Fault::damaged("meta", META_SCHEMA))?;
    if schema > SCHEMA {
        return Err(Refusal::Newer(schema));
    }
    scan::sensors(&txn)?;
    scan::balances(&txn)?;
    incident::incidents(&txn)?;
    Ok(known(&txn)?)
}

/// The checkpoint, and the log's tail on top of it.
fn known(txn: &redb::ReadTransaction) -> Result<Known, Fault> {
    let checkpoint = read_checkpoint(txn)?;
    let mut known = Known {
        next_seq: checkpoint.next_seq,
        counters: checkpoint.counters,
        site_time_ms: checkpoint.site_time_ms,
        checkpoint,
        tail: Tail::default(),
    };
    for entry in txn.open_table(LOG)?.range::<u64>(..)? {
        let (first_seq, value) = entry?;
        let (first_seq, value) = (first_seq.value(), value.value());
        let head = log::unpack_head(first_seq, value).map_err(Fault::damaged("log", first_seq))?;
        if first_seq != known.next_seq {
            let why = super::bytes::Damage("it does not follow the group before it");
            return Err(Fault::damaged("log", first_seq)(why));
        }
        known.next_seq = head.next_seq;
        known.counters = head.counters;
        known.site_time_ms = head.site_time_ms;
        known.tail.groups += 1;
        known.tail.readings += head.readings as u64;
        known.tail.bytes += value.len() as u64;
    }
    Ok(known)
}

/// The checkpoint, without its sensors and balances.
pub(super) fn read_checkpoint(txn: &redb::ReadTransaction) -> Result<Checkpoint, Fault> {
    let meta = txn.open_table(META)?;
    match meta.get(META_CHECKPOINT)? {
        Some(value) => rows::unpack_checkpoint(value.value()),
        None => Err(super::bytes::Damage("it is not there")),
    }
    .map_err(Fault::damaged("meta", META_CHECKPOINT))
}

fn backend(file: File, path: &Path) -> Result<FileBackend, OpenError> {
    FileBackend::new(file).map_err(|error| fault(error.into(), path))
}

pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path: PathBuf = path.to_owned();
    move |source| OpenError::Io {
        doing,
        path,
        source,
    }
}

fn damaged(path: &Path, why: impl ToString) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

pub(super) fn fault(error: Fault, path: &Path) -> OpenError {
    match error {
        Fault::Database(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
            OpenError::Locked(path.to_owned())
        }
        // redb says InvalidData of a file that is not its own, and reads past the end of a short
        // one.
        Fault::Database(redb::Error::Io(source)) if !is_cut_short(&source) => {
            failed("open", path)(source)
        }
        Fault::Database(error) => damaged(path, error),
        error @ Fault::Damaged { .. } => damaged(path, error),
    }
}
