//! A sketch of the firmware of Sluice's own sensor nodes.
//!
//! What a microcontroller would run: no standard library, no allocator, no clock. It samples, keeps
//! and forwards; it never loses a sample without counting it. What is missing: flash that survives
//! a restart, the radio and its back-off, remote configuration, and the faults to try it all with.

#![no_std]

pub mod node;
pub mod ring;
