//! MQTT 3.1.1 as bytes on a socket: what a client may send, and what it must not.
//!
//! It keeps no state and no promise for its user: sessions, acknowledgements and order are the
//! business of whoever uses it, such as the [`crate::courier`].

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::PATIENCE;

/// First byte of a PUBACK.
pub const PUBACK: u8 = 0x40;
/// First byte of a PUBREC.
pub const PUBREC: u8 = 0x50;
/// First byte of a PUBREL, with its reserved bits.
pub const PUBREL: u8 = 0x62;
/// First byte of a PUBCOMP.
pub const PUBCOMP: u8 = 0x70;
/// PINGREQ, whole.
pub const PINGREQ: [u8; 2] = [0xC0, 0];
/// First byte of a PINGRESP.
pub const PINGRESP: u8 = 0xD0;
/// DISCONNECT, whole.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// Quality of service of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// At most once: nobody acknowledges it.
    Zero,
    /// At least once: a PUBACK.
    One,
    /// Exactly once: PUBREC, PUBREL, PUBCOMP.
    Two,
}

impl Qos {
    fn bits(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Whether the broker keeps the session of a client that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It begins anew and ends with the connection.
    Clean,
    /// It goes on.
    Persistent,
}

/// A packet that came: its first byte, and what follows its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Type and flags.
    pub first: u8,
    /// Everything after the length.
    pub body: Vec<u8>,
}

/// A message that came to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: String,
    /// Whether it was retained.
    pub retained: bool,
    /// Whether it was sent before.
    pub again: bool,
    /// What to acknowledge; nothing at `QoS` 0.
    pub id: Option<u16>,
}

/// An open connection.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// Connects. Also tells whether the broker has kept the session.
    pub async fn connect(at: SocketAddr, id: &str, stay: Stay) -> io::Result<(Self, bool)> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut client = Self {
            reader: BufReader::new(reader),
            writer,
        };
        client.send(&connect(id, stay)).await?;
        let answer = client.next().await?;
        match (answer.first, answer.body.as_slice()) {
            (0x20, [present, 0]) => Ok((client, *present == 1)),
            _ => Err(io::Error::other(format!("no welcome: {answer:?}"))),
        }
    }

    /// Sends bytes, whatever they mean.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// The next packet; an error of the kind `UnexpectedEof` when the broker has hung up.
    pub async fn next(&mut self) -> io::Result<Packet> {
        let packet = async {
            let first = self.reader.read_u8().await?;
            let (mut len, mut shift) = (0, 0);
            loop {
                let byte = self.reader.read_u8().await?;
                len |= usize::from(byte & 0x7F) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut body = vec![0; len];
            self.reader.read_exact(&mut body).await?;
            Ok(Packet { first, body })
        };
        let came = tokio::time::timeout(PATIENCE, packet).await;
        came.expect("a broker that works answers or hangs up")
    }

    /// Everything that was sent before has been read: a ping comes back.
    pub async fn fence(&mut self) -> io::Result<()> {
        self.send(&PINGREQ).await?;
        let answer = self.next().await?;
        assert_eq!(answer.first, 0xD0, "nothing but the ping comes back");
        Ok(())
    }

    /// Publishes and waits until the broker has said that it is on disk (at `QoS` 0: until it has
    /// been read).
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: Qos,
        retain: bool,
    ) -> io::Result<()> {
        const ID: u16 = 1;
        let answers: &[u8] = match qos {
            Qos::Zero => &[],
            Qos::One => &[PUBACK],
            Qos::Two => &[PUBREC, PUBCOMP],
        };
        let mut packet = publish(topic, payload, qos, false, ID);
        packet[0] |= u8::from(retain);
        self.send(&packet).await?;
        for answer in answers {
            let came = self.next().await?;
            assert_eq!(came.acknowledges(), Some((*answer, ID)), "{came:?}");
            if *answer == PUBREC {
                self.send(&acknowledge(PUBREL, ID)).await?;
            }
        }
        if qos == Qos::Zero {
            self.fence().await?;
        }
        Ok(())
    }

    /// Subscribes, and is granted what it asked for.
    pub async fn subscribe(&mut self, filter: &str, qos: Qos) -> io::Result<()> {
        let mut body = vec![0, 1];
        push_text(&mut body, filter);
        body.push(qos.bits());
        self.send(&packet(0x82, &body)).await?;
        let answer = self.next().await?;
        assert_eq!((answer.first, answer.body), (0x90, vec![0, 1, qos.bits()]));
        Ok(())
    }

    /// The next message, which is not acknowledged here.
    pub async fn delivery(&mut self) -> io::Result<Delivery> {
        Ok(Delivery::of(&self.next().await?))
    }

    /// Reads until the broker hangs up.
    pub async fn closed(&mut self) {
        while self.next().await.is_ok() {}
    }
}

impl Delivery {
    /// Reads a PUBLISH.
    ///
    /// # Panics
    /// When it is another packet.
    #[must_use]
    pub fn of(packet: &Packet) -> Self {
        let Packet { first, body } = packet;
        assert_eq!(first & 0xF0, 0x30, "a PUBLISH, not {packet:?}");
        let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (topic, rest) = body[2..].split_at(usize::from(number(body)));
        let (id, payload) = if first & 0x06 == 0 {
            (None, rest)
        } else {
            (Some(number(rest)), &rest[2..])
        };
        Self {
            topic: text(topic),
            payload: text(payload),
            retained: first & 1 == 1,
            again: first & 8 == 8,
            id,
        }
    }
}

impl Packet {
    /// First byte and packet id, if it is an acknowledgement.
    #[must_use]
    pub fn acknowledges(&self) -> Option<(u8, u16)> {
        match (self.first, self.body.as_slice()) {
            (PUBACK | PUBREC | PUBCOMP, [high, low]) => {
                Some((self.first, u16::from_be_bytes([*high, *low])))
            }
            _ => None,
        }
    }
}

/// A CONNECT without keep-alive.
#[must_use]
pub fn connect(id: &str, stay: Stay) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, "MQTT");
    let flags = match stay {
        Stay::Clean => 2,
        Stay::Persistent => 0,
    };
    body.extend([4, flags, 0, 0]);
    push_text(&mut body, id);
    packet(0x10, &body)
}

/// A PUBLISH.
#[must_use]
pub fn publish(topic: &str, payload: &[u8], qos: Qos, again: bool, id: u16) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + topic.len() + payload.len());
    push_text(&mut body, topic);
    let flags = qos.bits() << 1;
    if qos != Qos::Zero {
        body.extend(id.to_be_bytes());
    }
    body.extend(payload);
    packet(0x30 | flags | (u8::from(again) << 3), &body)
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP.
#[must_use]
pub fn acknowledge(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// Any packet.
#[must_use]
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).expect("seven bits");
        left /= 128;
        out.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("a topic is short");
    out.extend(len.to_be_bytes());
    out.extend(text.bytes());
}
