//! One user: the name, the password's hash, what may be reached, and through which doors. Where a user is
//! written, in the configuration or in the store, is told by [`Origin`]; both are read here.

use super::filters::{Pattern, allowed};
use super::password::Hash;
use crate::broker::{Permit, Proof};
use crate::config::User;
use crate::store::UserRow;

/// The longest name, bytes.
const NAME_MAX: usize = 128;
/// Filters of one user in the store, one way.
const FILTERS_MAX: usize = 1000;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name to log in with.
    pub name: String,
    /// Of the password; `None`: a client certificate alone proves who it is.
    pub hash: Option<Hash>,
    /// Where the name is good.
    pub doors: Doors,
    /// Topics to publish to; `None`: whatever is not the gateway's own.
    pub publish: Option<Vec<Pattern>>,
    /// Filters to subscribe to; `None`: any.
    pub subscribe: Option<Vec<Pattern>>,
    /// Where it is written.
    pub origin: Origin,
}

/// Where a user is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// `[[broker.user]]`.
    Configuration,
    /// `sluice user add`.
    Store,
}

/// Where a name is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doors {
    /// MQTT.
    pub broker: bool,
    /// The web: to look.
    pub web: bool,
    /// The web: to acknowledge and snooze.
    pub web_acts: bool,
}

impl Doors {
    /// MQTT alone.
    pub const BROKER: Self = Self {
        broker: true,
        web: false,
        web_acts: false,
    };

    /// As the store has them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.broker as u8 | (self.web as u8) << 1 | (self.web_acts as u8) << 2
    }

    /// What [`Doors::bits`] made. Doors that this program does not know stay closed.
    #[must_use]
    pub const fn of_bits(bits: u8) -> Self {
        Self {
            broker: bits & 1 != 0,
            web: bits & 2 != 0,
            web_acts: bits & 4 != 0,
        }
    }
}

/// Why a text cannot name a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot name a user")]
pub struct NameError;

/// Checks a user's name: 1 to 128 bytes without control characters. `+`, `#` and `/` may be in it; such a
/// name fills no `%u`.
///
/// # Errors
/// It is another text.
pub fn user_name(text: &str) -> Result<String, NameError> {
    let valid = (1..=NAME_MAX).contains(&text.len()) && !text.contains(char::is_control);
    valid.then(|| text.to_owned()).ok_or(NameError)
}

impl Account {
    /// A user of the configuration.
    #[must_use]
    pub fn configured(user: &User) -> Self {
        Self {
            name: user.name.clone(),
            hash: user.password_hash.clone(),
            doors: Doors::BROKER,
            publish: user.publish.clone(),
            subscribe: user.subscribe.clone(),
            origin: Origin::Configuration,
        }
    }

    /// A user of the store.
    ///
    /// # Errors
    /// Says what in the row is not valid.
    pub fn stored(name: &str, row: &UserRow) -> Result<Self, String> {
        let patterns = |filters: &Option<Vec<String>>| {
            let parse = |text: &String| {
                Pattern::new(text).map_err(|error| format!("the filter {text:?} {error}"))
            };
            match filters {
                None => Ok(None),
                Some(filters) if filters.len() > FILTERS_MAX => {
                    Err(format!("there are more than {FILTERS_MAX} filters"))
                }
                Some(filters) => filters
                    .iter()
                    .map(parse)
                    .collect::<Result<_, _>>()
                    .map(Some),
            }
        };
        Ok(Self {
            name: user_name(name).map_err(|error| format!("{name:?} {error}"))?,
            hash: Some(
                Hash::parse(&row.password_hash)
                    .map_err(|error| format!("the password's hash {error}"))?,
            ),
            doors: Doors::of_bits(row.doors),
            publish: patterns(&row.publish)?,
            subscribe: patterns(&row.subscribe)?,
            origin: Origin::Store,
        })
    }

    /// What one of its clients may do.
    pub(super) fn permit(&self, client_id: &str, proof: Proof) -> Permit {
        let reach =
            |patterns: &Option<Vec<Pattern>>| allowed(patterns.as_deref(), &self.name, client_id);
        Permit {
            user: Some(self.name.clone()),
            proof,
            publish: reach(&self.publish),
            subscribe: reach(&self.subscribe),
        }
    }
}
