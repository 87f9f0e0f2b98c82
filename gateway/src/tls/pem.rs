//! PEM files: certificates and private keys, in any of the forms that tools write.

use std::fs::File;
use std::io::Read;

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::config::NamedFile;

/// The largest file that is read, bytes: the authorities of a whole system fit well.
const LARGEST: u64 = 4 << 20;

const CERTIFICATE: &str =
    "write a PEM file that holds a line -----BEGIN CERTIFICATE-----, the server's own first";
const KEY: &str = "write a PEM file that holds a private key: PKCS#8 (PRIVATE KEY), PKCS#1 (RSA PRIVATE KEY) \
                   or SEC1 (EC PRIVATE KEY)";

/// Every certificate of a file, in its order; at least one.
pub(super) fn certificates(file: &NamedFile) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::unusable(
            file,
            "holds no certificate",
            CERTIFICATE,
        )),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::unusable(file, damage(&error), CERTIFICATE)),
    }
}

/// The first private key of a file.
pub(super) fn private_key(file: &NamedFile) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = bytes(file)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let is_encrypted = [
            &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
            b"Proc-Type: 4,ENCRYPTED",
        ]
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|at| at == *mark));
        if is_encrypted {
            let remedy =
                "write it without (openssl pkey -in … -out …), in a file that only sluice reads";
            return TlsError::unusable(file, "holds a key that needs a passphrase", remedy);
        }
        match error {
            Error::NoItemsFound => TlsError::unusable(file, "holds no private key", KEY),
            error => TlsError::unusable(file, damage(&error), KEY),
        }
    })
}

fn damage(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "is damaged: a section has no END line".to_owned(),
        Error::IllegalSectionStart { .. } => "is damaged: a BEGIN line is cut short".to_owned(),
        other => format!("is damaged: {other}"),
    }
}

fn bytes(file: &NamedFile) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read =
        File::open(&file.path).and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 <= LARGEST => Ok(bytes),
        Ok(_) => Err(TlsError::unusable(
            file,
            "is larger than 4 MiB",
            CERTIFICATE,
        )),
        Err(source) => Err(TlsError::Unreadable {
            file: file.clone(),
            source,
        }),
    }
}
