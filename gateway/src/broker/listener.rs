//! Accepts connections, one task each. A task that fails or panics costs its own connection and nothing
//! else. Who gets in is the door's to decide, what the bytes mean the transport's.

use super::auth::Peer;
use super::door::Crowded;
use super::limits::{ACCEPT_PAUSE, KEEP_ALIVE_IDLE, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_PROBES};
use super::refused::Turned;
use super::stats::Stats;
use super::transport::{self, Transport};
use super::{Core, Mapper};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

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

/// What a failed accept says about the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// That peer was gone before its turn.
    Peer,
    /// The machine has run out of something, mostly of file descriptors: the next would fail too.
    Machine,
}

impl Failed {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted => Self::Peer,
            _ => Self::Machine,
        }
    }
}

/// Runs until the broker stops.
pub(crate) async fn serve<M: Mapper>(
    core: Arc<Core<M>>,
    listener: TcpListener,
    transport: Transport,
) {
    let mut stopping = core.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, address)) => take_in(&core, stream, address, &transport),
            Err(error) => match Failed::of(&error) {
                Failed::Peer => {}
                Failed::Machine => {
                    core.turned_away(Turned::Machine, &error);
                    core.door.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

fn take_in<M: Mapper>(
    core: &Arc<Core<M>>,
    stream: TcpStream,
    address: SocketAddr,
    transport: &Transport,
) {
    Stats::add(&core.stats.accepted, 1);
    // A dual-stack listener sees IPv4 as part of IPv6.
    let from = address.ip().to_canonical();
    let welcome = match core.door.enter(from) {
        Ok(welcome) => welcome,
        Err(Crowded::Full) => return core.turned_away(Turned::Full, &from),
        Err(Crowded::Address) => return core.turned_away(Turned::Address, &from),
    };
    for _ in 0..welcome.made_room {
        core.turned_away(Turned::Silent, &"the longest-silent connection");
    }
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%address, %error, "setting TCP_NODELAY and keep-alive failed");
    }
    let counted = Counted::new(core);
    let transport = transport.clone();
    tokio::spawn(async move {
        // The place is free before the connection is counted out.
        let place = welcome.place;
        transport::serve(&counted.0, &transport, stream, Peer::at(from), &place).await;
        drop(place);
        drop(counted);
    });
}

/// Small packets go at once, and a peer that is gone without a word is found out.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_IDLE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keep_alive)
}
