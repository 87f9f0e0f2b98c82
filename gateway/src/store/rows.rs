//! The small rows as bytes: days, rests, sensors, late readings, letters, seals, the checkpoint.
//!
//! The engine's types know no serialisation; this is theirs, field by field, as docs/FORMAT.md
//! says it. Each begins with its version and ends with its checksum.

use engine::{Aggregate, Day, DayRow, DiffKind, DiffRow, EventTime, RestRow, SensorDay, SensorId};

use super::bytes::{self, Damage, Reader};
use super::incident::Incident;
use super::log;
use super::types::{Checkpoint, Dropped, LateRow, Letter, SensorState, UserRow, Waiting};

/// The version of every layout here. One that changes gets a number, and a constant, of its own.
pub(super) const VERSION: u8 = 1;
/// Of a sensor or a checkpoint that has something to say of a clock that is not trusted.
const DOUBTFUL: u8 = 2;

/// What a seal covered: for whoever follows the store seal by seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealRow {
    pub(super) first_seq: u64,
    pub(super) next_seq: u64,
    /// The newest of `touched`'s days.
    pub(super) newest_day: i32,
    pub(super) touched: Vec<(SensorId, Day)>,
}

fn row(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    row_of(VERSION, write)
}

fn row_of(version: u8, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![version];
    write(&mut out);
    bytes::close(&mut out);
    out
}

fn read<T>(
    value: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Damage>,
) -> Result<T, Damage> {
    let mut reader = bytes::open(value, VERSION)?;
    let row = read(&mut reader)?;
    reader.end()?;
    Ok(row)
}

/// The same of a row that may be [`DOUBTFUL`]; says whether it is.
fn read_any<T>(
    value: &[u8],
    read: impl FnOnce(&mut Reader<'_>, bool) -> Result<T, Damage>,
) -> Result<T, Damage> {
    let (version, mut reader) = bytes::open_any(value, &[VERSION, DOUBTFUL])?;
    let row = read(&mut reader, version == DOUBTFUL)?;
    reader.end()?;
    Ok(row)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    bytes::put_varint(out, value.into());
}

fn put_time(out: &mut Vec<u8>, time: EventTime) {
    bytes::put_signed(out, time.ms());
}

fn read_time(reader: &mut Reader<'_>) -> Result<EventTime, Damage> {
    EventTime::from_ms(reader.signed()?).ok_or(Damage("an event time in it is out of range"))
}

pub(super) fn pack_day(day: &SensorDay) -> Vec<u8> {
    row(|out| {
        let row = &day.row;
        out.push(aggregate_code(row.aggregate));
        for value in [row.value, row.min, row.max, row.first, row.last] {
            bytes::put_f64(out, value);
        }
        put_u32(out, row.count);
        bytes::put_option(out, row.expected, put_u32);
        out.push(u8::from(row.closed));
        put_u32(out, row.revision);
        bytes::put_option(out, day.diff.as_ref(), |out, diff| {
            bytes::put_f64(out, diff.value);
            out.push(diff_code(diff.kind));
            out.push(u8::from(diff.closed));
            put_u32(out, diff.revision);
        });
        bytes::put_option(out, day.walk.as_deref(), bytes::put_bytes);
    })
}

pub(super) fn unpack_day(value: &[u8]) -> Result<SensorDay, Damage> {
    read(value, |reader| {
        let aggregate = aggregate_of(reader.u8()?)?;
        let (value, min, max) = (reader.f64()?, reader.f64()?, reader.f64()?);
        let (first, last) = (reader.f64()?, reader.f64()?);
        Ok(SensorDay {
            row: DayRow {
                aggregate,
                value,
                min,
                max,
                first,
                last,
                count: reader.u32()?,
                expected: reader.option(Reader::u32)?,
                closed: reader.flag()?,
                revision: reader.u32()?,
            },
            diff: reader.option(|reader| {
                Ok(DiffRow {
                    value: reader.f64()?,
                    kind: diff_of(reader.u8()?)?,
                    closed: reader.flag()?,
                    revision: reader.u32()?,
                })
            })?,
            walk: reader.option(|reader| reader.bytes().map(<[u8]>::to_vec))?,
        })
    })
}

pub(super) fn pack_rest(rest: &RestRow) -> Vec<u8> {
    row(|out| {
        for value in [rest.value, rest.meter, rest.parts] {
            bytes::put_f64(out, value);
        }
        out.push(u8::from(rest.closed));
        put_u32(out, rest.revision);
        bytes::put_varint(out, rest.coverage.len() as u64);
        for (sensor, coverage) in &rest.coverage {
            put_u32(out, sensor.0);
            bytes::put_option(out, *coverage, bytes::put_f64);
        }
    })
}

pub(super) fn unpack_rest(value: &[u8]) -> Result<RestRow, Damage> {
    read(value, |reader| {
        let (value, meter, parts) = (reader.f64()?, reader.f64()?, reader.f64()?);
        Ok(RestRow {
            value,
            meter,
            parts,
            closed: reader.flag()?,
            revision: reader.u32()?,
            coverage: reader
                .list(|reader| Ok((SensorId(reader.u32()?), reader.option(Reader::f64)?)))?,
        })
    })
}

pub(super) fn pack_sensor(sensor: &SensorState) -> Vec<u8> {
    let doubts = sensor.sure != sensor.newest;
    row_of(if doubts { DOUBTFUL } else { VERSION }, |out| {
        bytes::put_bytes(out, sensor.name.as_bytes());
        bytes::put_option(out, sensor.newest, put_time);
        bytes::put_option(out, sensor.first, put_time);
        bytes::put_option(out, sensor.last_value, bytes::put_f64);
        bytes::put_varint(out, sensor.fingerprint);
        if doubts {
            bytes::put_option(out, sensor.sure, put_time);
        }
    })
}

pub(super) fn unpack_sensor(id: SensorId, value: &[u8]) -> Result<SensorState, Damage> {
    read_any(value, |reader, doubts| {
        let name = reader.text()?;
        let newest = reader.option(read_time)?;
        Ok(SensorState {
            id,
            name,
            newest,
            first: reader.option(read_time)?,
            last_value: reader.option(Reader::f64)?,
            fingerprint: reader.varint()?,
            sure: if doubts {
                reader.option(read_time)?
            } else {
                newest
            },
        })
    })
}

pub(super) fn pack_incidents(incidents: &[Incident]) -> Vec<u8> {
    row(|out| {
        bytes::put_varint(out, incidents.len() as u64);
        for incident in incidents {
            bytes::put_bytes(out, incident.file.as_bytes());
            bytes::put_signed(out, incident.at_ms);
            bytes::put_bytes(out, incident.why.as_bytes());
            bytes::put_option(out, incident.backup.as_deref(), |out, backup| {
                bytes::put_bytes(out, backup.as_bytes());
            });
        }
    })
}

pub(super) fn unpack_incidents(value: &[u8]) -> Result<Vec<Incident>, Damage> {
    read(value, |reader| {
        reader.list(|reader| {
            Ok(Incident {
                file: reader.text()?,
                at_ms: reader.signed()?,
                why: reader.text()?,
                backup: reader.option(Reader::text)?,
            })
        })
    })
}

pub(super) fn pack_late(late: &LateRow) -> Vec<u8> {
    row(|out| {
        put_u32(out, late.sensor.0);
        put_time(out, late.time);
        bytes::put_varint(out, late.tie);
        bytes::put_f64(out, late.value);
        bytes::put_signed(out, late.arrived_ms);
        out.push(u8::from(late.accepted));
    })
}

pub(super) fn unpack_late(seq: u64, value: &[u8]) -> Result<LateRow, Damage> {
    read(value, |reader| {
        Ok(LateRow {
            seq,
            sensor: SensorId(reader.u32()?),
            time: read_time(reader)?,
            tie: reader.varint()?,
            value: reader.f64()?,
            arrived_ms: reader.signed()?,
            accepted: reader.flag()?,
        })
    })
}

pub(super) fn pack_letter(letter: &Letter) -> Vec<u8> {
    row(|out| {
        bytes::put_signed(out, letter.arrived_ms);
        bytes::put_bytes(out, letter.topic.as_bytes());
        bytes::put_bytes(out, letter.reason.as_bytes());
        bytes::put_bytes(out, &letter.payload);
    })
}

pub(super) fn unpack_letter(seq: u64, value: &[u8]) -> Result<Letter, Damage> {
    read(value, |reader| {
        Ok(Letter {
            seq,
            arrived_ms: reader.signed()?,
            topic: reader.text()?,
            reason: reader.text()?,
            payload: reader.bytes()?.to_vec(),
        })
    })
}

pub(super) fn pack_user(user: &UserRow) -> Vec<u8> {
    let put_filters = |out: &mut Vec<u8>, filters: &[String]| {
        bytes::put_varint(out, filters.len() as u64);
        for filter in filters {
            bytes::put_bytes(out, filter.as_bytes());
        }
    };
    row(|out| {
        bytes::put_bytes(out, user.password_hash.as_bytes());
        out.push(user.doors);
        bytes::put_option(out, user.publish.as_deref(), put_filters);
        bytes::put_option(out, user.subscribe.as_deref(), put_filters);
    })
}

pub(super) fn unpack_user(value: &[u8]) -> Result<UserRow, Damage> {
    read(value, |reader| {
        Ok(UserRow {
            password_hash: reader.text()?,
            doors: reader.u8()?,
            publish: reader.option(|reader| reader.list(Reader::text))?,
            subscribe: reader.option(|reader| reader.list(Reader::text))?,
        })
    })
}

/// A text, or bytes that only their writer understands.
pub(super) fn pack_opaque(content: &[u8]) -> Vec<u8> {
    row(|out| bytes::put_bytes(out, content))
}

pub(super) fn unpack_opaque(value: &[u8]) -> Result<Vec<u8>, Damage> {
    read(value, |reader| reader.bytes().map(<[u8]>::to_vec))
}

pub(super) fn unpack_text(value: &[u8]) -> Result<String, Damage> {
    String::from_utf8(unpack_opaque(value)?).map_err(|_| Damage("a text in it is not UTF-8"))
}

/// A number alone: the schema's version. Its layout never changes, so that any program can say
/// which version it found.
pub(super) fn pack_number(number: u64) -> Vec<u8> {
    row(|out| bytes::put_varint(out, number))
}

pub(super) fn unpack_number(value: &[u8]) -> Result<u64, Damage> {
    let mut reader = bytes::open(value, VERSION)?;
    let number = reader.varint()?;
    reader.end()?;
    Ok(number)
}

/// The checkpoint, but for its sensors and balances, which have tables of their own.
pub(super) fn pack_checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let doubts = checkpoint.doubt_from.is_some() || checkpoint.waits > 0;
    row_of(if doubts { DOUBTFUL } else { VERSION }, |out| {
        bytes::put_varint(out, checkpoint.generation);
        bytes::put_varint(out, checkpoint.seal);
        bytes::put_varint(out, checkpoint.next_seq);
        bytes::put_option(out, checkpoint.site_time_ms, bytes::put_signed);
        log::put_counters(out, &checkpoint.counters);
        bytes::put_varint(out, checkpoint.dropped.late);
        bytes::put_varint(out, checkpoint.dropped.letters);
        bytes::put_option(out, checkpoint.dropped_before, |out, day| {
            bytes::put_signed(out, day.number().into());
        });
        if doubts {
            bytes::put_option(out, checkpoint.doubt_from, bytes::put_varint);
            bytes::put_varint(out, checkpoint.waits);
        }
    })
}

pub(super) fn unpack_checkpoint(value: &[u8]) -> Result<Checkpoint, Damage> {
    read_any(value, |reader, doubts| {
        Ok(Checkpoint {
            generation: reader.varint()?,
            seal: reader.varint()?,
            next_seq: reader.varint()?,
            site_time_ms: reader.option(Reader::signed)?,
            counters: log::read_counters(reader)?,
            dropped: Dropped {
                late: reader.varint()?,
                letters: reader.varint()?,
            },
            dropped_before: reader.option(read_day)?,
            doubt_from: if doubts {
                reader.option(Reader::varint)?
            } else {
                None
            },
            waits: if doubts { reader.varint()? } else { 0 },
            sensors: Vec::new(),
            balances: Vec::new(),
        })
    })
}

/// What waits until the clock is trusted.
pub(super) fn pack_waiting(waiting: &[Waiting]) -> Vec<u8> {
    row(|out| log::put_waiting(out, waiting))
}

pub(super) fn unpack_waiting(value: &[u8]) -> Result<Vec<Waiting>, Damage> {
    read(value, log::read_waiting)
}

pub(super) fn pack_seal(seal: &SealRow) -> Vec<u8> {
    row(|out| {
        bytes::put_varint(out, seal.first_seq);
        bytes::put_varint(out, seal.next_seq);
        bytes::put_signed(out, seal.newest_day.into());
        bytes::put_varint(out, seal.touched.len() as u64);
        for (sensor, day) in &seal.touched {
            put_u32(out, sensor.0);
            bytes::put_signed(out, day.number().into());
        }
    })
}

pub(super) fn unpack_seal(value: &[u8]) -> Result<SealRow, Damage> {
    read(value, |reader| {
        Ok(SealRow {
            first_seq: reader.varint()?,
            next_seq: reader.varint()?,
            newest_day: read_day(reader)?.number(),
            touched: reader.list(|reader| Ok((SensorId(reader.u32()?), read_day(reader)?)))?,
        })
    })
}

fn read_day(reader: &mut Reader<'_>) -> Result<Day, Damage> {
    i32::try_from(reader.signed()?)
        .map(Day::from_number)
        .map_err(|_| Damage("a day in it is out of range"))
}

const fn aggregate_code(aggregate: Aggregate) -> u8 {
    match aggregate {
        Aggregate::Mean => 0,
        Aggregate::Sum => 1,
        Aggregate::Max => 2,
        Aggregate::Min => 3,
        Aggregate::Last => 4,
        Aggregate::Count => 5,
    }
}

fn aggregate_of(code: u8) -> Result<Aggregate, Damage> {
    match code {
        0 => Ok(Aggregate::Mean),
        1 => Ok(Aggregate::Sum),
        2 => Ok(Aggregate::Max),
        3 => Ok(Aggregate::Min),
        4 => Ok(Aggregate::Last),
        5 => Ok(Aggregate::Count),
        _ => Err(Damage("its aggregate is unknown")),
    }
}

const fn diff_code(kind: DiffKind) -> u8 {
    match kind {
        DiffKind::Normal => 0,
        DiffKind::Glitch => 1,
        DiffKind::Rollover => 2,
        DiffKind::Reset => 3,
        DiffKind::Suspect => 4,
    }
}

fn diff_of(code: u8) -> Result<DiffKind, Damage> {
    match code {
        0 => Ok(DiffKind::Normal),
        1 => Ok(DiffKind::Glitch),
        2 => Ok(DiffKind::Rollover),
        3 => Ok(DiffKind::Reset),
        4 => Ok(DiffKind::Suspect),
        _ => Err(Damage("its kind of difference is unknown")),
    }
}

/// The name of a balance.
pub(super) fn pack_name(name: &str) -> Vec<u8> {
    pack_opaque(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::log::tests::{reading, value};
    use super::super::types::Counters;
    use super::*;

    /// Both are of the same bits.
    fn same<T: std::fmt::Debug>(a: &T, b: &T) -> bool {
        format!("{a:?}") == format!("{b:?}")
    }

    proptest! {
        #[test]
        fn users_survive(password_hash: String, doors: u8, publish: Option<Vec<String>>, subscribe: Option<Vec<String>>) {
            let user = UserRow { password_hash, doors, publish, subscribe };
            prop_assert_eq!(unpack_user(&pack_user(&user)), Ok(user));
        }

        #[test]
        fn days_survive(
            values in prop::array::uniform6(value()),
            (code, kind) in (0_u8..6, 0_u8..5),
            (count, expected, revision) in any::<(u32, Option<u32>, u32)>(),
            (closed, has_diff) in any::<(bool, bool)>(),
            walk: Option<Vec<u8>>,
        ) {
            let [value, min, max, first, last, diff] = values;
            let aggregate = aggregate_of(code).unwrap();
            let row = DayRow { aggregate, value, count, expected, min, max, first, last, closed, revision };
            let kind = diff_of(kind).unwrap();
            let diff = has_diff.then_some(DiffRow { value: diff, kind, closed: !closed, revision });
            let day = SensorDay { row, diff, walk };
            prop_assert!(same(&unpack_day(&pack_day(&day)).unwrap(), &day));
        }

        #[test]
        fn rests_survive(
            values in prop::array::uniform3(value()),
            coverage: Vec<(u32, Option<f64>)>,
            (closed, revision) in any::<(bool, u32)>(),
        ) {
            let [value, meter, parts] = values;
            let coverage = coverage.into_iter().map(|(s, c)| (SensorId(s), c)).collect();
            let rest = RestRow { value, meter, parts, coverage, closed, revision };
            prop_assert!(same(&unpack_rest(&pack_rest(&rest)).unwrap(), &rest));
        }

        #[test]
        fn sensors_late_rows_and_letters_survive(
            r in reading(),
            (name, reason) in any::<(String, String)>(),
            (newest, fingerprint, arrived_ms) in any::<(bool, u64, i64)>(),
            payload: Vec<u8>,
        ) {
            let sensor = SensorState {
                id: r.sensor,
                name: name.clone(),
                newest: newest.then_some(r.time),
                sure: (arrived_ms > 0).then_some(r.time),
                first: Some(r.time),
                last_value: newest.then_some(r.value),
                fingerprint,
            };
            prop_assert!(same(&unpack_sensor(r.sensor, &pack_sensor(&sensor)).unwrap(), &sensor));
            let late = LateRow {
                seq: r.seq, sensor: r.sensor, time: r.time, tie: r.tie, value: r.value, arrived_ms, accepted: newest,
            };
            prop_assert!(same(&unpack_late(r.seq, &pack_late(&late)).unwrap(), &late));
            let letter = Letter { seq: r.seq, arrived_ms, topic: name, reason, payload };
            prop_assert_eq!(unpack_letter(r.seq, &pack_letter(&letter)).unwrap(), letter);
        }

        #[test]
        fn seals_and_checkpoints_survive(
            touched: Vec<(u32, i32)>,
            (first_seq, next_seq, newest_day) in any::<(u64, u64, i32)>(),
            (site_time_ms, before, received) in any::<(Option<i64>, Option<i32>, u64)>(),
        ) {
            let touched = touched.into_iter().map(|(s, d)| (SensorId(s), Day::from_number(d))).collect();
            let seal = SealRow { first_seq, next_seq, newest_day, touched };
            prop_assert_eq!(unpack_seal(&pack_seal(&seal)).unwrap(), seal);
            let checkpoint = Checkpoint {
                generation: first_seq,
                seal: received,
                next_seq,
                site_time_ms,
                counters: Counters { received, accepted: next_seq, ..Counters::default() },
                dropped: Dropped { late: received, letters: first_seq },
                dropped_before: before.map(Day::from_number),
                doubt_from: before.map(|day| u64::from(day.unsigned_abs())),
                waits: first_seq / 2,
                sensors: Vec::new(),
                balances: Vec::new(),
            };
            prop_assert_eq!(unpack_checkpoint(&pack_checkpoint(&checkpoint)).unwrap(), checkpoint);
        }

        #[test]
        fn arbitrary_bytes_are_damage_or_a_row(mut body: Vec<u8>) {
            body.insert(0, VERSION);
            bytes::close(&mut body);
            let _verdict = (unpack_day(&body), unpack_rest(&body), unpack_sensor(SensorId(0), &body));
            let _verdict = (unpack_late(0, &body), unpack_letter(0, &body), unpack_opaque(&body));
            let _verdict = (unpack_text(&body), unpack_number(&body), unpack_user(&body));
            let _verdict = (unpack_checkpoint(&body), unpack_seal(&body), unpack_waiting(&body));
        }
    }
}
