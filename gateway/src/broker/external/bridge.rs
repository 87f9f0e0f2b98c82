//! Comes back: one visit to the far broker after the other, with pauses in between.

use super::backoff::Backoff;
use super::failure::Failure;
use super::link::{Link, Settings};
use super::remembered::Remembered;
use super::report::Report;
use super::visit::{End, Visit};
use super::{Plan, Sieve, filters, tls};
use crate::broker::Broker;
use crate::broker::intake::Mapper;
use crate::causes::in_words;
use crate::config::External;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;

/// What outlives a connection.
pub(super) struct Bridge<M: Mapper> {
    pub(super) plan: Plan,
    pub(super) broker: Broker<M>,
    pub(super) sieve: Sieve<M::Mapped>,
    pub(super) report: Arc<Report>,
    /// The session as we want it.
    pub(super) session: Remembered,
    /// The session as it was last.
    pub(super) remembered: Option<Remembered>,
}

impl<M: Mapper> Bridge<M> {
    pub(super) fn new(
        plan: Plan,
        broker: Broker<M>,
        sieve: Sieve<M::Mapped>,
        report: Arc<Report>,
    ) -> Self {
        let sources = plan.sources.iter().map(String::as_str);
        let share = plan.external.share.as_deref();
        let session = Remembered {
            broker: plan.external.address.to_string(),
            client: plan.external.client_id(&plan.site),
            filters: filters::wanted(sources, share, &plan.site),
        };
        Self {
            remembered: Remembered::recall(&broker),
            session,
            plan,
            broker,
            sieve,
            report,
        }
    }

    /// Visits the far broker until it is stopped.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        let mut chance = StdRng::seed_from_u64(self.plan.seed);
        loop {
            let (end, lasted) = self.visit(&mut stop).await;
            let failure = match end {
                End::Stopped => return,
                End::Failed(failure) => failure,
            };
            let pause = backoff.after(failure.pace, lasted, chance.random());
            let text = format!("{}: {}", self.plan.external, failure.text);
            // Whoever reads the log finds it in the status, too.
            self.report.lost(&text);
            tracing::warn!(again_in_ms = pause.as_millis(), "no connection to {text}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // An error says that nobody is left to stop it: that is the end, too.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One connection from its beginning to its end, and how long it was a good one.
    async fn visit(&mut self, stop: &mut watch::Receiver<bool>) -> (End, Duration) {
        match self.settings().await {
            Ok(settings) => {
                let mut visit = Visit::new(self, Link::open(&settings));
                let end = visit.serve(stop).await;
                (end, visit.lasted())
            }
            Err(failure) => (End::Failed(failure), Duration::ZERO),
        }
    }

    async fn settings(&self) -> Result<Settings, Failure> {
        let external = self.plan.external.clone();
        let reading = tokio::task::spawn_blocking(move || secrets(&external));
        let (tls, login) = reading.await.unwrap_or_else(|_| {
            Err(Failure::slow(
                "the files of [broker.external] were not read: a fault of our own",
            ))
        })?;
        let Plan {
            site,
            external,
            max_packet,
            ..
        } = &self.plan;
        Ok(Settings {
            address: external.address.clone(),
            tls,
            login,
            client_id: self.session.client.clone(),
            keep_alive: Duration::from_secs(external.keep_alive_s.into()),
            protocol: external.protocol,
            max_packet: *max_packet,
            status: format!("sluice/{site}/status"),
        })
    }
}

/// Certificates, name and password.
type Secrets = (Option<Arc<ClientConfig>>, Option<(String, String)>);

/// What the files say now.
fn secrets(external: &External) -> Result<Secrets, Failure> {
    let tls = external.tls.as_ref().map(tls::client_config).transpose();
    let tls = tls.map_err(|error| Failure::slow(in_words(&error)))?;
    let Some(name) = &external.username else {
        return Ok((tls, None));
    };
    let password = match &external.password_file {
        None => String::new(),
        Some(file) => std::fs::read_to_string(file).map_err(|error| {
            let file = file.display();
            Failure::slow(format!(
                "cannot read the password in {file}: {error}; see [broker.external] password_file"
            ))
        })?,
    };
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    Ok((tls, Some((name.clone(), password))))
}
