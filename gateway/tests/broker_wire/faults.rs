//! A fault of our own costs the connection in which it happens, and nobody else anything.

use crate::raw::{Hello, Raw, STAY, V4, V5};
use crate::stand::{POISON, Stand};
use gateway::broker::{Access, Admission, BrokerConfig, Credentials, Pending, Permit, Standing};
use std::sync::Arc;

/// Does not survive a client of this name, nor looking again at what one of that name may do.
struct Fragile;

const RECONSIDERED: &str = "reconsidered";

impl Access for Fragile {
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a> {
        let client = credentials.client_id.to_owned();
        Box::pin(async move {
            assert_ne!(client, POISON, "a fault that a test asks for");
            Admission::Granted(Arc::default())
        })
    }

    fn standing(&self, _permit: &Permit, client_id: &str) -> Standing {
        assert_ne!(client_id, RECONSIDERED, "a fault that a test asks for");
        Standing::Same
    }

    fn absent(&self, _user: Option<&str>, _client_id: &str) -> Option<Permit> {
        Some(Permit::default())
    }
}

#[tokio::test]
async fn a_fault_while_a_publish_is_read_loses_the_connection_and_not_the_session() {
    let stand = Stand::new().await;
    let mut watcher = Raw::client(stand.address, "watcher", V4).await;
    watcher.subscribe("will/#", 1).await;
    let hello = Hello {
        will: Some(("will/c", "gone")),
        ..STAY
    };
    let mut client = Raw::client(stand.address, "c", hello).await;
    client.subscribe("q", 1).await;
    client.publish("t", "kept", 4, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    client.publish(POISON, "x", 4, 6).await;
    client.closed().await;
    assert_eq!(watcher.payload().await, "gone");
    watcher.publish_acked("q", "meanwhile", false).await;

    let (mut client, present, _) = Raw::hello(stand.address, "c", STAY).await;
    assert!(present, "its client id is free, its session whole");
    assert_eq!(client.payload().await, "meanwhile");
    client.publish("t", "kept", 4 | 8, 5).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 5]));
    client.publish("t", "new", 4, 6).await;
    assert_eq!(client.recv().await, (0x50, vec![0, 6]));
    assert_eq!(stand.published(), ["kept", "gone", "meanwhile", "new"]);
}

#[tokio::test]
async fn a_fault_while_a_client_is_greeted_or_looked_at_again_is_its_own() {
    let config = BrokerConfig {
        access: Arc::new(Fragile),
        ..BrokerConfig::open("home")
    };
    let stand = Stand::with(config).await;
    let mut bystander = Raw::client(stand.address, "bystander", V5).await;
    for _ in 0..2 {
        let mut refused = Raw::open(stand.address, false).await;
        refused.send(&crate::raw::connect(POISON, V4)).await;
        assert_eq!(refused.closed().await, None);
        let mut client = Raw::open(stand.address, false).await;
        client.send(&crate::raw::connect(RECONSIDERED, V5)).await;
        assert_eq!(client.recv().await.0, 0x20, "it was let in");
        client.closed().await;
    }
    bystander.publish_acked("t", "x", false).await;
}

#[tokio::test]
async fn a_fault_in_a_will_costs_the_will() {
    let stand = Stand::new().await;
    let hello = Hello {
        will: Some((POISON, "x")),
        ..STAY
    };
    for present in [false, true] {
        let (client, was, _) = Raw::hello(stand.address, "c", hello).await;
        assert_eq!(was, present);
        stand.loses("c", client).await;
    }
    assert!(stand.published().is_empty());
}
