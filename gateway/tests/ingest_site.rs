//! What a site makes of messages: the clock, the policies, a changed configuration, a crash.

use std::path::Path;
use std::sync::Arc;

use gateway::clock::{Clock, ManualClock};
use gateway::config::Config;
use gateway::ingest::{Command, Order, Registry, Site, SiteError};
use gateway::store::{Options, Store};

const NOON: i64 = 1_780_315_200_000; // 2026-06-01T12:00:00Z
const MINUTE: u32 = 60_000;
const HOUR: u32 = 60 * MINUTE;

const HOME: &str = r#"
    [site]
    timezone = "Europe/Athens"
    [[source]]
    topic = "sensors/#"
    sensor = "/name"
    time = "/timestamp"
    id = "/id"
    [[source]]
    topic = "plain/#"
    format = "number"
    [[sensor]]
    name = "Wtot"
    kind = "meter"
    [[sensor]]
    name = "W1"
    kind = "delta"
    [[sensor]]
    name = "first"
    kind = "gauge"
    on_conflict = "keep"
    [[sensor]]
    name = "both"
    kind = "event"
    on_conflict = "add"
    [[sensor]]
    name = "T"
    kind = "gauge"
    min = -40.0
    max = 80.0
"#;

struct House {
    directory: tempfile::TempDir,
    open: Option<(Store, Site)>,
    clock: Clock,
    hand: ManualClock,
}

impl House {
    fn new(config: &str) -> Self {
        Self::at(config, NOON)
    }

    fn at(config: &str, wall_ms: i64) -> Self {
        let (clock, hand) = Clock::manual(wall_ms);
        let directory = tempfile::tempdir().expect("a directory");
        let open = open(directory.path(), config, &clock).expect("a new store");
        Self {
            directory,
            open: Some(open),
            clock,
            hand,
        }
    }

    /// Leaves everything as it is on disk and opens it again.
    fn crash(&mut self, config: &str) -> Result<(), SiteError> {
        self.open = None;
        self.open = Some(open(self.directory.path(), config, &self.clock)?);
        Ok(())
    }

    /// Publishes messages in one commit.
    fn publish(&mut self, messages: &[(&str, &str)]) {
        let (store, site) = self.open.as_mut().expect("open");
        let config = Config::parse(HOME, "home").expect("valid");
        site.begin(&self.clock);
        site.reckon(store).expect("reckoned");
        for (topic, payload) in messages {
            let verdict = config.sources.decode(topic, payload.as_bytes());
            site.take(topic, payload.as_bytes(), &verdict, store)
                .expect("judged");
        }
        site.settle(store).expect("settled");
        site.commit(store, &[]).expect("committed");
    }

    fn registry(&self) -> &Registry {
        self.open.as_ref().expect("open").1.registry()
    }

    /// Day, value, count, closed and revision of each of a sensor's days.
    fn days(&self, sensor: &str) -> Vec<(String, f64, u32, bool, u32)> {
        let (store, site) = self.open.as_ref().expect("open");
        let Some(id) = site.registry().find(sensor) else {
            return Vec::new();
        };
        let days = store.view().days(id, None, None).expect("days");
        let row = |(day, state): (engine::Day, engine::SensorDay)| {
            let row = state.row;
            (
                day.to_string(),
                row.value,
                row.count,
                row.closed,
                row.revision,
            )
        };
        days.into_iter().map(row).collect()
    }

    fn reasons(&self) -> Vec<String> {
        let letters = self
            .open
            .as_ref()
            .expect("open")
            .0
            .view()
            .letters(None, 100);
        let letters = letters.expect("letters").into_iter();
        let code = |reason: String| reason.split(':').next().unwrap_or_default().to_owned();
        letters.map(|letter| code(letter.reason)).collect()
    }
}

fn open(directory: &Path, config: &str, clock: &Clock) -> Result<(Store, Site), SiteError> {
    let config = Arc::new(Config::parse(config, "home").expect("a valid configuration"));
    let mut store = Store::open(directory, &Options::default()).expect("a sound store");
    let site = Site::open(&mut store, config, clock)?;
    Ok((store, site))
}

fn w1(time: &str, value: f64) -> String {
    format!(r#"{{"name":"W1","timestamp":"{time}","value":{value}}}"#)
}

#[test]
fn a_reading_ahead_of_the_clock_is_refused_within_its_tolerance_it_counts() {
    let mut house = House::new(HOME);
    house.publish(&[
        ("sensors/a", &w1("2026-06-01T12:10:00Z", 1.0)),
        ("sensors/a", &w1("2026-06-01T12:10:00.001Z", 2.0)),
    ]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 1.0, 1, false, 0)]);
    assert_eq!(house.reasons(), ["future_time"]);
}

#[test]
fn a_clock_that_is_not_set_judges_and_closes_nothing() {
    let mut house = House::at(HOME, 86_400_000); // 1970
    house.publish(&[("sensors/a", &w1("2026-05-01T12:00:00Z", 1.0))]);
    assert_eq!(house.days("W1"), [("2026-05-01".into(), 1.0, 1, false, 0)]);
    house.hand.set_wall(NOON);
    house.publish(&[]);
    assert_eq!(house.days("W1"), [("2026-05-01".into(), 1.0, 1, true, 1)]);
}

#[test]
fn a_day_closes_a_grace_after_its_end_and_stays_closed_through_a_crash() {
    let mut house = House::new(HOME);
    house.publish(&[("sensors/a", &w1("2026-06-01T11:00:00Z", 1.0))]);
    // Athens is three hours ahead: its day ends at 21:00 UTC.
    house.hand.advance(9 * HOUR + 14 * MINUTE);
    house.publish(&[]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 1.0, 1, false, 0)]);
    house.hand.advance(MINUTE);
    house.publish(&[]);
    let closed = [("2026-06-01".to_owned(), 1.0, 1, true, 1)];
    assert_eq!(house.days("W1"), closed);
    house.hand.set_wall(86_400_000);
    house.crash(HOME).expect("the same configuration");
    assert_eq!(house.days("W1"), closed);
    house.publish(&[("sensors/a", &w1("2026-06-01T10:00:00Z", 0.5))]);
    assert_eq!(house.days("W1"), [("2026-06-01".into(), 1.5, 2, true, 2)]);
}

#[test]
fn a_reading_without_a_time_is_stamped_on_arrival() {
    let mut house = House::new(HOME);
    house.publish(&[("plain/T", "21.5")]);
    let id = house.registry().find("T").expect("known");
    let last = house.registry().sensor(id).last.expect("a reading");
    assert_eq!((last.0.ms(), last.1), (NOON, 21.5));
}

#[test]
fn each_refusal_is_a_letter_with_its_reason() {
    let mut house = House::new(HOME);
    house.publish(&[
        ("plain/T", "80.5"),
        ("plain/T", "-41"),
        ("plain/T", "warm"),
        ("plain/nobody", "1"),
        ("sensors/a", "not json"),
        ("sensors/a", &w1("1999-12-31T23:59:59Z", 1.0)),
        (
            "sensors/a",
            r#"{"name":"both","timestamp":"2026-06-01T11:00:00Z","value":1}"#,
        ),
        ("elsewhere", "1"),
    ]);
    assert_eq!(
        house.reasons(),
        [
            "range_max",
            "range_min",
            "not_a_number",
            "unknown_sensor",
            "not_json",
            "time_out_of_range",
            "missing_id",
        ]
    );
}

#[test]
fn contradictions_are_replaced_kept_or_added_as_the_sensor_says() {
    let mut house = House::new(HOME);
    let say = |name: &str, id: u32, value: f64| {
        format!(
            r#"{{"name":"{name}","timestamp":"2026-06-01T11:00:00Z","value":{value},"id":{id}}}"#
        )
    };
    for name in ["W1", "first", "both"] {
        for (id, value) in [(1, 1.0), (2, 2.0), (2, 2.0)] {
            house.publish(&[("sensors/a", &say(name, id, value))]);
        }
    }
    let sum = |house: &House, name| {
        let days = house.days(name);
        (days[0].1, days[0].2)
    };
    assert_eq!(sum(&house, "W1"), (2.0, 1));
    assert_eq!(sum(&house, "first"), (1.0, 1));
    assert_eq!(sum(&house, "both"), (3.0, 2));
    assert_eq!(house.reasons(), ["conflict_kept", "conflict_kept"]);
    let counters = house
        .open
        .as_ref()
        .expect("open")
        .0
        .view()
        .totals()
        .expect("totals")
        .counters;
    assert_eq!(
        (counters.accepted, counters.corrected, counters.duplicate),
        (4, 1, 2)
    );
    house.crash(HOME).expect("the same configuration");
    assert_eq!(sum(&house, "both"), (3.0, 2));
}

#[test]
fn a_balance_that_is_configured_later_gets_the_days_before() {
    let mut house = House::new(HOME);
    let wtot = |day: u32, value: f64| {
        format!(r#"{{"name":"Wtot","timestamp":"2026-05-{day:02}T12:00:00Z","value":{value}}}"#)
    };
    house.publish(&[
        ("sensors/a", &wtot(1, 100.0)),
        ("sensors/a", &wtot(2, 210.0)),
        ("sensors/a", &w1("2026-05-02T10:00:00Z", 40.0)),
    ]);
    let with = format!("{HOME}\n[[balance]]\nname = \"water\"\nmeter = \"Wtot\"\nparts = [\"W1\"]");
    house.crash(&with).expect("more is no contradiction");
    let view = house.open.as_ref().expect("open").0.view();
    let (water, name) = view.balances().expect("balances").remove(0);
    let rests = view.rests(water, None, None).expect("rests");
    assert_eq!(name, "water");
    assert_eq!(rests.len(), 1);
    assert_eq!(
        (rests[0].0.to_string().as_str(), rests[0].1.value),
        ("2026-05-02", 70.0)
    );
}

#[test]
fn a_time_zone_that_would_move_days_is_refused() {
    let mut house = House::new(HOME);
    house.publish(&[("sensors/a", &w1("2026-06-01T11:00:00Z", 1.0))]);
    house.seal();
    let moved = HOME.replace("Europe/Athens", "UTC");
    let refused = house.crash(&moved).expect_err("its days would be others");
    assert!(refused.to_string().contains("timezone"), "{refused}");
    house.crash(HOME).expect("put back");
    assert_eq!(house.days("W1").len(), 1);
}

#[test]
fn an_operator_corrects_what_nothing_else_could() {
    let mut house = House::new(HOME);
    house.publish(&[("sensors/a", &w1("2026-06-01T11:00:00Z", 1.0))]);
    let order = Order::Correct {
        sensor: "W1".into(),
        time: engine::EventTime::from_ms(NOON - 3_600_000).expect("in range"),
        value: 0.25,
    };
    let (store, site) = house.open.as_mut().expect("open");
    site.begin(&house.clock);
    let outcome = site
        .obey(&order, store)
        .expect("judged")
        .expect("carried out");
    site.settle(store).expect("settled");
    site.commit(store, &[]).expect("committed");
    assert_eq!((outcome.accepted, outcome.corrected), (0, 1));
    assert_eq!(house.days("W1")[0].1, 0.25);
    let unknown = Order::Correct {
        sensor: "W9".into(),
        time: engine::EventTime::from_ms(NOON).expect("in range"),
        value: 1.0,
    };
    let (store, site) = house.open.as_mut().expect("open");
    site.begin(&house.clock);
    let refused = site
        .obey(&unknown, store)
        .expect("judged")
        .expect_err("no such sensor");
    assert!(refused.to_string().contains("W9"));
    drop(Command::new(unknown));
}

impl House {
    fn seal(&mut self) {
        let (store, site) = self.open.as_mut().expect("open");
        let _sealed = site.seal(store).expect("sealed");
    }
}
