//! The filters of a user as they are written: with `%u` for the user's name and `%c` for the client id, as
//! mosquitto has them. Written once, filled in at every CONNECT.

use crate::broker::Allowed;
use crate::source::{Filter, FilterError};
use std::fmt;

/// Stand for themselves only where they fill a level.
const USER: &str = "%u";
const CLIENT: &str = "%c";

/// One filter as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Filter);

/// Why a text is no filter for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a topic filter at all.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// `sensors/x%u`: it would be taken as it stands, which nobody means.
    #[error("has a %u or %c that is not a level of its own")]
    PartOfLevel,
    /// `%d`, say.
    #[error("has a placeholder that is neither %u (the user's name) nor %c (the client id)")]
    Unknown,
    /// The share group is the client's affair.
    #[error("is a shared subscription; the filter within it is what is judged")]
    Shared,
}

impl Pattern {
    /// Checks a filter.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let filter = Filter::new(text)?;
        for level in text.split('/') {
            let is_placeholder = level == USER || level == CLIENT;
            if !is_placeholder && (level.contains(USER) || level.contains(CLIENT)) {
                return Err(PatternError::PartOfLevel);
            }
            let mut letters = level.strip_prefix('%').unwrap_or_default().chars();
            let alone = matches!((letters.next(), letters.next()), (Some(letter), None) if letter.is_ascii_alphabetic());
            if alone && !is_placeholder {
                return Err(PatternError::Unknown);
            }
        }
        if text.starts_with("$share/") {
            return Err(PatternError::Shared);
        }
        Ok(Self(filter))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The filter for one client of one user; `None`: it grants nothing, because a name would widen it.
    fn fill(&self, user: &str, client: &str) -> Option<String> {
        let mut filled = Vec::new();
        for (index, level) in self.as_str().split('/').enumerate() {
            let value = match level {
                USER => user,
                CLIENT => client,
                literal => {
                    filled.push(literal);
                    continue;
                }
            };
            // A name is one level, and names no topics of the broker's.
            let widens = value.is_empty()
                || value.contains(['+', '#', '/', '\0'])
                || (index == 0 && value.starts_with('$'));
            if widens {
                return None;
            }
            filled.push(value);
        }
        Some(filled.join("/"))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a user's filters let one of its clients reach; no filters at all are no limit.
pub(super) fn allowed(patterns: Option<&[Pattern]>, user: &str, client: &str) -> Allowed {
    match patterns {
        None => Allowed::Everything,
        Some(patterns) => Allowed::only(patterns.iter().filter_map(|p| p.fill(user, client))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn placeholders_become_the_user_and_the_client() {
        let patterns = [pattern("u/%u/#"), pattern("c/%c"), pattern("50%/x")];
        let allowed = allowed(Some(&patterns), "ann", "phone");
        for (topic, expected) in [
            ("u/ann/x", true),
            ("u/bob/x", false),
            ("u/%u/x", false),
            ("c/phone", true),
            ("c/phone/x", false),
            ("50%/x", true),
        ] {
            assert_eq!(allowed.topic(topic), expected, "{topic}");
        }
    }

    #[test]
    fn a_placeholder_fills_its_level_and_is_one_of_two() {
        for (text, error) in [
            ("a/x%u", PatternError::PartOfLevel),
            ("%c-1/a", PatternError::PartOfLevel),
            ("a/%d", PatternError::Unknown),
            ("a/#/b", PatternError::Filter(FilterError::NotLast)),
            ("$share/g/a", PatternError::Shared),
        ] {
            assert_eq!(Pattern::new(text), Err(error), "{text}");
        }
        for good in ["%u", "%c/%u/+", "100%", "%", "a%d"] {
            assert!(Pattern::new(good).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn no_name_widens_a_filter(name in "[a+#/$%uc\0]{0,6}", first: bool) {
            let text = if first { "%c/x" } else { "t/%c/x" };
            let allowed = allowed(Some(&[pattern(text)]), "u", &name);
            for foreign in ["t/b/x", "b/x", "t/a/b/x", "a/b/x", "$SYS/x", "t", "t/b"] {
                let own = if first { format!("{name}/x") } else { format!("t/{name}/x") };
                prop_assert!(own == foreign || !allowed.topic(foreign), "{} reaches {}", name, foreign);
            }
            prop_assert!(!allowed.filter("#") && !allowed.filter("t/#") && !allowed.filter("$SYS/x"));
        }
    }
}
