//! `[broker]`: who listens where, and who may come.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::raw::Section;
use super::value::{address, choice, count, duration, flag, list, parsed, path, size, url, word};
use super::{Broker, BrokerMode, External, TlsIdentity, TlsListener, User};
use crate::source::Filter;

/// More clients than this need another machine.
const MAX_CONNECTIONS: usize = 100_000;

pub(super) fn broker(mut broker: Section<'_, '_>) -> Broker {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 1883));
    let listen = broker.take("listen", address).unwrap_or(loopback);
    let tls = tls_listener(&mut broker);
    let websocket_listen = broker.take("websocket_listen", address);
    let users: Vec<User> = broker
        .sections("user")
        .into_iter()
        .filter_map(user)
        .collect();

    let listeners = [
        ("listen", Some(listen)),
        ("tls_listen", tls.as_ref().map(|tls| tls.listen)),
        ("websocket_listen", websocket_listen),
    ];
    let allow_anonymous = allow_anonymous(&mut broker, listeners, users.is_empty());
    Broker {
        mode: broker_mode(&mut broker),
        listen,
        tls,
        websocket_listen,
        allow_anonymous,
        max_connections: broker
            .take("max_connections", count(1..=MAX_CONNECTIONS))
            .unwrap_or(1000),
        max_packet: broker
            .take("max_packet", size("1KiB"..="255MiB"))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(256 << 10),
        sys_interval_ms: broker
            .take("sys_interval", sys_interval)
            .and_then(|ms| u64::try_from(ms).ok())
            .unwrap_or(10_000),
        users,
    }
}

fn sys_interval(value: &DeValue<'_>) -> Result<i64, String> {
    match duration("0s"..="1h")(value)? {
        1..1000 => Err("is below 1s; write \"1s\" or more, or \"0s\" for never".to_owned()),
        ms => Ok(ms),
    }
}

/// Everybody may come from this machine; who may come from the network must be said.
fn allow_anonymous(
    broker: &mut Section<'_, '_>,
    listeners: [(&str, Option<SocketAddr>); 3],
    nobody_is_named: bool,
) -> bool {
    let said = broker.take("allow_anonymous", flag);
    let open = listeners
        .into_iter()
        .find_map(|(key, listen)| Some((key, listen.filter(|at| !at.ip().is_loopback())?)));
    let Some((key, listen)) = open else {
        return said.unwrap_or(true);
    };
    if !broker.has("allow_anonymous") && nobody_is_named {
        let text = format!(
            "{listen} is open to the network, and nothing says who may connect; add a \
             [[broker.user]], or write allow_anonymous = true for everybody, or = false for users \
             of `sluice user add` only"
        );
        broker.problem(key, text);
    }
    said.unwrap_or(false)
}

fn broker_mode(broker: &mut Section<'_, '_>) -> BrokerMode {
    let external = choice(&[("embedded", false), ("external", true)]);
    let external = broker.take("mode", external).unwrap_or(false);
    let mut section = broker.section("external");
    if !section.is_present() {
        if external {
            broker.problem(
                "mode",
                "\"external\" needs a section [broker.external] with a url",
            );
        }
        return BrokerMode::Embedded;
    }
    let url = section.need(
        "url",
        "mqtt:// or mqtts:// and a host",
        url(&["mqtt", "mqtts"]),
    );
    let username = section.take("username", word);
    let password_file = section.take("password_file", path);
    match url {
        Some(url) if external => BrokerMode::External(External {
            url,
            username,
            password_file,
        }),
        Some(_) | None => BrokerMode::Embedded,
    }
}

fn tls_listener(broker: &mut Section<'_, '_>) -> Option<TlsListener> {
    let listen = broker.take("tls_listen", address);
    let identity = tls_identity(broker);
    if broker.has("tls_listen") && !broker.has("tls_cert") && !broker.has("tls_key") {
        broker.problem(
            "tls_listen",
            "needs tls_cert and tls_key; write the paths of two PEM files",
        );
    }
    Some(TlsListener {
        listen: listen?,
        identity: identity?,
    })
}

/// `tls_cert` and `tls_key`, both or neither.
pub(super) fn tls_identity(section: &mut Section<'_, '_>) -> Option<TlsIdentity> {
    let cert = section.take("tls_cert", path);
    let key = section.take("tls_key", path);
    for (one, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        if section.has(one) && !section.has(other) {
            section.problem(
                one,
                format!("needs {other} too; write the path of a PEM file"),
            );
        }
    }
    Some(TlsIdentity {
        cert: cert?,
        key: key?,
    })
}

fn user(mut user: Section<'_, '_>) -> Option<User> {
    // A wrong hash is not repeated: somebody may have written the password itself.
    let hash = |value: &DeValue<'_>| match value.as_str() {
        Some(text) if text.starts_with("$argon2") => Ok(text.to_owned()),
        Some(_) | None => {
            Err("is not an argon2 hash; write one that starts with \"$argon2id$\"".to_owned())
        }
    };
    let filters = || {
        list(parsed(
            Filter::new,
            "MQTT topic filters such as \"sensors/#\"",
        ))
    };
    let name = user.need("name", "the name to log in with", word);
    let password_hash = user.need("password_hash", "an argon2 hash", hash);
    let publish = user.take("publish", filters());
    let subscribe = user.take("subscribe", filters());
    Some(User {
        name: name?,
        password_hash: password_hash?,
        publish,
        subscribe,
    })
}
