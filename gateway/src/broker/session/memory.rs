//! What of a session outlives its connection: received QoS 2 ids, what is in flight to the client, the
//! expiry. Subscriptions and queued messages live with its slot.

use crate::broker::hub::Will;
use crate::broker::lifetime::{Present, Remaining};
use crate::broker::limits::Limits;
use crate::broker::message::{Delivery, Properties, Qos};
use crate::broker::slot::{Grant, Slot};
use crate::broker::{BrokerWrite, locked};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Format of [`encode`].
const FORMAT: u8 = 1;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Ids of QoS 2 publishes received and not yet released.
    pub(crate) received: BTreeSet<u16>,
    /// Sent and not yet acknowledged, in the order of sending.
    pub(crate) in_flight: VecDeque<Flight>,
    pub(crate) last_id: u16,
    /// The highest ordinal that was sent.
    pub(crate) sent: u64,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) expiry_s: u32,
    /// The user who made it: nobody else goes on with it. `None`: anonymous.
    pub(crate) owner: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) id: u16,
    /// Of its row, where it has one.
    pub(crate) ordinal: Option<u64>,
    pub(crate) stage: Stage,
}

/// How far an outbound message is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// To be sent again, when the window allows.
    Unsent(Delivery),
    /// PUBLISH sent.
    Published(Delivery),
    /// PUBREC received, and on its way to disk.
    Releasing(Delivery),
    /// PUBREL sent, or about to be.
    Released,
}

/// Where the client is, as its row says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whereabouts<'a> {
    /// Connected.
    Here,
    /// Gone, and perhaps not yet declared dead.
    Away {
        /// Epoch milliseconds, where the wall clock was trusted.
        since_ms: Option<i64>,
        will: Option<&'a Will>,
    },
}

/// A session that the store held.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) memory: Memory,
    pub(crate) subscriptions: BTreeMap<String, Grant>,
    pub(crate) absence: Option<Absence>,
}

/// A client that was not connected when its row was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) since_ms: Option<i64>,
    pub(crate) will: Option<Box<Will>>,
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

impl Absence {
    /// What is left of a span that began when the client went.
    pub(crate) fn left(&self, span: Duration, present: Present) -> Duration {
        Remaining::whole(span, self.since_ms).left(present)
    }
}

/// The packet id of a queued message. It follows from the ordinal, so that it is the same after a restart
/// without having been written anywhere.
pub(crate) fn id_of(ordinal: u64) -> u16 {
    let round = ordinal.saturating_sub(1) % u64::from(u16::MAX);
    u16::try_from(round + 1).expect("1 to 65535")
}

#[derive(Serialize, Deserialize)]
struct Stored {
    expiry_s: u32,
    received: BTreeSet<u16>,
    subscriptions: BTreeMap<String, Grant>,
    sent: u64,
    away: Option<StoredAbsence>,
    owner: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAbsence {
    since_ms: Option<i64>,
    will: Option<StoredWill>,
}

#[derive(Serialize, Deserialize)]
struct StoredWill {
    topic: String,
    payload: Vec<u8>,
    qos: Qos,
    retain: bool,
    properties: Option<Box<Properties>>,
    delay_s: u32,
}

/// The change that makes a session's row say what is so.
pub(crate) fn row(slot: &Slot, memory: &Memory, whereabouts: Whereabouts<'_>) -> BrokerWrite {
    BrokerWrite::SessionSet {
        client: slot.client.as_ref().to_owned(),
        state: encode(memory, &locked(&slot.subscriptions), whereabouts),
    }
}

fn encode(
    memory: &Memory,
    subscriptions: &BTreeMap<String, Grant>,
    whereabouts: Whereabouts<'_>,
) -> Vec<u8> {
    let stored = Stored {
        expiry_s: memory.expiry_s,
        received: memory.received.clone(),
        subscriptions: subscriptions.clone(),
        sent: memory.sent,
        away: match whereabouts {
            Whereabouts::Here => None,
            Whereabouts::Away { since_ms, will } => Some(StoredAbsence {
                since_ms,
                will: will.map(StoredWill::of),
            }),
        },
        owner: memory.owner.clone(),
    };
    postcard::to_extend(&stored, vec![FORMAT]).expect("writing to memory does not fail")
}

/// What [`encode`] wrote; `None` if it did not write that.
pub(crate) fn decode(bytes: &[u8]) -> Option<Remembered> {
    let body = bytes.strip_prefix(&[FORMAT])?;
    let stored: Stored = postcard::from_bytes(body).ok()?;
    let absence = stored.away.map(|away| Absence {
        since_ms: away.since_ms,
        will: away.will.map(StoredWill::back).map(Box::new),
    });
    Some(Remembered {
        memory: Memory {
            received: stored.received,
            expiry_s: stored.expiry_s,
            sent: stored.sent,
            owner: stored.owner,
            ..Memory::default()
        },
        subscriptions: stored.subscriptions,
        absence,
    })
}

impl StoredWill {
    fn of(will: &Will) -> Self {
        Self {
            topic: String::from_utf8_lossy(&will.topic).into_owned(),
            payload: will.payload.to_vec(),
            qos: will.qos,
            retain: will.retain,
            properties: will.properties.clone(),
            delay_s: will.delay_s,
        }
    }

    fn back(self) -> Will {
        Will {
            topic: Bytes::from(self.topic),
            payload: Bytes::from(self.payload),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties,
            delay_s: self.delay_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::document::{example, hex};

    #[test]
    fn a_row_gives_the_session_back_whether_its_client_was_there_or_not() {
        let memory = Memory {
            received: [3, 9].into(),
            sent: 70_000,
            expiry_s: 60,
            ..Memory::default()
        };
        let grant = Grant {
            qos: Qos::ExactlyOnce,
            no_local: true,
            retain_as_published: false,
            identifier: Some(4),
        };
        let subscriptions = BTreeMap::from([("a/#".to_owned(), grant)]);
        let will = Will {
            topic: Bytes::from_static(b"w"),
            payload: Bytes::from_static(&[0xFF, 0]),
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: Some(Box::default()),
            delay_s: 30,
        };
        let away = Absence {
            since_ms: Some(1_800_000_000_000),
            will: Some(Box::new(will.clone())),
        };
        let gone = Whereabouts::Away {
            since_ms: away.since_ms,
            will: Some(&will),
        };
        for (whereabouts, absence) in [(Whereabouts::Here, None), (gone, Some(away))] {
            let row = encode(&memory, &subscriptions, whereabouts);
            let read = decode(&row).expect("what was written is read");
            assert_eq!(read.absence, absence);
            assert_eq!(read.subscriptions, subscriptions);
            assert_eq!(read.memory.received, memory.received);
            assert_eq!((read.memory.sent, read.memory.expiry_s), (70_000, 60));
            assert!(decode(&row[..row.len() - 1]).is_none());
        }
        assert!(decode(&[]).is_none() && decode(&[FORMAT + 1]).is_none());
    }

    #[test]
    fn the_session_in_the_document_is_the_one_in_the_store() {
        let memory = Memory {
            received: [9].into(),
            sent: 7,
            expiry_s: 600,
            ..Memory::default()
        };
        let grant = Grant {
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: true,
            identifier: Some(5),
        };
        let will = Will {
            topic: Bytes::from_static(b"w"),
            payload: Bytes::from_static(b"y"),
            qos: Qos::AtMostOnce,
            retain: false,
            properties: None,
            delay_s: 30,
        };
        let away = Whereabouts::Away {
            since_ms: Some(1_800_000_000_000),
            will: Some(&will),
        };
        let subscriptions = BTreeMap::from([("t".to_owned(), grant)]);
        let written = encode(&memory, &subscriptions, away);
        assert_eq!(hex(&example("session")), hex(&written));
    }

    #[test]
    fn packet_ids_go_round_and_are_never_0() {
        let ids = [1, 2, 65_535, 65_536, 131_071].map(id_of);
        assert_eq!(ids, [1, 2, 65_535, 1, 1]);
    }
}
