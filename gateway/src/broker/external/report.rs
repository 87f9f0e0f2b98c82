//! How it goes with the far broker, for those who ask. Nothing is decided by it.

use crate::broker::locked;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How it goes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarState {
    /// Whether we are subscribed there.
    pub connected: bool,
    /// Since when it is so, in epoch milliseconds.
    pub since_ms: i64,
    /// What is wrong, and what to do about it.
    pub last_error: Option<String>,
    /// Messages of other gateways' homes since the start.
    pub elsewhere: u64,
}

/// Where the bridge writes and others read.
pub struct Report {
    wall: Box<dyn Fn() -> i64 + Send + Sync>,
    state: Mutex<FarState>,
    elsewhere: AtomicU64,
}

impl Report {
    /// Not connected yet. `wall` says what time it is, in epoch milliseconds.
    #[must_use]
    pub fn new(wall: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let state = FarState {
            connected: false,
            since_ms: wall(),
            last_error: None,
            elsewhere: 0,
        };
        Self {
            wall: Box::new(wall),
            state: Mutex::new(state),
            elsewhere: AtomicU64::new(0),
        }
    }

    /// How it goes now.
    #[must_use]
    pub fn state(&self) -> FarState {
        let elsewhere = self.elsewhere.load(Relaxed);
        let state = locked(&self.state).clone();
        FarState { elsewhere, ..state }
    }

    pub(super) fn connected(&self, but: Option<String>) {
        self.become_connected(true, but);
    }

    pub(super) fn lost(&self, why: &str) {
        self.become_connected(false, Some(why.to_owned()));
    }

    /// Something is refused, and the rest goes on.
    pub(super) fn trouble(&self, what: &str) {
        locked(&self.state).last_error = Some(what.to_owned());
    }

    pub(super) fn elsewhere(&self) {
        self.elsewhere.fetch_add(1, Relaxed);
    }

    fn become_connected(&self, connected: bool, error: Option<String>) {
        let mut state = locked(&self.state);
        if state.connected != connected {
            state.connected = connected;
            state.since_ms = (self.wall)();
        }
        state.last_error = error;
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    #[test]
    fn since_is_when_it_came_or_went_and_not_when_it_was_tried_again() {
        let time = Arc::new(AtomicI64::new(1));
        let clock = Arc::clone(&time);
        let report = Report::new(move || clock.load(Relaxed));
        let mut seen = Vec::new();
        for (now, event) in [(2, "no"), (3, "yes"), (4, "yes"), (5, "no"), (6, "no")] {
            time.store(now, Relaxed);
            match event {
                "yes" => report.connected(None),
                why => report.lost(why),
            }
            let FarState {
                connected,
                since_ms,
                last_error,
                ..
            } = report.state();
            seen.push((connected, since_ms, last_error.is_some()));
        }
        let expected = [
            (false, 1, true),
            (true, 3, false),
            (true, 3, false),
            (false, 5, true),
            (false, 5, true),
        ];
        assert_eq!(seen, expected);
    }
}
