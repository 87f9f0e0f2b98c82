//! What a session keeps over a restart: handshakes where they were, and deadlines as they were.

use crate::raw::{Hello, Raw, STAY, V4, V5, packet, text};
use crate::stand::{Disk, Stand};
use gateway::broker::{BrokerConfig, Limits, Stats};
use gateway::clock::{Clock, ManualClock};

const WALL_MS: i64 = 1_800_000_000_000;
const SECOND_MS: u32 = 1000;

/// A session that expires after 100 seconds.
const STAY_100S: Hello<'static> = Hello {
    properties: &[0x11, 0, 0, 0, 100],
    stay: true,
    ..V5
};

/// A broker whose wall clock the test moves.
async fn stand_in_time() -> (Stand, ManualClock) {
    let (clock, hand) = Clock::manual(WALL_MS);
    let config = BrokerConfig {
        clock,
        ..BrokerConfig::open("home")
    };
    (Stand::with(config).await, hand)
}

#[tokio::test]
async fn a_pubrel_of_a_persistent_session_follows_the_commit_and_survives_a_restart() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "s", STAY).await;
    subscriber.subscribe("t", 2).await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    for (payload, id) in [("received", 1), ("not yet", 2)] {
        publisher.publish("t", payload, 4, id).await;
        publisher.recv().await;
    }
    let first = subscriber.got().await;
    let second = subscriber.got().await;
    stand.disk(Disk::Holds);
    subscriber.ack(0x50, first.id).await;
    stand.writer_holds().await;
    subscriber.quiet().await;
    stand.disk(Disk::Commits);
    assert_eq!(subscriber.recv().await, (0x62, vec![0, 1]));

    // As after kill -9: nothing of it was said to the broker.
    let stand = stand.restarted().await;
    drop(subscriber);
    let (mut subscriber, present, _) = Raw::hello(stand.address, "s", STAY).await;
    assert!(present);
    assert_eq!(subscriber.recv().await, (0x62, vec![0, 1]));
    let again = subscriber.got().await;
    assert_eq!(
        (again.payload.as_str(), again.id, again.dup),
        ("not yet", second.id, true)
    );
    subscriber.ack(0x70, first.id).await;
    subscriber.ack(0x50, again.id).await;
    assert_eq!(subscriber.recv().await, (0x62, vec![0, 2]));
    subscriber.ack(0x70, again.id).await;
    stand.stored(|store| store.queued.is_empty()).await;
}

#[tokio::test]
async fn what_was_never_sent_comes_without_dup_after_a_restart() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "s", STAY).await;
    subscriber.subscribe("t", 1).await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    publisher.publish_acked("t", "sent", false).await;
    subscriber.got().await;
    stand.loses("s", subscriber).await;
    publisher.publish_acked("t", "never sent", false).await;
    let stand = stand.restarted().await;
    let mut subscriber = Raw::client(stand.address, "s", STAY).await;
    for (payload, dup, id) in [("sent", true, 1), ("never sent", false, 2)] {
        let got = subscriber.got().await;
        assert_eq!((got.payload.as_str(), got.dup, got.id), (payload, dup, id));
    }
}

#[tokio::test]
async fn what_a_subscription_finds_retained_is_on_disk_before_its_suback() {
    let stand = Stand::new().await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    publisher.publish_acked("r/a", "a", true).await;
    publisher.publish_acked("r/b", "b", true).await;
    let mut subscriber = Raw::client(stand.address, "s", STAY).await;
    subscriber.quiet().await;
    stand.disk(Disk::Holds);
    subscriber.send_subscribe("r/#", 1).await;
    stand.writer_holds().await;
    subscriber.quiet().await;
    stand.disk(Disk::Commits);
    assert_eq!(subscriber.recv().await, (0x90, vec![0, 9, 1]));

    let stand = stand.restarted().await;
    drop(subscriber);
    let mut subscriber = Raw::client(stand.address, "s", STAY).await;
    for payload in ["a", "b"] {
        let got = subscriber.got().await;
        assert_eq!((got.payload.as_str(), got.retain), (payload, true));
    }
}

#[tokio::test]
async fn a_messages_expiry_goes_on_while_the_daemon_is_down() {
    let (stand, hand) = stand_in_time().await;
    let mut subscriber = Raw::client(stand.address, "s", STAY_100S).await;
    subscriber.subscribe("t", 1).await;
    stand.loses("s", subscriber).await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    for (payload, expiry_s, retain) in [("short", 30, 0), ("long", 60, 0), ("kept", 30, 1)] {
        let mut body = text(if retain == 1 { "r" } else { "t" });
        body.extend([0, 7, 5, 0x02, 0, 0, 0, expiry_s]);
        body.extend(payload.bytes());
        publisher.send(&packet(0x32 | retain, &body)).await;
        assert_eq!(publisher.recv().await.0, 0x40);
    }
    hand.advance(20 * SECOND_MS);
    let stand = stand.restarted().await;
    hand.advance(20 * SECOND_MS);
    let stand = stand.restarted().await;
    let mut subscriber = Raw::client(stand.address, "s", STAY_100S).await;
    let got = subscriber.got().await;
    assert_eq!(got.payload, "long");
    // Forty seconds have passed; the test itself took the next one at most.
    let [0x02, 0, 0, 0, left_s] = got.properties[..] else {
        panic!("no expiry: {:?}", got.properties)
    };
    assert!((10..=20).contains(&left_s), "{left_s} s are left");
    subscriber.subscribe("r", 1).await;
    subscriber.quiet().await;
}

#[tokio::test]
async fn a_sessions_expiry_goes_on_while_the_daemon_is_down() {
    for (down_s, stays) in [(90, true), (101, false)] {
        let (stand, hand) = stand_in_time().await;
        let mut client = Raw::client(stand.address, "s", STAY_100S).await;
        client.subscribe("t", 1).await;
        stand.loses("s", client).await;
        hand.advance(down_s * SECOND_MS);
        let stand = stand.restarted().await;
        let (_, present, _) = Raw::hello(stand.address, "s", STAY_100S).await;
        assert_eq!(present, stays, "after {down_s} s");
    }
}

#[tokio::test]
async fn a_clock_that_is_not_set_takes_nothing_off() {
    let (stand, hand) = stand_in_time().await;
    let client = Raw::client(stand.address, "s", STAY_100S).await;
    stand.loses("s", client).await;
    hand.set_wall(0);
    let stand = stand.restarted().await;
    let (_, present, _) = Raw::hello(stand.address, "s", STAY_100S).await;
    assert!(present);
}

/// A will that waits for 30 seconds.
const MOURNED: Hello<'static> = Hello {
    will: Some(("w", "gone")),
    will_properties: &[0x18, 0, 0, 0, 30],
    ..STAY_100S
};

#[tokio::test]
async fn a_will_that_waits_is_published_though_the_daemon_was_down_when_it_was_due() {
    let (stand, hand) = stand_in_time().await;
    let client = Raw::client(stand.address, "s", MOURNED).await;
    stand.loses("s", client).await;
    hand.advance(31 * SECOND_MS);
    let stand = stand.restarted().await;
    stand.stored(|store| store.published.len() == 1).await;
    assert_eq!(stand.published(), ["gone"]);
    // It is said once: its row knows.
    let stand = stand.restarted().await;
    let (_, present, _) = Raw::hello(stand.address, "s", STAY_100S).await;
    assert!(present);
    assert_eq!(stand.published(), ["gone"]);
}

#[tokio::test]
async fn a_client_that_returns_in_time_after_a_restart_voids_its_will() {
    let (stand, hand) = stand_in_time().await;
    let client = Raw::client(stand.address, "s", MOURNED).await;
    stand.loses("s", client).await;
    hand.advance(29 * SECOND_MS);
    let stand = stand.restarted().await;
    let back = Raw::client(stand.address, "s", STAY_100S).await;
    stand.loses("s", back).await;
    // When the session is over, so is everything that it still had to say.
    hand.advance(101 * SECOND_MS);
    let stand = stand.restarted().await;
    stand.stored(|store| store.sessions.is_empty()).await;
    assert!(stand.published().is_empty());
}

#[tokio::test]
async fn a_session_that_goes_on_without_expiry_leaves_nothing_behind() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "s", STAY_100S).await;
    client.subscribe("t", 1).await;
    stand.loses("s", client).await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    publisher.publish_acked("t", "x", false).await;
    let ends = Hello { stay: true, ..V5 };
    let (mut client, present, _) = Raw::hello(stand.address, "s", ends).await;
    assert!(present);
    assert_eq!(client.payload().await, "x");
    stand
        .stored(|store| store.sessions.is_empty() && store.queued.is_empty())
        .await;
    // kill -9 closes the connection, too.
    let stand = stand.restarted().await;
    let (_, present, _) = Raw::hello(stand.address, "s", STAY_100S).await;
    assert!(!present);
}

#[tokio::test]
async fn a_flood_of_persistent_sessions_shuts_nobody_out_and_leaves_few_rows() {
    let config = BrokerConfig {
        limits: Limits {
            max_sessions: 5,
            max_connections: 4,
            ..Limits::default()
        },
        ..BrokerConfig::open("home")
    };
    let stand = Stand::with(config).await;
    for number in 0..50 {
        let id = format!("flood-{number}");
        let mut client = Raw::client(stand.address, &id, STAY).await;
        client.subscribe("t", 1).await;
        client.send(&[0xE0, 0]).await;
        client.closed().await;
        // Its place among the connections is free once its task has ended.
        while Stats::read(&stand.broker.stats().connections) > 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut clean = Raw::client(stand.address, "clean", V4).await;
    clean.publish_acked("t", "x", false).await;
    stand.stored(|store| store.sessions.len() == 5).await;
    assert_eq!(Stats::read(&stand.broker.stats().sessions_evicted), 45);
    stand.stored(|store| store.queued.len() == 5).await;
    // Whoever came last stays.
    for number in 45..50 {
        let (mut client, present, _) =
            Raw::hello(stand.address, &format!("flood-{number}"), STAY).await;
        assert!(present);
        assert_eq!(client.payload().await, "x");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_left_alone_until_their_client_begins_anew() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "s", STAY).await;
    client.subscribe("t", 1).await;
    stand.loses("s", client).await;
    let mut publisher = Raw::client(stand.address, "p", V5).await;
    publisher.publish_acked("t", "x", false).await;
    stand.edit(|store| {
        store.sessions.insert("s".to_owned(), vec![99]);
        store.retained.insert("r".to_owned(), vec![99]);
    });
    let stand = stand.restarted().await;
    let rows = stand.store(|store| (store.sessions.len(), store.queued.len()));
    assert_eq!(rows, (1, 1));
    let (mut client, present, _) = Raw::hello(stand.address, "s", STAY).await;
    assert!(!present);
    client.subscribe("#", 1).await;
    client.quiet().await;
    assert_eq!(stand.store(|store| store.queued.len()), 0);
}
