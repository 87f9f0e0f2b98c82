//! What is retained below `homeassistant/`, as Home Assistant's documentation wants it.

use super::*;
use serde_json::{Value, json};

fn alert(kind: &str, subject: &str, unit: Option<&str>) -> Alert {
    let flow = unit.map(|unit| json!({"low": 4.0, "best": 5.0, "high": 6.0, "unit": unit}));
    let row = json!({
        "id": format!("{kind}-{subject}"), "kind": kind, "rule": "", "state": "firing", "severity": "warning",
        "subject": subject, "location": null, "since": "2020-02-21T00:00:00Z",
        "fired": "2020-02-21T00:00:00Z", "ended": null, "raised": "2020-02-21T00:00:00Z", "episode": 1,
        "flow": flow, "start": null, "amount": null, "unit": null, "cost": null, "text": "Water runs",
        "advice": "Close the stopcock", "by": null, "snoozed_until": null, "normal": false,
    });
    serde_json::from_value(row).expect("an alert")
}

fn discovery(speech: Speech) -> Discovery {
    let gateway = Gateway {
        site: "home".to_owned(),
        version: "1.2.3".to_owned(),
        page: Some("http://192.0.2.7:8080/".to_owned()),
    };
    Discovery::new(gateway, speech)
}

/// Topics, and what is retained there; `null` where it is taken away.
fn read(said: impl IntoIterator<Item = Retained>) -> Vec<(String, Value)> {
    let value = |text: Vec<u8>| match text.as_slice() {
        b"" => Value::Null,
        json => serde_json::from_slice(json).expect("JSON"),
    };
    said.into_iter()
        .map(|(topic, text)| (topic, value(text)))
        .collect()
}

fn fields(alert: &Alert) -> [Value; 2] {
    let said = read(discovery(Speech::Said).of(alert));
    let fields: Vec<_> = said.into_iter().map(|(_, json)| json).collect();
    fields.try_into().expect("a sensor and a button")
}

#[test]
fn a_leak_is_a_sensor_that_follows_the_alert_and_a_button_that_acknowledges_it() {
    let said = read(discovery(Speech::Said).of(&alert("balance", "water", Some("L/h"))));
    let device = json!({
        "identifiers": ["sluice-home"], "name": "Sluice home", "manufacturer": "Sluice",
        "model": "MQTT edge gateway", "sw_version": "1.2.3", "configuration_url": "http://192.0.2.7:8080/",
    });
    let origin = json!({"name": "Sluice", "sw_version": "1.2.3"});
    let sensor = json!({
        "name": "Leak: water",
        "unique_id": "sluice:home:balance-water:alert",
        "default_entity_id": "binary_sensor.sluice_home_balance_water",
        "device_class": "moisture",
        "state_topic": "sluice/home/alert/balance-water",
        "value_template":
            "{{ 'ON' if value_json.state in ['firing', 'acknowledged', 'snoozed'] else 'OFF' }}",
        "json_attributes_topic": "sluice/home/alert/balance-water",
        "availability": [{"topic": "sluice/home/status"}],
        "qos": 1,
        "device": device,
        "origin": origin,
    });
    let button = json!({
        "name": "Acknowledge Leak: water",
        "unique_id": "sluice:home:balance-water:ack",
        "default_entity_id": "button.sluice_home_balance_water_ack",
        "icon": "mdi:check",
        "command_topic": "sluice/home/alert/balance-water/ack",
        "payload_press": "{\"by\":\"Home Assistant\"}",
        "availability": [
            {"topic": "sluice/home/status"},
            {"topic": "sluice/home/alert/balance-water",
             "value_template": "{{ 'online' if value_json.state in ['firing', 'snoozed'] else 'offline' }}"},
        ],
        "availability_mode": "all",
        "qos": 1,
        "retain": false,
        "device": device,
        "origin": origin,
    });
    let topic = |platform| format!("homeassistant/{platform}/sluice-home/balance-water/config");
    assert_eq!(
        said,
        [(topic("binary_sensor"), sensor), (topic("button"), button)]
    );
}

#[test]
fn water_is_moisture_and_anything_else_a_problem() {
    for (kind, subject, unit, class) in [
        ("persist", "Wtot", Some("L/h"), "moisture"),
        ("balance", "energy", Some("W"), "problem"),
        ("silent", "TH1", None, "problem"),
        ("flag", "cellar", None, "moisture"),
        ("store_full", "store", None, "problem"),
    ] {
        let [sensor, _] = fields(&alert(kind, subject, unit));
        assert_eq!(sensor["device_class"], class, "{kind}");
    }
}

#[test]
fn what_an_alert_comes_to_is_told_by_its_own_message_and_no_entity_is_described_twice() {
    let discovery = discovery(Speech::Said);
    let leak = alert("balance", "water", Some("L/h"));
    assert_eq!(discovery.news(None, &leak), discovery.of(&leak));
    let mut known = leak.clone();
    known.state = "acknowledged".into();
    known.text = "Water still runs".to_owned();
    assert_eq!(discovery.news(Some(&leak), &known), []);
}

#[test]
fn a_forgotten_alert_takes_its_entities_with_it() {
    let discovery = discovery(Speech::Said);
    let topics = |said: [Retained; 2]| said.map(|(topic, _)| topic);
    let gone = discovery.gone("balance-water");
    assert!(gone.iter().all(|(_, text)| text.is_empty()), "{gone:?}");
    let leak = alert("balance", "water", Some("L/h"));
    assert_eq!(topics(gone), topics(discovery.of(&leak)));
}

#[test]
fn switched_off_it_takes_back_what_an_earlier_start_has_said() {
    let said = read(discovery(Speech::TakenBack).of(&alert("balance", "water", Some("L/h"))));
    assert!(said.iter().all(|(_, json)| json.is_null()), "{said:?}");
}
