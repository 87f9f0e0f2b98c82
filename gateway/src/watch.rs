//! The houses of a site: detectors run where readings are committed.
//!
//! A [`Watch`] is told which sensors and balances there are, which readings count and which rows are
//! different; [`settle`](Watch::settle) ends a commit and gives what is to be told of it. It is a function of
//! what it was told and of site time, an argument: it reads no clock and writes nothing. Only houses that a
//! commit touched are looked at.

mod claim;
mod flags;
mod history;
mod home;
mod plan;
mod settings;
mod silence;

use std::collections::BTreeSet;

use engine::detect::{Availability, Detector, HouseState, Names, Resource};
use engine::{Admission, BalanceId, Changes, Day, Kind as Values, Reading, SensorId};
use rustc_hash::FxHashMap;

pub use history::{History, NoHistory};
pub use home::Night;
pub use plan::{What, measure};
pub use settings::{Kind, Settings, Tariffs};

use crate::alert::{AlertId, Claim, Told};
use crate::store::KeptHouse;
use claim::Naming;
use flags::Flags;
use home::{Fit, Home, Member};
use silence::{Noticed, Silences};

/// Days of a flag's readings that say since when it is raised.
const FLAG_DAYS_MS: i64 = 8 * 86_400_000;
/// Days of rows that an interval is learned from.
const LEARNED_DAYS: i32 = 20;

/// All houses of a site, and what stands of them.
#[derive(Clone, Debug)]
pub struct Watch {
    settings: Settings,
    sensors: FxHashMap<SensorId, Sensor>,
    /// `None` where a lone sensor was, which a balance took up.
    homes: Vec<Option<Home>>,
    /// Houses by balance.
    rests: FxHashMap<BalanceId, usize>,
    /// Houses by the prefix of their names.
    prefixes: FxHashMap<String, Vec<usize>>,
    /// Sensors of movements by prefix.
    movers: FxHashMap<String, Vec<SensorId>>,
    /// Houses that are different since the last settling.
    touched: BTreeSet<usize>,
    /// Houses that hold what is not so any more.
    again: BTreeSet<usize>,
    /// What came since the last settling: a house that begins in between has it too.
    fresh: Vec<Reading>,
    /// Houses that were answered something since the last commit.
    answered: BTreeSet<usize>,
    silences: Silences,
    flags: Flags,
    told: Vec<Told>,
    nights: Vec<(String, Option<Night>)>,
}

#[derive(Clone, Debug)]
struct Sensor {
    name: String,
    what: What,
    /// Whether a detector would say anything of it: a house that nobody looks at is not kept.
    is_watched: bool,
    /// House and member; the first tells of it.
    places: Vec<(usize, usize)>,
}

/// Whether an answer changes what detectors say.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It does: the rule needs more from now on.
    Taken,
    /// It is not about a rule that learns.
    Unheard,
}

impl Watch {
    /// No sensor is known yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            sensors: FxHashMap::default(),
            homes: Vec::new(),
            rests: FxHashMap::default(),
            prefixes: FxHashMap::default(),
            movers: FxHashMap::default(),
            touched: BTreeSet::new(),
            again: BTreeSet::new(),
            fresh: Vec::new(),
            answered: BTreeSet::new(),
            silences: Silences::default(),
            flags: Flags::default(),
            told: Vec::new(),
            nights: Vec::new(),
        }
    }

    /// Makes a sensor known.
    pub fn sensor(&mut self, id: SensorId, name: &str, what: What) {
        if self.sensors.contains_key(&id) {
            return;
        }
        if self.settings.watches(Kind::Silent, name) {
            let all = self.settings.parameters(name);
            let interval_ms = what.interval_ms;
            self.silences.sensor(id, what.kind, interval_ms, all.silent);
        }
        if let Some(flag) = self.settings.flag(name) {
            self.flags.sensor(id, flag);
        } else if what.kind == Values::Event {
            let movers = self.movers.entry(plan::prefix(name).to_owned());
            movers.or_default().push(id);
        }
        let sensor = Sensor {
            name: name.to_owned(),
            what,
            is_watched: self.settings.watches_at_all(name),
            places: Vec::new(),
        };
        self.sensors.insert(id, sensor);
    }

    /// Makes a balance of known sensors known. What was a house of its own and is a member of it moves there.
    ///
    /// # Errors
    /// Its past cannot be read.
    pub fn balance<H: History>(
        &mut self,
        id: BalanceId,
        name: &str,
        meter: SensorId,
        parts: &[SensorId],
        history: &mut H,
    ) -> Result<(), H::Error> {
        let Some(at) = self.build_balance(id, name, meter, parts) else {
            return Ok(());
        };
        self.rebuild(at, history)
    }

    /// A reading was judged.
    pub fn admitted(&mut self, reading: Reading, admission: Admission) {
        let (id, at_ms) = (reading.sensor, reading.time.ms());
        match admission {
            Admission::Accepted | Admission::Corrected { .. } => {}
            Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => return,
        }
        self.silences.heard(id, at_ms);
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        if sensor.what.kind == Values::Event || self.flags.is_flag(id) {
            self.flags.heard(id, at_ms, reading.value);
            if !self.flags.is_flag(id) {
                self.movement(id, at_ms, reading.value, admission);
            }
            return;
        }
        self.fresh.push(reading);
        if sensor.places.is_empty() && self.build_lone(id).is_none() {
            self.fresh.pop();
            return;
        }
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        for (at, member) in &sensor.places {
            let Some(home) = &mut self.homes[*at] else {
                continue;
            };
            match admission {
                Admission::Accepted => home.put(*member, at_ms, reading.value),
                Admission::Corrected { was } => home.correct(*member, at_ms, was, reading.value),
                Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => {}
            }
            self.touched.insert(*at);
        }
    }

    /// Readings of a sensor count no longer, and this is its newest then. Its houses are to be made
    /// [again](Self::mend).
    pub fn withdrawn(&mut self, id: SensorId, newest_ms: Option<i64>) {
        self.silences.withdrew(id, newest_ms);
        self.flags.forget(id);
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        self.again.extend(sensor.places.iter().map(|(at, _)| *at));
        if sensor.what.kind == Values::Event {
            self.unmoved(id);
        }
    }

    /// Whether houses are to be made again of what is committed.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.again.is_empty()
    }

    /// Makes houses again that readings were withdrawn from: between two commits.
    ///
    /// # Errors
    /// Their past cannot be read.
    pub fn mend<H: History>(&mut self, history: &mut H) -> Result<(), H::Error> {
        while let Some(at) = self.again.first().copied() {
            self.rebuild(at, history)?;
            self.again.remove(&at);
            self.touched.insert(at);
        }
        Ok(())
    }

    /// Rows are different.
    pub fn settled(&mut self, changes: &Changes) {
        for change in &changes.days {
            let row = &change.state.row;
            if row.closed && !row.is_gone() {
                self.silences.counted(change.sensor, change.day, row.count);
            }
            let places = self
                .sensors
                .get(&change.sensor)
                .map(|s| s.places.as_slice());
            for (at, member) in places.into_iter().flatten() {
                if let Some(home) = &mut self.homes[*at] {
                    home.put_day(*member, change.day, &change.state);
                    self.touched.insert(*at);
                }
            }
        }
        for (balance, day, row) in &changes.rests {
            if let Some(at) = self.rests.get(balance).copied()
                && let Some(home) = &mut self.homes[at]
            {
                home.put_rest(*day, row);
                self.touched.insert(at);
            }
        }
    }

    /// Ends a commit: what is to be told. `now_ms` is site time, ms UTC; `None` while it is not known, and
    /// then nobody falls silent.
    pub fn settle(&mut self, now_ms: Option<i64>) -> Vec<Told> {
        self.fresh.clear();
        let mut told = std::mem::take(&mut self.told);
        for at in std::mem::take(&mut self.touched) {
            if let Some(home) = &mut self.homes[at] {
                home.settle(&self.settings, &mut told);
                home.nights(&mut self.nights);
            }
        }
        for noticed in self.silences.notice(now_ms) {
            told.extend(match noticed {
                Noticed::Fell(id, finding) => self.lone_claim(id, &finding).map(Told::Raised),
                Noticed::Spoke(id, finding, at_ms) => self
                    .lone_claim(id, &finding)
                    .map(|claim| Told::Cleared(claim, at_ms)),
            });
        }
        for noticed in self.flags.notice() {
            told.extend(match noticed {
                flags::Noticed::Raised(id, finding) => {
                    self.lone_claim(id, &finding).map(Told::Raised)
                }
                flags::Noticed::Over(id, finding, at_ms) => self
                    .lone_claim(id, &finding)
                    .map(|claim| Told::Cleared(claim, at_ms)),
            });
        }
        told
    }

    /// Whether there is something to tell at a site time although nothing came.
    #[must_use]
    pub fn is_due(&self, now_ms: i64) -> bool {
        !self.told.is_empty() || self.owes() || self.silences.is_due(now_ms)
    }

    /// When that will be, ms of site time.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.silences.due_ms()
    }

    /// A device said whether a sensor is there.
    pub fn availability(&mut self, id: SensorId, availability: Availability) {
        self.silences.availability(id, availability);
    }

    /// What sensors said before now may have been heard by nobody: none of them is silent for that. By site time that
    /// passes by itself; a clock of readings stands still while nobody hears.
    pub fn listen(&mut self) {
        self.silences.listen();
    }

    /// A sensor was said to be silent from this time on, ms UTC, before the past was [recalled](Self::recall): it
    /// still is, where it has not spoken since.
    pub fn said_silent(&mut self, id: SensorId, raised_ms: i64, now_ms: i64) {
        self.silences.said(id, raised_ms, now_ms);
    }

    /// Everything that stands.
    #[must_use]
    pub fn standing(&self) -> Vec<Claim> {
        let homes = self.homes.iter().flatten();
        let mut all: Vec<Claim> = homes
            .flat_map(|home| home.standing(&self.settings))
            .collect();
        let lone = self.silences.standing().chain(self.flags.standing());
        all.extend(lone.filter_map(|(id, finding)| self.lone_claim(id, &finding)));
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// What can be said of sensors' last nights, where that is different since it was taken: by sensor, `None` where
    /// nothing is known any more.
    pub fn take_nights(&mut self) -> Vec<(String, Option<Night>)> {
        std::mem::take(&mut self.nights)
    }

    /// "This was normal" of what an alert claims, said at this time, ms UTC: its rule needs more for a year, or a
    /// series need not rest. Said twice with the same time it counts once.
    pub fn answer(&mut self, alert: &AlertId, at_ms: i64) -> Answered {
        let Some((Some(kind), subject)) = alert
            .detector_and_subject()
            .map(|(word, subject)| (Kind::of_word(word), subject))
        else {
            return Answered::Unheard;
        };
        let detector = match kind {
            Kind::Persist => Detector::Persist,
            Kind::Commissioning => Detector::Commissioning,
            Kind::HighFlow
            | Kind::Away
            | Kind::Balance
            | Kind::Daily
            | Kind::BaseLoad
            | Kind::DayShock
            | Kind::Silent
            | Kind::Flag => return Answered::Unheard,
        };
        for (at, home) in self.homes.iter_mut().enumerate() {
            let Some(home) = home else { continue };
            if let Some(of) = home.subject(&subject)
                && home.normal(detector, of, at_ms)
            {
                self.touched.insert(at);
                self.answered.insert(at);
                return Answered::Taken;
            }
        }
        Answered::Unheard
    }

    /// Houses that were answered something since the last commit, as of before this sequence number: what was
    /// answered is in no reading, so they are to be kept in that commit.
    pub fn answered(&self, next_seq: u64) -> impl Iterator<Item = KeptHouse> {
        let answered = self.answered.iter();
        answered.filter_map(move |at| self.kept(*at, next_seq))
    }

    /// They are kept.
    pub fn kept_answers(&mut self) {
        self.answered.clear();
    }

    /// How long what an alert claims has to hold before it is said, ms.
    #[must_use]
    pub fn dwell_ms(&self, alert: &AlertId) -> i64 {
        let Some((word, subject)) = alert.detector_and_subject() else {
            return 0;
        };
        Kind::of_word(word).map_or(0, |kind| self.settings.dwell_ms(kind, &subject))
    }

    /// Comes out of the past: every sensor is known. `kept` gives what was kept of a house by its name; `since`
    /// from which event time on (ms) a sensor may be different to one who knows all before a sequence number.
    /// Nothing is told of it: hold [`standing`](Self::standing) against what was said. Returns which houses go on as
    /// they were kept, each with the newest noon-day that it had seen the end of then.
    ///
    /// # Errors
    /// The past cannot be read.
    pub fn recall<H: History>(
        &mut self,
        balances: &[(BalanceId, String, SensorId, Vec<SensorId>)],
        mut kept: impl FnMut(&str) -> Option<KeptHouse>,
        since: impl Fn(SensorId, u64) -> Option<i64>,
        now_ms: Option<i64>,
        history: &mut H,
    ) -> Result<Vec<(String, Option<Day>)>, H::Error> {
        let mut gone_on = Vec::new();
        for (id, name, meter, parts) in balances {
            let _none_where_nothing_is_watched = self.build_balance(*id, name, *meter, parts);
        }
        let mut ids: Vec<SensorId> = self.sensors.keys().copied().collect();
        ids.sort_unstable();
        for id in &ids {
            if self.sensors[id].places.is_empty() {
                let _none_where_nothing_is_watched = self.build_lone(*id);
            }
            self.recall_sensor(*id, history)?;
        }
        for at in 0..self.homes.len() {
            let Some(home) = &self.homes[at] else {
                continue;
            };
            let found = kept(home.name()).filter(|kept| home.fits(kept));
            let Some(kept) = found else {
                self.rebuild(at, history)?;
                continue;
            };
            let ids = home.members.iter().map(|member| member.id);
            let since: Vec<Option<i64>> = ids.map(|id| since(id, kept.next_seq)).collect();
            let movers = self.movers_of(&home.members[0].name);
            let mut home = home.clone();
            home.restore(kept);
            let newest = home.house.newest_day();
            let fit = home.catch_up(&since, &movers, history)?;
            let name = home.name().to_owned();
            self.homes[at] = Some(home);
            match fit {
                Fit::Goes => gone_on.push((name, newest)),
                Fit::Again => self.rebuild(at, history)?,
            }
        }
        self.touched.extend(0..self.homes.len());
        let _held_against_what_was_said = self.settle(now_ms);
        Ok(gone_on)
    }

    /// Every house by its place, with its name and the newest noon-day that it has seen the end of.
    pub fn houses(&self) -> impl Iterator<Item = (usize, &str, Option<Day>)> {
        let homes = self.homes.iter().enumerate();
        homes.filter_map(|(at, home)| {
            let home = home.as_ref()?;
            Some((at, home.name(), home.house.newest_day()))
        })
    }

    /// What must be kept of the house at a place, as of before this sequence number.
    #[must_use]
    pub fn kept(&self, at: usize, next_seq: u64) -> Option<KeptHouse> {
        Some(self.homes.get(at)?.as_ref()?.kept(next_seq))
    }

    fn recall_sensor<H: History>(&mut self, id: SensorId, history: &mut H) -> Result<(), H::Error> {
        let Some(newest_ms) = history.newest_ms(id) else {
            return Ok(());
        };
        self.silences.heard(id, newest_ms);
        if self.flags.is_flag(id) {
            for (at_ms, value) in history.readings(id, newest_ms - FLAG_DAYS_MS)? {
                self.flags.heard(id, at_ms, value);
            }
        }
        let learns = self.sensors[&id].what.interval_ms.is_none();
        if learns && let Some(newest) = engine::EventTime::from_ms(newest_ms) {
            let day = self.settings.calendar.day_of(newest, engine::Stamp::Start);
            let from = engine::Day::from_number(day.number() - LEARNED_DAYS);
            for (day, state) in history.days(id, from)? {
                if state.row.closed && !state.row.is_gone() {
                    self.silences.counted(id, day, state.row.count);
                }
            }
        }
        Ok(())
    }

    /// Somebody moved, or did not after all.
    fn movement(&mut self, id: SensorId, at_ms: i64, value: f64, admission: Admission) {
        let is_movement = value != 0.0;
        match admission {
            Admission::Corrected { was } if was != 0.0 && !is_movement => self.unmoved(id),
            Admission::Accepted | Admission::Corrected { .. } if is_movement => {
                self.moved(id, at_ms);
            }
            Admission::Accepted
            | Admission::Corrected { .. }
            | Admission::Duplicate
            | Admission::SetAside { .. }
            | Admission::Kept { .. } => {}
        }
    }

    /// Movements of a sensor count no longer: a house does not know whose each was, and is made again.
    fn unmoved(&mut self, id: SensorId) {
        if let Some(sensor) = self.sensors.get(&id) {
            let homes = self.prefixes.get(plan::prefix(&sensor.name));
            self.again.extend(homes.into_iter().flatten());
        }
    }

    fn moved(&mut self, id: SensorId, at_ms: i64) {
        let Some(sensor) = self.sensors.get(&id) else {
            return;
        };
        let homes = self.prefixes.get(plan::prefix(&sensor.name));
        for at in homes.into_iter().flatten() {
            if let Some(home) = &mut self.homes[*at]
                && home.house.spec().resource == Resource::Water
            {
                let _taken = home.house.moved(at_ms);
                self.touched.insert(*at);
            }
        }
    }

    /// A house of one sensor, where it is watched.
    fn build_lone(&mut self, id: SensorId) -> Option<usize> {
        let sensor = self.sensors.get(&id).filter(|sensor| sensor.is_watched)?;
        let part = plan::part(&sensor.what, None)?;
        let member = Member {
            id,
            name: sensor.name.clone(),
            kind: sensor.what.kind,
            part,
            is_told_elsewhere: false,
        };
        Some(self.build(vec![member], None))
    }

    fn build_balance(
        &mut self,
        id: BalanceId,
        name: &str,
        meter: SensorId,
        parts: &[SensorId],
    ) -> Option<usize> {
        if self.rests.contains_key(&id) {
            return None;
        }
        let ids: Vec<SensorId> = std::iter::once(meter)
            .chain(parts.iter().copied())
            .collect();
        let sensors: Option<Vec<&Sensor>> = ids.iter().map(|id| self.sensors.get(id)).collect();
        let sensors = sensors?;
        let is_watched = sensors.iter().any(|sensor| sensor.is_watched);
        if !is_watched && !self.settings.watches_at_all(name) {
            return None;
        }
        let whats: Vec<&What> = sensors.iter().map(|sensor| &sensor.what).collect();
        let parts = plan::balance(&whats)?;
        let members = ids
            .iter()
            .zip(&sensors)
            .zip(parts)
            .map(|((id, sensor), part)| {
                let mut elsewhere = sensor.places.iter();
                Member {
                    id: *id,
                    name: sensor.name.clone(),
                    kind: sensor.what.kind,
                    part,
                    is_told_elsewhere: elsewhere.any(|(at, _)| self.is_balance(*at)),
                }
            });
        let members: Vec<Member> = members.collect();
        for id in &ids {
            self.leave(*id);
        }
        let at = self.build(members, Some((id, name.to_owned())));
        self.rests.insert(id, at);
        Some(at)
    }

    fn is_balance(&self, at: usize) -> bool {
        self.homes[at]
            .as_ref()
            .is_some_and(|home| home.balance.is_some())
    }

    /// A lone sensor's house ends: a balance takes it up. What was said of it is taken back; the balance says it
    /// again where it stands.
    fn leave(&mut self, id: SensorId) {
        let places = self
            .sensors
            .get(&id)
            .map_or(Vec::new(), |s| s.places.clone());
        for (at, _) in places {
            if self.is_balance(at) {
                continue;
            }
            if let Some(home) = self.homes[at].take() {
                let claims = home.standing(&self.settings).into_iter();
                self.told
                    .extend(claims.map(|claim| Told::Withdrawn(claim.id)));
            }
            if let Some(sensor) = self.sensors.get_mut(&id) {
                sensor.places.retain(|(place, _)| *place != at);
            }
        }
    }

    fn build(&mut self, members: Vec<Member>, balance: Option<(BalanceId, String)>) -> usize {
        let at = self.homes.len();
        for (place, member) in members.iter().enumerate() {
            if let Some(sensor) = self.sensors.get_mut(&member.id) {
                sensor.places.push((at, place));
            }
        }
        let home = Home::new(members, balance, &self.settings, HouseState::default());
        let prefix = plan::prefix(&home.members[0].name).to_owned();
        self.prefixes.entry(prefix).or_default().push(at);
        self.homes.push(Some(home));
        at
    }

    /// Makes a house of its past, and of what came since the last settling.
    fn rebuild<H: History>(&mut self, at: usize, history: &mut H) -> Result<(), H::Error> {
        let Some(mut home) = self.homes[at].take() else {
            return Ok(());
        };
        let movers = self.movers_of(&home.members[0].name);
        let done = home.rebuild(&movers, history);
        for reading in &self.fresh {
            let of = |member: &Member| member.id == reading.sensor;
            if let Some(member) = home.members.iter().position(of) {
                home.put(member, reading.time.ms(), reading.value);
            }
        }
        self.homes[at] = Some(home);
        self.touched.insert(at);
        done
    }

    fn movers_of(&self, name: &str) -> Vec<SensorId> {
        let movers = self.movers.get(plan::prefix(name));
        movers.cloned().unwrap_or_default()
    }

    /// A claim about a sensor by itself.
    fn lone_claim(&self, id: SensorId, finding: &engine::detect::Finding) -> Option<Claim> {
        let sensor = self.sensors.get(&id)?;
        let parameters = engine::detect::Parameters::default();
        let naming = Naming {
            calendar: self.settings.calendar,
            tariffs: &self.settings.tariffs,
            parameters: &parameters,
            names: Names {
                members: &[sensor.name.as_str()],
                balance: "",
                resource: Resource::Water,
            },
        };
        Some(naming.claim(finding))
    }
}
