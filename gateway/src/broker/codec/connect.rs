//! CONNECT: rumqttd reads the properties, we walk the rest, because it refuses passwords that are not UTF-8
//! and does not tell an absent user name from an empty one.

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
    let mut rest = Walk(
        frame
            .get(header_len + 7..)
            .ok_or(Bad::malformed("short CONNECT"))?,
    );
    let flags = rest.byte()?;
    let keep_alive_s = rest.u16()?;
    if flags & 0x01 != 0 {
        return Err(Bad::malformed("the reserved flag of CONNECT is set"));
    }
    let properties = match version {
        Version::V4 => None,
        Version::V5 => {
            rest.skip_properties()?;
            v5_properties(frame, flags, header_len)?
        }
    };
    let client_id = rest.string()?.to_owned();
    if !name::valid_client_id(&client_id) {
        return Err(Bad {
            reason: Reason::ClientIdentifierNotValid,
            what: "the client id is too long or holds NUL",
        });
    }
    let (connect_properties, will_properties) = properties.unwrap_or_default();
    let will = will(&mut rest, flags, version, will_properties)?;
    let username = if flags & 0x80 == 0 {
        None
    } else {
        Some(rest.string()?.to_owned())
    };
    let password = if flags & 0x40 == 0 {
        None
    } else {
        Some(Bytes::copy_from_slice(rest.bytes()?))
    };
    if version == Version::V4 && password.is_some() && username.is_none() {
        return Err(Bad::malformed("a password without a user name"));
    }
    if !rest.0.is_empty() {
        return Err(Bad::malformed("bytes after the end of CONNECT"));
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
    };
    if let Some(properties) = connect_properties {
        if properties.authentication_method.is_some() {
            return Err(Bad {
                reason: Reason::BadAuthenticationMethod,
                what: "no authentication method is offered",
            });
        }
        if properties.receive_maximum == Some(0) || properties.max_packet_size == Some(0) {
            return Err(Bad::protocol("a maximum of 0"));
        }
        connect.expiry_s = properties.session_expiry_interval.unwrap_or(0);
        connect.receive_maximum = properties.receive_maximum.unwrap_or(u16::MAX);
        connect.max_packet = properties
            .max_packet_size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(usize::MAX);
    }
    Ok(connect)
}

type V5Properties = (
    Option<wire::ConnectProperties>,
    Option<wire::LastWillProperties>,
);

fn v5_properties(
    frame: &BytesMut,
    flags: u8,
    header_len: usize,
) -> Result<Option<V5Properties>, Bad> {
    // rumqttd is shown the packet without name and password: a password may be any bytes.
    let mut copy = frame.clone();
    copy[header_len + 7] = flags & 0x3F;
    match V5.read_mut(&mut copy, usize::MAX) {
        Ok(wire::Packet::Connect(_, properties, _, will_properties, _)) => {
            Ok(Some((properties, will_properties)))
        }
        Ok(_) | Err(_) => Err(Bad::malformed("malformed CONNECT")),
    }
}

fn will(
    rest: &mut Walk<'_>,
    flags: u8,
    version: Version,
    properties: Option<wire::LastWillProperties>,
) -> Result<Option<Box<Will>>, Bad> {
    if flags & 0x04 == 0 {
        return if flags & 0x38 == 0 {
            Ok(None)
        } else {
            Err(Bad::malformed("will flags without a will"))
        };
    }
    if version == Version::V5 {
        rest.skip_properties()?;
    }
    let topic = rest.string()?;
    if !name::valid_topic(topic) {
        return Err(Bad {
            reason: Reason::TopicNameInvalid,
            what: "the will's topic is invalid",
        });
    }
    let topic = Bytes::copy_from_slice(topic.as_bytes());
    let payload = Bytes::copy_from_slice(rest.bytes()?);
    let delay_s = properties
        .as_ref()
        .and_then(|properties| properties.delay_interval)
        .unwrap_or(0);
    let properties = properties.map(|from| Properties {
        payload_format: from.payload_format_indicator,
        expiry_s: from.message_expiry_interval,
        content_type: from.content_type,
        response_topic: from.response_topic,
        correlation: from.correlation_data.map(|bytes| bytes.to_vec()),
        user: from.user_properties,
    });
    Ok(Some(Box::new(Will {
        topic,
        payload,
        qos: Qos::from_bits((flags >> 3) & 3).ok_or(Bad::malformed("QoS 3"))?,
        retain: flags & 0x20 != 0,
        properties: properties
            .filter(|properties| *properties != Properties::default())
            .map(Box::new),
        delay_s,
    })))
}

/// Reads forward; never beyond the end.
struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Bad::malformed("short CONNECT"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let len = self.u16()?;
        self.take(len.into())
    }

    fn string(&mut self) -> Result<&'a str, Bad> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Bad::malformed("a string is not UTF-8"))
    }

    fn skip_properties(&mut self) -> Result<(), Bad> {
        let (len_len, len) = wire::v4::length(self.0.iter())
            .map_err(|_| Bad::malformed("no valid property length"))?;
        self.take(len_len + len).map(drop)
    }
}
