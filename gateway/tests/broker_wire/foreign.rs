//! A client that others wrote.

use crate::stand::Stand;
use rumqttc::v5;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use std::time::Duration;

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[tokio::test]
async fn rumqttc_speaks_3_1_1_to_it_at_every_qos() {
    let stand = Stand::new().await;
    let options = MqttOptions::new("foreign4", "127.0.0.1", stand.address.port());
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
    for qos in ALL {
        client
            .publish("t/x", qos, false, format!("{qos:?}"))
            .await
            .unwrap();
    }
    let mut got = Vec::new();
    while got.len() < ALL.len() {
        let event = tokio::time::timeout(Duration::from_secs(10), events.poll())
            .await
            .unwrap()
            .unwrap();
        if let Event::Incoming(Packet::Publish(publish)) = event {
            got.push((
                String::from_utf8(publish.payload.to_vec()).unwrap(),
                publish.qos,
            ));
        }
    }
    assert_eq!(got, ALL.map(|qos| (format!("{qos:?}"), qos)));
}

#[tokio::test]
async fn rumqttc_speaks_5_to_it_at_every_qos() {
    use v5::mqttbytes::QoS;
    const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    let stand = Stand::new().await;
    let options = v5::MqttOptions::new("foreign5", "127.0.0.1", stand.address.port());
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    client.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
    for qos in ALL {
        client
            .publish("t/x", qos, false, format!("{qos:?}"))
            .await
            .unwrap();
    }
    let mut got = Vec::new();
    while got.len() < ALL.len() {
        let event = tokio::time::timeout(Duration::from_secs(10), events.poll())
            .await
            .unwrap()
            .unwrap();
        if let v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(publish)) = event {
            got.push((
                String::from_utf8(publish.payload.to_vec()).unwrap(),
                publish.qos,
            ));
        }
    }
    assert_eq!(got, ALL.map(|qos| (format!("{qos:?}"), qos)));
}
