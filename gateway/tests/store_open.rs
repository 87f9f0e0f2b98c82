//! Which files the store opens, and that it leaves alone those it does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::fs;
use std::path::Path;

use engine::{BalanceId, SensorId};
use gateway::store::{FILE, Fate, OpenError, Options, SCHEMA, Store, StoreError};
use redb::{Database, TableDefinition};
use store_world::{Dice, Disk, START_MS, Snapshot, bare_seal, group, options, reading, script};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

fn filled(dir: &Path) -> Snapshot {
    let mut store = Store::open(dir, &options()).unwrap();
    for step in script(1, 3) {
        step.run(&mut store).unwrap();
    }
    Snapshot::of(&store)
}

/// Opens `dir`, which must be refused, and the file left as it was.
fn refused(dir: &Path) -> OpenError {
    let before = fs::read(dir.join(FILE)).unwrap();
    let error = Store::open(dir, &options()).unwrap_err();
    assert!(
        before == fs::read(dir.join(FILE)).unwrap(),
        "{error}: the file has changed"
    );
    error
}

#[test]
fn a_store_opens_as_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let before = filled(dir.path());
    let store = Store::open(dir.path(), &options()).unwrap();
    assert_eq!(Snapshot::of(&store), before);
}

#[test]
fn a_new_store_is_empty_and_keeps_its_generation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("within/another");
    drop(Store::open(&path, &options()).unwrap());
    let later = Options {
        generation: 7,
        ..options()
    };
    let checkpoint = Store::open(&path, &later).unwrap().checkpoint().unwrap();
    assert_eq!((checkpoint.generation, checkpoint.next_seq), (42, 0));
}

#[test]
fn what_a_power_cut_left_of_a_creation_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sluice.redb.new"), b"half a file").unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [FILE]);
}

#[test]
fn a_newer_schema_is_refused_and_both_versions_are_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    // Version 1 of the row, the number 7, CRC-32C.
    let database = Database::open(dir.path().join(FILE)).unwrap();
    let txn = database.begin_write().unwrap();
    let mut row = vec![1, 7];
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&row);
    row.extend(sum.to_le_bytes());
    txn.open_table(META)
        .unwrap()
        .insert("schema", row.as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(database);

    let error = refused(dir.path());
    assert!(matches!(
        error,
        OpenError::Newer {
            found: 7,
            known: SCHEMA,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.contains("version 7") && text.contains("up to 1"),
        "{text}"
    );
}

#[test]
fn a_newer_schema_is_refused_after_a_crash_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    let database = Database::open(dir.path().join(FILE)).unwrap();
    let txn = database.begin_write().unwrap();
    let mut row = vec![1, 2];
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&row);
    row.extend(sum.to_le_bytes());
    txn.open_table(META)
        .unwrap()
        .insert("schema", row.as_slice())
        .unwrap();
    txn.commit().unwrap();
    // The file as a kill would leave it: not closed, so redb would repair it.
    let crashed = fs::read(dir.path().join(FILE)).unwrap();
    drop(database);
    fs::write(dir.path().join(FILE), crashed).unwrap();

    assert!(matches!(
        refused(dir.path()),
        OpenError::Newer { found: 2, .. }
    ));
}

#[test]
fn what_is_not_a_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let noise: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for content in [&b""[..], b"redb", b"This is no database.", &noise] {
        fs::write(&file, content).unwrap();
        let error = refused(dir.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
    // A redb file that is not ours.
    fs::remove_file(&file).unwrap();
    drop(Database::create(&file).unwrap());
    assert!(matches!(refused(dir.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = dir.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    for len in [1, 63, 320, 4096, 5000, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..len]).unwrap();
        let error = refused(dir.path());
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{len}: {error:?}"
        );
    }
}

/// Every page is checked when a file of this size is opened; what is not used may change.
#[test]
fn a_flipped_bit_is_found_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole_state = filled(dir.path());
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    let mut dice = Dice(5);
    let flips = if std::env::var_os("SLUICE_LONG").is_some() {
        20_000
    } else {
        600
    };
    for flip in 0..flips {
        let mut image = whole.clone();
        // Each third one in the header, where it hurts.
        let bytes = if flip % 3 == 0 { 320 } else { whole.len() };
        let at = usize::try_from(dice.roll(bytes as u64)).unwrap();
        image[at] ^= 1 << dice.roll(8);
        let disk = Disk::holding(image.clone());
        match Store::open_backend(disk.clone(), &options()) {
            Ok(store) => assert_eq!(Snapshot::of(&store), whole_state, "byte {at}"),
            Err(error) => {
                assert!(
                    matches!(error, OpenError::Damaged { .. }),
                    "byte {at}: {error:?}"
                );
                assert!(
                    disk.image() == image,
                    "byte {at}: {error}: the file has changed"
                );
            }
        }
    }
}

/// Reads all there is and writes to it; the verdicts are whatever they are.
fn use_all_of(mut store: Store) {
    let view = store.view();
    drop(store.checkpoint());
    drop(store.replay(|_| Ok::<(), StoreError>(())));
    drop((view.totals(), view.sensors(), view.balances()));
    drop((view.incidents(), view.retained(), view.sessions()));
    for sensor in (0..4).map(SensorId) {
        drop(view.readings(sensor, None, None, None, usize::MAX));
        drop(view.history(sensor, i64::MIN, i64::MAX));
        drop(view.days(sensor, None, None));
    }
    drop(view.rests(BalanceId(0), None, None));
    drop(view.late(None, None, None, usize::MAX));
    drop(view.letters(None, usize::MAX));
    drop(view.queue("c0"));
    let next = store.next_seq();
    let readings = vec![reading(next, 1, START_MS, 1.0, Fate::Accepted)];
    drop(store.commit(&group(next, readings), &[]));
    drop(store.reopen());
    drop(store.seal(bare_seal()));
    drop(store.reopen());
}

/// Large files are not checked whole; then damage may show later, as an error and never as a panic.
#[test]
fn a_flipped_bit_in_a_large_file_does_not_stop_the_program() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    let mut dice = Dice(6);
    for _ in 0..300 {
        let mut image = whole.clone();
        let at = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
        image[at] ^= 1 << dice.roll(8);
        let disk = Disk::holding(image.clone());
        let options = Options {
            verify_below_bytes: 0,
            ..options()
        };
        match Store::open_backend(disk.clone(), &options) {
            Ok(store) => use_all_of(store),
            Err(_) => assert!(disk.image() == image, "byte {at}: the file has changed"),
        }
    }
}

#[test]
fn a_large_file_is_read_whole_after_starts_that_came_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    let large = Options {
        verify_below_bytes: 0,
        verify_after_starts: 3,
        ..options()
    };
    let unnoticed = |image: &[u8]| {
        let disk = Disk::holding(image.to_vec());
        Store::open_backend(disk, &large).is_ok()
            && Store::open_backend(Disk::holding(image.to_vec()), &options()).is_err()
    };
    let mut dice = Dice(8);
    let rotted = std::iter::repeat_with(|| {
        let mut image = whole.clone();
        let at = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
        image[at] ^= 1 << dice.roll(8);
        image
    });
    let rotted = rotted.take(5000).find(|image| unnoticed(image));
    let rotted = rotted.expect("one that only reading the whole file finds");
    let start = |ended_early: &str| {
        fs::write(dir.path().join(FILE), &rotted).unwrap();
        fs::write(dir.path().join("sluice.starts"), ended_early).unwrap();
        Store::open(dir.path(), &large)
    };
    drop(start("2").expect("two starts may be bad luck"));
    assert!(
        !dir.path().join("sluice.starts").exists(),
        "a clean end is what they waited for"
    );
    let error = start("3").unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_store_that_is_open_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let error = Store::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error:?}");
    drop(store);
    drop(Store::open(dir.path(), &options()).unwrap());
}

#[test]
fn a_file_is_not_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Store::open(&path, &options()).unwrap_err();
    assert!(matches!(error, OpenError::NotADirectory(_)), "{error:?}");
}

#[test]
fn views_outlive_a_reopening_and_find_a_dropped_store_closed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = Store::open(dir.path(), &options()).unwrap();
    let view = store.view();
    let before = view.totals().unwrap().next_seq;
    store.reopen().unwrap();
    assert_eq!(view.totals().unwrap().next_seq, before);
    drop(store);
    assert!(view.totals().is_err());
}

#[test]
fn room_is_kept_beside_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        ballast_bytes: 100_000,
        ..options()
    };
    drop(Store::open(dir.path(), &options).unwrap());
    let ballast = fs::metadata(dir.path().join("sluice.ballast")).unwrap();
    assert_eq!(ballast.len(), 100_000);
}
