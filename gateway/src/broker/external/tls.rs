//! TLS towards the far broker: whom we trust, and who we are. The files are read at each connect, so a
//! certificate that was renewed is taken without a restart.

use crate::config::{FarTls, TlsIdentity};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} in {path}: see [broker.external] {key}")]
    File {
        what: &'static str,
        path: PathBuf,
        key: &'static str,
        source: pem::Error,
    },
    /// A file holds nothing of use.
    #[error("{path} holds no certificate: [broker.external] {key} names a PEM file")]
    Empty { path: PathBuf, key: &'static str },
    /// The system trusts nobody.
    #[error(
        "this system has no certificates to trust: install ca-certificates, or write [broker.external] ca_file"
    )]
    NoRoots,
    /// The certificates do not serve.
    #[error("the certificates of [broker.external] cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// Reads the files, and makes of them what a connection needs. Waits for the disk.
pub(super) fn client_config(tls: &FarTls) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &tls.ca_file {
        for certificate in certificates(file, "ca_file")? {
            roots.add(certificate)?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(TlsIdentity { cert, key }) => {
            let chain = certificates(&cert.path, "cert_file")?;
            let key = PrivateKeyDer::from_pem_file(&key.path)
                .map_err(file(&key.path, "a key", "key_file"))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(file(path, "certificates", key))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(file(path, "certificates", key))?;
    if found.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { path, key });
    }
    Ok(found)
}

fn file(path: &Path, what: &'static str, key: &'static str) -> impl Fn(pem::Error) -> TlsError {
    move |source| TlsError::File {
        what,
        path: path.to_owned(),
        key,
        source,
    }
}
