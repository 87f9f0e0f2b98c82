//! mosquitto's own clients, unchanged, against a gateway: readings, results, retained messages and
//! wills, in MQTT 3.1.1 and 5, at every `QoS`.

mod house;

use std::io::{BufRead, BufReader, ErrorKind, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use house::House;
use serde_json::{Value, json};

const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];
/// Seconds after which mosquitto's subscriber ends by itself: nothing that works takes so long.
const PATIENCE_S: &str = "120";

/// A program of the Debian package mosquitto-clients. Its output is piped: by lines, or a
/// subscriber would say what it got when it ends.
fn mosquitto(program: &str, house: &House, version: &str) -> Command {
    let mut command = Command::new("stdbuf");
    command
        .args(["-oL", program, "-h", "127.0.0.1", "-p"])
        .arg(house.mqtt.port().to_string())
        .args(["-V", version])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

fn need(program: &str) {
    let version = Command::new(program)
        .arg("--help")
        .stdout(Stdio::null())
        .spawn();
    match version {
        Ok(mut child) => drop(child.wait()),
        Err(why) if why.kind() == ErrorKind::NotFound => panic!(
            "{program} is not installed; on Debian: apt-get update && apt-get install -y \
             mosquitto-clients"
        ),
        Err(why) => panic!("{program}: {why}"),
    }
}

fn publish(house: &House, version: &str, arguments: &[&str]) {
    need("mosquitto_pub");
    let status = mosquitto("mosquitto_pub", house, version)
        .args(arguments)
        .status();
    let status = status.expect("stdbuf belongs to coreutils");
    assert!(status.success(), "mosquitto_pub {arguments:?}: {status}");
}

/// A `mosquitto_sub` that has subscribed.
struct Subscriber {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What it got: `QoS`, whether it was retained, topic, payload.
type Got = (String, String, String, String);

impl Subscriber {
    fn to(filter: &str, house: &House, version: &str, arguments: &[&str]) -> Self {
        need("mosquitto_sub");
        let mut child = mosquitto("mosquitto_sub", house, version)
            .args(["-d", "-W", PATIENCE_S, "-F", "got %q %r %t %p"])
            .args(["-t", filter])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("stdbuf belongs to coreutils");
        let stdout = child.stdout.take().expect("it is piped");
        let mut subscriber = Self {
            child,
            lines: BufReader::new(stdout).lines(),
        };
        subscriber.line_with("Subscribed");
        subscriber
    }

    fn line_with(&mut self, words: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let line = lines.find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("mosquitto_sub ended without `{words}`"))
    }

    fn got(&mut self) -> Got {
        let line = self.line_with("got ");
        let mut words = line.splitn(5, ' ').skip(1).map(str::to_owned);
        let mut word = || words.next().expect("the format has four words");
        (word(), word(), word(), word())
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reading(name: &str, time: &str, value: f64) -> String {
    json!({"name": name, "timestamp": time, "value": value}).to_string()
}

fn got(qos: &str, retained: &str, topic: &str, payload: &str) -> Got {
    let [qos, retained, topic, payload] = [qos, retained, topic, payload].map(str::to_owned);
    (qos, retained, topic, payload)
}

/// A gateway that does not keep readings at `QoS` 0 waiting for long.
async fn house() -> House {
    House::with(|config| config.store.commit_delay_qos0_ms = 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_at_every_qos_become_rows_and_reach_subscribers_of_a_wildcard() {
    let house = house().await;
    let mut hour = 0;
    for version in VERSIONS {
        let mut subscriber = Subscriber::to("sensors/#", &house, version, &["-q", "2"]);
        for qos in ["0", "1", "2"] {
            hour += 1;
            let payload = reading("TH1", &format!("2020-01-01 {hour:02}:00:00"), 20.0);
            publish(
                &house,
                version,
                &["-t", "sensors/TH1", "-q", qos, "-m", &payload],
            );
            let expected = got(qos, "0", "sensors/TH1", &payload);
            assert_eq!(subscriber.got(), expected, "{version}");
        }
    }
    let days = house.api.list("days").await;
    let told: Vec<_> = days
        .iter()
        .map(|row| (&row["sensor"], &row["count"]))
        .collect();
    assert_eq!(told, [(&json!("TH1"), &json!(6))]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_lowers_the_qos_and_never_raises_it() {
    let house = house().await;
    for version in VERSIONS {
        for (subscribed, published, expected) in [("0", "2", "0"), ("1", "2", "1"), ("2", "1", "1")]
        {
            let mut subscriber = Subscriber::to("a/+/c", &house, version, &["-q", subscribed]);
            publish(
                &house,
                version,
                &["-t", "a/b/c", "-q", published, "-m", "x"],
            );
            assert_eq!(subscriber.got(), got(expected, "0", "a/b/c", "x"));
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_kept_replaced_and_cleared() {
    let house = house().await;
    for version in VERSIONS {
        for (topic, message) in [
            ("kept/a", "1"),
            ("kept/b", "2"),
            ("kept/b", "3"),
            ("kept/z", "4"),
        ] {
            publish(
                &house,
                version,
                &["-r", "-q", "1", "-t", topic, "-m", message],
            );
        }
        publish(&house, version, &["-r", "-n", "-q", "1", "-t", "kept/a"]);
        let mut subscriber = Subscriber::to("kept/#", &house, version, &["-q", "1"]);
        let mut kept = [subscriber.got(), subscriber.got()];
        kept.sort();
        assert_eq!(
            kept,
            [got("1", "1", "kept/b", "3"), got("1", "1", "kept/z", "4")]
        );
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_of_a_client_that_is_killed_reaches_others() {
    let house = house().await;
    for version in VERSIONS {
        let mut heir = Subscriber::to("wills/#", &house, version, &["-q", "1"]);
        let will = [
            "--will-topic",
            "wills/pump",
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
        ];
        let mut pump = Subscriber::to("nothing", &house, version, &will);
        pump.kill();
        assert_eq!(heir.got(), got("1", "0", "wills/pump", "gone"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_retained_below_the_site_as_the_api_has_them_and_nobody_forges_them() {
    let house = house().await;
    for (name, time, value) in [
        ("Wtot", "2020-01-01 00:00:00", 100.0),
        ("W1", "2020-01-01 06:00:00", 0.5),
        ("Wtot", "2020-01-02 00:00:00", 210.5),
        ("W1", "2020-01-02 06:00:00", 0.75),
    ] {
        let (topic, payload) = (format!("sensors/{name}"), reading(name, time, value));
        publish(
            &house,
            "mqttv311",
            &["-q", "2", "-t", &topic, "-m", &payload],
        );
    }
    // Accepted as the standard asks, and published to nobody.
    publish(
        &house,
        "mqttv311",
        &["-r", "-q", "1", "-t", "sluice/home/rest/water", "-m", "{}"],
    );

    let newest = async |kind: &str, sensor: &str, key: &str| -> Value {
        let rows = house.api.list(kind).await;
        let mut closed = rows
            .into_iter()
            .filter(|row| row[key] == sensor && row["closed"] == true);
        closed.next_back().expect("a day is over")
    };
    let expected = [
        ("sluice/home/day/W1", newest("days", "W1", "sensor").await),
        (
            "sluice/home/day/Wtot",
            newest("days", "Wtot", "sensor").await,
        ),
        (
            "sluice/home/diff/Wtot",
            newest("diffs", "Wtot", "sensor").await,
        ),
        (
            "sluice/home/rest/water",
            newest("rests", "water", "balance").await,
        ),
    ];
    assert_eq!(expected[3].1["value"], 110.0);
    // Sensors that went silent are told of there as well.
    let args = ["-q", "1", "-T", "sluice/home/alert/#"];
    for version in VERSIONS {
        let mut subscriber = Subscriber::to("sluice/home/#", &house, version, &args);
        let mut messages: Vec<Got> = (0..=expected.len()).map(|_| subscriber.got()).collect();
        messages.sort_by(|a, b| a.2.cmp(&b.2));
        let status = messages.pop().expect("five");
        assert_eq!(status, got("1", "1", "sluice/home/status", "online"));
        for ((qos, retained, topic, payload), (expected, row)) in messages.iter().zip(&expected) {
            assert_eq!((qos.as_str(), retained.as_str()), ("1", "1"));
            assert_eq!(topic, expected);
            let payload: Value = serde_json::from_str(payload).expect("results are JSON");
            assert_eq!(&payload, row);
        }
    }
    house.stop().await;
}
