//! The newest closed rows as retained messages: `sluice/<site>/day/<sensor>`, `…/diff/<sensor>`,
//! `…/rest/<balance>`.
//!
//! They are made again from the rows at every start, so the broker keeps them in memory only.

use super::{Announced, Registry, Site};
use crate::broker::{Fanout, Qos, Submission};
use crate::rows;
use crate::source::Verdict;
use crate::store::{Store, StoreError};
use engine::{BalanceId, Day, DayRow, DiffRow, RestRow, SensorId};
use std::collections::{BTreeMap, BTreeSet};

/// How results are said.
const QOS: Qos = Qos::AtLeastOnce;

/// Tells results to subscribers.
#[derive(Debug)]
pub(super) struct Results {
    prefix: String,
    days: BTreeMap<SensorId, Day>,
    diffs: BTreeMap<SensorId, Day>,
    rests: BTreeMap<BalanceId, Day>,
    /// What the group at hand has lost of what was said.
    lost: Lost,
}

/// Whose newest closed row is gone.
#[derive(Debug, Default, PartialEq)]
struct Lost {
    days: BTreeSet<SensorId>,
    diffs: BTreeSet<SensorId>,
    rests: BTreeSet<BalanceId>,
}

/// Keeps `day` where it is not older than what is known.
fn is_newest<K: Ord>(newest: &mut BTreeMap<K, Day>, key: K, day: Day) -> bool {
    let known = newest.entry(key).or_insert(day);
    let newer = day >= *known;
    *known = day.max(*known);
    newer
}

impl Results {
    pub(super) fn new(site: &str) -> Self {
        Self {
            prefix: format!("sluice/{site}"),
            days: BTreeMap::new(),
            diffs: BTreeMap::new(),
            rests: BTreeMap::new(),
            lost: Lost::default(),
        }
    }

    /// What the group at hand says, if it says anything.
    pub(super) fn of(&mut self, site: &Site, fanout: &Fanout) -> Vec<Submission<Verdict>> {
        let Announced {
            changes, registry, ..
        } = site.announced();
        let mut said = Vec::new();
        for change in &changes.days {
            if change.state.row.is_gone() && self.days.get(&change.sensor) == Some(&change.day) {
                self.lost.days.insert(change.sensor);
            }
            let has_lost = change.diff_changed && change.state.diff.is_none();
            if has_lost && self.diffs.get(&change.sensor) == Some(&change.day) {
                self.lost.diffs.insert(change.sensor);
            }
            if change.row_changed {
                self.day(
                    registry,
                    change.sensor,
                    change.day,
                    &change.state.row,
                    &mut said,
                );
            }
            if let Some(diff) = change.state.diff.filter(|_| change.diff_changed) {
                self.diff(registry, change.sensor, change.day, &diff, &mut said);
            }
        }
        for (balance, day, row) in &changes.rests {
            if row.is_gone() && self.rests.get(balance) == Some(day) {
                self.lost.rests.insert(*balance);
            }
            self.rest(registry, *balance, *day, row, &mut said);
        }
        compose(fanout, said)
    }

    /// What is to be said after the commit of a group that lost newest rows: the ones before them, or
    /// that there are none.
    pub(super) fn after_loss(
        &mut self,
        site: &Site,
        store: &Store,
        fanout: &Fanout,
    ) -> Result<Option<Submission<Verdict>>, StoreError> {
        let Lost { days, diffs, rests } = std::mem::take(&mut self.lost);
        let (view, registry) = (store.view(), site.registry());
        let mut said = Vec::new();
        for id in days {
            self.days.remove(&id);
            let held = view.days(id, None, None)?;
            match held.iter().rfind(|(_, state)| state.row.closed) {
                Some((day, state)) => self.day(registry, id, *day, &state.row, &mut said),
                None => self.clear("day", registry.sensor(id).name.as_str(), &mut said),
            }
        }
        for id in diffs {
            self.diffs.remove(&id);
            let held = view.days(id, None, None)?.into_iter();
            let held = held.filter_map(|(day, state)| Some((day, state.diff?)));
            match held.rev().find(|(_, diff)| diff.closed) {
                Some((day, diff)) => self.diff(registry, id, day, &diff, &mut said),
                None => self.clear("diff", registry.sensor(id).name.as_str(), &mut said),
            }
        }
        for id in rests {
            self.rests.remove(&id);
            let held = view.rests(id, None, None)?;
            match held.iter().rfind(|(_, row)| row.closed) {
                Some((day, row)) => self.rest(registry, id, *day, row, &mut said),
                None => self.clear("rest", &registry.balances()[id.0 as usize], &mut said),
            }
        }
        Ok(compose(fanout, said).pop())
    }

    /// Has the retained message of a result go.
    fn clear(&self, what: &str, name: &str, said: &mut Vec<(String, Vec<u8>)>) {
        said.push((format!("{}/{what}/{name}", self.prefix), Vec::new()));
    }

    /// The newest closed rows that the store holds, for a start.
    pub(super) fn known(
        &mut self,
        site: &Site,
        store: &Store,
        fanout: &Fanout,
    ) -> Result<(), StoreError> {
        /// Days looked at for each sensor: a row that is older is not news.
        const RECENT_DAYS: i32 = 3;
        let (view, registry, day_of) = (store.view(), site.registry(), site.day_of());
        let since = |id: SensorId| {
            let (newest, _) = registry.sensor(id).last?;
            Some(Day::from_number(day_of(id, newest).number() - RECENT_DAYS))
        };
        let mut said = Vec::new();
        for id in registry.sensor_ids() {
            let Some(from) = since(id) else { continue };
            for (day, state) in view.days(id, Some(from), None)? {
                self.day(registry, id, day, &state.row, &mut said);
                if let Some(diff) = state.diff {
                    self.diff(registry, id, day, &diff, &mut said);
                }
            }
        }
        for (id, meter) in registry.balances_and_meters() {
            let Some(from) = since(meter) else { continue };
            for (day, row) in view.rests(id, Some(from), None)? {
                self.rest(registry, id, day, &row, &mut said);
            }
        }
        let said = said
            .iter()
            .map(|(topic, json)| (topic.as_str(), json.as_slice(), QOS));
        fanout.retain_again(said);
        Ok(())
    }

    fn day(
        &mut self,
        registry: &Registry,
        id: SensorId,
        day: Day,
        row: &DayRow,
        said: &mut Vec<(String, Vec<u8>)>,
    ) {
        if row.closed && !row.is_gone() && is_newest(&mut self.days, id, day) {
            let (name, unit) = registry.name_and_unit(id);
            let json = serde_json::to_vec(&rows::Day::of(name, unit, day, row));
            self.say("day", name, json, said);
        }
    }

    fn diff(
        &mut self,
        registry: &Registry,
        id: SensorId,
        day: Day,
        row: &DiffRow,
        said: &mut Vec<(String, Vec<u8>)>,
    ) {
        if row.closed && is_newest(&mut self.diffs, id, day) {
            let (name, unit) = registry.name_and_unit(id);
            let json = serde_json::to_vec(&rows::Diff::of(name, unit, day, row));
            self.say("diff", name, json, said);
        }
    }

    fn rest(
        &mut self,
        registry: &Registry,
        id: BalanceId,
        day: Day,
        row: &RestRow,
        said: &mut Vec<(String, Vec<u8>)>,
    ) {
        if row.closed && !row.is_gone() && is_newest(&mut self.rests, id, day) {
            let name = &registry.balances()[id.0 as usize];
            let name_of = |part| registry.sensor(part).name.as_str().to_owned();
            let unit = registry.unit_of_balance(id);
            let json = serde_json::to_vec(&rows::Rest::of(name, unit, day, row, name_of));
            self.say("rest", name, json, said);
        }
    }

    fn say(
        &self,
        what: &str,
        name: &str,
        json: serde_json::Result<Vec<u8>>,
        said: &mut Vec<(String, Vec<u8>)>,
    ) {
        match json {
            Ok(json) => said.push((format!("{}/{what}/{name}", self.prefix), json)),
            Err(error) => tracing::error!(%error, name, "a result could not be written as JSON"),
        }
    }
}

fn compose(fanout: &Fanout, said: Vec<(String, Vec<u8>)>) -> Vec<Submission<Verdict>> {
    if said.is_empty() {
        return Vec::new();
    }
    let messages = said
        .iter()
        .map(|(topic, json)| (topic.as_str(), json.as_slice(), QOS, true));
    vec![fanout.compose_derived(messages, Verdict::NotMapped)]
}
