//! The broker's promises as a fuzzer holds it to them: see [`crate::fuzz`]. It judges what codec and session
//! do with any bytes; it never decides what they should do.

use super::codec::{self, Ack, Connect, Packet, Publish, Version};
use super::intake::BrokerWrite;
use super::limits::{MAX_PENDING, RECEIVED_IDS, SUBSCRIPTIONS_PER_CLIENT, TOPIC_BYTES};
use super::message::{Delivery, Message, Qos};
use super::name;
use super::session::{Memory, Sent, Session, Step};
use super::{Limits, now};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

const MAX_PACKET: usize = 4096;

pub(crate) fn codec(input: &[u8]) {
    let Some((version, bytes)) = input.split_first() else {
        return;
    };
    let version = version_of(*version);
    // Whatever level that is: that it answers is all that is asked.
    let _any = codec::first_level(bytes);
    let mut buffer = BytesMut::from(bytes);
    loop {
        let before = buffer.len();
        match codec::decode(&mut buffer, version, MAX_PACKET) {
            Ok(Some(packet)) => {
                assert!(buffer.len() < before, "a packet takes bytes");
                check(packet, version);
            }
            Ok(None) => {
                assert_eq!(buffer.len(), before, "what is not whole stays");
                return;
            }
            Err(bad) => {
                assert!(!bad.what.is_empty() && bad.reason as u8 >= 0x80, "{bad:?}");
                return;
            }
        }
    }
}

fn version_of(byte: u8) -> Version {
    if byte & 1 == 0 {
        Version::V4
    } else {
        Version::V5
    }
}

fn check(packet: Packet, version: Version) {
    match packet {
        Packet::Connect(connect) => {
            assert_eq!(name::client_id_fault(&connect.client_id), None);
            assert!(connect.receive_maximum > 0 && connect.max_packet > 0);
            if let Some(will) = connect.will {
                let topic = std::str::from_utf8(&will.topic).expect("a will's topic is text");
                assert_eq!(name::topic_fault(topic), None);
                assert!(version == Version::V5 || will.properties.is_none());
            }
        }
        Packet::Publish(publish) => check_publish(publish, version),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            assert!(ack.id > 0);
        }
        Packet::Subscribe(subscribe) => {
            assert!(subscribe.id > 0);
            assert!((1..=SUBSCRIPTIONS_PER_CLIENT).contains(&subscribe.filters.len()));
            assert!(
                subscribe
                    .filters
                    .iter()
                    .all(|wanted| wanted.grant.identifier != Some(0))
            );
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert!(unsubscribe.id > 0);
            assert!((1..=SUBSCRIPTIONS_PER_CLIENT).contains(&unsubscribe.filters.len()));
        }
        Packet::Ping | Packet::Disconnect { .. } => {}
    }
}

/// What was taken can be sent on, and read again.
fn check_publish(publish: Publish, version: Version) {
    assert_eq!(publish.id > 0, publish.qos > Qos::AtMostOnce);
    let topic = std::str::from_utf8(&publish.topic).expect("a topic is text");
    if topic.is_empty() {
        assert!(version == Version::V5 && publish.alias.is_some());
        return;
    }
    assert_eq!(name::topic_fault(topic), None);
    assert!(topic.len() <= TOPIC_BYTES);
    assert!(version == Version::V5 || publish.properties.is_none());
    let now = now();
    let message = Message::new(topic, &publish.payload, publish.qos, publish.retain)
        .with_properties(publish.properties.clone(), now);
    let delivery = delivery(message, publish.retain);
    for to in [Version::V4, Version::V5] {
        let mut out = BytesMut::new();
        codec::publish(&mut out, &delivery, publish.id, publish.dup, to, now);
        assert_eq!(out.len(), codec::publish_size(&delivery, to));
        assert_eq!(codec::tally(&out), 1);
        let again = codec::decode(&mut out, to, 2 * MAX_PACKET);
        let Ok(Some(Packet::Publish(again))) = again else {
            panic!("{publish:?} came back as {again:?}")
        };
        let sent = Publish {
            alias: None,
            properties: publish.properties.clone().filter(|_| to == Version::V5),
            ..publish.clone()
        };
        assert_eq!(again, sent);
    }
}

fn delivery(message: Message, retain: bool) -> Delivery {
    Delivery {
        qos: message.qos(),
        message: Arc::new(message),
        retain,
        identifiers: Vec::new(),
        ordinal: None,
    }
}

/// A client, its writer, and what they have said to each other.
struct Talk {
    session: Session,
    connect: Connect,
    out: BytesMut,
    writes: Vec<BrokerWrite>,
    input: BytesMut,
    /// Submitted and not settled.
    submitted: u64,
    /// The last one sent to a persistent session.
    ordinal: u64,
}

pub(crate) fn session(input: &[u8]) {
    let mut bytes = input.iter().copied();
    let mut byte = || bytes.next();
    let (Some(flags), Some(window), Some(largest)) = (byte(), byte(), byte()) else {
        return;
    };
    let connect = Connect {
        version: version_of(flags),
        client_id: "c".into(),
        clean_start: false,
        keep_alive_s: 0,
        username: None,
        password: None,
        will: None,
        expiry_s: if flags & 2 == 0 { 0 } else { 60 },
        receive_maximum: u16::from(window).max(1),
        max_packet: if largest == 0 {
            usize::MAX
        } else {
            largest.into()
        },
        explains: flags & 4 == 0,
    };
    let mut talk = Talk::new(connect, None);
    while let (Some(act), Some(id)) = (byte(), byte()) {
        let id = u16::from(id);
        match act % 12 {
            0 => {
                let raw: Vec<u8> = std::iter::from_fn(&mut byte).take(id.into()).collect();
                talk.input.extend_from_slice(&raw);
                talk.read();
            }
            1 | 2 => talk.publish(act, id),
            3 => talk.deliver(id),
            4 => talk.packet(Packet::PubAck(answer(id))),
            5 => talk.settle(u64::from(id)),
            6 => talk.packet(Packet::PubRec(answer(id))),
            7 => talk.packet(Packet::PubComp(answer(id))),
            8 => talk.packet(Packet::PubRel(answer(id))),
            9 => talk.session.resume_rest(&mut talk.out, now()),
            10 => {
                talk.session.fail();
                talk.again();
            }
            _ => {
                talk.settle(u64::MAX);
                talk.again();
            }
        }
        talk.check();
    }
}

fn answer(id: u16) -> Ack {
    // The highest bit refuses.
    Ack {
        id: (id & 0x7F).max(1),
        reason: if id & 0x80 == 0 { 0 } else { 0x87 },
    }
}

impl Talk {
    fn new(connect: Connect, memory: Option<Box<Memory>>) -> Self {
        let mut talk = Self {
            session: Session::new(&connect, "c", memory),
            connect,
            out: BytesMut::new(),
            writes: Vec::new(),
            input: BytesMut::new(),
            submitted: 0,
            ordinal: 0,
        };
        talk.session.resume(&mut talk.out, &mut talk.writes, now());
        talk
    }

    /// Comes back with what the session remembers.
    fn again(&mut self) {
        let memory = std::mem::take(&mut self.session.memory);
        let kept = memory.expiry(&Limits::default()).as_secs() > 0;
        let ordinal = memory.sent;
        *self = Self::new(self.connect.clone(), kept.then_some(memory));
        self.ordinal = if kept { ordinal } else { 0 };
    }

    fn read(&mut self) {
        while self.session.pending() < MAX_PENDING {
            match codec::decode(&mut self.input, self.session.version, MAX_PACKET) {
                Ok(Some(packet)) => self.packet(packet),
                Ok(None) => return,
                Err(_) => {
                    self.session.fail();
                    return self.again();
                }
            }
        }
    }

    fn publish(&mut self, act: u8, id: u16) {
        let qos = Qos::from_bits((act >> 4) % 3).unwrap_or_default();
        let topic: &'static str = if act & 0x80 == 0 { "t" } else { "denied" };
        let packet = Packet::Publish(Publish {
            dup: false,
            qos,
            retain: false,
            id: if qos == Qos::AtMostOnce { 0 } else { id.max(1) },
            topic: Bytes::from_static(topic.as_bytes()),
            alias: None,
            payload: Bytes::new(),
            properties: None,
        });
        self.packet(packet);
    }

    fn packet(&mut self, packet: Packet) {
        if self.session.pending() >= MAX_PENDING {
            // A connection does not read on.
            return;
        }
        let permitted = |topic: &str| topic != "denied";
        let step = self
            .session
            .on_packet(packet, permitted, &mut self.out, &mut self.writes);
        match step {
            Ok(Step::Done | Step::Publish(_) | Step::Denied) => {}
            Ok(Step::Subscribe(subscribe)) => {
                let codes = vec![0; subscribe.filters.len()];
                self.session
                    .sub_ack(subscribe.id, &codes, "", &mut self.out);
            }
            Ok(Step::Unsubscribe(unsubscribe)) => {
                let codes = vec![0; unsubscribe.filters.len()];
                self.session
                    .unsub_ack(unsubscribe.id, &codes, "", &mut self.out);
            }
            Ok(Step::Leave { .. }) | Err(_) => {
                self.session.fail();
                return self.again();
            }
        }
        self.submitted += self.session.take_unsubmitted();
    }

    fn settle(&mut self, receipts: u64) {
        let receipts = receipts.min(self.submitted);
        self.session.settle(receipts, &mut self.out);
        self.submitted -= receipts;
    }

    fn deliver(&mut self, id: u16) {
        let qos = Qos::from_bits(u8::try_from(id % 3).unwrap_or_default()).unwrap_or_default();
        let mut message = delivery(Message::new("t", &[b'x'; 8], qos, false), false);
        let has_row = self.session.is_durable() && qos > Qos::AtMostOnce;
        message.ordinal = has_row.then_some(self.ordinal + 1);
        let Self {
            session,
            out,
            writes,
            ..
        } = self;
        match session.send(message, out, writes, now()) {
            // Discarded is right, too, for a client that takes no packet so large.
            Sent::Yes | Sent::Discarded => self.ordinal += u64::from(has_row),
            Sent::NotNow(_) => {}
        }
    }

    /// What must hold whatever was said.
    fn check(&mut self) {
        let session = &self.session;
        assert!(
            session.pending() as u64 >= self.submitted,
            "a receipt for nothing"
        );
        assert!(session.pending() <= MAX_PENDING + 1);
        assert!(session.memory.received.len() <= RECEIVED_IDS);
        let ids: std::collections::BTreeSet<u16> = session
            .memory
            .in_flight
            .iter()
            .map(|flight| flight.id)
            .collect();
        assert_eq!(
            ids.len(),
            session.memory.in_flight.len(),
            "an id is used once"
        );
        assert!(!ids.contains(&0));
        let mut out = &self.out.split()[..];
        let packets = codec::tally(out);
        let mut whole = 0;
        while let [first, len, ..] = out {
            assert!(
                [2, 3, 4, 5, 6, 7, 9, 11, 13].contains(&(first >> 4)),
                "{first:#x}"
            );
            let (len_len, len) = match out.get(2) {
                Some(high) if len & 0x80 != 0 => {
                    (2, usize::from(len & 0x7F) | usize::from(*high) << 7)
                }
                Some(_) | None => (1, usize::from(*len)),
            };
            out = out.get(1 + len_len + len..).expect("packets are whole");
            whole += 1;
        }
        assert_eq!(packets, whole);
    }
}
