//! Certificates and keys: from the files that the configuration names to what a TLS listener shows and
//! whom it believes, and whom we believe where it is us who call. It opens files and judges them; it never holds a connection.

pub mod certificate;
pub mod client;
mod pem;

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};
use tokio_rustls::rustls::{
    self, CertificateError, ConfigBuilder, InconsistentKeys, RootCertStore, ServerConfig,
    WantsVerifier, server,
};

use crate::config::{self, ClientCertificate, NamedFile};

/// A certificate that ends within this many days is worth a warning.
pub const WARN_DAYS: i64 = 14;

const DAY_MS: i64 = 86_400_000;

/// What listeners show, ready to use.
#[derive(Clone, Debug)]
pub struct Served {
    /// For MQTT within TLS.
    pub(crate) mqtt: Arc<ServerConfig>,
    /// For WebSocket within TLS.
    pub(crate) websocket: Arc<ServerConfig>,
    /// When the certificate ends, epoch seconds.
    pub(crate) expires_s: i64,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read {}", file.path.display())]
    Unreadable {
        /// The file.
        file: NamedFile,
        /// Why.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{} {what}; {remedy}", file.path.display())]
    Unusable {
        /// The file.
        file: NamedFile,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// How long a certificate is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// For longer than [`WARN_DAYS`].
    Good,
    /// For this many whole days, fewer than [`WARN_DAYS`].
    Ending {
        /// Whole days.
        days: i64,
    },
    /// No longer.
    Over,
}

impl Validity {
    /// Of a certificate that ends at `expires_s` (epoch seconds), at `now_ms` (epoch milliseconds).
    #[must_use]
    pub fn at(expires_s: i64, now_ms: i64) -> Self {
        match expires_s.saturating_mul(1000).saturating_sub(now_ms) {
            ..=0 => Self::Over,
            left if left < WARN_DAYS * DAY_MS => Self::Ending {
                days: left / DAY_MS,
            },
            _ => Self::Good,
        }
    }
}

impl TlsError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &NamedFile {
        match self {
            Self::Unreadable { file, .. } | Self::Unusable { file, .. } => file,
        }
    }

    /// Whether it says something of the user who asks, and nothing of the file.
    #[must_use]
    pub fn is_a_lack_of_permission(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::Unusable { .. } => false,
        }
    }

    fn unusable(file: &NamedFile, what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Unusable {
            file: file.clone(),
            what: what.into(),
            remedy,
        }
    }
}

/// Reads the files of a listener, and makes sure that they fit each other.
///
/// # Errors
/// Everything that is wrong with them; at least one.
pub fn read(tls: &config::Tls) -> Result<Served, Vec<TlsError>> {
    let mut wrong = Vec::new();
    let chain = kept(pem::certificates(&tls.identity.cert), &mut wrong);
    let key = kept(pem::private_key(&tls.identity.key), &mut wrong);
    let verifier = kept(verifier(tls.clients.as_ref()), &mut wrong);
    let (Some(chain), Some(key), Some(verifier)) = (chain, key, verifier) else {
        return Err(wrong);
    };
    served(tls, chain, key, verifier).map_err(|error| vec![error])
}

fn kept<T>(part: Result<T, TlsError>, wrong: &mut Vec<TlsError>) -> Option<T> {
    part.map_err(|error| wrong.push(error)).ok()
}

fn served(
    tls: &config::Tls,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Served, TlsError> {
    let cert = &tls.identity.cert;
    let expires_s = chain.first().and_then(|leaf| certificate::expires_s(leaf));
    let expires_s = expires_s.ok_or_else(|| {
        TlsError::unusable(
            cert,
            "holds a certificate that cannot be parsed",
            "write an X.509 certificate in PEM",
        )
    })?;
    let config = builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unfit(tls, &error))?;
    Ok(Served {
        mqtt: speaking(&config, b"mqtt"),
        // What browsers offer.
        websocket: speaking(&config, b"http/1.1"),
        expires_s,
    })
}

fn unfit(tls: &config::Tls, error: &rustls::Error) -> TlsError {
    let config::TlsIdentity { cert, key } = &tls.identity;
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::unusable(
            key,
            format!(
                "is not the key of the certificate in {}",
                cert.path.display()
            ),
            "write the key that the certificate was made for; the server's certificate comes first in \
             its file",
        ),
        rustls::Error::InvalidCertificate(why) => {
            let why = match why {
                CertificateError::Other(other) => other.0.to_string(),
                why => why.to_string(),
            };
            TlsError::unusable(
                cert,
                format!("holds a certificate that cannot be served: {why}"),
                "write an X.509 certificate of version 3 (one with extensions) in PEM",
            )
        }
        other => TlsError::unusable(
            key,
            format!("holds a key that cannot be used: {other}"),
            "write an RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519 key",
        ),
    }
}

/// Each speaks of itself in ALPN; who offers nothing is served all the same.
fn speaking(config: &ServerConfig, protocol: &[u8]) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![protocol.to_vec()];
    // A session is resumed where it began, and not after the certificates were replaced.
    config.session_storage = server::ServerSessionMemoryCache::new(SESSIONS);
    Arc::new(config)
}

/// Sessions remembered for clients that come back.
const SESSIONS: usize = 1024;

fn verifier(clients: Option<&config::TlsClients>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(clients) = clients else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let remedy = "write the certificates that sign those of clients, in PEM";
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&clients.ca)? {
        roots.add(certificate).map_err(|error| {
            let what = format!("holds a certificate that can sign nothing: {error}");
            TlsError::unusable(&clients.ca, what, remedy)
        })?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let verifier = match clients.certificate {
        ClientCertificate::Optional => verifier.allow_unauthenticated(),
        ClientCertificate::Required => verifier,
    };
    verifier.build().map_err(|error| {
        let what = format!("cannot be believed in: {error}");
        TlsError::unusable(&clients.ca, what, remedy)
    })
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring serves TLS 1.2 and 1.3")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_below_14_days_and_over_at_its_end() {
        let end_s = 1_900_000_000;
        let before = |ms: i64| Validity::at(end_s, end_s * 1000 - ms);
        assert_eq!(before(14 * DAY_MS), Validity::Good);
        assert_eq!(before(14 * DAY_MS - 1), Validity::Ending { days: 13 });
        assert_eq!(before(1), Validity::Ending { days: 0 });
        assert_eq!(before(0), Validity::Over);
    }
}
