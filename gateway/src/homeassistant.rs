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

use std::collections::BTreeMap;

use crate::alert::{Alert, AlertId};
use entity::{Button, Entity, Platform, Sensor};

/// Where Home Assistant says that it is there, on the broker that it uses.
pub const BIRTH_TOPIC: &str = "homeassistant/status";
/// What it says there.
pub const BIRTH: &[u8] = b"online";

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

/// What is said of the alerts there are. Holds two messages of less than 2 KiB for each, so its bound is
/// the alerts'.
#[derive(Debug)]
pub struct Discovery {
    gateway: Gateway,
    speech: Speech,
    said: BTreeMap<String, Vec<u8>>,
}

impl Discovery {
    /// Nothing said yet.
    #[must_use]
    pub fn new(gateway: Gateway, speech: Speech) -> Self {
        Self {
            gateway,
            speech,
            said: BTreeMap::new(),
        }
    }

    /// What is to be said because of an alert as it is now; nothing where it was said already. Goes out after the
    /// alert's own message, so that the new entity finds its state.
    #[must_use]
    pub fn hear(&mut self, alert: &Alert) -> Vec<Retained> {
        let [sensor, button] = match self.speech {
            Speech::Said => self.entities(alert),
            Speech::TakenBack => self
                .topics(&alert.claim.id)
                .map(|topic| (topic, Vec::new())),
        };
        let is_news = |(topic, text): &Retained| self.said.get(topic) != Some(text);
        let news: Vec<Retained> = [sensor, button].into_iter().filter(is_news).collect();
        self.said.extend(news.iter().cloned());
        news
    }

    /// What is to be said because an alert is forgotten. Goes out before the alert's own message is taken away,
    /// or its entity would read nothing.
    #[must_use]
    pub fn forget(&mut self, id: &AlertId) -> Vec<Retained> {
        let topics = self.topics(id).into_iter();
        let known = topics.filter(|topic| self.said.remove(topic).is_some());
        known.map(|topic| (topic, Vec::new())).collect()
    }

    /// Everything that holds, once more: Home Assistant has come back.
    pub fn again(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.said
            .iter()
            .map(|(topic, text)| (topic.as_str(), text.as_slice()))
    }

    fn topics(&self, id: &AlertId) -> [String; 2] {
        [Platform::BinarySensor, Platform::Button]
            .map(|platform| object::config_topic(platform.word(), &self.gateway.site, id))
    }

    fn entities(&self, alert: &Alert) -> [Retained; 2] {
        let entity = Entity::of(&self.gateway, alert);
        let [sensor, button] = self.topics(&alert.claim.id);
        [
            (sensor, json(&Sensor::of(&entity))),
            (button, json(&Button::of(&entity))),
        ]
    }
}

fn json(entity: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(entity).expect("an entity is text throughout")
}

#[cfg(test)]
mod tests;
