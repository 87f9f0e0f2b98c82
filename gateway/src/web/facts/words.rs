//! The words that the contract has for what the engine and the store tell apart.

use engine::Kind;

use crate::rows::Word;
use crate::store::Fate;

pub(super) fn kind(kind: Kind) -> Word {
    Word::Borrowed(match kind {
        Kind::Gauge => "gauge",
        Kind::Delta => "delta",
        Kind::Meter => "meter",
        Kind::Event => "event",
    })
}

pub(super) fn fate(fate: Fate) -> Word {
    Word::Borrowed(match fate {
        Fate::Accepted => "accepted",
        Fate::Corrected => "corrected",
        Fate::Late => "late",
        Fate::AcceptedLate => "accepted late",
        Fate::CorrectedLate => "corrected late",
        Fate::Withdrawn => "withdrawn",
    })
}
