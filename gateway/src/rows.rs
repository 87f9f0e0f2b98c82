//! What is published, as JSON spells it: in the HTTP API, on the live socket and in retained
//! messages.
//!
//! The command line reads it back, so each row can be written and parsed. Nothing here decides or
//! computes: what the numbers mean is the engine's business.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod alert;
mod shown;
pub mod when;

pub use alert::{Alert, Alerts, Cost, Flow, Journal, Notice, Start};
pub(crate) use shown::{Stage, minutes, quantity};

use crate::store::Flag;
use engine::{Aggregate, DayRow, DiffKind, DiffRow, RestRow, SensorId};
use when::{Date, Moment};

/// A word from a fixed vocabulary such as `"delta"` or `"rollover"`.
pub type Word = Cow<'static, str>;

/// `GET /api/v1/status`: how the gateway is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The site's id.
    pub site: String,
    /// The version of the gateway.
    pub version: String,
    /// Whole seconds since the daemon started; `0` when it is stopped.
    pub uptime: u64,
    /// Whose time the gateway goes by.
    pub clock: ClockStatus,
    /// What became of every reading since the store was made.
    pub counters: Counters,
    /// The size of what is kept.
    pub store: StoreStatus,
    /// How far the upstream has got.
    pub upstream: UpstreamStatus,
    /// The broker: ours, or the one that we are a client of.
    pub broker: BrokerStatus,
    /// What happened to the store that its owner must know, as in the list of alerts.
    #[serde(default)]
    pub incidents: Vec<Alert>,
    /// Every alert that was said and holds, the worst first.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// Alerts and what was said of them, by number.
    #[serde(default)]
    pub notices: NoticesStatus,
}

/// Alerts and what was said of them, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesStatus {
    /// How many alerts are known, by state and severity.
    #[serde(default)]
    pub known: Vec<Known>,
    /// Lines of the journal, for the life of the store.
    pub written: u64,
    /// What waits for each configured channel.
    pub waiting: BTreeMap<String, u64>,
    /// What fell out of an outbox since the start, because as much waited as may.
    pub dropped: u64,
    /// What became of notices since the start, for each channel that something is sent to.
    #[serde(default)]
    pub channels: BTreeMap<String, ChannelCounts>,
}

/// What became of one channel's notices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCounts {
    /// Notices that the receiver took.
    pub sent: u64,
    /// Notices that nobody took within a day, and that were given up.
    pub expired: u64,
    /// Tries that failed.
    pub failures: u64,
}

/// How many alerts are in a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Known {
    /// As [`Alert::state`].
    pub state: Word,
    /// As [`Alert::severity`].
    pub severity: Word,
    /// So many.
    pub count: u64,
}

/// Whose time the gateway goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// `wall` or `event`.
    pub mode: Word,
    /// Whether the wall clock is trusted; true in event mode, which needs none.
    pub synchronised: bool,
    /// The same.
    #[serde(default)]
    pub trusted: bool,
    /// What decided that, in words.
    #[serde(default)]
    pub why: Word,
    /// Readings without a time that wait until the clock is trusted. They are on disk, and not among
    /// those received yet.
    #[serde(default)]
    pub waiting: u64,
    /// How often the wall clock was seen to jump since the daemon started.
    #[serde(default)]
    pub jumps: u64,
}

/// Readings by what became of them, for the life of the store; `received` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All that arrived, an undecodable message as one.
    pub received: u64,
    /// New identities.
    pub accepted: u64,
    /// Held already with the same value.
    pub duplicate: u64,
    /// Another value for an identity held.
    pub corrected: u64,
    /// Set aside, older than the allowed lateness.
    pub late: u64,
    /// Refused, with a reason.
    pub dead_letter: u64,
}

/// The size of what is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Bytes of the store's file.
    pub bytes: u64,
    /// Commits since the daemon started.
    pub commits: u64,
    /// Bytes that its disk has left; null where nobody can tell.
    #[serde(default)]
    pub free_bytes: Option<u64>,
    /// `ok`, `low`, `scarce`: readings are taken, and the disk has so much room; `full`, `failing`:
    /// they are refused.
    #[serde(default)]
    pub state: Word,
    /// Why readings are refused and what to do; null while they are taken.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Groups and seals that could not be written since the daemon started.
    #[serde(default)]
    pub failures: u64,
}

/// How far the upstream has got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// `off`, or what it is doing.
    pub state: Word,
    /// Rows that wait to be sent.
    pub pending: u64,
    /// The event time of the oldest row that waits.
    pub oldest: Option<Moment>,
    /// Why the last attempt failed, until one succeeds.
    pub last_error: Option<String>,
}

impl UpstreamStatus {
    /// The state of a gateway that keeps its results to itself.
    #[must_use]
    pub fn off() -> Self {
        Self {
            state: Word::Borrowed("off"),
            pending: 0,
            oldest: None,
            last_error: None,
        }
    }
}

/// The broker: ours, or the one that we are a client of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatus {
    /// `embedded` or `external`.
    pub mode: Word,
    /// Clients connected now.
    pub connections: u64,
    /// When the certificate of its TLS listeners ends; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate_expires: Option<Moment>,
    /// Sessions remembered now, connected or not.
    pub sessions: u64,
    /// Messages since the start that fell out of a full queue: as many waited for that client as may.
    pub dropped_session: u64,
    /// Likewise, because as much waited for all clients together as may.
    pub dropped_total: u64,
    /// Sessions since the start that ended before they expired, because too many clients were away.
    pub sessions_evicted: u64,
    /// Log-ins refused since the daemon started.
    pub logins_refused: u64,
    /// Log-ins put off unchecked: too many at once, or too many failures before.
    pub logins_put_off: u64,
    /// How it goes with the other broker; its fields stand beside the others, and only in external mode
    /// while the daemon runs.
    #[serde(flatten)]
    pub far: Option<FarStatus>,
}

/// How it goes with the broker that we are a client of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FarStatus {
    /// Whether we are subscribed there.
    pub connected: bool,
    /// When that began.
    pub since: Moment,
    /// What is wrong and what to do about it, until it is right.
    pub last_error: Option<String>,
    /// Messages since the start that another gateway keeps.
    pub elsewhere: u64,
}

/// One sensor that has sent something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Its name.
    pub name: String,
    /// `gauge`, `delta`, `meter` or `event`; null when the configuration no longer names it.
    pub kind: Option<Word>,
    /// The unit of its values.
    pub unit: Option<String>,
    /// Seconds between two readings, when that is configured.
    pub interval: Option<f64>,
    /// The event time of its first reading.
    pub first: Option<Moment>,
    /// Its newest reading.
    pub last: Option<Point>,
    /// Readings held over readings expected for the whole of today, `0..=1`; null without an
    /// interval.
    pub coverage_today: Option<f64>,
    /// Whether it has sent nothing for three intervals; null without an interval.
    pub silent: Option<bool>,
    /// Of a water meter: how long it stood still last night, and what leak that leaves possible, in words. Absent
    /// where nothing is known of that night.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub night: Option<String>,
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Event time.
    pub time: Moment,
    /// The value, in the sensor's unit.
    pub value: f64,
}

/// One reading held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The sensor's name.
    pub sensor: String,
    /// Event time.
    pub time: Moment,
    /// The value that counts, in the sensor's unit.
    pub value: f64,
    /// Its place in the order of arrival.
    pub seq: u64,
    /// What is to be known of its time: `ambiguous` or `shifted` local time, `stamped` when the clock
    /// was set, or `estimated` then; `rejudged` then. Not there, as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Word>,
}

/// `AggDay`: one sensor's day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// The sensor's name.
    pub sensor: String,
    /// A calendar day of the site's zone.
    pub day: Date,
    /// How `value` was made: `mean`, `sum`, `max`, `min`, `last` or `count`.
    pub aggregate: Word,
    /// The daily number.
    pub value: f64,
    /// The unit of the sensor.
    pub unit: Option<String>,
    /// Readings held.
    pub count: u32,
    /// Readings expected; null without an interval.
    pub expected: Option<u32>,
    /// `count / expected`; null without an interval.
    pub coverage: Option<f64>,
    /// The smallest reading.
    pub min: f64,
    /// The largest reading.
    pub max: f64,
    /// The earliest reading in event time.
    pub first: f64,
    /// The latest reading in event time.
    pub last: f64,
    /// Whether no more readings are expected.
    pub closed: bool,
    /// How often the published row has changed; `0` while provisional.
    pub revision: u32,
}

/// `AggDayDiff`: what a meter rose in a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The meter's name.
    pub sensor: String,
    /// A calendar day of the site's zone.
    pub day: Date,
    /// The rise, in the meter's unit.
    pub value: f64,
    /// The unit of the meter.
    pub unit: Option<String>,
    /// `normal`, `rollover`, `reset`, `glitch` or `suspect`.
    pub kind: Word,
    /// Whether no more readings are expected.
    pub closed: bool,
    /// How often the published row has changed; `0` while provisional.
    pub revision: u32,
}

/// `AggDayRest`: what a meter counted and none of its parts did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    /// The balance's name.
    pub balance: String,
    /// A calendar day of the site's zone.
    pub day: Date,
    /// `meter - parts`.
    pub value: f64,
    /// The unit of the meter.
    pub unit: Option<String>,
    /// What the meter rose.
    pub meter: f64,
    /// The sum of the parts.
    pub parts: f64,
    /// The coverage of each part, `0..=1`, or null where nothing says how many readings to expect.
    pub coverage: BTreeMap<String, Option<f64>>,
    /// Whether no more readings are expected of the meter and its parts.
    pub closed: bool,
    /// How often the published row has changed; `0` while provisional.
    pub revision: u32,
}

/// One reading set aside because it came too late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Late {
    /// The sensor's name.
    pub sensor: String,
    /// Event time.
    pub time: Moment,
    /// Its value, in the sensor's unit.
    pub value: f64,
    /// Its place in the order of arrival.
    pub seq: u64,
    /// When it was committed.
    pub arrived: Moment,
    /// Whether an operator has made it count.
    pub accepted: bool,
}

/// One dead letter: a message or a reading that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// When it was committed.
    pub arrived: Moment,
    /// The topic it came on.
    pub topic: String,
    /// Why it was refused.
    pub reason: String,
    /// Its first bytes, with what is not UTF-8 replaced by U+FFFD.
    pub payload: String,
}

/// `GET /api/v1/explain`: what makes up one sensor's day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The sensor's name.
    pub sensor: String,
    /// The day in question.
    pub day: Date,
    /// The unit of the sensor.
    pub unit: Option<String>,
    /// The daily row, if the day holds a reading.
    pub row: Option<Day>,
    /// The difference, where there is one.
    pub diff: Option<Diff>,
    /// The last value of the day before, from which a meter's rise is counted.
    pub before: Option<f64>,
    /// Everything that arrived for the day, by event time and then by arrival.
    pub arrivals: Vec<Arrival>,
}

/// One arrival for a day and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Event time.
    pub time: Moment,
    /// The value that arrived.
    pub value: f64,
    /// Its place in the order of arrival.
    pub seq: u64,
    /// `accepted`, `corrected`, `late`, `accepted late`, `corrected late` or `withdrawn`.
    pub fate: Word,
    /// As [`Reading::flag`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Word>,
    /// Whether the daily number is made of it now.
    pub counts: bool,
}

/// `{"sensors":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensors {
    /// By name.
    pub sensors: Vec<Sensor>,
}

/// `{"readings":[…],"next":…}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    /// By name, then time.
    pub readings: Vec<Reading>,
    /// Give it back as `next=` for the following page; null at the end.
    pub next: Option<String>,
}

/// `{"days":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Days {
    /// By name, then day.
    pub days: Vec<Day>,
}

/// `{"diffs":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diffs {
    /// By name, then day.
    pub diffs: Vec<Diff>,
}

/// `{"rests":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rests {
    /// By name, then day.
    pub rests: Vec<Rest>,
}

/// `{"late":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lates {
    /// By name, then time.
    pub late: Vec<Late>,
}

/// `{"letters":[…]}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letters {
    /// By arrival.
    pub letters: Vec<Letter>,
}

/// `{"error":{…}}`: the body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// What went wrong.
    pub error: Fault,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A word for programs, such as `unknown_sensor`.
    pub code: Word,
    /// A sentence for people.
    pub message: String,
}

impl Day {
    /// A sensor's day as the engine has it.
    #[must_use]
    pub fn of(sensor: &str, unit: Option<&str>, day: engine::Day, row: &DayRow) -> Self {
        Self {
            sensor: sensor.to_owned(),
            day: Date::from(day),
            aggregate: Word::Borrowed(aggregate_word(row.aggregate)),
            value: row.value,
            unit: unit.map(str::to_owned),
            count: row.count,
            expected: row.expected,
            coverage: row.coverage(),
            min: row.min,
            max: row.max,
            first: row.first,
            last: row.last,
            closed: row.closed,
            revision: row.revision,
        }
    }
}

impl Diff {
    /// A meter's difference as the engine has it.
    #[must_use]
    pub fn of(sensor: &str, unit: Option<&str>, day: engine::Day, row: &DiffRow) -> Self {
        Self {
            sensor: sensor.to_owned(),
            day: Date::from(day),
            value: row.value,
            unit: unit.map(str::to_owned),
            kind: Word::Borrowed(kind_word(row.kind)),
            closed: row.closed,
            revision: row.revision,
        }
    }
}

impl Rest {
    /// A balance's rest as the engine has it; `name_of` names its parts.
    #[must_use]
    pub fn of(
        balance: &str,
        unit: Option<&str>,
        day: engine::Day,
        row: &RestRow,
        name_of: impl Fn(SensorId) -> String,
    ) -> Self {
        let coverage = row.coverage.iter();
        Self {
            balance: balance.to_owned(),
            day: Date::from(day),
            value: row.value,
            unit: unit.map(str::to_owned),
            meter: row.meter,
            parts: row.parts,
            coverage: coverage.map(|(part, c)| (name_of(*part), *c)).collect(),
            closed: row.closed,
            revision: row.revision,
        }
    }
}

/// The word for an aggregate.
#[must_use]
pub const fn aggregate_word(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Mean => "mean",
        Aggregate::Sum => "sum",
        Aggregate::Max => "max",
        Aggregate::Min => "min",
        Aggregate::Last => "last",
        Aggregate::Count => "count",
    }
}

/// The word for what is to be known of a reading's time.
#[must_use]
pub const fn flag_word(flag: Flag) -> Word {
    Word::Borrowed(match flag {
        Flag::Ambiguous => "ambiguous",
        Flag::Shifted => "shifted",
        Flag::Stamped => "stamped",
        Flag::Estimated => "estimated",
        Flag::Rejudged => "rejudged",
    })
}

/// The word for the cause of a difference.
#[must_use]
pub const fn kind_word(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Normal => "normal",
        DiffKind::Rollover => "rollover",
        DiffKind::Reset => "reset",
        DiffKind::Glitch => "glitch",
        DiffKind::Suspect => "suspect",
    }
}
