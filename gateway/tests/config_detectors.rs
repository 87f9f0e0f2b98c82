//! What `[[detector]]` sets: the first section that names a thing decides it, people's units become the
//! engine's, and the detectors themselves do otherwise for it.

use engine::Calendar;
use engine::detect::parameters::DayRule;
use engine::detect::{
    Change, Counts, Detector, Flag, House, HouseSpec, Known, MemberSpec, Parameters, PersistRule,
    Resource, Rests, Rule, Taken,
};
use gateway::config::{Config, Tuning};

fn tuning(text: &str) -> Tuning {
    match Config::parse(text, "sluice.toml") {
        Ok(config) => config.detectors,
        Err(problems) => panic!("{text}\n{problems}"),
    }
}

/// What raised first on a meter that never passes less than 20 L/h, within three weeks.
fn first_raised(tuning: &Tuning) -> Option<(Detector, Rule)> {
    const QUARTER_MS: i64 = 900_000;
    let counts = Counts::Register {
        modulus_milli: None,
        max_rate_milli: None,
    };
    let known = Known {
        counts,
        interval_ms: Some(QUARTER_MS),
        resolution_milli: Some(1000),
    };
    let mut house = House::new(HouseSpec {
        calendar: Calendar::new(chrono_tz::UTC),
        resource: Resource::Water,
        members: vec![MemberSpec {
            known,
            rests: Rests::Learned,
            normal: Vec::new(),
        }],
        normal: Vec::new(),
        parameters: tuning.parameters("meter"),
    });
    let mut litres = 1000;
    (0..20 * 96).find_map(|quarter| {
        // A week in which nights are still, so that the meter is known to rest.
        let is_still = quarter < 7 * 96 && quarter % 96 < 24;
        litres += if is_still { 0 } else { 5 };
        let taken = house.put(0, quarter * QUARTER_MS, litres * 1000);
        assert_ne!(taken, Taken::Beyond);
        house.settle().into_iter().find_map(|change| match change {
            Change::Raised(finding) => Some((finding.detector, finding.rule)),
            Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => None,
        })
    })
}

#[test]
fn without_a_section_the_detectors_are_as_they_were_measured() {
    let none = tuning("");
    assert_eq!(none, Tuning::default());
    assert_eq!(none.parameters("W1"), Parameters::default());
    assert!(none.is_enabled("persist", "W1"));
    assert_eq!(none.dwell_ms("persist", "W1"), 0);
    assert_eq!(none.flag_of("W1"), None);
}

#[test]
fn the_first_section_that_names_a_thing_decides_it_and_only_it() {
    let tuning = tuning(
        r#"
[[detector]]
kind = "persist"
subject = "*/W1"
critical_from = 5
[[detector]]
kind = "silent"
intervals = 9
[[detector]]
kind = "persist"
subject = "h1/*"
critical_from = 7
rejoin = "2d"
enabled = false
[[detector]]
kind = "persist"
critical_from = 9
rejoin = "1d"
dwell = "15m"
enabled = true
"#,
    );
    let of = |subject: &str| {
        let persist = tuning.parameters(subject).persist;
        (
            persist.critical_from,
            persist.rejoin_ms / 86_400_000,
            tuning.is_enabled("persist", subject),
            tuning.dwell_ms("persist", subject) / 60_000,
        )
    };
    assert_eq!(of("h1/W1"), (5.0, 2, false, 15));
    assert_eq!(of("h2/W1"), (5.0, 1, true, 15));
    assert_eq!(of("h1/W2"), (7.0, 2, false, 15));
    assert_eq!(of("water"), (9.0, 1, true, 15));
    assert_eq!(tuning.parameters("water").silent.intervals, 9);
    assert!(tuning.is_enabled("commissioning", "h1/W2"), "another kind");
    assert_eq!(tuning.dwell_ms("away", "h1/W2"), 0, "another kind");
}

#[test]
fn litres_and_durations_become_the_engines_thousandths_and_milliseconds() {
    let changed = tuning(
        r#"
[[detector]]
kind = "persist"
window = "2h"
part_error = 0.1
[[detector]]
kind = "balance"
floor = 0.75
[[detector]]
kind = "base_load"
light_raise_at = 20
heavy_days = 5
least_shift = 15
[[detector]]
kind = "day_shock"
least = 1200
[[detector]]
kind = "away"
still = "20h"
flow_hours = 8
flow_above = 2.5
"#,
    );
    let mut expected = Parameters::default();
    expected.persist.window_ms = 7_200_000;
    expected.persist.part_error_permille = 100;
    expected.balance.floor_milli = 750;
    expected.energy.floor_milli = 750;
    expected.base_load.light.raise_at = 20.0;
    expected.base_load.heavy.days = 5;
    expected.base_load.least_shift_milli = 15_000;
    expected.day_shock.least_milli = 1_200_000;
    expected.away.still_ms = 72_000_000;
    expected.away.flow.hours = 8;
    expected.away.flow.above = 2.5;
    assert_eq!(changed.parameters("anything"), expected);
}

#[test]
fn a_rule_that_the_list_leaves_out_is_never_raised() {
    let (loud, far) = ("{ days = 2, above = 2.0 }", "{ hours = 36, above = 5000 }");
    let persist = |day: &str, hour: &str| {
        tuning(&format!(
            "[[detector]]\nkind = \"persist\"\nday_rules = [{day}]\nhour_rules = [{hour}]"
        ))
    };
    let raised = |rule| Some((Detector::Persist, Rule::Persist(rule)));
    let eighteen_hours = PersistRule::Hour(4);
    assert_eq!(first_raised(&Tuning::default()), raised(eighteen_hours));
    assert_eq!(
        first_raised(&persist(loud, far)),
        raised(PersistRule::Day(0))
    );
    let high = "{ days = 2, above = 500 }";
    assert_eq!(first_raised(&persist(high, far)), None);
}

#[test]
fn rules_stand_as_written_those_of_hours_in_ascending_order() {
    let tuning = tuning(
        r#"
[[detector]]
kind = "persist"
hour_rules = [{ hours = 24, above = 9 }, { hours = 6, above = 80.5 }]
[[detector.day_rules]]
days = 4
above = 1.25
quantile = 0.9
"#,
    );
    let persist = tuning.parameters("W1").persist;
    let first = DayRule {
        days: 4,
        above: 1.25,
        quantile: Some(0.9),
    };
    assert_eq!(persist.day_rules[0], first);
    assert!(
        persist.day_rules[1..]
            .iter()
            .all(|rule| rule.above.is_infinite())
    );
    let hours = persist.hour_rules.map(|rule| (rule.hours, rule.above));
    assert_eq!(hours[..2], [(6, 80.5), (24, 9.0)]);
    assert!(hours[2..].iter().all(|rule| *rule == (24, f64::INFINITY)));
    let windows = persist.hour_rules.map(|rule| rule.window_ms);
    assert_eq!(
        windows,
        Parameters::default()
            .persist
            .hour_rules
            .map(|rule| rule.window_ms)
    );
}

#[test]
fn a_sensor_is_a_devices_own_word_by_the_first_section_that_says_so() {
    let tuning = tuning(
        r#"
[[detector]]
kind = "flag"
subject = "*/burst"
flag = "burst"
dwell = "1m"
[[detector]]
kind = "flag"
subject = "bath/**"
flag = "flood"
"#,
    );
    assert_eq!(tuning.flag_of("bath/burst"), Some(Flag::Burst));
    assert_eq!(tuning.flag_of("bath/floor"), Some(Flag::Flood));
    assert_eq!(tuning.flag_of("bath"), None);
    assert_eq!(tuning.dwell_ms("flag", "bath/burst"), 60_000);
    assert_eq!(tuning.dwell_ms("flag", "bath/floor"), 0);
}

/// The worked examples of the documentation.
fn examples() -> Vec<&'static str> {
    let page = include_str!("../../docs/DETECTORS.md");
    let (_, examples) = page
        .split_once("## Three examples")
        .expect("there they are");
    let blocks = examples.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().expect("split gives one at least"))
        .collect()
}

#[test]
fn the_examples_of_the_documentation_do_what_they_say() {
    let [softener, garden, coarse] = examples()[..] else {
        panic!("three examples");
    };
    let parameters = |text: &str, subject: &str| tuning(text).parameters(subject);
    assert_eq!(parameters(softener, "water").away.flow.hours, 10);
    assert_eq!(parameters(softener, "other"), Parameters::default());
    let of_garden = tuning(garden);
    for (kind, subject, is_enabled) in [
        ("high_flow", "garden", false),
        ("high_flow", "Wtot", true),
        ("daily", "garden", false),
        ("persist", "garden", true),
    ] {
        assert_eq!(
            of_garden.is_enabled(kind, subject),
            is_enabled,
            "{kind} {subject}"
        );
    }
    assert_eq!(parameters(garden, "water").day_shock.least_milli, 4_000_000);
    assert_eq!(
        parameters(garden, "water").persist.hour_rules[0].above,
        1200.0
    );
    assert_eq!(parameters(coarse, "cellar").persist.window_ms, 21_600_000);
    assert_eq!(parameters(coarse, "cellar").daily.floor_milli, 5000);
}
