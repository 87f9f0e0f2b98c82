//! Bytes to packets, on rumqttd's decoders, and what they leave out: which packets a client may send, their
//! flags, the fields that rumqttd keeps to itself, and our own rules for names. Nothing it returns can
//! panic a caller; nothing a peer sends can panic it.
//!
//! Where rumqttd 0.20 cannot serve, the bytes are read here: acknowledgements and DISCONNECT (its version 5
//! decoder takes a missing property length for a missing packet), passwords (it wants UTF-8).

mod connect;
mod encode;

pub(crate) use connect::{Connect, first_level};
pub(crate) use encode::{
    Welcome, ack, conn_ack, conn_ack_refused, disconnect, ping_resp, publish, publish_size,
    sub_ack, unsub_ack,
};

use super::hub::RetainHandling;
use super::message::{Properties, Qos};
use super::name;
use super::slot::Grant;
use bytes::{Buf, Bytes, BytesMut};
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as wire, Protocol, RetainForwardRule};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) id: u16,
    /// UTF-8; empty where an alias stands for it.
    pub(crate) topic: Bytes,
    pub(crate) alias: Option<u16>,
    pub(crate) payload: Bytes,
    pub(crate) properties: Option<Box<Properties>>,
}

/// Any of the four acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    /// 0x80 and above is an error.
    pub(crate) reason: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<Wanted>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) filter: String,
    pub(crate) grant: Grant,
    pub(crate) handling: RetainHandling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsubscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<String>,
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
                what: "packet too large",
            });
        }
        Err(_) => return Err(Bad::malformed("no valid length")),
    };
    let kind = header.byte1 >> 4;
    let flags = header.byte1 & 0x0F;
    let flags_fit = match kind {
        PUBLISH => true,
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => flags == 0x02,
        _ => flags == 0,
    };
    if !flags_fit {
        return Err(Bad::malformed("reserved flags are set"));
    }
    match kind {
        CONNECT => connect::decode(
            &buffer.split_to(header.frame_length()),
            header.fixed_header_len,
            version,
        )
        .map(|connect| Some(Packet::Connect(Box::new(connect)))),
        PUBLISH => {
            publish_packet(buffer, &header, version).map(|publish| Some(Packet::Publish(publish)))
        }
        PUBACK | PUBREC | PUBREL | PUBCOMP => {
            let mut body = buffer.split_to(header.frame_length());
            body.advance(header.fixed_header_len);
            let ack = acknowledgement(&body, version)?;
            Ok(Some(match kind {
                PUBACK => Packet::PubAck(ack),
                PUBREC => Packet::PubRec(ack),
                PUBREL => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            }))
        }
        SUBSCRIBE => match read(buffer, version)? {
            wire::Packet::Subscribe(subscribe, properties) => {
                subscribe_packet(subscribe, properties.as_ref())
                    .map(|packet| Some(Packet::Subscribe(packet)))
            }
            _ => Err(Bad::malformed("no SUBSCRIBE")),
        },
        UNSUBSCRIBE => match read(buffer, version)? {
            wire::Packet::Unsubscribe(unsubscribe, _) if unsubscribe.pkid == 0 => {
                Err(Bad::malformed("packet id 0"))
            }
            wire::Packet::Unsubscribe(unsubscribe, _) if unsubscribe.filters.is_empty() => {
                Err(Bad::protocol("UNSUBSCRIBE without filters"))
            }
            wire::Packet::Unsubscribe(unsubscribe, _) => {
                Ok(Some(Packet::Unsubscribe(Unsubscribe {
                    id: unsubscribe.pkid,
                    filters: unsubscribe.filters,
                })))
            }
            _ => Err(Bad::malformed("no UNSUBSCRIBE")),
        },
        PINGREQ if header.remaining_len == 0 => {
            buffer.advance(header.frame_length());
            Ok(Some(Packet::Ping))
        }
        DISCONNECT => disconnect_packet(buffer, &header, version).map(Some),
        // CONNACK, SUBACK, UNSUBACK and PINGRESP are ours to send; AUTH needs a method, and we offer none.
        _ => Err(Bad::protocol("a packet that a client does not send")),
    }
}

/// One packet through rumqttd. The frame is whole: whatever it misses now is missing for good.
fn read(buffer: &mut BytesMut, version: Version) -> Result<wire::Packet, Bad> {
    let packet = match version {
        Version::V4 => V4.read_mut(buffer, usize::MAX),
        Version::V5 => V5.read_mut(buffer, usize::MAX),
    };
    packet.map_err(|error| match error {
        wire::Error::TopicNotUtf8 | wire::Error::PayloadNotUtf8(_) => {
            Bad::malformed("a string is not UTF-8")
        }
        wire::Error::InvalidPropertyType(_) => {
            Bad::malformed("a property that does not belong there")
        }
        wire::Error::InvalidQoS(_) => Bad::malformed("QoS 3"),
        wire::Error::PacketIdZero => Bad::malformed("packet id 0"),
        wire::Error::EmptySubscription => Bad::protocol("SUBSCRIBE without filters"),
        _ => Bad::malformed("malformed packet"),
    })
}

fn publish_packet(
    buffer: &mut BytesMut,
    header: &v4::FixedHeader,
    version: Version,
) -> Result<Publish, Bad> {
    // rumqttd keeps dup, QoS and packet id to itself: they are read from the raw frame.
    let byte1 = header.byte1;
    let qos = Qos::from_bits((byte1 >> 1) & 3).ok_or(Bad::malformed("QoS 3"))?;
    let dup = byte1 & 0x08 != 0;
    if dup && qos == Qos::AtMostOnce {
        return Err(Bad::malformed("DUP at QoS 0"));
    }
    let frame = &buffer[header.fixed_header_len..header.frame_length()];
    let topic_len = frame
        .first_chunk()
        .map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
    let after_topic = topic_len
        .and_then(|len| frame.get(2 + len..))
        .ok_or(Bad::malformed("short PUBLISH"))?;
    let id = if qos == Qos::AtMostOnce {
        0
    } else {
        after_topic
            .first_chunk()
            .map(|bytes| u16::from_be_bytes(*bytes))
            .ok_or(Bad::malformed("short PUBLISH"))?
    };
    let wire::Packet::Publish(publish, properties) = read(buffer, version)? else {
        return Err(Bad::malformed("no PUBLISH"));
    };
    let alias = properties
        .as_ref()
        .and_then(|properties| properties.topic_alias);
    let topic = std::str::from_utf8(&publish.topic)
        .map_err(|_| Bad::malformed("the topic is not UTF-8"))?;
    let aliased = topic.is_empty() && alias.is_some();
    if !aliased && !name::valid_topic(topic) {
        return Err(Bad {
            reason: Reason::TopicNameInvalid,
            what: "the topic is empty, too deep or holds + # or NUL",
        });
    }
    if properties
        .as_ref()
        .is_some_and(|properties| !properties.subscription_identifiers.is_empty())
    {
        return Err(Bad::protocol(
            "a subscription identifier in a client's PUBLISH",
        ));
    }
    let properties = properties.and_then(publish_properties).map(Box::new);
    let response = properties
        .as_ref()
        .and_then(|properties| properties.response_topic.as_deref());
    if response.is_some_and(|topic| !name::valid_topic(topic)) {
        return Err(Bad::protocol("the response topic is invalid"));
    }
    Ok(Publish {
        dup,
        qos,
        retain: publish.retain,
        id,
        topic: publish.topic,
        alias,
        payload: publish.payload,
        properties,
    })
}

/// `None` if an alias was all there was.
fn publish_properties(from: wire::PublishProperties) -> Option<Properties> {
    let properties = Properties {
        payload_format: from.payload_format_indicator,
        expiry_s: from.message_expiry_interval,
        content_type: from.content_type,
        response_topic: from.response_topic,
        correlation: from.correlation_data.map(|bytes| bytes.to_vec()),
        user: from.user_properties,
    };
    (properties != Properties::default()).then_some(properties)
}

fn acknowledgement(body: &[u8], version: Version) -> Result<Ack, Bad> {
    let (id, rest) = body
        .split_first_chunk()
        .ok_or(Bad::malformed("short acknowledgement"))?;
    let id = u16::from_be_bytes(*id);
    let reason = match (version, rest) {
        (_, []) => 0,
        (Version::V4, _) => return Err(Bad::malformed("long acknowledgement")),
        // Properties may follow: a reason string and user properties, which say nothing to a broker.
        (Version::V5, [reason, ..]) => *reason,
    };
    if id == 0 {
        Err(Bad::malformed("packet id 0"))
    } else {
        Ok(Ack { id, reason })
    }
}

fn subscribe_packet(
    subscribe: wire::Subscribe,
    properties: Option<&wire::SubscribeProperties>,
) -> Result<Subscribe, Bad> {
    if subscribe.pkid == 0 {
        return Err(Bad::malformed("packet id 0"));
    }
    let identifier = match properties.and_then(|properties| properties.id) {
        Some(0) => return Err(Bad::protocol("subscription identifier 0")),
        id => id.and_then(|id| u32::try_from(id).ok()),
    };
    let filters = subscribe
        .filters
        .into_iter()
        .map(|filter| Wanted {
            grant: Grant {
                qos: Qos::from_bits(filter.qos as u8).unwrap_or_default(),
                no_local: filter.nolocal,
                retain_as_published: filter.preserve_retain,
                identifier,
            },
            handling: match filter.retain_forward_rule {
                RetainForwardRule::OnEverySubscribe => RetainHandling::Always,
                RetainForwardRule::OnNewSubscribe => RetainHandling::IfNew,
                RetainForwardRule::Never => RetainHandling::Never,
            },
            filter: filter.path,
        })
        .collect();
    Ok(Subscribe {
        id: subscribe.pkid,
        filters,
    })
}

fn disconnect_packet(
    buffer: &mut BytesMut,
    header: &v4::FixedHeader,
    version: Version,
) -> Result<Packet, Bad> {
    match (version, header.remaining_len) {
        (_, 0) => {
            buffer.advance(header.frame_length());
            Ok(Packet::Disconnect {
                reason: 0,
                expiry_s: None,
            })
        }
        (Version::V4, _) => Err(Bad::malformed("long DISCONNECT")),
        (Version::V5, 1) => {
            let frame = buffer.split_to(header.frame_length());
            Ok(Packet::Disconnect {
                reason: frame[header.fixed_header_len],
                expiry_s: None,
            })
        }
        (Version::V5, _) => {
            let reason = buffer[header.fixed_header_len];
            match read(buffer, version)? {
                wire::Packet::Disconnect(_, properties) => Ok(Packet::Disconnect {
                    reason,
                    expiry_s: properties.and_then(|properties| properties.session_expiry_interval),
                }),
                _ => Err(Bad::malformed("no DISCONNECT")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
