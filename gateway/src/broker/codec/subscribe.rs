//! SUBSCRIBE and UNSUBSCRIBE. Read here from the first byte: rumqttd takes subscription options that the
//! standard reserves. Whether a filter is a good one is not decided here: that has a reason code of its own.

use super::properties::{self, Place};
use super::walk::Walk;
use super::{Bad, Reason, Version};
use crate::broker::hub::RetainHandling;
use crate::broker::limits::SUBSCRIPTIONS_PER_CLIENT;
use crate::broker::message::Qos;
use crate::broker::slot::Grant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    /// At least one, and at most [`SUBSCRIPTIONS_PER_CLIENT`].
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
    /// At least one, and at most [`SUBSCRIPTIONS_PER_CLIENT`].
    pub(crate) filters: Vec<String>,
}

/// `body`: what follows the fixed header.
pub(super) fn subscribe(body: &[u8], version: Version) -> Result<Subscribe, Bad> {
    let mut walk = Walk::over(body);
    let id = walk.packet_id()?;
    let identifier = match version {
        Version::V4 => None,
        Version::V5 => properties::read(&mut walk, Place::Subscribe)?.subscription,
    };
    let mut filters = Vec::new();
    while !walk.is_at_end() {
        has_room(filters.len())?;
        let filter = walk.text()?.to_owned();
        let (grant, handling) = options(walk.byte()?, version, identifier)?;
        filters.push(Wanted {
            filter,
            grant,
            handling,
        });
    }
    if filters.is_empty() {
        return Err(Bad::protocol(
            "a SUBSCRIBE without filters; name at least one",
        ));
    }
    Ok(Subscribe { id, filters })
}

/// `body`: what follows the fixed header.
pub(super) fn unsubscribe(body: &[u8], version: Version) -> Result<Unsubscribe, Bad> {
    let mut walk = Walk::over(body);
    let id = walk.packet_id()?;
    match version {
        Version::V4 => {}
        Version::V5 => properties::read(&mut walk, Place::Unsubscribe).map(drop)?,
    }
    let mut filters = Vec::new();
    while !walk.is_at_end() {
        has_room(filters.len())?;
        filters.push(walk.text()?.to_owned());
    }
    if filters.is_empty() {
        return Err(Bad::protocol(
            "an UNSUBSCRIBE without filters; name at least one",
        ));
    }
    Ok(Unsubscribe { id, filters })
}

fn has_room(filters: usize) -> Result<(), Bad> {
    if filters < SUBSCRIPTIONS_PER_CLIENT {
        Ok(())
    } else {
        Err(Bad {
            reason: Reason::QuotaExceeded,
            what: "more than 1000 filters in one packet; use wildcards",
        })
    }
}

/// MQTT 5, section 3.8.3.1; 3.1.1 has the QoS alone.
fn options(
    byte: u8,
    version: Version,
    identifier: Option<u32>,
) -> Result<(Grant, RetainHandling), Bad> {
    let reserved = match version {
        Version::V4 => 0xFC,
        Version::V5 => 0xC0,
    };
    if byte & reserved != 0 {
        return Err(Bad::malformed(
            "reserved subscription options are set; clear them",
        ));
    }
    let qos = Qos::from_bits(byte & 3)
        .ok_or(Bad::malformed("a subscription at QoS 3; ask for 0, 1 or 2"))?;
    let handling = match byte >> 4 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(Bad::protocol("retain handling 3; ask for 0, 1 or 2")),
    };
    let grant = Grant {
        qos,
        no_local: byte & 0x04 != 0,
        retain_as_published: byte & 0x08 != 0,
        identifier,
    };
    Ok((grant, handling))
}
