//! Notices as ntfy takes them: JSON to the server's root, with a priority that the phone rings by and a button
//! that says "I know".

use serde_json::{Value, json};

use super::{Bundle, words};
use crate::alert::{Notice, Severity, What};

/// ntfy's most buttons on one message.
const BUTTONS: usize = 3;

/// The body of the request.
pub(super) fn message(bundle: &Bundle, topic: &str) -> Value {
    let mut message = json!({
        "topic": topic,
        "title": bundle.title(),
        "message": bundle.message(),
        "priority": priority(bundle.loudness()),
        "tags": tags(bundle),
    });
    if let Some(url) = &bundle.house.ack_url {
        message["click"] = json!(url);
        let firing = bundle.newest.iter().filter(|notice| is_asked(notice));
        let buttons: Vec<Value> = firing
            .take(BUTTONS)
            .map(|notice| button(bundle, notice))
            .collect();
        if !buttons.is_empty() {
            message["actions"] = json!(buttons);
        }
    }
    message
}

/// Somebody is wanted who says "I know".
fn is_asked(notice: &Notice) -> bool {
    words::loudness(notice).is_some()
}

fn button(bundle: &Bundle, notice: &Notice) -> Value {
    let label = match bundle.newest.len() {
        1 => "I know".to_owned(),
        _ => format!("I know: {}", notice.alert.claim.subject),
    };
    json!({
        "action": "http",
        "label": words::shortened(label, words::TITLE_CHARS),
        "url": bundle.house.ack_of(notice),
        "method": "POST",
        "clear": true,
    })
}

/// 1 (silent) to 5 (rings through).
fn priority(loudness: Option<Severity>) -> u8 {
    match loudness {
        None => 2,
        Some(Severity::Info) => 3,
        Some(Severity::Warning) => 4,
        Some(Severity::Critical) => 5,
    }
}

/// The first becomes a picture in front of the title.
fn tags(bundle: &Bundle) -> Vec<String> {
    let picture = match bundle.loudness() {
        Some(Severity::Critical) => "rotating_light",
        Some(Severity::Warning) => "warning",
        Some(Severity::Info) => "information_source",
        None => match bundle.newest.last().map(|notice| notice.what) {
            Some(What::Cleared) => "white_check_mark",
            Some(What::Withdrawn) => "leftwards_arrow_with_hook",
            Some(What::Snoozed) => "zzz",
            Some(
                What::Fired | What::Worsened | What::Repeated | What::Woken | What::Acknowledged,
            )
            | None => "eyes",
        },
    };
    vec![picture.to_owned(), bundle.house.site.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample::{bundle, leak, notice, silent, store_full};

    #[test]
    fn a_leak_rings_and_has_a_button_that_says_i_know() {
        let message = message(&bundle(vec![notice(What::Fired, leak())]), "my-house");
        assert_eq!(
            message,
            json!({
                "topic": "my-house",
                "title": "Leak: 4.8 L/h at Wtot",
                "message": "Water has not stood still at Wtot for 24 hours.\nSo far: 120 L, 0.48 EUR.\nIt began between Sun \
                            22 Nov, 02:00 and Mon 23 Nov, 02:00.\nWhat to do: Close the main valve and see whether \
                            the meter stops.",
                "priority": 4,
                "tags": ["warning", "home"],
                "click": "https://sluice.lan",
                "actions": [{
                    "action": "http",
                    "label": "I know",
                    "url": "https://sluice.lan/api/v1/alerts/persist-Wtot/ack",
                    "method": "POST",
                    "clear": true,
                }],
            })
        );
    }

    #[test]
    fn an_end_neither_rings_nor_asks() {
        for what in [
            What::Cleared,
            What::Withdrawn,
            What::Acknowledged,
            What::Snoozed,
        ] {
            let message = message(&bundle(vec![notice(what, leak())]), "my-house");
            assert_eq!(message["priority"], 2, "{what:?}");
            assert_eq!(message.get("actions"), None, "{what:?}");
        }
    }

    #[test]
    fn a_group_is_as_loud_as_its_worst_and_has_a_button_for_each() {
        let notices = vec![
            notice(What::Fired, store_full()),
            notice(What::Cleared, leak()),
            notice(What::Fired, silent()),
        ];
        let message = message(&bundle(notices), "my-house");
        assert_eq!(message["priority"], 5);
        let labels: Vec<&Value> = message["actions"]
            .as_array()
            .expect("buttons")
            .iter()
            .map(|button| &button["label"])
            .collect();
        assert_eq!(labels, ["I know: store", "I know: TH1"]);
    }

    #[test]
    fn without_a_way_in_there_is_no_button() {
        let mut bundle = bundle(vec![notice(What::Fired, leak())]);
        bundle.house.ack_url = None;
        let message = message(&bundle, "my-house");
        assert_eq!((message.get("actions"), message.get("click")), (None, None));
    }
}
