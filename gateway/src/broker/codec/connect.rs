//! CONNECT: rumqttd reads the properties, we walk the rest, because it refuses passwords that are not UTF-8
//! and does not tell an absent user name from an empty one.

use super::properties::{self, Place};
use super::walk::Walk;
use super::{Bad, Reason, Version};
use crate::broker::hub::Will;
use crate::broker::message::{Properties, Qos};
use crate::broker::name;
use bytes::{Bytes, BytesMut};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{self as wire, Protocol};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Box<Will>>,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) expiry_s: u32,
    pub(crate) receive_maximum: u16,
    /// Largest packet that the client takes, bytes in all.
    pub(crate) max_packet: usize,
    /// Whether reasons may be put in words beyond CONNACK and DISCONNECT (section 3.1.2.11.7).
    pub(crate) explains: bool,
}

/// The protocol level of a CONNECT at the beginning of `buffer`, if that much has arrived.
/// `Err`: no CONNECT of any MQTT.
pub(crate) fn first_level(buffer: &[u8]) -> Result<Option<u8>, Bad> {
    const WRONG: Bad = Bad {
        reason: Reason::ProtocolError,
        what: "the first packet is no CONNECT",
    };
    let Some(&first) = buffer.first() else {
        return Ok(None);
    };
    if first != 0x10 {
        return Err(WRONG);
    }
    let Some(len_len) = buffer
        .iter()
        .skip(1)
        .take(4)
        .position(|byte| byte & 0x80 == 0)
    else {
        return if buffer.len() > 4 {
            Err(WRONG)
        } else {
            Ok(None)
        };
    };
    let Some(body) = buffer.get(2 + len_len..) else {
        return Ok(None);
    };
    for (protocol, level_at) in [(&b"\0\x04MQTT"[..], 6), (&b"\0\x06MQIsdp"[..], 8)] {
        let common = body.len().min(protocol.len());
        if body[..common] == protocol[..common] {
            return Ok(body.get(level_at).copied());
        }
    }
    Err(WRONG)
}

/// `frame` is one whole CONNECT whose level is that of `version`.
pub(super) fn decode(
    frame: &BytesMut,
    header_len: usize,
    version: Version,
) -> Result<Connect, Bad> {
    let mut rest = Walk::over(
        frame
            .get(header_len + 7..)
            .ok_or(Bad::malformed("CONNECT ends before its flags"))?,
    );
    let flags = rest.byte()?;
    let keep_alive_s = rest.u16()?;
    if flags & 0x01 != 0 {
        return Err(Bad::malformed(
            "the reserved flag of CONNECT is set; clear it",
        ));
    }
    let found = match version {
        Version::V4 => properties::Found::default(),
        Version::V5 => properties::read(&mut rest, Place::Connect)?,
    };
    let client_id = rest.text()?.to_owned();
    if let Some(what) = name::client_id_fault(&client_id) {
        return Err(Bad {
            reason: Reason::ClientIdentifierNotValid,
            what,
        });
    }
    let will = bare_will(&mut rest, flags, version)?;
    let username = if flags & 0x80 == 0 {
        None
    } else {
        Some(rest.text()?.to_owned())
    };
    let password = if flags & 0x40 == 0 {
        None
    } else {
        Some(Bytes::copy_from_slice(rest.bytes()?))
    };
    if version == Version::V4 && password.is_some() && username.is_none() {
        return Err(Bad::malformed(
            "a password without a user name; MQTT 3.1.1 wants both",
        ));
    }
    if !rest.is_at_end() {
        return Err(Bad::malformed("bytes after the end of CONNECT"));
    }
    if found.authentication_method {
        return Err(Bad {
            reason: Reason::BadAuthenticationMethod,
            what: "no authentication method is offered; use a user name and a password",
        });
    }
    let clean_start = flags & 0x02 != 0;
    let mut connect = Connect {
        version,
        client_id,
        clean_start,
        keep_alive_s,
        username,
        password,
        will,
        expiry_s: if version == Version::V4 && !clean_start {
            u32::MAX
        } else {
            0
        },
        receive_maximum: u16::MAX,
        max_packet: usize::MAX,
        explains: found.problem_information.unwrap_or(true),
    };
    match version {
        Version::V4 => {}
        Version::V5 => take_properties(&mut connect, frame, flags, header_len)?,
    }
    Ok(connect)
}

/// What rumqttd reads of a CONNECT that has been judged.
fn take_properties(
    connect: &mut Connect,
    frame: &BytesMut,
    flags: u8,
    header_len: usize,
) -> Result<(), Bad> {
    // It is shown the packet without name and password: a password may be any bytes.
    let mut copy = frame.clone();
    copy[header_len + 7] = flags & 0x3F;
    let Ok(wire::Packet::Connect(_, own, _, of_will, _)) = V5.read_mut(&mut copy, usize::MAX)
    else {
        return Err(Bad::malformed("CONNECT's fields do not fit its length"));
    };
    if let Some(own) = own {
        connect.expiry_s = own.session_expiry_interval.unwrap_or(0);
        connect.receive_maximum = own.receive_maximum.unwrap_or(u16::MAX);
        connect.max_packet = own
            .max_packet_size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(usize::MAX);
    }
    if let (Some(will), Some(from)) = (&mut connect.will, of_will) {
        will.delay_s = from.delay_interval.unwrap_or(0);
        let properties = Properties {
            payload_format: from.payload_format_indicator,
            expiry_s: from.message_expiry_interval,
            content_type: from.content_type,
            response_topic: from.response_topic,
            correlation: from.correlation_data.map(|bytes| bytes.to_vec()),
            user: from.user_properties,
        };
        will.properties = (properties != Properties::default()).then(|| Box::new(properties));
    }
    Ok(())
}

/// The will, but for what its properties say.
fn bare_will(rest: &mut Walk<'_>, flags: u8, version: Version) -> Result<Option<Box<Will>>, Bad> {
    if flags & 0x04 == 0 {
        return if flags & 0x38 == 0 {
            Ok(None)
        } else {
            Err(Bad::malformed("will flags without a will; clear them"))
        };
    }
    match version {
        Version::V4 => {}
        Version::V5 => properties::read(rest, Place::Will).map(drop)?,
    }
    let topic = rest.text()?;
    if let Some(what) = name::topic_fault(topic) {
        return Err(Bad {
            reason: Reason::TopicNameInvalid,
            what,
        });
    }
    let payload = rest.bytes()?;
    let qos = Qos::from_bits((flags >> 3) & 3)
        .ok_or(Bad::malformed("a will at QoS 3; send 0, 1 or 2"))?;
    Ok(Some(Box::new(Will {
        topic: Bytes::copy_from_slice(topic.as_bytes()),
        payload: Bytes::copy_from_slice(payload),
        qos,
        retain: flags & 0x20 != 0,
        properties: None,
        delay_s: 0,
    })))
}
