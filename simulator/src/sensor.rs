//! The ten sensors of the seed home: names and ranges.

use crate::draw::Purpose;

/// A sensor of the seed home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sensor {
    /// Temperature, °C.
    Th1,
    /// Temperature, °C.
    Th2,
    /// Energy of a quarter hour, Wh.
    Hvac1,
    /// Energy of a quarter hour, Wh.
    Hvac2,
    /// Energy of a quarter hour, Wh.
    MiAc1,
    /// Energy of a quarter hour, Wh.
    MiAc2,
    /// Water of a quarter hour, L.
    W1,
    /// The energy meter, Wh, read at midnight.
    Etot,
    /// The water meter, L, read at midnight.
    Wtot,
    /// Movement: 1 each time.
    Mov1,
}

impl Sensor {
    /// All of them, in the order in which a tick sends them.
    pub const ALL: [Self; 10] = [
        Self::Th1,
        Self::Th2,
        Self::Hvac1,
        Self::Hvac2,
        Self::MiAc1,
        Self::MiAc2,
        Self::W1,
        Self::Etot,
        Self::Wtot,
        Self::Mov1,
    ];

    /// Its name in a home, as on the topic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Th1 => "TH1",
            Self::Th2 => "TH2",
            Self::Hvac1 => "HVAC1",
            Self::Hvac2 => "HVAC2",
            Self::MiAc1 => "MiAC1",
            Self::MiAc2 => "MiAC2",
            Self::W1 => "W1",
            Self::Etot => "Etot",
            Self::Wtot => "Wtot",
            Self::Mov1 => "Mov1",
        }
    }

    pub(crate) fn purpose(self) -> Purpose {
        match self {
            Self::Th1 => Purpose::Th1,
            Self::Th2 => Purpose::Th2,
            Self::Hvac1 => Purpose::Hvac1,
            Self::Hvac2 => Purpose::Hvac2,
            Self::MiAc1 => Purpose::MiAc1,
            Self::MiAc2 => Purpose::MiAc2,
            Self::W1 => Purpose::W1,
            Self::Etot => Purpose::Etot,
            Self::Wtot => Purpose::Wtot,
            Self::Mov1 => Purpose::Mov1,
        }
    }
}
