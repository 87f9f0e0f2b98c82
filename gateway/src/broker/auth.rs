//! Who a client is and what it may do. The broker asks; this file holds the question's shape, the rules
//! that hold for everyone, and the answer of a home that listens on loopback only: everybody may.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// What a CONNECT claims.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// As sent, or as assigned.
    pub client_id: &'a str,
    /// As sent.
    pub username: Option<&'a str>,
    /// As sent: any bytes.
    pub password: Option<&'a [u8]>,
    /// Where from, and what the transport has proven.
    pub peer: &'a Peer,
}

/// The other end of a connection, as its transport knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Where from; `None` within the process.
    pub address: Option<IpAddr>,
    /// The name in a client certificate that our authority has signed.
    pub certified: Option<String>,
}

impl Peer {
    /// Known by its address alone.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self {
            address: Some(address),
            certified: None,
        }
    }
}

/// Who a client turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `None`: anonymous.
    pub user: Option<String>,
}

/// The answer to a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Welcome.
    Granted(Identity),
    /// Wrong name or password.
    BadCredentials,
    /// Known, but not allowed here.
    Denied,
}

/// A pending [`Admission`]: checking a password may take a while and happens off the runtime's threads.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Admission> + Send + 'a>>;

/// Decides about clients. Filters per user are its business; the site's own topics are those of `acl`.
pub trait Access: Send + Sync + 'static {
    /// Checks a CONNECT.
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a>;

    /// Whether `who` may publish to `topic`.
    fn may_publish(&self, who: &Identity, client_id: &str, topic: &str) -> bool;

    /// Whether `who` may subscribe to `filter`.
    fn may_subscribe(&self, who: &Identity, client_id: &str, filter: &str) -> bool;
}

/// Everybody may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Access for Open {
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a> {
        let user = credentials.username.map(str::to_owned);
        Box::pin(std::future::ready(Admission::Granted(Identity { user })))
    }

    fn may_publish(&self, _who: &Identity, _client_id: &str, _topic: &str) -> bool {
        true
    }

    fn may_subscribe(&self, _who: &Identity, _client_id: &str, _filter: &str) -> bool {
        true
    }
}
