//! Who is here, who is away but remembered, and who subscribes to what. The one place where a client id
//! changes hands: whoever wants it waits until the connection before it has put its session down.

use super::intake::{Line, Order};
use super::limits::{Limits, SUBSCRIPTION_BYTES_TOTAL};
use super::message::{Delivery, Message, Properties, Qos};
use super::name::Filter;
use super::retained::Retained;
use super::session::Memory;
use super::slot::{Budget, Grant, Slot};
use super::stats::Stats;
use super::trie::Trie;
use super::{locked, reading, writing};
use crate::store::BrokerWrite;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What hangs in the trie.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) slot: Arc<Slot>,
    pub(crate) grant: Grant,
    pub(crate) shared: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Routing {
    pub(crate) trie: Trie<Subscription>,
    /// Rises with every new subscription; never 0 once there was one.
    pub(crate) generation: u64,
}

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) retained: Mutex<Retained>,
    routing: RwLock<Routing>,
    subscriptions: AtomicUsize,
    shared_subscriptions: AtomicUsize,
    subscription_bytes: AtomicUsize,
    members: Mutex<HashMap<Arc<str>, Member>>,
    vacated: Notify,
    next_key: AtomicU64,
    budget: Arc<Budget>,
    /// What is to be done later, and a bell for the one who does it.
    due: Mutex<BTreeMap<(Instant, u64), Due>>,
    pub(crate) due_changed: Notify,
}

#[derive(Debug)]
struct Member {
    slot: Arc<Slot>,
    /// Of this presence or absence, unique: what is due for an earlier one is void.
    epoch: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Here(Arc<Line>),
    Away {
        memory: Box<Memory>,
        will: Option<Box<Will>>,
        /// What is scheduled, to be taken back when the client returns.
        due: Vec<(Instant, u64)>,
    },
}

/// A last will, MQTT 5 section 3.1.2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: Option<Box<Properties>>,
    pub(crate) delay_s: u32,
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

/// The broker's sessions in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) here: usize,
    pub(crate) away: usize,
    pub(crate) queued_messages: usize,
    /// With [`super::limits::MESSAGE_OVERHEAD`] a message.
    pub(crate) queued_bytes: usize,
    /// Plain and shared.
    pub(crate) subscriptions: usize,
    pub(crate) shared_subscriptions: usize,
}

#[derive(Debug)]
struct Due {
    client: Arc<str>,
    epoch: u64,
    what: DueWhat,
}

#[derive(Clone, Copy, Debug)]
enum DueWhat {
    Will,
    Expiry,
}

/// What has become due.
#[derive(Debug, Default)]
pub(crate) struct Matured {
    pub(crate) wills: Vec<Will>,
    pub(crate) writes: Vec<BrokerWrite>,
    /// Sessions that are over: [`Hub::end`] them once the writes are on their way. Until then their client
    /// ids are taken, or a new session's rows could come before the old one's end.
    pub(crate) ended: Vec<Arc<Slot>>,
}

/// How retained messages answer a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    IfNew,
    Never,
}

impl Hub {
    pub(crate) fn new(limits: Limits, stats: Arc<Stats>) -> Self {
        Self {
            retained: Mutex::new(Retained::new(
                limits.retained_messages,
                limits.retained_bytes,
            )),
            budget: Arc::new(Budget::new(limits.queue_bytes_total)),
            limits,
            stats,
            routing: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
            shared_subscriptions: AtomicUsize::new(0),
            subscription_bytes: AtomicUsize::new(0),
            members: Mutex::default(),
            vacated: Notify::new(),
            next_key: AtomicU64::new(1),
            due: Mutex::default(),
            due_changed: Notify::new(),
        }
    }

    /// Nobody subscribes to anything.
    pub(crate) fn is_quiet(&self) -> bool {
        self.subscriptions.load(Ordering::Acquire) == 0
    }

    /// Whether all subscriptions together leave room for more.
    pub(crate) fn has_room_for_subscriptions(&self) -> bool {
        self.subscription_bytes.load(Ordering::Acquire) < SUBSCRIPTION_BYTES_TOTAL
    }

    pub(crate) fn routing(&self) -> RwLockReadGuard<'_, Routing> {
        reading(&self.routing)
    }

    /// A place without a client id: for subscribers within the daemon.
    pub(crate) fn internal_slot(&self, name: &str, limits: &Limits) -> Arc<Slot> {
        Arc::new(Slot::new(
            self.key(),
            name.into(),
            limits,
            Arc::clone(&self.budget),
            Arc::clone(&self.stats),
        ))
    }

    /// Takes the client id for the connection behind `line`, after whoever holds it has left.
    /// `None`: there are too many sessions.
    pub(crate) async fn claim(
        &self,
        client: &str,
        line: &Arc<Line>,
        clean_start: bool,
    ) -> Option<Claim> {
        loop {
            let vacated = self.vacated.notified();
            tokio::pin!(vacated);
            vacated.as_mut().enable();
            match self.try_claim(client, line, clean_start) {
                Attempt::Claimed(claim) => return Some(*claim),
                Attempt::Full => return None,
                Attempt::Occupied => vacated.await,
            }
        }
    }

    fn try_claim(&self, client: &str, line: &Arc<Line>, clean_start: bool) -> Attempt {
        let mut members = locked(&self.members);
        let mut claim = None;
        if let Some(member) = members.get_mut(client) {
            match &mut member.state {
                State::Here(other) => {
                    other.give(Order::TakenOver);
                    return Attempt::Occupied;
                }
                State::Away { memory, will, due } => {
                    self.take_back(due);
                    let ended_will = will.take();
                    if !clean_start {
                        let memory = std::mem::take(memory);
                        member.epoch = self.key();
                        member.state = State::Here(Arc::clone(line));
                        member.slot.attach(Some(Arc::clone(line)));
                        let slot = Arc::clone(&member.slot);
                        // Resuming in time is what a will delay is for: the will is void.
                        return Attempt::Claimed(Box::new(Claim {
                            slot,
                            memory: Some(memory),
                            dropped: false,
                            will: None,
                        }));
                    }
                    claim = Some(ended_will);
                }
            }
        }
        let ended = claim.is_some();
        if ended && let Some(member) = members.remove(client) {
            self.forget(&member.slot);
        }
        if members.len() >= self.limits.max_sessions + self.limits.max_connections {
            return Attempt::Full;
        }
        let name: Arc<str> = client.into();
        let slot = self.internal_slot(client, &self.limits);
        slot.attach(Some(Arc::clone(line)));
        let member = Member {
            slot: Arc::clone(&slot),
            epoch: 0,
            state: State::Here(Arc::clone(line)),
        };
        members.insert(name, member);
        Attempt::Claimed(Box::new(Claim {
            slot,
            memory: None,
            dropped: ended,
            will: claim.flatten(),
        }))
    }

    /// The connection is gone and the session ends with it.
    pub(crate) fn end(&self, slot: &Arc<Slot>) {
        slot.attach(None);
        self.forget(slot);
        let mut members = locked(&self.members);
        if members
            .get(&slot.client)
            .is_some_and(|member| member.slot.key == slot.key)
        {
            members.remove(&slot.client);
        }
        drop(members);
        self.vacated.notify_waiters();
    }

    /// The connection is gone, the session stays for `expiry` (none: for ever).
    pub(crate) fn park(
        &self,
        slot: &Arc<Slot>,
        memory: Box<Memory>,
        will: Option<Box<Will>>,
        expiry: Option<Duration>,
        now: Instant,
    ) {
        slot.attach(None);
        let mut members = locked(&self.members);
        if let Some(member) = members
            .get_mut(&slot.client)
            .filter(|member| member.slot.key == slot.key)
        {
            let epoch = self.key();
            member.epoch = epoch;
            let delay = will
                .as_ref()
                .map(|will| Duration::from_secs(will.delay_s.into()));
            let mut due = Vec::new();
            for (after, what) in [(delay, DueWhat::Will), (expiry, DueWhat::Expiry)] {
                if let Some(at) = after.and_then(|after| now.checked_add(after)) {
                    let client = Arc::clone(&slot.client);
                    due.push(self.schedule(
                        at,
                        Due {
                            client,
                            epoch,
                            what,
                        },
                    ));
                }
            }
            member.state = State::Away { memory, will, due };
        }
        drop(members);
        self.vacated.notify_waiters();
    }

    fn schedule(&self, at: Instant, due: Due) -> (Instant, u64) {
        let key = (at, self.key());
        locked(&self.due).insert(key, due);
        self.due_changed.notify_one();
        key
    }

    fn take_back(&self, keys: &[(Instant, u64)]) {
        let mut due = locked(&self.due);
        for key in keys {
            due.remove(key);
        }
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        locked(&self.due).first_key_value().map(|((at, _), _)| *at)
    }

    /// Wills to publish and sessions to forget by `now`.
    pub(crate) fn mature(&self, now: Instant) -> Matured {
        let mut matured = Matured::default();
        loop {
            let due = {
                let mut waiting = locked(&self.due);
                match waiting.first_entry() {
                    Some(entry) if entry.key().0 <= now => entry.remove(),
                    Some(_) | None => break,
                }
            };
            let mut members = locked(&self.members);
            let Some(member) = members
                .get_mut(&due.client)
                .filter(|member| member.epoch == due.epoch)
            else {
                continue;
            };
            let State::Away { will, .. } = &mut member.state else {
                continue;
            };
            matured.wills.extend(will.take().map(|will| *will));
            match due.what {
                DueWhat::Will => {}
                DueWhat::Expiry => {
                    Stats::add(&self.stats.expired, 1);
                    member.state = State::Here(Arc::default());
                    member.epoch = self.key();
                    matured.ended.push(Arc::clone(&member.slot));
                    matured.writes.push(BrokerWrite::SessionDrop {
                        client: due.client.as_ref().to_owned(),
                    });
                }
            }
        }
        matured
    }

    /// Adds or replaces a subscription and puts what is retained into the mailbox. Returns whether it is new.
    pub(crate) fn subscribe(
        &self,
        slot: &Arc<Slot>,
        text: &str,
        filter: Filter<'_>,
        grant: Grant,
        handling: RetainHandling,
        now: Instant,
    ) -> bool {
        let mut routing = writing(&self.routing);
        let shared = filter.group.is_some();
        let subscription = Subscription {
            slot: Arc::clone(slot),
            grant,
            shared,
        };
        let new = routing
            .trie
            .insert(filter.path, filter.group, slot.key, subscription)
            .is_none();
        routing.generation += 1;
        if new && shared {
            self.shared_subscriptions.fetch_add(1, Ordering::Relaxed);
        }
        self.count_subscriptions(&routing);
        locked(&slot.subscriptions).insert(text.to_owned(), grant);
        let wanted = match handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => new,
            RetainHandling::Never => false,
        };
        if wanted && !shared {
            locked(&self.retained).matches(filter.path, |message| {
                let own = grant.no_local && message.publisher() == slot.key;
                if !message.expired(now) && !own {
                    slot.put(retained_delivery(message, grant));
                }
            });
        }
        new
    }

    /// Whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, slot: &Slot, text: &str, filter: Filter<'_>) -> bool {
        let mut routing = writing(&self.routing);
        let removed = routing
            .trie
            .remove(filter.path, filter.group, slot.key)
            .is_some();
        if removed && filter.group.is_some() {
            self.shared_subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
        self.count_subscriptions(&routing);
        locked(&slot.subscriptions).remove(text);
        removed
    }

    /// Puts back what the store held at start.
    pub(crate) fn restore(
        &self,
        client: &str,
        memory: Memory,
        subscriptions: BTreeMap<String, Grant>,
        now: Instant,
    ) -> Arc<Slot> {
        let slot = self.internal_slot(client, &self.limits);
        slot.set_durable(true);
        for (text, grant) in subscriptions {
            if let Some(filter) = super::name::filter(&text) {
                self.subscribe(&slot, &text, filter, grant, RetainHandling::Never, now);
            }
        }
        let expiry = memory.expiry(&self.limits);
        let member = Member {
            slot: Arc::clone(&slot),
            epoch: 0,
            state: State::Here(Arc::default()),
        };
        locked(&self.members).insert(Arc::clone(&slot.client), member);
        self.park(&slot, Box::new(memory), None, Some(expiry), now);
        slot
    }

    /// Tells every connection.
    pub(crate) fn give_all(&self, order: Order) {
        let members = locked(&self.members);
        #[expect(
            clippy::iter_over_hash_type,
            reason = "every line gets the same order; which first does not matter"
        )]
        for member in members.values() {
            if let State::Here(line) = &member.state {
                line.give(order);
            }
        }
    }

    /// Who is here, who is away, and what waits for them.
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
        for member in members.values() {
            match member.state {
                State::Here(_) => census.here += 1,
                State::Away { .. } => census.away += 1,
            }
            let (messages, bytes) = member.slot.waiting();
            census.queued_messages += messages;
            census.queued_bytes += bytes;
        }
        census
    }

    /// Sessions remembered, connected or not.
    pub(crate) fn sessions(&self) -> usize {
        locked(&self.members).len()
    }

    fn forget(&self, slot: &Slot) {
        let subscriptions = std::mem::take(&mut *locked(&slot.subscriptions));
        let mut routing = writing(&self.routing);
        for text in subscriptions.keys() {
            if let Some(filter) = super::name::filter(text) {
                let removed = routing.trie.remove(filter.path, filter.group, slot.key);
                if removed.is_some() && filter.group.is_some() {
                    self.shared_subscriptions.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        self.count_subscriptions(&routing);
        drop(routing);
        slot.set_durable(false);
        slot.clear();
    }

    fn count_subscriptions(&self, routing: &Routing) {
        self.subscriptions
            .store(routing.trie.len(), Ordering::Release);
        self.subscription_bytes
            .store(routing.trie.bytes(), Ordering::Release);
    }

    fn key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }
}

enum Attempt {
    Claimed(Box<Claim>),
    Occupied,
    Full,
}

fn retained_delivery(message: &Arc<Message>, grant: Grant) -> Delivery {
    Delivery {
        message: Arc::clone(message),
        qos: grant.qos.min(message.qos()),
        retain: true,
        identifiers: grant.identifier.into_iter().collect(),
        ordinal: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::now;

    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);

    fn hub() -> Hub {
        Hub::new(Limits::default(), Arc::default())
    }

    async fn claim(hub: &Hub, clean_start: bool) -> Claim {
        hub.claim("c", &Arc::default(), clean_start)
            .await
            .expect("there is room")
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

    #[tokio::test]
    async fn a_delayed_will_is_published_in_time_and_a_session_forgotten_in_time() {
        let hub = hub();
        let start = now();
        let slot = claim(&hub, false).await.slot;
        hub.park(
            &slot,
            Box::default(),
            Some(Box::new(will(10))),
            Some(DAY),
            start,
        );
        assert_eq!(hub.mature(start + 9 * SECOND).wills, []);
        assert_eq!(hub.mature(start + 10 * SECOND).wills, [will(10)]);
        let matured = hub.mature(start + DAY);
        assert_eq!(
            matured.writes,
            [BrokerWrite::SessionDrop { client: "c".into() }]
        );
        matured.ended.iter().for_each(|slot| hub.end(slot));
        assert_eq!(hub.sessions(), 0);
    }

    #[tokio::test]
    async fn a_client_that_returns_takes_its_will_and_its_expiry_back() {
        let hub = hub();
        let start = now();
        for _ in 0..3 {
            let slot = claim(&hub, false).await.slot;
            hub.park(
                &slot,
                Box::default(),
                Some(Box::new(will(10))),
                Some(DAY),
                start,
            );
        }
        let back = claim(&hub, false).await;
        assert!(back.memory.is_some());
        assert_eq!(hub.next_due(), None, "nothing is left behind");
        let matured = hub.mature(start + DAY);
        assert!(matured.wills.is_empty() && matured.ended.is_empty());
    }

    #[tokio::test]
    async fn a_clean_start_publishes_the_will_of_the_session_it_ends() {
        let hub = hub();
        let slot = claim(&hub, false).await.slot;
        hub.park(
            &slot,
            Box::default(),
            Some(Box::new(will(10))),
            Some(DAY),
            now(),
        );
        let fresh = claim(&hub, true).await;
        assert_eq!(
            (fresh.will, fresh.dropped, fresh.memory.is_none()),
            (Some(Box::new(will(10))), true, true)
        );
    }
}
