//! What a sensor measures, and how its days are made of its readings.

/// What the values of a sensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A level at an instant (a temperature): days are means.
    Gauge,
    /// A quantity since the previous reading (litres in a quarter of an hour): days are sums.
    Delta,
    /// A cumulative counter (a meter's register): days are the highest register, differences of
    /// days are consumption.
    Meter,
    /// Something that happened (a movement): days are sums.
    Event,
}

/// Which day a reading at a day's edge belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The value belongs to the interval that begins at its event time: days are [00:00, 24:00).
    Start,
    /// The value belongs to the interval that ends at its event time: days are (00:00, 24:00].
    End,
    /// The value belongs to its instant: days are [00:00, 24:00).
    Instant,
}

/// How a day's value is made of its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The exact sum over the count, rounded once.
    Mean,
    /// The exact sum, rounded once.
    Sum,
    /// The highest value.
    Max,
    /// The lowest value.
    Min,
    /// The value with the newest event time.
    Last,
    /// How many readings.
    Count,
}

/// What becomes of a reading whose identity is held with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// The later arrival wins.
    Replace,
    /// The first arrival stays.
    Keep,
    /// Both count; the message id becomes part of the identity.
    Add,
}

/// Everything the engine must know of a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorSpec {
    /// What its values are.
    pub kind: Kind,
    /// How its days are made.
    pub aggregate: Aggregate,
    /// Which day an edge belongs to.
    pub stamp: Stamp,
    /// How often it reports, in milliseconds, where that is known.
    pub interval_ms: Option<i64>,
    /// What a contradiction does.
    pub on_conflict: OnConflict,
    /// Meters: the register rolls over at this value.
    pub modulus: Option<f64>,
    /// Meters: the fastest plausible rise, in the sensor's unit per hour.
    pub max_rate: Option<f64>,
}

impl SensorSpec {
    /// The defaults of a kind.
    #[must_use]
    pub const fn of_kind(kind: Kind) -> Self {
        let (aggregate, stamp) = match kind {
            Kind::Gauge => (Aggregate::Mean, Stamp::Instant),
            Kind::Delta => (Aggregate::Sum, Stamp::End),
            Kind::Meter => (Aggregate::Max, Stamp::End),
            Kind::Event => (Aggregate::Sum, Stamp::Instant),
        };
        Self {
            kind,
            aggregate,
            stamp,
            interval_ms: None,
            on_conflict: OnConflict::Replace,
            modulus: None,
            max_rate: None,
        }
    }
}
