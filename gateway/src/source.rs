//! Payload to readings: what a message of a mapped topic says, or why nobody can tell.
//!
//! Pure: no clock, no I/O, no state between messages. It never judges a reading against its sensor
//! (range, lateness, identity); that is the ingest's, which shares the [`Reason`]s of the dead
//! letters.

mod filter;
pub mod json;
mod name;
mod number;
mod reason;
mod shard;
mod template;
mod text;
mod time;

use std::fmt;
use std::ops::Deref;

pub use filter::{Filter, FilterError};
pub use name::{MAX_NAME_BYTES, Name};
pub use reason::Reason;
pub(crate) use shard::home;
pub use shard::{Belongs, MAX_SHARDS, Shard, ShardError};
pub use template::{Template, TemplateError};
pub use time::{Stamped, TimeFlag, TimeFormat, TimeFormatError, TimeRule};

/// What a message turned out to be.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Verdict {
    /// It holds readings.
    Readings(Readings),
    /// Its topic is mapped, but nothing can be made of it.
    Letter(Reason),
    /// No source maps its topic: it is nobody's business but the subscribers'.
    NotMapped,
}

/// One reading as the message says it, before its sensor's rules are applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The sensor's name, from the payload or the topic.
    pub sensor: Name,
    /// When it was measured.
    pub time: Stamped,
    /// The value as sent, finite, in the device's unit.
    pub value: f64,
    /// The message's own id, where the source names one.
    pub id: Option<Box<str>>,
}

/// The readings of one message, at least one; a single one takes no allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings(Held);

#[derive(Clone, Debug, PartialEq)]
enum Held {
    One(Decoded),
    Many(Vec<Decoded>),
}

/// How to read the messages of one topic filter.
#[derive(Clone, Debug)]
pub struct Source {
    /// The topics it reads.
    pub filter: Filter,
    /// Where the sensor's name comes from, unless the payload holds it.
    pub naming: Naming,
    /// The shape of the payload.
    pub format: Format,
}

/// A sensor's name out of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The last level: `sensors/kitchen/TH1` is `TH1`.
    LastLevel,
    /// Chosen levels: `{2}/{3}` makes `kitchen/TH1` of it.
    Levels(Template),
}

/// The shape of a payload.
#[derive(Clone, Debug)]
pub enum Format {
    /// A JSON document, read by pointers.
    Json(Box<json::Spec>),
    /// A bare number.
    Number,
    /// A number and perhaps a unit: `21.5 °C`.
    Text,
}

/// All sources, in the order of the configuration: the first whose filter matches reads the
/// message.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Sources in order of precedence.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self(sources)
    }

    /// Whether a message on this topic would be read.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.find(topic).is_some()
    }

    /// Reads one message.
    pub fn decode(&self, topic: &str, payload: &[u8]) -> Verdict {
        match self.find(topic) {
            None => Verdict::NotMapped,
            Some(source) => match source.decode(topic, payload) {
                Ok(one) => Verdict::Readings(Readings(Held::One(one))),
                Err(reason) => Verdict::Letter(reason),
            },
        }
    }

    fn find(&self, topic: &str) -> Option<&Source> {
        if filter::reserved(topic) {
            return None;
        }
        self.0.iter().find(|source| source.filter.matches(topic))
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        Self::new(sources.into_iter().collect())
    }
}

impl Deref for Sources {
    type Target = [Source];

    fn deref(&self) -> &[Source] {
        &self.0
    }
}

impl Source {
    fn decode(&self, topic: &str, payload: &[u8]) -> Result<Decoded, Reason> {
        let payload = std::str::from_utf8(payload).map_err(|_| Reason::NotUtf8)?;
        match &self.format {
            Format::Json(spec) => {
                let found = spec.find(payload)?;
                let sensor = match &spec.sensor {
                    Some(_) => Name::new(&found.sensor()?)?,
                    None => self.naming.name(topic)?,
                };
                Ok(Decoded {
                    sensor,
                    value: found.value()?,
                    time: found.time(spec)?,
                    id: found.id(spec),
                })
            }
            Format::Number => self.untimed(topic, number::read(payload)?),
            Format::Text => self.untimed(topic, text::read(payload)?),
        }
    }

    fn untimed(&self, topic: &str, value: f64) -> Result<Decoded, Reason> {
        Ok(Decoded {
            sensor: self.naming.name(topic)?,
            time: Stamped::Arrival,
            value,
            id: None,
        })
    }
}

impl Naming {
    fn name(&self, topic: &str) -> Result<Name, Reason> {
        match self {
            Self::LastLevel => Name::new(topic.rsplit('/').next().unwrap_or(topic)),
            Self::Levels(template) => Name::new(&template.fill(topic)?),
        }
    }
}

impl Readings {
    /// The readings of a message that holds several; none is not a reading at all.
    #[must_use]
    pub fn many(readings: Vec<Decoded>) -> Option<Self> {
        (!readings.is_empty()).then_some(Self(Held::Many(readings)))
    }
}

impl From<Decoded> for Readings {
    fn from(one: Decoded) -> Self {
        Self(Held::One(one))
    }
}

impl Deref for Readings {
    type Target = [Decoded];

    fn deref(&self) -> &[Decoded] {
        match &self.0 {
            Held::One(one) => std::slice::from_ref(one),
            Held::Many(many) => many,
        }
    }
}

impl<'a> IntoIterator for &'a Readings {
    type Item = &'a Decoded;
    type IntoIter = std::slice::Iter<'a, Decoded>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastLevel => f.write_str("the last level of the topic"),
            Self::Levels(template) => template.fmt(f),
        }
    }
}
