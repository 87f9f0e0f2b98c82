//! PUBLISH from a client. rumqttd reads topic, payload and properties; the rest is read from the raw frame,
//! because rumqttd keeps DUP, QoS and packet id to itself, and judged first, because it takes anything.

use super::properties::{self, Place};
use super::walk::Walk;
use super::{Bad, Reason, Version, read};
use crate::broker::message::{Properties, Qos};
use crate::broker::name;
use bytes::{Bytes, BytesMut};
use rumqttd::protocol as wire;
use rumqttd::protocol::v4::FixedHeader;

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

/// Takes one whole PUBLISH off `buffer`.
pub(super) fn decode(
    buffer: &mut BytesMut,
    header: &FixedHeader,
    version: Version,
) -> Result<Publish, Bad> {
    let byte1 = header.byte1;
    let qos = Qos::from_bits((byte1 >> 1) & 3)
        .ok_or(Bad::malformed("a publish at QoS 3; send 0, 1 or 2"))?;
    let dup = byte1 & 0x08 != 0;
    if dup && qos == Qos::AtMostOnce {
        return Err(Bad::malformed("DUP at QoS 0; clear it"));
    }
    let id = judge(
        &buffer[header.fixed_header_len..header.frame_length()],
        qos,
        version,
    )?;
    let wire::Packet::Publish(publish, properties) = read(buffer, version)? else {
        return Err(Bad::malformed("no PUBLISH"));
    };
    let alias = properties
        .as_ref()
        .and_then(|properties| properties.topic_alias);
    let topic = std::str::from_utf8(&publish.topic)
        .map_err(|_| Bad::malformed("the topic is not UTF-8; encode it so"))?;
    if topic.is_empty() && alias.is_none() {
        // Section 3.3.2.1: not an invalid topic, but none.
        return Err(Bad::protocol("neither a topic nor a topic alias; send one"));
    }
    if !topic.is_empty()
        && let Some(what) = name::topic_fault(topic)
    {
        return Err(Bad {
            reason: Reason::TopicNameInvalid,
            what,
        });
    }
    Ok(Publish {
        dup,
        qos,
        retain: publish.retain,
        id,
        topic: publish.topic,
        alias,
        payload: publish.payload,
        properties: properties.and_then(travelling).map(Box::new),
    })
}

/// What stands before the payload, in order; the packet id, 0 at QoS 0.
fn judge(body: &[u8], qos: Qos, version: Version) -> Result<u16, Bad> {
    let mut walk = Walk::over(body);
    walk.text()?;
    let id = match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce | Qos::ExactlyOnce => walk.packet_id()?,
    };
    match version {
        Version::V4 => {}
        Version::V5 => properties::read(&mut walk, Place::Publish).map(drop)?,
    }
    Ok(id)
}

/// The properties that travel with the message; `None` if an alias was all there was.
fn travelling(from: wire::PublishProperties) -> Option<Properties> {
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
