//! Eclipse Paho's Python client, unchanged, against a gateway: both protocol versions, both of its callback
//! APIs, a session that it leaves and comes back to.

mod foreign;
mod house;

use foreign::python;
use house::House;
use serde_json::{Value, json};

/// What one visit must see. MQTT 5 carries properties along, and can say that a publish was refused.
fn expected(version: &str, api: &str) -> Vec<Value> {
    let v5 = version == "5";
    let first = version.chars().next().expect("a version");
    let got = |topic: &str, payload: String, qos: u8| {
        let mut got =
            json!({"did": "get", "topic": topic, "payload": payload, "qos": qos, "retain": false});
        if v5 {
            got["user"] = json!([["room", "bath"]]);
            got["subscription"] = json!([7]);
        }
        got
    };
    let published = |topic: &str, qos: u8, reason: u8| json!({"did": "publish", "topic": topic, "qos": qos, "reason": reason});
    let mut seen = vec![
        json!({"did": "connect", "present": false, "reason": 0}),
        json!({"did": "subscribe", "topic": "sensors/#", "granted": [2]}),
        json!({"did": "connect", "present": false, "reason": 0}),
    ];
    for qos in 0..=2 {
        let hour = qos + 1;
        let payload = format!(
            r#"{{"name": "TH1", "timestamp": "2020-01-0{first} {api}{hour}:00:00", "value": 20.5}}"#
        );
        seen.push(published("sensors/TH1", qos, 0));
        seen.push(got("sensors/TH1", payload, qos));
    }
    let away = [1, 1, 2]; // in this order: Paho hands out QoS 2 when it is released, after the others
    seen.extend(away.map(|qos| published("sensors/away", qos, 0)));
    seen.push(json!({"did": "connect", "present": true, "reason": 0}));
    let waited = away.iter().zip(0..);
    seen.extend(waited.map(|(qos, number)| got("sensors/away", format!("{number}"), *qos)));
    // The callback API 1 has no place for a reason.
    let refused = if v5 && api == "2" { 0x87 } else { 0 };
    seen.push(published("sluice/home/status", 1, refused));
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_served_in_both_versions_and_by_both_of_its_apis() {
    let house = House::with(|config| config.store.commit_delay_qos0_ms = 20).await;
    for version in ["3.1.1", "5"] {
        for api in ["1", "2"] {
            let (host, port) = (house.mqtt.ip().to_string(), house.mqtt.port().to_string());
            let seen = python("paho_visit.py", &[&host, &port, version, api]);
            assert_eq!(
                seen,
                expected(version, api),
                "MQTT {version}, callback API {api}"
            );
        }
    }
    let counters = house.api.counters().await;
    assert_eq!(counters["accepted"], 12, "three readings a visit");
    assert_eq!(counters["dead_letter"], 12, "three words a visit");
    house.stop().await;
}
