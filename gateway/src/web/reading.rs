//! The one door through which the API reads what the gateway knows.
//!
//! Handlers see this trait and nothing of the store, so that the same answers are given by a
//! running daemon, by the command line over a stopped daemon's store, and by a test's few rows.

use std::error::Error;

use super::rows::{
    Alert, Day, Diff, Explanation, Late, Letter, Notice, Reading, Rest, Sensor, Status,
};
use super::when::{Date, Moment, Span};

/// What was known could not be read: a fault of ours or of the disk, never of the question.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}")]
pub struct Unreadable {
    what: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl Unreadable {
    /// `what` was being read when `source` happened.
    pub fn new(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            what,
            source: source.into(),
        }
    }
}

/// Whether the gateway can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The store is open and the broker listens.
    Ready,
    /// Not yet, or no longer, and why.
    NotReady(String),
}

/// The place of a reading among those of its sensor: after it, a page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Event time.
    pub time: Moment,
    /// Tells apart readings of one time.
    pub tie: u64,
}

/// Committed state, read-only.
///
/// Each call is one short read that blocks: callers on the runtime move it to a blocking thread.
/// Sensors and balances go by their names; asking about an unknown one gives nothing.
pub trait Facts: Send + Sync + 'static {
    /// Whether the gateway can do its work.
    fn readiness(&self) -> Readiness;

    /// How the gateway is doing.
    fn status(&self) -> Result<Status, Unreadable>;

    /// All sensors, by name.
    fn sensors(&self) -> Result<Vec<Sensor>, Unreadable>;

    /// The names of all sensors, in order.
    fn sensor_names(&self) -> Result<Vec<String>, Unreadable>;

    /// The names of all balances, in order.
    fn balance_names(&self) -> Result<Vec<String>, Unreadable>;

    /// At most `limit` readings of one sensor within `span` and after `after`, by time, each with
    /// its place.
    fn readings(
        &self,
        sensor: &str,
        span: &Span,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Reading)>, Unreadable>;

    /// One sensor's days within `span`, in order, provisional ones too.
    fn days(&self, sensor: &str, span: &Span) -> Result<Vec<Day>, Unreadable>;

    /// One meter's differences within `span`, in order, provisional ones too.
    fn diffs(&self, sensor: &str, span: &Span) -> Result<Vec<Diff>, Unreadable>;

    /// One balance's rests within `span`, in order, provisional ones too.
    fn rests(&self, balance: &str, span: &Span) -> Result<Vec<Rest>, Unreadable>;

    /// Readings of one sensor, or of all, that were set aside, of event times within `span`; by
    /// name, then time. The store bounds how many there can be.
    fn late(&self, sensor: Option<&str>, span: &Span) -> Result<Vec<Late>, Unreadable>;

    /// At most `limit` dead letters that arrived within `span` and after number `after`, by
    /// arrival.
    fn letters(
        &self,
        span: &Span,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Letter>, Unreadable>;

    /// Every alert, by id.
    fn alerts(&self) -> Result<Vec<Alert>, Unreadable>;

    /// The newest `limit` lines of the alerts' journal, oldest first.
    fn journal(&self, limit: usize) -> Result<Vec<Notice>, Unreadable>;

    /// Everything that arrived for one sensor's day.
    fn explain(&self, sensor: &str, day: Date) -> Result<Explanation, Unreadable>;
}
