//! The envelope that every schema shares, so that a frame can be told from noise, and a frame of a
//! newer schema from a broken one.
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 1 | magic, `0x5C` |
//! | 1 | 2 | schema id, little-endian: 1 = readings |
//! | 3 | 1 | version of that schema |
//! | 4 | n | body; for schema 1, version 1 see [`crate::v1`] |
//! | 4 + n | 4 | CRC-32 of everything before it, little-endian |
//!
//! The CRC is CRC-32/ISO-HDLC (that of Ethernet and zip: polynomial `0x04C11DB7`, reflected, start
//! and final exclusive-or all ones). It is checked before the schema is looked at: whoever keeps a
//! frame of an unknown schema for later keeps one that arrived whole.
//!
//! The envelope never changes. What must change gets a new schema or version.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::v1::{self, Flaw, Header, Sample};

/// The first byte of every frame.
pub const MAGIC: u8 = 0x5C;
/// The schema of readings.
pub const SCHEMA_READINGS: u16 = 1;
/// The version of the readings' schema that this crate speaks.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEAD: usize = 4;
/// Bytes after the body.
pub const TAIL: usize = 4;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What some bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<'a> {
    /// Readings of a node.
    Readings(v1::Frame<'a>),
    /// A whole frame that a newer version of this crate may read.
    Unknown {
        /// Its schema id.
        schema: u16,
        /// The version of that schema.
        version: u8,
    },
    /// Nothing to be read, now or later.
    Refused(Refusal),
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Shorter than the envelope.
    Short {
        /// How many bytes there are.
        length: usize,
    },
    /// The first byte is not [`MAGIC`].
    NotMagic {
        /// The first byte.
        found: u8,
    },
    /// Damaged on the way.
    Corrupt {
        /// The CRC-32 at the end of the frame.
        said: u32,
        /// The CRC-32 of its bytes.
        is: u32,
    },
    /// Whole, but its sender broke the rules of the body.
    Malformed(Flaw),
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { length } => {
                write!(
                    to,
                    "{length} bytes are no frame: it has at least {}",
                    HEAD + TAIL
                )
            }
            Self::NotMagic { found } => {
                write!(
                    to,
                    "not a frame: starts with {found:#04x}, not {MAGIC:#04x}"
                )
            }
            Self::Corrupt { said, is } => {
                write!(
                    to,
                    "frame damaged on the way: CRC-32 is {is:#010x}, it says {said:#010x}"
                )
            }
            Self::Malformed(flaw) => write!(to, "frame malformed: {flaw}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Why readings cannot be written as a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The buffer is too small; [`crate::FRAME_MAX`] bytes always suffice.
    NoRoom,
    /// The frame would break a rule of the body.
    Flaw(Flaw),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => {
                let enough = crate::FRAME_MAX;
                write!(to, "no room for the frame: {enough} bytes always suffice")
            }
            Self::Flaw(flaw) => write!(to, "readings fit no frame: {flaw}"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Tells what `bytes` are. Takes any bytes, allocates nothing, reads them all before it answers:
/// the samples of a frame it returns can all be read.
pub fn decode(bytes: &[u8]) -> Verdict<'_> {
    let length = bytes.len();
    let Some((rest, tail)) = bytes.split_last_chunk::<TAIL>() else {
        return Verdict::Refused(Refusal::Short { length });
    };
    let Some((&[magic, schema_low, schema_high, version], body)) = rest.split_first_chunk::<HEAD>()
    else {
        return Verdict::Refused(Refusal::Short { length });
    };
    if magic != MAGIC {
        return Verdict::Refused(Refusal::NotMagic { found: magic });
    }
    let (said, is) = (u32::from_le_bytes(*tail), CRC.checksum(rest));
    if said != is {
        return Verdict::Refused(Refusal::Corrupt { said, is });
    }
    match (u16::from_le_bytes([schema_low, schema_high]), version) {
        (SCHEMA_READINGS, VERSION) => match v1::Frame::read(body) {
            Ok(frame) => Verdict::Readings(frame),
            Err(flaw) => Verdict::Refused(Refusal::Malformed(flaw)),
        },
        (schema, version) => Verdict::Unknown { schema, version },
    }
}

/// Writes a frame to the start of `into` and returns its length in bytes.
pub fn encode(header: &Header, samples: &[Sample], into: &mut [u8]) -> Result<usize, EncodeError> {
    let schema = SCHEMA_READINGS.to_le_bytes();
    let (head, rest) = into
        .split_first_chunk_mut::<HEAD>()
        .ok_or(EncodeError::NoRoom)?;
    *head = [MAGIC, schema[0], schema[1], VERSION];
    let end = HEAD + v1::write(header, samples, rest)?;
    let (frame, rest) = into.split_at_mut(end);
    let tail = rest.first_chunk_mut::<TAIL>().ok_or(EncodeError::NoRoom)?;
    *tail = CRC.checksum(frame).to_le_bytes();
    Ok(end + TAIL)
}
