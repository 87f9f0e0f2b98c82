//! What of a session outlives its connection: received QoS 2 ids, what is in flight to the client, the
//! expiry. Subscriptions and queued messages live with its slot.

use crate::broker::limits::Limits;
use crate::broker::message::Delivery;
use crate::broker::slot::Grant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Format of [`encode`].
const FORMAT: u8 = 2;
/// The one before it, which knew no owners.
const WITHOUT_OWNER: u8 = 1;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Ids of QoS 2 publishes received and not yet released.
    pub(crate) received: BTreeSet<u16>,
    /// Sent and not yet acknowledged, in the order of sending.
    pub(crate) in_flight: VecDeque<Flight>,
    pub(crate) last_id: u16,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) expiry_s: u32,
    /// The user who made it: nobody else goes on with it. `None`: anonymous.
    pub(crate) owner: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) id: u16,
    pub(crate) stage: Stage,
    pub(crate) delivery: Delivery,
}

/// How far an outbound message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To be sent again, when the window allows.
    Unsent,
    /// PUBLISH sent.
    Published,
    /// PUBREL sent.
    Released,
}

impl Memory {
    /// How long it is kept after the connection is gone.
    pub(crate) fn expiry(&self, limits: &Limits) -> Duration {
        match self.expiry_s {
            u32::MAX => limits.session_expiry,
            seconds => Duration::from_secs(seconds.into()).min(limits.session_expiry),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    expiry_s: u32,
    received: BTreeSet<u16>,
    subscriptions: BTreeMap<String, Grant>,
}

/// A session's row.
pub(crate) fn encode(memory: &Memory, subscriptions: &BTreeMap<String, Grant>) -> Vec<u8> {
    let stored = Stored {
        expiry_s: memory.expiry_s,
        received: memory.received.clone(),
        subscriptions: subscriptions.clone(),
    };
    postcard::to_extend(&(stored, &memory.owner), vec![FORMAT])
        .expect("writing to memory does not fail")
}

/// What [`encode`] wrote; `None` if it did not write that.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Memory, BTreeMap<String, Grant>)> {
    let (stored, owner): (Stored, Option<String>) = match bytes.split_first()? {
        (&FORMAT, body) => postcard::from_bytes(body).ok()?,
        (&WITHOUT_OWNER, body) => (postcard::from_bytes(body).ok()?, None),
        (_, _) => return None,
    };
    let memory = Memory {
        received: stored.received,
        expiry_s: stored.expiry_s,
        owner,
        ..Memory::default()
    };
    Some((memory, stored.subscriptions))
}
