//! Connections that are turned away before they are clients: each is counted by its reason, and a burst
//! of them is said once.

use super::stats::Stats;
use super::{Core, Mapper, locked, now};
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// After this long without a word about a reason, it is said again.
const BURST: Duration = Duration::from_secs(60);

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// All connections that there may be are there.
    Full,
    /// One address has all that it may have.
    Address,
    /// It was silent, and another came.
    Silent,
    /// Its TLS handshake failed.
    Handshake,
    /// It did not come as a WebSocket should.
    Upgrade,
    /// The machine has no file descriptor for it.
    Machine,
}

impl Turned {
    const ALL: usize = 6;

    fn counter(self, stats: &Stats) -> &AtomicU64 {
        match self {
            Self::Full => &stats.refused_full,
            Self::Address => &stats.refused_address,
            Self::Silent => &stats.refused_silent,
            Self::Handshake => &stats.refused_handshake,
            Self::Upgrade => &stats.refused_upgrade,
            Self::Machine => &stats.refused_machine,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Full => {
                "refusing connections: broker.max_connections clients are connected; raise it if they are yours"
            }
            Self::Address => {
                "refusing connections: their address has as many as broker.max_connections_per_address \
                 allows; raise it if they are yours"
            }
            Self::Silent => {
                "closing connections that say nothing: others come meanwhile and need the place"
            }
            Self::Handshake => "refusing connections: TLS was not agreed",
            Self::Upgrade => "refusing connections: no WebSocket for MQTT was asked for",
            Self::Machine => {
                "accepting connections fails, and is tried again; the limit of open files (LimitNOFILE, \
                 ulimit -n) may be too low"
            }
        }
    }
}

/// When each reason was last said, and how often it was the case since.
#[derive(Debug, Default)]
pub(crate) struct Bursts(Mutex<[Burst; Turned::ALL]>);

#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    said: Option<Instant>,
    unsaid: u64,
}

impl Burst {
    /// How many there were before this one that nobody was told of, if it is time to tell.
    fn note(&mut self, now: Instant) -> Option<u64> {
        if self
            .said
            .is_some_and(|said| now.duration_since(said) < BURST)
        {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

impl<M: Mapper> Core<M> {
    /// Counts a connection that is turned away; `detail` is whose it was, or what was wrong with it.
    pub(crate) fn turned_away(&self, why: Turned, detail: &dyn Display) {
        Stats::add(&self.stats.refused, 1);
        Stats::add(why.counter(&self.stats), 1);
        let told = locked(&self.bursts.0)[why as usize].note(now());
        if let Some(earlier) = told {
            tracing::warn!(%detail, earlier, "{}", why.words());
        } else {
            tracing::debug!(%detail, "{}", why.words());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_said_once_and_the_next_word_counts_what_was_left_out() {
        let start = now();
        let mut burst = Burst::default();
        assert_eq!(burst.note(start), Some(0));
        assert_eq!(burst.note(start), None);
        assert_eq!(burst.note(start + BURST / 2), None);
        assert_eq!(burst.note(start + BURST), Some(2));
        assert_eq!(burst.note(start + BURST * 2), Some(0));
    }
}
