//! The states of an alert, what people do about it, and the notices that tell of both.

use serde::{Deserialize, Serialize};

use super::{AlertId, Claim};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is claimed, and has not held for long enough to be said.
    Pending,
    /// It holds, and was said.
    Firing,
    /// It holds, and somebody knows.
    Acknowledged,
    /// It holds, and somebody does not want to hear of it for a while.
    Snoozed,
    /// It held, and is over.
    Cleared,
    /// It should never have been said.
    Withdrawn,
}

impl State {
    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One alert: the newest episode of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What is claimed, as of the last time.
    pub claim: Claim,
    /// Where it stands.
    pub state: State,
    /// Which episode, from 1.
    pub episode: u32,
    /// Notices of this episode so far.
    pub notices: u32,
    /// When it was claimed, ms since 1970 UTC by the gateway's clock.
    pub since_ms: i64,
    /// When it was said first, likewise.
    pub fired_ms: Option<i64>,
    /// When it was over, likewise.
    pub ended_ms: Option<i64>,
    /// Who acknowledged or snoozed it.
    pub by: Option<String>,
    /// When that was.
    pub acted_ms: Option<i64>,
    /// Until when it is snoozed.
    pub snoozed_until_ms: Option<i64>,
    /// How many of the configured repeats were said.
    pub repeats: u32,
    /// Somebody said that this was normal.
    pub normal: bool,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is said for the first time in this episode.
    Fired,
    /// It became more severe.
    Worsened,
    /// It is said again, because nobody answered.
    Repeated,
    /// Somebody knows.
    Acknowledged,
    /// Somebody does not want to hear of it for a while.
    Snoozed,
    /// That while is over, and it still holds.
    Woken,
    /// It is over.
    Cleared,
    /// It should never have been said.
    Withdrawn,
}

impl What {
    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Worsened => "worsened",
            Self::Repeated => "repeated",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Woken => "woken",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The state that an alert is in after it.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Fired | Self::Worsened | Self::Repeated | Self::Woken => State::Firing,
            Self::Acknowledged => State::Acknowledged,
            Self::Snoozed => State::Snoozed,
            Self::Cleared => State::Cleared,
            Self::Withdrawn => State::Withdrawn,
        }
    }
}

/// A line of the journal: something happened to an alert, and this is how it stood then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place in the journal, from 1, without gaps.
    pub seq: u64,
    /// What happened.
    pub what: What,
    /// When, ms since 1970 UTC by the gateway's clock.
    pub at_ms: i64,
    /// Who did it, where a person did.
    pub by: Option<String>,
    /// The alert just after it; `alert.notices` is this notice's place in the episode, from 1.
    pub alert: Alert,
}

impl Notice {
    /// What tells it from every other, and is the same when it is sent again: for receivers that can
    /// drop what they have.
    #[must_use]
    pub fn key(&self, site: &str) -> String {
        let alert = &self.alert;
        format!(
            "{site}/{}/{}/{}",
            alert.claim.id, alert.episode, alert.notices
        )
    }
}

/// What a person does about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// "I know."
    Acknowledge,
    /// "Not now", for so many milliseconds.
    Snooze(i64),
    /// "This was normal": the episode is over as far as people are concerned, and its rule needs more from now on.
    Normal,
}

/// The id of the alert that a notice or an action is about.
impl AsRef<AlertId> for Alert {
    fn as_ref(&self) -> &AlertId {
        &self.claim.id
    }
}
