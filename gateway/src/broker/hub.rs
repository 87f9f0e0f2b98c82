//! What all connections share: who subscribes to what, what is retained, and, in `presence`, who is here.

mod due;
mod presence;

use super::lifetime::Present;
use super::limits::{Limits, SUBSCRIPTION_BYTES_TOTAL};
use super::mailbox::Budget;
use super::message::{Delivery, Message, Properties, Qos};
use super::name::Filter;
use super::pass::Passed;
use super::retained::Retained;
use super::slot::{Grant, Promise, Slot};
use super::stats::Stats;
use super::trie::Trie;
use super::{locked, reading, writing};
use crate::clock::Clock;
use bytes::Bytes;
use due::Agenda;
use presence::Members;
pub(crate) use presence::{Census, Claim, Matured};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Instant;
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
    members: Mutex<Members>,
    vacated: Notify,
    next_key: AtomicU64,
    budget: Arc<Budget>,
    agenda: Agenda,
    /// Rows under these client ids are nobody's: whoever takes the id begins by dropping them.
    abandoned: Mutex<BTreeSet<String>>,
    /// Messages for those who subscribed while they were being committed, and whose row goes with the next
    /// commit. The writer's alone.
    pub(crate) overdue: Mutex<Vec<Promise>>,
    pub(crate) clock: Clock,
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

/// How retained messages answer a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    IfNew,
    Never,
}

impl Hub {
    pub(crate) fn new(limits: Limits, stats: Arc<Stats>, clock: Clock) -> Self {
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
            agenda: Agenda::default(),
            abandoned: Mutex::default(),
            overdue: Mutex::default(),
            clock,
        }
    }

    pub(crate) fn present(&self) -> Present {
        Present::read(&self.clock)
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

    /// No more mail is taken for this session: it is about to end, and its rows with it.
    pub(crate) fn silence(&self, slot: &Slot) {
        self.forget(slot);
    }

    /// Adds or replaces a subscription and queues what is retained. What of it has to be on disk first, for a
    /// persistent session, is returned: it goes with the commit of the subscription.
    pub(crate) fn subscribe(
        &self,
        slot: &Arc<Slot>,
        text: &str,
        filter: Filter<'_>,
        grant: Grant,
        handling: RetainHandling,
        now: Instant,
    ) -> Vec<Promise> {
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
        let mut promises = Vec::new();
        if wanted && !shared {
            locked(&self.retained).matches(filter.path, |message| {
                let own = grant.no_local && message.publisher() == slot.key;
                if message.expired(now) || own {
                    return;
                }
                let delivery = retained_delivery(message, grant);
                if slot.keeps(delivery.qos) {
                    promises.extend(slot.promise(delivery));
                } else {
                    slot.put(delivery);
                }
            });
        }
        promises
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

    /// A publish passes the writer now.
    pub(super) fn passes(&self) -> Passed {
        Passed(self.key())
    }

    fn key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }
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
