//! The `next` of a page of readings: where the following page begins.
//!
//! It names a place rather than a page number, so that readings which arrive in between neither
//! shift nor repeat a page. To everybody else it is opaque.

use std::fmt;
use std::str::FromStr;

use super::reading::Place;
use super::when::Moment;

/// The last reading of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) sensor: String,
    pub(super) place: Place,
}

/// A cursor that this gateway did not write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a `next` that this API has given")]
pub(super) struct Forged;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.place.time.ms(), self.place.tie)?;
        self.sensor
            .bytes()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = Forged;

    fn from_str(text: &str) -> Result<Self, Forged> {
        let mut parts = text.splitn(3, '.');
        let (Some(ms), Some(tie), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Forged);
        };
        let place = Place {
            time: Moment::from_ms(ms.parse().map_err(|_| Forged)?),
            tie: tie.parse().map_err(|_| Forged)?,
        };
        let cursor = Self {
            sensor: unhex(name).ok_or(Forged)?,
            place,
        };
        // One spelling only: what is not written back the same was not ours.
        if cursor.to_string() == text {
            Ok(cursor)
        } else {
            Err(Forged)
        }
    }
}

fn unhex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_given() {
        let place = Place {
            time: Moment::from_ms(-5),
            tie: u64::MAX,
        };
        let cursor = Cursor {
            sensor: "Küche/TH.1 &".to_owned(),
            place,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn a_forged_cursor_is_refused() {
        for text in [
            "",
            "1.2",
            "1.2.zz",
            "1.2.4",
            "+1.2.57",
            "1.2.ff",
            "a.b.57",
            "1.2.57.58",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(Forged), "{text}");
        }
    }
}
