//! TLS around a connection: the handshake, and who the client's certificate says it is. What is shown
//! and who is believed was read from files elsewhere, and may be replaced while connections come.

use crate::tls::{Served, certificate};
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The TLS of the broker's listeners. New connections use what was put here last.
#[derive(Debug)]
pub struct Tls(ArcSwap<Served>);

/// What is carried: each has its name in ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Mqtt,
    WebSocket,
}

impl Tls {
    /// Begins with a certificate and those who are believed.
    #[must_use]
    pub fn new(served: Served) -> Self {
        Self(ArcSwap::from_pointee(served))
    }

    /// Puts others in their place. Connections that are there stay as they are.
    pub fn replace(&self, served: Served) {
        self.0.store(Arc::new(served));
    }

    /// When the certificate that is shown ends, epoch seconds.
    #[must_use]
    pub fn expires_s(&self) -> i64 {
        self.0.load().expires_s
    }

    /// The stream within, and the name that the client has proven.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        inside: Inside,
    ) -> io::Result<(TlsStream<TcpStream>, Option<String>)> {
        let config = {
            let served = self.0.load();
            match inside {
                Inside::Mqtt => Arc::clone(&served.mqtt),
                Inside::WebSocket => Arc::clone(&served.websocket),
            }
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let name = shown
            .and_then(<[_]>::first)
            .and_then(|certificate| certificate::name(certificate));
        Ok((stream, name))
    }
}
