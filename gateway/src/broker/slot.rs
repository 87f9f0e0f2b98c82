//! One client's place in the broker: its mailbox and its subscriptions. It outlives connections where the
//! session is persistent. Mail is bounded by count and bytes, its own and everyone's.

use super::auth::Permit;
use super::intake::Line;
use super::limits::Limits;
use super::locked;
use super::mailbox::{Budget, Full, Mailbox, Place, Taken};
use super::message::{Delivery, Qos};
use super::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Options of one subscription, MQTT 5 section 3.8.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: u64,
    pub(crate) client: Arc<str>,
    /// Whether the session outlives its connection, and so has rows in the store.
    durable: AtomicBool,
    here: AtomicBool,
    pub(crate) subscriptions: Mutex<BTreeMap<String, Grant>>,
    mail: Mutex<Mail>,
    budget: Arc<Budget>,
    stats: Arc<Stats>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Mail {
    mailbox: Mailbox,
    last_ordinal: u64,
    line: Option<Arc<Line>>,
    /// Messages that found no room since the mailbox became full.
    dropped: u64,
    /// The session is over: what still arrives was under way.
    closed: bool,
}

/// A message of a persistent session that has its place in the queue and is on its way to disk. Dropped
/// before [`Promise::keep`], it gives the place back.
#[derive(Debug)]
pub(crate) struct Promise {
    slot: Arc<Slot>,
    place: Place,
    /// `None` once it is kept.
    delivery: Option<Delivery>,
}

impl Slot {
    pub(crate) fn new(
        key: u64,
        client: Arc<str>,
        limits: &Limits,
        budget: Arc<Budget>,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            key,
            client,
            durable: AtomicBool::new(false),
            here: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            mail: Mutex::default(),
            budget,
            stats,
            max_messages: limits.queue_messages,
            max_bytes: limits.queue_bytes,
        }
    }

    /// Whether its subscriptions are such as the holder of `permit` may have.
    pub(crate) fn fits(&self, permit: &Permit) -> bool {
        let subscriptions = locked(&self.subscriptions);
        subscriptions
            .keys()
            .all(|filter| permit.may_subscribe(filter))
    }

    pub(crate) fn is_here(&self) -> bool {
        self.here.load(Ordering::Acquire)
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, durable: bool) {
        self.durable.store(durable, Ordering::Release);
    }

    /// A connection takes the place, or leaves it.
    pub(crate) fn attach(&self, line: Option<Arc<Line>>) {
        let mut mail = locked(&self.mail);
        self.here.store(line.is_some(), Ordering::Release);
        mail.line = line;
    }

    /// Whether mail of this QoS is for this slot now: QoS 0 is not kept for the absent.
    pub(crate) fn accepts(&self, qos: Qos) -> bool {
        self.is_here() || self.keeps(qos)
    }

    /// Whether mail of this QoS belongs on disk before it is sent.
    pub(crate) fn keeps(&self, qos: Qos) -> bool {
        self.is_durable() && qos > Qos::AtMostOnce
    }

    /// A place and an ordinal for a message on its way to disk; `None` is a full queue, counted and logged.
    pub(crate) fn promise(self: &Arc<Self>, mut delivery: Delivery) -> Option<Promise> {
        let mut mail = locked(&self.mail);
        let weight = delivery.message.weight();
        if !self.admit(&mut mail, weight) {
            return None;
        }
        mail.last_ordinal += 1;
        delivery.ordinal = Some(mail.last_ordinal);
        Some(Promise {
            slot: Arc::clone(self),
            place: mail.mailbox.promise(weight),
            delivery: Some(delivery),
        })
    }

    /// Puts a message if there is room for it.
    pub(crate) fn put(&self, delivery: Delivery) {
        let mut mail = locked(&self.mail);
        if self.admit(&mut mail, delivery.message.weight()) {
            mail.mailbox.push(delivery);
            mail.ring();
        }
    }

    /// Puts a message that the store held, whatever the bounds are now.
    pub(crate) fn restore(&self, delivery: Delivery) {
        let mut mail = locked(&self.mail);
        mail.mailbox
            .overcharge(delivery.message.weight(), &self.budget);
        mail.mailbox.push(delivery);
    }

    /// The ordinals up to this one have been used.
    pub(crate) fn go_on_after(&self, ordinal: u64) {
        let mut mail = locked(&self.mail);
        mail.last_ordinal = mail.last_ordinal.max(ordinal);
    }

    /// Takes mail in order until `most` messages are taken, one is still on its way to disk, or `each`
    /// gives one back. Returns whether more waits that could be taken at once.
    pub(crate) fn take(&self, most: usize, each: impl FnMut(Delivery) -> Taken) -> bool {
        let mut mail = locked(&self.mail);
        let before = mail.mailbox.len();
        let more = mail.mailbox.take(most, each, &self.budget);
        if mail.dropped > 0 && mail.mailbox.len() < before {
            let dropped = std::mem::take(&mut mail.dropped);
            tracing::warn!(client = &*self.client, dropped, "the queue has room again");
        }
        more
    }

    /// Empties the mailbox: the session is over.
    pub(crate) fn clear(&self) {
        let mut mail = locked(&self.mail);
        mail.closed = true;
        mail.mailbox.clear(&self.budget);
    }

    /// Messages that wait, or are on their way to disk, and their bytes.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let mailbox = &locked(&self.mail).mailbox;
        (mailbox.len(), mailbox.bytes())
    }

    fn admit(&self, mail: &mut Mail, weight: usize) -> bool {
        if mail.closed {
            return false;
        }
        let bounds = (self.max_messages, self.max_bytes);
        let Err(full) = mail.mailbox.charge(weight, bounds, &self.budget) else {
            return true;
        };
        Stats::add(&self.stats.dropped, 1);
        match full {
            Full::Messages | Full::Bytes => {}
            Full::Total => Stats::add(&self.stats.dropped_in_total, 1),
        }
        if mail.dropped == 0 {
            tracing::warn!(
                client = &*self.client,
                queued = mail.mailbox.len(),
                reason = full.reason(),
                "the queue is full: messages for this client are dropped"
            );
        }
        mail.dropped += 1;
        false
    }
}

impl Mail {
    fn ring(&self) {
        if let Some(line) = &self.line {
            line.wake.notify_one();
        }
    }
}

impl Promise {
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        self.delivery
            .as_ref()
            .expect("only keeping it takes it away, and that is the end of a promise")
    }

    /// It is on disk.
    pub(crate) fn keep(mut self) {
        if let Some(delivery) = self.delivery.take() {
            let mut mail = locked(&self.slot.mail);
            mail.mailbox.keep(self.place, delivery);
            mail.ring();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.delivery.is_some() {
            let mut mail = locked(&self.slot.mail);
            mail.mailbox.cancel(self.place, &self.slot.budget);
            // What waits behind it may go now.
            mail.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::Message;

    fn slot(limits: &Limits, budget: &Arc<Budget>) -> Arc<Slot> {
        let stats = Arc::default();
        Arc::new(Slot::new(1, "c".into(), limits, Arc::clone(budget), stats))
    }

    fn delivery(bytes: usize) -> Delivery {
        let message = Message::new("t", &vec![b'x'; bytes], Qos::AtLeastOnce, false);
        Delivery {
            message: Arc::new(message),
            qos: Qos::AtLeastOnce,
            retain: false,
            identifiers: Vec::new(),
            ordinal: None,
        }
    }

    #[test]
    fn each_bound_of_the_queue_holds_to_the_message() {
        let weight = delivery(100).message.weight();
        let wide = Limits {
            queue_messages: usize::MAX,
            queue_bytes: usize::MAX,
            ..Limits::default()
        };
        let messages = Limits {
            queue_messages: 3,
            ..wide.clone()
        };
        let bytes = Limits {
            queue_bytes: 3 * weight,
            ..wide.clone()
        };
        for (limits, total, of_all) in [
            (messages, usize::MAX, 0),
            (bytes, usize::MAX, 0),
            (wide, 3 * weight, 1),
        ] {
            let budget = Arc::new(Budget::new(total));
            let slot = slot(&limits, &budget);
            let promises: Vec<_> = (0..2).filter_map(|_| slot.promise(delivery(100))).collect();
            slot.put(delivery(100));
            slot.put(delivery(100));
            assert_eq!((promises.len(), slot.waiting()), (2, (3, 3 * weight)));
            assert_eq!(budget.used(), 3 * weight);
            assert_eq!(Stats::read(&slot.stats.dropped), 1);
            assert_eq!(Stats::read(&slot.stats.dropped_in_total), of_all);
            drop(promises);
            assert_eq!((slot.waiting(), budget.used()), ((1, weight), weight));
            slot.clear();
            assert_eq!((slot.waiting(), budget.used()), ((0, 0), 0));
            assert!(slot.promise(delivery(0)).is_none(), "the session is over");
        }
    }

    #[test]
    fn a_promise_that_outlives_its_session_changes_nothing() {
        let budget = Arc::new(Budget::new(usize::MAX));
        let slot = slot(&Limits::default(), &budget);
        let kept = slot.promise(delivery(1)).expect("there is room");
        let dropped = slot.promise(delivery(1)).expect("there is room");
        slot.clear();
        kept.keep();
        drop(dropped);
        assert_eq!((slot.waiting(), budget.used()), ((0, 0), 0));
    }
}
