//! The alert channels' side of the wiring: what their couriers go by, and what becomes of one that fails. Nothing
//! is decided here.

use super::DRAIN;
use super::outbox::StoredOutbox;
use crate::alert::Conditions;
use crate::clock::Clock;
use crate::config::Config;
use crate::notify::{self, Couriers, DayValue, Days, DaysOf, House, Seams, Tally, Turned};
use crate::web::facts::StoreFacts;
use crate::web::reading::Facts;
use crate::web::when::Span;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The couriers of a gateway that runs, which a configuration that was read again may replace.
pub(super) struct Channels {
    /// `None`: they were stopped for good.
    couriers: Arc<Mutex<Option<Couriers>>>,
    outbox: Arc<StoredOutbox>,
    seams: Seams,
}

impl Channels {
    pub(super) fn start(
        config: &Config,
        outbox: &Arc<StoredOutbox>,
        conditions: &Conditions,
        facts: &Arc<StoreFacts>,
        clock: &Clock,
        tally: Tally,
    ) -> Self {
        let seams = Seams {
            clock: clock.clone(),
            house: House::of(config),
            days: Some(days_of(Arc::clone(facts))),
            turned: turned(conditions.clone()),
            tally,
            seed: rand::random(),
        };
        let couriers = Couriers::start(&config.alert.channels, outbox, &seams);
        Self {
            couriers: Arc::new(Mutex::new(Some(couriers))),
            outbox: Arc::clone(outbox),
            seams,
        }
    }

    /// Takes over the channels' settings as soon as what is being sent is there. A channel of another name is
    /// served from the next start on: nothing waits for it yet.
    pub(super) fn reload(&self, config: &Config) {
        let seams = Seams {
            house: House::of(config),
            ..self.seams.clone()
        };
        let channels = config.alert.channels.clone();
        let (couriers, outbox) = (Arc::clone(&self.couriers), Arc::clone(&self.outbox));
        tokio::spawn(async move {
            let mut couriers = couriers.lock().await;
            if let Some(before) = couriers.take() {
                before.shutdown(DRAIN).await;
                *couriers = Some(Couriers::start(&channels, &outbox, &seams));
            }
        });
    }

    /// Lets what is being sent arrive, for as long as a stop may take.
    pub(super) async fn stop(self) {
        if let Some(couriers) = self.couriers.lock().await.take() {
            couriers.shutdown(DRAIN).await;
        }
    }
}

/// A channel that fails is a condition of the gateway, told of on the others.
fn turned(conditions: Conditions) -> Turned {
    Arc::new(move |channel, failing| {
        let claims = failing.map(|failing| notify::claim(channel, &failing));
        conditions.set(&format!("channel/{channel}"), claims.into_iter().collect());
    })
}

/// The last days of a balance, of what a meter rose, or of a sensor.
fn days_of(facts: Arc<StoreFacts>) -> DaysOf {
    Arc::new(move |subject| {
        let all = Span::default();
        let rests = facts.rests(subject, &all).ok()?.into_iter();
        let rests: Vec<_> = rests.map(|row| (row.day, row.value, row.unit)).collect();
        let diffs = facts.diffs(subject, &all).ok()?.into_iter();
        let diffs: Vec<_> = diffs.map(|row| (row.day, row.value, row.unit)).collect();
        let days = facts.days(subject, &all).ok()?.into_iter();
        let days: Vec<_> = days.map(|row| (row.day, row.value, row.unit)).collect();
        let known = [rests, diffs, days]
            .into_iter()
            .find(|rows| !rows.is_empty())?;
        Some(Days {
            unit: known
                .iter()
                .find_map(|(_, _, unit)| unit.clone())
                .unwrap_or_default(),
            values: known
                .into_iter()
                .map(|(day, value, _)| DayValue { day, value })
                .collect(),
        })
    })
}
