//! gateway

pub mod cli;
pub mod clock;
pub mod config;
pub mod metrics;
pub mod source;
pub mod store;
pub mod web;
