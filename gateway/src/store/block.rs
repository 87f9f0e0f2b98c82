//! The readings of one sensor and day as bytes: sorted, by column, with their range in front.
//!
//! Holds everything that counted at some time, corrections too, each with its arrival; which of
//! them is the current value is for the reader to say ([`current`]). Never changed in place.

use engine::EventTime;

use super::bytes::{self, Damage, Reader};
use super::decimal;
use super::log::{self, RAW};
use super::types::{Fate, Flag, StoredReading};

/// The version of the layout below,
pub(super) const VERSION: u8 = 1;
/// and with a column of flags.
const FLAGGED: u8 = 2;

/// A day's last block is rewritten with what comes until it holds this many.
pub(super) const FULL: usize = 1024;

/// One reading of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) time: EventTime,
    pub(super) tie: u64,
    pub(super) seq: u64,
    pub(super) value: f64,
    pub(super) fate: Fate,
    pub(super) flag: Option<Flag>,
}

/// The first bytes of a block: what it takes to know whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: EventTime,
    pub(super) last: EventTime,
    pub(super) count: usize,
}

/// Sorts `entries` by identity and arrival, and packs them into `out`, whose former content goes.
/// There is at least one.
pub(super) fn pack(out: &mut Vec<u8>, entries: &mut [Entry]) {
    entries.sort_unstable_by_key(|e| (e.time, e.tie, e.seq));
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        unreachable!("a block is made for the readings of a day, so it holds one");
    };
    let unit = log::common_unit(entries.iter().map(|e| e.time));
    let unit_ms = log::unit_ms(unit).expect("a unit just chosen is known");
    let first_ms = first.time.ms();
    let is_flagged = entries.iter().any(|e| e.flag.is_some());
    out.clear();
    out.push(if is_flagged { FLAGGED } else { VERSION });
    bytes::put_signed(out, first_ms);
    bytes::put_varint(out, (last.time.ms() - first_ms).cast_unsigned());
    bytes::put_varint(out, entries.len() as u64);
    out.push(unit);
    let times = entries.iter().map(|e| e.time.ms() / unit_ms);
    bytes::put_column(out, first_ms / unit_ms, times);
    bytes::put_column(out, 0, entries.iter().map(|e| e.seq.cast_signed()));
    bytes::put_column(out, 0, entries.iter().map(|e| log::fate_code(e.fate)));
    bytes::put_column(out, 0, entries.iter().map(|e| e.tie.cast_signed()));
    if is_flagged {
        bytes::put_column(out, 0, entries.iter().map(|e| log::flag_code(e.flag)));
    }
    put_values(out, entries);
    bytes::close(out);
}

/// The entries of a block, sorted by identity and arrival.
pub(super) fn unpack(value: &[u8]) -> Result<Vec<Entry>, Damage> {
    let (version, mut reader) = bytes::open_any(value, &[VERSION, FLAGGED])?;
    let span = read_span(&mut reader)?;
    let unit = reader.u8()?;
    let count = span.count;
    let times = reader.column(span.first.ms() / log::unit_ms(unit)?, count)?;
    let seqs = reader.column(0, count)?;
    let fates = reader.column(0, count)?;
    let tie_bits = reader.column(0, count)?;
    let flags = match version {
        FLAGGED => reader.column(0, count)?,
        _ => vec![0; count],
    };
    let values = read_values(&mut reader, count)?;
    reader.end()?;
    let mut entries = Vec::with_capacity(times.len());
    for (((((time, tie), seq), value), fate), flag) in times
        .into_iter()
        .zip(tie_bits)
        .zip(seqs)
        .zip(values)
        .zip(fates)
        .zip(flags)
    {
        entries.push(Entry {
            time: log::event_time(time, unit)?,
            tie: tie.cast_unsigned(),
            seq: seq.cast_unsigned(),
            value,
            fate: log::fate_of(fate)?,
            flag: log::flag_of(flag)?,
        });
    }
    Ok(entries)
}

/// The range and the count of a block, without reading it: its checksum is not looked at.
pub(super) fn peek(value: &[u8]) -> Result<Span, Damage> {
    read_span(&mut bytes::peek_any(value, &[VERSION, FLAGGED])?)
}

fn read_span(reader: &mut Reader<'_>) -> Result<Span, Damage> {
    let first_ms = reader.signed()?;
    let length = reader.varint()?;
    let time = |ms| EventTime::from_ms(ms).ok_or(Damage("its range of time is out of range"));
    Ok(Span {
        first: time(first_ms)?,
        last: time(first_ms.wrapping_add(length.cast_signed()))?,
        count: reader.count()?,
    })
}

/// Decimals of one number of places for the whole block, or every value as it is.
fn put_values(out: &mut Vec<u8>, entries: &[Entry]) {
    let mut places = 0;
    for entry in entries {
        match decimal::places(entry.value, places) {
            Some((more, _)) => places = more,
            None => places = RAW,
        }
        if places == RAW {
            break;
        }
    }
    let mantissas = entries
        .iter()
        .map(|e| decimal::scale(e.value, places.min(decimal::MAX_PLACES)));
    // A value may be a decimal of few places and too long for more; then they are all raw.
    if places == RAW || mantissas.clone().any(|m| m.is_none()) {
        out.push(RAW);
        for entry in entries {
            bytes::put_f64(out, entry.value);
        }
    } else {
        out.push(places);
        bytes::put_column(out, 0, mantissas.flatten());
    }
}

fn read_values(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, Damage> {
    match reader.u8()? {
        places @ 0..=decimal::MAX_PLACES => Ok(reader
            .column(0, count)?
            .into_iter()
            .map(|mantissa| decimal::unscale(mantissa, places))
            .collect()),
        RAW => (0..count).map(|_| reader.f64()).collect(),
        _ => Err(Damage("its values have no known form")),
    }
}

/// The current value of every identity among `entries`, in any order: the latest arrival wins, and one
/// that was withdrawn has none. Sorted by identity. Readings set aside are none.
pub(super) fn current(mut entries: Vec<Entry>) -> Vec<StoredReading> {
    entries.retain(|e| e.fate.decides());
    entries.sort_unstable_by_key(|e| (e.time, e.tie, e.seq));
    let identities = entries.chunk_by(|one, other| (one.time, one.tie) == (other.time, other.tie));
    let last = identities.filter_map(<[Entry]>::last);
    let held = last.filter(|e| e.fate.is_held()).map(|e| StoredReading {
        time: e.time,
        tie: e.tie,
        value: e.value,
        seq: e.seq,
        flag: e.flag,
    });
    held.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::log::tests::{reading, value};
    use super::super::scan::entry;
    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        prop::collection::vec(reading().prop_map(|r| entry(&r)), 1..60)
    }

    fn bits(entries: &[Entry]) -> String {
        let values: Vec<u64> = entries.iter().map(|e| e.value.to_bits()).collect();
        format!("{entries:?} {values:?}")
    }

    fn regular(count: u32) -> Vec<Entry> {
        (0..count)
            .map(|n| Entry {
                time: EventTime::from_ms(EventTime::FIRST_MS + i64::from(n) * 900_000).unwrap(),
                tie: 0,
                seq: u64::from(n) * 9 + u64::from(n % 2),
                // Between 12 and 35 degrees, of two decimals, without a pattern.
                value: f64::from(1200 + n.wrapping_mul(2_654_435_761) % 2300) / 100.0,
                fate: Fate::Accepted,
                flag: None,
            })
            .collect()
    }

    #[test]
    fn a_regular_series_takes_three_bytes_a_reading() {
        let mut packed = Vec::new();
        pack(&mut packed, &mut regular(1000));
        assert!(packed.len() <= 3_050, "{} bytes", packed.len());
    }

    #[test]
    fn the_latest_arrival_of_an_identity_is_its_value() {
        let mut entries = regular(3);
        let correction = Entry {
            seq: 100,
            value: 1.0,
            fate: Fate::Corrected,
            ..entries[1]
        };
        let set_aside = Entry {
            seq: 101,
            value: 2.0,
            fate: Fate::Late,
            ..entries[2]
        };
        entries.insert(0, correction);
        entries.push(set_aside);
        let held: Vec<(u64, f64)> = current(entries.clone())
            .iter()
            .map(|r| (r.seq, r.value))
            .collect();
        assert_eq!(held, [(0, 12.0), (100, 1.0), (18, entries[3].value)]);
    }

    proptest! {
        #[test]
        fn blocks_survive(mut entries in entries(), decimals: bool, more in value()) {
            if decimals {
                for (n, entry) in (0_u32..).zip(&mut entries) {
                    entry.value = f64::from(n) / 1000.0;
                }
                entries[0].value = more;
            }
            let mut packed = vec![9];
            pack(&mut packed, &mut entries);
            let span = peek(&packed).unwrap();
            prop_assert_eq!(span.count, entries.len());
            prop_assert_eq!((span.first, span.last), (entries[0].time, entries[entries.len() - 1].time));
            prop_assert_eq!(bits(&unpack(&packed).unwrap()), bits(&entries));
        }

        #[test]
        fn arbitrary_bytes_are_damage_or_a_block(mut body: Vec<u8>) {
            body.insert(0, VERSION);
            bytes::close(&mut body);
            let _verdict = (peek(&body), unpack(&body));
        }

        #[test]
        fn a_changed_byte_is_damage_or_a_block(mut entries in entries(), at: prop::sample::Index, byte: u8) {
            let mut packed = Vec::new();
            pack(&mut packed, &mut entries);
            packed.truncate(packed.len() - 4);
            let at = at.index(packed.len());
            packed[at] = byte;
            bytes::close(&mut packed);
            let _verdict = (peek(&packed), unpack(&packed));
        }
    }
}
