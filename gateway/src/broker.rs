//! The embedded MQTT broker: 3.1.1 and 5 on one port. It takes publishes to the writer and acknowledges
//! only what the writer has called committed; it never touches the disk and never decides what a reading
//! means.
//!
//! A publish goes `listener` → `connection` → `session` → the intake → the writer, which calls
//! [`Fanout::writes`] before its commit and [`Fanout::committed`] after it.

mod acl;
mod auth;
mod codec;
mod connection;
mod fanout;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod hub;
mod intake;
pub mod limits;
mod listener;
mod message;
mod name;
mod pass;
mod retained;
mod session;
mod slot;
mod stats;
mod sys;
mod trie;

pub use crate::store::BrokerWrite;
pub use auth::{Access, Admission, Credentials, Identity, Open, Peer, Pending};
pub use fanout::Fanout;
pub use intake::{Incoming, Mapper, Submission};
pub use limits::Limits;
pub use message::{Message, MessageError, Properties, Qos};
pub use stats::Stats;

use acl::OwnTopics;
use hub::{Hub, Will};
use intake::{Line, Order, Reply};
use message::Delivery;
use slot::Slot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};

/// How a broker is set up.
#[derive(Clone)]
pub struct BrokerConfig {
    /// The site's id: its alerts' acknowledgements are let through.
    pub site: String,
    /// What clients may make it hold.
    pub limits: Limits,
    /// Who may do what.
    pub access: Arc<dyn Access>,
    /// How often `$SYS/broker/…` says what changed; `None` is never.
    pub sys_interval: Option<Duration>,
}

impl BrokerConfig {
    /// Default limits, open to everybody, without `$SYS`.
    #[must_use]
    pub fn open(site: impl Into<String>) -> Self {
        Self {
            site: site.into(),
            limits: Limits::default(),
            access: Arc::new(Open),
            sys_interval: None,
        }
    }
}

/// What the store held at start.
#[derive(Debug, Default)]
pub struct Restored {
    /// Topic and message, of [`BrokerWrite::RetainSet`].
    pub retained: Vec<(String, Vec<u8>)>,
    /// Client id and state, of [`BrokerWrite::SessionSet`].
    pub sessions: Vec<(String, Vec<u8>)>,
    /// Client id, ordinal and message, of [`BrokerWrite::QueuePush`], each client's in order.
    pub queued: Vec<(String, u64, Vec<u8>)>,
}

/// The broker has been shut down, or the writer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("publishing: the broker is shut down")]
pub struct Closed;

/// A running broker. Cheap to clone.
pub struct Broker<M: Mapper> {
    core: Arc<Core<M>>,
}

impl<M: Mapper> Clone for Broker<M> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

/// What every connection shares.
pub(crate) struct Core<M: Mapper> {
    pub(crate) hub: Arc<Hub>,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) own_topics: OwnTopics,
    pub(crate) mapper: M,
    pub(crate) stats: Arc<Stats>,
    /// Taken away at shutdown, so that the writer sees the end of its queue.
    intake: RwLock<Option<mpsc::Sender<Submission<M::Mapped>>>>,
    pub(crate) stopping: watch::Sender<bool>,
    /// Rings when a connection or a listener is gone.
    pub(crate) left: Notify,
}

impl<M: Mapper> Broker<M> {
    /// Starts without a listener. Must be called within a tokio runtime; rows that do not decode are logged
    /// and left alone.
    #[must_use]
    pub fn start(
        config: BrokerConfig,
        mapper: M,
        intake: mpsc::Sender<Submission<M::Mapped>>,
        restored: Restored,
    ) -> Self {
        let stats = Arc::new(Stats::default());
        let hub = Arc::new(Hub::new(config.limits, Arc::clone(&stats)));
        restore(&hub, restored);
        let core = Arc::new(Core {
            hub,
            access: config.access,
            own_topics: OwnTopics::of_site(&config.site),
            mapper,
            stats,
            intake: RwLock::new(Some(intake)),
            stopping: watch::Sender::new(false),
            left: Notify::new(),
        });
        tokio::spawn(keep_time(Arc::clone(&core)));
        if let Some(interval) = config.sys_interval {
            tokio::spawn(sys::keep_saying(Arc::clone(&core), interval));
        }
        Self { core }
    }

    /// Serves a listener until [`Broker::shutdown`].
    pub fn listen(&self, listener: TcpListener) {
        tokio::spawn(listener::serve(Arc::clone(&self.core), listener));
    }

    /// The writer's handle.
    #[must_use]
    pub fn fanout(&self) -> Fanout {
        Fanout::new(Arc::clone(&self.core.hub))
    }

    /// What has been counted.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.core.stats
    }

    /// Sessions remembered, connected or not.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.core.hub.sessions()
    }

    /// Publishes in the gateway's own name; returns when the writer has it. Not for the writer's own thread:
    /// that one uses [`Broker::compose`].
    pub async fn publish_internal(
        &self,
        topic: &str,
        payload: &[u8],
        qos: Qos,
        retain: bool,
    ) -> Result<(), Closed> {
        let submission = self.compose([(topic, payload, qos, retain)]);
        self.core
            .intake()
            .ok_or(Closed)?
            .send(submission)
            .await
            .map_err(|_| Closed)
    }

    /// A submission of the gateway's own messages (topic, payload, QoS, retain), for the writer to put into
    /// the group at hand.
    #[must_use]
    pub fn compose<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a str, &'a [u8], Qos, bool)>,
    ) -> Submission<M::Mapped> {
        let map = |topic: &str, payload: &[u8]| self.core.mapper.map(topic, payload);
        Submission::of_our_own(messages, map)
    }

    /// Subscribes within the daemon; retained messages come first. `None`: the filter is invalid.
    #[must_use]
    pub fn subscribe_internal(&self, filter: &str) -> Option<Subscriber> {
        let limits = Limits {
            queue_messages: limits::INTERNAL_QUEUE,
            ..self.core.hub.limits.clone()
        };
        let slot = self.core.hub.internal_slot("(internal)", &limits);
        let line = Arc::new(Line::default());
        slot.attach(Some(Arc::clone(&line)));
        let grant = slot::Grant {
            qos: Qos::ExactlyOnce,
            no_local: false,
            retain_as_published: true,
            identifier: None,
        };
        let parsed = name::filter(filter)?;
        self.core.hub.subscribe(
            &slot,
            filter,
            parsed,
            grant,
            hub::RetainHandling::Always,
            now(),
        );
        Some(Subscriber {
            hub: Arc::clone(&self.core.hub),
            slot,
            line,
        })
    }

    /// Stops accepting and reading, lets the acknowledgements of what was read go out, says goodbye.
    /// Returns when every connection is gone, at the latest after `within`; the intake then ends.
    pub async fn shutdown(&self, within: Duration) {
        self.core.stopping.send_replace(true);
        let gone = async {
            loop {
                let left = self.core.left.notified();
                tokio::pin!(left);
                left.as_mut().enable();
                // Told again each time: a connection may have been about to take its place.
                self.core.hub.give_all(Order::ShuttingDown);
                if Stats::read(&self.core.stats.connections) == 0 {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(within, gone).await.is_err() {
            tracing::warn!("connections did not end in time");
        }
        *writing(&self.core.intake) = None;
    }
}

impl<M: Mapper> Core<M> {
    pub(crate) fn intake(&self) -> Option<mpsc::Sender<Submission<M::Mapped>>> {
        reading(&self.intake).clone()
    }

    /// A will is a publish like any other: it goes to disk first.
    pub(crate) async fn publish_wills(
        &self,
        wills: impl IntoIterator<Item = Will>,
        writes: Vec<BrokerWrite>,
    ) {
        let mut submission = Submission::new(Reply::nobody());
        submission.writes = writes;
        submission.passed = true;
        for will in wills {
            let topic =
                std::str::from_utf8(&will.topic).expect("a will's topic is checked at CONNECT");
            let decoded = self.mapper.map(topic, &will.payload);
            let Will {
                topic,
                payload,
                qos,
                retain,
                properties,
                delay_s: _,
            } = will;
            let incoming = Incoming {
                origin: 0,
                topic,
                payload,
                qos,
                retain,
                packet_id: 0,
                props: properties,
                decoded,
            };
            pass::pass(&self.hub, &incoming);
            submission.incoming.push(incoming);
        }
        if submission.incoming.is_empty() && submission.writes.is_empty() {
            return;
        }
        if let Some(intake) = self.intake()
            && intake.send(submission).await.is_err()
        {
            tracing::warn!("a will was not published: the writer is gone");
        }
    }
}

/// Publishes delayed wills and forgets expired sessions.
async fn keep_time<M: Mapper>(core: Arc<Core<M>>) {
    let mut stopping = core.stopping.subscribe();
    loop {
        let next = core.hub.next_due();
        let rest = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = rest => {}
            () = core.hub.due_changed.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let matured = core.hub.mature(now());
        core.publish_wills(matured.wills, matured.writes).await;
        matured.ended.iter().for_each(|slot| core.hub.end(slot));
    }
}

fn restore(hub: &Arc<Hub>, restored: Restored) {
    let now = now();
    for (topic, bytes) in restored.retained {
        match Message::decode(&bytes, now) {
            Ok(message) => locked(&hub.retained).set(Arc::new(message)),
            Err(error) => tracing::error!(topic, %error, "a retained message cannot be read"),
        }
    }
    let mut slots: std::collections::BTreeMap<String, Arc<Slot>> =
        std::collections::BTreeMap::new();
    for (client, bytes) in restored.sessions {
        if let Some((memory, subscriptions)) = session::decode(&bytes) {
            let slot = hub.restore(&client, memory, subscriptions, now);
            slots.insert(client, slot);
        } else {
            tracing::error!(client, "a session cannot be read");
        }
    }
    for (client, ordinal, bytes) in restored.queued {
        let Some(slot) = slots.get(&client) else {
            continue;
        };
        match Delivery::decode(&bytes, ordinal, now) {
            Ok(delivery) => slot.restore(delivery),
            Err(error) => {
                tracing::error!(client, ordinal, %error, "a queued message cannot be read");
            }
        }
    }
}

/// A subscription within the daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Subscriber {
    hub: Arc<Hub>,
    slot: Arc<Slot>,
    line: Arc<Line>,
}

impl Subscriber {
    /// The next message. Cancel safe.
    pub async fn recv(&mut self) -> Arc<Message> {
        loop {
            if let Some(message) = self.try_recv() {
                return message;
            }
            self.line.wake.notified().await;
        }
    }

    /// The next message, if one waits.
    pub fn try_recv(&mut self) -> Option<Arc<Message>> {
        let mut next = None;
        self.slot
            .take(1, 1, |delivery| next = Some(delivery.message));
        next
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.end(&self.slot);
    }
}

/// The broker's clock: monotonic, and virtual where a test pauses the runtime's.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

// A connection's task may panic; what it held is still whole, because nothing here is changed halfway
// under a lock that can panic. So a poisoned lock is not an error.

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn reading<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn writing<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
