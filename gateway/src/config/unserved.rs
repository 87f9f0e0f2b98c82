//! What a valid configuration may ask for and this version does not do. Said instead of ignored: a
//! protection that is not there must not look as if it were.

use super::Config;

/// Something that is configured and not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Somebody would be less protected than the configuration says: the daemon refuses to run.
    Protection(&'static str),
    /// It has no effect yet.
    Feature(&'static str),
}

impl Config {
    /// What of it this version does not serve.
    #[must_use]
    pub fn unserved(&self) -> Vec<Unserved> {
        let protections = [(
            self.web.tls.is_some(),
            "web.tls_cert: HTTPS is not served by this version yet; leave it out",
        )];
        let features = [
            (
                self.upstream.is_some(),
                "[upstream]: nothing is forwarded by this version yet",
            ),
            (
                !self.alert.channels.is_empty(),
                "[[alert.channel]]: this version does not send alerts yet",
            ),
        ];
        let asked = |(is_asked, what): (bool, &'static str)| is_asked.then_some(what);
        let protections = protections.into_iter().filter_map(asked);
        let features = features.into_iter().filter_map(asked);
        protections
            .map(Unserved::Protection)
            .chain(features.map(Unserved::Feature))
            .collect()
    }
}
