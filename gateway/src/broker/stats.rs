//! What the broker counts while it runs. Counters only ever rise; nothing is decided by them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counted since start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Clients connected now.
    pub connections: AtomicU64,
    /// Connections accepted, of whatever fate.
    pub accepted: AtomicU64,
    /// Connections refused: too many, not authorised, no valid CONNECT.
    pub refused: AtomicU64,
    /// Of these, because as many as there may be were there.
    pub refused_full: AtomicU64,
    /// Of these, because their address had as many as it may have.
    pub refused_address: AtomicU64,
    /// Of these, because they were silent while others came.
    pub refused_silent: AtomicU64,
    /// Of these, because TLS was not agreed.
    pub refused_handshake: AtomicU64,
    /// Of these, because they did not come as a WebSocket should.
    pub refused_upgrade: AtomicU64,
    /// Of these, because the machine could not take them: mostly no file descriptors.
    pub refused_machine: AtomicU64,
    /// Clients welcomed.
    pub welcomed: AtomicU64,
    /// Packets received, of any type.
    pub packets_in: AtomicU64,
    /// Packets sent, of any type.
    pub packets_out: AtomicU64,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Log-ins refused: a wrong name or password, or nobody who may come.
    pub logins_refused: AtomicU64,
    /// Log-ins put off unchecked: too many at once, or after too many failures.
    pub logins_put_off: AtomicU64,
    /// PUBLISH packets received.
    pub messages_in: AtomicU64,
    /// PUBLISH packets sent.
    pub messages_out: AtomicU64,
    /// Bytes of the payloads received.
    pub payload_in: AtomicU64,
    /// Bytes of the payloads sent.
    pub payload_out: AtomicU64,
    /// Messages that fell out of a full queue.
    pub dropped: AtomicU64,
    /// Those of them that fell out because of all sessions' queues together, not of their own.
    pub dropped_in_total: AtomicU64,
    /// Messages not delivered because they outlived their expiry or exceed the client's packet size.
    pub discarded: AtomicU64,
    /// Publishes and subscriptions denied.
    pub denied: AtomicU64,
    /// Retained messages refused because the retained store is full.
    pub retain_refused: AtomicU64,
    /// Sessions that ended before they expired, because too many clients were away.
    pub sessions_evicted: AtomicU64,
    /// Publishes whose commit failed.
    pub failed: AtomicU64,
    /// Connections ended because the client no longer took what it was sent.
    pub stalled: AtomicU64,
    /// Sessions of absent clients that came to their end.
    pub expired: AtomicU64,
    /// The most sessions there were at a time.
    pub most_sessions: AtomicU64,
}

impl Stats {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Relaxed);
    }

    pub(crate) fn less(counter: &AtomicU64, by: u64) {
        counter.fetch_sub(by, Relaxed);
    }

    pub(crate) fn raise(highest: &AtomicU64, to: u64) {
        highest.fetch_max(to, Relaxed);
    }

    /// Reads one counter.
    #[must_use]
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Relaxed)
    }
}
