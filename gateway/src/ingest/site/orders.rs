//! What an operator asks for, judged and put like any arrival, but overruling lateness and what is
//! held.

use super::Site;
use crate::alert::{Action, AlertId};
use crate::ingest::command::{Order, Outcome, Refusal};
use crate::source::Reason;
use crate::store::{Fate, Store, StoreError};
use crate::watch::Answered;
use engine::{Admission, EventTime, Reading};

/// Late readings that one order may accept.
const ACCEPTED_AT_ONCE: usize = 100_000;

impl Site {
    /// Carries out an operator's order within the group that was begun.
    pub fn obey(
        &mut self,
        order: &Order,
        store: &mut Store,
    ) -> Result<Result<Outcome, Refusal>, StoreError> {
        let mut outcome = Outcome::default();
        let readings = match order {
            Order::Correct {
                sensor,
                time,
                value,
            } => match self.correction(sensor, *time, *value) {
                Ok(reading) => vec![reading],
                Err(refusal) => return Ok(Err(refusal)),
            },
            Order::AcceptLate {
                sensor,
                from_ms,
                to_ms,
            } => match self.set_aside(sensor.as_deref(), *from_ms, *to_ms, store)? {
                Ok(readings) => readings,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Order::Users(change) => match change.decide(&store.view().users()?) {
                Ok(write) => {
                    self.users.push(write);
                    Vec::new()
                }
                Err(refusal) => return Ok(Err(refusal)),
            },
            // The book has judged it; no reading is different.
            Order::Alert { id, action, .. } => {
                self.answered(id, *action);
                Vec::new()
            }
            Order::Sent { .. } | Order::Mean { .. } => return Ok(Ok(outcome)),
        };
        for reading in readings {
            let admission = self.engine.overrule(reading, &mut &*store)?;
            self.watch.admitted(reading, admission);
            match admission {
                Admission::Accepted => {
                    outcome.accepted += 1;
                    self.log(reading, Fate::AcceptedLate, None);
                }
                Admission::Corrected { .. } => {
                    outcome.corrected += 1;
                    self.log(reading, Fate::CorrectedLate, None);
                }
                Admission::Duplicate | Admission::SetAside { .. } | Admission::Kept { .. } => {
                    outcome.unchanged += 1;
                    self.number();
                    self.group.counters.duplicate += 1;
                }
            }
        }
        tracing::info!(?order, ?outcome, "an operator's change");
        Ok(Ok(outcome))
    }

    /// Tells the detectors what a person said to an alert of theirs: what was normal needs more from now on.
    fn answered(&mut self, id: &AlertId, action: Action) {
        match action {
            Action::Normal => match self.normal(id) {
                Answered::Taken => {}
                Answered::Unheard => tracing::debug!(%id, "no detector needs more from now on"),
            },
            Action::Acknowledge | Action::Snooze(_) => {}
        }
    }

    fn correction(&self, sensor: &str, time: EventTime, value: f64) -> Result<Reading, Refusal> {
        let id = self.registry.find(sensor);
        let id = id.ok_or_else(|| Refusal::UnknownSensor(sensor.to_owned()))?;
        if !value.is_finite() {
            return Err(Refusal::Value(Reason::NonFinite));
        }
        if let Some(latest) = self.now.latest_ms
            && time.ms() > latest
        {
            let ahead_ms = time.ms() - latest;
            return Err(Refusal::Value(Reason::FutureTime { ahead_ms }));
        }
        let retain_ms = self.config.store.retain_readings_ms;
        if let Some(day) = self.drop_before(retain_ms)
            && self.day_of()(id, time) < self.kept_from(retain_ms)(id, day)
        {
            return Err(Refusal::Forgotten);
        }
        Ok(Reading {
            sensor: id,
            time,
            tie: 0,
            value,
            exempt: true,
        })
    }

    fn set_aside(
        &self,
        sensor: Option<&str>,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        store: &Store,
    ) -> Result<Result<Vec<Reading>, Refusal>, StoreError> {
        let id = match sensor.map(|name| (name, self.registry.find(name))) {
            None => None,
            Some((_, Some(id))) => Some(id),
            Some((name, None)) => return Ok(Err(Refusal::UnknownSensor(name.to_owned()))),
        };
        let rows = store.view().late(id, from_ms, to_ms, ACCEPTED_AT_ONCE)?;
        let readings: Vec<Reading> = rows
            .into_iter()
            .filter(|row| !row.accepted)
            .map(|row| Reading {
                sensor: row.sensor,
                time: row.time,
                tie: row.tie,
                value: row.value,
                exempt: true,
            })
            .collect();
        if readings.is_empty() {
            return Ok(Err(Refusal::NothingLate));
        }
        Ok(Ok(readings))
    }
}
