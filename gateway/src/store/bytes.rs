//! The alphabet every value of the store is written in: varints, zigzag, columns, checksums.
//!
//! Knows nothing of what is stored. Reading never panics and never allocates more than the input
//! justifies: whatever the bytes are, they decode or they are [`Damage`].

use crc::{CRC_32_ISCSI, Crc, Table};

/// CRC-32C (iSCSI): at the end of every value, over all bytes before it.
static CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Bytes that the checksum takes.
const CHECKSUM_BYTES: usize = 4;

/// The most entries that one value may hold; bounds what a damaged count can make us allocate.
pub(super) const MAX_ENTRIES: usize = 1 << 22;

/// Room reserved before the entries themselves prove that they are there.
const RESERVE: usize = 4096;

/// A value that is not what we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damage(pub(super) &'static str);

/// A finished value ends in the checksum of all that precedes it.
pub(super) fn close(value: &mut Vec<u8>) {
    let sum = CHECKSUM.checksum(value);
    value.extend_from_slice(&sum.to_le_bytes());
}

/// The body of a value: its checksum holds and it begins with `version`.
pub(super) fn open(value: &[u8], version: u8) -> Result<Reader<'_>, Damage> {
    let Some((body, sum)) = value.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(Damage("it is shorter than its checksum"));
    };
    if CHECKSUM.checksum(body) != u32::from_le_bytes(*sum) {
        return Err(Damage("its checksum does not match"));
    }
    Reader::versioned(body, version)
}

/// The same of any of `versions`: which it is, and the body.
pub(super) fn open_any<'a>(value: &'a [u8], versions: &[u8]) -> Result<(u8, Reader<'a>), Damage> {
    let version = version_among(value, versions)?;
    Ok((version, open(value, version)?))
}

/// The same without the checksum, of any of `versions`.
pub(super) fn peek_any<'a>(value: &'a [u8], versions: &[u8]) -> Result<Reader<'a>, Damage> {
    peek(value, version_among(value, versions)?)
}

/// The version that `value` has where it is one of `versions`, else the first, for it to be refused.
fn version_among(value: &[u8], versions: &[u8]) -> Result<u8, Damage> {
    let first = versions.first().ok_or(Damage("it is of no version"))?;
    let found = value.first().filter(|found| versions.contains(found));
    Ok(*found.unwrap_or(first))
}

/// The same without the checksum: for a look at the first bytes only, before a value is opened.
pub(super) fn peek(value: &[u8], version: u8) -> Result<Reader<'_>, Damage> {
    Reader::versioned(value, version)
}

/// Appends `value` in groups of seven bits, the lowest first, the high bit set on all but the last.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Bytes that [`put_varint`] takes.
#[inline]
const fn varint_len(value: u64) -> u64 {
    (70 - (value | 1).leading_zeros() as u64) / 7
}

/// Small magnitudes of either sign become small numbers: 0, −1, 1, −2 … are 0, 1, 2, 3 …
#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[inline]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Appends a signed number: zigzag, then varint.
#[inline]
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Appends the eight bytes of a float, lowest first: every bit pattern survives.
#[inline]
pub(super) fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends an option: 0, or 1 and what `put` writes.
pub(super) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    put: impl FnOnce(&mut Vec<u8>, T),
) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

/// How a column is written; the shorter of the two is taken.
const PLAIN: u8 = 0;
const RUNS: u8 = 1;

/// Appends a column: each number as its difference from the one before it, the first from `base`.
///
/// Either plainly (one signed varint each) or as runs (a signed varint and how many more of the
/// same follow), whichever is shorter: a regular series costs next to nothing.
pub(super) fn put_column(out: &mut Vec<u8>, base: i64, values: impl Iterator<Item = i64> + Clone) {
    let (mut plain, mut runs) = (0_u64, 0_u64);
    each_run(base, values.clone(), |step, more| {
        let len = varint_len(zigzag(step));
        plain += len * (more + 1);
        runs += len + varint_len(more);
    });
    if runs < plain {
        out.push(RUNS);
        each_run(base, values, |step, more| {
            put_signed(out, step);
            put_varint(out, more);
        });
    } else {
        out.push(PLAIN);
        let mut previous = base;
        for value in values {
            put_signed(out, value.wrapping_sub(previous));
            previous = value;
        }
    }
}

/// Calls `f(step, more)` for every run of equal steps: the step, and how many more of it follow.
#[inline]
fn each_run(base: i64, values: impl Iterator<Item = i64>, mut f: impl FnMut(i64, u64)) {
    let mut previous = base;
    let mut run: Option<(i64, u64)> = None;
    for value in values {
        let step = value.wrapping_sub(previous);
        previous = value;
        run = match run {
            Some((same, more)) if same == step => Some((same, more + 1)),
            Some((other, more)) => {
                f(other, more);
                Some((step, 0))
            }
            None => Some((step, 0)),
        };
    }
    if let Some((step, more)) = run {
        f(step, more);
    }
}

/// What is left of a value to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn versioned(body: &'a [u8], version: u8) -> Result<Self, Damage> {
        match body.split_first() {
            Some((&found, rest)) if found == version => Ok(Self { rest }),
            Some(_) => Err(Damage("it is of a version that this program does not know")),
            None => Err(Damage("it is empty")),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Damage> {
        let (&first, rest) = self.rest.split_first().ok_or(Damage("it ends too early"))?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damage("a number in it is too long"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Damage> {
        Ok(unzigzag(self.varint()?))
    }

    /// A varint that fits 32 bits.
    pub(super) fn u32(&mut self) -> Result<u32, Damage> {
        u32::try_from(self.varint()?).map_err(|_| Damage("a number in it is too large"))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Damage> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damage("a flag in it is neither 0 nor 1")),
        }
    }

    pub(super) fn f64(&mut self) -> Result<f64, Damage> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or(Damage("it ends within a float"))?;
        self.rest = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*bytes)))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let len = self.varint()?;
        let (bytes, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or(Damage("it ends within a text"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, Damage> {
        std::str::from_utf8(self.bytes()?)
            .map(str::to_owned)
            .map_err(|_| Damage("a text in it is not UTF-8"))
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damage>,
    ) -> Result<Option<T>, Damage> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// How many entries follow, at most [`MAX_ENTRIES`].
    pub(super) fn count(&mut self) -> Result<usize, Damage> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= MAX_ENTRIES => Ok(count),
            _ => Err(Damage("it claims more entries than a value holds")),
        }
    }

    /// `count` entries, each read by `read`.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Damage>,
    ) -> Result<Vec<T>, Damage> {
        let count = self.count()?;
        let mut entries = Vec::with_capacity(count.min(RESERVE));
        for _ in 0..count {
            entries.push(read(self)?);
        }
        Ok(entries)
    }

    /// The `count` numbers of a column written by [`put_column`] from the same `base`.
    pub(super) fn column(&mut self, base: i64, count: usize) -> Result<Vec<i64>, Damage> {
        let mut values = Vec::with_capacity(count.min(RESERVE));
        let mut previous = base;
        match self.u8()? {
            PLAIN => {
                for _ in 0..count {
                    previous = previous.wrapping_add(self.signed()?);
                    values.push(previous);
                }
            }
            RUNS => {
                while values.len() < count {
                    let step = self.signed()?;
                    let more = self.varint()?;
                    if more >= (count - values.len()) as u64 {
                        return Err(Damage("a run in it is longer than its column"));
                    }
                    for _ in 0..=more {
                        previous = previous.wrapping_add(step);
                        values.push(previous);
                    }
                }
            }
            _ => return Err(Damage("a column in it is of no known kind")),
        }
        Ok(values)
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Damage> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Damage("it is longer than it says"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_regular_series_costs_next_to_nothing() {
        let mut out = Vec::new();
        put_column(&mut out, 0, (0..1000).map(|i| i * 900));
        assert!(out.len() <= 8, "{} bytes", out.len());
    }

    #[test]
    fn one_flipped_bit_anywhere_is_found() {
        let mut value = vec![1, 2, 3, 4, 5];
        close(&mut value);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&flipped, 1).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn numbers_survive(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len() as u64, varint_len(value));
            let mut reader = Reader { rest: &out };
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }

        #[test]
        fn columns_survive(base: i64, values: Vec<i64>, repeat in 1_usize..5) {
            let values: Vec<i64> = values.iter().flat_map(|v| vec![*v; repeat]).collect();
            let mut out = Vec::new();
            put_column(&mut out, base, values.iter().copied());
            let mut reader = Reader { rest: &out };
            prop_assert_eq!(reader.column(base, values.len()), Ok(values));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn arbitrary_bytes_are_damage_or_a_column(bytes: Vec<u8>, count in 0..MAX_ENTRIES) {
            let _verdict = Reader { rest: &bytes }.column(0, count);
        }
    }
}
