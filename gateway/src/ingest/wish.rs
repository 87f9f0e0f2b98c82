//! What a message on one of the gateway's own topics asks of it: to acknowledge an alert, or to say discovery again.
//! It decides what is meant, and does nothing of it.

use crate::alert::AlertId;
use crate::broker::{Incoming, OwnTopics};
use crate::homeassistant::{BIRTH, BIRTH_TOPIC};
use serde_json::Value;

/// The longest name of who acknowledges, in characters.
const NAME_CHARS: usize = 64;
/// Who, where nobody says.
const SOMEBODY: &str = "MQTT";

/// What Home Assistant is told again at most, however often somebody says that it came.
const ECHO_EVERY_MS: u64 = 5_000;

/// What is asked.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing: it is a message like any other.
    None,
    /// Somebody knows of an alert.
    Acknowledge {
        /// Which; it need not be one that exists.
        id: AlertId,
        /// Who.
        by: String,
    },
    /// The same for good, which nobody can mean: it would acknowledge what comes later, too.
    AcknowledgeForGood(AlertId),
    /// Home Assistant has come back.
    SayAgain,
}

impl Wish {
    /// What a publish asks.
    pub(super) fn of<D>(own: &OwnTopics, incoming: &Incoming<D>) -> Self {
        let topic = incoming.topic_str();
        if topic == BIRTH_TOPIC && *incoming.payload == *BIRTH {
            return Self::SayAgain;
        }
        match own.acknowledged(topic) {
            None => Self::None,
            Some(id) if incoming.retain => Self::AcknowledgeForGood(id),
            Some(id) => Self::Acknowledge {
                id,
                by: who(&incoming.payload, incoming.by.as_deref()),
            },
        }
    }
}

/// `{"by": "Anna"}`, or text that is a name; else who published it.
fn who(payload: &[u8], publisher: Option<&str>) -> String {
    let said = match serde_json::from_slice(payload) {
        Ok(Value::Object(fields)) => fields.get("by").and_then(Value::as_str).map(clean),
        Ok(Value::String(name)) => Some(clean(&name)),
        // `1`, `true`: what a button sends that has to send something.
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => None,
        Err(_) => std::str::from_utf8(payload).ok().map(clean),
    };
    let named = |name: &String| !name.is_empty();
    said.filter(named)
        .or_else(|| publisher.map(clean).filter(named))
        .unwrap_or_else(|| SOMEBODY.to_owned())
}

/// A name as it is fit for a line of a log and of a table.
fn clean(name: &str) -> String {
    let printed = name.trim().chars().filter(|letter| !letter.is_control());
    printed.take(NAME_CHARS).collect()
}

/// Whether discovery is to be said again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Echo {
    is_asked: bool,
    said_ms: Option<u64>,
}

impl Echo {
    /// Somebody asks.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// Whether to say it now; it counts as said.
    pub(super) fn is_due(&mut self, monotonic_ms: u64) -> bool {
        let rested = |said: u64| monotonic_ms.saturating_sub(said) >= ECHO_EVERY_MS;
        let is_due = self.is_asked && self.said_ms.is_none_or(rested);
        if is_due {
            *self = Self {
                is_asked: false,
                said_ms: Some(monotonic_ms),
            };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Qos;
    use bytes::Bytes;

    fn wish(topic: &'static str, payload: &'static str, retain: bool) -> Wish {
        let own = OwnTopics::of_site("home");
        let incoming = Incoming {
            origin: 1,
            topic: Bytes::from_static(topic.as_bytes()),
            payload: Bytes::from_static(payload.as_bytes()),
            qos: Qos::AtLeastOnce,
            retain,
            packet_id: 1,
            props: None,
            decoded: (),
            by: Some("kitchen-tablet".into()),
            passed: None,
        };
        Wish::of(&own, &incoming)
    }

    #[test]
    fn who_acknowledges_is_who_is_named_and_else_who_published() {
        for (payload, expected) in [
            (r#"{"by":"Anna"}"#, "Anna"),
            (r#"{"by":""}"#, "kitchen-tablet"),
            (r#"{"why":"known"}"#, "kitchen-tablet"),
            (r#""Anna""#, "Anna"),
            ("Anna", "Anna"),
            (" Anna\n", "Anna"),
            ("A\u{1b}[31mnna", "A[31mnna"),
            ("", "kitchen-tablet"),
            ("1", "kitchen-tablet"),
            ("true", "kitchen-tablet"),
            ("[]", "kitchen-tablet"),
        ] {
            let expected = Wish::Acknowledge {
                id: AlertId::new("balance", "water"),
                by: expected.to_owned(),
            };
            let topic = "sluice/home/alert/balance-water/ack";
            assert_eq!(wish(topic, payload, false), expected, "{payload}");
        }
        assert_eq!(who(b"\xff", None), SOMEBODY);
        assert_eq!(who("ü".repeat(100).as_bytes(), None), "ü".repeat(64));
    }

    #[test]
    fn a_retained_acknowledgement_acknowledges_nothing() {
        let id = AlertId::new("balance", "water");
        let topic = "sluice/home/alert/balance-water/ack";
        assert_eq!(wish(topic, "Anna", true), Wish::AcknowledgeForGood(id));
    }

    #[test]
    fn home_assistant_is_heard_when_it_comes_and_not_when_it_goes() {
        assert_eq!(wish(BIRTH_TOPIC, "online", false), Wish::SayAgain);
        assert_eq!(wish(BIRTH_TOPIC, "online", true), Wish::SayAgain);
        assert_eq!(wish(BIRTH_TOPIC, "offline", false), Wish::None);
    }

    #[test]
    fn who_asks_again_and_again_is_answered_every_five_seconds() {
        let mut echo = Echo::default();
        let answered: Vec<u64> = (0..20_000)
            .step_by(100)
            .filter(|ms| {
                echo.ask();
                echo.is_due(*ms)
            })
            .collect();
        assert_eq!(answered, [0, 5_000, 10_000, 15_000]);
        assert!(!Echo::default().is_due(0), "nobody asked");
    }

    #[test]
    fn other_topics_ask_nothing() {
        for topic in [
            "sensors/TH1",
            "sluice/other/alert/7f/ack",
            "sluice/home/alert/7f",
        ] {
            assert_eq!(wish(topic, "online", false), Wish::None, "{topic}");
        }
    }
}
