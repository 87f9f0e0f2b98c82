//! Points of a meter, less those of its parts → samples in the order of event time.
//!
//! A remainder has a sample where the meter has one and every part's level is known there. Where a part is
//! read at other times than the meter, its volume is taken for the least that it may have been: the
//! ceiling stays proven. Nothing here decides what a sample means.

use super::cell::{Allowance, Sample, Stands, ceiling_at_end};
use super::parameters::{HOUR_MS, Persist};
use super::slots::{Point, SLOT_MS, Slots};
use super::stream::{Known, Mark, Stream};

/// How far back samples are needed, ms: the longest hour rule, and a window before it.
pub(crate) const REACH_MS: i64 = 38 * HOUR_MS;
/// So many samples are held before those out of reach are let go.
const SAMPLES_MAX: usize = 224;

/// A meter and its parts, as they are configured; a lone sensor has no parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Members {
    /// The meter, or the lone sensor.
    pub(crate) meter: Known,
    /// What is taken off.
    pub(crate) parts: Vec<Known>,
}

/// The points of a meter and of its parts.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) meter: &'a Slots,
    pub(crate) parts: &'a [Slots],
}

impl Held<'_> {
    /// The meter's next point, once every part is known so far.
    pub(crate) fn next(self, streams: &[Stream]) -> Option<Point> {
        let point = self.meter.after(streams[0].taken_ms)?;
        let is_known = |part: &Slots| part.newest_ms().is_some_and(|ms| ms >= point.at_ms);
        self.parts.iter().all(is_known).then_some(point)
    }
}

/// A level of one part at an instant: the least and the most that it may be.
struct Level {
    low: Mark,
    high: i64,
}

impl Members {
    /// As many streams as members, the meter's first.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        vec![Stream::default(); 1 + self.parts.len()]
    }

    pub(crate) fn allowance(&self, streams: &[Stream], persist: &Persist) -> Allowance {
        let known = std::iter::once(&self.meter).chain(&self.parts);
        let resolutions = known
            .zip(streams)
            .map(|(known, stream)| stream.resolution(known));
        Allowance {
            resolution: resolutions.sum(),
            part_permille: if self.parts.is_empty() {
                0
            } else {
                persist.part_error_permille
            },
        }
    }

    /// How often the series is read, ms: as its slowest member.
    pub(crate) fn interval_ms(&self, streams: &[Stream]) -> i64 {
        let known = std::iter::once(&self.meter).chain(&self.parts);
        let intervals = known
            .zip(streams)
            .map(|(known, stream)| stream.interval_ms(known).unwrap_or(SLOT_MS));
        intervals.max().unwrap_or(SLOT_MS)
    }

    /// Takes the meter's next point, and what the parts have up to then.
    pub(crate) fn absorb(
        &self,
        point: Point,
        streams: &mut [Stream],
        held: Held<'_>,
        samples: &mut Vec<Sample>,
        persist: &Persist,
    ) {
        let (meter, parts) = streams.split_first_mut().expect("a series has a meter");
        let (mut low, mut high, mut chain) = (0, 0, 0_u32);
        let mut stands = Stands::Yes;
        for ((stream, known), slots) in parts.iter_mut().zip(&self.parts).zip(held.parts) {
            while let Some(part) = slots.after(stream.taken_ms)
                && part.at_ms <= point.at_ms
            {
                let before_ms = stream.taken_ms;
                if stream.take(part, known).strikes {
                    strike_from(samples, before_ms);
                }
            }
            match level(stream, known, slots, point.at_ms) {
                Some(level) => {
                    low += level.low.level;
                    high += level.high;
                    // Chains of several parts are told apart by a hash of their numbers.
                    chain = chain
                        .wrapping_mul(0x9e37_79b1)
                        .wrapping_add(level.low.chain + 1);
                }
                None => stands = Stands::No,
            }
        }
        let step = meter.take(point, &self.meter);
        if step.strikes
            && let Some(last) = samples.last_mut()
        {
            last.stands = Stands::No;
        }
        if samples.len() >= SAMPLES_MAX {
            let reach = point.at_ms - REACH_MS;
            let old = samples.partition_point(|sample| sample.at_ms < reach);
            samples.drain(..old);
        }
        let allowance = self.allowance(streams, persist);
        for mark in step.opening.into_iter().chain([step.mark]) {
            if samples.last().is_some_and(|last| last.at_ms > mark.at_ms) {
                continue;
            }
            // A chain that opens has no parts: a delta is no meter of a remainder.
            samples.push(Sample {
                at_ms: mark.at_ms,
                end: mark.level - low,
                start: mark.level - high,
                parts: low,
                chain: (mark.chain, chain),
                stands,
                hour: f64::NAN,
                quarter: f64::NAN,
            });
        }
        let hour = ceiling_at_end(samples, HOUR_MS, allowance);
        let quarter = ceiling_at_end(samples, HOUR_MS / 4, allowance);
        if let Some(newest) = samples.last_mut() {
            (newest.hour, newest.quarter) = (hour, quarter);
        }
    }
}

/// What a part's level may be at an instant that its stream has reached.
fn level(stream: &Stream, known: &Known, slots: &Slots, at_ms: i64) -> Option<Level> {
    let interval = stream.interval_ms(known).unwrap_or(SLOT_MS);
    let last = stream.marks[1].filter(|last| (at_ms - last.at_ms) * 2 <= interval * 3);
    if let Some(last) = last.filter(|last| last.at_ms == at_ms) {
        let high = last.level;
        return Some(Level { low: last, high });
    }
    let next = slots.after(stream.taken_ms)?;
    let step = { *stream }.take(next, known);
    if let Some(opening) = step.opening {
        let high = opening.level;
        return (opening.at_ms == at_ms).then_some(Level { low: opening, high });
    }
    let last = last.filter(|last| last.chain == step.mark.chain && !step.strikes)?;
    let near = (step.mark.at_ms - last.at_ms) * 2 <= interval * 3;
    near.then_some(Level {
        low: last,
        high: step.mark.level,
    })
}

/// A part's reading was a glitch: what was made of it does not stand.
fn strike_from(samples: &mut [Sample], from_ms: i64) {
    for sample in samples.iter_mut().rev() {
        if sample.at_ms < from_ms {
            break;
        }
        sample.stands = Stands::No;
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Counts;
    use super::*;
    use crate::Calendar;

    const MINUTE: i64 = 60_000;
    /// 2020-01-01T00:00:00Z.
    const START: i64 = 1_577_836_800_000;

    const METER: Known = Known {
        counts: Counts::Register {
            modulus_milli: None,
            max_rate_milli: None,
        },
        interval_ms: Some(15 * MINUTE),
        resolution_milli: Some(1000),
    };
    const PART: Known = Known {
        counts: Counts::Delta,
        interval_ms: Some(15 * MINUTE),
        resolution_milli: Some(100),
    };

    fn slots(known: Known, readings: &[(i64, i64)]) -> Slots {
        let mut slots = Slots::new(known.counts);
        for (minute, litres) in readings {
            let taken = slots.put(
                START + minute * MINUTE,
                litres * 1000,
                Calendar::new(chrono_tz::UTC),
            );
            assert!(matches!(taken, super::super::slots::Taken::From(_)));
        }
        slots
    }

    /// Minute, level at the end of a window and at its start, in litres; what does not stand is left out.
    fn remainder(meter: &[(i64, i64)], part: &[(i64, i64)]) -> Vec<(i64, i64, i64)> {
        let members = Members {
            meter: METER,
            parts: vec![PART],
        };
        let (meter, part) = (slots(METER, meter), slots(PART, part));
        let held = Held {
            meter: &meter,
            parts: &[part],
        };
        let (mut streams, mut samples) = (members.streams(), Vec::new());
        while let Some(point) = held.next(&streams) {
            members.absorb(point, &mut streams, held, &mut samples, &Persist::default());
        }
        let standing = samples.iter().filter(|sample| sample.stands == Stands::Yes);
        standing
            .map(|sample| {
                let minute = (sample.at_ms - START) / MINUTE;
                (minute, sample.end / 1000, sample.start / 1000)
            })
            .collect()
    }

    #[test]
    fn a_part_read_at_the_same_times_is_taken_off() {
        let meter = [(15, 100), (30, 105), (45, 111)];
        let part = [(15, 1), (30, 2), (45, 3)];
        assert_eq!(
            remainder(&meter, &part),
            [(15, 99, 99), (30, 102, 102), (45, 105, 105)]
        );
    }

    #[test]
    fn a_part_read_at_other_times_is_taken_for_the_least_it_may_have_been() {
        let meter = [(20, 100), (35, 105)];
        let part = [(15, 1), (30, 2), (45, 3)];
        assert_eq!(remainder(&meter, &part), [(20, 99, 97), (35, 102, 99)]);
    }

    #[test]
    fn a_meter_waits_for_its_parts() {
        assert_eq!(
            remainder(&[(15, 100), (30, 105)], &[(15, 1)]),
            [(15, 99, 99)]
        );
    }

    #[test]
    fn a_missing_part_is_unknown_and_not_zero() {
        let meter = [(15, 100), (30, 105), (45, 111), (60, 113)];
        let part = [(15, 1), (60, 3)];
        assert_eq!(
            remainder(&meter, &part),
            [(15, 99, 99), (45, 110, 110), (60, 109, 109)]
        );
    }
}
