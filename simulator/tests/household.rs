//! What the household profile promises: volumes and nights as in real homes, meters that add up, a radio
//! that does what radios do, and the same bytes for the same arguments.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use simulator::{Late, Leak, Profile, Reading, Scenario, Sensor};

const DAYS: u32 = 120;
const HOURS_A_DAY: usize = 24;
const TICKS_AN_HOUR: usize = 4;

/// Spring and summer of many homes whose readings all arrive.
fn homes(count: u32) -> Scenario {
    Scenario {
        homes: count,
        days: DAYS,
        start: NaiveDate::from_ymd_opt(2020, 3, 1).unwrap(),
        profile: Profile::Household,
        late: Late::None,
        ..Scenario::default()
    }
}

/// One sensor's values by home, in order, in hundredths.
fn of(scenario: &Scenario, sensor: Sensor) -> BTreeMap<u32, Vec<i64>> {
    let mut values: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for reading in scenario.readings().filter(|r| r.sensor == sensor) {
        values
            .entry(reading.home)
            .or_default()
            .push(reading.hundredths);
    }
    values
}

/// Litres by the hour of a register that was read every quarter hour.
fn hourly(register: &[i64]) -> Vec<i64> {
    let hours: Vec<i64> = register
        .iter()
        .copied()
        .skip(3)
        .step_by(TICKS_AN_HOUR)
        .collect();
    hours
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 100)
        .collect()
}

/// The longest standstill of each noon-to-noon day, in hours.
fn rests(hours: &[i64]) -> Vec<usize> {
    let days = hours[12..].chunks_exact(HOURS_A_DAY);
    let longest = |day: &[i64]| day.split(|litres| *litres > 0).map(<[i64]>::len).max();
    days.filter_map(longest).collect()
}

/// The value below which so many of a hundred lie.
fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

/// Of the 77 homes in Alicante: litres a day 137, 241, 302 (quartiles); the longest standstill of a home's
/// usual day 4, 6, 7 h; days with at most 2 h of it 0.6, 3.4, 13.6 and (of the 90th) 24.8 in a hundred.
#[test]
#[expect(
    clippy::cast_precision_loss,
    reason = "litres and hours are small numbers"
)]
fn volumes_and_nights_are_those_of_real_homes() {
    let scenario = homes(60);
    let (mut volumes, mut usual, mut restless) = (Vec::new(), Vec::new(), Vec::new());
    for register in of(&scenario, Sensor::Wtot).values() {
        let hours = hourly(register);
        volumes.push(hours.iter().sum::<i64>() as f64 / f64::from(DAYS));
        let mut rests: Vec<f64> = rests(&hours)
            .into_iter()
            .map(|hours| hours as f64)
            .collect();
        let short = rests.iter().filter(|hours| **hours <= 2.0).count();
        restless.push(100.0 * short as f64 / rests.len() as f64);
        usual.push(quantile(&mut rests, 50));
    }
    let within = |what: &str, values: &mut [f64], percent: usize, low: f64, high: f64| {
        let value = quantile(values, percent);
        assert!((low..=high).contains(&value), "{what} P{percent}: {value}");
    };
    within("L/day", &mut volumes, 25, 110.0, 200.0);
    within("L/day", &mut volumes, 50, 200.0, 290.0);
    within("L/day", &mut volumes, 75, 280.0, 400.0);
    within("standstill", &mut usual, 25, 4.0, 5.0);
    within("standstill", &mut usual, 50, 5.0, 7.0);
    within("standstill", &mut usual, 75, 6.0, 8.0);
    within("restless days", &mut restless, 50, 0.5, 7.0);
    within("restless days", &mut restless, 75, 7.0, 20.0);
    within("restless days", &mut restless, 90, 15.0, 40.0);
}

#[test]
fn meters_never_run_back_and_what_passes_w1_has_passed_wtot() {
    let scenario = homes(20);
    let (main, branch) = (of(&scenario, Sensor::Wtot), of(&scenario, Sensor::W1));
    for (home, register) in &main {
        assert!(register.is_sorted(), "home {home}");
        assert!(
            register.iter().all(|value| value % 100 == 0),
            "whole litres"
        );
        let rise = register[register.len() - 1] - register[0];
        let passed: i64 = branch[home][1..].iter().sum();
        assert!(
            passed <= rise + 100,
            "home {home}: {passed} behind, {rise} before"
        );
        assert!(passed > rise / 10, "home {home} washes");
    }
    for (home, register) in of(&scenario, Sensor::Etot) {
        assert!(register.is_sorted(), "home {home}");
    }
}

#[test]
fn somebody_is_away_for_days_and_then_nothing_runs() {
    let scenario = homes(20);
    let away = |register: &Vec<i64>| {
        let hours = hourly(register);
        hours
            .chunks_exact(HOURS_A_DAY)
            .filter(|day| day.iter().all(|litres| *litres == 0))
            .count()
    };
    let days: Vec<usize> = of(&scenario, Sensor::Wtot).values().map(away).collect();
    assert!(days.iter().any(|days| *days >= 4), "{days:?}");
    assert!(days.contains(&0), "and somebody stays: {days:?}");
}

#[test]
fn a_leak_of_any_shape_shows_by_what_the_truth_says() {
    for shape in ["", ",ramp", ",flapper"] {
        for (place, sensors) in [
            ("main", &[Sensor::Wtot][..]),
            ("branch", &[Sensor::Wtot, Sensor::W1]),
        ] {
            let spec = format!("{place}:9L/h@2020-03-20T03:00+30d{shape}");
            let leak: Leak = spec.parse().unwrap();
            let (tight, leaking) = (
                homes(1),
                Scenario {
                    leaks: vec![leak],
                    ..homes(1)
                },
            );
            let litres = leaking.truth().next().unwrap().litres.unwrap();
            for sensor in sensors {
                let total = |scenario: &Scenario| {
                    let values = &of(scenario, *sensor)[&0];
                    match sensor {
                        Sensor::Wtot => values[values.len() - 1],
                        _ => values.iter().sum(),
                    }
                };
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "hundredths of some thousand litres"
                )]
                let gained = (total(&leaking) - total(&tight)) as f64 / 100.0;
                assert!(
                    (gained - litres).abs() <= 1.0,
                    "{spec} on {sensor:?}: {gained} for {litres}"
                );
            }
        }
    }
}

#[test]
fn the_radio_loses_delays_and_doubles_and_a_register_is_misread_now_and_then() {
    let real = Scenario {
        late: Late::Paper,
        ..homes(6)
    };
    let sent = homes(6).readings().count();
    let mut seen: BTreeMap<(u32, Sensor, i64), u32> = BTreeMap::new();
    let (mut late, mut jumps) = (0, 0);
    let mut last: BTreeMap<u32, i64> = BTreeMap::new();
    for Reading {
        at_ms,
        time_ms,
        home,
        sensor,
        hundredths,
    } in real.readings()
    {
        *seen.entry((home, sensor, time_ms)).or_default() += 1;
        late += usize::from(at_ms > time_ms);
        if sensor == Sensor::Wtot && at_ms == time_ms {
            let before = last.insert(home, hundredths);
            jumps += usize::from(before.is_some_and(|before| hundredths < before));
        }
    }
    let lost = sent - seen.len();
    let doubled = seen.values().filter(|count| **count > 1).count();
    let share = |count: usize| count * 1000 / sent;
    assert!((2..30).contains(&share(lost)), "{lost} of {sent} lost");
    assert!((4..30).contains(&share(late)), "{late} of {sent} late");
    assert!(
        (1..6).contains(&share(doubled)),
        "{doubled} of {sent} doubled"
    );
    assert!(jumps > 3, "a register that falls: {jumps} times");
}

#[test]
fn the_same_arguments_give_the_same_bytes_in_every_version() {
    let scenario = Scenario {
        homes: 3,
        days: 30,
        late: Late::Paper,
        ..homes(3)
    };
    let text: String = scenario
        .messages()
        .map(|message| message.payload + "\n")
        .collect();
    // FNV-1a, 64 bits: enough to notice a changed byte.
    let fingerprint = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(format!("{fingerprint:016x}"), "43bbefd9d003dd52");
}

#[test]
fn shares_together_are_the_whole_run() {
    let scenario = Scenario {
        homes: 5,
        days: 3,
        late: Late::Paper,
        ..homes(5)
    };
    assert_eq!(scenario.readings().count() as u64, scenario.total());
    for share in 0..2 {
        let whole: Vec<Reading> = scenario
            .readings()
            .filter(|r| r.home % 2 == share)
            .collect();
        assert_eq!(scenario.share(share, 2).collect::<Vec<_>>(), whole);
    }
}
