//! The words that the contract has for what the engine and the store tell apart.

use engine::{Aggregate, DiffKind, Kind};

use crate::store::Fate;
use crate::web::rows::Word;

pub(super) fn kind(kind: Kind) -> Word {
    Word::Borrowed(match kind {
        Kind::Gauge => "gauge",
        Kind::Delta => "delta",
        Kind::Meter => "meter",
        Kind::Event => "event",
    })
}

pub(super) fn aggregate(aggregate: Aggregate) -> Word {
    Word::Borrowed(match aggregate {
        Aggregate::Mean => "mean",
        Aggregate::Sum => "sum",
        Aggregate::Max => "max",
        Aggregate::Min => "min",
        Aggregate::Last => "last",
        Aggregate::Count => "count",
    })
}

pub(super) fn diff_kind(kind: DiffKind) -> Word {
    Word::Borrowed(match kind {
        DiffKind::Normal => "normal",
        DiffKind::Rollover => "rollover",
        DiffKind::Reset => "reset",
        DiffKind::Glitch => "glitch",
        DiffKind::Suspect => "suspect",
    })
}

pub(super) fn fate(fate: Fate) -> Word {
    Word::Borrowed(match fate {
        Fate::Accepted => "accepted",
        Fate::Corrected => "corrected",
        Fate::Late => "late",
        Fate::AcceptedLate => "accepted late",
        Fate::CorrectedLate => "corrected late",
    })
}
