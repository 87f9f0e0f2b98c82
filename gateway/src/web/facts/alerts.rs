//! Alerts and their journal as the store keeps them; while it takes nothing, with what is said from memory.

use std::collections::BTreeMap;

use super::StoreFacts;
use crate::alert::{self, AlertId};
use crate::ingest::of_files;
use crate::rows::{Alert, Known, Notice, NoticesStatus, Word};
use crate::store::{Incident, StoreError};

/// Every alert, by id.
pub(super) fn all(facts: &StoreFacts) -> Result<Vec<Alert>, StoreError> {
    let unwritten = facts.vitals.unwritten();
    let held = match facts.view.alerts() {
        Ok(held) => held,
        // A store that cannot even be read is told of from memory.
        Err(_) if !unwritten.is_empty() => Vec::new(),
        Err(error) => return Err(error),
    };
    let held = held.into_iter().map(|kept| kept.alert);
    let mut alerts: BTreeMap<AlertId, alert::Alert> =
        held.map(|alert| (alert.claim.id.clone(), alert)).collect();
    alerts.extend(unwritten);
    Ok(alerts.values().map(Alert::of).collect())
}

/// Those that were said and hold, the worst first, of these the newest.
pub(super) fn open(alerts: &[Alert]) -> Vec<Alert> {
    let rank = |alert: &Alert| match alert.severity.as_ref() {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    };
    let mut open: Vec<Alert> = alerts.iter().filter(|a| a.is_open()).cloned().collect();
    open.sort_by_key(|alert| (rank(alert), std::cmp::Reverse(alert.since)));
    open
}

/// The alerts of damaged files that lie there still.
pub(super) fn of_incidents(
    facts: &StoreFacts,
    incidents: &[Incident],
    alerts: &[Alert],
) -> Vec<Alert> {
    let config = facts.config.load();
    let claims = of_files(incidents, &config.store.path).into_iter();
    let held = claims.filter_map(|claim| {
        let mut alerts = alerts.iter();
        alerts.find(|alert| alert.id == claim.id.as_str()).cloned()
    });
    held.collect()
}

/// Alerts and notices by number.
pub(super) fn numbers(facts: &StoreFacts, alerts: &[Alert]) -> Result<NoticesStatus, StoreError> {
    let mut known: BTreeMap<(Word, Word), u64> = BTreeMap::new();
    for alert in alerts {
        let of = (alert.state.clone(), alert.severity.clone());
        *known.entry(of).or_default() += 1;
    }
    let known = known.into_iter().map(|((state, severity), count)| Known {
        state,
        severity,
        count,
    });
    let config = facts.config.load();
    let rules = alert::Rules::of(&config.alert);
    let waits = facts.view.waiting_notices()?;
    let waiting = rules.receivers().iter().map(|receiver| {
        let count = waits.get(&receiver.name).map_or(0, Vec::len);
        (receiver.name.clone(), count as u64)
    });
    Ok(NoticesStatus {
        known: known.collect(),
        written: facts.view.next_notice()? - 1,
        waiting: waiting.collect(),
        dropped: facts.vitals.dropped_notices(),
        channels: facts.vitals.channels(),
    })
}

/// The newest `limit` lines of the journal, oldest first.
pub(super) fn journal(facts: &StoreFacts, limit: usize) -> Result<Vec<Notice>, StoreError> {
    let from = facts.view.next_notice()?.saturating_sub(limit as u64);
    let notices = facts.view.journal(from, limit)?;
    Ok(notices.iter().map(Notice::of).collect())
}
