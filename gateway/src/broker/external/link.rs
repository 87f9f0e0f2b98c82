//! One connection to the far broker, made of rumqttc, in MQTT 5 or 3.1.1. It speaks MQTT and decides
//! nothing: what is acknowledged and when is its owner's.
//!
//! A link is used for one connection only, where rumqttc would go on over several: so no acknowledgement
//! and no packet id of an earlier connection can reach a later one. Its event loop runs on a task of its
//! own, because its `poll` must not be cancelled halfway.

mod v311;
mod v5;

use super::failure::Failure;
use super::ledger::Receipt;
use crate::broker::Qos;
use crate::config::{FarAddress, Protocol};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ClientConfig;

/// Messages delivered and not acknowledged, at most; announced to the far broker as Receive Maximum.
pub(super) const UNACKNOWLEDGED: u16 = 1024;
/// Results on their way to the far broker, at most.
pub(super) const WINDOW: u16 = 64;
/// What was heard and not taken up, at most.
const HEARD: usize = 1024;
/// What is to be said and has not been, at most: the results, some subscriptions, and an acknowledgement
/// for every packet id that there is. Not every broker minds Receive Maximum, and rumqttc reads up to ten
/// messages for each acknowledgement that it sends; but no broker has more than 65 535 ids on their way.
const SAID: usize = u16::MAX as usize + WINDOW as usize + 1024;
/// From the first packet of TCP to the far broker's welcome.
const CONNECT_TIMEOUT_S: u64 = 10;
/// How long the far broker shall keep our session while we are away.
const SESSION_EXPIRY: Duration = Duration::from_secs(30 * 86_400);
/// The largest packet that MQTT knows, in bytes.
const LARGEST: usize = 268_435_455;
/// Fixed header, packet id, property length and two lengths: what a PUBLISH of ours adds to its topic
/// and payload at most, in bytes.
const PUBLISH_OVERHEAD: usize = 16;

/// Everything that a link needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: FarAddress,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) login: Option<(String, String)>,
    pub(super) client_id: String,
    pub(super) keep_alive: Duration,
    pub(super) protocol: Protocol,
    /// The largest packet that is taken, in bytes.
    pub(super) max_packet: usize,
    /// Where the last will `offline` goes.
    pub(super) status: String,
}

/// What comes from the far broker.
#[derive(Debug)]
pub(super) enum Heard {
    /// It has let us in.
    Welcome(Welcome),
    /// A message.
    Publish(Delivered),
    /// What became of each filter of the oldest SUBSCRIBE that is not answered.
    Subscribed(Vec<Granted>),
    /// One of our results has arrived.
    Landed,
    /// One of our results is not wanted.
    Unwanted(String),
    /// We have said goodbye.
    Left,
    /// It is over.
    Lost(Failure),
}

/// What the far broker says at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// Whether it knew our session.
    pub(super) session_present: bool,
    /// How many of our messages it takes at once.
    pub(super) receive_maximum: Option<u16>,
    /// The largest packet that it takes, in bytes.
    pub(super) max_packet: Option<usize>,
    /// How long it keeps the session, where that is not as long as we asked for.
    pub(super) session_expiry_s: Option<u32>,
}

/// A message as it came.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    pub(super) receipt: Receipt,
}

/// What became of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// As granted.
    At(Qos),
    /// Not at all.
    Refused,
}

/// The queue to the event loop is full, or nobody reads it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck;

/// An open link.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    heard: mpsc::Receiver<Heard>,
    pump: JoinHandle<()>,
    /// The largest packet that the far broker takes, in bytes.
    largest: usize,
}

#[derive(Debug)]
enum Client {
    V5(rumqttc::v5::AsyncClient),
    V311(rumqttc::AsyncClient),
}

/// Whether a message can be sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It can.
    Fits,
    /// The far broker takes no packet so large.
    TooLarge,
}

impl Link {
    /// Begins to connect. What comes of it is heard.
    pub(super) fn open(settings: &Settings) -> Self {
        let (say, heard) = mpsc::channel(HEARD);
        let (client, pump) = match settings.protocol {
            Protocol::V5 => {
                let (client, events) = v5::connect(settings);
                (Client::V5(client), tokio::spawn(v5::pump(events, say)))
            }
            Protocol::V311 => {
                let (client, events) = v311::connect(settings);
                (Client::V311(client), tokio::spawn(v311::pump(events, say)))
            }
        };
        Self {
            client,
            heard,
            pump,
            largest: LARGEST,
        }
    }

    /// Waits for something to hear, and takes up to `most`. Cancel safe. Nothing: the event loop is gone.
    pub(super) async fn hear(&mut self, into: &mut Vec<Heard>, most: usize) -> usize {
        self.heard.recv_many(into, most).await
    }

    /// Why nothing more can be said.
    pub(super) fn last_words(&mut self) -> Failure {
        while let Ok(heard) = self.heard.try_recv() {
            if let Heard::Lost(failure) = heard {
                return failure;
            }
        }
        Failure::soon("the broker takes neither acknowledgements nor results")
    }

    /// Takes over what the far broker said of its limits; returns how many results may be on their way.
    pub(super) fn welcome(&mut self, welcome: Welcome) -> usize {
        self.largest = welcome.max_packet.unwrap_or(LARGEST);
        // One below what is allowed: rumqttc holds acknowledgements back, too, while a window is full.
        let allowed = welcome.receive_maximum.unwrap_or(u16::MAX);
        usize::from(WINDOW.min(allowed.saturating_sub(1)).max(1))
    }

    /// Subscribes with one packet.
    pub(super) fn subscribe(&self, filters: &[String], qos: Qos) -> Result<(), Stuck> {
        match &self.client {
            Client::V5(client) => v5::subscribe(client, filters, qos),
            Client::V311(client) => v311::subscribe(client, filters, qos),
        }
    }

    pub(super) fn unsubscribe(&self, filter: &str) -> Result<(), Stuck> {
        let said = match &self.client {
            Client::V5(client) => client.try_unsubscribe(filter).is_ok(),
            Client::V311(client) => client.try_unsubscribe(filter).is_ok(),
        };
        said.then_some(()).ok_or(Stuck)
    }

    /// PUBACK or PUBREC; nothing at `QoS` 0.
    pub(super) fn acknowledge(&self, receipt: Receipt) -> Result<(), Stuck> {
        match &self.client {
            Client::V5(client) => v5::acknowledge(client, receipt),
            Client::V311(client) => v311::acknowledge(client, receipt),
        }
    }

    /// Whether the far broker takes a message of this size.
    pub(super) fn fit(&self, topic: &str, payload: &[u8]) -> Fit {
        if topic.len() + payload.len() + PUBLISH_OVERHEAD > self.largest {
            Fit::TooLarge
        } else {
            Fit::Fits
        }
    }

    /// Publishes at `QoS` 1, retained.
    pub(super) fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), Stuck> {
        let said = match &self.client {
            Client::V5(client) => {
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                client
                    .try_publish(topic, qos, true, payload.to_vec())
                    .is_ok()
            }
            Client::V311(client) => {
                let qos = rumqttc::QoS::AtLeastOnce;
                client.try_publish(topic, qos, true, payload).is_ok()
            }
        };
        said.then_some(()).ok_or(Stuck)
    }

    /// Says goodbye, after everything said before; the far broker then drops our will.
    pub(super) fn leave(&self) -> Result<(), Stuck> {
        let said = match &self.client {
            Client::V5(client) => client.try_disconnect().is_ok(),
            Client::V311(client) => client.try_disconnect().is_ok(),
        };
        said.then_some(()).ok_or(Stuck)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pump.abort();
    }
}
