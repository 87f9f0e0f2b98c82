//! Many connections at once: those who say nothing keep nobody out.

use crate::authority::Authority;
use crate::raw::{Raw, V4, V5};
use crate::stand::Stand;
use gateway::broker::{BrokerConfig, Limits, Origins, Stats, Tls, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const SILENT: usize = 300;

async fn silent(at: SocketAddr) -> TcpStream {
    TcpStream::connect(at).await.unwrap()
}

#[tokio::test]
async fn three_hundred_that_say_nothing_do_not_keep_a_client_out_on_any_listener() {
    let limits = Limits {
        max_connections: 100,
        max_greeting: 50,
        ..Limits::default()
    };
    let stand = Stand::with(BrokerConfig {
        limits,
        ..BrokerConfig::open("home")
    })
    .await;
    let authority = Authority::new();
    let files = authority.serving(&authority.paper("server", 2999), None);
    let tls = Arc::new(Tls::new(gateway::tls::read(&files).unwrap()));
    let within = stand
        .over(Transport {
            tls: Some(tls),
            websocket: None,
        })
        .await;
    let websocket = stand
        .over(Transport {
            tls: None,
            websocket: Some(Arc::new(Origins::Any)),
        })
        .await;
    let mut early = Raw::client(stand.address, "early", V5).await;
    let mut crowd = Vec::new();
    for at in [stand.address, within, websocket] {
        for _ in 0..SILENT {
            crowd.push(silent(at).await);
        }
        let mut client = Raw::client(stand.address, "plain", V4).await;
        client.quiet().await;
        let stream = authority.shake(within, None, &[]).await.unwrap();
        Raw::client_over(stream, "tls", V4).await.quiet().await;
    }
    early.quiet().await;
    let sent_away = Stats::read(&stand.broker.stats().refused_silent);
    assert!(sent_away >= (3 * SILENT - 100) as u64, "{sent_away}");
    // The longest-silent went first.
    let ended = crowd[0].read(&mut [0]).await;
    assert_eq!(ended.unwrap_or(0), 0);
}

#[tokio::test]
async fn clients_fill_the_house_and_silent_ones_only_what_is_left_of_it() {
    let stand = Stand::with(BrokerConfig {
        limits: Limits {
            max_connections: 3,
            ..Limits::default()
        },
        ..BrokerConfig::open("home")
    })
    .await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        crowd.push(silent(stand.address).await);
    }
    let mut clients = Vec::new();
    for id in ["1", "2", "3"] {
        clients.push(Raw::client(stand.address, id, V4).await);
    }
    let mut fourth = Raw::open(stand.address, false).await;
    assert_eq!(fourth.closed().await, None);
    assert_eq!(Stats::read(&stand.broker.stats().refused_full), 1);
    for client in &mut clients {
        client.quiet().await;
    }
}
