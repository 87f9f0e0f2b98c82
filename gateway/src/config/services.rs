//! The sections of what reports and forwards: web, control, Home Assistant, alerts,
//! upstream.

use std::net::SocketAddr;

use super::raw::Section;
use super::tls;
use super::value::{address, choice, count, duration, flag, list, path, positive, size, url, word};
use super::{Alert, Channel, ChannelKind, Control, HomeAssistant, Severity, Upstream, Web};

const HOUR_MS: i64 = 3_600_000;

/// The most readings that the far end takes in one request.
const MAX_BATCH: usize = 5000;

const SEVERITIES: [(&str, Severity); 3] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

const CHANNELS: [(&str, ChannelKind); 7] = [
    ("mqtt", ChannelKind::Mqtt),
    ("ntfy", ChannelKind::Ntfy),
    ("webhook", ChannelKind::Webhook),
    ("email", ChannelKind::Email),
    ("telegram", ChannelKind::Telegram),
    ("gotify", ChannelKind::Gotify),
    ("pushover", ChannelKind::Pushover),
];

/// What a channel may be told besides its type and severity.
const CHANNEL_SETTINGS: [&str; 8] = [
    "url",
    "topic",
    "to",
    "from",
    "username",
    "password_file",
    "token_file",
    "template",
];

impl ChannelKind {
    /// The settings that it cannot do without.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Mqtt => &[],
            Self::Ntfy => &["url", "topic"],
            Self::Webhook => &["url"],
            Self::Email => &["url", "to"],
            Self::Telegram | Self::Pushover => &["token_file", "to"],
            Self::Gotify => &["url", "token_file"],
        }
    }
}

pub(super) fn web(mut web: Section<'_, '_>) -> Web {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen = web.take("listen", address).unwrap_or(loopback);
    if !listen.ip().is_loopback() {
        web.problem(
            "listen",
            format!(
                "{listen} is open to the network, which needs a web user to log in, and there is none; write a \
                 loopback address such as \"127.0.0.1:8080\""
            ),
        );
    }
    Web {
        listen,
        tls: tls::identity(&mut web, ["tls_cert", "tls_key"]),
    }
}

pub(super) fn control(mut control: Section<'_, '_>) -> Control {
    let socket = control.take("socket", path);
    Control {
        socket: socket.unwrap_or_else(|| "/run/sluice/sluice.sock".into()),
    }
}

pub(super) fn homeassistant(mut homeassistant: Section<'_, '_>) -> HomeAssistant {
    HomeAssistant {
        discovery: homeassistant.take("discovery", flag).unwrap_or(true),
    }
}

pub(super) fn alert(mut alert: Section<'_, '_>) -> Alert {
    let repeat = alert.take("repeat", list(duration("1m"..="365d")));
    let currency = alert.take("currency", word);
    Alert {
        repeat_ms: repeat.unwrap_or_else(|| vec![HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS]),
        water_tariff: alert.take("water_tariff", positive),
        energy_tariff: alert.take("energy_tariff", positive),
        currency: currency.unwrap_or_else(|| "EUR".to_owned()),
        channels: alert
            .sections("channel")
            .into_iter()
            .filter_map(channel)
            .collect(),
    }
}

fn channel(mut channel: Section<'_, '_>) -> Option<Channel> {
    let kinds = "mqtt, ntfy, webhook, email, telegram, gotify or pushover";
    let kind = channel.need("type", kinds, choice(&CHANNELS));
    let min_severity = channel.take("min_severity", choice(&SEVERITIES));
    let settings = CHANNEL_SETTINGS
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), channel.take(key, word)?)))
        .collect();
    let kind = kind?;
    for key in kind.needs() {
        if !channel.has(key) {
            channel.problem(key, "is missing; this type of channel cannot do without it");
        }
    }
    Some(Channel {
        kind,
        min_severity: min_severity.unwrap_or(Severity::Info),
        settings,
    })
}

pub(super) fn upstream(mut upstream: Section<'_, '_>) -> Option<Upstream> {
    if !upstream.is_present() {
        return None;
    }
    let web = "https:// or http:// and a host";
    let url = upstream.need("url", web, url(&["https", "http"]));
    let token_file = upstream.take("token_file", path);
    let batch = upstream.take("batch", count(1..=MAX_BATCH));
    let ca_file = upstream.take("ca_file", path);
    let pace = upstream.take("max_bytes_per_second", size("1KiB"..="1GiB"));
    Some(Upstream {
        url: url?,
        token_file,
        batch: batch.unwrap_or(2000),
        ca_file,
        max_bytes_per_second: pace,
    })
}
