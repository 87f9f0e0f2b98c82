//! What a command needs of the configuration, and the store of a stopped daemon.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use arc_swap::ArcSwap;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use crate::clock::Clock;
use crate::config::{self, Config, SEARCH_PATHS, Unserved};
use crate::ingest::Site;
use crate::store::{self, Store};
use crate::web::facts::{StoreFacts, Vitals};

/// Names the configuration's file when `--config` does not.
const VARIABLE: &str = "SLUICE_CONFIG";

/// The configuration's file: the one named, or the first that is there.
pub(super) fn path(shared: &SharedArgs) -> Outcome<PathBuf> {
    let named = env::var_os(VARIABLE);
    config::locate(shared.config.as_deref(), named, Path::exists).ok_or_else(|| {
        let why = anyhow!(
            "there is no configuration: name one with --config or ${VARIABLE}, or write {}",
            SEARCH_PATHS.join(" or ")
        );
        Failure::new(Exit::Configuration, why)
    })
}

/// The configuration, or everything that is wrong with it.
pub(super) fn load(shared: &SharedArgs) -> Outcome<Config> {
    Config::load(&path(shared)?).map_err(|why| Failure::new(Exit::Configuration, why))
}

/// What the configuration asks for in vain; a failure where that would protect somebody.
pub(super) fn served(config: &Config) -> Outcome<Vec<&'static str>> {
    let (mut features, mut protections) = (Vec::new(), Vec::new());
    for unserved in config.unserved() {
        match unserved {
            Unserved::Feature(what) => features.push(what),
            Unserved::Protection(what) => protections.push(what),
        }
    }
    if protections.is_empty() {
        return Ok(features);
    }
    Err(Failure::new(
        Exit::Configuration,
        anyhow!(protections.join("\n")),
    ))
}

/// The facts of a stopped daemon's store, which must outlive them.
pub(super) fn stopped(config: &Config) -> anyhow::Result<(Store, StoreFacts)> {
    let config = Arc::new(config.clone());
    let clock = clock(&config);
    let (store, _) = open_by(&config, &clock)?;
    let vitals = Arc::new(Vitals::stopped());
    let facts = StoreFacts::new(store.view(), Arc::new(ArcSwap::from(config)), clock, vitals);
    Ok((store, facts))
}

/// The store of a stopped daemon and the site that is in it: as it was after the last commit, even
/// where the daemon was killed.
pub(super) fn open(config: &Arc<Config>) -> anyhow::Result<(Store, Site)> {
    open_by(config, &clock(config))
}

fn open_by(config: &Arc<Config>, clock: &Clock) -> anyhow::Result<(Store, Site)> {
    let file = config.store.path.join(store::FILE);
    if !file.exists() {
        bail!(
            "there is no store at {}: the daemon makes it when it first starts",
            file.display()
        );
    }
    let mut store = Store::open(&config.store.path, &store::Options::default())?;
    let site = Site::open(&mut store, Arc::clone(config), clock)
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok((store, site))
}

/// The machine's clock, trusted as the configuration says.
pub(super) fn clock(config: &Config) -> Clock {
    let clock = Clock::machine();
    clock.go_by(config.time.trust);
    clock
}

/// Where the daemon's API is.
pub(super) fn api_address(config: &Config) -> SocketAddr {
    config.web.listen
}
