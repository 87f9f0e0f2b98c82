//! Opening a large file after a crash does not read it whole. `SLUICE_LONG=1` makes it 1 GB.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one reports figures"
)]

mod store_world;

use gateway::store::{BrokerWrite, Fate, Options, Store};
use store_world::{Disk, START_MS, group, options, reading, seal};

const MIB: u64 = 1 << 20;

/// A file of `mib` MiB of live data, as a crash leaves it after a commit or after a seal; the
/// bytes that the last commit wrote, and its syncs.
fn crashed(mib: u64, after_seal: bool, options: &Options) -> (Vec<u8>, (u64, u64)) {
    let disk = Disk::default();
    let mut store = Store::open_backend(disk.clone(), options).unwrap();
    for n in 0..mib {
        let topic = format!("big/{n}");
        let message = vec![n.to_le_bytes()[0]; usize::try_from(MIB).unwrap() - 1000];
        let write = BrokerWrite::RetainSet { topic, message };
        let _proof = store.commit(&group(0, Vec::new()), &[write]).unwrap();
        disk.forget_ops();
    }
    let mut written = (0, 0);
    for seq in 0..20 {
        disk.forget_ops();
        let readings = vec![reading(seq, 1, START_MS, 1.0, Fate::Accepted)];
        let _proof = store.commit(&group(seq, readings), &[]).unwrap();
        written = disk.written();
    }
    if after_seal {
        let _sealed = seal(&mut store);
    }
    (disk.image(), written)
}

/// The share of `image` that opening it reads, in percent.
fn read_to_open(image: Vec<u8>, options: &Options, what: &str) -> u64 {
    let disk = Disk::holding(image);
    let file = disk.image().len() as u64;
    let begun = tokio::time::Instant::now();
    let store = Store::open_backend(disk.clone(), options).unwrap();
    let took = begun.elapsed();
    println!(
        "{what}: {} MiB, read {} KiB in {took:?}",
        file / MIB,
        disk.read_bytes() / 1024
    );
    assert_eq!(store.next_seq(), 20);
    disk.read_bytes() * 100 / file
}

/// redb's debug build reads everything once whatever the file says; only its release build tells.
fn check(share: u64, expected: impl FnOnce(u64) -> bool) {
    assert!(
        cfg!(debug_assertions) || expected(share),
        "{share} % was read"
    );
}

#[test]
fn a_large_file_opens_without_being_read_after_a_crash() {
    let mib = if std::env::var_os("SLUICE_LONG").is_some() {
        1024
    } else {
        48
    };
    let large = Options {
        verify_below_bytes: 0,
        quick_repair_above_bytes: 8 * MIB,
        ..options()
    };
    let (image, written) = crashed(mib, false, &large);
    println!("a commit wrote {} bytes in {} syncs", written.0, written.1);
    check(read_to_open(image, &large, "after a commit"), |share| {
        share < 10
    });
    let (image, _) = crashed(mib, true, &large);
    check(read_to_open(image, &large, "after a seal"), |share| {
        share < 10
    });

    // What it costs where it is not done: less to write, all to read.
    let small = Options {
        quick_repair_above_bytes: u64::MAX,
        ..large
    };
    let (image, written) = crashed(mib, false, &small);
    println!(
        "without: a commit wrote {} bytes in {} syncs",
        written.0, written.1
    );
    check(
        read_to_open(image, &small, "without, after a commit"),
        |share| share > 50,
    );
    let (image, _) = crashed(mib, true, &small);
    check(
        read_to_open(image, &small, "without, after a seal"),
        |share| share < 10,
    );
}
