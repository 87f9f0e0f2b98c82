//! The common document: one object, of which a few top-level keys matter. It is walked once, to its
//! last byte; strings are borrowed and everything else is skipped. Of a key that stands twice the
//! last counts, as everywhere in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Found, PARTS, Scalar};

/// The top-level keys that matter, in the order of [`Part`](super::Part).
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'s>(pub(super) [Option<&'s str>; PARTS]);

/// Which parts of a reading one key of the document holds: none for most, several if the source
/// says so.
type Roles = [bool; PARTS];

/// Reads the keys out of a document that is an object.
pub(super) fn find<'a>(document: &'a str, keys: &Keys<'_>) -> Result<Found<'a>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(document);
    let found = keys.deserialize(&mut json)?;
    json.end()?;
    Ok(found)
}

impl Keys<'_> {
    fn roles(&self, key: &str) -> Roles {
        self.0.map(|wanted| wanted == Some(key))
    }
}

impl<'de> DeserializeSeed<'de> for &Keys<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(Object(self))
    }
}

struct Object<'k, 's>(&'k Keys<'s>);

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::default();
        while let Some(roles) = map.next_key_seed(Key(self.0))? {
            if roles == [false; PARTS] {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let scalar = map.next_value_seed(AnyScalar)?;
            for (part, _) in found.0.iter_mut().zip(roles).filter(|(_, wanted)| *wanted) {
                part.clone_from(&scalar);
            }
        }
        Ok(found)
    }
}

struct Key<'k, 's>(&'k Keys<'s>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Roles;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Roles, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Roles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Roles, E> {
        Ok(self.0.roles(key))
    }
}

/// Any JSON value, as far as a source can use it; null is nothing.
struct AnyScalar;

impl<'de> DeserializeSeed<'de> for AnyScalar {
    type Value = Option<Scalar<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyScalar {
    type Value = Option<Scalar<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Flag(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Unsigned(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Signed(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Float(value)))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Scalar::Other("[…]")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Scalar::Other("{…}")))
    }
}
