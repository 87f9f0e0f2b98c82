//! A house of detectors as it is kept, so that a start need not fold months of readings again. docs/FORMAT.md has
//! the layout. It decides nothing: whether a row is still of use is judged by whoever asked for it.

use engine::Day;
use engine::calendar::Span;
use engine::detect::{
    Cell, Checkpoint, DailyEntry, DailyState, DayValue, Episode, Episodes, Fold, HouseState, KINDS,
    Latch, Mark, Normal, PersistRule, Point, Raised, Rise, Run, Said, SeriesState, Standing,
    Stream, Tail, Turn, Window,
};

use super::bytes::{self, Damage, Reader, put_bytes, put_f64, put_option, put_signed, put_varint};

/// The version of the layout.
const VERSION: u8 = 1;

/// A house as it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptHouse {
    /// The house's.
    pub name: String,
    /// The first sequence number that it does not know.
    pub next_seq: u64,
    /// Of its sensors and their units: another one means that it is to be made again.
    pub fingerprint: u64,
    /// What was answered of each series, the remainder's last: whether it need not rest, and what was normal.
    pub answers: Vec<(bool, Vec<Normal>)>,
    /// Where it stands.
    pub state: HouseState,
}

type Out = Vec<u8>;

pub(super) fn pack(kept: &KeptHouse) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, kept.next_seq);
    put_bytes(&mut out, kept.name.as_bytes());
    put_varint(&mut out, kept.fingerprint);
    put_list(&mut out, &kept.answers, |out, (never, normal)| {
        out.push(u8::from(*never));
        put_list(out, normal, |out, normal| {
            put_rule(out, normal.rule);
            put_signed(out, normal.from_ms);
            put_signed(out, normal.until_ms);
        });
    });
    let state = &kept.state;
    put_list(&mut out, &state.points, |out, points| {
        put_varint(out, points.len() as u64);
        bytes::put_column(out, 0, points.iter().map(|point| point.at_ms));
        bytes::put_column(out, 0, points.iter().map(|point| point.milli));
        bytes::put_column(out, 0, points.iter().map(|point| i64::from(point.count)));
    });
    put_list(&mut out, &state.series, |out, series| {
        put_list(out, &series.cells, put_cell);
        put_list(out, &series.checkpoints, |out, checkpoint| {
            put_span(out, checkpoint.span);
            put_option(out, checkpoint.fold.span, put_span);
            put_list(out, &checkpoint.fold.streams, put_stream);
            put_standing(out, &checkpoint.fold.standing);
        });
    });
    put_list(&mut out, &state.days, |out, [days, loads]| {
        put_daily(out, days);
        put_daily(out, loads);
    });
    put_varint(&mut out, state.movements.len() as u64);
    bytes::put_column(&mut out, 0, state.movements.iter().copied());
    put_list(&mut out, &state.said, |out, said| {
        for said in said {
            put_option(out, *said, |out, said| {
                put_signed(out, said.raised_ms);
                put_option(out, said.cleared_ms, put_signed);
            });
        }
    });
    bytes::close(&mut out);
    out
}

/// The sequence number of a row, without a look at the rest.
pub(super) fn peek(value: &[u8]) -> Result<u64, Damage> {
    bytes::peek(value, VERSION)?.varint()
}

pub(super) fn unpack(value: &[u8]) -> Result<KeptHouse, Damage> {
    let mut reader = bytes::open(value, VERSION)?;
    let kept = KeptHouse {
        next_seq: reader.varint()?,
        name: reader.text()?,
        fingerprint: reader.varint()?,
        answers: reader.list(|reader| {
            let never = reader.flag()?;
            let normal = reader.list(|reader| {
                Ok(Normal {
                    rule: rule(reader)?,
                    from_ms: reader.signed()?,
                    until_ms: reader.signed()?,
                })
            })?;
            Ok((never, normal))
        })?,
        state: HouseState {
            points: reader.list(points)?,
            series: reader.list(|reader| {
                Ok(SeriesState {
                    cells: reader.list(cell)?,
                    checkpoints: reader.list(checkpoint)?,
                })
            })?,
            days: reader.list(|reader| Ok([daily(reader)?, daily(reader)?]))?,
            movements: {
                let count = reader.count()?;
                reader.column(0, count)?
            },
            said: reader.list(said)?,
        },
    };
    reader.end()?;
    Ok(kept)
}

fn put_list<T>(out: &mut Out, all: &[T], put: impl Fn(&mut Out, &T)) {
    put_varint(out, all.len() as u64);
    for one in all {
        put(out, one);
    }
}

fn points(reader: &mut Reader<'_>) -> Result<Vec<Point>, Damage> {
    let count = reader.count()?;
    let times = reader.column(0, count)?;
    let values = reader.column(0, count)?;
    let counts = reader.column(0, count)?;
    let all = times.into_iter().zip(values).zip(counts);
    all.map(|((at_ms, milli), count)| {
        let count = u32::try_from(count).map_err(|_| TOO_LARGE)?;
        Ok(Point {
            at_ms,
            milli,
            count,
        })
    })
    .collect()
}

const TOO_LARGE: Damage = Damage("a number in it is too large");

fn put_day(out: &mut Out, day: Day) {
    put_signed(out, day.number().into());
}

fn day(reader: &mut Reader<'_>) -> Result<Day, Damage> {
    Ok(Day::from_number(i32_of(reader)?))
}

fn i32_of(reader: &mut Reader<'_>) -> Result<i32, Damage> {
    i32::try_from(reader.signed()?).map_err(|_| TOO_LARGE)
}

fn u16_of(reader: &mut Reader<'_>) -> Result<u16, Damage> {
    u16::try_from(reader.varint()?).map_err(|_| TOO_LARGE)
}

fn usize_of(reader: &mut Reader<'_>) -> Result<usize, Damage> {
    usize::try_from(reader.varint()?).map_err(|_| TOO_LARGE)
}

fn put_span(out: &mut Out, span: Span) {
    put_day(out, span.day);
    put_signed(out, span.start_ms);
    put_signed(out, span.end_ms);
}

fn span(reader: &mut Reader<'_>) -> Result<Span, Damage> {
    Ok(Span {
        day: day(reader)?,
        start_ms: reader.signed()?,
        end_ms: reader.signed()?,
    })
}

fn put_cell(out: &mut Out, cell: &Cell) {
    put_day(out, cell.day);
    put_signed(out, cell.least.from_ms);
    put_signed(out, cell.least.until_ms);
    put_f64(out, cell.least.ceiling);
    put_f64(out, cell.least.flow);
    put_signed(out, cell.rest_ms);
    put_f64(out, cell.quiet);
    put_signed(out, cell.milli);
}

fn cell(reader: &mut Reader<'_>) -> Result<Cell, Damage> {
    Ok(Cell {
        day: day(reader)?,
        least: Window {
            from_ms: reader.signed()?,
            until_ms: reader.signed()?,
            ceiling: reader.f64()?,
            flow: reader.f64()?,
        },
        rest_ms: reader.signed()?,
        quiet: reader.f64()?,
        milli: reader.signed()?,
    })
}

fn checkpoint(reader: &mut Reader<'_>) -> Result<Checkpoint, Damage> {
    Ok(Checkpoint {
        span: span(reader)?,
        fold: Fold {
            span: reader.option(span)?,
            streams: reader.list(stream)?,
            standing: standing(reader)?,
        },
    })
}

fn put_stream(out: &mut Out, stream: &Stream) {
    put_signed(out, stream.taken_ms);
    for mark in stream.marks {
        put_option(out, mark, |out, mark| {
            put_signed(out, mark.at_ms);
            put_signed(out, mark.level);
            put_varint(out, mark.chain.into());
        });
    }
    for raw in stream.raw {
        put_option(out, raw, |out, (at_ms, level)| {
            put_signed(out, at_ms);
            put_signed(out, level);
        });
    }
    put_signed(out, stream.lift);
    put_varint(out, stream.next_chain.into());
    put_signed(out, stream.grain.0);
    put_varint(out, stream.grain.1.into());
    for count in stream.spacings.0 {
        put_varint(out, count.into());
    }
    put_varint(out, stream.spacings.1.into());
    put_varint(out, stream.in_day.into());
}

fn stream(reader: &mut Reader<'_>) -> Result<Stream, Damage> {
    let mut stream = Stream {
        taken_ms: reader.signed()?,
        ..Stream::default()
    };
    for mark in &mut stream.marks {
        *mark = reader.option(|reader| {
            Ok(Mark {
                at_ms: reader.signed()?,
                level: reader.signed()?,
                chain: reader.u32()?,
            })
        })?;
    }
    for raw in &mut stream.raw {
        *raw = reader.option(|reader| Ok((reader.signed()?, reader.signed()?)))?;
    }
    stream.lift = reader.signed()?;
    stream.next_chain = reader.u32()?;
    stream.grain = (reader.signed()?, reader.u32()?);
    for count in &mut stream.spacings.0 {
        *count = u16_of(reader)?;
    }
    stream.spacings.1 = u16_of(reader)?;
    stream.in_day = reader.u32()?;
    Ok(stream)
}

fn put_standing(out: &mut Out, standing: &Standing) {
    for run in standing.runs {
        put_varint(out, run.days.into());
        put_signed(out, run.first.into());
        put_f64(out, run.above);
    }
    out.push(standing.hours);
    out.push(standing.high_flow);
    out.push(u8::from(standing.flows));
    put_varint(out, standing.first_cells.0.into());
    put_varint(out, standing.first_cells.1.into());
    out.push(u8::from(standing.restless));
    put_varint(out, standing.rested.into());
    put_f64(out, standing.personal);
    put_episodes(out, &standing.leaks, put_rule);
    put_episodes(out, &standing.notices, Vec::push);
    put_episodes(out, &standing.away, |_, ()| {});
    put_episodes(out, &standing.commissioning, |_, ()| {});
}

fn standing(reader: &mut Reader<'_>) -> Result<Standing, Damage> {
    let mut runs = [Run::default(); 8];
    for run in &mut runs {
        *run = Run {
            days: u16_of(reader)?,
            first: i32_of(reader)?,
            above: reader.f64()?,
        };
    }
    Ok(Standing {
        runs,
        hours: reader.u8()?,
        high_flow: reader.u8()?,
        flows: reader.flag()?,
        first_cells: (u16_of(reader)?, u16_of(reader)?),
        restless: reader.flag()?,
        rested: u16_of(reader)?,
        personal: reader.f64()?,
        leaks: episodes(reader, rule)?,
        notices: episodes(reader, Reader::u8)?,
        away: episodes(reader, |_| Ok(()))?,
        commissioning: episodes(reader, |_| Ok(()))?,
    })
}

fn put_rule(out: &mut Out, rule: PersistRule) {
    let (kind, place) = match rule {
        PersistRule::Day(place) => (0, place),
        PersistRule::Hour(place) => (1, place),
    };
    out.extend([kind, place]);
}

fn rule(reader: &mut Reader<'_>) -> Result<PersistRule, Damage> {
    match (reader.u8()?, reader.u8()?) {
        (0, place @ 0..8) => Ok(PersistRule::Day(place)),
        (1, place @ 0..7) => Ok(PersistRule::Hour(place)),
        (_, _) => Err(Damage("a rule in it is unknown")),
    }
}

fn put_episodes<R: Copy>(out: &mut Out, episodes: &Episodes<R>, put: impl Fn(&mut Out, R)) {
    for episode in [episodes.last, episodes.before] {
        put_option(out, episode, |out, episode| {
            put(out, episode.rule);
            put_signed(out, episode.raised_ms);
            put_signed(out, episode.seen_ms);
            put_option(out, episode.cleared_ms, put_signed);
        });
    }
}

fn episodes<'a, R>(
    reader: &mut Reader<'a>,
    rule: impl Fn(&mut Reader<'a>) -> Result<R, Damage>,
) -> Result<Episodes<R>, Damage> {
    let episode = |reader: &mut Reader<'a>| {
        Ok(Episode {
            rule: rule(reader)?,
            raised_ms: reader.signed()?,
            seen_ms: reader.signed()?,
            cleared_ms: reader.option(Reader::signed)?,
        })
    };
    Ok(Episodes {
        last: reader.option(episode)?,
        before: reader.option(episode)?,
    })
}

fn put_daily(out: &mut Out, daily: &DailyState) {
    put_list(out, &daily.entries, |out, entry| {
        put_day(out, entry.day);
        put_signed(out, entry.value.milli);
        put_signed(out, entry.value.total_milli);
        put_signed(out, entry.value.at_ms);
    });
    put_list(out, &daily.turns, |out, turn| {
        put_day(out, turn.day);
        put_option(out, turn.latch.raised, |out, raised| {
            put_day(out, raised.on);
            put_rise(out, &raised.rise);
        });
        put_option(out, turn.latch.cleared, put_day);
        put_episodes(out, &turn.latch.rises, put_tail);
        put_episodes(out, &turn.latch.shocks, |_, ()| {});
    });
}

fn daily(reader: &mut Reader<'_>) -> Result<DailyState, Damage> {
    let entry = |reader: &mut Reader<'_>| {
        Ok(DailyEntry {
            day: day(reader)?,
            value: DayValue {
                milli: reader.signed()?,
                total_milli: reader.signed()?,
                at_ms: reader.signed()?,
            },
        })
    };
    let turn = |reader: &mut Reader<'_>| {
        Ok(Turn {
            day: day(reader)?,
            latch: Latch {
                raised: reader.option(|reader| {
                    Ok(Raised {
                        on: day(reader)?,
                        rise: rise(reader)?,
                    })
                })?,
                cleared: reader.option(day)?,
                rises: episodes(reader, tail)?,
                shocks: episodes(reader, |_| Ok(()))?,
            },
        })
    };
    Ok(DailyState {
        entries: reader.list(entry)?,
        turns: reader.list(turn)?,
    })
}

fn put_rise(out: &mut Out, rise: &Rise) {
    put_day(out, rise.start);
    for value in [rise.before, rise.by, rise.error, rise.evidence] {
        put_f64(out, value);
    }
    put_tail(out, rise.tail);
    put_varint(out, rise.days as u64);
    put_varint(out, rise.base_days as u64);
}

fn rise(reader: &mut Reader<'_>) -> Result<Rise, Damage> {
    Ok(Rise {
        start: day(reader)?,
        before: reader.f64()?,
        by: reader.f64()?,
        error: reader.f64()?,
        evidence: reader.f64()?,
        tail: tail(reader)?,
        days: usize_of(reader)?,
        base_days: usize_of(reader)?,
    })
}

fn put_tail(out: &mut Out, tail: Tail) {
    out.push(match tail {
        Tail::Light => 0,
        Tail::Mild => 1,
        Tail::Heavy => 2,
    });
}

fn tail(reader: &mut Reader<'_>) -> Result<Tail, Damage> {
    match reader.u8()? {
        0 => Ok(Tail::Light),
        1 => Ok(Tail::Mild),
        2 => Ok(Tail::Heavy),
        _ => Err(Damage("a kind of noise in it is unknown")),
    }
}

fn said(reader: &mut Reader<'_>) -> Result<[Option<Said>; KINDS], Damage> {
    let mut all = [None; KINDS];
    for said in &mut all {
        *said = reader.option(|reader| {
            Ok(Said {
                raised_ms: reader.signed()?,
                cleared_ms: reader.option(Reader::signed)?,
            })
        })?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::detect::{
        Counts, House, HouseSpec, Known, MemberSpec, Parameters, Resource, Rests, SLOT_MS, Subject,
    };
    use proptest::prelude::*;

    /// A house with two members that saw forty days.
    fn house() -> House {
        let member = |counts| MemberSpec {
            known: Known {
                counts,
                interval_ms: None,
                resolution_milli: None,
            },
            rests: Rests::Learned,
            normal: Vec::new(),
        };
        let register = Counts::Register {
            modulus_milli: None,
            max_rate_milli: None,
        };
        let mut house = House::new(HouseSpec {
            calendar: engine::Calendar::new(chrono_tz::UTC),
            resource: Resource::Water,
            members: vec![member(register), member(Counts::Delta)],
            normal: Vec::new(),
            parameters: Parameters::default(),
        });
        let (mut level, start) = (0, 1_577_836_800_000);
        for slot in 1..96 * 40_i64 {
            level += slot * 37 % 11 * 500;
            let at_ms = start + slot * SLOT_MS;
            let _taken = house.put(0, at_ms, level);
            let _taken = house.put(1, at_ms, slot % 7 * 100);
            if slot % 96 == 0 {
                let _taken = house.moved(at_ms);
                let day = Day::from_number(i32::try_from(18_261 + slot / 96).expect("a day"));
                let value = DayValue {
                    milli: 60_000 + slot % 13 * 1000 + slot / 3000 * 90_000,
                    total_milli: 110_000,
                    at_ms,
                };
                house.put_day(Subject::Remainder, day, Some(value));
                let _said = house.settle();
            }
        }
        house
    }

    fn kept() -> KeptHouse {
        let state = house().state();
        assert!(
            state.said.iter().flatten().any(Option::is_some),
            "it has said something"
        );
        KeptHouse {
            name: "h0001/water".into(),
            next_seq: 1_000_000,
            fingerprint: u64::MAX - 3,
            answers: vec![
                (true, Vec::new()),
                (
                    false,
                    vec![Normal {
                        rule: PersistRule::Hour(3),
                        from_ms: -5,
                        until_ms: 1 << 50,
                    }],
                ),
            ],
            state,
        }
    }

    #[test]
    fn a_house_survives_and_is_small() {
        let kept = kept();
        let packed = pack(&kept);
        assert_eq!(unpack(&packed).as_ref(), Ok(&kept));
        assert_eq!(peek(&packed), Ok(1_000_000));
        assert!(packed.len() < 64 << 10, "{} bytes", packed.len());
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_damage_or_a_house(at: prop::sample::Index, byte: u8) {
            static PACKED: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| pack(&kept()));
            let mut packed = PACKED.clone();
            packed.truncate(packed.len() - 4);
            let at = at.index(packed.len());
            packed[at] = byte;
            bytes::close(&mut packed);
            let _verdict = unpack(&packed);
        }
    }
}
