//! The broker's question answered: who comes, and what may who is there do. Names and passwords go to the
//! directory and the checker, patience to [`Slow`]; what was found out is logged here, once a burst.

use super::account::Account;
use super::check::{Checked, Checker};
use super::directory::{Directory, is_local};
use super::password::Hash;
use super::slow::{Ended, Pace, Say, Slow, Whence};
use crate::access::directory::Anonymous;
use crate::broker::{
    Access, Admission, Credentials, Peer, Pending, Permit, Proof, Standing, locked, now,
};
use arc_swap::ArcSwap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Answers by a directory that can be replaced while it does.
pub struct Gate {
    directory: ArcSwap<Directory>,
    checker: Checker,
    slow: Mutex<Slow>,
    /// Tells one password's hash from another, and nothing about either.
    marks: RandomState,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl Gate {
    /// A gate that knows these users.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self::with_clock(directory, now)
    }

    /// The same by another clock, which never goes back.
    #[must_use]
    pub fn with_clock(
        directory: Directory,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: Box::new(clock),
            directory: ArcSwap::from_pointee(directory),
            checker: Checker::new(),
            slow: Mutex::default(),
            marks: RandomState::new(),
        }
    }

    /// Knows other users from now on. Who is there already is judged by them in
    /// [`Broker::review`](crate::broker::Broker::review).
    pub fn replace(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
        self.checker.forget_all();
    }

    /// The users it knows.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// Passwords checked the slow way, since the start.
    #[must_use]
    pub fn checks(&self) -> u64 {
        self.checker.checks()
    }

    async fn judge(&self, credentials: Credentials<'_>) -> Admission {
        let Credentials {
            client_id,
            username,
            password,
            peer,
        } = credentials;
        let directory = self.directory.load_full();
        if let Some(certified) = &peer.certified {
            return self.by_certificate(&directory, certified, username, client_id, peer);
        }
        // Where there are no users a name is decoration, as with mosquitto.
        let name = username.filter(|_| !(directory.is_empty() && directory.admits_anonymous(peer)));
        match name {
            None => self.without_name(&directory, peer),
            Some(name) => {
                let account = directory.at_the_broker(name);
                let password = password.unwrap_or_default();
                self.by_password(account, name, password, client_id, peer)
                    .await
            }
        }
    }

    fn by_certificate(
        &self,
        directory: &Directory,
        certified: &str,
        username: Option<&str>,
        client_id: &str,
        peer: &Peer,
    ) -> Admission {
        if let Some(claimed) = username.filter(|claimed| *claimed != certified) {
            if self.is_news(peer) {
                tracing::warn!(
                    ?peer,
                    claimed,
                    "a log-in is refused: its certificate is another user's; leave the user name out"
                );
            }
            return Admission::Denied;
        }
        if let Some(account) = directory.at_the_broker(certified) {
            return granted(account.permit(client_id, Proof::Certificate));
        }
        if self.is_news(peer) {
            tracing::warn!(
                ?peer,
                "a log-in is refused: no user has the name in its certificate; add one with `sluice user add`"
            );
        }
        Admission::Denied
    }

    fn without_name(&self, directory: &Directory, peer: &Peer) -> Admission {
        if directory.admits_anonymous(peer) {
            return granted(anonymous(peer));
        }
        if self.is_news(peer) {
            tracing::warn!(
                address = ?peer.address,
                "a client without a user name is refused: give it one with `sluice user add`, or write \
                 [broker] allow_anonymous = true to let everybody in"
            );
        }
        Admission::Denied
    }

    async fn by_password(
        &self,
        account: Option<&Account>,
        name: &str,
        password: &[u8],
        client_id: &str,
        peer: &Peer,
    ) -> Admission {
        let hash = account.and_then(|account| account.hash.as_ref());
        let mark = self.checker.mark(name, password, hash);
        let welcome = |account: &Account| {
            let mark = self.mark_of(account.hash.as_ref());
            granted(account.permit(client_id, Proof::Password { mark }))
        };
        if let Some(account) = account
            && self.checker.remembers(&mark)
        {
            return welcome(account);
        }
        let mut attempt = match self.attempt(name, peer) {
            Ok(attempt) => attempt,
            Err(Pace::TooSoon) => return Admission::TooSoon,
            Err(Pace::Crowded | Pace::Go) => return Admission::Busy,
        };
        match (self.checker.check(mark, password, hash).await, account) {
            (Checked::Right, Some(account)) => {
                attempt.ended = Ended::Right;
                welcome(account)
            }
            (Checked::Busy, _) => Admission::Busy,
            (Checked::Wrong, _) | (Checked::Right, None) => {
                attempt.ended = Ended::Wrong;
                Admission::BadCredentials
            }
        }
    }

    fn attempt<'a>(&'a self, name: &'a str, peer: &Peer) -> Result<Attempt<'a>, Pace> {
        let whence = Whence::of(peer.address);
        match locked(&self.slow).begin(whence, (self.clock)()) {
            Pace::Go => Ok(Attempt {
                gate: self,
                whence,
                name,
                ended: Ended::Unknown,
            }),
            refused @ (Pace::Crowded | Pace::TooSoon) => Err(refused),
        }
    }

    fn is_news(&self, peer: &Peer) -> bool {
        locked(&self.slow).is_news(Whence::of(peer.address), (self.clock)())
    }

    fn mark_of(&self, hash: Option<&Hash>) -> u64 {
        self.marks.hash_one(hash.map(Hash::as_str))
    }
}

/// A check under way. However it ends, its address is told.
struct Attempt<'a> {
    gate: &'a Gate,
    whence: Whence,
    name: &'a str,
    ended: Ended,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let said = locked(&self.gate.slow).end(self.whence, self.ended, (self.gate.clock)());
        let (from, user) = (self.whence, self.name);
        match said {
            Say::Nothing => {}
            Say::Failed => {
                tracing::info!(
                    ?from,
                    user,
                    "a log-in failed: a wrong user name or password"
                );
            }
            Say::Slowed => tracing::warn!(
                ?from,
                user,
                "log-ins fail again and again: whoever is there waits longer and longer; see which device \
                 has an old password"
            ),
        }
    }
}

fn granted(permit: Permit) -> Admission {
    Admission::Granted(Arc::new(permit))
}

fn anonymous(peer: &Peer) -> Permit {
    let proof = if is_local(peer) {
        Proof::Local
    } else {
        Proof::Claim
    };
    Permit {
        proof,
        ..Permit::default()
    }
}

impl Access for Gate {
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a> {
        Box::pin(self.judge(credentials))
    }

    fn standing(&self, permit: &Permit, client_id: &str) -> Standing {
        let directory = self.directory.load();
        let Some(user) = &permit.user else {
            let holds = match (directory.anonymous, permit.proof) {
                (Anonymous::Everybody, _) | (Anonymous::Local, Proof::Local) => true,
                (Anonymous::Local | Anonymous::Nobody, _) => false,
            };
            return if holds {
                Standing::Same
            } else {
                Standing::Gone
            };
        };
        let Some(account) = directory.at_the_broker(user) else {
            return Standing::Gone;
        };
        let renewed = account.permit(client_id, permit.proof);
        match permit.proof {
            Proof::Password { mark } if mark != self.mark_of(account.hash.as_ref()) => {
                Standing::Unproven(Arc::new(renewed))
            }
            Proof::Password { .. } | Proof::Certificate | Proof::Local | Proof::Claim => {
                if renewed == *permit {
                    Standing::Same
                } else {
                    Standing::Changed(Arc::new(renewed))
                }
            }
        }
    }

    fn absent(&self, user: Option<&str>, client_id: &str) -> Option<Permit> {
        let directory = self.directory.load();
        match user {
            Some(user) => {
                let account = directory.at_the_broker(user)?;
                Some(account.permit(client_id, Proof::Claim))
            }
            None => match directory.anonymous {
                Anonymous::Everybody | Anonymous::Local => Some(Permit::default()),
                Anonymous::Nobody => None,
            },
        }
    }
}
