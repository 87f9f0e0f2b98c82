//! What parts of the gateway hold to be wrong with themselves.
//!
//! A part says all that stands, as often as it likes; whoever keeps the book asks what is new. A part that
//! has said nothing since the start is not taken to be well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Claim;

/// The claims of each part. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    claims: BTreeMap<String, Vec<Claim>>,
    changed: BTreeSet<String>,
}

impl Conditions {
    /// A part, such as `store` or `channel/ntfy`, says all that is wrong with it; nothing: it is well.
    pub fn set(&self, part: &str, claims: Vec<Claim>) {
        let mut standing = self.lock();
        if standing.claims.get(part) != Some(&claims) {
            standing.claims.insert(part.to_owned(), claims);
            standing.changed.insert(part.to_owned());
        }
    }

    /// Whether a part has said something new.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.lock().changed.is_empty()
    }

    /// The parts that have said something new, with all that they say.
    #[must_use]
    pub fn news(&self) -> Vec<(String, Vec<Claim>)> {
        let mut standing = self.lock();
        let changed = std::mem::take(&mut standing.changed);
        let said = changed.into_iter().map(|part| {
            let claims = standing.claims.get(&part).cloned().unwrap_or_default();
            (part, claims)
        });
        said.collect()
    }

    /// All that was said is news again: whoever had asked has lost it.
    pub fn say_again(&self) {
        let mut standing = self.lock();
        standing.changed = standing.claims.keys().cloned().collect();
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
