//! The laws of the detectors.
//!
//! What stands is a function of the readings held: any order within the days held, repeated, corrected, in
//! any grouping, with a restart in between, ends in the same bits. A ceiling is proven: no leak that ran
//! all the time is above it.

use engine::detect::{
    Cell, Change, Checkpoint, Counts, DailyEntry, DayValue, Detector, Finding, House, HouseSpec,
    Known, Location, MemberSpec, Normal, Parameters, PersistRule, Point, Resource, Rests, SLOT_MS,
    Severity, Stream, Subject, TURNS_MAX, Taken, Turn,
};
use engine::{Calendar, Day};
use proptest::prelude::*;

/// 2020-03-20T00:00:00Z: a clock change lies ahead.
const START: i64 = 1_584_662_400_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

const REGISTER: Counts = Counts::Register {
    modulus_milli: None,
    max_rate_milli: Some(6_000_000),
};

fn member(counts: Counts) -> MemberSpec {
    MemberSpec {
        known: Known {
            counts,
            interval_ms: None,
            resolution_milli: None,
        },
        rests: Rests::Learned,
        normal: Vec::new(),
    }
}

fn spec(members: &[Counts]) -> HouseSpec {
    HouseSpec {
        calendar: Calendar::new(chrono_tz::Europe::Athens),
        resource: Resource::Water,
        members: members.iter().copied().map(member).collect(),
        normal: Vec::new(),
        parameters: Parameters::default(),
    }
}

/// A reading of a house: member, event time, thousandths of a litre.
type Reading = (usize, i64, i64);

/// A register that stands still at night and does not by day, and what one of its parts counts, with a leak
/// on the main from some slot on.
fn household(noise: &[u8], leak_from: usize, leak_milli: i64) -> Vec<Reading> {
    let (mut level, mut leaked, mut readings) = (1_000_000, 0, Vec::new());
    for (slot, chance) in noise.iter().enumerate() {
        let at_ms = START + (i64::try_from(slot).expect("a few thousand") + 1) * SLOT_MS;
        let hour = (at_ms - START) / HOUR % 24;
        let used = match (hour, *chance) {
            (1..6, _) | (_, 0..140) => 0,
            (_, chance) => i64::from(chance - 140) * 100,
        };
        level += used;
        leaked += if slot >= leak_from { leak_milli } else { 0 };
        // One reading in fifty is lost, one in two hundred is a glitch.
        if *chance % 50 != 7 {
            let shown = (level + leaked) / 1000 * 1000;
            let shown = if *chance == 99 { shown / 3 } else { shown };
            readings.push((0, at_ms, shown));
        }
        if *chance % 50 != 8 {
            readings.push((1, at_ms, used / 2 / 100 * 100));
        }
    }
    readings
}

fn fed(spec: &HouseSpec, readings: &[Reading]) -> House {
    let mut house = House::new(spec.clone());
    for (member, at_ms, milli) in readings {
        assert_ne!(house.put(*member, *at_ms, *milli), Taken::Beyond);
        let _said = house.settle();
    }
    house
}

/// Where two houses differ first in what must not depend on the order: everything but what was said, and
/// points that have served their time.
fn difference(one: &House, other: &House) -> Option<String> {
    let (here, there) = (one.state(), other.state());
    for (here, there) in here.series.iter().zip(&there.series) {
        let cells = here.cells.iter().zip(&there.cells).find(|(a, b)| a != b);
        if let Some((here, there)) = cells {
            return Some(format!("{here:#?} {there:#?}"));
        }
        let mut checkpoints = here.checkpoints.iter().zip(&there.checkpoints);
        if let Some((here, there)) = checkpoints.find(|(a, b)| a != b) {
            return Some(format!("{here:#?} {there:#?}"));
        }
        if here != there {
            return Some(format!(
                "{} and {} cells",
                here.cells.len(),
                there.cells.len()
            ));
        }
    }
    let (here, there) = (one.findings(), other.findings());
    (here != there).then(|| format!("{here:#?} {there:#?}"))
}

/// Up to four days late, within blocks, so that no order is the same.
fn disordered(readings: &[Reading], late: &[u16]) -> Vec<Reading> {
    let mut keyed: Vec<(i64, usize)> = (0..readings.len())
        .map(|index| {
            let late = i64::from(late[index % late.len()]);
            // One in four is late, by up to four days.
            let late_ms = if late % 4 == 0 {
                late % 385 * SLOT_MS
            } else {
                0
            };
            (readings[index].1 + late_ms, index)
        })
        .collect();
    keyed.sort_unstable();
    keyed
        .into_iter()
        .map(|(_, index)| readings[index])
        .collect()
}

#[test]
fn two_that_a_sensor_counted_at_one_time_are_two() {
    let mut house = House::new(spec(&[REGISTER, Counts::Delta]));
    for _ in 0..2 {
        assert_eq!(house.put(1, START, 700), Taken::From(START));
    }
    let point = house.state().points[1][0];
    assert_eq!((point.milli, point.count), (1400, 2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_stands_is_a_function_of_the_readings_held(
        noise in proptest::collection::vec(any::<u8>(), 96 * 6),
        late in proptest::collection::vec(any::<u16>(), 31),
        group in 30_usize..150,
        leak_from in 100_usize..400,
        leak_milli in 0_i64..6_000,
    ) {
        let readings = household(&noise, leak_from, leak_milli);
        let spec = spec(&[REGISTER, Counts::Delta]);
        let in_order = fed(&spec, &readings);

        let mut other = House::new(spec.clone());
        for (nth, chunk) in disordered(&readings, &late).chunks(group).enumerate() {
            for (nth, (member, at_ms, milli)) in chunk.iter().enumerate() {
                // Some come first with another value; a register's some times twice.
                if (nth + group) % 7 == 0 && other.put(*member, *at_ms, *milli + 3_000) != Taken::Same {
                    let _taken = other.correct(*member, *at_ms, *milli + 3_000, *milli);
                } else {
                    let _taken = other.put(*member, *at_ms, *milli);
                }
                if nth % 5 == 0 && *member == 0 {
                    prop_assert_eq!(other.put(*member, *at_ms, *milli), Taken::Same);
                }
            }
            let _said = other.settle();
            // A restart in between.
            if nth % 9 == 4 {
                other = House::of(spec.clone(), other.state());
            }
        }
        let _said = other.settle();
        prop_assert_eq!(difference(&other, &in_order), None);
    }

    #[test]
    fn no_leak_that_runs_all_the_time_is_above_a_ceiling(
        noise in proptest::collection::vec(any::<u8>(), 96 * 4),
        per_hour_milli in 1_i64..40_000,
        step in 1_usize..5,
    ) {
        let mut readings = household(&noise, 0, 0);
        for (_, at_ms, milli) in readings.iter_mut().filter(|(member, ..)| *member == 0) {
            // A glitch is not a level: what a register shows below its neighbour is left as it was.
            *milli += (*at_ms - START) * per_hour_milli / HOUR / 1000 * 1000;
        }
        let readings: Vec<Reading> = readings.into_iter().filter(|(member, ..)| *member == 0).step_by(step).collect();
        let mut spec = spec(&[REGISTER]);
        spec.members[0].known.resolution_milli = Some(1000);
        let house = fed(&spec, &readings);
        let per_hour = real(per_hour_milli) / 1000.0;
        for cell in &house.state().series[0].cells {
            prop_assert!(cell.least.ceiling >= per_hour, "{cell:?} under {per_hour}");
        }
    }
}

fn cases() -> u32 {
    if std::env::var_os("SLUICE_LONG").is_some() {
        2000
    } else {
        12
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers of the test")]
fn real(milli: i64) -> f64 {
    milli as f64
}

/// A home that uses 8 L every two hours by day and nothing at night, with a constant leak.
fn quiet_home(days: i64, leak: impl Fn(i64) -> i64) -> Vec<Reading> {
    let (mut level, mut readings) = (0, Vec::new());
    for slot in 1..=days * 96 {
        let hour = (slot - 1) / 4 % 24;
        if hour >= 7 && slot % 8 == 3 {
            level += 8_000;
        }
        level += leak(slot);
        readings.push((0, START + slot * SLOT_MS, level / 1000 * 1000));
    }
    readings
}

fn said(readings: &[Reading]) -> Vec<Change> {
    let mut house = House::new(spec(&[REGISTER]));
    let mut said = Vec::new();
    for (member, at_ms, milli) in readings {
        assert_ne!(house.put(*member, *at_ms, *milli), Taken::Beyond);
        said.extend(house.settle());
    }
    said
}

fn raised(changes: &[Change]) -> Vec<Finding> {
    let raised = changes.iter().filter_map(|change| match change {
        Change::Raised(finding) => Some(*finding),
        Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => None,
    });
    raised.collect()
}

#[test]
fn a_home_that_rests_raises_nothing() {
    assert_eq!(said(&quiet_home(90, |_| 0)), []);
}

#[test]
fn a_leak_is_raised_once_with_its_flow_and_its_beginning_and_cleared_when_it_is_mended() {
    let (from, until) = (30 * 96 + 16, 45 * 96 + 60);
    let leak = |slot| {
        if (from..until).contains(&slot) {
            1250
        } else {
            0
        }
    };
    let changes = said(&quiet_home(60, leak));
    let raised = raised(&changes);
    assert_eq!(raised.len(), 1, "{raised:?}");
    let finding = raised[0];
    let began = START + from * SLOT_MS;
    assert!(finding.raised_ms - began <= 36 * HOUR, "{finding:?}");
    let flow = finding.flow.expect("a leak has a flow");
    assert!((4.8..5.5).contains(&flow.best), "{flow:?}");
    let start = finding.start.expect("a leak has a beginning");
    assert!(
        start.from_ms.is_some_and(|ms| ms <= began),
        "{start:?} {began}"
    );
    assert!(start.until_ms >= began, "{start:?} {began}");
    let cleared = changes.iter().filter_map(|change| match change {
        Change::Cleared(finding) => finding.cleared_ms,
        Change::Raised(_) | Change::Updated(_) | Change::Withdrawn { .. } => None,
    });
    let mended = START + until * SLOT_MS;
    let cleared: Vec<i64> = cleared.collect();
    assert_eq!(cleared.len(), 1, "{changes:?}");
    assert!((mended..mended + 2 * DAY).contains(&cleared[0]));
}

#[test]
fn a_late_reading_that_shows_rest_withdraws_what_was_said() {
    // In the night that the meter's readings are missing it stood still; at first nobody knows.
    let from = 30 * 96;
    let leak = |slot: i64| if slot >= from { 1250 } else { 0 };
    let all = quiet_home(33, leak);
    let mut house = House::new(spec(&[REGISTER]));
    let mut standing = Vec::new();
    for (member, at_ms, milli) in &all {
        assert_ne!(house.put(*member, *at_ms, *milli), Taken::Beyond);
        standing.extend(house.settle());
    }
    assert_eq!(raised(&standing).len(), 1);
    // It turns out that these readings were wrong: nothing flowed.
    let still = all[usize::try_from(from).expect("small") - 1].2;
    for (member, at_ms, milli) in all.iter().filter(|r| r.1 > START + from * SLOT_MS) {
        assert_ne!(house.correct(*member, *at_ms, *milli, still), Taken::Beyond);
    }
    let changes = house.settle();
    assert!(
        matches!(
            changes[..],
            [Change::Withdrawn {
                detector: Detector::Persist,
                ..
            }]
        ),
        "{changes:?}"
    );
    assert_eq!(house.findings(), []);
}

#[test]
fn a_leak_before_the_sub_meter_is_of_the_main_and_one_behind_it_is_the_sub_meters() {
    let place = |behind: bool| {
        let mut readings = Vec::new();
        let mut before = 0;
        let from = 20 * 96;
        let leak = |slot: i64| if slot >= from { 1_000 } else { 0 };
        for (slot, (_, at_ms, milli)) in (1..).zip(quiet_home(26, leak)) {
            let leaked = leak(slot);
            let used = milli - before - leaked;
            before = milli;
            readings.push((0, at_ms, milli));
            readings.push((1, at_ms, if behind { used + leaked } else { used }));
        }
        let house = fed(&spec(&[REGISTER, Counts::Delta]), &readings);
        let findings = house.findings();
        let meter = findings.iter().find(|f| f.subject == Subject::Member(0));
        let subjects: Vec<Subject> = findings.iter().map(|f| f.subject).collect();
        (meter.map(|finding| finding.location), subjects)
    };
    assert_eq!(
        place(false),
        (
            Some(Location::Main),
            vec![Subject::Member(0), Subject::Remainder]
        )
    );
    assert_eq!(
        place(true),
        (
            Some(Location::Behind(1)),
            vec![Subject::Member(0), Subject::Member(1)]
        )
    );
}

#[test]
fn of_a_leak_that_was_mended_behind_the_sub_meter_the_last_word_is_its_place_and_its_flow() {
    // It begins and ends at many hours of the day: either meter may see the end first.
    for shift in [0, 13, 29, 41, 45, 62, 77, 90] {
        let (from, until) = (20 * 96 + shift, 32 * 96 + shift * 5 % 96);
        let leak = |slot: i64| i64::from((from..until).contains(&slot)) * 1_500;
        let mut house = House::new(spec(&[REGISTER, Counts::Delta]));
        let (mut before, mut last) = (0, Vec::new());
        for (slot, (_, at_ms, milli)) in (1..).zip(quiet_home(36, leak)) {
            // The meter counts whole litres; the sub-meter's clock is a little late.
            let passed = milli - before;
            before = milli;
            assert_ne!(house.put(0, at_ms, milli / 1000 * 1000), Taken::Beyond);
            let part_ms = at_ms + (slot % 7) * 1000;
            assert_ne!(house.put(1, part_ms, passed), Taken::Beyond);
            last.extend(house.settle());
        }
        let of_meter = last.iter().filter_map(|change| match change {
            Change::Updated(f) | Change::Cleared(f) if f.subject == Subject::Member(0) => Some(f),
            Change::Raised(_)
            | Change::Updated(_)
            | Change::Cleared(_)
            | Change::Withdrawn { .. } => None,
        });
        let of_meter: Vec<&Finding> = of_meter
            .filter(|finding| finding.detector == Detector::Persist)
            .collect();
        assert!(of_meter.len() > 5, "{shift}: {of_meter:?}");
        for finding in &of_meter[2..] {
            assert_eq!(
                finding.location,
                Location::Behind(1),
                "{shift}: {finding:?}"
            );
            let flow = finding.flow.expect("a leak has a flow");
            assert!((5.4..6.6).contains(&flow.best), "{shift}: {finding:?}");
        }
    }
}

#[test]
fn a_burst_is_told_within_hours_and_a_hose_is_a_notice() {
    let hose = |slot| {
        if (1000..1008).contains(&slot) {
            120_000
        } else {
            0
        }
    };
    let raised_by = |leak: &dyn Fn(i64) -> i64| {
        let raised = raised(&said(&quiet_home(14, leak)));
        raised.iter().map(|f| f.detector).collect::<Vec<_>>()
    };
    assert_eq!(raised_by(&hose), [Detector::HighFlow]);
    let burst = |slot| if slot >= 1000 { 125_000 } else { 0 };
    let found = raised(&said(&quiet_home(14, burst)));
    let persist = found.iter().find(|f| f.detector == Detector::Persist);
    let after = persist.map(|f| (f.raised_ms - START - 999 * SLOT_MS) / 60_000);
    // The hour that began three hours ago had three quarters of it.
    assert_eq!(after, Some(165));
}

#[test]
fn a_burst_on_top_of_a_leak_that_stands_is_told_at_once_and_as_what_it_is() {
    // A drip of 2 L/h from the fifth day on; on the twelfth, at 06:00, a pipe breaks.
    let broke = 12 * 96 + 24;
    let leak = |slot| match slot {
        ..480 => 0,
        slot if slot < broke => 500,
        _ => 30_000,
    };
    let told = said(&quiet_home(14, leak));
    let critical = told.iter().find_map(|change| match change {
        Change::Updated(finding) if finding.severity == Severity::Critical => Some(finding),
        Change::Raised(_) | Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => {
            None
        }
    });
    let finding = critical.expect("it is told while the drip's episode stands");
    let flow = finding.flow.expect("a leak has a flow").best;
    assert!((110.0..130.0).contains(&flow), "{flow}");
    let first = raised(&told);
    assert_eq!(first.len(), 1, "{first:#?}");
    assert!(first[0].flow.expect("a flow").best < 3.0);
}

#[test]
fn nobody_home_and_water_running_is_said() {
    let leak = |slot| if slot >= 960 { 1_000 } else { 0 };
    let readings = quiet_home(12, leak);
    let mut house = House::new(spec(&[REGISTER]));
    let mut changes = Vec::new();
    for (member, at_ms, milli) in readings {
        let hour = (at_ms - START) / HOUR;
        if at_ms <= START + (9 * 24 + 20) * HOUR && hour % 24 > 7 {
            let _taken = house.moved(at_ms);
        }
        assert_ne!(house.put(member, at_ms, milli), Taken::Beyond);
        changes.extend(house.settle());
    }
    let away: Vec<i64> = raised(&changes)
        .iter()
        .filter(|finding| finding.detector == Detector::Away)
        .map(|finding| (finding.raised_ms - START) / HOUR)
        .collect();
    // The last movement was at 20:00 of the tenth day.
    assert_eq!(away, [9 * 24 + 20 + 14]);
}

#[test]
fn a_base_load_that_no_part_explains_and_that_rises_is_told() {
    let mut spec = spec(&[REGISTER, Counts::Delta]);
    spec.resource = Resource::Energy;
    let mut house = House::new(spec);
    let (mut level, mut changes) = (0, Vec::new());
    for slot in 1..=96 * 90_i64 {
        let day = slot / 96;
        let base = 25_000 + day * 37 % 13 * 300 + if day >= 70 { 10_000 } else { 0 };
        let oven = if slot % 96 > 60 {
            slot * 7919 % 300 * 1000
        } else {
            0
        };
        level += base + oven;
        let at_ms = START + slot * SLOT_MS;
        assert_ne!(house.put(1, at_ms, oven), Taken::Beyond);
        assert_ne!(house.put(0, at_ms, level), Taken::Beyond);
        changes.extend(house.settle());
    }
    let found = raised(&changes);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].detector, found[0].severity),
        (Detector::BaseLoad, Severity::Warning)
    );
    let flow = found[0].flow.expect("a load is a flow");
    assert!((35.0..45.0).contains(&flow.best), "{flow:?}");
    assert!(found[0].raised_ms <= START + 75 * DAY);
}

/// What is said of a home that answers, with the parameters as it sets them.
fn heard(mut spec: HouseSpec, set: impl Fn(&mut HouseSpec), readings: &[Reading]) -> Vec<Finding> {
    set(&mut spec);
    let mut house = House::new(spec);
    let mut said = Vec::new();
    for (member, at_ms, milli) in readings {
        let _taken = house.put(*member, *at_ms, *milli);
        said.extend(house.settle());
    }
    raised(&said)
}

#[test]
fn a_parameter_that_is_set_is_what_is_judged_by() {
    let leak = |slot| if slot >= 40 * 96 { 1_250 } else { 0 };
    let readings = quiet_home(44, leak);
    let patient = |spec: &mut HouseSpec| {
        for rule in &mut spec.parameters.persist.day_rules {
            rule.above *= 8.0;
        }
        for rule in &mut spec.parameters.persist.hour_rules {
            rule.above *= 8.0;
        }
    };
    assert_eq!(heard(spec(&[REGISTER]), |_| {}, &readings).len(), 1);
    assert_eq!(heard(spec(&[REGISTER]), patient, &readings), []);
}

#[test]
fn what_was_normal_is_not_told_again_for_a_year() {
    // 2.2 L/h: only the rule of two days above 2 L/h sees it before the home's own are known.
    let leak = |slot: i64| {
        if (10 * 96..14 * 96).contains(&slot) {
            550
        } else {
            0
        }
    };
    let readings = quiet_home(16, leak);
    let first = heard(spec(&[REGISTER]), |_| {}, &readings);
    assert_eq!(first.len(), 1, "{first:?}");
    let answered = |spec: &mut HouseSpec| {
        let rules = (0..8)
            .map(PersistRule::Day)
            .chain((0..7).map(PersistRule::Hour));
        spec.members[0].normal = rules
            .flat_map(|rule| [rule; 4])
            .map(|rule| Normal {
                rule,
                from_ms: START,
                until_ms: START + 365 * DAY,
            })
            .collect();
    };
    assert_eq!(heard(spec(&[REGISTER]), answered, &readings), []);
}

#[test]
fn a_consumer_that_never_stops_is_asked_about_and_once_known_a_leak_on_top_of_it_is_told() {
    let leak = |slot: i64| 100 + if slot >= 60 * 96 { 750 } else { 0 };
    let found = heard(spec(&[REGISTER]), |_| {}, &quiet_home(75, leak));
    let detectors: Vec<(Detector, i64)> = found
        .iter()
        .map(|finding| (finding.detector, (finding.raised_ms - START) / DAY))
        .collect();
    assert!(
        matches!(
            detectors[..],
            [
                (Detector::Commissioning, 13..=15),
                (Detector::Persist, 60..=66)
            ]
        ),
        "{detectors:?}"
    );
}

#[test]
fn a_garden_that_is_watered_at_dawn_is_no_leak_while_the_nights_are_still() {
    let garden = |slot: i64| {
        if slot >= 70 * 96 && (22..25).contains(&(slot % 96)) {
            60_000
        } else {
            0
        }
    };
    let mut house = House::new(spec(&[REGISTER, Counts::Delta]));
    let (mut said, mut before) = (Vec::new(), 0);
    for (member, at_ms, milli) in quiet_home(90, garden) {
        assert_ne!(house.put(1, at_ms, 0), Taken::Beyond);
        assert_ne!(house.put(member, at_ms, milli), Taken::Beyond);
        let day = Day::from_number(i32::try_from((at_ms - 1) / DAY).expect("a day"));
        if at_ms % DAY == 0 {
            let value = DayValue {
                milli: milli - before,
                total_milli: milli - before,
                at_ms,
            };
            before = milli;
            house.put_day(Subject::Remainder, day, Some(value));
        }
        said.extend(house.settle());
    }
    assert_eq!(raised(&said), []);
}

#[test]
fn a_series_takes_less_than_64_kib() {
    let mut house = fed(&spec(&[REGISTER]), &quiet_home(130, |_| 0));
    for day in 0..200 {
        let value = DayValue {
            milli: 100_000,
            total_milli: 100_000,
            at_ms: START + i64::from(day + 1) * DAY,
        };
        house.put_day(Subject::Member(0), Day::from_number(day), Some(value));
        let _said = house.settle();
    }
    let state = house.state();
    let days = &state.days[0][0];
    let held = [
        (state.points[0].len(), size_of::<Point>()),
        (state.series[0].cells.len(), size_of::<Cell>()),
        (
            state.series[0].checkpoints.len(),
            size_of::<Checkpoint>() + size_of::<Stream>(),
        ),
        (days.entries.len(), size_of::<DailyEntry>()),
        (TURNS_MAX, size_of::<Turn>()),
        // Samples of the last hours are made of the points again: at most so many, of 64 bytes.
        (256, 64),
    ];
    let bytes: usize = held.iter().map(|(count, size)| count * size).sum();
    println!("{bytes} bytes: {held:?}");
    assert!(bytes < 64 * 1024, "{bytes}: {held:?}");
}

#[test]
fn a_noon_day_of_a_cell_is_the_calendars() {
    let house = fed(&spec(&[REGISTER]), &quiet_home(3, |_| 0));
    let days: Vec<Day> = house.state().series[0]
        .cells
        .iter()
        .map(|c| c.day)
        .collect();
    assert_eq!(
        days.iter().map(Day::to_string).collect::<Vec<_>>(),
        ["2020-03-21", "2020-03-22"]
    );
}
