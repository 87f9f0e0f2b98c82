//! Checks passwords one at a time, off the runtime's threads. Whoever asks about credentials that are being
//! checked waits for that answer; what was right is remembered.

use super::password::{Hash, Verdict};
use super::remembered::{Mark, Marker, Remembered};
use crate::broker::locked;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, watch};

/// Different credentials that wait for their check; further ones are told to come back.
const WAITING: usize = 64;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Checked {
    Right,
    Wrong,
    /// Too many wait already.
    Busy,
}

pub(super) struct Checker {
    desk: Arc<Desk>,
    marker: Marker,
    /// Checked where there is no such user.
    nobody: Hash,
}

struct Desk {
    remembered: Mutex<Remembered>,
    under_way: Mutex<HashMap<Mark, watch::Receiver<Option<Verdict>>>>,
    /// One check takes as much memory as a small gateway has to spare.
    turn: Semaphore,
    checks: AtomicU64,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self {
            desk: Arc::new(Desk {
                remembered: Mutex::default(),
                under_way: Mutex::default(),
                turn: Semaphore::new(1),
                checks: AtomicU64::new(0),
            }),
            marker: Marker::new(),
            nobody: Hash::of_nobody(),
        }
    }

    /// What stands for these credentials. Without a hash there is no such user.
    pub(super) fn mark(&self, user: &str, password: &[u8], hash: Option<&Hash>) -> Mark {
        self.marker
            .mark(user, password, hash.unwrap_or(&self.nobody))
    }

    /// Whether they were found right before.
    pub(super) fn remembers(&self, mark: &Mark) -> bool {
        locked(&self.desk.remembered).holds(mark)
    }

    /// Users have changed.
    pub(super) fn forget_all(&self) {
        locked(&self.desk.remembered).forget_all();
    }

    /// Passwords checked, the slow way.
    pub(super) fn checks(&self) -> u64 {
        self.desk.checks.load(Relaxed)
    }

    /// Checks a password. Where there is no user it takes as long, and is wrong. Cancel safe: a check that
    /// has begun ends, and is remembered.
    pub(super) async fn check(&self, mark: Mark, password: &[u8], hash: Option<&Hash>) -> Checked {
        let mut answer = {
            let mut under_way = locked(&self.desk.under_way);
            if self.remembers(&mark) {
                return Checked::Right;
            }
            match under_way.get(&mark) {
                Some(answer) => answer.clone(),
                None if under_way.len() >= WAITING => return Checked::Busy,
                None => {
                    let (tell, answer) = watch::channel(None);
                    under_way.insert(mark, answer.clone());
                    let hash = hash.unwrap_or(&self.nobody).clone();
                    let (desk, password) = (Arc::clone(&self.desk), password.to_vec());
                    tokio::spawn(desk.work(mark, password, hash, tell));
                    answer
                }
            }
        };
        let told = answer.wait_for(Option::is_some).await;
        match told.map(|verdict| *verdict) {
            Ok(Some(Verdict::Right)) => Checked::Right,
            Ok(Some(Verdict::Wrong)) => Checked::Wrong,
            // The runtime stops.
            Ok(None) | Err(_) => Checked::Busy,
        }
    }
}

impl Desk {
    async fn work(
        self: Arc<Self>,
        mark: Mark,
        password: Vec<u8>,
        hash: Hash,
        tell: watch::Sender<Option<Verdict>>,
    ) {
        let turn = self.turn.acquire().await;
        self.checks.fetch_add(1, Relaxed);
        let checking = tokio::task::spawn_blocking(move || hash.check(&password));
        let verdict = checking.await.unwrap_or(Verdict::Wrong);
        drop(turn);
        match verdict {
            // Before it is no longer under way, or another check could begin in between.
            Verdict::Right => locked(&self.remembered).add(mark),
            Verdict::Wrong => {}
        }
        locked(&self.under_way).remove(&mark);
        tell.send_replace(Some(verdict));
    }
}

#[cfg(test)]
mod tests {
    use super::super::password::cheap;
    use super::*;

    #[tokio::test]
    async fn a_thousand_at_once_are_one_check_and_the_next_needs_none() {
        let (checker, hash) = (Arc::new(Checker::new()), cheap("x"));
        let mark = checker.mark("ann", b"x", Some(&hash));
        let asking: Vec<_> = (0..1000)
            .map(|_| {
                let (checker, hash) = (Arc::clone(&checker), hash.clone());
                tokio::spawn(async move { checker.check(mark, b"x", Some(&hash)).await })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Checked::Right);
        }
        assert!(checker.remembers(&mark));
        assert_eq!(checker.checks(), 1);
        checker.forget_all();
        assert_eq!(checker.check(mark, b"x", Some(&hash)).await, Checked::Right);
        assert_eq!(checker.checks(), 2);
    }

    #[tokio::test]
    async fn what_is_wrong_is_not_remembered_and_nobody_is_always_wrong() {
        let (checker, hash) = (Checker::new(), cheap("x"));
        let mark = checker.mark("ann", b"y", Some(&hash));
        for _ in 0..2 {
            assert_eq!(checker.check(mark, b"y", Some(&hash)).await, Checked::Wrong);
        }
        let mark = checker.mark("bob", b"x", None);
        assert_eq!(checker.check(mark, b"x", None).await, Checked::Wrong);
        assert_eq!(checker.checks(), 3, "an unknown user costs a check, too");
    }

    #[tokio::test]
    async fn more_than_may_wait_are_told_to_come_back() {
        let (checker, hash) = (Arc::new(Checker::new()), cheap("x"));
        // Nobody's turn comes while we hold it.
        let turn = checker.desk.turn.acquire().await.unwrap();
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..=WAITING {
            let (checker, hash) = (Arc::clone(&checker), hash.clone());
            asking.spawn(async move {
                let mark = checker.mark(&n.to_string(), b"x", Some(&hash));
                checker.check(mark, b"x", Some(&hash)).await
            });
        }
        assert_eq!(asking.join_next().await.unwrap().unwrap(), Checked::Busy);
        drop(turn);
        while let Some(asked) = asking.join_next().await {
            assert_eq!(asked.unwrap(), Checked::Right);
        }
    }
}
