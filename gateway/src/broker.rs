//! The embedded MQTT broker: 3.1.1 and 5 on one port. It takes publishes to the writer and acknowledges
//! only what the writer has called committed; it never touches the disk and never decides what a reading
//! means.
//!
//! A publish goes `listener` → `transport` → `connection` → `session` → the intake → the writer, which calls
//! [`Fanout::writes`] before its commit and [`Fanout::committed`] after it.

mod acl;
mod allowed;
mod auth;
mod codec;
mod connection;
mod door;
pub mod external;
mod fanout;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod hub;
mod intake;
mod lifetime;
pub mod limits;
mod listener;
mod mailbox;
mod message;
mod name;
mod pass;
mod refused;
mod restore;
mod retained;
mod session;
mod slot;
mod stats;
mod sys;
mod transport;
mod trie;

pub use crate::store::BrokerWrite;
pub(crate) use acl::OwnTopics;
pub use allowed::{Allowed, Bound};
pub use auth::{Access, Admission, Credentials, Open, Peer, Pending, Permit, Proof, Standing};
pub use fanout::Fanout;
pub use intake::{Incoming, Mapper, Submission};
pub use limits::Limits;
pub use message::{Message, Properties, Qos};
pub use stats::Stats;
pub use transport::{Origins, Tls, Transport};

use crate::clock::Clock;
use door::Door;
use hub::{Hub, Matured, Will};
use intake::{Line, Order, Reply};
use mailbox::Taken;
use refused::Bursts;
use slot::Slot;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    /// Says how much time has passed over a restart. While the broker runs it goes by its own.
    pub clock: Clock,
}

impl BrokerConfig {
    /// Default limits, open to everybody, without `$SYS`, by the machine's clock.
    #[must_use]
    pub fn open(site: impl Into<String>) -> Self {
        Self {
            site: site.into(),
            limits: Limits::default(),
            access: Arc::new(Open),
            sys_interval: None,
            clock: Clock::machine(),
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
    pub(crate) door: Arc<Door>,
    pub(crate) bursts: Bursts,
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
        let door = Door::new(&config.limits);
        let hub = Arc::new(Hub::new(config.limits, Arc::clone(&stats), config.clock));
        restore::restore(&hub, restored);
        let core = Arc::new(Core {
            hub,
            access: config.access,
            own_topics: OwnTopics::of_site(&config.site),
            mapper,
            stats,
            door,
            bursts: Bursts::default(),
            intake: RwLock::new(Some(intake)),
            stopping: watch::Sender::new(false),
            left: Notify::new(),
        });
        // Users may have changed while nobody ran.
        core.review_absent();
        tokio::spawn(keep_time(Arc::clone(&core)));
        if let Some(interval) = config.sys_interval {
            tokio::spawn(sys::keep_saying(Arc::clone(&core), interval));
        }
        Self { core }
    }

    /// Serves MQTT over TCP until [`Broker::shutdown`].
    pub fn listen(&self, listener: TcpListener) {
        self.listen_over(Transport::default(), listener);
    }

    /// Serves MQTT over any transport until [`Broker::shutdown`].
    pub fn listen_over(&self, transport: Transport, listener: TcpListener) {
        tokio::spawn(listener::serve(Arc::clone(&self.core), listener, transport));
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
        self.subscribe_within(&[filter], limits::INTERNAL_QUEUE)
    }

    /// As [`Broker::subscribe_internal`], with room for everything that can be retained to change twice.
    pub(crate) fn subscribe_results(&self, filters: &[&str]) -> Option<Subscriber> {
        let retained = self.core.hub.limits.retained_messages;
        self.subscribe_within(filters, limits::INTERNAL_QUEUE.max(2 * retained))
    }

    fn subscribe_within(&self, filters: &[&str], queue_messages: usize) -> Option<Subscriber> {
        let limits = Limits {
            queue_messages,
            ..self.core.hub.limits.clone()
        };
        let parsed = filters.iter().map(|filter| name::filter(filter));
        let parsed: Vec<_> = parsed.collect::<Option<_>>()?;
        let slot = self.core.hub.internal_slot("(internal)", &limits);
        let line = Arc::new(Line::default());
        slot.attach(Some(Arc::clone(&line)));
        let grant = slot::Grant {
            qos: Qos::ExactlyOnce,
            no_local: false,
            retain_as_published: true,
            identifier: None,
        };
        for (filter, parsed) in filters.iter().zip(parsed) {
            let handling = hub::RetainHandling::Always;
            // It is not persistent: nothing of it goes to disk.
            drop(
                self.core
                    .hub
                    .subscribe(&slot, filter, parsed, grant, handling, now()),
            );
        }
        Some(Subscriber {
            hub: Arc::clone(&self.core.hub),
            slot,
            line,
        })
    }

    /// Judges everybody anew, after [`Access`] has changed its mind: connections judge themselves, and
    /// sessions that are left behind end where they hold what their user may not. From its return on
    /// nothing more is queued for those, and each connection knows that it is asked. Must be called within
    /// a tokio runtime.
    pub fn review(&self) {
        self.core.hub.ask_review();
        self.core.review_absent();
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

    /// Ends sessions without a connection that hold what their user may not.
    pub(crate) fn review_absent(self: &Arc<Self>) {
        let judge = |client: &str, owner: Option<&str>| self.access.absent(owner, client);
        let condemned = self.hub.condemn(judge);
        let core = Arc::clone(self);
        // Until its end is on its way to disk, the client id of a session that ends here is taken.
        tokio::spawn(async move { core.finish(condemned).await });
    }

    async fn finish(&self, matured: Matured) {
        self.publish_wills(matured.wills, matured.writes).await;
        matured
            .written
            .iter()
            .for_each(|slot| self.hub.written(slot));
        matured.ended.iter().for_each(|slot| self.hub.end(slot));
    }

    /// A will is a publish like any other: it goes to disk first. At QoS 0 too: it must not overtake what its client
    /// published before.
    pub(crate) async fn publish_wills(
        &self,
        wills: impl IntoIterator<Item = Will>,
        writes: Vec<BrokerWrite>,
    ) {
        let mut submission = Submission::new(Reply::nobody());
        submission.writes = writes;
        for will in wills {
            let topic =
                std::str::from_utf8(&will.topic).expect("a will's topic is checked at CONNECT");
            // Who publishes wills serves others too: a fault in reading one costs that one.
            let mapping = AssertUnwindSafe(|| self.mapper.map(topic, &will.payload));
            let Ok(decoded) = catch_unwind(mapping) else {
                tracing::error!(topic, "a will was not published, for a fault of our own");
                continue;
            };
            let Will {
                topic,
                payload,
                qos,
                retain,
                properties,
                delay_s: _,
            } = will;
            submission.incoming.push(Incoming {
                origin: 0,
                topic,
                payload,
                qos,
                retain,
                packet_id: 0,
                props: properties,
                decoded,
                by: None,
                passed: None,
            });
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
            () = core.hub.due_changed() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let matured = core.hub.mature(now());
        core.finish(matured).await;
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
        self.slot.take(1, |delivery| {
            next = Some(delivery.message);
            Taken::Yes
        });
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
