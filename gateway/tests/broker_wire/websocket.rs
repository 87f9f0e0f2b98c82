//! MQTT within WebSocket: the upgrade, frames of any size, and frames that nobody should send.

use crate::authority::Authority;
use crate::raw::{Raw, V4, V5, Wire, connect, packet, text};
use crate::stand::Stand;
use gateway::broker::{BrokerConfig, Limits, Origins, Stats, Tls, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// What a browser asks for.
const REQUEST: &str = "GET /any/path HTTP/1.1\r\nHost: broker\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat, mqtt\r\nOrigin: http://page.example\r\n\r\n";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// A frame as a client sends it: masked, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ ..126 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xFFFF => {
            out.push(0xFE);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0xFF);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// A WebSocket that is nothing but bytes.
struct Socket<S>(S);

impl<S: Wire> Socket<S> {
    /// Asks, and returns what HTTP answers, headers and all.
    async fn ask(mut stream: S, request: &str) -> (Self, String) {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        (Self(stream), String::from_utf8(head).unwrap())
    }

    async fn open(stream: S) -> Self {
        let (socket, head) = Self::ask(stream, REQUEST).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-protocol: mqtt\r\n"), "{head}");
        socket
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        next_frame(&mut self.0).await
    }

    /// Reads to the end; the code of a Close before it.
    async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((first, payload)) = self.next().await {
            if first == CLOSE {
                code = payload.first_chunk().copied().map(u16::from_be_bytes);
            }
        }
        code
    }
}

impl<S: Wire + 'static> Socket<S> {
    /// The bytes within, sent in frames of `size` bytes at most.
    fn bytes(self, size: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (mut heard, mut said) = tokio::io::split(self.0);
        let (mut from_test, mut to_test) = tokio::io::split(far);
        tokio::spawn(async move {
            let mut chunk = vec![0; size];
            while let Ok(count @ 1..) = from_test.read(&mut chunk).await {
                let sent = said.write_all(&frame(BINARY, &chunk[..count])).await;
                if sent.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((BINARY, payload)) = next_frame(&mut heard).await {
                if to_test.write_all(&payload).await.is_err() {
                    return;
                }
            }
        });
        near
    }
}

/// The next frame; none when the broker has hung up.
async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let len = match stream.read_u8().await.ok()? {
        126 => usize::from(stream.read_u16().await.ok()?),
        127 => usize::try_from(stream.read_u64().await.ok()?).unwrap(),
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await.ok()?;
    Some((first, payload))
}

/// A broker that is also there for scripts of web pages.
struct House {
    stand: Stand,
    address: SocketAddr,
}

impl House {
    async fn new() -> Self {
        Self::to(Origins::Any).await
    }

    async fn to(origins: Origins) -> Self {
        Self::with(origins, Limits::default()).await
    }

    async fn with(origins: Origins, limits: Limits) -> Self {
        let stand = Stand::with(BrokerConfig {
            limits,
            ..BrokerConfig::open("home")
        })
        .await;
        let transport = Transport {
            tls: None,
            websocket: Some(Arc::new(origins)),
        };
        let address = stand.over(transport).await;
        Self { stand, address }
    }

    async fn socket(&self) -> Socket<TcpStream> {
        Socket::open(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// A socket whose client has connected.
    async fn client(&self) -> Socket<TcpStream> {
        let mut socket = self.socket().await;
        socket.send(&frame(BINARY, &connect("c", V4))).await;
        assert_eq!(socket.next().await, Some((BINARY, vec![0x20, 2, 0, 0])));
        socket
    }

    /// The first line of the answer to a request.
    async fn answer(&self, request: &str) -> String {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (_, head) = Socket::ask(stream, request).await;
        head.lines().next().unwrap_or_default().to_owned()
    }

    /// Others are served as before.
    async fn well(&self) {
        let within = self.socket().await.bytes(1024);
        let mut within = Raw::client_over(within, "well-s", V4).await;
        within.subscribe("well", 1).await;
        let mut plain = Raw::client(self.stand.address, "well-p", V5).await;
        plain.publish_acked("well", "yes", false).await;
        assert_eq!(within.payload().await, "yes");
    }
}

#[tokio::test]
async fn messages_go_both_ways_in_frames_of_any_size_at_both_versions() {
    let house = House::new().await;
    for (hello, frame, len) in [
        (V4, 1, 500),
        (V5, 1, 500),
        (V4, 7, 5000),
        (V5, 4096, 200_000),
        (V4, 100_000, 200_000),
    ] {
        let stream = house.socket().await.bytes(frame);
        let mut client = Raw::client_over(stream, "c", hello).await;
        client.subscribe("t", 2).await;
        let large = "x".repeat(len);
        client.publish("t", &large, 2, 7).await;
        client.publish("t", "small", 0, 0).await;
        let mut got = Vec::new();
        while got.len() < 2 {
            let (first, body) = client.recv().await;
            if first >> 4 == 3 {
                got.push(body.len());
            } else {
                assert_eq!((first, &body[..2]), (0x40, &[0, 7][..]));
            }
        }
        assert!(got[0] > len && got[1] < 20, "in order: {got:?}");
    }
    house.well().await;
}

#[tokio::test]
async fn packets_share_a_frame_and_a_message_comes_in_fragments_with_a_ping_between() {
    let house = House::new().await;
    let mut socket = house.socket().await;
    let mut together = connect("c", V4);
    together.extend([0xC0, 0, 0xC0, 0]);
    socket.send(&frame(BINARY, &together)).await;
    let mut heard = Vec::new();
    while heard.len() < 8 {
        let (first, payload) = socket.next().await.unwrap();
        assert_eq!(first, BINARY);
        heard.extend(payload);
    }
    assert_eq!(heard, [0x20, 2, 0, 0, 0xD0, 0, 0xD0, 0]);
    // One byte of a PINGREQ in each fragment, and empty ones; control frames may come between.
    socket.send(&frame(0x02, &[0xC0])).await;
    socket.send(&frame(PING, b"still there?")).await;
    assert_eq!(socket.next().await, Some((PONG, b"still there?".to_vec())));
    socket.send(&frame(0x00, &[])).await;
    socket.send(&frame(0x80, &[0])).await;
    assert_eq!(socket.next().await, Some((BINARY, vec![0xD0, 0])));
    socket.send(&frame(BINARY, &[])).await;
    socket.send(&frame(PONG, b"nobody asked")).await;
    socket.send(&frame(BINARY, &[0xC0, 0])).await;
    assert_eq!(socket.next().await, Some((BINARY, vec![0xD0, 0])));
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_publishes_the_will() {
    let house = House::new().await;
    let mut heir = Raw::client(house.stand.address, "heir", V4).await;
    heir.subscribe("will", 0).await;
    let mut socket = house.socket().await;
    let hello = crate::raw::Hello {
        will: Some(("will", "gone")),
        ..V4
    };
    socket.send(&frame(BINARY, &connect("c", hello))).await;
    socket.next().await.unwrap();
    socket.send(&frame(CLOSE, &1001u16.to_be_bytes())).await;
    assert_eq!(socket.closed().await, Some(1001));
    assert_eq!(heir.payload().await, "gone");
}

#[tokio::test]
async fn who_says_goodbye_in_mqtt_is_closed_in_websocket_too() {
    let house = House::new().await;
    let mut socket = house.client().await;
    socket.send(&frame(BINARY, &[0xE0, 0])).await;
    let (first, payload) = socket.next().await.unwrap();
    assert_eq!((first, payload), (CLOSE, Vec::new()));
}

#[tokio::test]
async fn frames_that_nobody_should_send_cost_their_sender_the_connection_and_are_told_why() {
    let house = House::new().await;
    let max_packet = gateway::broker::Limits::default().max_packet;
    let mut unmasked = frame(BINARY, &[0xC0, 0]);
    unmasked[1] &= 0x7F;
    unmasked.drain(2..6);
    let mut endless = vec![BINARY, 0xFF];
    endless.extend(u64::MAX.to_be_bytes());
    endless.extend([0; 4]);
    let mut fragments = frame(0x02, &vec![0; max_packet]);
    fragments.extend(frame(0x80, &[0; 6]));
    for (what, bytes, code) in [
        ("text", frame(TEXT, b"MQTT"), 1003),
        (
            "a frame too large",
            frame(BINARY, &vec![0; max_packet + 6]),
            1009,
        ),
        ("a length of 2^64 - 1", endless, 1009),
        ("a message too large", fragments, 1009),
        ("no mask", unmasked, 1002),
        ("a reserved bit", frame(0xC2, &[0xC0, 0]), 1002),
        ("a reserved opcode", frame(0x83, &[0xC0, 0]), 1002),
        ("a reserved control opcode", frame(0x8B, &[]), 1002),
        ("a continuation of nothing", frame(0x80, &[0xC0, 0]), 1002),
        ("a ping in fragments", frame(0x09, b"x"), 1002),
        ("a ping too large", frame(PING, &[0; 126]), 1002),
        ("text that is none", frame(TEXT, &[0xC3, 0x28]), 1007),
        ("half a close code", frame(CLOSE, &[3]), 1002),
        ("a close code for nobody", frame(CLOSE, &[0, 5]), 1002),
    ] {
        let mut socket = house.client().await;
        // It may hang up before it has read everything.
        drop(socket.0.write_all(&bytes).await);
        let told = socket.closed().await;
        // Unread bytes make a reset of the end, which may overtake the words before it.
        let is_long = bytes.len() > 1000;
        assert!(
            told == Some(code) || (is_long && told.is_none()),
            "{what}: {told:?}"
        );
    }
    house.well().await;
}

#[tokio::test]
async fn the_largest_packet_fits_a_frame() {
    let house = House::new().await;
    let max_packet = gateway::broker::Limits::default().max_packet;
    let mut socket = house.client().await;
    let mut body = text("t");
    body.extend([0, 9]);
    body.resize(max_packet, b'x');
    socket.send(&frame(BINARY, &packet(0x32, &body))).await;
    assert_eq!(socket.next().await, Some((BINARY, vec![0x40, 2, 0, 9])));
}

#[tokio::test]
async fn requests_that_are_not_for_us_are_told_so_in_http() {
    let house = House::to(Origins::These(vec!["http://page.example".to_owned()])).await;
    assert_eq!(
        house.answer(REQUEST).await,
        "HTTP/1.1 101 Switching Protocols"
    );
    let without = |line: &str| {
        let kept = REQUEST
            .split_inclusive("\r\n")
            .filter(|l| !l.starts_with(line));
        kept.collect::<String>()
    };
    let instead = |is: &str, becomes: &str| {
        assert!(REQUEST.contains(is));
        REQUEST.replace(is, becomes)
    };
    let many = format!("{}{}\r\n", REQUEST.trim_end(), "\r\na: b".repeat(200));
    for (request, status) in [
        (without("Origin"), "101 Switching Protocols"),
        (instead("chat, mqtt", "mqttv3.1"), "101 Switching Protocols"),
        (instead("page.example", "evil.example"), "403 Forbidden"),
        (without("Sec-WebSocket-Protocol"), "400 Bad Request"),
        (instead("chat, mqtt", "chat"), "400 Bad Request"),
        (without("Sec-WebSocket-Key"), "400 Bad Request"),
        (without("Upgrade:"), "426 Upgrade Required"),
        (without("Connection:"), "426 Upgrade Required"),
        (instead("Version: 13", "Version: 8"), "426 Upgrade Required"),
        (instead("GET", "POST"), "405 Method Not Allowed"),
        (instead("HTTP/1.1", "HTTP/1.0"), "400 Bad Request"),
        ("\u{10}\u{c}\0\u{4}MQTT\u{4}".to_owned(), "400 Bad Request"),
        (many, "431 Request Header Fields Too Large"),
    ] {
        let answer = house.answer(&request).await;
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{request}");
    }
    let refused = Stats::read(&house.stand.broker.stats().refused_upgrade);
    assert_eq!(refused, 11);
    house.well().await;
}

#[tokio::test]
async fn headers_without_end_are_not_listened_to() {
    let house = House::new().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\na: ").await.unwrap();
    let endless = vec![b'a'; 1 << 16];
    while stream.write_all(&endless).await.is_ok() {}
    house.well().await;
}

#[tokio::test]
async fn a_request_that_is_not_done_in_time_ends_and_so_does_an_upgrade_without_a_connect() {
    let hasty = Limits {
        connect_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let house = House::with(Origins::Any, hasty).await;
    let mut slow = TcpStream::connect(house.address).await.unwrap();
    slow.write_all(&REQUEST.as_bytes()[..40]).await.unwrap();
    assert_eq!(slow.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
    let mut silent = house.socket().await;
    assert_eq!(silent.next().await, Some((CLOSE, Vec::new())));
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_stops_its_own_messages_alone() {
    let house = House::new().await;
    let mut lazy = house.client().await;
    let mut subscribe = vec![0, 9];
    subscribe.extend(text("t"));
    subscribe.push(0);
    lazy.send(&frame(BINARY, &packet(0x82, &subscribe))).await;
    assert_eq!(lazy.next().await, Some((BINARY, vec![0x90, 3, 0, 9, 0])));
    let mut publisher = Raw::client(house.stand.address, "p", V4).await;
    // More than all the buffers of two sockets hold, while answers to pings are owed as well.
    let large = "x".repeat(100_000);
    for _ in 0..100 {
        publisher.publish_acked("t", &large, false).await;
        lazy.send(&frame(PING, b"")).await;
    }
    house.well().await;
    let mut heard = 0;
    while heard < 100 * 100_000 {
        let (first, payload) = lazy.next().await.unwrap();
        if first == BINARY {
            heard += payload.len();
        }
    }
}

#[tokio::test]
async fn within_tls_browsers_find_what_they_offer() {
    let house = House::new().await;
    let authority = Authority::new();
    let files = authority.serving(&authority.paper("server", 2999), None);
    let tls = Arc::new(Tls::new(gateway::tls::read(&files).unwrap()));
    let address = house
        .stand
        .over(Transport {
            tls: Some(tls),
            websocket: Some(Arc::new(Origins::Any)),
        })
        .await;
    for alpn in [&["h2", "http/1.1"][..], &[]] {
        let stream = authority.shake(address, None, alpn).await.unwrap();
        let stream = Socket::open(stream).await.bytes(999);
        let mut client = Raw::client_over(stream, "c", V5).await;
        client.subscribe("t", 1).await;
        let large = "x".repeat(200_000);
        client.publish("t", &large, 0, 0).await;
        assert_eq!(client.payload().await, large);
    }
    house.well().await;
}
