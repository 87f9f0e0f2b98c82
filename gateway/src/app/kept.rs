//! What a gateway goes on from when it starts: its store, the site in it, what the broker kept.
//!
//! A store that is damaged is set aside here, whole, and nowhere else: a gateway starts, whatever the
//! disk has become.

use super::{AppError, restored};
use crate::broker::Restored;
use crate::causes::in_words;
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::{Alerts, Site};
use crate::store::{Aside, Failure, Options, Store, set_aside};
use std::sync::Arc;

/// What a gateway goes on from.
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) site: Site,
    pub(super) alerts: Alerts,
    pub(super) restored: Restored,
}

/// Opens the store and all that is read of it at the start; one that is damaged is set aside, and
/// `damaged` says that it is.
pub(super) fn open(
    config: &Arc<Config>,
    clock: &Clock,
    options: &Options,
    damaged: Option<String>,
) -> Result<Kept, AppError> {
    let path = &config.store.path;
    let read = || {
        let mut store = Store::open(path, options)?;
        let site = Site::open(&mut store, Arc::clone(config), clock)?;
        let restored = restored(&store.view())?;
        // Read here so that damage is met here.
        drop(store.view().alerts()?);
        Ok::<_, AppError>((store, site, restored))
    };
    let go_on = |(mut store, mut site, restored): (Store, Site, Restored),
                 aside: Option<&Aside>| {
        tend_incidents(&mut store, config, aside, clock);
        let mut alerts = Alerts::open(&store, &site, config, clock)?;
        say_alerts(&mut store, &mut site, &mut alerts, clock);
        Ok(Kept {
            store,
            site,
            alerts,
            restored,
        })
    };
    let why = match damaged {
        Some(why) => why,
        None => match read() {
            Err(error) if error.failure() == Failure::Damaged => in_words(&error),
            Ok(read) => return go_on(read, None),
            Err(error) => return Err(error),
        },
    };
    let aside = set_aside(path, &why, clock.wall_ms())?;
    tracing::error!(
        file = %path.join(&aside.file).display(),
        why,
        "the store is damaged: it was set aside whole, and the gateway goes on with an empty one"
    );
    go_on(read()?, Some(&aside))
}

/// What is different about alerts is on disk before anything is served. Where the disk takes nothing the writer
/// finds that out, too, and goes on from memory.
fn say_alerts(store: &mut Store, site: &mut Site, alerts: &mut Alerts, clock: &Clock) {
    if store.failed().is_some() {
        return;
    }
    if let Err(error) = alerts.write_down(store, site, clock) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "what is different about alerts could not be written at the start"
        );
    }
}

/// On a disk without room they are written down later.
fn tend_incidents(store: &mut Store, config: &Config, aside: Option<&Aside>, clock: &Clock) {
    if store.failed().is_some() {
        return;
    }
    if let Err(error) = store.tend_incidents(&config.store.backups, aside, clock.wall_ms()) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "what lies beside the store could not be looked at"
        );
    }
}
