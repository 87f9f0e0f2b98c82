//! `[[alert.channel]]`: where alerts are sent to. Each type has keys of its own; a key that a type does not
//! use is a mistake, for somebody believes that it has an effect.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::http::{HeaderName, HeaderValue, Uri};
use toml::de::DeValue;

use super::raw::Section;
use super::value::{choice, parsed, path, url, word};
use super::{NamedFile, Severity};

/// The longest name of a channel.
const MAX_NAME: usize = 32;
/// The most people that one mail goes to.
const MAX_RECIPIENTS: usize = 20;
/// The most headers of a webhook.
const MAX_HEADERS: usize = 20;

const SEVERITIES: [(&str, Severity); 3] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

const KINDS: [(&str, ChannelKind); 7] = [
    ("mqtt", ChannelKind::Mqtt),
    ("ntfy", ChannelKind::Ntfy),
    ("webhook", ChannelKind::Webhook),
    ("email", ChannelKind::Email),
    ("telegram", ChannelKind::Telegram),
    ("gotify", ChannelKind::Gotify),
    ("pushover", ChannelKind::Pushover),
];

const METHODS: [(&str, Method); 2] = [("POST", Method::Post), ("PUT", Method::Put)];

/// `[[alert.channel]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What it is called: no other has this name. Its notices wait under it.
    pub name: String,
    /// The least severe alert that it gets.
    pub min_severity: Severity,
    /// Who receives.
    pub receiver: Receiver,
}

/// The kinds of receivers of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Retained messages on our own broker.
    Mqtt,
    /// An ntfy server.
    Ntfy,
    /// Any HTTP receiver.
    Webhook,
    /// SMTP.
    Email,
    /// A Telegram bot.
    Telegram,
    /// A Gotify server.
    Gotify,
    /// Pushover.
    Pushover,
}

/// Who receives, and by which settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Retained messages on our own broker; it is always on, and nothing is sent besides.
    Mqtt,
    /// An ntfy server.
    Ntfy {
        /// Where.
        server: Server,
        /// On which topic.
        topic: String,
    },
    /// Any HTTP receiver.
    Webhook {
        /// Where.
        server: Server,
        /// How.
        method: Method,
        /// Headers besides ours.
        headers: Vec<(String, String)>,
        /// The file with the template of the body; `None`: what Alertmanager sends.
        template: Option<NamedFile>,
    },
    /// SMTP.
    Email(Box<Email>),
    /// A Telegram bot.
    Telegram {
        /// Where.
        server: Server,
        /// The chat's id, or `@channel`.
        chat: String,
    },
    /// A Gotify server.
    Gotify {
        /// Where.
        server: Server,
    },
    /// Pushover.
    Pushover {
        /// Where.
        server: Server,
        /// The user's or the group's key.
        user: String,
    },
}

/// Somebody who speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where.
    pub address: Address,
    /// The file that holds the token, read at each send.
    pub token_file: Option<NamedFile>,
    /// Whom to trust, PEM; `None`: whom the system trusts.
    pub ca_file: Option<NamedFile>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At this URL.
    Url(String),
    /// At the URL in this file: it is a secret itself.
    File(NamedFile),
}

/// How a webhook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// POST
    Post,
    /// PUT
    Put,
}

/// SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The mail server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The name to log in with.
    pub username: Option<String>,
    /// The file that holds the password, read at each send.
    pub password_file: Option<NamedFile>,
    /// Whom to trust, PEM; `None`: whom the system trusts.
    pub ca_file: Option<NamedFile>,
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte: `smtps://`.
    Tls,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// Not at all.
    Plain,
}

impl Channel {
    /// What kind of receiver.
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        match self.receiver {
            Receiver::Mqtt => ChannelKind::Mqtt,
            Receiver::Ntfy { .. } => ChannelKind::Ntfy,
            Receiver::Webhook { .. } => ChannelKind::Webhook,
            Receiver::Email(_) => ChannelKind::Email,
            Receiver::Telegram { .. } => ChannelKind::Telegram,
            Receiver::Gotify { .. } => ChannelKind::Gotify,
            Receiver::Pushover { .. } => ChannelKind::Pushover,
        }
    }

    /// The files that hold secrets of it.
    #[must_use]
    pub fn secrets(&self) -> Vec<&NamedFile> {
        match &self.receiver {
            Receiver::Mqtt => Vec::new(),
            Receiver::Email(email) => email.password_file.iter().collect(),
            Receiver::Ntfy { server, .. }
            | Receiver::Webhook { server, .. }
            | Receiver::Telegram { server, .. }
            | Receiver::Gotify { server }
            | Receiver::Pushover { server, .. } => {
                let url = match &server.address {
                    Address::Url(_) => None,
                    Address::File(file) => Some(file),
                };
                server.token_file.iter().chain(url).collect()
            }
        }
    }

    /// The file with the certificates to trust.
    #[must_use]
    pub fn ca_file(&self) -> Option<&NamedFile> {
        match &self.receiver {
            Receiver::Mqtt => None,
            Receiver::Email(email) => email.ca_file.as_ref(),
            Receiver::Ntfy { server, .. }
            | Receiver::Webhook { server, .. }
            | Receiver::Telegram { server, .. }
            | Receiver::Gotify { server }
            | Receiver::Pushover { server, .. } => server.ca_file.as_ref(),
        }
    }
}

impl ChannelKind {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Ntfy => "ntfy",
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Telegram => "telegram",
            Self::Gotify => "gotify",
            Self::Pushover => "pushover",
        }
    }
}

/// All channels, each with a name of its own.
pub(super) fn channels(sections: Vec<Section<'_, '_>>) -> Vec<Channel> {
    let mut taken = BTreeSet::new();
    let mut channels = Vec::new();
    for mut section in sections {
        let named = section.take("name", name);
        if let Some(name) = &named
            && !taken.insert(name.clone())
        {
            section.problem(
                "name",
                format!("{name:?} is the name of another channel; write another one"),
            );
        }
        channels.push((named, channel(section)));
    }
    let mut finished = Vec::new();
    for (named, channel) in channels {
        let Some((min_severity, receiver)) = channel else {
            continue;
        };
        let mut channel = Channel {
            name: String::new(),
            min_severity,
            receiver,
        };
        channel.name = named.unwrap_or_else(|| unused(channel.kind().word(), &mut taken));
        finished.push(channel);
    }
    finished
}

/// The type's word, with a number from the second on: the first keeps its name when others come.
fn unused(word: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u32| format!("{word}-{number}"));
    let mut names = std::iter::once(word.to_owned()).chain(numbered);
    let name = names.find(|name| !taken.contains(name));
    let name = name.expect("there are more numbers than channels");
    taken.insert(name.clone());
    name
}

fn channel(mut section: Section<'_, '_>) -> Option<(Severity, Receiver)> {
    let kinds = "mqtt, ntfy, webhook, email, telegram, gotify or pushover";
    let kind = section.need("type", kinds, choice(&KINDS));
    let min_severity = section.take("min_severity", choice(&SEVERITIES));
    let Some(kind) = kind else {
        // Which keys there may be is not known.
        drop(section.rest());
        return None;
    };
    let receiver = match kind {
        ChannelKind::Mqtt => Some(Receiver::Mqtt),
        ChannelKind::Ntfy => ntfy(&mut section),
        ChannelKind::Webhook => webhook(&mut section),
        ChannelKind::Email => email(&mut section).map(Box::new).map(Receiver::Email),
        ChannelKind::Telegram => telegram(&mut section),
        ChannelKind::Gotify => gotify(&mut section),
        ChannelKind::Pushover => pushover(&mut section),
    };
    Some((min_severity.unwrap_or(Severity::Info), receiver?))
}

fn name(value: &DeValue<'_>) -> Result<String, String> {
    let parse = |text: &str| {
        let valid = (1..=MAX_NAME).contains(&text.len())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        valid
            .then(|| text.to_owned())
            .ok_or("cannot name a channel")
    };
    parsed(parse, "1 to 32 of a-z, 0-9, - and _")(value)
}

fn ntfy(section: &mut Section<'_, '_>) -> Option<Receiver> {
    let server = server(section, Some("https://ntfy.sh"), Token::Optional);
    let topic = |text: &str| {
        let valid = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        valid.then(|| text.to_owned()).ok_or("is not a topic")
    };
    let allowed = "1 to 64 letters, digits, - and _";
    let topic = section.need("topic", allowed, parsed(topic, allowed));
    Some(Receiver::Ntfy {
        server: server?,
        topic: topic?,
    })
}

fn webhook(section: &mut Section<'_, '_>) -> Option<Receiver> {
    let url = section.take("url", web);
    let url_file = named_file(section, "url_file");
    match (section.has("url"), section.has("url_file")) {
        (true, true) => section.problem("url_file", "does not go with url; write one of the two"),
        (false, false) => section.problem(
            "url",
            "is missing; write https:// or http:// and a host, or url_file where the URL itself is a secret",
        ),
        (true, false) | (false, true) => {}
    }
    let address = url.map(Address::Url).or(url_file.map(Address::File));
    let token_file = named_file(section, "token_file");
    let ca_file = named_file(section, "ca_file");
    let method = section
        .take("method", choice(&METHODS))
        .unwrap_or(Method::Post);
    let headers = section.take("headers", headers).unwrap_or_default();
    let names_credentials = |(name, _): &(String, String)| name == "authorization";
    if token_file.is_some() && headers.iter().any(names_credentials) {
        section.problem(
            "headers",
            "hold Authorization, which token_file writes; leave one of the two out",
        );
    }
    let template = named_file(section, "template");
    Some(Receiver::Webhook {
        server: Server {
            address: address?,
            token_file,
            ca_file,
        },
        method,
        headers,
        template,
    })
}

fn telegram(section: &mut Section<'_, '_>) -> Option<Receiver> {
    let server = server(section, Some("https://api.telegram.org"), Token::Needed);
    let chat = section.need("to", "the chat's id, or @ and the channel's name", word);
    Some(Receiver::Telegram {
        server: server?,
        chat: chat?,
    })
}

fn gotify(section: &mut Section<'_, '_>) -> Option<Receiver> {
    let server = server(section, None, Token::Needed)?;
    Some(Receiver::Gotify { server })
}

fn pushover(section: &mut Section<'_, '_>) -> Option<Receiver> {
    let server = server(section, Some("https://api.pushover.net"), Token::Needed);
    let user = section.need("to", "the key of the user or the group", word);
    Some(Receiver::Pushover {
        server: server?,
        user: user?,
    })
}

/// Whether a service takes anything from those without a token.
enum Token {
    Optional,
    Needed,
}

fn server(section: &mut Section<'_, '_>, default: Option<&str>, token: Token) -> Option<Server> {
    let url = match default {
        None => section.need("url", "https:// or http:// and a host", web),
        Some(default) if !section.has("url") => {
            // So that it is known here.
            section
                .take("url", web)
                .or_else(|| Some(default.to_owned()))
        }
        Some(_) => section.take("url", web),
    };
    let token_file = named_file(section, "token_file");
    if matches!(token, Token::Needed) && !section.has("token_file") {
        section.problem(
            "token_file",
            "is missing; write the path of the file that holds the token",
        );
    }
    let ca_file = named_file(section, "ca_file");
    Some(Server {
        address: Address::Url(url?),
        token_file,
        ca_file,
    })
}

/// `https://` or `http://`, a host, and no secrets.
fn web(value: &DeValue<'_>) -> Result<String, String> {
    let text = url(&["https", "http"])(value)?;
    match text.parse::<Uri>() {
        Ok(uri) if uri.authority().is_some_and(|at| at.as_str().contains('@')) => {
            Err("holds a name or a password; write it to a file, and that as token_file".to_owned())
        }
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(text),
        Ok(_) | Err(_) => Err(format!(
            "{text:?} is not such a URL; write https:// or http:// and a host"
        )),
    }
}

fn headers(value: &DeValue<'_>) -> Result<Vec<(String, String)>, String> {
    const FORM: &str = r#"a table such as { X-House = "12" }"#;
    /// What says how the body is sent is ours.
    const OURS: [&str; 5] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "idempotency-key",
    ];
    let Some(table) = value.as_table() else {
        return Err(format!("is of type {}; write {FORM}", value.type_str()));
    };
    if table.len() > MAX_HEADERS {
        return Err(format!("are more than {MAX_HEADERS}; write fewer"));
    }
    let mut headers = Vec::new();
    for (name, value) in table {
        let name = name.get_ref().as_ref();
        let value = word(value.get_ref()).map_err(|text| format!("{name}: {text}"))?;
        let valid = HeaderName::from_bytes(name.as_bytes());
        let Ok(valid) = valid else {
            return Err(format!("{name:?} cannot name a header; write {FORM}"));
        };
        if OURS.contains(&valid.as_str()) {
            return Err(format!("{name} is written by the gateway; leave it out"));
        }
        if HeaderValue::from_str(&value).is_err() {
            return Err(format!(
                "{name}: holds control characters; write plain text"
            ));
        }
        headers.push((valid.as_str().to_owned(), value));
    }
    Ok(headers)
}

fn email(section: &mut Section<'_, '_>) -> Option<Email> {
    let form = "smtps:// or smtp:// and a host";
    let url = section.need("url", form, parsed(smtp, form));
    let username = section.take("username", word);
    let password_file = named_file(section, "password_file");
    for (one, other) in [("username", "password_file"), ("password_file", "username")] {
        if section.has(one) && !section.has(other) {
            section.problem(one, format!("needs {other} too; write both, or neither"));
        }
    }
    let ca_file = named_file(section, "ca_file");
    let from = section.take("from", mailbox);
    let from = match (from, section.has("from"), &username) {
        (None, false, Some(name)) if name.contains('@') => Some(name.clone()),
        (None, false, _) => {
            section.problem(
                "from",
                "is missing; write the address that the mails come from",
            );
            None
        }
        (from, _, _) => from,
    };
    let to = section.need("to", "an address, or a list of them", recipients);
    let Smtp {
        host,
        port,
        encryption,
    } = url?;
    match encryption {
        Encryption::Plain if ca_file.is_some() => section.problem(
            "ca_file",
            "is for TLS; write a url that begins with smtps://, or that ends with ?tls=required",
        ),
        Encryption::Plain if username.is_some() && !is_loopback(&host) => section.warn(
            "url",
            "sends the password over the network for everybody to read; write smtps://, or ?tls=required",
        ),
        Encryption::Plain | Encryption::StartTls | Encryption::Tls => {}
    }
    Some(Email {
        host,
        port,
        encryption,
        username,
        password_file,
        ca_file,
        from: from?,
        to: to?,
    })
}

/// The parts of a mail server's URL.
struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
}

fn smtp(text: &str) -> Result<Smtp, &'static str> {
    const NO_URL: &str = "is not such a URL";
    let uri: Uri = text.parse().map_err(|_| NO_URL)?;
    let authority = uri.authority().ok_or(NO_URL)?;
    if authority.as_str().contains('@') {
        return Err("holds a name or a password, which are username and password_file");
    }
    let host = uri
        .host()
        .ok_or(NO_URL)?
        .trim_matches(['[', ']'])
        .to_owned();
    if host.is_empty() || !matches!(uri.path(), "" | "/") {
        return Err(NO_URL);
    }
    let encryption = match (uri.scheme_str(), uri.query()) {
        (Some("smtps"), None) => Encryption::Tls,
        (Some("smtps"), Some(_)) => return Err("takes nothing after a ?: smtps:// is TLS already"),
        (Some("smtp"), Some("tls=required")) => Encryption::StartTls,
        (Some("smtp"), Some("tls=none")) => Encryption::Plain,
        (Some("smtp"), Some(_)) => return Err("may end with ?tls=required or ?tls=none only"),
        (Some("smtp"), None) if is_loopback(&host) => Encryption::Plain,
        (Some("smtp"), None) => Encryption::StartTls,
        _ => return Err(NO_URL),
    };
    let usual = match encryption {
        Encryption::Tls => 465,
        Encryption::StartTls => 587,
        Encryption::Plain => 25,
    };
    Ok(Smtp {
        host,
        port: uri.port_u16().unwrap_or(usual),
        encryption,
    })
}

fn is_loopback(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

fn mailbox(value: &DeValue<'_>) -> Result<String, String> {
    let parse = |text: &str| {
        let parsed: Result<lettre::message::Mailbox, _> = text.parse();
        parsed
            .map(|_| text.to_owned())
            .map_err(|_| "is not an address")
    };
    parsed(
        parse,
        r#"one such as "ann@example.org" or "Ann <ann@example.org>""#,
    )(value)
}

fn recipients(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let Some(array) = value.as_array() else {
        return mailbox(value).map(|one| vec![one]);
    };
    if !(1..=MAX_RECIPIENTS).contains(&array.len()) {
        return Err(format!(
            "holds {} addresses; write 1 to {MAX_RECIPIENTS}",
            array.len()
        ));
    }
    array.iter().map(|item| mailbox(item.get_ref())).collect()
}

fn named_file(section: &mut Section<'_, '_>, key: &'static str) -> Option<NamedFile> {
    Some(NamedFile {
        path: section.take(key, path)?,
        key: section.key(key),
        line: section.line_of(key),
    })
}
