//! The alerts on the page: a banner for each that is open, with what a person can answer; below, the ones that
//! are over. Plain forms: it needs no script.

use std::fmt::{self, Write as _};

use super::Escaped;
use crate::alert::State;
use crate::rows::{Shown, Stage, minutes};
use crate::web::reading::Unreadable;

/// Alerts that are over and shown still; `sluice alerts` lists all.
const OVER_SHOWN: usize = 8;

/// Reads them out of the API's rows.
pub(super) fn read(rows: Vec<serde_json::Value>) -> Result<Vec<Shown>, Unreadable> {
    let rows = rows.into_iter().map(serde_json::from_value);
    rows.collect::<Result<_, _>>()
        .map_err(|error| Unreadable::new("the alerts", error))
}

/// Open ones, the worst first, then the newest; those that are over, the last to end first. A pending one is
/// not shown: it was not said.
pub(super) fn write(out: &mut String, alerts: &[Shown]) -> fmt::Result {
    let mut open: Vec<&Shown> = alerts.iter().filter(|a| a.stage() == Stage::Open).collect();
    open.sort_by(|a, b| (b.severity, b.since).cmp(&(a.severity, a.since)));
    let mut over: Vec<&Shown> = alerts.iter().filter(|a| a.stage() == Stage::Over).collect();
    over.sort_by_key(|alert| std::cmp::Reverse((alert.ended, alert.since)));
    if open.is_empty() {
        out.write_str("<p class=\"well\">No alerts.</p>\n")?;
    }
    for alert in open {
        banner(out, alert)?;
    }
    if over.is_empty() {
        return Ok(());
    }
    out.write_str("<section class=\"over\">\n<h2>Over</h2>\n<ul>\n")?;
    for alert in over.into_iter().take(OVER_SHOWN) {
        ended(out, alert)?;
    }
    out.write_str("</ul>\n</section>\n")
}

fn banner(out: &mut String, alert: &Shown) -> fmt::Result {
    let severity = alert.severity.word();
    write!(
        out,
        "<article class=\"alert {severity}\">\n<h2><span class=\"severity\">{severity}</span> {}</h2>\n<p>{}</p>\n<dl>\n",
        Escaped(&alert.title()),
        Escaped(&alert.text),
    )?;
    for (what, value) in alert.facts() {
        writeln!(
            out,
            "<div><dt>{what}</dt><dd>{}</dd></div>",
            Escaped(&value)
        )?;
    }
    writeln!(
        out,
        "</dl>\n<p class=\"advice\">{}</p>",
        Escaped(&alert.advice)
    )?;
    if let Some(answer) = alert.answered() {
        writeln!(out, "<p class=\"answer\">{}</p>", Escaped(&answer))?;
    }
    out.write_str("<div class=\"answers\">\n")?;
    let answers = [
        ("ack", "Acknowledge", alert.state != State::Acknowledged),
        ("snooze", "Snooze 1 day", true),
        ("normal", "This was normal", true),
    ];
    for (path, words, _) in answers.into_iter().filter(|(_, _, is_offered)| *is_offered) {
        writeln!(
            out,
            "<form method=\"post\" action=\"/alerts/{}/{path}\"><button>{words}</button></form>",
            Escaped(&alert.id)
        )?;
    }
    out.write_str("</div>\n</article>\n")
}

fn ended(out: &mut String, alert: &Shown) -> fmt::Result {
    let how = match (alert.state, alert.normal) {
        (_, true) => "normal",
        (State::Withdrawn, false) => "taken back by late readings",
        (
            State::Cleared | State::Pending | State::Firing | State::Acknowledged | State::Snoozed,
            false,
        ) => "over",
    };
    let until = alert
        .ended
        .map_or_else(String::new, |ended| format!(" to {}", minutes(ended)));
    writeln!(
        out,
        "<li><strong>{}</strong> {}{until}, {how}. {}</li>",
        Escaped(&alert.title()),
        minutes(alert.since),
        Escaped(&alert.came_to()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn leak(state: &str) -> Value {
        json!({
            "id": "balance-water", "kind": "balance", "rule": "rise", "state": state, "severity": "warning",
            "subject": "water", "location": "main", "since": "2020-02-21T00:00:00Z",
            "fired": "2020-02-21T00:00:00Z", "ended": null, "episode": 1,
            "flow": {"low": 4.2, "best": 5.04, "high": 5.9, "unit": "L/h"},
            "start": {"from": "2020-02-20T00:00:00Z", "until": "2020-02-21T00:00:00Z"},
            "amount": 121.0, "unit": "L", "cost": {"amount": 0.484, "currency": "EUR"},
            "text": "Water runs <off>", "advice": "Close the stopcock", "by": null, "snoozed_until": null,
            "normal": false,
        })
    }

    fn with(mut row: Value, fields: &Value) -> Value {
        for (key, value) in fields.as_object().expect("fields") {
            row[key] = value.clone();
        }
        row
    }

    fn page(rows: Vec<Value>) -> String {
        let mut out = String::new();
        write(&mut out, &read(rows).expect("rows of the API")).expect("a String takes all");
        out
    }

    #[test]
    fn a_leak_says_what_where_since_how_much_and_what_to_do_and_can_be_answered() {
        let html = page(vec![leak("firing")]);
        for part in [
            "<article class=\"alert warning\">",
            "Leak: water</h2>",
            "<p>Water runs &lt;off&gt;</p>",
            "<dt>Where</dt><dd>main</dd>",
            "<dt>Since</dt><dd>between 2020-02-20 00:00 UTC and 2020-02-21 00:00 UTC</dd>",
            "<dt>Flow</dt><dd>5.0 L/h (4.2 to 5.9)</dd>",
            "<dt>So far</dt><dd>121 L</dd>",
            "<dt>Cost so far</dt><dd>0.48 EUR</dd>",
            "<p class=\"advice\">Close the stopcock</p>",
            "action=\"/alerts/balance-water/ack\"><button>Acknowledge</button>",
            "action=\"/alerts/balance-water/snooze\"><button>Snooze 1 day</button>",
            "action=\"/alerts/balance-water/normal\"><button>This was normal</button>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }

    #[test]
    fn what_was_answered_says_by_whom_and_is_not_acknowledged_again() {
        let known = json!({"by": "Anna"});
        let html = page(vec![with(leak("acknowledged"), &known)]);
        assert!(html.contains("Acknowledged by Anna."), "{html}");
        assert!(!html.contains("/ack\""), "{html}");
        let later = json!({"by": "Anna", "snoozed_until": "2020-02-22T08:00:00Z"});
        let html = page(vec![with(leak("snoozed"), &later)]);
        assert!(
            html.contains("Snoozed by Anna until 2020-02-22 08:00 UTC."),
            "{html}"
        );
        assert!(html.contains("/ack\""), "{html}");
    }

    #[test]
    fn what_is_over_is_a_line_and_what_was_never_said_is_none() {
        let over = json!({"ended": "2020-02-23T00:00:00Z"});
        let html = page(vec![with(leak("cleared"), &over), leak("pending")]);
        assert!(
            html.starts_with("<p class=\"well\">No alerts.</p>"),
            "{html}"
        );
        assert_eq!(html.matches("<li>").count(), 1, "{html}");
        assert!(
            html.contains("to 2020-02-23 00:00 UTC, over. 121 L, 0.48 EUR."),
            "{html}"
        );
        assert!(!html.contains("<form"), "{html}");
        assert!(!page(Vec::new()).contains("Over"));
    }

    #[test]
    fn the_worst_comes_first() {
        let burst = json!({"id": "flag-cellar", "severity": "critical"});
        let html = page(vec![leak("firing"), with(leak("firing"), &burst)]);
        let place = |text: &str| html.find(text).expect("it is there");
        assert!(place("flag-cellar") < place("balance-water"), "{html}");
    }

    #[test]
    fn an_alert_of_the_gateway_itself_needs_neither_flow_nor_place() {
        let html = page(vec![json!({
            "id": "store-full", "kind": "store_full", "state": "firing", "severity": "critical",
            "subject": "store", "since": "2020-02-21T00:00:00Z", "text": "The disk is full", "advice": "Make room",
        })]);
        assert!(html.contains("Store full</h2>"), "{html}");
        assert!(!html.contains("<dt>Flow"), "{html}");
    }
}
