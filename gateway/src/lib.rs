//! gateway
pub mod metrics;
pub mod web;
