//! One JSON value as a source sees it: a string, a number, or something that cannot be a part of a
//! reading.

use std::borrow::Cow;

use serde_json::Value;

use crate::source::{Reason, Stamped, TimeRule, number};

/// A JSON value, borrowed where it stands unescaped in the payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative whole number.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Neither string nor number; the word says which.
    Other(&'static str),
}

impl Scalar<'_> {
    /// A copy of a value out of a tree; null is nothing.
    pub(super) fn owned<'a>(value: &Value) -> Option<Scalar<'a>> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(true) => Scalar::Other("true"),
            Value::Bool(false) => Scalar::Other("false"),
            Value::Array(_) => Scalar::Other("[…]"),
            Value::Object(_) => Scalar::Other("{…}"),
            Value::String(text) => Scalar::Text(Cow::Owned(text.clone())),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(unsigned), _) => Scalar::Unsigned(unsigned),
                (None, Some(signed)) => Scalar::Signed(signed),
                (None, None) => Scalar::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
        })
    }

    /// The finite number it is or spells; `true` is 1 and `false` 0.
    pub(super) fn number(&self) -> Result<f64, Reason> {
        match self {
            Self::Text(text) => number::read(text),
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => {
                number::finite(self.as_f64().unwrap_or(f64::NAN))
            }
            // What a device's flag is sent as.
            Self::Other("true") => Ok(1.0),
            Self::Other("false") => Ok(0.0),
            Self::Other(what) => Err(Reason::NotANumber((*what).into())),
        }
    }

    /// The time it is, by a rule.
    pub(super) fn time(&self, rule: &TimeRule) -> Result<Stamped, Reason> {
        match self {
            Self::Text(text) => rule.read(text),
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => match self.as_f64() {
                Some(epoch) if rule.format.is_none() => TimeRule::read_epoch(epoch),
                Some(_) | None => rule.read(&self.shown()),
            },
            Self::Other(what) => Err(Reason::BadTime((*what).into())),
        }
    }

    /// A text that can name something: a string, or a whole number in decimal.
    pub(super) fn label(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Unsigned(number) => Some(Cow::Owned(number.to_string())),
            Self::Signed(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(_) | Self::Other(_) => None,
        }
    }

    /// The value as people read it, cut.
    pub(super) fn shown(&self) -> Box<str> {
        match self {
            Self::Text(text) => Reason::excerpt(text),
            Self::Unsigned(number) => number.to_string().into(),
            Self::Signed(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Other(what) => (*what).into(),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a JSON number is a double to us, however it is spelt"
    )]
    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(_) | Self::Other(_) => None,
        }
    }
}
