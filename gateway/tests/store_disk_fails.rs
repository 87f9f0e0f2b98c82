//! A disk that refuses to write, at every operation: what was acknowledged is there, the step that
//! failed is there whole or not at all, readers go on, and going on gives what an undisturbed run
//! gives.
//!
//! `SLUICE_LONG=1` runs longer scripts from more seeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::io;

use gateway::store::{Failure, Options, Reopened, Store, StoreError};
use store_world::{Disk, Failing, Snapshot, Step, options, script};

fn is_long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some()
}

/// An undisturbed run.
struct Run {
    steps: Vec<Step>,
    options: Options,
    /// What there was to read before each step and at the end.
    snapshots: Vec<Snapshot>,
    /// Operations on the disk that it took, its creation not counted.
    ops: usize,
}

impl Run {
    fn of(steps: Vec<Step>, options: Options) -> Self {
        let disk = Disk::default();
        let mut store = Store::open_backend(disk.clone(), &options).unwrap();
        disk.forget_ops();
        let mut snapshots = vec![Snapshot::of(&store)];
        for step in &steps {
            step.run(&mut store).unwrap();
            snapshots.push(Snapshot::of(&store));
        }
        Self {
            ops: disk.op_count(),
            steps,
            options,
            snapshots,
        }
    }

    /// How many steps are on the disk, after `done` returned well and one perhaps did not.
    fn found(&self, store: &Store, done: usize, what: &str) -> usize {
        let found = Snapshot::of(store);
        let ahead = self.snapshots[done..]
            .iter()
            .take(2)
            .position(|expected| *expected == found);
        done + ahead.unwrap_or_else(|| panic!("{what}: after {done} steps there is {found:#?}"))
    }

    /// Runs it on a disk of which operation `nth` fails.
    fn check(&self, nth: usize, failing: Failing) {
        let what = format!("operation {nth} fails: {failing:?}");
        let disk = Disk::default();
        let mut store = Store::open_backend(disk.clone(), &self.options).unwrap();
        disk.fail_at(nth, failing);
        let mut done = 0;
        while done < self.steps.len() {
            let Err(error) = self.steps[done].run(&mut store) else {
                done += 1;
                continue;
            };
            assert!(
                disk.has_failed(),
                "{what}: {error:?} before anything failed"
            );
            let expected = match failing.kind {
                io::ErrorKind::StorageFull => Failure::DiskFull,
                _ => Failure::Otherwise,
            };
            assert_eq!(error.failure(), expected, "{what}: {error:?}");
            assert_eq!(store.failed(), Some(expected), "{what}");
            let refused = self.steps[done].run(&mut store);
            assert!(matches!(refused, Err(StoreError::MustReopen)), "{what}");
            done = self.while_it_fails(&mut store, done, &what);
            disk.heal();
            assert_eq!(store.reopen().unwrap(), Reopened::Whole, "{what}");
            done = self.found(&store, done, &what);
        }
        assert!(
            Snapshot::of(&store) == self.snapshots[self.steps.len()],
            "{what}: going on gave something else"
        );
    }

    /// Opens it again before the disk is well: it may be whole, or to be read only; if it is to be
    /// read, then all of it.
    fn while_it_fails(&self, store: &mut Store, done: usize, what: &str) -> usize {
        match store.reopen() {
            Ok(Reopened::Whole) => self.found(store, done, what),
            Ok(Reopened::ReadOnly) => {
                assert_eq!(store.failed(), Some(Failure::DiskFull), "{what}");
                let found = self.found(store, done, what);
                if let Some(next) = self.steps.get(found) {
                    let refused = next.run(store);
                    assert!(matches!(refused, Err(StoreError::MustReopen)), "{what}");
                }
                found
            }
            Err(error) => {
                assert_ne!(error.failure(), Failure::Damaged, "{what}: {error:?}");
                done
            }
        }
    }
}

fn fail_everywhere(seed: u64, options: Options) {
    let turns = if is_long() { 12 } else { 3 };
    let run = Run::of(script(seed, turns), options);
    for nth in 0..run.ops {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            for lasting in [false, true] {
                run.check(nth, Failing { kind, lasting });
            }
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    if is_long() { 10..14 } else { 10..11 }
}

#[test]
fn a_failing_disk_loses_nothing_that_was_acknowledged() {
    for seed in seeds() {
        fail_everywhere(seed, options());
    }
}

/// As large files are kept: every commit says which pages are free, opening trusts it.
#[test]
fn a_failing_disk_loses_nothing_from_a_large_file() {
    for seed in seeds() {
        fail_everywhere(
            seed,
            Options {
                verify_below_bytes: 0,
                quick_repair_above_bytes: 0,
                ..options()
            },
        );
    }
}

/// The power went, and the disk is full to the last page: opening has to repair and cannot.
#[test]
fn a_store_on_a_full_disk_is_read_until_there_is_room_to_write_it() {
    let steps = script(14, 3);
    let run = Run::of(steps, options());
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let (last, before) = run.steps.split_last().unwrap();
    for step in before {
        step.run(&mut store).unwrap();
    }
    let crashed = Disk::holding(disk.image());
    crashed.break_with(io::ErrorKind::StorageFull);
    let mut store = Store::open_backend(crashed.clone(), &options()).unwrap();
    assert_eq!(store.failed(), Some(Failure::DiskFull));
    assert!(Snapshot::of(&store) == run.snapshots[before.len()]);
    assert!(matches!(last.run(&mut store), Err(StoreError::MustReopen)));
    assert!(crashed.image() == disk.image(), "nothing was written");

    assert_eq!(store.reopen().unwrap(), Reopened::ReadOnly);
    crashed.heal();
    assert_eq!(store.reopen().unwrap(), Reopened::Whole);
    last.run(&mut store).unwrap();
    assert!(Snapshot::of(&store) == run.snapshots[run.steps.len()]);
}
