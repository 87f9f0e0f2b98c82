//! Clients that no longer take what they are sent: they lose the connection, not the broker its memory.

use crate::raw::{Hello, Raw, V4};
use crate::stand::Stand;
use gateway::broker::Stats;

/// More than a socket holds on both its ends.
const MESSAGES: u32 = 1500;
const PAYLOAD: usize = 16 * 1024;

/// Publishes until no socket's buffer holds it any more.
async fn flood(stand: &Stand, topic: &str) {
    let mut publisher = Raw::client(stand.address, "p", V4).await;
    let payload = "x".repeat(PAYLOAD);
    for _ in 0..MESSAGES {
        publisher.publish(topic, &payload, 0, 0).await;
    }
    publisher.publish_acked("end", "x", false).await;
}

#[tokio::test]
async fn who_takes_nothing_for_a_minute_loses_the_connection_and_a_persistent_session_stays() {
    let stand = Stand::new().await;
    let sleepy = Hello {
        keep_alive_s: 0,
        stay: true,
        ..V4
    };
    let mut sleeper = Raw::client(stand.address, "sleeper", sleepy).await;
    sleeper.subscribe("flood", 0).await;
    flood(&stand, "flood").await;
    let stats = stand.broker.stats();
    assert_eq!(Stats::read(&stats.stalled), 0);
    // From here on time passes whenever nothing happens.
    tokio::time::pause();
    let (_, present, _) = {
        while Stats::read(&stats.stalled) == 0 {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        tokio::time::resume();
        Raw::hello(stand.address, "sleeper", sleepy).await
    };
    assert!(present, "its session was parked");
    assert_eq!(Stats::read(&stats.stalled), 1);
}

#[tokio::test]
async fn a_client_with_a_long_backlog_is_still_listened_to() {
    let stand = Stand::new().await;
    let mut client = Raw::client(stand.address, "c", V4).await;
    client.subscribe("flood", 0).await;
    flood(&stand, "flood").await;
    // It takes nothing, and its mail stands at the bound; what it says arrives all the same.
    client.publish("heard", "yes", 2, 1).await;
    let mut other = Raw::client(stand.address, "o", V4).await;
    other.subscribe("heard-2", 0).await;
    client.publish("heard-2", "me too", 0, 0).await;
    assert_eq!(other.payload().await, "me too");
}
