//! The simulated home, as the seed has it or as a household lives: readings, leaks, late data, and the truth
//! about them.
//!
//! A [`Scenario`] is a handful of arguments. From it come the readings in arrival order
//! ([`Scenario::readings`], [`Scenario::messages`]) and what really happened
//! ([`Scenario::truth`]). The same arguments give the same bytes, on any platform and in any
//! version: draws are a pure function of seed, home, sensor and index, and all arithmetic is on
//! integers. Memory is a tick's worth of readings, however long the run.
//!
//! [`publish`] sends a scenario over MQTT at a chosen pace and survives the broker's restarts;
//! [`load`] sends it as fast as a broker can take it, for measuring;
//! [`crowd`] is a thousand sensors at a time, some of them on bad networks.
//!
//! This crate never uses the engine or the gateway: the truth must not come from the code that it
//! judges.

pub mod crowd;
mod draw;
mod fleet;
mod home;
mod household;
mod late;
mod leak;
pub mod load;
mod message;
mod packet;
pub mod publish;
mod scenario;
mod sensor;
mod session;
mod truth;

pub use fleet::{Fleet, Label};
pub use late::Late;
pub use leak::{FLAPPER_EVERY_MS, FLAPPER_RUNS_MS, Leak, Place, Shape, SpecError};
pub use message::{Message, Reading};
pub use publish::Broker;
pub use scenario::{Profile, Readings, Scenario};
pub use sensor::Sensor;
pub use truth::Truth;

/// Milliseconds in the quarter hour at which the home reports.
pub const TICK_MS: i64 = 15 * 60 * 1000;

/// Ticks in a day.
pub const TICKS_A_DAY: u64 = 96;

/// Milliseconds in a day (the simulated home lives in UTC).
pub const DAY_MS: i64 = 86_400_000;
