//! stub
mod memory;
pub(crate) use memory::{Flight, Memory, Stage, decode, encode};
