//! What was said of a subject, held against what stands now: verdicts for those who tell people.
//!
//! State follows from the readings held; the journal follows from what was said. This is the only memory of a
//! detector that is no function of the readings.

/// What was said last of one subject by one detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The episode: when it was raised, as it was known then, ms since 1970 UTC.
    pub raised_ms: i64,
    /// Whether it was said to be over, and as of when, ms since 1970 UTC.
    pub cleared_ms: Option<i64>,
}

/// What must be said now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Same,
    /// The newest episode stands.
    Raise,
    /// It came and went since the last time.
    RaiseAndClear,
    /// What was said stands no more; the newest episode is over.
    Clear,
    /// What was said is over, and a new episode stands.
    ClearAndRaise,
    /// What was said never was.
    Withdraw,
    /// What was said never was, but a later episode stands.
    WithdrawAndRaise,
}

/// From when to when, as a detector knows it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) raised_ms: i64,
    pub(crate) cleared_ms: Option<i64>,
}

/// Judges the newest two episodes by what was said.
pub(crate) fn judge(said: Option<Said>, last: Option<Stretch>, before: Option<Stretch>) -> Verdict {
    let Some(last) = last else {
        return match said {
            Some(Said {
                cleared_ms: None, ..
            }) => Verdict::Withdraw,
            Some(_) | None => Verdict::Same,
        };
    };
    let new = match last.cleared_ms {
        None => Verdict::Raise,
        Some(_) => Verdict::RaiseAndClear,
    };
    match said {
        None => new,
        Some(Said {
            cleared_ms: Some(over_ms),
            ..
        }) => match last.cleared_ms {
            // It came back within the time in which it is the same episode, or is a new one.
            None => Verdict::Raise,
            Some(_) if last.raised_ms > over_ms => new,
            Some(_) => Verdict::Same,
        },
        Some(Said {
            raised_ms,
            cleared_ms: None,
        }) => {
            let stood = |stretch: Stretch| stretch.cleared_ms.is_none_or(|over| over > raised_ms);
            let was_before = before.is_some_and(stood);
            match (was_before, last.cleared_ms) {
                (true, _) => Verdict::ClearAndRaise,
                (false, None) if last.raised_ms > raised_ms => later(last, raised_ms),
                (false, None) => Verdict::Same,
                (false, Some(over_ms)) if over_ms > raised_ms => Verdict::Clear,
                (false, Some(_)) => Verdict::Withdraw,
            }
        }
    }
}

/// An episode that begins after the one that was said: the same, seen a little later, unless days lie
/// between.
fn later(last: Stretch, said_raised_ms: i64) -> Verdict {
    /// A late reading moves the moment of an episode by no more than this, ms: three days.
    const MOVED_BY_MS: i64 = 72 * 3_600_000;
    if last.raised_ms - said_raised_ms <= MOVED_BY_MS {
        Verdict::Same
    } else {
        Verdict::WithdrawAndRaise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "reads as the argument that it is")]
    fn stretch(raised_ms: i64, cleared_ms: Option<i64>) -> Option<Stretch> {
        Some(Stretch {
            raised_ms,
            cleared_ms,
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "reads as the argument that it is")]
    fn said(raised_ms: i64, cleared_ms: Option<i64>) -> Option<Said> {
        Some(Said {
            raised_ms,
            cleared_ms,
        })
    }

    #[test]
    fn what_stands_is_said_once_and_its_end_once() {
        assert_eq!(judge(None, None, None), Verdict::Same);
        assert_eq!(judge(None, stretch(5, None), None), Verdict::Raise);
        assert_eq!(judge(said(5, None), stretch(5, None), None), Verdict::Same);
        assert_eq!(
            judge(said(5, None), stretch(5, Some(9)), None),
            Verdict::Clear
        );
        assert_eq!(
            judge(said(5, Some(9)), stretch(5, Some(9)), None),
            Verdict::Same
        );
    }

    #[test]
    fn an_episode_that_came_and_went_unseen_is_said_and_taken_back() {
        assert_eq!(
            judge(None, stretch(5, Some(9)), None),
            Verdict::RaiseAndClear
        );
        assert_eq!(
            judge(said(1, None), stretch(20, None), stretch(1, Some(9))),
            Verdict::ClearAndRaise
        );
    }

    #[test]
    fn what_a_correction_takes_is_withdrawn() {
        assert_eq!(judge(said(5, None), None, None), Verdict::Withdraw);
        assert_eq!(
            judge(said(50, None), stretch(5, Some(9)), None),
            Verdict::Withdraw
        );
        assert_eq!(judge(said(5, Some(9)), None, None), Verdict::Same);
    }
}
