//! A far broker that does what the test says, packet by packet.

use crate::stand::PATIENCE;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Which MQTT it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V5,
    V311,
}

pub(crate) struct Double {
    pub(crate) version: Version,
    listener: TcpListener,
}

/// A connection that is let in and has its subscriptions.
pub(crate) struct Connection {
    version: Version,
    stream: TcpStream,
    pub(crate) filters: Vec<String>,
    pub(crate) taken_back: Vec<String>,
    /// Results that came before the subscriptions were granted.
    early: Vec<(u8, Vec<u8>)>,
}

/// What it publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) topic: &'static str,
    pub(crate) payload: &'static str,
    pub(crate) id: u16,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) again: bool,
}

impl Message {
    pub(crate) fn on(topic: &'static str) -> Self {
        Self {
            topic,
            payload: "1",
            id: 0,
            qos: 0,
            retain: false,
            again: false,
        }
    }
}

impl Double {
    pub(crate) async fn new(version: Version) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { version, listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("it listens").port()
    }

    /// Lets the next connection in and grants all that it asks for.
    pub(crate) async fn welcomes(&mut self, session_present: bool) -> Connection {
        let came = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = came.expect("it comes back").expect("a connection");
        let mut connection = Connection {
            version: self.version,
            stream,
            filters: Vec::new(),
            taken_back: Vec::new(),
            early: Vec::new(),
        };
        let (first, body) = connection.next().await.expect("a CONNECT");
        assert_eq!(first, 0x10);
        // Protocol name, level, flags: no clean start, a retained will at QoS 1.
        assert_eq!((&body[2..6], body[7]), (&b"MQTT"[..], 0b0010_1100));
        let mut welcome = vec![u8::from(session_present), 0];
        connection.no_properties(&mut welcome);
        connection.send(0x20, &welcome).await;
        // The acknowledgements of alerts are asked for last.
        while connection
            .filters
            .last()
            .is_none_or(|filter| !filter.ends_with("/ack"))
        {
            let (first, body) = connection.next().await.expect("it subscribes");
            match first {
                0x82 => connection.grant(&body).await,
                0xA2 => connection.take_back(&body).await,
                _ => connection.early.push((first, body)),
            }
        }
        connection
    }
}

impl Connection {
    pub(crate) async fn publish(&mut self, message: Message) {
        let mut body = Vec::new();
        push_text(&mut body, message.topic);
        if message.qos > 0 {
            body.extend(message.id.to_be_bytes());
        }
        self.no_properties(&mut body);
        body.extend(message.payload.bytes());
        let flags = (u8::from(message.again) << 3) | (message.qos << 1) | u8::from(message.retain);
        self.send(0x30 | flags, &body).await;
    }

    pub(crate) async fn acknowledge(&mut self, first: u8, id: u16) {
        self.send(first, &id.to_be_bytes()).await;
    }

    /// The next acknowledgement; nothing else may come before it.
    pub(crate) async fn acknowledgement(&mut self) -> (u8, u16) {
        let (first, body) = self.next().await.expect("an acknowledgement");
        assert!(matches!(first, 0x40 | 0x50 | 0x70), "{first:#x} {body:?}");
        (first, u16::from_be_bytes([body[0], body[1]]))
    }

    /// The next result, retained at `QoS` 1, which is acknowledged; nothing else may come before it.
    pub(crate) async fn result(&mut self) -> (String, String) {
        let (first, body) = if self.early.is_empty() {
            self.next().await.expect("a result")
        } else {
            self.early.remove(0)
        };
        assert_eq!(first, 0x33, "a retained PUBLISH at QoS 1, not {body:?}");
        let (topic, rest) = take_text(&body);
        let id = [rest[0], rest[1]];
        let payload = &rest[2 + self.property_bytes()..];
        self.send(0x40, &id).await;
        (topic, String::from_utf8_lossy(payload).into_owned())
    }

    /// It hangs up, and has said nothing before.
    pub(crate) async fn ends_without_a_word(&mut self) {
        match self.next().await {
            Err(_) => {}
            Ok(packet) => panic!("{packet:?}"),
        }
    }

    /// DISCONNECT, and nothing before it.
    pub(crate) async fn goodbye(&mut self) {
        let (first, _) = self.next().await.expect("a DISCONNECT");
        assert_eq!(first, 0xE0);
    }

    async fn grant(&mut self, body: &[u8]) {
        let mut answer = body[..2].to_vec();
        self.no_properties(&mut answer);
        let mut rest = &body[2 + self.property_bytes()..];
        while !rest.is_empty() {
            let (filter, after) = take_text(rest);
            answer.push(after[0] & 3);
            rest = &after[1..];
            self.filters.push(filter);
        }
        self.send(0x90, &answer).await;
    }

    async fn take_back(&mut self, body: &[u8]) {
        let mut answer = body[..2].to_vec();
        self.no_properties(&mut answer);
        let (filter, _) = take_text(&body[2 + self.property_bytes()..]);
        answer.push(0);
        self.taken_back.push(filter);
        self.send(0xB0, &answer).await;
    }

    /// MQTT 5 has properties everywhere; here they are empty.
    fn no_properties(&self, body: &mut Vec<u8>) {
        body.resize(body.len() + self.property_bytes(), 0);
    }

    fn property_bytes(&self) -> usize {
        match self.version {
            Version::V5 => 1,
            Version::V311 => 0,
        }
    }

    async fn send(&mut self, first: u8, body: &[u8]) {
        let len = u8::try_from(body.len()).expect("short packets");
        assert!(len < 128, "one byte of length");
        let packet = [&[first, len], body].concat();
        self.stream.write_all(&packet).await.expect("it reads");
    }

    async fn next(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let packet = async {
            let first = self.stream.read_u8().await?;
            let len = self.stream.read_u8().await?;
            assert!(len < 128, "one byte of length");
            let mut body = vec![0; usize::from(len)];
            self.stream.read_exact(&mut body).await?;
            Ok((first, body))
        };
        let came = tokio::time::timeout(PATIENCE, packet).await;
        came.expect("it speaks or hangs up")
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("short topics");
    out.extend(len.to_be_bytes());
    out.extend(text.bytes());
}

fn take_text(bytes: &[u8]) -> (String, &[u8]) {
    let len = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let (text, rest) = bytes[2..].split_at(len);
    (String::from_utf8_lossy(text).into_owned(), rest)
}
