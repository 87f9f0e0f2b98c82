//! What can go wrong with the store, in words that say what to do.

use std::path::PathBuf;

use super::ballast;
use super::bytes::Damage;

/// What a failure means for who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no room: it works again when there is.
    DiskFull,
    /// What is on the disk is not what was written: it will not get better.
    Damaged,
    /// Anything else; it may pass.
    Otherwise,
}

/// Why the store did not open. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory of the store is something else.
    #[error("cannot keep the store in {}: it is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The directory or the file cannot be reached.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was attempted, a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "cannot open the store in {}: another sluice has it open; stop that one first", .0.display()
    )]
    Locked(PathBuf),
    /// A later version of this program wrote it.
    #[error(
        "cannot open the store in {}: its schema is version {found}, this sluice knows versions \
         up to {known}; run a newer sluice, the file was left as it is", .path.display()
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The newest version known.
        known: u64,
    },
    /// It is not what any version of this program wrote.
    #[error(
        "cannot open the store in {}: it is damaged ({why}); the file was left as it is, keep a \
         copy of it and restore a backup", .path.display()
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What was found.
        why: String,
    },
}

impl OpenError {
    /// What it means.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Damaged { .. } => Failure::Damaged,
            Self::Io { source, .. } if ballast::is_full(source) => Failure::DiskFull,
            Self::Io { .. } | Self::NotADirectory(_) | Self::Locked(_) | Self::Newer { .. } => {
                Failure::Otherwise
            }
        }
    }
}

/// Why the store did not do something. What is on disk is whole: all of a commit, or none.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database beneath failed: usually the disk.
    #[error("cannot {doing}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        source: Box<redb::Error>,
    },
    /// A value is not what was written.
    #[error(
        "cannot {doing}: the value of {key} in the table \"{table}\" is damaged ({why}); \
         restore a backup"
    )]
    Damaged {
        /// What was attempted.
        doing: &'static str,
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The group does not follow the one before it.
    #[error(
        "cannot commit a group that takes the sequence numbers from {first} to {next}: the store \
         goes on at {expected}"
    )]
    OutOfOrder {
        /// Where the group begins.
        first: u64,
        /// Where the group ends.
        next: u64,
        /// Where it had to begin.
        expected: u64,
    },
    /// The group holds more readings than an entry of the log may.
    #[error("cannot commit {0} readings at once; commit them in several groups")]
    TooLarge(usize),
    /// An earlier write failed: what is on disk is known only by opening it again.
    #[error("cannot write: an earlier write failed; open the store again")]
    MustReopen,
    /// The store was closed, or could not be opened again.
    #[error("cannot {0}: the store is closed")]
    Closed(&'static str),
    /// Damage was met again and again: whoever writes stops.
    #[error("cannot go on with the store: it is damaged ({0})")]
    Unusable(String),
    /// It could not be opened again.
    #[error("cannot open the store again")]
    Reopen(#[from] Box<OpenError>),
}

impl StoreError {
    /// Whether the disk is full: deleting needs room too.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.failure() == Failure::DiskFull
    }

    /// What it means.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Failed { source, .. } => match source.as_ref() {
                redb::Error::Io(io) if ballast::is_full(io) => Failure::DiskFull,
                redb::Error::Io(io) if is_cut_short(io) => Failure::Damaged,
                redb::Error::Corrupted(_) => Failure::Damaged,
                _ => Failure::Otherwise,
            },
            Self::Damaged { .. } | Self::Unusable(_) => Failure::Damaged,
            Self::Reopen(error) => error.failure(),
            Self::OutOfOrder { .. } | Self::TooLarge(_) | Self::MustReopen | Self::Closed(_) => {
                Failure::Otherwise
            }
        }
    }
}

/// Whether a file ends before what it says is in it, or is of another kind.
pub(super) fn is_cut_short(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
    )
}

/// An error within the store, before it is said what was attempted.
#[derive(Debug)]
pub(super) enum Fault {
    Database(redb::Error),
    Damaged {
        table: &'static str,
        key: String,
        why: Damage,
    },
}

impl Fault {
    /// For `map_err`: the value of `key` in `table` is damaged.
    pub(super) fn damaged(
        table: &'static str,
        key: impl std::fmt::Debug,
    ) -> impl FnOnce(Damage) -> Self {
        move |why| Self::Damaged {
            table,
            key: format!("{key:?}"),
            why,
        }
    }

    /// redb found its pages to be what they cannot be.
    pub(super) fn contradiction() -> Self {
        Self::Database(redb::Error::Corrupted(
            "its pages contradict each other".to_owned(),
        ))
    }

    pub(super) fn while_doing(self, doing: &'static str) -> StoreError {
        match self {
            Self::Database(source) => StoreError::Failed {
                doing,
                source: Box::new(source),
            },
            Self::Damaged { table, key, why } => StoreError::Damaged {
                doing,
                table,
                key,
                why: why.to_string(),
            },
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Damaged { table, key, why } => {
                write!(f, "the value of {key} in the table \"{table}\": {why}")
            }
        }
    }
}

macro_rules! fault_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Database(error.into())
            }
        })*
    };
}
fault_from!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::DatabaseError
);
