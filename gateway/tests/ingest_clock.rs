//! A wrong clock costs no reading: machines that wake up in 1970 and learn the time later, are started
//! again before they do, or are set back and forth.

mod clock_house;

use clock_house::{DAY, HOUR, House, MINUTE, NOON, SECOND, w1};
use gateway::clock::Trust;
use gateway::store::{Fate, Flag};
use proptest::prelude::*;

/// Where a machine without a battery begins.
const IN_1970: i64 = 5_000;

fn t(ms: i64) -> String {
    w1(NOON + ms)
}

#[test]
fn what_lies_ahead_when_the_clock_is_set_is_a_dead_letter_and_leaves_no_trace_in_the_rows() {
    let mut house = House::at(IN_1970);
    house.publish(&[("sensors/a", &t(-HOUR)), ("sensors/a", &t(10 * MINUTE))]);
    house.publish(&[("sensors/a", &t(2 * DAY)), ("sensors/a", &t(400 * DAY))]);
    assert_eq!(house.days("W1").len(), 3);
    house.hand.set_wall(NOON);
    house.publish(&[]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 2.0, 2, true, 1)]);
    assert_eq!(house.reasons(), ["future_time", "future_time"]);
    let counters = house.counters();
    assert_eq!((counters.accepted, counters.dead_letter), (2, 2));
    assert_eq!(counters.received, 4);
}

#[test]
fn a_reading_that_was_late_by_one_ahead_counts_after_all() {
    let mut house = House::at(IN_1970);
    house.publish(&[("sensors/a", &t(400 * DAY))]);
    house.publish(&[("sensors/a", &t(-HOUR)), ("sensors/a", &t(-2 * HOUR))]);
    assert_eq!(house.counters().late, 2);
    house.hand.set_wall(NOON);
    house.publish(&[("sensors/a", &t(-8 * DAY))]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 2.0, 2, false, 0)]);
    let counters = house.counters();
    assert_eq!(
        (counters.accepted, counters.late, counters.dead_letter),
        (2, 1, 1),
        "the one that is 8 days old is late by right"
    );
    let fates: Vec<_> = house
        .history("W1")
        .iter()
        .map(|l| (l.fate, l.flag))
        .collect();
    assert!(fates.contains(&(Fate::AcceptedLate, Some(Flag::Rejudged))));
    assert!(fates.contains(&(Fate::Withdrawn, None)));
}

#[test]
fn a_withdrawal_is_the_same_after_a_seal_and_after_a_kill() {
    for (seal, kill) in [(true, false), (false, true), (true, true)] {
        let mut house = House::at(IN_1970);
        house.publish(&[("sensors/a", &t(-HOUR)), ("sensors/a", &t(40 * DAY))]);
        if seal {
            house.seal();
        }
        if kill {
            house.crash();
        }
        house.publish(&[("sensors/a", &t(-2 * HOUR))]);
        house.hand.set_wall(NOON);
        house.publish(&[]);
        let rows = house.days("W1");
        assert_eq!((rows.len(), rows[0].2), (1, 2), "seal {seal}, kill {kill}");
        house.crash();
        assert_eq!(house.days("W1"), rows, "out of the log");
        house.seal();
        assert_eq!(house.days("W1"), rows, "sealed");
        house.crash();
        assert_eq!(house.days("W1"), rows, "out of the rows");
        // What is genuine is not late by what is gone, and the day that is gone may come.
        house.publish(&[("sensors/a", &t(-3 * HOUR))]);
        house.hand.set_wall(NOON + 40 * DAY);
        house.publish(&[("sensors/a", &t(40 * DAY))]);
        let rows = house.days("W1");
        assert_eq!((rows.len(), rows[0].2, rows[1].2), (2, 3, 1));
    }
}

#[test]
fn readings_without_a_time_wait_on_disk_and_are_stamped_to_the_millisecond() {
    let mut house = House::at(IN_1970);
    house.publish(&[("plain/T", "20")]);
    house.hand.advance(SECOND);
    house.publish(&[("plain/T", "21"), ("plain/T", "22"), ("plain/T", "99")]);
    assert_eq!(house.counters().received, 1, "99 is out of range at once");
    assert_eq!((house.waits(), house.days("T").len()), (3, 0));
    house.seal();
    house.crash();
    house.hand.advance(SECOND);
    house.publish(&[("plain/T", "23")]);
    house.crash();
    assert_eq!(house.waits(), 4);
    house.hand.set_wall(NOON);
    house.publish(&[("plain/T", "24")]);
    let second = i64::from(SECOND);
    assert_eq!(
        house.readings("T"),
        [
            (-2 * second, 20.0),
            (-second, 21.0),
            (1 - second, 22.0),
            (0, 23.0),
            (1, 24.0),
        ]
    );
    let flags: Vec<_> = house.history("T").iter().map(|l| l.flag).collect();
    let stamped = Some(Flag::Stamped);
    assert_eq!(flags, [stamped, stamped, stamped, stamped, None]);
    assert_eq!((house.waits(), house.counters().accepted), (0, 5));
    let rows = house.days("T");
    house.seal();
    house.crash();
    assert_eq!((house.waits(), house.days("T")), (0, rows));
}

#[test]
fn readings_from_before_the_machine_was_started_again_are_stamped_by_estimate() {
    let mut house = House::at(IN_1970);
    house.hand.advance(10 * SECOND);
    house.publish(&[("plain/T", "20")]);
    house.hand.advance(5 * SECOND);
    house.publish(&[("plain/T", "21")]);
    house.hand.reboot(IN_1970);
    house.crash();
    house.hand.advance(60 * SECOND);
    house.publish(&[("plain/T", "22")]);
    house.hand.set_wall(NOON);
    house.publish(&[]);
    let second = i64::from(SECOND);
    assert_eq!(
        house.readings("T"),
        [(-65 * second, 20.0), (-60 * second, 21.0), (0, 22.0)]
    );
    let flags: Vec<_> = house.history("T").iter().map(|l| l.flag).collect();
    let estimated = Some(Flag::Estimated);
    assert_eq!(flags, [estimated, estimated, Some(Flag::Stamped)]);
}

#[test]
fn a_clock_behind_what_the_store_knows_is_not_trusted_until_it_is_set() {
    let mut house = House::at(NOON);
    house.publish(&[("sensors/a", &t(-HOUR)), ("plain/T", "20")]);
    house.hand.reboot(NOON - 90 * DAY);
    house.crash();
    assert_eq!(house.clock.trust(), Trust::Unknown);
    house.publish(&[("plain/T", "21"), ("sensors/a", &t(-2 * HOUR))]);
    assert_eq!((house.waits(), house.reasons().len()), (1, 0));
    house.hand.advance(30 * SECOND);
    house.hand.set_wall(NOON + HOUR);
    house.publish(&[]);
    assert_eq!(
        house.clock.trust(),
        Trust::Synchronised,
        "it was seen to be set"
    );
    let half_a_minute = i64::from(30 * SECOND);
    assert_eq!(
        house.readings("T"),
        [(0, 20.0), (HOUR - half_a_minute, 21.0)]
    );
}

#[test]
fn a_clock_that_was_set_a_year_ahead_and_back_closes_nothing_more_and_loses_nothing() {
    let mut house = House::at(NOON);
    house.publish(&[("sensors/a", &t(-HOUR))]);
    house.hand.set_wall(NOON + 365 * DAY);
    house.publish(&[]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 1.0, 1, true, 1)]);
    house.hand.set_wall(NOON);
    house.publish(&[("sensors/a", &t(-2 * HOUR))]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 2.0, 2, true, 2)]);
    house.hand.set_wall(NOON + DAY);
    house.publish(&[("sensors/a", &t(DAY - HOUR))]);
    let today = ("2026-06-02".into(), 1.0, 1, false, 0);
    assert_eq!(house.days("W1")[1], today, "site time went back");
    assert_eq!(house.clock.jumps(), 3);
    house.crash();
    assert_eq!(house.days("W1")[1], today);
}

#[test]
fn a_clock_that_loses_a_leap_second_in_a_day_is_not_seen_to_jump() {
    let mut house = House::at(NOON);
    for hour in 1..=24 {
        // 11.6 millionths: a second in a day.
        house.hand.advance(60 * MINUTE_MS);
        house.hand.set_wall(NOON + hour * (HOUR - 1000 / 24));
        house.publish(&[]);
    }
    assert_eq!(house.clock.jumps(), 0);
}

const MINUTE_MS: u32 = 60_000;

#[test]
fn a_local_time_that_was_not_one_instant_is_flagged_through_seals_and_kills() {
    let mut house = House::at(NOON + 365 * DAY);
    // Athens: 2026-10-25 03:30 happened twice, 2027-03-28 03:30 never.
    for local in ["2026-10-25 03:30:00", "2027-03-28 03:30:00"] {
        let message = format!(r#"{{"name":"Wtot","timestamp":"{local}","value":1}}"#);
        house.publish(&[("sensors/a", &message)]);
    }
    for _ in 0..2 {
        let flags: Vec<_> = house.history("Wtot").iter().map(|l| l.flag).collect();
        assert_eq!(flags, [Some(Flag::Ambiguous), Some(Flag::Shifted)]);
        house.seal();
        house.crash();
    }
}

#[test]
fn days_of_23_and_25_hours_expect_as_many_readings_and_close_at_their_ends() {
    for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)] {
        let midnight = clock_house::athens_midnight(day);
        let mut house = House::at(midnight);
        house.publish(&[("sensors/a", &w1(midnight + HOUR))]);
        house.hand.set_wall(midnight + HOUR);
        house.publish(&[("sensors/a", &w1(midnight + HOUR))]);
        let end = midnight + hours * HOUR;
        house.hand.set_wall(end + 15 * MINUTE - 1);
        house.publish(&[("sensors/a", &w1(end))]);
        let row = house.row("W1", day);
        assert_eq!(
            (row.expected, row.count),
            (Some(u32::try_from(hours).expect("small")), 2)
        );
        assert!(row.closed, "its newest reading is at its end");
        house.publish(&[("sensors/a", &w1(midnight))]);
        assert_eq!(
            house.row("W1", day).count,
            2,
            "midnight is the day before's"
        );
    }
}

#[test]
fn the_oldest_of_too_many_that_wait_is_a_dead_letter() {
    const MOST: usize = 100_000;
    let mut house = House::at(IN_1970);
    let messages: Vec<_> = (0..MOST + 2).map(|n| (n % 100).to_string()).collect();
    let messages: Vec<_> = messages.iter().map(|m| ("plain/N", m.as_str())).collect();
    for some in messages.chunks(8192) {
        house.publish(some);
    }
    assert_eq!(house.waits(), MOST as u64);
    assert_eq!(house.reasons(), ["too_many_wait", "too_many_wait"]);
    let counters = house.counters();
    assert_eq!((counters.received, counters.dead_letter), (2, 2));
    house.seal();
    house.crash();
    house.hand.set_wall(NOON);
    house.publish(&[]);
    assert_eq!((house.waits(), house.counters().accepted), (0, MOST as u64));
}

#[test]
fn event_mode_asks_no_clock() {
    let mut house = House::with(&clock_house::HOME.replace("\"wall\"", "\"event\""), IN_1970);
    house.publish(&[("sensors/a", &t(400 * DAY))]);
    house.publish(&[("plain/T", "20")]);
    assert_eq!(house.waits(), 0);
    assert_eq!(house.readings("T"), [(400 * DAY, 20.0)]);
}

/// What happens to a house in the property below.
#[derive(Clone, Debug)]
enum Turn {
    /// A sensor's reading, hours from noon.
    Reading(usize, i64, u8),
    Commit,
    Seal,
    Kill,
}

fn turn() -> impl Strategy<Value = Turn> {
    let hours = prop_oneof![5 => -200..0_i64, 2 => 1..400_i64];
    prop_oneof![
        8 => (0..3_usize, hours, 0..4_u8).prop_map(|(s, h, v)| Turn::Reading(s, h, v)),
        4 => Just(Turn::Commit),
        1 => Just(Turn::Seal),
        1 => Just(Turn::Kill),
    ]
}

fn message(sensor: usize, hours: i64, value: u8) -> (String, bool) {
    let name = ["W1", "Wtot", "T"][sensor];
    let ms = NOON + hours * HOUR;
    let json = format!(r#"{{"name":"{name}","timestamp":{ms},"value":{value}.25}}"#);
    (json, hours > 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn rows_are_those_of_a_clock_that_was_right_from_the_start(
        before in prop::collection::vec(turn(), 0..10),
        turns in prop::collection::vec(turn(), 1..50),
    ) {
        let mut wrong = House::at(NOON);
        let mut right = House::at(NOON);
        let run = |house: &mut House, turns: &[Turn], knows: bool| {
            for turn in turns {
                match turn {
                    Turn::Reading(sensor, hours, value) => {
                        let (json, is_ahead) = message(*sensor, *hours, *value);
                        if !(knows && is_ahead) {
                            house.stage(&json);
                        }
                    }
                    Turn::Commit => house.commit_staged(),
                    Turn::Seal => { house.commit_staged(); house.seal(); }
                    Turn::Kill => { house.commit_staged(); house.crash(); }
                }
            }
            house.commit_staged();
        };
        run(&mut wrong, &before, true);
        run(&mut right, &before, true);
        wrong.hand.set_trust(Some(Trust::Unknown));
        run(&mut wrong, &turns, false);
        run(&mut right, &turns, true);
        wrong.hand.set_trust(None);
        wrong.commit_staged();
        right.commit_staged();
        prop_assert_eq!(wrong.rows(), right.rows());
        let counters = wrong.counters();
        let parts = [
            counters.accepted, counters.duplicate, counters.corrected, counters.late,
            counters.dead_letter,
        ];
        prop_assert_eq!(counters.received, parts.iter().sum::<u64>());
        wrong.crash();
        prop_assert_eq!(wrong.rows(), right.rows(), "out of the log");
        wrong.seal();
        wrong.crash();
        prop_assert_eq!(wrong.rows(), right.rows(), "sealed");
    }
}

fn cases() -> u32 {
    if std::env::var_os("SLUICE_LONG").is_some() {
        400
    } else {
        16
    }
}
