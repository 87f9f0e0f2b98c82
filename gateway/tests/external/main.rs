//! The gateway as another broker's client, against a far broker whose every packet and a writer whose
//! every commit the test decides: what is acknowledged there is on disk here, and nothing else.

mod double;
mod stand;

use double::{Double, Message, Version};
use gateway::broker::Qos;
use stand::Stand;

const VERSIONS: [Version; 2] = [Version::V5, Version::V311];
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const RESULT: &str = "sluice/home/day/W1";

#[tokio::test]
async fn nothing_is_acknowledged_before_its_commit_and_then_all_in_order() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let mut stand = Stand::new(&far);
        let mut connection = far.welcomes(false).await;
        stand.remembers().await;
        for (id, qos) in [(1, 1), (2, 2), (3, 1)] {
            connection
                .publish(Message {
                    id,
                    qos,
                    ..Message::on("sensors/W1")
                })
                .await;
        }
        let held = stand.takes(3).await;
        // A result goes out after the acknowledgements that were said before it: there are none.
        stand.says(RESULT, "{}");
        assert_eq!(
            connection.result().await,
            (RESULT.to_owned(), "{}".to_owned())
        );
        stand.commits(held);
        for expected in [(PUBACK, 1), (PUBREC, 2), (PUBACK, 3)] {
            assert_eq!(connection.acknowledgement().await, expected, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_commit_is_not_acknowledged_and_comes_again_on_another_connection() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let mut stand = Stand::new(&far);
        let mut connection = far.welcomes(false).await;
        stand.remembers().await;
        connection
            .publish(Message {
                id: 1,
                qos: 1,
                ..Message::on("sensors/W1")
            })
            .await;
        let held = stand.takes(1).await;
        stand.fails(held);
        connection.ends_without_a_word().await;

        let mut connection = far.welcomes(true).await;
        connection
            .publish(Message {
                id: 1,
                qos: 1,
                again: true,
                ..Message::on("sensors/W1")
            })
            .await;
        let held = stand.takes(1).await;
        stand.commits(held);
        assert_eq!(connection.acknowledgement().await, (PUBACK, 1));
    }
}

#[tokio::test]
async fn a_receipt_for_an_earlier_connection_acknowledges_nothing_on_the_next() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let mut stand = Stand::new(&far);
        let mut connection = far.welcomes(false).await;
        stand.remembers().await;
        connection
            .publish(Message {
                id: 1,
                qos: 1,
                ..Message::on("sensors/W1")
            })
            .await;
        let earlier = stand.takes(1).await;
        drop(connection);

        let mut connection = far.welcomes(true).await;
        connection
            .publish(Message {
                id: 1,
                qos: 1,
                again: true,
                ..Message::on("sensors/W1")
            })
            .await;
        let later = stand.takes(1).await;
        stand.commits(earlier);
        stand.says(RESULT, "{}");
        assert_eq!(
            connection.result().await.0,
            RESULT,
            "no acknowledgement came first"
        );
        stand.commits(later);
        assert_eq!(connection.acknowledgement().await, (PUBACK, 1));
    }
}

#[tokio::test]
async fn what_an_earlier_process_received_at_qos_2_is_released() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let mut stand = Stand::new(&far);
        let mut connection = far.welcomes(true).await;
        stand.remembers().await;
        for id in [7, 65_535] {
            connection.acknowledge(PUBREL, id).await;
            assert_eq!(
                connection.acknowledgement().await,
                (PUBCOMP, id),
                "{version:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_another_gateway_keeps_is_acknowledged_in_its_turn_and_counted() {
    let mut far = Double::new(Version::V5).await;
    let mut stand = Stand::new(&far);
    let mut connection = far.welcomes(false).await;
    stand.remembers().await;
    for (id, topic) in [
        (1, "sensors/ours"),
        (2, stand::ELSEWHERE),
        (3, "sensors/ours"),
    ] {
        connection
            .publish(Message {
                id,
                qos: 1,
                ..Message::on(topic)
            })
            .await;
    }
    let held = stand.takes(2).await;
    stand.commits(held);
    for id in 1..=3 {
        assert_eq!(connection.acknowledgement().await, (PUBACK, id));
    }
    assert_eq!(stand.report.state().elsewhere, 1);
}

#[tokio::test]
async fn our_own_topics_come_to_nothing_but_for_acknowledged_alerts() {
    let mut far = Double::new(Version::V5).await;
    let mut stand = Stand::new(&far);
    let mut connection = far.welcomes(false).await;
    stand.remembers().await;
    let ack = "sluice/home/alert/7f/ack";
    for (id, topic) in [
        (1, RESULT),
        (2, "homeassistant/sensor/x/config"),
        (3, "sluice/other/alert/7f/ack"),
    ] {
        connection
            .publish(Message {
                id,
                qos: 1,
                ..Message::on(topic)
            })
            .await;
        assert_eq!(connection.acknowledgement().await, (PUBACK, id));
    }
    let cleared = Message {
        id: 4,
        qos: 1,
        retain: true,
        payload: "",
        ..Message::on("sensors/W1")
    };
    connection.publish(cleared).await;
    assert_eq!(connection.acknowledgement().await, (PUBACK, 4));
    connection
        .publish(Message {
            id: 5,
            qos: 1,
            ..Message::on(ack)
        })
        .await;
    let held = stand.takes(1).await;
    assert_eq!(held[0].incoming[0].topic_str(), ack);
    stand.commits(held);
    assert_eq!(connection.acknowledgement().await, (PUBACK, 5));
    // What came in does not go out again.
    stand.says(RESULT, "{}");
    assert_eq!(connection.result().await.0, RESULT);
}

#[tokio::test]
async fn what_came_retained_passes_and_is_not_retained_here() {
    let mut far = Double::new(Version::V5).await;
    let mut stand = Stand::new(&far);
    let mut connection = far.welcomes(false).await;
    stand.remembers().await;
    connection
        .publish(Message {
            id: 1,
            qos: 1,
            retain: true,
            ..Message::on("sensors/W1")
        })
        .await;
    let held = stand.takes(1).await;
    assert!(!held[0].incoming[0].retain);
    assert_eq!(held[0].incoming[0].qos, Qos::AtLeastOnce);
}

#[tokio::test]
async fn every_connection_begins_with_all_results_and_each_topic_its_newest() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let stand = Stand::new(&far);
        let topics: Vec<String> = (0..200)
            .map(|n| format!("sluice/home/day/S{n:03}"))
            .collect();
        for topic in &topics {
            stand.says(topic, "old");
            stand.says(topic, "new");
        }
        for present in [false, true] {
            let mut connection = far.welcomes(present).await;
            let mut said = Vec::new();
            for _ in &topics {
                let (topic, payload) = connection.result().await;
                assert_eq!(payload, "new");
                said.push(topic);
            }
            said.sort();
            assert_eq!(said, topics, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_filter_that_is_no_longer_wanted_is_taken_back() {
    let mut far = Double::new(Version::V5).await;
    let mut stand = Stand::reading(&far, &["old/#"]);
    let first = far.welcomes(false).await;
    assert_eq!(first.filters, ["old/#", "sluice/home/alert/+/ack"]);
    stand.remembers().await;
    drop(first);
    let stand = stand.restarted_reading(&far, &["sensors/#", "sensors/W1"]);
    let second = far.welcomes(true).await;
    assert_eq!(second.taken_back, ["old/#"]);
    assert_eq!(second.filters, ["sensors/#", "sluice/home/alert/+/ack"]);
    drop(stand);
}

#[tokio::test]
async fn a_stop_takes_nothing_more_settles_what_was_taken_and_says_goodbye() {
    for version in VERSIONS {
        let mut far = Double::new(version).await;
        let mut stand = Stand::new(&far);
        let mut connection = far.welcomes(false).await;
        stand.remembers().await;
        connection
            .publish(Message {
                id: 1,
                qos: 1,
                ..Message::on("sensors/W1")
            })
            .await;
        let held = stand.takes(1).await;
        stand.says("sluice/home/status", "offline");
        let stopping = stand.stops();
        let (topic, payload) = connection.result().await;
        assert_eq!(
            (topic.as_str(), payload.as_str()),
            ("sluice/home/status", "offline")
        );
        connection
            .publish(Message {
                id: 2,
                qos: 1,
                ..Message::on("sensors/W1")
            })
            .await;
        stand.commits(held);
        assert_eq!(connection.acknowledgement().await, (PUBACK, 1));
        connection.goodbye().await;
        stopping.await.expect("it stops");
    }
}
