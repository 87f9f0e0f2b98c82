//! The node: samples in, frames out, one in flight at a time.
//!
//! A frame is built once and sent until it is acknowledged, always with the same bytes, so that the
//! gateway can tell a second delivery from a second frame. Its samples have left the ring by then:
//! an overflow while it is in flight can neither take them away nor count them as lost.

use wire::{
    CHANNELS_MAX, Channel, Clock, FRAME_MAX, Flaw, Header, Kind, SAMPLES_MAX, Sample, Unit,
};

use crate::ring::{Kept, Ring};

/// Samples a node keeps while it cannot send: five days of one input at a quarter of an hour.
pub const RING: usize = 512;

/// Most memory a node takes, in bytes, its ring and the frame in flight included.
pub const RAM_MAX: usize = 16 * 1024;
/// The gateway accepts no reading from 2100-01-01T00:00:00Z on; no node runs for longer.
pub const TIME_MAX_MS: u64 = 4_102_444_800_000;

/// The frame that waits for its acknowledgement.
#[derive(Clone, Debug)]
struct Flight {
    bytes: [u8; FRAME_MAX],
    length: usize,
    sequence: u32,
}

/// What an acknowledgement was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acknowledged {
    /// The frame in flight; the next one may be sent.
    InFlight,
    /// Some other frame; nothing changes.
    Other,
}

/// A sensor node.
#[derive(Clone, Debug)]
pub struct Node {
    id: u32,
    boot: u32,
    next_sequence: u32,
    /// The time of day at which it started, once it knows.
    started_at_ms: Option<u64>,
    ring: Ring<RING>,
    flight: Option<Flight>,
}

const _: () = assert!(size_of::<Node>() <= RAM_MAX, "a node fits its memory");

impl Node {
    /// Node `id`, started for the `boot`th time.
    #[must_use]
    pub const fn new(id: u32, boot: u32) -> Self {
        Self {
            id,
            boot,
            next_sequence: 0,
            started_at_ms: None,
            ring: Ring::new(),
            flight: None,
        }
    }

    /// Tells the time of day: `utc_ms` since 1970, when the node has run for `uptime_ms`. Frames
    /// built from now on carry it; a time that cannot be is not believed.
    pub fn set_clock(&mut self, utc_ms: u64, uptime_ms: u64) {
        if utc_ms <= TIME_MAX_MS {
            self.started_at_ms = utc_ms.checked_sub(uptime_ms).or(self.started_at_ms);
        }
    }

    /// Keeps a measurement, `mantissa` ÷ 10^decimals, made when the node had run for `uptime_ms`.
    /// Fails where no frame can hold it.
    pub fn sample(
        &mut self,
        channel: Channel,
        uptime_ms: u64,
        mantissa: i64,
    ) -> Result<Kept, Flaw> {
        let sample = Sample {
            channel,
            time_ms: uptime_ms,
            mantissa,
        };
        sample.check()?;
        if uptime_ms > TIME_MAX_MS {
            return Err(Flaw::TimeOutOfRange);
        }
        Ok(self.ring.push(sample))
    }

    /// The frame to send now: the one in flight, else a new one, if there is anything to tell.
    pub fn frame(&mut self) -> Option<&[u8]> {
        if self.flight.is_none() {
            self.flight = self.build();
        }
        let flight = self.flight.as_ref()?;
        Some(&flight.bytes[..flight.length])
    }

    /// The gateway has the frame with this sequence on disk.
    pub fn acknowledge(&mut self, sequence: u32) -> Acknowledged {
        match &self.flight {
            Some(flight) if flight.sequence == sequence => {
                self.flight = None;
                Acknowledged::InFlight
            }
            Some(_) | None => Acknowledged::Other,
        }
    }

    fn build(&mut self) -> Option<Flight> {
        if self.ring.is_quiet() {
            return None;
        }
        let mut samples = [NO_SAMPLE; SAMPLES_MAX];
        let mut count = 0;
        let lost = self.ring.take_lost();
        while count < SAMPLES_MAX
            && self
                .ring
                .oldest()
                .is_some_and(|next| joins(&samples[..count], next))
        {
            samples[count] = self
                .ring
                .pop()
                .expect("the ring has just shown its oldest sample");
            count += 1;
        }
        let samples = &mut samples[..count];
        let clock = match self.started_at_ms {
            None => Clock::SinceBoot,
            Some(started_at_ms) => {
                for sample in &mut *samples {
                    sample.time_ms += started_at_ms;
                }
                Clock::Utc
            }
        };
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        let header = Header {
            node: self.id,
            boot: self.boot,
            sequence,
            lost,
            clock,
        };
        let mut bytes = [0; FRAME_MAX];
        let length = wire::encode(&header, samples, &mut bytes)
            .expect("each sample was checked when it was kept, and their channels go together");
        Some(Flight {
            bytes,
            length,
            sequence,
        })
    }
}

const NO_SAMPLE: Sample = Sample {
    channel: Channel {
        id: 0,
        kind: Kind::Gauge,
        unit: Unit::None,
        decimals: 0,
    },
    time_ms: 0,
    mantissa: 0,
};

/// Whether a frame of `samples` has room for the channel of `next`.
fn joins(samples: &[Sample], next: &Sample) -> bool {
    let same_input = |sample: &&Sample| sample.channel.id == next.channel.id;
    if let Some(known) = samples.iter().find(same_input) {
        return known.channel == next.channel;
    }
    let is_first = |&(place, sample): &(usize, &Sample)| {
        samples[..place]
            .iter()
            .all(|earlier| earlier.channel.id != sample.channel.id)
    };
    samples.iter().enumerate().filter(is_first).count() < CHANNELS_MAX
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use wire::Verdict;

    use super::*;

    const PULSES: Channel = Channel {
        id: 1,
        kind: Kind::Meter,
        unit: Unit::Litre,
        decimals: 1,
    };

    /// What the node's next frame says, and its acknowledgement.
    fn sent(node: &mut Node) -> Option<(Header, Vec<Sample>)> {
        let Verdict::Readings(frame) = wire::decode(node.frame()?) else {
            panic!("a node sends readings")
        };
        let told = (frame.header(), frame.samples().collect());
        assert_eq!(node.acknowledge(told.0.sequence), Acknowledged::InFlight);
        Some(told)
    }

    #[test]
    fn a_frame_is_the_same_until_it_is_acknowledged() {
        let mut node = Node::new(7, 1);
        node.sample(PULSES, 1000, 42).expect("a sound sample");
        let first = node.frame().map(<[u8]>::to_vec);
        node.sample(PULSES, 2000, 43).expect("a sound sample");
        node.set_clock(TIME_MAX_MS, 2000);
        assert_eq!(node.frame().map(<[u8]>::to_vec), first);
        assert_eq!(node.acknowledge(1), Acknowledged::Other);
        assert_eq!(node.acknowledge(0), Acknowledged::InFlight);
        assert_eq!(node.acknowledge(0), Acknowledged::Other);
        let (header, samples) = sent(&mut node).expect("one more sample");
        assert_eq!(
            (header.sequence, header.clock, samples.len()),
            (1, Clock::Utc, 1)
        );
        assert_eq!(samples[0].time_ms, TIME_MAX_MS);
        assert_eq!(node.frame(), None);
    }

    #[test]
    fn a_long_silence_is_told_to_the_sample() {
        let mut node = Node::new(7, 1);
        for made in 0..600_u32 {
            node.sample(PULSES, u64::from(made), i64::from(made))
                .expect("a sound sample");
        }
        let frames: Vec<_> = core::iter::from_fn(|| sent(&mut node)).collect();
        let lost: Vec<u32> = frames.iter().map(|(header, _)| header.lost).collect();
        let values: Vec<i64> = frames
            .iter()
            .flat_map(|(_, samples)| samples)
            .map(|sample| sample.mantissa)
            .collect();
        assert_eq!((lost[0], lost[1..].iter().sum::<u32>()), (88, 0));
        assert!(values.into_iter().eq(88..600));
    }

    #[test]
    fn an_input_that_changes_its_unit_starts_another_frame() {
        let mut node = Node::new(7, 1);
        node.sample(PULSES, 0, 1).expect("a sound sample");
        node.sample(
            Channel {
                unit: Unit::WattHour,
                ..PULSES
            },
            1,
            2,
        )
        .expect("a sound sample");
        assert_eq!(sent(&mut node).map(|(_, samples)| samples.len()), Some(1));
        assert_eq!(sent(&mut node).map(|(_, samples)| samples.len()), Some(1));
    }

    #[test]
    fn a_ninth_input_starts_another_frame() {
        let mut node = Node::new(7, 1);
        for id in 0..9 {
            node.sample(Channel { id, ..PULSES }, 0, 1)
                .expect("a sound sample");
        }
        assert_eq!(sent(&mut node).map(|(_, samples)| samples.len()), Some(8));
        assert_eq!(sent(&mut node).map(|(_, samples)| samples.len()), Some(1));
    }

    #[test]
    fn what_no_frame_can_hold_is_refused_at_once() {
        let mut node = Node::new(7, 1);
        assert_eq!(node.sample(PULSES, 0, i64::MAX), Err(Flaw::ValueOutOfRange));
        assert_eq!(
            node.sample(PULSES, TIME_MAX_MS + 1, 0),
            Err(Flaw::TimeOutOfRange)
        );
        assert_eq!(node.frame(), None);
    }
}
