//! Wires everything together, and takes it apart again. Nothing is decided here.
//!
//! Start: store → site → broker → writer → web. Stop: the broker stops reading and lets what it
//! read be acknowledged, the writer commits and seals what is left, the web lets requests end.

use crate::broker::{Broker, BrokerConfig, Fanout, Limits, Open, Qos, Restored};
use crate::clock::Clock;
use crate::config::Config;
use crate::control;
use crate::ingest::{
    Announced, COMMANDS, Command, INTAKE_SUBMISSIONS, IngestStats, Intake, Observer, PayloadMapper,
    Site, SiteError, Writer,
};
use crate::rows;
use crate::source::Verdict;
use crate::store::{OpenError, Options, Store, StoreError, View};
use crate::web::facts::{StoreFacts, Vitals};
use crate::web::live::{Feed, LiveEvent};
use crate::web::{Names, Web};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// How long connections have to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);

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
    #[error(
        "cannot listen on {address} for {what}: is another program there? See [{section}] listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is served there.
        what: &'static str,
        /// Where it is configured.
        section: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The writer's thread cannot be started, or ended for a fault of our own.
    #[error("the writer {0}")]
    Writer(&'static str),
}

/// A gateway that listens, and is not running yet.
pub struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    site: Site,
    mqtt: TcpListener,
    http: TcpListener,
    control: Option<control::Socket>,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
}

/// A gateway that runs.
pub struct Running {
    addresses: Addresses,
    view: View,
    facts: Arc<StoreFacts>,
    feed: Feed,
    stats: Arc<IngestStats>,
    commands: mpsc::Sender<Command>,
    broker: Broker<PayloadMapper>,
    fanout: Fanout,
    site: String,
    writer: std::thread::JoinHandle<Result<Store, StoreError>>,
    web: tokio::task::JoinHandle<()>,
    control: Option<tokio::task::JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl App {
    /// Opens the store and takes the addresses. `generation` tells this store from any other, if
    /// it is created now.
    pub async fn build(config: Config, clock: Clock, generation: u64) -> Result<Self, AppError> {
        let config = Arc::new(config);
        let options = Options {
            generation,
            ..Options::default()
        };
        let (path, known, hands) = (
            config.store.path.clone(),
            Arc::clone(&config),
            clock.clone(),
        );
        let opening = tokio::task::spawn_blocking(move || {
            let mut store = Store::open(&path, &options)?;
            let site = Site::open(&mut store, known, &hands)?;
            Ok::<_, AppError>((store, site))
        });
        let opened = opening.await;
        let (store, site) = opened.map_err(|_| AppError::Writer("could not open the store"))??;
        let mqtt = bind(config.broker.listen, "MQTT", "broker").await?;
        let http = bind(config.web.listen, "HTTP", "web").await?;
        Ok(Self {
            config,
            clock,
            store,
            site,
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
                "`sluice correct` and `sluice late accept` will not reach this daemon"
            ),
        }
        self
    }

    /// Begins to serve.
    pub fn start(self) -> Result<Running, AppError> {
        let Self {
            config,
            clock,
            store,
            site,
            mqtt,
            http,
            control,
        } = self;
        let view = store.view();
        let restored = restored(&view)?;
        let (submissions, intake) = mpsc::channel(INTAKE_SUBMISSIONS);
        let (commands, orders) = mpsc::channel(COMMANDS);
        let broker = Broker::start(
            broker_config(&config),
            PayloadMapper(Arc::new(config.sources.clone())),
            submissions,
            restored,
        );
        let addresses = Addresses {
            mqtt: address(&mqtt, config.broker.listen),
            http: address(&http, config.web.listen),
        };
        let feed = Feed::default();
        let counting = broker.clone();
        let vitals = Arc::new(Vitals::starting(move || {
            counting.stats().connections.load(Relaxed)
        }));
        let observer = Announcer {
            feed: feed.clone(),
            vitals: Arc::clone(&vitals),
        };
        let fanout = broker.fanout();
        let writer = Writer::new(
            store,
            site,
            fanout.clone(),
            Arc::clone(&config),
            clock.clone(),
            observer,
        );
        let stats = writer.stats();
        let intake = Intake {
            submissions: intake,
            commands: orders,
        };
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(intake))
            .map_err(|_| AppError::Writer("cannot be started: the machine has no thread left"))?;

        let shared = Arc::new(ArcSwap::from(Arc::clone(&config)));
        let facts = StoreFacts::new(view.clone(), shared, clock, Arc::clone(&vitals));
        let facts = Arc::new(facts);
        let web = Web::new(facts.clone(), feed.clone(), Names::of_this_machine([]));
        let (stop, stopping) = watch::channel(false);
        let control = control.map(|socket| {
            let router = control::router(web.clone(), commands.clone());
            tokio::spawn(socket.serve(router, stopped(stopping.clone())))
        });
        let web = tokio::spawn(web.serve(http, stopped(stopping)));
        let site = config.site.id.clone();
        say_status(&fanout, &site, "online");
        broker.listen(mqtt);
        vitals.set_ready();
        Ok(Running {
            addresses,
            view,
            facts,
            feed,
            stats,
            commands,
            broker,
            fanout,
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

    /// Whether the writer has ended by itself: a fault of our own.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.writer.is_finished()
    }

    /// Takes over from a configuration that was read again what can change while it runs; says
    /// what is taken at the next start.
    pub fn reload(&self, _config: &Config) {
        tracing::info!("the configuration is valid; it is taken at the next start");
    }

    /// Drains and stops: everything acknowledged is on disk, everything read is acknowledged.
    pub async fn stop(self) -> Result<Store, AppError> {
        say_status(&self.fanout, &self.site, "offline");
        self.broker.shutdown(DRAIN).await;
        drop(self.broker);
        drop(self.commands);
        self.stop.send_replace(true);
        let ending = tokio::task::spawn_blocking(move || self.writer.join());
        let ended = ending
            .await
            .map_err(|_| AppError::Writer("could not be waited for"))?;
        let store = ended.map_err(|_| AppError::Writer("failed for a fault of our own"))??;
        let web = self.web.await;
        let control = match self.control {
            Some(control) => control.await,
            None => Ok(()),
        };
        if web.and(control).is_err() {
            tracing::error!("the web server failed for a fault of our own");
        }
        Ok(store)
    }
}

/// Says what was committed to those who watch.
struct Announcer {
    feed: Feed,
    vitals: Arc<Vitals>,
}

impl Observer for Announcer {
    fn committed(&mut self, announced: &Announced<'_>) {
        self.vitals.commits.fetch_add(1, Relaxed);
        if self.feed.watchers() == 0 {
            return;
        }
        let Announced {
            group,
            changes,
            registry,
        } = *announced;
        let readings = group.readings.iter().filter(|r| r.fate.is_held()).map(|r| {
            LiveEvent::Reading(rows::Reading {
                sensor: registry.sensor(r.sensor).name.as_str().to_owned(),
                time: rows::when::Moment::from_ms(r.time.ms()),
                value: r.value,
                seq: r.seq,
            })
        });
        let days = changes.days.iter().filter(|c| c.row_changed).map(|c| {
            let (name, unit) = registry.name_and_unit(c.sensor);
            LiveEvent::Day(rows::Day::of(name, unit, c.day, &c.state.row))
        });
        let diffs = changes
            .days
            .iter()
            .filter(|c| c.diff_changed)
            .filter_map(|c| {
                let (name, unit) = registry.name_and_unit(c.sensor);
                let diff = c.state.diff.as_ref()?;
                Some(LiveEvent::Diff(rows::Diff::of(name, unit, c.day, diff)))
            });
        let rests = changes.rests.iter().map(|(id, day, row)| {
            let name = &registry.balances()[id.0 as usize];
            let unit = registry.unit_of_balance(*id);
            let name_of = |part| registry.sensor(part).name.as_str().to_owned();
            LiveEvent::Rest(rows::Rest::of(name, unit, *day, row, name_of))
        });
        self.feed
            .publish(readings.chain(days).chain(diffs).chain(rests));
    }
}

async fn bind(
    address: SocketAddr,
    what: &'static str,
    section: &'static str,
) -> Result<TcpListener, AppError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| AppError::Listen {
        address,
        what,
        section,
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

fn broker_config(config: &Config) -> BrokerConfig {
    BrokerConfig {
        site: config.site.id.clone(),
        limits: Limits {
            max_connections: config.broker.max_connections,
            max_packet: config.broker.max_packet,
            ..Limits::default()
        },
        access: Arc::new(Open),
        sys_interval: (config.broker.sys_interval_ms > 0)
            .then(|| Duration::from_millis(config.broker.sys_interval_ms)),
    }
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
