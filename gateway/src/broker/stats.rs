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
    /// Messages not delivered because they outlived their expiry or exceed the client's packet size.
    pub discarded: AtomicU64,
    /// Publishes and subscriptions denied.
    pub denied: AtomicU64,
    /// Retained messages refused because the retained store is full.
    pub retain_refused: AtomicU64,
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
