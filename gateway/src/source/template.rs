//! A sensor's name out of chosen levels of its topic: `{2}/{3}`.

use std::fmt;

use thiserror::Error;

use super::Reason;

/// The deepest level that a template may name.
const MAX_LEVEL: usize = 99;

/// Text with topic levels in braces. Levels count from 1: of `sensors/kitchen/TH1`, `{2}/{3}` makes
/// `kitchen/TH1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Level(usize),
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A brace without its partner, or something else than a level between them.
    #[error("has braces that do not hold a topic level from 1 to 99")]
    Level,
    /// All sensors of the source would have the same name.
    #[error("names no topic level")]
    Constant,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (level, after) = after.split_once('}').ok_or(TemplateError::Level)?;
            push_text(&mut pieces, before)?;
            match level.parse() {
                Ok(level @ 1..=MAX_LEVEL) => pieces.push(Piece::Level(level)),
                Ok(_) | Err(_) => return Err(TemplateError::Level),
            }
            rest = after;
        }
        push_text(&mut pieces, rest)?;
        if pieces.iter().any(|piece| matches!(piece, Piece::Level(_))) {
            Ok(Self(pieces))
        } else {
            Err(TemplateError::Constant)
        }
    }

    /// The name for a topic.
    pub(super) fn fill(&self, topic: &str) -> Result<String, Reason> {
        let mut name = String::with_capacity(topic.len());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Level(level) => match topic.split('/').nth(level - 1) {
                    Some(found) => name.push_str(found),
                    None => return Err(Reason::MissingLevel(*level)),
                },
            }
        }
        Ok(name)
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) -> Result<(), TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::Level);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Level(level) => write!(f, "{{{level}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_count_from_one() {
        for (template, name) in [
            ("{2}/{3}", Ok("kitchen/TH1")),
            ("{3}", Ok("TH1")),
            ("{1}-{3}", Ok("sensors-TH1")),
            ("home.{2}", Ok("home.kitchen")),
            ("{4}", Err("missing_level")),
        ] {
            let filled = Template::new(template)
                .expect("a valid template")
                .fill("sensors/kitchen/TH1");
            assert_eq!(filled.as_deref().map_err(Reason::code), name, "{template}");
        }
    }

    #[test]
    fn broken_templates_are_refused() {
        for (template, error) in [
            ("{0}", TemplateError::Level),
            ("{two}", TemplateError::Level),
            ("{2", TemplateError::Level),
            ("2}", TemplateError::Level),
            ("{100}", TemplateError::Level),
            ("TH1", TemplateError::Constant),
            ("", TemplateError::Constant),
        ] {
            assert_eq!(Template::new(template), Err(error), "{template:?}");
        }
    }
}
