//! What peers that mean harm cost the others: nothing but a share of the machine. A real daemon, its memory as
//! the kernel counts it, and a polite client beside them who is served all the time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use world::daemon::{Daemon, Place};
use world::dice::Dice;
use world::mqtt::{Client, PINGREQ, Qos, Stay, connect, packet, publish};
use world::mutation::spoil;
use world::{long, mqtt};

/// The seed of every test; each socket has one of its own that follows from it.
const SEED: u64 = 20_260;

/// Longest that a polite client waits for a PUBACK, on the slowest machine.
const POLITE_PATIENCE: Duration = Duration::from_secs(10);

/// What the daemon may grow by: bounded stores fill up to their bounds, and an allocator keeps some.
const GROWTH: u64 = 96 << 20;

/// Who publishes at `QoS` 1 and subscribes to it, one message after the other.
struct Polite {
    publisher: Client,
    subscriber: Client,
    sent: usize,
}

impl Polite {
    async fn at(daemon: &Daemon) -> Self {
        let connected = |id| Client::connect(daemon.mqtt, id, Stay::Clean);
        let mut subscriber = connected("polite-s").await.expect("it listens").0;
        let granted = subscriber.subscribe("polite", Qos::One).await;
        granted.expect("it listens");
        let publisher = connected("polite-p").await.expect("it listens").0;
        Self {
            publisher,
            subscriber,
            sent: 0,
        }
    }

    /// One message there and back.
    async fn turn(&mut self) {
        self.sent += 1;
        let payload = self.sent.to_string();
        let turn = async {
            let sent = self
                .publisher
                .publish("polite", payload.as_bytes(), Qos::One, false);
            sent.await.expect("the polite are served");
            let delivery = self.subscriber.delivery().await;
            let delivery = delivery.expect("the polite are served");
            assert_eq!(
                (delivery.topic.as_str(), &delivery.payload),
                ("polite", &payload)
            );
            let id = delivery.id.expect("it comes at QoS 1");
            let acknowledgement = mqtt::acknowledge(mqtt::PUBACK, id);
            let acknowledged = self.subscriber.send(&acknowledgement);
            acknowledged.await.expect("the polite are served");
        };
        let turned = timeout(POLITE_PATIENCE, turn).await;
        turned.unwrap_or_else(|_| panic!("message {payload} took too long"));
    }

    /// Turns until the others are done.
    async fn beside(&mut self, others: &mut JoinSet<()>) {
        while !others.is_empty() {
            self.turn().await;
            while let Some(ended) = others.try_join_next() {
                ended.expect("villains do not fail");
            }
        }
    }
}

/// Sends what the broker takes of `bytes`, and reads what it says meanwhile, until it hangs up or everything is
/// sent and answered by a PINGRESP or an end.
async fn throw(at: SocketAddr, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(at).await else {
        return;
    };
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        // It may hang up before it has read everything.
        drop(writer.write_all(bytes).await);
        drop(writer.shutdown().await);
    };
    let reading = async {
        let mut forgotten = vec![0; 16 * 1024];
        while reader.read(&mut forgotten).await.is_ok_and(|read| read > 0) {}
    };
    let thrown = timeout(world::PATIENCE, async { tokio::join!(sending, reading) });
    thrown.await.expect("a broker that works reads or hangs up");
}

/// Valid packets of either version, which do not touch what the polite use.
fn corpus() -> Vec<Vec<u8>> {
    let five = |body: &[u8]| packet(0x10, &[b"\0\x04MQTT\x05", body].concat());
    let mut corpus = vec![
        connect("villain", Stay::Clean),
        connect("villain", Stay::Persistent),
        five(b"\x02\0\0\x05\x11\0\0\0\x3C\0\x02v5"),
        five(b"\x2E\0\0\0\0\x02v5\x05\x18\0\0\0\x01\0\x01w\0\x02hi"),
        packet(0x82, b"\0\x01\0\x05bad/#\x01"),
        packet(0x82, b"\0\x01\0\0\x05bad/#\x01"),
        packet(0xA2, b"\0\x01\0\x05bad/#"),
        packet(0x31, b"\0\x05bad/rkept"),
        packet(0x34, b"\0\x05bad/2\0\x02two"),
        packet(0x30, b"\0\x05bad/5\x07\x26\0\x01a\0\x01bfive"),
        packet(0x30, b"\0\x05bad/a\x03\x23\0\x01alias"),
        mqtt::acknowledge(mqtt::PUBREL, 2),
        mqtt::acknowledge(mqtt::PUBACK, 1),
        mqtt::acknowledge(mqtt::PUBREC, 1),
        mqtt::acknowledge(mqtt::PUBCOMP, 1),
        PINGREQ.to_vec(),
        mqtt::DISCONNECT.to_vec(),
    ];
    let reading = br#"{"name":"TH1","timestamp":"2020-01-01 00:15:00","value":20}"#;
    corpus.push(publish("sensors/TH1", reading, Qos::One, false, 3));
    corpus
}

/// A connection's worth of packets, most of them spoilt.
fn conversation(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const CONNECTS: usize = 4;
    let mut bytes = corpus[dice.below(CONNECTS)].clone();
    if dice.once_in(4) {
        let other = &corpus[dice.below(corpus.len())];
        spoil(&mut bytes, other, dice);
    }
    for _ in 0..dice.below(12) {
        let mut next = corpus[CONNECTS + dice.below(corpus.len() - CONNECTS)].clone();
        if dice.once_in(2) {
            let other = &corpus[dice.below(corpus.len())];
            spoil(&mut next, other, dice);
        }
        bytes.extend(next);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_spoilt_packets_hurts_nobody_else() {
    let (sockets, rounds) = if long() { (16, 14_000) } else { (4, 150) };
    eprintln!("seed {SEED}, {sockets} sockets, {rounds} connections each");
    let place = Place::new();
    let daemon = place.start();
    let mut warm = 0;
    for part in 0..2 {
        let mut polite = Polite::at(&daemon).await;
        let mut villains = JoinSet::new();
        for socket in 0..sockets {
            let at = daemon.mqtt;
            villains.spawn(async move {
                let corpus = corpus();
                let mut dice = Dice::new(SEED + 1000 * part + socket);
                for _ in 0..rounds {
                    throw(at, &conversation(&corpus, &mut dice)).await;
                }
            });
        }
        polite.beside(&mut villains).await;
        if part == 0 {
            warm = daemon.memory().resident_bytes();
        }
    }
    grew_little(&daemon, warm);
    Polite::at(&daemon).await.turn().await;
    assert!(daemon.api.commits().await > 0, "it answers");
}

fn grew_little(daemon: &Daemon, before: u64) {
    let after = daemon.memory().resident_bytes();
    eprintln!("{} KiB, then {} KiB", before >> 10, after >> 10);
    assert!(after < before + GROWTH, "from {before} to {after} bytes");
}

/// What one connection of a flood sends after its CONNECT.
fn flood(kind: &str, connection: usize) -> Vec<u8> {
    let many = if long() { 20_000 } else { 2000 };
    let each = |make: &dyn Fn(usize) -> Vec<u8>| (0..many).flat_map(make).collect::<Vec<_>>();
    match kind {
        "publishes at QoS 0" => each(&|_| publish("bad/flood", &[b'x'; 64], Qos::Zero, false, 0)),
        "pings" => each(&|_| PINGREQ.to_vec()),
        "retained messages, each with a topic of its own" => each(&|number| {
            let topic = format!("bad/{connection}/{number}");
            let mut bytes = publish(&topic, &[b'x'; 64], Qos::Zero, false, 0);
            bytes[0] |= 1;
            bytes
        }),
        "subscriptions" => {
            let filters = (0..1000).flat_map(|number| {
                let filter = format!("+/{connection}/{number}/#");
                let length = u16::try_from(filter.len()).expect("it is short");
                [&length.to_be_bytes()[..], filter.as_bytes(), &[1]].concat()
            });
            let body: Vec<u8> = [0, 1].into_iter().chain(filters).collect();
            packet(0x82, &body)
        }
        "connections" => Vec::new(),
        other => panic!("no flood of {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_who_never_read_cost_their_bounds_and_no_more() {
    let (sleepers, messages) = if long() { (150, 2000) } else { (60, 300) };
    let place = Place::new();
    let daemon = place.start();
    let mut polite = Polite::at(&daemon).await;
    polite.turn().await;
    let before = daemon.memory().resident_bytes();
    let mut asleep = Vec::new();
    for sleeper in 0..sleepers {
        let id = format!("sleeper {sleeper}");
        let connected = Client::connect(daemon.mqtt, &id, Stay::Clean).await;
        let mut client = connected.expect("it listens").0;
        let granted = client.subscribe("bad/large", Qos::Zero).await;
        granted.expect("it listens");
        asleep.push(client);
    }
    let large = publish("bad/large", &vec![b'x'; 200 << 10], Qos::Zero, false, 0);
    let connected = Client::connect(daemon.mqtt, "loud", Stay::Clean).await;
    let mut loud = connected.expect("it listens").0;
    for message in 0..messages {
        loud.send(&large).await.expect("it is read");
        if message % 50 == 0 {
            polite.turn().await;
        }
    }
    loud.fence().await.expect("it is read");
    polite.turn().await;
    grew_little(&daemon, before);
    drop(asleep);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_every_kind_leave_the_others_their_share() {
    let connections = if long() { 300 } else { 25 };
    let place = Place::new();
    let daemon = place.start();
    Polite::at(&daemon).await.turn().await;
    for kind in [
        "publishes at QoS 0",
        "pings",
        "subscriptions",
        "retained messages, each with a topic of its own",
        "connections",
    ] {
        let before = daemon.memory().resident_bytes();
        let mut polite = Polite::at(&daemon).await;
        let mut villains = JoinSet::new();
        for villain in 0..3 {
            let at = daemon.mqtt;
            villains.spawn(async move {
                for connection in 0..connections {
                    // Now one that stays, now one that does not, each under a name of its own.
                    let stay = [Stay::Clean, Stay::Persistent][connection % 2];
                    let id = format!("{kind} {villain} {connection}");
                    let mut bytes = connect(&id, stay);
                    bytes.extend(flood(kind, connection));
                    throw(at, &bytes).await;
                }
            });
        }
        polite.beside(&mut villains).await;
        eprintln!("{kind}: {} turns of the polite", polite.sent);
        grew_little(&daemon, before);
    }
    Polite::at(&daemon).await.turn().await;
}
