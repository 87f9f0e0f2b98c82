//! External mode: the gateway as a client of another broker or cluster, with the promise that the
//! embedded broker makes. A message is acknowledged there when it is on disk here, and in order; what
//! was not acknowledged comes again after a crash, and counts once by its reading's identity.
//!
//! The embedded broker's hub stays, without a listener, as the switchboard: what the far broker
//! delivers becomes a [`Submission`](super::Submission) for the writer, and the gateway's own retained
//! messages go out to the far broker. Nothing that came in goes out again.
//!
//! `link` speaks MQTT, `bridge` comes back after every failure, `visit` is one connection; `ledger`,
//! `outbox`, `filters` and `backoff` decide, without waiting.

mod backoff;
mod bridge;
mod failure;
mod filters;
mod ledger;
mod link;
mod outbox;
mod remembered;
mod report;
mod tls;
mod visit;

pub use report::{FarState, Report};

use super::Broker;
use super::intake::Mapper;
use crate::config::External;
use crate::source::Belongs;
use bridge::Bridge;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a bridge goes by.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The site's id.
    pub site: String,
    /// `[broker.external]`.
    pub external: External,
    /// The topics that the sources read, valid filters.
    pub sources: Vec<String>,
    /// The largest packet that is taken, in bytes.
    pub max_packet: usize,
    /// What the pauses between attempts are drawn from.
    pub seed: u64,
}

/// Says whose a message is, given its topic and what the mapper made of it.
pub type Sieve<D> = Box<dyn Fn(&str, D) -> Belongs<D> + Send + Sync>;

/// A bridge to the far broker that runs.
#[derive(Debug)]
pub struct Far {
    report: Arc<Report>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Far {
    /// Begins to connect, and comes back for ever. Must be called within a tokio runtime. `report` is where
    /// others see how it goes.
    #[must_use]
    pub fn start<M: Mapper>(
        plan: Plan,
        broker: Broker<M>,
        sieve: Sieve<M::Mapped>,
        report: Arc<Report>,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let bridge = Bridge::new(plan, broker, sieve, Arc::clone(&report));
        Self {
            report,
            stop,
            running: tokio::spawn(bridge.run(stopping)),
        }
    }

    /// How it goes.
    #[must_use]
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Takes no more messages, lets what was taken be acknowledged and the last results go out, and says
    /// goodbye; hangs up after `within`.
    pub async fn shutdown(mut self, within: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(within, &mut self.running)
            .await
            .is_err()
        {
            tracing::warn!("the far broker was left without a goodbye: it did not answer in time");
            self.running.abort();
        }
    }
}
