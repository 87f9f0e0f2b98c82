//! Alerts in the store: written with the readings that caused them, within their caps.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_world;

use gateway::store::{AlertWrite, BrokerWrite, JOURNAL_AGE_MS, JOURNAL_MOST, Store};
use redb::{Builder, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use store_world::{Disk, START_MS, group, kept, notice, options};

fn write(store: &mut Store, writes: impl IntoIterator<Item = AlertWrite>) {
    let writes: Vec<BrokerWrite> = writes.into_iter().map(BrokerWrite::Alert).collect();
    let _proof = store.commit(&group(0, Vec::new()), &writes).unwrap();
}

#[test]
fn an_alert_is_there_whole_after_a_commit_without_a_reading() {
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let kept = kept("W\u{f6}tot/1", 1);
    let line = notice(1, &kept);
    let wait = AlertWrite::Wait {
        channel: "ntfy".into(),
        seq: 1,
        at_ms: START_MS,
    };
    write(
        &mut store,
        [
            AlertWrite::Set(Box::new(kept.clone())),
            AlertWrite::Notice(Box::new(line.clone())),
            wait,
        ],
    );
    drop(store);
    let mut store = Store::open_backend(disk, &options()).unwrap();
    let view = store.view();
    let id = &kept.alert.claim.id;
    assert_eq!(view.alert(id).unwrap().as_ref(), Some(&kept));
    assert_eq!(view.alerts().unwrap().len(), 1);
    assert_eq!(view.outbox("ntfy", 9).unwrap(), [line]);
    assert_eq!(view.outbox("email", 9).unwrap(), []);
    assert_eq!(view.next_notice().unwrap(), 2);
    let done = AlertWrite::Done {
        channel: "ntfy".into(),
        seq: 1,
    };
    write(&mut store, [done, AlertWrite::Drop(id.clone())]);
    assert_eq!(view.outbox("ntfy", 9).unwrap(), []);
    assert_eq!(view.alerts().unwrap(), []);
    assert_eq!(view.journal(0, 9).unwrap().len(), 1, "it was said");
}

#[test]
fn the_journal_lets_go_of_its_oldest_lines_by_count_and_by_age_and_never_of_its_newest() {
    let mut store = Store::open_backend(Disk::default(), &options()).unwrap();
    let kept = kept("Wtot", 1);
    let line = |seq| AlertWrite::Notice(Box::new(notice(seq, &kept)));
    write(&mut store, (1..=JOURNAL_MOST + 5).map(line));
    let view = store.view();
    let journal = view.journal(0, usize::MAX).unwrap();
    assert_eq!(journal.len() as u64, JOURNAL_MOST);
    assert_eq!(journal[0].seq, 6);
    let mut late = notice(JOURNAL_MOST + 6, &kept);
    late.at_ms = START_MS + JOURNAL_AGE_MS + 1;
    write(&mut store, [AlertWrite::Notice(Box::new(late))]);
    let journal = view.journal(0, usize::MAX).unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!(view.next_notice().unwrap(), JOURNAL_MOST + 7);
}

#[test]
fn a_store_made_before_there_were_alerts_has_none_and_takes_them() {
    let disk = Disk::default();
    drop(Store::open_backend(disk.clone(), &options()).unwrap());
    let database = Builder::new().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    for name in ["alerts", "journal", "outbox"] {
        let tables: Vec<_> = txn.list_tables().unwrap().collect();
        let table = tables.into_iter().find(|table| table.name() == name);
        assert!(txn.delete_table(table.unwrap()).unwrap());
    }
    txn.commit().unwrap();
    drop(database);
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    let view = store.view();
    assert_eq!(view.alerts().unwrap(), []);
    assert_eq!(view.next_notice().unwrap(), 1);
    assert!(view.waiting_notices().unwrap().is_empty());
    write(&mut store, [AlertWrite::Set(Box::new(kept("Wtot", 1)))]);
    assert_eq!(view.alerts().unwrap().len(), 1);
}

#[test]
fn a_damaged_alert_is_named() {
    const ALERTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("alerts");
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), &options()).unwrap();
    write(&mut store, [AlertWrite::Set(Box::new(kept("Wtot", 1)))]);
    drop(store);
    let database = Builder::new().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(ALERTS).unwrap();
        let mut value = table.get("persist-Wtot").unwrap().unwrap().value().to_vec();
        value[9] ^= 1;
        table.insert("persist-Wtot", value.as_slice()).unwrap();
    }
    txn.commit().unwrap();
    assert!(database.begin_read().is_ok());
    drop(database);
    let store = Store::open_backend(disk, &options()).unwrap();
    let error = store.view().alerts().unwrap_err().to_string();
    assert!(
        error.contains("persist-Wtot") && error.contains("alerts"),
        "{error}"
    );
}
