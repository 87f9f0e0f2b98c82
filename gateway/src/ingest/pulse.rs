//! When to say what time it is: at once where it became known, then every minute.

/// How long between two times that are said.
const EVERY_MS: u64 = 60_000;

/// What was said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    /// When, on the monotonic clock; `None`: the time was not known.
    said_ms: Option<u64>,
}

impl Pulse {
    /// The time to say now, if it is time to say one. `known_ms` is the time where it is trusted.
    pub(super) fn due(&mut self, known_ms: Option<i64>, monotonic_ms: u64) -> Option<i64> {
        let Some(known_ms) = known_ms else {
            self.said_ms = None;
            return None;
        };
        let is_due = self
            .said_ms
            .is_none_or(|said| monotonic_ms.saturating_sub(said) >= EVERY_MS);
        is_due.then(|| {
            self.said_ms = Some(monotonic_ms);
            known_ms
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_said_when_it_becomes_known_and_every_minute() {
        let mut pulse = Pulse::default();
        let said: Vec<_> = [
            (None, 0),
            (Some(7), 5_000),
            (Some(8), 64_999),
            (Some(9), 65_000),
            (None, 66_000),
            (Some(10), 67_000),
        ]
        .map(|(known, now)| pulse.due(known, now))
        .into();
        assert_eq!(said, [None, Some(7), None, Some(9), None, Some(10)]);
    }
}
