//! What bad input costs: its sender the connection, a message a place among the letters, an operator
//! a clear answer and an exit code. Nobody else anything.

mod house;

use std::fs;
use std::net::SocketAddr;
use std::process::Output;

use gateway::store::{FILE, SCHEMA};
use house::House;
use redb::{Database, TableDefinition};
use world::daemon::Place;
use world::mqtt::{Client, Qos, Stay, publish};

const MAX_PACKET: usize = 256 * 1024;

async fn client(at: SocketAddr, id: &str) -> Client {
    let connected = Client::connect(at, id, Stay::Clean).await;
    connected.expect("it listens").0
}

/// What no client may send, or nobody can read.
fn bad_packets() -> Vec<(&'static str, Vec<u8>)> {
    let oversized = publish("sensors/TH1", &vec![b' '; MAX_PACKET], Qos::One, false, 1);
    vec![
        ("a packet above max_packet", oversized),
        (
            "a length of five bytes",
            vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        ),
        ("a CONNACK", vec![0x20, 2, 0, 0]),
        (
            "a second CONNECT",
            world::mqtt::connect("again", Stay::Clean),
        ),
        ("a reserved type", vec![0xF0, 0]),
        ("QoS 3", vec![0x36, 5, 0, 1, b'a', 0, 1]),
        ("the packet id 0", vec![0x32, 5, 0, 1, b'a', 0, 0]),
        ("a wildcard in a topic", vec![0x30, 3, 0, 1, b'#']),
        ("a topic that is not UTF-8", vec![0x30, 4, 0, 2, 0xC3, 0x28]),
        ("a topic longer than its packet", vec![0x30, 3, 0, 9, b'a']),
        ("a SUBSCRIBE to nothing", vec![0x82, 2, 0, 1]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_packet_costs_its_sender_the_connection_and_nobody_else_anything() {
    let house = House::with(|_| {}).await;
    let mut subscriber = client(house.mqtt, "subscriber").await;
    let granted = subscriber.subscribe("sensors/#", Qos::Zero).await;
    granted.expect("it listens");
    let mut publisher = client(house.mqtt, "publisher").await;
    for (round, (what, bytes)) in bad_packets().into_iter().enumerate() {
        eprintln!("{what}");
        let mut bad = client(house.mqtt, "bad").await;
        // It may hang up before it has read everything.
        drop(bad.send(&bytes).await);
        bad.closed().await;

        let minute = format!("2020-01-01 00:{:02}:00", round + 1);
        let payload = format!(r#"{{"name":"TH1","timestamp":"{minute}","value":20}}"#);
        let sent = publisher.publish("sensors/TH1", payload.as_bytes(), Qos::One, false);
        sent.await.expect("others go on");
        let delivery = subscriber.delivery().await.expect("others go on");
        assert_eq!(delivery.payload, payload);
    }
    let counters = house.api.counters().await;
    assert_eq!(counters["received"], bad_packets().len());
    assert_eq!(counters["accepted"], bad_packets().len());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_reading_is_a_letter_with_its_reason_and_is_acknowledged() {
    let house = House::with(|_| {}).await;
    let mut publisher = client(house.mqtt, "publisher").await;
    let reading = |name: &str, time: &str, value: &str| {
        format!(r#"{{"name":"{name}","timestamp":"{time}","value":{value}}}"#)
    };
    let noon = "2020-01-01 12:00:00";
    let cases: Vec<(Vec<u8>, &str)> = [
        ("not json".to_owned(), "not_json"),
        (
            format!(r#"{{"timestamp":"{noon}","value":1}}"#),
            "missing_name",
        ),
        (r#"{"name":"TH1","value":1}"#.to_owned(), "missing_time"),
        (
            format!(r#"{{"name":"TH1","timestamp":"{noon}"}}"#),
            "missing_value",
        ),
        (reading("a+b", noon, "1"), "bad_name"),
        (reading(&"x".repeat(129), noon, "1"), "bad_name"),
        (reading("nobody", noon, "1"), "unknown_sensor"),
        (reading("TH1", noon, "\"warm\""), "not_a_number"),
        (reading("TH1", noon, "\"NaN\""), "non_finite"),
        (reading("TH1", noon, "\"-inf\""), "non_finite"),
        (reading("TH1", noon, "1e999"), "not_json"),
        (reading("TH1", noon, "-40.01"), "range_min"),
        (reading("TH1", noon, "80.01"), "range_max"),
        (reading("TH1", "noon", "1"), "bad_time"),
        (
            reading("TH1", "1999-12-31 23:59:59", "1"),
            "time_out_of_range",
        ),
        (
            reading("TH1", "2100-01-01 00:00:00", "1"),
            "time_out_of_range",
        ),
    ]
    .map(|(payload, reason)| (payload.into_bytes(), reason))
    .into_iter()
    .chain([(b"\xC3\x28".to_vec(), "not_utf8")])
    .collect();
    for (payload, reason) in &cases {
        let sent = publisher.publish("sensors/home/x", payload, Qos::Two, false);
        sent.await.unwrap_or_else(|why| panic!("{reason}: {why}"));
    }
    // What no source maps is nobody's reading.
    let sent = publisher.publish("other/x", b"not json", Qos::One, false);
    sent.await.expect("it is a message like any other");

    let letters = house.api.list("letters").await;
    let told: Vec<(&str, &str, &str)> = letters
        .iter()
        .map(|letter| {
            let text = |field: &str| letter[field].as_str().unwrap_or_default();
            let (reason, why) = text("reason").split_once(": ").unwrap_or_default();
            assert!(!why.is_empty(), "a reason has a sentence: {letter}");
            (text("topic"), reason, text("payload"))
        })
        .collect();
    let payloads: Vec<_> = cases
        .iter()
        .map(|(payload, _)| String::from_utf8_lossy(payload))
        .collect();
    let expected: Vec<_> = cases
        .iter()
        .zip(&payloads)
        .map(|((_, reason), payload)| ("sensors/home/x", *reason, payload.as_ref()))
        .collect();
    assert_eq!(told, expected);
    let counters = house.api.counters().await;
    assert_eq!(counters["received"], cases.len());
    assert_eq!(counters["dead_letter"], cases.len());
    assert!(house.api.list("days").await.is_empty());
    house.stop().await;
}

/// Exit code, and what was said on stderr.
fn told(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_wrong_configuration_is_refused_whole_with_78_and_every_problem() {
    let place = Place::new();
    place.configure(
        "[site]\nid = \"My Home\"\ntimezone = \"Europe/Atlantis\"\n\n[store]\ncommit_dely = \"1s\"\n\n\
         [[sensor]]\nname = \"W1\"\nkind = \"gague\"\n",
    );
    for command in ["run", "check", "status"] {
        let (code, said) = told(&place.sluice(&[command]));
        assert_eq!(code, Some(78), "{command}: {said}");
        for problem in [
            "sluice.toml:2: site.id: ",
            "sluice.toml:3: site.timezone: ",
            "sluice.toml:6: store.commit_dely: ",
            "sluice.toml:10: sensor.kind: ",
        ] {
            assert!(
                said.contains(problem),
                "{command}: no `{problem}` in {said}"
            );
        }
    }
    assert!(!place.data().exists(), "nothing was begun");
}

#[test]
fn a_newer_store_is_refused_with_both_versions_and_left_as_it_is() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let place = Place::new();
    let daemon = place.start();
    daemon.terminate();
    assert!(daemon.ended().success());
    // docs/FORMAT.md: the version of the row, the schema, CRC-32C.
    let newer = u8::try_from(SCHEMA).expect("a young format") + 1;
    let mut row = vec![1, newer];
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&row);
    row.extend(sum.to_le_bytes());
    let file = place.data().join(FILE);
    let database = Database::open(&file).expect("a store is a redb file");
    let txn = database.begin_write().expect("nobody else has it open");
    let mut meta = txn.open_table(META).expect("every store has it");
    meta.insert("schema", row.as_slice()).expect("it fits");
    drop(meta);
    txn.commit().expect("there is room");
    drop(database);

    let versions = format!("schema is version {newer}, this sluice knows versions up to {SCHEMA}");
    assert_refused_untouched(&place, &versions);
}

/// `sluice run` ends with 1 and says `why`; the store's file does not change in any byte.
fn assert_refused_untouched(place: &Place, why: &str) {
    let file = place.data().join(FILE);
    let before = fs::read(&file).expect("there is a store");
    let (code, said) = told(&place.sluice(&["run"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(why), "no `{why}` in {said}");
    assert!(
        said.contains(place.data().to_str().expect("UTF-8")),
        "which one: {said}"
    );
    assert!(
        fs::read(&file).expect("it is still there") == before,
        "the file has changed"
    );
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let first = place.start();
    let (code, said) = told(&place.sluice(&["run"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another sluice has it open"), "{said}");
    first.terminate();
    assert!(first.ended().success());
}

#[test]
fn a_daemon_whose_operators_socket_cannot_be_had_keeps_readings_all_the_same() {
    let place = Place::new();
    let config = std::fs::read_to_string(place.config()).expect("a configuration");
    // A directory below a file is nowhere.
    let nowhere = place.config().join("socket");
    let control = config.find("[control]").expect("the place has a socket");
    let config = format!("{}[control]\nsocket = {nowhere:?}\n", &config[..control]);
    place.configure(&config);
    let daemon = place.start();
    daemon.terminate();
    assert!(daemon.ended().success());
}

#[test]
fn no_daemon_and_no_store_is_3() {
    let place = Place::new();
    for command in [
        "status", "sensors", "days", "diffs", "rests", "late", "letters",
    ] {
        let (code, said) = told(&place.sluice(&[command]));
        assert_eq!(code, Some(3), "{command}: {said}");
        assert!(said.contains("no daemon answers"), "{command}: {said}");
    }
    assert!(!place.data().exists(), "asking creates no store");
}
