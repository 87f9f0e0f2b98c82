//! The law of the engine: rows are a function of the accepted readings.
//!
//! Readings of five kinds of sensors, contradicting and absurd ones among them, arrive in one
//! order in one commit, and in any other order, repeated, in any grouping, with memory handed over
//! in between: the rows must be bit-identical but for `closed` and `revision`.

use chrono_tz::Tz;
use engine::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The past as a test keeps it: everything that was settled and handed over.
#[derive(Default, Clone)]
struct Shelf {
    readings: BTreeMap<(SensorId, Day), BTreeMap<(EventTime, u64), f64>>,
    days: BTreeMap<(SensorId, Day), SensorDay>,
    rests: BTreeMap<(BalanceId, Day), RestRow>,
}

impl Past for Shelf {
    type Error = Infallible;

    fn readings(&mut self, sensor: SensorId, day: Day) -> Result<Vec<Held>, Infallible> {
        let held = self.readings.get(&(sensor, day)).into_iter().flatten();
        Ok(held
            .map(|((time, tie), value)| Held {
                time: *time,
                tie: *tie,
                value: *value,
            })
            .collect())
    }

    fn day(&mut self, sensor: SensorId, day: Day) -> Result<Option<SensorDay>, Infallible> {
        Ok(self.days.get(&(sensor, day)).cloned())
    }

    fn before(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Infallible> {
        let mut earlier = self
            .days
            .range((sensor, Day::from_number(i32::MIN))..(sensor, day));
        Ok(earlier
            .rfind(|(_, state)| !state.row.is_gone())
            .map(|((_, d), state)| (*d, state.clone())))
    }

    fn after(
        &mut self,
        sensor: SensorId,
        day: Day,
    ) -> Result<Option<(Day, SensorDay)>, Infallible> {
        let later = (sensor, day.succ())..=(sensor, Day::from_number(i32::MAX));
        let mut later = self.days.range(later);
        let later = later.find(|(_, state)| !state.row.is_gone());
        Ok(later.map(|((_, d), state)| (*d, state.clone())))
    }

    fn rest(&mut self, balance: BalanceId, day: Day) -> Result<Option<RestRow>, Infallible> {
        Ok(self.rests.get(&(balance, day)).cloned())
    }
}

fn specs() -> Vec<SensorSpec> {
    let meter = SensorSpec::of_kind(Kind::Meter);
    vec![
        SensorSpec {
            interval_ms: Some(3_600_000),
            ..SensorSpec::of_kind(Kind::Gauge)
        },
        SensorSpec {
            interval_ms: Some(3_600_000),
            ..SensorSpec::of_kind(Kind::Delta)
        },
        SensorSpec {
            on_conflict: OnConflict::Add,
            ..SensorSpec::of_kind(Kind::Event)
        },
        SensorSpec {
            modulus: Some(10_000.0),
            max_rate: Some(500.0),
            ..meter
        },
        SensorSpec {
            interval_ms: Some(86_400_000),
            ..meter
        },
    ]
}

fn site(zone: Tz, lateness_ms: i64, site_time_ms: Option<i64>) -> Engine {
    let rules = Rules {
        calendar: Calendar::new(zone),
        allowed_lateness_ms: lateness_ms,
        grace_ms: 900_000,
        clock: SiteClock::Event,
    };
    let mut engine = Engine::new(rules, site_time_ms);
    for (id, spec) in (0..).zip(specs()) {
        engine.register(SensorId(id), spec, SensorMemory::default());
    }
    let parts = vec![SensorId(1), SensorId(2), SensorId(4)];
    engine.register_balance(BalanceId(0), SensorId(3), parts, Vec::new());
    engine
}

/// A gateway in miniature: settles into what is published, hands over to the shelf.
struct Site {
    engine: Engine,
    shelf: Shelf,
    published: Shelf,
}

type Rows = (
    BTreeMap<(SensorId, Day), (DayRow, Option<(u64, DiffKind)>)>,
    BTreeMap<(BalanceId, Day), RestRow>,
);

impl Site {
    fn new(zone: Tz, lateness_ms: i64) -> Self {
        Self {
            engine: site(zone, lateness_ms, None),
            shelf: Shelf::default(),
            published: Shelf::default(),
        }
    }

    fn admit(&mut self, reading: Reading) -> Admission {
        let Ok(admission) = self.engine.admit(reading, &mut self.shelf);
        let calendar = Calendar::new(chrono_tz::Europe::Athens);
        let spec = specs()[reading.sensor.0 as usize];
        let day = calendar.day_of(reading.time, spec.stamp);
        let tie = if spec.on_conflict == OnConflict::Add {
            reading.tie
        } else {
            0
        };
        let held = self
            .published
            .readings
            .entry((reading.sensor, day))
            .or_default();
        match admission {
            Admission::Accepted | Admission::Corrected { .. } => {
                held.insert((reading.time, tie), reading.value);
            }
            Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => {}
        }
        admission
    }

    fn withdraw(&mut self, reading: &Reading) {
        let (sensor, time, tie) = identity(reading);
        let Ok(newest) = self.engine.withdraw(sensor, time, tie, &mut self.shelf);
        let calendar = Calendar::new(chrono_tz::Europe::Athens);
        let stamp = specs()[sensor.0 as usize].stamp;
        let day = calendar.day_of(time, stamp);
        if let Some(held) = self.published.readings.get_mut(&(sensor, day)) {
            held.remove(&(time, tie));
        }
        let readings = self.published.readings.iter();
        let of_sensor = readings.filter(|((of, _), _)| *of == sensor);
        let last = of_sensor.flat_map(|(_, held)| held.keys()).max();
        assert_eq!(newest.map(|held| (held.time, held.tie)), last.copied());
    }

    fn settle(&mut self) -> Changes {
        let Ok(changes) = self.engine.settle(&mut self.shelf);
        for change in &changes.days {
            let key = (change.sensor, change.day);
            self.published.days.insert(key, change.state.clone());
        }
        for (balance, day, row) in &changes.rests {
            self.published.rests.insert((*balance, *day), row.clone());
        }
        changes
    }

    fn hand_over(&mut self, keep: usize) {
        self.shelf = self.published.clone();
        self.engine.hand_over(keep);
    }

    fn rows(&self) -> Rows {
        let unlabelled = |row: DayRow| DayRow {
            closed: false,
            revision: 0,
            ..row
        };
        let days = self.published.days.iter();
        let days = days.filter(|(_, state)| !state.row.is_gone());
        let days = days.map(|(key, state)| {
            let diff = state.diff.map(|diff| (diff.value.to_bits(), diff.kind));
            (*key, (unlabelled(state.row), diff))
        });
        let rests = self.published.rests.iter();
        let rests = rests.filter(|(_, row)| !row.is_gone()).map(|(key, row)| {
            let row = RestRow {
                closed: false,
                revision: 0,
                ..row.clone()
            };
            (*key, row)
        });
        (days.collect(), rests.collect())
    }
}

/// One arrival: a sensor, an hour, a value that contradicts, resets or leaps now and then.
fn reading() -> impl Strategy<Value = Reading> {
    let value = prop_oneof![
        6 => (0_i32..1000).prop_map(|n| f64::from(n) / 8.0 + 0.1),
        1 => Just(0.0),
        1 => (0_i32..10_000).prop_map(f64::from),
    ];
    (0_u32..5, 0_i64..240, 0_u64..3, value).prop_map(|(sensor, hour, tie, value)| {
        // 2026-03-26 to 2026-04-04: over the change to summer time. Meters rise with the hours.
        let ms = 1_774_476_000_000 + hour * 3_600_000 * if sensor == 4 { 6 } else { 1 };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let level = if sensor >= 3 && value != 0.0 {
            hour as f64 * 100.0
        } else {
            0.0
        };
        Reading {
            sensor: SensorId(sensor),
            time: EventTime::from_ms(ms).expect("in range"),
            tie,
            value: (level + value) % 10_000.0,
            exempt: false,
        }
    })
}

fn identity(reading: &Reading) -> (SensorId, EventTime, u64) {
    let adds = reading.sensor.0 == 2;
    (
        reading.sensor,
        reading.time,
        if adds { reading.tie } else { 0 },
    )
}

const ATHENS: Tz = chrono_tz::Europe::Athens;
const EVER: i64 = i64::MAX;

fn in_one_commit(readings: &[Reading]) -> Site {
    let mut site = Site::new(ATHENS, EVER);
    for reading in readings {
        assert!(!matches!(site.admit(*reading), Admission::Kept { .. }));
    }
    drop(site.settle());
    site
}

proptest! {
    #[test]
    fn rows_are_a_function_of_the_accepted_readings(
        readings in prop::collection::vec(reading(), 1..120),
        order in prop::collection::vec(any::<u32>(), 120),
        repeats in prop::collection::vec(0_usize..120, 0..20),
        commits in prop::collection::vec((1_usize..20, prop::option::of(0_usize..3)), 1..40),
    ) {
        let calm = in_one_commit(&readings);
        // Any order, but contradicting readings of one identity keep theirs.
        let mut shuffled: Vec<(u32, usize)> =
            (0..readings.len()).map(|i| (order[i], i)).collect();
        shuffled.sort_unstable();
        let mut by_identity: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let identity = |r: &Reading| (r.sensor, r.time, if r.sensor.0 == 2 { r.tie } else { 0 });
        for (i, r) in readings.iter().enumerate() {
            by_identity.entry(identity(r)).or_default().push(i);
        }
        for queue in by_identity.values_mut() { queue.reverse(); }
        let arrivals: Vec<Reading> = shuffled.iter().map(|(_, i)| {
            let queue = by_identity.get_mut(&identity(&readings[*i])).expect("listed");
            readings[queue.pop().expect("as many as arrivals")]
        }).collect();

        let mut site = Site::new(ATHENS, EVER);
        let mut commits = commits.iter().cycle();
        let mut left = 0;
        let mut hand_over = None;
        for (n, reading) in arrivals.iter().enumerate() {
            if left == 0 {
                drop(site.settle());
                if let Some(keep) = hand_over { site.hand_over(keep); }
                (left, hand_over) = *commits.next().expect("cycled");
            }
            left -= 1;
            assert!(!matches!(site.admit(*reading), Admission::Kept { .. }));
            if repeats.contains(&n) {
                prop_assert_eq!(site.admit(*reading), Admission::Duplicate);
            }
        }
        drop(site.settle());
        let (days, rests) = site.rows();
        for (key, row) in &calm.rows().0 {
            prop_assert_eq!(days.get(key), Some(row), "{:?}", key);
        }
        prop_assert_eq!(days.len(), calm.rows().0.len());
        prop_assert_eq!(rests, calm.rows().1);
        site.hand_over(0);
        prop_assert_eq!(site.settle(), Changes::default());
    }

    #[test]
    fn what_is_withdrawn_leaves_no_residue(
        readings in prop::collection::vec((reading(), any::<bool>()), 1..120),
        commits in prop::collection::vec((1_usize..20, prop::option::of(0_usize..3)), 1..40),
        between in 0_usize..4,
        again: bool,
    ) {
        let withdrawn: std::collections::BTreeSet<_> =
            readings.iter().filter(|(_, goes)| *goes).map(|(r, _)| identity(r)).collect();
        let goes = |r: &Reading| withdrawn.contains(&identity(r));
        let staying: Vec<Reading> =
            readings.iter().map(|(r, _)| *r).filter(|r| !goes(r)).collect();
        let calm = in_one_commit(&staying);
        let mut site = Site::new(ATHENS, EVER);
        let mut commits = commits.iter().cycle();
        let mut left = 0;
        let mut hand_over = None;
        let mut pause = |site: &mut Site, every: usize| {
            if left == 0 {
                drop(site.settle());
                if let Some(keep) = hand_over { site.hand_over(keep); }
                (left, hand_over) = *commits.next().expect("cycled");
                left *= every.max(1);
            }
            left -= 1;
        };
        for (reading, _) in &readings {
            pause(&mut site, 1);
            assert!(!matches!(site.admit(*reading), Admission::Kept { .. }));
        }
        let leaving: Vec<Reading> =
            readings.iter().map(|(r, _)| *r).filter(|r| goes(r)).collect();
        for reading in &leaving {
            pause(&mut site, between);
            site.withdraw(reading);
        }
        drop(site.settle());
        prop_assert_eq!(site.rows(), calm.rows());
        site.hand_over(0);
        drop(site.settle());
        if again {
            // What was withdrawn may come again, later or at last.
            for reading in &leaving {
                pause(&mut site, 1);
                assert!(!matches!(site.admit(*reading), Admission::Kept { .. }));
            }
            drop(site.settle());
            let all: Vec<Reading> = staying.iter().chain(&leaving).copied().collect();
            prop_assert_eq!(site.rows(), in_one_commit(&all).rows());
        }
    }

    #[test]
    fn a_log_that_is_repeated_gives_the_same_rows_revisions_too(
        readings in prop::collection::vec(reading(), 1..100),
        commits in prop::collection::vec(1_usize..10, 1..40),
        cut in 0_usize..40,
    ) {
        let mut groups = Vec::new();
        let mut rest = readings.as_slice();
        for size in commits.iter().cycle() {
            if rest.is_empty() { break; }
            let (group, later) = rest.split_at((*size).min(rest.len()));
            groups.push(group);
            rest = later;
        }
        let mut steady = Site::new(ATHENS, 86_400_000);
        let mut crashed = Site::new(ATHENS, 86_400_000);
        let cut = cut.min(groups.len());
        let mut tail = Vec::new();
        for (n, group) in groups.iter().enumerate() {
            if n == cut { crashed.hand_over(1); }
            let mut logged = Vec::new();
            for reading in *group {
                let verdict = steady.admit(*reading);
                prop_assert_eq!(crashed.admit(*reading), verdict);
                if matches!(verdict, Admission::Accepted | Admission::Corrected { .. }) {
                    logged.push(*reading);
                }
            }
            drop(steady.settle());
            drop(crashed.settle());
            if n >= cut { tail.push(logged); }
        }
        // The crash: what was handed over is there, what came later is repeated from the log.
        let mut reopened = Site::new(ATHENS, 86_400_000);
        let kept = if cut < groups.len() { crashed.shelf.clone() } else { Shelf::default() };
        if cut == groups.len() { return Ok(()); }
        let mut before_cut = Site::new(ATHENS, 86_400_000);
        for group in &groups[..cut] {
            for reading in *group { assert!(!matches!(before_cut.admit(*reading), Admission::Kept { .. })); }
            drop(before_cut.settle());
        }
        let mut engine = site_with(&before_cut);
        for logged in &tail {
            for reading in logged {
                let Ok(()) = engine.restore(*reading, &mut reopened_past(&kept));
            }
            let Ok(changes) = engine.settle(&mut reopened_past(&kept));
            for change in changes.days {
                reopened.published.days.insert((change.sensor, change.day), change.state);
            }
            for (b, d, row) in changes.rests { reopened.published.rests.insert((b, d), row); }
        }
        let mut days = kept.days.clone();
        days.extend(reopened.published.days);
        prop_assert_eq!(days, steady.published.days);
        let mut rests = kept.rests.clone();
        rests.extend(reopened.published.rests);
        prop_assert_eq!(rests, steady.published.rests);
    }
}

#[test]
fn rows_that_are_closed_stay_so_when_site_time_goes_back_and_no_other_closes() {
    let rules = Rules {
        calendar: Calendar::new(ATHENS),
        allowed_lateness_ms: EVER,
        grace_ms: 900_000,
        clock: SiteClock::Wall,
    };
    let mut engine = Engine::new(rules, None);
    engine.register(SensorId(0), specs()[0], SensorMemory::default());
    let mut past = Shelf::default();
    let mut put = |engine: &mut Engine, ms: i64| {
        let reading = Reading {
            sensor: SensorId(0),
            time: EventTime::from_ms(ms).expect("in range"),
            tie: 0,
            value: 1.0,
            exempt: false,
        };
        let Ok(_accepted) = engine.admit(reading, &mut past);
        let Ok(changes) = engine.settle(&mut past);
        let labels = changes.days.iter();
        let labels: Vec<_> = labels
            .map(|change| (change.state.row.closed, change.state.row.revision))
            .collect();
        labels
    };
    let noon = 1_774_522_800_000;
    engine.advance(noon + 365 * 86_400_000);
    assert_eq!(put(&mut engine, noon), [(true, 1)]);
    engine.advance(noon);
    assert_eq!(put(&mut engine, noon + 3_600_000), [(true, 2)]);
    assert_eq!(put(&mut engine, noon + 86_400_000), [(false, 0)]);
    assert!(!engine.is_due(), "nothing is open whose time has come");
}

fn reopened_past(kept: &Shelf) -> Shelf {
    kept.clone()
}

/// A new engine that knows of its sensors and balances what the old one would have kept.
fn site_with(old: &Site) -> Engine {
    let mut engine = site(ATHENS, 86_400_000, old.engine.site_time_ms());
    for (id, spec) in (0..).zip(specs()) {
        engine.register(SensorId(id), spec, old.engine.memory(SensorId(id)));
    }
    let parts = vec![SensorId(1), SensorId(2), SensorId(4)];
    let open = old.engine.open_rests(BalanceId(0));
    engine.register_balance(BalanceId(0), SensorId(3), parts, open);
    engine
}
