//! What an operator may change, and the answer.

use super::users::{MAX_USERS, UserChange};
use crate::alert::{Action, AlertId, Unanswered};
use crate::source::Reason;
use crate::store::StoreError;
use engine::EventTime;
use tokio::sync::oneshot;

/// A change that an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Holds this value for that identity from now on, whatever was held and however old it is.
    Correct {
        /// The sensor's name.
        sensor: String,
        /// When it was measured.
        time: EventTime,
        /// In the sensor's unit; finite.
        value: f64,
    },
    /// Makes readings that were set aside arrivals of this moment.
    AcceptLate {
        /// The sensor's name; `None`: all.
        sensor: Option<String>,
        /// Event times from this on, in ms UTC.
        from_ms: Option<i64>,
        /// Event times up to this, in ms UTC.
        to_ms: Option<i64>,
    },
    /// Changes the users in the store.
    Users(UserChange),
    /// Answers an alert.
    Alert {
        /// Which.
        id: AlertId,
        /// How.
        action: Action,
        /// Who: the name of a user, or a word for where it came from.
        by: String,
    },
    /// Notices go to a channel as one message, and do so again if it has to be sent again.
    Mean {
        /// Its name.
        channel: String,
        /// The notices' places in the journal.
        seqs: Vec<u64>,
    },
    /// A channel has been sent notices, or they are too old for it: they wait for it no longer.
    Sent {
        /// Its name.
        channel: String,
        /// The notices' places in the journal.
        seqs: Vec<u64>,
    },
}

/// An order on its way to the writer.
#[derive(Debug)]
pub struct Command {
    pub(super) order: Order,
    answer: oneshot::Sender<Result<Outcome, Refusal>>,
}

/// What an order did to readings; it is on disk. An order about users does nothing to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Readings that count now and did not before.
    pub accepted: u64,
    /// Readings that count with another value now.
    pub corrected: u64,
    /// Readings that counted already.
    pub unchanged: u64,
}

/// Why an order was not carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No sensor has that name.
    #[error("no sensor is called {0}; `sluice sensors` lists them")]
    UnknownSensor(String),
    /// The value is not one that this sensor can have.
    #[error("the value is refused: {0}")]
    Value(Reason),
    /// Retention has removed what it would correct.
    #[error("the readings of that day are not kept any more ([store] retain_readings)")]
    Forgotten,
    /// There were none to accept.
    #[error("no reading that was set aside matches; `sluice late` lists them")]
    NothingLate,
    /// Another user of that name is in the store.
    #[error("there is a user called {0} already; `sluice user passwd` gives another password")]
    UserExists(String),
    /// No user of that name is in the store.
    #[error("no user called {0} is in the store; `sluice user list` shows who is there")]
    UnknownUser(String),
    /// There is no room for more.
    #[error("the store holds {MAX_USERS} users, and takes no more")]
    TooManyUsers,
    /// The alert cannot be answered like that.
    #[error(transparent)]
    Alert(#[from] Unanswered),
    /// The store takes nothing at the moment.
    #[error("nothing can be changed now: {0}")]
    Outage(String),
    /// The disk did not take it.
    #[error("the change was not committed")]
    Store(#[source] StoreError),
}

impl Command {
    /// An order, and where its answer will be.
    #[must_use]
    pub fn new(order: Order) -> (Self, oneshot::Receiver<Result<Outcome, Refusal>>) {
        let (answer, answered) = oneshot::channel();
        (Self { order, answer }, answered)
    }

    pub(super) fn answer(self, outcome: Result<Outcome, Refusal>) {
        if self.answer.send(outcome).is_err() {
            tracing::debug!("an operator did not wait for the answer");
        }
    }
}
