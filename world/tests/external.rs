//! The daemon as a client of a real mosquitto: whatever mosquitto took for it is there and counts
//! once, through kills of either, and its results are there for everybody.
//!
//! What has arrived is told by a fence: two readings of a sensor of the test's own, the later of which
//! closes the day of the earlier. Its day appears at mosquitto when everything before it is on disk.

mod far;

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use far::{Fence, Watcher};
use serde_json::Value;
use simulator::{Late, Scenario};
use world::arrival::{Line, lines, payloads};
use world::courier::{Courier, Pause};
use world::daemon::{Daemon, Place};
use world::dice::Dice;
use world::mosquitto::{Mosquitto, passwords};
use world::mqtt::Qos;
use world::reference::{Results, compute, seed_home};
use world::rows::Rows;

/// Unacknowledged publishes of a courier.
const WINDOW: usize = 200;
/// What the daemon says when it is subscribed.
const CONNECTED: &str = "connected to mqtt";

fn kills() -> usize {
    if world::long() { 40 } else { 6 }
}

fn home(seed: u64, days: u32, homes: u32) -> Vec<Line> {
    eprintln!("seed {seed}");
    lines(&Scenario {
        days,
        homes,
        seed,
        late: Late::Paper,
        ..Scenario::default()
    })
}

fn expected(lines: &[Line], fence: &Fence) -> Results {
    let said = payloads(lines).chain(fence.said());
    compute(&seed_home(Tz::UTC), said)
}

fn url(mosquitto: &Mosquitto) -> String {
    format!("mqtt://{}", mosquitto.address())
}

/// A daemon that is subscribed.
fn connected(place: &Place) -> Daemon {
    let mut daemon = place.start();
    daemon.says(CONNECTED);
    daemon
}

async fn broker(daemon: &Daemon) -> Value {
    daemon.api.get("/api/v1/status").await["broker"].take()
}

/// Everything counted once, and the rows are the reference's.
async fn assert_all_is_there_once(daemon: &Daemon, lines: &[Line], fence: &Fence) {
    let expected = expected(lines, fence);
    let rows = Rows::of(&daemon.api).await;
    rows.assert_results_equal(&Rows::expected(&expected), "as the reference has them");
    let late = Rows::expected(&expected).late_readings();
    assert_eq!(rows.late_readings(), late);
    let counters = daemon.api.counters().await;
    assert_eq!(
        counters["accepted"], expected.counters.accepted,
        "{counters}"
    );
    // A correction and what it corrected may come again together: then both correct once more.
    let corrected = counters["corrected"]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    let once = usize::try_from(expected.counters.corrected).ok();
    assert!(corrected >= once, "{once:?}: {counters}");
    assert_eq!(counters["dead_letter"], 0, "{counters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_become_rows_and_results_are_retained_there_as_the_api_has_them() {
    for protocol in ["5", "3.1.1"] {
        let mosquitto = Mosquitto::start();
        let mut watcher = Watcher::of(&mosquitto, "sluice/#").await;
        let place = Place::external(&url(&mosquitto), &format!("protocol = \"{protocol}\""));
        let daemon = connected(&place);
        watcher.until("sluice/home/status", "online").await;
        let lines = home(1, 4, 1);
        let mut courier = Courier::new("house", Qos::One, WINDOW, lines.clone());
        let delivered = courier.deliver(mosquitto.address(), usize::MAX).await;
        assert_eq!(delivered, Pause::Done);
        let mut fence = Fence::new(&mosquitto, &[""]).await;
        fence.pass(&mut watcher).await;
        // Others close for want of readings while the fence passes: once more, and that is out too.
        fence.pass(&mut watcher).await;
        assert_all_is_there_once(&daemon, &lines, &fence).await;

        let retained = far::retained(&mosquitto, "sluice/home/#").await;
        let mut expected = BTreeMap::from([("sluice/home/status".to_owned(), "online".into())]);
        for (kind, list, key) in [
            ("day", "days", "sensor"),
            ("diff", "diffs", "sensor"),
            ("rest", "rests", "balance"),
        ] {
            for row in daemon.api.list(list).await {
                if row["closed"] == true {
                    let name = row[key].as_str().expect("a name");
                    // In the order of days: the newest stays.
                    expected.insert(format!("sluice/home/{kind}/{name}"), row);
                }
            }
        }
        // Sensors that went silent while the fence passed are told of there as well.
        let results = retained.into_iter();
        let results = results.filter(|(topic, _)| !topic.starts_with("sluice/home/alert/"));
        assert_eq!(results.collect::<BTreeMap<_, _>>(), expected, "{protocol}");

        let broker = broker(&daemon).await;
        assert_eq!(broker["mode"], "external");
        assert_eq!(
            (&broker["connected"], &broker["last_error"]),
            (&Value::Bool(true), &Value::Null)
        );
        daemon.kill();
        watcher.until("sluice/home/status", "offline").await;
        let daemon = connected(&place);
        watcher.until("sluice/home/status", "online").await;
        daemon.terminate();
        watcher.until("sluice/home/status", "offline").await;
        assert!(daemon.ended().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_that_the_broker_took_and_counts_nothing_twice() {
    for (qos, keys) in [
        (Qos::One, "protocol = \"5\"\nqos = 1"),
        (Qos::Two, "protocol = \"3.1.1\"\nqos = 2"),
    ] {
        let mut dice = Dice::new(11);
        let mosquitto = Mosquitto::start();
        let mut watcher = Watcher::of(&mosquitto, "sluice/#").await;
        let place = Place::external(&url(&mosquitto), keys);
        let lines = home(11, 8, 1);
        let mut courier = Courier::new("house", qos, WINDOW, lines.clone());
        // The session is there from now on.
        connected(&place).kill();
        for _ in 0..kills() {
            let daemon = connected(&place);
            let promises = 1 + dice.below(2 * lines.len() / kills());
            courier.deliver(mosquitto.address(), promises).await;
            daemon.kill();
        }
        let daemon = connected(&place);
        let delivered = courier.deliver(mosquitto.address(), usize::MAX).await;
        assert_eq!(delivered, Pause::Done);
        let mut fence = Fence::new(&mosquitto, &[""]).await;
        fence.pass(&mut watcher).await;
        assert_all_is_there_once(&daemon, &lines, &fence).await;
        eprintln!("{qos:?}: {}", daemon.api.counters().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_the_broker_survives_its_restarts_and_the_daemon_comes_back() {
    let mut mosquitto = Mosquitto::start();
    let place = Place::external(&url(&mosquitto), "");
    let mut daemon = connected(&place);
    let lines = home(12, 6, 1);
    let mut courier = Courier::new("house", Qos::One, WINDOW, lines.clone());
    for _ in 0..3 {
        courier.deliver(mosquitto.address(), lines.len() / 4).await;
        mosquitto.stop();
        courier.hear_last_words().await;
        daemon.says("no connection to mqtt");
        mosquitto.start_again();
        daemon.says(CONNECTED);
    }
    let delivered = courier.deliver(mosquitto.address(), usize::MAX).await;
    assert_eq!(delivered, Pause::Done);
    let mut watcher = Watcher::of(&mosquitto, "sluice/home/day/+").await;
    let mut fence = Fence::new(&mosquitto, &[""]).await;
    fence.pass(&mut watcher).await;
    assert_all_is_there_once(&daemon, &lines, &fence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_the_session_is_found_out() {
    let mut mosquitto = Mosquitto::start();
    let place = Place::external(&url(&mosquitto), "");
    let daemon = connected(&place);
    daemon.terminate();
    assert!(daemon.ended().success());
    mosquitto.stop();
    mosquitto.forget();
    mosquitto.start_again();
    let mut daemon = place.start();
    daemon.says("the far broker has forgotten our session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_a_right_one_read_at_the_next_start() {
    let lines = "allow_anonymous false\npassword_file {dir}/users\n";
    let mosquitto = Mosquitto::prepared(lines, |dir| {
        passwords(&dir.join("users"), "sluice", "right");
    });
    let file = mosquitto.dir().join("password");
    for protocol in ["5", "3.1.1"] {
        std::fs::write(&file, "wrong\n").expect("the directory takes files");
        let keys = format!(
            "username = \"sluice\"\npassword_file = \"{}\"\nprotocol = \"{protocol}\"",
            file.display()
        );
        let place = Place::external(&url(&mosquitto), &keys);
        let mut daemon = place.start();
        daemon.says("refuses the name or the password");
        let broker = broker(&daemon).await;
        assert_eq!(broker["connected"], false);
        let error = broker["last_error"].as_str().unwrap_or_default();
        assert!(error.contains("password_file"), "{broker}");
        daemon.kill();
        std::fs::write(&file, "right\n").expect("the directory takes files");
        connected(&place).kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_whom_the_ca_vouches_for_and_with_nobody_else() {
    let lines = "allow_anonymous true\ncafile {dir}/ca.pem\ncertfile {dir}/broker.pem\n\
                 keyfile {dir}/broker.key\nrequire_certificate true\n";
    let mosquitto = Mosquitto::prepared(lines, |dir| {
        far::certificates(dir, "ca", &["broker", "gateway"]);
        far::certificates(dir, "stranger", &[]);
    });
    let url = format!("mqtts://localhost:{}", mosquitto.address().port());
    let file = |name: &str| mosquitto.dir().join(name).display().to_string();
    let identity = format!(
        "cert_file = \"{}\"\nkey_file = \"{}\"",
        file("gateway.pem"),
        file("gateway.key")
    );
    for protocol in ["5", "3.1.1"] {
        let keys = |ca: &str| {
            format!(
                "{identity}\nprotocol = \"{protocol}\"\nca_file = \"{}\"",
                file(ca)
            )
        };
        connected(&Place::external(&url, &keys("ca.pem"))).kill();

        let mut daemon = Place::external(&url, &keys("stranger.pem")).start();
        daemon.says("TLS failed");
        let error = broker(&daemon).await["last_error"].take();
        let error = error.as_str().unwrap_or_default();
        assert!(error.contains("ca_file"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_keep_each_home_once_and_together_all_of_them() {
    const HOMES: u32 = 8;
    let mosquitto = Mosquitto::start();
    let mut watcher = Watcher::of(&mosquitto, "sluice/+/day/#").await;
    let lines = home(13, 4, HOMES);
    let places = (1..=3).map(|n| Place::external(&url(&mosquitto), &format!("shard = \"{n}/3\"")));
    let places: Vec<Place> = places.collect();
    let gateways: Vec<Daemon> = places.iter().map(connected).collect();
    let mut courier = Courier::new("town", Qos::One, WINDOW, lines.clone());
    let delivered = courier.deliver(mosquitto.address(), usize::MAX).await;
    assert_eq!(delivered, Pause::Done);
    let homes: Vec<String> = (1..=HOMES).map(|n| format!("h{n:04}/")).collect();
    let homes: Vec<&str> = homes.iter().map(String::as_str).collect();
    let mut fence = Fence::new(&mosquitto, &homes).await;
    fence.pass(&mut watcher).await;

    let all = Rows::expected(&expected(&lines, &fence));
    let mut kept = Rows {
        days: Vec::new(),
        diffs: Vec::new(),
        rests: Vec::new(),
        late: Vec::new(),
    };
    let sent = lines.len() + fence.said().count();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for gateway in &gateways {
        let rows = Rows::of(&gateway.api).await;
        let homes = rows.days.iter().map(|row| {
            let sensor = row["sensor"].as_str().expect("a name");
            let (home, _) = sensor.split_once('/').expect("a home");
            home.to_owned()
        });
        let homes: BTreeSet<String> = homes.collect();
        assert!(!homes.is_empty(), "nobody is idle");
        assert!(seen.is_disjoint(&homes), "{homes:?} are kept twice");
        seen.extend(homes);
        let counters = gateway.api.counters().await;
        let count =
            |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("few");
        let elsewhere = count(&broker(gateway).await["elsewhere"]);
        assert_eq!(count(&counters["received"]) + elsewhere, sent, "{counters}");
        assert_eq!(counters["dead_letter"], 0, "{counters}");
        kept.days.extend(rows.days);
        kept.diffs.extend(rows.diffs);
        kept.rests.extend(rows.rests);
    }
    let by = |key: &'static str| move |row: &Value| (row[key].to_string(), row["day"].to_string());
    kept.days.sort_by_key(by("sensor"));
    kept.diffs.sort_by_key(by("sensor"));
    kept.rests.sort_by_key(by("balance"));
    kept.assert_results_equal(&all, "together");
}
