//! The properties of MQTT 5 (section 2.2.2) as a client may send them: which packet takes which, how often,
//! and with what values. It judges, and keeps the few that nobody else reads; what travels with a message is
//! left to rumqttd, which takes anything here.

use super::walk::Walk;
use super::{Bad, Reason};
use crate::broker::limits::{USER_PROPERTIES, USER_PROPERTY_BYTES};
use crate::broker::name;

/// Where properties stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Connect,
    Will,
    Publish,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    Acknowledgement,
    Subscribe,
    Unsubscribe,
    Disconnect,
}

/// What was found, of what is read here alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) subscription: Option<u32>,
    pub(super) session_expiry_s: Option<u32>,
    /// Request Problem Information: whether reasons may be put in words.
    pub(super) problem_information: Option<bool>,
    pub(super) authentication_method: bool,
    pub(super) authentication_bytes: bool,
}

const PAYLOAD_FORMAT: u8 = 0x01;
const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION: u8 = 0x09;
const SUBSCRIPTION: u8 = 0x0B;
const SESSION_EXPIRY: u8 = 0x11;
const AUTHENTICATION_METHOD: u8 = 0x15;
const AUTHENTICATION_BYTES: u8 = 0x16;
const REQUEST_PROBLEM: u8 = 0x17;
const WILL_DELAY: u8 = 0x18;
const REQUEST_RESPONSE: u8 = 0x19;
const REASON_STRING: u8 = 0x1F;
const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
const TOPIC_ALIAS: u8 = 0x23;
const USER: u8 = 0x26;
const MAXIMUM_PACKET_SIZE: u8 = 0x27;

impl Place {
    /// Whether a client may send the property here. What only a server sends is allowed nowhere.
    fn takes(self, property: u8) -> bool {
        let own: &[u8] = match self {
            Self::Connect => &[
                SESSION_EXPIRY,
                AUTHENTICATION_METHOD,
                AUTHENTICATION_BYTES,
                REQUEST_PROBLEM,
                REQUEST_RESPONSE,
                RECEIVE_MAXIMUM,
                TOPIC_ALIAS_MAXIMUM,
                MAXIMUM_PACKET_SIZE,
            ],
            Self::Will => &[
                PAYLOAD_FORMAT,
                MESSAGE_EXPIRY,
                CONTENT_TYPE,
                RESPONSE_TOPIC,
                CORRELATION,
                WILL_DELAY,
            ],
            Self::Publish => &[
                PAYLOAD_FORMAT,
                MESSAGE_EXPIRY,
                CONTENT_TYPE,
                RESPONSE_TOPIC,
                CORRELATION,
                SUBSCRIPTION,
                TOPIC_ALIAS,
            ],
            Self::Acknowledgement => &[REASON_STRING],
            Self::Subscribe => &[SUBSCRIPTION],
            Self::Unsubscribe => &[],
            Self::Disconnect => &[SESSION_EXPIRY, REASON_STRING],
        };
        property == USER || own.contains(&property)
    }

    /// Whether user properties travel on from here, and so cost memory.
    fn keeps_users(self) -> bool {
        match self {
            Self::Will | Self::Publish => true,
            Self::Connect
            | Self::Acknowledgement
            | Self::Subscribe
            | Self::Unsubscribe
            | Self::Disconnect => false,
        }
    }
}

/// Reads the properties that `walk` has come to, length and all.
pub(super) fn read(walk: &mut Walk<'_>, place: Place) -> Result<Found, Bad> {
    let mut rest = walk.part()?;
    let mut found = Found::default();
    let mut seen = 0_u64;
    let (mut users, mut user_bytes) = (0, 0);
    while !rest.is_at_end() {
        let property = rest.byte()?;
        if !place.takes(property) {
            return Err(Bad::malformed(
                "a property that does not belong into this packet; leave it out",
            ));
        }
        // Every property that a packet takes is below 64.
        let bit = 1_u64 << (property & 0x3F);
        if property != USER && seen & bit != 0 {
            return Err(Bad::protocol("a property is there twice; send it once"));
        }
        seen |= bit;
        if property == USER {
            users += 1;
            user_bytes += rest.text()?.len() + rest.text()?.len();
            let too_many = users > USER_PROPERTIES || user_bytes > USER_PROPERTY_BYTES;
            if too_many && place.keeps_users() {
                return Err(Bad {
                    reason: Reason::QuotaExceeded,
                    what: "more than 128 user properties or 16 KiB of them; put them into the payload",
                });
            }
        } else {
            read_one(property, &mut rest, place, &mut found)?;
        }
    }
    if found.authentication_bytes && !found.authentication_method {
        return Err(Bad::protocol("authentication data without a method"));
    }
    Ok(found)
}

fn read_one(property: u8, rest: &mut Walk<'_>, place: Place, found: &mut Found) -> Result<(), Bad> {
    match property {
        PAYLOAD_FORMAT => flag(rest, "the payload format is neither 0 nor 1").map(drop),
        REQUEST_RESPONSE => flag(rest, "request response information is neither 0 nor 1").map(drop),
        REQUEST_PROBLEM => {
            let asked = flag(rest, "request problem information is neither 0 nor 1")?;
            found.problem_information = Some(asked);
            Ok(())
        }
        MESSAGE_EXPIRY | WILL_DELAY => rest.u32().map(drop),
        SESSION_EXPIRY => {
            found.session_expiry_s = Some(rest.u32()?);
            Ok(())
        }
        CONTENT_TYPE | REASON_STRING => rest.text().map(drop),
        RESPONSE_TOPIC => match name::topic_fault(rest.text()?) {
            None => Ok(()),
            Some(_) => Err(Bad::protocol(
                "the response topic is empty, too long, or holds a wildcard",
            )),
        },
        CORRELATION => rest.bytes().map(drop),
        AUTHENTICATION_METHOD => {
            found.authentication_method = true;
            rest.text().map(drop)
        }
        AUTHENTICATION_BYTES => {
            found.authentication_bytes = true;
            rest.bytes().map(drop)
        }
        SUBSCRIPTION if place == Place::Publish => Err(Bad::protocol(
            "a subscription identifier in a client's PUBLISH; leave it out",
        )),
        SUBSCRIPTION => match rest.variable()? {
            0 => Err(Bad::protocol("subscription identifier 0; count from 1")),
            id => {
                found.subscription = Some(id);
                Ok(())
            }
        },
        RECEIVE_MAXIMUM => match rest.u16()? {
            0 => Err(Bad::protocol(
                "a receive maximum of 0; leave it out for 65535",
            )),
            _ => Ok(()),
        },
        MAXIMUM_PACKET_SIZE => match rest.u32()? {
            0 => Err(Bad::protocol(
                "a maximum packet size of 0; leave it out for none",
            )),
            _ => Ok(()),
        },
        // Whether an alias is one of those we offered, the session knows.
        TOPIC_ALIAS | TOPIC_ALIAS_MAXIMUM => rest.u16().map(drop),
        _ => Err(Bad::malformed("an unknown property")),
    }
}

fn flag(rest: &mut Walk<'_>, otherwise: &'static str) -> Result<bool, Bad> {
    match rest.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Bad::protocol(otherwise)),
    }
}
