//! Bytes to packets, on rumqttd's decoders, and what they leave out: which packets a client may send, their
//! flags, the fields that rumqttd keeps to itself, and our own rules for names. Nothing it returns can
//! panic a caller; nothing a peer sends can panic it.
//!
//! Where rumqttd 0.20 cannot serve, the bytes are read here: acknowledgements and DISCONNECT (its version 5
//! decoder takes a missing property length for a missing packet), SUBSCRIBE and UNSUBSCRIBE (it takes
//! reserved options), passwords (it wants UTF-8). It is as strict about properties as it is about QoS 3, that
//! is, not at all: `properties` judges them first.

mod connect;
mod encode;
mod properties;
mod publish;
mod subscribe;
mod walk;

pub(crate) use connect::{Connect, first_level};
pub(crate) use encode::{
    Terms, Welcome, ack, conn_ack, conn_ack_refused, conn_ack_size, disconnect, ping_resp, publish,
    publish_size, refusal, sub_ack, tally, unsub_ack,
};
pub(crate) use publish::Publish;
pub(crate) use subscribe::{Subscribe, Unsubscribe, Wanted};

use bytes::BytesMut;
use properties::Place;
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as wire, Protocol};
use walk::Walk;

/// Protocol version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V5,
}

/// MQTT 5 reason codes that we send, section 2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    Success = 0x00,
    NoSubscriptionExisted = 0x11,
    UnspecifiedError = 0x80,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    UnsupportedProtocolVersion = 0x84,
    ClientIdentifierNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    NotAuthorized = 0x87,
    ServerUnavailable = 0x88,
    ServerBusy = 0x89,
    ServerShuttingDown = 0x8B,
    BadAuthenticationMethod = 0x8C,
    KeepAliveTimeout = 0x8D,
    SessionTakenOver = 0x8E,
    TopicFilterInvalid = 0x8F,
    TopicNameInvalid = 0x90,
    PacketIdentifierNotFound = 0x92,
    ReceiveMaximumExceeded = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
    AdministrativeAction = 0x98,
    ConnectionRateExceeded = 0x9F,
}

/// A packet that ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Bad {
    pub(crate) reason: Reason,
    pub(crate) what: &'static str,
}

impl Bad {
    pub(crate) fn malformed(what: &'static str) -> Self {
        Self {
            reason: Reason::MalformedPacket,
            what,
        }
    }

    pub(crate) fn protocol(what: &'static str) -> Self {
        Self {
            reason: Reason::ProtocolError,
            what,
        }
    }
}

/// What a client may send, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Ping,
    Disconnect { reason: u8, expiry_s: Option<u32> },
}

/// Any of the four acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    /// 0x80 and above is an error.
    pub(crate) reason: u8,
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

/// What a PUBACK or PUBREC may say, sections 3.4.2.1 and 3.5.2.1.
const PUBLISH_ANSWERS: [u8; 9] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];

/// What a PUBREL or PUBCOMP may say, sections 3.6.2.1 and 3.7.2.1.
const RELEASE_ANSWERS: [u8; 2] = [0x00, 0x92];

/// Takes the next whole packet off `buffer`; `None` if it is not whole yet.
pub(crate) fn decode(
    buffer: &mut BytesMut,
    version: Version,
    max_packet: usize,
) -> Result<Option<Packet>, Bad> {
    let header = match v4::check(buffer.iter(), max_packet) {
        Ok(header) => header,
        Err(wire::Error::InsufficientBytes(_)) => return Ok(None),
        Err(wire::Error::PayloadSizeLimitExceeded(_)) => {
            return Err(Bad {
                reason: Reason::PacketTooLarge,
                what: "the packet is larger than the maximum packet size; send less at a time",
            });
        }
        Err(_) => return Err(Bad::malformed("the length takes more than four bytes")),
    };
    let kind = header.byte1 >> 4;
    let flags = header.byte1 & 0x0F;
    let flags_fit = match kind {
        PUBLISH => true,
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => flags == 0x02,
        _ => flags == 0,
    };
    if !flags_fit {
        return Err(Bad::malformed(
            "the flags of the first byte are not those of its packet",
        ));
    }
    if kind == PUBLISH {
        return publish::decode(buffer, &header, version)
            .map(|publish| Some(Packet::Publish(publish)));
    }
    let frame = buffer.split_to(header.frame_length());
    let body = &frame[header.fixed_header_len..];
    let packet = match kind {
        CONNECT => Packet::Connect(Box::new(connect::decode(
            &frame,
            header.fixed_header_len,
            version,
        )?)),
        PUBACK => Packet::PubAck(acknowledgement(body, version, &PUBLISH_ANSWERS)?),
        PUBREC => Packet::PubRec(acknowledgement(body, version, &PUBLISH_ANSWERS)?),
        PUBREL => Packet::PubRel(acknowledgement(body, version, &RELEASE_ANSWERS)?),
        PUBCOMP => Packet::PubComp(acknowledgement(body, version, &RELEASE_ANSWERS)?),
        SUBSCRIBE => Packet::Subscribe(subscribe::subscribe(body, version)?),
        UNSUBSCRIBE => Packet::Unsubscribe(subscribe::unsubscribe(body, version)?),
        PINGREQ if body.is_empty() => Packet::Ping,
        PINGREQ => return Err(Bad::malformed("a PINGREQ with a body")),
        DISCONNECT => disconnect_packet(body, version)?,
        AUTH if version == Version::V5 => {
            return Err(Bad::protocol(
                "an AUTH without an authentication method; this broker offers none",
            ));
        }
        // CONNACK, SUBACK, UNSUBACK and PINGRESP are ours to send.
        _ => return Err(Bad::protocol("a packet that a client does not send")),
    };
    Ok(Some(packet))
}

/// One packet through rumqttd. The frame is whole: whatever it misses now is missing for good.
fn read(buffer: &mut BytesMut, version: Version) -> Result<wire::Packet, Bad> {
    let packet = match version {
        Version::V4 => V4.read_mut(buffer, usize::MAX),
        Version::V5 => V5.read_mut(buffer, usize::MAX),
    };
    packet.map_err(|_| Bad::malformed("the packet's fields do not fit its length"))
}

fn acknowledgement(body: &[u8], version: Version, reasons: &[u8]) -> Result<Ack, Bad> {
    let mut walk = Walk::over(body);
    let id = walk.packet_id()?;
    let mut reason = 0;
    // A reason of 0 may be left out, and properties where there are none: section 3.4.2.1.
    if version == Version::V5 && !walk.is_at_end() {
        reason = walk.byte()?;
        if !walk.is_at_end() {
            properties::read(&mut walk, Place::Acknowledgement)?;
        }
    }
    if !walk.is_at_end() {
        return Err(Bad::malformed("bytes after the end of an acknowledgement"));
    }
    if reasons.contains(&reason) {
        Ok(Ack { id, reason })
    } else {
        Err(Bad::protocol(
            "a reason code that this acknowledgement does not have",
        ))
    }
}

fn disconnect_packet(body: &[u8], version: Version) -> Result<Packet, Bad> {
    let mut walk = Walk::over(body);
    let mut reason = 0;
    let mut expiry_s = None;
    if version == Version::V5 && !walk.is_at_end() {
        reason = walk.byte()?;
        if !walk.is_at_end() {
            expiry_s = properties::read(&mut walk, Place::Disconnect)?.session_expiry_s;
        }
    }
    if !walk.is_at_end() {
        return Err(Bad::malformed("bytes after the end of DISCONNECT"));
    }
    Ok(Packet::Disconnect { reason, expiry_s })
}

#[cfg(test)]
mod tests;
