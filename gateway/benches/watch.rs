//! What detectors cost where readings are committed: the same readings of a fleet into the same site, with every
//! detector switched off and on. CPU of this process, memory, what a seal writes, how long a start takes.
//!
//! `SLUICE_HOMES` and `SLUICE_DAYS` set the load (100 homes, 10 days); 1000 homes take minutes.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway::clock::Clock;
use gateway::config::Config;
use gateway::ingest::Site;
use gateway::store::{FILE, Options, Store};
use gateway::watch::Kind;
use rustix::time::{ClockId, clock_gettime};
use simulator::{Late, Profile, Scenario};

const HOME: &str = include_str!("../../config/home.toml");
/// Sensors of a home.
const SENSORS: u64 = 9;
/// Readings of a commit: a fleet's busy second.
const GROUP: usize = 1000;
/// Readings between two seals, about as many as the writer lets come together.
const SEALED_AFTER: u64 = 100_000;

#[derive(Clone, Copy, PartialEq)]
enum Detectors {
    Off,
    On,
}

/// What a run cost.
struct Cost {
    readings: u64,
    ingest_s: f64,
    seal_s: Vec<f64>,
    start_s: f64,
    start_wall_s: f64,
    resident_bytes: u64,
    file_bytes: u64,
    kept_bytes: Vec<usize>,
}

fn seconds(of: ClockId) -> f64 {
    let time = clock_gettime(of);
    #[expect(clippy::cast_precision_loss, reason = "it is only shown")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn config(detectors: Detectors) -> Arc<Config> {
    let mut text = HOME
        .replacen("clock = \"wall\"", "clock = \"event\"", 1)
        .replace("interval = \"1d\"", "interval = \"15m\"");
    if detectors == Detectors::Off {
        for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Flag) {
            let kind = kind.word();
            write!(text, "\n[[detector]]\nkind = \"{kind}\"\nenabled = false\n")
                .expect("a String takes all");
        }
    }
    Arc::new(Config::parse(&text, "home.toml").expect("a valid configuration"))
}

fn options() -> Options {
    Options {
        ballast_bytes: 0,
        ..Options::default()
    }
}

fn run(scenario: &Scenario, detectors: Detectors) -> Cost {
    let (clock, _hand) = Clock::manual(1_767_225_600_000);
    let config = config(detectors);
    let parent = env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| env::temp_dir().into());
    let dir = tempfile::tempdir_in(Path::new(&parent)).expect("a directory");
    let mut store = Store::open(dir.path(), &options()).expect("a new store");
    let mut site = Site::open(&mut store, Arc::clone(&config), &clock).expect("a new site");
    let before_bytes = resident_bytes();
    let (mut ingest_s, mut seal_s) = (0.0, Vec::new());
    let (mut readings, mut unsealed) = (0, 0);
    let mut messages = scenario.messages();
    loop {
        // What the simulator costs is nobody's.
        let group: Vec<_> = messages.by_ref().take(GROUP).collect();
        if group.is_empty() {
            break;
        }
        let began = cpu();
        site.begin(&clock);
        site.reckon(&mut store).expect("reckoned");
        for message in &group {
            let (topic, payload) = (&*message.topic, message.payload.as_bytes());
            let verdict = config.sources.decode(topic, payload);
            site.take(topic, payload, &verdict, &mut store)
                .expect("taken");
        }
        site.settle(&mut store).expect("settled");
        site.commit(&mut store, &[]).expect("committed");
        ingest_s += cpu() - began;
        readings += group.len() as u64;
        unsealed += group.len() as u64;
        if unsealed >= SEALED_AFTER {
            unsealed = 0;
            let began = cpu();
            let _sealed = site.seal(&mut store).expect("sealed");
            seal_s.push(cpu() - began);
        }
    }
    let resident = resident_bytes().saturating_sub(before_bytes);
    let names = store.houses().expect("they are read");
    let kept = names.keys().filter_map(|name| store.house(name).ok()?);
    let kept_bytes = kept.map(|kept| Store::house_bytes(&kept)).collect();
    drop((site, store));
    let file = fs::metadata(dir.path().join(FILE)).expect("it is there");
    let (began, began_wall) = (cpu(), seconds(ClockId::Monotonic));
    let mut store = Store::open(dir.path(), &options()).expect("a sound store");
    let _site = Site::open(&mut store, config, &clock).expect("a site");
    Cost {
        readings,
        ingest_s,
        seal_s,
        start_s: cpu() - began,
        start_wall_s: seconds(ClockId::Monotonic) - began_wall,
        resident_bytes: resident,
        file_bytes: file.len(),
        kept_bytes,
    }
}

fn number(name: &str, otherwise: u32) -> u32 {
    let given = env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(otherwise)
}

#[expect(clippy::print_stdout, reason = "its figures are what it is for")]
#[expect(clippy::cast_precision_loss, reason = "they are only shown")]
fn main() {
    let scenario = Scenario {
        homes: number("SLUICE_HOMES", 100),
        days: number("SLUICE_DAYS", 10),
        profile: Profile::Household,
        late: Late::None,
        ..Scenario::default()
    };
    println!("{} homes, {} days", scenario.homes, scenario.days);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut costs = Vec::new();
    for (detectors, name) in [(Detectors::Off, "off"), (Detectors::On, "on")] {
        let mut cost = run(&scenario, detectors);
        cost.seal_s.sort_by(f64::total_cmp);
        let seals_s: f64 = cost.seal_s.iter().sum();
        let each = |seconds: f64| seconds * 1e6 / cost.readings as f64;
        println!(
            "detectors {name:3}: {:.2} µs CPU a reading and {:.2} µs of seals (median {:.0} ms, most {:.0} ms); \
             {:.1} MiB resident, file {:.1} MiB; start {:.2} s ({:.2} s CPU)",
            each(cost.ingest_s),
            each(seals_s),
            cost.seal_s
                .get(cost.seal_s.len() / 2)
                .copied()
                .unwrap_or(0.0)
                * 1e3,
            cost.seal_s.last().copied().unwrap_or(0.0) * 1e3,
            mib(cost.resident_bytes),
            mib(cost.file_bytes),
            cost.start_wall_s,
            cost.start_s,
        );
        costs.push(cost);
    }
    let [off, on] = &costs[..] else { return };
    let series = u64::from(scenario.homes) * SENSORS;
    let most = on.kept_bytes.iter().max().copied().unwrap_or(0);
    let all: usize = on.kept_bytes.iter().sum();
    println!(
        "detectors cost {:.2} times the ingest they watch, {:.1} KiB of memory a sensor; {} houses kept, {:.1} KiB \
         each, the largest {:.1} KiB",
        (on.ingest_s - off.ingest_s) / off.ingest_s,
        on.resident_bytes.saturating_sub(off.resident_bytes) as f64 / 1024.0 / series as f64,
        on.kept_bytes.len(),
        all as f64 / 1024.0 / on.kept_bytes.len().max(1) as f64,
        most as f64 / 1024.0,
    );
}
