//! A client that is nothing but bytes.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in these tests takes that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream in both directions, whatever it is made of.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

pub(crate) struct Raw {
    stream: Box<dyn Wire>,
    v5: bool,
}

/// What a subscriber got.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) id: u16,
    /// The bytes of the properties.
    pub(crate) properties: Vec<u8>,
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut len = body.len();
    loop {
        let byte = u8::try_from(len % 128).unwrap();
        len /= 128;
        out.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut out = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend(text.bytes());
    out
}

/// How to connect.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hello<'a> {
    pub(crate) v5: bool,
    pub(crate) stay: bool,
    pub(crate) will: Option<(&'a str, &'a str)>,
    /// Bytes of the properties of the will.
    pub(crate) will_properties: &'a [u8],
    /// Bytes of the properties of CONNECT.
    pub(crate) properties: &'a [u8],
    pub(crate) keep_alive_s: u16,
}

pub(crate) const V4: Hello<'static> = Hello {
    v5: false,
    stay: false,
    will: None,
    will_properties: &[],
    properties: &[],
    keep_alive_s: 0,
};
pub(crate) const V5: Hello<'static> = Hello { v5: true, ..V4 };
pub(crate) const STAY: Hello<'static> = Hello { stay: true, ..V4 };

pub(crate) fn connect(id: &str, hello: Hello<'_>) -> Vec<u8> {
    let mut body = text("MQTT");
    body.push(if hello.v5 { 5 } else { 4 });
    body.push(if hello.stay { 0 } else { 2 } | hello.will.map_or(0, |_| 0x0C));
    body.extend(hello.keep_alive_s.to_be_bytes());
    if hello.v5 {
        body.push(u8::try_from(hello.properties.len()).unwrap());
        body.extend(hello.properties);
    }
    body.extend(text(id));
    if let Some((topic, payload)) = hello.will {
        if hello.v5 {
            body.push(u8::try_from(hello.will_properties.len()).unwrap());
            body.extend(hello.will_properties);
        }
        body.extend(text(topic));
        body.extend(text(payload));
    }
    packet(0x10, &body)
}

impl Raw {
    pub(crate) async fn open(address: SocketAddr, v5: bool) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, v5)
    }

    pub(crate) fn over(stream: impl Wire + 'static, v5: bool) -> Self {
        Self {
            stream: Box::new(stream),
            v5,
        }
    }

    /// Connects over a stream that is there.
    pub(crate) async fn client_over(
        stream: impl Wire + 'static,
        id: &str,
        hello: Hello<'_>,
    ) -> Self {
        let mut raw = Self::over(stream, hello.v5);
        raw.send(&connect(id, hello)).await;
        let (first, body) = raw.recv().await;
        assert_eq!((first, body[1]), (0x20, 0), "CONNACK");
        raw
    }

    /// Connects; the answer is (session present, code).
    pub(crate) async fn hello(address: SocketAddr, id: &str, hello: Hello<'_>) -> (Self, bool, u8) {
        let mut raw = Self::open(address, hello.v5).await;
        raw.send(&connect(id, hello)).await;
        let (first, body) = raw.recv().await;
        assert_eq!(first, 0x20);
        (raw, body[0] == 1, body[1])
    }

    pub(crate) async fn client(address: SocketAddr, id: &str, hello: Hello<'_>) -> Self {
        let (raw, _, code) = Self::hello(address, id, hello).await;
        assert_eq!(code, 0, "CONNACK");
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet: first byte and body.
    pub(crate) async fn recv(&mut self) -> (u8, Vec<u8>) {
        self.next().await.expect("the connection is open")
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let packet = async {
            let first = self.stream.read_u8().await.ok()?;
            let (mut len, mut shift) = (0, 0);
            loop {
                let byte = self.stream.read_u8().await.ok()?;
                len |= usize::from(byte & 0x7F) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut body = vec![0; len];
            self.stream.read_exact(&mut body).await.ok()?;
            Some((first, body))
        };
        tokio::time::timeout(PATIENCE, packet)
            .await
            .expect("something within ten seconds")
    }

    /// Reads to the end; the reason of a DISCONNECT before it.
    pub(crate) async fn closed(&mut self) -> Option<u8> {
        let mut reason = None;
        while let Some((first, body)) = self.next().await {
            reason = (first == 0xE0).then(|| body[0]);
        }
        reason
    }

    /// Reads to the end; reason and words of a DISCONNECT before it.
    pub(crate) async fn farewell(&mut self) -> Option<(u8, String)> {
        let mut told = None;
        while let Some((first, body)) = self.next().await {
            told = (first == 0xE0).then(|| {
                let words = body.get(5..).unwrap_or_default();
                (body[0], String::from_utf8_lossy(words).into_owned())
            });
        }
        told
    }

    pub(crate) fn publish_bytes(&self, topic: &str, payload: &str, flags: u8, id: u16) -> Vec<u8> {
        let mut body = text(topic);
        if flags & 0x06 != 0 {
            body.extend(id.to_be_bytes());
        }
        if self.v5 {
            body.push(0);
        }
        body.extend(payload.bytes());
        packet(0x30 | flags, &body)
    }

    /// `flags`: 1 retain, 2 QoS 1, 4 QoS 2, 8 DUP.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str, flags: u8, id: u16) {
        let bytes = self.publish_bytes(topic, payload, flags, id);
        self.send(&bytes).await;
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub(crate) async fn publish_acked(&mut self, topic: &str, payload: &str, retain: bool) {
        self.publish(topic, payload, 2 | u8::from(retain), 77).await;
        assert_eq!(self.recv().await, (0x40, vec![0, 77]));
    }

    pub(crate) async fn ack(&mut self, first: u8, id: u16) {
        self.send(&packet(first, &id.to_be_bytes())).await;
    }

    pub(crate) async fn send_subscribe(&mut self, filter: &str, options: u8) {
        let mut body = vec![0, 9];
        if self.v5 {
            body.push(0);
        }
        body.extend(text(filter));
        body.push(options);
        self.send(&packet(0x82, &body)).await;
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.send_subscribe(filter, options).await;
        let (first, body) = self.recv().await;
        assert_eq!((first, &body[..2]), (0x90, &[0, 9][..]));
        *body.last().unwrap()
    }

    pub(crate) async fn got(&mut self) -> Got {
        let (first, body) = self.recv().await;
        assert_eq!(first >> 4, 3, "a PUBLISH, not {first:#x} {body:?}");
        let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, mut rest) = body[2..].split_at(topic_len);
        let qos = (first >> 1) & 3;
        let mut id = 0;
        if qos > 0 {
            id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        let mut properties = Vec::new();
        if self.v5 {
            let len = usize::from(rest[0]);
            properties = rest[1..=len].to_vec();
            rest = &rest[1 + len..];
        }
        Got {
            topic: String::from_utf8(topic.to_vec()).unwrap(),
            payload: String::from_utf8(rest.to_vec()).unwrap(),
            qos,
            retain: first & 1 != 0,
            dup: first & 8 != 0,
            id,
            properties,
        }
    }

    /// The next message's payload, acknowledged.
    pub(crate) async fn payload(&mut self) -> String {
        let got = self.got().await;
        match got.qos {
            0 => {}
            1 => self.ack(0x40, got.id).await,
            _ => {
                self.ack(0x50, got.id).await;
                assert_eq!(self.recv().await.0, 0x62);
                self.ack(0x70, got.id).await;
            }
        }
        got.payload
    }

    /// Everything sent before is answered, and nothing but the answer comes: a ping as a fence.
    pub(crate) async fn quiet(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.recv().await, (0xD0, vec![]));
    }
}
