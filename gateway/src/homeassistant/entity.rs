//! An alert as Home Assistant's two entities: a binary sensor that is on while it holds, and the button that says
//! "I know".

use serde::Serialize;

use super::{Gateway, object};
use crate::rows::Alert;

/// The states of an alert that holds, whatever somebody said of it; as `state` of its JSON says them.
const ON: &str =
    "{{ 'ON' if value_json.state in ['firing', 'acknowledged', 'snoozed'] else 'OFF' }}";
/// There is something to acknowledge.
const MAY_ACKNOWLEDGE: &str =
    "{{ 'online' if value_json.state in ['firing', 'snoozed'] else 'offline' }}";
/// Who acknowledges with the button.
const BY: &str = r#"{"by":"Home Assistant"}"#;
const QOS: u8 = 1;

/// What sort of entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    BinarySensor,
    Button,
}

impl Platform {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::BinarySensor => "binary_sensor",
            Self::Button => "button",
        }
    }
}

/// What both entities of an alert have in common.
pub(super) struct Entity<'a> {
    gateway: &'a Gateway,
    id: &'a str,
    name: String,
    class: Class,
    /// Where the alert is retained.
    state: String,
}

/// Home Assistant's word for what is sensed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Class {
    /// Water where none should be.
    Moisture,
    /// Anything else. Silence too: `connectivity` would be on while all is well, and an alert is on while it is not.
    Problem,
}

impl Class {
    fn of(alert: &Alert) -> Self {
        // A device's own words, but for a pipe that has run dry.
        let is_wet = alert.kind == "flag" && alert.rule != "dry";
        if alert.is_of_water() || is_wet {
            Self::Moisture
        } else {
            Self::Problem
        }
    }
}

impl<'a> Entity<'a> {
    pub(super) fn of(gateway: &'a Gateway, alert: &'a Alert) -> Self {
        Self {
            gateway,
            id: &alert.id,
            name: alert.title(),
            class: Class::of(alert),
            state: format!("sluice/{}/alert/{}", gateway.site, alert.id),
        }
    }

    fn status(&self) -> Availability {
        Availability {
            topic: format!("sluice/{}/status", self.gateway.site),
            value_template: None,
        }
    }

    fn device(&self) -> Device<'_> {
        let Gateway {
            site,
            version,
            page,
        } = self.gateway;
        Device {
            identifiers: [format!("sluice-{site}")],
            name: format!("Sluice {site}"),
            manufacturer: "Sluice",
            model: "MQTT edge gateway",
            sw_version: version,
            configuration_url: page.as_deref(),
        }
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            name: "Sluice",
            sw_version: &self.gateway.version,
        }
    }
}

/// `binary_sensor`
#[derive(Serialize)]
pub(super) struct Sensor<'a> {
    name: &'a str,
    unique_id: String,
    default_entity_id: String,
    device_class: Class,
    state_topic: &'a str,
    value_template: &'static str,
    json_attributes_topic: &'a str,
    availability: [Availability; 1],
    qos: u8,
    device: Device<'a>,
    origin: Origin<'a>,
}

impl<'a> Sensor<'a> {
    pub(super) fn of(entity: &'a Entity<'_>) -> Self {
        let (site, id) = (&entity.gateway.site, entity.id);
        Self {
            name: &entity.name,
            unique_id: object::unique_id(site, id, "alert"),
            default_entity_id: object::entity_id(Platform::BinarySensor.word(), site, id, ""),
            device_class: entity.class,
            state_topic: &entity.state,
            value_template: ON,
            json_attributes_topic: &entity.state,
            availability: [entity.status()],
            qos: QOS,
            device: entity.device(),
            origin: entity.origin(),
        }
    }
}

/// `button`
#[derive(Serialize)]
pub(super) struct Button<'a> {
    name: String,
    unique_id: String,
    default_entity_id: String,
    icon: &'static str,
    command_topic: String,
    payload_press: &'static str,
    availability: [Availability; 2],
    availability_mode: &'static str,
    qos: u8,
    /// A retained one would be pressed again for whoever comes later.
    retain: bool,
    device: Device<'a>,
    origin: Origin<'a>,
}

impl<'a> Button<'a> {
    pub(super) fn of(entity: &'a Entity<'_>) -> Self {
        let (site, id) = (&entity.gateway.site, entity.id);
        let open = Availability {
            topic: entity.state.clone(),
            value_template: Some(MAY_ACKNOWLEDGE),
        };
        Self {
            name: format!("Acknowledge {}", entity.name),
            unique_id: object::unique_id(site, id, "ack"),
            default_entity_id: object::entity_id(Platform::Button.word(), site, id, "_ack"),
            icon: "mdi:check",
            command_topic: format!("{}/ack", entity.state),
            payload_press: BY,
            availability: [entity.status(), open],
            availability_mode: "all",
            qos: QOS,
            retain: false,
            device: entity.device(),
            origin: entity.origin(),
        }
    }
}

/// A topic that says whether an entity can be used: `online` or `offline`.
#[derive(Serialize)]
struct Availability {
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_template: Option<&'static str>,
}

#[derive(Serialize)]
struct Device<'a> {
    identifiers: [String; 1],
    name: String,
    manufacturer: &'static str,
    model: &'static str,
    sw_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Origin<'a> {
    name: &'static str,
    sw_version: &'a str,
}
