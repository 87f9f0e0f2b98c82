//! Power cut at every disk operation: what was acknowledged is there, the commit in flight is
//! there whole or not at all, and going on gives what an undisturbed run gives.
//!
//! `SLUICE_LONG=1` runs longer scripts from more seeds, goes on after every cut, and cuts the
//! reopening after more of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::collections::BTreeSet;

use gateway::store::{Options, Store};
use redb::{Builder, ReadableDatabase, ReadableTableMetadata, TableHandle};
use store_world::{Dice, Disk, Op, Snapshot, Step, apply, doubted, options, script, write_at};

/// What becomes of writes that were not synced when the power goes.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// None arrived.
    Lost,
    /// All arrived.
    Kept,
    /// Some sectors of some arrived.
    Random,
}

/// The least that a disk writes whole.
const SECTOR: usize = 512;

/// An undisturbed run.
struct Run {
    steps: Vec<Step>,
    image: Vec<u8>,
    ops: Vec<Op>,
    /// How many operations were done when each step returned.
    done_at: Vec<usize>,
    /// What there was to read before each step and at the end.
    snapshots: Vec<Snapshot>,
    options: Options,
}

impl Run {
    fn of(steps: Vec<Step>, options: Options) -> Self {
        let disk = Disk::default();
        let mut store = Store::open_backend(disk.clone(), &options).unwrap();
        let image = disk.image();
        disk.forget_ops();
        let mut snapshots = vec![Snapshot::of(&store)];
        let mut done_at = Vec::new();
        for step in &steps {
            step.run(&mut store).unwrap();
            done_at.push(disk.op_count());
            snapshots.push(Snapshot::of(&store));
        }
        let ops = disk.ops();
        Self {
            steps,
            image,
            ops,
            done_at,
            snapshots,
            options,
        }
    }

    /// Cuts the power during operation `cut`; goes on if `go_on`.
    fn check(&self, image: Vec<u8>, cut: usize, go_on: bool, what: &str) {
        let acknowledged = self.done_at.iter().filter(|&&done| done <= cut).count();
        let disk = Disk::holding(image);
        let mut store = Store::open_backend(disk, &self.options)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = Snapshot::of(&store);
        let place = self.snapshots[acknowledged..]
            .iter()
            .take(2)
            .position(|expected| *expected == found);
        let Some(ahead) = place else {
            panic!(
                "{what}: after {acknowledged} steps\nfound {found:#?}\nnot {:#?}",
                self.snapshots[acknowledged]
            );
        };
        if go_on {
            for step in &self.steps[acknowledged + ahead..] {
                step.run(&mut store).unwrap();
            }
            assert!(
                Snapshot::of(&store) == self.snapshots[self.steps.len()],
                "{what}: going on gave something else"
            );
        }
    }
}

/// What is on the disk when the power goes during `ops[cut]`.
fn surviving(synced: &[u8], unsynced: &[Op], loss: Loss, dice: &mut Dice) -> Vec<u8> {
    let mut image = synced.to_vec();
    for op in unsynced {
        match (loss, op) {
            (Loss::Lost, _) => {}
            (Loss::Kept, op) => apply(&mut image, op),
            (Loss::Random, Op::Write(offset, data)) => {
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    if dice.roll(2) == 0 {
                        write_at(&mut image, offset + (n * SECTOR) as u64, sector);
                    }
                }
            }
            (Loss::Random, op) => {
                if dice.roll(2) == 0 {
                    apply(&mut image, op);
                }
            }
        }
    }
    image
}

/// Cuts at every operation of `ops` on top of `image`, and hands what survives to `check`.
fn sweep(
    image: &[u8],
    ops: &[Op],
    seed: u64,
    losses: impl Fn(usize) -> Vec<Loss>,
    mut check: impl FnMut(Vec<u8>, usize, &str),
) {
    let mut dice = Dice(seed);
    let mut synced = image.to_vec();
    let mut unsynced = Vec::new();
    for (cut, op) in ops.iter().enumerate() {
        // The operation in flight is among the unsynced ones; a sync in flight did nothing.
        unsynced.push(op.clone());
        for loss in losses(cut) {
            let survivor = surviving(&synced, &unsynced, loss, &mut dice);
            check(
                survivor,
                cut,
                &format!("seed {seed}, operation {cut}, unsynced {loss:?}"),
            );
        }
        if matches!(op, Op::Sync) {
            for op in unsynced.drain(..) {
                apply(&mut synced, &op);
            }
        }
    }
}

fn is_long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some()
}

fn cut_everywhere(seed: u64, options: Options) {
    let turns = if is_long() { 20 } else { 8 };
    cut_everywhere_in(script(seed, turns), seed, options);
}

fn cut_everywhere_in(steps: Vec<Step>, seed: u64, options: Options) {
    let long = is_long();
    let run = Run::of(steps, options);
    let losses = |_| vec![Loss::Lost, Loss::Kept, Loss::Random];
    sweep(&run.image, &run.ops, seed, losses, |image, cut, what| {
        run.check(image, cut, long || cut % 8 == 0, what);
    });
}

/// Files this small are checked whole when they are opened.
#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    for seed in if is_long() { 0..4 } else { 0..1 } {
        cut_everywhere(seed, options());
    }
}

/// What waits until the clock is trusted is as safe as what is held.
#[test]
fn a_power_cut_loses_nothing_that_waits_for_the_clock() {
    let seed = 5;
    let turns = if is_long() { 20 } else { 4 };
    cut_everywhere_in(doubted(script(seed, turns)), seed, options());
}

/// As large files are kept: every commit says which pages are free, opening trusts it.
#[test]
fn a_power_cut_loses_nothing_from_a_large_file() {
    for seed in if is_long() { 0..4 } else { 1..2 } {
        cut_everywhere(
            seed,
            Options {
                verify_below_bytes: 0,
                quick_repair_above_bytes: 0,
                ..options()
            },
        );
    }
}

/// As files in between are kept: nothing is checked that redb does not check by itself.
#[test]
fn a_power_cut_loses_nothing_from_a_file_that_is_not_checked() {
    for seed in if is_long() { 0..4 } else { 2..3 } {
        cut_everywhere(
            seed,
            Options {
                verify_below_bytes: 0,
                ..options()
            },
        );
    }
}

/// The sweeps are worth what they sweep over.
#[test]
fn the_script_writes_to_every_table_of_a_store() {
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let mut written = BTreeSet::new();
    let mut all = BTreeSet::new();
    for step in script(0, 8) {
        step.run(&mut store).unwrap();
        let copy = Disk::holding(disk.image());
        let database = Builder::new().create_with_backend(copy).unwrap();
        let txn = database.begin_read().unwrap();
        for table in txn.list_tables().unwrap() {
            let name = table.name().to_owned();
            if txn.open_untyped_table(table).unwrap().len().unwrap() > 0 {
                written.insert(name.clone());
            }
            all.insert(name);
        }
    }
    assert_eq!(written, all);
}

#[test]
fn a_power_cut_while_the_store_recovers_from_one_loses_nothing() {
    let seed = 3;
    let run = Run::of(script(seed, 3), options());
    let step = if is_long() { 7 } else { 61 };
    sweep(
        &run.image,
        &run.ops,
        seed,
        |cut| {
            if cut % step == 0 {
                vec![Loss::Random]
            } else {
                Vec::new()
            }
        },
        |image, cut, what| {
            let disk = Disk::holding(image.clone());
            drop(Store::open_backend(disk.clone(), &run.options).unwrap());
            sweep(
                &image,
                &disk.ops(),
                seed,
                |_| vec![Loss::Random],
                |image, again, _| {
                    run.check(
                        image,
                        cut,
                        false,
                        &format!("{what}, then at operation {again} of opening"),
                    );
                },
            );
        },
    );
}
