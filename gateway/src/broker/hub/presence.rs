//! Who is here and who is away. The one place where a client id changes hands: whoever wants it waits until
//! the connection before it has put its session down.

use super::due::{Due, DueKey, DueWhat};
use super::{Hub, RetainHandling, Will};
use crate::broker::auth::Permit;
use crate::broker::intake::{Line, Order};
use crate::broker::lifetime::Present;
use crate::broker::session::{self, Absence, Memory, Whereabouts};
use crate::broker::slot::{Grant, Slot};
use crate::broker::stats::Stats;
use crate::broker::{locked, name, now};
use crate::store::BrokerWrite;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Members {
    of: HashMap<Arc<str>, Member>,
    /// The absent, by epoch: whoever has been away longest comes first.
    away: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug)]
struct Member {
    slot: Arc<Slot>,
    /// Of this presence or absence, unique and rising: what is due for an earlier one is void.
    epoch: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Here(Arc<Line>),
    Away {
        memory: Box<Memory>,
        absence: Absence,
        /// When the session is over, whoever looks first.
        ends: Option<Instant>,
        /// Its row is on the way to the writer: who returns waits, or its own would come before.
        being_written: bool,
        /// What is scheduled, to be taken back when the client returns.
        due: Vec<DueKey>,
    },
    /// Over; the client id is taken until its rows are on their way out.
    Ending,
}

/// What a new connection finds.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) slot: Arc<Slot>,
    /// The session to go on with.
    pub(crate) memory: Option<Box<Memory>>,
    /// The session that a clean start ended had rows in the store.
    pub(crate) dropped: bool,
    /// The will of the session that a clean start ended.
    pub(crate) will: Option<Box<Will>>,
}

/// What has become due.
#[derive(Debug, Default)]
pub(crate) struct Matured {
    pub(crate) wills: Vec<Will>,
    pub(crate) writes: Vec<BrokerWrite>,
    /// Sessions that go on without their will: [`Hub::written`] once the writes are on their way.
    pub(crate) written: Vec<Arc<Slot>>,
    /// Sessions that are over: [`Hub::end`] them once the writes are on their way. Until then their client
    /// ids are taken, or a new session's rows could come before the old one's end.
    pub(crate) ended: Vec<Arc<Slot>>,
}

/// The broker's sessions in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) here: usize,
    pub(crate) away: usize,
    pub(crate) queued_messages: usize,
    /// With [`crate::broker::limits::MESSAGE_OVERHEAD`] a message.
    pub(crate) queued_bytes: usize,
    /// Plain and shared.
    pub(crate) subscriptions: usize,
    pub(crate) shared_subscriptions: usize,
}

enum Attempt {
    Claimed(Box<Claim>),
    Occupied,
}

impl Hub {
    /// Takes the client id for the connection behind `line`, after whoever holds it has left. A session of
    /// another user than `owner` ends.
    pub(crate) async fn claim(
        &self,
        client: &str,
        line: &Arc<Line>,
        clean_start: bool,
        owner: Option<&str>,
    ) -> Claim {
        loop {
            let vacated = self.vacated.notified();
            tokio::pin!(vacated);
            vacated.as_mut().enable();
            match self.try_claim(client, line, clean_start, owner, now()) {
                Attempt::Claimed(claim) => return *claim,
                Attempt::Occupied => vacated.await,
            }
        }
    }

    fn try_claim(
        &self,
        client: &str,
        line: &Arc<Line>,
        clean_start: bool,
        owner: Option<&str>,
        now: Instant,
    ) -> Attempt {
        let mut members = locked(&self.members);
        let mut ended_will = None;
        let mut dropped = false;
        if let Some(member) = members.of.get_mut(client) {
            let epoch = member.epoch;
            match &mut member.state {
                State::Here(other) => {
                    other.give(Order::TakenOver);
                    return Attempt::Occupied;
                }
                State::Ending => return Attempt::Occupied,
                State::Away {
                    memory,
                    absence,
                    ends,
                    being_written,
                    due,
                } => {
                    if *being_written {
                        return Attempt::Occupied;
                    }
                    self.agenda.take_back(due);
                    let is_over = ends.is_some_and(|end| end <= now);
                    let is_theirs = memory.owner.as_deref() == owner;
                    if !clean_start && !is_over && is_theirs {
                        let memory = std::mem::take(memory);
                        member.epoch = self.key();
                        member.state = State::Here(Arc::clone(line));
                        member.slot.attach(Some(Arc::clone(line)));
                        let slot = Arc::clone(&member.slot);
                        members.away.remove(&epoch);
                        // Resuming in time is what a will delay is for: the will is void.
                        return Attempt::Claimed(Box::new(Claim {
                            slot,
                            memory: Some(memory),
                            dropped: false,
                            will: None,
                        }));
                    }
                    ended_will = absence.will.take();
                    self.forget(&member.slot);
                    members.away.remove(&epoch);
                    dropped = true;
                }
            }
        }
        dropped |= locked(&self.abandoned).remove(client);
        let slot = self.internal_slot(client, &self.limits);
        slot.attach(Some(Arc::clone(line)));
        let member = Member {
            slot: Arc::clone(&slot),
            epoch: self.key(),
            state: State::Here(Arc::clone(line)),
        };
        members.of.insert(client.into(), member);
        Attempt::Claimed(Box::new(Claim {
            slot,
            memory: None,
            dropped,
            will: ended_will,
        }))
    }

    /// The connection is gone and the session ends with it.
    pub(crate) fn end(&self, slot: &Arc<Slot>) {
        slot.attach(None);
        self.forget(slot);
        let mut members = locked(&self.members);
        if let Some(member) = members.of.get(&slot.client)
            && member.slot.key == slot.key
        {
            let epoch = member.epoch;
            members.away.remove(&epoch);
            members.of.remove(&slot.client);
        }
        drop(members);
        self.vacated.notify_waiters();
    }

    /// The connection is gone, the session stays until it expires. Where more would stay than may, the one
    /// whose client has been away longest ends now.
    pub(crate) fn park(
        &self,
        slot: &Arc<Slot>,
        memory: Box<Memory>,
        absence: Absence,
        present: Present,
    ) {
        slot.attach(None);
        let mut members = locked(&self.members);
        let Some(member) = members
            .of
            .get_mut(&slot.client)
            .filter(|member| member.slot.key == slot.key)
        else {
            return;
        };
        let epoch = self.key();
        member.epoch = epoch;
        let end_of = |span| present.now.checked_add(absence.left(span, present));
        let delay = absence.will.as_ref().map(|will| will.delay_s);
        let will_at = delay.and_then(|delay_s| end_of(Duration::from_secs(delay_s.into())));
        let ends = end_of(memory.expiry(&self.limits));
        let mut due = Vec::new();
        for (at, what) in [(will_at, DueWhat::Will), (ends, DueWhat::Expiry)] {
            if let Some(at) = at {
                let client = Arc::clone(&slot.client);
                due.push(self.agenda.schedule(
                    at,
                    Due {
                        client,
                        epoch,
                        what,
                    },
                ));
            }
        }
        member.state = State::Away {
            memory,
            absence,
            ends,
            being_written: false,
            due,
        };
        members.away.insert(epoch, Arc::clone(&slot.client));
        if members.away.len() > self.limits.max_sessions {
            self.evict(&mut members, present.now);
        }
        drop(members);
        self.vacated.notify_waiters();
    }

    /// The session of whoever has been away longest expires now.
    fn evict(&self, members: &mut Members, now: Instant) {
        let Some((epoch, client)) = members.away.pop_first() else {
            return;
        };
        if let Some(member) = members.of.get_mut(&client)
            && let State::Away { ends, due, .. } = &mut member.state
        {
            *ends = Some(now);
            Stats::add(&self.stats.sessions_evicted, 1);
            tracing::warn!(
                client = &*client,
                waiting = member.slot.waiting().0,
                kept = self.limits.max_sessions,
                "a session ends early, and the messages that wait for it with it: more clients are away \
                 than sessions are kept for"
            );
            let what = DueWhat::Expiry;
            due.push(self.agenda.schedule(
                now,
                Due {
                    client,
                    epoch,
                    what,
                },
            ));
        }
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// Rings when [`Hub::next_due`] may be sooner.
    pub(crate) async fn due_changed(&self) {
        self.agenda.changed().await;
    }

    /// Wills to publish and sessions to forget by `now`.
    pub(crate) fn mature(&self, now: Instant) -> Matured {
        let mut matured = Matured::default();
        while let Some(due) = self.agenda.take(now) {
            let mut members = locked(&self.members);
            let Some(member) = members
                .of
                .get_mut(&due.client)
                .filter(|member| member.epoch == due.epoch)
            else {
                continue;
            };
            let State::Away {
                memory,
                absence,
                being_written,
                ..
            } = &mut member.state
            else {
                continue;
            };
            let client = due.client.as_ref().to_owned();
            matured.wills.extend(absence.will.take().map(|will| *will));
            match due.what {
                DueWhat::Will => {
                    let whereabouts = Whereabouts::Away {
                        since_ms: absence.since_ms,
                        will: None,
                    };
                    let row = session::row(&member.slot, memory, whereabouts);
                    matured.writes.push(row);
                    *being_written = true;
                    matured.written.push(Arc::clone(&member.slot));
                }
                DueWhat::Expiry => {
                    Stats::add(&self.stats.expired, 1);
                    member.state = State::Ending;
                    // Before its rows are dropped: a message that is taken later would leave a row behind.
                    self.forget(&member.slot);
                    matured.ended.push(Arc::clone(&member.slot));
                    matured.writes.push(BrokerWrite::SessionDrop { client });
                    members.away.remove(&due.epoch);
                }
            }
        }
        matured
    }

    /// Has every connection look again at what it may do.
    pub(crate) fn ask_review(&self) {
        let members = locked(&self.members);
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every line is asked the same; which first does not matter"
        )]
        for member in members.of.values() {
            if let State::Here(line) = &member.state {
                line.ask_review();
            }
        }
    }

    /// Ends the sessions without a connection that hold what their owner may not, told by `judge` from the
    /// client id and the owner; wills that may not be said are taken away.
    pub(crate) fn condemn(&self, judge: impl Fn(&str, Option<&str>) -> Option<Permit>) -> Matured {
        let mut condemned = Matured::default();
        let mut members = locked(&self.members);
        let Members { of, away } = &mut *members;
        let judged = away.len();
        away.retain(|_, client| {
            let Some(member) = of.get_mut(client) else {
                return false;
            };
            let State::Away {
                memory,
                absence,
                due,
                ..
            } = &mut member.state
            else {
                return false;
            };
            let permit = judge(client, memory.owner.as_deref());
            absence.will.take_if(|will| {
                let topic = std::str::from_utf8(&will.topic).unwrap_or_default();
                let may_say = |permit: &Permit| permit.may_publish(topic);
                !permit.as_ref().is_some_and(may_say)
            });
            if permit.is_some_and(|permit| member.slot.fits(&permit)) {
                return true;
            }
            self.agenda.take_back(due);
            condemned
                .wills
                .extend(absence.will.take().map(|will| *will));
            member.epoch = self.key();
            member.state = State::Ending;
            self.forget(&member.slot);
            condemned.ended.push(Arc::clone(&member.slot));
            condemned.writes.push(BrokerWrite::SessionDrop {
                client: client.as_ref().to_owned(),
            });
            false
        });
        tracing::debug!(judged, ended = condemned.ended.len(), "judged the absent");
        condemned
    }

    /// The row that [`Hub::mature`] changed is on its way to the writer.
    pub(crate) fn written(&self, slot: &Slot) {
        let mut members = locked(&self.members);
        if let Some(member) = members.of.get_mut(&slot.client)
            && member.slot.key == slot.key
            && let State::Away { being_written, .. } = &mut member.state
        {
            *being_written = false;
        }
        drop(members);
        self.vacated.notify_waiters();
    }

    /// Puts back a session that the store held at start; its mail follows.
    pub(crate) fn restore(
        &self,
        client: &str,
        memory: Memory,
        subscriptions: BTreeMap<String, Grant>,
        absence: Absence,
        present: Present,
    ) -> Arc<Slot> {
        let slot = self.internal_slot(client, &self.limits);
        slot.set_durable(true);
        for (text, grant) in subscriptions {
            if let Some(filter) = name::filter(&text) {
                // Nothing retained is asked for, so nothing is promised.
                let never = RetainHandling::Never;
                drop(self.subscribe(&slot, &text, filter, grant, never, present.now));
            }
        }
        let member = Member {
            slot: Arc::clone(&slot),
            epoch: self.key(),
            state: State::Ending,
        };
        locked(&self.members)
            .of
            .insert(Arc::clone(&slot.client), member);
        self.park(&slot, Box::new(memory), absence, present);
        slot
    }

    /// The rows of this client id cannot be read, or their session is lost: they are left alone until a
    /// client takes the id.
    pub(crate) fn abandon_rows(&self, client: &str) {
        locked(&self.abandoned).insert(client.to_owned());
    }

    /// Tells every connection.
    pub(crate) fn give_all(&self, order: Order) {
        let members = locked(&self.members);
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every line gets the same order; which first does not matter"
        )]
        for member in members.of.values() {
            if let State::Here(line) = &member.state {
                line.give(order);
            }
        }
    }

    /// Who is here, who is away, and what waits for them. Who is about to end is neither.
    pub(crate) fn census(&self) -> Census {
        let members = locked(&self.members);
        let mut census = Census {
            subscriptions: self.subscriptions.load(Ordering::Relaxed),
            shared_subscriptions: self.shared_subscriptions.load(Ordering::Relaxed),
            ..Census::default()
        };
        #[expect(
            clippy::iter_over_hash_type,
            reason = "sums do not depend on the order"
        )]
        for member in members.of.values() {
            match member.state {
                State::Here(_) => census.here += 1,
                State::Away { .. } => census.away += 1,
                State::Ending => {}
            }
            let (messages, bytes) = member.slot.waiting();
            census.queued_messages += messages;
            census.queued_bytes += bytes;
        }
        census
    }

    /// Sessions remembered, connected or not.
    pub(crate) fn sessions(&self) -> usize {
        locked(&self.members).of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Limits, Qos};
    use crate::clock::Clock;
    use bytes::Bytes;
    use futures_util::FutureExt;

    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);

    fn hub() -> Hub {
        Hub::new(Limits::default(), Arc::default(), Clock::machine())
    }

    async fn claim(hub: &Hub, clean_start: bool) -> Claim {
        claim_as(hub, "c", clean_start).await
    }

    async fn claim_as(hub: &Hub, client: &str, clean_start: bool) -> Claim {
        hub.claim(client, &Arc::default(), clean_start, None).await
    }

    fn will(delay_s: u32) -> Will {
        Will {
            topic: Bytes::from_static(b"w"),
            payload: Bytes::new(),
            qos: Qos::AtMostOnce,
            retain: false,
            properties: None,
            delay_s,
        }
    }

    /// The client goes for at most a day; its will waits for ten seconds.
    fn park(hub: &Hub, slot: &Arc<Slot>, now: Instant) {
        let memory = Memory {
            expiry_s: 86_400,
            ..Memory::default()
        };
        let absence = Absence {
            since_ms: None,
            will: Some(Box::new(will(10))),
        };
        let present = Present { now, wall_ms: None };
        hub.park(slot, Box::new(memory), absence, present);
    }

    fn dropped(client: &str) -> BrokerWrite {
        BrokerWrite::SessionDrop {
            client: client.into(),
        }
    }

    #[tokio::test]
    async fn a_delayed_will_is_published_in_time_and_a_session_forgotten_in_time() {
        let hub = hub();
        let start = now();
        let slot = claim(&hub, false).await.slot;
        park(&hub, &slot, start);
        assert_eq!(hub.mature(start + 9 * SECOND).wills, []);
        let matured = hub.mature(start + 10 * SECOND);
        assert_eq!(matured.wills, [will(10)]);
        assert!(
            matches!(matured.writes.as_slice(), [BrokerWrite::SessionSet { .. }]),
            "its row says that the will is gone"
        );
        matured.written.iter().for_each(|slot| hub.written(slot));
        let matured = hub.mature(start + DAY);
        assert_eq!(matured.writes, [dropped("c")]);
        matured.ended.iter().for_each(|slot| hub.end(slot));
        assert_eq!(hub.sessions(), 0);
    }

    #[tokio::test]
    async fn what_passed_while_the_daemon_was_down_counts() {
        let minute = || Memory {
            expiry_s: 60,
            ..Memory::default()
        };
        for (down_s, will_in_s, ends_in_s) in [(0, 10, 60), (4, 6, 56), (30, 0, 30)] {
            let hub = hub();
            let slot = claim(&hub, false).await.slot;
            let absence = Absence {
                since_ms: Some(1_000_000),
                will: Some(Box::new(will(10))),
            };
            let present = Present {
                now: now(),
                wall_ms: Some(1_000_000 + down_s * 1000),
            };
            hub.park(&slot, Box::new(minute()), absence, present);
            assert_eq!(hub.next_due(), Some(present.now + will_in_s * SECOND));
            let before = hub.mature(present.now + (ends_in_s - 1) * SECOND);
            assert_eq!(before.wills, [will(10)]);
            let matured = hub.mature(present.now + ends_in_s * SECOND);
            assert_eq!(matured.writes, [dropped("c")]);
        }
    }

    #[tokio::test]
    async fn a_client_that_returns_takes_its_will_and_its_expiry_back() {
        let hub = hub();
        let start = now();
        for _ in 0..3 {
            let slot = claim(&hub, false).await.slot;
            park(&hub, &slot, start);
        }
        let back = claim(&hub, false).await;
        assert!(back.memory.is_some());
        assert_eq!(hub.next_due(), None, "nothing is left behind");
        let matured = hub.mature(start + DAY);
        assert!(matured.wills.is_empty() && matured.ended.is_empty());
    }

    #[tokio::test]
    async fn who_returns_while_its_row_is_on_the_way_waits_for_it() {
        let hub = hub();
        let slot = claim(&hub, false).await.slot;
        let start = now();
        park(&hub, &slot, start);
        let matured = hub.mature(start + 10 * SECOND);
        let mut back = std::pin::pin!(claim(&hub, false));
        assert!(back.as_mut().now_or_never().is_none());
        matured.written.iter().for_each(|slot| hub.written(slot));
        assert!(back.await.memory.is_some());
    }

    #[tokio::test]
    async fn a_clean_start_publishes_the_will_of_the_session_it_ends() {
        let hub = hub();
        let slot = claim(&hub, false).await.slot;
        park(&hub, &slot, now());
        let fresh = claim(&hub, true).await;
        assert_eq!(
            (fresh.will, fresh.dropped, fresh.memory.is_none()),
            (Some(Box::new(will(10))), true, true)
        );
    }

    #[tokio::test]
    async fn the_sessions_of_those_who_have_been_away_longest_make_room() {
        let limits = Limits {
            max_sessions: 2,
            ..Limits::default()
        };
        let hub = Hub::new(limits, Arc::default(), Clock::machine());
        let start = now();
        for client in ["a", "b", "c", "d"] {
            let slot = claim_as(&hub, client, false).await.slot;
            park(&hub, &slot, start);
            if client == "b" {
                let slot = claim_as(&hub, "a", false).await.slot;
                park(&hub, &slot, start);
            }
        }
        let matured = hub.mature(start);
        assert_eq!(matured.writes, [dropped("b"), dropped("a")]);
        matured.ended.iter().for_each(|slot| hub.end(slot));
        assert_eq!(hub.sessions(), 2);
        assert_eq!(Stats::read(&hub.stats.sessions_evicted), 2);
        assert!(claim_as(&hub, "d", false).await.memory.is_some());
        assert!(claim_as(&hub, "a", false).await.memory.is_none());
    }

    #[tokio::test]
    async fn abandoned_rows_are_dropped_by_whoever_takes_the_client_id_and_once() {
        let hub = hub();
        hub.abandon_rows("c");
        let first = claim(&hub, false).await;
        assert!(first.dropped && first.memory.is_none());
        hub.end(&first.slot);
        let second = claim(&hub, false).await;
        assert!(!second.dropped);
        // Whoever waits for a client id whose connection fails sees it, too.
        let mut third = std::pin::pin!(claim(&hub, false));
        assert!(third.as_mut().now_or_never().is_none());
        hub.abandon_rows("c");
        assert!(third.as_mut().now_or_never().is_none());
        hub.end(&second.slot);
        assert!(third.await.dropped);
    }
}
