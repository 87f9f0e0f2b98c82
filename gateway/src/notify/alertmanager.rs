//! Notices as Alertmanager tells a webhook (version 4), for whoever has receivers for that already.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Bundle, House, fingerprint, words};
use crate::alert::{Notice, State};
use crate::rows::when::Moment;

/// What Alertmanager writes where something has not ended: Go's zero time.
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";

type Labels = BTreeMap<&'static str, String>;

/// The body of a webhook's request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: String,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: String,
    alerts: Vec<Told>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// What a webhook of this name is told.
pub(super) fn message(bundle: &Bundle, receiver: &str) -> Message {
    let house = &bundle.house;
    let alerts: Vec<Told> = bundle
        .newest
        .iter()
        .map(|notice| told(notice, house))
        .collect();
    let is_firing = alerts.iter().any(|alert| alert.status == "firing");
    Message {
        version: "4",
        group_key: format!("{{}}:{{site=\"{}\"}}", house.site),
        truncated_alerts: 0,
        status: if is_firing { "firing" } else { "resolved" },
        receiver: receiver.to_owned(),
        group_labels: Labels::from([("site", house.site.clone())]),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        external_url: house.ack_url.clone().unwrap_or_default(),
        alerts,
    }
}

/// Whether it goes on, in Alertmanager's words.
pub(super) fn status(state: State) -> &'static str {
    match state {
        State::Pending | State::Firing | State::Acknowledged | State::Snoozed => "firing",
        State::Cleared | State::Withdrawn => "resolved",
    }
}

fn told(notice: &Notice, house: &House) -> Told {
    let alert = &notice.alert;
    let status = status(notice.what.state());
    let started_ms = alert.fired_ms.unwrap_or(alert.since_ms);
    let ended_ms = alert.ended_ms.unwrap_or(notice.at_ms);
    Told {
        status,
        labels: labels(notice, house),
        annotations: annotations(notice, house),
        starts_at: Moment::from_ms(started_ms).to_string(),
        ends_at: match status {
            "firing" => NOT_ENDED.to_owned(),
            _ => Moment::from_ms(ended_ms).to_string(),
        },
        generator_url: house.ack_url.clone().unwrap_or_default(),
        fingerprint: fingerprint(&format!("{}/{}", house.site, alert.claim.id), 8),
    }
}

/// What routes go by.
pub(super) fn labels(notice: &Notice, house: &House) -> Labels {
    let claim = &notice.alert.claim;
    let mut labels = Labels::from([
        ("alertname", claim.kind.clone()),
        ("alert", claim.id.to_string()),
        ("severity", severity(notice).to_owned()),
        ("site", house.site.clone()),
        ("subject", claim.subject.clone()),
    ]);
    if let Some(location) = &claim.location {
        labels.insert("location", location.clone());
    }
    labels
}

/// What people read.
pub(super) fn annotations(notice: &Notice, house: &House) -> Labels {
    let claim = &notice.alert.claim;
    let texts = [
        ("summary", Some(words::one_title(notice, house))),
        ("description", Some(words::one_message(notice, house))),
        ("advice", Some(claim.advice.clone())),
        ("rule", Some(claim.rule.clone())),
        ("flow", words::flow(claim)),
        ("total", words::total(claim)),
        ("by", notice.by.clone()),
        ("ack_url", house.ack_of(notice)),
    ];
    let written = |(name, text): (_, Option<String>)| Some((name, text?));
    let texts = texts.into_iter().filter_map(written);
    texts.filter(|(_, text)| !text.is_empty()).collect()
}

pub(super) fn severity(notice: &Notice) -> &'static str {
    use crate::alert::Severity;
    match notice.alert.claim.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// What all of them say.
fn common<'l>(mut all: impl Iterator<Item = &'l Labels>) -> Labels {
    let mut common = all.next().cloned().unwrap_or_default();
    for labels in all {
        common.retain(|name, text| labels.get(name) == Some(text));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::notify::sample::{bundle, leak, notice, silent};
    use serde_json::json;

    #[test]
    fn a_webhook_is_told_as_alertmanager_does() {
        let message = message(&bundle(vec![notice(What::Fired, leak())]), "hall");
        let labels = json!({
            "alertname": "persist",
            "alert": "persist-Wtot",
            "severity": "warning",
            "site": "home",
            "subject": "Wtot",
            "location": "main",
        });
        let annotations = json!({
            "summary": "Leak: 4.8 L/h at Wtot",
            "description": "Water has not stood still at Wtot for 24 hours.\nSo far: 120 L, 0.48 EUR.\nIt began between \
                            Sun 22 Nov, 02:00 and Mon 23 Nov, 02:00.\nWhat to do: Close the main valve and see \
                            whether the meter stops.",
            "advice": "close the main valve and see whether the meter stops",
            "rule": "24 h > 0.5 L/h",
            "flow": "4.8 L/h",
            "total": "120 L, 0.48 EUR",
            "ack_url": "https://sluice.lan/api/v1/alerts/persist-Wtot/ack",
        });
        assert_eq!(
            serde_json::to_value(message).expect("text throughout"),
            json!({
                "version": "4",
                "groupKey": "{}:{site=\"home\"}",
                "truncatedAlerts": 0,
                "status": "firing",
                "receiver": "hall",
                "groupLabels": { "site": "home" },
                "commonLabels": labels,
                "commonAnnotations": annotations,
                "externalURL": "https://sluice.lan",
                "alerts": [{
                    "status": "firing",
                    "labels": labels,
                    "annotations": annotations,
                    "startsAt": "2026-11-24T00:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "https://sluice.lan",
                    "fingerprint": fingerprint("home/persist-Wtot", 8),
                }],
            })
        );
    }

    #[test]
    fn a_group_is_resolved_when_all_of_it_is() {
        let status = |whats: [What; 2]| {
            let notices = vec![notice(whats[0], leak()), notice(whats[1], silent())];
            let message = message(&bundle(notices), "hall");
            let each: Vec<&str> = message.alerts.iter().map(|alert| alert.status).collect();
            (message.status, each.join(" "), message.common_labels.len())
        };
        let (all, each, common) = status([What::Cleared, What::Acknowledged]);
        assert_eq!((all, &*each), ("firing", "resolved firing"));
        assert_eq!(common, 1, "they share their site alone");
        let (all, each, _) = status([What::Cleared, What::Withdrawn]);
        assert_eq!((all, &*each), ("resolved", "resolved resolved"));
    }

    #[test]
    fn what_has_ended_says_when_and_keeps_its_fingerprint() {
        let one = |what| {
            let message = message(&bundle(vec![notice(what, leak())]), "hall");
            let mut alerts = message.alerts;
            alerts.remove(0)
        };
        let (fired, cleared) = (one(What::Fired), one(What::Cleared));
        assert_eq!(cleared.ends_at, "2026-11-24T02:00:00Z");
        assert_eq!(cleared.starts_at, fired.starts_at);
        assert_eq!(cleared.fingerprint, fired.fingerprint);
        assert_eq!(fired.fingerprint.len(), 16);
    }
}
