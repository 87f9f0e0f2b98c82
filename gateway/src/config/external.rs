//! `[broker.external]`: the broker whose client the gateway is.

use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;

use super::TlsIdentity;
use super::raw::Section;
use super::tls;
use super::value::{choice, count, duration, parsed, path, word};
use crate::broker::Qos;
use crate::source::{MAX_SHARDS, Shard};

/// The longest client id, in bytes; brokers differ, and none refuses so much.
const MAX_CLIENT_ID_BYTES: usize = 128;

/// `[broker.external]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Where the broker is.
    pub address: FarAddress,
    /// What TLS is spoken with; `None`: plain TCP.
    pub tls: Option<FarTls>,
    /// The name to log in with.
    pub username: Option<String>,
    /// The file that holds the password, read at each connect.
    pub password_file: Option<PathBuf>,
    /// Under which name the far broker keeps our session; `None`: a name made of the site's.
    pub client_id: Option<String>,
    /// The longest silence before a ping, in seconds, 5 to 65 535.
    pub keep_alive_s: u16,
    /// Which MQTT is spoken.
    pub protocol: Protocol,
    /// What is subscribed with, 1 or 2.
    pub qos: Qos,
    /// Which part of the homes is ours; `None`: all of them.
    pub shard: Option<Shard>,
    /// The group whose members read each message once; `None`: we read everything.
    pub share: Option<String>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarAddress {
    /// A name, an IPv4 address, or an IPv6 address between brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// With whom TLS is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FarTls {
    /// Who vouches for the broker, PEM; `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate that we show.
    pub identity: Option<TlsIdentity>,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 5.0
    V5,
    /// 3.1.1
    V311,
}

impl External {
    /// The name under which the far broker keeps our session. It must never change by itself: another
    /// name is another session, and the old one would fill up.
    #[must_use]
    pub fn client_id(&self, site: &str) -> String {
        match (&self.client_id, self.shard) {
            (Some(id), _) => id.clone(),
            (None, None) => format!("sluice-{site}"),
            (None, Some(shard)) => {
                format!("sluice-{site}-{}", shard.to_string().replace('/', "of"))
            }
        }
    }
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl fmt::Display for FarAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A URL's parts.
struct Url {
    tls: bool,
    address: FarAddress,
}

/// Reads the section; `None` where no broker can be made out.
pub(super) fn external(mut section: Section<'_, '_>) -> Option<External> {
    let url = section.need("url", "mqtt:// or mqtts:// and a host", url);
    let ca_file = section.take("ca_file", path);
    let identity = tls::identity(&mut section, ["cert_file", "key_file"]);
    if url.as_ref().is_some_and(|url| !url.tls) {
        for key in ["ca_file", "cert_file", "key_file"] {
            if section.has(key) {
                section.problem(key, "is for TLS; write a url that begins with mqtts://");
            }
        }
    }
    let username = section.take("username", word);
    let password_file = section.take("password_file", path);
    if section.has("password_file") && !section.has("username") {
        section.problem(
            "password_file",
            "needs username too; write the name to log in with",
        );
    }
    let allowed = format!("one such as \"1/3\", at most of {MAX_SHARDS}");
    let shard = section.take("shard", parsed(Shard::parse, &allowed));
    let share = section.take("share", share);
    if section.has("shard") && section.has("share") {
        section.problem(
            "share",
            "does not go with shard: a group gives each message to one gateway, a shard needs to see them \
             all; write one of the two",
        );
    }
    let client_id = section.take("client_id", client_id);
    if share.is_some() && client_id.is_none() && !section.has("client_id") {
        section.warn(
            "share",
            "gateways of a group need a client_id each, or they take each other's place; the one made of \
             site.id will do only where no other gateway has this id",
        );
    }
    let keep_alive = section.take("keep_alive", duration("5s"..="18h"));
    let protocol = choice(&[("5", Protocol::V5), ("3.1.1", Protocol::V311)]);
    let protocol = section.take("protocol", protocol).unwrap_or(Protocol::V5);
    let qos = match section.take("qos", count(1..=2)) {
        Some(2) => Qos::ExactlyOnce,
        Some(_) | None => Qos::AtLeastOnce,
    };
    let Url { tls, address } = url?;
    Some(External {
        address,
        tls: tls.then_some(FarTls { ca_file, identity }),
        username,
        password_file,
        client_id,
        keep_alive_s: keep_alive.map_or(30, |ms| u16::try_from(ms / 1000).unwrap_or(u16::MAX)),
        protocol,
        qos,
        shard,
        share,
    })
}

fn url(value: &DeValue<'_>) -> Result<Url, String> {
    parsed(parse_url, "mqtt:// or mqtts:// and a host")(value)
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    const NO_URL: &str = "is not such a URL";
    let (scheme, rest) = text.split_once("://").ok_or(NO_URL)?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(NO_URL),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err("holds a name or a password, which are username and password_file");
    }
    let (host, port) = match rest.rsplit_once(':') {
        // The colons of [::1] are within its brackets.
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (host, port.ok_or("has a port that is not within 1..=65535")?)
        }
        Some(_) | None => (rest, if tls { 8883 } else { 1883 }),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if host.is_empty() || !(plain || bracketed) {
        return Err(NO_URL);
    }
    if bracketed && tls {
        return Err(
            "is an address that certificates cannot be checked against here; name the host",
        );
    }
    Ok(Url {
        tls,
        address: FarAddress {
            host: host.to_owned(),
            port,
        },
    })
}

fn client_id(value: &DeValue<'_>) -> Result<String, String> {
    let allowed = format!("1 to {MAX_CLIENT_ID_BYTES} bytes without control characters");
    let parse = |text: &str| {
        let valid =
            (1..=MAX_CLIENT_ID_BYTES).contains(&text.len()) && !text.contains(char::is_control);
        valid.then(|| text.to_owned()).ok_or("cannot name a client")
    };
    parsed(parse, &allowed)(value)
}

fn share(value: &DeValue<'_>) -> Result<String, String> {
    let parse = |text: &str| {
        let valid = !text.is_empty() && !text.contains(['+', '#', '/', '\0']);
        valid.then(|| text.to_owned()).ok_or("cannot name a group")
    };
    parsed(parse, "a name without + # and /")(value)
}
