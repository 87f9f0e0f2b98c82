//! What a frame promises, through its public door.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::v1::MANTISSA_MAX;
use wire::{
    Channel, Clock, EncodeError, FRAME_MAX, Flaw, Header, Kind, Refusal, Sample, Unit, Verdict,
};

const THERMOMETER: Channel = Channel {
    id: 0,
    kind: Kind::Gauge,
    unit: Unit::Celsius,
    decimals: 2,
};
const WATER: Channel = Channel {
    id: 3,
    kind: Kind::Meter,
    unit: Unit::Litre,
    decimals: 1,
};
const HEADER: Header = Header {
    node: 300,
    boot: 2,
    sequence: 5,
    lost: 1,
    clock: Clock::Utc,
};
/// 2020-01-01T00:15:00Z.
const QUARTER_PAST: u64 = 1_577_837_700_000;

fn sample(channel: Channel, time_ms: u64, mantissa: i64) -> Sample {
    Sample {
        channel,
        time_ms,
        mantissa,
    }
}

fn encoded(header: &Header, samples: &[Sample]) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = [0xEE; FRAME_MAX];
    let length = wire::encode(header, samples, &mut buffer)?;
    Ok(buffer[..length].to_vec())
}

/// Bytes with the magic before them and a CRC that fits after them.
fn enveloped(inside: &[u8]) -> Vec<u8> {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut bytes = [&[0x5C], inside].concat();
    bytes.extend(crc.checksum(&bytes).to_le_bytes());
    bytes
}

fn golden() -> ([Sample; 3], Vec<u8>) {
    let samples = [
        sample(THERMOMETER, QUARTER_PAST, 2150),
        sample(WATER, QUARTER_PAST, 8508),
        sample(THERMOMETER, QUARTER_PAST + 900_000, 2143),
    ];
    #[rustfmt::skip]
    let bytes = vec![
        0x5C, // magic
        0x01, 0x00, // schema 1
        0x01, // version 1
        0xAC, 0x02, // node 300
        0x02, // boot 2
        0x05, // sequence 5
        0x01, // 1 lost
        0x01, // UTC
        0xA0, 0xC7, 0xD2, 0xF3, 0xF5, 0x2D, // start 1 577 837 700 000
        0xA0, 0xF7, 0x36, // tick 900 000 ms
        0x02, // 2 channels
        0x00, 0x00, 0x01, 0x02, // 0: gauge, °C, 2 decimals
        0x03, 0x02, 0x03, 0x01, // 3: meter, L, 1 decimal
        0x03, // 3 samples
        0x00, 0x00, 0xCC, 0x21, // first channel, at start, 2150
        0x01, 0x00, 0xF8, 0x84, 0x01, // second channel, same time, 8508
        0x00, 0x02, 0x0D, // first channel, 1 tick later, −7
        0xFA, 0x82, 0xB7, 0xCB, // CRC-32
    ];
    (samples, bytes)
}

#[test]
fn the_golden_frame_is_the_same_to_the_byte() {
    let (samples, bytes) = golden();
    let ours = encoded(&HEADER, &samples).expect("three samples fit");
    assert_eq!(ours, bytes);
}

#[test]
fn the_golden_frame_reads_as_what_was_measured() {
    let (samples, bytes) = golden();
    let Verdict::Readings(frame) = wire::decode(&bytes) else {
        panic!("{:?}", wire::decode(&bytes))
    };
    assert_eq!(frame.header(), HEADER);
    assert_eq!(frame.samples().len(), 3);
    assert!(frame.samples().eq(samples));
    let values: Vec<f64> = frame.samples().map(|sample| sample.value()).collect();
    assert_eq!(values, [21.5, 850.8, 21.43]);
}

#[test]
fn twenty_quarter_hourly_readings_of_four_inputs_take_at_most_120_bytes() {
    let samples: Vec<Sample> = (0..20_u8)
        .map(|index| {
            let channel = Channel {
                id: index % 4,
                ..THERMOMETER
            };
            let round = u64::from(index / 4);
            sample(
                channel,
                QUARTER_PAST + round * 900_000,
                2100 + i64::from(index) * 13,
            )
        })
        .collect();
    let length = encoded(&HEADER, &samples).expect("20 samples fit").len();
    assert!(length <= 120, "{length} bytes");
}

#[test]
fn a_frame_without_samples_still_tells_a_loss() {
    let header = Header {
        lost: 12,
        clock: Clock::SinceBoot,
        ..HEADER
    };
    let bytes = encoded(&header, &[]).expect("nothing fits");
    let Verdict::Readings(frame) = wire::decode(&bytes) else {
        panic!("{:?}", wire::decode(&bytes))
    };
    assert_eq!((frame.header(), frame.samples().len()), (header, 0));
}

#[test]
fn an_unknown_schema_or_version_is_told_apart_from_damage() {
    let newer = enveloped(&[1, 0, 2, 9, 9, 9]);
    assert_eq!(
        wire::decode(&newer),
        Verdict::Unknown {
            schema: 1,
            version: 2
        }
    );
    let other = enveloped(&[0x34, 0x12, 1]);
    assert_eq!(
        wire::decode(&other),
        Verdict::Unknown {
            schema: 0x1234,
            version: 1
        }
    );
}

#[test]
fn one_changed_bit_anywhere_is_refused() {
    let (_, bytes) = golden();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let verdict = wire::decode(&damaged);
        assert!(
            matches!(verdict, Verdict::Refused(_)),
            "bit {bit}: {verdict:?}"
        );
    }
}

#[test]
fn every_cut_is_refused() {
    let (_, bytes) = golden();
    for length in 0..bytes.len() {
        let verdict = wire::decode(&bytes[..length]);
        assert!(
            matches!(verdict, Verdict::Refused(_)),
            "{length} bytes: {verdict:?}"
        );
    }
    assert_eq!(
        wire::decode(&[]),
        Verdict::Refused(Refusal::Short { length: 0 })
    );
    assert_eq!(
        wire::decode(b"{\"name\":1}"),
        Verdict::Refused(Refusal::NotMagic { found: b'{' })
    );
}

#[test]
fn a_sender_that_breaks_a_rule_is_told_which() {
    // node, boot, sequence, lost, clock, start and tick, before the channels
    let body =
        |tick: u8, rest: &[u8]| enveloped(&[&[1, 0, 1, 1, 1, 1, 0, 0, 10, tick], rest].concat());
    let flaw = |bytes: Vec<u8>| match wire::decode(&bytes) {
        Verdict::Refused(Refusal::Malformed(flaw)) => flaw,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(flaw(body(1, &[])), Flaw::Unreadable);
    assert_eq!(flaw(body(0, &[0, 0])), Flaw::NoTick);
    assert_eq!(flaw(body(1, &[0, 0, 7])), Flaw::Trailing);
    assert_eq!(flaw(body(1, &[0, 33])), Flaw::TooManySamples);
    assert_eq!(flaw(body(1, &[0, 1, 0, 0, 0])), Flaw::NoSuchChannel);
    assert_eq!(flaw(body(1, &[1, 0, 0, 0, 10, 0])), Flaw::TooManyDecimals);
    assert_eq!(
        flaw(body(1, &[1, 0, 4, 0, 0, 0])),
        Flaw::Unreadable,
        "a fifth kind"
    );
    assert_eq!(
        flaw(body(1, &[2, 5, 0, 0, 0, 5, 1, 0, 0, 0])),
        Flaw::ChannelTwice
    );
    let nine: Vec<u8> = (0..9).flat_map(|id| [id, 0, 0, 0]).collect();
    assert_eq!(
        flaw(body(1, &[&[9], &nine[..], &[0]].concat())),
        Flaw::TooManyChannels
    );
    assert_eq!(
        flaw(body(1, &[1, 0, 0, 0, 0, 1, 0, 21, 0])),
        Flaw::TimeOutOfRange,
        "11 before 10"
    );
    let most = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let far = [&[1, 0, 0, 0, 0, 1, 0, 0], &most[..]].concat();
    assert_eq!(flaw(body(1, &far)), Flaw::ValueOutOfRange);
}

#[test]
fn what_fits_no_frame_is_not_written() {
    let one = sample(THERMOMETER, 0, 0);
    assert_eq!(
        encoded(&HEADER, &[one; 33]),
        Err(EncodeError::Flaw(Flaw::TooManySamples))
    );
    let nine: Vec<Sample> = (0..9)
        .map(|id| sample(Channel { id, ..WATER }, 0, 0))
        .collect();
    assert_eq!(
        encoded(&HEADER, &nine),
        Err(EncodeError::Flaw(Flaw::TooManyChannels))
    );
    let two_ways = [
        one,
        sample(
            Channel {
                decimals: 3,
                ..THERMOMETER
            },
            0,
            0,
        ),
    ];
    assert_eq!(
        encoded(&HEADER, &two_ways),
        Err(EncodeError::Flaw(Flaw::ChannelTwice))
    );
    let late = sample(WATER, 1 << 63, 0);
    assert_eq!(
        encoded(&HEADER, &[late]),
        Err(EncodeError::Flaw(Flaw::TimeOutOfRange))
    );
    let big = sample(WATER, 0, MANTISSA_MAX + 1);
    assert_eq!(
        encoded(&HEADER, &[big]),
        Err(EncodeError::Flaw(Flaw::ValueOutOfRange))
    );
}

#[test]
fn a_buffer_one_byte_short_is_no_room_and_an_exact_one_is_enough() {
    let (samples, bytes) = golden();
    for length in 0..bytes.len() {
        let mut buffer = vec![0; length];
        assert_eq!(
            wire::encode(&HEADER, &samples, &mut buffer),
            Err(EncodeError::NoRoom)
        );
    }
    let mut exact = vec![0; bytes.len()];
    assert_eq!(wire::encode(&HEADER, &samples, &mut exact), Ok(bytes.len()));
}

#[test]
fn the_widest_frame_fits_the_longest() {
    let widest = Header {
        node: u32::MAX,
        boot: u32::MAX,
        sequence: u32::MAX,
        lost: u32::MAX,
        clock: Clock::Utc,
    };
    let samples: Vec<Sample> = (0..32_u8)
        .map(|index| {
            let time_ms = [u64::MAX >> 1, 0, u64::MAX >> 1, 1][usize::from(index % 4)];
            let mantissa = if index / 8 % 2 == 0 {
                MANTISSA_MAX
            } else {
                -MANTISSA_MAX
            };
            let channel = Channel {
                id: index % 8,
                ..WATER
            };
            sample(channel, time_ms, mantissa)
        })
        .collect();
    assert!(encoded(&widest, &samples).is_ok());
}

fn channels() -> impl Strategy<Value = Vec<Channel>> {
    let kinds = prop::sample::select(vec![Kind::Gauge, Kind::Delta, Kind::Meter, Kind::Event]);
    let units = prop::sample::select(vec![
        Unit::None,
        Unit::Celsius,
        Unit::Litre,
        Unit::WattHour,
        Unit::Ppm,
    ]);
    vec((kinds, units, 0..=9_u8), 1..=8).prop_map(|inputs| {
        let channel = |(id, (kind, unit, decimals))| Channel {
            id,
            kind,
            unit,
            decimals,
        };
        (0..).step_by(31).zip(inputs).map(channel).collect()
    })
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let values = vec(
        (
            any::<prop::sample::Index>(),
            0..1_u64 << 63,
            -MANTISSA_MAX..=MANTISSA_MAX,
        ),
        0..=32,
    );
    (channels(), values).prop_map(|(channels, values)| {
        let from = |(index, time_ms, mantissa): (prop::sample::Index, u64, i64)| {
            sample(*index.get(&channels), time_ms, mantissa)
        };
        values.into_iter().map(from).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(node: u32, boot: u32, sequence: u32, lost: u32, utc: bool, samples in samples()) {
        let clock = if utc { Clock::Utc } else { Clock::SinceBoot };
        let header = Header { node, boot, sequence, lost, clock };
        let bytes = encoded(&header, &samples).expect("within every limit");
        let Verdict::Readings(frame) = wire::decode(&bytes) else { panic!("{:?}", wire::decode(&bytes)) };
        prop_assert_eq!(frame.header(), header);
        prop_assert_eq!(frame.samples().collect::<Vec<_>>(), samples);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
        prop_assert!(!matches!(wire::decode(&bytes), Verdict::Readings(_)));
    }

    #[test]
    fn arbitrary_bodies_in_a_sound_envelope_never_panic(body in vec(prop_oneof![any::<u8>(), 0..4_u8], 0..96)) {
        let bytes = enveloped(&[&[1, 0, 1], &body[..]].concat());
        if let Verdict::Readings(frame) = wire::decode(&bytes) {
            prop_assert!(frame.samples().all(|sample| sample.value().is_finite()));
        }
    }
}
