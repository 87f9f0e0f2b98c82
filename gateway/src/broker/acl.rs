//! The topics that are the gateway's own. No client publishes there, whatever its user may do, but for two: the
//! acknowledgement of an alert, and the one where Home Assistant says that it is there, which is its will, too.

use crate::alert::AlertId;
use crate::homeassistant::BIRTH_TOPIC;

/// The rule for one site.
#[derive(Clone, Debug)]
pub(crate) struct OwnTopics {
    /// `sluice/<site>/alert/`.
    alerts: String,
}

impl OwnTopics {
    pub(crate) fn of_site(site: &str) -> Self {
        Self {
            alerts: format!("sluice/{site}/alert/"),
        }
    }

    /// Whether a client may publish to `topic`.
    pub(crate) fn may_publish(&self, topic: &str) -> bool {
        match topic.split_once('/') {
            Some(("sluice", _)) => self.acknowledged(topic).is_some(),
            Some(("homeassistant", _)) => topic == BIRTH_TOPIC,
            Some(("$SYS" | "$share", _)) => false,
            // Other topics with a $ are anybody's, as with mosquitto; no source reads them.
            Some((_, _)) => true,
            None => topic != "$SYS" && topic != "$share",
        }
    }

    /// The alert that a message on `topic` acknowledges; it need not be one that exists.
    pub(crate) fn acknowledged(&self, topic: &str) -> Option<AlertId> {
        let id = topic.strip_prefix(&self.alerts)?.strip_suffix("/ack")?;
        let is_one = !id.is_empty() && !id.contains('/');
        is_one.then(|| AlertId::from_text(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_keep_out_of_the_gateways_topics_but_acknowledge_alerts() {
        let own = OwnTopics::of_site("home");
        for allowed in [
            "sensors/TH1",
            "sluicegate/x",
            "sluice/home/alert/7f/ack",
            "homeassistant/status",
            "Öl/x",
            "sluice",
            "$x",
            "$x/y",
        ] {
            assert!(own.may_publish(allowed), "{allowed}");
        }
        for denied in [
            "sluice/home/status",
            "sluice/home/alert/7f",
            "sluice/home/alert//ack",
            "sluice/home/alert/a/b/ack",
            "sluice/other/alert/7f/ack",
            "homeassistant/sensor/x/config",
            "homeassistant/status/x",
            "$SYS",
            "$SYS/broker/uptime",
            "$share/g/t",
        ] {
            assert!(!own.may_publish(denied), "{denied}");
        }
    }
}
