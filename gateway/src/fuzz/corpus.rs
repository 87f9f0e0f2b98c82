//! Valid inputs of each entry, small and different.

/// Sources of every format and with every way to say a name and a time.
pub(super) const SOURCES: &str = r#"
[[source]]
topic = "json/#"
sensor = "/name"
value = "/value"
time = "/timestamp"
id = "/id"
[[source]]
topic = "deep/+/json"
format = "json"
sensor = "{2}"
value = "/a/0/b"
time = "/t"
time_format = "%d.%m.%Y %H:%M"
[[source]]
topic = "number/#"
format = "number"
[[source]]
topic = "text/+/+"
format = "text"
sensor = "{2}/{3}"
"#;

/// For [`super::codec`].
#[must_use]
pub fn codec() -> Vec<Vec<u8>> {
    let old: [&[u8]; 12] = [
        b"\x10\x0D\0\x04MQTT\x04\x02\0\x3C\0\x01c",
        b"\x10\x1B\0\x04MQTT\x04\xEE\0\x3C\0\x01c\0\x01w\0\x01x\0\x01u\0\x02\xFF\0",
        b"\x30\x05\0\x03a/bx",
        b"\x3B\x07\0\x01t\0\x01hi",
        b"\x34\x06\0\x02\xC3\x96\0\x02",
        b"\x82\x0E\0\x01\0\x03a/+\x01\0\x03b/#\x02",
        b"\xA2\x0A\0\x02\0\x01a\0\x03b/#",
        b"\x40\x02\0\x01\x50\x02\0\x02",
        b"\x62\x02\0\x02\x70\x02\0\x02",
        b"\xC0\0\xE0\0",
        b"\x82\x0F\0\x09\0\x0A$share/g/t\x01",
        b"\x10\x0F\0\x06MQIsdp\x03\x02\0\x3C\0\x01c",
    ];
    let new: [&[u8]; 9] = [
        b"\x10\x24\0\x04MQTT\x05\x02\0\x3C\x16\x11\0\0\0\x3C\x21\0\x0A\x27\0\0\x10\0\x17\0\x26\0\x01a\0\0\0\x01c",
        b"\x10\x23\0\x04MQTT\x05\x2E\0\0\0\0\x01c\x0A\x18\0\0\0\x09\x03\0\x02a/\0\x01w\0\x02hi",
        b"\x32\x19\0\x01t\0\x01\x13\x01\x01\x02\0\0\0\x3C\x03\0\x01a\x08\0\x01r\x09\0\x02xyz",
        b"\x30\x09\0\x01t\x03\x23\0\x01hi\x30\x07\0\0\x03\x23\0\x01y",
        b"\x30\x10\0\x01t\x0C\x26\0\x01a\0\x01b\x26\0\0\0\0",
        b"\x82\x0C\0\x01\x02\x0B\x05\0\x03a/#\x2E",
        b"\xA2\x06\0\x02\0\0\x01a",
        b"\x50\x04\0\x01\x10\0\x62\x03\0\x01\x92\x40\x09\0\x01\x87\x05\x1F\0\x02no",
        b"\xE0\x07\x04\x05\x11\0\0\0\x3C",
    ];
    let of = |version: u8, packets: &[&[u8]]| {
        let input = |packet: &&[u8]| [&[version], *packet].concat();
        packets.iter().map(input).collect::<Vec<_>>()
    };
    [of(0, &old), of(1, &new)].concat()
}

/// For [`super::session`].
#[must_use]
pub fn session() -> Vec<Vec<u8>> {
    let scripts: [&[u8]; 5] = [
        // Publishes at each QoS, a commit, a release.
        b"\0\x20\0\x01\0\x01\x05\x01\x0B\x0A\x09\x02\x0B\x0A\x05",
        // Messages to the client, and its answers, with a return in between.
        b"\x01\x20\0\x03\x01\x03\x02\x03\0\x02\x01\x04\x02\x06\x03\x02\x01\x04\x02\x07\x02\x08\x02",
        // The commit fails; what comes again is new.
        b"\x01\x02\0\x01\x05\x01\x0A\x05\x01\x05\x01\x0A\x02\x0B\x02\x0A",
        // Raw packets.
        b"\x01\x20\0\0\x07\x82\x05\0\x01\0\x01t\0\x02\x09\0\x02\xC0\0\0\x04\xE0\x02\x04\0",
        // A small window.
        b"\x03\x01\0\x03\x01\x03\x01\x03\x02\x04\x01\x03\x00\x06\x02\x02\x01\x04\x01",
    ];
    scripts.map(<[u8]>::to_vec).to_vec()
}

/// For [`super::source`].
#[must_use]
pub fn source() -> Vec<Vec<u8>> {
    let messages: [&[u8]; 9] = [
        b"json/TH1\0{\"name\":\"TH1\",\"timestamp\":\"2020-01-01 01:15:00\",\"value\":28.41}",
        b"json/x\0{\"value\":\"-1e3\",\"timestamp\":1577841300000,\"name\":\"a/b\",\"id\":7}",
        b"json/x\0 {\"n\\u0061me\":\"T\\ud83d\\udeb0\",\"timestamp\":\"2020-01-01T03:15:00+02:00\",\"value\":1} ",
        b"deep/k/json\0{\"a\":[{\"b\":2}],\"t\":\"01.02.2020 03:04\"}",
        b"number/x\0-12.5",
        "text/k/x\x0021,5 \u{b0}C".as_bytes(),
        b"text/a/b\x00ON",
        b"{2}/{3}\0",
        b"%d.%m.%Y %H:%M:%S%.f %z\0",
    ];
    messages.map(<[u8]>::to_vec).to_vec()
}
