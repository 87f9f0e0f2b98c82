//! The frame that Sluice's own sensor nodes send.
//!
//! A node has kilobytes where a gateway has megabytes, so this crate needs neither the standard
//! library nor an allocator, and it never panics on what a radio made of a frame. It knows bytes
//! and what they say; it does not know topics, names of sensors, days or files.
//!
//! - [`decode`] tells what bytes are: readings, a schema this version does not know, or no frame.
//! - [`encode`] writes readings.
//! - [`frame`] describes the envelope byte by byte, [`v1`] the body.
//!
//! ```
//! use wire::{Channel, Clock, Header, Kind, Sample, Unit, Verdict};
//!
//! let channel = Channel { id: 0, kind: Kind::Gauge, unit: Unit::Celsius, decimals: 2 };
//! let header = Header { node: 7, boot: 1, sequence: 0, lost: 0, clock: Clock::Utc };
//! let sample = Sample { channel, time_ms: 1_577_836_800_000, mantissa: 2150 };
//!
//! let mut buffer = [0; wire::FRAME_MAX];
//! let length = wire::encode(&header, &[sample], &mut buffer)?;
//! let Verdict::Readings(frame) = wire::decode(&buffer[..length]) else { unreachable!() };
//! assert_eq!(frame.header(), header);
//! assert_eq!(frame.samples().next().map(|sample| sample.value()), Some(21.5));
//! # Ok::<(), wire::EncodeError>(())
//! ```

#![no_std]

pub mod frame;
pub mod v1;

pub use frame::{EncodeError, Refusal, Verdict, decode, encode};
pub use v1::{
    CHANNELS_MAX, Channel, Clock, FRAME_MAX, Flaw, Header, Kind, SAMPLES_MAX, Sample, Unit,
};
