//! gateway

pub mod clock;
pub mod source;
