//! SILENT: a sensor without a reading for three of its intervals, or whose device said that it leaves.
//!
//! An interval that is not configured is learned of how many readings whole days held, not of the
//! order in which they came. What happens when somebody moves has no interval: it is never learned.

use super::finding::{Detector, Evidence, Finding, Location, Rule, Severity, Subject};
use super::parameters::Silence;

/// A day, ms.
const DAY_MS: i64 = 86_400_000;
/// Days that are learned from, at most.
const COUNTS_MAX: usize = 15;

/// What a sensor's availability topic said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Nothing, or that it is there.
    Online,
    /// That it left, at this time, ms since 1970 UTC.
    Offline(i64),
}

/// How often a sensor reports, ms, of the numbers of readings that its last whole days held; `None` where
/// there are too few days, or fewer than two readings on most.
#[must_use]
pub fn learned_interval_ms(counts: impl Iterator<Item = u32>, silence: &Silence) -> Option<i64> {
    let (mut sorted, mut days) = ([0; COUNTS_MAX], 0);
    for count in counts.take(COUNTS_MAX) {
        sorted[days] = count;
        days += 1;
    }
    if days < silence.learn_days.max(1) {
        return None;
    }
    let sorted = &mut sorted[..days];
    sorted.sort_unstable();
    // A daily reading drifts over midnight: a day without one follows a day with two.
    let middle = i64::from(sorted[days / 2].max(1));
    Some(DAY_MS / middle)
}

/// Whether a sensor is silent at a site time, given its newest event time (ms) and how often it reports. What it
/// said before `heard_from_ms` nobody may have heard: its intervals count from there.
#[must_use]
pub fn silent(
    subject: Subject,
    newest_ms: i64,
    heard_from_ms: i64,
    interval_ms: Option<i64>,
    availability: Availability,
    now_ms: i64,
    silence: &Silence,
) -> Option<Finding> {
    let from_ms = newest_ms.max(heard_from_ms);
    let quiet = interval_ms.filter(|ms| now_ms - from_ms >= ms * silence.intervals);
    let (raised_ms, interval_ms) = match (availability, quiet) {
        (Availability::Offline(at_ms), _) if at_ms >= newest_ms => (at_ms, None),
        (_, Some(ms)) => (from_ms + ms * silence.intervals, Some(ms)),
        (_, None) => return None,
    };
    Some(Finding {
        subject,
        detector: Detector::Silent,
        rule: Rule::Only,
        severity: Severity::Info,
        location: Location::Unknown,
        raised_ms,
        cleared_ms: None,
        flow: None,
        start: None,
        milli: None,
        evidence: Evidence::Silence {
            since_ms: newest_ms,
            interval_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: i64 = 900_000;

    fn raised(newest: i64, availability: Availability, now: i64) -> Option<i64> {
        raised_heard(i64::MIN / QUARTER, newest, availability, now)
    }

    fn raised_heard(from: i64, newest: i64, availability: Availability, now: i64) -> Option<i64> {
        let silence = Silence::default();
        silent(
            Subject::Member(0),
            newest * QUARTER,
            from * QUARTER,
            Some(QUARTER),
            availability,
            now * QUARTER,
            &silence,
        )
        .map(|finding| finding.raised_ms / QUARTER)
    }

    #[test]
    fn a_sensor_is_silent_after_three_intervals_and_at_once_where_its_device_says_so() {
        assert_eq!(raised(10, Availability::Online, 12), None);
        assert_eq!(raised(10, Availability::Online, 13), Some(13));
        assert_eq!(
            raised(10, Availability::Offline(11 * QUARTER), 12),
            Some(11)
        );
        assert_eq!(raised(12, Availability::Offline(11 * QUARTER), 12), None);
    }

    #[test]
    fn what_nobody_could_hear_is_no_silence() {
        let raised = |now| raised_heard(20, 10, Availability::Online, now);
        assert_eq!((raised(22), raised(23)), (None, Some(23)));
        let left = Availability::Offline(11 * QUARTER);
        assert_eq!(raised_heard(20, 10, left, 20), Some(11));
        assert_eq!(raised_heard(20, 21, Availability::Online, 23), None);
    }

    #[test]
    fn an_interval_is_learned_of_whole_days() {
        let learned =
            |counts: &[u32]| learned_interval_ms(counts.iter().copied(), &Silence::default());
        assert_eq!(learned(&[96, 96]), None);
        assert_eq!(learned(&[96, 40, 96, 95]), Some(QUARTER));
        assert_eq!(learned(&[1, 1, 0, 2, 1]), Some(DAY_MS));
    }
}
