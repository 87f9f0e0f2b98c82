//! The gateway of Sluice: sensors publish to its embedded broker, every reading is kept durably,
//! and what the days say is computed as it comes in.
//!
//! | module | does |
//! | --- | --- |
//! | [`clock`] | reads clocks; nobody else does |
//! | [`config`] | what TOML says, and what of it is valid |
//! | [`source`] | payload → readings |
//! | [`broker`] | MQTT in and out |
//! | [`store`] | redb: the log, blocks, rows |

pub mod broker;
pub mod clock;
pub mod config;
pub mod source;
pub mod store;
