//! Wires everything together, and takes it apart again. Nothing is decided here.
//!
//! Start: store → site → addresses → broker → writer → web. Stop: the broker stops reading and lets what it
//! read be acknowledged, the writer commits and seals what is left, the web lets requests end.

mod announcer;
mod channels;
mod desk;
mod far;
mod kept;
mod listeners;
mod outbox;
mod time_service;

use crate::access::{self, Gate, Register};
use crate::alert::Conditions;
use crate::broker::external::{Far, Report};
use crate::broker::{Broker, BrokerConfig, Fanout, Limits, Qos, Restored, Stats};
use crate::clock::Clock;
use crate::config::Config;
use crate::control;
use crate::ingest::{
    COMMANDS, Command, INTAKE_SUBMISSIONS, IngestStats, Intake, PayloadMapper, SiteError, Writer,
};
use crate::notify::Tally;
use crate::rows::{self, BrokerStatus};
use crate::source::Verdict;
use crate::store::{Failure, OpenError, Options, Store, StoreError, View};
use crate::tls::TlsError;
use crate::web::facts::{StoreFacts, Vitals};
use crate::web::live::Feed;
use crate::web::{Names, Web, host_in};
use announcer::Announcer;
use arc_swap::ArcSwap;
use channels::Channels;
use desk::Desk;
use kept::Kept;
use listeners::{Certificates, Listeners};
pub use outbox::{OutboxError, StoredOutbox};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// How long connections have to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Starts in a row without a seal or a clean end, before a large store is checked whole.
const VERIFY_AFTER_STARTS: u32 = 3;

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The site cannot be read out of the store.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// An address cannot be had.
    #[error("cannot listen on {address} for {what}: is another program there? See {key}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is served there.
        what: &'static str,
        /// Where it is configured: section and key.
        key: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or a key cannot be used.
    #[error("cannot serve TLS: see {}", .0.file().key)]
    Tls(#[source] TlsError),
    /// The writer's thread cannot be started, or ended for a fault of our own.
    #[error("the writer {0}")]
    Writer(&'static str),
}

impl AppError {
    /// What it means for the store.
    fn failure(&self) -> Failure {
        match self {
            Self::Open(error) => error.failure(),
            Self::Store(error) | Self::Site(SiteError::Store(error)) => error.failure(),
            Self::Site(SiteError::Moved { .. })
            | Self::Listen { .. }
            | Self::Tls(_)
            | Self::Writer(_) => Failure::Otherwise,
        }
    }
}

/// A gateway that listens, and is not running yet.
pub struct App {
    config: Arc<Config>,
    clock: Clock,
    kept: Kept,
    /// None of them where the broker is another.
    mqtt: Listeners,
    http: TcpListener,
    control: Option<control::Socket>,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// MQTT over TCP; `None`: switched off, or the broker is another.
    pub mqtt: Option<SocketAddr>,
    /// MQTT over TLS.
    pub tls: Option<SocketAddr>,
    /// MQTT over WebSocket.
    pub websocket: Option<SocketAddr>,
    /// HTTP.
    pub http: SocketAddr,
}

impl Addresses {
    fn of(mqtt: &Listeners, http: &TcpListener, config: &Config) -> Self {
        let [plain, tls, websocket] = mqtt.addresses();
        Self {
            mqtt: plain,
            tls,
            websocket,
            http: address(http, config.web.listen),
        }
    }
}

/// A gateway that runs.
pub struct Running {
    addresses: Addresses,
    certificates: Certificates,
    view: View,
    facts: Arc<StoreFacts>,
    feed: Feed,
    stats: Arc<IngestStats>,
    commands: mpsc::Sender<Command>,
    conditions: Conditions,
    outbox: Arc<StoredOutbox>,
    channels: Channels,
    broker: Broker<PayloadMapper>,
    far: Option<Far>,
    fanout: Fanout,
    register: Arc<Register>,
    site: String,
    writer: std::thread::JoinHandle<Result<Store, StoreError>>,
    web: tokio::task::JoinHandle<()>,
    control: Option<tokio::task::JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl App {
    /// Opens the store and takes the addresses. `generation` tells this store from any other, if
    /// it is created now.
    ///
    /// A store that is damaged is set aside, whole, for a new one: an incident says so for as long as
    /// its file lies there.
    pub async fn build(config: Config, clock: Clock, generation: u64) -> Result<Self, AppError> {
        Self::build_with(config, clock, generation, None).await
    }

    /// The same after a store was found `damaged` while it was used: it is set aside without being
    /// asked again.
    pub async fn build_after_damage(
        config: Config,
        clock: Clock,
        generation: u64,
        damaged: String,
    ) -> Result<Self, AppError> {
        Self::build_with(config, clock, generation, Some(damaged)).await
    }

    async fn build_with(
        config: Config,
        clock: Clock,
        generation: u64,
        damaged: Option<String>,
    ) -> Result<Self, AppError> {
        let config = Arc::new(config);
        let options = Options {
            generation,
            verify_after_starts: VERIFY_AFTER_STARTS,
            ..Options::default()
        };
        let (known, hands) = (Arc::clone(&config), clock.clone());
        let opening =
            tokio::task::spawn_blocking(move || kept::open(&known, &hands, &options, damaged));
        let opened = opening.await;
        let kept = opened.map_err(|_| AppError::Writer("could not open the store"))??;
        let mqtt = Listeners::bind(&config.broker, &clock).await?;
        let http = bind(config.web.listen, "HTTP", "[web] listen").await?;
        Ok(Self {
            config,
            clock,
            kept,
            mqtt,
            http,
            control: None,
        })
    }

    /// Also serves operators on the socket that the configuration names. Where it cannot be had the
    /// gateway runs without: readings matter more.
    #[must_use]
    pub fn with_control(mut self) -> Self {
        match control::Socket::bind(&self.config.control.socket) {
            Ok(socket) => self.control = Some(socket),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "`sluice correct`, `sluice late accept` and `sluice user` will not reach this daemon"
            ),
        }
        self
    }

    /// Begins to serve.
    pub fn start(self) -> Result<Running, AppError> {
        let Self {
            config,
            clock,
            kept:
                Kept {
                    store,
                    site,
                    alerts,
                    restored,
                },
            mqtt,
            http,
            control,
        } = self;
        let view = store.view();
        let (submissions, intake) = mpsc::channel(INTAKE_SUBMISSIONS);
        let (commands, orders) = mpsc::channel(COMMANDS);
        let gate = Arc::new(Gate::new(access::directory(&config.broker, &view)?));
        let broker = Broker::start(
            broker_config(&config, clock.clone(), Arc::clone(&gate)),
            PayloadMapper(Arc::new(config.sources.clone())),
            submissions,
            restored,
        );
        let addresses = Addresses::of(&mqtt, &http, &config);
        let feed = Feed::default();
        let report = far::report(&config, &clock);
        let stats = Arc::new(IngestStats::default());
        let vitals = vitals(&broker, mqtt.certificates(), report.clone());
        let (seen, tally) = (alerts.seen(), Tally::default());
        let vitals = vitals.counting(Arc::clone(&stats)).seeing(seen.clone());
        let vitals = Arc::new(vitals.sending(tally.clone()));
        let fanout = broker.fanout();
        let observer = Announcer {
            feed: feed.clone(),
            vitals: Arc::clone(&vitals),
        };
        let reviewed = broker.clone();
        let review = move || reviewed.review();
        let register = Register::new(gate, view.clone(), config.broker.clone(), review);
        let register = Arc::new(register);
        let writer = Writer::new(
            store,
            site,
            fanout.clone(),
            Arc::clone(&config),
            clock.clone(),
            observer,
        )
        .counting(Arc::clone(&stats))
        .with_alerts(alerts);
        let intake = Intake {
            submissions: intake,
            commands: orders,
        };
        let writer = on_a_thread(writer, intake)?;

        let facts = facts(&view, &config, &clock, &vitals);
        let web = Web::new(facts.clone(), feed.clone(), names(&config));
        let desk = Arc::new(Desk::new(commands.clone()));
        let outbox = Arc::new(StoredOutbox::new(&view, &commands, &seen));
        let channels = Channels::start(&config, &outbox, &seen.conditions, &facts, &clock, tally);
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(time_service::ask(
            clock,
            Arc::clone(&config),
            stopping.clone(),
        ));
        let control = control.map(|socket| {
            let web = web.clone().acting(desk.clone());
            let router = control::router(web, commands.clone(), Arc::clone(&register));
            tokio::spawn(socket.serve(router, stopped(stopping.clone())))
        });
        let web = answering(web, &config, desk);
        let web = tokio::spawn(web.serve(http, stopped(stopping)));
        let site = config.site.id.clone();
        say_status(&fanout, &site, "online");
        let certificates = mqtt.serve(&broker);
        let far = far::start(&config, &broker, report);
        vitals.set_ready();
        Ok(Running {
            addresses,
            certificates,
            view,
            facts,
            feed,
            stats,
            commands,
            conditions: seen.conditions,
            outbox,
            channels,
            broker,
            far,
            fanout,
            register,
            site,
            writer,
            web,
            control,
            stop,
        })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it has committed.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What it has committed, under its names.
    #[must_use]
    pub fn facts(&self) -> Arc<StoreFacts> {
        Arc::clone(&self.facts)
    }

    /// What it commits, as it does.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What its writer counts.
    #[must_use]
    pub fn stats(&self) -> &IngestStats {
        &self.stats
    }

    /// Carries an operator's orders to the writer.
    #[must_use]
    pub fn commands(&self) -> &mpsc::Sender<Command> {
        &self.commands
    }

    /// Where a part of it says what is wrong with itself.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What waits to be sent to channels.
    #[must_use]
    pub fn outbox(&self) -> Arc<StoredOutbox> {
        Arc::clone(&self.outbox)
    }

    /// Whether the writer has ended by itself: a fault of our own.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.writer.is_finished()
    }

    /// Takes over from a configuration that was read again what can change while it runs; says
    /// what is taken at the next start. Waits for the disk.
    pub fn reload(&self, config: &Config) {
        self.certificates.reload(&config.broker);
        self.channels.reload(config);
        match self.register.configure(&config.broker) {
            Ok(()) => tracing::info!(
                "the configuration is valid: its users, who may come without a name, its certificates, and the settings of \
                 its alert channels hold now, the rest at the next start"
            ),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the configuration's users were not taken over: the store's cannot be read"
            ),
        }
    }

    /// Who may do what here.
    #[must_use]
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Drains and stops: everything acknowledged is on disk, everything read is acknowledged.
    pub async fn stop(self) -> Result<Store, AppError> {
        say_status(&self.fanout, &self.site, "offline");
        if let Some(far) = self.far {
            far.shutdown(DRAIN).await;
        }
        self.broker.shutdown(DRAIN).await;
        // They hold a way to the writer, who ends with the last of them.
        self.channels.stop().await;
        drop(self.broker);
        drop((self.commands, self.outbox));
        self.stop.send_replace(true);
        let ending = tokio::task::spawn_blocking(move || self.writer.join());
        let ended = ending
            .await
            .map_err(|_| AppError::Writer("could not be waited for"))?;
        // Whatever became of the writer, the addresses are free when this returns.
        let web = self.web.await;
        let control = match self.control {
            Some(control) => control.await,
            None => Ok(()),
        };
        if web.and(control).is_err() {
            tracing::error!("the web server failed for a fault of our own");
        }
        let store = ended.map_err(|_| AppError::Writer("failed for a fault of our own"))??;
        Ok(store)
    }
}

fn facts(
    view: &View,
    config: &Arc<Config>,
    clock: &Clock,
    vitals: &Arc<Vitals>,
) -> Arc<StoreFacts> {
    let shared = Arc::new(ArcSwap::from(Arc::clone(config)));
    let facts = StoreFacts::new(view.clone(), shared, clock.clone(), Arc::clone(vitals));
    Arc::new(facts)
}

/// By what names the web is asked: this machine's, and the one under which people reach it.
fn names(config: &Config) -> Names {
    let url = config.alert.ack_url.as_deref();
    Names::of_this_machine(url.and_then(host_in))
}

/// There are no users of the web yet: whoever is on this machine may answer alerts there.
fn answering(web: Web, config: &Config, desk: Arc<Desk>) -> Web {
    if config.web.listen.ip().is_loopback() {
        web.acting(desk)
    } else {
        web
    }
}

fn on_a_thread(
    writer: Writer<Announcer>,
    intake: Intake,
) -> Result<std::thread::JoinHandle<Result<Store, StoreError>>, AppError> {
    std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || writer.run(intake))
        .map_err(|_| AppError::Writer("cannot be started: the machine has no thread left"))
}

async fn bind(
    address: SocketAddr,
    what: &'static str,
    key: &'static str,
) -> Result<TcpListener, AppError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| AppError::Listen {
        address,
        what,
        key,
        source,
    })
}

/// The address that was really taken: a configured port 0 is any free one.
fn address(listener: &TcpListener, configured: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(configured)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error says that nobody is left to stop it: that is the end, too.
    drop(stop.wait_for(|stop| *stop).await);
}

fn say_status(fanout: &Fanout, site: &str, status: &str) {
    let topic = format!("sluice/{site}/status");
    let message = (topic.as_str(), status.as_bytes(), Qos::AtLeastOnce, true);
    fanout.committed(fanout.compose_derived([message], Verdict::NotMapped));
}

fn broker_config(config: &Config, clock: Clock, gate: Arc<Gate>) -> BrokerConfig {
    BrokerConfig {
        site: config.site.id.clone(),
        limits: Limits {
            max_connections: config.broker.max_connections,
            max_connections_per_address: config.broker.max_connections_per_address,
            max_greeting: greeting(config.broker.max_connections),
            max_packet: config.broker.max_packet,
            session_expiry: Duration::from_millis(config.broker.session_expiry_ms),
            ..Limits::default()
        },
        access: gate,
        sys_interval: (config.broker.sys_interval_ms > 0)
            .then(|| Duration::from_millis(config.broker.sys_interval_ms)),
        clock,
    }
}

fn vitals(
    broker: &Broker<PayloadMapper>,
    certificates: Certificates,
    report: Option<Arc<Report>>,
) -> Vitals {
    let broker = broker.clone();
    Vitals::starting(move || broker_status(&broker, certificates.expires_s(), report.as_deref()))
}

fn broker_status(
    broker: &Broker<PayloadMapper>,
    certificate_expires_s: Option<i64>,
    report: Option<&Report>,
) -> BrokerStatus {
    let stats = broker.stats();
    let in_total = Stats::read(&stats.dropped_in_total);
    BrokerStatus {
        connections: Stats::read(&stats.connections),
        sessions: broker.sessions() as u64,
        // Read after those that it includes: it is never less.
        dropped_session: Stats::read(&stats.dropped).saturating_sub(in_total),
        dropped_total: in_total,
        sessions_evicted: Stats::read(&stats.sessions_evicted),
        logins_refused: Stats::read(&stats.logins_refused),
        logins_put_off: Stats::read(&stats.logins_put_off),
        tls_certificate_expires: certificate_expires_s
            .map(|end| rows::when::Moment::from_ms(end.saturating_mul(1000))),
        far: report.map(far::status),
        // Whose broker it is stands in the configuration: a stopped daemon's status says it, too.
        ..BrokerStatus::default()
    }
}

/// How many of all connections may be silent yet: a few hundred are plenty for a power cut's end, when
/// every device comes at once.
fn greeting(max_connections: usize) -> usize {
    (max_connections / 2).clamp(16, 256)
}

fn restored(view: &View) -> Result<Restored, StoreError> {
    let sessions = view.sessions()?;
    let mut queued = Vec::new();
    for (client, _) in &sessions {
        let messages = view.queue(client)?.into_iter();
        queued.extend(messages.map(|(ordinal, message)| (client.clone(), ordinal, message)));
    }
    Ok(Restored {
        retained: view.retained()?,
        sessions,
        queued,
    })
}
