//! What a detector says: evidence for a subject, in fields. Words are `explain`'s, an alert's life is not here.

use super::persist::PersistRule;
use super::shift::Tail;
use crate::Day;

/// What a finding is about, within a house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A sensor, by its place in [`HouseSpec::members`](super::HouseSpec::members): the meter is 0.
    Member(usize),
    /// The meter less its parts.
    Remainder,
}

/// Which detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// The meter never rested.
    Persist,
    /// A series never rests at all, since it is known.
    Commissioning,
    /// More than a tap for an hour or two.
    HighFlow,
    /// Water runs and nobody is home.
    Away,
    /// The daily remainder rose.
    Balance,
    /// The daily consumption rose.
    Daily,
    /// The least load of the day rose.
    BaseLoad,
    /// A day out of all proportion.
    DayShock,
    /// A sensor without readings.
    Silent,
    /// A device says so itself.
    Device,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// One of PERSIST's.
    Persist(PersistRule),
    /// A high flow notice, by its place in [`Persist::high_flow`](super::parameters::Persist::high_flow).
    HighFlow(u8),
    /// A rise, with noise of this kind.
    Rise(Tail),
    /// The only rule that the detector has.
    Only,
    /// A device's flag.
    Flag(Flag),
}

/// What a device may say by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Water runs slowly and without end.
    Leak,
    /// Water runs fast.
    Burst,
    /// Water is where none should be.
    Flood,
    /// The meter is dry.
    Dry,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Silence, commissioning, high flow.
    Info,
    /// A leak.
    Warning,
    /// A large one.
    Critical,
}

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// Between the main meter and its sub-meters.
    Main,
    /// Behind this member.
    Behind(usize),
    /// The readings do not say.
    Unknown,
}

/// A flow in L/h (energy: W) and the bounds that it lies within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// At least.
    pub low: f64,
    /// The estimate.
    pub best: f64,
    /// At most.
    pub high: f64,
}

/// When something began: not before and not after, ms since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Not before; `None` where the readings held do not reach back.
    pub from_ms: Option<i64>,
    /// Not after.
    pub until_ms: i64,
}

impl Start {
    /// The middle of what is known, ms since 1970 UTC.
    #[must_use]
    pub fn about_ms(&self) -> i64 {
        let from_ms = self.from_ms.unwrap_or(self.until_ms);
        from_ms + (self.until_ms - from_ms) / 2
    }
}

/// What a finding rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// The meter never rested.
    NoRest {
        /// Whether it flows without end or comes and goes.
        constancy: Constancy,
        /// The least that any hour passed, L/h.
        quietest: f64,
        /// Valid noon-days in the run; 0 where an hour rule decided.
        days: u16,
        /// Before it: noon-days with an hour of rest, of so many, and the longest rest, ms.
        rested: (u16, u16, i64),
    },
    /// A daily series rose.
    Rise {
        /// The mean before, in the unit (L a day, Wh a day, W).
        before: f64,
        /// By how much it rose.
        by: f64,
        /// The standard error of that.
        error: f64,
        /// The likeliest first day.
        start: Day,
        /// Known days since.
        days: usize,
        /// Known days before.
        base_days: usize,
    },
    /// A day out of all proportion: what it was, and the largest of those before it, in the unit.
    Shock {
        /// The day's consumption.
        total: f64,
        /// The largest of the days before it.
        largest: f64,
    },
    /// More than this for so many hours, L/h.
    HighFlow {
        /// θ.
        above: f64,
        /// T.
        hours: u16,
    },
    /// Nobody has moved since then, ms since 1970 UTC.
    Nobody {
        /// The last movement.
        since_ms: i64,
    },
    /// No reading since then, ms since 1970 UTC.
    Silence {
        /// The last reading.
        since_ms: i64,
        /// How often there should be one, ms; `None`: its device said that it leaves.
        interval_ms: Option<i64>,
    },
    /// The device's own word.
    Flag(Flag),
}

/// Whether a leak runs all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constancy {
    /// It does.
    Constant,
    /// It comes and goes: the flow is a mean of quiet hours.
    Intermittent,
}

/// Evidence for a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// About what.
    pub subject: Subject,
    /// Who says so.
    pub detector: Detector,
    /// By which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// Event time of the reading that decided, ms since 1970 UTC; an episode is known by it.
    pub raised_ms: i64,
    /// When the evidence was gone, ms since 1970 UTC.
    pub cleared_ms: Option<i64>,
    /// How much.
    pub flow: Option<Flow>,
    /// Since when.
    pub start: Option<Start>,
    /// How much in all so far, thousandths of the unit.
    pub milli: Option<i64>,
    /// Why.
    pub evidence: Evidence,
}

/// What is different since the last time.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Evidence stands that did not; or an episode came back.
    Raised(Finding),
    /// It stands still, and more is known of it.
    Updated(Finding),
    /// It stood, and is over.
    Cleared(Finding),
    /// A late reading took it: it should not have been said.
    Withdrawn {
        /// About what.
        subject: Subject,
        /// Who had said so.
        detector: Detector,
        /// As it had been said.
        raised_ms: i64,
    },
}
