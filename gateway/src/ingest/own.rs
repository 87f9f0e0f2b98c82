//! What the gateway holds to be wrong with itself: its store's files, its disk, its clock. Claims like any
//! detector's, so that they are said, answered and sent like any other. Pure.

use std::path::Path;

use super::outage::Standing;
use crate::alert::{AlertId, Claim, Severity};
use crate::clock::Because;
use crate::store::{FILE, Incident, Level};

/// The part that is the disk of the store.
pub(crate) const DISK: &str = "store";
/// The part that is what lies beside the store.
pub(crate) const FILES: &str = "store/files";
/// The part that is the clock.
pub(crate) const CLOCK: &str = "clock";
/// A clock that is not trusted for so long is worth a word: at a start it takes a minute to be set.
const CLOCK_PATIENCE_MS: u64 = 10 * 60_000;

/// Damaged files that were set aside, each as long as it lies there. `dir` is the store's.
pub(crate) fn of_files(incidents: &[Incident], dir: &Path) -> Vec<Claim> {
    let claims = incidents.iter().map(|incident| damaged(incident, dir));
    claims.collect()
}

fn damaged(incident: &Incident, dir: &Path) -> Claim {
    let file = dir.join(&incident.file);
    let file = file.display();
    let store = dir.join(FILE);
    let store = store.display();
    let restore = match &incident.backup {
        Some(backup) => format!(
            "the newest backup is {backup}; to go back to it stop the daemon and `cp {backup} {store}`"
        ),
        None => "no backup was found".to_owned(),
    };
    Claim {
        id: AlertId::from_text(&incident.id()),
        text: format!(
            "the store was damaged ({}): the gateway went on with an empty one, and set the damaged file \
             aside as {file}",
            incident.why
        ),
        advice: format!(
            "check the disk; {restore}; this alert ends when {file} is moved away or deleted"
        ),
        ..claim("store_damaged", "store", Severity::Critical, incident.at_ms)
    }
}

/// How the store stands, since `now_ms`.
pub(crate) fn of_disk(standing: &Standing, now_ms: i64) -> Vec<Claim> {
    let (kind, severity, text) = match standing {
        Standing::Taking(Level::Ample) => return Vec::new(),
        Standing::Taking(Level::Low) => ("store_nearly_full", Severity::Info, "is getting full"),
        Standing::Taking(Level::Scarce) => {
            ("store_nearly_full", Severity::Warning, "is nearly full")
        }
        Standing::Full { .. } => (
            "store_full",
            Severity::Critical,
            "is full: readings are refused unacknowledged",
        ),
        Standing::Failing(_) => (
            "store_failing",
            Severity::Critical,
            "cannot be written: readings are refused unacknowledged",
        ),
    };
    let advice = standing.refusal().unwrap_or_else(|| {
        "delete something on that disk, or give it a shorter [store] retain_readings".to_owned()
    });
    vec![Claim {
        text: format!("the disk of the store {text}"),
        advice,
        ..claim(kind, "store", severity, now_ms)
    }]
}

/// A clock that has not been trusted for `doubted_ms`.
pub(crate) fn of_clock(because: Because, doubted_ms: u64, now_ms: i64) -> Vec<Claim> {
    if doubted_ms < CLOCK_PATIENCE_MS {
        return Vec::new();
    }
    vec![Claim {
        text: format!(
            "the clock of the gateway is not trusted ({because}): readings without a time of their own wait, \
             and days do not close"
        ),
        advice: "let the machine reach a time server (`timedatectl` says whether it does), or set its clock; \
                 where nothing keeps it, write trust = \"always\" under [time]"
            .to_owned(),
        ..claim("clock_unset", "clock", Severity::Warning, now_ms)
    }]
}

/// One with nothing said yet. The id is the kind with a dash for each line below.
fn claim(kind: &str, subject: &str, severity: Severity, now_ms: i64) -> Claim {
    Claim {
        id: AlertId::from_text(&kind.replace('_', "-")),
        kind: kind.to_owned(),
        rule: String::new(),
        subject: subject.to_owned(),
        severity,
        location: None,
        raised_ms: now_ms,
        flow: None,
        start: None,
        amount: None,
        unit: None,
        cost: None,
        text: String::new(),
        advice: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_given_ten_minutes() {
        let of = |doubted_ms| of_clock(Because::Stopped, doubted_ms, 0);
        assert!(of(CLOCK_PATIENCE_MS - 1).is_empty());
        let claims = of(CLOCK_PATIENCE_MS);
        assert_eq!(claims[0].id.as_str(), "clock-unset");
        assert_eq!(of(CLOCK_PATIENCE_MS + 5), claims, "it is said once");
    }

    #[test]
    fn a_disk_that_has_room_says_nothing() {
        assert!(of_disk(&Standing::default(), 0).is_empty());
        let full = Standing::Full {
            needed_bytes: 1 << 20,
        };
        assert_eq!(of_disk(&full, 0)[0].id.as_str(), "store-full");
    }
}
