//! Laws of the whole, each a test that goes through the doors users have: MQTT in, HTTP out.
//!
//! | law | whole-world tests |
//! | --- | --- |
//! | rows are a function of the accepted readings: order, duplicates | `workloads.rs`, `engine.rs` |
//! | … grouping into commits | here; `day_edges.rs` |
//! | … crashes | `kill.rs` |
//! | a PUBACK proves an fsync; kill -9 is a supported way to stop | `kill.rs` |
//! | nothing received is dropped without a row and a counter | here; `limits.rs`, `workloads.rs` |
//! | whether a day is closed never decides whether a reading counts | here; `day_edges.rs` |
//! | time and chance are arguments | every seed here is printed; `dice.rs`, clippy for clocks |
//! | every limit has a name, misbehaviour is data | `limits.rs` |
//! | the store opens what was left, or says why not and touches nothing | `kill.rs`, `limits.rs` |

mod house;

use chrono_tz::Tz;
use gateway::config::ClockMode;
use house::House;
use serde_json::json;
use simulator::{Late, Scenario};
use world::arrival::{Line, lines, payloads};
use world::courier::{Courier, Pause};
use world::mqtt::{Client, Qos, Stay};
use world::reference::{compute, seed_home};
use world::rows::Rows;

fn three_days() -> Vec<Line> {
    lines(&Scenario {
        days: 3,
        seed: 11,
        late: Late::Paper,
        ..Scenario::default()
    })
}

async fn client(house: &House) -> Client {
    let connected = Client::connect(house.mqtt, "law", Stay::Clean).await;
    connected.expect("the gateway listens").0
}

async fn send(client: &mut Client, name: &str, time: &str, value: f64) {
    let payload = json!({"name": name, "timestamp": time, "value": value}).to_string();
    let sent = client.publish("sensors/x", payload.as_bytes(), Qos::One, false);
    sent.await.expect("the gateway acknowledges");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_depend_on_how_readings_are_grouped_into_commits() {
    let lines = three_days();
    let expected = Rows::expected(&compute(&seed_home(Tz::UTC), payloads(&lines)));
    let mut commits = Vec::new();
    for (qos, window) in [(Qos::One, 1), (Qos::Two, 7), (Qos::One, lines.len())] {
        let house = House::with(|_| {}).await;
        let mut courier = Courier::new("law", qos, window, lines.clone());
        assert_eq!(courier.deliver(house.mqtt, usize::MAX).await, Pause::Done);
        let rows = Rows::of(&house.api).await;
        rows.assert_equal(&expected, &format!("{qos:?}, a window of {window}"));
        commits.push(house.api.commits().await);
        house.stop().await;
    }
    let each = u64::try_from(lines.len()).expect("a few thousand");
    assert_eq!(commits[0], each, "a window of one is a commit a message");
    assert!(commits[2] < each / 4, "a full window is not: {commits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_depend_on_whose_time_it_is() {
    let lines = three_days();
    let expected = Rows::expected(&compute(&seed_home(Tz::UTC), payloads(&lines)));
    for clock in [ClockMode::Event, ClockMode::Wall] {
        let house = House::with(|config| config.time.clock = clock).await;
        let mut courier = Courier::new("law", Qos::One, 100, lines.clone());
        assert_eq!(courier.deliver(house.mqtt, usize::MAX).await, Pause::Done);
        let rows = Rows::of(&house.api).await;
        rows.assert_equal(&expected, &format!("{clock:?}"));
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_received_is_a_row_and_a_counter() {
    let house = House::with(|_| {}).await;
    let mut client = client(&house).await;
    for (name, time, value) in [
        ("TH1", "2020-02-01 01:00:00", 20.0), // accepted
        ("TH1", "2020-02-01 02:00:00", 21.0), // accepted
        ("TH1", "2020-02-01 02:00:00", 21.0), // duplicate
        ("TH1", "2020-02-01 02:00:00", 22.0), // corrected
        ("TH1", "2020-01-01 00:00:00", 20.0), // late
        ("TH1", "2020-02-01 03:00:00", 99.0), // above its max
        ("nobody", "2020-02-01 03:00:00", 1.0),
    ] {
        send(&mut client, name, time, value).await;
    }
    let counters = json!({
        "received": 7, "accepted": 2, "duplicate": 1, "corrected": 1, "late": 1, "dead_letter": 2,
    });
    assert_eq!(house.api.counters().await, counters);
    let readings = house.api.list("readings").await;
    let values: Vec<_> = readings.iter().map(|row| row["value"].as_f64()).collect();
    assert_eq!(values, [Some(20.0), Some(22.0)]);
    assert_eq!(house.api.list("late").await.len(), 1);
    assert_eq!(house.api.list("letters").await.len(), 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_for_a_closed_day_counts_and_each_commit_adds_one_revision() {
    let house = House::with(|_| {}).await;
    let mut client = client(&house).await;
    let row = async || house.api.list("days").await.swap_remove(0);
    let told = |row: serde_json::Value| {
        let (closed, revision) = (row["closed"].as_bool(), row["revision"].as_u64());
        (row["value"].as_f64(), closed, revision)
    };
    send(&mut client, "TH1", "2020-01-01 01:00:00", 20.0).await;
    assert_eq!(told(row().await), (Some(20.0), Some(false), Some(0)));
    send(&mut client, "TH1", "2020-01-03 01:00:00", 20.0).await;
    assert_eq!(told(row().await), (Some(20.0), Some(true), Some(1)));
    // Six days after its end.
    send(&mut client, "TH1", "2020-01-07 23:00:00", 20.0).await;
    send(&mut client, "TH1", "2020-01-01 02:00:00", 22.0).await;
    assert_eq!(told(row().await), (Some(21.0), Some(true), Some(2)));
    // The same once more changes nothing, another value does.
    send(&mut client, "TH1", "2020-01-01 02:00:00", 22.0).await;
    assert_eq!(told(row().await), (Some(21.0), Some(true), Some(2)));
    send(&mut client, "TH1", "2020-01-01 02:00:00", 24.0).await;
    assert_eq!(told(row().await), (Some(22.0), Some(true), Some(3)));
    house.stop().await;
}
