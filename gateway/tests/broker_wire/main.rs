//! The broker over real TCP, with a writer that commits on command: what is acknowledged and when, what
//! subscribers get, and that nothing a peer sends hurts anyone but itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod authority;
mod behaviour;
mod crowd;
mod durable;
mod faults;
mod foreign;
mod hostile;
mod raw;
mod sessions;
mod slow;
mod stand;
mod strict;
mod sys;
mod tls;
mod websocket;
