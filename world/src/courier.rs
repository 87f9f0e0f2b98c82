//! A publisher that does not give up, and remembers what it was promised.
//!
//! It sends lines in order with a window of unacknowledged ones, over a persistent session. When
//! the connection is lost it comes back, and does what the standard asks of clients (MQTT 3.1.1,
//! 4.4): unacknowledged publishes again, in order, with DUP and their old ids; a PUBREL for those
//! that were received. It never sends again what was acknowledged: if that is missing, it was lost.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::arrival::Line;
use crate::mqtt::{
    Client, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Qos, Stay, acknowledge, publish,
};

/// A publisher at `QoS` 1 or 2.
#[derive(Debug)]
pub struct Courier {
    id: String,
    qos: Qos,
    window: usize,
    lines: Vec<Line>,
    /// The first line that was never sent.
    next: usize,
    flights: VecDeque<Flight>,
    /// Lines that are on disk, as the broker says.
    promised: usize,
    client: Option<Client>,
}

/// A line on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    line: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Sent, and nothing heard.
    Sent,
    /// `QoS` 2: the PUBREC is here, the PUBCOMP is not.
    Received,
}

/// Why a courier pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// As many lines were promised as it was asked for; more are on their way.
    Promised,
    /// The connection is lost.
    Lost,
    /// Every line is delivered for good.
    Done,
}

impl Courier {
    /// Will send `lines`, at most `window` of them unacknowledged.
    #[must_use]
    pub fn new(id: &str, qos: Qos, window: usize, lines: Vec<Line>) -> Self {
        assert_ne!(qos, Qos::Zero, "at QoS 0 nothing is promised");
        Self {
            id: id.to_owned(),
            qos,
            window,
            lines,
            next: 0,
            flights: VecDeque::new(),
            promised: 0,
            client: None,
        }
    }

    /// How many lines are on disk, as the broker has said (PUBACK or PUBREC).
    #[must_use]
    pub fn promised(&self) -> usize {
        self.promised
    }

    /// Connects, and sends until so many more lines are promised, or nothing is left to do.
    pub async fn deliver(&mut self, at: SocketAddr, promises: usize) -> Pause {
        let enough = self.promised.saturating_add(promises);
        let outcome = async {
            if self.client.is_none() {
                let (client, _) = Client::connect(at, &self.id, Stay::Persistent).await?;
                self.client = Some(client);
                self.resume().await?;
            }
            self.send_more().await?;
            while !self.flights.is_empty() {
                if self.promised >= enough {
                    return Ok(Pause::Promised);
                }
                let packet = self.connected()?.next().await?;
                self.hear(&packet).await?;
                self.send_more().await?;
            }
            Ok::<_, io::Error>(Pause::Done)
        };
        outcome.await.unwrap_or_else(|_| {
            self.client = None;
            Pause::Lost
        })
    }

    /// Hears what the broker still said before it went: a promise in the socket is a promise.
    pub async fn hear_last_words(&mut self) {
        if let Some(mut client) = self.client.take() {
            while let Ok(packet) = client.next().await {
                self.note(&packet);
            }
        }
    }

    async fn resume(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for Flight { line, stage } in &self.flights {
            bytes.extend(match stage {
                Stage::Sent => self.publish(*line, true),
                Stage::Received => acknowledge(PUBREL, id_of(*line)),
            });
        }
        self.connected()?.send(&bytes).await
    }

    async fn send_more(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.flights.len() < self.window && self.next < self.lines.len() {
            bytes.extend(self.publish(self.next, false));
            self.flights.push_back(Flight {
                line: self.next,
                stage: Stage::Sent,
            });
            self.next += 1;
        }
        self.connected()?.send(&bytes).await
    }

    async fn hear(&mut self, packet: &Packet) -> io::Result<()> {
        match self.note(packet) {
            Some(id) => {
                let release = acknowledge(PUBREL, id);
                self.connected()?.send(&release).await
            }
            None => Ok(()),
        }
    }

    /// Notes what a packet promises; the id to release, if it asks for that.
    fn note(&mut self, packet: &Packet) -> Option<u16> {
        let Some((first, id)) = packet.acknowledges() else {
            panic!("a publisher only gets acknowledgements, not {packet:?}")
        };
        let of_id = |flight: &Flight| id_of(flight.line) == id;
        let Some(place) = self.flights.iter().position(of_id) else {
            panic!("nothing with the id {id} is on its way: {packet:?}")
        };
        let flight = &mut self.flights[place];
        match (self.qos, first, flight.stage) {
            (Qos::One, PUBACK, Stage::Sent) => {
                self.promised += 1;
                self.flights.remove(place);
                None
            }
            (Qos::Two, PUBREC, stage) => {
                self.promised += usize::from(stage == Stage::Sent);
                flight.stage = Stage::Received;
                Some(id)
            }
            (Qos::Two, PUBCOMP, Stage::Received) => {
                self.flights.remove(place);
                None
            }
            (qos, _, stage) => panic!("{packet:?} for a publish at {qos:?} that is {stage:?}"),
        }
    }

    fn publish(&self, line: usize, again: bool) -> Vec<u8> {
        let Line { topic, payload, .. } = &self.lines[line];
        publish(topic, payload.as_bytes(), self.qos, again, id_of(line))
    }

    fn connected(&mut self) -> io::Result<&mut Client> {
        let client = self.client.as_mut();
        client.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Ids go round; the window is far smaller than the circle.
fn id_of(line: usize) -> u16 {
    u16::try_from(line % 65_535 + 1).expect("1 to 65535")
}
