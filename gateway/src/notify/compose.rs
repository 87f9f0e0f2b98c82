//! From what happened to what is sent: a request or a mail. Pure; files were read before.

use super::Bundle;
use super::alertmanager;
use super::chart::Days;
use super::mail::{self, Mail};
use super::ntfy;
use super::preset;
use super::secret::Secret;
use super::template::{Known, TemplateError, render};
use crate::config::{Address, Channel, Method, Receiver, Server};

/// A request to a receiver; its body may hold a token, so it cannot be shown.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Secret,
    pub(super) headers: Vec<(&'static str, Secret)>,
    /// Headers as they were configured.
    pub(super) more: Vec<(String, Secret)>,
    pub(super) body: Vec<u8>,
}

/// What was read for a channel.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The token or the password.
    pub(super) token: Option<Secret>,
    /// The URL, where it is a secret.
    pub(super) url: Option<Secret>,
    /// The user's template.
    pub(super) template: Option<String>,
    /// What the subject's days were.
    pub(super) days: Option<Days>,
}

impl Read {
    /// Takes its secrets out of a text.
    pub(super) fn hide_in(&self, text: String) -> String {
        let secrets = [&self.token, &self.url].into_iter().flatten();
        secrets.fold(text, |text, secret| secret.hide_in(&text))
    }
}

/// What is sent.
pub(super) enum Outgoing {
    Request(Request),
    Mail(Box<Mail>),
    /// Whoever reads our broker has it already.
    Nothing,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("cannot write the mail: {0}")]
    Mail(String),
}

/// What a channel is sent.
pub(super) fn compose(
    channel: &Channel,
    bundle: &Bundle,
    read: &Read,
) -> Result<Outgoing, ComposeError> {
    let known = || Known::of(bundle, &channel.name);
    let token = read.token.as_ref();
    let exposed = token.map(Secret::expose).unwrap_or_default();
    let request = match &channel.receiver {
        Receiver::Mqtt => return Ok(Outgoing::Nothing),
        Receiver::Email(email) => {
            let days = read.days.as_ref();
            let mail = mail::compose(email, bundle, days).map_err(ComposeError::Mail)?;
            return Ok(Outgoing::Mail(Box::new(mail)));
        }
        Receiver::Ntfy { server, topic } => Request {
            body: ntfy::message(bundle, topic).to_string().into_bytes(),
            ..request(server, read, bundle, "/").bearing(token)
        },
        Receiver::Webhook {
            server,
            method,
            headers,
            template,
        } => {
            let body = match (template, &read.template) {
                (Some(file), Some(text)) => {
                    render(&file.path.display().to_string(), text, &known())?
                }
                (None, _) | (_, None) => {
                    serde_json::to_vec(&alertmanager::message(bundle, &channel.name))
                        .expect("text throughout")
                }
            };
            let more = headers.iter().cloned();
            Request {
                method: *method,
                more: more.map(|(name, text)| (name, Secret::new(text))).collect(),
                body,
                ..request(server, read, bundle, "").bearing(token)
            }
        }
        Receiver::Telegram { server, chat } => Request {
            body: render("telegram", preset::TELEGRAM, &known().to(chat))?,
            ..request(server, read, bundle, &format!("/bot{exposed}/sendMessage"))
        },
        Receiver::Gotify { server } => {
            let mut request = request(server, read, bundle, "/message");
            let key = token.cloned();
            request
                .headers
                .extend(key.map(|token| ("x-gotify-key", token)));
            request.body = render("gotify", preset::GOTIFY, &known())?;
            request
        }
        Receiver::Pushover { server, user } => {
            let known = known().to(user).with_token(exposed);
            Request {
                body: render("pushover", preset::PUSHOVER, &known)?,
                ..request(server, read, bundle, "/1/messages.json")
            }
        }
    };
    Ok(Outgoing::Request(request))
}

/// A request without a body, to a path below the server's URL.
fn request(server: &Server, read: &Read, bundle: &Bundle, path: &str) -> Request {
    let base = match (&server.address, &read.url) {
        (_, Some(url)) => url.expose(),
        (Address::Url(url), None) => url,
        // What is in the file is always read first.
        (Address::File(_), None) => "",
    };
    let url = if path.is_empty() {
        base.to_owned()
    } else {
        format!("{}{path}", base.trim_end_matches('/'))
    };
    Request {
        method: Method::Post,
        url: Secret::new(url),
        headers: vec![
            ("content-type", Secret::new("application/json")),
            ("idempotency-key", Secret::new(bundle.key())),
        ],
        more: Vec::new(),
        body: Vec::new(),
    }
}

impl Request {
    fn bearing(mut self, token: Option<&Secret>) -> Self {
        let bearer = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        self.headers
            .extend(bearer.map(|bearer| ("authorization", bearer)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::config::Config;
    use crate::notify::sample::{bundle, leak, notice};
    use serde_json::{Value, json};

    fn channel(keys: &str) -> Channel {
        let text = format!("[[source]]\ntopic = \"s/#\"\n[[alert.channel]]\n{keys}");
        let config = Config::parse(&text, "sluice.toml").expect("a valid configuration");
        config.alert.channels[0].clone()
    }

    fn request(keys: &str, what: What) -> (Request, Value) {
        let read = Read {
            token: Some(Secret::new("tk_1")),
            ..Read::default()
        };
        let bundle = bundle(vec![notice(what, leak())]);
        let outgoing = compose(&channel(keys), &bundle, &read);
        let Outgoing::Request(request) = outgoing.expect("it can be composed") else {
            panic!("{keys} is HTTP");
        };
        let body = serde_json::from_slice(&request.body).expect("JSON");
        (request, body)
    }

    fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
        let mut headers = request.headers.iter();
        let found = headers.find(|(other, _)| *other == name);
        found.map(|(_, text)| text.expose())
    }

    const GOTIFY: &str =
        "type = \"gotify\"\nurl = \"https://gotify.lan/push/\"\ntoken_file = \"t\"";

    #[test]
    fn gotify_gets_its_message_and_its_key() {
        let (request, body) = request(GOTIFY, What::Fired);
        assert_eq!(request.url.expose(), "https://gotify.lan/push/message");
        assert_eq!(header(&request, "x-gotify-key"), Some("tk_1"));
        assert_eq!(
            header(&request, "idempotency-key"),
            Some("home/persist-Wtot/1/1")
        );
        assert_eq!(body["title"], "Leak: 4.8 L/h at Wtot");
        assert_eq!(body["priority"], 6);
        assert_eq!(
            body["extras"]["client::notification"]["click"]["url"],
            "https://sluice.lan"
        );
    }

    #[test]
    fn telegram_has_its_token_in_the_path_and_is_quiet_about_an_end() {
        let keys = "type = \"telegram\"\nto = \"-100123\"\ntoken_file = \"t\"";
        let (asked, body) = request(keys, What::Fired);
        let url = asked.url.expose();
        assert_eq!(url, "https://api.telegram.org/bottk_1/sendMessage");
        assert_eq!(body["chat_id"], "-100123");
        assert_eq!(body["disable_notification"], false);
        let text = body["text"].as_str().expect("a text");
        assert!(
            text.starts_with("Leak: 4.8 L/h at Wtot\n\nWater has not"),
            "{text}"
        );
        let (_, body) = request(keys, What::Cleared);
        assert_eq!(body["disable_notification"], true);
    }

    #[test]
    fn pushover_has_its_token_in_the_body() {
        let keys = "type = \"pushover\"\nto = \"u1\"\ntoken_file = \"t\"";
        let (asked, body) = request(keys, What::Withdrawn);
        assert_eq!(
            asked.url.expose(),
            "https://api.pushover.net/1/messages.json"
        );
        assert_eq!(
            body,
            json!({
                "token": "tk_1",
                "user": "u1",
                "title": "Taken back: leak at Wtot",
                "message": "Taken back: late readings show that there was no leak at Wtot.\nNothing is left to do; sorry \
                            for the alarm.",
                "priority": -1,
                "url": "https://sluice.lan",
                "url_title": "Open",
            })
        );
    }

    #[test]
    fn a_webhook_goes_exactly_where_it_is_told_to() {
        let keys = "type = \"webhook\"\nurl = \"http://h/a/?b=c\"\nmethod = \"PUT\"\nheaders = { X-House = \"12\" }";
        let (asked, body) = request(keys, What::Fired);
        assert_eq!(asked.url.expose(), "http://h/a/?b=c");
        assert_eq!(asked.method, Method::Put);
        assert_eq!(header(&asked, "authorization"), Some("Bearer tk_1"));
        assert_eq!(asked.more[0].0, "x-house");
        assert_eq!(
            (&body["version"], &body["receiver"]),
            (&json!("4"), &json!("webhook"))
        );
    }

    #[test]
    fn a_request_shows_no_secret() {
        for keys in [
            GOTIFY,
            "type = \"telegram\"\nto = \"1\"\ntoken_file = \"t\"",
            "type = \"ntfy\"\ntopic = \"h\"\ntoken_file = \"t\"",
        ] {
            let (request, _) = request(keys, What::Fired);
            let shown = format!("{:?} {:?}", request.url, request.headers);
            assert!(!shown.contains("tk_1"), "{shown}");
        }
    }
}
