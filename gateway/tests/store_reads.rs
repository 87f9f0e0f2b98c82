//! What readers and the engine find: the same whether it is still in the log or sealed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use std::io;

use engine::{BalanceId, Day, Past, SensorId};
use gateway::store::{
    BrokerWrite, Changed, FILE, Fate, Group, Letter, Options, Seal, Store, StoreError,
    StoredReading,
};
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use store_world::{
    Dice, Disk, HOUR_MS, START_MS, at, bare_seal, day_of, group, options, reading, rest, seal,
    sensor_day,
};

const S: SensorId = SensorId(1);
const DAY_1: i32 = 18_262;

fn store() -> Store {
    Store::open_backend(Disk::default(), &options()).unwrap()
}

fn commit(store: &mut Store, group: &Group) {
    let proof = store.commit(group, &[]).unwrap();
    assert!(proof.bytes() > 0);
}

fn held(store: &Store) -> Vec<(u64, f64)> {
    let all = store
        .view()
        .readings(S, None, None, None, usize::MAX)
        .unwrap();
    all.iter().map(|r| (r.seq, r.value)).collect()
}

/// Runs `check` on the log's tail, and again after a seal.
fn before_and_after_a_seal(store: &mut Store, check: impl Fn(&Store)) {
    check(store);
    let _sealed = seal(store);
    check(store);
}

#[test]
fn the_latest_arrival_of_an_identity_is_its_value() {
    let mut store = store();
    let first = vec![
        reading(0, 1, START_MS, 10.0, Fate::Accepted),
        reading(1, 1, START_MS + HOUR_MS, 20.0, Fate::Accepted),
        reading(2, 2, START_MS, 99.0, Fate::Accepted),
    ];
    commit(&mut store, &group(0, first));
    let _sealed = seal(&mut store);
    let second = vec![
        reading(3, 1, START_MS, 11.0, Fate::Corrected),
        reading(4, 1, START_MS, 12.0, Fate::Corrected),
    ];
    commit(&mut store, &group(3, second));
    before_and_after_a_seal(&mut store, |store| {
        assert_eq!(held(store), [(4, 12.0), (1, 20.0)]);
    });
}

#[test]
fn contradicting_readings_of_a_sensor_that_adds_are_all_held() {
    let mut store = store();
    let mut readings = vec![
        reading(0, 1, START_MS, 10.0, Fate::Accepted),
        reading(1, 1, START_MS, 20.0, Fate::Accepted),
    ];
    readings[1].tie = u64::MAX;
    commit(&mut store, &group(0, readings));
    before_and_after_a_seal(&mut store, |store| {
        assert_eq!(held(store), [(0, 10.0), (1, 20.0)]);
    });
}

#[test]
fn what_was_set_aside_is_not_held_until_it_is_accepted() {
    let mut store = store();
    commit(
        &mut store,
        &group(
            0,
            vec![
                reading(0, 1, START_MS, 10.0, Fate::Late),
                reading(1, 1, START_MS + 1, 20.0, Fate::Late),
            ],
        ),
    );
    before_and_after_a_seal(&mut store, |store| {
        assert_eq!(held(store), []);
        let late = store.view().late(Some(S), None, None, 9).unwrap();
        let late: Vec<_> = late.iter().map(|row| (row.seq, row.accepted)).collect();
        assert_eq!(late, [(0, false), (1, false)]);
    });
    let accepted = vec![reading(2, 1, START_MS, 10.0, Fate::AcceptedLate)];
    commit(&mut store, &group(2, accepted));
    before_and_after_a_seal(&mut store, |store| {
        assert_eq!(held(store), [(2, 10.0)]);
        let late = store.view().late(None, None, None, 9).unwrap();
        let late: Vec<_> = late.iter().map(|row| (row.seq, row.accepted)).collect();
        assert_eq!(late, [(0, true), (1, false)]);
    });
}

#[test]
fn history_is_everything_that_arrived_in_order() {
    let mut store = store();
    let first = vec![
        reading(0, 1, START_MS + 5, 10.0, Fate::Accepted),
        reading(1, 1, START_MS, 10.0, Fate::Late),
        reading(2, 1, START_MS + 5, 11.0, Fate::Corrected),
    ];
    commit(&mut store, &group(0, first.clone()));
    before_and_after_a_seal(&mut store, |store| {
        let history = store.view().history(S, START_MS, START_MS + 5).unwrap();
        assert_eq!(history, first);
        let narrow = store.view().history(S, START_MS + 1, START_MS + 5).unwrap();
        assert_eq!(narrow, [first[0], first[2]]);
    });
}

#[test]
fn pages_of_readings_are_the_whole_without_gap_or_repetition() {
    let mut dice = Dice(1);
    let mut store = store();
    for round in 0..4 {
        let first = round * 50;
        let readings = (first..first + 50)
            .map(|seq| {
                let ms = START_MS + dice.roll(100).cast_signed() * HOUR_MS;
                reading(
                    seq,
                    1,
                    ms,
                    f64::from(u32::try_from(seq).unwrap()),
                    Fate::Accepted,
                )
            })
            .collect();
        commit(&mut store, &group(first, readings));
        if round < 3 {
            let _sealed = seal(&mut store);
        }
    }
    let view = store.view();
    let whole = view.readings(S, None, None, None, usize::MAX).unwrap();
    assert!(whole.is_sorted_by_key(|r| (r.time, r.tie)) && whole.len() > 60);
    for limit in [1, 7, 1_000] {
        let mut pages: Vec<StoredReading> = Vec::new();
        loop {
            let after = pages.last().map(|r| (r.time.ms(), r.tie));
            let page = view.readings(S, None, None, after, limit).unwrap();
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{limit} a page");
    }
    let (from, to) = (whole[10].time.ms(), whole[40].time.ms());
    let range = view
        .readings(S, Some(from), Some(to), None, usize::MAX)
        .unwrap();
    assert_eq!(range, whole[10..=40]);
}

#[test]
fn announced_rows_are_seen_over_sealed_ones_until_the_next_seal() {
    let mut store = store();
    let (day, next) = (Day::from_number(DAY_1), Day::from_number(DAY_1 + 1));
    let sealed = |value| Seal {
        days: vec![(S, day, sensor_day(value, 1, 1))],
        rests: vec![(BalanceId(3), day, rest(value))],
        ..bare_seal()
    };
    let _sealed = store.seal(sealed(1.0)).unwrap();
    store.announce(Changed {
        days: vec![
            (S, day, sensor_day(2.0, 2, 2)),
            (S, next, sensor_day(3.0, 1, 0)),
        ],
        rests: vec![(BalanceId(3), next, rest(3.0))],
        sensors: Vec::new(),
    });
    let view = store.view();
    let values = || -> Vec<f64> {
        let days = view.days(S, None, None).unwrap();
        days.iter().map(|(_, d)| d.row.value).collect()
    };
    assert_eq!(values(), [2.0, 3.0]);
    assert_eq!(view.days(S, Some(next), None).unwrap().len(), 1);
    assert_eq!(
        view.rests(BalanceId(3), None, Some(day)).unwrap(),
        [(day, rest(1.0))]
    );
    assert_eq!(view.rests(BalanceId(3), None, None).unwrap().len(), 2);
    let _sealed = store.seal(sealed(4.0)).unwrap();
    assert_eq!(values(), [4.0]);
}

#[test]
fn the_engine_finds_the_past() {
    let mut store = store();
    let day = |n| Day::from_number(DAY_1 + n);
    let readings = vec![
        reading(0, 1, START_MS + 1, 10.0, Fate::Accepted),
        reading(1, 1, START_MS, 20.0, Fate::Accepted),
        reading(2, 1, START_MS, 21.0, Fate::Corrected),
        reading(3, 1, START_MS + 2, 0.0, Fate::Late),
    ];
    commit(&mut store, &group(0, readings));
    let _sealed = store
        .seal(Seal {
            days: vec![
                (S, day(0), sensor_day(1.0, 2, 1)),
                // A day whose readings are all gone.
                (S, day(2), sensor_day(0.0, 0, 2)),
                (S, day(4), sensor_day(5.0, 2, 2)),
                (SensorId(2), day(3), sensor_day(9.0, 2, 2)),
            ],
            rests: vec![(BalanceId(0), day(0), rest(1.0))],
            ..bare_seal()
        })
        .unwrap();
    let mut past = &store;
    let held: Vec<_> = past.readings(S, day(0)).unwrap();
    let held: Vec<_> = held.iter().map(|h| (h.time, h.value)).collect();
    assert_eq!(held, [(at(START_MS), 21.0), (at(START_MS + 1), 10.0)]);
    assert_eq!(past.day(S, day(4)).unwrap(), Some(sensor_day(5.0, 2, 2)));
    assert_eq!(past.day(S, day(3)).unwrap(), None);
    assert_eq!(
        past.before(S, day(4)).unwrap(),
        Some((day(0), sensor_day(1.0, 2, 1)))
    );
    assert_eq!(past.before(S, day(0)).unwrap(), None);
    assert_eq!(
        past.after(S, day(0)).unwrap(),
        Some((day(4), sensor_day(5.0, 2, 2)))
    );
    assert_eq!(past.after(S, day(4)).unwrap(), None);
    assert_eq!(past.rest(BalanceId(0), day(0)).unwrap(), Some(rest(1.0)));
    assert_eq!(past.rest(BalanceId(1), day(0)).unwrap(), None);
}

#[test]
fn a_last_block_grows_until_it_is_full() {
    const BLOCKS: TableDefinition<'_, (u32, i32, u64), &[u8]> = TableDefinition::new("blocks");
    let dir = tempfile::tempdir().unwrap();
    for (readings, blocks) in [(1_000, 1), (100, 1), (1, 2), (1, 2)] {
        let mut store = Store::open(dir.path(), &options()).unwrap();
        let first = store.next_seq();
        let readings = (first..first + readings)
            .map(|seq| reading(seq, 1, START_MS + seq.cast_signed(), 1.0, Fate::Accepted))
            .collect();
        commit(&mut store, &group(first, readings));
        let _sealed = seal(&mut store);
        let held = held(&store);
        drop(store);
        let database = Database::open(dir.path().join(FILE)).unwrap();
        let table = database.begin_read().unwrap().open_table(BLOCKS).unwrap();
        assert_eq!(table.len().unwrap(), blocks, "with {} readings", held.len());
    }
}

#[test]
fn retention_removes_the_readings_of_whole_days_and_keeps_their_rows() {
    let mut store = store();
    let day = |n| Day::from_number(DAY_1 + n);
    let mut new = group(
        0,
        (0_u64..4)
            .map(|n| {
                let fate = if n % 2 == 0 {
                    Fate::Accepted
                } else {
                    Fate::Late
                };
                let ms = START_MS + n.cast_signed() / 2 * 24 * HOUR_MS;
                reading(n, 1, ms, 1.0, fate)
            })
            .collect(),
    );
    new.new_sensors = vec![(S, "TH1".into())];
    new.new_balances = vec![(BalanceId(0), "water".into())];
    commit(&mut store, &new);
    let sealed = store
        .seal(Seal {
            days: (0..2).map(|n| (S, day(n), sensor_day(1.0, 1, 1))).collect(),
            rests: (0..2).map(|n| (BalanceId(0), day(n), rest(1.0))).collect(),
            drop_before: Some(day(1)),
            ..bare_seal()
        })
        .unwrap();
    assert_eq!((sealed.blocks, sealed.dropped_blocks), (2, 1));
    let view = store.view();
    assert_eq!(held(&store), [(2, 1.0)]);
    assert_eq!(view.days(S, None, None).unwrap().len(), 2);
    assert_eq!(view.rests(BalanceId(0), None, None).unwrap().len(), 2);
    let late = view.late(None, None, None, 9).unwrap();
    assert_eq!(late.iter().map(|row| row.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(store.checkpoint().unwrap().dropped_before, Some(day(1)));
}

#[test]
fn what_a_cap_removes_is_counted() {
    let options = Options {
        late_cap: 2,
        letter_cap: 1,
        ..options()
    };
    let mut store = Store::open_backend(Disk::default(), &options).unwrap();
    let late = (0..5)
        .map(|seq| reading(seq, 1, START_MS, 1.0, Fate::Late))
        .collect();
    let mut new = group(0, late);
    new.next_seq = 7;
    new.letters = (5..7)
        .map(|seq| Letter {
            seq,
            arrived_ms: new.arrived_ms,
            topic: "t".into(),
            reason: "r".into(),
            payload: Vec::new(),
        })
        .collect();
    commit(&mut store, &new);
    assert_eq!(store.view().letters(None, 9).unwrap(), new.letters);
    assert_eq!(store.view().letters(Some(5), 9).unwrap(), new.letters[1..]);
    let _sealed = seal(&mut store);
    let totals = store.view().totals().unwrap();
    assert_eq!((totals.dropped.late, totals.dropped.letters), (3, 1));
    assert_eq!((totals.late_rows, totals.letter_rows), (2, 1));
    assert_eq!(store.view().letters(None, 9).unwrap(), new.letters[1..]);
}

#[test]
fn what_age_removes_is_counted_and_what_has_no_known_time_goes_with_the_next() {
    const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
    let mut store = store();
    // The clock was not set, then it was; a year passed.
    let arrivals = [5_000, 6_000, START_MS, START_MS + YEAR_MS, 7_000];
    for (seq, arrived_ms) in (0..).step_by(2).zip(arrivals) {
        let mut new = group(seq, vec![reading(seq, 1, START_MS, 1.0, Fate::Late)]);
        new.next_seq = seq + 2;
        new.arrived_ms = arrived_ms;
        new.letters = vec![Letter {
            seq: seq + 1,
            arrived_ms,
            topic: "t".into(),
            reason: "r".into(),
            payload: Vec::new(),
        }];
        commit(&mut store, &new);
    }
    let left = |store: &mut Store, before_ms| {
        let sealed = store.seal(Seal {
            forget_before_ms: Some(before_ms),
            ..bare_seal()
        });
        let _sealed = sealed.unwrap();
        let totals = store.view().totals().unwrap();
        let dropped = (totals.dropped.late, totals.dropped.letters);
        (dropped, (totals.late_rows, totals.letter_rows))
    };
    assert_eq!(left(&mut store, START_MS), ((0, 0), (5, 5)));
    assert_eq!(left(&mut store, START_MS + 1), ((3, 3), (2, 2)));
    assert_eq!(left(&mut store, START_MS + YEAR_MS), ((3, 3), (2, 2)));
    let long_after = START_MS + 2 * YEAR_MS;
    assert_eq!(left(&mut store, long_after), ((4, 4), (1, 1)));
}

#[test]
fn a_group_that_does_not_follow_is_refused_and_the_store_goes_on() {
    let mut store = store();
    let at_3 = group(3, vec![reading(3, 1, START_MS, 1.0, Fate::Accepted)]);
    let error = store.commit(&at_3, &[]).unwrap_err();
    assert!(matches!(
        error,
        StoreError::OutOfOrder {
            first: 3,
            next: 4,
            expected: 0
        }
    ));
    commit(
        &mut store,
        &group(0, vec![reading(0, 1, START_MS, 1.0, Fate::Accepted)]),
    );
    assert_eq!(store.tail().readings, 1);
}

#[test]
fn what_only_the_broker_keeps_is_no_entry_of_the_log() {
    let mut store = store();
    let retain = BrokerWrite::RetainSet {
        topic: "t".into(),
        message: vec![1],
    };
    let proof = store.commit(&group(0, Vec::new()), &[retain]).unwrap();
    assert_eq!((proof.bytes(), store.tail().groups), (0, 0));
    assert_eq!(
        store.view().retained().unwrap(),
        [("t".to_owned(), vec![1])]
    );
}

#[test]
fn after_a_failed_write_the_store_writes_no_more_but_reads() {
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let one = group(0, vec![reading(0, 1, START_MS, 1.0, Fate::Accepted)]);
    commit(&mut store, &one);
    disk.break_with(io::ErrorKind::StorageFull);
    let two = group(1, vec![reading(1, 1, START_MS + 1, 2.0, Fate::Accepted)]);
    let error = store.commit(&two, &[]).unwrap_err();
    assert!(error.is_disk_full(), "{error:?}");
    assert!(matches!(
        store.commit(&two, &[]),
        Err(StoreError::MustReopen)
    ));
    assert!(matches!(
        store.seal(bare_seal()),
        Err(StoreError::MustReopen)
    ));
    assert_eq!(held(&store), [(0, 1.0)]);
    assert_eq!(day_of(S, at(START_MS)), Day::from_number(DAY_1));
}

/// The readers' promise while the writer goes on: nothing that was committed is ever missing.
#[test]
fn readers_never_see_a_gap_while_the_writer_commits_and_seals() {
    let mut store = store();
    let view = store.view();
    let day = Day::from_number(DAY_1);
    let announced = std::sync::atomic::AtomicU32::new(0);
    let announced = &announced;
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for n in 1..=150_u32 {
                let seq = u64::from(n - 1);
                let reading = reading(seq, 1, START_MS + i64::from(n), 1.0, Fate::Accepted);
                commit(&mut store, &group(seq, vec![reading]));
                let row = (S, day, sensor_day(1.0, n, 0));
                let days = vec![row.clone()];
                store.announce(Changed {
                    days,
                    ..Changed::default()
                });
                announced.store(n, std::sync::atomic::Ordering::SeqCst);
                if n % 3 == 0 {
                    let days = vec![row];
                    let _sealed = store
                        .seal(Seal {
                            days,
                            ..bare_seal()
                        })
                        .unwrap();
                }
            }
            store
        });
        while !writer.is_finished() {
            let least = announced.load(std::sync::atomic::Ordering::SeqCst);
            let days = view.days(S, None, None).unwrap();
            if let Some((_, row)) = days.first() {
                assert!(row.row.count >= least, "{} < {least}", row.row.count);
            } else {
                assert_eq!(least, 0);
            }
            let least = announced.load(std::sync::atomic::Ordering::SeqCst) as usize;
            let readings = view.readings(S, None, None, None, usize::MAX).unwrap();
            assert!(readings.len() >= least);
            assert!(readings.iter().map(|r| r.seq).eq(0..readings.len() as u64));
        }
        // Its drop closes it, after the last look.
        drop(writer.join().unwrap());
    });
}
