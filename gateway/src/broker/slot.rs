//! One client's place in the broker: its mailbox and its subscriptions. It outlives connections where the
//! session is persistent. Mail is bounded by count and bytes, its own and everyone's.

use super::intake::Line;
use super::limits::Limits;
use super::locked;
use super::message::{Delivery, Qos};
use super::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Options of one subscription, MQTT 5 section 3.8.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

/// Bytes queued for all sessions together.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    fn charge(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.limit {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        true
    }

    fn refund(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: u64,
    pub(crate) client: Arc<str>,
    /// Whether the session outlives its connection, and so has rows in the store.
    durable: AtomicBool,
    here: AtomicBool,
    pub(crate) subscriptions: Mutex<BTreeMap<String, Grant>>,
    mailbox: Mutex<Mailbox>,
    budget: Arc<Budget>,
    stats: Arc<Stats>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Mailbox {
    queue: VecDeque<Delivery>,
    /// Messages queued or promised.
    count: usize,
    bytes: usize,
    next_ordinal: u64,
    line: Option<Arc<Line>>,
    /// Whether the present overflow has been logged.
    overflowing: bool,
    /// The session is over: what still arrives was under way.
    closed: bool,
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
            mailbox: Mutex::default(),
            budget,
            stats,
            max_messages: limits.queue_messages,
            max_bytes: limits.queue_bytes,
        }
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
        let mut mailbox = locked(&self.mailbox);
        self.here.store(line.is_some(), Ordering::Release);
        mailbox.line = line;
    }

    /// Whether mail of this QoS is for this slot now: QoS 0 is not kept for the absent.
    pub(crate) fn accepts(&self, qos: Qos) -> bool {
        self.is_here() || (self.is_durable() && qos > Qos::AtMostOnce)
    }

    /// Room for a message that is on its way to disk; `None` is a full queue, counted and logged.
    pub(crate) fn reserve(&self, weight: usize) -> Option<u64> {
        let mut mailbox = locked(&self.mailbox);
        self.admit(&mut mailbox, weight).then(|| {
            mailbox.next_ordinal += 1;
            mailbox.next_ordinal
        })
    }

    /// Gives reserved room back.
    pub(crate) fn cancel(&self, weight: usize) {
        self.free(&mut locked(&self.mailbox), 1, weight);
    }

    /// Puts a message whose room is reserved.
    pub(crate) fn put_reserved(&self, delivery: Delivery) {
        let mut mailbox = locked(&self.mailbox);
        if mailbox.closed {
            self.free(&mut mailbox, 1, delivery.message.weight());
        } else {
            Self::enqueue(&mut mailbox, delivery);
        }
    }

    /// Puts a message if there is room for it.
    pub(crate) fn put(&self, delivery: Delivery) {
        let mut mailbox = locked(&self.mailbox);
        if self.admit(&mut mailbox, delivery.message.weight()) {
            Self::enqueue(&mut mailbox, delivery);
        }
    }

    /// Puts a message that the store held, whatever the bounds are now.
    pub(crate) fn restore(&self, delivery: Delivery) {
        let mut mailbox = locked(&self.mailbox);
        let weight = delivery.message.weight();
        mailbox.count += 1;
        mailbox.bytes += weight;
        self.budget.used.fetch_add(weight, Ordering::Relaxed);
        mailbox.next_ordinal = mailbox.next_ordinal.max(delivery.ordinal.unwrap_or(0));
        mailbox.queue.push_back(delivery);
    }

    /// Takes mail in order until `most` messages or `window` of them above QoS 0 are taken.
    /// Returns whether more waits that could be taken at once.
    pub(crate) fn take(
        &self,
        most: usize,
        mut window: usize,
        mut each: impl FnMut(Delivery),
    ) -> bool {
        let mut mailbox = locked(&self.mailbox);
        let mut freed = 0;
        let mut taken = 0;
        let mut more = false;
        while let Some(front) = mailbox.queue.front() {
            let acknowledged = front.qos > Qos::AtMostOnce;
            if acknowledged && window == 0 {
                break;
            }
            if taken == most {
                more = true;
                break;
            }
            window -= usize::from(acknowledged);
            let delivery = mailbox.queue.pop_front().expect("a front was just seen");
            freed += delivery.message.weight();
            taken += 1;
            each(delivery);
        }
        self.free(&mut mailbox, taken, freed);
        if taken > 0 {
            mailbox.overflowing = false;
        }
        more
    }

    /// Messages in the mailbox or promised to it, and their bytes.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let mailbox = locked(&self.mailbox);
        (mailbox.count, mailbox.bytes)
    }

    /// Empties the mailbox: the session is over.
    pub(crate) fn clear(&self) {
        let mut mailbox = locked(&self.mailbox);
        mailbox.closed = true;
        let queue = std::mem::take(&mut mailbox.queue);
        let bytes = queue.iter().map(|delivery| delivery.message.weight()).sum();
        self.free(&mut mailbox, queue.len(), bytes);
    }

    fn free(&self, mailbox: &mut Mailbox, count: usize, bytes: usize) {
        mailbox.count -= count;
        mailbox.bytes -= bytes;
        self.budget.refund(bytes);
    }

    fn admit(&self, mailbox: &mut Mailbox, weight: usize) -> bool {
        if mailbox.closed {
            return false;
        }
        let fits = mailbox.count < self.max_messages
            && mailbox.bytes + weight <= self.max_bytes
            && self.budget.charge(weight);
        if fits {
            mailbox.count += 1;
            mailbox.bytes += weight;
        } else {
            Stats::add(&self.stats.dropped, 1);
            if !mailbox.overflowing {
                mailbox.overflowing = true;
                tracing::warn!(
                    client = &*self.client,
                    queued = mailbox.count,
                    "queue is full: messages are dropped"
                );
            }
        }
        fits
    }

    fn enqueue(mailbox: &mut Mailbox, delivery: Delivery) {
        mailbox.queue.push_back(delivery);
        if let Some(line) = &mailbox.line {
            line.wake.notify_one();
        }
    }
}
