//! rumqttc's MQTT 5, in the words of a [`super::Link`].

use super::{CONNECT_TIMEOUT_S, Delivered, Granted, Heard, SAID, SESSION_EXPIRY, Settings};
use super::{Stuck, UNACKNOWLEDGED, WINDOW, Welcome};
use crate::broker::Qos;
use crate::broker::external::failure::{Failure, Refusal};
use crate::broker::external::ledger::Receipt;
use crate::causes::in_words;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, Packet, PubAckReason,
    Publish, RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, MqttState, StateError, TlsError,
};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use tokio::sync::mpsc;

pub(super) fn connect(settings: &Settings) -> (AsyncClient, EventLoop) {
    let address = &settings.address;
    let mut options = MqttOptions::new(&settings.client_id, &address.host, address.port);
    let will = LastWill::new(&settings.status, "offline", QoS::AtLeastOnce, true, None);
    let expiry = u32::try_from(SESSION_EXPIRY.as_secs()).unwrap_or(u32::MAX);
    let max_packet = u32::try_from(settings.max_packet).unwrap_or(u32::MAX);
    options
        .set_keep_alive(settings.keep_alive)
        .set_clean_start(false)
        .set_manual_acks(true)
        .set_last_will(will)
        .set_session_expiry_interval(Some(expiry))
        .set_receive_maximum(Some(UNACKNOWLEDGED))
        .set_max_packet_size(Some(max_packet))
        .set_outgoing_inflight_upper_limit(WINDOW + 1);
    if let Some((name, password)) = &settings.login {
        options.set_credentials(name, password);
    }
    if let Some(tls) = &settings.tls {
        let tls = TlsConfiguration::Rustls(tls.clone());
        options.set_transport(Transport::tls_with_config(tls));
    }
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    options.set_network_options(network);
    options.set_connection_timeout(CONNECT_TIMEOUT_S);
    let (client, mut events) = AsyncClient::new(options, SAID);
    expect_releases(&mut events.state);
    (client, events)
}

/// A session may hold messages at `QoS` 2 that an earlier process has received: the far broker releases
/// them first of all, and rumqttc takes a PUBREL that it does not expect for a breach of the protocol.
/// So it is made to expect one for every id; what it releases is on disk, or PUBREC had not been said.
fn expect_releases(state: &mut MqttState) {
    for pkid in 1..=u16::MAX {
        let received = Publish {
            qos: QoS::ExactlyOnce,
            pkid,
            ..Publish::default()
        };
        let answer = state.handle_incoming_packet(Packet::Publish(received));
        debug_assert!(matches!(answer, Ok(None)), "acknowledgements are by hand");
        state.events.clear();
    }
}

/// Runs the event loop until it fails or nobody listens.
pub(super) async fn pump(mut events: EventLoop, say: mpsc::Sender<Heard>) {
    let tls = matches!(events.options.transport(), Transport::Tls(_));
    loop {
        let heard = match events.poll().await {
            Ok(event) => translate(event),
            Err(error) => Some(Heard::Lost(failure(error, tls))),
        };
        let Some(heard) = heard else { continue };
        let last = matches!(heard, Heard::Lost(_) | Heard::Left);
        if say.send(heard).await.is_err() || last {
            return;
        }
    }
}

fn translate(event: Event) -> Option<Heard> {
    let packet = match event {
        Event::Incoming(packet) => packet,
        Event::Outgoing(Outgoing::Disconnect) => return Some(Heard::Left),
        Event::Outgoing(_) => return None,
    };
    match packet {
        Packet::ConnAck(welcome) => Some(Heard::Welcome(welcomed(&welcome))),
        Packet::Publish(publish) => Some(Heard::Publish(Delivered {
            receipt: Receipt {
                qos: qos(publish.qos),
                id: publish.pkid,
            },
            topic: publish.topic,
            payload: publish.payload,
            retain: publish.retain,
        })),
        Packet::SubAck(answer) => {
            let granted = answer.return_codes.iter().map(|code| match code {
                SubscribeReasonCode::Success(at) => Granted::At(qos(*at)),
                _ => Granted::Refused,
            });
            Some(Heard::Subscribed(granted.collect()))
        }
        Packet::PubAck(answer) => Some(match answer.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Heard::Landed,
            why => Heard::Unwanted(format!("{why:?}")),
        }),
        _ => None,
    }
}

fn welcomed(welcome: &ConnAck) -> Welcome {
    let said = welcome.properties.as_ref();
    Welcome {
        session_present: welcome.session_present,
        receive_maximum: said.and_then(|said| said.receive_max),
        max_packet: said
            .and_then(|said| said.max_packet_size)
            .and_then(|bytes| usize::try_from(bytes).ok()),
        session_expiry_s: said.and_then(|said| said.session_expiry_interval),
    }
}

fn failure(error: ConnectionError, tls: bool) -> Failure {
    match error {
        ConnectionError::ConnectionRefused(code) => Failure::refused(refusal(code), &code),
        ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error)) => {
            Failure::of_io(&error, tls)
        }
        ConnectionError::Tls(error) => Failure::slow(format!("TLS failed: {}", in_words(&error))),
        ConnectionError::Timeout(_) => Failure::soon(format!(
            "the broker did not answer within {CONNECT_TIMEOUT_S} s: is the url right, and TLS where it is \
             spoken?"
        )),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            ..
        }) => Failure::slow(
            "another client has come with our client id: give each gateway a [broker.external] client_id of its \
             own",
        ),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            Failure::soon(format!("the broker closed the connection: {reason_code:?}"))
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            Failure::soon("the broker closed the connection")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Failure::soon("the broker is silent: it answers no ping")
        }
        other => Failure::soon(format!("the connection failed: {}", in_words(&other))),
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    match code {
        ConnectReturnCode::BadUserNamePassword
        | ConnectReturnCode::NotAuthorized
        | ConnectReturnCode::BadAuthenticationMethod => Refusal::Credentials,
        ConnectReturnCode::RefusedProtocolVersion
        | ConnectReturnCode::UnsupportedProtocolVersion => Refusal::Version,
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            Refusal::ClientId
        }
        ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServerBusy
        | ConnectReturnCode::ConnectionRateExceeded => Refusal::Busy,
        _ => Refusal::Other,
    }
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String], qos: Qos) -> Result<(), Stuck> {
    let wanted = filters.iter().map(|filter| Filter {
        path: filter.clone(),
        qos: bits(qos),
        // What we publish ourselves is not news; for a share the standard forbids to ask (3.8.3.1).
        nolocal: !filter.starts_with("$share/"),
        // The flag tells a message from one that clears what is retained.
        preserve_retain: true,
        retain_forward_rule: RetainForwardRule::OnNewSubscribe,
    });
    client.try_subscribe_many(wanted).map_err(|_| Stuck)
}

pub(super) fn acknowledge(client: &AsyncClient, receipt: Receipt) -> Result<(), Stuck> {
    let publish = Publish {
        qos: bits(receipt.qos),
        pkid: receipt.id,
        ..Publish::default()
    };
    client.try_ack(&publish).map_err(|_| Stuck)
}

fn bits(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn qos(bits: QoS) -> Qos {
    match bits {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}
