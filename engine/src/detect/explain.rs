//! A finding's fields → words that a person understands: where, since when, how much, and why one can tell.
//!
//! English, in the site's own time. What it costs and what to do are said by those who know the tariff.

use super::cell::Cell;
use super::evidence::BURST_TIMES;
use super::finding::{
    Constancy, Detector, Evidence, Finding, Flag, Flow, Location, Start, Subject,
};
use super::parameters::HOUR_MS;
use super::series::Resource;
use crate::Calendar;

/// What the sensors of a house are called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The members, in their order.
    pub members: &'a [&'a str],
    /// The balance, such as `water`.
    pub balance: &'a str,
    /// What is measured.
    pub resource: Resource,
}

/// A finding in words.
#[must_use]
pub fn words(finding: &Finding, names: &Names<'_>, calendar: Calendar) -> String {
    let who = names.of(finding.subject);
    let mut text = match finding.evidence {
        Evidence::NoRest { .. } if finding.detector == Detector::Commissioning => format!(
            "{who} has never stood still since it is known: a permanent flow{}, or a consumer that never \
             stops. If that is as it should be, say that it is normal; otherwise look for a leak.",
            finding.flow.map_or(String::new(), |flow| format!(
                " of about {}",
                names.flow(flow.best)
            ))
        ),
        Evidence::NoRest {
            constancy,
            quietest,
            rested,
            ..
        } => no_rest(finding, &who, constancy, quietest, rested, names, calendar),
        Evidence::Rise { .. } => rise(finding, &who, names),
        Evidence::Shock { total, largest } => format!(
            "{who} counted {} in one day; the largest day before it had {}.",
            names.amount(total),
            names.amount(largest)
        ),
        Evidence::HighFlow { above, hours } => format!(
            "{who} has passed more than {} for {}: a hose, a pool, or a burst pipe.",
            names.flow(above),
            hours_of(i64::from(hours) * HOUR_MS)
        ),
        Evidence::Nobody { since_ms } => format!(
            "Nobody has moved since {}, and yet {who} has not stood still for hours.",
            moment(since_ms, calendar)
        ),
        Evidence::Silence {
            since_ms,
            interval_ms: Some(interval_ms),
        } => format!(
            "{who} has sent nothing since {}; it should every {}.",
            moment(since_ms, calendar),
            hours_of(interval_ms)
        ),
        Evidence::Silence {
            since_ms,
            interval_ms: None,
        } => format!(
            "{who} says that it is offline; its last reading is of {}.",
            moment(since_ms, calendar)
        ),
        Evidence::Flag(flag) => {
            let word = match flag {
                Flag::Leak => "a leak",
                Flag::Burst => "a burst pipe",
                Flag::Flood => "water where none should be",
                Flag::Dry => "that it is dry",
            };
            format!("{who} itself reports {word}.")
        }
    };
    if let (Location::Main, Subject::Member(_)) = (finding.location, finding.subject) {
        text.push_str(" It is between the main meter and the sub-meters.");
    } else if let (Location::Behind(member), Subject::Member(of)) =
        (finding.location, finding.subject)
        && member != of
    {
        text.push_str(&format!(
            " It is behind {}.",
            names.of(Subject::Member(member))
        ));
    }
    if let Some(milli) = finding.milli.filter(|milli| *milli > 0) {
        let so_far = names.amount(super::shift::real(milli) / 1000.0);
        text.push_str(&format!(" About {so_far} so far."));
    }
    text
}

/// What a night without a finding says.
#[must_use]
pub fn night(cell: &Cell, name: &str) -> String {
    let under = figure(cell.least.ceiling);
    if cell.rest_ms >= HOUR_MS {
        let rest = hours_of(cell.rest_ms);
        format!("Last night {name} stood still for {rest}: any leak is under {under} L/h.")
    } else {
        format!("Last night {name} passed as little as {under} L/h: no leak is larger.")
    }
}

fn no_rest(
    finding: &Finding,
    who: &str,
    constancy: Constancy,
    quietest: f64,
    (rested, all, longest_ms): (u16, u16, i64),
    names: &Names<'_>,
    calendar: Calendar,
) -> String {
    let since = finding.start.as_ref();
    let since = since.map_or(String::new(), |start| {
        format!("Since {} ", beginning(start, calendar))
    });
    let mut text = match constancy {
        Constancy::Constant => format!(
            "{since}{who} has not stood still: even the quietest hour passed {}",
            names.flow(quietest)
        ),
        Constancy::Intermittent => format!(
            "{since}{who} has come to rest for moments only: even quiet hours passed {}",
            names.flow(quietest)
        ),
    };
    if rested > 0 {
        text.push_str(&format!(
            "; before, it rested up to {} on {rested} of {all} days",
            hours_of(longest_ms)
        ));
    }
    text.push('.');
    let now = finding.flow.map_or(0.0, |flow| flow.best);
    if now > BURST_TIMES * quietest {
        text.push_str(&format!(
            " It has become much more: every one of the last hours passed at least {}.",
            names.flow(now)
        ));
    }
    capital(text)
}

fn rise(finding: &Finding, who: &str, names: &Names<'_>) -> String {
    let (
        Evidence::Rise {
            before,
            by,
            error,
            start,
            days,
            base_days,
        },
        Some(Flow { low, best, high }),
    ) = (finding.evidence, finding.flow)
    else {
        return String::new();
    };
    let (what, unit) = match (finding.detector, names.resource) {
        (Detector::BaseLoad, _) => (format!("The base load of {who}"), "W"),
        (Detector::Balance, Resource::Water) => {
            (format!("What no part of {who} explains"), "L a day")
        }
        (Detector::Balance, Resource::Energy) => {
            (format!("What no part of {who} explains"), "Wh a day")
        }
        (_, Resource::Water) => (format!("The consumption of {who}"), "L a day"),
        (_, Resource::Energy) => (format!("The consumption of {who}"), "Wh a day"),
    };
    format!(
        "{what} has been {} ± {} {unit} higher since {start} ({days} known {}; {base_days} before them \
         had {} {unit}): {}, between {} and {}.",
        figure(by),
        figure(2.0 * error),
        if days == 1 { "day" } else { "days" },
        figure(before),
        names.flow(best),
        figure(low),
        names.flow(high),
    )
}

impl Names<'_> {
    fn of(&self, subject: Subject) -> String {
        match subject {
            Subject::Member(member) => self
                .members
                .get(member)
                .map_or_else(|| format!("sensor {member}"), ToString::to_string),
            Subject::Remainder => self.balance.to_owned(),
        }
    }

    fn flow(&self, per_hour: f64) -> String {
        let unit = match self.resource {
            Resource::Water => "L/h",
            Resource::Energy => "W",
        };
        format!("{} {unit}", figure(per_hour))
    }

    fn amount(&self, amount: f64) -> String {
        let unit = match self.resource {
            Resource::Water => "L",
            Resource::Energy => "Wh",
        };
        format!("{} {unit}", figure(amount))
    }
}

/// Two or three figures are all that anybody can use.
fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 10.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn hours_of(ms: i64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours @ 1..10, minutes) => format!("{hours} h {minutes} min"),
        (hours, _) => format!("{hours} h"),
    }
}

fn beginning(start: &Start, calendar: Calendar) -> String {
    match start.from_ms {
        Some(from_ms) if start.until_ms - from_ms > 36 * HOUR_MS => format!(
            "some time between {} and {}",
            moment(from_ms, calendar),
            moment(start.until_ms, calendar)
        ),
        Some(_) => {
            let about = calendar.local_time(start.about_ms());
            about.format("%a %-d %b about %H:%M").to_string()
        }
        None => format!("before {}", moment(start.until_ms, calendar)),
    }
}

fn moment(ms: i64, calendar: Calendar) -> String {
    let local = calendar.local_time(ms);
    local.format("%a %-d %b %H:%M").to_string()
}

fn capital(text: String) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Rule, Severity};
    use super::super::flag::flagged;
    use super::super::persist::PersistRule;
    use super::*;
    use crate::Day;

    /// 2026-03-03T01:00:00Z: 03:00 in Athens, a Tuesday.
    const START: i64 = 1_772_499_600_000;

    fn said(finding: &Finding) -> String {
        let names = Names {
            members: &["Wtot", "W1"],
            balance: "water",
            resource: Resource::Water,
        };
        words(finding, &names, Calendar::new(chrono_tz::Europe::Athens))
    }

    fn leak(evidence: Evidence, detector: Detector, subject: Subject) -> Finding {
        Finding {
            subject,
            detector,
            rule: Rule::Persist(PersistRule::Hour(5)),
            severity: Severity::Warning,
            location: Location::Main,
            raised_ms: START + 24 * HOUR_MS,
            cleared_ms: None,
            flow: Some(Flow {
                low: 4.2,
                best: 4.8,
                high: 4.8,
            }),
            start: Some(Start {
                from_ms: Some(START - HOUR_MS),
                until_ms: START + HOUR_MS,
            }),
            milli: Some(115_000),
            evidence,
        }
    }

    #[test]
    fn a_meter_that_never_rested_is_told_of_in_hours_litres_and_local_time() {
        let evidence = Evidence::NoRest {
            constancy: Constancy::Constant,
            quietest: 4.8,
            days: 0,
            rested: (58, 60, 5 * HOUR_MS),
        };
        assert_eq!(
            said(&leak(evidence, Detector::Persist, Subject::Member(0))),
            "Since Tue 3 Mar about 03:00 Wtot has not stood still: even the quietest hour passed 4.8 L/h; \
             before, it rested up to 5 h on 58 of 60 days. It is between the main meter and the sub-meters. \
             About 115 L so far."
        );
    }

    #[test]
    fn a_remainder_that_rose_is_told_of_with_its_uncertainty() {
        let evidence = Evidence::Rise {
            before: 59.2,
            by: 115.0,
            error: 3.1,
            start: Day::from_number(20_515),
            days: 4,
            base_days: 60,
        };
        assert_eq!(
            said(&leak(evidence, Detector::Balance, Subject::Remainder)),
            "What no part of water explains has been 115 ± 6.2 L a day higher since 2026-03-03 (4 known days; \
             60 before them had 59 L a day): 4.8 L/h, between 4.2 and 4.8 L/h. About 115 L so far."
        );
    }

    #[test]
    fn flags_and_quiet_nights_are_a_sentence_each() {
        assert_eq!(
            said(&flagged(Subject::Member(1), Flag::Leak, START)),
            "W1 itself reports a leak."
        );
        let least = super::super::cell::Window {
            from_ms: 0,
            until_ms: 6 * HOUR_MS,
            ceiling: 1.0 / 6.0,
            flow: 0.0,
        };
        let cell = Cell {
            day: Day::from_number(0),
            least,
            rest_ms: 6 * HOUR_MS,
            quiet: 0.0,
            milli: 0,
        };
        assert_eq!(
            night(&cell, "the meter"),
            "Last night the meter stood still for 6 h: any leak is under 0.17 L/h."
        );
    }
}
