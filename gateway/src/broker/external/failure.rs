//! What can go wrong with the far broker, said so that whoever reads it knows what to do.

use super::backoff::Pace;
use crate::causes::in_words;

/// Why there is no connection, or why a thing was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What failed, why, and what to do about it.
    pub(super) text: String,
    /// How soon trying again can help.
    pub(super) pace: Pace,
}

/// What the far broker says instead of welcome, in either version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name or the password.
    Credentials,
    /// The version of MQTT.
    Version,
    /// The client id.
    ClientId,
    /// It has no time for us now.
    Busy,
    /// Anything else.
    Other,
}

impl Failure {
    pub(super) fn soon(text: impl Into<String>) -> Self {
        let (text, pace) = (text.into(), Pace::Soon);
        Self { text, pace }
    }

    pub(super) fn slow(text: impl Into<String>) -> Self {
        let (text, pace) = (text.into(), Pace::Slow);
        Self { text, pace }
    }

    pub(super) fn refused(refusal: Refusal, code: &dyn std::fmt::Debug) -> Self {
        match refusal {
            Refusal::Credentials => Self::slow(
                "the broker refuses the name or the password: see [broker.external] username and \
                 password_file, and the broker's list of users; the password is read again at each try",
            ),
            Refusal::Version => Self::slow(
                "the broker does not speak this version of MQTT: write [broker.external] protocol = \
                 \"3.1.1\"",
            ),
            Refusal::ClientId => Self::slow(
                "the broker refuses the client id: write another [broker.external] client_id",
            ),
            Refusal::Busy => Self::soon("the broker has no room now"),
            Refusal::Other => Self::slow(format!("the broker refuses the connection: {code:?}")),
        }
    }

    /// TLS did not come about, or the socket failed.
    pub(super) fn of_io(error: &std::io::Error, tls: bool) -> Self {
        use std::io::ErrorKind;
        let why = in_words(error);
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::soon(format!(
                "nobody listens there ({why}): is the broker running, and is the url's port right?"
            )),
            ErrorKind::InvalidData if tls => Self::slow(format!(
                "TLS failed: {why}; see [broker.external] ca_file, and whether the url names the broker as its \
                 certificate does"
            )),
            _ => Self::soon(format!("the connection failed: {why}")),
        }
    }
}
