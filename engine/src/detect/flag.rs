//! What a device says by itself: a leak, a burst, a flood, a dry meter. At once, and as it says it.

use super::finding::{Detector, Evidence, Finding, Flag, Location, Rule, Severity, Subject};

/// A device raised this flag at this event time, ms since 1970 UTC.
#[must_use]
pub fn flagged(subject: Subject, flag: Flag, at_ms: i64) -> Finding {
    let severity = match flag {
        Flag::Leak => Severity::Warning,
        Flag::Burst | Flag::Flood => Severity::Critical,
        Flag::Dry => Severity::Info,
    };
    let location = match subject {
        Subject::Member(member) => Location::Behind(member),
        Subject::Remainder => Location::Unknown,
    };
    Finding {
        subject,
        detector: Detector::Device,
        rule: Rule::Flag(flag),
        severity,
        location,
        raised_ms: at_ms,
        cleared_ms: None,
        flow: None,
        start: None,
        milli: None,
        evidence: Evidence::Flag(flag),
    }
}
