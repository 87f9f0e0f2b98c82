//! Who a client is and what it may do. The broker asks; this file holds the question's shape, and the answer
//! of a broker without users: everybody may. The answers of a gateway are those of `access`.

use super::allowed::Allowed;
use super::name;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

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

/// Who a client turned out to be, and what it may do under its client id. Made once a connection, so that a
/// message costs a look and not a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// `None`: anonymous.
    pub user: Option<String>,
    /// What it was granted for.
    pub proof: Proof,
    /// Topics to publish to. The site's own topics are those of `acl`, whatever stands here.
    pub publish: Allowed,
    /// Filters to subscribe to.
    pub subscribe: Allowed,
}

/// What a permit was granted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// A claim that nobody checked.
    #[default]
    Claim,
    /// Coming from this machine.
    Local,
    /// A password; the mark is another one when the password has changed.
    Password {
        /// Made by whoever granted it, for itself.
        mark: u64,
    },
    /// A client certificate.
    Certificate,
}

impl Permit {
    /// Whether its holder may publish to `topic`.
    #[must_use]
    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.topic(topic)
    }

    /// Whether its holder may subscribe to `filter`, shared or not. Never to what is no filter.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str) -> bool {
        name::filter(filter).is_some_and(|filter| self.subscribe.filter(filter.path))
    }
}

/// The answer to a CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Welcome.
    Granted(Arc<Permit>),
    /// Wrong name or password.
    BadCredentials,
    /// Known, but not allowed here.
    Denied,
    /// There is no time to check: try again later.
    Busy,
    /// Too many failed before it: try again later.
    TooSoon,
}

/// What has become of a permit since it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Same,
    /// Its holder goes on under this one.
    Changed(Arc<Permit>),
    /// Its holder has to prove itself again; its session is judged by this one meanwhile.
    Unproven(Arc<Permit>),
    /// Nobody of that name may come any more.
    Gone,
}

/// A pending [`Admission`]: checking a password may take a while and happens off the runtime's threads.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Admission> + Send + 'a>>;

/// Decides about clients. After its answers have changed, [`super::Broker::review`] is called.
pub trait Access: Send + Sync + 'static {
    /// Checks a CONNECT.
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a>;

    /// What has become of a permit that was granted to this client.
    fn standing(&self, permit: &Permit, client_id: &str) -> Standing;

    /// What a client of this user may do, for the session that it left behind; `None`: nothing, because
    /// the user is no more.
    fn absent(&self, user: Option<&str>, client_id: &str) -> Option<Permit>;
}

/// Everybody may do everything, under whatever name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Access for Open {
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a> {
        let permit = Permit {
            user: credentials.username.map(str::to_owned),
            ..Permit::default()
        };
        Box::pin(std::future::ready(Admission::Granted(Arc::new(permit))))
    }

    fn standing(&self, _permit: &Permit, _client_id: &str) -> Standing {
        Standing::Same
    }

    fn absent(&self, _user: Option<&str>, _client_id: &str) -> Option<Permit> {
        Some(Permit::default())
    }
}
