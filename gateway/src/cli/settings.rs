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
use crate::config::{self, Config, SEARCH_PATHS};
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

/// The store of a daemon that is stopped, opened to be read. It must outlive what it is read by.
///
/// What a daemon that was killed had not sealed is in the readings, but not yet in the rows: the
/// daemon makes them anew when it starts.
pub(super) fn stopped(config: &Config) -> anyhow::Result<(Store, StoreFacts)> {
    let file = config.store.path.join(store::FILE);
    if !file.exists() {
        bail!("there is no store at {}", file.display());
    }
    let store = Store::open(&config.store.path, &store::Options::default())
        .with_context(|| format!("cannot read {}", file.display()))?;
    let unsealed = store.tail().readings;
    if unsealed > 0 {
        tracing::warn!(
            "the daemon did not stop by itself: {unsealed} readings are not in the rows yet; they will be when it starts"
        );
    }
    let config = Arc::new(ArcSwap::from_pointee(config.clone()));
    let vitals = Arc::new(Vitals::default());
    let facts = StoreFacts::new(store.view(), config, Clock::machine(), vitals);
    Ok((store, facts))
}

/// Where the daemon's API is.
pub(super) fn api_address(config: &Config) -> SocketAddr {
    config.web.listen
}
