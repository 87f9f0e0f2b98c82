//! gateway
pub mod broker;
