//! Readings out of JSON documents, by pointers.
//!
//! Most messages are one flat object of which three keys matter. Those are read in one walk that
//! borrows from the payload and builds no tree; only pointers that go deeper pay for a whole
//! document.

mod flat;
mod scalar;

use std::borrow::Cow;

use serde_json::Value;
use thiserror::Error;

use super::{Reason, Stamped, TimeRule};
use scalar::Scalar;

/// Where a JSON source finds what.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The sensor's name; `None`: it comes from the topic.
    pub sensor: Option<Pointer>,
    /// The value: a number, a string that is one, or `true` (1) or `false` (0).
    pub value: Pointer,
    /// The time and how to read it; `None`: the time of arrival.
    pub time: Option<(Pointer, TimeRule)>,
    /// The message's id.
    pub id: Option<Pointer>,
}

/// A JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    /// The key, where the pointer has a single step that cannot be an index into an array.
    flat: Option<String>,
}

/// Why a text is not a JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PointerError {
    /// Steps are separated, and the first is preceded, by a slash.
    #[error("does not start with /")]
    NoSlash,
    /// `~0` is a tilde, `~1` a slash.
    #[error("has a ~ that is neither ~0 nor ~1")]
    Tilde,
}

/// What a source may look for in a document.
#[derive(Clone, Copy, Debug)]
enum Part {
    Sensor,
    Value,
    Time,
    Id,
}

/// How many [`Part`]s there are.
const PARTS: usize = 4;

/// What the pointers of a [`Spec`] lead to in one document, in the order of [`Part`]; `None`:
/// nothing there, or null.
#[derive(Debug, Default)]
pub(super) struct Found<'a>([Option<Scalar<'a>>; PARTS]);

impl Pointer {
    /// Checks a pointer.
    ///
    /// # Errors
    /// Says which rule of RFC 6901 it breaks.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash);
        }
        let escapes_end_well = text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']));
        if !escapes_end_well {
            return Err(PointerError::Tilde);
        }
        let flat = text
            .strip_prefix('/')
            .filter(|key| !key.contains('/') && key.parse::<usize>().is_err())
            .map(|key| key.replace("~1", "/").replace("~0", "~"));
        Ok(Self {
            text: text.to_owned(),
            flat,
        })
    }

    /// The pointer as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Spec {
    /// Follows all pointers; the document must be JSON to its last byte.
    pub(super) fn find<'a>(&self, document: &'a str) -> Result<Found<'a>, Reason> {
        let object = document.trim_ascii_start().starts_with('{');
        let keys = if object { self.flat_keys() } else { None };
        match keys {
            Some(keys) => flat::find(document, &keys),
            None => self.find_deep(document),
        }
        .map_err(|error| Reason::NotJson(error.to_string().into()))
    }

    fn pointers(&self) -> [Option<&Pointer>; PARTS] {
        [
            self.sensor.as_ref(),
            Some(&self.value),
            self.time.as_ref().map(|(pointer, _)| pointer),
            self.id.as_ref(),
        ]
    }

    /// The keys, if all pointers are flat.
    fn flat_keys(&self) -> Option<flat::Keys<'_>> {
        let mut keys = [None; PARTS];
        for (key, pointer) in keys.iter_mut().zip(self.pointers()) {
            if let Some(pointer) = pointer {
                *key = Some(pointer.flat.as_deref()?);
            }
        }
        Some(flat::Keys(keys))
    }

    fn find_deep<'a>(&self, document: &'a str) -> Result<Found<'a>, serde_json::Error> {
        let document: Value = serde_json::from_str(document)?;
        let at = |pointer: &Pointer| document.pointer(&pointer.text).and_then(Scalar::owned);
        Ok(Found(self.pointers().map(|pointer| pointer.and_then(at))))
    }
}

impl<'a> Found<'a> {
    fn part(&self, part: Part) -> Option<&Scalar<'a>> {
        self.0[part as usize].as_ref()
    }

    /// The sensor's name, not yet checked. Whole numbers name sensors too: radio meters send them.
    pub(super) fn sensor(&self) -> Result<Cow<'_, str>, Reason> {
        let found = self.part(Part::Sensor).ok_or(Reason::MissingName)?;
        found.label().ok_or_else(|| Reason::BadName {
            name: found.shown(),
            broken: "it is neither a string nor a whole number",
        })
    }

    /// The value.
    pub(super) fn value(&self) -> Result<f64, Reason> {
        let found = self.part(Part::Value).ok_or(Reason::MissingValue)?;
        found.number()
    }

    /// The time, by the source's rule.
    pub(super) fn time(&self, spec: &Spec) -> Result<Stamped, Reason> {
        let Some((_, rule)) = &spec.time else {
            return Ok(Stamped::Arrival);
        };
        let found = self.part(Part::Time).ok_or(Reason::MissingTime)?;
        found.time(rule)
    }

    /// The message's id, where the source names one and the message has it. Whether it must have
    /// one depends on its sensor.
    pub(super) fn id(&self, spec: &Spec) -> Option<Box<str>> {
        spec.id.as_ref()?;
        Some(self.part(Part::Id)?.label()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_follow_rfc_6901() {
        for (pointer, expected) in [
            ("", Ok(None)),
            ("/value", Ok(Some("value"))),
            ("/", Ok(Some(""))),
            ("/a~1b~0c", Ok(Some("a/b~c"))),
            ("/0", Ok(None)),
            ("/a/b", Ok(None)),
            ("value", Err(PointerError::NoSlash)),
            ("/a~2", Err(PointerError::Tilde)),
            ("/a~", Err(PointerError::Tilde)),
        ] {
            let parsed = Pointer::new(pointer).map(|pointer| pointer.flat);
            assert_eq!(
                parsed.as_ref().map(|flat| flat.as_deref()),
                expected.as_ref().copied(),
                "{pointer:?}"
            );
        }
    }
}
