//! The alerts on the page: a banner for each that is open, with what a person can answer; below, the ones that
//! are over. Plain forms: it needs no script.

use std::fmt::{self, Write as _};

use super::Escaped;
use crate::rows::{Alert, Stage};

/// Alerts that are over and shown still; `sluice alerts` lists all.
const OVER_SHOWN: usize = 8;
/// What a snooze's form sends along.
const A_DAY: &str = "<input type=\"hidden\" name=\"for\" value=\"1d\">";

/// Open ones, the worst first, then the newest; those that are over, the last to end first. A pending one is
/// not shown: it was not said.
pub(super) fn write(out: &mut String, alerts: &[Alert]) -> fmt::Result {
    let mut open: Vec<&Alert> = alerts.iter().filter(|a| a.stage() == Stage::Open).collect();
    open.sort_by_key(|alert| std::cmp::Reverse((alert.grade(), alert.raised)));
    let mut over: Vec<&Alert> = alerts.iter().filter(|a| a.stage() == Stage::Over).collect();
    over.sort_by_key(|alert| std::cmp::Reverse((alert.ended, alert.raised)));
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

fn banner(out: &mut String, alert: &Alert) -> fmt::Result {
    let severity = alert.grade().word();
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
        ("ack", "Acknowledge", ""),
        ("snooze", "Snooze 1 day", A_DAY),
        ("normal", "This was normal", ""),
    ];
    let is_known = alert.state == "acknowledged";
    for (path, words, field) in answers.into_iter().skip(usize::from(is_known)) {
        writeln!(
            out,
            "<form class=\"{path}\" method=\"post\" action=\"/api/v1/alerts/{}/{path}\">{field}<button>{words}</button></form>",
            Escaped(&alert.id)
        )?;
    }
    out.write_str("</div>\n</article>\n")
}

fn ended(out: &mut String, alert: &Alert) -> fmt::Result {
    let how = if alert.normal {
        "this was normal"
    } else if alert.state == "withdrawn" {
        "taken back by late readings"
    } else {
        "over"
    };
    writeln!(
        out,
        "<li><strong>{}</strong>: {how}. Since {}. {}</li>",
        Escaped(&alert.title()),
        alert.beginning(),
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
            "fired": "2020-02-21T00:00:00Z", "ended": null, "raised": "2020-02-21T00:00:00Z", "episode": 1,
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
        let rows = rows.into_iter().map(serde_json::from_value);
        let alerts: Vec<Alert> = rows.collect::<Result<_, _>>().expect("rows of the API");
        write(&mut out, &alerts).expect("a String takes all");
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
            "action=\"/api/v1/alerts/balance-water/ack\"><button>Acknowledge</button>",
            "action=\"/api/v1/alerts/balance-water/snooze\"><input type=\"hidden\" name=\"for\" value=\"1d\"><button>Snooze 1 day</button>",
            "action=\"/api/v1/alerts/balance-water/normal\"><button>This was normal</button>",
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
            html.contains("over. Since between 2020-02-20 00:00 UTC and 2020-02-21 00:00 UTC. 121 L, 0.48 EUR."),
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
        let bare = json!({
            "id": "store-full", "kind": "store_full", "severity": "critical", "subject": "store", "location": null,
            "start": null, "flow": null, "amount": null, "unit": null, "cost": null, "text": "The disk is full",
        });
        let html = page(vec![with(leak("firing"), &bare)]);
        assert!(html.contains("Store full</h2>"), "{html}");
        assert!(!html.contains("<dt>Flow"), "{html}");
    }
}
