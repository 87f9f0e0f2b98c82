//! From a socket to a stream of MQTT bytes: as they come, through TLS, through WebSocket, or through
//! both. What the bytes say is the connection's business; nothing here reads a packet.

mod eager;
mod tls;
mod websocket;

pub use tls::Tls;
pub use websocket::Origins;

use super::auth::Peer;
use super::door::{Overdue, Place};
use super::refused::Turned;
use super::{Core, Mapper, connection};
use std::fmt::Display;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How clients come to a listener. The default is MQTT over TCP.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// Within TLS.
    pub tls: Option<Arc<Tls>>,
    /// Within WebSocket (which may be within TLS), for scripts of these pages.
    pub websocket: Option<Arc<Origins>>,
}

/// A stream in both directions, whatever it is made of.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A stage that a connection did not pass: what to count it as, and what to say of it.
type Failure = (Turned, String);

/// Serves one connection to its end.
pub(super) async fn serve<M: Mapper>(
    core: &Arc<Core<M>>,
    transport: &Transport,
    stream: TcpStream,
    peer: Peer,
    place: &Place,
) {
    if transport.tls.is_none() && transport.websocket.is_none() {
        connection::run(core, stream, peer, place).await;
        return;
    }
    let from = peer.address;
    let mut stopping = core.stopping.subscribe();
    let agreed = tokio::select! {
        agreed = agree(core, transport, stream, peer, place) => agreed,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match agreed {
        Ok(Some((stream, peer))) => connection::run(core, stream, peer, place).await,
        Ok(None) => {}
        Err((why, what)) => {
            let from = from.map_or_else(|| "within".to_owned(), |from| from.to_string());
            core.turned_away(why, &format_args!("{from}: {what}"));
        }
    }
}

/// What comes before MQTT. `None`: others needed the place, and have counted it.
async fn agree<M: Mapper>(
    core: &Core<M>,
    transport: &Transport,
    stream: TcpStream,
    mut peer: Peer,
    place: &Place,
) -> Result<Option<(Box<dyn Duplex>, Peer)>, Failure> {
    let mut stream: Box<dyn Duplex> = match &transport.tls {
        None => Box::new(stream),
        Some(tls) => {
            let inside = tls.handshake(stream, transport.inside());
            let Some((stream, certified)) = timely(place, Turned::Handshake, inside).await? else {
                return Ok(None);
            };
            peer.certified = certified;
            Box::new(eager::Eager::new(stream))
        }
    };
    if let Some(origins) = &transport.websocket {
        let upgraded = websocket::upgrade(stream, origins, core.hub.limits.max_packet);
        let Some(frames) = timely(place, Turned::Upgrade, upgraded).await? else {
            return Ok(None);
        };
        stream = Box::new(eager::Eager::new(frames));
    }
    Ok(Some((stream, peer)))
}

/// A stage within the time that the connection has from its accept to its CONNECT.
async fn timely<T, E: Display>(
    place: &Place,
    stage: Turned,
    work: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, Failure> {
    match place.in_time(work).await {
        Ok(Ok(done)) => Ok(Some(done)),
        Ok(Err(error)) => Err((stage, error.to_string())),
        Err(Overdue::Late) => Err((stage, "not done in time".to_owned())),
        Err(Overdue::SentAway) => Ok(None),
    }
}

impl Transport {
    /// What TLS is asked to carry.
    fn inside(&self) -> tls::Inside {
        match self.websocket {
            None => tls::Inside::Mqtt,
            Some(_) => tls::Inside::WebSocket,
        }
    }
}
