//! `/api/v1/live` with a foreign WebSocket client.

mod web_house;

use futures_util::{SinkExt, StreamExt};
use gateway::web::live::{Feed, LiveEvent};
use gateway::web::rows::{Reading, Rest};
use gateway::web::when::Moment;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use web_house::{House, Served, date};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn watch(served: &Served, query: &str) -> Socket {
    let url = format!("ws://{}/api/v1/live{query}", served.at);
    connect_async(url).await.expect("a WebSocket").0
}

async fn heard(socket: &mut Socket) -> Value {
    let message = socket
        .next()
        .await
        .expect("one more message")
        .expect("a whole message");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

fn reading(seq: u64) -> LiveEvent {
    let time = Moment::from_ms(1_577_841_300_000);
    LiveEvent::Reading(Reading {
        sensor: "W1".to_owned(),
        time,
        value: 0.5,
        seq,
        flag: None,
    })
}

fn rest() -> LiveEvent {
    LiveEvent::Rest(Rest {
        balance: "water".to_owned(),
        day: date(0),
        value: 62.5,
        unit: None,
        meter: 110.0,
        parts: 47.5,
        coverage: [("W1".to_owned(), None)].into(),
        closed: false,
        revision: 0,
    })
}

#[tokio::test]
async fn what_is_committed_is_told_one_message_each() {
    let served = Served::of(House::default()).await;
    let mut all = watch(&served, "").await;
    let mut rests = watch(&served, "?types=rest,alert").await;
    served.feed.publish([reading(1), rest()]);
    assert_eq!(
        heard(&mut all).await,
        json!({"type": "reading", "sensor": "W1", "time": "2020-01-01T01:15:00Z", "value": 0.5, "seq": 1})
    );
    let told = json!({
        "type": "rest", "balance": "water", "day": "2020-01-01", "value": 62.5, "unit": null,
        "meter": 110.0, "parts": 47.5, "coverage": {"W1": null}, "closed": false, "revision": 0,
    });
    assert_eq!(heard(&mut all).await, told);
    assert_eq!(heard(&mut rests).await, told);
    served.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_goes_on() {
    let served = Served::with(House::default(), Feed::keeping(4)).await;
    let mut socket = watch(&served, "").await;
    // On this one thread the server cannot take anything until the next await.
    for seq in 0..10 {
        served.feed.publish([reading(seq)]);
    }
    assert_eq!(
        heard(&mut socket).await,
        json!({"type": "missed", "count": 6})
    );
    for seq in 6..10 {
        assert_eq!(heard(&mut socket).await["seq"], seq);
    }
    served.feed.publish([reading(10)]);
    assert_eq!(heard(&mut socket).await["seq"], 10);
    served.stop().await;
}

#[tokio::test]
async fn a_foreign_page_cannot_watch() {
    let served = Served::of(House::default()).await;
    for (origin, admitted) in [
        ("http://evil.example".to_owned(), false),
        ("null".to_owned(), false),
        (format!("http://{}", served.at), true),
    ] {
        let url = format!("ws://{}/api/v1/live", served.at);
        let mut request = url.into_client_request().expect("a request");
        request
            .headers_mut()
            .insert("Origin", origin.parse().expect("a header"));
        match connect_async(request).await {
            Ok(_) => assert!(admitted, "{origin}"),
            Err(Error::Http(answer)) => {
                assert_eq!(
                    (answer.status().as_u16(), admitted),
                    (403, false),
                    "{origin}"
                );
            }
            Err(other) => panic!("{origin}: {other}"),
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn who_says_too_much_is_let_go_and_nobody_else() {
    let served = Served::of(House::default()).await;
    let mut quiet = watch(&served, "").await;
    let mut loud = watch(&served, "").await;
    loud.send(Message::text("ignored")).await.expect("sent");
    loud.send(Message::text("x".repeat(100_000)))
        .await
        .expect("sent");
    assert!(!matches!(loud.next().await, Some(Ok(Message::Text(_)))));
    served.feed.publish([reading(1)]);
    assert_eq!(heard(&mut quiet).await["seq"], 1);
    served.stop().await;
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_and_does_not_wait_for_watchers() {
    let served = Served::of(House::default()).await;
    let mut socket = watch(&served, "").await;
    served.stop().await;
    let message = socket
        .next()
        .await
        .expect("a last message")
        .expect("a whole message");
    let Message::Close(Some(frame)) = message else {
        panic!("{message:?} is no close")
    };
    assert_eq!(frame.reason.as_str(), "the gateway stops");
}
