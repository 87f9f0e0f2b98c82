//! A household with a leak, as its messages; a gateway that watches it and has one channel; and what becomes known
//! of the leak.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use simulator::{Late, Profile, Scenario};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use world::PATIENCE;
use world::api::Api;
use world::arrival::{Line, lines};
use world::courier::{Courier, Pause};
use world::daemon::{Daemon, Place};
use world::mqtt::{Client, Delivery, Qos, Stay};

use crate::hall::{Hall, Request};

/// Unacknowledged publishes.
pub(crate) const WINDOW: usize = 50;
/// What a detector says of water.
const KINDS: [&str; 6] = [
    "persist",
    "high_flow",
    "away",
    "balance",
    "daily",
    "day_shock",
];

/// The seed home with a water meter that is read every quarter of an hour, and a webhook.
pub(crate) fn place(hook: SocketAddr) -> Place {
    let place = Place::new();
    let config = std::fs::read_to_string(place.config()).expect("it was written");
    let config = self::config(&config);
    place.configure(&format!(
        "{config}\n[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://{hook}/hook\"\n"
    ));
    place
}

/// The seed home's configuration for a meter that is read every quarter of an hour, and commits that do not wait.
pub(crate) fn config(home: &str) -> String {
    let (head, tail) = home
        .split_once("name = \"**/Wtot\"")
        .expect("there is a water meter");
    let tail = tail.replacen("interval = \"1d\"", "interval = \"15m\"", 1);
    format!("{head}name = \"**/Wtot\"{tail}")
        .replacen("rests = false\n", "", 1)
        .replacen("commit_delay = \"250ms\"", "commit_delay = \"10ms\"", 1)
}

/// What the water meters of a household say in so many days from 2020-01-01 on, in order.
pub(crate) fn water(days: u32, seed: u64, leak: &str) -> Vec<Line> {
    water_of(days, seed, &[leak])
}

/// The same with several leaks.
pub(crate) fn water_of(days: u32, seed: u64, leaks: &[&str]) -> Vec<Line> {
    let leak = |spec: &&str| spec.parse().expect("a leak");
    let all = lines(&Scenario {
        days,
        seed,
        profile: Profile::Household,
        late: Late::None,
        leaks: leaks.iter().map(leak).collect(),
        ..Scenario::default()
    });
    let is_water = |line: &Line| ["W1", "Wtot"].contains(&line.identity.0.as_str());
    all.into_iter().filter(is_water).collect()
}

/// Publishes all of it, each acknowledged.
pub(crate) async fn deliver(daemon: &Daemon, id: &str, lines: Vec<Line>) {
    deliver_to(daemon.mqtt, id, lines).await;
}

/// The same, to a broker that listens there.
pub(crate) async fn deliver_to(at: SocketAddr, id: &str, lines: Vec<Line>) {
    let mut courier = Courier::new(id, Qos::One, WINDOW, lines);
    assert_eq!(courier.deliver(at, usize::MAX).await, Pause::Done);
    // What follows from the last of them is said just after it is acknowledged: before whatever comes next.
    let connected = Client::connect(at, "next", Stay::Clean).await;
    let mut next = connected.expect("it listens").0;
    let said = next.publish("elsewhere", b"", Qos::One, false).await;
    said.expect("it is acknowledged");
}

/// The alerts about water, by id.
pub(crate) async fn leaks(api: &Api) -> BTreeMap<String, Value> {
    let alerts = api.list("alerts").await.into_iter();
    let leaks = alerts.filter(is_leak);
    leaks.map(|alert| (text(&alert, "id"), alert)).collect()
}

/// What was said of water: alert, what, and the episode.
pub(crate) async fn journal(api: &Api) -> Vec<(String, String, u64)> {
    let lines = api.list("journal").await;
    let seqs: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["seq"].as_u64())
        .collect();
    let expected: Vec<u64> = (1..=lines.len() as u64).collect();
    assert_eq!(seqs, expected, "no line is missing and none is there twice");
    let leaks = lines.iter().filter(|line| is_leak(&line["alert"]));
    leaks
        .map(|line| {
            let alert = &line["alert"];
            let episode = alert["episode"].as_u64().expect("a number");
            (text(alert, "id"), text(line, "what"), episode)
        })
        .collect()
}

fn is_leak(alert: &Value) -> bool {
    KINDS.iter().any(|kind| alert["kind"] == *kind)
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    let text = value[field].as_str();
    text.unwrap_or_else(|| panic!("{field} in {value}"))
        .to_owned()
}

/// How many notices wait for the channel.
pub(crate) async fn waiting(api: &Api) -> u64 {
    let status = api.get("/api/v1/status").await;
    let waiting = &status["notices"]["waiting"]["webhook"];
    waiting.as_u64().unwrap_or(0)
}

/// Waits until none does.
pub(crate) async fn nothing_waits(api: &Api) {
    let asking = async { while waiting(api).await > 0 {} };
    timeout(PATIENCE, asking).await.expect("all is delivered");
}

/// Everything that comes, with the moment when it came.
pub(crate) struct Ears<T>(mpsc::UnboundedReceiver<(Instant, T)>);

impl<T> Ears<T> {
    pub(crate) async fn next(&mut self) -> (Instant, T) {
        let came = timeout(PATIENCE, self.0.recv()).await;
        came.expect("it comes").expect("somebody listens")
    }

    /// Those that have come.
    pub(crate) fn came(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.0.try_recv().ok())
            .map(|(_, came)| came)
            .collect()
    }
}

/// A subscriber of every alert, from now on.
pub(crate) async fn subscriber(at: SocketAddr, id: &str) -> Ears<Delivery> {
    let connected = Client::connect(at, id, Stay::Clean).await;
    let mut client = connected.expect("it listens").0;
    let granted = client.subscribe("sluice/home/alert/+", Qos::Zero).await;
    granted.expect("granted");
    let (tell, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(delivery) = client.delivery().await {
            if tell.send((Instant::now(), delivery)).is_err() {
                return;
            }
        }
    });
    Ears(came)
}

/// Those who hear what comes to a hall.
pub(crate) fn visitors(mut hall: Hall) -> Ears<Request> {
    let (tell, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let request = tokio::select! {
                request = hall.next() => request,
                () = tell.closed() => return,
            };
            if tell.send((Instant::now(), request)).is_err() {
                return;
            }
        }
    });
    Ears(came)
}

/// What a request says of alerts: which, and whether it goes on.
pub(crate) fn said(request: &Request) -> Vec<(String, String)> {
    let alerts = request.body["alerts"].as_array().expect("a list");
    let said = alerts.iter();
    said.map(|alert| (text(&alert["labels"], "alert"), text(alert, "status")))
        .collect()
}
