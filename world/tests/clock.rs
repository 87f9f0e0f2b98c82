//! A gateway that wakes up in 1970 and learns the time later: what its users see through MQTT and HTTP.
//!
//! The clock is the test's own and stands still but for what the test does with it; the gateway looks
//! at it once a second. What it then says is waited for, never guessed.

mod house;

use chrono_tz::Tz;
use gateway::clock::Clock;
use gateway::config::{ClockMode, Config};
use house::House;
use serde_json::{Value, json};
use simulator::{Late, Scenario};
use tempfile::TempDir;
use world::arrival::{Line, lines, payloads};
use world::courier::{Courier, Pause};
use world::mqtt::{Client, Qos, Stay};
use world::reference::{compute, seed_home};
use world::rows::Rows;

/// 2026-06-01T12:00:00Z.
const NOON: i64 = 1_780_315_200_000;
/// Where a machine without a battery begins.
const IN_1970: i64 = 5_000;

const PLAIN: &str = r#"
    [site]
    id = "home"
    [store]
    commit_delay = "0ms"
    [[source]]
    topic = "sensors/#"
    sensor = "/name"
    time = "/timestamp"
    [[source]]
    topic = "plain/#"
    format = "number"
    [[sensor]]
    name = "*"
    kind = "gauge"
"#;

/// By the wall clock, and without waiting for time to pass: the clock stands still.
fn by_the_wall(config: &mut Config) {
    config.time.clock = ClockMode::Wall;
    config.store.commit_delay_ms = 0;
}

fn plain(config: &mut Config) {
    let fresh = Config::parse(PLAIN, "plain").expect("a valid configuration");
    *config = Config {
        store: gateway::config::Store {
            path: config.store.path.clone(),
            ..fresh.store
        },
        broker: config.broker.clone(),
        web: config.web.clone(),
        ..fresh
    };
}

async fn client(house: &House) -> Client {
    let connected = Client::connect(house.mqtt, "clock", Stay::Clean).await;
    connected.expect("the gateway listens").0
}

/// Somebody who is told the time as soon as the gateway knows it.
struct Watch(Client);

impl Watch {
    async fn of(house: &House) -> Self {
        let connected = Client::connect(house.mqtt, "watch", Stay::Clean).await;
        let mut client = connected.expect("the gateway listens").0;
        let subscribed = client.subscribe("sluice/home/time", Qos::Zero).await;
        subscribed.expect("anybody may");
        Self(client)
    }

    async fn told(&mut self) -> (String, bool) {
        let told = self.0.delivery().await.expect("the time is said");
        (told.payload, told.retained)
    }
}

async fn send(client: &mut Client, topic: &str, payload: &str) {
    let sent = client.publish(topic, payload.as_bytes(), Qos::One, false);
    sent.await.expect("the gateway acknowledges");
}

fn at(ms: i64, value: f64) -> String {
    json!({"name": "T", "timestamp": ms, "value": value}).to_string()
}

/// The day of the next result that is said.
async fn day_of(reader: &mut Client) -> String {
    let said = reader.delivery().await.expect("a result");
    let row: Value = serde_json::from_str(&said.payload).expect("JSON");
    row["day"].as_str().expect("a day").to_owned()
}

async fn clock_of(house: &House) -> Value {
    house.api.get("/api/v1/status").await["clock"].take()
}

/// The same lines, and after every tenth the same again of a year far ahead.
fn with_lines_ahead(lines: &[Line]) -> Vec<Line> {
    let mut all = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        all.push(line.clone());
        if n % 10 == 0 && line.payload.contains("\"2020-") {
            let (name, ms) = line.identity.clone();
            all.push(Line {
                topic: line.topic.clone(),
                payload: line.payload.replacen("\"2020-", "\"2080-", 1),
                identity: (name, ms + 1),
            });
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lay_ahead_the_rows_are_those_of_the_reference_once_the_clock_is_set() {
    let lines = lines(&Scenario {
        days: 3,
        seed: 11,
        late: Late::Paper,
        ..Scenario::default()
    });
    let expected = Rows::expected(&compute(&seed_home(Tz::UTC), payloads(&lines)));
    let mixed = with_lines_ahead(&lines);
    let (clock, hand) = Clock::manual(IN_1970);
    let dir = TempDir::new().expect("a directory");
    let house = House::on(dir, clock.clone(), by_the_wall).await;
    let mut courier = Courier::new("clock", Qos::One, 50, mixed.clone());
    assert_eq!(courier.deliver(house.mqtt, usize::MAX).await, Pause::Done);
    // In between it is stopped, which seals, and started again.
    let house = House::on(house.stop().await, clock, by_the_wall).await;
    let mut watch = Watch::of(&house).await;
    hand.set_wall(NOON);
    watch.told().await;
    let rows = Rows::of(&house.api).await;
    rows.assert_results_equal(&expected, "after the clock was set");
    let counters = house.api.counters().await;
    let count = |name: &str| counters[name].as_u64().expect("a number");
    assert_eq!(count("received"), mixed.len() as u64);
    let parts = ["accepted", "duplicate", "corrected", "late", "dead_letter"];
    assert_eq!(count("received"), parts.map(count).iter().sum::<u64>());
    let dead = (mixed.len() - lines.len()) as u64;
    assert_eq!(
        count("dead_letter"),
        dead,
        "each line ahead, and nothing else"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_without_a_time_is_acknowledged_waits_and_is_stamped_when_the_clock_is_set() {
    let (clock, hand) = Clock::manual(IN_1970);
    let dir = TempDir::new().expect("a directory");
    let house = House::on(dir, clock.clone(), plain).await;
    let mut sensor = client(&house).await;
    send(&mut sensor, "plain/T", "20.5").await;
    let shown = clock_of(&house).await;
    assert_eq!(
        (&shown["synchronised"], &shown["trusted"], &shown["waiting"]),
        (&json!(false), &json!(false), &json!(1))
    );
    assert!(
        shown["why"]
            .as_str()
            .expect("words")
            .contains("not been set")
    );
    assert_eq!(house.api.counters().await["received"], json!(0));
    assert_eq!(house.api.list("days").await, [Value::Null; 0]);
    hand.advance(7_000);
    let house = House::on(house.stop().await, clock, plain).await;
    let mut watch = Watch::of(&house).await;
    hand.set_wall(NOON);
    assert_eq!(watch.told().await, (NOON.to_string(), false));
    let readings = house.api.list("readings").await;
    let expected = json!([{
        "sensor": "T", "time": "2026-06-01T11:59:53Z", "value": 20.5, "seq": readings[0]["seq"],
        "flag": "stamped",
    }]);
    assert_eq!(Value::Array(readings), expected);
    let shown = clock_of(&house).await;
    assert_eq!(
        (&shown["trusted"], &shown["waiting"], &shown["jumps"]),
        (&json!(true), &json!(0), &json!(1))
    );
    let explained = house
        .api
        .get("/api/v1/explain?sensor=T&day=2026-06-01")
        .await;
    assert_eq!(explained["arrivals"][0]["flag"], json!("stamped"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_gone_gives_its_retained_message_back_to_the_one_before() {
    const DAY: i64 = 86_400_000;
    let (clock, hand) = Clock::manual(IN_1970);
    let house = House::on(TempDir::new().expect("a directory"), clock, plain).await;
    let mut sensor = client(&house).await;
    let mut reader = Client::connect(house.mqtt, "reader", Stay::Clean).await;
    let reader = &mut reader.as_mut().expect("the gateway listens").0;
    let subscribed = reader.subscribe("sluice/home/day/T", Qos::Zero).await;
    subscribed.expect("anybody may");
    // Each closes the day of the one before it.
    for (days, value) in [(-1, 1.0), (0, 2.0), (40, 3.0), (41, 4.0)] {
        send(&mut sensor, "sensors/x", &at(NOON + days * DAY, value)).await;
    }
    let said = [day_of(reader).await, day_of(reader).await];
    assert_eq!(said, ["2026-05-31", "2026-06-01"]);
    assert_eq!(day_of(reader).await, "2026-07-11", "it lies ahead");
    let mut watch = Watch::of(&house).await;
    hand.set_wall(NOON);
    watch.told().await;
    assert_eq!(day_of(reader).await, "2026-06-01", "closed for good");
    let days = house.api.list("days").await;
    let days: Vec<_> = days.iter().map(|row| row["day"].as_str()).collect();
    assert_eq!(days, [Some("2026-05-31"), Some("2026-06-01")]);
    let letters = house.api.list("letters").await;
    let told: Vec<_> = letters.iter().map(|row| &row["topic"]).collect();
    assert_eq!(told, [&json!("T"), &json!("T")]);
    house.stop().await;
}
