//! A subscriber that comes back, and remembers what it was given.
//!
//! At `QoS` 2 it does what the standard asks of a receiver (MQTT 3.1.1, 4.3.3): it keeps the packet id of a
//! message from the PUBLISH to the PUBREL, through lost connections too, and takes nothing under an id that
//! it keeps. So whatever it has got twice was sent twice, and what it was never given was lost.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use crate::mqtt::{
    Client, Delivery, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Qos, Stay,
    acknowledge,
};

/// A subscriber with a persistent session.
#[derive(Debug)]
pub struct Recipient {
    id: String,
    /// Payloads, in order.
    got: Vec<String>,
    /// Ids between PUBLISH and PUBREL.
    kept: BTreeSet<u16>,
    client: Option<Client>,
}

/// Why a recipient pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It has got as much as it was asked to take.
    Enough,
    /// The connection is lost.
    Lost,
}

impl Recipient {
    /// Connects for the first time, subscribes, and goes.
    ///
    /// # Panics
    /// When the broker does not listen, or has kept a session that never was.
    pub async fn subscribed(at: SocketAddr, id: &str, filter: &str, qos: Qos) -> Self {
        let connected = Client::connect(at, id, Stay::Persistent).await;
        let (mut client, present) = connected.expect("it listens");
        assert!(!present, "nobody of this name was here before");
        client.subscribe(filter, qos).await.expect("it listens");
        Self {
            id: id.to_owned(),
            got: Vec::new(),
            kept: BTreeSet::new(),
            client: None,
        }
    }

    /// Payloads, in the order in which they came.
    #[must_use]
    pub fn got(&self) -> &[String] {
        &self.got
    }

    /// Connects, and takes what comes until it has got `enough` in all.
    ///
    /// # Panics
    /// When the broker has forgotten the session.
    pub async fn receive(&mut self, at: SocketAddr, enough: usize) -> Break {
        let outcome = async {
            if self.client.is_none() {
                let connected = Client::connect(at, &self.id, Stay::Persistent).await?;
                assert!(connected.1, "the session outlives the daemon");
                self.client = Some(connected.0);
            }
            while self.got.len() < enough {
                self.hear().await?;
            }
            Ok::<_, io::Error>(Break::Enough)
        };
        outcome.await.unwrap_or_else(|_| {
            self.client = None;
            Break::Lost
        })
    }

    /// Connects, and takes what waits for it, down to the last; how much that was.
    ///
    /// # Panics
    /// When the connection is lost.
    pub async fn take_all(&mut self, at: SocketAddr) -> usize {
        let before = self.got.len();
        assert_eq!(self.receive(at, before).await, Break::Enough, "connected");
        // What is sent within the window comes before the answer to a ping; so it is asked for until
        // nothing comes before it.
        let mut held = None;
        while held != Some(self.got.len()) {
            held = Some(self.got.len());
            self.drain().await.expect("it listens");
        }
        self.got.len() - before
    }

    async fn drain(&mut self) -> io::Result<()> {
        self.connected()?.send(&PINGREQ).await?;
        loop {
            let packet = self.connected()?.next().await?;
            if packet.first == PINGRESP {
                return Ok(());
            }
            if let Some(answer) = self.note(&packet) {
                self.connected()?.send(&answer).await?;
            }
        }
    }

    /// Ends every handshake that is under way; nothing else may come.
    pub async fn finish(&mut self) -> io::Result<()> {
        while !self.kept.is_empty() {
            self.hear().await?;
        }
        self.connected()?.fence().await
    }

    /// Hears what the broker still said before it went: what has come has come.
    pub async fn hear_last_words(&mut self) {
        while let Some(client) = &mut self.client {
            match client.next().await {
                Ok(packet) => drop(self.note(&packet)),
                Err(_) => self.client = None,
            }
        }
    }

    async fn hear(&mut self) -> io::Result<()> {
        let packet = self.connected()?.next().await?;
        match self.note(&packet) {
            Some(answer) => self.connected()?.send(&answer).await,
            None => Ok(()),
        }
    }

    /// Takes a packet in; what is to be answered.
    fn note(&mut self, packet: &Packet) -> Option<Vec<u8>> {
        if packet.first == PUBREL {
            let id = u16::from_be_bytes([packet.body[0], packet.body[1]]);
            self.kept.remove(&id);
            return Some(acknowledge(PUBCOMP, id));
        }
        let delivery = Delivery::of(packet);
        let Some(id) = delivery.id else {
            self.got.push(delivery.payload);
            return None;
        };
        if packet.first & 0x06 == 2 {
            self.got.push(delivery.payload);
            return Some(acknowledge(PUBACK, id));
        }
        if self.kept.insert(id) {
            self.got.push(delivery.payload);
        } else {
            assert!(delivery.again, "{id} is in use, and a new message has it");
        }
        Some(acknowledge(PUBREC, id))
    }

    fn connected(&mut self) -> io::Result<&mut Client> {
        let client = self.client.as_mut();
        client.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}
