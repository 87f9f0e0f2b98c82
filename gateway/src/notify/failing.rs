//! A channel that does not get through, as something to be told of on the others.

use crate::alert::{AlertId, Claim, Severity};

/// How a channel fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when, ms since 1970 UTC by the gateway's clock.
    pub since_ms: i64,
    /// What failed at the last try, and why.
    pub text: String,
}

/// What is claimed while a channel fails.
#[must_use]
pub fn claim(channel: &str, failing: &Failing) -> Claim {
    let id = AlertId::new("channel-failing", channel);
    Claim {
        kind: "channel_failing".to_owned(),
        rule: String::new(),
        subject: channel.to_owned(),
        severity: Severity::Warning,
        location: None,
        raised_ms: failing.since_ms,
        flow: None,
        start: None,
        amount: None,
        unit: None,
        cost: None,
        text: format!(
            "alerts have not reached the channel {channel} for an hour: {}",
            failing.text
        ),
        advice: format!("mend the channel, and try it with `sluice alert test {channel}`"),
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::notify::sample::{house, notice};
    use crate::notify::words;

    #[test]
    fn a_failing_channel_is_told_of_by_its_name_and_with_what_to_do() {
        let failing = Failing {
            since_ms: 1_795_478_400_000,
            text: "nobody listens there".to_owned(),
        };
        let claim = claim("phone", &failing);
        assert_eq!(claim.id.as_str(), "channel-failing-phone");
        let notice = notice(What::Fired, claim);
        assert_eq!(
            words::one_title(&notice, &house()),
            "Channel failing: phone"
        );
        let message = words::one_message(&notice, &house());
        assert!(message.contains("sluice alert test phone"), "{message}");
    }
}
