//! Notices to send where nothing happened: the one of `sluice alert test`, and those of tests.

use crate::alert::{Alert, AlertId, Claim, Notice, Severity, State, What};

/// A notice that says that it is only a test. `salt` makes its key another one each time, so that no
/// receiver takes it for one that it has.
#[must_use]
pub(crate) fn trial(site: &str, now_ms: i64, salt: u32) -> Notice {
    let claim = Claim {
        id: AlertId::new("test", site),
        kind: "test".to_owned(),
        rule: String::new(),
        subject: site.to_owned(),
        severity: Severity::Info,
        location: None,
        raised_ms: now_ms,
        flow: None,
        start: None,
        amount: None,
        unit: None,
        cost: None,
        text: "this is a test: alerts of this house reach you here".to_owned(),
        advice: "nothing; it was asked for with `sluice alert test`".to_owned(),
    };
    Notice {
        seq: 0,
        what: What::Fired,
        at_ms: now_ms,
        by: None,
        alert: Alert {
            claim,
            state: State::Firing,
            episode: salt,
            notices: 1,
            since_ms: now_ms,
            fired_ms: Some(now_ms),
            ended_ms: None,
            by: None,
            acted_ms: None,
            snoozed_until_ms: None,
            repeats: 0,
            normal: false,
        },
    }
}

#[cfg(test)]
pub(crate) use tests::{bundle, house, leak, notice, silent, store_full};

#[cfg(test)]
mod tests {
    use super::trial;
    use crate::alert::{AlertId, Claim, Cost, Flow, Notice, Severity, Start, What};
    use crate::notify::{Bundle, House};

    const HOUR_MS: i64 = 3_600_000;
    /// 2026-11-24 00:00 UTC, 02:00 in Athens.
    const NOW_MS: i64 = 1_795_478_400_000;

    pub(crate) fn house() -> House {
        House {
            site: "home".to_owned(),
            zone: chrono_tz::Europe::Athens,
            ack_url: Some("https://sluice.lan".to_owned()),
        }
    }

    pub(crate) fn leak() -> Claim {
        Claim {
            id: AlertId::new("persist", "Wtot"),
            kind: "persist".to_owned(),
            rule: "24 h > 0.5 L/h".to_owned(),
            subject: "Wtot".to_owned(),
            severity: Severity::Warning,
            location: Some("main".to_owned()),
            raised_ms: NOW_MS,
            flow: Some(Flow {
                low: 4.5,
                best: 4.81,
                high: 5.1,
                unit: "L/h".to_owned(),
            }),
            start: Some(Start {
                from_ms: Some(NOW_MS - 48 * HOUR_MS),
                until_ms: NOW_MS - 24 * HOUR_MS,
            }),
            amount: Some(120.2),
            unit: Some("L".to_owned()),
            cost: Some(Cost {
                amount: 0.481,
                currency: "EUR".to_owned(),
            }),
            text: "water has not stood still at Wtot for 24 hours".to_owned(),
            advice: "close the main valve and see whether the meter stops".to_owned(),
        }
    }

    pub(crate) fn silent() -> Claim {
        Claim {
            id: AlertId::new("silent", "TH1"),
            kind: "silent".to_owned(),
            subject: "TH1".to_owned(),
            severity: Severity::Info,
            text: "TH1 has said nothing for 2 hours".to_owned(),
            advice: "look at its battery".to_owned(),
            ..trial("home", NOW_MS, 1).alert.claim
        }
    }

    pub(crate) fn store_full() -> Claim {
        Claim {
            id: AlertId::from_text("store-full"),
            kind: "store_full".to_owned(),
            subject: "store".to_owned(),
            severity: Severity::Critical,
            ..trial("home", NOW_MS, 1).alert.claim
        }
    }

    /// Something that happened to an alert of this claim, with all that may be known then.
    pub(crate) fn notice(what: What, claim: Claim) -> Notice {
        let mut notice = trial("home", NOW_MS, 1);
        notice.seq = 7;
        notice.what = what;
        notice.alert.claim = claim;
        notice.alert.state = what.state();
        match what {
            What::Fired | What::Worsened | What::Repeated | What::Woken => {}
            What::Acknowledged => notice.by = Some("Ann".to_owned()),
            What::Snoozed => {
                notice.by = Some("Ann".to_owned());
                notice.alert.snoozed_until_ms = Some(NOW_MS + 24 * HOUR_MS);
            }
            What::Cleared | What::Withdrawn => {
                notice.alert.by = Some("Ann".to_owned());
                notice.alert.ended_ms = Some(NOW_MS + 2 * HOUR_MS);
                notice.at_ms = NOW_MS + 2 * HOUR_MS;
            }
        }
        notice
    }

    pub(crate) fn bundle(notices: Vec<Notice>) -> Bundle {
        Bundle::new(notices, house())
    }
}
