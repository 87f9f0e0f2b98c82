//! What an operator may change of the users in the store, decided against those that are there. Pure.

use super::command::Refusal;
use crate::access::Hash;
use crate::store::{BrokerWrite, UserRow};

/// The most users that the store holds.
pub const MAX_USERS: usize = 10_000;

/// A change to the users in the store.
#[derive(Clone, Debug, PartialEq)]
pub enum UserChange {
    /// Makes a user, unless there is one of that name.
    Add {
        /// The name to log in with.
        name: String,
        /// The rest.
        user: UserRow,
    },
    /// Gives a user another password; what the user may do stays.
    Password {
        /// Whose.
        name: String,
        /// Of the new one.
        hash: Hash,
    },
    /// Takes a user away.
    Remove {
        /// Whom.
        name: String,
    },
}

impl UserChange {
    /// The row to write, or why there is none. `held` are the users that the store holds, by name.
    pub(super) fn decide(&self, held: &[(String, UserRow)]) -> Result<BrokerWrite, Refusal> {
        let find = |name: &str| {
            let found = held.iter().find(|(other, _)| other == name);
            found.map(|(_, user)| user)
        };
        match self {
            Self::Add { name, .. } if find(name).is_some() => {
                Err(Refusal::UserExists(name.clone()))
            }
            Self::Add { .. } if held.len() >= MAX_USERS => Err(Refusal::TooManyUsers),
            Self::Add { name, user } => Ok(BrokerWrite::UserSet {
                name: name.clone(),
                user: user.clone(),
            }),
            Self::Password { name, hash } => {
                let user = find(name).ok_or_else(|| Refusal::UnknownUser(name.clone()))?;
                Ok(BrokerWrite::UserSet {
                    name: name.clone(),
                    user: UserRow {
                        password_hash: hash.as_str().to_owned(),
                        ..user.clone()
                    },
                })
            }
            Self::Remove { name } => {
                find(name).ok_or_else(|| Refusal::UnknownUser(name.clone()))?;
                Ok(BrokerWrite::UserDrop { name: name.clone() })
            }
        }
    }
}
