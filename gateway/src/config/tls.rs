//! Keys about TLS, wherever a section has them: which files, and who must show a certificate.

use super::raw::Section;
use super::value::{choice, path};
use super::{ClientCertificate, NamedFile, Tls, TlsClients, TlsIdentity};

const CLIENT_CERTIFICATES: [(&str, ClientCertificate); 2] = [
    ("optional", ClientCertificate::Optional),
    ("required", ClientCertificate::Required),
];

/// A server's side; `listeners` are the keys that ask for it, and whether they do.
pub(super) fn server(section: &mut Section<'_, '_>, listeners: [(&str, bool); 2]) -> Option<Tls> {
    let identity = identity(section);
    let clients = clients(section);
    let mut wanted = listeners.into_iter().filter(|(_, asked)| *asked);
    match (wanted.next(), &identity) {
        (Some((key, _)), None) if !section.has("tls_cert") && !section.has("tls_key") => section
            .problem(
                key,
                "needs tls_cert and tls_key; write the paths of two PEM files",
            ),
        (None, Some(_)) => section.warn(
            "tls_cert",
            "has no effect: there is no tls_listen, nor websocket_tls = true",
        ),
        (Some(_), None | Some(_)) | (None, None) => {}
    }
    Some(Tls {
        identity: identity?,
        clients,
    })
}

/// `tls_cert` and `tls_key`, both or neither.
pub(super) fn identity(section: &mut Section<'_, '_>) -> Option<TlsIdentity> {
    let cert = named_file(section, "tls_cert");
    let key = named_file(section, "tls_key");
    for (one, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        if section.has(one) && !section.has(other) {
            section.problem(
                one,
                format!("needs {other} too; write the path of a PEM file"),
            );
        }
    }
    Some(TlsIdentity {
        cert: cert?,
        key: key?,
    })
}

fn clients(section: &mut Section<'_, '_>) -> Option<TlsClients> {
    let ca = named_file(section, "tls_client_ca");
    let certificate = section.take("tls_client_certificate", choice(&CLIENT_CERTIFICATES));
    if section.has("tls_client_certificate") && !section.has("tls_client_ca") {
        section.problem(
            "tls_client_certificate",
            "needs tls_client_ca; write the path of a PEM file with the certificates that sign those of \
             clients",
        );
    }
    if section.has("tls_client_ca") && !section.has("tls_cert") {
        section.problem(
            "tls_client_ca",
            "needs tls_cert and tls_key; write the paths of two PEM files",
        );
    }
    Some(TlsClients {
        ca: ca?,
        certificate: certificate.unwrap_or(ClientCertificate::Optional),
    })
}

fn named_file(section: &mut Section<'_, '_>, key: &'static str) -> Option<NamedFile> {
    Some(NamedFile {
        path: section.take(key, path)?,
        key: section.key(key),
        line: section.line_of(key),
    })
}
