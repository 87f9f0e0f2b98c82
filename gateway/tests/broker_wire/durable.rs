//! An acknowledgement means "on disk".

use crate::raw::{Hello, Raw, STAY, V4, V5};
use crate::stand::{Disk, Stand};
use gateway::broker::Qos;

#[tokio::test]
async fn a_puback_follows_the_commit_and_a_ping_does_not_wait_for_it() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    stand.disk(Disk::Holds);
    client.publish("t", "one", 2, 1).await;
    client.publish("t", "two", 4, 2).await;
    client.publish("t", "three", 2, 3).await;
    stand.writer_holds().await;
    client.quiet().await;
    stand.disk(Disk::Commits);
    assert_eq!(client.recv().await, (0x40, vec![0, 1]));
    assert_eq!(client.recv().await, (0x50, vec![0, 2]));
    assert_eq!(client.recv().await, (0x40, vec![0, 3]));
    assert_eq!(stand.published(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_failed_commit_closes_the_connection_unacknowledged() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    let mut other = Raw::client(stand.address, "other", V4).await;
    stand.disk(Disk::Holds);
    client.publish("t", "lost", 2, 1).await;
    stand.writer_holds().await;
    stand.disk(Disk::Fails);
    assert_eq!(client.closed().await, Some(0x80));
    stand.disk(Disk::Commits);
    other.publish_acked("t", "kept", false).await;
    assert_eq!(stand.published(), ["kept"]);
}

#[tokio::test]
async fn a_qos_2_message_arrives_once_however_often_it_is_sent() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", STAY).await;
    client.publish("t", "once", 4, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    client.publish("t", "once", 4 | 8, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    drop(client);
    let stand = stand.restarted().await;
    let (mut client, present, _) = Raw::hello(stand.address, "c", STAY).await;
    assert!(present, "the session survives a restart");
    client.publish("t", "once", 4 | 8, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    client.ack(0x62, 5).await;
    assert_eq!(client.recv().await, (0x70, vec![0, 5]));
    client.publish("t", "again", 4, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    assert_eq!(stand.published(), ["once", "again"]);
}

#[tokio::test]
async fn a_pubcomp_of_a_persistent_session_follows_the_commit() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", STAY).await;
    client.publish("t", "x", 4, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    stand.disk(Disk::Holds);
    client.ack(0x62, 5).await;
    stand.writer_holds().await;
    client.quiet().await;
    stand.disk(Disk::Commits);
    assert_eq!(client.recv().await, (0x70, vec![0, 5]));
}

#[tokio::test]
async fn a_qos_2_message_whose_commit_failed_is_new_when_it_comes_again() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", STAY).await;
    client.quiet().await;
    stand.disk(Disk::Holds);
    client.publish("t", "x", 4, 5).await;
    stand.writer_holds().await;
    stand.disk(Disk::Fails);
    client.closed().await;
    stand.disk(Disk::Commits);
    let mut client = Raw::client(stand.address, "c", STAY).await;
    client.publish("t", "x", 4 | 8, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    assert_eq!(stand.published(), ["x"]);
}

#[tokio::test]
async fn retained_messages_survive_a_restart_and_an_empty_one_clears() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.publish_acked("r/a", "old", true).await;
    client.publish_acked("r/a", "new", true).await;
    client.publish_acked("r/b", "gone", true).await;
    client.publish_acked("r/b", "", true).await;
    client.publish_acked("r/a", "", false).await;
    let stand = stand.restarted().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.subscribe("r/#", 1).await;
    let got = client.got().await;
    assert_eq!(
        (
            got.topic.as_str(),
            got.payload.as_str(),
            got.qos,
            got.retain
        ),
        ("r/a", "new", 1, true)
    );
    client.quiet().await;
}

#[tokio::test]
async fn what_waits_for_an_absent_subscriber_survives_a_restart_in_order() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "away", STAY).await;
    assert_eq!(subscriber.subscribe("q/#", 1).await, 1);
    drop(subscriber);
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for number in 0..300 {
        publisher
            .publish_acked("q/x", &number.to_string(), false)
            .await;
    }
    publisher.publish("q/x", "not kept at QoS 0", 0, 0).await;
    publisher.quiet().await;
    let stand = stand.restarted().await;
    let (mut subscriber, present, _) = Raw::hello(stand.address, "away", STAY).await;
    assert!(present);
    for number in 0..300 {
        assert_eq!(subscriber.payload().await, number.to_string());
    }
    // A commit after the last acknowledgement carries its row away.
    subscriber.publish_acked("other", "x", false).await;
    assert_eq!(stand.store(|store| store.queued.len()), 0);
}

#[tokio::test]
async fn a_clean_start_ends_the_session_and_its_rows() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", STAY).await;
    client.subscribe("q", 1).await;
    drop(client);
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    publisher.publish_acked("q", "x", false).await;
    assert_eq!(
        stand.store(|store| (store.sessions.len(), store.queued.len())),
        (1, 1)
    );
    let (mut client, present, _) = Raw::hello(stand.address, "c", V4).await;
    assert!(!present);
    client.publish_acked("other", "x", false).await;
    assert_eq!(
        stand.store(|store| (store.sessions.len(), store.queued.len())),
        (0, 0)
    );
}

#[tokio::test]
async fn shutdown_acknowledges_what_was_read_and_says_goodbye() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V5).await;
    let mut idle = Raw::client(
        stand.address,
        "idle",
        Hello {
            will: Some(("w", "will")),
            ..V4
        },
    )
    .await;
    stand.disk(Disk::Holds);
    client.publish("t", "x", 2, 1).await;
    stand.writer_holds().await;
    let broker = stand.broker.clone();
    let stopping =
        tokio::spawn(async move { broker.shutdown(std::time::Duration::from_secs(10)).await });
    assert_eq!(idle.closed().await, None);
    stand.disk(Disk::Commits);
    assert_eq!(client.recv().await, (0x40, vec![0, 1]));
    assert_eq!(client.closed().await, Some(0x8B));
    stopping.await.unwrap();
    assert_eq!(stand.published(), ["x"], "a shutdown is no death");
}

#[tokio::test]
async fn results_that_are_retained_again_at_a_start_are_not_said_again() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "away", STAY).await;
    assert_eq!(subscriber.subscribe("sluice/#", 1).await, 1);
    drop(subscriber);
    let stand = stand.restarted().await;
    let result = ("sluice/home/day/T", b"21.5".as_slice(), Qos::AtLeastOnce);
    stand.broker.fanout().retain_again([result]);
    let (mut subscriber, present, _) = Raw::hello(stand.address, "away", STAY).await;
    assert!(present);
    subscriber.quiet().await;
    let mut fresh = Raw::client(stand.address, "fresh", V4).await;
    fresh.subscribe("sluice/#", 1).await;
    let got = fresh.got().await;
    assert_eq!((got.payload.as_str(), got.retain), ("21.5", true));
    assert!(
        stand.store(|store| store.retained.is_empty()),
        "nothing is written for it"
    );
}

#[tokio::test]
async fn a_publish_at_qos_0_is_delivered_and_retained_without_waiting_for_the_disk() {
    let stand = Stand::new().await;
    let mut early = Raw::client(stand.address, "early", V4).await;
    early.subscribe("t", 1).await;
    stand.disk(Disk::Holds);
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    for payload in ["one", "two"] {
        publisher.publish("t", payload, 1, 0).await;
        assert_eq!(early.got().await.payload, payload);
    }
    let mut late = Raw::client(stand.address, "late", V4).await;
    late.subscribe("t", 1).await;
    let got = late.got().await;
    assert_eq!((got.payload.as_str(), got.retain), ("two", true));
    stand.disk(Disk::Commits);
    // Whatever came before it has been committed, and is not delivered again.
    publisher.publish_acked("t", "three", false).await;
    for subscriber in [&mut early, &mut late] {
        assert_eq!(subscriber.payload().await, "three");
    }
    let stand = stand.restarted().await;
    let mut after = Raw::client(stand.address, "after", V4).await;
    after.subscribe("t", 1).await;
    assert_eq!(after.got().await.payload, "two");
}

#[tokio::test]
async fn who_subscribes_behind_a_publish_at_qos_0_finds_it_retained() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    let mut both = client.publish_bytes("t", "x", 1, 0);
    both.extend(client.publish_bytes("u", "gone", 0, 0));
    client.send(&both).await;
    client.subscribe("u", 0).await;
    client.subscribe("t", 0).await;
    let got = client.got().await;
    assert_eq!((got.topic.as_str(), got.retain), ("t", true));
    client.quiet().await;
}

#[tokio::test]
async fn a_publish_at_qos_0_overtakes_other_clients_and_never_its_own() {
    let stand = Stand::new().await;
    let mut subscriber = Raw::client(stand.address, "s", V4).await;
    subscriber.subscribe("#", 0).await;
    stand.disk(Disk::Holds);
    let mut mixed = Raw::client(stand.address, "mixed", V4).await;
    mixed.publish("light", "on", 1 | 2, 1).await;
    mixed.publish("light", "off", 1, 0).await;
    mixed.quiet().await;
    let mut other = Raw::client(stand.address, "other", V4).await;
    other.publish("door", "open", 0, 0).await;
    assert_eq!(subscriber.payload().await, "open");
    stand.disk(Disk::Commits);
    assert_eq!(mixed.recv().await, (0x40, vec![0, 1]));
    for payload in ["on", "off"] {
        assert_eq!(subscriber.payload().await, payload);
    }
    mixed.publish("light", "again", 0, 0).await;
    assert_eq!(subscriber.payload().await, "again");
    let mut late = Raw::client(stand.address, "late", V4).await;
    late.subscribe("light", 0).await;
    assert_eq!(late.payload().await, "off");
}

#[tokio::test]
async fn what_is_retained_in_memory_is_in_the_end_what_is_on_disk_whatever_passed() {
    let stand = Stand::new().await;
    stand.disk(Disk::Holds);
    let mut slow = Raw::client(stand.address, "slow", V4).await;
    let mut quick = Raw::client(stand.address, "quick", V4).await;
    for (turn, topic) in [(1, "set"), (2, "cleared")] {
        quick.publish(topic, "first", 1, 0).await;
        quick.quiet().await;
        slow.publish(topic, "slow", 1 | 2, turn).await;
        slow.quiet().await;
    }
    for (topic, last) in [("set", "last"), ("cleared", "")] {
        quick.publish(topic, last, 1, 0).await;
    }
    quick.quiet().await;
    stand.disk(Disk::Commits);
    for turn in [1, 2] {
        assert_eq!(slow.recv().await, (0x40, vec![0, turn]));
    }
    // Whatever came before it has been committed.
    quick.publish_acked("end", "x", false).await;
    retains_the_last(&stand).await;
    retains_the_last(&stand.restarted().await).await;
}

async fn retains_the_last(stand: &Stand) {
    let mut subscriber = Raw::client(stand.address, "s", V4).await;
    subscriber.subscribe("#", 0).await;
    let got = subscriber.got().await;
    assert_eq!((got.topic.as_str(), got.payload.as_str()), ("set", "last"));
    subscriber.quiet().await;
}
