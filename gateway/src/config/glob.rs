//! Patterns of sensor names: `*` stands for anything within a level, `**` for anything, and `**/`
//! for any number of whole levels, none too: `**/W1` is `W1` at home and `h0001/W1` in a fleet.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use crate::source::MAX_NAME_BYTES;

/// A pattern of sensor names, or of balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `*`
    Within,
    /// `**`
    Any,
    /// `**/` at the start or after a slash
    Levels,
}

/// Why a text is not a pattern of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// Names have 1 to 128 bytes.
    #[error("is empty or longer than 128 bytes")]
    Length,
    /// Names cannot hold these.
    #[error("holds one of + # NUL, which no name can")]
    Forbidden,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() || text.len() > MAX_NAME_BYTES {
            return Err(GlobError::Length);
        }
        if text.contains(['+', '#', '\0']) {
            return Err(GlobError::Forbidden);
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let at_level_start =
                matches!(tokens.last(), None | Some(Token::Char('/') | Token::Levels));
            let (token, length) = if at_level_start && rest.starts_with("**/") {
                (Token::Levels, 3)
            } else if rest.starts_with("**") {
                (Token::Any, 2)
            } else if next == '*' {
                (Token::Within, 1)
            } else {
                (Token::Char(next), next.len_utf8())
            };
            tokens.push(token);
            rest = &rest[length..];
        }
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one name only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.wildcards().next().is_none()
    }

    /// Whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.captures(name).is_some()
    }

    /// What the wildcards stand for in a name, in order; `None` where it does not match. Where
    /// there is a choice, an earlier wildcard takes as little as it can.
    #[must_use]
    pub fn captures(&self, name: &str) -> Option<Vec<String>> {
        let name: Vec<Token> = name.chars().map(Token::Char).collect();
        let captured = self.walk(&name)?;
        let text = |range: Range<usize>| {
            let chars = name[range].iter().filter_map(|token| match token {
                Token::Char(char) => Some(*char),
                Token::Within | Token::Any | Token::Levels => None,
            });
            chars.collect()
        };
        Some(captured.into_iter().map(text).collect())
    }

    /// Whether it matches every name that `other` matches, as far as can be told from the patterns
    /// alone.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.walk(&other.tokens).is_some()
    }

    /// Whether both have the same wildcards in the same order.
    #[must_use]
    pub fn captures_like(&self, other: &Self) -> bool {
        self.wildcards().eq(other.wildcards())
    }

    /// The name that it becomes when its wildcards stand for `captures`.
    #[must_use]
    pub fn fill(&self, captures: &[String]) -> String {
        let mut captures = captures.iter();
        let mut name = String::with_capacity(self.text.len());
        for token in &self.tokens {
            match token {
                Token::Char(char) => name.push(*char),
                Token::Within | Token::Any | Token::Levels => {
                    name.push_str(captures.next().map_or("", String::as_str));
                }
            }
        }
        name
    }

    /// One of the names that match.
    #[must_use]
    pub fn sample(&self) -> String {
        let captures = self.wildcards().map(|wildcard| match wildcard {
            Token::Levels => "x/".to_owned(),
            Token::Within | Token::Any | Token::Char(_) => "x".to_owned(),
        });
        self.fill(&captures.collect::<Vec<_>>())
    }

    fn wildcards(&self) -> impl Iterator<Item = &Token> {
        self.tokens
            .iter()
            .filter(|token| !matches!(token, Token::Char(_)))
    }

    /// Matches against a name or, token by token, against another pattern.
    fn walk(&self, text: &[Token]) -> Option<Vec<Range<usize>>> {
        let mut walk = Walk {
            pattern: &self.tokens,
            text,
            failed: vec![false; (self.tokens.len() + 1) * (text.len() + 1)],
            captured: Vec::new(),
        };
        walk.from(0, 0).then(|| {
            walk.captured.reverse();
            walk.captured
        })
    }
}

/// A backtracking match that remembers where it failed, so that its cost is the product of the
/// lengths at worst.
struct Walk<'g> {
    pattern: &'g [Token],
    text: &'g [Token],
    failed: Vec<bool>,
    /// What the wildcards took, the last first.
    captured: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn from(&mut self, at: usize, start: usize) -> bool {
        let place = at * (self.text.len() + 1) + start;
        if self.failed[place] {
            return false;
        }
        let matched = match self.pattern.get(at) {
            None => start == self.text.len(),
            Some(literal @ Token::Char(_)) => {
                self.text.get(start) == Some(literal) && self.from(at + 1, start + 1)
            }
            Some(wildcard @ (Token::Within | Token::Any | Token::Levels)) => {
                self.wildcard(*wildcard, at, start)
            }
        };
        self.failed[place] = !matched;
        matched
    }

    fn wildcard(&mut self, wildcard: Token, at: usize, start: usize) -> bool {
        for end in start..=self.text.len() {
            let taken = &self.text[start..end];
            let last = taken.last();
            let stops = match wildcard {
                Token::Within => last.is_some_and(|token| {
                    matches!(token, Token::Char('/') | Token::Any | Token::Levels)
                }),
                Token::Any | Token::Levels | Token::Char(_) => false,
            };
            if stops {
                return false;
            }
            let may_end = match wildcard {
                Token::Levels => matches!(last, None | Some(Token::Char('/') | Token::Levels)),
                Token::Within | Token::Any | Token::Char(_) => true,
            };
            if may_end && self.from(at + 1, end) {
                self.captured.push(start..end);
                return true;
            }
        }
        false
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::new(text).expect("a valid glob")
    }

    #[test]
    fn globs_match_within_and_across_levels() {
        for (pattern, name, expected) in [
            ("W1", "W1", true),
            ("W1", "W11", false),
            ("W*", "W", true),
            ("W*", "W1/x", false),
            ("*/W1", "h0001/W1", true),
            ("*/W1", "W1", false),
            ("*/W1", "a/b/W1", false),
            ("**/W1", "W1", true),
            ("**/W1", "h0001/W1", true),
            ("**/W1", "a/b/W1", true),
            ("**/W1", "h0001/SW1", false),
            ("a/**/W1", "a/W1", true),
            ("a/**/W1", "ab/W1", false),
            ("**", "a/b", true),
            ("**W1", "h/SW1", true),
            ("*é*", "café/x", false),
            ("*é*", "cafés", true),
        ] {
            assert_eq!(glob(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn captures_fill_other_patterns() {
        for (pattern, name, other, filled) in [
            ("*/Wtot", "h0001/Wtot", "*/W1", "h0001/W1"),
            ("**/Wtot", "Wtot", "**/W1", "W1"),
            ("**/Wtot", "a/b/Wtot", "**/W1", "a/b/W1"),
            ("*/x/*", "1/x/2", "*-*", "1-2"),
        ] {
            let captures = glob(pattern).captures(name).expect("a match");
            assert_eq!(glob(other).fill(&captures), filled, "{pattern} {name}");
            assert!(glob(pattern).matches(&glob(pattern).sample()), "{pattern}");
        }
    }

    #[test]
    fn a_glob_covers_what_it_always_matches() {
        for (wide, narrow, expected) in [
            ("W1", "W1", true),
            ("*", "W1", true),
            ("*", "W*", true),
            ("**", "*/W1", true),
            ("**/W1", "*/W1", true),
            ("**/W1", "W1", true),
            ("**", "**/W1", true),
            ("*", "*/W1", false),
            ("W1", "W*", false),
            ("*/W1", "**/W1", false),
            ("*", "**", false),
        ] {
            assert_eq!(
                glob(wide).covers(&glob(narrow)),
                expected,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_costs_a_product_not_a_power() {
        let pattern = glob(&"*a".repeat(64));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(127))));
    }
}
