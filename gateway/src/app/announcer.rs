//! Between the writer and those who watch: every commit and every change of an alert to the live feed.

use crate::ingest::{Announced, Observer, Standing};
use crate::rows;
use crate::watch::Night;
use crate::web::facts::Vitals;
use crate::web::live::{Feed, LiveEvent};
use engine::{DiffKind, DiffRow};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Says what was committed to those who watch.
pub(super) struct Announcer {
    pub(super) feed: Feed,
    pub(super) vitals: Arc<Vitals>,
}

impl Observer for Announcer {
    fn standing(&mut self, standing: &Standing) {
        self.vitals.set_standing(standing.clone());
    }

    fn alerts(&mut self, alerts: &[rows::Alert]) {
        let json = |alert| serde_json::to_value(alert).expect("an alert is text and numbers");
        self.feed
            .publish(alerts.iter().map(|alert| LiveEvent::Alert(json(alert))));
    }

    fn nights(&mut self, nights: Vec<(String, Option<Night>)>) {
        self.vitals.set_nights(nights);
    }

    fn committed(&mut self, announced: &Announced<'_>) {
        self.vitals.commits.fetch_add(1, Relaxed);
        if self.feed.watchers() == 0 {
            return;
        }
        let Announced {
            group,
            changes,
            registry,
            told: _,
        } = *announced;
        let readings = group.readings.iter().filter(|r| r.fate.is_held()).map(|r| {
            LiveEvent::Reading(rows::Reading {
                sensor: registry.sensor(r.sensor).name.as_str().to_owned(),
                time: rows::when::Moment::from_ms(r.time.ms()),
                value: r.value,
                seq: r.seq,
                flag: r.flag.map(rows::flag_word),
            })
        });
        let days = changes.days.iter().filter(|c| c.row_changed).map(|c| {
            let (name, unit) = registry.name_and_unit(c.sensor);
            LiveEvent::Day(rows::Day::of(name, unit, c.day, &c.state.row))
        });
        let diffs = changes.days.iter().filter(|c| c.diff_changed).map(|c| {
            let (name, unit) = registry.name_and_unit(c.sensor);
            let diff = c.state.diff.unwrap_or(DiffRow {
                value: f64::NAN, // JSON's null: it is gone
                kind: DiffKind::Normal,
                closed: c.state.row.closed,
                revision: 0,
            });
            LiveEvent::Diff(rows::Diff::of(name, unit, c.day, &diff))
        });
        let rests = changes.rests.iter().map(|(id, day, row)| {
            let name = &registry.balances()[id.0 as usize];
            let unit = registry.unit_of_balance(*id);
            let name_of = |part| registry.sensor(part).name.as_str().to_owned();
            LiveEvent::Rest(rows::Rest::of(name, unit, *day, row, name_of))
        });
        self.feed
            .publish(readings.chain(days).chain(diffs).chain(rests));
    }
}
