//! MQTT topic filters, as sources use them.

use std::fmt;

use thiserror::Error;

/// The first levels that no source may read: results, discovery and the broker's own topics.
const RESERVED_LEVELS: [&str; 2] = ["sluice", "homeassistant"];

/// The longest topic filter, in bytes: what MQTT's two-byte length can say.
const MAX_FILTER_BYTES: usize = 65_535;

/// A valid MQTT topic filter: `+` stands for one level, a last `#` for any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: String,
    shape: Shape,
}

/// The common filters need no walk over the levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// No wildcard.
    Exact,
    /// Wildcards: none but the last `/#`.
    Below,
    /// Anything else.
    Levels,
}

/// Why a text is not a topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// MQTT wants at least one character and at most 65 535 bytes.
    #[error("is empty or longer than 65535 bytes")]
    Length,
    /// NUL is not allowed in UTF-8 strings of MQTT.
    #[error("holds a NUL")]
    Nul,
    /// `+` and `#` must fill their level.
    #[error("has a + or # that is not a level of its own")]
    PartOfLevel,
    /// `#` must come last.
    #[error("has a # that is not the last level")]
    NotLast,
}

impl Filter {
    /// Checks a topic filter.
    ///
    /// # Errors
    /// Says which rule of MQTT (section 4.7 of version 5.0) it breaks.
    pub fn new(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() || text.len() > MAX_FILTER_BYTES {
            return Err(FilterError::Length);
        }
        if text.contains('\0') {
            return Err(FilterError::Nul);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.len() > 1 && level.contains(['+', '#']) {
                return Err(FilterError::PartOfLevel);
            }
            if level == "#" && levels.peek().is_some() {
                return Err(FilterError::NotLast);
            }
        }
        let shape = match text.strip_suffix("/#") {
            Some(above) if !above.contains('+') => Shape::Below,
            None if !text.contains(['+', '#']) => Shape::Exact,
            Some(_) | None => Shape::Levels,
        };
        Ok(Self {
            text: text.to_owned(),
            shape,
        })
    }

    /// The filter as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it could only match topics that sources never read.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let first = self.text.split('/').next().unwrap_or_default();
        first.starts_with('$') || RESERVED_LEVELS.contains(&first)
    }

    /// Whether a topic matches. A leading wildcard does not match topics that begin with `$`.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        match self.shape {
            Shape::Exact => self.text == topic,
            Shape::Below => {
                let above = &self.text[..self.text.len() - "/#".len()];
                topic
                    .strip_prefix(above)
                    .is_some_and(|below| below.is_empty() || below.starts_with('/'))
            }
            Shape::Levels => {
                !(topic.starts_with('$') && self.text.starts_with(['+', '#']))
                    && matches_levels(&self.text, topic)
            }
        }
    }
}

fn matches_levels(filter: &str, topic: &str) -> bool {
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic_levels.next() {
            Some(found) if level == "+" || level == found => {}
            Some(_) | None => return false,
        }
    }
    topic_levels.next().is_none()
}

/// Whether a topic is one that sources never read, whatever their filter.
pub(super) fn reserved(topic: &str) -> bool {
    topic.starts_with('$')
        || RESERVED_LEVELS.iter().any(|level| {
            topic
                .strip_prefix(level)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, expected) in [
            ("sensors/#", "sensors/home/TH1", true),
            ("sensors/#", "sensors", true),
            ("sensors/#", "sensorsx", false),
            ("sensors/+", "sensors/TH1", true),
            ("sensors/+", "sensors", false),
            ("sensors/+", "sensors/a/b", false),
            ("+/+/TH1", "sensors/home/TH1", true),
            ("+/a/#", "x/a", true),
            ("#", "a/b", true),
            ("#", "$SYS/broker", false),
            ("+/broker", "$SYS/broker", false),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("/a", "/a", true),
            ("+/a", "/a", true),
        ] {
            let parsed = Filter::new(filter).expect("a valid filter");
            assert_eq!(parsed.matches(topic), expected, "{filter} against {topic}");
        }
    }

    #[test]
    fn broken_filters_are_refused() {
        for (filter, error) in [
            ("", FilterError::Length),
            ("a\0", FilterError::Nul),
            ("a+/b", FilterError::PartOfLevel),
            ("a/b#", FilterError::PartOfLevel),
            ("a/#/b", FilterError::NotLast),
        ] {
            assert_eq!(Filter::new(filter), Err(error), "{filter:?}");
        }
    }

    #[test]
    fn results_are_never_read_back() {
        for topic in [
            "sluice/home/day/W1",
            "sluice",
            "homeassistant/status",
            "$SYS/x",
        ] {
            assert!(reserved(topic), "{topic}");
        }
        assert!(!reserved("sluices/a"));
    }
}
