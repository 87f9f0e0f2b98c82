//! A broker with a writer whose commits the test decides. The rows it commits are kept like a store would.

use crate::raw::Raw;
use gateway::broker::{
    Broker, BrokerConfig, BrokerWrite, Fanout, Mapper, Restored, Submission, Transport,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Commits,
    Holds,
    Fails,
}

/// A topic that nobody survives reading.
pub(crate) const POISON: &str = "poison";

/// The mapped value is the payload's length: enough to see that the writer gets it.
pub(crate) struct Length;

impl Mapper for Length {
    type Mapped = usize;

    fn map(&self, topic: &str, payload: &[u8]) -> usize {
        assert_ne!(topic, POISON, "a fault that a test asks for");
        payload.len()
    }
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) retained: BTreeMap<String, Vec<u8>>,
    pub(crate) sessions: BTreeMap<String, Vec<u8>>,
    pub(crate) queued: BTreeMap<(String, u64), Vec<u8>>,
    /// How often a session's row was written.
    pub(crate) written: BTreeMap<String, usize>,
    /// Topic and payload of every publish, in commit order.
    pub(crate) published: Vec<(String, Vec<u8>)>,
    submissions: usize,
}

impl Store {
    fn apply(&mut self, write: BrokerWrite) {
        match write {
            BrokerWrite::RetainSet { topic, message } => drop(self.retained.insert(topic, message)),
            BrokerWrite::RetainClear { topic } => drop(self.retained.remove(&topic)),
            BrokerWrite::SessionSet { client, state } => {
                *self.written.entry(client.clone()).or_default() += 1;
                drop(self.sessions.insert(client, state));
            }
            BrokerWrite::SessionDrop { client } => {
                self.sessions.remove(&client);
                self.queued.retain(|(owner, _), _| *owner != client);
            }
            BrokerWrite::QueuePush {
                client,
                ordinal,
                message,
            } => {
                assert!(
                    self.queued.insert((client, ordinal), message).is_none(),
                    "an ordinal is used once"
                );
            }
            BrokerWrite::QueueRelease { client, ordinal } => {
                drop(self.queued.insert((client, ordinal), Vec::new()));
            }
            BrokerWrite::QueuePop { client, ordinal } => {
                drop(self.queued.remove(&(client, ordinal)));
            }
            BrokerWrite::UserSet { .. } | BrokerWrite::UserDrop { .. } | BrokerWrite::Alert(_) => {
                panic!("the broker makes no users and no alerts")
            }
        }
    }

    fn restored(&self) -> Restored {
        Restored {
            retained: self.retained.clone().into_iter().collect(),
            sessions: self.sessions.clone().into_iter().collect(),
            queued: self
                .queued
                .iter()
                .map(|((client, ordinal), row)| (client.clone(), *ordinal, row.clone()))
                .collect(),
        }
    }
}

struct Desk {
    disk: Mutex<(Disk, usize)>,
    changed: Condvar,
    store: Mutex<Store>,
    committed: Condvar,
}

pub(crate) struct Stand {
    pub(crate) broker: Broker<Length>,
    pub(crate) address: SocketAddr,
    config: BrokerConfig,
    desk: Arc<Desk>,
}

fn write(mut submissions: mpsc::Receiver<Submission<usize>>, fanout: &Fanout, desk: &Desk) {
    while let Some(mut submission) = submissions.blocking_recv() {
        let mut rows = Vec::new();
        fanout.writes(&mut submission, &mut rows);
        let mut state = desk.disk.lock().unwrap();
        state.1 += 1;
        desk.changed.notify_all();
        state = desk
            .changed
            .wait_while(state, |(disk, _)| *disk == Disk::Holds)
            .unwrap();
        state.1 -= 1;
        let fails = state.0 == Disk::Fails;
        drop(state);
        if fails {
            fanout.failed(submission);
            continue;
        }
        {
            let mut store = desk.store.lock().unwrap();
            store.submissions += 1;
            for row in rows {
                store.apply(row);
            }
            for publish in &submission.incoming {
                assert_eq!(publish.decoded, publish.payload.len());
                store
                    .published
                    .push((publish.topic_str().to_owned(), publish.payload.to_vec()));
            }
        }
        desk.committed.notify_all();
        fanout.committed(submission);
    }
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(BrokerConfig::open("home")).await
    }

    pub(crate) async fn with(config: BrokerConfig) -> Self {
        Self::start(config, Store::default()).await
    }

    async fn start(config: BrokerConfig, store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (intake, submissions) = mpsc::channel(64);
        let broker = Broker::start(config.clone(), Length, intake, store.restored());
        let fanout = broker.fanout();
        let desk = Arc::new(Desk {
            disk: Mutex::new((Disk::Commits, 0)),
            changed: Condvar::new(),
            store: Mutex::new(store),
            committed: Condvar::new(),
        });
        let writers = Arc::clone(&desk);
        std::thread::spawn(move || write(submissions, &fanout, &writers));
        broker.listen(listener);
        Self {
            broker,
            address,
            config,
            desk,
        }
    }

    /// Another listener of the same broker.
    pub(crate) async fn over(&self, transport: Transport) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.broker.listen_over(transport, listener);
        address
    }

    /// As after kill -9: only what was committed is left.
    pub(crate) async fn restarted(self) -> Self {
        let config = self.config.clone();
        self.restarted_as(config).await
    }

    /// The same under another configuration.
    pub(crate) async fn restarted_as(self, config: BrokerConfig) -> Self {
        let store = std::mem::take(&mut *self.desk.store.lock().unwrap());
        Self::start(config, store).await
    }

    pub(crate) fn disk(&self, now: Disk) {
        self.desk.disk.lock().unwrap().0 = now;
        self.desk.changed.notify_all();
    }

    /// Waits until the writer holds a submission.
    pub(crate) async fn writer_holds(&self) {
        let desk = Arc::clone(&self.desk);
        let waiting = tokio::task::spawn_blocking(move || {
            let state = desk.disk.lock().unwrap();
            let limit = Duration::from_secs(10);
            let (_held, timeout) = desk
                .changed
                .wait_timeout_while(state, limit, |(_, held)| *held == 0)
                .unwrap();
            assert!(!timeout.timed_out(), "nothing was submitted");
        });
        waiting.await.unwrap();
    }

    /// Waits until the rows are such.
    pub(crate) async fn stored(&self, such: impl Fn(&Store) -> bool + Send + 'static) {
        let desk = Arc::clone(&self.desk);
        let waiting = tokio::task::spawn_blocking(move || {
            let store = desk.store.lock().unwrap();
            let limit = Duration::from_secs(10);
            let (_store, timeout) = desk
                .committed
                .wait_timeout_while(store, limit, |store| !such(store))
                .unwrap();
            assert!(!timeout.timed_out(), "the rows never were such");
        });
        waiting.await.unwrap();
    }

    /// The client's connection is lost, and its row says so.
    pub(crate) async fn loses(&self, client: &'static str, mut raw: Raw) {
        // Its SUBACK follows the commit of everything before it.
        raw.subscribe("fence", 0).await;
        let written = move |store: &Store| store.written.get(client).copied().unwrap_or(0);
        let before = self.store(written);
        drop(raw);
        self.stored(move |store| written(store) > before).await;
    }

    /// As if others had written to the store.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.desk.store.lock().unwrap());
    }

    pub(crate) fn store<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.desk.store.lock().unwrap())
    }

    /// What the writer has committed so far.
    pub(crate) fn submissions(&self) -> usize {
        self.store(|store| store.submissions)
    }

    pub(crate) fn published(&self) -> Vec<String> {
        self.store(|store| {
            store
                .published
                .iter()
                .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
                .collect()
        })
    }
}
