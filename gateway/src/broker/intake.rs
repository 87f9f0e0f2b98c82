//! Where publishes leave the broker for the writer, and how the writer answers. The broker never touches
//! the disk: it submits, and acknowledges what the writer has called committed.

use super::fanout::Plan;
use super::message::{Properties, Qos};
use super::pass::Passed;
use super::slot::Promise;
pub(crate) use crate::store::BrokerWrite;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Turns a topic and payload into what the writer stores. Pure and quick: it runs on the connection's task.
pub trait Mapper: Send + Sync + 'static {
    /// What the writer is given with each publish.
    type Mapped: Send + 'static;

    /// Reads one message.
    fn map(&self, topic: &str, payload: &[u8]) -> Self::Mapped;
}

/// One PUBLISH on its way to disk; a will or a message of our own likewise.
#[derive(Debug)]
pub struct Incoming<D> {
    /// The publisher's session, 0 for messages of our own.
    pub origin: u64,
    /// Valid UTF-8, no wildcards.
    pub topic: Bytes,
    /// At most `max_packet` bytes.
    pub payload: Bytes,
    /// As published.
    pub qos: Qos,
    /// As published.
    pub retain: bool,
    /// 0 at QoS 0.
    pub packet_id: u16,
    /// MQTT 5 only.
    pub props: Option<Box<Properties>>,
    /// What the [`Mapper`] made of it.
    pub decoded: D,
    /// The publisher's user, or its client id where it has none; told where it acknowledges an alert.
    pub by: Option<Box<str>>,
    /// Set where it has been delivered already, and retained in memory.
    pub(crate) passed: Option<Passed>,
}

impl<D> Incoming<D> {
    /// The topic as text.
    #[must_use]
    pub fn topic_str(&self) -> &str {
        std::str::from_utf8(&self.topic).expect("topics are checked when they arrive")
    }
}

/// What one read of one socket gave the writer: it is committed whole or not at all.
///
/// Dropped without [`super::Fanout::committed`] it counts as failed: the connection closes unacknowledged.
#[derive(Debug)]
pub struct Submission<D> {
    /// Publishes in the order of arrival; empty when only session rows changed.
    pub incoming: Vec<Incoming<D>>,
    /// Session rows that belong to the same transaction; [`super::Fanout::writes`] hands them over.
    pub(crate) writes: Vec<BrokerWrite>,
    /// Retained messages for a new subscription of a persistent session: their rows go with its commit.
    pub(crate) promises: Vec<Promise>,
    /// Whether to commit at once: a publisher stands with a full window.
    pub eager: bool,
    /// When the writer took it, on the writer's monotonic clock in ms; `None`: it has not.
    pub(crate) taken_ms: Option<u64>,
    /// Its retained messages are made again from the rows at every start: they are not written.
    pub(crate) derived: bool,
    /// Acknowledgements that this settles.
    pub(crate) settles: u64,
    pub(crate) reply: Reply,
    pub(crate) plan: Option<Plan>,
}

impl<D> Submission<D> {
    pub(crate) fn new(reply: Reply) -> Self {
        Self {
            incoming: Vec::new(),
            writes: Vec::new(),
            promises: Vec::new(),
            eager: false,
            taken_ms: None,
            derived: false,
            settles: 0,
            reply,
            plan: None,
        }
    }

    /// The gateway's own messages (topic, payload, QoS, retain); nobody waits for the answer.
    pub(crate) fn of_our_own<'a>(
        messages: impl IntoIterator<Item = (&'a str, &'a [u8], Qos, bool)>,
        decode: impl Fn(&str, &[u8]) -> D,
    ) -> Self {
        let mut submission = Self::new(Reply::nobody());
        for (topic, payload, qos, retain) in messages {
            submission.incoming.push(Incoming {
                origin: 0,
                topic: Bytes::copy_from_slice(topic.as_bytes()),
                payload: Bytes::copy_from_slice(payload),
                qos,
                retain,
                packet_id: 0,
                props: None,
                decoded: decode(topic, payload),
                by: None,
                passed: None,
            });
        }
        submission
    }

    /// Whether anybody waits for its commit: for an acknowledgement, for a message, or for session rows.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        !self.writes.is_empty()
            || !self.promises.is_empty()
            || self
                .incoming
                .iter()
                .any(|incoming| incoming.passed.is_none())
    }
}

/// What a connection is told from outside, in ascending rank: the first stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    None,
    /// Another connection uses this client id.
    TakenOver,
    /// The daemon stops.
    ShuttingDown,
    /// An operator or the session's expiry ended it.
    Ended,
}

/// The wire between a connection's task and everyone else: one wake-up for receipts, mail and orders.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) wake: Notify,
    settled: AtomicU64,
    failed: AtomicBool,
    /// What its user may do has changed.
    review: AtomicBool,
    order: AtomicU8,
}

impl Line {
    /// Acknowledgements settled since the last call.
    pub(crate) fn take_settled(&self) -> u64 {
        self.settled.swap(0, Ordering::AcqRel)
    }

    /// Whether a commit with publishes of this connection failed. Nothing settles after it.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Has the connection look again at what it may do.
    pub(crate) fn ask_review(&self) {
        self.review.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether it was asked to since the last call.
    pub(crate) fn take_review(&self) -> bool {
        self.review.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            1 => Order::TakenOver,
            2 => Order::ShuttingDown,
            3 => Order::Ended,
            _ => Order::None,
        }
    }

    pub(crate) fn give(&self, order: Order) {
        let code = match order {
            Order::None => return,
            Order::TakenOver => 1,
            Order::ShuttingDown => 2,
            Order::Ended => 3,
        };
        // The first order stands: a connection that is being taken over says so, even in a shutdown.
        if self
            .order
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.wake.notify_one();
        }
    }
}

/// The way back to the connection that submitted. Owed an answer: dropping it is the answer "failed".
#[derive(Debug)]
pub(crate) struct Reply(Option<Arc<Line>>);

impl Reply {
    pub(crate) fn to(line: &Arc<Line>) -> Self {
        Self(Some(Arc::clone(line)))
    }

    /// Nobody waits.
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn committed(mut self, settles: u64) {
        if let Some(line) = self.0.take() {
            // After a failure nothing settles, or receipts would count for the wrong publishes.
            if settles > 0 && !line.failed.load(Ordering::Acquire) {
                line.settled.fetch_add(settles, Ordering::AcqRel);
                line.wake.notify_one();
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.failed.store(true, Ordering::Release);
            line.wake.notify_one();
        }
    }
}
