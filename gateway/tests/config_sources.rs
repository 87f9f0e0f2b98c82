//! Messages through the sources of a configuration: what becomes a reading, and why the rest does not.

use gateway::config::Config;
use gateway::source::{Decoded, Reason, Stamped, TimeFlag, Verdict};
use proptest::prelude::*;

const SEED: &str = r#"
[[source]]
topic = "sensors/#"
sensor = "/name"
time = "/timestamp"
"#;

fn verdict(config: &str, topic: &str, payload: &[u8]) -> Verdict {
    let config = Config::parse(config, "test.toml").expect("a valid configuration");
    config.sources.decode(topic, payload)
}

/// The one reading of a message.
fn reading(config: &str, topic: &str, payload: &str) -> Decoded {
    match verdict(config, topic, payload.as_bytes()) {
        Verdict::Readings(readings) => {
            assert_eq!(readings.len(), 1, "{payload}");
            readings[0].clone()
        }
        other => panic!("{payload}: {other:?}"),
    }
}

/// The reason why a message is a dead letter.
fn letter(config: &str, payload: &[u8]) -> Reason {
    match verdict(config, "sensors/home/TH1", payload) {
        Verdict::Letter(reason) => reason,
        other => panic!("{payload:?}: {other:?}"),
    }
}

#[test]
fn the_seeds_message_is_a_reading_however_it_is_written() {
    for payload in [
        r#"{"name":"TH1","timestamp":"2020-01-01 01:15:00","value":28.41}"#,
        r#" { "value" : "28.41" , "extra" : {"a":[1,{"name":"no"}]}, "timestamp":1577841300, "name":"TH1" } "#,
        r#"{"n\u0061me":"T\u00481","timestamp":"1577841300000","value":2841e-2}"#,
        r#"{"name":"TH2","name":"TH1","timestamp":"2020-01-01T03:15:00+02:00","value":28.41}"#,
    ] {
        let reading = reading(SEED, "sensors/home/other", payload);
        assert_eq!(&*reading.sensor, "TH1", "{payload}");
        assert_eq!(reading.time, Stamped::At(1_577_841_300_000), "{payload}");
        assert_eq!(reading.value.to_bits(), 28.41_f64.to_bits(), "{payload}");
        assert_eq!(reading.id, None, "{payload}");
    }
}

#[test]
fn what_is_no_reading_is_a_letter_with_its_reason() {
    for (payload, code) in [
        ("", "not_json"),
        ("not json", "not_json"),
        (r#"{"name":"TH1","timestamp":0,"value":1"#, "not_json"),
        (r#"{"name":"TH1","timestamp":0,"value":1} x"#, "not_json"),
        (r#"{"name":"TH1","timestamp":0,"value":NaN}"#, "not_json"),
        (r#"{"name":"TH1","timestamp":0,"value":1e999}"#, "not_json"),
        (
            r#"{"name":"TH1","timestamp":0,"value":1,"x":[}"#,
            "not_json",
        ),
        ("[1]", "missing_name"),
        ("12", "missing_name"),
        (r#"{"timestamp":0,"value":1}"#, "missing_name"),
        (r#"{"name":null,"timestamp":0,"value":1}"#, "missing_name"),
        (r#"{"name":"","timestamp":0,"value":1}"#, "bad_name"),
        (r#"{"name":"a+b","timestamp":0,"value":1}"#, "bad_name"),
        (r#"{"name":"a\u0000","timestamp":0,"value":1}"#, "bad_name"),
        (r#"{"name":true,"timestamp":0,"value":1}"#, "bad_name"),
        (r#"{"name":1.5,"timestamp":0,"value":1}"#, "bad_name"),
        (r#"{"name":"TH1","timestamp":0}"#, "missing_value"),
        (
            r#"{"name":"TH1","timestamp":0,"value":null}"#,
            "missing_value",
        ),
        (
            r#"{"name":"TH1","timestamp":0,"value":""}"#,
            "missing_value",
        ),
        (r#"{"name":"TH1","timestamp":0,"value":{}}"#, "not_a_number"),
        (
            r#"{"name":"TH1","timestamp":0,"value":[1]}"#,
            "not_a_number",
        ),
        (
            r#"{"name":"TH1","timestamp":0,"value":{"v":1}}"#,
            "not_a_number",
        ),
        (
            r#"{"name":"TH1","timestamp":0,"value":"1,5"}"#,
            "not_a_number",
        ),
        (
            r#"{"name":"TH1","timestamp":0,"value":"NaN"}"#,
            "non_finite",
        ),
        (
            r#"{"name":"TH1","timestamp":0,"value":"-inf"}"#,
            "non_finite",
        ),
        (r#"{"name":"TH1","value":1}"#, "missing_time"),
        (
            r#"{"name":"TH1","timestamp":null,"value":1}"#,
            "missing_time",
        ),
        (r#"{"name":"TH1","timestamp":"","value":1}"#, "bad_time"),
        (r#"{"name":"TH1","timestamp":"soon","value":1}"#, "bad_time"),
        (r#"{"name":"TH1","timestamp":false,"value":1}"#, "bad_time"),
    ] {
        assert_eq!(letter(SEED, payload.as_bytes()).code(), code, "{payload}");
    }
    assert_eq!(letter(SEED, b"{\"name\":\"\xff\"}"), Reason::NotUtf8);
    let deep = "[".repeat(100_000);
    assert_eq!(letter(SEED, deep.as_bytes()).code(), "not_json");
}

#[test]
fn a_letter_says_what_was_wrong_in_words() {
    let reason = letter(SEED, br#"{"name":"TH1","timestamp":"1 o'clock","value":1}"#);
    assert_eq!(
        reason.to_string(),
        "\"1 o'clock\" is not a time that the source can read"
    );
    let long = format!(
        r#"{{"name":"TH1","timestamp":0,"value":"{}"}}"#,
        "é".repeat(500)
    );
    assert!(letter(SEED, long.as_bytes()).to_string().len() < 150);
}

#[test]
fn names_come_from_the_topic_where_the_payload_holds_none() {
    for (sensor, name) in [
        ("", "TH1"),
        ("sensor = \"{2}/{3}\"", "kitchen/TH1"),
        ("sensor = \"{1}.{3}\"", "sensors.TH1"),
    ] {
        for format in ["number", "text", "json"] {
            let pointer = if format == "json" { "value = \"\"" } else { "" };
            let config = format!(
                "[[source]]\ntopic = \"sensors/#\"\nformat = \"{format}\"\n{sensor}\n{pointer}"
            );
            let reading = reading(&config, "sensors/kitchen/TH1", " 21.5 ");
            assert_eq!(&*reading.sensor, name, "{config}");
            assert_eq!(reading.value.to_bits(), 21.5_f64.to_bits(), "{config}");
            assert_eq!(reading.time, Stamped::Arrival, "{config}");
        }
    }
}

#[test]
fn pointers_reach_into_documents_and_ids_are_kept() {
    let config = r##"
[[source]]
topic = "#"
sensor = "/Message/EndpointID"
value = "/Message/Consumption/0"
time = "/Time"
id = "/id"
"##;
    let payload = r#"{"Time":"2026-03-01T06:05:00Z","id":7,"Message":{"EndpointID":8765,"Consumption":["154011"]}}"#;
    let reading = reading(config, "rtlamr/8765/state", payload);
    assert_eq!(&*reading.sensor, "8765");
    assert_eq!(reading.value.to_bits(), 154_011_f64.to_bits());
    assert_eq!(reading.id.as_deref(), Some("7"));
    // Whether a message must have an id is its sensor's business.
    let without = payload.replace("\"id\"", "\"no\"");
    let reading = self::reading(config, "rtlamr/8765/state", &without);
    assert_eq!(reading.id, None);
}

#[test]
fn one_key_may_serve_twice() {
    let config = "[[source]]\ntopic = \"#\"\nid = \"/time\"\ntime = \"/time\"";
    let reading = reading(config, "a/b", r#"{"time":1577841300,"value":1}"#);
    assert_eq!(reading.time, Stamped::At(1_577_841_300_000));
    assert_eq!(reading.id.as_deref(), Some("1577841300"));
}

#[test]
fn times_without_offset_are_the_sites_unless_said_otherwise() {
    let payload = r#"{"value":1,"time":"2026-10-25 02:30:00"}"#;
    let source = "[[source]]\ntopic = \"#\"\ntime = \"/time\"\n";
    let berlin = "[site]\ntimezone = \"Europe/Berlin\"\n";
    for (config, expected) in [
        (source.to_owned(), Stamped::At(1_792_895_400_000)),
        (
            format!("{berlin}{source}time_zone = \"site\""),
            Stamped::AtFlagged(1_792_888_200_000, TimeFlag::AmbiguousLocal),
        ),
        (
            format!("{berlin}{source}time_zone = \"UTC\""),
            Stamped::At(1_792_895_400_000),
        ),
    ] {
        assert_eq!(reading(&config, "a", payload).time, expected, "{config}");
    }
}

#[test]
fn a_configured_format_reads_numbers_too() {
    let config = "[[source]]\ntopic = \"#\"\ntime = \"/t\"\ntime_format = \"%Y%m%d%H%M%S\"";
    let reading = reading(config, "a", r#"{"value":1,"t":20200101011500}"#);
    assert_eq!(reading.time, Stamped::At(1_577_841_300_000));
}

#[test]
fn the_first_source_that_matches_reads_and_results_are_never_read() {
    let config = r##"
[[source]]
topic = "sensors/+/raw"
format = "number"
sensor = "{2}"

[[source]]
topic = "#"
format = "text"
"##;
    assert_eq!(&*reading(config, "sensors/TH1/raw", "1").sensor, "TH1");
    assert_eq!(&*reading(config, "sensors/TH1/text", "1 L").sensor, "text");
    for topic in [
        "sluice/home/day/W1",
        "homeassistant/status",
        "$SYS/broker/uptime",
    ] {
        assert_eq!(verdict(config, topic, b"1"), Verdict::NotMapped, "{topic}");
    }
    assert_eq!(verdict(SEED, "elsewhere", b"1"), Verdict::NotMapped);
}

proptest! {
    #[test]
    fn no_payload_is_a_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(verdict(SEED, "sensors/x", &payload));
    }

    #[test]
    fn no_time_is_a_panic(time in "\\PC{0,30}", digits in "[-+.:TZ 0-9]{0,30}") {
        let berlin = "[site]\ntimezone = \"Europe/Berlin\"\n[[source]]\ntopic = \"#\"\nvalue = \"/v\"\ntime = \"/t\"";
        let formatted = format!("{berlin}\ntime_format = \"%d.%m.%Y %H:%M\"");
        for text in [time, digits] {
            let payload = serde_json::json!({ "v": 1, "t": text }).to_string();
            drop(verdict(berlin, "a", payload.as_bytes()));
            drop(verdict(&formatted, "a", payload.as_bytes()));
        }
    }

    #[test]
    fn every_finite_value_survives(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        let config = "[[source]]\ntopic = \"#\"";
        let json = serde_json::json!({ "value": value }).to_string();
        let found = reading(config, "a", &json);
        prop_assert_eq!(found.value.to_bits(), value.to_bits());
        let text = format!("{config}\nformat = \"text\"");
        prop_assert_eq!(reading(&text, "a", &format!("{value} °C")).value.to_bits(), value.to_bits());
    }
}
