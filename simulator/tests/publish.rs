//! What a publisher promises, against a broker that misbehaves on purpose. The broker reads with another
//! project's codec, so both sides cannot share a mistake about the bytes.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{self, Packet};
use simulator::publish::{self, Login, Options, Progress, PublishError, Qos, Report, Speed};
use simulator::{Broker, Scenario, load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long a broken test may take.
const TEST_WITHIN: Duration = Duration::from_secs(30);

/// What the broker does with one connection.
#[derive(Clone, Copy)]
enum Manner {
    /// Acknowledges everything.
    Kind,
    /// Acknowledges until so many publishes, takes so many more without a word, and hangs up.
    HangsUp { answers: usize, swallows: usize },
    /// Refuses with this code.
    Refuses(u8),
    /// Acknowledges a packet that was never sent.
    Raves,
}

/// What the broker saw on one connection.
#[derive(Default)]
struct Seen {
    connect: Option<v4::Connect>,
    publishes: Vec<v4::Publish>,
    releases: Vec<u16>,
    disconnected: bool,
}

/// A broker that serves one connection after another, each in its manner.
async fn broker(manners: Vec<Manner>) -> (Broker, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut seen = Vec::new();
        for manner in manners {
            let (stream, _) = listener.accept().await.unwrap();
            seen.push(serve(stream, manner).await);
        }
        seen
    });
    let host = "127.0.0.1".to_owned();
    (Broker { host, port }, serving)
}

async fn serve(mut stream: TcpStream, manner: Manner) -> Seen {
    let mut seen = Seen::default();
    let mut inbox = BytesMut::new();
    loop {
        match Packet::read(&mut inbox, 64 * 1024) {
            Ok(Packet::Connect(connect)) => {
                seen.connect = Some(connect);
                let code = if let Manner::Refuses(code) = manner {
                    code
                } else {
                    0
                };
                stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
            }
            Ok(Packet::Publish(publish)) => {
                let mut answer = match publish.qos {
                    rumqttc::mqttbytes::QoS::AtMostOnce => None,
                    rumqttc::mqttbytes::QoS::AtLeastOnce => Some((0x40, publish.pkid)),
                    rumqttc::mqttbytes::QoS::ExactlyOnce => Some((0x50, publish.pkid)),
                };
                seen.publishes.push(publish);
                match manner {
                    Manner::Kind | Manner::Refuses(_) => {}
                    Manner::Raves => answer = Some((0x40, 999)),
                    Manner::HangsUp { answers, swallows } => {
                        if seen.publishes.len() > answers {
                            answer = None;
                        }
                        if seen.publishes.len() == answers + swallows {
                            hang_up(stream).await;
                            return seen;
                        }
                    }
                }
                if let Some((kind, id)) = answer {
                    let [high, low] = u16::to_be_bytes(id);
                    stream.write_all(&[kind, 2, high, low]).await.unwrap();
                }
            }
            Ok(Packet::PubRel(release)) => {
                seen.releases.push(release.pkid);
                let [high, low] = release.pkid.to_be_bytes();
                stream.write_all(&[0x70, 2, high, low]).await.unwrap();
            }
            Ok(Packet::PingReq) => stream.write_all(&[0xd0, 0]).await.unwrap(),
            Ok(Packet::Disconnect) => {
                seen.disconnected = true;
                return seen;
            }
            Ok(other) => panic!("a publisher does not send {other:?}"),
            Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {
                if stream.read_buf(&mut inbox).await.unwrap_or(0) == 0 {
                    return seen;
                }
            }
            Err(error) => panic!("malformed: {error}"),
        }
    }
}

/// Ends the connection so that what was answered arrives: closing it with bytes unread would reset it.
async fn hang_up(mut stream: TcpStream) {
    stream.shutdown().await.unwrap();
    let mut unheard = BytesMut::new();
    while stream.read_buf(&mut unheard).await.unwrap_or(0) > 0 {
        unheard.clear();
    }
}

fn scenario() -> Scenario {
    Scenario {
        days: 1,
        ..Scenario::default()
    }
}

fn options(broker: Broker, qos: Qos) -> Options {
    Options {
        qos,
        speed: Speed::Max,
        inflight: 20,
        ..Options::to(broker)
    }
}

async fn publish(scenario: &Scenario, options: &Options) -> Result<Report, PublishError> {
    tokio::time::timeout(
        TEST_WITHIN,
        publish::run(scenario, options, |_: Progress| {}),
    )
    .await
    .expect("a run against a broker of this test ends")
}

fn expected(scenario: &Scenario) -> Vec<(String, String)> {
    scenario
        .messages()
        .map(|message| (message.topic.to_string(), message.payload))
        .collect()
}

fn received<'a>(publishes: impl IntoIterator<Item = &'a v4::Publish>) -> Vec<(String, String)> {
    publishes
        .into_iter()
        .map(|publish| {
            let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
            (publish.topic.clone(), payload)
        })
        .collect()
}

#[tokio::test]
async fn every_message_arrives_once_and_in_order_at_every_qos() {
    for qos in [Qos::Zero, Qos::One, Qos::Two] {
        // At QoS 2 the session is taken down by a second connection.
        let (address, serving) =
            broker(vec![Manner::Kind; if qos == Qos::Two { 2 } else { 1 }]).await;
        let report = publish(&scenario(), &options(address, qos)).await.unwrap();
        let seen = serving.await.unwrap();
        assert_eq!(report.messages, scenario().total());
        assert_eq!(
            received(&seen[0].publishes),
            expected(&scenario()),
            "{qos:?}"
        );
        assert!(
            seen[0]
                .publishes
                .iter()
                .all(|publish| !publish.dup && !publish.retain)
        );
        assert!(seen[0].disconnected);
        let releases = if qos == Qos::Two {
            seen[0].publishes.len()
        } else {
            0
        };
        assert_eq!(seen[0].releases.len(), releases);
    }
}

#[tokio::test]
async fn what_a_lost_broker_did_not_acknowledge_is_sent_again_in_order() {
    let hangs_up = Manner::HangsUp {
        answers: 50,
        swallows: 7,
    };
    let (address, serving) = broker(vec![hangs_up, Manner::Kind]).await;
    let report = publish(&scenario(), &options(address, Qos::One))
        .await
        .unwrap();
    let seen = serving.await.unwrap();
    assert_eq!(report.reconnects, 1);
    assert_eq!(report.messages, scenario().total());

    let acknowledged = seen[0].publishes.iter().take(50);
    let whole = acknowledged.chain(&seen[1].publishes);
    assert_eq!(
        received(whole),
        expected(&scenario()),
        "nothing missing, nothing out of order"
    );
    let again = seen[1]
        .publishes
        .iter()
        .take_while(|publish| publish.dup)
        .count();
    assert!(
        (7..=20).contains(&again),
        "{again} of a window of 20 were in flight"
    );
}

#[tokio::test]
async fn at_qos_2_a_reconnect_keeps_the_session_and_publishes_nothing_twice() {
    let hangs_up = Manner::HangsUp {
        answers: 50,
        swallows: 1,
    };
    let (address, serving) = broker(vec![hangs_up, Manner::Kind, Manner::Kind]).await;
    publish(&scenario(), &options(address, Qos::Two))
        .await
        .unwrap();
    let seen = serving.await.unwrap();
    let clean: Vec<bool> = seen
        .iter()
        .map(|seen| seen.connect.as_ref().unwrap().clean_session)
        .collect();
    assert_eq!(
        clean,
        [false, false, true],
        "the last one takes the session down"
    );

    let received_before = seen[0].publishes.iter().take(50);
    let whole = received_before.chain(&seen[1].publishes);
    assert_eq!(received(whole), expected(&scenario()));
}

#[tokio::test]
async fn clients_share_the_homes_and_keep_each_in_order() {
    let scenario = Scenario {
        homes: 3,
        days: 1,
        ..Scenario::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        tokio::join!(serve(first, Manner::Kind), serve(second, Manner::Kind))
    });
    let host = "127.0.0.1".to_owned();
    let options = Options {
        clients: 2,
        ..options(Broker { host, port }, Qos::One)
    };
    publish(&scenario, &options).await.unwrap();
    let (first, second) = serving.await.unwrap();
    let both = [received(&first.publishes), received(&second.publishes)];
    for home in ["h0001", "h0002", "h0003"] {
        let of_home = |(topic, _): &&(String, String)| topic.contains(home);
        let sent: Vec<_> = expected(&scenario)
            .iter()
            .filter(of_home)
            .cloned()
            .collect();
        let came: Vec<_> = both
            .iter()
            .map(|client| client.iter().filter(of_home).cloned().collect::<Vec<_>>())
            .filter(|came| !came.is_empty())
            .collect();
        assert_eq!(came, [sent], "{home} is on one client, in order");
    }
}

#[tokio::test]
async fn a_day_at_a_set_speed_takes_its_time_and_tells_how_far_it_is() {
    let (address, serving) = broker(vec![Manner::Kind]).await;
    let options = Options {
        speed: Speed::Times(400_000.0),
        ..options(address, Qos::One)
    };
    let mut steps = Vec::new();
    let report = publish::run(&scenario(), &options, |progress| steps.push(progress))
        .await
        .unwrap();
    serving.await.unwrap();
    // A day over the speed is 0.216 s.
    assert!(report.elapsed >= Duration::from_millis(216), "{report:?}");
    assert!(steps.is_sorted_by_key(|progress| (progress.acknowledged, progress.at_ms)));
    assert_eq!(steps.last().unwrap().acknowledged, scenario().total());
}

#[tokio::test]
async fn user_and_password_are_presented() {
    let (address, serving) = broker(vec![Manner::Kind]).await;
    let options = Options {
        login: Some(Login {
            user: "kitchen".to_owned(),
            password: Some(b"secret".to_vec()),
        }),
        ..options(address, Qos::One)
    };
    publish(&scenario(), &options).await.unwrap();
    let seen = serving.await.unwrap();
    let login = seen[0].connect.as_ref().unwrap().login.clone().unwrap();
    assert_eq!(
        (login.username.as_str(), login.password.as_str()),
        ("kitchen", "secret")
    );
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (address, _serving) = broker(vec![Manner::Refuses(4)]).await;
    let error = publish(&scenario(), &options(address, Qos::One))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("refused the connection: wrong user name or password"),
        "{error}"
    );
}

#[tokio::test]
async fn a_broker_that_was_never_there_is_an_error_at_once() {
    // Port 1 is tcpmux, which nobody has served for decades.
    let address = "127.0.0.1:1".parse().unwrap();
    let error = publish(&scenario(), &options(address, Qos::One))
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_does_not_come_back_is_given_up_after_patience() {
    let hangs_up = Manner::HangsUp {
        answers: 5,
        swallows: 5,
    };
    let (address, _serving) = broker(vec![hangs_up]).await;
    let options = Options {
        patience: Duration::from_millis(1),
        ..options(address, Qos::One)
    };
    let error = publish(&scenario(), &options).await.unwrap_err();
    assert!(matches!(error, PublishError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_comes_back_only_to_leave_is_given_up_too() {
    let useless = Manner::HangsUp {
        answers: 0,
        swallows: 1,
    };
    let (address, _serving) = broker(vec![useless; 100]).await;
    let options = Options {
        patience: Duration::from_millis(200),
        ..options(address, Qos::One)
    };
    let error = publish(&scenario(), &options).await.unwrap_err();
    assert!(matches!(error, PublishError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_ends_the_run() {
    let (address, _serving) = broker(vec![Manner::Raves]).await;
    let error = publish(&scenario(), &options(address, Qos::One))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("acknowledged packet 999, which was not in flight"),
        "{error}"
    );
}

#[tokio::test]
async fn more_clients_than_homes_are_refused() {
    let address = "127.0.0.1:1".parse().unwrap();
    let options = Options {
        clients: 2,
        ..options(address, Qos::One)
    };
    let error = publish(&scenario(), &options).await.unwrap_err();
    assert!(
        error.to_string().starts_with("2 clients for 1 homes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_load_run_sends_the_same_messages_and_counts_them() {
    for acknowledged in [true, false] {
        let (address, serving) = broker(vec![Manner::Kind]).await;
        let options = load::Options {
            broker: address,
            acknowledged,
            clients: 1,
            inflight: 20,
            login: None,
        };
        let report = tokio::time::timeout(TEST_WITHIN, load::run(&scenario(), &options))
            .await
            .unwrap()
            .unwrap();
        let seen = serving.await.unwrap();
        assert_eq!(received(&seen[0].publishes), expected(&scenario()));
        assert_eq!(report.messages, scenario().total());
        assert_eq!(report.ack_p50_ms.is_some(), acknowledged);
        assert!(report.ack_p50_ms <= report.ack_p99_ms && report.ack_p99_ms <= report.ack_max_ms);
    }
}

#[tokio::test]
async fn a_load_run_that_loses_its_broker_measures_nothing() {
    let hangs_up = Manner::HangsUp {
        answers: 50,
        swallows: 1,
    };
    let (address, _serving) = broker(vec![hangs_up]).await;
    let options = load::Options {
        broker: address,
        acknowledged: true,
        clients: 1,
        inflight: 20,
        login: None,
    };
    let error = load::run(&scenario(), &options).await.unwrap_err();
    assert!(matches!(error, PublishError::Broken { .. }), "{error}");
}
