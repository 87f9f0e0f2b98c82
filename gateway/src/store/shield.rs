//! A storage backend that keeps the file as it is until we know that we want to open it.
//!
//! redb writes when it opens: it marks the file, repairs it, initialises it. A file that we then
//! refuse (a newer schema, a damaged one) must stay as it is. So all writes are held in memory,
//! in order, and seen by reads; [`Shield::lift`] replays them with their syncs, as if they came
//! only then. A shield that is never lifted never writes.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

/// A handle to the backend that the database also holds.
#[derive(Clone, Debug)]
pub(super) struct Shield(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Box<dyn StorageBackend>,
    lifted: AtomicBool,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    len: u64,
    ops: Vec<Op>,
}

#[derive(Debug)]
enum Op {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Shield {
    /// Holds back what is written to `backend`.
    pub(super) fn new(backend: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = backend.len()?;
        Ok(Self(Arc::new(Inner {
            backend,
            lifted: AtomicBool::new(false),
            held: RwLock::new(Held {
                len,
                ops: Vec::new(),
            }),
        })))
    }

    /// Writes what was held back; from here on writes go through.
    ///
    /// # Errors
    /// What could not be written is held on to, and what could is written over by the same: reads
    /// see all of it either way, and the file is as a power cut would leave it.
    pub(super) fn lift(&self) -> io::Result<()> {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        for op in &held.ops {
            match op {
                Op::SetLen(len) => self.0.backend.set_len(*len)?,
                Op::Write(offset, data) => self.0.backend.write(*offset, data)?,
                Op::Sync => self.0.backend.sync_data()?,
            }
        }
        held.ops = Vec::new();
        self.0.lifted.store(true, Ordering::Release);
        Ok(())
    }

    /// Length of what is stored, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.len().unwrap_or(0)
    }

    fn is_lifted(&self) -> bool {
        self.0.lifted.load(Ordering::Acquire)
    }

    fn hold(&self, op: Op) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        match &op {
            Op::SetLen(len) => held.len = *len,
            Op::Write(offset, data) => held.len = held.len.max(offset + data.len() as u64),
            Op::Sync => {}
        }
        held.ops.push(op);
    }
}

/// Copies the part of `data`, which lies at `at`, that `out`, which lies at `offset`, covers.
fn overlay(out: &mut [u8], offset: u64, data: &[u8], at: u64) {
    let from = offset.max(at);
    let to = (offset + out.len() as u64).min(at + data.len() as u64);
    if from < to {
        let range = |start: u64| index(from - start)..index(to - start);
        out[range(offset)].copy_from_slice(&data[range(at)]);
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("within a buffer, so it is an index")
}

impl StorageBackend for Shield {
    fn len(&self) -> io::Result<u64> {
        if self.is_lifted() {
            return self.0.backend.len();
        }
        Ok(self
            .0
            .held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_lifted() {
            return self.0.backend.read(offset, out);
        }
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        if offset
            .checked_add(out.len() as u64)
            .is_none_or(|end| end > held.len)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let real = self
            .0
            .backend
            .len()?
            .saturating_sub(offset)
            .min(out.len() as u64);
        let (real, beyond) = out.split_at_mut(index(real));
        if !real.is_empty() {
            self.0.backend.read(offset, real)?;
        }
        beyond.fill(0);
        for op in &held.ops {
            match op {
                Op::Write(at, data) => overlay(out, offset, data, *at),
                // What is cut off reads as zeros if the file grows again.
                Op::SetLen(len) => {
                    let kept = len.saturating_sub(offset).min(out.len() as u64);
                    out[index(kept)..].fill(0);
                }
                Op::Sync => {}
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.is_lifted() {
            return self.0.backend.set_len(len);
        }
        self.hold(Op::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_lifted() {
            return self.0.backend.sync_data();
        }
        self.hold(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_lifted() {
            return self.0.backend.write(offset, data);
        }
        self.hold(Op::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.query_lock_range(start, end)
    }
}
