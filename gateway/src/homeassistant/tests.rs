//! What is retained below `homeassistant/`, as Home Assistant's documentation wants it.

use super::*;
use crate::alert::{Claim, Flow, Severity, State};
use serde_json::{Value, json};

fn alert(kind: &str, subject: &str, unit: Option<&str>) -> Alert {
    Alert {
        claim: Claim {
            id: AlertId::new(kind, subject),
            kind: kind.to_owned(),
            rule: String::new(),
            subject: subject.to_owned(),
            severity: Severity::Warning,
            location: None,
            raised_ms: 0,
            flow: unit.map(|unit| Flow {
                low: 4.0,
                best: 5.0,
                high: 6.0,
                unit: unit.to_owned(),
            }),
            start: None,
            amount: None,
            unit: None,
            cost: None,
            text: "Water runs".to_owned(),
            advice: "Close the stopcock".to_owned(),
        },
        state: State::Firing,
        episode: 1,
        notices: 1,
        since_ms: 0,
        fired_ms: Some(0),
        ended_ms: None,
        by: None,
        acted_ms: None,
        snoozed_until_ms: None,
        repeats: 0,
        normal: false,
    }
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
fn read(said: Vec<Retained>) -> Vec<(String, Value)> {
    let value = |text: Vec<u8>| match text.as_slice() {
        b"" => Value::Null,
        json => serde_json::from_slice(json).expect("JSON"),
    };
    said.into_iter()
        .map(|(topic, text)| (topic, value(text)))
        .collect()
}

fn fields(alert: &Alert) -> [Value; 2] {
    let said = read(discovery(Speech::Said).hear(alert));
    let fields: Vec<_> = said.into_iter().map(|(_, json)| json).collect();
    fields.try_into().expect("a sensor and a button")
}

#[test]
fn a_leak_is_a_sensor_that_follows_the_alert_and_a_button_that_acknowledges_it() {
    let said = read(discovery(Speech::Said).hear(&alert("balance", "water", Some("L/h"))));
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
fn nothing_is_said_twice_but_when_home_assistant_comes_back() {
    let mut discovery = discovery(Speech::Said);
    let mut leak = alert("balance", "water", Some("L/h"));
    let first = discovery.hear(&leak);
    assert_eq!(first.len(), 2);
    leak.state = State::Acknowledged;
    leak.claim.text = "Water still runs".to_owned();
    assert_eq!(
        discovery.hear(&leak),
        [],
        "its state is told by its own message"
    );
    let again = discovery.again();
    let again: Vec<_> = again
        .map(|(topic, text)| (topic.to_owned(), text.to_vec()))
        .collect();
    assert_eq!(again, first);
}

#[test]
fn a_forgotten_alert_takes_its_entities_with_it_and_no_others() {
    let mut discovery = discovery(Speech::Said);
    drop(discovery.hear(&alert("balance", "water", Some("L/h"))));
    let kept = discovery.hear(&alert("silent", "TH1", None));
    let gone = read(discovery.forget(&AlertId::new("balance", "water")));
    let topic = |platform| format!("homeassistant/{platform}/sluice-home/balance-water/config");
    let expected = [topic("binary_sensor"), topic("button")].map(|topic| (topic, Value::Null));
    assert_eq!(gone, expected);
    let left: Vec<_> = discovery.again().map(|(topic, _)| topic).collect();
    let kept: Vec<_> = kept.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(left, kept);
    assert_eq!(discovery.forget(&AlertId::new("balance", "water")), []);
}

#[test]
fn switched_off_it_takes_back_what_an_earlier_start_has_said() {
    let mut discovery = discovery(Speech::TakenBack);
    let said = read(discovery.hear(&alert("balance", "water", Some("L/h"))));
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|(_, json)| json.is_null()), "{said:?}");
}
