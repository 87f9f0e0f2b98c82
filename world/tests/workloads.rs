//! Any workload of the simulator, in any order of arrival: through real MQTT into a gateway, the
//! rows of its HTTP API are the reference's, to the last bit.
//!
//! `SLUICE_LONG=1` takes longer runs of more homes from more seeds.

mod house;

use chrono::NaiveDate;
use chrono_tz::Tz;
use gateway::config::{Config, HOME};
use gateway::source::Sources;
use house::House;
use simulator::publish::{self, Options, Speed};
use simulator::{Broker, Late, Leak, Scenario};
use world::arrival::{Disorder, Line, disordered, lines, payloads};
use world::courier::{Courier, Pause};
use world::dice::Dice;
use world::mqtt::Qos;
use world::reference::{Results, compute, seed_home};
use world::rows::Rows;

/// Unacknowledged publishes of a courier.
const WINDOW: usize = 200;
/// Lines that a home sends in a quarter of an hour, and a bit.
const QUARTER: usize = 8;
/// Likewise in a day.
const DAY: usize = 96 * QUARTER;

struct Case {
    seed: u64,
    homes: u32,
    days: u32,
    leaks: &'static [&'static str],
}

/// What leaks is drawn into the rows: a rest is never zero, and differs from day to day.
const CASES: [Case; 6] = [
    Case {
        seed: 1,
        homes: 1,
        days: 14,
        leaks: &["main:5L/h@2020-01-03T03:00+2d"],
    },
    Case {
        seed: 2,
        homes: 2,
        days: 10,
        leaks: &[
            "branch:12L/h@2020-01-04T22:30+30h",
            "base:40W@2020-01-02T00:00+5d",
        ],
    },
    // From here on in the long form only.
    Case {
        seed: 3,
        homes: 3,
        days: 40,
        leaks: &["h0002/main:1L/h@2020-01-10T00:00+20d"],
    },
    Case {
        seed: 4,
        homes: 1,
        days: 40,
        leaks: &[],
    },
    Case {
        seed: 5,
        homes: 3,
        days: 30,
        leaks: &[
            "base:200W@2020-01-02T10:00+9d",
            "main:60L/h@2020-01-20T12:00+3h",
        ],
    },
    Case {
        seed: 6,
        homes: 2,
        days: 33,
        leaks: &["branch:3L/h@2020-01-15T00:00+10d"],
    },
];
const SHORT: usize = 2;

fn cases() -> &'static [Case] {
    if world::long() {
        &CASES
    } else {
        &CASES[..SHORT]
    }
}

impl Case {
    fn lines(&self) -> Vec<Line> {
        eprintln!(
            "seed {}: {} homes, {} days",
            self.seed, self.homes, self.days
        );
        let leaks = self.leaks.iter().map(|spec| spec.parse::<Leak>());
        lines(&Scenario {
            homes: self.homes,
            days: self.days,
            seed: self.seed,
            late: Late::Paper,
            leaks: leaks
                .collect::<Result<_, _>>()
                .expect("specs as the contract writes them"),
            ..Scenario::default()
        })
    }

    /// As many lines of the whole workload as `lines` of one home are.
    fn across_homes(&self, lines: usize) -> usize {
        lines * usize::try_from(self.homes).expect("a few homes")
    }
}

fn referred(lines: &[Line]) -> Results {
    compute(&seed_home(Tz::UTC), payloads(lines))
}

/// Sends the lines in their order over one connection, and holds what comes out against the
/// reference's reading of the same lines.
async fn assert_as_the_reference(lines: Vec<Line>, what: &str) -> Rows {
    assert_as_the_reference_in(Tz::UTC, lines, what).await
}

/// The seed home's source with the site's zone in it.
fn local_times(zone: Tz) -> Sources {
    let config = HOME.replace("timezone = \"UTC\"", &format!("timezone = \"{zone}\""));
    let config = Config::parse(&config, "home.toml").expect("a zone of the database");
    config.sources
}

async fn assert_as_the_reference_in(zone: Tz, lines: Vec<Line>, what: &str) -> Rows {
    let expected = compute(&seed_home(zone), payloads(&lines));
    let house = House::with(|config| {
        config.site.timezone = zone;
        config.sources = local_times(zone);
    })
    .await;
    let mut courier = Courier::new("world", Qos::One, WINDOW, lines);
    assert_eq!(courier.deliver(house.mqtt, usize::MAX).await, Pause::Done);
    let rows = Rows::of(&house.api).await;
    rows.assert_equal(&Rows::expected(&expected), what);
    let counters = serde_json::to_value(expected.counters).expect("numbers");
    assert_eq!(house.api.counters().await, counters, "{what}");
    house.stop().await;
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn as_the_simulator_sends_them() {
    for case in cases() {
        let what = format!("seed {}", case.seed);
        assert_as_the_reference(case.lines(), &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_within_half_a_day_they_give_the_same_rows() {
    for case in cases() {
        let what = format!("seed {} shuffled", case.seed);
        let lines = case.lines();
        let jitter = case.across_homes(DAY / 2);
        let shuffled = disordered(
            &lines,
            Disorder::shuffled(jitter),
            &mut Dice::new(case.seed),
        );
        assert_ne!(shuffled, lines);
        let in_order = Rows::expected(&referred(&lines));
        let rows = assert_as_the_reference(shuffled, &what).await;
        rows.assert_equal(&in_order, &what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicated_and_delayed_beyond_the_allowed_lateness() {
    for case in cases() {
        let what = format!("seed {} duplicated and delayed", case.seed);
        let disorder = Disorder {
            jitter: case.across_homes(QUARTER),
            delay_one_in: 50,
            delay: case.across_homes(9 * DAY),
            repeat_one_in: 5,
            repeat_within: case.across_homes(9 * DAY),
        };
        let lines = case.lines();
        let came = disordered(&lines, disorder, &mut Dice::new(case.seed));
        assert!(came.len() > lines.len());
        let counters = referred(&came).counters;
        assert!(
            [counters.duplicate, counters.corrected, counters.late]
                .iter()
                .all(|count| *count > 0),
            "the disorder is none: {counters:?}"
        );
        assert_as_the_reference(came, &what).await;
    }
}

/// The simulator's midnights are UTC's: here they fall within the day, and its local times into
/// the hour that is skipped and the one that comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn across_the_clock_changes_of_a_zone() {
    for (zone, start) in [
        (Tz::Europe__Athens, (2020, 3, 26)),
        (Tz::Europe__Athens, (2020, 10, 22)),
        (Tz::America__St_Johns, (2020, 3, 5)),
        (Tz::Australia__Lord_Howe, (2020, 4, 2)),
    ] {
        let (year, month, day) = start;
        let lines = lines(&Scenario {
            days: 6,
            start: NaiveDate::from_ymd_opt(year, month, day).expect("a day of 2020"),
            ..Scenario::default()
        });
        assert_as_the_reference_in(zone, lines, &format!("{zone} from {start:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_the_simulator_publishes_several_homes_over_a_connection_each() {
    let scenario = Scenario {
        homes: 3,
        days: 5,
        seed: 8,
        ..Scenario::default()
    };
    let expected = referred(&lines(&scenario));
    let house = House::with(|_| {}).await;
    let options = Options {
        speed: Speed::Max,
        clients: scenario.homes,
        ..Options::to(Broker {
            host: house.mqtt.ip().to_string(),
            port: house.mqtt.port(),
        })
    };
    let report = publish::run(&scenario, &options, |_| {}).await;
    assert_eq!(
        report.expect("nothing is in its way").messages,
        scenario.total()
    );
    let rows = Rows::of(&house.api).await;
    rows.assert_equal(&Rows::expected(&expected), "published");
    house.stop().await;
}
