//! What the engine costs: readings in order, out of order and corrected; whether a day with a
//! reading a second costs more per reading than one with a reading every quarter of an hour; and
//! exact sums beside a peer and beside plain addition. And what the detectors add: a lone register, and a
//! meter with a part and what remains, in order and with one reading in twenty two days late.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::detect::{
    Counts, House, HouseSpec, Known, MemberSpec, Parameters, Resource, Rests, Taken,
};
use engine::sum::ExactSum;
use engine::{
    Admission, Calendar, Engine, EventTime, Kind, NoPast, Reading, Rules, SensorId, SensorMemory,
    SensorSpec, SiteClock,
};
use xsum::{Xsum, XsumSmall};

const SENSOR: SensorId = SensorId(0);
/// 2020-01-01T00:00:00Z.
const START_MS: i64 = 1_577_836_800_000;
const DAY_MS: i64 = 86_400_000;
/// Readings a day: one every quarter of an hour, one every second.
const DAYS_OF: [i64; 2] = [96, 86_400];
/// Readings of one commit where the number is not what is measured.
const GROUP: usize = 16;
/// Values in the sums that are compared.
const SUMMED: usize = 10_000;

/// A site with one sensor of this kind.
fn site(kind: Kind) -> Engine {
    let rules = Rules {
        calendar: Calendar::new(chrono_tz::Europe::Athens),
        allowed_lateness_ms: 7 * DAY_MS,
        grace_ms: 900_000,
        clock: SiteClock::Event,
    };
    let mut engine = Engine::new(rules, None);
    let spec = SensorSpec::of_kind(kind);
    engine.register(SENSOR, spec, SensorMemory::default());
    engine
}

/// Noise (splitmix64), below `sides`.
fn noise(n: u64, sides: u64) -> u64 {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

/// A value of two decimals: a gauge's anything, a meter's a little above the one before it.
fn value(kind: Kind, n: u64) -> f64 {
    let hundredths = match kind {
        Kind::Gauge | Kind::Delta | Kind::Event => 1_200 + noise(n, 2_300),
        Kind::Meter => n * 100 + noise(n, 100),
    };
    f64::from(u32::try_from(hundredths).expect("below 2^32")) / 100.0
}

/// Some part of a unit.
fn part(n: u64) -> f64 {
    f64::from(u32::try_from(noise(n, 1000)).expect("below 1000")) / 1000.0
}

/// `days` days with `a_day` readings each, in order.
fn readings(kind: Kind, a_day: i64, days: i64) -> Vec<Reading> {
    let step_ms = DAY_MS / a_day;
    let reading = |n: i64| Reading {
        sensor: SENSOR,
        time: EventTime::from_ms(START_MS + n * step_ms).expect("of our time"),
        tie: 0,
        value: value(kind, n.unsigned_abs()),
        exempt: false,
    };
    (1..=a_day * days).map(reading).collect()
}

/// The same in no order at all.
fn shuffled(mut readings: Vec<Reading>) -> Vec<Reading> {
    for i in (1..readings.len()).rev() {
        let other = noise(i as u64, i as u64 + 1);
        readings.swap(i, usize::try_from(other).expect("an index"));
    }
    readings
}

fn admit(engine: &mut Engine, reading: Reading) -> Admission {
    let Ok(admission) = engine.admit(reading, &mut NoPast);
    admission
}

/// Admits all of them, a commit every `group`.
fn take(engine: &mut Engine, readings: &[Reading], group: usize) {
    for commit in readings.chunks(group) {
        for reading in commit {
            assert_ne!(admit(engine, *reading), Admission::Duplicate);
        }
        let Ok(changes) = engine.settle(&mut NoPast);
        drop(black_box(changes));
    }
}

fn count(readings: &[Reading]) -> Throughput {
    Throughput::Elements(readings.len() as u64)
}

/// A fortnight as sensors send it: in order, a few in each commit.
fn in_order(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in_order");
    for (name, kind) in [("gauge", Kind::Gauge), ("meter", Kind::Meter)] {
        let fortnight = readings(kind, 96, 14);
        group.throughput(count(&fortnight));
        group.bench_function(BenchmarkId::new(name, "15min"), |bench| {
            bench.iter_batched_ref(
                || site(kind),
                |engine| take(engine, &fortnight, GROUP),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// A day whose readings come in no order, a few in each commit.
fn out_of_order(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("out_of_order");
    group.sample_size(10);
    for (name, kind) in [("gauge", Kind::Gauge), ("meter", Kind::Meter)] {
        for a_day in DAYS_OF {
            let day = shuffled(readings(kind, a_day, 1));
            group.throughput(count(&day));
            group.bench_function(BenchmarkId::new(name, a_day), |bench| {
                bench.iter_batched_ref(
                    || site(kind),
                    |engine| take(engine, &day, GROUP),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// Each reading its own commit: nothing may grow with the number of the day's readings.
fn one_commit_each(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one_commit_each");
    group.sample_size(10);
    for (name, kind) in [("gauge", Kind::Gauge), ("meter", Kind::Meter)] {
        for a_day in DAYS_OF {
            let day = readings(kind, a_day, 1);
            group.throughput(count(&day));
            group.bench_function(BenchmarkId::new(name, a_day), |bench| {
                bench.iter_batched_ref(
                    || site(kind),
                    |engine| take(engine, &day, 1),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// One correction somewhere in a full day, as a commit of its own.
fn correction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("correction");
    group.throughput(Throughput::Elements(1));
    for (name, kind) in [("gauge", Kind::Gauge), ("meter", Kind::Meter)] {
        for a_day in DAYS_OF {
            let day = readings(kind, a_day, 1);
            let mut engine = site(kind);
            take(&mut engine, &day, GROUP);
            let mut n = 0_u64;
            group.bench_function(BenchmarkId::new(name, a_day), |bench| {
                bench.iter(|| {
                    n += 1;
                    let at = noise(n, day.len() as u64);
                    let mut reading = day[usize::try_from(at).expect("an index")];
                    // Below a unit, and another one each time: a meter goes on rising.
                    reading.value = reading.value.floor() + part(n);
                    let admission = admit(&mut engine, reading);
                    assert!(!matches!(admission, Admission::SetAside { .. }));
                    let Ok(changes) = engine.settle(&mut NoPast);
                    changes
                });
            });
        }
    }
    group.finish();
}

/// Ours, a peer with another kind of superaccumulator, and addition that rounds each time.
fn sums(criterion: &mut Criterion) {
    let values: Vec<f64> = (0..SUMMED as u64).map(|n| value(Kind::Gauge, n)).collect();
    let mut group = criterion.benchmark_group("sum");
    group.throughput(Throughput::Elements(SUMMED as u64));
    group.bench_function("exact", |bench| {
        bench.iter(|| {
            let mut sum = ExactSum::default();
            for value in black_box(&values) {
                sum.add(*value);
            }
            sum.value()
        });
    });
    group.bench_function("xsum", |bench| {
        bench.iter(|| {
            let mut sum = XsumSmall::default();
            for value in black_box(&values) {
                sum.add(*value);
            }
            sum.sum()
        });
    });
    group.bench_function("rounding", |bench| {
        bench.iter(|| {
            black_box(&values)
                .iter()
                .fold(0.0, |sum, value| sum + value)
        });
    });
    group.finish();
}

/// Sixty quiet days of a house: a meter, and a part where there are two members.
fn house_days(members: usize) -> Vec<(usize, i64, i64)> {
    let mut level = 0;
    let mut readings = Vec::new();
    for slot in 1..=96 * 60_i64 {
        let by_day = slot % 96 > 24;
        let used = i64::try_from(noise(slot.unsigned_abs(), 12)).expect("below 12") * 1000;
        level += if by_day { used } else { 0 };
        for member in 0..members {
            let milli = if member == 0 { level } else { 0 };
            readings.push((member, START_MS + slot * DAY_MS / 96, milli));
        }
    }
    readings
}

fn house(members: usize) -> House {
    let known = |member| Known {
        counts: if member == 0 {
            Counts::Register {
                modulus_milli: None,
                max_rate_milli: None,
            }
        } else {
            Counts::Delta
        },
        interval_ms: None,
        resolution_milli: None,
    };
    let member = |member| MemberSpec {
        known: known(member),
        rests: Rests::Learned,
        normal: Vec::new(),
    };
    House::new(HouseSpec {
        calendar: Calendar::new(chrono_tz::Europe::Athens),
        resource: Resource::Water,
        members: (0..members).map(member).collect(),
        normal: Vec::new(),
        parameters: Parameters::default(),
    })
}

/// Puts all of them, each a commit of its own.
fn watch(house: &mut House, readings: &[(usize, i64, i64)]) {
    for (member, at_ms, milli) in readings {
        assert_ne!(house.put(*member, *at_ms, *milli), Taken::Beyond);
        drop(black_box(house.settle()));
    }
}

/// What the detectors cost a reading.
fn detectors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detect");
    group.sample_size(10);
    for (name, members) in [("register", 1), ("balance", 2)] {
        let days = house_days(members);
        group.throughput(Throughput::Elements(days.len() as u64));
        group.bench_function(BenchmarkId::new(name, "in_order"), |bench| {
            bench.iter_batched_ref(
                || house(members),
                |house| watch(house, &days),
                BatchSize::LargeInput,
            );
        });
        let mut late = days.clone();
        late.sort_by_key(|(_, at_ms, _)| {
            let slot = (at_ms - START_MS).unsigned_abs() / 900_000;
            let is_late = noise(slot, 20) == 0;
            at_ms + if is_late { 2 * DAY_MS } else { 0 }
        });
        group.bench_function(BenchmarkId::new(name, "late"), |bench| {
            bench.iter_batched_ref(
                || house(members),
                |house| watch(house, &late),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    in_order,
    out_of_order,
    one_commit_each,
    correction,
    sums,
    detectors
);
criterion_main!(benches);
