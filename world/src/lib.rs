//! The whole world around the gateway: what the end-to-end tests need and no user gets.
//!
//! Two halves. The [`mod@reference`] says what the rows must be. The rest is what a user has: messages
//! in some order of [`arrival`], [`mqtt`], [`mutation`]s of it, a [`courier`] who does not give up, a
//! [`recipient`] who forgets nothing, the [`daemon`] as a process, a small [`disk`], and the HTTP [`api`].
//! Nothing here calls the engine or the gateway: a judge who asks the accused proves nothing. The one
//! place where the accused is heard is [`leaks::watch`].

pub mod api;
pub mod arrival;
pub mod courier;
pub mod daemon;
pub mod dice;
pub mod disk;
pub mod leaks;
pub mod mosquitto;
pub mod mqtt;
pub mod mutation;
pub mod recipient;
pub mod reference;
pub mod rows;

use std::time::Duration;

/// Nothing that works takes so long, on the slowest machine; who waits longer waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long forms of the tests are asked for.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some()
}
