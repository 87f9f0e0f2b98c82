//! A sensor's name as it travels from the socket to the writer: checked once, small enough not to
//! allocate.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::Reason;

/// The longest name of a sensor, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Names up to this many bytes live inside the value; it makes [`Name`] three words.
const INLINE_BYTES: usize = 22;

/// A valid sensor name: 1 to 128 bytes of UTF-8 without `+`, `#` and NUL.
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<str>),
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Reason::BadName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, Reason> {
        let broken = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME_BYTES {
            "it is longer than 128 bytes"
        } else if name.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
            "it holds one of + # NUL"
        } else {
            return Ok(Self(Repr::of(name)));
        };
        Err(Reason::BadName {
            name: Reason::excerpt(name),
            broken,
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline { len, bytes } => std::str::from_utf8(&bytes[..usize::from(*len)])
                .expect("the bytes were copied from a str, whole"),
            Repr::Heap(name) => name,
        }
    }
}

impl Repr {
    fn of(name: &str) -> Self {
        match u8::try_from(name.len()) {
            Ok(len) if name.len() <= INLINE_BYTES => {
                let mut bytes = [0; INLINE_BYTES];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(name.into()),
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_three_words_and_keeps_its_text_at_every_length() {
        assert_eq!(size_of::<Name>(), 24);
        for length in 1..=MAX_NAME_BYTES {
            let text = "n".repeat(length);
            assert_eq!(Name::new(&text).expect("a valid name").as_str(), text);
        }
        assert_eq!(
            Name::new("Küche/Wärme 💧").expect("valid").as_str(),
            "Küche/Wärme 💧"
        );
    }

    #[test]
    fn names_that_cannot_stand_in_a_topic_are_refused() {
        for name in ["", "a+b", "#", "a\0", &"n".repeat(129)] {
            assert_eq!(
                Name::new(name).expect_err("a bad name").code(),
                "bad_name",
                "{name:?}"
            );
        }
    }
}
