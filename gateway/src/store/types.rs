//! What goes into the store and comes out of it. Plain data: no bytes, no tables.

use super::AlertWrite;
use std::fmt;

use engine::{BalanceId, Day, EventTime, RestRow, SensorDay, SensorId};

/// Readings by what became of them, for the life of the store; an undecodable message counts as
/// one. `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are defined in the glossary")]
pub struct Counters {
    pub received: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub corrected: u64,
    pub late: u64,
    pub dead_letter: u64,
}

/// What became of a reading that is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// A new identity: it counts.
    Accepted,
    /// Another value for an identity that was held: it counts instead.
    Corrected,
    /// Older than the allowed lateness: set aside, part of no result.
    Late,
    /// An operator accepted it, a new identity: it counts.
    AcceptedLate,
    /// An operator accepted it, for an identity that was held: it counts instead.
    CorrectedLate,
    /// It counted until the clock was set, and was found to lie ahead: the identity is not held.
    Withdrawn,
}

impl Fate {
    /// Whether a reading of this fate is held, that is, counts until a later one replaces it.
    #[must_use]
    pub const fn is_held(self) -> bool {
        match self {
            Self::Accepted | Self::Corrected | Self::AcceptedLate | Self::CorrectedLate => true,
            Self::Late | Self::Withdrawn => false,
        }
    }

    /// Whether it says what its identity is from then on: a value, or nothing.
    #[must_use]
    pub const fn decides(self) -> bool {
        match self {
            Self::Accepted
            | Self::Corrected
            | Self::AcceptedLate
            | Self::CorrectedLate
            | Self::Withdrawn => true,
            Self::Late => false,
        }
    }

    /// Whether an operator accepted it although it was late.
    #[must_use]
    pub const fn is_exempt(self) -> bool {
        match self {
            Self::AcceptedLate | Self::CorrectedLate => true,
            Self::Accepted | Self::Corrected | Self::Late | Self::Withdrawn => false,
        }
    }
}

/// What is to be known of a reading's time, or of when it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Its local time happened twice; the earlier was taken.
    Ambiguous,
    /// Its local time never happened; it was shifted forward.
    Shifted,
    /// It had no time, and was stamped when the clock was set: exactly.
    Stamped,
    /// The same, after the machine had been started again in between: by estimate.
    Estimated,
    /// It was late by a reading that was withdrawn, and was judged again.
    Rejudged,
}

/// A reading without a time of its own that came while the clock was not trusted: it waits to be
/// stamped, and is part of nothing until then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// Whose it is.
    pub sensor: SensorId,
    /// 0 unless the sensor adds contradicting readings.
    pub tie: u64,
    /// In the sensor's unit.
    pub value: f64,
    /// Which start of the machine it came after,
    pub boot: u128,
    /// and how long after, in milliseconds.
    pub uptime_ms: u64,
}

/// What a group says of a clock that is not trusted; nothing, as a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doubt {
    /// The first sequence number that was judged while the clock was not trusted, and has not been
    /// looked at again since; as of the end of the group.
    pub from: Option<u64>,
    /// What waits since this group, by `seq`.
    pub waiting: Vec<Waiting>,
    /// How many wait after this group.
    pub waits: u64,
    /// What came before this sequence number waits no longer.
    pub waited_to: Option<u64>,
}

/// One reading as it was judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logged {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// Whose it is.
    pub sensor: SensorId,
    /// When it was measured.
    pub time: EventTime,
    /// 0 unless the sensor adds contradicting readings.
    pub tie: u64,
    /// In the sensor's unit.
    pub value: f64,
    /// What became of it.
    pub fate: Fate,
    /// What else is to be known of it.
    pub flag: Option<Flag>,
}

/// A message, or a reading of one, that could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// When it was committed, in ms UTC of the site's clock.
    pub arrived_ms: i64,
    /// The topic it came on.
    pub topic: String,
    /// Why it was not taken in.
    pub reason: String,
    /// The beginning of its payload; the caller bounds it.
    pub payload: Vec<u8>,
}

/// One commit: everything that was judged together. The entry of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The first sequence number it takes; the one that the group before it ended at.
    pub first_seq: u64,
    /// The first it does not take. Every judged reading takes one, duplicates too, and an
    /// undecodable message one. Equal to `first_seq`: the group is empty and is not logged.
    pub next_seq: u64,
    /// When it was committed, in ms UTC of the site's clock.
    pub arrived_ms: i64,
    /// The site time after it, in ms UTC; `None` while it is not known.
    pub site_time_ms: Option<i64>,
    /// The life totals after it.
    pub counters: Counters,
    /// Sensors first seen in it.
    pub new_sensors: Vec<(SensorId, String)>,
    /// Balances first seen in it.
    pub new_balances: Vec<(BalanceId, String)>,
    /// What was accepted, corrected or set aside, by `seq`.
    pub readings: Vec<Logged>,
    /// What could not be taken in, by `seq`; `arrived_ms` is the group's.
    pub letters: Vec<Letter>,
    /// Of a clock that is not trusted.
    pub doubt: Doubt,
}

/// A user as the store keeps one; what its texts mean is checked by whoever reads them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserRow {
    /// Of the password, in the form of argon2.
    pub password_hash: String,
    /// One bit each: 1 the broker, 2 the web to look, 4 the web to act.
    pub doors: u8,
    /// Filters to publish to; `None`: no limit.
    pub publish: Option<Vec<String>>,
    /// Filters to subscribe to; `None`: no limit.
    pub subscribe: Option<Vec<String>>,
}

/// Without the hash: it is nobody's business.
impl fmt::Debug for UserRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRow")
            .field("doors", &self.doors)
            .field("publish", &self.publish)
            .field("subscribe", &self.subscribe)
            .finish_non_exhaustive()
    }
}

/// A change to what the broker keeps, written in the transaction of the group it arrived with.
#[derive(Clone, Debug, PartialEq)]
pub enum BrokerWrite {
    /// A topic's retained message is this.
    RetainSet {
        /// Of the message.
        topic: String,
        /// Packed by the broker.
        message: Vec<u8>,
    },
    /// A topic has no retained message.
    RetainClear {
        /// Of the message.
        topic: String,
    },
    /// A persistent session is in this state.
    SessionSet {
        /// Its client id.
        client: String,
        /// Packed by the broker.
        state: Vec<u8>,
    },
    /// A user is this.
    UserSet {
        /// The name to log in with.
        name: String,
        /// The rest.
        user: UserRow,
    },
    /// There is no such user any more.
    UserDrop {
        /// The name.
        name: String,
    },
    /// A persistent session ended; its queue goes with it.
    SessionDrop {
        /// Its client id.
        client: String,
    },
    /// A message waits for a persistent session.
    QueuePush {
        /// The session's client id.
        client: String,
        /// Its place in the queue.
        ordinal: u64,
        /// Packed by the broker.
        message: Vec<u8>,
    },
    /// A message of QoS 2 has been received, and waits for the end of its handshake: its content goes, its
    /// place stays.
    QueueRelease {
        /// The session's client id.
        client: String,
        /// Its place in the queue.
        ordinal: u64,
    },
    /// A message waits no longer.
    QueuePop {
        /// The session's client id.
        client: String,
        /// Its place in the queue.
        ordinal: u64,
    },
    /// An alert, its journal or its outbox is different: what the gateway says itself.
    Alert(AlertWrite),
}

/// What is known of a sensor beside its days.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorState {
    /// Its number.
    pub id: SensorId,
    /// Its name.
    pub name: String,
    /// The newest event time accepted: what lateness is measured from.
    pub newest: Option<EventTime>,
    /// The newest event time that was accepted by a trusted clock.
    pub sure: Option<EventTime>,
    /// The oldest event time accepted.
    pub first: Option<EventTime>,
    /// The value at the newest event time.
    pub last_value: Option<f64>,
    /// Of the specification its days were made by: another one means that they must be made anew.
    pub fingerprint: u64,
}

/// What a seal writes beside the log's readings.
pub struct Seal<'a> {
    /// Every sensor whose state changed since the last seal.
    pub sensors: Vec<SensorState>,
    /// Every day that changed since the last seal.
    pub days: Vec<(SensorId, Day, SensorDay)>,
    /// Every rest that changed since the last seal.
    pub rests: Vec<(BalanceId, Day, RestRow)>,
    /// The day that a reading belongs to.
    pub day_of: &'a dyn Fn(SensorId, EventTime) -> Day,
    /// Retention: days before this one go.
    pub drop_before: Option<Day>,
    /// Letters and late rows that arrived before this go, in ms UTC of the site's clock.
    pub forget_before_ms: Option<i64>,
    /// The first day that a sensor keeps when days before the given one go: one whose own time is
    /// behind keeps as much of it as any other.
    pub kept_from: &'a dyn Fn(SensorId, Day) -> Day,
}

/// What the store knew at its last seal. With the log's tail replayed on top it is all that it
/// knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Of the store: the number it was given when it was created.
    pub generation: u64,
    /// How many seals there were.
    pub seal: u64,
    /// The first sequence number not sealed.
    pub next_seq: u64,
    /// The site time, in ms UTC; `None` while it is not known.
    pub site_time_ms: Option<i64>,
    /// The life totals.
    pub counters: Counters,
    /// What caps and age removed, for the life of the store.
    pub dropped: Dropped,
    /// Retention has removed the days before this one.
    pub dropped_before: Option<Day>,
    /// As [`Doubt::from`].
    pub doubt_from: Option<u64>,
    /// As [`Doubt::waits`].
    pub waits: u64,
    /// By number.
    pub sensors: Vec<SensorState>,
    /// By number.
    pub balances: Vec<(BalanceId, String)>,
}

/// Rows that a cap or their age removed, for the life of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Late rows.
    pub late: u64,
    /// Dead letters.
    pub letters: u64,
}

/// Proof that a group is on disk; only [`Store::commit`](super::Store::commit) makes one.
#[must_use = "what was committed may be acknowledged"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub(super) bytes: u64,
}

impl Committed {
    /// Bytes that the group takes in the log.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

/// What a seal did.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its number, counted from 1.
    pub seal: u64,
    /// Readings folded into blocks.
    pub readings: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes of those blocks.
    pub block_bytes: u64,
    /// Blocks that retention removed.
    pub dropped_blocks: u64,
}

/// The log since the last seal: tells when to seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Commits.
    pub groups: u64,
    /// Readings in them.
    pub readings: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The current value of an identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredReading {
    /// When it was measured.
    pub time: EventTime,
    /// 0 unless the sensor adds contradicting readings.
    pub tie: u64,
    /// In the sensor's unit.
    pub value: f64,
    /// The arrival that gave it this value.
    pub seq: u64,
    /// What else is to be known of it.
    pub flag: Option<Flag>,
}

/// A reading that was set aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LateRow {
    /// Its place in the order of arrival.
    pub seq: u64,
    /// Whose it is.
    pub sensor: SensorId,
    /// When it was measured.
    pub time: EventTime,
    /// 0 unless the sensor adds contradicting readings.
    pub tie: u64,
    /// In the sensor's unit.
    pub value: f64,
    /// When it was committed, in ms UTC of the site's clock.
    pub arrived_ms: i64,
    /// Whether an operator accepted it since.
    pub accepted: bool,
}

/// The store at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of the store: the number it was given when it was created.
    pub generation: u64,
    /// The first sequence number not taken.
    pub next_seq: u64,
    /// The site time, in ms UTC; `None` while it is not known.
    pub site_time_ms: Option<i64>,
    /// The life totals.
    pub counters: Counters,
    /// Readings that wait until the clock is trusted.
    pub waits: u64,
    /// What the caps removed.
    pub dropped: Dropped,
    /// Late rows held.
    pub late_rows: u64,
    /// Dead letters held.
    pub letter_rows: u64,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
}
