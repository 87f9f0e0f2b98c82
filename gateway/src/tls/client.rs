//! TLS as a client: whom we believe when it is us who call. Files are read at each call, so that a certificate
//! that was renewed is taken without a restart.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{TlsError, pem, provider};
use crate::config::NamedFile;

/// Why there can be no TLS to somebody.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file that says whom to trust.
    #[error(transparent)]
    File(#[from] TlsError),
    /// The system trusts nobody.
    #[error("this system has no certificates to trust: install ca-certificates, or write ca_file")]
    NoRoots,
}

/// Reads whom to trust: those of the file alone, or, without one, those of the system. Waits for the disk.
///
/// # Errors
/// The file cannot be used, or the system trusts nobody.
pub fn config(ca: Option<&NamedFile>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca {
        for certificate in pem::certificates(file)? {
            roots.add(certificate).map_err(|error| {
                TlsError::unusable(
                    file,
                    format!("holds a certificate that can sign nothing: {error}"),
                    "write the certificates that sign the server's, in PEM",
                )
            })?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        return Err(ClientError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring serves TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The same as bytes, for those who build their own.
///
/// # Errors
/// The file cannot be used.
pub fn trusted(ca: &NamedFile) -> Result<Vec<Vec<u8>>, ClientError> {
    let certificates = pem::certificates(ca)?;
    Ok(certificates.iter().map(|der| der.to_vec()).collect())
}

/// The same, ready for HTTP. Waits for the disk.
///
/// # Errors
/// As of [`config`].
pub fn connector(ca: Option<&NamedFile>) -> Result<Arc<ClientConfig>, ClientError> {
    let mut config = config(ca)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
