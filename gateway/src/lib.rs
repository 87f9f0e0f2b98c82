//! The gateway of Sluice: sensors publish to its embedded broker, every reading is kept durably,
//! and what the days say is computed as it comes in.
//!
//! | module | does |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`control`] | the operator's socket |
//! | [`clock`] | reads clocks; nobody else does |
//! | [`config`] | what TOML says, and what of it is valid |
//! | [`source`] | payload → readings |
//! | [`access`] | who may do what |
//! | [`broker`] | MQTT in and out |
//! | [`ingest`] | the writer: gather, settle, commit, answer |
//! | [`watch`] | the houses of a site: detectors run where readings are committed |
//! | [`alert`] | alerts, their life and their notices |
//! | [`homeassistant`] | alerts as entities of Home Assistant |
//! | [`notify`] | alerts to phones, mailboxes and programs |
//! | [`evaluate`] | recorded readings: what would have been said, and when |
//! | [`store`] | redb: the log, blocks, rows |
//! | [`rows`] | what is published, as JSON spells it |
//! | [`tls`] | certificates and keys, from files |
//! | [`web`] | HTTP API, WebSocket, page |
//! | [`control`] | the operator's socket |
//! | [`lifecycle`] | signals |
//! | [`metrics`] | Prometheus |
//! | [`cli`] | commands |
//! | [`app`] | wires them together |
//!
//! Under the feature `fuzz` there is a module of that name with entries for fuzzers.

pub mod access;
pub mod alert;
pub mod app;
mod board;
pub mod broker;
mod causes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod evaluate;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod homeassistant;
pub mod ingest;
pub mod lifecycle;
pub mod metrics;
pub mod notify;
pub mod rows;
pub mod source;
pub mod store;
pub mod tls;
pub mod watch;
pub mod web;
