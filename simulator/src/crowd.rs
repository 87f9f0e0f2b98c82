//! The crowd: many clients with little to say each, for a long time, some of them on bad networks.
//!
//! Every client publishes a reading at its own regular moment, as thousands of sensors do, whether or
//! not the broker has acknowledged the one before. Those that *flap* lose their connection every few
//! seconds, in the middle of a publish, come back into their session and send again what was not
//! acknowledged. Each reading has an event time of its own, so who counts the readings that the gateway
//! holds knows whether an acknowledged one is missing.

mod member;

use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load::percentile;
use crate::publish::{Broker, Login, PublishError};

use member::{Member, Stint};

/// The most clients of a crowd.
pub const CLIENTS_MAX: u32 = 9999;
/// The longest run, in seconds: readings stay within the first simulated day.
pub const SECONDS_MAX: u32 = 86_400;

/// Who comes, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker listens.
    pub broker: Broker,
    /// How many clients, at most [`CLIENTS_MAX`].
    pub clients: u32,
    /// For how long, at most [`SECONDS_MAX`].
    pub seconds: u32,
    /// Of a hundred clients, how many flap.
    pub flapping_percent: u32,
    /// Where chance comes from.
    pub seed: u64,
    /// User name and password.
    pub login: Option<Login>,
    /// For how long a lost broker is called again before giving up.
    pub patience: Duration,
}

/// What a crowd saw; one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Clients that came.
    pub clients: u32,
    /// Readings published, each counted once however often it was sent.
    pub published: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Connections lost and made again, on purpose or not.
    pub reconnects: u64,
    /// From the first connection until the last acknowledgement.
    pub seconds: f64,
    /// Median time from writing a reading to its acknowledgement, of those that were sent once.
    pub ack_p50_ms: Option<f64>,
    /// The time that 99 of 100 acknowledgements took at most.
    pub ack_p99_ms: Option<f64>,
    /// The longest.
    pub ack_max_ms: Option<f64>,
}

/// Runs a crowd to its end: everything that was published is acknowledged.
///
/// # Errors
/// When the broker cannot be reached for longer than the patience, or refuses.
pub async fn run(options: &Options) -> Result<Report, PublishError> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..options.clients {
        running.spawn(Member::new(options, number).run(began));
    }
    let mut total = Stint::default();
    while let Some(outcome) = running.join_next().await {
        total.add(outcome.expect("a member is not cancelled and does not panic")?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut latencies = total.latencies_us;
    latencies.sort_unstable();
    Ok(Report {
        clients: options.clients,
        published: total.published,
        acknowledged: total.acknowledged,
        reconnects: total.reconnects,
        seconds,
        ack_p50_ms: percentile(&latencies, 50),
        ack_p99_ms: percentile(&latencies, 99),
        ack_max_ms: percentile(&latencies, 100),
    })
}
