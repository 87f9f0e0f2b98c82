//! The whole world around the gateway: what the end-to-end tests need and no user gets.
//!
//! The library holds one thing, the [`reference`] against which the gateway's rows are judged. It
//! never calls the engine or the gateway: a judge who asks the accused proves nothing.

pub mod reference;
