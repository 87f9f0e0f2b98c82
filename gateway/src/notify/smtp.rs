//! Hands one mail to a server over a connection of its own. It tries once, and gives up in time.

use std::error::Error;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::timeout;

use super::answer::{Blame, Failure, Reply, Taken};
use super::mail::Mail;
use super::secret::Secret;
use crate::causes::in_words;
use crate::config::{Email, Encryption};

/// A server that has not taken a mail within this time has not taken it.
pub(super) const MAIL_WITHIN: Duration = Duration::from_secs(60);
/// Each step of the conversation.
const STEP_WITHIN: Duration = Duration::from_secs(30);

/// Sends it. `trusted` are the certificates (DER) of the channel's `ca_file`; `None`: the system's.
pub(super) async fn send(
    email: &Email,
    mail: Mail,
    password: Option<&Secret>,
    trusted: Option<Vec<Vec<u8>>>,
) -> Result<Reply, Failure> {
    let server = format!("{}:{}", email.host, email.port);
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(email.host.clone())
        .port(email.port)
        .timeout(Some(STEP_WITHIN))
        .tls(tls(email, trusted).map_err(|error| {
            Failure::settings(format!(
                "cannot speak TLS with {server}: {}",
                in_words(&error)
            ))
        })?);
    if let (Some(name), Some(password)) = (&email.username, password) {
        let credentials = Credentials::new(name.clone(), password.expose().to_owned());
        transport = transport.credentials(credentials);
    }
    let sent = timeout(MAIL_WITHIN, transport.build().send(mail)).await;
    let sent = sent.map_err(|_| {
        let text = format!("{server} did not take the mail within 60 s");
        Failure::passing(text, Taken::Perhaps)
    })?;
    match sent {
        Ok(response) => {
            let said = response.message().collect::<Vec<_>>().join(" ");
            Ok(Reply {
                words: format!("{} {said}", response.code()).trim().to_owned(),
            })
        }
        Err(error) => Err(judge(&server, &error)),
    }
}

fn tls(
    email: &Email,
    trusted: Option<Vec<Vec<u8>>>,
) -> Result<Tls, lettre::transport::smtp::Error> {
    let parameters = || {
        let mut builder = TlsParameters::builder(email.host.clone());
        if let Some(certificates) = trusted {
            builder = builder.certificate_store(CertificateStore::None);
            for der in certificates {
                builder = builder.add_root_certificate(Certificate::from_der(der)?);
            }
        }
        builder.build_rustls()
    };
    Ok(match email.encryption {
        Encryption::Plain => Tls::None,
        Encryption::StartTls => Tls::Required(parameters()?),
        Encryption::Tls => Tls::Wrapper(parameters()?),
    })
}

/// What a failure means.
fn judge(server: &str, error: &lettre::transport::smtp::Error) -> Failure {
    let why = in_words(error);
    if error.is_permanent() {
        let code: Option<u16> = error.status().map(Into::into);
        return Failure {
            text: format!(
                "{server} refuses the mail: {why}; see the channel's username, password_file, from and to"
            ),
            blame: match code {
                // Too large, or not wanted as it is.
                Some(552 | 554) => Blame::Content,
                Some(_) | None => Blame::Settings,
            },
            taken: Taken::No,
        };
    }
    if error.is_transient() {
        let text = format!("{server} does not take the mail now: {why}");
        return Failure::passing(text, Taken::No);
    }
    match io_kind(error) {
        Some(io::ErrorKind::InvalidData) => Failure::settings(format!(
            "TLS with {server} failed: {why}; see the channel's ca_file, and whether the url names the server as \
             its certificate does"
        )),
        Some(io::ErrorKind::ConnectionRefused) => {
            let text = format!("nobody listens at {server}: {why}");
            Failure::passing(text, Taken::No)
        }
        Some(_) | None if error.is_client() => {
            Failure::settings(format!("cannot hand the mail to {server}: {why}"))
        }
        Some(_) | None => Failure::passing(
            format!("the conversation with {server} broke: {why}"),
            Taken::Perhaps,
        ),
    }
}

/// The kind of the network's error among the causes.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}
