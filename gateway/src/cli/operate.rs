//! What an operator changes: `correct` and `late accept`; and the way of every order, those about users too.
//!
//! The daemon is asked over its control socket, since only its writer may write. When it is
//! stopped, its store is opened and the same order is carried out here.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::settings;
use crate::config::Config;
use crate::control::{ACCEPT_LATE, AcceptLate, CORRECT, Correct, Done};
use crate::ingest::{Alerts, Order};
use crate::rows::Failed;
use crate::rows::when::Moment;

/// The longest wait for the daemon to commit a change.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Which reading, and what it should have said.
#[derive(Debug, Clone, Args)]
pub(super) struct CorrectArgs {
    /// The sensor's name
    sensor: String,
    /// The reading's time, RFC 3339
    time: Moment,
    /// The value that shall count, in the sensor's unit
    #[arg(allow_negative_numbers = true)]
    value: f64,
}

/// Which readings that were set aside shall count.
#[derive(Debug, Clone, Args)]
pub(super) struct AcceptArgs {
    /// Of one sensor only
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    /// Measured at this time or after, RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Measured at this time or before
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

pub(super) async fn correct(shared: &SharedArgs, args: CorrectArgs) -> Outcome {
    let CorrectArgs {
        sensor,
        time,
        value,
    } = args;
    let asked = Correct {
        sensor: sensor.clone(),
        time,
        value,
    };
    let order = asked.clone().order();
    let order = order.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            anyhow!("{time} is outside the years 2000 to 2099"),
        )
    })?;
    let done = carry_out(shared, CORRECT, &asked, order).await?;
    let how = match done {
        Done { corrected: 1.., .. } => "counts instead of what was held",
        Done { accepted: 1.., .. } => "counts now; nothing was held for that time",
        Done {
            accepted: 0,
            corrected: 0,
            ..
        } => "counted already",
    };
    writeln!(io::stdout(), "{sensor} at {time}: {value} {how}.")?;
    Ok(())
}

pub(super) async fn accept_late(shared: &SharedArgs, args: AcceptArgs) -> Outcome {
    let AcceptArgs { sensor, from, to } = args;
    let asked = AcceptLate { sensor, from, to };
    let order = asked.clone().order();
    let done = carry_out(shared, ACCEPT_LATE, &asked, order).await?;
    writeln!(
        io::stdout(),
        "{} late readings count now, {} of them instead of what was held; {} counted already.",
        done.accepted + done.corrected,
        done.corrected,
        done.unchanged,
    )?;
    Ok(())
}

/// Has the daemon carry out an order, or carries it out on a stopped daemon's store.
pub(super) async fn carry_out<T: Serialize>(
    shared: &SharedArgs,
    path: &str,
    asked: &T,
    order: Order,
) -> Outcome<Done> {
    let config = settings::load(shared)?;
    let asking = |client: &Client| client.post(address(path)).json(asked);
    match by_daemon(&config.control.socket, asking).await {
        Answer::Done(done) => Ok(done),
        Answer::Failed(why) => Err(why.into()),
        Answer::Nobody(why) => by_stopped(&Arc::new(config), &order, &why),
    }
}

/// Carries out an order on the store of a daemon that does not answer, for the reason `why`.
pub(super) fn by_stopped(
    config: &Arc<Config>,
    order: &Order,
    why: &anyhow::Error,
) -> Outcome<Done> {
    by_store(config, order).map_err(|store| match store {
        Stopped::Unreadable(store) => {
            let why = anyhow!("{why:#}, and its store cannot be changed: {store:#}");
            Failure::new(Exit::NoDaemon, why)
        }
        Stopped::Failed(why) => why.into(),
    })
}

/// What comes of asking the daemon.
pub(super) enum Answer<T> {
    Done(T),
    Failed(anyhow::Error),
    Nobody(anyhow::Error),
}

/// Where the operator's socket has a path: the host only has to be one that the daemon is called by.
pub(super) fn address(path: &str) -> String {
    format!("http://localhost{path}")
}

/// Asks the daemon behind `socket`.
pub(super) async fn by_daemon<T: DeserializeOwned>(
    socket: &Path,
    asking: impl FnOnce(&Client) -> RequestBuilder,
) -> Answer<T> {
    let client = Client::builder()
        .unix_socket(socket)
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .build();
    let asking = match client {
        Ok(client) => asking(&client).send().await,
        Err(error) => Err(error),
    };
    let response = match asking {
        Ok(response) => response,
        Err(error) if error.is_connect() => {
            return Answer::Nobody(anyhow!("no daemon answers at {}", socket.display()));
        }
        Err(error) => return Answer::Failed(anyhow!(error).context("the daemon did not answer")),
    };
    let succeeded = response.status().is_success();
    let body = match response
        .bytes()
        .await
        .context("the daemon's answer broke off")
    {
        Ok(body) => body,
        Err(error) => return Answer::Failed(error),
    };
    if succeeded {
        match serde_json::from_slice(&body).context("the daemon's answer cannot be read") {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Failed(error),
        }
    } else {
        Answer::Failed(match serde_json::from_slice::<Failed>(&body) {
            Ok(failed) => anyhow!(failed.error.message),
            Err(_) => anyhow!("the daemon refuses: {}", String::from_utf8_lossy(&body)),
        })
    }
}

/// Why a stopped daemon's store was not changed.
enum Stopped {
    Unreadable(anyhow::Error),
    Failed(anyhow::Error),
}

fn by_store(config: &Arc<Config>, order: &Order) -> Result<Done, Stopped> {
    let (mut store, mut site) = settings::open(config).map_err(Stopped::Unreadable)?;
    let mut change = || {
        let clock = settings::clock(config);
        let mut alerts = Alerts::open(&store, &site, config, &clock)?;
        alerts.heed(order, clock.wall_ms())?;
        site.begin(&clock);
        site.reckon(&mut store)?;
        let outcome = site.obey(order, &mut store)??;
        site.settle(&mut store)?;
        alerts.hear(&site, clock.wall_ms());
        let mut rows = Vec::new();
        alerts.rows(&alerts.written(), clock.wall_ms(), &mut rows);
        // Nothing to write is fine: what is asked for holds already.
        let _committed = site.commit(&mut store, &rows)?;
        anyhow::Ok(Done::from(outcome))
    };
    change().map_err(Stopped::Failed)
}
