//! The addresses of the broker: taken at start, all of them or none, each with what is spoken there; and
//! the certificates that are shown there, which are read again on demand.

use super::{AppError, bind};
use crate::broker::{Broker, Mapper, Origins, Tls, Transport};
use crate::clock::Clock;
use crate::config;
use crate::rows::when::Moment;
use crate::tls::{self, TlsError, Validity};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The broker's listeners, bound and not served yet.
pub(super) struct Listeners {
    plain: Option<TcpListener>,
    tls: Option<TcpListener>,
    websocket: Option<(TcpListener, Transport)>,
    certificates: Certificates,
}

/// What listeners with TLS show; nothing where there is none.
#[derive(Clone)]
pub(super) struct Certificates {
    tls: Option<Arc<Tls>>,
    clock: Clock,
}

impl Listeners {
    /// Reads the certificates and takes the addresses.
    pub(super) async fn bind(broker: &config::Broker, clock: &Clock) -> Result<Self, AppError> {
        let certificates = Certificates::read(broker, clock)?;
        let plain = at(broker.listen, "MQTT", "[broker] listen").await?;
        let tls = at(broker.tls_listen, "MQTT over TLS", "[broker] tls_listen").await?;
        let websocket = match &broker.websocket {
            None => None,
            Some(socket) => {
                let what = "MQTT over WebSocket";
                let listener = bind(socket.listen, what, "[broker] websocket_listen").await?;
                let origins = match &socket.origins {
                    None => Origins::Any,
                    Some(origins) => Origins::These(origins.clone()),
                };
                let transport = Transport {
                    tls: certificates.tls.clone().filter(|_| socket.tls),
                    websocket: Some(Arc::new(origins)),
                };
                Some((listener, transport))
            }
        };
        Ok(Self {
            plain,
            tls,
            websocket,
            certificates,
        })
    }

    /// Where MQTT over TCP, over TLS and over WebSocket are served.
    pub(super) fn addresses(&self) -> [Option<SocketAddr>; 3] {
        let websocket = self.websocket.as_ref().map(|(listener, _)| listener);
        [self.plain.as_ref(), self.tls.as_ref(), websocket]
            .map(|listener| listener?.local_addr().ok())
    }

    /// What is shown there.
    pub(super) fn certificates(&self) -> Certificates {
        self.certificates.clone()
    }

    /// Begins to serve.
    pub(super) fn serve<M: Mapper>(self, broker: &Broker<M>) -> Certificates {
        if let Some(listener) = self.plain {
            broker.listen(listener);
        }
        if let Some(listener) = self.tls {
            let transport = Transport {
                tls: self.certificates.tls.clone(),
                websocket: None,
            };
            broker.listen_over(transport, listener);
        }
        if let Some((listener, transport)) = self.websocket {
            broker.listen_over(transport, listener);
        }
        self.certificates
    }
}

async fn at(
    address: Option<SocketAddr>,
    what: &'static str,
    key: &'static str,
) -> Result<Option<TcpListener>, AppError> {
    match address {
        Some(address) => bind(address, what, key).await.map(Some),
        None => Ok(None),
    }
}

impl Certificates {
    fn read(broker: &config::Broker, clock: &Clock) -> Result<Self, AppError> {
        let mut certificates = Self {
            tls: None,
            clock: clock.clone(),
        };
        if let Some(files) = wanted(broker) {
            let served = tls::read(files).map_err(first)?;
            let tls = Arc::new(Tls::new(served));
            certificates.say_validity(files, &tls);
            certificates.tls = Some(tls);
        }
        Ok(certificates)
    }

    /// Reads the files again. What is wrong with them is said, and what was shown before is shown on.
    pub(super) fn reload(&self, broker: &config::Broker) {
        let (Some(tls), Some(files)) = (&self.tls, wanted(broker)) else {
            return;
        };
        match tls::read(files) {
            Ok(served) => {
                tls.replace(served);
                self.say_validity(files, tls);
            }
            Err(errors) => {
                for error in errors {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        key = error.file().key,
                        "reading the certificates again failed; those from before are shown on"
                    );
                }
            }
        }
    }

    /// When the certificate that is shown ends, epoch seconds.
    pub(super) fn expires_s(&self) -> Option<i64> {
        self.tls.as_deref().map(Tls::expires_s)
    }

    fn say_validity(&self, files: &config::Tls, tls: &Tls) {
        let expires_s = tls.expires_s();
        let until = Moment::from_ms(expires_s.saturating_mul(1000));
        let file = files.identity.cert.path.display();
        // A clock that was never set knows nothing of expiry.
        let now_ms = self.clock.trusted_wall_ms();
        match now_ms.map_or(Validity::Good, |now_ms| Validity::at(expires_s, now_ms)) {
            Validity::Good => tracing::info!(%file, %until, "serving a certificate"),
            Validity::Ending { days } => tracing::warn!(
                %file, %until, days,
                "the certificate ends soon: renew it, and send SIGHUP (systemctl reload sluice)"
            ),
            Validity::Over => tracing::warn!(
                %file, %until,
                "the certificate has ended, clients will refuse it: renew it, and send SIGHUP (systemctl \
                 reload sluice)"
            ),
        }
    }
}

/// The files, if any listener needs them.
fn wanted(broker: &config::Broker) -> Option<&config::Tls> {
    let websocket = broker.websocket.as_ref().is_some_and(|socket| socket.tls);
    let is_needed = broker.tls_listen.is_some() || websocket;
    broker.tls.as_ref().filter(|_| is_needed)
}

/// One reason is enough to end; `sluice check` names all.
fn first(errors: Vec<TlsError>) -> AppError {
    let mut errors = errors.into_iter();
    AppError::Tls(errors.next().expect("a failure has a reason"))
}
