//! Accepts connections, one task each. A task that fails or panics costs its own connection and nothing
//! else.

use super::auth::Peer;
use super::stats::Stats;
use super::{Core, Mapper, connection};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// After a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Counts a connection for as long as it lives, whatever ends it.
struct Counted<M: Mapper>(Arc<Core<M>>);

impl<M: Mapper> Counted<M> {
    fn new(core: &Arc<Core<M>>) -> Self {
        Stats::add(&core.stats.connections, 1);
        Self(Arc::clone(core))
    }
}

impl<M: Mapper> Drop for Counted<M> {
    fn drop(&mut self) {
        Stats::less(&self.0.stats.connections, 1);
        self.0.left.notify_waiters();
    }
}

/// Runs until the broker stops.
pub(crate) async fn serve<M: Mapper>(core: Arc<Core<M>>, listener: TcpListener) {
    let mut stopping = core.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        Stats::add(&core.stats.accepted, 1);
        if Stats::read(&core.stats.connections) >= core.hub.limits.max_connections as u64 {
            Stats::add(&core.stats.refused, 1);
            tracing::debug!(%address, "refused: too many connections");
            continue;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "setting TCP_NODELAY failed");
        }
        let counted = Counted::new(&core);
        tokio::spawn(async move {
            connection::run(&counted.0, stream, Peer::at(address.ip())).await;
        });
    }
}
