//! The broker without a store: a writer that calls everything committed at once, for foreign clients and
//! load by hand. `broker_only [ADDRESS]`, 127.0.0.1:1883 by default; it stops on Ctrl-C.

use anyhow::Context;
use gateway::broker::{Broker, BrokerConfig, Fanout, Mapper, Restored, Stats, Submission};
use std::time::Duration;
use tokio::sync::mpsc;

/// Submissions the writer may fall behind.
const QUEUE: usize = 64;

struct Ignore;

impl Mapper for Ignore {
    type Mapped = ();

    fn map(&self, _topic: &str, _payload: &[u8]) {}
}

fn write(mut submissions: mpsc::Receiver<Submission<()>>, fanout: &Fanout) {
    let mut rows = Vec::new();
    while let Some(mut submission) = submissions.blocking_recv() {
        fanout.writes(&mut submission, &mut rows);
        rows.clear();
        fanout.committed(submission);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .with_context(|| format!("listening on {address}"))?;
    let (intake, submissions) = mpsc::channel(QUEUE);
    let broker = Broker::start(
        BrokerConfig::open("home"),
        Ignore,
        intake,
        Restored::default(),
    );
    let fanout = broker.fanout();
    let writer = std::thread::spawn(move || write(submissions, &fanout));
    broker.listen(listener);
    tokio::signal::ctrl_c()
        .await
        .context("waiting for Ctrl-C")?;
    broker.shutdown(Duration::from_secs(5)).await;
    let stats = broker.stats();
    tracing::info!(
        messages_in = Stats::read(&stats.messages_in),
        messages_out = Stats::read(&stats.messages_out),
        dropped = Stats::read(&stats.dropped),
        "stopped"
    );
    drop(broker);
    tokio::task::spawn_blocking(move || writer.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the writer panicked"))
}
