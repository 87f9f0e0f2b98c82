//! The configuration: what TOML says becomes a [`Config`] that holds only valid values, or every
//! problem at once.
//!
//! It is read once, at start and on SIGHUP. It opens nothing: that a file named here exists, or
//! that an address can be bound, is found out by whoever needs it.

mod broker;
mod channel;
mod cross;
mod detector;
mod external;
mod glob;
mod mapping;
mod problem;
mod raw;
mod sensor;
mod services;
mod tls;
mod unserved;
mod validate;
mod value;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::access::{Anonymous, Hash, Pattern};
use crate::clock::TrustRule;
use crate::source::Sources;

pub use channel::{Address, Channel, ChannelKind, Email, Encryption, Method, Receiver, Server};
pub use detector::{Kind as DetectorKind, Tuning};
pub use external::{External, FarAddress, FarTls, Protocol};
pub use glob::{Glob, GlobError};
pub use problem::{Problem, Problems};
pub use sensor::{Balance, ConcreteBalance, SensorRule};
pub use unserved::Unserved;
pub(crate) use value::duration_ms;

/// The seed home's configuration, `config/home.toml`, as it was when this was built.
pub const HOME: &str = include_str!("../../config/home.toml");

/// Where the configuration is looked for when nobody says.
pub const SEARCH_PATHS: [&str; 2] = ["/etc/sluice/sluice.toml", "./sluice.toml"];

/// A valid configuration. Times are in milliseconds, sizes in bytes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose home this is.
    pub site: Site,
    /// Where readings are kept, and how long.
    pub store: Store,
    /// What time it is, and how late is late.
    pub time: Time,
    /// MQTT.
    pub broker: Broker,
    /// Which messages are readings, in order of precedence.
    pub sources: Sources,
    /// What sensors measure, in order of precedence; see [`Config::sensor_for`].
    pub sensors: Vec<SensorRule>,
    /// Meters and what they are made of; see [`Config::balances_touching`].
    pub balances: Vec<Balance>,
    /// What the detectors are set to, which run by default.
    pub detectors: Tuning,
    /// How alerts are said.
    pub alert: Alert,
    /// Where results are forwarded to; `None`: they stay here.
    pub upstream: Option<Upstream>,
    /// The HTTP API and the dashboard.
    pub web: Web,
    /// The operator's socket.
    pub control: Control,
    /// Discovery for Home Assistant.
    pub homeassistant: HomeAssistant,
    /// What is odd but works.
    pub warnings: Vec<Problem>,
}

/// `[site]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The site's name in topics and upstream: 1 to 32 of `a-z`, `0-9` and `-`.
    pub id: String,
    /// The zone whose calendar days are the days of all rows.
    pub timezone: Tz,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The directory that holds `sluice.redb`.
    pub path: PathBuf,
    /// The longest that a `QoS` 1 or 2 reading waits for company.
    pub commit_delay_ms: u64,
    /// The longest that a `QoS` 0 reading waits for company.
    pub commit_delay_qos0_ms: u64,
    /// How long readings are kept.
    pub retain_readings_ms: i64,
    /// How long dead letters and readings that were set aside are kept, counted from their arrival.
    pub retain_letters_ms: i64,
    /// Where backups of the store lie.
    pub backups: PathBuf,
}

/// `[time]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    /// What site time is.
    pub clock: ClockMode,
    /// Whose word counts on whether the wall clock is right.
    pub trust: TrustRule,
    /// How far behind its sensor's newest a reading may be and still count.
    pub allowed_lateness_ms: i64,
    /// How far ahead of a trusted clock a reading may be.
    pub future_tolerance_ms: i64,
    /// How long after its end a day stays open for those who are silent.
    pub grace_ms: i64,
}

/// What site time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The wall clock, once it is trusted.
    Wall,
    /// The newest event time of the site: simulation and replay.
    Event,
}

/// `[broker]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Whether devices come to our broker, or we go to theirs.
    pub mode: BrokerMode,
    /// MQTT over TCP; `None`: switched off.
    pub listen: Option<SocketAddr>,
    /// MQTT over TLS.
    pub tls_listen: Option<SocketAddr>,
    /// What listeners with TLS show and whom they believe; there whenever one of them is.
    pub tls: Option<Tls>,
    /// MQTT over WebSocket.
    pub websocket: Option<WebSocket>,
    /// Who may come without a name and a password: `allow_anonymous`.
    pub anonymous: Anonymous,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How many of them from one address (IPv6: one /64); loopback is bound by the total only.
    pub max_connections_per_address: usize,
    /// The largest packet, in bytes.
    pub max_packet: usize,
    /// How often `$SYS/broker/…` says what changed; 0 is never.
    pub sys_interval_ms: u64,
    /// How long a session is kept for an absent client at most, in milliseconds.
    pub session_expiry_ms: u64,
    /// Users named here; there may be more in the store.
    pub users: Vec<User>,
}

/// Whose broker it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerMode {
    /// Ours, in this process.
    Embedded,
    /// Another one, whose client we are.
    External(Box<External>),
}

/// MQTT over WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// The address.
    pub listen: SocketAddr,
    /// Whether it is served with TLS.
    pub tls: bool,
    /// The pages whose scripts may connect (`https://host`); `None`: any.
    pub origins: Option<Vec<String>>,
}

/// A server's side of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What it shows.
    pub identity: TlsIdentity,
    /// Whom it believes; `None`: clients are not asked for certificates.
    pub clients: Option<TlsClients>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate chain, PEM.
    pub cert: NamedFile,
    /// The private key, PEM.
    pub key: NamedFile,
}

/// Certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClients {
    /// The certificates that sign theirs, PEM.
    pub ca: NamedFile,
    /// Whether a client may come without one.
    pub certificate: ClientCertificate,
}

/// Whether a client needs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// One that is shown must be good; none may be shown.
    Optional,
    /// Nobody comes without one.
    Required,
}

/// A file that the configuration names, and where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The file.
    pub path: PathBuf,
    /// The key with its section: `broker.tls_cert`.
    pub key: String,
    /// The line, from 1.
    pub line: usize,
}

/// `[[broker.user]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The password's hash; `None`: a client certificate alone proves who it is.
    pub password_hash: Option<Hash>,
    /// Topics to publish on; `None`: everything that is not reserved.
    pub publish: Option<Vec<Pattern>>,
    /// Topics to subscribe to; `None`: everything.
    pub subscribe: Option<Vec<Pattern>>,
}

/// `[alert]`
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// When an alert that nobody acknowledges is said again, in milliseconds after the first time.
    pub repeat_ms: Vec<i64>,
    /// Price of a cubic metre.
    pub water_tariff: Option<f64>,
    /// Price of a kilowatt hour.
    pub energy_tariff: Option<f64>,
    /// The currency of the tariffs.
    pub currency: String,
    /// Where people reach the gateway's pages and API, for links and buttons in messages; `None`: messages have
    /// neither.
    pub ack_url: Option<String>,
    /// Where alerts are sent to.
    pub channels: Vec<Channel>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it soon.
    Warning,
    /// Act now.
    Critical,
}

/// `[upstream]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where batches are posted to.
    pub url: String,
    /// The file that holds the bearer token.
    pub token_file: Option<PathBuf>,
    /// The most readings in a batch.
    pub batch: usize,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The most bytes to send in a second.
    pub max_bytes_per_second: Option<u64>,
}

/// `[web]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// HTTP, or HTTPS with an identity.
    pub listen: SocketAddr,
    /// The certificate to serve.
    pub tls: Option<TlsIdentity>,
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The operator's socket.
    pub socket: PathBuf,
}

/// `[homeassistant]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistant {
    /// Whether results and alerts are announced.
    pub discovery: bool,
}

/// The file to read: the one asked for, else the one that the environment names (`$SLUICE_CONFIG`),
/// else the first of [`SEARCH_PATHS`] that exists. `None` where there is none.
pub fn locate(
    explicit: Option<&Path>,
    env: Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    explicit
        .map(Path::to_owned)
        .or_else(|| env.filter(|path| !path.is_empty()).map(PathBuf::from))
        .or_else(|| {
            let mut found = SEARCH_PATHS.iter().map(PathBuf::from);
            found.find(|path| exists(path))
        })
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Every problem in it at once, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(Problems(vec![Problem {
                file,
                line: None,
                key: String::new(),
                text: format!("cannot read the configuration: {error}"),
            }])),
        }
    }

    /// Reads a text; `file` is what problems call it.
    ///
    /// # Errors
    /// Every problem in it at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, Problems> {
        validate::config(text, file)
    }

    /// The seed home, to be adjusted by who wants to run it elsewhere than on a deployed machine.
    #[must_use]
    pub fn home() -> Self {
        Self::parse(HOME, "config/home.toml").expect("a test holds config/home.toml valid")
    }

    /// The rule of a sensor: the first whose pattern matches its name.
    #[must_use]
    pub fn sensor_for(&self, name: &str) -> Option<&SensorRule> {
        self.sensors.iter().find(|rule| rule.name.matches(name))
    }

    /// The balances that a sensor belongs to, as their meter or as a part. Their other sensors need
    /// not exist yet: a balance begins when its meter is known.
    #[must_use]
    pub fn balances_touching(&self, sensor: &str) -> Vec<ConcreteBalance> {
        let mut touched = Vec::new();
        for balance in &self.balances {
            for concrete in balance.touching(sensor) {
                if !touched.contains(&concrete) {
                    touched.push(concrete);
                }
            }
        }
        touched
    }
}

impl Broker {
    /// Every address that it listens on: none where the broker is another.
    pub fn listeners(&self) -> impl Iterator<Item = SocketAddr> {
        let ours = matches!(self.mode, BrokerMode::Embedded);
        let websocket = self.websocket.as_ref().map(|socket| socket.listen);
        [self.listen, self.tls_listen, websocket]
            .into_iter()
            .flatten()
            .filter(move |_| ours)
    }
}
