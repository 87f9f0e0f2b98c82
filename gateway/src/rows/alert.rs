//! An alert as JSON spells it: what, since when, how bad, what to do.

use serde::{Deserialize, Serialize};

use super::Word;
use super::when::Moment;

/// Something that somebody should know and do something about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What tells it from others; holds no slash.
    pub id: String,
    /// `store_damaged`, `store_full`, `store_failing` or `store_nearly_full`.
    pub kind: Word,
    /// `firing`.
    pub state: Word,
    /// `info`, `warning` or `critical`.
    pub severity: Word,
    /// What it is about.
    pub subject: Word,
    /// Since when.
    pub since: Moment,
    /// What happened, in words.
    pub text: String,
    /// What to do.
    pub advice: String,
}
