//! The broker over real TCP, with a writer that commits on command: what is acknowledged and when, what
//! subscribers get, and that nothing a peer sends hurts anyone but itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behaviour;
mod durable;
mod foreign;
mod hostile;
mod raw;
mod slow;
mod stand;
mod strict;
mod sys;
