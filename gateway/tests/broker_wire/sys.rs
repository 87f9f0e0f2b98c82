//! `$SYS/broker/…` as a client sees it.

use crate::raw::{Raw, STAY, V4, packet, text};
use crate::stand::Stand;
use gateway::broker::BrokerConfig;
use std::collections::BTreeMap;
use std::time::Duration;

async fn stand() -> Stand {
    let config = BrokerConfig {
        sys_interval: Some(Duration::from_millis(5)),
        ..BrokerConfig::open("home")
    };
    Stand::with(config).await
}

/// Reads until every name has been said with its value.
async fn says(client: &mut Raw, expected: &[(&str, &str)]) {
    let mut said = BTreeMap::new();
    while !expected.iter().all(|(name, value)| {
        said.get(&format!("$SYS/broker/{name}"))
            .is_some_and(|is| is == value)
    }) {
        let got = client.got().await;
        said.insert(got.topic, got.payload);
    }
}

#[tokio::test]
async fn the_broker_says_how_it_is_under_the_names_of_mosquitto() {
    let stand = stand().await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for payload in ["12", "345"] {
        publisher.publish_acked("kept", payload, true).await;
    }
    let mut absent = Raw::client(stand.address, "absent", STAY).await;
    absent.subscribe("$share/g/t", 1).await;
    absent.send(&[0xE0, 0]).await;
    absent.closed().await;
    publisher.publish_acked("t", "", false).await;
    let mut watcher = Raw::client(stand.address, "w", V4).await;
    watcher.subscribe("$SYS/broker/#", 0).await;
    let version = concat!("sluice version ", env!("CARGO_PKG_VERSION"));
    says(
        &mut watcher,
        &[
            ("version", version),
            ("clients/total", "3"),
            ("clients/connected", "2"),
            ("clients/disconnected", "1"),
            ("clients/maximum", "3"),
            ("publish/messages/received", "3"),
            ("publish/bytes/received", "5"),
            ("subscriptions/count", "1"),
            ("shared_subscriptions/count", "1"),
            ("publish/messages/dropped", "0"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_it_says_is_retained_and_never_written_not_even_for_persistent_sessions() {
    let stand = stand().await;
    // Once one has seen it, it is retained.
    let mut first = Raw::client(stand.address, "first", V4).await;
    first.subscribe("$SYS/broker/uptime", 0).await;
    first.got().await;
    let mut watcher = Raw::client(stand.address, "w", STAY).await;
    let filters = [text("$SYS/broker/version"), text("$SYS/broker/bytes/sent")];
    let [version, bytes] = filters;
    let body = [&[0, 9][..], &version, &[2], &bytes, &[0]].concat();
    watcher.send(&packet(0x82, &body)).await;
    let mut came = Vec::new();
    // The answer waits for the commit of the subscription, the message does not.
    while !(came.contains(&0x90) && came.contains(&0x31)) {
        came.push(watcher.recv().await.0);
    }
    let before = stand.submissions();
    // Each word about bytes sent is sent itself, so there is always one more.
    for _ in 0..20 {
        watcher.got().await;
    }
    assert_eq!(
        stand.submissions(),
        before,
        "the writer has heard nothing of it"
    );
    assert!(stand.store(|store| store.retained.is_empty() && store.queued.is_empty()));
}

#[tokio::test]
async fn wildcards_at_the_front_and_publishers_have_no_part_in_it() {
    let stand = stand().await;
    let mut everything = Raw::client(stand.address, "e", V4).await;
    everything.subscribe("#", 1).await;
    everything.subscribe("+/broker/uptime", 1).await;
    let mut watcher = Raw::client(stand.address, "w", V4).await;
    watcher.subscribe("$SYS/broker/uptime", 0).await;
    watcher.got().await;
    watcher
        .publish_acked("$SYS/broker/uptime", "forged", true)
        .await;
    watcher.publish_acked("t", "x", false).await;
    assert_eq!(everything.got().await.topic, "t");
}
