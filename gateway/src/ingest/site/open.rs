//! A site out of its store: the last seal, and the log's tail repeated on top of it. What was decided
//! then is not decided again.

use super::Site;
use super::kept::Kept;
use crate::clock::{Clock, Pace};
use crate::config::{ClockMode, Config};
use crate::ingest::judge::Now;
use crate::ingest::registry::{Difference, KnownBalance, News, Registry};
use crate::store::{Doubt, Fate, Group, Store, StoreError, Touched};
use crate::watch::{Kind, Settings, Watch};
use engine::{
    Calendar, Changes, Day, Engine, EventTime, Past, Reading, Rules, SensorId, SensorMemory,
    SiteClock,
};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How many days back rows of balances are looked for that may still be open, at first,
const FEW_DAYS: i32 = 16;
/// and at most: the century of possible event times.
const ALL_DAYS: i32 = 36_600;

/// Why a site cannot be opened. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration has another time zone or stamp.
    #[error(
        "the days of {sensor} were made with another [site] timezone, or another stamp of its \
         [[sensor]], than the configuration has now: put it back; or, with the old configuration, \
         `sluice export > all.jsonl`, then with the new one and a new [store] path `sluice replay all.jsonl`"
    )]
    Moved {
        /// The first sensor that is concerned.
        sensor: String,
    },
}

impl Site {
    /// The site as the store left it: the last seal, and the log's tail on top of it.
    ///
    /// # Errors
    /// The store cannot be read, or the configuration would put its readings into other days.
    pub fn open(store: &mut Store, config: Arc<Config>, clock: &Clock) -> Result<Self, SiteError> {
        clock.go_by(config.time.trust);
        let checkpoint = store.checkpoint()?;
        let mut site = Self {
            engine: Engine::new(rules(&config), checkpoint.site_time_ms),
            registry: Registry::new(Arc::clone(&config)),
            group: Group {
                next_seq: checkpoint.next_seq,
                counters: checkpoint.counters,
                doubt: Doubt {
                    from: checkpoint.doubt_from,
                    waits: checkpoint.waits,
                    ..Doubt::default()
                },
                ..Group::default()
            },
            users: Vec::new(),
            now: Now {
                wall_ms: clock.wall_ms(),
                stamp_ms: None,
                ago_ms: 0,
                boot: clock.boot().0,
                uptime_ms: clock.uptime_ms(),
                latest_ms: None,
            },
            changes: Changes::default(),
            watch: Watch::new(Settings::from(&*config)),
            told: Vec::new(),
            kept: FxHashMap::default(),
            waiting: store.waiting()?.into(),
            stamped: FxHashMap::default(),
            pace: Pace::at(clock.wall_ms(), clock.uptime_ms()),
            floor_ms: None,
            config,
        };
        for state in &checkpoint.sensors {
            let known = site.registry.restore_sensor(state.id, &state.name);
            let id = known.ok_or_else(|| out_of_step("sensors", state.id.0))?;
            site.registry.restore_state(state);
            match site.registry.difference(state) {
                Difference::None => {}
                Difference::Made => tracing::warn!(
                    sensor = state.name,
                    "its [[sensor]] has changed: days that are closed keep the numbers they have"
                ),
                Difference::Moved => {
                    let sensor = state.name.clone();
                    return Err(SiteError::Moved { sensor });
                }
            }
            let memory = remember(&*store, id, state.newest)?;
            site.engine.register(id, site.registry.spec(id), memory);
        }
        for (_, name) in &checkpoint.balances {
            if let Some(balance) = site.registry.restore_balance(name) {
                let open = open_rests(store, &balance)?;
                site.register(balance, open);
            }
        }
        let mut groups = Vec::new();
        store.replay::<StoreError>(|group| {
            groups.push(group);
            Ok(())
        })?;
        for group in groups {
            site.repeat(group, store)?;
        }
        if let (ClockMode::Wall, Some(known)) = (site.config.time.clock, site.engine.site_time_ms())
        {
            clock.not_before(known);
        }
        site.recall(store, clock)?;
        site.begin(clock);
        site.catch_up(store)?;
        Ok(site)
    }

    /// Repeats a group of the log: what was decided then is not decided again.
    fn repeat(&mut self, group: Group, store: &mut Store) -> Result<(), StoreError> {
        for (id, name) in &group.new_sensors {
            let known = self.registry.restore_sensor(*id, name);
            let id = known.ok_or_else(|| out_of_step("log", group.first_seq))?;
            self.engine
                .register(id, self.registry.spec(id), SensorMemory::default());
        }
        for (_, name) in &group.new_balances {
            if let Some(balance) = self.registry.restore_balance(name) {
                self.register(balance, Vec::new());
            }
        }
        let is_sure = group.doubt.from.is_none();
        for logged in &group.readings {
            if logged.fate == Fate::Withdrawn {
                let newest =
                    self.engine
                        .withdraw(logged.sensor, logged.time, logged.tie, &mut &*store)?;
                self.registry.withdrew(logged.sensor, newest);
            } else if logged.fate.is_held() {
                let reading = Reading {
                    sensor: logged.sensor,
                    time: logged.time,
                    tie: logged.tie,
                    value: logged.value,
                    exempt: true,
                };
                self.engine.restore(reading, &mut &*store)?;
                self.registry
                    .note(logged.sensor, logged.time, logged.value, is_sure);
            }
        }
        if is_sure && self.group.doubt.from.is_some() {
            self.registry.be_sure();
        }
        self.waiting.extend(&group.doubt.waiting);
        if let Some(waited_to) = group.doubt.waited_to {
            self.waiting.retain(|reading| reading.seq >= waited_to);
        }
        if let Some(site_time) = group.site_time_ms {
            self.engine.advance(site_time);
        }
        self.changes = self.engine.settle(&mut &*store)?;
        self.group = group;
        self.announce(store);
        Ok(())
    }

    /// The houses, out of what is committed: all of the log is repeated.
    fn recall(&mut self, store: &Store, clock: &Clock) -> Result<(), StoreError> {
        for id in self.registry.sensor_ids() {
            self.watch_sensor(id);
        }
        self.listen();
        let balances = self.registry.known_balances();
        let known_ms = self.engine.site_time_ms();
        let now_ms = self.known_time(clock).max(known_ms);
        let mut past = Kept::new(store, &self.registry);
        let houses = store.houses()?;
        let oldest = houses.values().copied().min();
        let touched = match oldest {
            Some(oldest) => store.touched_since(oldest)?,
            None => Touched::default(),
        };
        let kept = |name: &str| match store.house(name) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(
                    house = name,
                    error = &error as &dyn std::error::Error,
                    "what detectors knew of a house cannot be read: it is made again of its readings"
                );
                None
            }
        };
        let since = |id, next_seq| touched.since(id, next_seq);
        let gone_on = self
            .watch
            .recall(&balances, kept, since, now_ms, &mut past)?;
        let there = houses.into_keys().map(|name| (name, None));
        self.kept = there
            .chain(gone_on)
            .map(|(name, newest)| (name, (0, newest)))
            .collect();
        for kept in store.view().alerts()? {
            let claim = &kept.alert.claim;
            if claim.kind == Kind::Silent.word()
                && kept.may_hold()
                && let (Some(id), Some(now_ms)) = (self.registry.find(&claim.subject), now_ms)
            {
                self.watch.said_silent(id, claim.raised_ms, now_ms);
            }
        }
        // The clock may be trusted much later than the newest time of the store.
        self.listen();
        Ok(())
    }

    /// A configuration may know balances that the store does not: their days are made now.
    /// A store that can only be read waits for that.
    fn catch_up(&mut self, store: &mut Store) -> Result<(), StoreError> {
        if store.failed().is_some() {
            return Ok(());
        }
        let mut news = News::default();
        self.registry.complete_all(&mut news);
        if news.balances.is_empty() {
            return Ok(());
        }
        self.welcome(news, store)?;
        self.group.next_seq += 1;
        self.settle(store)?;
        self.commit(store, &[])?;
        Ok(())
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        calendar: Calendar::new(config.site.timezone),
        allowed_lateness_ms: config.time.allowed_lateness_ms,
        grace_ms: config.time.grace_ms,
        clock: match config.time.clock {
            ClockMode::Wall => SiteClock::Wall,
            ClockMode::Event => SiteClock::Event,
        },
    }
}

/// The latest day that holds a reading.
fn newest_day(mut store: &Store, id: SensorId) -> Result<Option<Day>, StoreError> {
    let last = store.before(id, Day::from_number(i32::MAX))?;
    Ok(last.map(|(day, _)| day))
}

/// Only the day of the newest reading can be open: any earlier one ended before that.
fn remember(
    mut store: &Store,
    id: SensorId,
    newest: Option<EventTime>,
) -> Result<SensorMemory, StoreError> {
    let last = store.before(id, Day::from_number(i32::MAX))?;
    let open = last.iter().filter(|(_, state)| !state.row.closed);
    Ok(SensorMemory {
        newest,
        open: open.map(|(day, _)| *day).collect(),
        last_day: last.map(|(day, _)| day),
        last_row: store.last_row(id)?,
    })
}

/// The days on which a balance's row was left provisional: the newest ones, without a gap, because
/// a sensor that has not reached the end of a day has not reached the end of a later one.
fn open_rests(store: &Store, balance: &KnownBalance) -> Result<Vec<Day>, StoreError> {
    let Some(last) = newest_day(store, balance.meter)? else {
        return Ok(Vec::new());
    };
    let mut reach = FEW_DAYS;
    loop {
        let from = Day::from_number(last.number() - reach);
        let rests = store.view().rests(balance.id, Some(from), None)?;
        let open = rests.iter().rev().take_while(|(_, row)| !row.closed);
        let open: Vec<Day> = open.map(|(day, _)| *day).collect();
        if open.len() < rests.len() || rests.is_empty() || reach > ALL_DAYS {
            return Ok(open);
        }
        reach *= 8;
    }
}

/// The names in the store do not follow each other: another program wrote there.
fn out_of_step(table: &'static str, key: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        doing: "number the sensors",
        table,
        key: key.to_string(),
        why: "the numbers do not follow each other".to_owned(),
    }
}
