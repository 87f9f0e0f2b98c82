//! A house with a clock that can be moved, set, stopped and not believed: what a site makes of
//! messages, commit by commit.

#![allow(unreachable_pub, reason = "it is a part of test binaries")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::{Day, DayRow, DiffRow};
use gateway::clock::{Clock, ManualClock};
use gateway::config::Config;
use gateway::ingest::Site;
use gateway::store::{Counters, Logged, Options, Store};

pub const NOON: i64 = 1_780_315_200_000; // 2026-06-01T12:00:00Z
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// For [`ManualClock::advance`].
pub const SECOND: u32 = 1_000;

pub const HOME: &str = r#"
    [site]
    timezone = "Europe/Athens"
    [time]
    clock = "wall"
    [[source]]
    topic = "sensors/#"
    sensor = "/name"
    time = "/timestamp"
    [[source]]
    topic = "plain/#"
    format = "number"
    [[sensor]]
    name = "Wtot"
    kind = "meter"
    [[sensor]]
    name = "W1"
    kind = "delta"
    interval = "1h"
    [[sensor]]
    name = "T"
    kind = "gauge"
    min = -40.0
    max = 80.0
    [[sensor]]
    name = "N"
    kind = "gauge"
    [[balance]]
    name = "water"
    meter = "Wtot"
    parts = ["W1"]
"#;

pub struct House {
    directory: tempfile::TempDir,
    config: Arc<Config>,
    open: Option<(Store, Site)>,
    staged: Vec<String>,
    pub clock: Clock,
    pub hand: ManualClock,
}

impl House {
    pub fn at(wall_ms: i64) -> Self {
        Self::with(HOME, wall_ms)
    }

    pub fn with(config: &str, wall_ms: i64) -> Self {
        let config = Config::parse(config, "home").expect("a valid configuration");
        let (clock, hand) = Clock::manual(wall_ms);
        let mut house = Self {
            directory: tempfile::tempdir().expect("a directory"),
            config: Arc::new(config),
            open: None,
            staged: Vec::new(),
            clock,
            hand,
        };
        house.open = Some(open(house.directory.path(), &house.config, &house.clock));
        house
    }

    /// Leaves everything as it is on disk and opens it again.
    pub fn crash(&mut self) {
        self.open = None;
        self.open = Some(open(self.directory.path(), &self.config, &self.clock));
    }

    pub fn seal(&mut self) {
        let (store, site) = self.open.as_mut().expect("open");
        let _sealed = site.seal(store).expect("sealed");
    }

    /// Publishes messages in one commit.
    pub fn publish(&mut self, messages: &[(&str, &str)]) {
        let (store, site) = self.open.as_mut().expect("open");
        site.begin(&self.clock);
        site.reckon(store).expect("reckoned");
        for (topic, payload) in messages {
            let verdict = self.config.sources.decode(topic, payload.as_bytes());
            site.take(topic, payload.as_bytes(), &verdict, store)
                .expect("judged");
        }
        site.settle(store).expect("settled");
        site.commit(store, &[]).expect("committed");
    }

    /// Has a message wait for the next commit.
    pub fn stage(&mut self, json: &str) {
        self.staged.push(json.to_owned());
    }

    pub fn commit_staged(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        let messages: Vec<_> = staged.iter().map(|m| ("sensors/a", m.as_str())).collect();
        self.publish(&messages);
    }

    fn store(&self) -> &Store {
        &self.open.as_ref().expect("open").0
    }

    fn number(&self, sensor: &str) -> Option<engine::SensorId> {
        self.open.as_ref().expect("open").1.registry().find(sensor)
    }

    fn day_rows(&self, sensor: &str) -> Vec<(Day, DayRow, Option<DiffRow>)> {
        let Some(id) = self.number(sensor) else {
            return Vec::new();
        };
        let days = self.store().view().days(id, None, None).expect("days");
        let row = |(day, state): (Day, engine::SensorDay)| (day, state.row, state.diff);
        days.into_iter().map(row).collect()
    }

    /// Day, value, count, closed and revision of each of a sensor's days.
    pub fn days(&self, sensor: &str) -> Vec<(String, f64, u32, bool, u32)> {
        let rows = self.day_rows(sensor).into_iter();
        rows.map(|(day, row, _)| {
            (
                day.to_string(),
                row.value,
                row.count,
                row.closed,
                row.revision,
            )
        })
        .collect()
    }

    pub fn row(&self, sensor: &str, day: &str) -> DayRow {
        let rows = self.day_rows(sensor).into_iter();
        let mut rows = rows.filter(|(d, ..)| d.to_string() == day);
        rows.next().expect("a row of that day").1
    }

    /// Every row but for what closing adds, as text: floats print as one text for one value.
    pub fn rows(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for sensor in ["W1", "Wtot", "T"] {
            for (day, row, diff) in self.day_rows(sensor) {
                let row = DayRow {
                    closed: false,
                    revision: 0,
                    ..row
                };
                let diff = diff.map(|diff| (diff.value, diff.kind));
                all.insert(format!("{sensor} {day}"), format!("{row:?} {diff:?}"));
            }
        }
        let view = self.store().view();
        for (id, name) in view.balances().expect("balances") {
            for (day, row) in view.rests(id, None, None).expect("rests") {
                let told = (row.value, row.meter, row.parts, row.coverage.len());
                all.insert(format!("{name} {day}"), format!("{told:?}"));
            }
        }
        all
    }

    /// A sensor's readings: ms from noon, and the value.
    pub fn readings(&self, sensor: &str) -> Vec<(i64, f64)> {
        let id = self.number(sensor).expect("known");
        let readings = self.store().view().readings(id, None, None, None, 1000);
        let readings = readings.expect("readings").into_iter();
        readings.map(|r| (r.time.ms() - NOON, r.value)).collect()
    }

    /// Everything that arrived of a sensor.
    pub fn history(&self, sensor: &str) -> Vec<Logged> {
        let id = self.number(sensor).expect("known");
        let history = self.store().view().history(id, 0, i64::MAX);
        history.expect("a history")
    }

    pub fn counters(&self) -> Counters {
        self.store().view().totals().expect("totals").counters
    }

    pub fn waits(&self) -> u64 {
        self.store().view().totals().expect("totals").waits
    }

    /// The code of each dead letter's reason.
    pub fn reasons(&self) -> Vec<String> {
        let letters = self.store().view().letters(None, 1000);
        let letters = letters.expect("letters").into_iter();
        let code = |reason: String| reason.split(':').next().unwrap_or_default().to_owned();
        letters.map(|letter| code(letter.reason)).collect()
    }
}

fn open(directory: &Path, config: &Arc<Config>, clock: &Clock) -> (Store, Site) {
    let mut store = Store::open(directory, &Options::default()).expect("a sound store");
    let site = Site::open(&mut store, Arc::clone(config), clock).expect("the same configuration");
    (store, site)
}

/// A reading of 1 L at that instant.
pub fn w1(ms: i64) -> String {
    format!(r#"{{"name":"W1","timestamp":{ms},"value":1}}"#)
}

/// When that day begins in Athens.
pub fn athens_midnight(day: &str) -> i64 {
    let local = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").expect("a day");
    let local = local.and_hms_opt(0, 0, 0).expect("a time");
    let instant = local.and_local_timezone(chrono_tz::Europe::Athens);
    instant.earliest().expect("it exists").timestamp_millis()
}
