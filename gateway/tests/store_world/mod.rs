//! What the store's tests share: a disk that remembers every operation, and a script of commits
//! and seals with all that a store can hold.
#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "test code, of which each binary uses a part"
)]

use std::io;
use std::sync::{Arc, Mutex};

use engine::detect::HouseState;
use engine::{
    Aggregate, BalanceId, Day, DayRow, DiffKind, DiffRow, EventTime, RestRow, SensorDay, SensorId,
};
use gateway::alert::{Alert, AlertId, Claim, Kept, Notice, Severity, State, What};
use gateway::store::{
    AlertWrite, BrokerWrite, Checkpoint, Counters, Fate, Flag, Group, HousesSealed, KeptHouse,
    LateRow, Letter, Logged, Options, Seal, SensorState, Store, StoreError, StoredReading, Totals,
    UserRow, Waiting,
};
use redb::StorageBackend;

/// Chance from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    pub kind: io::ErrorKind,
    /// All that follow fail, too.
    pub lasting: bool,
}

/// A disk in memory that remembers what was done to it, and can fail.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    image: Vec<u8>,
    ops: Vec<Op>,
    /// What every operation but reading fails with.
    broken: Option<io::ErrorKind>,
    /// What one operation fails with: so many before it go well.
    fails: Option<(usize, Failing)>,
    read_bytes: u64,
}

impl Disk {
    pub fn holding(image: Vec<u8>) -> Self {
        let state = DiskState {
            image,
            ..DiskState::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn image(&self) -> Vec<u8> {
        self.0.lock().unwrap().image.clone()
    }

    pub fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().ops.clone()
    }

    pub fn op_count(&self) -> usize {
        self.0.lock().unwrap().ops.len()
    }

    /// Bytes read since the disk was made.
    pub fn read_bytes(&self) -> u64 {
        self.0.lock().unwrap().read_bytes
    }

    pub fn break_with(&self, kind: io::ErrorKind) {
        self.0.lock().unwrap().broken = Some(kind);
    }

    /// Operation `nth` from now on fails, reading not counted.
    pub fn fail_at(&self, nth: usize, failing: Failing) {
        self.0.lock().unwrap().fails = Some((nth, failing));
    }

    /// All is well again.
    pub fn heal(&self) {
        let mut state = self.0.lock().unwrap();
        state.broken = None;
        state.fails = None;
    }

    /// Whether the failure that was arranged for has happened.
    pub fn has_failed(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.broken.is_some() || state.fails.is_none()
    }

    pub fn forget_ops(&self) {
        self.0.lock().unwrap().ops.clear();
    }

    /// Bytes written, and syncs.
    pub fn written(&self) -> (u64, u64) {
        let state = self.0.lock().unwrap();
        state
            .ops
            .iter()
            .fold((0, 0), |(bytes, syncs), op| match op {
                Op::SetLen(_) => (bytes, syncs),
                Op::Write(_, data) => (bytes + data.len() as u64, syncs),
                Op::Sync => (bytes, syncs + 1),
            })
    }
}

pub fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Op::Write(offset, data) => write_at(image, *offset, data),
        Op::Sync => {}
    }
}

pub fn write_at(image: &mut [u8], offset: u64, data: &[u8]) {
    let offset = usize::try_from(offset).unwrap();
    // A write whose growth of the file was lost is cut off with it.
    let end = (offset + data.len()).min(image.len());
    if offset < end {
        image[offset..end].copy_from_slice(&data[..end - offset]);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.read_bytes += out.len() as u64;
        let offset = usize::try_from(offset).unwrap();
        let source = state.image.get(offset..offset + out.len());
        out.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(Op::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.record(Op::Write(offset, data.to_vec()))
    }
}

impl Disk {
    fn record(&self, op: Op) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Some(kind) = state.broken {
            return Err(kind.into());
        }
        if let Some((nth, failing)) = state.fails {
            if nth == 0 {
                // Half of a write arrives.
                if let Op::Write(offset, data) = &op {
                    write_at(&mut state.image, *offset, &data[..data.len() / 2]);
                }
                state.fails = None;
                state.broken = failing.lasting.then_some(failing.kind);
                return Err(failing.kind.into());
            }
            state.fails = Some((nth - 1, failing));
        }
        apply(&mut state.image, &op);
        state.ops.push(op);
        Ok(())
    }
}

/// 2020-01-01T00:00:00Z.
pub const START_MS: i64 = 1_577_836_800_000;
pub const HOUR_MS: i64 = 3_600_000;

pub fn at(ms: i64) -> EventTime {
    EventTime::from_ms(ms).unwrap()
}

/// Days of UTC.
pub fn day_of(_: SensorId, time: EventTime) -> Day {
    Day::from_number(i32::try_from(time.ms().div_euclid(24 * HOUR_MS)).unwrap())
}

pub fn reading(seq: u64, sensor: u32, ms: i64, value: f64, fate: Fate) -> Logged {
    Logged {
        seq,
        sensor: SensorId(sensor),
        time: at(ms),
        tie: 0,
        value,
        fate,
        flag: None,
    }
}

/// A group of `readings`, which follow each other from `first_seq`.
pub fn group(first_seq: u64, readings: Vec<Logged>) -> Group {
    let next_seq = first_seq + readings.len() as u64;
    Group {
        first_seq,
        next_seq,
        arrived_ms: START_MS,
        site_time_ms: Some(START_MS),
        counters: Counters {
            received: next_seq,
            accepted: next_seq,
            ..Counters::default()
        },
        readings,
        ..Group::default()
    }
}

pub fn sensor_day(value: f64, count: u32, revision: u32) -> SensorDay {
    SensorDay {
        row: DayRow {
            aggregate: Aggregate::Mean,
            value,
            count,
            expected: Some(96),
            min: value,
            max: value,
            first: value,
            last: value,
            closed: revision > 0,
            revision,
        },
        diff: (revision > 1).then_some(DiffRow {
            value,
            kind: DiffKind::Rollover,
            closed: true,
            revision,
        }),
        walk: (count > 1).then(|| vec![1, 2, 3]),
    }
}

pub fn rest(value: f64) -> RestRow {
    RestRow {
        value,
        meter: value + 1.0,
        parts: 1.0,
        coverage: vec![(SensorId(1), Some(0.5)), (SensorId(2), None)],
        closed: false,
        revision: 0,
    }
}

/// A seal that writes nothing beside the log.
pub fn seal(store: &mut Store) -> gateway::store::Sealed {
    store.seal(bare_seal()).unwrap()
}

pub fn bare_seal() -> Seal<'static> {
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

/// One step of a script.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a script of a test, mostly commits"
)]
pub enum Step {
    Commit(Group, Vec<BrokerWrite>),
    Seal { turn: i32, drop_before: Option<Day> },
}

impl Step {
    pub fn run(&self, store: &mut Store) -> Result<(), StoreError> {
        match self {
            Self::Commit(group, broker) => store.commit(group, broker).map(|_proof| ()),
            Self::Seal { turn, drop_before } => {
                let day = Day::from_number(18_262 + turn);
                let value = f64::from(*turn) / 10.0;
                let state = SensorState {
                    id: SensorId(1),
                    name: "TH1".into(),
                    newest: Some(at(START_MS + i64::from(*turn))),
                    sure: Some(at(START_MS + i64::from(*turn))),
                    first: Some(at(START_MS)),
                    last_value: Some(value),
                    fingerprint: u64::MAX,
                };
                let seal = Seal {
                    sensors: vec![state],
                    days: vec![(SensorId(1), day, sensor_day(value, 2, 3))],
                    rests: vec![(BalanceId(0), day, rest(value))],
                    day_of: &day_of,
                    drop_before: *drop_before,
                    forget_before_ms: drop_before.map(|_| START_MS + i64::from(*turn) - 3),
                    kept_from: &|_, day| day,
                };
                let houses = [house(*turn, store.next_seq())];
                let houses = HousesSealed {
                    kept: &houses,
                    gone: &[format!("house {}", (turn + 1).rem_euclid(2))],
                };
                store.seal_with(seal, houses).map(|_proof| ())
            }
        }
    }
}

/// One of two houses, which is different in each turn.
fn house(turn: i32, next_seq: u64) -> KeptHouse {
    KeptHouse {
        name: format!("home{}/water", turn % 2),
        next_seq,
        fingerprint: u64::MAX,
        answers: vec![(turn % 3 == 0, Vec::new())],
        state: HouseState {
            movements: (0..i64::from(turn)).map(|n| START_MS + n).collect(),
            ..HouseState::default()
        },
    }
}

/// `turns` times some commits and a seal, with everything that a store can hold.
pub fn script(seed: u64, turns: i32) -> Vec<Step> {
    let mut dice = Dice(seed);
    let mut steps = Vec::new();
    let (mut seq, mut counters) = (0, Counters::default());
    for turn in 0..turns {
        for _ in 0..=dice.roll(4) {
            let mut group = random_group(&mut dice, seq, turn, &mut counters);
            if seq == 0 {
                group.new_sensors = (0..4).map(|n| (SensorId(n), format!("S{n}"))).collect();
                group.new_balances = vec![(BalanceId(0), "water".into())];
            }
            seq = group.next_seq;
            let mut broker = random_writes(&mut dice);
            broker.extend(random_alerts(&mut dice, seq));
            steps.push(Step::Commit(group, broker));
        }
        let drop_before = (turn > 2).then(|| Day::from_number(18_262 + turn - 2));
        steps.push(Step::Seal { turn, drop_before });
    }
    steps
}

/// The same script by a clock that is not trusted: some readings wait, and some wait no longer; some
/// are withdrawn, and some have a flag.
#[allow(dead_code, reason = "each test binary uses a part of it")]
pub fn doubted(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        let Step::Commit(group, _) = step else {
            continue;
        };
        let doubt = &mut group.doubt;
        group.readings.retain_mut(|reading| {
            match reading.seq % 7 {
                0 => doubt.waiting.push(Waiting {
                    seq: reading.seq,
                    sensor: reading.sensor,
                    tie: reading.tie,
                    value: reading.value,
                    boot: u128::MAX - u128::from(reading.seq / 50),
                    uptime_ms: reading.seq,
                }),
                1 => reading.fate = Fate::Withdrawn,
                2 => reading.flag = Some(Flag::Shifted),
                _ => {}
            }
            reading.seq % 7 > 0
        });
        doubt.from = doubt.waiting.first().map(|waiting| waiting.seq);
        doubt.waits = doubt.waiting.len() as u64;
        let old = group.first_seq.saturating_sub(60);
        doubt.waited_to = group.first_seq.is_multiple_of(3).then_some(old);
    }
    steps
}

fn random_group(dice: &mut Dice, first_seq: u64, turn: i32, totals: &mut Counters) -> Group {
    let mut group = Group {
        first_seq,
        arrived_ms: START_MS + i64::from(turn),
        site_time_ms: (turn > 0).then_some(START_MS),
        ..Group::default()
    };
    let mut seq = first_seq;
    for _ in 0..=dice.roll(40) {
        totals.received += 1;
        let ms = START_MS + i64::from(turn) * 24 * HOUR_MS + dice.roll(24).cast_signed() * HOUR_MS;
        let sensor = u32::try_from(dice.roll(4)).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let value = dice.roll(3000) as f64 / 100.0;
        match dice.roll(20) {
            0 => {
                totals.dead_letter += 1;
                group.letters.push(Letter {
                    seq,
                    arrived_ms: group.arrived_ms,
                    topic: "sensors/x".into(),
                    reason: "it is no number".into(),
                    payload: b"{".to_vec(),
                });
            }
            1 => totals.duplicate += 1,
            2 => {
                totals.late += 1;
                group
                    .readings
                    .push(reading(seq, sensor, ms, value, Fate::Late));
            }
            3 => {
                totals.corrected += 1;
                group
                    .readings
                    .push(reading(seq, sensor, ms, value, Fate::Corrected));
            }
            4 => {
                totals.accepted += 1;
                group
                    .readings
                    .push(reading(seq, sensor, ms, value, Fate::AcceptedLate));
            }
            _ => {
                totals.accepted += 1;
                group
                    .readings
                    .push(reading(seq, sensor, ms, value, Fate::Accepted));
            }
        }
        seq += 1;
    }
    group.next_seq = seq;
    group.counters = *totals;
    group
}

fn random_writes(dice: &mut Dice) -> Vec<BrokerWrite> {
    let (client, topic) = (format!("c{}", dice.roll(2)), format!("t{}", dice.roll(3)));
    let ordinal = dice.roll(4);
    let message = vec![7; usize::try_from(dice.roll(50)).unwrap()];
    match dice.roll(10) {
        0 => vec![BrokerWrite::RetainClear { topic }],
        1 => vec![BrokerWrite::SessionDrop { client }],
        2 => vec![BrokerWrite::QueuePop { client, ordinal }],
        3 => vec![
            BrokerWrite::SessionSet {
                client: client.clone(),
                state: message.clone(),
            },
            BrokerWrite::QueuePush {
                client,
                ordinal,
                message,
            },
        ],
        4 => vec![BrokerWrite::QueuePush {
            client,
            ordinal,
            message,
        }],
        5 => vec![BrokerWrite::RetainSet { topic, message }],
        6 => vec![BrokerWrite::QueueRelease { client, ordinal }],
        7 => vec![BrokerWrite::UserSet {
            name: client,
            user: UserRow {
                password_hash: topic,
                doors: 1,
                publish: None,
                subscribe: Some(vec!["a/#".to_owned()]),
            },
        }],
        8 => vec![BrokerWrite::UserDrop { name: client }],
        _ => Vec::new(),
    }
}

pub fn kept(subject: &str, notices: u32) -> Kept {
    let claim = Claim {
        id: AlertId::new("persist", subject),
        kind: "persist".into(),
        rule: String::new(),
        subject: subject.into(),
        severity: Severity::Warning,
        location: None,
        raised_ms: START_MS,
        flow: None,
        start: None,
        amount: Some(12.5),
        unit: Some("L".into()),
        cost: None,
        text: "it never rested".into(),
        advice: "look".into(),
    };
    let alert = Alert {
        claim,
        state: State::Firing,
        episode: 1,
        notices,
        since_ms: START_MS,
        fired_ms: Some(START_MS),
        ended_ms: None,
        by: None,
        acted_ms: None,
        snoozed_until_ms: None,
        repeats: 0,
        normal: false,
    };
    Kept {
        alert,
        part: None,
        repeat_from_ms: Some(START_MS),
        told: vec!["ntfy".into()],
        before: None,
    }
}

pub fn notice(seq: u64, kept: &Kept) -> Notice {
    Notice {
        seq,
        what: What::Fired,
        at_ms: START_MS,
        by: None,
        alert: kept.alert.clone(),
    }
}

fn random_alerts(dice: &mut Dice, seq: u64) -> Vec<BrokerWrite> {
    let kept = kept(&format!("S{}", dice.roll(3)), u32::try_from(seq).unwrap());
    let channel = format!("c{}", dice.roll(2));
    let writes = match dice.roll(4) {
        0 => vec![
            AlertWrite::Notice(Box::new(notice(seq + 1, &kept))),
            AlertWrite::Set(Box::new(kept)),
            AlertWrite::Wait {
                channel,
                seq: seq + 1,
                at_ms: START_MS,
            },
        ],
        1 => vec![
            AlertWrite::Mean {
                channel: channel.clone(),
                seqs: vec![seq, seq + 1],
            },
            AlertWrite::Done {
                channel,
                seq: dice.roll(seq + 1),
            },
        ],
        2 => vec![
            AlertWrite::House(Box::new(house(3, seq))),
            AlertWrite::Drop(kept.alert.claim.id),
        ],
        _ => Vec::new(),
    };
    writes.into_iter().map(BrokerWrite::Alert).collect()
}

type Texts = Vec<(String, Vec<u8>)>;

/// Everything that can be read from a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    checkpoint: Checkpoint,
    totals: Totals,
    replayed: Vec<Group>,
    waiting: Vec<Waiting>,
    sensors: Vec<SensorState>,
    balances: Vec<(BalanceId, String)>,
    readings: Vec<Vec<StoredReading>>,
    history: Vec<Vec<Logged>>,
    days: Vec<Vec<(Day, SensorDay)>>,
    rests: Vec<(Day, RestRow)>,
    late: Vec<LateRow>,
    letters: Vec<Letter>,
    retained: Texts,
    sessions: Texts,
    users: Vec<(String, UserRow)>,
    queues: Vec<Vec<(u64, Vec<u8>)>>,
    alerts: Vec<Kept>,
    journal: Vec<Notice>,
    outbox: std::collections::BTreeMap<String, Vec<u64>>,
    meant: Vec<Vec<u64>>,
    houses: Vec<KeptHouse>,
}

impl Snapshot {
    pub fn of(store: &Store) -> Self {
        let view = store.view();
        let sensors = || (0..4).map(SensorId);
        let mut replayed = Vec::new();
        store
            .replay(|group| {
                replayed.push(group);
                Ok::<(), StoreError>(())
            })
            .unwrap();
        Self {
            checkpoint: store.checkpoint().unwrap(),
            totals: Totals {
                file_bytes: 0,
                ..view.totals().unwrap()
            },
            replayed,
            waiting: store.waiting().unwrap(),
            sensors: view.sensors().unwrap(),
            balances: view.balances().unwrap(),
            readings: sensors()
                .map(|s| view.readings(s, None, None, None, usize::MAX).unwrap())
                .collect(),
            history: sensors()
                .map(|s| view.history(s, i64::MIN, i64::MAX).unwrap())
                .collect(),
            days: sensors()
                .map(|s| view.days(s, None, None).unwrap())
                .collect(),
            rests: view.rests(BalanceId(0), None, None).unwrap(),
            late: view.late(None, None, None, usize::MAX).unwrap(),
            letters: view.letters(None, usize::MAX).unwrap(),
            retained: view.retained().unwrap(),
            sessions: view.sessions().unwrap(),
            users: view.users().unwrap(),
            queues: ["c0", "c1"]
                .iter()
                .map(|c| view.queue(c).unwrap())
                .collect(),
            alerts: view.alerts().unwrap(),
            journal: view.journal(0, usize::MAX).unwrap(),
            outbox: view.waiting_notices().unwrap(),
            meant: ["c0", "c1"]
                .iter()
                .map(|c| view.meant(c).unwrap())
                .collect(),
            houses: store
                .houses()
                .unwrap()
                .into_keys()
                .map(|name| store.house(&name).unwrap().unwrap())
                .collect(),
        }
    }
}

/// Options for small files: nothing that only large ones need.
pub fn options() -> Options {
    Options {
        cache_bytes: 1 << 20,
        generation: 42,
        ballast_bytes: 0,
        ..Options::default()
    }
}
