//! Alerts to people: each channel's notices become a message that reads well on a phone, a document for another
//! program, or a mail, and are sent until somebody took them.
//!
//! What is said is composed by pure functions: [`Bundle`] and secrets in, a request or a mail out; when it is said
//! is decided by one, too (`rounds`). A channel's worker only waits and sends. What nobody took stays in the
//! [`Outbox`](crate::alert::Outbox): a power cut sends it once more with the same key, and loses nothing. Nothing
//! here raises alerts, keeps them or writes a secret anywhere.

mod alertmanager;
mod answer;
mod chart;
mod compose;
mod crowd;
mod failing;
mod http;
mod mail;
mod ntfy;
mod preset;
mod rounds;
mod sample;
mod secret;
mod sender;
mod smtp;
mod template;
mod words;
mod worker;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use blake2::{Blake2s256, Digest};
use chrono_tz::Tz;

use crate::alert::{Notice, Severity};
use crate::config::Config;

pub use answer::{Blame, Failure, Reply};
pub use chart::{DayValue, Days, DaysOf};
pub use failing::{Failing, claim};
pub use rounds::{BUNDLE_MOST, EXPIRY_MS, FAILING_AFTER, GROUP_FOR, LONGEST_PAUSE};
pub use secret::{Exposure, Secret, SecretError, read as read_secret};
pub use sender::Sender;
pub use template::{TemplateError, check as check_template};
pub use worker::{Counted, Couriers, Seams, Tally, Turned};

/// Whose alerts they are: what messages say besides what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct House {
    /// The site's id.
    pub site: String,
    /// The zone that people there live in.
    pub zone: Tz,
    /// Where they reach the gateway's pages and API, without a slash at its end.
    pub ack_url: Option<String>,
}

impl House {
    /// As it is configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let url = config.alert.ack_url.as_ref();
        Self {
            site: config.site.id.clone(),
            zone: config.site.timezone,
            ack_url: url.map(|url| url.trim_end_matches('/').to_owned()),
        }
    }

    /// What a POST to acknowledges an alert; where there is a way in.
    fn ack_of(&self, notice: &Notice) -> Option<String> {
        let id = &notice.alert.claim.id;
        let url = self.ack_url.as_ref()?;
        // An id may hold `=` and `:`, which a path may, too.
        Some(format!("{url}/api/v1/alerts/{id}/ack"))
    }
}

/// What goes out as one message: one notice or several, oldest first.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The newest notice of each alert, in the order of the journal: what was said between is history.
    newest: Vec<Notice>,
    key: String,
    house: House,
}

impl Bundle {
    /// Of notices in the order of the journal; at least one.
    #[must_use]
    pub fn new(notices: Vec<Notice>, house: House) -> Self {
        let key = key(&notices, &house.site);
        let mut newest: BTreeMap<_, (usize, Notice)> = BTreeMap::new();
        for (place, notice) in notices.into_iter().enumerate() {
            newest.insert(notice.alert.claim.id.clone(), (place, notice));
        }
        let mut newest: Vec<_> = newest.into_values().collect();
        newest.sort_by_key(|(place, _)| *place);
        Self {
            newest: newest.into_iter().map(|(_, notice)| notice).collect(),
            key,
            house,
        }
    }

    /// A bundle that says that it is only a test; `salt` tells it from others.
    #[must_use]
    pub fn trial(house: House, now_ms: i64, salt: u32) -> Self {
        Self::new(vec![sample::trial(&house.site, now_ms, salt)], house)
    }

    /// What tells it from every other, and is the same when it is sent again.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn title(&self) -> String {
        words::title(&self.newest, &self.house)
    }

    fn message(&self) -> String {
        words::message(&self.newest, &self.house)
    }

    /// How loud it should be: `None` where all of it is over or known.
    fn loudness(&self) -> Option<Severity> {
        self.newest.iter().filter_map(words::loudness).max()
    }
}

/// One notice goes by its own key, several by the hash of theirs.
fn key(notices: &[Notice], site: &str) -> String {
    match notices {
        [one] => one.key(site),
        several => {
            let mut hash = Blake2s256::new();
            for notice in several {
                hash.update(notice.key(site).as_bytes());
                hash.update(b"\n");
            }
            format!("{site}/{}", hex(&hash.finalize()[..16]))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
    }
    text
}

/// A short hash of a text that is the same for ever: an id for those who want one of few characters.
fn fingerprint(text: &str, bytes: usize) -> String {
    hex(&Blake2s256::digest(text.as_bytes())[..bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use sample::{bundle, leak, notice, silent};

    #[test]
    fn one_notice_goes_by_its_own_key_and_several_by_one_that_depends_on_each() {
        let (a, b) = (notice(What::Fired, leak()), notice(What::Fired, silent()));
        assert_eq!(bundle(vec![a.clone()]).key(), "home/persist-Wtot/1/1");
        let both = bundle(vec![a.clone(), b.clone()]).key().to_owned();
        assert_eq!(both, bundle(vec![a.clone(), b.clone()]).key());
        let mut later = b;
        later.alert.notices = 2;
        assert_ne!(both, bundle(vec![a, later]).key());
        assert!(both.starts_with("home/") && both.len() == 37, "{both}");
    }

    #[test]
    fn of_an_alert_that_began_and_ended_meanwhile_the_end_is_said() {
        let fired = notice(What::Fired, leak());
        let cleared = notice(What::Cleared, leak());
        let bundle = bundle(vec![fired, notice(What::Fired, silent()), cleared]);
        let said: Vec<What> = bundle.newest.iter().map(|notice| notice.what).collect();
        assert_eq!(said, [What::Fired, What::Cleared]);
    }
}
