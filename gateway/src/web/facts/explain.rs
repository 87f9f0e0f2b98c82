//! What makes up a daily number: every arrival for its day, and which of them count.

use engine::Day as EngineDay;

use super::range::instants_of;
use super::{StoreFacts, calendar, moment, stamp_of, unit_of, unreadable, words};
use crate::rows::when::{Date, Edge, Span};
use crate::rows::{Arrival, Day, Diff, Explanation, flag_word};
use crate::store::Logged;
use crate::web::reading::Unreadable;

/// Everything that arrived for one day of one sensor.
pub(super) fn day_of(
    facts: &StoreFacts,
    sensor: &str,
    day: Date,
) -> Result<Explanation, Unreadable> {
    let config = facts.config.load();
    let unit = unit_of(&config, sensor);
    let only = |day: EngineDay| {
        let edge = Some(Edge::On(Date::from(day)));
        facts.sensor_days(
            sensor,
            &Span {
                from: edge,
                to: edge,
            },
        )
    };
    let engine_day = EngineDay::from_number(day.number());
    let held = only(engine_day)?.pop().map(|(_, held)| held);
    let diff = held.as_ref().and_then(|held| held.diff);
    let before = match diff {
        Some(_) => only(engine_day.pred())?
            .pop()
            .map(|(_, held)| held.row.last),
        None => None,
    };
    let stamp = stamp_of(config.sensor_for(sensor));
    let whole = Span {
        from: Some(Edge::On(day)),
        to: Some(Edge::On(day)),
    };
    let instants = instants_of(calendar(&config), stamp, &whole);
    let arrivals = match (facts.number_of(sensor)?, instants) {
        (Some(id), (Some(from), Some(to))) => facts
            .view
            .history(id, from, to)
            .map_err(unreadable("the history"))?,
        (None, _) | (_, (None, _) | (_, None)) => Vec::new(),
    };
    Ok(Explanation {
        sensor: sensor.to_owned(),
        day,
        unit: unit.map(str::to_owned),
        row: held.map(|held| Day::of(sensor, unit, engine_day, &held.row)),
        diff: diff.map(|diff| Diff::of(sensor, unit, engine_day, &diff)),
        before,
        arrivals: arrivals_of(arrivals),
    })
}

/// What arrived, by time and then by arrival; of each identity the last that is held counts.
fn arrivals_of(mut logged: Vec<Logged>) -> Vec<Arrival> {
    logged.sort_unstable_by_key(|entry| (entry.time, entry.tie, entry.seq));
    let counts = |at: usize, entry: &Logged| {
        let later = logged[at + 1..].iter();
        let mut same = later.take_while(|other| (other.time, other.tie) == (entry.time, entry.tie));
        entry.fate.is_held() && !same.any(|other| other.fate.decides())
    };
    let rows = logged.iter().enumerate().map(|(at, entry)| Arrival {
        time: moment(entry.time),
        value: entry.value,
        seq: entry.seq,
        fate: words::fate(entry.fate),
        flag: entry.flag.map(flag_word),
        counts: counts(at, entry),
    });
    rows.collect()
}
