//! What the book keeps of one alert, and what of it goes to the store.

use crate::alert::{Alert, State};
use serde::{Deserialize, Serialize};

/// An alert with what its life needs to be known besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The newest episode.
    pub alert: Alert,
    /// The part of the gateway that claims it of itself; `None`: a detector does.
    pub part: Option<String>,
    /// Repeats are counted from here, ms since 1970 UTC: when it was said first, worsened or woke.
    pub repeat_from_ms: Option<i64>,
    /// The channels that were told of this episode.
    pub told: Vec<String>,
    /// The episode before, while the newest is pending: if that ends unsaid, it never was.
    pub before: Option<Box<Kept>>,
}

impl Kept {
    /// Whether what it claims may hold still, for all that is written: it is not over, or somebody ended it by
    /// saying that it is normal.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        !self.is_over() || self.alert.normal
    }

    /// Whether it is over, one way or the other.
    pub(super) fn is_over(&self) -> bool {
        match self.alert.state {
            State::Cleared | State::Withdrawn => true,
            State::Pending | State::Firing | State::Acknowledged | State::Snoozed => false,
        }
    }
}
