//! rumqttc's MQTT 3.1.1, in the words of a [`super::Link`].

use super::{CONNECT_TIMEOUT_S, Delivered, Granted, Heard, LARGEST, SAID, Settings, Stuck};
use super::{WINDOW, Welcome};
use crate::broker::Qos;
use crate::broker::external::failure::{Failure, Refusal};
use crate::broker::external::ledger::Receipt;
use crate::causes::in_words;
use bytes::Bytes;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    MqttState, NetworkOptions, Outgoing, Packet, Publish, QoS, StateError, SubscribeFilter,
    SubscribeReasonCode, TlsConfiguration, TlsError, Transport,
};
use tokio::sync::mpsc;

pub(super) fn connect(settings: &Settings) -> (AsyncClient, EventLoop) {
    let address = &settings.address;
    let mut options = MqttOptions::new(&settings.client_id, &address.host, address.port);
    let will = LastWill::new(&settings.status, "offline", QoS::AtLeastOnce, true);
    options
        .set_keep_alive(settings.keep_alive)
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_last_will(will)
        .set_max_packet_size(settings.max_packet, LARGEST)
        .set_inflight(WINDOW + 1);
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
    let (client, mut events) = AsyncClient::new(options, SAID);
    events.set_network_options(network);
    expect_releases(&mut events.state);
    (client, events)
}

/// As in MQTT 5: a PUBREL of what an earlier process has received is no breach of the protocol.
fn expect_releases(state: &mut MqttState) {
    for pkid in 1..=u16::MAX {
        let mut received = Publish::new("", QoS::ExactlyOnce, Vec::new());
        received.pkid = pkid;
        let answer = state.handle_incoming_packet(Packet::Publish(received));
        debug_assert!(matches!(answer, Ok(None)), "acknowledgements are by hand");
        state.events.clear();
    }
}

/// Runs the event loop until it fails or nobody listens.
pub(super) async fn pump(mut events: EventLoop, say: mpsc::Sender<Heard>) {
    let tls = matches!(events.mqtt_options.transport(), Transport::Tls(_));
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
        Packet::ConnAck(welcome) => Some(Heard::Welcome(Welcome {
            session_present: welcome.session_present,
            receive_maximum: None,
            max_packet: None,
            session_expiry_s: None,
        })),
        Packet::Publish(publish) => Some(Heard::Publish(Delivered {
            receipt: Receipt {
                qos: qos(publish.qos),
                id: publish.pkid,
            },
            topic: Bytes::from(publish.topic),
            payload: publish.payload,
            retain: publish.retain,
        })),
        Packet::SubAck(answer) => {
            let granted = answer.return_codes.iter().map(|code| match code {
                SubscribeReasonCode::Success(at) => Granted::At(qos(*at)),
                SubscribeReasonCode::Failure => Granted::Refused,
            });
            Some(Heard::Subscribed(granted.collect()))
        }
        Packet::PubAck(_) => Some(Heard::Landed),
        _ => None,
    }
}

fn failure(error: ConnectionError, tls: bool) -> Failure {
    match error {
        ConnectionError::ConnectionRefused(code) => Failure::refused(refusal(code), &code),
        ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error)) => {
            Failure::of_io(&error, tls)
        }
        ConnectionError::Tls(error) => Failure::slow(format!("TLS failed: {}", in_words(&error))),
        ConnectionError::NetworkTimeout => Failure::soon(format!(
            "the broker did not answer within {CONNECT_TIMEOUT_S} s: is the url right, and TLS where it is \
             spoken?"
        )),
        ConnectionError::MqttState(StateError::ConnectionAborted) => Failure::soon(
            "the broker closed the connection; if it does so again and again, another client may use our client \
             id",
        ),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Failure::soon("the broker is silent: it answers no ping")
        }
        ConnectionError::MqttState(StateError::Deserialization(
            error @ rumqttc::Error::PayloadSizeLimitExceeded(_),
        )) => Failure::slow(format!(
            "the broker sends a message that is larger than [broker] max_packet ({error}), and MQTT 3.1.1 has no \
             word for that: raise it"
        )),
        other => Failure::soon(format!("the connection failed: {}", in_words(&other))),
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            Refusal::Credentials
        }
        ConnectReturnCode::RefusedProtocolVersion => Refusal::Version,
        ConnectReturnCode::BadClientId => Refusal::ClientId,
        ConnectReturnCode::ServiceUnavailable => Refusal::Busy,
        ConnectReturnCode::Success => Refusal::Other,
    }
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String], qos: Qos) -> Result<(), Stuck> {
    let wanted = filters
        .iter()
        .map(|filter| SubscribeFilter::new(filter.clone(), bits(qos)));
    client.try_subscribe_many(wanted).map_err(|_| Stuck)
}

pub(super) fn acknowledge(client: &AsyncClient, receipt: Receipt) -> Result<(), Stuck> {
    let mut publish = Publish::new("", bits(receipt.qos), Vec::new());
    publish.pkid = receipt.id;
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
