//! Credentials that were found right, so that a thousand clients that come back cost neither memory nor
//! minutes. What is kept is a keyed hash: nobody reads a password out of it, and it dies with the process.

use super::password::Hash;
use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use std::collections::{HashSet, VecDeque};

/// Credentials remembered; the oldest go.
pub(super) const REMEMBERED: usize = 4096;

/// What stands for one pair of name and password, as long as the user's hash is the same.
pub(super) type Mark = [u8; 32];

/// Makes marks with a key of its own.
pub(super) struct Marker([u8; 32]);

impl Marker {
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// `hash` is the one that the password is checked against: with another one the mark is another.
    pub(super) fn mark(&self, user: &str, password: &[u8], hash: &Hash) -> Mark {
        let mut mac = Blake2sMac256::new_from_slice(&self.0).expect("32 bytes are a key");
        for part in [user.as_bytes(), password, hash.as_str().as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Which marks were right.
#[derive(Default)]
pub(super) struct Remembered {
    marks: HashSet<Mark>,
    order: VecDeque<Mark>,
}

impl Remembered {
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    pub(super) fn add(&mut self, mark: Mark) {
        if !self.marks.insert(mark) {
            return;
        }
        self.order.push_back(mark);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.marks.remove(&oldest);
        }
    }

    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::password::cheap;
    use super::*;

    #[test]
    fn a_mark_stands_for_a_name_a_password_and_a_hash_together() {
        let (marker, hash) = (Marker::new(), cheap("x"));
        let mark = marker.mark("ann", b"x", &hash);
        assert_eq!(mark, marker.mark("ann", b"x", &hash));
        assert_ne!(mark, marker.mark("ann", b"y", &hash));
        assert_ne!(mark, marker.mark("an", b"nx", &hash));
        assert_ne!(mark, marker.mark("ann", b"x", &cheap("y")));
        assert_ne!(mark, Marker::new().mark("ann", b"x", &hash));
    }

    #[test]
    fn the_oldest_go_and_no_more_are_held_than_the_limit() {
        let mut remembered = Remembered::default();
        let mark = |n: usize| {
            let mut mark = Mark::default();
            mark[..8].copy_from_slice(&n.to_le_bytes());
            mark
        };
        for n in 0..=REMEMBERED {
            remembered.add(mark(n));
            remembered.add(mark(n));
        }
        assert!(!remembered.holds(&mark(0)) && remembered.holds(&mark(1)));
        assert_eq!(remembered.marks.len(), REMEMBERED);
        remembered.forget_all();
        assert!(!remembered.holds(&mark(1)));
    }
}
