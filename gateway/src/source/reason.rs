//! Why a message or a reading went to the dead letters: a stable code for machines, a sentence for
//! people.

use thiserror::Error;

/// How much of a payload's text a reason repeats, in characters.
const EXCERPT_CHARS: usize = 40;

/// Why there is a dead letter. Decoding gives the first group, the judgement of a reading the
/// second.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Reason {
    /// The payload is not UTF-8.
    #[error("the payload is not UTF-8 text")]
    NotUtf8,
    /// The payload is not one JSON document.
    #[error("the payload is not JSON: {0}")]
    NotJson(Box<str>),
    /// The payload does not hold the sensor's name.
    #[error("the payload holds no sensor name where the source points")]
    MissingName,
    /// The name breaks a rule.
    #[error("{name:?} cannot name a sensor: {broken}")]
    BadName {
        /// The name, cut.
        name: Box<str>,
        /// The rule.
        broken: &'static str,
    },
    /// The topic has fewer levels than the source's template asks for.
    #[error("the topic has no level {0}")]
    MissingLevel(usize),
    /// The payload does not hold a value.
    #[error("the payload holds no value where the source points")]
    MissingValue,
    /// The value is something else than a number.
    #[error("the value {0} is not a number")]
    NotANumber(Box<str>),
    /// The value is infinite or not a number in the floating point sense.
    #[error("the value is not finite")]
    NonFinite,
    /// The payload does not hold a time.
    #[error("the payload holds no time where the source points")]
    MissingTime,
    /// The time cannot be read.
    #[error("{0} is not a time that the source can read")]
    BadTime(Box<str>),
    /// The payload does not hold a message id.
    #[error("the payload holds no message id, which a sensor with on_conflict = \"add\" needs")]
    MissingId,

    /// No `[[sensor]]` matches the name.
    #[error("no [[sensor]] matches the name")]
    UnknownSensor,
    /// The store holds as many sensors as it may.
    #[error("there are {cap} sensors already, the most that are kept")]
    TooManySensors {
        /// The cap.
        cap: usize,
    },
    /// The value, scaled, is below the sensor's `min`.
    #[error("{value} is below the sensor's min of {min}")]
    RangeMin {
        /// The scaled value.
        value: f64,
        /// The bound.
        min: f64,
    },
    /// The value, scaled, is above the sensor's `max`.
    #[error("{value} is above the sensor's max of {max}")]
    RangeMax {
        /// The scaled value.
        value: f64,
        /// The bound.
        max: f64,
    },
    /// The time lies outside [2000-01-01, 2100-01-01).
    #[error("the time is outside the years 2000 to 2099")]
    TimeOutOfRange,
    /// The time lies further ahead of a trusted clock than `future_tolerance`.
    #[error("the time is {ahead_ms} ms ahead of the clock")]
    FutureTime {
        /// How far ahead, in milliseconds.
        ahead_ms: i64,
    },
    /// So many readings without a time wait for the clock to be set that the oldest must go.
    #[error(
        "{cap} readings without a time wait for the clock to be set, the most that do; this was the \
         oldest: set the clock"
    )]
    TooManyWait {
        /// The cap.
        cap: usize,
    },
    /// Another value is held for this identity and `on_conflict = "keep"`.
    #[error("the value {held} is held for this time, and on_conflict is \"keep\"")]
    ConflictKept {
        /// The value that stays.
        held: f64,
    },
}

impl Reason {
    /// A stable code, the same for every message with this fault.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson(_) => "not_json",
            Self::MissingName => "missing_name",
            Self::BadName { .. } => "bad_name",
            Self::MissingLevel(_) => "missing_level",
            Self::MissingValue => "missing_value",
            Self::NotANumber(_) => "not_a_number",
            Self::NonFinite => "non_finite",
            Self::MissingTime => "missing_time",
            Self::BadTime(_) => "bad_time",
            Self::MissingId => "missing_id",
            Self::UnknownSensor => "unknown_sensor",
            Self::TooManySensors { .. } => "too_many_sensors",
            Self::RangeMin { .. } => "range_min",
            Self::RangeMax { .. } => "range_max",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::FutureTime { .. } => "future_time",
            Self::TooManyWait { .. } => "too_many_wait",
            Self::ConflictKept { .. } => "conflict_kept",
        }
    }

    /// As much of a payload's text as a reason repeats.
    pub(super) fn excerpt(text: &str) -> Box<str> {
        match text.char_indices().nth(EXCERPT_CHARS) {
            Some((cut, _)) => format!("{}…", &text[..cut]).into(),
            None => text.into(),
        }
    }

    /// An excerpt between quotes, for text that stands where something else should.
    pub(super) fn quoted(text: &str) -> Box<str> {
        format!("{:?}", Self::excerpt(text)).into()
    }
}
