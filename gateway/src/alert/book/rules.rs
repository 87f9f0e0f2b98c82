//! What a site wants of its alerts: when they are said again, and who hears of which.

use crate::alert::{Notice, Severity, What};
use crate::config;

/// What is configured of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// When what nobody answers is said again, ms after it was said; ascending.
    repeat_ms: Vec<i64>,
    receivers: Vec<Receiver>,
}

/// A channel that notices are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// What it is called, in the outbox too.
    pub name: String,
    /// The least severe alert that it hears of.
    pub min_severity: Severity,
}

impl Rules {
    /// These repeats, in ms after an alert was said, and these channels.
    #[must_use]
    pub fn new(mut repeat_ms: Vec<i64>, receivers: Vec<Receiver>) -> Self {
        repeat_ms.sort_unstable();
        repeat_ms.dedup();
        Self {
            repeat_ms,
            receivers,
        }
    }

    /// As `[alert]` has them. What is retained on the broker is no channel: it waits for nobody.
    #[must_use]
    pub fn of(alert: &config::Alert) -> Self {
        Self::new(alert.repeat_ms.clone(), receivers(&alert.channels))
    }

    /// The channels.
    #[must_use]
    pub fn receivers(&self) -> &[Receiver] {
        &self.receivers
    }

    /// How many repeats are due `after_ms` milliseconds.
    pub(super) fn repeats_after(&self, after_ms: i64) -> u32 {
        let due = self.repeat_ms.iter().take_while(|&&at| at <= after_ms);
        u32::try_from(due.count()).unwrap_or(u32::MAX)
    }

    /// When the repeat after `said` others is due, in ms; `None`: there are no more.
    pub(super) fn repeat_at(&self, said: u32) -> Option<i64> {
        self.repeat_ms.get(usize::try_from(said).ok()?).copied()
    }

    /// Whom this notice goes to, of an episode that `told` have heard of.
    pub(super) fn route<'a>(
        &'a self,
        notice: &Notice,
        told: &[String],
    ) -> impl Iterator<Item = &'a str> {
        let severity = notice.alert.claim.severity;
        let hears = move |receiver: &&Receiver| match notice.what {
            What::Fired | What::Worsened | What::Repeated | What::Woken => {
                receiver.min_severity <= severity
            }
            // Who has not heard that it began does not want to hear that it is over.
            What::Acknowledged | What::Snoozed | What::Cleared | What::Withdrawn => {
                told.contains(&receiver.name)
            }
        };
        let hearing: Vec<&Receiver> = self.receivers.iter().filter(hears).collect();
        hearing.into_iter().map(|receiver| receiver.name.as_str())
    }
}

/// The broker has every alert by itself.
fn receivers(channels: &[config::Channel]) -> Vec<Receiver> {
    let sent_to = channels
        .iter()
        .filter(|channel| channel.kind() != config::ChannelKind::Mqtt);
    let receiver = |channel: &config::Channel| Receiver {
        name: channel.name.clone(),
        min_severity: match channel.min_severity {
            config::Severity::Info => Severity::Info,
            config::Severity::Warning => Severity::Warning,
            config::Severity::Critical => Severity::Critical,
        },
    };
    sent_to.map(receiver).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_name_of_its_own_and_the_broker_is_none() {
        let channel = |of: &str| format!("[[alert.channel]]\n{of}\n");
        let ntfy = channel("type = \"ntfy\"\ntopic = \"h\"");
        let (mqtt, webhook) = (
            channel("type = \"mqtt\""),
            channel("type = \"webhook\"\nurl = \"http://h\""),
        );
        let text = [&*ntfy, &mqtt, &webhook, &ntfy].concat();
        let config = config::Config::parse(&text, "sluice.toml").expect("it is valid");
        let receivers = receivers(&config.alert.channels);
        let names: Vec<&str> = receivers.iter().map(|receiver| &*receiver.name).collect();
        assert_eq!(names, ["ntfy", "webhook", "ntfy-2"]);
    }

    #[test]
    fn repeats_are_counted_from_when_it_was_said() {
        let rules = Rules::new(vec![360, 60, 60], Vec::new());
        let due: Vec<u32> = [59, 60, 359, 360, 9_999]
            .map(|after| rules.repeats_after(after))
            .to_vec();
        assert_eq!(due, [0, 1, 1, 2, 2]);
        assert_eq!(
            [0, 1, 2].map(|said| rules.repeat_at(said)),
            [Some(60), Some(360), None]
        );
    }
}
