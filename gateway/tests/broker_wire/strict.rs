//! Every rule that a client can break, and the reason it is given: MQTT 5 says which with a code and in words,
//! 3.1.1 closes.

use crate::raw::{Hello, Raw, V4, V5, connect, packet, text};
use crate::stand::Stand;

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const TOPIC: u8 = 0x90;
const ALIAS: u8 = 0x94;
const QUOTA: u8 = 0x97;

/// What ends a connection in either version, the bytes of MQTT 5 with an empty property length.
#[expect(clippy::too_many_lines, reason = "a table, one rule a line")]
fn in_both() -> Vec<(&'static str, u8, Vec<u8>, Vec<u8>)> {
    let same = |what, reason, bytes: &[u8]| (what, reason, bytes.to_vec(), bytes.to_vec());
    let publish = |what, reason, first: u8, topic: &[u8], id: &[u8]| {
        let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
        let head = [&length[..], topic, id].concat();
        let five = packet(first, &[&head[..], b"\0"].concat());
        (what, reason, packet(first, &head), five)
    };
    let filters = |what, reason, first: u8, id: &[u8], rest: &[u8]| {
        let five = packet(first, &[id, b"\0", rest].concat());
        (what, reason, packet(first, &[id, rest].concat()), five)
    };
    vec![
        publish("QoS 3", MALFORMED, 0x36, b"t", b"\0\x01"),
        publish("DUP at QoS 0", MALFORMED, 0x38, b"t", b""),
        publish("packet id 0", MALFORMED, 0x32, b"t", b"\0\0"),
        publish("no topic", PROTOCOL, 0x30, b"", b""),
        publish("a wildcard", TOPIC, 0x30, b"a/+", b""),
        publish("U+0000", MALFORMED, 0x30, b"a\0b", b""),
        publish("a surrogate", MALFORMED, 0x30, b"\xED\xA0\x80", b""),
        publish("an overlong slash", MALFORMED, 0x30, b"\xC0\xAF", b""),
        publish("a control character", TOPIC, 0x30, b"a\x1B[2Jb", b""),
        publish("4097 bytes of topic", TOPIC, 0x30, &[b'x'; 4097], b""),
        publish("129 levels", TOPIC, 0x30, &[b'/'; 128], b""),
        filters("SUBSCRIBE to nothing", PROTOCOL, 0x82, b"\0\x01", b""),
        filters(
            "SUBSCRIBE, packet id 0",
            MALFORMED,
            0x82,
            b"\0\0",
            b"\0\x01t\0",
        ),
        filters(
            "SUBSCRIBE, flags 0",
            MALFORMED,
            0x80,
            b"\0\x01",
            b"\0\x01t\0",
        ),
        filters(
            "SUBSCRIBE, QoS 3",
            MALFORMED,
            0x82,
            b"\0\x01",
            b"\0\x01t\x03",
        ),
        filters(
            "a reserved option",
            MALFORMED,
            0x82,
            b"\0\x01",
            b"\0\x01t\x40",
        ),
        filters(
            "a filter without options",
            MALFORMED,
            0x82,
            b"\0\x01",
            b"\0\x01t",
        ),
        filters(
            "U+0000 in a filter",
            MALFORMED,
            0x82,
            b"\0\x01",
            b"\0\x01\0\0",
        ),
        filters("UNSUBSCRIBE from nothing", PROTOCOL, 0xA2, b"\0\x01", b""),
        filters(
            "UNSUBSCRIBE, packet id 0",
            MALFORMED,
            0xA2,
            b"\0\0",
            b"\0\x01t",
        ),
        filters(
            "UNSUBSCRIBE, flags 0",
            MALFORMED,
            0xA0,
            b"\0\x01",
            b"\0\x01t",
        ),
        filters(
            "1001 filters",
            QUOTA,
            0x82,
            b"\0\x01",
            &b"\0\x01t\0".repeat(1001),
        ),
        same("PUBREL, flags 0", MALFORMED, &[0x60, 2, 0, 1]),
        same("PUBREL, packet id 0", MALFORMED, &[0x62, 2, 0, 0]),
        same("PUBACK, flags 2", MALFORMED, &[0x42, 2, 0, 1]),
        same("half a PUBACK", MALFORMED, &[0x40, 1, 0]),
        same("PINGREQ, flags 1", MALFORMED, &[0xC1, 0]),
        same("PINGREQ with a body", MALFORMED, &[0xC0, 1, 0]),
        same("DISCONNECT, flags 1", MALFORMED, &[0xE1, 0]),
        same(
            "five bytes of length",
            MALFORMED,
            &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        ),
        same("type 0", PROTOCOL, &[0x00, 0]),
        same("PINGRESP", PROTOCOL, &[0xD0, 0]),
    ]
}

/// What ends a connection of MQTT 5.
#[expect(clippy::too_many_lines, reason = "a table, one rule a line")]
fn in_five() -> Vec<(&'static str, u8, Vec<u8>)> {
    let publish = |what, reason, properties: &[u8]| {
        let mut body = text("t");
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend(properties);
        (what, reason, packet(0x30, &body))
    };
    let subscribe = |what, reason, properties: &[u8], options: u8| {
        let mut body = vec![0, 1, u8::try_from(properties.len()).unwrap()];
        body.extend(properties);
        body.extend(text("t"));
        body.push(options);
        (what, reason, packet(0x82, &body))
    };
    let long = |properties: &[u8]| {
        let mut body = text("t");
        body.extend(&packet(0, properties)[1..]);
        packet(0x30, &body)
    };
    vec![
        publish("payload format 2", PROTOCOL, &[0x01, 2]),
        publish("payload format twice", PROTOCOL, &[0x01, 1, 0x01, 1]),
        publish("expiry twice", PROTOCOL, &[2, 0, 0, 0, 1, 2, 0, 0, 0, 1]),
        publish("half an expiry", MALFORMED, &[2, 0, 0]),
        publish("topic alias 0", ALIAS, &[0x23, 0, 0]),
        publish("a topic alias above ours", ALIAS, &[0x23, 0, 17]),
        publish("a subscription identifier", PROTOCOL, &[0x0B, 1]),
        publish(
            "a wildcard in the response topic",
            PROTOCOL,
            &[8, 0, 1, b'#'],
        ),
        publish("an empty response topic", PROTOCOL, &[8, 0, 0]),
        publish("U+0000 in the content type", MALFORMED, &[3, 0, 1, 0]),
        publish(
            "a user property that is no UTF-8",
            MALFORMED,
            &[0x26, 0, 1, 0xFF, 0, 0],
        ),
        publish("a session expiry", MALFORMED, &[0x11, 0, 0, 0, 1]),
        publish("an unknown property", MALFORMED, &[0x7F, 0]),
        (
            "properties beyond the end",
            MALFORMED,
            packet(0x30, &[0, 1, b't', 9, 1]),
        ),
        (
            "a length in too many bytes",
            MALFORMED,
            packet(0x30, &[0, 1, b't', 0x80, 0]),
        ),
        ("no properties", MALFORMED, packet(0x30, &[0, 1, b't'])),
        (
            "129 user properties",
            QUOTA,
            long(&[0x26, 0, 0, 0, 0].repeat(129)),
        ),
        (
            "17 KiB of user properties",
            QUOTA,
            long(&[&[0x26, 0, 0][..], &text(&"x".repeat(17 << 10))].concat()),
        ),
        (
            "an alias that stands for nothing",
            PROTOCOL,
            packet(0x30, &[0, 0, 3, 0x23, 0, 1]),
        ),
        subscribe("subscription identifier 0", PROTOCOL, &[0x0B, 0], 0),
        subscribe("two identifiers", PROTOCOL, &[0x0B, 1, 0x0B, 2], 0),
        subscribe(
            "an identifier of five bytes",
            MALFORMED,
            &[0x0B, 255, 255, 255, 255, 1],
            0,
        ),
        subscribe("retain handling 3", PROTOCOL, &[], 0x30),
        (
            "no local on a shared one",
            PROTOCOL,
            packet(0x82, &[&[0, 1, 0][..], &text("$share/g/t"), &[4]].concat()),
        ),
        (
            "UNSUBSCRIBE with an identifier",
            MALFORMED,
            packet(0xA2, &[0, 1, 2, 0x0B, 1, 0, 1, b't']),
        ),
        ("PUBACK, reason 1", PROTOCOL, packet(0x40, &[0, 1, 1])),
        (
            "PUBCOMP, reason 0x10",
            PROTOCOL,
            packet(0x70, &[0, 1, 0x10]),
        ),
        (
            "PUBACK with an expiry",
            MALFORMED,
            packet(0x40, &[0, 1, 0, 5, 2, 0, 0, 0, 1]),
        ),
        (
            "bytes behind a PUBACK",
            MALFORMED,
            packet(0x40, &[0, 1, 0, 0, 0]),
        ),
        ("AUTH", PROTOCOL, packet(0xF0, &[0x18, 0])),
        (
            "DISCONNECT with a maximum",
            MALFORMED,
            packet(0xE0, &[0, 3, 0x21, 0, 1]),
        ),
        (
            "an expiry that DISCONNECT invents",
            PROTOCOL,
            packet(0xE0, &[0, 5, 0x11, 0, 0, 0, 1]),
        ),
    ]
}

#[tokio::test]
async fn each_rule_that_is_broken_ends_the_connection_with_its_reason() {
    let stand = Stand::new().await;
    for (what, reason, old, new) in in_both() {
        let mut client = Raw::client(stand.address, "old", V4).await;
        client.send(&old).await;
        assert_eq!(client.closed().await, None, "{what}");
        let mut client = Raw::client(stand.address, "new", V5).await;
        client.send(&new).await;
        assert_eq!(
            client.farewell().await.map(|told| told.0),
            Some(reason),
            "{what}"
        );
    }
    for (what, reason, bytes) in in_five() {
        let mut client = Raw::client(stand.address, "new", V5).await;
        client.send(&bytes).await;
        let (told, words) = client.farewell().await.unwrap();
        assert_eq!(told, reason, "{what}: {words}");
        assert!(!words.is_empty(), "{what}");
    }
    assert_eq!(stand.published(), [""; 0]);
}

/// A CONNECT with these flags and properties, and a whole payload for the flags.
fn hello(flags: u8, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([5, flags, 0, 0, u8::try_from(properties.len()).unwrap()]);
    body.extend(properties);
    body.extend(payload);
    packet(0x10, &body)
}

#[tokio::test]
async fn each_rule_that_a_connect_breaks_is_told_in_connack() {
    let stand = Stand::new().await;
    let id = text("c");
    let will = |properties: &[u8], topic: &str| {
        let mut payload = id.clone();
        payload.push(u8::try_from(properties.len()).unwrap());
        payload.extend(properties);
        payload.extend(text(topic));
        payload.extend(text("gone"));
        payload
    };
    let cases: Vec<(&str, u8, Vec<u8>)> = vec![
        ("the reserved flag", MALFORMED, hello(3, &[], &id)),
        (
            "a will's QoS without a will",
            MALFORMED,
            hello(0x0A, &[], &id),
        ),
        (
            "a will at QoS 3",
            MALFORMED,
            hello(0x1E, &[], &will(&[], "w")),
        ),
        (
            "a wildcard in the will's topic",
            TOPIC,
            hello(6, &[], &will(&[], "#")),
        ),
        (
            "a will's delay twice",
            PROTOCOL,
            hello(6, &[], &will(&[0x18, 0, 0, 0, 1, 0x18, 0, 0, 0, 1], "w")),
        ),
        (
            "a topic alias for a will",
            MALFORMED,
            hello(6, &[], &will(&[0x23, 0, 1], "w")),
        ),
        ("receive maximum 0", PROTOCOL, hello(2, &[0x21, 0, 0], &id)),
        (
            "packet size 0",
            PROTOCOL,
            hello(2, &[0x27, 0, 0, 0, 0], &id),
        ),
        ("problem information 2", PROTOCOL, hello(2, &[0x17, 2], &id)),
        (
            "response information 2",
            PROTOCOL,
            hello(2, &[0x19, 2], &id),
        ),
        (
            "an expiry twice",
            PROTOCOL,
            hello(2, &[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], &id),
        ),
        (
            "a delay that is the will's",
            MALFORMED,
            hello(2, &[0x18, 0, 0, 0, 1], &id),
        ),
        (
            "authentication data alone",
            PROTOCOL,
            hello(2, &[0x16, 0, 0], &id),
        ),
        (
            "an authentication method",
            0x8C,
            hello(2, &[0x15, 0, 1, b'x'], &id),
        ),
        (
            "U+0000 in the client id",
            MALFORMED,
            hello(2, &[], b"\0\x01\0"),
        ),
        (
            "a line feed in the client id",
            0x85,
            hello(2, &[], b"\0\x01\n"),
        ),
        ("bytes at the end", MALFORMED, hello(2, &[], b"\0\x01c!")),
        ("no password", MALFORMED, hello(0x42, &[], &id)),
    ];
    for (what, reason, bytes) in cases {
        let mut client = Raw::open(stand.address, true).await;
        client.send(&bytes).await;
        let (first, body) = client.recv().await;
        assert_eq!((first, body[1]), (0x20, reason), "{what}");
        assert_eq!(body[3], 0x1F, "{what}: a reason string");
        assert_eq!(client.closed().await, None, "{what}");
    }
}

/// Property identifiers of a CONNACK of ours, and the assigned client id.
fn told(mut properties: &[u8]) -> (Vec<u8>, String) {
    let (mut identifiers, mut assigned) = (Vec::new(), String::new());
    while let [identifier, rest @ ..] = properties {
        identifiers.push(*identifier);
        let len = match identifier {
            0x21 | 0x22 => 2,
            0x11 | 0x27 => 4,
            0x12 => {
                let len = 2 + usize::from(rest[1]);
                assigned = String::from_utf8(rest[2..len].to_vec()).unwrap();
                len
            }
            other => panic!("property {other:#x} in CONNACK"),
        };
        properties = &rest[len..];
    }
    identifiers.sort_unstable();
    (identifiers, assigned)
}

#[tokio::test]
async fn connack_tells_what_differs_from_the_standards_defaults_and_nothing_else() {
    let stand = Stand::new().await;
    let asks_for_response_information = [0x19, 1];
    let forever = [0x11, 0xFF, 0xFF, 0xFF, 0xFF];
    let mut ids = Vec::new();
    for (id, properties, expected) in [
        (
            "c",
            &asks_for_response_information[..],
            &[0x21, 0x22, 0x27][..],
        ),
        ("", &[], &[0x12, 0x21, 0x22, 0x27]),
        ("", &[], &[0x12, 0x21, 0x22, 0x27]),
        ("c", &forever, &[0x11, 0x21, 0x22, 0x27]),
    ] {
        let mut client = Raw::open(stand.address, true).await;
        client.send(&hello(2, properties, &text(id))).await;
        let (first, body) = client.recv().await;
        assert_eq!((first, body[0], body[1]), (0x20, 0, 0));
        let (identifiers, assigned) = told(&body[3..]);
        assert_eq!(identifiers, expected);
        ids.push(assigned);
    }
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn who_takes_no_packet_as_large_as_connack_is_refused() {
    let stand = Stand::new().await;
    let mut client = Raw::open(stand.address, true).await;
    client
        .send(&hello(2, &[0x27, 0, 0, 0, 8], &text("c")))
        .await;
    assert_eq!(client.recv().await, (0x20, vec![0, 0x95, 0]));
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn reasons_are_put_in_words_unless_the_client_wants_none_or_takes_no_packet_so_large() {
    let stand = Stand::new().await;
    let silent = Hello {
        properties: &[0x17, 0],
        ..V5
    };
    let small = Hello {
        properties: &[0x27, 0, 0, 0, 20],
        ..V5
    };
    for (hello, worded, farewell_worded) in [
        (V5, true, true),
        (silent, false, true),
        (small, false, false),
    ] {
        let mut client = Raw::client(stand.address, "c", hello).await;
        client.publish("$SYS/mine", "x", 2, 7).await;
        let (first, body) = client.recv().await;
        assert_eq!((first, &body[..3]), (0x40, &[0, 7, 0x87][..]));
        assert_eq!(body.len() > 4, worded, "PUBACK");
        client
            .send(&packet(0x82, &[&[0, 8, 0][..], &text("a#"), &[0]].concat()))
            .await;
        let (first, body) = client.recv().await;
        assert_eq!((first, *body.last().unwrap()), (0x90, 0x8F));
        assert_eq!(body[2] > 0, worded, "SUBACK");
        client
            .send(&packet(
                0xA2,
                &[&[0, 9, 0][..], &text("a#"), &text("none")].concat(),
            ))
            .await;
        let (first, body) = client.recv().await;
        assert_eq!((first, &body[body.len() - 2..]), (0xB0, &[0x8F, 0x11][..]));
        assert_eq!(body[2] > 0, worded, "UNSUBACK");
        client.ack(0x62, 10).await;
        let (first, body) = client.recv().await;
        assert_eq!((first, &body[..3]), (0x70, &[0, 10, 0x92][..]));
        assert_eq!(body.len() > 4, worded, "PUBCOMP");
        client.send(&connect("c", V5)).await;
        let (reason, words) = client.farewell().await.unwrap();
        assert_eq!((reason, !words.is_empty()), (PROTOCOL, farewell_worded));
    }
}

#[tokio::test]
async fn who_is_sent_away_in_the_middle_of_a_stream_still_learns_why() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    let mut bytes = packet(0x36, &[0, 1, b't', 0]);
    for id in 1..2000 {
        bytes.extend(client.publish_bytes("t", &"x".repeat(500), 2, id));
    }
    client.send(&bytes).await;
    assert_eq!(client.farewell().await.map(|told| told.0), Some(MALFORMED));
}
