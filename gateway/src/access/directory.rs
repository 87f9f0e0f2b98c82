//! The users there are: those of the configuration and those of the store, taken together once and replaced
//! as a whole. Where both name somebody the configuration wins.

use super::account::Account;
use crate::broker::Peer;
use std::collections::BTreeMap;

/// Who may come without a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Everybody: somebody said so.
    Everybody,
    /// Who comes from this machine: nothing was said, and every listener is on loopback.
    Local,
    /// Nobody.
    #[default]
    Nobody,
}

/// The users of one moment.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    accounts: BTreeMap<String, Account>,
    pub(super) anonymous: Anonymous,
}

impl Directory {
    /// Takes them together; also the names that the store has in vain.
    #[must_use]
    pub fn of(
        anonymous: Anonymous,
        configured: impl IntoIterator<Item = Account>,
        stored: impl IntoIterator<Item = Account>,
    ) -> (Self, Vec<String>) {
        let by_name = |account: Account| (account.name.clone(), account);
        let mut accounts: BTreeMap<_, _> = configured.into_iter().map(by_name).collect();
        let mut in_vain = Vec::new();
        for account in stored {
            if accounts.contains_key(&account.name) {
                in_vain.push(account.name);
            } else {
                accounts.insert(account.name.clone(), account);
            }
        }
        let directory = Self {
            accounts,
            anonymous,
        };
        (directory, in_vain)
    }

    /// Everybody, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Who may log in to the broker under this name.
    pub(super) fn at_the_broker(&self, name: &str) -> Option<&Account> {
        self.accounts
            .get(name)
            .filter(|account| account.doors.broker)
    }

    /// Whether who is there may come without a name.
    pub(super) fn admits_anonymous(&self, peer: &Peer) -> bool {
        match self.anonymous {
            Anonymous::Everybody => true,
            Anonymous::Local => is_local(peer),
            Anonymous::Nobody => false,
        }
    }

    /// Nobody has a name here.
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

/// Whether it is on this machine.
pub(super) fn is_local(peer: &Peer) -> bool {
    peer.address
        .is_none_or(|address| address.to_canonical().is_loopback())
}
