//! One client of a load run: a buffer of ready packets, a window over it, and nothing else.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::packet::{self, Inbound, Qos};
use crate::publish::link::{Identity, Link};
use crate::publish::{Options, PublishError};
use crate::scenario::Scenario;

/// Packet ids run 1..=65 535.
const IDS: usize = 65_535;
/// How much is read at once: 4 000 acknowledgements.
const READ_BYTES: usize = 16 * 1024;
/// How much is written at once at `QoS` 0, where no window stops it.
const WRITE_BYTES: usize = 256 * 1024;
/// A latency not measured yet.
const NOT_YET: u32 = u32::MAX;

/// All packets of one client, in order.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each packet ends.
    ends: Vec<usize>,
    qos: Qos,
}

/// A connected client with its batch.
#[derive(Debug)]
pub(super) struct Flow {
    stream: TcpStream,
    identity: Identity,
    batch: Batch,
    inflight: usize,
}

/// What a client did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) latencies_us: Vec<u32>,
}

impl Batch {
    pub(super) fn make(scenario: &Scenario, share: u32, of: u32, qos: Qos) -> Self {
        let fleet = scenario.fleet();
        let mut batch = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            qos,
        };
        let mut payload = Vec::new();
        for reading in scenario.share(share, of) {
            payload.clear();
            reading.write_payload(&fleet, &mut payload);
            let topic = &fleet.label(reading.home, reading.sensor).topic;
            let id = id_of(batch.ends.len());
            packet::write_publish(qos, id, topic, &payload, &mut batch.bytes);
            batch.ends.push(batch.bytes.len());
        }
        batch
    }

    /// Packets `from..until`, as bytes.
    fn slice(&self, from: usize, until: usize) -> &[u8] {
        let end = |count: usize| count.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[end(from)..end(until)]
    }
}

impl Flow {
    pub(super) async fn open(
        options: &Options,
        number: u32,
        batch: Batch,
        inflight: u16,
    ) -> Result<Self, PublishError> {
        let identity = Identity::new(options, number);
        let link = Link::open(&identity)
            .await
            .map_err(|error| error.give_up(&identity))?;
        Ok(Self {
            stream: link.into_stream(),
            identity,
            batch,
            inflight: usize::from(inflight),
        })
    }

    /// Sends everything; returns when it is acknowledged (at `QoS` 0: read by the broker).
    pub(super) async fn run(mut self, began: Instant) -> Result<Done, PublishError> {
        let outcome = match self.batch.qos {
            Qos::Zero => self.pour().await,
            Qos::One | Qos::Two => self.pump(began).await,
        };
        let latencies_us = outcome.map_err(|source| PublishError::Broken {
            broker: self.identity.broker.clone(),
            source,
        })?;
        Ok(Done {
            messages: self.batch.ends.len() as u64,
            bytes: self.batch.bytes.len() as u64,
            latencies_us,
        })
    }

    async fn pour(&mut self) -> io::Result<Vec<u32>> {
        for chunk in self.batch.bytes.chunks(WRITE_BYTES) {
            self.stream.write_all(chunk).await?;
        }
        // The broker answers in order: when the ping is answered, everything was read.
        self.stream.write_all(&packet::PINGREQ).await?;
        self.stream.read_exact(&mut [0; 2]).await?;
        Ok(Vec::new())
    }

    async fn pump(&mut self, began: Instant) -> io::Result<Vec<u32>> {
        let total = self.batch.ends.len();
        let mut window = Window::new(total);
        let mut inbox = Vec::with_capacity(READ_BYTES);
        while window.acknowledged < total {
            let until = total.min(window.acknowledged + self.inflight);
            if until > window.sent {
                let packets = self.batch.slice(window.sent, until);
                window.sent(until, micros(began));
                self.stream.write_all(packets).await?;
            }
            if self.stream.read_buf(&mut inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = micros(began);
            let mut taken = 0;
            while let Some((packet, length)) = packet::read(&inbox[taken..]).map_err(invalid)? {
                taken += length;
                match packet {
                    Inbound::PubAck(id) => window.acknowledge(id, now).map_err(invalid)?,
                    Inbound::ConnAck(_)
                    | Inbound::PubRec(_)
                    | Inbound::PubComp(_)
                    | Inbound::PingResp => return Err(invalid(format!("{packet:?} to a PUBLISH"))),
                }
            }
            inbox.drain(..taken);
        }
        self.stream.write_all(&packet::DISCONNECT).await?;
        Ok(window.times_us)
    }
}

/// When each message was sent, then how long its acknowledgement took.
#[derive(Debug)]
struct Window {
    times_us: Vec<u32>,
    open: Vec<bool>,
    sent: usize,
    acknowledged: usize,
}

impl Window {
    fn new(total: usize) -> Self {
        Self {
            times_us: vec![NOT_YET; total],
            open: vec![false; total],
            sent: 0,
            acknowledged: 0,
        }
    }

    fn sent(&mut self, until: usize, now_us: u32) {
        self.times_us[self.sent..until].fill(now_us);
        self.open[self.sent..until].fill(true);
        self.sent = until;
    }

    fn acknowledge(&mut self, id: u16, now_us: u32) -> Result<(), String> {
        // The newest message with that id: fewer than all ids are in flight.
        let newest = self.sent.wrapping_sub(1);
        let back = (IDS + usize::from(id_of(newest)) - usize::from(id)) % IDS;
        let place = newest.wrapping_sub(back);
        match self.open.get_mut(place) {
            Some(open) if *open => {
                *open = false;
                self.times_us[place] = now_us.saturating_sub(self.times_us[place]);
                self.acknowledged += 1;
                Ok(())
            }
            Some(_) | None => Err(format!("packet {id} was acknowledged but not in flight")),
        }
    }
}

fn id_of(place: usize) -> u16 {
    u16::try_from(place % IDS + 1).expect("1..=65535")
}

/// Time since the start of the run; a run of more than 71 minutes stands still there.
fn micros(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_micros()).unwrap_or(NOT_YET)
}

fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_find_their_message_in_any_order_and_past_the_wrap() {
        let mut window = Window::new(70_000);
        for place in 0..65_534 {
            window.sent(place + 1, 0);
            window.acknowledge(id_of(place), 1).unwrap();
        }
        window.sent(65_538, 10);
        for (place, now) in [(65_537, 11), (65_534, 14), (65_536, 12), (65_535, 13)] {
            window.acknowledge(id_of(place), now).unwrap();
        }
        assert_eq!(window.times_us[65_534..65_538], [4, 3, 2, 1]);
        assert_eq!(window.acknowledged, 65_538);
        assert!(window.acknowledge(1, 20).is_err(), "twice");
        assert!(window.acknowledge(0, 20).is_err(), "no such id");
    }
}
