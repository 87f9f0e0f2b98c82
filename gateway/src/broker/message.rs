//! A message on its way to subscribers, free of any connection and protocol version. It owns its bytes:
//! a queued message of fifty bytes must not keep a read buffer of sixty-four thousand alive.

use super::lifetime::{Present, Remaining};
use super::limits::MESSAGE_OVERHEAD;
use super::pass::Passed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Format of [`Message::encode`].
const FORMAT: u8 = 1;

/// Quality of service, MQTT 5 section 4.3.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum Qos {
    /// 0: at most once.
    #[default]
    AtMostOnce = 0,
    /// 1: at least once.
    AtLeastOnce = 1,
    /// 2: exactly once.
    ExactlyOnce = 2,
}

impl Qos {
    /// From the two bits on the wire; 3 is no quality of service.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// The MQTT 5 properties of a PUBLISH that travel with the message (section 3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// 1: the payload is UTF-8.
    pub payload_format: Option<u8>,
    /// Lifetime in seconds.
    pub expiry_s: Option<u32>,
    /// MIME type or the like.
    pub content_type: Option<String>,
    /// Where a response goes.
    pub response_topic: Option<String>,
    /// What a response carries back.
    pub correlation: Option<Vec<u8>>,
    /// Name and value, in order.
    pub user: Vec<(String, String)>,
}

/// One published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic, then payload: one allocation.
    bytes: Box<[u8]>,
    topic_len: usize,
    qos: Qos,
    retain: bool,
    publisher: u64,
    passed: Option<Passed>,
    expires: Option<Instant>,
    properties: Option<Box<Properties>>,
}

/// A message for one subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// The lesser of the publish's and the subscription's.
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// Subscription identifiers, MQTT 5 section 3.8.2.1.2.
    pub(crate) identifiers: Vec<u32>,
    /// Its row in the store, where the session is persistent.
    pub(crate) ordinal: Option<u64>,
}

/// Why stored bytes are no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// Written by a newer version, or not by us.
    #[error("reading a stored message: format {0:?} is not {FORMAT}")]
    Format(Option<u8>),
    /// The body does not decode.
    #[error("reading a stored message")]
    Body(#[from] postcard::Error),
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    topic: &'a str,
    payload: &'a [u8],
    qos: Qos,
    retain: bool,
    properties: Option<Properties>,
    /// Of its lifetime, where it has one.
    remaining: Option<Remaining>,
}

impl Message {
    /// Copies topic and payload. `now` starts the lifetime that the properties may set; without it the
    /// message does not expire.
    #[must_use]
    pub fn new(topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Self {
        let mut bytes = Vec::with_capacity(topic.len() + payload.len());
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(payload);
        Self {
            bytes: bytes.into_boxed_slice(),
            topic_len: topic.len(),
            qos,
            retain,
            publisher: 0,
            passed: None,
            expires: None,
            properties: None,
        }
    }

    /// With properties; a lifetime among them starts at `now`.
    #[must_use]
    pub fn with_properties(mut self, properties: Option<Box<Properties>>, now: Instant) -> Self {
        let expiry_s = properties
            .as_ref()
            .and_then(|properties| properties.expiry_s);
        self.expires =
            expiry_s.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        self.properties = properties;
        self
    }

    pub(crate) fn published_by(mut self, key: u64) -> Self {
        self.publisher = key;
        self
    }

    pub(crate) fn passed_as(mut self, passed: Passed) -> Self {
        self.passed = Some(passed);
        self
    }

    /// The topic's bytes, valid UTF-8.
    #[must_use]
    pub fn topic(&self) -> &[u8] {
        &self.bytes[..self.topic_len]
    }

    /// The topic.
    #[must_use]
    pub fn topic_str(&self) -> &str {
        std::str::from_utf8(self.topic()).expect("a message is made from a &str topic")
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.topic_len..]
    }

    /// As published.
    #[must_use]
    pub fn qos(&self) -> Qos {
        self.qos
    }

    /// As published.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// As published.
    #[must_use]
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_deref()
    }

    pub(crate) fn publisher(&self) -> u64 {
        self.publisher
    }

    /// Set where its commit may still be to come.
    pub(crate) fn passed(&self) -> Option<Passed> {
        self.passed
    }

    /// Whether its lifetime is over.
    #[must_use]
    pub fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Seconds of lifetime left, to be sent on in place of the original.
    pub(crate) fn expiry_left_s(&self, now: Instant) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(now);
        // What has been waited counts in whole seconds: a message with less than one left still lives.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// What it costs a queue, bytes.
    pub(crate) fn weight(&self) -> usize {
        let extra = self.properties.as_ref().map_or(0, |properties| {
            let user: usize = properties
                .user
                .iter()
                .map(|(name, value)| name.len() + value.len() + 48)
                .sum();
            let text = properties.content_type.as_ref().map_or(0, String::len)
                + properties.response_topic.as_ref().map_or(0, String::len);
            user + text + properties.correlation.as_ref().map_or(0, Vec::len) + 128
        });
        self.bytes.len() + extra + MESSAGE_OVERHEAD
    }

    /// For the store, with what is left of its lifetime.
    #[must_use]
    pub(crate) fn encode(&self, present: Present) -> Vec<u8> {
        let stored = Stored {
            topic: self.topic_str(),
            payload: self.payload(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_deref().cloned(),
            remaining: self.expires.map(|end| Remaining::until(end, present)),
        };
        let out = vec![FORMAT];
        postcard::to_extend(&stored, out).expect("writing to memory does not fail")
    }

    /// What [`Message::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8], present: Present) -> Result<Self, MessageError> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => {
                let stored: Stored<'_> = postcard::from_bytes(body)?;
                let mut message =
                    Self::new(stored.topic, stored.payload, stored.qos, stored.retain);
                message.properties = stored.properties.map(Box::new);
                message.expires = stored
                    .remaining
                    .and_then(|remaining| present.now.checked_add(remaining.left(present)));
                Ok(message)
            }
            other => Err(MessageError::Format(other.map(|(format, _)| *format))),
        }
    }
}

/// A row of a persistent session's queue.
#[derive(Debug)]
pub(crate) enum Queued {
    /// A message that was not acknowledged yet.
    Waiting(Delivery),
    /// The client has it, at QoS 2; it has not said yet that the handshake is over.
    Released,
}

impl Queued {
    /// What [`Delivery::encode`] or [`crate::store::BrokerWrite::QueueRelease`] wrote.
    pub(crate) fn decode(
        bytes: &[u8],
        ordinal: u64,
        present: Present,
    ) -> Result<Self, MessageError> {
        match bytes.split_first() {
            None => Ok(Self::Released),
            Some((&FORMAT, body)) => {
                let ((qos, retain, identifiers), message) = postcard::take_from_bytes(body)?;
                Ok(Self::Waiting(Delivery {
                    message: Arc::new(Message::decode(message, present)?),
                    qos,
                    retain,
                    identifiers,
                    ordinal: Some(ordinal),
                }))
            }
            Some((&format, _)) => Err(MessageError::Format(Some(format))),
        }
    }
}

impl Delivery {
    /// A row of a persistent session's queue.
    pub(crate) fn encode(&self, present: Present) -> Vec<u8> {
        let head = (self.qos, self.retain, &self.identifiers);
        let mut out =
            postcard::to_extend(&head, vec![FORMAT]).expect("writing to memory does not fail");
        out.extend_from_slice(&self.message.encode(present));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::now;
    use crate::store::document::{example, hex};

    fn at(wall_ms: i64) -> Present {
        Present {
            now: now(),
            wall_ms: Some(wall_ms),
        }
    }

    #[test]
    fn a_row_gives_the_message_back_with_the_lifetime_that_is_left() {
        let properties = Properties {
            expiry_s: Some(60),
            user: vec![("a".into(), "b".into())],
            ..Properties::default()
        };
        let then = at(1_000_000);
        let message = Message::new("t/x", b"payload", Qos::ExactlyOnce, true)
            .with_properties(Some(Box::new(properties)), then.now);
        let delivery = Delivery {
            message: Arc::new(message),
            qos: Qos::AtLeastOnce,
            retain: true,
            identifiers: vec![5, 6],
            ordinal: Some(7),
        };
        let row = delivery.encode(then);
        for (wall_ms, left_s) in [(1_000_000, 60), (1_040_000, 20), (1_060_000, 0)] {
            let later = at(wall_ms);
            let Ok(Queued::Waiting(read)) = Queued::decode(&row, 7, later) else {
                panic!("what was written is read")
            };
            assert_eq!(read.message.expiry_left_s(later.now), Some(left_s));
            assert_eq!(read.message.expired(later.now), left_s == 0);
            assert_eq!(read.message.properties(), delivery.message.properties());
            assert_eq!(read.message.bytes, delivery.message.bytes);
            assert_eq!(
                (read.qos, read.retain, read.identifiers, read.ordinal),
                (Qos::AtLeastOnce, true, vec![5, 6], Some(7))
            );
        }
    }

    #[test]
    fn the_queued_message_in_the_document_is_the_one_in_the_store() {
        let present = at(1_800_000_000_000);
        let mut message = Message::new("t", b"x", Qos::AtLeastOnce, false);
        message.expires = Some(present.now + Duration::from_secs(60));
        let delivery = Delivery {
            message: Arc::new(message),
            qos: Qos::AtLeastOnce,
            retain: false,
            identifiers: vec![5],
            ordinal: Some(7),
        };
        let written = delivery.encode(present);
        assert_eq!(hex(&example("queued")), hex(&written));
    }

    #[test]
    fn what_was_not_written_so_is_refused() {
        assert!(matches!(
            Queued::decode(&[], 1, at(0)),
            Ok(Queued::Released)
        ));
        for row in [&[FORMAT][..], &[FORMAT + 1, 0, 0, 0], &[FORMAT, 9, 9, 9]] {
            assert!(Queued::decode(row, 1, at(0)).is_err(), "{row:?}");
        }
    }

    #[test]
    fn a_lifetime_is_sent_on_less_the_whole_seconds_that_it_waited() {
        let start = now();
        let properties = Properties {
            expiry_s: Some(5),
            ..Properties::default()
        };
        let message = Message::new("t", b"", Qos::AtMostOnce, false)
            .with_properties(Some(Box::new(properties)), start);
        let after = |ms| message.expiry_left_s(start + Duration::from_millis(ms));
        assert_eq!(after(0), Some(5));
        assert_eq!(after(999), Some(5));
        assert_eq!(after(1001), Some(4));
        assert_eq!(after(4999), Some(1));
        assert!(message.expired(start + Duration::from_secs(5)));
    }
}
