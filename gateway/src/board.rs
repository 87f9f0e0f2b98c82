//! The alerts as retained messages, `sluice/<site>/alert/<id>`: the JSON of each that is known, over or not,
//! until it is forgotten. With each, what Home Assistant makes of it.
//!
//! They are made again from the store at every start, so the broker keeps them in memory only.

use std::collections::BTreeMap;

use crate::alert::{AlertId, Written};
use crate::broker::{Fanout, Qos, Submission};
use crate::config::Config;
use crate::homeassistant::Discovery;
use crate::rows::Alert;
use crate::source::Verdict;

/// How alerts are said.
const QOS: Qos = Qos::AtLeastOnce;

/// Says alerts, and remembers what was said last.
#[derive(Debug)]
pub(crate) struct Board {
    prefix: String,
    discovery: Discovery,
    said: BTreeMap<String, Alert>,
}

/// What is different on the board.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// Alerts as they are now.
    pub(crate) alerts: Vec<Alert>,
    /// Those that are forgotten.
    removed: Vec<String>,
}

impl Board {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            prefix: format!("sluice/{}/alert", config.site.id),
            discovery: Discovery::configured(config),
            said: BTreeMap::new(),
        }
    }

    /// What of a turn is different from what was said last.
    pub(crate) fn news(&self, written: &Written) -> News {
        let alerts = written.alerts.iter();
        let alerts = alerts
            .map(|kept| Alert::of(&kept.alert))
            .filter(|alert| self.said.get(&alert.id) != Some(alert));
        News {
            alerts: alerts.collect(),
            removed: written.removed.iter().map(AlertId::to_string).collect(),
        }
    }

    /// The messages that say so.
    pub(crate) fn compose(&self, news: &News, fanout: &Fanout) -> Vec<Submission<Verdict>> {
        compose(&self.messages(news), fanout)
    }

    /// What Home Assistant makes of all that was said, once more: it has come back.
    pub(crate) fn discovered_again(&self, fanout: &Fanout) -> Vec<Submission<Verdict>> {
        let alerts = self.said.values();
        let messages = alerts.flat_map(|alert| self.discovery.news(None, alert));
        compose(&messages.collect::<Vec<_>>(), fanout)
    }

    /// At a start: retains them again, as they are.
    pub(crate) fn retain_again(&mut self, news: News, fanout: &Fanout) {
        let messages = self.messages(&news);
        let held = messages.iter().filter(|(_, payload)| !payload.is_empty());
        let held = held.map(|(topic, payload)| (topic.as_str(), payload.as_slice(), QOS));
        fanout.retain_again(held);
        self.said(news);
    }

    /// They were said.
    pub(crate) fn said(&mut self, news: News) {
        for id in news.removed {
            self.said.remove(&id);
        }
        let alerts = news.alerts.into_iter();
        self.said
            .extend(alerts.map(|alert| (alert.id.clone(), alert)));
    }

    fn messages(&self, news: &News) -> Vec<(String, Vec<u8>)> {
        let topic = |id: &str| format!("{}/{id}", self.prefix);
        let said = news.alerts.iter().flat_map(|alert| {
            let json = serde_json::to_vec(alert).expect("an alert is text and numbers");
            let discovered = self.discovery.news(self.said.get(&alert.id), alert);
            std::iter::once((topic(&alert.id), json)).chain(discovered)
        });
        let removed = news.removed.iter().flat_map(|id| {
            let gone = self.discovery.gone(id).into_iter();
            gone.chain([(topic(id), Vec::new())])
        });
        said.chain(removed).collect()
    }
}

fn compose(messages: &[(String, Vec<u8>)], fanout: &Fanout) -> Vec<Submission<Verdict>> {
    if messages.is_empty() {
        return Vec::new();
    }
    let messages = messages
        .iter()
        .map(|(topic, payload)| (topic.as_str(), payload.as_slice(), QOS, true));
    vec![fanout.compose_derived(messages, Verdict::NotMapped)]
}

impl News {
    /// All that there is, at a start.
    pub(crate) fn all<'a>(alerts: impl Iterator<Item = &'a crate::alert::Alert>) -> Self {
        Self {
            alerts: alerts.map(Alert::of).collect(),
            removed: Vec::new(),
        }
    }
}
