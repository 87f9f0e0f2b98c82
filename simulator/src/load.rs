//! The load run: a scenario as fast as a broker acknowledges it, costing next to nothing itself.
//!
//! Every packet is made before the clock starts; a client's whole run then is writing slices of one
//! buffer and counting acknowledgements, so the machine's other half is the broker's. Homes are dealt
//! out to the clients, each home's readings stay in order. Nothing is sent again: a lost
//! connection ends the run ([`crate::publish`] is the one that survives).

mod flow;

use std::fs;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::publish::{
    Broker, INFLIGHT_MAX, Login, Options as PublishOptions, PublishError, Qos, Speed,
};
use crate::scenario::Scenario;

use flow::{Batch, Flow};

/// How to load a broker.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub broker: Broker,
    /// Whether messages are acknowledged.
    pub acknowledged: bool,
    /// Parallel connections, at most one a home.
    pub clients: u32,
    /// Unacknowledged publishes of each.
    pub inflight: u16,
    /// User name and password.
    pub login: Option<Login>,
}

/// What a load run measured; one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Messages sent, and acknowledged at `QoS` 1.
    pub messages: u64,
    /// Bytes of their packets.
    pub bytes: u64,
    /// From the first byte until the last acknowledgement.
    pub seconds: f64,
    /// Messages over seconds.
    pub messages_per_second: f64,
    /// CPU time of this process in that time, user and system (to 10 ms); `null` where the system
    /// does not tell.
    pub own_cpu_seconds: Option<f64>,
    /// Median time from writing a message to its acknowledgement; `null` at `QoS` 0.
    pub ack_p50_ms: Option<f64>,
    /// The time that 99 of 100 acknowledgements took at most.
    pub ack_p99_ms: Option<f64>,
    /// The longest.
    pub ack_max_ms: Option<f64>,
}

/// Makes all packets, then sends them and measures.
///
/// # Errors
/// When the broker cannot be reached, refuses, or the connection is lost.
pub async fn run(scenario: &Scenario, options: &Options) -> Result<Report, PublishError> {
    if options.clients > scenario.homes {
        return Err(PublishError::TooManyClients {
            clients: options.clients,
            homes: scenario.homes,
        });
    }
    let qos = if options.acknowledged {
        Qos::One
    } else {
        Qos::Zero
    };
    let inflight = options.inflight.clamp(1, INFLIGHT_MAX);
    let identity = PublishOptions {
        broker: options.broker.clone(),
        qos,
        speed: Speed::Max,
        clients: options.clients,
        inflight,
        login: options.login.clone(),
        patience: Duration::ZERO,
    };
    let clients = options.clients.max(1);
    let batches: Vec<Batch> = (0..clients)
        .map(|number| Batch::make(scenario, number, clients, qos))
        .collect();
    let mut flows = Vec::new();
    for (number, batch) in (0..clients).zip(batches) {
        flows.push(Flow::open(&identity, number, batch, inflight).await?);
    }

    let cpu = own_cpu();
    let began = Instant::now();
    let mut running = JoinSet::new();
    for flow in flows {
        running.spawn(flow.run(began));
    }
    let (mut messages, mut bytes, mut latencies) = (0, 0, Vec::new());
    while let Some(outcome) = running.join_next().await {
        let done = outcome.expect("a flow is not cancelled and does not panic")?;
        messages += done.messages;
        bytes += done.bytes;
        latencies.extend(done.latencies_us);
    }
    let seconds = began.elapsed().as_secs_f64();
    let own_cpu_seconds = cpu.zip(own_cpu()).map(|(before, after)| after - before);

    latencies.sort_unstable();
    Ok(Report {
        messages,
        bytes,
        seconds,
        messages_per_second: per_second(messages, seconds),
        own_cpu_seconds,
        ack_p50_ms: percentile(&latencies, 50),
        ack_p99_ms: percentile(&latencies, 99),
        ack_max_ms: percentile(&latencies, 100),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people, of fewer than 2^53 messages"
)]
fn per_second(messages: u64, seconds: f64) -> f64 {
    messages as f64 / seconds.max(1e-9)
}

/// The nearest-rank percentile of sorted µs, in ms.
pub(crate) fn percentile(sorted_us: &[u32], percent: usize) -> Option<f64> {
    let rank = (sorted_us.len() * percent).div_ceil(100).max(1);
    sorted_us.get(rank - 1).map(|us| f64::from(*us) / 1000.0)
}

/// Seconds of CPU that this process has used: `utime` and `stime` of `/proc/self/stat`, which Linux
/// gives in hundredths of a second on every architecture.
fn own_cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<u32> = (1..=200).map(|ms| ms * 1000).collect();
        assert_eq!(percentile(&sorted, 50), Some(100.0));
        assert_eq!(percentile(&sorted, 99), Some(198.0));
        assert_eq!(percentile(&sorted, 100), Some(200.0));
        assert_eq!(percentile(&[7000], 50), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
