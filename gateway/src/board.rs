//! The alerts as retained messages, `sluice/<site>/alert/<id>`: one for each that is there, none for
//! those that are over. And each change of one, to those who watch.
//!
//! They are made again at every start, so the broker keeps them in memory only.

use std::collections::BTreeMap;

use crate::broker::{Fanout, Qos};
use crate::rows::{Alert, Word};
use crate::source::Verdict;
use crate::web::live::{Feed, LiveEvent};

/// Says alerts, and remembers what was said last.
pub(crate) struct Board {
    prefix: String,
    fanout: Fanout,
    feed: Feed,
    said: BTreeMap<String, Alert>,
}

impl Board {
    pub(crate) fn new(site: &str, fanout: Fanout, feed: Feed) -> Self {
        Self {
            prefix: format!("sluice/{site}/alert"),
            fanout,
            feed,
            said: BTreeMap::new(),
        }
    }

    /// Says what is different from the last time.
    pub(crate) fn show(&mut self, alerts: Vec<Alert>) {
        let now: BTreeMap<String, Alert> = alerts
            .into_iter()
            .map(|alert| (alert.id.clone(), alert))
            .collect();
        let over = self.said.iter().filter(|(id, _)| !now.contains_key(*id));
        for (id, alert) in over {
            self.retain(id, b"");
            let cleared = Alert {
                state: Word::Borrowed("cleared"),
                ..alert.clone()
            };
            self.feed.publish([LiveEvent::Alert(json(&cleared))]);
        }
        let is_news = |id: &str, alert: &Alert| self.said.get(id) != Some(alert);
        for (id, alert) in now.iter().filter(|(id, alert)| is_news(id, alert)) {
            let json = json(alert);
            self.retain(id, json.to_string().as_bytes());
            self.feed.publish([LiveEvent::Alert(json)]);
        }
        self.said = now;
    }

    fn retain(&self, id: &str, payload: &[u8]) {
        let topic = format!("{}/{id}", self.prefix);
        let message = (topic.as_str(), payload, Qos::AtLeastOnce, true);
        self.fanout
            .committed(self.fanout.compose_derived([message], Verdict::NotMapped));
    }
}

fn json(alert: &Alert) -> serde_json::Value {
    serde_json::to_value(alert).expect("an alert is text throughout")
}
