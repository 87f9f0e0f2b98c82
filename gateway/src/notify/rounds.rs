//! When a channel is given what: at once, after those that follow it have come together, or again after a
//! failure. Pure: time and chance are arguments.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Blame, Failure, Taken};
use crate::alert::Notice;

/// The most notices in one message.
pub const BUNDLE_MOST: usize = 50;
/// For so long after a message the next ones are gathered to one.
pub const GROUP_FOR: Duration = Duration::from_secs(30);
/// The longest that the first retry waits.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two tries.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// A notice that nobody took within this time is given up, milliseconds.
pub const EXPIRY_MS: i64 = 24 * 3_600_000;
/// A channel that fails for so long is itself something to be told of.
pub const FAILING_AFTER: Duration = Duration::from_secs(3600);
/// Before this a clock was not set (2000-01-01), milliseconds since 1970 UTC: nothing grows old by such a time.
const FIRST_MS: i64 = 946_684_800_000;

/// What to do now.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing waits.
    Rest,
    /// Something waits until then.
    Wait(Instant),
    /// These go out.
    Send(Vec<Notice>),
}

/// What a try changed about the channel as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// It has failed for [`FAILING_AFTER`].
    Failing,
    /// It works again.
    Working,
}

/// How it goes with one channel.
#[derive(Debug)]
pub(super) struct Rounds {
    /// What comes before this is gathered.
    gather_until: Option<Instant>,
    /// No try before.
    pause_until: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    failing_since: Option<Instant>,
    is_told: bool,
    /// What waited at the start follows the message that may be there already without a pause.
    resumes: bool,
    /// The receiver may have these already: they are sent again together or not at all, under the same key.
    together: BTreeSet<u64>,
    /// The most that a message may hold: fewer while their content is refused.
    most: usize,
    /// Refused for what they say: the others come first.
    aside: BTreeSet<u64>,
}

/// Whether a notice is still worth being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Expired,
}

/// Times before the clock was set say nothing, nor do those ahead of it.
pub(super) fn age(notice: &Notice, now_ms: i64) -> Age {
    let is_known = notice.at_ms >= FIRST_MS;
    if is_known && now_ms.saturating_sub(notice.at_ms) > EXPIRY_MS {
        Age::Expired
    } else {
        Age::Fresh
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            gather_until: None,
            pause_until: None,
            failures: 0,
            failing_since: None,
            is_told: false,
            resumes: false,
            together: BTreeSet::new(),
            most: BUNDLE_MOST,
            aside: BTreeSet::new(),
        }
    }
}

impl Rounds {
    /// How many notices must be looked at to find some that can be sent.
    pub(super) fn reach(&self) -> usize {
        BUNDLE_MOST + self.aside.len()
    }

    /// Begins after a stop: what was `meant` as one message may be there, or the oldest alone where nobody said.
    pub(super) fn resume(&mut self, meant: &[u64], waiting: &[Notice]) {
        let oldest = waiting.first().map(|notice| notice.seq);
        self.together = if meant.is_empty() {
            oldest.into_iter().collect()
        } else {
            meant.iter().copied().collect()
        };
        self.resumes = !self.together.is_empty();
    }

    /// What to do about the notices that wait, oldest first.
    pub(super) fn next(&mut self, waiting: Vec<Notice>, now: Instant) -> Next {
        if waiting.is_empty() {
            return Next::Rest;
        }
        let later = |at: Option<Instant>| at.filter(|at| *at > now);
        if let Some(at) = later(self.pause_until).max(later(self.gather_until)) {
            return Next::Wait(at);
        }
        let is_there = |seq: &u64| waiting.iter().any(|notice| notice.seq == *seq);
        self.together.retain(is_there);
        self.aside.retain(is_there);
        if self.aside.len() == waiting.len() {
            // Each was refused alone: another round, in the same order.
            self.aside.clear();
        }
        let is_meant = |notice: &Notice| {
            if self.together.is_empty() {
                !self.aside.contains(&notice.seq)
            } else {
                self.together.contains(&notice.seq)
            }
        };
        let meant = waiting.into_iter().filter(is_meant);
        Next::Send(meant.take(self.most).collect())
    }

    /// Notes that these were taken.
    pub(super) fn delivered(&mut self, began: Instant) -> Turn {
        let turn = if self.is_told {
            Turn::Working
        } else {
            Turn::None
        };
        *self = Self {
            gather_until: (!self.resumes).then_some(began + GROUP_FOR),
            aside: std::mem::take(&mut self.aside),
            ..Self::default()
        };
        turn
    }

    /// Notes that these were not, as far as we know. `draw` is chance in 0..1: half of a pause is drawn, so that
    /// not all gateways come back at once.
    pub(super) fn failed(
        &mut self,
        sent: &[Notice],
        failure: &Failure,
        now: Instant,
        draw: f64,
    ) -> Turn {
        match failure.taken {
            Taken::Perhaps => self.together = sent.iter().map(|notice| notice.seq).collect(),
            Taken::No => self.together.clear(),
        }
        match (failure.blame, sent) {
            (Blame::Content, [one]) => {
                self.aside.insert(one.seq);
            }
            (Blame::Content, several) => self.most = (several.len() / 2).max(1),
            (Blame::Passing | Blame::Busy(_) | Blame::Settings, _) => {}
        }
        let pause = self.pause(failure.blame, draw);
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(now + pause);
        let since = *self.failing_since.get_or_insert(now);
        if !self.is_told && now.duration_since(since) >= FAILING_AFTER {
            self.is_told = true;
            return Turn::Failing;
        }
        Turn::None
    }

    fn pause(&self, blame: Blame, draw: f64) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let doubled = SHORTEST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
        let drawn = |ceiling: Duration| {
            let half = ceiling / 2;
            half + half.mul_f64(draw.clamp(0.0, 1.0))
        };
        match blame {
            Blame::Passing | Blame::Content => drawn(doubled),
            // It is tried rarely, and never given up before its time: a wrong token may be mended.
            Blame::Settings => LONGEST_PAUSE,
            Blame::Busy(wanted) => wanted.max(drawn(doubled)),
        }
    }

    /// Since when it fails, if it does.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::What;
    use crate::notify::sample::{leak, notice};

    fn notices(seqs: impl IntoIterator<Item = u64>) -> Vec<Notice> {
        let numbered = |seq| Notice {
            seq,
            ..notice(What::Fired, leak())
        };
        seqs.into_iter().map(numbered).collect()
    }

    fn sent(next: &Next) -> Vec<u64> {
        match next {
            Next::Send(notices) => notices.iter().map(|notice| notice.seq).collect(),
            Next::Rest | Next::Wait(_) => panic!("{next:?} is no message"),
        }
    }

    fn failure(blame: Blame, taken: Taken) -> Failure {
        Failure {
            text: String::new(),
            blame,
            taken,
        }
    }

    fn passing() -> Failure {
        failure(Blame::Passing, Taken::No)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_goes_at_once_and_those_within_30_s_of_it_together() {
        let mut rounds = Rounds::default();
        let now = Instant::now();
        assert_eq!(rounds.next(Vec::new(), now), Next::Rest);
        assert_eq!(sent(&rounds.next(notices([1]), now)), [1]);
        assert_eq!(rounds.delivered(now), Turn::None);
        let gathered = Next::Wait(now + GROUP_FOR);
        assert_eq!(rounds.next(notices([2]), now + seconds(1)), gathered);
        assert_eq!(rounds.next(notices(2..5), now + seconds(29)), gathered);
        assert_eq!(
            sent(&rounds.next(notices(2..5), now + GROUP_FOR)),
            [2, 3, 4]
        );
    }

    #[test]
    fn pauses_double_from_a_second_to_a_quarter_of_an_hour_and_half_of_each_is_chance() {
        let mut rounds = Rounds::default();
        let pauses: Vec<u64> = (0..12)
            .map(|_| {
                let now = Instant::now();
                let turn = rounds.failed(&notices([1]), &passing(), now, 1.0);
                assert_eq!(turn, Turn::None);
                let until = rounds.pause_until.expect("a pause");
                until.duration_since(now).as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(Rounds::default().pause(Blame::Passing, 0.0), seconds(1) / 2);
    }

    #[test]
    fn what_only_people_can_mend_is_tried_every_quarter_of_an_hour() {
        assert_eq!(Rounds::default().pause(Blame::Settings, 0.0), LONGEST_PAUSE);
        let busy = Blame::Busy(seconds(77));
        assert_eq!(Rounds::default().pause(busy, 1.0), seconds(77));
    }

    #[test]
    fn what_may_be_there_already_is_sent_again_alone_and_what_is_not_with_the_others() {
        let now = Instant::now();
        let again = |taken| {
            let mut rounds = Rounds::default();
            let first = notices([1, 2]);
            let turn = rounds.failed(&first, &failure(Blame::Passing, taken), now, 1.0);
            assert_eq!(turn, Turn::None);
            sent(&rounds.next(notices([1, 2, 3]), now + seconds(1)))
        };
        assert_eq!(again(Taken::Perhaps), [1, 2]);
        assert_eq!(again(Taken::No), [1, 2, 3]);
    }

    #[test]
    fn after_a_stop_the_message_that_may_be_there_goes_first_and_the_rest_at_once_after_it() {
        let now = Instant::now();
        let after_a_stop = |meant: &[u64]| {
            let mut rounds = Rounds::default();
            rounds.resume(meant, &notices(1..=4));
            let first = sent(&rounds.next(notices(1..=4), now));
            assert_eq!(rounds.delivered(now), Turn::None);
            let left = (1..=4).filter(|seq| !first.contains(seq));
            let then = sent(&rounds.next(notices(left), now));
            assert_eq!(rounds.delivered(now), Turn::None);
            let gathered = Next::Wait(now + GROUP_FOR);
            assert_eq!(rounds.next(notices([5]), now), gathered);
            (first, then)
        };
        assert_eq!(after_a_stop(&[]), (vec![1], vec![2, 3, 4]));
        assert_eq!(after_a_stop(&[1, 2]), (vec![1, 2], vec![3, 4]));
    }

    #[test]
    fn one_notice_that_is_refused_for_what_it_says_holds_up_no_other() {
        let mut rounds = Rounds::default();
        let mut waiting: Vec<u64> = (1..=8).collect();
        let mut now = Instant::now();
        let mut tries = 0;
        while waiting != [5] {
            let next = rounds.next(notices(waiting.clone()), now);
            match next {
                Next::Wait(at) => now = at,
                Next::Rest => panic!("{waiting:?} wait"),
                Next::Send(message) => {
                    tries += 1;
                    let holds_it = message.iter().any(|notice| notice.seq == 5);
                    if holds_it {
                        let refused = failure(Blame::Content, Taken::No);
                        let turn = rounds.failed(&message, &refused, now, 1.0);
                        assert_eq!(turn, Turn::None);
                    } else {
                        waiting.retain(|seq| message.iter().all(|notice| notice.seq != *seq));
                        assert_eq!(rounds.delivered(now), Turn::None);
                    }
                }
            }
            assert!(tries < 20, "{waiting:?} wait for ever");
        }
    }

    #[test]
    fn a_channel_that_fails_for_an_hour_is_told_once_and_so_is_its_return() {
        let mut rounds = Rounds::default();
        let began = Instant::now();
        let mut now = began;
        let mut turns = Vec::new();
        while now < began + seconds(3 * 3600) {
            turns.push(rounds.failed(&notices([1]), &passing(), now, 1.0));
            now = rounds.pause_until.expect("a pause");
        }
        let told = turns.iter().filter(|turn| **turn == Turn::Failing).count();
        assert_eq!(told, 1, "{turns:?}");
        assert_eq!(rounds.failing_since(), Some(began));
        assert_eq!(rounds.delivered(now), Turn::Working);
        assert_eq!(rounds.delivered(now), Turn::None);
        assert_eq!(rounds.failing_since(), None);
    }

    #[test]
    fn a_day_old_notice_is_given_up_unless_its_time_is_of_an_unset_clock() {
        let at = |at_ms| Notice {
            at_ms,
            ..notice(What::Fired, leak())
        };
        let now_ms = 1_795_478_400_000;
        assert_eq!(age(&at(now_ms - EXPIRY_MS), now_ms), Age::Fresh);
        assert_eq!(age(&at(now_ms - EXPIRY_MS - 1), now_ms), Age::Expired);
        assert_eq!(age(&at(5000), now_ms), Age::Fresh);
        assert_eq!(age(&at(now_ms + EXPIRY_MS), now_ms), Age::Fresh);
        assert_eq!(age(&at(now_ms), 5000), Age::Fresh);
    }
}
