//! Home Assistant's discovery: what to retain below `homeassistant/`, so that each alert is an entity there, with a
//! button that acknowledges it, without a line of configuration.
//!
//! A topic an entity, because alerts come and go: one that is forgotten takes its two topics with it, and
//! nothing else of the gateway's device. Pure: it composes, and others publish.
//!
//! The fields are those of <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>; the entity's
//! id is asked for with `default_entity_id`, since `object_id` is refused from 2026.4 on.

mod entity;
mod object;

use crate::config::Config;
use crate::rows::Alert;
use entity::{Button, Entity, Platform, Sensor};

/// Where Home Assistant says that it is there, on the broker that it uses.
pub const BIRTH_TOPIC: &str = "homeassistant/status";
/// What it says there.
pub const BIRTH: &[u8] = b"online";

/// The state of an alert that was not said, and may never be.
const UNSAID: &str = "pending";

/// A retained message: its topic, and what it says; nothing where it is to go.
pub type Retained = (String, Vec<u8>);

/// What is called a gateway there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The site's id.
    pub site: String,
    /// The gateway's version.
    pub version: String,
    /// The address of its page, where others than this machine can open it.
    pub page: Option<String>,
}

/// Whether anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Each alert is an entity.
    Said,
    /// None is, and what another start has said is taken back.
    TakenBack,
}

/// What a site says of its alerts.
#[derive(Clone, Debug)]
pub struct Discovery {
    gateway: Gateway,
    speech: Speech,
}

impl Discovery {
    /// Of this gateway.
    #[must_use]
    pub fn new(gateway: Gateway, speech: Speech) -> Self {
        Self { gateway, speech }
    }

    /// As it is configured.
    #[must_use]
    pub fn configured(config: &Config) -> Self {
        let listen = config.web.listen;
        // The page of a phone's own loopback is not ours, and where everywhere is nobody knows.
        let is_elsewhere = !listen.ip().is_loopback() && !listen.ip().is_unspecified();
        let speech = if config.homeassistant.discovery {
            Speech::Said
        } else {
            Speech::TakenBack
        };
        let gateway = Gateway {
            site: config.site.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            page: is_elsewhere.then(|| format!("http://{listen}/")),
        };
        Self::new(gateway, speech)
    }

    /// What is retained for an alert.
    #[must_use]
    pub fn of(&self, alert: &Alert) -> [Retained; 2] {
        match self.speech {
            Speech::Said => {
                let entity = Entity::of(&self.gateway, alert);
                let [sensor, button] = self.topics(&alert.id);
                [
                    (sensor, json(&Sensor::of(&entity))),
                    (button, json(&Button::of(&entity))),
                ]
            }
            Speech::TakenBack => self.gone(&alert.id),
        }
    }

    /// What is different now that an alert is this and was `before`: nothing for one that was not said yet. Goes
    /// out after the alert's own message, so that a new entity finds its state.
    #[must_use]
    pub fn news(&self, before: Option<&Alert>, now: &Alert) -> Vec<Retained> {
        if now.state == UNSAID {
            return Vec::new();
        }
        let before = before.filter(|before| before.state != UNSAID);
        let before = before.map(|before| self.of(before));
        let is_news = |said: &Retained| !before.iter().flatten().any(|before| before == said);
        self.of(now).into_iter().filter(is_news).collect()
    }

    /// What is to be said because an alert is forgotten. Goes out before the alert's own message is taken away, or
    /// its entity would read nothing.
    #[must_use]
    pub fn gone(&self, id: &str) -> [Retained; 2] {
        self.topics(id).map(|topic| (topic, Vec::new()))
    }

    fn topics(&self, id: &str) -> [String; 2] {
        [Platform::BinarySensor, Platform::Button]
            .map(|platform| object::config_topic(platform.word(), &self.gateway.site, id))
    }
}

fn json(entity: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(entity).expect("an entity is text throughout")
}

#[cfg(test)]
mod tests;
