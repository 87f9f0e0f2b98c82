//! Where the users come from, read again whenever that changes: the configuration at SIGHUP, the store after
//! an operator's order was committed. Each time the gate gets a whole new directory and everybody is reviewed.
//!
//! It reads the store, and so may wait for the disk: not for the threads that serve sockets.

use super::account::{Account, Origin};
use super::directory::Directory;
use super::gate::Gate;
use crate::broker::locked;
use crate::config;
use crate::store::{StoreError, View};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// Keeps a gate's directory true.
pub struct Register {
    gate: Arc<Gate>,
    view: View,
    /// Held while the directory is made, so that an older one never replaces a newer.
    configured: Mutex<config::Broker>,
    review: Box<dyn Fn() + Send + Sync>,
}

/// A user, as an operator sees one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The name to log in with.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// Topics to publish to; `None`: whatever is not the gateway's own.
    pub publish: Option<Vec<String>>,
    /// Filters to subscribe to; `None`: any.
    pub subscribe: Option<Vec<String>>,
}

impl From<&Account> for Listed {
    fn from(account: &Account) -> Self {
        let texts = |patterns: &Option<Vec<super::Pattern>>| {
            let text = |pattern: &super::Pattern| pattern.as_str().to_owned();
            patterns
                .as_ref()
                .map(|patterns| patterns.iter().map(text).collect())
        };
        Self {
            name: account.name.clone(),
            origin: account.origin,
            publish: texts(&account.publish),
            subscribe: texts(&account.subscribe),
        }
    }
}

/// The users of a configuration and a store. What is odd about them is logged.
///
/// # Errors
/// The store cannot be read.
pub fn directory(broker: &config::Broker, view: &View) -> Result<Directory, StoreError> {
    let mut stored = Vec::new();
    for (name, row) in view.users()? {
        match Account::stored(&name, &row) {
            Ok(account) => stored.push(account),
            Err(why) => tracing::error!(name, why, "a user in the store cannot be taken"),
        }
    }
    let configured = broker.users.iter().map(Account::configured);
    let (directory, in_vain) = Directory::of(broker.anonymous, configured, stored);
    for name in in_vain {
        tracing::warn!(
            name,
            "a user is in the configuration and in the store: the configuration counts; take one of them away"
        );
    }
    Ok(directory)
}

impl Register {
    /// Keeps `gate` true. `review` has everybody judged anew: [`Broker::review`](crate::broker::Broker::review).
    pub fn new(
        gate: Arc<Gate>,
        view: View,
        configured: config::Broker,
        review: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            gate,
            view,
            configured: Mutex::new(configured),
            review: Box::new(review),
        }
    }

    /// Takes over another configuration's users.
    ///
    /// # Errors
    /// The store cannot be read: everything stays as it was.
    pub fn configure(&self, broker: &config::Broker) -> Result<(), StoreError> {
        let mut configured = locked(&self.configured);
        let directory = directory(broker, &self.view)?;
        *configured = broker.clone();
        self.gate.replace(directory);
        (self.review)();
        Ok(())
    }

    /// Reads the store's users again.
    ///
    /// # Errors
    /// The store cannot be read: everything stays as it was.
    pub fn read_again(&self) -> Result<(), StoreError> {
        let configured = locked(&self.configured);
        self.gate.replace(directory(&configured, &self.view)?);
        (self.review)();
        Ok(())
    }

    /// Everybody, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let directory = self.gate.directory();
        directory.accounts().map(Listed::from).collect()
    }
}
