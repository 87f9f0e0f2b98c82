//! What the writer counts, for `/metrics` and `sluice status`.

use super::Announced;
use crate::store::{Committed, Sealed};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since start.
#[derive(Debug, Default)]
pub struct IngestStats {
    /// Groups on disk.
    pub commits: AtomicU64,
    /// Readings in them, of every fate that is kept.
    pub readings: AtomicU64,
    /// Bytes of the log's entries.
    pub log_bytes: AtomicU64,
    /// Seals.
    pub seals: AtomicU64,
    /// Bytes of the blocks that they wrote.
    pub block_bytes: AtomicU64,
    /// Commits and seals that failed.
    pub failures: AtomicU64,
}

impl IngestStats {
    pub(super) fn committed(&self, committed: Committed, announced: &Announced<'_>) {
        self.commits.fetch_add(1, Relaxed);
        self.log_bytes.fetch_add(committed.bytes(), Relaxed);
        let readings = announced.group.readings.len() as u64;
        self.readings.fetch_add(readings, Relaxed);
    }

    pub(super) fn sealed(&self, sealed: Sealed) {
        self.seals.fetch_add(1, Relaxed);
        self.block_bytes.fetch_add(sealed.block_bytes, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}
