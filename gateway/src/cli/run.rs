//! `sluice run`: the daemon, in the foreground.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::SharedArgs;
use super::exit::Outcome;
use super::settings;
use crate::app::{App, AppError, Running};
use crate::clock::Clock;
use crate::config::Config;
use crate::lifecycle::{self, Asked, Signals};
use crate::store::StoreError;

/// Threads for sockets: a gateway waits more than it works.
const SOCKET_THREADS: usize = 2;
/// How often the daemon makes sure that its writer lives.
const WRITER_LOOKED_AT: Duration = Duration::from_secs(1);

/// The daemon takes everything from its configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {}

pub(super) fn run(shared: &SharedArgs, RunArgs {}: RunArgs) -> Outcome {
    let path = settings::path(shared)?;
    let config = settings::load(shared)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for feature in settings::served(&config)? {
        tracing::warn!("{feature}");
    }
    runtime()?.block_on(serve(config, &path))
}

/// The runtime of everything but the writer.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SOCKET_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads that serve sockets")
}

async fn serve(config: Config, path: &Path) -> Outcome {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    lifecycle::open_files(config.broker.max_connections);
    let clock = Clock::machine();
    let mut app = App::build(config.clone(), clock.clone(), rand::random()).await?;
    let store = loop {
        let running = app.with_control().start()?;
        let addresses = running.addresses();
        tracing::info!(
            mqtt = addresses.mqtt.map(display),
            tls = addresses.tls.map(display),
            websocket = addresses.websocket.map(display),
            http = %addresses.http,
            "ready"
        );
        let ended = until_stopped(&mut signals, &running, path).await;
        tracing::info!("draining");
        match (ended, running.stop().await) {
            (Ended::Asked, stopped) => break stopped?,
            (Ended::Broken, Err(AppError::Store(StoreError::Unusable(why)))) => {
                // As at a start that finds damage, but for the process, and what it saw of its clock.
                let (config, clock) = (config.clone(), clock.clone());
                app = App::build_after_damage(config, clock, rand::random(), why).await?;
            }
            (Ended::Broken, stopped) => {
                stopped?;
                let why =
                    anyhow::anyhow!("the writer ended: restart, and report what the log says");
                return Err(why.into());
            }
        }
    };
    let totals = store.view().totals()?;
    tracing::info!(
        received = totals.counters.received,
        bytes = totals.file_bytes,
        "stopped: everything acknowledged is on disk"
    );
    Ok(())
}

/// Why a gateway stops.
enum Ended {
    /// Somebody asked.
    Asked,
    /// Its writer has ended.
    Broken,
}

async fn until_stopped(signals: &mut Signals, running: &Running, path: &Path) -> Ended {
    let mut look = tokio::time::interval(WRITER_LOOKED_AT);
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return Ended::Asked,
                Asked::Reload => reload(path, running),
            },
            _ = look.tick() => if running.is_broken() {
                return Ended::Broken;
            },
        }
    }
}

/// Takes over what can change while the daemon runs; a mistake in the file changes nothing.
fn reload(path: &Path, running: &Running) {
    match Config::load(path) {
        Ok(config) => running.reload(&config),
        Err(problems) => tracing::error!(
            "the configuration is wrong, and would be refused at the next start; the daemon goes on as it \
             was:\n{problems}"
        ),
    }
}
