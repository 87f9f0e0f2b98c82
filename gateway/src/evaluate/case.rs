//! One recording through the gateway's engine and detectors: each reading is judged as the gateway would have
//! judged it when it arrived, and what is said then is noted with that time.
//!
//! *Site time is the time of arrival*, as it was for the gateway that received the readings: a reading dated
//! years ahead is refused, and does not end every other sensor's history. Where a recording does not say when
//! its readings arrived, each arrives at the newest event time so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::{
    Admission, Calendar, Engine, EventTime, Kind, NoPast, Rules, SensorMemory, SiteClock,
};

use super::arrival::{Arrival, Arrivals};
use super::episode::{Episode, Episodes};
use super::lines::ReadError;
use super::plan::Plan;
use super::seen::{Came, Seen};
use crate::alert::{Claim, Told};
use crate::config::Config;
use crate::ingest::{Judged, Known as News, Now, Registry, judge};
use crate::source::{Reason, Stamped};
use crate::watch::{NoHistory, Settings, Watch, What};

const DAY_MS: i64 = 86_400_000;
/// A time of arrival that lies further back than this says that somebody set the clock right.
const SET_BACK_MS: i64 = DAY_MS;
/// Readings between two looks at what can leave memory.
const HAND_OVER_EVERY: u64 = 4096;
/// Days beyond the allowed lateness that stay in memory: those at its edges, and a meter's day before.
const DAYS_BEYOND_LATENESS: i64 = 3;

/// What hearing a recording brought.
#[derive(Debug)]
pub struct Heard {
    /// What was said.
    pub episodes: Vec<Episode>,
    /// How many readings there were.
    pub readings: u64,
    /// What was refused, and why.
    pub refusals: Refusals,
    /// The prefixes of its sensors' names, a house each.
    pub houses: Vec<String>,
    /// The first and the last arrival, ms since 1970 UTC; `None` without readings.
    pub span_ms: Option<(i64, i64)>,
}

/// Readings that were part of no result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals {
    /// Their message had come before.
    pub again: u64,
    /// Their identity and value were held.
    pub duplicate: u64,
    /// They came too late, and were set aside.
    pub late: u64,
    /// They would have been dead letters.
    pub refused: u64,
    /// Why the first of those was.
    pub first_reason: Option<Reason>,
}

/// Hears a recording to its end; `progress` is told how many bytes were read since it was told last.
///
/// # Errors
/// Where it cannot be read.
pub fn hear(
    mut arrivals: Arrivals,
    plan: Plan,
    mut progress: impl FnMut(u64),
) -> Result<Heard, ReadError> {
    let mut case = Case::new(plan);
    let mut told = 0;
    while let Some(arrival) = arrivals.next() {
        case.take(&arrival?);
        if case.readings.is_multiple_of(1024) {
            progress(arrivals.bytes() - told);
            told = arrivals.bytes();
        }
    }
    progress(arrivals.bytes() - told);
    Ok(case.end())
}

/// A site that is heard.
struct Case {
    config: Arc<Config>,
    registry: Registry,
    engine: Engine,
    watch: Watch,
    seen: Seen,
    clock: ArrivalClock,
    tolerance_ms: i64,
    days_kept: usize,
    hand_over_every: u64,
    episodes: Episodes,
    readings: u64,
    refusals: Refusals,
    prefixes: BTreeSet<String>,
    /// Meters that are in no balance.
    lone_meters: BTreeSet<String>,
    span_ms: Option<(i64, i64)>,
}

impl Case {
    fn new(plan: Plan) -> Self {
        let config = Arc::new(plan.config);
        let calendar = Calendar::new(config.site.timezone);
        let allowed_lateness_ms = config.time.allowed_lateness_ms;
        let rules = Rules {
            calendar,
            allowed_lateness_ms,
            grace_ms: config.time.grace_ms,
            clock: SiteClock::Wall,
        };
        let days = allowed_lateness_ms / DAY_MS + DAYS_BEYOND_LATENESS;
        let mut case = Self {
            config: Arc::clone(&config),
            registry: Registry::new(Arc::clone(&config)),
            engine: Engine::new(rules, None),
            watch: Watch::new(Settings::from(&*config)),
            seen: Seen::new(allowed_lateness_ms),
            clock: ArrivalClock::default(),
            tolerance_ms: config.time.future_tolerance_ms,
            days_kept: usize::try_from(days).unwrap_or(usize::MAX),
            hand_over_every: HAND_OVER_EVERY,
            episodes: Episodes::default(),
            readings: 0,
            refusals: Refusals::default(),
            prefixes: BTreeSet::new(),
            lone_meters: BTreeSet::new(),
            span_ms: None,
        };
        // A plan names every sensor of the recording: all are known before the first reading.
        for rule in config.sensors.iter().filter(|rule| rule.name.is_literal()) {
            case.resolve(rule.name.as_str());
        }
        case
    }

    fn resolve(&mut self, name: &str) {
        let Ok(name) = crate::source::Name::new(name) else {
            return;
        };
        let mut news = News::default();
        // One that cannot be known is refused reading by reading.
        if self.registry.resolve(&name, &mut news).is_err() {
            return;
        }
        for sensor in news.sensors {
            let spec = self.registry.spec(sensor);
            self.engine.register(sensor, spec, SensorMemory::default());
            let known = self.registry.sensor(sensor);
            if let Some(rule) = &known.rule {
                self.watch
                    .sensor(sensor, known.name.as_str(), What::from(rule));
            }
            if self.registry.spec(sensor).kind == Kind::Meter
                && self.config.balances_touching(&known.name).is_empty()
            {
                self.lone_meters.insert(known.name.as_str().to_owned());
            }
            let prefix = known
                .name
                .rfind('/')
                .map_or("", |slash| &known.name[..slash]);
            self.prefixes.insert(prefix.to_owned());
        }
        for balance in news.balances {
            let name = self.registry.balances()[balance.id.0 as usize].clone();
            let parts = balance.parts.clone();
            self.engine
                .register_balance(balance.id, balance.meter, parts, Vec::new());
            let Ok(()) = self.watch.balance(
                balance.id,
                &name,
                balance.meter,
                &balance.parts,
                &mut NoHistory,
            );
        }
    }

    fn take(&mut self, arrival: &Arrival) {
        self.readings += 1;
        let now_ms = self.clock.step(arrival);
        let (first_ms, last_ms) = self.span_ms.unwrap_or((now_ms, now_ms));
        self.span_ms = Some((first_ms.min(now_ms), last_ms.max(now_ms)));
        self.engine.advance(now_ms);
        if self.engine.is_due() || self.watch.is_due(now_ms) {
            // The clock went on before the reading came: what it says by itself comes first.
            self.settle(now_ms);
        }
        match self.judge(arrival, now_ms) {
            Ok(()) => {}
            Err(reason) => {
                self.refusals.refused += 1;
                self.refusals.first_reason.get_or_insert(reason);
            }
        }
        self.settle(now_ms);
        if self.readings.is_multiple_of(self.hand_over_every) {
            self.engine.hand_over(self.days_kept);
        }
    }

    fn judge(&mut self, arrival: &Arrival, now_ms: i64) -> Result<(), Reason> {
        let decoded = &arrival.decoded;
        let sensor = self
            .registry
            .resolve(&decoded.sensor, &mut News::default())?;
        let rule = &self.registry.sensor(sensor).rule;
        let rule = rule.as_ref().ok_or(Reason::UnknownSensor)?;
        let now = Now {
            wall_ms: now_ms,
            stamp_ms: Some(now_ms),
            ago_ms: 0,
            boot: 0,
            uptime_ms: 0,
            latest_ms: Some(now_ms.saturating_add(self.tolerance_ms)),
        };
        let reading = match judge(sensor, rule, decoded, now)? {
            Judged::Reading(reading, _) => reading,
            Judged::Waits { .. } => return Ok(()),
        };
        if let Some(id) = &decoded.id
            && self.seen.note(sensor, reading.time.ms(), id) == Came::Again
        {
            self.refusals.again += 1;
            return Ok(());
        }
        let Ok(admission) = self.engine.admit(reading, &mut NoPast);
        match admission {
            Admission::Accepted | Admission::Corrected { .. } => {
                self.watch.admitted(reading, admission);
            }
            Admission::Duplicate => self.refusals.duplicate += 1,
            Admission::SetAside { .. } => self.refusals.late += 1,
            Admission::Kept { held } => return Err(Reason::ConflictKept { held }),
        }
        Ok(())
    }

    fn settle(&mut self, now_ms: i64) {
        let Ok(changes) = self.engine.settle(&mut NoPast);
        self.watch.settled(&changes);
        for told in self.watch.settle(Some(now_ms)) {
            let told = match told {
                Told::Raised(claim) => Told::Raised(self.placed(claim)),
                Told::Updated(claim) => Told::Updated(self.placed(claim)),
                Told::Cleared(claim, at_ms) => Told::Cleared(self.placed(claim), at_ms),
                Told::Withdrawn(id) => Told::Withdrawn(id),
            };
            self.episodes.hear(told, now_ms);
        }
    }

    /// A leak behind a meter that has no parts may be anywhere: its place is not known.
    fn placed(&self, mut claim: Claim) -> Claim {
        if let Some(place) = &claim.location
            && self.lone_meters.contains(place)
        {
            claim.location = None;
        }
        claim
    }

    fn end(mut self) -> Heard {
        let standing = self.watch.standing().into_iter();
        let standing = standing.map(|claim| self.placed(claim)).collect();
        self.episodes.end(standing);
        Heard {
            episodes: self.episodes.into_all(),
            readings: self.readings,
            refusals: self.refusals,
            houses: self.prefixes.into_iter().collect(),
            span_ms: self.span_ms,
        }
    }
}

/// What time it was when a reading arrived.
#[derive(Clone, Copy, Debug, Default)]
enum ArrivalClock {
    /// No reading came.
    #[default]
    Unset,
    /// The recording says: until it says another, it is this, ms since 1970 UTC.
    Told(i64),
    /// The recording does not say: the newest event time so far, ms since 1970 UTC.
    Guessed(i64),
}

impl ArrivalClock {
    fn step(&mut self, arrival: &Arrival) -> i64 {
        let measured_ms = match arrival.decoded.time {
            Stamped::At(ms) | Stamped::AtFlagged(ms, _) => {
                EventTime::from_ms(ms).map(EventTime::ms)
            }
            Stamped::Arrival => None,
        };
        *self = match (arrival.recv_ms, *self) {
            // Lines somewhat out of order came when the latest of them did: a clock does not run back.
            (Some(ms), Self::Told(at)) if (0..=SET_BACK_MS).contains(&(at - ms)) => Self::Told(at),
            (Some(ms), _) | (None, Self::Told(ms)) => Self::Told(ms),
            (None, Self::Unset) => measured_ms.map_or(Self::Unset, Self::Guessed),
            (None, Self::Guessed(ms)) => Self::Guessed(measured_ms.map_or(ms, |at| at.max(ms))),
        };
        match *self {
            Self::Unset => EventTime::FIRST_MS,
            Self::Told(ms) | Self::Guessed(ms) => ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use simulator::{Profile, Scenario};

    use super::*;
    use crate::evaluate::{Survey, Wishes};
    use crate::source::{Decoded, Name};

    /// A household with all that can happen to readings on their way, and some that come days late.
    fn arrivals() -> Vec<Arrival> {
        let scenario = Scenario {
            days: 24,
            seed: 6,
            profile: Profile::Household,
            leaks: vec!["main:5L/h@2020-01-17T03:00+4d".parse().expect("a leak")],
            ..Scenario::default()
        };
        let names = ["W1", "Wtot"];
        let readings = scenario
            .readings()
            .filter(|r| names.contains(&r.sensor.name()));
        let mut all: Vec<Arrival> = readings
            .zip(0_i64..)
            .map(|(reading, nth)| Arrival {
                recv_ms: Some(reading.at_ms + (nth % 53 / 52) * 6 * DAY_MS),
                decoded: Decoded {
                    sensor: Name::new(reading.sensor.name()).expect("a name"),
                    time: Stamped::At(reading.time_ms),
                    value: reading.value(),
                    id: None,
                },
            })
            .collect();
        all.sort_by_key(|arrival| arrival.recv_ms);
        all
    }

    #[test]
    fn days_that_leave_memory_change_nothing() {
        let arrivals = arrivals();
        let heard = |hand_over_every: u64| {
            let mut survey = Survey::default();
            for arrival in &arrivals {
                survey.note(arrival);
            }
            let plan = Wishes::default().plan(&survey).expect("known names");
            let mut case = Case::new(plan);
            case.hand_over_every = hand_over_every;
            for arrival in &arrivals {
                case.take(arrival);
            }
            (case.engine.held(), case.end().episodes)
        };
        let (held, episodes) = heard(10);
        let (held_all, all) = heard(u64::MAX);
        assert!(!all.is_empty() && held < held_all, "{held} {held_all}");
        assert_eq!(episodes, all);
    }
}
