//! An authority of the test's own: certificates for servers and clients, in files as an operator has
//! them, and clients that believe it.

use gateway::config::{ClientCertificate, NamedFile, Tls, TlsClients, TlsIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Certificates of this name are good for a server at "localhost".
pub(crate) const SERVER: &str = "localhost";

pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Paper {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "the test's authority");
        let key = KeyPair::generate().unwrap();
        Self {
            dir: TempDir::new().unwrap(),
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// A certificate that is good until the end of a year.
    pub(crate) fn paper(&self, name: &str, until_year: i32) -> Paper {
        let mut params = CertificateParams::new(vec![SERVER.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until_year, 12, 31);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Paper {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn file(&self, key: &str, text: &str) -> NamedFile {
        let path: PathBuf = self.dir.path().join(key);
        std::fs::write(&path, text).unwrap();
        NamedFile {
            path,
            key: key.to_owned(),
            line: 1,
        }
    }

    /// The files of a server that shows `paper`.
    pub(crate) fn serving(&self, paper: &Paper, clients: Option<ClientCertificate>) -> Tls {
        Tls {
            identity: TlsIdentity {
                cert: self.file("broker.tls_cert", &paper.cert),
                key: self.file("broker.tls_key", &paper.key),
            },
            clients: clients.map(|certificate| TlsClients {
                ca: self.file("broker.tls_client_ca", &self.issuer.pem()),
                certificate,
            }),
        }
    }

    /// Shakes hands as somebody who believes this authority, and shows a certificate if there is one.
    pub(crate) async fn shake(
        &self,
        address: SocketAddr,
        shown: Option<&Paper>,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some(paper) => {
                let cert = CertificateDer::from_pem_slice(paper.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let server = ServerName::try_from(SERVER).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(server, stream)
            .await
    }
}
