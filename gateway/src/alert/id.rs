//! What an alert is known by: who claims, and of what. Fit for a topic's level, a path's segment and a key.

use serde::{Deserialize, Serialize};

/// An alert's id: the detector and its subject, `persist-Wtot`, `balance-h0001:water`, `store-full`.
///
/// A slash is a colon; anything but letters, digits, `.`, `_`, `-` is `=` and its two hexadecimal digits, so
/// that two subjects never have one id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(String);

impl AlertId {
    /// The alert of a detector about a sensor, a balance or a part of the gateway.
    #[must_use]
    pub fn new(detector: &str, subject: &str) -> Self {
        let mut id = String::with_capacity(detector.len() + subject.len() + 1);
        id.push_str(detector);
        id.push('-');
        for byte in subject.bytes() {
            match byte {
                b'/' => id.push(':'),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                    id.push(char::from(byte));
                }
                _ => id.push_str(&format!("={byte:02X}")),
            }
        }
        Self(id)
    }

    /// An id as somebody wrote it; it need not be one that exists.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The detector's word and the subject that it was made of; `None`: it is no such id.
    #[must_use]
    pub fn detector_and_subject(&self) -> Option<(&str, String)> {
        let (detector, escaped) = self.0.split_once('-')?;
        let mut subject = Vec::with_capacity(escaped.len());
        let mut bytes = escaped.bytes();
        while let Some(byte) = bytes.next() {
            subject.push(match byte {
                b':' => b'/',
                b'=' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    let digits = std::str::from_utf8(&digits).ok()?;
                    u8::from_str_radix(digits, 16).ok()?
                }
                plain => plain,
            });
        }
        Some((detector, String::from_utf8(subject).ok()?))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_fit_for_topics_and_paths_and_no_two_subjects_share_one() {
        let id = |subject| AlertId::new("persist", subject).to_string();
        assert_eq!(id("Wtot"), "persist-Wtot");
        assert_eq!(id("h0001/W1"), "persist-h0001:W1");
        assert_eq!(id("a b+#ü"), "persist-a=20b=2B=23=C3=BC");
        assert_ne!(id("a:b"), id("a/b"));
        for subject in ["Wtot", "h0001/W1", "a b+#ü", "a:b=c"] {
            let id = AlertId::new("persist", subject);
            assert_eq!(
                id.detector_and_subject(),
                Some(("persist", subject.to_owned()))
            );
        }
    }
}
