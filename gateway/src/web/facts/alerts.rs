//! What is wrong with the store, as alerts: damaged files that were set aside, a disk that is full or
//! nearly so. They follow from what is there, and end with it.

use std::path::Path;

use crate::ingest::Standing;
use crate::rows::when::Moment;
use crate::rows::{Alert, Word};
use crate::store::{FILE, Incident, Level};

/// All of them: incidents first. `dir` is the store's; it stands like this since `since_ms`.
#[must_use]
pub fn alerts(
    incidents: &[Incident],
    dir: &Path,
    standing: &Standing,
    since_ms: i64,
) -> Vec<Alert> {
    let damaged = incidents.iter().map(|incident| damaged(incident, dir));
    damaged.chain(of_disk(standing, since_ms)).collect()
}

pub(super) fn damaged(incident: &Incident, dir: &Path) -> Alert {
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
    Alert {
        text: format!(
            "the store was damaged ({}): the gateway went on with an empty one, and set the damaged file \
             aside as {file}",
            incident.why
        ),
        advice: format!(
            "check the disk; {restore}; this alert ends when {file} is moved away or deleted"
        ),
        ..alert(incident.id(), "store_damaged", "critical", incident.at_ms)
    }
}

fn of_disk(standing: &Standing, since_ms: i64) -> Option<Alert> {
    let (kind, severity, text) = match standing {
        Standing::Taking(Level::Ample) => return None,
        Standing::Taking(Level::Low) => ("store_nearly_full", "info", "is getting full"),
        Standing::Taking(Level::Scarce) => ("store_nearly_full", "warning", "is nearly full"),
        Standing::Full { .. } => (
            "store_full",
            "critical",
            "is full: readings are refused unacknowledged",
        ),
        Standing::Failing(_) => (
            "store_failing",
            "critical",
            "cannot be written: readings are refused unacknowledged",
        ),
    };
    let advice = standing.refusal().unwrap_or_else(|| {
        "delete something on that disk, or give it a shorter [store] retain_readings".to_owned()
    });
    Some(Alert {
        text: format!("the disk of the store {text}"),
        advice,
        ..alert(kind.replace('_', "-"), kind, severity, since_ms)
    })
}

fn alert(id: String, kind: &'static str, severity: &'static str, since_ms: i64) -> Alert {
    Alert {
        id,
        kind: Word::Borrowed(kind),
        state: Word::Borrowed("firing"),
        severity: Word::Borrowed(severity),
        subject: Word::Borrowed("store"),
        since: Moment::from_ms(since_ms),
        text: String::new(),
        advice: String::new(),
    }
}
