//! Names and numbers of sensors and balances, and the rules that apply to them.
//!
//! A sensor gets its number with its first reading, or with the meter of a balance that it is a
//! part of; a balance gets its own when its meter is known. Numbers are never given twice.

use crate::config::{ConcreteBalance, Config, SensorRule};
use crate::source::{Name, Reason};
use crate::store::SensorState;
use chrono_tz::Tz;
use engine::{BalanceId, EventTime, Held, Kind, SensorId, SensorSpec};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most sensors that one store keeps; the readings of any further one are dead letters.
pub const MAX_SENSORS: usize = 20_000;

/// Sensors and balances.
#[derive(Debug)]
pub struct Registry {
    config: Arc<Config>,
    ids: FxHashMap<Name, SensorId>,
    sensors: Vec<Sensor>,
    /// What the configuration says of balances, by name, as far as their sensors are known.
    declared: BTreeMap<String, ConcreteBalance>,
    balances: Vec<String>,
    balance_ids: BTreeMap<String, BalanceId>,
}

/// A sensor that is known.
#[derive(Clone, Debug)]
pub struct Sensor {
    /// Its name.
    pub name: Name,
    /// `None`: the configuration has none for it any more.
    pub rule: Option<SensorRule>,
    /// Its oldest accepted event time.
    pub first: Option<EventTime>,
    /// Its newest accepted event time, and the value there.
    pub last: Option<(EventTime, f64)>,
    /// The newest event time that was accepted by a trusted clock.
    pub sure: Option<EventTime>,
    /// Of the specification and the zone that its days are made by.
    fingerprint: u64,
    changed: bool,
}

/// A balance whose sensors are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownBalance {
    /// Its number.
    pub id: BalanceId,
    /// Its meter.
    pub meter: SensorId,
    /// Its parts.
    pub parts: Vec<SensorId>,
}

/// What became known with a sensor.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) sensors: Vec<SensorId>,
    pub(super) balances: Vec<KnownBalance>,
}

const LOWER_HALF: u64 = 0xffff_ffff;

/// FNV-1a: the same in every build.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How a sensor's specification differs from the one that its days were made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    /// Days would be made of the same readings in another way.
    Made,
    /// Readings would belong to other days.
    Moved,
}

impl Registry {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            ids: FxHashMap::default(),
            sensors: Vec::new(),
            declared: BTreeMap::new(),
            balances: Vec::new(),
            balance_ids: BTreeMap::new(),
        }
    }

    /// All sensors, by number.
    #[must_use]
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// The names of all balances, by number.
    #[must_use]
    pub fn balances(&self) -> &[String] {
        &self.balances
    }

    /// The numbers of all sensors.
    pub fn sensor_ids(&self) -> impl Iterator<Item = SensorId> + use<> {
        (0..u32::try_from(self.sensors.len()).expect("sensors are capped")).map(SensorId)
    }

    /// Balances that the configuration has, with their meters.
    pub fn balances_and_meters(&self) -> impl Iterator<Item = (BalanceId, SensorId)> + '_ {
        (0..)
            .map(BalanceId)
            .zip(&self.balances)
            .filter_map(|(id, name)| {
                let meter = self.find(&self.declared.get(name)?.meter)?;
                Some((id, meter))
            })
    }

    /// Balances that the configuration has, each with its name, its meter and the parts that are known.
    pub(super) fn known_balances(&self) -> Vec<(BalanceId, String, SensorId, Vec<SensorId>)> {
        let all = self.balances_and_meters().filter_map(|(id, meter)| {
            let name = &self.balances[id.0 as usize];
            let parts = self.declared.get(name)?.parts.iter();
            let parts = parts.filter_map(|part| self.find(part)).collect();
            Some((id, name.clone(), meter, parts))
        });
        all.collect()
    }

    /// A sensor's number.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<SensorId> {
        self.ids.get(name).copied()
    }

    /// A sensor.
    ///
    /// # Panics
    /// If no sensor has that number.
    #[must_use]
    pub fn sensor(&self, id: SensorId) -> &Sensor {
        &self.sensors[id.0 as usize]
    }

    /// A sensor's name, and the unit of its values.
    #[must_use]
    pub fn name_and_unit(&self, id: SensorId) -> (&str, Option<&str>) {
        let sensor = self.sensor(id);
        let unit = sensor.rule.as_ref().and_then(|rule| rule.unit.as_deref());
        (sensor.name.as_str(), unit)
    }

    /// The unit of a balance: its meter's.
    #[must_use]
    pub fn unit_of_balance(&self, id: BalanceId) -> Option<&str> {
        let name = self.balances.get(id.0 as usize)?;
        let meter = self.find(&self.declared.get(name)?.meter)?;
        self.name_and_unit(meter).1
    }

    /// What the engine must know of a sensor. One without a rule keeps what it has.
    #[must_use]
    pub fn spec(&self, id: SensorId) -> SensorSpec {
        spec_of(self.sensor(id).rule.as_ref())
    }

    /// The sensor that a reading names, known from now on.
    pub(super) fn resolve(&mut self, name: &Name, news: &mut News) -> Result<SensorId, Reason> {
        if let Some(id) = self.ids.get(name) {
            return match &self.sensors[id.0 as usize].rule {
                Some(_) => Ok(*id),
                None => Err(Reason::UnknownSensor),
            };
        }
        if self.config.sensor_for(name).is_none() {
            return Err(Reason::UnknownSensor);
        }
        if self.sensors.len() >= MAX_SENSORS {
            return Err(Reason::TooManySensors { cap: MAX_SENSORS });
        }
        let id = self.add_sensor(name.clone());
        news.sensors.push(id);
        self.declare(id);
        for balance in self.config.balances_touching(name) {
            self.complete(&balance.name, news);
        }
        Ok(id)
    }

    /// Gives a sensor the number that the store knows it by; numbers come in order.
    pub(super) fn restore_sensor(&mut self, id: SensorId, name: &str) -> Option<SensorId> {
        let name = Name::new(name).ok()?;
        let given = self.add_sensor(name);
        self.declare(given);
        (given == id).then_some(given)
    }

    /// Gives a balance the number that the store knows it by; numbers come in order. `None`: the
    /// configuration does not have it any more, or not all of its sensors.
    pub(super) fn restore_balance(&mut self, name: &str) -> Option<KnownBalance> {
        let id = self.add_balance(name);
        let concrete = self.declared.get(name)?;
        let meter = self.find(&concrete.meter)?;
        let parts = concrete
            .parts
            .iter()
            .filter_map(|part| self.find(part))
            .collect();
        Some(KnownBalance { id, meter, parts })
    }

    /// Balances that the configuration has, whose meters are known, and that have no number yet.
    pub(super) fn complete_all(&mut self, news: &mut News) {
        let names: Vec<String> = self.declared.keys().cloned().collect();
        for name in names {
            self.complete(&name, news);
        }
    }

    /// A balance begins when its meter is known: its parts become known with it.
    fn complete(&mut self, name: &str, news: &mut News) {
        if self.balance_ids.contains_key(name) {
            return;
        }
        let Some(concrete) = self.declared.get(name).cloned() else {
            return;
        };
        let Some(meter) = self.find(&concrete.meter) else {
            return;
        };
        let mut parts = Vec::with_capacity(concrete.parts.len());
        for part in &concrete.parts {
            match (self.find(part), Name::new(part)) {
                (Some(id), _) => parts.push(id),
                (None, Ok(part))
                    if self.config.sensor_for(&part).is_some()
                        && self.sensors.len() < MAX_SENSORS =>
                {
                    let id = self.add_sensor(part);
                    news.sensors.push(id);
                    self.declare(id);
                    parts.push(id);
                }
                (None, _) => tracing::warn!(
                    balance = name,
                    part,
                    "no [[sensor]] matches a part of a balance; it counts as nothing"
                ),
            }
        }
        let id = self.add_balance(name);
        news.balances.push(KnownBalance { id, meter, parts });
    }

    fn declare(&mut self, id: SensorId) {
        let name = self.sensor(id).name.clone();
        for balance in self.config.balances_touching(&name) {
            self.declared.insert(balance.name.clone(), balance);
        }
    }

    fn add_sensor(&mut self, name: Name) -> SensorId {
        let id = SensorId(u32::try_from(self.sensors.len()).expect("sensors are capped"));
        let rule = self.config.sensor_for(&name).cloned();
        let fingerprint = fingerprint(self.config.site.timezone, &spec_of(rule.as_ref()));
        self.sensors.push(Sensor {
            rule,
            name: name.clone(),
            first: None,
            last: None,
            sure: None,
            fingerprint,
            changed: true,
        });
        self.ids.insert(name, id);
        id
    }

    fn add_balance(&mut self, name: &str) -> BalanceId {
        let id = BalanceId(u32::try_from(self.balances.len()).expect("sensors are capped"));
        self.balances.push(name.to_owned());
        self.balance_ids.insert(name.to_owned(), id);
        id
    }

    /// Notes a reading that counts; `is_sure` says whether it was judged by a trusted clock.
    pub(super) fn note(&mut self, id: SensorId, time: EventTime, value: f64, is_sure: bool) {
        let sensor = &mut self.sensors[id.0 as usize];
        sensor.first = Some(sensor.first.map_or(time, |first| first.min(time)));
        if sensor.last.is_none_or(|(last, _)| time >= last) {
            sensor.last = Some((time, value));
        }
        if is_sure {
            sensor.sure = sensor.sure.max(Some(time));
        }
        sensor.changed = true;
    }

    /// Notes that a reading counts no longer, and which one is the newest then.
    pub(super) fn withdrew(&mut self, id: SensorId, newest: Option<Held>) {
        let sensor = &mut self.sensors[id.0 as usize];
        sensor.last = newest.map(|held| (held.time, held.value));
        if newest.is_none() {
            // Only what is ahead is withdrawn, so the oldest goes last.
            sensor.first = None;
        }
        sensor.changed = true;
    }

    /// All that counts was judged by a trusted clock, or has been judged again.
    pub(super) fn be_sure(&mut self) {
        for sensor in &mut self.sensors {
            let newest = sensor.last.map(|(time, _)| time);
            sensor.changed |= sensor.sure != newest;
            sensor.sure = newest;
        }
    }

    /// Restores what was noted.
    pub(super) fn restore_state(&mut self, state: &SensorState) {
        let sensor = &mut self.sensors[state.id.0 as usize];
        sensor.first = state.first;
        sensor.last = state.newest.zip(state.last_value);
        sensor.sure = state.sure;
        sensor.changed = false;
    }

    /// How the configuration differs from the one that the store was made by.
    pub(super) fn difference(&self, state: &SensorState) -> Difference {
        if self.sensor(state.id).rule.is_none() || state.newest.is_none() {
            return Difference::None;
        }
        let now = self.sensor(state.id).fingerprint ^ state.fingerprint;
        match (now & !LOWER_HALF, now & LOWER_HALF) {
            (0, 0) => Difference::None,
            (0, _) => Difference::Made,
            (_, _) => Difference::Moved,
        }
    }

    /// A sensor as the store keeps it.
    #[must_use]
    pub fn state(&self, id: SensorId) -> SensorState {
        let sensor = self.sensor(id);
        SensorState {
            id,
            name: sensor.name.as_str().to_owned(),
            newest: sensor.last.map(|(time, _)| time),
            sure: sensor.sure,
            first: sensor.first,
            last_value: sensor.last.map(|(_, value)| value),
            fingerprint: sensor.fingerprint,
        }
    }

    /// Sensors that are different from what was last sealed.
    pub(super) fn changed_states(&mut self) -> Vec<SensorState> {
        let changed: Vec<SensorId> = (0..)
            .zip(&mut self.sensors)
            .filter_map(|(id, sensor): (u32, &mut Sensor)| {
                std::mem::take(&mut sensor.changed).then_some(SensorId(id))
            })
            .collect();
        changed.into_iter().map(|id| self.state(id)).collect()
    }
}

fn spec_of(rule: Option<&SensorRule>) -> SensorSpec {
    rule.map_or(SensorSpec::of_kind(Kind::Gauge), |rule| rule.spec)
}

/// Tells whether days were made by another specification than the one at hand: the upper half is
/// of what puts readings into days, the lower of all the rest.
fn fingerprint(zone: Tz, spec: &SensorSpec) -> u64 {
    let shelf = fnv(&format!("{} {:?}", zone.name(), spec.stamp));
    let all = fnv(&format!("{spec:?}"));
    (shelf & !LOWER_HALF) | (all & LOWER_HALF)
}
