//! An error with all that caused it, in one line: for logs, for people, and for what an alert says.

use std::error::Error;
use std::fmt::Write as _;

/// An error and what caused it.
pub(crate) fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some libraries repeat the cause in their own words.
        if !text.contains(&said) {
            write!(text, ": {said}").expect("a String takes all that is written to it");
        }
        cause = error.source();
    }
    text
}
