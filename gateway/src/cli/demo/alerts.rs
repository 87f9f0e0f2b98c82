//! The alerts of a demo, as its public API tells them: a sentence when one is raised or over, and a table at the
//! end. It asks like anybody else does, and sees nothing from inside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use simulator::Scenario;

use super::story::Voice;
use crate::alert::Severity;
use crate::cli::ask::Gateway;
use crate::cli::exit::Outcome;
use crate::cli::table::{Column, Look, dash, printable, table};
use crate::rows::{Alert, Alerts as Listed, Stage, Word, minutes, quantity};

/// How often the API is asked while the demo runs.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Whom to ask, and what was told already.
pub(super) struct Alerts {
    gateway: Gateway,
    told: BTreeMap<String, Word>,
}

impl Alerts {
    pub(super) async fn of(api: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            gateway: Gateway::daemon(api).await?,
            told: BTreeMap::new(),
        })
    }

    async fn ask(&self) -> anyhow::Result<Vec<Alert>> {
        let listed: Listed = self.gateway.get("/api/v1/alerts", &[]).await?;
        Ok(listed.alerts)
    }

    /// Tells of each alert as it is raised and as it ends, for ever.
    pub(super) async fn tell(&mut self, voice: &Voice) {
        loop {
            self.catch_up(voice).await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Tells what there is to tell.
    pub(super) async fn catch_up(&mut self, voice: &Voice) {
        match self.ask().await {
            Ok(alerts) => {
                for line in alerts.iter().filter_map(|alert| self.news(alert)) {
                    voice.line(&line);
                }
            }
            Err(error) => tracing::warn!("the demo's alerts cannot be asked for: {error:#}"),
        }
    }

    /// The sentence that an alert is worth now, if it was not told yet.
    fn news(&mut self, alert: &Alert) -> Option<String> {
        let before = self.told.insert(alert.id.clone(), alert.state.clone());
        if before.as_ref() == Some(&alert.state) {
            return None;
        }
        let what = printable(&alert.title());
        match alert.state.as_ref() {
            "firing" => Some(format!(
                ">>> {}: {what}. {}",
                alert.grade().word().to_uppercase(),
                printable(&alert.text)
            )),
            "cleared" if before.is_some() => Some(format!(">>> over: {what}")),
            "withdrawn" if before.is_some() => Some(format!(">>> taken back: {what}")),
            _ => None,
        }
    }

    /// All of them in a table, with their words below; or that there was no leak.
    pub(super) async fn summary(&self, scenario: &Scenario) -> anyhow::Result<String> {
        let alerts = self.ask().await?;
        Ok(in_words(&alerts, scenario, Look::of_stdout()))
    }
}

fn in_words(alerts: &[Alert], scenario: &Scenario, look: Look) -> String {
    let said: Vec<&Alert> = alerts
        .iter()
        .filter(|a| a.stage() != Stage::Unsaid)
        .collect();
    let leaks = said.iter().filter(|alert| {
        alert.grade() >= Severity::Warning && alert.flow.is_some() && alert.state != "withdrawn"
    });
    let mut text = String::new();
    if leaks.count() == 0 {
        let days = scenario.days;
        let end_ms = scenario.end_ms();
        // One that begins later has not been there to be found.
        text += &if scenario.leaks.iter().all(|leak| leak.from_ms >= end_ms) {
            format!("\nno leak in {days} days\n")
        } else {
            format!("\nthe leak was not found in {days} days\n")
        };
    }
    if said.is_empty() {
        return text;
    }
    let columns = [
        Column::Text("ALERT"),
        Column::Text("STATE"),
        Column::Text("WHERE"),
        Column::Text("SINCE"),
        Column::Number("FLOW"),
        Column::Number("SO FAR"),
        Column::Number("COST"),
    ];
    text += "\nAlerts: what is wrong, and what it comes to\n";
    text += &table(look, &columns, said.iter().map(|alert| row(alert)));
    for alert in said {
        text += &format!(
            "\n{}\n{}\n",
            printable(&alert.text),
            printable(&alert.advice)
        );
    }
    text
}

fn row(alert: &Alert) -> Vec<String> {
    let flow = alert.flow.as_ref();
    let flow = flow.map(|flow| format!("{:.1} {}", flow.best, flow.unit));
    let amount = alert.amount.zip(alert.unit.as_deref());
    let amount = amount.map(|(amount, unit)| quantity(amount, unit));
    let cost = alert.cost.as_ref();
    let cost = cost.map(|cost| format!("{:.2} {}", cost.amount, cost.currency));
    let since = alert.start.as_ref().and_then(|start| start.from);
    vec![
        printable(&alert.title()),
        format!("{}, {}", alert.severity, alert.state),
        alert.location.as_deref().map_or_else(dash, printable),
        minutes(since.unwrap_or(alert.raised)),
        flow.unwrap_or_else(dash),
        amount.unwrap_or_else(dash),
        cost.unwrap_or_else(dash),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn leak(state: &str) -> Alert {
        let row = json!({
            "id": "balance-water", "kind": "balance", "rule": "rise", "state": state, "severity": "warning",
            "subject": "water", "location": "main", "since": "2020-02-21T00:00:00Z", "fired": null,
            "ended": null, "raised": "2020-02-21T00:00:00Z", "episode": 1, "by": null, "snoozed_until": null,
            "normal": false,
            "flow": {"low": 4.2, "best": 5.04, "high": 5.9, "unit": "L/h"},
            "start": {"from": "2020-02-20T00:00:00Z", "until": "2020-02-21T00:00:00Z"},
            "amount": 721.0, "unit": "L", "cost": {"amount": 2.884, "currency": "EUR"},
            "text": "Since Thu 20 Feb more water runs than is used.", "advice": "Close the stopcock.",
        });
        serde_json::from_value(row).expect("a row of the API")
    }

    /// The demo's scenario with one leak, or none.
    fn scenario(leak: &str) -> Scenario {
        let args = crate::cli::demo::DemoArgs {
            days: 56,
            speed: crate::cli::demo::Speed::Max,
            seed: 1,
            leak: Some(leak.to_owned()),
            data: None,
            listen: None,
            exit: true,
        };
        crate::cli::demo::scenario(&args).expect("a leak's SPEC")
    }

    #[test]
    fn a_demo_ends_with_its_leaks_words_and_numbers() {
        let text = in_words(
            &[leak("firing")],
            &scenario(crate::cli::demo::LEAK),
            Look::Plain,
        );
        let expected = "
Alerts: what is wrong, and what it comes to
ALERT        STATE            WHERE  SINCE                    FLOW  SO FAR      COST
Leak: water  warning, firing  main   2020-02-20 00:00 UTC  5.0 L/h   721 L  2.88 EUR

Since Thu 20 Feb more water runs than is used.
Close the stopcock.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_demo_without_a_leak_says_so() {
        let quiet = scenario("none");
        let expected = "\nno leak in 56 days\n";
        assert_eq!(in_words(&[], &quiet, Look::Plain), expected);
        assert_eq!(in_words(&[leak("pending")], &quiet, Look::Plain), expected);
        let text = in_words(&[leak("withdrawn")], &quiet, Look::Plain);
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_leak_that_begins_after_the_end_is_none() {
        let short = Scenario {
            days: 3,
            ..scenario(crate::cli::demo::LEAK)
        };
        assert_eq!(in_words(&[], &short, Look::Plain), "\nno leak in 3 days\n");
    }

    #[test]
    fn a_leak_that_nobody_found_is_not_passed_over() {
        let text = in_words(&[], &scenario(crate::cli::demo::LEAK), Look::Plain);
        assert_eq!(text, "\nthe leak was not found in 56 days\n");
    }

    #[test]
    fn each_turn_of_an_alert_is_told_once() {
        let gateway = || Gateway::Daemon {
            client: reqwest::Client::new(),
            at: SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        let mut alerts = Alerts {
            gateway: gateway(),
            told: BTreeMap::new(),
        };
        let states = [
            "pending",
            "firing",
            "firing",
            "acknowledged",
            "cleared",
            "firing",
        ];
        let told = states.map(|state| alerts.news(&leak(state)));
        let raised = ">>> WARNING: Leak: water. Since Thu 20 Feb more water runs than is used.";
        let expected = [
            None,
            Some(raised),
            None,
            None,
            Some(">>> over: Leak: water"),
            Some(raised),
        ];
        assert_eq!(told.each_ref().map(Option::as_deref), expected);
    }
}
