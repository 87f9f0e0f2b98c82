//! What no store can tell: how the daemon itself is doing.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, RwLock};

use crate::web::reading::Readiness;

/// What only the running daemon knows, told by those who see it happen.
pub struct Vitals {
    /// Commits since the start.
    pub commits: AtomicU64,
    connections: Box<dyn Fn() -> u64 + Send + Sync>,
    certificate_expires_s: Box<dyn Fn() -> Option<i64> + Send + Sync>,
    not_ready: RwLock<Option<String>>,
}

impl Vitals {
    /// Those of a daemon before anything listens; `connections` counts the MQTT clients connected.
    #[must_use]
    pub fn starting(connections: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            commits: AtomicU64::new(0),
            connections: Box::new(connections),
            certificate_expires_s: Box::new(|| None),
            not_ready: RwLock::new(Some("the daemon is starting".to_owned())),
        }
    }

    /// Also tells when the certificate ends that TLS listeners show, epoch seconds.
    #[must_use]
    pub fn with_certificate(
        mut self,
        expires_s: impl Fn() -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        self.certificate_expires_s = Box::new(expires_s);
        self
    }

    /// Those of a daemon that is stopped: its store is read, and nothing else is there.
    #[must_use]
    pub fn stopped() -> Self {
        Self::starting(|| 0)
    }

    /// Says that the daemon can do its work from now on.
    pub fn set_ready(&self) {
        *self
            .not_ready
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says why it no longer can.
    pub fn set_not_ready(&self, why: impl Into<String>) {
        *self
            .not_ready
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }

    pub(super) fn connections(&self) -> u64 {
        (self.connections)()
    }

    pub(super) fn certificate_expires_s(&self) -> Option<i64> {
        (self.certificate_expires_s)()
    }

    pub(super) fn readiness(&self) -> Readiness {
        let why = self
            .not_ready
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        why.map_or(Readiness::Ready, Readiness::NotReady)
    }
}
