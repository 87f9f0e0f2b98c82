//! The worked example of the semantics, through real MQTT into a gateway, and out of its HTTP API:
//! row for row, in one commit or in twenty-five, once or twice.

mod house;

use house::House;
use serde_json::{Value, json};
use world::api::Api;
use world::mqtt::{Client, PUBACK, Qos, Stay, publish};

const MESSAGES: &str = include_str!("vectors/day-edges/messages.jsonl");
const DAYS: &str = include_str!("vectors/day-edges/aggday.csv");
const DIFFS: &str = include_str!("vectors/day-edges/aggdaydiff.csv");
const RESTS: &str = include_str!("vectors/day-edges/aggdayrest.csv");
const SET_ASIDE: &str = include_str!("vectors/day-edges/setaside.jsonl");
const COUNTERS: &str = include_str!("vectors/day-edges/counters.json");

/// Longer than any test: who waits for company waits until somebody comes.
const AN_HOUR_MS: u64 = 3_600_000;

/// The messages' topics and payloads; what names no sensor comes on some topic below `sensors/`.
fn messages() -> impl Iterator<Item = (String, &'static str)> {
    MESSAGES.lines().map(|payload| {
        let message: Value = serde_json::from_str(payload).unwrap_or_default();
        let name = message["name"].as_str().unwrap_or("unknown");
        (format!("sensors/home/{name}"), payload)
    })
}

/// A gateway that commits when a reading at `QoS` 1 asks for it, and for nothing else.
async fn house() -> House {
    House::with(|config| {
        config.store.commit_delay_ms = 0;
        config.store.commit_delay_qos0_ms = AN_HOUR_MS;
    })
    .await
}

/// All at `QoS` 0, where they wait for company, but the last: it takes them along.
async fn send_in_one_commit(client: &mut Client) {
    let messages: Vec<_> = messages().collect();
    let last = messages.len() - 1;
    let mut bytes = Vec::new();
    for (index, (topic, payload)) in messages.iter().enumerate() {
        let qos = if index == last { Qos::One } else { Qos::Zero };
        bytes.extend(publish(topic, payload.as_bytes(), qos, false, 1));
    }
    client.send(&bytes).await.expect("the gateway listens");
    let answer = client.next().await.expect("the gateway answers");
    assert_eq!(answer.acknowledges(), Some((PUBACK, 1)));
}

async fn send_in_a_commit_each(client: &mut Client) {
    for (topic, payload) in messages() {
        let sent = client.publish(&topic, payload.as_bytes(), Qos::One, false);
        sent.await.expect("the gateway acknowledges");
    }
}

async fn client(house: &House) -> Client {
    let connected = Client::connect(house.mqtt, "seed", Stay::Clean).await;
    connected.expect("the gateway listens").0
}

/// The lines of a table after its header, numbers written as Rust writes them.
fn table(csv: &str) -> Vec<String> {
    let field = |field: &str| match field.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => field.to_owned(),
    };
    let line = |line: &str| line.split(',').map(field).collect::<Vec<_>>().join(",");
    csv.lines().skip(1).map(line).collect()
}

/// Rows of the API as the vector's tables write them.
fn told(rows: &[Value], fields: &[&str]) -> Vec<String> {
    let field = |row: &Value, field: &str| match &row[field] {
        // The vector's tables give nine decimals.
        Value::Number(number) => {
            let number = number.as_f64().expect("rows hold f64");
            ((number * 1e9).round() / 1e9).to_string()
        }
        Value::String(text) => text.clone(),
        other => panic!("{field} is {other} in {row}"),
    };
    let line = |row: &Value| fields.iter().map(|name| field(row, name)).collect();
    rows.iter()
        .map(|row: &Value| {
            let fields: Vec<String> = line(row);
            fields.join(",")
        })
        .collect()
}

async fn assert_rows(api: &Api) {
    let days = api.list("days").await;
    let day = ["sensor", "day", "aggregate", "value", "count"];
    assert_eq!(told(&days, &day), table(DAYS));

    let diffs = api.list("diffs").await;
    assert_eq!(told(&diffs, &["sensor", "day", "value"]), table(DIFFS));
    assert!(diffs.iter().all(|row| row["kind"] == "normal"));

    // The vector names rests by their meter.
    let rests = api.list("rests").await;
    let by_meter: Vec<String> = told(&rests, &["balance", "day", "value"])
        .iter()
        .map(|row| row.replace("energy", "Etot").replace("water", "Wtot"))
        .collect();
    assert_eq!(by_meter, table(RESTS));
}

/// Late rows in order of arrival, as messages again.
async fn set_aside(api: &Api) -> Vec<Value> {
    let mut late = api.list("late").await;
    late.sort_by_key(|row| row["seq"].as_u64());
    late.iter()
        .map(|row| {
            let time = row["time"].as_str().expect("late rows have a time");
            let local = time.replace('T', " ").replace('Z', "");
            json!({"name": row["sensor"], "timestamp": local, "value": row["value"]})
        })
        .collect()
}

async fn assert_whole(api: &Api) {
    assert_rows(api).await;
    let expected: Vec<Value> = SET_ASIDE
        .lines()
        .map(|line| serde_json::from_str(line).expect("the vector is JSON"))
        .collect();
    assert_eq!(set_aside(api).await, expected);
    let counters: Value = serde_json::from_str(COUNTERS).expect("the vector is JSON");
    assert_eq!(api.counters().await, counters);
    let letters = api.list("letters").await;
    let reasons: Vec<&str> = letters
        .iter()
        .filter_map(|letter| letter["reason"].as_str()?.split(':').next())
        .collect();
    assert_eq!(reasons, ["missing_value", "not_json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_commit() {
    let house = house().await;
    send_in_one_commit(&mut client(&house).await).await;
    assert_eq!(house.api.commits().await, 1);
    assert_whole(&house.api).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_commit_each() {
    let house = house().await;
    let mut client = client(&house).await;
    send_in_a_commit_each(&mut client).await;
    // A commit is counted just after it is acknowledged: before whatever comes next.
    let next = client.publish("elsewhere", b"", Qos::One, false).await;
    next.expect("the gateway acknowledges");
    assert_eq!(house.api.commits().await, 25);
    assert_whole(&house.api).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_whole_it_changes_no_row_but_is_counted() {
    let house = house().await;
    let mut client = client(&house).await;
    send_in_one_commit(&mut client).await;
    let before = world::rows::Rows::of(&house.api).await;
    send_in_a_commit_each(&mut client).await;
    assert_rows(&house.api).await;
    let after = world::rows::Rows::of(&house.api).await;
    after.assert_results_equal(&before, "replayed");
    assert_eq!((before.late.len(), after.late.len()), (3, 6));
    let counters = json!({
        "received": 50,
        "accepted": 18,
        "duplicate": 19,
        "corrected": 3, // the two contradicting readings correct each other once more
        "late": 6,
        "dead_letter": 4,
    });
    assert_eq!(house.api.counters().await, counters);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_correction_is_revision_2_of_the_rows_it_touches() {
    let house = house().await;
    send_in_a_commit_each(&mut client(&house).await).await;
    let of = |rows: &[Value], name: &str, key: &str| -> Value {
        let found = rows
            .iter()
            .find(|row| row[key] == name && row["day"] == "2020-01-02");
        found.expect("the vector has that row").clone()
    };
    let w1 = of(&house.api.list("days").await, "W1", "sensor");
    let water = of(&house.api.list("rests").await, "water", "balance");
    let etot = of(&house.api.list("days").await, "Etot", "sensor");
    for (row, revision) in [(w1, 2), (water, 2), (etot, 1)] {
        assert_eq!(
            (&row["closed"], &row["revision"]),
            (&json!(true), &json!(revision)),
            "{row}"
        );
    }
    house.stop().await;
}
