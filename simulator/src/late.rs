//! Late data: which ticks send one more W1 reading, dated back.

use crate::home::Overdue;

/// One tick in so many sends a W1 reading dated two days back.
const TWO_DAYS_EVERY: u64 = 20;
/// One tick in so many sends a W1 reading dated ten days back.
const TEN_DAYS_EVERY: u64 = 120;

/// Whether the home sends late readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Late {
    /// As the seed does: every 20th tick of the run one more W1 reading dated exactly 2 days back,
    /// every 120th one dated exactly 10 days back.
    #[default]
    Paper,
    /// None.
    None,
}

impl Late {
    /// What is overdue at the run's `tick`-th quarter hour (from 1).
    pub(crate) fn at(self, tick: u64) -> impl Iterator<Item = Overdue> {
        let due = |every: u64| match self {
            Self::Paper => tick.is_multiple_of(every),
            Self::None => false,
        };
        let two = due(TWO_DAYS_EVERY).then_some(Overdue::TwoDays);
        let ten = due(TEN_DAYS_EVERY).then_some(Overdue::TenDays);
        two.into_iter().chain(ten)
    }

    /// How many late readings a home sends in a run of `ticks`.
    pub(crate) fn total(self, ticks: u64) -> u64 {
        match self {
            Self::Paper => ticks / TWO_DAYS_EVERY + ticks / TEN_DAYS_EVERY,
            Self::None => 0,
        }
    }
}
