//! How much, since when, why: what the readings held say of an episode that a rule raised.
//!
//! Asked when something is raised or a day is over, never for every reading, so it may look far back.

use super::absorb::REACH_MS;
use super::cell::{Cell, Sample, Window, least, shortest, window};
use super::finding::{Constancy, Evidence, Flow, Start};
use super::parameters::{HOUR_MS, Persist};
use super::persist::{Episode, PersistRule};
use super::series::{Series, With};

/// An hour of rest is what a person calls standing still.
const REST_MS: i64 = HOUR_MS;
/// The longest window in which a leak's beginning is looked for.
const START_WINDOW_MS: i64 = 12 * HOUR_MS;
/// The estimate of a flow is at most about so many times what flows.
const FLOW_ABOVE: f64 = 1.1;
/// A window passed about the leak alone up to this ratio to its flow.
const ALONE_SHARE: f64 = 1.25;
/// The last so many days of a run tell how much flows now.
const STEADY_DAYS: usize = 14;
/// A day whose least is under this share of what an episode's days usually had is the one in which it ended.
const ENDED_SHARE: f64 = 0.5;

/// A leak that passes so many times what it was before has become another.
pub(crate) const BURST_TIMES: f64 = 2.0;

/// What is known of a leak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Leak {
    pub(crate) flow: Flow,
    pub(crate) start: Start,
    pub(crate) milli: i64,
    pub(crate) evidence: Evidence,
}

/// What an episode of PERSIST amounts to; a remainder passed no more than the `whole` that it remains of.
pub(crate) fn leak(
    series: &Series,
    whole: Option<&Series>,
    with: &With<'_>,
    episode: &Episode<PersistRule>,
) -> Leak {
    let run = run(series, with, episode);
    let until_ms = episode.cleared_ms.unwrap_or(series.reached_ms());
    let (flow, constancy) = flow(series, whole, with, &run, episode);
    let start = start(series, with, episode, flow.best);
    let hours_ms = until_ms - start.about_ms().min(until_ms);
    let more = match episode.cleared_ms {
        None => burst(series, &with.parameters.persist),
        Some(_) => None,
    };
    Leak {
        flow: more
            .filter(|more| more.best > BURST_TIMES * flow.best)
            .unwrap_or(flow),
        milli: volume(flow.best, hours_ms),
        evidence: Evidence::NoRest {
            constancy,
            quietest: flow.high,
            days: u16::try_from(run.len()).unwrap_or(u16::MAX),
            rested: rested(series, with, episode),
        },
        start,
    }
}

/// The least that a part passed in the time of an episode: no leak behind it was larger, L/h.
pub(crate) fn ceiling_since(series: &Series, from_ms: i64, with: &With<'_>) -> Option<f64> {
    let persist = &with.parameters.persist;
    let cells = series.cells().rev();
    let cells = cells.take_while(|cell| cell.least.from_ms >= from_ms);
    let of_days = cells.map(|cell| cell.least.ceiling).reduce(f64::min);
    let since = since(series.samples(), from_ms, i64::MAX);
    let of_hours = least(since, persist.window_ms, series.allowance(persist));
    let of_hours = of_hours.map(|window| window.ceiling);
    of_days.into_iter().chain(of_hours).reduce(f64::min)
}

/// What passes in the hours of a rule for large leaks that is raised: a burst on top of a leak that stands.
fn burst(series: &Series, persist: &Persist) -> Option<Flow> {
    let raised = large(series.now().standing.hours, persist);
    let rules = (0_u8..).zip(&persist.hour_rules);
    let longest = rules
        .filter(|(place, _)| raised >> place & 1 == 1)
        .map(|(_, rule)| rule)
        .last()?;
    let from_ms = series.reached_ms() - i64::from(longest.hours) * HOUR_MS;
    let since = since(series.samples(), from_ms, series.reached_ms());
    let least = least(since, persist.window_ms, series.allowance(persist))?;
    Some(Flow {
        low: least.flow,
        best: least.ceiling,
        high: least.ceiling,
    })
}

/// Of the hour rules that are raised, a bit each, those whose θ alone is a large leak.
pub(crate) fn large(raised: u8, persist: &Persist) -> u8 {
    let rules = (0_u8..).zip(&persist.hour_rules);
    let large = rules.filter(|(_, rule)| rule.above >= persist.critical_from);
    large.fold(0, |bits, (place, _)| bits | (raised & (1 << place)))
}

/// The cells that an episode rests on.
fn run(series: &Series, with: &With<'_>, episode: &Episode<PersistRule>) -> Vec<Cell> {
    let until_ms = episode.cleared_ms.unwrap_or(i64::MAX);
    let is_in = |cell: &&Cell| {
        let span = with.calendar.noon_span(cell.day);
        span.start_ms >= episode.seen_ms && span.end_ms <= until_ms
    };
    let mut run: Vec<Cell> = series.cells().filter(is_in).copied().collect();
    if episode.cleared_ms.is_some() {
        // The day that ended it is none of its days, nor is one before it in which hardly any of it was left.
        run.pop();
        let usual = median(run.iter().map(|cell| cell.least.ceiling));
        while run
            .pop_if(|last| last.least.ceiling < ENDED_SHARE * usual)
            .is_some()
        {}
    }
    run
}

/// The days of a run that tell how much flows: not its first ones, in which it may have begun, nor the newest, in
/// which it may have been mended, and no more than the last fortnight, for a leak that grows.
fn steady(run: &[Cell]) -> &[Cell] {
    let unsure = if run.len() < 2 {
        0
    } else {
        (run.len() / 4).max(1)
    };
    let sure = &run[unsure.max(run.len().saturating_sub(STEADY_DAYS))..];
    match sure {
        [older @ .., _newest] if older.len() >= 2 => older,
        _ => sure,
    }
}

fn flow(
    series: &Series,
    whole: Option<&Series>,
    with: &With<'_>,
    run: &[Cell],
    episode: &Episode<PersistRule>,
) -> (Flow, Constancy) {
    let persist = &with.parameters.persist;
    let run = steady(run);
    // A sub-meter's error widens what a remainder proves, not what its meter does.
    let of_whole = run.iter().filter_map(|cell| {
        let mut cells = whole?.cells().rev();
        cells.find(|whole| whole.day == cell.day)
    });
    let ceilings = run.iter().chain(of_whole).map(|cell| cell.least.ceiling);
    let Some(high) = ceilings.reduce(f64::min) else {
        let past;
        let (samples, until_ms) = match episode.cleared_ms {
            // It ran until it was raised; when it ended before it was cleared nobody knows.
            Some(_) => {
                past = series.long_ago(with);
                (&past[..], episode.raised_ms)
            }
            None => (series.samples(), series.reached_ms()),
        };
        let from_ms = episode.seen_ms.max(until_ms - REACH_MS);
        let since = since(samples, from_ms, until_ms);
        let found = least(since, persist.window_ms, series.allowance(persist));
        let (low, high) = found.map_or((0.0, 0.0), |window| (window.flow, window.ceiling));
        let best = high;
        return (Flow { low, best, high }, Constancy::Constant);
    };
    let low = median(run.iter().map(|cell| cell.least.flow)).min(high);
    let before = series.cells().rev();
    let before = before.filter(|cell| cell.least.until_ms <= episode.seen_ms);
    let before = before.take(persist.base_days).map(|cell| cell.quiet);
    // What a home's quiet hours passed anyway is not the leak's.
    let more = median(run.iter().map(|cell| cell.quiet)) - median(before);
    if low < persist.intermittent_below * high && more > high {
        let (best, high) = (more, more);
        let flow = Flow { low, best, high };
        return (flow, Constancy::Intermittent);
    }
    let best = high;
    (Flow { low, best, high }, Constancy::Constant)
}

/// Between the last window that passed clearly less than the leak and the first after it that passed
/// little else.
fn start(series: &Series, with: &With<'_>, episode: &Episode<PersistRule>, flow: f64) -> Start {
    let persist = &with.parameters.persist;
    let allowance = series.allowance(persist);
    let samples = series.long_ago(with);
    let raised = samples.partition_point(|sample| sample.at_ms <= episode.raised_ms);
    let samples = &samples[..raised];
    let windows = |until: usize| {
        let ends = &samples[until];
        let from = samples[..until].iter().rev();
        from.take_while(|from| ends.at_ms - from.at_ms <= START_WINDOW_MS)
            .filter(|from| ends.at_ms - from.at_ms >= shortest(persist.window_ms))
            .filter_map(|from| window(from, ends, allowance))
    };
    let before = (0..samples.len()).rev().find_map(|until| {
        windows(until)
            .filter(|window| window.ceiling < persist.before_share * flow)
            .reduce(lower)
            .map(|window| (until, window))
    });
    let from_cells = || {
        let quiet = |cell: &&Cell| {
            cell.least.until_ms <= episode.seen_ms
                && cell.least.ceiling < persist.before_share * flow
        };
        series.cells().rev().find(quiet).map(|cell| cell.least)
    };
    let first = before.as_ref().map_or(0, |(until, _)| *until);
    // The leak has run since at most (v + e) / q before the end of a window that passed v.
    let begins = |window: Window| {
        let share = (window.ceiling / flow * FLOW_ABOVE).clamp(0.0, 1.0);
        window.until_ms - portion(window.until_ms - window.from_ms, share)
    };
    let from_ms = before
        .map(|(_, window)| window)
        .or_else(from_cells)
        .map(begins);
    let least_ms = from_ms.unwrap_or(i64::MIN);
    let alone = (first..samples.len()).find_map(|until| {
        windows(until)
            .filter(|window| window.from_ms >= least_ms)
            .find(|window| window.ceiling <= ALONE_SHARE * flow)
    });
    let until_ms = alone.map_or(episode.raised_ms, |window| window.until_ms);
    Start { from_ms, until_ms }
}

/// Noon-days with an hour of rest before an episode, of how many, and the longest.
fn rested(series: &Series, with: &With<'_>, episode: &Episode<PersistRule>) -> (u16, u16, i64) {
    let most = with.parameters.persist.base_days;
    let before = series.cells().rev();
    let before = before.filter(|cell| cell.least.until_ms <= episode.seen_ms);
    let (mut rested, mut all, mut longest_ms) = (0, 0, 0);
    for cell in before.take(most) {
        all += 1;
        rested += u16::from(cell.rest_ms >= REST_MS);
        longest_ms = longest_ms.max(cell.rest_ms);
    }
    (rested, all, longest_ms)
}

fn since(samples: &[Sample], from_ms: i64, until_ms: i64) -> &[Sample] {
    let first = samples.partition_point(|sample| sample.at_ms < from_ms);
    let end = samples.partition_point(|sample| sample.at_ms <= until_ms);
    &samples[first..end.max(first)]
}

fn lower(a: Window, b: Window) -> Window {
    if b.ceiling < a.ceiling { b } else { a }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n => f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
    }
}

/// What flowed in that time, thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a flow of metres of pipe for at most a year: far below 2^53 thousandths"
)]
pub(crate) fn volume(per_hour: f64, ms: i64) -> i64 {
    (per_hour * ms as f64 / 3_600.0).round() as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a share of at most half a day"
)]
fn portion(ms: i64, share: f64) -> i64 {
    (ms as f64 * share).round() as i64
}
