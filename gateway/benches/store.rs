//! What the store costs: packing and committing groups, sealing, reading a range; and, before
//! the timings, the bytes that each reading costs the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::{Day, EventTime, SensorId};
use gateway::store::{Fate, Group, Logged, Options, Seal, Store};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

/// Sensors of a busy home.
const SENSORS: u32 = 20;
const START_MS: i64 = 1_577_836_800_000;
const DAY_MS: i64 = 86_400_000;

/// Counts what is written.
#[derive(Clone, Debug, Default)]
struct Counted {
    disk: Arc<InMemoryBackend>,
    bytes: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
}

impl Counted {
    fn take(&self) -> (u64, u64) {
        (
            self.bytes.swap(0, Ordering::Relaxed),
            self.syncs.swap(0, Ordering::Relaxed),
        )
    }
}

impl StorageBackend for Counted {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.disk.write(offset, data)
    }
}

/// Noise (splitmix64), below `sides`.
fn noise(n: u64, sides: u64) -> u64 {
    let z = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

/// `count` readings from `first_seq` on: each sensor every 4 s give or take some ms, at its own
/// moment, two decimals without a pattern.
fn group(first_seq: u64, count: u64) -> Group {
    let next_seq = first_seq + count;
    let readings = (first_seq..next_seq).map(|seq| {
        let (tick, n) = (seq / u64::from(SENSORS), seq % u64::from(SENSORS));
        let ms = START_MS + i64::try_from(tick * 4_000 + n * 137 + noise(seq, 60)).expect("a time");
        let hundredths = u32::try_from(noise(seq, 2_300)).expect("small");
        Logged {
            seq,
            sensor: SensorId(u32::try_from(n).expect("few")),
            time: EventTime::from_ms(ms).expect("of our time"),
            tie: 0,
            value: f64::from(1_200 + hundredths) / 100.0,
            fate: Fate::Accepted,
            flag: None,
        }
    });
    let readings: Vec<Logged> = readings.collect();
    let mut group = Group {
        first_seq,
        next_seq,
        arrived_ms: START_MS,
        site_time_ms: Some(START_MS),
        readings,
        ..Group::default()
    };
    group.counters.received = next_seq;
    group.counters.accepted = next_seq;
    group
}

fn day_of(_: SensorId, time: EventTime) -> Day {
    Day::from_number(i32::try_from(time.ms().div_euclid(DAY_MS)).expect("a day"))
}

fn seal() -> Seal<'static> {
    Seal {
        sensors: Vec::new(),
        days: Vec::new(),
        rests: Vec::new(),
        day_of: &day_of,
        drop_before: None,
        forget_before_ms: None,
        kept_from: &|_, day| day,
    }
}

fn filled(disk: Counted, readings: u64, a_group: u64) -> Store {
    let mut store = Store::open_backend(disk, &Options::default()).expect("an empty disk");
    while store.next_seq() < readings {
        let group = group(store.next_seq(), a_group);
        let _proof = store.commit(&group, &[]).expect("memory does not fail");
    }
    store
}

#[expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a report of figures"
)]
fn bytes_a_reading(_: &mut Criterion) {
    for a_group in [1, 10, 100, 1_000] {
        let disk = Counted::default();
        let mut store = filled(disk.clone(), 0, a_group);
        disk.take();
        let commits = (20_000 / a_group).min(2_000);
        for _ in 0..commits {
            let group = group(store.next_seq(), a_group);
            let _proof = store.commit(&group, &[]).expect("memory does not fail");
        }
        let (written, syncs) = disk.take();
        let readings = (commits * a_group) as f64;
        let tail = store.tail();
        let sealed = store.seal(seal()).expect("memory does not fail");
        let (seal_written, _) = disk.take();
        // What a day of a sensor that keeps to its interval takes is a test of the block's own.
        println!(
            "groups of {a_group:>4}: written {:>8.1} B a reading, {:>6.0} a commit, {:.1} syncs; \
             log {:>5.1} B a reading; sealed {:.2} B a reading, the seal wrote {:.1}",
            written as f64 / readings,
            written as f64 / commits as f64,
            syncs as f64 / commits as f64,
            tail.bytes as f64 / readings,
            sealed.block_bytes as f64 / readings,
            seal_written as f64 / readings,
        );
    }
}

fn commits(c: &mut Criterion) {
    let mut bench = c.benchmark_group("commit");
    for a_group in [1_u64, 10, 100, 1_000] {
        bench.throughput(Throughput::Elements(a_group));
        bench.bench_function(format!("{a_group}"), |b| {
            let mut store = filled(Counted::default(), 0, a_group);
            b.iter_batched(
                || group(0, a_group),
                |mut group| {
                    let by = store.next_seq();
                    group.first_seq += by;
                    group.next_seq += by;
                    for reading in &mut group.readings {
                        reading.seq += by;
                    }
                    let _proof = store.commit(&group, &[]).expect("memory does not fail");
                    if store.tail().readings > 200_000 {
                        let _sealed = store.seal(seal()).expect("memory does not fail");
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    bench.finish();
}

fn seals(c: &mut Criterion) {
    let mut bench = c.benchmark_group("seal");
    bench
        .sample_size(10)
        .throughput(Throughput::Elements(100_000));
    bench.bench_function("100000 readings", |b| {
        b.iter_batched(
            || filled(Counted::default(), 100_000, 100),
            |mut store| store.seal(seal()).expect("memory does not fail"),
            BatchSize::PerIteration,
        );
    });
    bench.finish();
}

fn reads(c: &mut Criterion) {
    let mut store = filled(Counted::default(), 400_000, 1_000);
    let sealed = store.seal(seal()).expect("memory does not fail");
    assert_eq!(sealed.readings, 400_000);
    let view = store.view();
    let mut bench = c.benchmark_group("readings");
    bench.bench_function("1000 of a day of 20000", |b| {
        b.iter(|| view.readings(SensorId(3), Some(START_MS + DAY_MS / 2), None, None, 1_000));
    });
    for _ in 0..100 {
        let group = group(store.next_seq(), 1_000);
        let _proof = store.commit(&group, &[]).expect("memory does not fail");
    }
    bench.bench_function("the same with a tail of 100000", |b| {
        b.iter(|| view.readings(SensorId(3), Some(START_MS + DAY_MS / 2), None, None, 1_000));
    });
    bench.finish();
}

criterion_group!(benches, bytes_a_reading, commits, seals, reads);
criterion_main!(benches);
