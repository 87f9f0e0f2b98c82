//! A cursor over the bytes of one packet. It reads forward, never beyond the end, and never copies: what it
//! cannot read is a malformed packet, whatever stands behind it.

use super::Bad;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    pub(super) fn over(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Bad::malformed("the packet ends in the middle of a field"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Bad> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(u32::from_be_bytes)
    }

    /// A packet id, which is never 0 (MQTT 5, section 2.2.1).
    pub(super) fn packet_id(&mut self) -> Result<u16, Bad> {
        match self.u16()? {
            0 => Err(Bad::malformed("the packet id is 0; count from 1")),
            id => Ok(id),
        }
    }

    /// A variable byte integer, in as few bytes as it needs (section 1.5.5).
    pub(super) fn variable(&mut self) -> Result<u32, Bad> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(Bad::malformed("a length takes more bytes than it needs"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(Bad::malformed("a length takes more than four bytes"))
    }

    /// Binary data behind its length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// Text behind its length: UTF-8, which has no surrogates, and without U+0000 (section 1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, Bad> {
        let text = std::str::from_utf8(self.bytes()?)
            .map_err(|_| Bad::malformed("a text is not UTF-8; encode it so"))?;
        if text.contains('\0') {
            return Err(Bad::malformed("a text holds U+0000; leave it out"));
        }
        Ok(text)
    }

    /// A walk of its own over what a variable length announces.
    pub(super) fn part(&mut self) -> Result<Self, Bad> {
        let len = self.variable()?;
        // Four times seven bits: no platform that runs this is too small.
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.take(len).map(Self)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Bad::malformed("the packet ends in the middle of a field"))?;
        self.0 = rest;
        Ok(*taken)
    }
}
