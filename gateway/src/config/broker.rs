//! `[broker]`: who listens where, and who may come.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::external::external;
use super::raw::Section;
use super::tls;
use super::value::{address, choice, count, duration, flag, list, parsed, size};
use super::{Broker, BrokerMode, User, WebSocket};
use crate::access::{Anonymous, Hash, Pattern, user_name};

/// More clients than this need another machine.
const MAX_CONNECTIONS: usize = 100_000;

/// Keys of our own broker, which say nothing where it is another.
const OUR_OWN: [&str; 9] = [
    "listen",
    "tls_listen",
    "websocket_listen",
    "allow_anonymous",
    "max_connections",
    "max_connections_per_address",
    "session_expiry",
    "user",
    "tls_cert",
];

/// However small the broker, one address gets this many connections unless told otherwise.
const LEAST_PER_ADDRESS: usize = 16;
/// The word that switches the plain listener off.
const OFF: &str = "off";

/// A device that is away for a month is not on holiday.
const SESSION_EXPIRY_MS: u64 = 30 * 86_400_000;

pub(super) fn broker(mut broker: Section<'_, '_>) -> Broker {
    let (mode, asked) = broker_mode(&mut broker);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 1883));
    let listen = broker
        .take("listen", address_or_off)
        .unwrap_or(Some(loopback));
    let tls_listen = broker.take("tls_listen", address);
    let websocket = websocket(&mut broker);
    let over_tls = [
        ("tls_listen", tls_listen.is_some()),
        (
            "websocket_tls",
            websocket.as_ref().is_some_and(|socket| socket.tls),
        ),
    ];
    let tls = tls::server(&mut broker, over_tls);
    let by_certificate = broker.has("tls_client_ca");
    let users = users(broker.sections("user"), by_certificate);

    let listeners = [
        ("listen", listen),
        ("tls_listen", tls_listen),
        (
            "websocket_listen",
            websocket.as_ref().map(|socket| socket.listen),
        ),
    ];
    let anonymous = anonymous(&mut broker, listeners);
    match asked {
        Mode::Embedded => {
            somebody_may_come(&broker, listeners, users.is_empty());
            pages_may_connect(&broker, websocket.as_ref(), anonymous);
        }
        // Nobody can come, so nobody can come unasked.
        Mode::External => warn_of_our_own(&broker),
    }
    let max_connections = broker
        .take("max_connections", count(1..=MAX_CONNECTIONS))
        .unwrap_or(1000);
    let per_address = count(1..=MAX_CONNECTIONS);
    Broker {
        mode,
        listen,
        tls_listen,
        tls,
        websocket,
        anonymous,
        max_connections,
        max_connections_per_address: broker
            .take("max_connections_per_address", per_address)
            .unwrap_or((max_connections / 4).max(LEAST_PER_ADDRESS)),
        max_packet: broker
            .take("max_packet", size("1KiB"..="255MiB"))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(256 << 10),
        sys_interval_ms: broker
            .take("sys_interval", sys_interval)
            .and_then(|ms| u64::try_from(ms).ok())
            .unwrap_or(10_000),
        session_expiry_ms: broker
            .take("session_expiry", duration("1m"..="3650d"))
            .map_or(SESSION_EXPIRY_MS, i64::unsigned_abs),
        users,
    }
}

fn sys_interval(value: &DeValue<'_>) -> Result<i64, String> {
    match duration("0s"..="1h")(value)? {
        1..1000 => Err("is below 1s; write \"1s\" or more, or \"0s\" for never".to_owned()),
        ms => Ok(ms),
    }
}

fn address_or_off(value: &DeValue<'_>) -> Result<Option<SocketAddr>, String> {
    if value.as_str() == Some(OFF) {
        return Ok(None);
    }
    let said = address(value).map_err(|problem| format!("{problem}, or \"{OFF}\""));
    said.map(Some)
}

fn websocket(broker: &mut Section<'_, '_>) -> Option<WebSocket> {
    let listen = broker.take("websocket_listen", address);
    let tls = broker.take("websocket_tls", flag);
    let origins = broker.take("websocket_origins", list(parsed(origin, ORIGIN)));
    for key in ["websocket_tls", "websocket_origins"] {
        if broker.has(key) && !broker.has("websocket_listen") {
            broker.problem(
                key,
                "needs websocket_listen; write an address and a port there",
            );
        }
    }
    Some(WebSocket {
        listen: listen?,
        tls: tls.unwrap_or(false),
        origins,
    })
}

/// What [`origin`] takes.
const ORIGIN: &str = "what browsers send, such as \"https://home.example\" or \"http://nas:3000\"";

/// A page's origin as browsers send it: scheme, host, a port where it is not the usual one.
fn origin(text: &str) -> Result<String, &'static str> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '?' | '#' | '*');
    match host {
        Some(host) if !host.is_empty() && host.chars().all(plain) => Ok(text.to_ascii_lowercase()),
        Some(_) | None => Err("is not the origin of a page"),
    }
}

/// A browser takes every page to every address that its machine reaches, loopback too.
fn pages_may_connect(
    broker: &Section<'_, '_>,
    websocket: Option<&WebSocket>,
    anonymous: Anonymous,
) {
    let nobody_logs_in = match anonymous {
        Anonymous::Everybody | Anonymous::Local => true,
        Anonymous::Nobody => false,
    };
    if nobody_logs_in && websocket.is_some_and(|socket| socket.origins.is_none()) {
        broker.warn(
            "websocket_listen",
            "lets any page in, in any browser that reaches it, because nobody has to log in; write the pages \
             that may connect in websocket_origins, or allow_anonymous = false",
        );
    }
}

/// A listener's key, and where it listens.
type Listening<'k> = (&'k str, Option<SocketAddr>);

/// The first listener that others than this machine reach.
fn open_to_the_network(listeners: [Listening<'_>; 3]) -> Option<(&str, SocketAddr)> {
    let mut listeners = listeners.into_iter();
    listeners.find_map(|(key, listen)| Some((key, listen.filter(|at| !at.ip().is_loopback())?)))
}

/// Everybody may come from this machine; who may come from the network must be said. Where the broker is
/// another it is what it would be with us: a daemon that reads this again goes on as ours until its next
/// start.
fn anonymous(broker: &mut Section<'_, '_>, listeners: [Listening<'_>; 3]) -> Anonymous {
    let said = broker.take("allow_anonymous", flag);
    match (said, open_to_the_network(listeners)) {
        (None, None) => Anonymous::Local,
        (Some(true), None | Some(_)) => Anonymous::Everybody,
        (Some(false), None | Some(_)) | (None, Some(_)) => Anonymous::Nobody,
    }
}

/// Says what keeps clients out, or lets them in unasked.
fn somebody_may_come(
    broker: &Section<'_, '_>,
    listeners: [Listening<'_>; 3],
    nobody_is_named: bool,
) {
    if listeners.iter().all(|(_, at)| at.is_none()) {
        broker.warn(
            "listen",
            "is off, and no other listener is there: no client can connect",
        );
    }
    let Some((key, listen)) = open_to_the_network(listeners) else {
        return;
    };
    if !broker.has("allow_anonymous") && nobody_is_named {
        let text = format!(
            "{listen} is open to the network, and nothing says who may connect; add a \
             [[broker.user]], or write allow_anonymous = true for everybody, or = false for users \
             of `sluice user add` only"
        );
        broker.problem(key, text);
    }
}

/// What `mode` says, whether or not it can be had.
#[derive(Clone, Copy)]
enum Mode {
    Embedded,
    External,
}

fn broker_mode(broker: &mut Section<'_, '_>) -> (BrokerMode, Mode) {
    let mode = choice(&[("embedded", Mode::Embedded), ("external", Mode::External)]);
    let mode = broker.take("mode", mode).unwrap_or(Mode::Embedded);
    let section = broker.section("external");
    let external = match (mode, section.is_present()) {
        (Mode::Embedded, false) => None,
        (Mode::Embedded, true) => {
            broker.warn(
                "external",
                "says nothing while mode is \"embedded\"; write mode = \"external\" to be that broker's client",
            );
            external(section).and(None)
        }
        (Mode::External, false) => {
            broker.problem(
                "mode",
                "\"external\" needs a section [broker.external] with a url",
            );
            None
        }
        (Mode::External, true) => external(section),
    };
    (
        external.map_or(BrokerMode::Embedded, |it| {
            BrokerMode::External(Box::new(it))
        }),
        mode,
    )
}

fn warn_of_our_own(broker: &Section<'_, '_>) {
    for key in OUR_OWN {
        if broker.has(key) {
            broker.warn(
                key,
                "says nothing while mode is \"external\": this gateway is a client and nobody's broker",
            );
        }
    }
}

/// Each name once.
fn users(sections: Vec<Section<'_, '_>>, by_certificate: bool) -> Vec<User> {
    let mut users: Vec<(User, usize)> = Vec::new();
    for mut section in sections {
        let Some(user) = user(&mut section, by_certificate) else {
            continue;
        };
        let line = section.line_of("name");
        match users.iter().find(|(other, _)| other.name == user.name) {
            Some((_, earlier)) => {
                let text = format!(
                    "{:?} is named on line {earlier} already; write each user once",
                    user.name
                );
                section.problem("name", text);
            }
            None => users.push((user, line)),
        }
    }
    users.into_iter().map(|(user, _)| user).collect()
}

fn user(user: &mut Section<'_, '_>, by_certificate: bool) -> Option<User> {
    let made = "one that `sluice user hash` makes";
    // A wrong hash is not repeated: somebody may have written the password itself.
    let hash = |value: &DeValue<'_>| match value.as_str().map(Hash::parse) {
        Some(Ok(hash)) => Ok(hash),
        Some(Err(error)) => Err(format!("{error}; write {made}")),
        None => Err(format!("is not an argon2 hash; write {made}")),
    };
    let filters = || {
        let allowed = "MQTT topic filters such as \"sensors/#\", with %u for the user's name and %c for the client id";
        list(parsed(Pattern::new, allowed))
    };
    let name = parsed(user_name, "1 to 128 bytes without control characters");
    let name = user.need("name", "the name to log in with", name);
    let password_hash = user.take("password_hash", hash);
    if !user.has("password_hash") && !by_certificate {
        user.problem(
            "password_hash",
            format!(
                "is missing; write {made}: only who comes with a client certificate (tls_client_ca) needs no \
                 password"
            ),
        );
    }
    let publish = user.take("publish", filters());
    let subscribe = user.take("subscribe", filters());
    Some(User {
        name: name?,
        password_hash,
        publish,
        subscribe,
    })
}
