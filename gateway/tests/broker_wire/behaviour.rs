//! What subscribers get.

use crate::raw::{Hello, Raw, STAY, V4, V5, packet, text};
use crate::stand::Stand;
use gateway::broker::Qos;

#[tokio::test]
async fn the_lesser_qos_counts_and_overlapping_subscriptions_deliver_once() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "s", V4).await;
    subscriber.subscribe("a/#", 0).await;
    subscriber.subscribe("a/+", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for (flags, qos) in [(0, 0), (2, 1), (4, 1)] {
        publisher.publish("a/b", "x", flags, 1).await;
        let got = subscriber.got().await;
        assert_eq!((got.qos, got.retain), (qos, false));
    }
    subscriber.quiet().await;
}

#[tokio::test]
async fn a_taken_over_connection_is_told_and_its_session_goes_on() {
    let stand = Stand::new().await;
    let stay = Hello {
        properties: &[0x11, 0, 0, 0, 60],
        stay: true,
        ..V5
    };
    let mut old = Raw::client(stand.address, "c", stay).await;
    old.subscribe("t", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    publisher.publish_acked("t", "x", false).await;
    let first = old.got().await;
    let (mut new, present, _) = Raw::hello(stand.address, "c", stay).await;
    assert!(present);
    assert_eq!(old.closed().await, Some(0x8E));
    let again = new.got().await;
    assert_eq!(
        (again.payload.as_str(), again.dup, again.id),
        ("x", true, first.id)
    );
}

#[tokio::test]
async fn a_will_is_published_at_death_and_not_at_goodbye() {
    let stand = Stand::new().await;
    let mut watcher = Raw::client(stand.address, "w", V4).await;
    watcher.subscribe("will/#", 1).await;
    let mut polite = Raw::client(
        stand.address,
        "a",
        Hello {
            will: Some(("will/a", "a")),
            ..V4
        },
    )
    .await;
    polite.send(&[0xE0, 0]).await;
    polite.closed().await;
    drop(
        Raw::client(
            stand.address,
            "b",
            Hello {
                will: Some(("will/b", "b")),
                ..V4
            },
        )
        .await,
    );
    assert_eq!(watcher.payload().await, "b");
    watcher.quiet().await;
}

#[tokio::test]
async fn the_gateways_own_topics_are_closed_to_clients_but_for_alert_acknowledgements() {
    let stand = Stand::new().await;
    let mut own = stand.broker.subscribe_internal("sluice/#").unwrap();
    let mut v5 = Raw::client(stand.address, "five", V5).await;
    v5.publish("sluice/home/status", "offline", 2, 1).await;
    let (first, body) = v5.recv().await;
    assert_eq!((first, &body[..3]), (0x40, &[0, 1, 0x87][..]));
    let mut v4 = Raw::client(stand.address, "four", V4).await;
    v4.publish("homeassistant/x", "x", 2, 1).await;
    assert_eq!(v4.recv().await, (0x40, vec![0, 1]));
    v4.publish_acked("sluice/home/alert/7/ack", "ok", false)
        .await;
    assert_eq!(stand.published(), ["ok"]);
    assert_eq!(own.recv().await.payload(), b"ok");
    let denied = Raw::hello(
        stand.address,
        "w",
        Hello {
            will: Some(("sluice/home/status", "x")),
            ..V5
        },
    )
    .await;
    assert_eq!(denied.2, 0x87);
}

#[tokio::test]
async fn the_gateways_messages_reach_clients_and_are_retained() {
    let stand = Stand::new().await;
    stand
        .broker
        .publish_internal("sluice/home/status", b"online", Qos::AtLeastOnce, true)
        .await
        .unwrap();
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.publish_acked("fence", "x", false).await;
    client.subscribe("sluice/home/#", 1).await;
    let got = client.got().await;
    assert_eq!((got.payload.as_str(), got.retain), ("online", true));
}

#[tokio::test]
async fn no_local_retain_as_published_and_identifiers() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    client.subscribe("mine", 0b0100).await;
    client.publish_acked("mine", "x", false).await;
    client.quiet().await;
    for (identifier, filter, options) in [(5, "r/+", 0b1001), (6, "r/#", 0)] {
        let mut body = vec![0, 3, 2, 0x0B, identifier];
        body.extend(text(filter));
        body.push(options);
        client.send(&packet(0x82, &body)).await;
        assert_eq!(client.recv().await.0, 0x90);
    }
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    publisher.publish_acked("r/x", "x", true).await;
    let got = client.got().await;
    assert!(got.retain);
    let mut identifiers: Vec<u8> = got
        .properties
        .chunks(2)
        .map(|property| property[1])
        .collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [5, 6]);
}

#[tokio::test]
async fn retain_handling_decides_what_a_subscription_is_answered_with() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    client.publish_acked("r", "kept", true).await;
    client.subscribe("r", 2 << 4).await;
    client.quiet().await;
    client.subscribe("r", 1 << 4).await;
    client.quiet().await;
    client.subscribe("r", 0).await;
    assert!(client.got().await.retain);
    let mut fresh = Raw::client(stand.address, "d", V5).await;
    fresh.subscribe("r", 1 << 4).await;
    assert!(fresh.got().await.retain);
}

#[tokio::test]
async fn the_clients_receive_maximum_is_kept_to() {
    let stand = Stand::new().await;
    let mut client = Raw::client(
        stand.address,
        "c",
        Hello {
            properties: &[0x21, 0, 2],
            ..V5
        },
    )
    .await;
    client.subscribe("t", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for payload in ["1", "2", "3"] {
        publisher.publish_acked("t", payload, false).await;
    }
    let first = client.got().await;
    assert_eq!(client.got().await.payload, "2");
    client.quiet().await;
    client.ack(0x40, first.id).await;
    assert_eq!(client.got().await.payload, "3");
}

#[tokio::test]
async fn a_packet_larger_than_the_client_takes_is_left_out() {
    let stand = Stand::new().await;
    let mut client = Raw::client(
        stand.address,
        "c",
        Hello {
            properties: &[0x27, 0, 0, 0, 40],
            ..V5
        },
    )
    .await;
    client.subscribe("t", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    publisher.publish_acked("t", &"x".repeat(100), false).await;
    publisher.publish_acked("t", "small", false).await;
    assert_eq!(client.payload().await, "small");
}

#[tokio::test]
async fn an_alias_stands_for_its_topic() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    let alias = |topic: &str, payload: &str| {
        let mut body = text(topic);
        body.extend([0, 1, 3, 0x23, 0, 16]);
        body.extend(payload.bytes());
        packet(0x32, &body)
    };
    client
        .send(&[alias("a/b", "1"), alias("", "2")].concat())
        .await;
    client.recv().await;
    client.recv().await;
    assert_eq!(
        stand.store(|store| store
            .published
            .iter()
            .map(|(topic, _)| topic.clone())
            .collect::<Vec<_>>()),
        ["a/b"; 2]
    );
}

#[tokio::test]
async fn a_share_group_gets_each_message_once() {
    let stand = Stand::new().await;
    let mut one = Raw::client(stand.address, "1", V5).await;
    let mut two = Raw::client(stand.address, "2", V4).await;
    one.subscribe("$share/g/t", 0).await;
    two.subscribe("$share/g/t", 0).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for payload in ["a", "b", "c", "d"] {
        publisher.publish_acked("t", payload, false).await;
    }
    let mut got = vec![
        one.payload().await,
        one.payload().await,
        two.payload().await,
        two.payload().await,
    ];
    got.sort();
    assert_eq!(got, ["a", "b", "c", "d"]);
    one.quiet().await;
    two.quiet().await;
}

#[tokio::test]
async fn a_silent_client_is_dropped_after_one_and_a_half_keep_alives_and_one_without_is_not() {
    let stand = Stand::new().await;
    let mut silent = Raw::client(
        stand.address,
        "s",
        Hello {
            keep_alive_s: 1,
            ..V5
        },
    )
    .await;
    let mut patient = Raw::client(stand.address, "p", V5).await;
    let start = tokio::time::Instant::now();
    assert_eq!(silent.closed().await, Some(0x8D));
    let after = start.elapsed();
    assert!(after >= std::time::Duration::from_millis(1400), "{after:?}");
    patient.quiet().await;
}

#[tokio::test]
async fn unsubscribing_ends_delivery() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    client.subscribe("t", 1).await;
    let mut body = vec![0, 4, 0];
    body.extend(text("t"));
    body.extend(text("u"));
    client.send(&packet(0xA2, &body)).await;
    assert_eq!(client.recv().await, (0xB0, vec![0, 4, 0, 0, 0x11]));
    client.publish_acked("t", "x", false).await;
    client.quiet().await;
}

#[tokio::test]
async fn version_3_1_is_refused_as_it_understands_it() {
    let stand = Stand::new().await;
    let mut raw = Raw::open(stand.address, false).await;
    let mut body = text("MQIsdp");
    body.extend([3, 2, 0, 0]);
    body.extend(text("old"));
    raw.send(&packet(0x10, &body)).await;
    assert_eq!(raw.recv().await, (0x20, vec![0, 1]));
    raw.closed().await;
}

#[tokio::test]
async fn a_session_that_stays_needs_a_client_id() {
    let stand = Stand::new().await;
    assert_eq!(Raw::hello(stand.address, "", STAY).await.2, 2);
    assert_eq!(Raw::hello(stand.address, "", V4).await.2, 0);
}
