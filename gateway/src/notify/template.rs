//! Bodies from templates: those of the presets, and the user's. What a template writes between braces is JSON by
//! itself, quotes and all, so that no name and no text can break out of its place.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::alertmanager::{self, severity};
use super::{Bundle, House, sample, words};
use crate::alert::{Cost, Flow, Notice, Severity};
use crate::config::NamedFile;
use crate::rows::when::Moment;

/// The largest template, bytes.
pub(super) const LARGEST: u64 = 64 << 10;
/// The largest body that a template makes, bytes.
const LARGEST_BODY: usize = 256 << 10;
/// Steps that a template may take: a loop that never ends is cut here.
const FUEL: u64 = 200_000;

/// Why a template makes no body.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read the template {}", file.path.display())]
    Unreadable {
        /// The file.
        file: NamedFile,
        /// Why.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error("{name}: {what}")]
    Wrong {
        /// The template's file.
        name: String,
        /// What is wrong, where.
        what: String,
    },
}

/// What a template knows.
#[derive(Debug, Serialize)]
pub(super) struct Known<'k> {
    /// What tells it from every other message.
    key: &'k str,
    site: &'k str,
    channel: &'k str,
    /// `firing`, or `resolved` where all of it is over.
    status: &'static str,
    /// 0: an end, or something that is known; 1 to 3: info, warning, critical.
    loudness: u8,
    title: String,
    message: String,
    /// `[alert] ack_url`
    url: Option<&'k str>,
    alerts: Vec<One>,
    /// The preset's `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'k str>,
    /// Of presets alone, whose services want it in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'k str>,
}

#[derive(Debug, Serialize)]
struct One {
    id: String,
    kind: String,
    rule: String,
    what: crate::alert::What,
    state: crate::alert::State,
    status: &'static str,
    severity: &'static str,
    subject: String,
    location: Option<String>,
    title: String,
    message: String,
    text: String,
    advice: String,
    at: String,
    since: String,
    fired: Option<String>,
    ended: Option<String>,
    by: Option<String>,
    flow: Option<Flow>,
    amount: Option<f64>,
    unit: Option<String>,
    cost: Option<Cost>,
    episode: u32,
    labels: std::collections::BTreeMap<&'static str, String>,
    annotations: std::collections::BTreeMap<&'static str, String>,
    ack_url: Option<String>,
}

impl<'k> Known<'k> {
    pub(super) fn of(bundle: &'k Bundle, channel: &'k str) -> Self {
        let house = &bundle.house;
        let alerts: Vec<One> = bundle
            .newest
            .iter()
            .map(|notice| one(notice, house))
            .collect();
        let is_firing = alerts.iter().any(|alert| alert.status == "firing");
        Self {
            key: &bundle.key,
            site: &house.site,
            channel,
            status: if is_firing { "firing" } else { "resolved" },
            loudness: match bundle.loudness() {
                None => 0,
                Some(Severity::Info) => 1,
                Some(Severity::Warning) => 2,
                Some(Severity::Critical) => 3,
            },
            title: bundle.title(),
            message: bundle.message(),
            url: house.ack_url.as_deref(),
            alerts,
            to: None,
            token: None,
        }
    }

    pub(super) fn to(self, to: &'k str) -> Self {
        let to = Some(to);
        Self { to, ..self }
    }

    pub(super) fn with_token(self, token: &'k str) -> Self {
        let token = Some(token);
        Self { token, ..self }
    }
}

fn one(notice: &Notice, house: &House) -> One {
    let alert = &notice.alert;
    let claim = &alert.claim;
    let time = |ms| Moment::from_ms(ms).to_string();
    One {
        id: claim.id.to_string(),
        kind: claim.kind.clone(),
        rule: claim.rule.clone(),
        what: notice.what,
        state: alert.state,
        status: alertmanager::status(notice.what.state()),
        severity: severity(notice),
        subject: claim.subject.clone(),
        location: claim.location.clone(),
        title: words::one_title(notice, house),
        message: words::one_message(notice, house),
        text: claim.text.clone(),
        advice: claim.advice.clone(),
        at: time(notice.at_ms),
        since: time(alert.since_ms),
        fired: alert.fired_ms.map(time),
        ended: alert.ended_ms.map(time),
        by: notice.by.clone(),
        flow: claim.flow.clone(),
        amount: claim.amount,
        unit: claim.unit.clone(),
        cost: claim.cost.clone(),
        episode: alert.episode,
        labels: alertmanager::labels(notice, house),
        annotations: alertmanager::annotations(notice, house),
        ack_url: house.ack_of(notice),
    }
}

/// The body that a template makes of it: JSON, or the template is wrong.
pub(super) fn render(
    name: &str,
    template: &str,
    known: &Known<'_>,
) -> Result<Vec<u8>, TemplateError> {
    let wrong = |what: String| TemplateError::Wrong {
        name: name.to_owned(),
        what,
    };
    let rendered = environment()
        .render_named_str(name, template, Serde(known))
        .map_err(|error| wrong(told(&error)))?;
    if rendered.len() > LARGEST_BODY {
        return Err(wrong("makes more than 256 KiB; say less".to_owned()));
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&rendered) {
        return Err(wrong(format!(
            "what it makes is not JSON: line {} column {} of it: write values as {{{{ title }}}}, without quotes \
             around them",
            error.line(),
            error.column()
        )));
    }
    Ok(rendered.into_bytes())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// What is wrong, without the values that it was wrong with.
fn told(error: &minijinja::Error) -> String {
    let line = error
        .line()
        .map_or_else(String::new, |line| format!("line {line}: "));
    let detail = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it never ends".to_owned(),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    };
    format!("{line}{detail}")
}

/// Reads a template. Waits for the disk.
pub(super) fn read(file: &NamedFile) -> Result<String, TemplateError> {
    use std::io::Read;
    let unreadable = |source| TemplateError::Unreadable {
        file: file.clone(),
        source,
    };
    let open = std::fs::File::open(&file.path).map_err(unreadable)?;
    let mut text = String::new();
    let length = open
        .take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if length as u64 > LARGEST {
        return Err(TemplateError::Wrong {
            name: file.path.display().to_string(),
            what: "is larger than 64 KiB".to_owned(),
        });
    }
    Ok(text)
}

/// Whether the template in a file makes a body, tried with a notice of a test.
///
/// # Errors
/// It cannot be read, or makes none.
pub fn check(file: &NamedFile, house: House) -> Result<(), TemplateError> {
    let text = read(file)?;
    let site = house.site.clone();
    let bundle = Bundle::new(vec![sample::trial(&site, 0, 1)], house);
    let name = file.path.display().to_string();
    render(&name, &text, &Known::of(&bundle, "check")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::notify::sample::{bundle, leak, notice};
    use serde_json::json;

    fn made(template: &str) -> Result<serde_json::Value, String> {
        let mut claim = leak();
        claim.text = "he said \"no\\n\"\n</script> ü {{ key }}".to_owned();
        let bundle = bundle(vec![notice(What::Fired, claim)]);
        let known = Known::of(&bundle, "hook");
        let body = render("hook.json", template, &known).map_err(|error| error.to_string())?;
        Ok(serde_json::from_slice(&body).expect("it was checked"))
    }

    #[test]
    fn what_a_template_writes_is_json_whatever_a_name_holds() {
        let template = r#"{"text": {{ title ~ " in " ~ site }}, "why": {{ alerts[0].text }}, "n": {{ loudness }},
            "all": [{% for a in alerts %}{{ a.labels }}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
        assert_eq!(
            made(template),
            Ok(json!({
                "text": "Leak: 4.8 L/h at Wtot in home",
                "why": "he said \"no\\n\"\n</script> ü {{ key }}",
                "n": 2,
                "all": [{
                    "alert": "persist-Wtot", "alertname": "persist", "location": "main",
                    "severity": "warning", "site": "home", "subject": "Wtot",
                }],
            }))
        );
    }

    #[test]
    fn a_template_that_is_wrong_says_where() {
        let wrong = |template| made(template).expect_err("it is wrong");
        assert_eq!(
            wrong("{\n\"a\": {{ titel }}}"),
            "hook.json: line 2: undefined value"
        );
        assert!(wrong("{{ title").starts_with("hook.json: line 1: syntax error"));
        assert_eq!(
            wrong(r#"{"a": "{{ title }}"}"#),
            "hook.json: what it makes is not JSON: line 1 column 9 of it: write values as {{ title }}, without quotes \
             around them"
        );
        assert_eq!(
            wrong(
                "{% for a in range(10000) %}{% for b in range(10000) %}{{ b }}{% endfor %}{% endfor %}"
            ),
            "hook.json: line 1: it never ends"
        );
        assert!(wrong("{{ token }}").contains("undefined"));
    }

    #[test]
    fn every_template_and_every_channel_of_the_documentation_works() {
        let text = include_str!("../../../docs/ALERTS.md");
        let blocks = |language: &str| -> Vec<&str> {
            let opening = format!("```{language}\n");
            let blocks = text.split(&opening).skip(1);
            blocks.filter_map(|rest| rest.split("```").next()).collect()
        };
        let templates = blocks("jinja");
        assert_eq!(templates.len(), 2);
        for template in templates {
            assert_eq!(made(template).err(), None, "{template}");
        }
        let examples = blocks("toml");
        assert_eq!(examples.len(), 8);
        for example in examples {
            let text = format!("{example}\n[[source]]\ntopic = \"s/#\"");
            let config = crate::config::Config::parse(&text, "ALERTS.md");
            let warnings = config.map(|config| config.warnings);
            assert_eq!(warnings, Ok(Vec::new()), "{example}");
        }
    }
}
