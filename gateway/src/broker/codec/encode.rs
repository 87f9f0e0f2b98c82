//! Packets to bytes. Written by hand where it is a few bytes or hot, through rumqttd where there is more to
//! it. What a 3.1.1 client gets holds no properties, by construction.

use super::{Reason, Version};
use crate::broker::limits::{RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM};
use crate::broker::message::{Delivery, Qos};
use bytes::{BufMut, BytesMut};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as wire, Protocol};
use std::time::Instant;

pub(crate) fn ping_resp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP: `first` is the fixed header's first byte.
pub(crate) fn ack(out: &mut BytesMut, first: u8, id: u16, reason: Reason, version: Version) {
    let [high, low] = id.to_be_bytes();
    match (version, reason) {
        (Version::V4, _) | (Version::V5, Reason::Success) => out.put_slice(&[first, 2, high, low]),
        (Version::V5, reason) => out.put_slice(&[first, 3, high, low, reason as u8]),
    }
}

/// How a client may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) version: Version,
    /// Whether reasons may be put in words beyond CONNACK and DISCONNECT (section 3.1.2.11.7).
    pub(crate) explains: bool,
    /// Largest packet that the client takes, bytes in all.
    pub(crate) max_packet: usize,
}

impl Terms {
    /// Of a client that has not said more than its version.
    pub(crate) fn of(version: Version) -> Self {
        Self {
            version,
            explains: true,
            max_packet: usize::MAX,
        }
    }
}

/// PUBACK, PUBREC or PUBCOMP that refuses, in words where the client wants them.
pub(crate) fn refusal(
    out: &mut BytesMut,
    first: u8,
    id: u16,
    reason: Reason,
    words: &str,
    terms: Terms,
) {
    let words = if terms.explains { words } else { "" };
    let [high, low] = id.to_be_bytes();
    match terms.version {
        Version::V4 => out.put_slice(&[first, 2, high, low]),
        Version::V5 if words.is_empty() => out.put_slice(&[first, 3, high, low, reason as u8]),
        Version::V5 => put_worded(out, first, &[high, low, reason as u8], words, &[], terms),
    }
}

/// A packet with no property but a reason string, which is left out where it would make the packet larger
/// than the client takes.
fn put_worded(out: &mut BytesMut, first: u8, head: &[u8], words: &str, tail: &[u8], terms: Terms) {
    let worded = if words.is_empty() { 0 } else { 3 + words.len() };
    let size = |properties: usize| {
        let body = head.len() + length_size(properties) + properties + tail.len();
        (body, 1 + length_size(body) + body)
    };
    let fits = size(worded).1 <= terms.max_packet;
    let properties = if fits { worded } else { 0 };
    out.put_u8(first);
    put_length(out, size(properties).0);
    out.put_slice(head);
    put_length(out, properties);
    if properties > 0 {
        out.put_u8(0x1F);
        put_bytes(out, words.as_bytes());
    }
    out.put_slice(tail);
}

/// Nothing to a 3.1.1 client, which knows no DISCONNECT from the server.
pub(crate) fn disconnect(out: &mut BytesMut, reason: Reason, words: &str, terms: Terms) {
    match terms.version {
        Version::V4 => {}
        Version::V5 => put_worded(out, 0xE0, &[reason as u8], words, &[], terms),
    }
}

/// What a welcomed client is told.
pub(crate) struct Welcome<'a> {
    pub(crate) session_present: bool,
    pub(crate) assigned_id: Option<&'a str>,
    /// Where it differs from what was asked for.
    pub(crate) expiry_s: Option<u32>,
    pub(crate) max_packet: usize,
}

pub(crate) fn conn_ack(out: &mut BytesMut, welcome: &Welcome<'_>, version: Version) {
    match version {
        Version::V4 => out.put_slice(&[0x20, 2, u8::from(welcome.session_present), 0]),
        Version::V5 => {
            let properties = wire::ConnAckProperties {
                receive_max: Some(RECEIVE_MAXIMUM),
                topic_alias_max: Some(TOPIC_ALIAS_MAXIMUM),
                max_packet_size: u32::try_from(welcome.max_packet).ok(),
                assigned_client_identifier: welcome.assigned_id.map(str::to_owned),
                session_expiry_interval: welcome.expiry_s,
                ..Default::default()
            };
            let packet = wire::ConnAck {
                session_present: welcome.session_present,
                code: wire::ConnectReturnCode::Success,
            };
            V5.write(wire::Packet::ConnAck(packet, Some(properties)), out)
                .expect("a CONNACK of ours is far below the largest packet");
        }
    }
}

/// Bytes that [`conn_ack`] would write.
pub(crate) fn conn_ack_size(welcome: &Welcome<'_>, version: Version) -> usize {
    let mut out = BytesMut::new();
    conn_ack(&mut out, welcome, version);
    out.len()
}

/// CONNACK that refuses. 3.1.1 has five codes for it (section 3.2.2.3); the rest only close.
pub(crate) fn conn_ack_refused(out: &mut BytesMut, reason: Reason, words: &str, terms: Terms) {
    let code = match terms.version {
        Version::V5 => return put_worded(out, 0x20, &[0, reason as u8], words, &[], terms),
        Version::V4 => match reason {
            Reason::UnsupportedProtocolVersion => 1,
            Reason::ClientIdentifierNotValid => 2,
            Reason::ServerUnavailable
            | Reason::ServerBusy
            | Reason::QuotaExceeded
            | Reason::ConnectionRateExceeded => 3,
            Reason::BadUserNameOrPassword => 4,
            Reason::NotAuthorized => 5,
            Reason::Success
            | Reason::NoSubscriptionExisted
            | Reason::UnspecifiedError
            | Reason::MalformedPacket
            | Reason::ProtocolError
            | Reason::ServerShuttingDown
            | Reason::BadAuthenticationMethod
            | Reason::KeepAliveTimeout
            | Reason::SessionTakenOver
            | Reason::TopicFilterInvalid
            | Reason::TopicNameInvalid
            | Reason::PacketIdentifierNotFound
            | Reason::ReceiveMaximumExceeded
            | Reason::TopicAliasInvalid
            | Reason::PacketTooLarge
            | Reason::AdministrativeAction => return,
        },
    };
    out.put_slice(&[0x20, 2, 0, code]);
}

/// SUBACK; a code is a granted QoS or a reason, and `words` say why something was refused.
pub(crate) fn sub_ack(out: &mut BytesMut, id: u16, codes: &[u8], words: &str, terms: Terms) {
    match terms.version {
        Version::V4 => {
            out.put_u8(0x90);
            put_length(out, 2 + codes.len());
            out.put_u16(id);
            out.extend(codes.iter().map(|code| (*code).min(0x80)));
        }
        Version::V5 => acknowledge_many(out, 0x90, id, codes, words, terms),
    }
}

/// UNSUBACK; 3.1.1 knows no codes in it.
pub(crate) fn unsub_ack(out: &mut BytesMut, id: u16, codes: &[u8], words: &str, terms: Terms) {
    match terms.version {
        Version::V4 => ack(out, 0xB0, id, Reason::Success, Version::V4),
        Version::V5 => acknowledge_many(out, 0xB0, id, codes, words, terms),
    }
}

fn acknowledge_many(
    out: &mut BytesMut,
    first: u8,
    id: u16,
    codes: &[u8],
    words: &str,
    terms: Terms,
) {
    let words = if terms.explains { words } else { "" };
    put_worded(out, first, &id.to_be_bytes(), words, codes, terms);
}

/// How many packets begin in `bytes`, which hold whole packets of our own.
pub(crate) fn tally(mut bytes: &[u8]) -> u64 {
    let mut packets = 0;
    while bytes.len() > 1 {
        let (mut len, mut at) = (0, 1);
        while let Some(&byte) = bytes.get(at) {
            len |= usize::from(byte & 0x7F) << (7 * (at - 1));
            at += 1;
            if byte & 0x80 == 0 || at > 4 {
                break;
            }
        }
        packets += 1;
        bytes = bytes.get(at + len..).unwrap_or_default();
    }
    packets
}

/// Bytes that [`publish`] would write, all told.
pub(crate) fn publish_size(delivery: &Delivery, version: Version) -> usize {
    let body = body_size(delivery, version);
    1 + length_size(body) + body
}

pub(crate) fn publish(
    out: &mut BytesMut,
    delivery: &Delivery,
    id: u16,
    dup: bool,
    version: Version,
    now: Instant,
) {
    let message = &delivery.message;
    let body = body_size(delivery, version);
    out.reserve(5 + body);
    out.put_u8(0x30 | u8::from(dup) << 3 | (delivery.qos as u8) << 1 | u8::from(delivery.retain));
    put_length(out, body);
    put_bytes(out, message.topic());
    if delivery.qos > Qos::AtMostOnce {
        out.put_u16(id);
    }
    match version {
        Version::V4 => {}
        Version::V5 => put_properties(out, delivery, now),
    }
    out.put_slice(message.payload());
}

fn body_size(delivery: &Delivery, version: Version) -> usize {
    let message = &delivery.message;
    let id = if delivery.qos > Qos::AtMostOnce { 2 } else { 0 };
    let properties = match version {
        Version::V4 => 0,
        Version::V5 => {
            let len = properties_size(delivery);
            length_size(len) + len
        }
    };
    2 + message.topic().len() + id + properties + message.payload().len()
}

fn properties_size(delivery: &Delivery) -> usize {
    let identifiers: usize = delivery
        .identifiers
        .iter()
        .map(|id| 1 + length_size(*id as usize))
        .sum();
    let Some(properties) = delivery.message.properties() else {
        return identifiers;
    };
    let user: usize = properties
        .user
        .iter()
        .map(|(name, value)| 5 + name.len() + value.len())
        .sum();
    identifiers
        + user
        + properties.payload_format.map_or(0, |_| 2)
        + properties.expiry_s.map_or(0, |_| 5)
        + properties
            .content_type
            .as_ref()
            .map_or(0, |text| 3 + text.len())
        + properties
            .response_topic
            .as_ref()
            .map_or(0, |text| 3 + text.len())
        + properties
            .correlation
            .as_ref()
            .map_or(0, |bytes| 3 + bytes.len())
}

fn put_properties(out: &mut BytesMut, delivery: &Delivery, now: Instant) {
    put_length(out, properties_size(delivery));
    for id in &delivery.identifiers {
        out.put_u8(0x0B);
        put_length(out, *id as usize);
    }
    let Some(properties) = delivery.message.properties() else {
        return;
    };
    if let Some(format) = properties.payload_format {
        out.put_slice(&[0x01, format]);
    }
    if let Some(expiry_s) = properties.expiry_s {
        out.put_u8(0x02);
        out.put_u32(delivery.message.expiry_left_s(now).unwrap_or(expiry_s));
    }
    for (kind, value) in [
        (0x03, properties.content_type.as_ref().map(String::as_bytes)),
        (
            0x08,
            properties.response_topic.as_ref().map(String::as_bytes),
        ),
        (0x09, properties.correlation.as_deref()),
    ] {
        if let Some(value) = value {
            out.put_u8(kind);
            put_bytes(out, value);
        }
    }
    for (name, value) in &properties.user {
        out.put_u8(0x26);
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("it came in with a length of two bytes");
    out.put_u16(len);
    out.put_slice(bytes);
}

/// A variable byte integer, MQTT 5 section 1.5.5.
fn put_length(out: &mut BytesMut, mut len: usize) {
    loop {
        let [low, ..] = len.to_le_bytes();
        len >>= 7;
        if len == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

fn length_size(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
