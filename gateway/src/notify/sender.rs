//! One channel's way out: reads what it needs, has the message composed, and sends it once. What comes back holds
//! no secret.

use super::Bundle;
use super::answer::{Answer, Failure, Reply, Taken, judge};
use super::chart::{Days, DaysOf};
use super::compose::{Outgoing, Read, compose};
use super::secret::{self, Secret};
use super::worker::Carrier;
use super::{http, mail, smtp, template};
use crate::causes::in_words;
use crate::config::{Address, Channel, NamedFile, Receiver, Server};
use crate::tls::client;

/// Sends to one channel.
#[derive(Clone)]
pub struct Sender {
    channel: Channel,
    days: Option<DaysOf>,
}

/// What was read from disk for one send.
struct Prepared {
    read: Read,
    tls: Option<std::sync::Arc<tokio_rustls::rustls::ClientConfig>>,
    trusted: Option<Vec<Vec<u8>>>,
}

impl Sender {
    /// To this channel; `days` looks up what mails show of the last days.
    #[must_use]
    pub fn new(channel: Channel, days: Option<DaysOf>) -> Self {
        Self { channel, days }
    }

    /// Sends it once. Takes two minutes at most.
    ///
    /// # Errors
    /// Why it is not known to be there.
    pub async fn send(&self, bundle: &Bundle) -> Result<Reply, Failure> {
        let (channel, days) = (self.channel.clone(), self.days.clone());
        let subject = mail::subject(bundle).map(str::to_owned);
        let reading = tokio::task::spawn_blocking(move || prepare(&channel, days, subject));
        let prepared = reading.await.map_err(|_| {
            let text = "the channel's files could not be read for a fault of our own";
            Failure::passing(text, Taken::No)
        })??;
        let sent = self.hand_over(bundle, &prepared).await;
        sent.map_err(|failure| {
            let text = prepared.read.hide_in(failure.text);
            Failure { text, ..failure }
        })
    }

    async fn hand_over(&self, bundle: &Bundle, prepared: &Prepared) -> Result<Reply, Failure> {
        let outgoing = compose(&self.channel, bundle, &prepared.read)
            .map_err(|error| Failure::settings(in_words(&error)))?;
        match (outgoing, &self.channel.receiver) {
            (Outgoing::Request(request), _) => {
                let answer = http::send(&request, prepared.tls.clone()).await?;
                let body = prepared.read.hide_in(answer.body);
                judge(&Answer { body, ..answer })
            }
            (Outgoing::Mail(mail), Receiver::Email(email)) => {
                let password = prepared.read.token.as_ref();
                smtp::send(email, *mail, password, prepared.trusted.clone()).await
            }
            (Outgoing::Mail(_) | Outgoing::Nothing, _) => Ok(Reply {
                words: "always on: alerts are retained messages of the broker".to_owned(),
            }),
        }
    }
}

impl Carrier for Sender {
    async fn carry(&self, bundle: &Bundle) -> Result<Reply, Failure> {
        self.send(bundle).await
    }
}

/// Reads all that one send needs. Waits for the disk.
fn prepare(
    channel: &Channel,
    days: Option<DaysOf>,
    subject: Option<String>,
) -> Result<Prepared, Failure> {
    let read = match &channel.receiver {
        Receiver::Mqtt => Read::default(),
        Receiver::Email(email) => Read {
            token: email.password_file.as_ref().map(secret).transpose()?,
            days: days_of(days, subject),
            ..Read::default()
        },
        Receiver::Ntfy { server, .. }
        | Receiver::Telegram { server, .. }
        | Receiver::Gotify { server }
        | Receiver::Pushover { server, .. } => secrets(server)?,
        Receiver::Webhook {
            server, template, ..
        } => Read {
            template: template
                .as_ref()
                .map(template::read)
                .transpose()
                .map_err(|error| Failure::settings(in_words(&error)))?,
            ..secrets(server)?
        },
    };
    let untrusted = |error: client::ClientError| Failure::settings(in_words(&error));
    let ca = channel.ca_file();
    let (tls, trusted) = match &channel.receiver {
        Receiver::Mqtt => (None, None),
        Receiver::Email(_) => (
            None,
            ca.map(client::trusted).transpose().map_err(untrusted)?,
        ),
        Receiver::Ntfy { server, .. }
        | Receiver::Webhook { server, .. }
        | Receiver::Telegram { server, .. }
        | Receiver::Gotify { server }
        | Receiver::Pushover { server, .. } => {
            let url = match (&server.address, &read.url) {
                (_, Some(url)) => url.expose(),
                (Address::Url(url), None) => url,
                (Address::File(_), None) => "",
            };
            let is_tls = url.starts_with("https://");
            let tls = is_tls.then(|| client::connector(ca)).transpose();
            (tls.map_err(untrusted)?, None)
        }
    };
    Ok(Prepared { read, tls, trusted })
}

fn secrets(server: &Server) -> Result<Read, Failure> {
    let url = match &server.address {
        Address::Url(_) => None,
        Address::File(file) => Some(secret(file)?),
    };
    Ok(Read {
        token: server.token_file.as_ref().map(secret).transpose()?,
        url,
        ..Read::default()
    })
}

/// It may be there soon: a file costs nobody anything to look for.
fn secret(file: &NamedFile) -> Result<Secret, Failure> {
    match secret::read(file) {
        Ok((secret, _)) => Ok(secret),
        Err(error) => Err(Failure::passing(error.to_string(), Taken::No)),
    }
}

fn days_of(days: Option<DaysOf>, subject: Option<String>) -> Option<Days> {
    let days = days?(&subject?)?;
    (!days.values.is_empty()).then_some(days)
}
