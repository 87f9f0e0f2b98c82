//! Packets that kill others' brokers cost their sender at most its connection, and nobody else anything.

use crate::raw::{Hello, Raw, STAY, V4, V5, connect, packet, text};
use crate::stand::{Disk, Stand};
use gateway::broker::{BrokerConfig, Limits};

/// The broker still serves: a message gets through.
async fn well(stand: &Stand) {
    let mut subscriber = Raw::client(stand.address, "well-s", V4).await;
    subscriber.subscribe("well", 1).await;
    let mut publisher = Raw::client(stand.address, "well-p", V5).await;
    publisher.publish_acked("well", "yes", false).await;
    assert_eq!(subscriber.payload().await, "yes");
}

#[tokio::test]
async fn topics_whose_first_character_is_not_ascii() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.subscribe("Öl/#", 1).await;
    client.publish("Öl/x", "öl", 1, 0).await;
    assert_eq!(client.payload().await, "öl");
    well(&stand).await;
}

#[tokio::test]
async fn a_share_on_a_persistent_session_with_an_unacknowledged_message() {
    let stand = Stand::new().await;
    let mut member = Raw::client(stand.address, "m", STAY).await;
    member.subscribe("$share/g/t", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    publisher.publish_acked("t", "x", false).await;
    assert_eq!(member.got().await.payload, "x");
    drop(member);
    publisher.publish_acked("t", "y", false).await;
    let mut member = Raw::client(stand.address, "m", STAY).await;
    assert!(member.got().await.dup);
    assert_eq!(member.got().await.payload, "y");
    well(&stand).await;
}

#[tokio::test]
async fn a_qos_0_subscriber_of_a_busy_topic_that_disconnects() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "s", V4).await;
    subscriber.subscribe("busy", 0).await;
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    let burst: Vec<u8> = (1..200)
        .flat_map(|id| publisher.publish_bytes("busy", "x", 2, id))
        .collect();
    publisher.send(&burst).await;
    subscriber.got().await;
    drop(subscriber);
    publisher.send(&burst).await;
    for _ in 0..2 * 199 {
        assert_eq!(publisher.recv().await.0, 0x40);
    }
    well(&stand).await;
}

#[tokio::test]
async fn acknowledgements_that_nobody_asked_for() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.subscribe("t", 0).await;
    client.ack(0x40, 7).await;
    client.ack(0x70, 8).await;
    client.ack(0x50, 9).await;
    assert_eq!(client.recv().await, (0x62, vec![0, 9]));
    client.ack(0x62, 10).await;
    assert_eq!(client.recv().await, (0x70, vec![0, 10]));
    client.quiet().await;
    well(&stand).await;
}

#[tokio::test]
async fn client_ids_of_any_characters_that_connect_twice() {
    let stand = Stand::new().await;
    for id in ["+", "a/#", "$SYS", "🚰", " "] {
        let mut first = Raw::client(stand.address, id, V4).await;
        let mut second = Raw::client(stand.address, id, V4).await;
        first.closed().await;
        second.quiet().await;
    }
    well(&stand).await;
}

#[tokio::test]
async fn more_connections_than_allowed_and_a_retry() {
    let config = BrokerConfig {
        limits: Limits {
            max_connections: 2,
            ..Limits::default()
        },
        ..BrokerConfig::open("home")
    };
    let stand = Stand::with(config).await;
    let mut first = Raw::client(stand.address, "1", V5).await;
    let second = Raw::client(stand.address, "2", V4).await;
    let mut third = Raw::open(stand.address, false).await;
    assert_eq!(third.closed().await, None);
    first.send(&[0xE0, 0]).await;
    first.closed().await;
    drop(second);
    // Their places are free as soon as their tasks have ended, which only the broker sees.
    while gateway::broker::Stats::read(&stand.broker.stats().connections) > 0 {
        tokio::task::yield_now().await;
    }
    well(&stand).await;
}

#[tokio::test]
async fn mqtt_5_properties_do_not_reach_a_3_1_1_subscriber() {
    let stand = Stand::new().await;
    let mut old = Raw::client(stand.address, "old", V4).await;
    old.subscribe("t", 1).await;
    let mut new = Raw::client(stand.address, "new", V5).await;
    let mut body = text("t");
    body.extend([0, 1, 9, 0x26, 0, 1, b'a', 0, 1, b'b', 1, 1]);
    body.extend(b"x");
    new.send(&packet(0x32, &body)).await;
    assert_eq!(old.got().await.payload, "x");
    well(&stand).await;
}

#[tokio::test]
async fn packets_that_only_a_broker_sends_and_malformed_ones() {
    let stand = Stand::new().await;
    let bad: [&[u8]; 18] = [
        &[0x20, 2, 0, 0],
        &[0xB0, 2, 0, 1],
        &[0xB0, 3, 0, 1, 0],
        &[0x90, 3, 0, 1, 0],
        &[0xD0, 0],
        &[0xF0, 0],
        &[0x00, 0],
        &[0x36, 5, 0, 1, b'a', 0, 1],
        &[0x32, 3, 0, 1, b'a'],
        &[0x32, 5, 0, 1, b'a', 0, 0],
        &[0x30, 3, 0, 9, b'a'],
        &[0x30, 3, 0, 1, b'#'],
        &[0x30, 4, 0, 2, 0xC3, 0x28],
        &[0x82, 2, 0, 1],
        &[0x80, 6, 0, 1, 0, 1, b'a', 0],
        &[0x60, 2, 0, 1],
        &[0x40, 1, 0],
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    ];
    for hello in [V4, V5] {
        for bytes in bad {
            let mut client = Raw::client(stand.address, "bad", hello).await;
            client.send(bytes).await;
            let reason = client.closed().await;
            assert_eq!(
                reason.is_some_and(|reason| reason >= 0x80),
                hello.v5,
                "{bytes:x?}"
            );
        }
    }
    well(&stand).await;
}

#[tokio::test]
async fn an_oversized_packet_costs_its_sender_the_connection() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    client.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    assert_eq!(client.closed().await, Some(0x95));
    well(&stand).await;
}

#[tokio::test]
async fn first_packets_that_are_no_connect() {
    let stand = Stand::new().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xC0, 0],
        &[0x10, 0],
        &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ] {
        let mut client = Raw::open(stand.address, false).await;
        client.send(bytes).await;
        if bytes != [0x10, 0] {
            client.closed().await;
        }
    }
    let mut twice = Raw::client(stand.address, "c", V5).await;
    twice.send(&connect("c", V5)).await;
    assert_eq!(twice.closed().await, Some(0x82));
    well(&stand).await;
}

#[tokio::test]
async fn a_publisher_that_never_releases_is_sent_away_at_the_last_id() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    let last = 1024;
    for id in 1..=last {
        client.publish("t", "x", 4, id).await;
        assert_eq!(client.recv().await, (0x50, id.to_be_bytes().to_vec()));
    }
    client.publish("t", "x", 4, last + 1).await;
    assert_eq!(client.closed().await, Some(0x93));
    well(&stand).await;
}

/// Of version 5, with a session that stays for a minute.
const V5_STAYS: Hello<'static> = Hello {
    stay: true,
    properties: &[0x11, 0, 0, 0, 60],
    ..V5
};

#[tokio::test]
async fn a_publisher_that_sends_all_again_beyond_the_receive_maximum_gets_on() {
    let stand = Stand::new().await;
    stand.disk(Disk::Holds);
    let mut client = Raw::client(stand.address, "c", V5_STAYS).await;
    let burst = |client: &Raw, dup: u8| -> Vec<u8> {
        let qos_1 = (1..=2000).map(|id| (2, id));
        let qos_2 = (2001..=3000).map(|id| (4, id));
        let all = qos_1.chain(qos_2);
        all.flat_map(|(flags, id)| client.publish_bytes("t", "x", flags | dup, id))
            .collect()
    };
    client.send(&burst(&client, 0)).await;
    drop(client);
    stand.disk(Disk::Commits);
    let (mut client, present, _) = Raw::hello(stand.address, "c", V5_STAYS).await;
    assert!(present);
    client.send(&burst(&client, 8)).await;
    for id in 1..=2000_u16 {
        assert_eq!(client.recv().await, (0x40, id.to_be_bytes().to_vec()));
    }
    for id in 2001..=3000_u16 {
        assert_eq!(client.recv().await, (0x50, id.to_be_bytes().to_vec()));
        client.ack(0x62, id).await;
    }
    for id in 2001..=3000_u16 {
        assert_eq!(client.recv().await, (0x70, id.to_be_bytes().to_vec()));
    }
}

#[tokio::test]
async fn a_writer_that_stands_still_stops_the_socket_and_not_the_memory() {
    for hello in [V4, V5] {
        let stand = Stand::new().await;
        let mut client = Raw::client(stand.address, "c", hello).await;
        stand.disk(Disk::Holds);
        let ids = 1..=5000;
        let burst: Vec<u8> = ids
            .clone()
            .flat_map(|id| client.publish_bytes("t", "x", 2, id))
            .collect();
        client.send(&burst).await;
        stand.writer_holds().await;
        stand.disk(Disk::Commits);
        for id in ids {
            assert_eq!(client.recv().await, (0x40, id.to_be_bytes().to_vec()));
        }
        assert_eq!(stand.published().len(), 5000);
    }
}
