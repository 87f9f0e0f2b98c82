//! Facts out of the store: rows under their names, with the units and intervals of the
//! configuration.
//!
//! The store knows sensors by number and the configuration knows them by pattern; here the two meet.
//! It computes no number: what a day or a rest is, the engine has decided.

mod alerts;
mod explain;
mod range;
mod vitals;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use engine::{Calendar, Day as EngineDay, EventTime, SensorDay, SensorId, SensorSpec, Stamp};

use self::range::{days_of, instants_of};
pub use self::vitals::Vitals;
use super::reading::{Facts, Place, Readiness, Unreadable};
use crate::clock::{Clock, Trust};
use crate::config::{BrokerMode, ClockMode, Config, SensorRule};
use crate::ingest::Standing;
use crate::rows::when::{Date, Moment, Span};
use crate::rows::{
    Alert, BrokerStatus, ClockStatus, Counters, Day, Diff, Explanation, Late, Letter, Notice,
    Point, Reading, Rest, Sensor, Status, StoreStatus, UpstreamStatus, Word, flag_word,
};
use crate::store::{Letter as StoredLetter, SensorState, Totals, View};

/// A sensor is silent when it has missed this many readings.
const MISSED_INTERVALS: i64 = 3;

/// Facts of one store under one configuration.
pub struct StoreFacts {
    view: View,
    config: Arc<ArcSwap<Config>>,
    clock: Clock,
    vitals: Arc<Vitals>,
    /// Numbers by name. A number is given once and for all, so none is ever wrong, only missing.
    numbers: RwLock<HashMap<String, SensorId>>,
}

impl StoreFacts {
    /// Facts of what `view` sees; `config` may be swapped under it at any time. The uptime is that of
    /// `clock`.
    #[must_use]
    pub fn new(
        view: View,
        config: Arc<ArcSwap<Config>>,
        clock: Clock,
        vitals: Arc<Vitals>,
    ) -> Self {
        Self {
            view,
            config,
            clock,
            vitals,
            numbers: RwLock::default(),
        }
    }

    fn number_of(&self, name: &str) -> Result<Option<SensorId>, Unreadable> {
        let known = |numbers: &HashMap<String, SensorId>| numbers.get(name).copied();
        let found = known(&self.numbers.read().unwrap_or_else(PoisonError::into_inner));
        if found.is_some() {
            return Ok(found);
        }
        let sensors = self.view.sensors().map_err(unreadable("the sensors"))?;
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        numbers.extend(sensors.into_iter().map(|sensor| (sensor.name, sensor.id)));
        Ok(known(&numbers))
    }

    /// The days of one sensor as the store keeps them.
    fn sensor_days(
        &self,
        sensor: &str,
        span: &Span,
    ) -> Result<Vec<(EngineDay, SensorDay)>, Unreadable> {
        let Some(id) = self.number_of(sensor)? else {
            return Ok(Vec::new());
        };
        let (from, to) = days_of(calendar(&self.config.load()), span);
        self.view.days(id, from, to).map_err(unreadable("the days"))
    }

    /// How the store stands, as the writer says; the disk's room as it is this moment.
    fn standing(&self) -> Standing {
        match (self.vitals.standing(), self.view.room()) {
            (Standing::Taking(said), Some(room)) => Standing::Taking(room.level(said)),
            (as_said, _) => as_said,
        }
    }

    /// Site time: the wall clock where it rules and is trusted, else what the readings say.
    fn now_ms(&self, config: &Config, totals: &Totals) -> Option<i64> {
        match config.time.clock {
            ClockMode::Wall => self.clock.trusted_wall_ms().or(totals.site_time_ms),
            ClockMode::Event => totals.site_time_ms,
        }
    }

    fn sensor(
        &self,
        config: &Config,
        now_ms: Option<i64>,
        state: SensorState,
    ) -> Result<Sensor, Unreadable> {
        let rule = config.sensor_for(&state.name);
        let spec = rule.map(|rule| rule.spec);
        let interval_ms = spec.and_then(|spec| spec.interval_ms);
        let newest_ms = state.newest.map(EventTime::ms);
        let silent = match (interval_ms, now_ms, newest_ms) {
            (Some(interval), Some(now), Some(newest)) => {
                Some(now - newest > interval.saturating_mul(MISSED_INTERVALS))
            }
            (None, _, _) | (_, None, _) | (_, _, None) => None,
        };
        let coverage_today = match (interval_ms, now_ms.and_then(EventTime::from_ms)) {
            (Some(_), Some(now)) => {
                let today = calendar(config).day_of(now, stamp_of(rule));
                let days = self.view.days(state.id, Some(today), Some(today));
                let days = days.map_err(unreadable("the days"))?;
                Some(
                    days.first()
                        .and_then(|(_, day)| day.row.coverage())
                        .unwrap_or(0.0),
                )
            }
            (None, _) | (_, None) => None,
        };
        let night = now_ms.and_then(|now| self.vitals.night(&state.name, now));
        Ok(Sensor {
            name: state.name,
            kind: spec.map(|spec| words::kind(spec.kind)),
            unit: rule.and_then(|rule| rule.unit.clone()),
            interval: interval_ms.map(seconds),
            first: state.first.map(moment),
            last: state
                .newest
                .zip(state.last_value)
                .map(|(time, value)| Point {
                    time: moment(time),
                    value,
                }),
            coverage_today,
            silent,
            night,
        })
    }
}

impl Facts for StoreFacts {
    fn readiness(&self) -> Readiness {
        match (self.vitals.readiness(), self.view.totals()) {
            (Readiness::Ready, Err(error)) => Readiness::NotReady(error.to_string()),
            (readiness, _) => readiness,
        }
    }

    fn status(&self) -> Result<Status, Unreadable> {
        let config = self.config.load();
        let totals = self.view.totals().map_err(unreadable("the totals"))?;
        let because = self.clock.because();
        let (mode, synchronised, why) = match config.time.clock {
            ClockMode::Wall => {
                let is_trusted = because.trust() == Trust::Synchronised;
                ("wall", is_trusted, Word::Owned(because.to_string()))
            }
            ClockMode::Event => ("event", true, Word::Borrowed("time is what readings say")),
        };
        let counters = totals.counters;
        let incidents = self.view.incidents().map_err(unreadable("the incidents"))?;
        let alerts = alerts::all(self).map_err(unreadable("the alerts"))?;
        let notices = alerts::numbers(self, &alerts).map_err(unreadable("the outbox"))?;
        Ok(Status {
            site: config.site.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.clock.monotonic_ms() / 1000,
            clock: ClockStatus {
                mode: Word::Borrowed(mode),
                synchronised,
                trusted: synchronised,
                why,
                waiting: totals.waits,
                jumps: self.clock.jumps(),
            },
            counters: Counters {
                received: counters.received,
                accepted: counters.accepted,
                duplicate: counters.duplicate,
                corrected: counters.corrected,
                late: counters.late,
                dead_letter: counters.dead_letter,
            },
            store: StoreStatus {
                bytes: totals.file_bytes,
                commits: self.vitals.commits(),
                free_bytes: self.view.room().map(|room| room.free_bytes),
                state: Word::Borrowed(self.standing().word()),
                refusal: self.standing().refusal(),
                failures: self.vitals.failures(),
            },
            upstream: UpstreamStatus::off(),
            broker: BrokerStatus {
                mode: match config.broker.mode {
                    BrokerMode::Embedded => Word::Borrowed("embedded"),
                    BrokerMode::External(_) => Word::Borrowed("external"),
                },
                ..self.vitals.broker()
            },
            incidents: alerts::of_incidents(self, &incidents, &alerts),
            alerts: alerts::open(&alerts),
            notices,
        })
    }

    fn sensors(&self) -> Result<Vec<Sensor>, Unreadable> {
        let config = self.config.load();
        let totals = self.view.totals().map_err(unreadable("the totals"))?;
        let now_ms = self.now_ms(&config, &totals);
        let mut states = self.view.sensors().map_err(unreadable("the sensors"))?;
        states.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        states
            .into_iter()
            .map(|state| self.sensor(&config, now_ms, state))
            .collect()
    }

    fn sensor_names(&self) -> Result<Vec<String>, Unreadable> {
        let states = self.view.sensors().map_err(unreadable("the sensors"))?;
        let config = self.config.load();
        // One that is configured by its very name is known before it has sent anything.
        let configured = config.sensors.iter().map(|rule| &rule.name);
        let configured = configured.filter(|name| name.is_literal());
        let configured = configured.map(|name| name.as_str().to_owned());
        let names: BTreeSet<_> = states
            .into_iter()
            .map(|state| state.name)
            .chain(configured)
            .collect();
        Ok(names.into_iter().collect())
    }

    fn balance_names(&self) -> Result<Vec<String>, Unreadable> {
        let balances = self.view.balances().map_err(unreadable("the balances"))?;
        let config = self.config.load();
        let configured = config.balances.iter().map(|balance| &balance.name);
        let configured = configured.filter(|name| name.is_literal());
        let configured = configured.map(|name| name.as_str().to_owned());
        let names: BTreeSet<_> = balances
            .into_iter()
            .map(|(_, name)| name)
            .chain(configured)
            .collect();
        Ok(names.into_iter().collect())
    }

    fn readings(
        &self,
        sensor: &str,
        span: &Span,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Reading)>, Unreadable> {
        let Some(id) = self.number_of(sensor)? else {
            return Ok(Vec::new());
        };
        let config = self.config.load();
        let (from, to) = instants_of(calendar(&config), stamp_of(config.sensor_for(sensor)), span);
        let after = after.map(|place| (place.time.ms(), place.tie));
        let found = self.view.readings(id, from, to, after, limit);
        let rows = found
            .map_err(unreadable("the readings"))?
            .into_iter()
            .map(|row| {
                let time = moment(row.time);
                let reading = Reading {
                    sensor: sensor.to_owned(),
                    time,
                    value: row.value,
                    seq: row.seq,
                    flag: row.flag.map(flag_word),
                };
                (Place { time, tie: row.tie }, reading)
            });
        Ok(rows.collect())
    }

    fn days(&self, sensor: &str, span: &Span) -> Result<Vec<Day>, Unreadable> {
        let config = self.config.load();
        let unit = unit_of(&config, sensor);
        let days = self.sensor_days(sensor, span)?.into_iter();
        Ok(days
            .map(|(day, held)| Day::of(sensor, unit, day, &held.row))
            .collect())
    }

    fn diffs(&self, sensor: &str, span: &Span) -> Result<Vec<Diff>, Unreadable> {
        let config = self.config.load();
        let unit = unit_of(&config, sensor);
        let days = self.sensor_days(sensor, span)?.into_iter();
        let diff = |(day, held): (_, SensorDay)| Some(Diff::of(sensor, unit, day, &held.diff?));
        Ok(days.filter_map(diff).collect())
    }

    fn rests(&self, balance: &str, span: &Span) -> Result<Vec<Rest>, Unreadable> {
        let balances = self.view.balances().map_err(unreadable("the balances"))?;
        let Some((id, _)) = balances.into_iter().find(|(_, name)| name == balance) else {
            return Ok(Vec::new());
        };
        let config = self.config.load();
        let (from, to) = days_of(calendar(&config), span);
        let rows = self
            .view
            .rests(id, from, to)
            .map_err(unreadable("the rests"))?;
        let sensors = self.view.sensors().map_err(unreadable("the sensors"))?;
        let names: HashMap<_, _> = sensors
            .into_iter()
            .map(|state| (state.id, state.name))
            .collect();
        let unit = rows.first().and_then(|(_, row)| {
            let (part, _) = row.coverage.first()?;
            unit_of_balance(&config, balance, names.get(part)?)
        });
        let name_of = |part: SensorId| {
            names
                .get(&part)
                .cloned()
                .unwrap_or_else(|| format!("#{}", part.0))
        };
        let rests = rows.iter();
        Ok(rests
            .map(|(day, row)| Rest::of(balance, unit, *day, row, name_of))
            .collect())
    }

    fn late(&self, sensor: Option<&str>, span: &Span) -> Result<Vec<Late>, Unreadable> {
        let id = match sensor {
            None => None,
            Some(name) => match self.number_of(name)? {
                None => return Ok(Vec::new()),
                number => number,
            },
        };
        let config = self.config.load();
        let calendar = calendar(&config);
        // The widest range that any stamp gives; each sensor's own is cut out of it below.
        let (from, _) = instants_of(calendar, Stamp::Start, span);
        let (_, to) = instants_of(calendar, Stamp::End, span);
        let rows = self
            .view
            .late(id, from, to, usize::MAX)
            .map_err(unreadable("the late rows"))?;
        let sensors = self.view.sensors().map_err(unreadable("the sensors"))?;
        let known = sensors.into_iter().map(|state| {
            let stamp = stamp_of(config.sensor_for(&state.name));
            (state.id, (state.name, instants_of(calendar, stamp, span)))
        });
        let known: HashMap<_, _> = known.collect();
        let rows = rows.into_iter().filter_map(|row| {
            let (name, (from, to)) = known.get(&row.sensor)?;
            let ms = row.time.ms();
            let within = from.is_none_or(|from| from <= ms) && to.is_none_or(|to| ms <= to);
            within.then(|| Late {
                sensor: name.clone(),
                time: moment(row.time),
                value: row.value,
                seq: row.seq,
                arrived: Moment::from_ms(row.arrived_ms),
                accepted: row.accepted,
            })
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| (&a.sensor, a.time, a.seq).cmp(&(&b.sensor, b.time, b.seq)));
        Ok(rows)
    }

    fn letters(
        &self,
        span: &Span,
        mut after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Letter>, Unreadable> {
        let (from, to) = instants_of(calendar(&self.config.load()), Stamp::Instant, span);
        loop {
            let page = self
                .view
                .letters(after, limit)
                .map_err(unreadable("the dead letters"))?;
            let whole = page.len() < limit;
            after = page.last().map(|letter| letter.seq).or(after);
            let within = |letter: &StoredLetter| {
                from.is_none_or(|from| from <= letter.arrived_ms)
                    && to.is_none_or(|to| letter.arrived_ms <= to)
            };
            let found: Vec<_> = page.into_iter().filter(within).map(letter_row).collect();
            if whole || !found.is_empty() {
                return Ok(found);
            }
        }
    }

    fn alerts(&self) -> Result<Vec<Alert>, Unreadable> {
        alerts::all(self).map_err(unreadable("the alerts"))
    }

    fn journal(&self, limit: usize) -> Result<Vec<Notice>, Unreadable> {
        alerts::journal(self, limit).map_err(unreadable("the journal"))
    }

    fn explain(&self, sensor: &str, day: Date) -> Result<Explanation, Unreadable> {
        explain::day_of(self, sensor, day)
    }
}

fn letter_row(letter: StoredLetter) -> Letter {
    Letter {
        seq: letter.seq,
        arrived: Moment::from_ms(letter.arrived_ms),
        topic: letter.topic,
        reason: letter.reason,
        payload: String::from_utf8_lossy(&letter.payload).into_owned(),
    }
}

fn unit_of<'a>(config: &'a Config, sensor: &str) -> Option<&'a str> {
    config.sensor_for(sensor)?.unit.as_deref()
}

/// The unit of a balance's meter, found by way of one of its parts.
fn unit_of_balance<'a>(config: &'a Config, balance: &str, part: &str) -> Option<&'a str> {
    let touching = config.balances_touching(part);
    let balance = touching
        .into_iter()
        .find(|concrete| concrete.name == balance)?;
    unit_of(config, &balance.meter)
}

fn stamp_of(rule: Option<&SensorRule>) -> Stamp {
    rule.map_or(
        Stamp::Instant,
        |SensorRule {
             spec: SensorSpec { stamp, .. },
             ..
         }| *stamp,
    )
}

fn calendar(config: &Config) -> Calendar {
    Calendar::new(config.site.timezone)
}

fn moment(time: EventTime) -> Moment {
    Moment::from_ms(time.ms())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an interval is far below 2^53 ms"
)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn unreadable<E: Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> Unreadable {
    move |error| Unreadable::new(what, error)
}
