use super::*;
use crate::broker::message::{Delivery, Message, Properties, Qos};
use proptest::prelude::*;
use std::sync::Arc;

const MAX: usize = 1000;

fn decode_one(bytes: &[u8], version: Version) -> Result<Option<Packet>, Bad> {
    decode(&mut BytesMut::from(bytes), version, MAX)
}

fn connect_of(bytes: &[u8], version: Version) -> Connect {
    match decode_one(bytes, version) {
        Ok(Some(Packet::Connect(connect))) => *connect,
        other => panic!("no CONNECT: {other:?}"),
    }
}

#[test]
fn a_password_may_be_any_bytes() {
    for (version, properties) in [(4, &[][..]), (5, &[0][..])] {
        let mut body = b"\0\x04MQTT".to_vec();
        body.extend([version, 0xC2, 0, 60]);
        body.extend(properties);
        body.extend(b"\0\x01c\0\x01u\0\x02\xFF\0");
        let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        assert_eq!(first_level(&bytes), Ok(Some(version)));
        let connect = connect_of(
            &bytes,
            if version == 5 {
                Version::V5
            } else {
                Version::V4
            },
        );
        assert_eq!(connect.username.as_deref(), Some("u"));
        assert_eq!(connect.password.as_deref(), Some(&b"\xFF\0"[..]));
        assert_eq!(
            (
                connect.client_id.as_str(),
                connect.keep_alive_s,
                connect.clean_start
            ),
            ("c", 60, true)
        );
    }
}

#[test]
fn a_will_comes_with_its_delay_and_properties() {
    let mut body = b"\0\x04MQTT\x05\x2E\0\0\0\0\x01c".to_vec();
    body.extend([10, 0x18, 0, 0, 0, 9, 0x03, 0, 2, b'a', b'/']);
    body.extend(b"\0\x01w\0\x02hi");
    let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
    bytes.extend(body);
    let will = connect_of(&bytes, Version::V5).will.unwrap();
    assert_eq!(
        (&will.topic[..], &will.payload[..], will.qos, will.retain),
        (&b"w"[..], &b"hi"[..], Qos::AtLeastOnce, true)
    );
    assert_eq!(will.delay_s, 9);
    assert_eq!(will.properties.unwrap().content_type.as_deref(), Some("a/"));
}

#[test]
fn a_disconnect_of_one_byte_is_whole() {
    assert_eq!(
        decode_one(&[0xE0, 1, 4], Version::V5),
        Ok(Some(Packet::Disconnect {
            reason: 4,
            expiry_s: None
        }))
    );
    assert!(decode_one(&[0xE0, 1, 4], Version::V4).is_err());
    let with_expiry = [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 60];
    assert_eq!(
        decode_one(&with_expiry, Version::V5),
        Ok(Some(Packet::Disconnect {
            reason: 0,
            expiry_s: Some(60)
        }))
    );
}

#[test]
fn an_acknowledgement_may_carry_a_reason_in_version_5_only() {
    let ack = Ack {
        id: 7,
        reason: 0x87,
    };
    assert_eq!(
        decode_one(&[0x50, 3, 0, 7, 0x87], Version::V5),
        Ok(Some(Packet::PubRec(ack)))
    );
    assert!(decode_one(&[0x50, 3, 0, 7, 0x87], Version::V4).is_err());
    assert!(
        decode_one(&[0x62, 2, 0, 0], Version::V4).is_err(),
        "packet id 0"
    );
}

#[test]
fn an_incomplete_packet_waits() {
    for cut in 0..8 {
        assert_eq!(
            decode_one(&[0x32, 6, 0, 1, b'a', 0, 1, b'x'][..cut], Version::V4),
            Ok(None),
            "{cut} bytes"
        );
    }
}

#[test]
fn what_is_published_can_be_read_back() {
    let properties = Properties {
        payload_format: Some(1),
        expiry_s: None,
        content_type: Some("text/plain".into()),
        response_topic: Some("answer".into()),
        correlation: Some(vec![0xFF]),
        user: vec![("a".into(), "b".repeat(200))],
    };
    let now = crate::broker::now();
    let message = Message::new("t/ö", b"payload", Qos::ExactlyOnce, false)
        .with_properties(Some(Box::new(properties.clone())), now);
    let delivery = Delivery {
        message: Arc::new(message),
        qos: Qos::ExactlyOnce,
        retain: true,
        identifiers: Vec::new(),
        ordinal: None,
    };
    for version in [Version::V4, Version::V5] {
        let mut out = BytesMut::new();
        publish(&mut out, &delivery, 9, true, version, now);
        assert_eq!(out.len(), publish_size(&delivery, version));
        let Ok(Some(Packet::Publish(read))) = decode(&mut out, version, MAX) else {
            panic!("no PUBLISH")
        };
        assert_eq!(
            (&read.topic[..], &read.payload[..]),
            ("t/ö".as_bytes(), &b"payload"[..])
        );
        assert_eq!(
            (read.dup, read.qos, read.retain, read.id),
            (true, Qos::ExactlyOnce, true, 9)
        );
        let expected = (version == Version::V5).then(|| Box::new(properties.clone()));
        assert_eq!(read.properties, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Any bytes, mostly with a plausible first byte and length: never a panic, never more than was sent.
    #[test]
    fn no_bytes_make_it_panic(
        kind in prop::sample::select(vec![0x10_u8, 0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xB0, 0xC0, 0xE0, 0xF0]),
        level in prop::sample::select(vec![4_u8, 5]),
        body in prop::collection::vec(prop_oneof![Just(0_u8), 0..20_u8, any::<u8>()], 0..60),
    ) {
        let mut bytes = vec![kind];
        let mut content = if kind == 0x10 { [b"\0\x04MQTT", &[level][..]].concat() } else { Vec::new() };
        content.extend(body);
        bytes.push(u8::try_from(content.len()).unwrap());
        bytes.extend(content);
        let mut buffer = BytesMut::from(&bytes[..]);
        let version = if level == 5 { Version::V5 } else { Version::V4 };
        let _any = first_level(&buffer);
        let decoded = decode(&mut buffer, version, MAX);
        prop_assert_ne!(decoded, Ok(None));
    }
}
