//! One commit as bytes: the entry of the log, which is the truth everything else is made from.
//!
//! Column by column: groups hold many sensors at nearly the same time, so each column is small
//! steps or runs. The layout is in docs/FORMAT.md, the example there is checked by a test here.

use engine::{BalanceId, EventTime, SensorId};

use super::bytes::{self, Damage, Reader};
use super::decimal::{self, MAX_PLACES};
use super::types::{Counters, Doubt, Fate, Flag, Group, Letter, Logged, Waiting};

/// The version of the layout below,
pub(super) const VERSION: u8 = 1;
/// and with what a group says of a clock that is not trusted, and of its readings' times.
const DOUBTFUL: u8 = 2;

/// In the place of decimal places: the value follows as it is.
pub(super) const RAW: u8 = 7;

/// What a time unit stands for, in ms. A group uses the largest that divides all its times.
const UNITS_MS: [i64; 3] = [1, 1_000, 60_000];

/// Everything of a group before its readings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) next_seq: u64,
    pub(super) arrived_ms: i64,
    pub(super) site_time_ms: Option<i64>,
    pub(super) counters: Counters,
    pub(super) doubt_from: Option<u64>,
    pub(super) waits: u64,
    pub(super) waited_to: Option<u64>,
    pub(super) new_sensors: Vec<(SensorId, String)>,
    pub(super) new_balances: Vec<(BalanceId, String)>,
    pub(super) readings: usize,
}

/// Packs `group` into `out`, whose former content goes.
pub(super) fn pack(out: &mut Vec<u8>, group: &Group) {
    out.clear();
    let version = version_of(group);
    out.push(version);
    bytes::put_varint(out, group.next_seq.wrapping_sub(group.first_seq));
    bytes::put_signed(out, group.arrived_ms);
    bytes::put_option(out, group.site_time_ms, |out, ms| {
        bytes::put_signed(out, ms.wrapping_sub(group.arrived_ms));
    });
    put_counters(out, &group.counters);
    if version == DOUBTFUL {
        bytes::put_option(out, group.doubt.from, bytes::put_varint);
        bytes::put_varint(out, group.doubt.waits);
        bytes::put_option(out, group.doubt.waited_to, bytes::put_varint);
    }
    bytes::put_varint(out, group.new_sensors.len() as u64);
    for (SensorId(id), name) in &group.new_sensors {
        put_name(out, *id, name);
    }
    bytes::put_varint(out, group.new_balances.len() as u64);
    for (BalanceId(id), name) in &group.new_balances {
        put_name(out, *id, name);
    }
    bytes::put_varint(out, group.readings.len() as u64);
    if !group.readings.is_empty() {
        put_readings(out, group.first_seq, &group.readings, version);
    }
    bytes::put_varint(out, group.letters.len() as u64);
    for letter in &group.letters {
        bytes::put_varint(out, letter.seq.wrapping_sub(group.first_seq));
        bytes::put_bytes(out, letter.topic.as_bytes());
        bytes::put_bytes(out, letter.reason.as_bytes());
        bytes::put_bytes(out, &letter.payload);
    }
    if version == DOUBTFUL {
        put_waiting(out, &group.doubt.waiting);
    }
    bytes::close(out);
}

/// A group that has nothing to say of doubt is written as it always was.
fn version_of(group: &Group) -> u8 {
    let is_plain = group.doubt == Doubt::default()
        && group.readings.iter().all(|reading| reading.flag.is_none());
    if is_plain { VERSION } else { DOUBTFUL }
}

/// What waits, by the start of the machine that it came after.
pub(super) fn put_waiting(out: &mut Vec<u8>, waiting: &[Waiting]) {
    bytes::put_varint(out, waiting.len() as u64);
    let mut boot = 0;
    for reading in waiting {
        // The number is long, and mostly that of the one before.
        let same = reading.boot == boot;
        out.push(u8::from(!same));
        if !same {
            boot = reading.boot;
            out.extend_from_slice(&boot.to_le_bytes());
        }
        bytes::put_varint(out, reading.seq);
        bytes::put_varint(out, reading.sensor.0.into());
        bytes::put_varint(out, reading.tie);
        put_value(out, reading.value);
        bytes::put_varint(out, reading.uptime_ms);
    }
}

/// The inverse of [`put_waiting`].
pub(super) fn read_waiting(reader: &mut Reader<'_>) -> Result<Vec<Waiting>, Damage> {
    let mut boot = 0;
    reader.list(|reader| {
        if reader.flag()? {
            let mut bytes = [0; 16];
            for byte in &mut bytes {
                *byte = reader.u8()?;
            }
            boot = u128::from_le_bytes(bytes);
        }
        Ok(Waiting {
            boot,
            seq: reader.varint()?,
            sensor: SensorId(reader.u32()?),
            tie: reader.varint()?,
            value: read_value(reader)?,
            uptime_ms: reader.varint()?,
        })
    })
}

/// The group that starts at `first_seq`.
pub(super) fn unpack(first_seq: u64, value: &[u8]) -> Result<Group, Damage> {
    let (version, mut reader) = bytes::open_any(value, &[VERSION, DOUBTFUL])?;
    let head = read_head(first_seq, &mut reader, version)?;
    let readings = match head.readings {
        0 => Vec::new(),
        count => read_readings(&mut reader, first_seq, count, version)?,
    };
    let letters = reader.list(|reader| {
        Ok(Letter {
            seq: first_seq.wrapping_add(reader.varint()?),
            arrived_ms: head.arrived_ms,
            topic: reader.text()?,
            reason: reader.text()?,
            payload: reader.bytes()?.to_vec(),
        })
    })?;
    let waiting = match version {
        DOUBTFUL => read_waiting(&mut reader)?,
        _ => Vec::new(),
    };
    reader.end()?;
    Ok(Group {
        first_seq,
        next_seq: head.next_seq,
        arrived_ms: head.arrived_ms,
        site_time_ms: head.site_time_ms,
        counters: head.counters,
        new_sensors: head.new_sensors,
        new_balances: head.new_balances,
        readings,
        letters,
        doubt: Doubt {
            from: head.doubt_from,
            waits: head.waits,
            waited_to: head.waited_to,
            waiting,
        },
    })
}

/// The group that starts at `first_seq`, but for its readings and letters.
pub(super) fn unpack_head(first_seq: u64, value: &[u8]) -> Result<Head, Damage> {
    let (version, mut reader) = bytes::open_any(value, &[VERSION, DOUBTFUL])?;
    read_head(first_seq, &mut reader, version)
}

fn read_head(first_seq: u64, reader: &mut Reader<'_>, version: u8) -> Result<Head, Damage> {
    let taken = reader.varint()?;
    let arrived_ms = reader.signed()?;
    let site_time_ms = reader.option(|reader| Ok(arrived_ms.wrapping_add(reader.signed()?)))?;
    let counters = read_counters(reader)?;
    let (doubt_from, waits, waited_to) = match version {
        DOUBTFUL => (
            reader.option(Reader::varint)?,
            reader.varint()?,
            reader.option(Reader::varint)?,
        ),
        _ => (None, 0, None),
    };
    Ok(Head {
        next_seq: first_seq
            .checked_add(taken)
            .ok_or(Damage("its sequence numbers overflow"))?,
        arrived_ms,
        site_time_ms,
        counters,
        doubt_from,
        waits,
        waited_to,
        new_sensors: reader.list(|reader| Ok((SensorId(reader.u32()?), reader.text()?)))?,
        new_balances: reader.list(|reader| Ok((BalanceId(reader.u32()?), reader.text()?)))?,
        readings: reader.count()?,
    })
}

fn put_name(out: &mut Vec<u8>, id: u32, name: &str) {
    bytes::put_varint(out, id.into());
    bytes::put_bytes(out, name.as_bytes());
}

/// The five parts; then what `received` has beyond their sum, which is nothing.
pub(super) fn put_counters(out: &mut Vec<u8>, counters: &Counters) {
    let parts = parts(counters);
    for part in parts {
        bytes::put_varint(out, part);
    }
    let beyond = counters.received.wrapping_sub(sum(parts));
    bytes::put_signed(out, beyond.cast_signed());
}

/// The inverse of [`put_counters`].
pub(super) fn read_counters(reader: &mut Reader<'_>) -> Result<Counters, Damage> {
    let mut counters = Counters {
        received: 0,
        accepted: reader.varint()?,
        duplicate: reader.varint()?,
        corrected: reader.varint()?,
        late: reader.varint()?,
        dead_letter: reader.varint()?,
    };
    let beyond = reader.signed()?.cast_unsigned();
    counters.received = sum(parts(&counters)).wrapping_add(beyond);
    Ok(counters)
}

const fn parts(counters: &Counters) -> [u64; 5] {
    [
        counters.accepted,
        counters.duplicate,
        counters.corrected,
        counters.late,
        counters.dead_letter,
    ]
}

fn sum(parts: [u64; 5]) -> u64 {
    parts.into_iter().fold(0, u64::wrapping_add)
}

fn put_readings(out: &mut Vec<u8>, first_seq: u64, readings: &[Logged], version: u8) {
    let unit = common_unit(readings.iter().map(|r| r.time));
    let unit_ms = UNITS_MS[usize::from(unit)];
    out.push(unit);
    bytes::put_column(out, 0, readings.iter().map(|r| i64::from(r.sensor.0)));
    match unit_ms {
        // Division by a constant is a multiplication.
        60_000 => bytes::put_column(out, 0, readings.iter().map(|r| r.time.ms() / 60_000)),
        1_000 => bytes::put_column(out, 0, readings.iter().map(|r| r.time.ms() / 1_000)),
        _ => bytes::put_column(out, 0, readings.iter().map(|r| r.time.ms())),
    }
    let before = first_seq.wrapping_sub(1).cast_signed();
    bytes::put_column(out, before, readings.iter().map(|r| r.seq.cast_signed()));
    bytes::put_column(out, 0, readings.iter().map(|r| fate_code(r.fate)));
    bytes::put_column(out, 0, readings.iter().map(|r| r.tie.cast_signed()));
    if version == DOUBTFUL {
        bytes::put_column(out, 0, readings.iter().map(|r| flag_code(r.flag)));
    }
    for reading in readings {
        put_value(out, reading.value);
    }
}

fn read_readings(
    reader: &mut Reader<'_>,
    first_seq: u64,
    count: usize,
    version: u8,
) -> Result<Vec<Logged>, Damage> {
    let unit = reader.u8()?;
    let sensors = reader.column(0, count)?;
    let times = reader.column(0, count)?;
    let seqs = reader.column(first_seq.wrapping_sub(1).cast_signed(), count)?;
    let fates = reader.column(0, count)?;
    let tie_bits = reader.column(0, count)?;
    let flags = match version {
        DOUBTFUL => reader.column(0, count)?,
        _ => vec![0; count],
    };
    let mut readings = Vec::with_capacity(sensors.len());
    for (((((sensor, time), seq), fate), tie), flag) in sensors
        .into_iter()
        .zip(times)
        .zip(seqs)
        .zip(fates)
        .zip(tie_bits)
        .zip(flags)
    {
        readings.push(Logged {
            seq: seq.cast_unsigned(),
            sensor: u32::try_from(sensor)
                .map(SensorId)
                .map_err(|_| Damage("a sensor's number in it is out of range"))?,
            time: event_time(time, unit)?,
            tie: tie.cast_unsigned(),
            value: read_value(reader)?,
            fate: fate_of(fate)?,
            flag: flag_of(flag)?,
        });
    }
    Ok(readings)
}

/// A value by itself: its mantissa and places in one number, or [`RAW`] and its eight bytes.
#[inline]
fn put_value(out: &mut Vec<u8>, value: f64) {
    if let Some((places, mantissa)) = decimal::places(value, 0) {
        bytes::put_varint(out, bytes::zigzag(mantissa) << 3 | u64::from(places));
    } else {
        out.push(RAW);
        bytes::put_f64(out, value);
    }
}

fn read_value(reader: &mut Reader<'_>) -> Result<f64, Damage> {
    let packed = reader.varint()?;
    match (packed & 7) as u8 {
        places @ 0..=MAX_PLACES => Ok(decimal::unscale(bytes::unzigzag(packed >> 3), places)),
        _ if packed == u64::from(RAW) => reader.f64(),
        _ => Err(Damage("a value in it has no known form")),
    }
}

/// The largest unit that divides all `times`: its number in [`UNITS_MS`].
pub(super) fn common_unit(times: impl Iterator<Item = EventTime>) -> u8 {
    let mut unit = 2;
    for time in times {
        while unit > 0 && time.ms() % UNITS_MS[usize::from(unit)] != 0 {
            unit -= 1;
        }
        if unit == 0 {
            break;
        }
    }
    unit
}

/// A unit's length, in ms.
pub(super) fn unit_ms(unit: u8) -> Result<i64, Damage> {
    UNITS_MS
        .get(usize::from(unit))
        .copied()
        .ok_or(Damage("its unit of time is unknown"))
}

/// The event time that is `count` units after 1970.
pub(super) fn event_time(count: i64, unit: u8) -> Result<EventTime, Damage> {
    unit_ms(unit)?
        .checked_mul(count)
        .and_then(EventTime::from_ms)
        .ok_or(Damage("an event time in it is out of range"))
}

pub(super) const fn fate_code(fate: Fate) -> i64 {
    match fate {
        Fate::Accepted => 0,
        Fate::Corrected => 1,
        Fate::Late => 2,
        Fate::AcceptedLate => 3,
        Fate::CorrectedLate => 4,
        Fate::Withdrawn => 5,
    }
}

pub(super) const fn flag_code(flag: Option<Flag>) -> i64 {
    match flag {
        None => 0,
        Some(Flag::Ambiguous) => 1,
        Some(Flag::Shifted) => 2,
        Some(Flag::Stamped) => 3,
        Some(Flag::Estimated) => 4,
        Some(Flag::Rejudged) => 5,
    }
}

pub(super) fn flag_of(code: i64) -> Result<Option<Flag>, Damage> {
    match code {
        0 => Ok(None),
        1 => Ok(Some(Flag::Ambiguous)),
        2 => Ok(Some(Flag::Shifted)),
        3 => Ok(Some(Flag::Stamped)),
        4 => Ok(Some(Flag::Estimated)),
        5 => Ok(Some(Flag::Rejudged)),
        _ => Err(Damage("a flag in it is unknown")),
    }
}

pub(super) fn fate_of(code: i64) -> Result<Fate, Damage> {
    match code {
        0 => Ok(Fate::Accepted),
        1 => Ok(Fate::Corrected),
        2 => Ok(Fate::Late),
        3 => Ok(Fate::AcceptedLate),
        4 => Ok(Fate::CorrectedLate),
        5 => Ok(Fate::Withdrawn),
        _ => Err(Damage("a fate in it is unknown")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = EventTime> {
        let any = EventTime::FIRST_MS..EventTime::END_MS;
        let minutes = EventTime::FIRST_MS / 60_000..EventTime::END_MS / 60_000;
        prop_oneof![any, minutes.prop_map(|m| m * 60_000)]
            .prop_map(|ms| EventTime::from_ms(ms).expect("within the range"))
    }

    /// Any bits; decimals of few places; both zeros.
    pub(in super::super) fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-1_000_000..1_000_000_i32).prop_map(|m| f64::from(m) / 100.0),
            Just(-0.0),
            Just(0.0),
        ]
    }

    pub(in super::super) fn reading() -> impl Strategy<Value = Logged> {
        let tie = prop_oneof![Just(0), any::<u64>()];
        let flag = prop_oneof![3 => Just(0_i64), 1 => 0_i64..6];
        (
            any::<u64>(),
            any::<u32>(),
            time(),
            tie,
            value(),
            (0_i64..6, flag),
        )
            .prop_map(|(seq, sensor, time, tie, value, (fate, flag))| Logged {
                seq,
                sensor: SensorId(sensor),
                time,
                tie,
                value,
                fate: fate_of(fate).expect("a code of a fate"),
                flag: flag_of(flag).expect("a code of a flag"),
            })
    }

    prop_compose! {
        fn group()(
            (first_seq, taken, arrived_ms) in (any::<u64>(), any::<u64>(), any::<i64>()),
            site_time_ms: Option<i64>,
            totals: [u64; 6],
            new_sensors: Vec<(u32, String)>,
            new_balances: Vec<(u32, String)>,
            readings in prop::collection::vec(reading(), 0..40),
            letters: Vec<(u64, String, String, Vec<u8>)>,
            (from, waits, waited_to) in any::<(Option<u64>, u64, Option<u64>)>(),
            waiting in prop::collection::vec((reading(), 0_u8..3, any::<u64>()), 0..5),
            doubts: bool,
        ) -> Group {
            let waiting = waiting.into_iter().map(|(reading, boot, uptime_ms)| Waiting {
                seq: reading.seq,
                sensor: reading.sensor,
                tie: reading.tie,
                value: reading.value,
                boot: u128::from(boot),
                uptime_ms,
            });
            let doubt = Doubt { from, waiting: waiting.collect(), waits, waited_to };
            Group {
                first_seq,
                next_seq: first_seq.saturating_add(taken),
                arrived_ms,
                site_time_ms,
                counters: Counters {
                    received: totals[0],
                    accepted: totals[1],
                    duplicate: totals[2],
                    corrected: totals[3],
                    late: totals[4],
                    dead_letter: totals[5],
                },
                new_sensors: new_sensors.into_iter().map(|(id, n)| (SensorId(id), n)).collect(),
                new_balances: new_balances.into_iter().map(|(id, n)| (BalanceId(id), n)).collect(),
                readings,
                doubt: if doubts { doubt } else { Doubt::default() },
                letters: letters
                    .into_iter()
                    .map(|(seq, topic, reason, payload)| Letter { seq, arrived_ms, topic, reason, payload })
                    .collect(),
            }
        }
    }

    /// The same, bit for bit: floats by their bits.
    fn bits(group: &Group) -> String {
        let waiting = group.doubt.waiting.iter().map(|w| w.value);
        let values = group.readings.iter().map(|r| r.value).chain(waiting);
        let values: Vec<u64> = values.map(f64::to_bits).collect();
        format!("{group:?} {values:?}")
    }

    proptest! {
        #[test]
        fn groups_survive(group in group()) {
            let mut packed = vec![1, 2, 3];
            pack(&mut packed, &group);
            let unpacked = unpack(group.first_seq, &packed).unwrap();
            prop_assert_eq!(bits(&unpacked), bits(&group));
            let head = unpack_head(group.first_seq, &packed).unwrap();
            prop_assert_eq!(head.readings, group.readings.len());
            prop_assert_eq!(head.counters, group.counters);
        }

        #[test]
        fn arbitrary_bytes_are_damage_or_a_group(first_seq: u64, mut body: Vec<u8>) {
            body.insert(0, VERSION);
            bytes::close(&mut body);
            let _verdict = unpack(first_seq, &body);
            let _verdict = unpack_head(first_seq, &body);
        }

        #[test]
        fn a_changed_byte_is_damage_or_a_group(group in group(), at: prop::sample::Index, byte: u8) {
            let mut packed = Vec::new();
            pack(&mut packed, &group);
            packed.truncate(packed.len() - 4);
            let at = at.index(packed.len());
            packed[at] = byte;
            bytes::close(&mut packed);
            let _verdict = unpack(group.first_seq, &packed);
        }
    }
}
