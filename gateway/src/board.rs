//! The alerts as retained messages, `sluice/<site>/alert/<id>`: the JSON of each that is known, over or not,
//! until it is forgotten. And each change of one, to those who watch.
//!
//! They are made again from the store at every start, so the broker keeps them in memory only.

use std::collections::BTreeMap;

use crate::alert::{AlertId, Written};
use crate::broker::{Fanout, Qos, Submission};
use crate::rows::Alert;
use crate::source::Verdict;

/// How alerts are said.
const QOS: Qos = Qos::AtLeastOnce;

/// Says alerts, and remembers what was said last.
#[derive(Debug)]
pub(crate) struct Board {
    prefix: String,
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
    pub(crate) fn new(site: &str) -> Self {
        Self {
            prefix: format!("sluice/{site}/alert"),
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
        let messages = self.messages(news);
        if messages.is_empty() {
            return Vec::new();
        }
        let messages = messages
            .iter()
            .map(|(topic, payload)| (topic.as_str(), payload.as_slice(), QOS, true));
        vec![fanout.compose_derived(messages, Verdict::NotMapped)]
    }

    /// At a start: retains them again, as they are.
    pub(crate) fn retain_again(&mut self, news: News, fanout: &Fanout) {
        let messages = self.messages(&news);
        let messages = messages
            .iter()
            .map(|(topic, payload)| (topic.as_str(), payload.as_slice(), QOS));
        fanout.retain_again(messages);
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
        let said = news.alerts.iter().map(|alert| {
            let json = serde_json::to_vec(alert).expect("an alert is text and numbers");
            (topic(&alert.id), json)
        });
        let removed = news.removed.iter().map(|id| (topic(id), Vec::new()));
        said.chain(removed).collect()
    }
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
