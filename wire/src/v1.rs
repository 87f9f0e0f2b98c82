//! The body of readings, version 1: what each byte says.
//!
//! Postcard writes it (<https://postcard.jamesmunns.com/wire-format>): `varint` is 7 bits a byte,
//! least significant first, the top bit set on all but the last; `zigzag` is a varint of 0, −1, 1,
//! −2, … as 0, 1, 2, 3, …; `u8` is one byte.
//!
//! | field | as | meaning |
//! | --- | --- | --- |
//! | node | varint u32 | who sends |
//! | boot | varint u32 | how often the node has started |
//! | sequence | varint u32 | frames since it started; a frame sent again keeps its number |
//! | lost | varint u32 | samples the node had to give up just before these |
//! | clock | u8 | 0: times count from the node's start, 1: from 1970-01-01T00:00:00Z |
//! | start | varint u64 | ms from there to the first sample |
//! | tick | varint u64 | ms that a step of 1 takes, at least 1 |
//! | channels | u8 | how many follow, at most 8 |
//! | … id | u8 | which input of the node; each at most once |
//! | … kind | u8 | 0 gauge, 1 delta, 2 meter, 3 event |
//! | … unit | u8 | 0 none, 1 °C, 2 %, 3 L, 4 Wh, 5 W, 6 V, 7 Pa, 8 lx, 9 ppm |
//! | … decimals | u8 | how far to move the decimal point, at most 9 |
//! | samples | u8 | how many follow, at most 32 |
//! | … channel | u8 | place in the list of channels, from 0 |
//! | … step | zigzag i64 | ticks since the sample before (the first: since `start`) |
//! | … rise | zigzag i64 | mantissa less that of this channel's sample before (the first: less 0) |
//!
//! A value is mantissa ÷ 10^decimals: what a node measures is decimal, and a difference of whole
//! numbers is a byte or two. Twenty quarter-hourly temperatures of four inputs take 105 bytes.
//! Mantissas stay within ±2⁵³, so the value is the f64 nearest to the decimal number. Times stay
//! below 2⁶³ ms.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::{EncodeError, HEAD, TAIL};

/// Most samples in a frame.
pub const SAMPLES_MAX: usize = 32;
/// Most channels in a frame.
pub const CHANNELS_MAX: usize = 8;
/// Most digits after the decimal point.
pub const DECIMALS_MAX: u8 = 9;
/// Greatest size of a mantissa: up to here every whole number is an f64.
pub const MANTISSA_MAX: i64 = 1 << 53;
/// Longest frame in bytes, its envelope included.
pub const FRAME_MAX: usize = HEAD + HEADER_MAX + CHANNELS_MAX * 4 + 1 + SAMPLES_MAX * 21 + TAIL;

/// Four varints of 32 bits, the clock, two varints of 64 bits, the count of channels.
const HEADER_MAX: usize = 4 * 5 + 1 + 2 * 10 + 1;

/// Who sends, and what the times mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The node.
    pub node: u32,
    /// How often it has started.
    pub boot: u32,
    /// Frames since it started; together with node and boot the identity of the frame.
    pub sequence: u32,
    /// Samples it had to give up just before these.
    pub lost: u32,
    /// From when its times count.
    pub clock: Clock,
}

/// From when times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clock {
    /// The node's start: it does not know the time of day.
    SinceBoot,
    /// 1970-01-01T00:00:00Z.
    Utc,
}

/// What an input measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A state that holds at an instant.
    Gauge,
    /// An amount since the last sample.
    Delta,
    /// A register that only rises.
    Meter,
    /// Something that happened.
    Event,
}

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// A number of things.
    None,
    /// °C.
    Celsius,
    /// %.
    Percent,
    /// L.
    Litre,
    /// Wh.
    WattHour,
    /// W.
    Watt,
    /// V.
    Volt,
    /// Pa.
    Pascal,
    /// lx.
    Lux,
    /// Parts per million.
    Ppm,
}

/// One input of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Which one.
    pub id: u8,
    /// What it measures.
    pub kind: Kind,
    /// In which unit.
    pub unit: Unit,
    /// Digits after the decimal point, at most [`DECIMALS_MAX`].
    pub decimals: u8,
}

impl Channel {
    fn check(self) -> Result<(), Flaw> {
        if self.decimals > DECIMALS_MAX {
            return Err(Flaw::TooManyDecimals);
        }
        Ok(())
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The input it is from.
    pub channel: Channel,
    /// When, in milliseconds from where the frame's [`Clock`] starts.
    pub time_ms: u64,
    /// The value × 10^decimals.
    pub mantissa: i64,
}

impl Sample {
    /// The value in the channel's unit: the nearest f64 to the decimal number.
    #[must_use]
    pub fn value(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "mantissas are whole f64 numbers"
        )]
        let mantissa = self.mantissa as f64;
        let power = (0..self.channel.decimals.min(DECIMALS_MAX)).fold(1.0, |power, _| power * 10.0);
        mantissa / power
    }

    /// Whether a frame can hold it: its time, its value and its decimals are within their limits.
    pub fn check(&self) -> Result<(), Flaw> {
        if self.time_ms > MAX_TIME_MS {
            return Err(Flaw::TimeOutOfRange);
        }
        if !(-MANTISSA_MAX..=MANTISSA_MAX).contains(&self.mantissa) {
            return Err(Flaw::ValueOutOfRange);
        }
        self.channel.check()
    }
}

/// The rule of the body that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Bytes that are not what should stand there, or too few of them.
    Unreadable,
    /// Bytes after the last sample.
    Trailing,
    /// More than [`CHANNELS_MAX`] channels.
    TooManyChannels,
    /// Two descriptions of one input.
    ChannelTwice,
    /// More than [`DECIMALS_MAX`] decimals.
    TooManyDecimals,
    /// More than [`SAMPLES_MAX`] samples.
    TooManySamples,
    /// A sample of a channel that is not in the list.
    NoSuchChannel,
    /// A tick of 0 ms.
    NoTick,
    /// A time before the clock's start, or 2⁶³ ms or more after it.
    TimeOutOfRange,
    /// A mantissa beyond ±[`MANTISSA_MAX`].
    ValueOutOfRange,
}

impl fmt::Display for Flaw {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Unreadable => "its body cannot be read",
            Self::Trailing => "bytes follow the last sample",
            Self::TooManyChannels => "it has more than 8 channels",
            Self::ChannelTwice => "it describes a channel in two ways",
            Self::TooManyDecimals => "a channel has more than 9 decimals",
            Self::TooManySamples => "it has more than 32 samples",
            Self::NoSuchChannel => "a sample is of no channel it lists",
            Self::NoTick => "its tick is 0 ms",
            Self::TimeOutOfRange => "a time is out of range",
            Self::ValueOutOfRange => "a value is out of range",
        })
    }
}

/// A frame that has been read to its end; what it holds still lies in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    header: Header,
    channels: [Channel; CHANNELS_MAX],
    samples: Samples<'a>,
}

impl<'a> Frame<'a> {
    /// Who sends, and what the times mean.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The measurements, in the order in which the node wrote them.
    #[must_use]
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + use<'a> {
        Walk {
            channels: self.channels,
            samples: self.samples.clone(),
        }
    }

    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Flaw> {
        let (head, mut rest) = take::<Head>(body)?;
        if head.tick_ms == 0 {
            return Err(Flaw::NoTick);
        }
        if head.start_ms > MAX_TIME_MS {
            return Err(Flaw::TimeOutOfRange);
        }
        let listed = usize::from(head.channels);
        let mut channels = [NO_CHANNEL; CHANNELS_MAX];
        for place in 0..listed {
            let (channel, after) = take::<Channel>(rest)?;
            rest = after;
            channel.check()?;
            let (known, free) = channels
                .split_at_mut_checked(place)
                .ok_or(Flaw::TooManyChannels)?;
            if known.iter().any(|known| known.id == channel.id) {
                return Err(Flaw::ChannelTwice);
            }
            *free.first_mut().ok_or(Flaw::TooManyChannels)? = channel;
        }
        let (left, rest) = take::<u8>(rest)?;
        if usize::from(left) > SAMPLES_MAX {
            return Err(Flaw::TooManySamples);
        }
        let samples = Samples {
            rest,
            left,
            listed: head.channels,
            tick_ms: head.tick_ms,
            time_ms: head.start_ms,
            mantissas: [0; CHANNELS_MAX],
        };
        let mut ahead = samples.clone();
        while ahead.next()?.is_some() {}
        if !ahead.rest.is_empty() {
            return Err(Flaw::Trailing);
        }
        Ok(Self {
            header: Header {
                node: head.node,
                boot: head.boot,
                sequence: head.sequence,
                lost: head.lost,
                clock: head.clock,
            },
            channels,
            samples,
        })
    }
}

/// Writes a body to the start of `into` and returns its length.
pub(crate) fn write(
    header: &Header,
    samples: &[Sample],
    into: &mut [u8],
) -> Result<usize, EncodeError> {
    let count = u8::try_from(samples.len())
        .ok()
        .filter(|&count| usize::from(count) <= SAMPLES_MAX);
    let count = count.ok_or(EncodeError::Flaw(Flaw::TooManySamples))?;
    let mut channels = [NO_CHANNEL; CHANNELS_MAX];
    let mut listed = 0;
    for sample in samples {
        sample.check().map_err(EncodeError::Flaw)?;
        match channels[..listed]
            .iter()
            .find(|known| known.id == sample.channel.id)
        {
            Some(known) if *known == sample.channel => {}
            Some(_) => return Err(EncodeError::Flaw(Flaw::ChannelTwice)),
            None => {
                let free = channels.get_mut(listed);
                *free.ok_or(EncodeError::Flaw(Flaw::TooManyChannels))? = sample.channel;
                listed += 1;
            }
        }
    }

    let start_ms = samples.first().map_or(0, |first| first.time_ms);
    let steps = samples
        .windows(2)
        .map(|pair| pair[1].time_ms.abs_diff(pair[0].time_ms));
    let tick_ms = steps.fold(0, common_divisor).max(1);
    let mut writer = Writer { into, used: 0 };
    writer.put(&Head {
        node: header.node,
        boot: header.boot,
        sequence: header.sequence,
        lost: header.lost,
        clock: header.clock,
        start_ms,
        tick_ms,
        channels: place(listed),
    })?;
    for channel in &channels[..listed] {
        writer.put(channel)?;
    }
    writer.put(&count)?;
    let mut time_ms = start_ms;
    let mut mantissas = [0; CHANNELS_MAX];
    for sample in samples {
        let channel = channels[..listed]
            .iter()
            .position(|known| *known == sample.channel)
            .expect("every sample's channel was listed above");
        let ticks = i64::try_from(sample.time_ms.abs_diff(time_ms) / tick_ms)
            .expect("times are below 2^63");
        writer.put(&Entry {
            channel: place(channel),
            step: if sample.time_ms < time_ms {
                -ticks
            } else {
                ticks
            },
            rise: sample.mantissa - mantissas[channel],
        })?;
        time_ms = sample.time_ms;
        mantissas[channel] = sample.mantissa;
    }
    Ok(writer.used)
}

/// Greatest time, in milliseconds.
const MAX_TIME_MS: u64 = i64::MAX as u64;

const NO_CHANNEL: Channel = Channel {
    id: 0,
    kind: Kind::Gauge,
    unit: Unit::None,
    decimals: 0,
};

#[derive(Serialize, Deserialize)]
struct Head {
    node: u32,
    boot: u32,
    sequence: u32,
    lost: u32,
    clock: Clock,
    start_ms: u64,
    tick_ms: u64,
    channels: u8,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    channel: u8,
    step: i64,
    rise: i64,
}

/// The samples that are still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Samples<'a> {
    rest: &'a [u8],
    left: u8,
    listed: u8,
    tick_ms: u64,
    time_ms: u64,
    mantissas: [i64; CHANNELS_MAX],
}

impl Samples<'_> {
    /// The next sample's channel by its place, its time and its mantissa.
    fn next(&mut self) -> Result<Option<(usize, u64, i64)>, Flaw> {
        if self.left == 0 {
            return Ok(None);
        }
        let (entry, rest) = take::<Entry>(self.rest)?;
        if entry.channel >= self.listed {
            return Err(Flaw::NoSuchChannel);
        }
        let channel = usize::from(entry.channel);
        let far = entry.step.unsigned_abs().checked_mul(self.tick_ms);
        let time_ms = far.and_then(|far| match entry.step {
            ..0 => self.time_ms.checked_sub(far),
            0.. => self.time_ms.checked_add(far),
        });
        let time_ms = time_ms
            .filter(|&time| time <= MAX_TIME_MS)
            .ok_or(Flaw::TimeOutOfRange)?;
        let before = self.mantissas.get_mut(channel).ok_or(Flaw::NoSuchChannel)?;
        let mantissa = before.checked_add(entry.rise);
        let mantissa = mantissa
            .filter(|mantissa| (-MANTISSA_MAX..=MANTISSA_MAX).contains(mantissa))
            .ok_or(Flaw::ValueOutOfRange)?;
        *before = mantissa;
        self.rest = rest;
        self.left -= 1;
        self.time_ms = time_ms;
        Ok(Some((channel, time_ms, mantissa)))
    }
}

/// Samples with their channels, of a frame that has been read before.
struct Walk<'a> {
    channels: [Channel; CHANNELS_MAX],
    samples: Samples<'a>,
}

impl Iterator for Walk<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let next = self.samples.next();
        let (channel, time_ms, mantissa) = next.expect("the frame was read to its end before")?;
        Some(Sample {
            channel: self.channels[channel],
            time_ms,
            mantissa,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.samples.left);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Walk<'_> {}

struct Writer<'a> {
    into: &'a mut [u8],
    used: usize,
}

impl Writer<'_> {
    fn put<T: Serialize>(&mut self, value: &T) -> Result<(), EncodeError> {
        let written = postcard::to_slice(value, &mut self.into[self.used..]);
        self.used += written.map_err(|_| EncodeError::NoRoom)?.len();
        Ok(())
    }
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Flaw> {
    postcard::take_from_bytes(bytes).map_err(|_| Flaw::Unreadable)
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

fn place(index: usize) -> u8 {
    u8::try_from(index).expect("a frame has at most 8 channels")
}
