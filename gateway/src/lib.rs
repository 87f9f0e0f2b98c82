//! gateway

pub mod store;
