//! The life of alerts: what becomes of a claim, of a person's answer, of time.
//!
//! Pure: claims, answers and times come in; alerts, notices and who hears of them come out, a turn at a time.
//! A turn is written in one transaction, or undone; rebuilt from what was written, the book goes on as if
//! nothing had happened. Times are ms since 1970 UTC by the gateway's clock, which may be set: what was said in
//! its future counts as said now.

mod kept;
mod rules;
mod turn;

pub use kept::Kept;
pub use rules::{Receiver, Rules};
pub use turn::Written;

use super::{Action, Alert, AlertId, Claim, Notice, State, Told, What};
use std::collections::{BTreeMap, BTreeSet};
use turn::Turn;

/// An alert that is over stays for so long,
pub const KEPT_OVER_MS: i64 = 90 * DAY_MS;
/// and longer while it is one of so many.
pub const KEPT_NEWEST: usize = 500;
/// The least time that one may be snoozed.
pub const SHORTEST_SNOOZE_MS: i64 = 60_000;
/// The most.
pub const LONGEST_SNOOZE_MS: i64 = 365 * DAY_MS;
/// A clock that goes back by less was not set.
const SET_BACK_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Every alert of a site.
#[derive(Clone, Debug, Default)]
pub struct Book {
    kept: BTreeMap<AlertId, Kept>,
    /// The number of the next notice.
    next_seq: u64,
    rules: Rules,
    /// How long what is pending has to hold before it is said.
    dwell_ms: BTreeMap<AlertId, i64>,
    turn: Turn,
    due: Due,
}

/// When time alone changes something.
#[derive(Clone, Copy, Debug, Default)]
enum Due {
    /// It has to be found out.
    #[default]
    Unknown,
    /// Then, if ever.
    At(Option<i64>),
}

/// What came of an answer.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is as the answer says from now on.
    Done,
    /// It was already.
    Already,
}

/// Why an answer has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No alert has that id.
    #[error("no alert is called {0}; `sluice alerts` lists them")]
    Unknown(AlertId),
    /// It is over.
    #[error("{0} is over: there is nothing to answer")]
    Over(AlertId),
    /// It has not been said.
    #[error("{0} has not held for long enough to be said: there is nothing to answer yet")]
    Pending(AlertId),
    /// Too short or too long a while.
    #[error("an alert is snoozed for 1m to 365d")]
    Snooze,
}

impl Book {
    /// The book as it was written; the next notice has the number `next_seq`.
    #[must_use]
    pub fn of(kept: impl IntoIterator<Item = Kept>, next_seq: u64, rules: Rules) -> Self {
        let kept = kept.into_iter();
        Self {
            kept: kept
                .map(|kept| (kept.alert.claim.id.clone(), kept))
                .collect(),
            next_seq,
            rules,
            ..Self::default()
        }
    }

    /// Every alert, by id.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.kept.values().map(|kept| &kept.alert)
    }

    /// The alert of that id.
    #[must_use]
    pub fn alert(&self, id: &AlertId) -> Option<&Alert> {
        self.kept.get(id).map(|kept| &kept.alert)
    }

    /// The parts of the gateway that claim something of themselves now.
    #[must_use]
    pub fn parts(&self) -> BTreeSet<String> {
        let standing = self.kept.values().filter(|kept| !kept.is_over());
        standing.filter_map(|kept| kept.part.clone()).collect()
    }

    /// What is configured.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A detector says something; what it claims has to hold for `dwell_ms` before it is said.
    pub fn hear(&mut self, told: &Told, dwell_ms: i64, now_ms: i64) {
        match told {
            Told::Raised(claim) => {
                if self.is_live(&claim.id) {
                    self.update(claim.clone(), now_ms);
                } else {
                    self.open(claim.clone(), None, dwell_ms, now_ms);
                }
            }
            Told::Updated(claim) => self.claimed(claim.clone(), None, dwell_ms, now_ms),
            Told::Cleared(claim, _) => {
                self.last_word(claim);
                self.end(&claim.id, What::Cleared, now_ms);
            }
            Told::Withdrawn(id) => self.end(id, What::Withdrawn, now_ms),
        }
    }

    /// These are all claims that stand: of a part of the gateway, or, without one, of the detectors. What
    /// stands and was not said is raised; what was said and stands no more is withdrawn, or cleared where
    /// the gateway claimed it of itself.
    pub fn reconcile(
        &mut self,
        part: Option<&str>,
        standing: &[Claim],
        dwell_ms: impl Fn(&AlertId) -> i64,
        now_ms: i64,
    ) {
        for claim in standing {
            let mut claim = claim.clone();
            if let (Some(_), Some(kept)) = (part, self.kept.get(&claim.id))
                && !kept.is_over()
            {
                claim.raised_ms = kept.alert.claim.raised_ms;
            }
            let dwell_ms = dwell_ms(&claim.id);
            self.claimed(claim, part, dwell_ms, now_ms);
        }
        let gone = |kept: &&Kept| {
            kept.part.as_deref() == part
                && !kept.is_over()
                && !standing.iter().any(|claim| claim.id == kept.alert.claim.id)
        };
        let gone = self.kept.values().filter(gone);
        let gone: Vec<AlertId> = gone.map(|kept| kept.alert.claim.id.clone()).collect();
        let what = match part {
            Some(_) => What::Cleared,
            None => What::Withdrawn,
        };
        for id in gone {
            self.end(&id, what, now_ms);
        }
    }

    /// A person answers.
    pub fn act(
        &mut self,
        id: &AlertId,
        action: Action,
        by: &str,
        now_ms: i64,
    ) -> Result<Acted, Unanswered> {
        let Some(kept) = self.kept.get(id) else {
            return Err(Unanswered::Unknown(id.clone()));
        };
        let (state, normal) = (kept.alert.state, kept.alert.normal);
        match (state, action) {
            (State::Pending, _) => return Err(Unanswered::Pending(id.clone())),
            (State::Cleared, Action::Normal) => {
                if normal {
                    return Ok(Acted::Already);
                }
                // Nothing is left to say: it is over.
                self.with(id, |kept| {
                    kept.alert.normal = true;
                    kept.alert.by = Some(by.to_owned());
                    kept.alert.acted_ms = Some(now_ms);
                });
                return Ok(Acted::Done);
            }
            (State::Cleared | State::Withdrawn, _) => return Err(Unanswered::Over(id.clone())),
            (State::Acknowledged, Action::Acknowledge) => return Ok(Acted::Already),
            (State::Firing | State::Acknowledged | State::Snoozed, _) => {}
        }
        let (what, until_ms) = match action {
            Action::Acknowledge => (What::Acknowledged, None),
            Action::Snooze(ms) if (SHORTEST_SNOOZE_MS..=LONGEST_SNOOZE_MS).contains(&ms) => {
                (What::Snoozed, Some(now_ms.saturating_add(ms)))
            }
            Action::Snooze(_) => return Err(Unanswered::Snooze),
            Action::Normal => (What::Cleared, None),
        };
        self.with(id, |kept| {
            let alert = &mut kept.alert;
            alert.by = Some(by.to_owned());
            alert.acted_ms = Some(now_ms);
            alert.snoozed_until_ms = until_ms;
            if action == Action::Normal {
                alert.normal = true;
                alert.ended_ms = Some(now_ms);
            }
        });
        self.say(id, what, Some(by), now_ms);
        Ok(Acted::Done)
    }

    /// Lets time pass: what was pending is said, what was snoozed wakes, what nobody answers is said
    /// again, what was over long ago is forgotten.
    pub fn pass(&mut self, now_ms: i64) {
        self.look_at_clock(now_ms);
        if self.due_ms().is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        let ids: Vec<AlertId> = self.kept.keys().cloned().collect();
        for id in ids {
            self.pass_by(&id, now_ms);
        }
        self.forget(now_ms);
        self.stale();
    }

    /// When [`pass`](Self::pass) has something to do.
    pub fn due_ms(&mut self) -> Option<i64> {
        match self.due {
            Due::At(due_ms) => due_ms,
            Due::Unknown => {
                let due_ms = self.find_due();
                self.due = Due::At(due_ms);
                due_ms
            }
        }
    }

    fn find_due(&self) -> Option<i64> {
        let crowded = self.kept.len() > KEPT_NEWEST;
        let due = self.kept.iter().filter_map(|(id, kept)| {
            let alert = &kept.alert;
            match alert.state {
                State::Pending => Some(alert.since_ms.saturating_add(*self.dwell_ms.get(id)?)),
                State::Firing => {
                    let after = self.rules.repeat_at(alert.repeats)?;
                    Some(kept.repeat_from_ms?.saturating_add(after))
                }
                State::Snoozed => alert.snoozed_until_ms,
                State::Cleared | State::Withdrawn if crowded => {
                    Some(alert.ended_ms?.saturating_add(KEPT_OVER_MS))
                }
                State::Acknowledged | State::Cleared | State::Withdrawn => None,
            }
        });
        due.min()
    }

    pub(super) fn stale(&mut self) {
        self.due = Due::Unknown;
    }

    fn is_live(&self, id: &AlertId) -> bool {
        self.kept.get(id).is_some_and(|kept| !kept.is_over())
    }

    /// A claim stands: it is news, or an episode that is known goes on.
    fn claimed(&mut self, claim: Claim, part: Option<&str>, dwell_ms: i64, now_ms: i64) {
        match self.kept.get(&claim.id) {
            Some(kept) if !kept.is_over() => {
                if kept.alert.state == State::Pending {
                    self.dwell_ms.insert(claim.id.clone(), dwell_ms);
                    self.stale();
                }
                self.update(claim, now_ms);
            }
            // Somebody said that it is normal: it is not said again before it was over in fact.
            Some(kept) if kept.alert.normal && claim.raised_ms <= kept.alert.claim.raised_ms => {}
            Some(_) | None => self.open(claim, part, dwell_ms, now_ms),
        }
    }

    /// Another episode begins.
    fn open(&mut self, claim: Claim, part: Option<&str>, dwell_ms: i64, now_ms: i64) {
        let id = claim.id.clone();
        self.touch(&id);
        let before = self.kept.remove(&id).map(Box::new);
        let alert = Alert {
            claim,
            state: State::Pending,
            episode: before.as_ref().map_or(1, |kept| kept.alert.episode + 1),
            notices: 0,
            since_ms: now_ms,
            fired_ms: None,
            ended_ms: None,
            by: None,
            acted_ms: None,
            snoozed_until_ms: None,
            repeats: 0,
            normal: false,
        };
        let kept = Kept {
            alert,
            part: part.map(str::to_owned),
            repeat_from_ms: None,
            told: Vec::new(),
            before,
        };
        self.kept.insert(id.clone(), kept);
        if dwell_ms > 0 {
            self.dwell_ms.insert(id, dwell_ms);
        } else {
            self.say_loud(&id, What::Fired, now_ms);
        }
    }

    /// More is known of a claim that stands. An episode is as severe as its worst moment.
    fn update(&mut self, mut claim: Claim, now_ms: i64) {
        let Some(kept) = self.kept.get(&claim.id) else {
            return;
        };
        let (state, was) = (kept.alert.state, kept.alert.claim.severity);
        claim.severity = claim.severity.max(was);
        if claim == kept.alert.claim {
            return;
        }
        let (id, worsened) = (claim.id.clone(), claim.severity > was);
        self.with(&id, |kept| kept.alert.claim = claim);
        if worsened && state != State::Pending {
            self.say_loud(&id, What::Worsened, now_ms);
        }
    }

    /// What the detector knew at the end; no more severe than what was said.
    fn last_word(&mut self, claim: &Claim) {
        if let Some(kept) = self.kept.get(&claim.id)
            && !kept.is_over()
        {
            let severity = kept.alert.claim.severity;
            self.with(&claim.id, |kept| {
                kept.alert.claim = Claim {
                    severity,
                    ..claim.clone()
                };
            });
        }
    }

    fn end(&mut self, id: &AlertId, what: What, now_ms: i64) {
        let Some(kept) = self.kept.get(id) else {
            return;
        };
        match kept.alert.state {
            State::Pending => self.unsaid(id),
            State::Firing | State::Acknowledged | State::Snoozed => {
                self.with(id, |kept| kept.alert.ended_ms = Some(now_ms));
                self.say(id, what, None, now_ms);
            }
            State::Cleared | State::Withdrawn => {}
        }
    }

    /// What ended before it was said never was.
    fn unsaid(&mut self, id: &AlertId) {
        self.touch(id);
        self.dwell_ms.remove(id);
        if let Some(before) = self.kept.remove(id).and_then(|kept| kept.before) {
            self.kept.insert(id.clone(), *before);
        }
    }

    fn pass_by(&mut self, id: &AlertId, now_ms: i64) {
        let Some(kept) = self.kept.get(id) else {
            return;
        };
        let alert = &kept.alert;
        match alert.state {
            State::Pending => {
                let dwell_ms = self.dwell_ms.get(id);
                if dwell_ms.is_some_and(|dwell| alert.since_ms.saturating_add(*dwell) <= now_ms) {
                    self.say_loud(id, What::Fired, now_ms);
                }
            }
            State::Firing => {
                let from_ms = kept.repeat_from_ms.unwrap_or(now_ms);
                let due = self.rules.repeats_after(now_ms.saturating_sub(from_ms));
                // Those that were missed together are one.
                if due > alert.repeats {
                    self.with(id, |kept| kept.alert.repeats = due);
                    self.say(id, What::Repeated, None, now_ms);
                }
            }
            State::Snoozed => {
                if alert.snoozed_until_ms.is_none_or(|until| until <= now_ms) {
                    self.say_loud(id, What::Woken, now_ms);
                }
            }
            State::Acknowledged | State::Cleared | State::Withdrawn => {}
        }
    }

    /// Times that lie ahead of a clock that was set back count from now.
    fn look_at_clock(&mut self, now_ms: i64) {
        let ahead = |ms: Option<i64>| ms.is_some_and(|ms| ms > now_ms.saturating_add(SET_BACK_MS));
        let is_ahead = |kept: &Kept| match kept.alert.state {
            State::Pending => ahead(Some(kept.alert.since_ms)),
            State::Firing => ahead(kept.repeat_from_ms),
            State::Snoozed => ahead(kept.alert.acted_ms),
            State::Acknowledged | State::Cleared | State::Withdrawn => false,
        };
        let ids = self.kept.iter().filter(|(_, kept)| is_ahead(kept));
        let ids: Vec<AlertId> = ids.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.with(&id, |kept| {
                let alert = &mut kept.alert;
                alert.since_ms = alert.since_ms.min(now_ms);
                kept.repeat_from_ms = kept.repeat_from_ms.map(|from_ms| from_ms.min(now_ms));
                let by_ms = alert.acted_ms.map_or(0, |acted| (acted - now_ms).max(0));
                alert.acted_ms = alert.acted_ms.map(|acted| acted - by_ms);
                alert.snoozed_until_ms = alert.snoozed_until_ms.map(|until| until - by_ms);
            });
        }
    }

    fn forget(&mut self, now_ms: i64) {
        let over = self.kept.iter().filter(|(_, kept)| kept.is_over());
        let mut over: Vec<(i64, AlertId)> = over
            .map(|(id, kept)| (kept.alert.ended_ms.unwrap_or(i64::MIN), id.clone()))
            .collect();
        over.sort_unstable();
        let beyond = over.len().saturating_sub(KEPT_NEWEST);
        let old = |ended_ms: i64| ended_ms.saturating_add(KEPT_OVER_MS) <= now_ms;
        for (_, id) in over.into_iter().take(beyond).take_while(|(at, _)| old(*at)) {
            self.touch(&id);
            self.kept.remove(&id);
        }
    }

    /// Says something that nobody has answered: repeats begin anew.
    fn say_loud(&mut self, id: &AlertId, what: What, now_ms: i64) {
        self.dwell_ms.remove(id);
        self.with(id, |kept| {
            kept.before = None;
            kept.repeat_from_ms = Some(now_ms);
            let alert = &mut kept.alert;
            alert.fired_ms = alert.fired_ms.or(Some(now_ms));
            (alert.by, alert.acted_ms, alert.snoozed_until_ms) = (None, None, None);
            alert.repeats = 0;
        });
        self.say(id, what, None, now_ms);
    }

    /// Writes a line of the journal: the alert is in the state that it says.
    fn say(&mut self, id: &AlertId, what: What, by: Option<&str>, now_ms: i64) {
        self.touch(id);
        let Some(kept) = self.kept.get_mut(id) else {
            return;
        };
        kept.alert.state = what.state();
        kept.alert.notices += 1;
        let notice = Notice {
            seq: self.next_seq,
            what,
            at_ms: now_ms,
            by: by.map(str::to_owned),
            alert: kept.alert.clone(),
        };
        self.next_seq += 1;
        for channel in self.rules.route(&notice, &kept.told) {
            self.turn.outbox.push((channel.to_owned(), notice.seq));
        }
        let told = self
            .turn
            .outbox
            .iter()
            .filter(|(_, seq)| *seq == notice.seq);
        for (channel, _) in told {
            if !kept.told.contains(channel) {
                kept.told.push(channel.clone());
            }
        }
        self.turn.notices.push(notice);
    }

    fn with(&mut self, id: &AlertId, change: impl FnOnce(&mut Kept)) {
        self.touch(id);
        if let Some(kept) = self.kept.get_mut(id) {
            change(kept);
        }
    }
}
