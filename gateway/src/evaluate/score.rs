//! What was said, held against what happened: found or not, how soon, where, how much; and what was said of
//! nothing.
//!
//! A leak is *found* by the first episode of its house that is raised while it runs, or within a day after: as a
//! warning or worse for water, by any detector that speaks of watts for energy, whose findings are advice. An
//! episode of a warning or worse that is raised at any other time is a *false alarm*, even one that was taken
//! back later: somebody was told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::case::Heard;
use super::episode::Episode;
use super::truth::{RateUnit, Truth};
use crate::alert::Severity;

/// What a leak left behind may still be found for so long after its end, ms.
const FOUND_AFTER_MS: i64 = 86_400_000;
const YEAR_MS: f64 = 365.25 * 86_400_000.0;
const HOUR_MS: f64 = 3_600_000.0;

/// How all cases went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scores {
    /// How many cases.
    pub cases: usize,
    /// How many houses are in them.
    pub houses: usize,
    /// Years without a leak, over all houses.
    pub house_years: f64,
    /// Alarms without a leak.
    pub false_alarms: usize,
    /// The same, a house and year; `None` where no time passed.
    pub false_alarms_per_house_year: Option<f64>,
    /// All leaks.
    pub all: Score,
    /// The leaks of each size.
    pub sizes: Vec<Size>,
    #[serde(skip)]
    by_rate: BTreeMap<(RateUnit, u64), Vec<Found>>,
}

/// The leaks of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// L/h, or W.
    pub rate: f64,
    /// `L/h` or `W`.
    pub unit: &'static str,
    /// How they went.
    pub score: Score,
}

/// How some leaks went. Medians and shares are `None` where there is nothing to take them of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// How many there were.
    pub leaks: usize,
    /// How many were found.
    pub found: usize,
    /// Hours until they were, the median of those that were.
    pub hours_median: Option<f64>,
    /// The hours within which 90 % of those were.
    pub hours_90: Option<f64>,
    /// How many were found where they were, of those of a known place.
    pub placed: usize,
    /// How many of the found have a known place.
    pub placeable: usize,
    /// The median of said over true flow.
    pub flow_ratio_median: Option<f64>,
    /// The median of how far that is off, as a share of the true flow.
    pub flow_error_median: Option<f64>,
    /// The median of how far the beginning as said is off, hours.
    pub start_error_hours_median: Option<f64>,
    /// How many began within the bounds that were said.
    pub start_within: usize,
}

/// What became of one leak; `None`s were not said.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    after_hours: Option<f64>,
    is_placed: Option<bool>,
    flow_ratio: Option<f64>,
    start_error_hours: Option<f64>,
    is_start_within: bool,
}

impl Scores {
    /// Takes notice of a case.
    pub fn hear(&mut self, heard: &Heard, leaks: &[&Truth]) {
        self.cases += 1;
        self.houses += heard.houses.len();
        for leak in leaks {
            let rate = (leak.unit, leak.rate.to_bits());
            self.by_rate
                .entry(rate)
                .or_default()
                .push(find(heard, leak));
        }
        let alarms = heard.episodes.iter();
        let alarms = alarms.filter(|episode| episode.claim.severity > Severity::Info);
        let of_nothing = alarms.filter(|alarm| {
            let is_of = |leak: &&&Truth| is_in_time(alarm, leak) && is_near(alarm, leak);
            leaks.iter().find(is_of).is_none()
        });
        self.false_alarms += of_nothing.count();
        for house in &heard.houses {
            self.house_years += quiet_ms(heard, house, leaks) / YEAR_MS;
        }
    }

    /// Ends the count.
    #[must_use]
    pub fn finish(mut self) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a count of alarms")]
        let rate = self.false_alarms as f64 / self.house_years;
        self.false_alarms_per_house_year = Some(rate).filter(|rate| rate.is_finite());
        self.sizes = self
            .by_rate
            .iter()
            .map(|((unit, rate), found)| Size {
                rate: f64::from_bits(*rate),
                unit: unit.text(),
                score: Score::of(found.iter()),
            })
            .collect();
        self.all = Score::of(self.by_rate.values().flatten());
        self
    }
}

impl Score {
    fn of<'f>(all: impl Iterator<Item = &'f Found> + Clone) -> Self {
        let found = all.clone().filter(|found| found.after_hours.is_some());
        let quantile = |share: f64, of: fn(&Found) -> Option<f64>| {
            let mut values: Vec<f64> = found.clone().filter_map(of).collect();
            values.sort_unstable_by(f64::total_cmp);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place within a list"
            )]
            let place = (share * values.len() as f64).ceil().max(1.0) as usize - 1;
            values.get(place).copied()
        };
        let count = |is: fn(&Found) -> bool| found.clone().filter(|found| is(found)).count();
        Self {
            leaks: all.clone().count(),
            found: count(|_| true),
            hours_median: quantile(0.5, |found| found.after_hours),
            hours_90: quantile(0.9, |found| found.after_hours),
            placed: count(|found| found.is_placed == Some(true)),
            placeable: count(|found| found.is_placed.is_some()),
            flow_ratio_median: quantile(0.5, |found| found.flow_ratio),
            flow_error_median: quantile(0.5, |found| found.flow_ratio.map(|r| (r - 1.0).abs())),
            start_error_hours_median: quantile(0.5, |found| found.start_error_hours),
            start_within: count(|found| found.is_start_within),
        }
    }
}

/// What became of a leak.
fn find(heard: &Heard, leak: &Truth) -> Found {
    let of_it = heard.episodes.iter().filter(|episode| {
        let speaks = match leak.unit {
            RateUnit::LitresPerHour => {
                episode.claim.severity > Severity::Info && !is_of_watts(episode)
            }
            RateUnit::Watts => is_of_watts(episode),
        };
        speaks && is_in_time(episode, leak) && is_near(episode, leak)
    });
    let Some(first) = of_it.clone().min_by_key(|episode| episode.raised_ms) else {
        return Found::default();
    };
    let place = match (leak.unit, &leak.location) {
        (RateUnit::LitresPerHour, Some(place)) => Some(match &leak.home {
            Some(home) if place != "main" && !place.contains('/') => format!("{home}/{place}"),
            Some(_) | None => place.clone(),
        }),
        (RateUnit::LitresPerHour | RateUnit::Watts, _) => None,
    };
    let said_place = |episode: &Episode| episode.claim.location == place;
    let with_flow = of_it.clone().find(|episode| episode.claim.flow.is_some());
    let flow = with_flow.and_then(|episode| episode.claim.flow.as_ref());
    let start = first.claim.start;
    Found {
        after_hours: Some(hours(first.raised_ms - leak.start_ms)),
        is_placed: place.as_ref().map(|_| of_it.clone().any(said_place)),
        flow_ratio: flow.map(|flow| flow.best / leak.rate),
        start_error_hours: start.map(|start| {
            let from_ms = start.from_ms.unwrap_or(start.until_ms);
            hours(from_ms.midpoint(start.until_ms) - leak.start_ms).abs()
        }),
        is_start_within: start.is_some_and(|start| {
            let from_ms = start.from_ms.unwrap_or(i64::MIN);
            (from_ms..=start.until_ms).contains(&leak.start_ms)
        }),
    }
}

fn is_of_watts(episode: &Episode) -> bool {
    let flow = episode.claim.flow.as_ref();
    flow.is_some_and(|flow| flow.unit == "W")
}

/// Whether an episode was raised while a leak ran, or could still be found.
fn is_in_time(episode: &Episode, leak: &Truth) -> bool {
    let until_ms = leak.end_ms.map_or(i64::MAX, |end| end + FOUND_AFTER_MS);
    (leak.start_ms..=until_ms).contains(&episode.raised_ms)
}

/// Whether an episode is of a leak's house.
fn is_near(episode: &Episode, leak: &Truth) -> bool {
    leak.home
        .as_deref()
        .is_none_or(|home| house_of(&episode.claim.subject) == home)
}

fn house_of(name: &str) -> &str {
    name.rfind('/').map_or("", |slash| &name[..slash])
}

/// How long a house was heard without a leak, ms.
fn quiet_ms(heard: &Heard, house: &str, leaks: &[&Truth]) -> f64 {
    let Some((first_ms, last_ms)) = heard.span_ms else {
        return 0.0;
    };
    let mut stretches: Vec<(i64, i64)> = leaks
        .iter()
        .filter(|leak| leak.home.as_deref().is_none_or(|home| home == house))
        .map(|leak| {
            let end_ms = leak.end_ms.map_or(last_ms, |end| end + FOUND_AFTER_MS);
            (leak.start_ms.max(first_ms), end_ms.min(last_ms))
        })
        .collect();
    stretches.sort_unstable();
    let (mut quiet, mut from_ms) = (0.0, first_ms);
    for (start_ms, end_ms) in stretches {
        quiet += hours((start_ms - from_ms).max(0)) * HOUR_MS;
        from_ms = from_ms.max(end_ms);
    }
    quiet + hours((last_ms - from_ms).max(0)) * HOUR_MS
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a few years are exact to the ms"
)]
fn hours(ms: i64) -> f64 {
    ms as f64 / HOUR_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertId, Claim, Flow, Start};
    use crate::evaluate::{Ending, Refusals};

    const DAY_MS: i64 = 86_400_000;

    fn episode(subject: &str, raised_day: i64, severity: Severity, best: f64) -> Episode {
        let raised_ms = raised_day * DAY_MS;
        let claim = Claim {
            id: AlertId::new("persist", subject),
            kind: "persist".to_owned(),
            rule: String::new(),
            subject: subject.to_owned(),
            severity,
            location: Some("main".to_owned()),
            raised_ms,
            flow: Some(Flow {
                low: best,
                best,
                high: best,
                unit: "L/h".to_owned(),
            }),
            start: Some(Start {
                from_ms: Some(raised_ms - 2 * DAY_MS),
                until_ms: raised_ms - DAY_MS,
            }),
            amount: None,
            unit: None,
            cost: None,
            text: String::new(),
            advice: String::new(),
        };
        Episode {
            claim,
            raised_ms,
            cleared_ms: None,
            ending: Ending::Open,
        }
    }

    fn leak(home: &str, from_day: i64, rate: f64) -> Truth {
        Truth {
            case: None,
            home: Some(home.to_owned()).filter(|home| !home.is_empty()),
            start_ms: from_day * DAY_MS,
            end_ms: Some((from_day + 10) * DAY_MS),
            rate,
            unit: RateUnit::LitresPerHour,
            location: Some("main".to_owned()),
        }
    }

    fn heard(episodes: Vec<Episode>, houses: &[&str]) -> Heard {
        Heard {
            episodes,
            readings: 0,
            refusals: Refusals::default(),
            houses: houses.iter().map(|house| (*house).to_owned()).collect(),
            span_ms: Some((0, 100 * DAY_MS)),
        }
    }

    #[test]
    fn a_leak_is_found_by_what_is_raised_while_it_runs_and_the_rest_is_false() {
        let mut scores = Scores::default();
        let said = vec![
            episode("Wtot", 20, Severity::Warning, 9.0),
            episode("Wtot", 52, Severity::Warning, 5.5),
            episode("Wtot", 90, Severity::Info, 5.0),
        ];
        scores.hear(
            &heard(said, &[""]),
            &[&leak("", 50, 5.0), &leak("", 75, 1.0)],
        );
        let scores = scores.finish();
        assert_eq!((scores.false_alarms, scores.houses), (1, 1));
        // A hundred days less two leaks of ten, and the day after each.
        assert!((scores.house_years * 365.25 - 78.0).abs() < 1e-9);
        assert_eq!((scores.all.leaks, scores.all.found), (2, 1));
        assert_eq!(scores.all.hours_median, Some(48.0));
        assert_eq!(scores.all.flow_ratio_median, Some(1.1));
        assert_eq!((scores.all.placed, scores.all.placeable), (1, 1));
        assert_eq!(
            (scores.all.start_error_hours_median, scores.all.start_within),
            (Some(12.0), 1)
        );
        let sizes: Vec<_> = scores
            .sizes
            .iter()
            .map(|size| (size.rate, size.score.found))
            .collect();
        assert_eq!(sizes, [(1.0, 0), (5.0, 1)]);
    }

    #[test]
    fn a_leak_of_one_house_is_not_found_in_another() {
        let mut scores = Scores::default();
        let said = vec![episode("h2/Wtot", 52, Severity::Critical, 5.0)];
        scores.hear(&heard(said, &["h1", "h2"]), &[&leak("h1", 50, 5.0)]);
        let scores = scores.finish();
        assert_eq!((scores.all.found, scores.false_alarms), (0, 1));
        assert!((scores.house_years * 365.25 - 189.0).abs() < 1e-9);
    }
}
