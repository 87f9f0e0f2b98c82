//! When to commit: company for trickles, no waiting for backlogs.
//!
//! A reading at QoS 1 or 2 waits for company at most `commit_delay`, one at QoS 0 at most
//! `commit_delay_qos0`. Nobody waits where waiting would throttle: a publisher that stands with a
//! full window says so ([`Submission::eager`]), and what queued up during a commit is a backlog.
//!
//! A commit writes some 25 KB however small it is. So where many publish and the disk is quick, a
//! backlog waits [`COMPANY`] for those who were just answered: fewer writes, and a delay that nobody
//! sees.

use crate::broker::Submission;
use std::time::Duration;

/// Publishes in one group at most: bounds memory, and the time of a commit.
const GROUP_PUBLISHES: usize = 8192;
/// Payload and topic bytes in one group at most.
const GROUP_BYTES: usize = 4 << 20;
/// A group of so many publishes comes from a busy crowd.
const BUSY_PUBLISHES: usize = 64;
/// A commit that takes at most so long leaves no time for company to gather by itself.
const QUICK_COMMIT_MS: u64 = 3;
/// How long a busy crowd's next group waits.
pub(super) const COMPANY: Duration = Duration::from_micros(300);

/// A group in the making.
#[derive(Debug)]
pub(super) struct Gathering<D> {
    delay_ms: u64,
    delay_qos0_ms: u64,
    submissions: Vec<Submission<D>>,
    publishes: usize,
    bytes: usize,
    /// When to commit, on the monotonic clock; `None` while it is empty.
    due_ms: Option<u64>,
    /// Many publish, and the disk is quick.
    crowded: bool,
    /// When the last group was handed out, and how many publishes it held.
    handed_out: (u64, usize),
}

impl<D> Gathering<D> {
    pub(super) fn new(delay_ms: u64, delay_qos0_ms: u64) -> Self {
        Self {
            delay_ms,
            delay_qos0_ms,
            submissions: Vec::new(),
            publishes: 0,
            bytes: 0,
            due_ms: None,
            crowded: false,
            handed_out: (0, 0),
        }
    }

    /// Takes a submission that found the writer waiting.
    pub(super) fn take(&mut self, submission: Submission<D>, now_ms: u64) {
        let delay = match (submission.eager, submission.wants_commit()) {
            (true, _) => 0,
            (false, true) => self.delay_ms,
            (false, false) => self.delay_qos0_ms,
        };
        self.add(submission, now_ms, now_ms + delay);
    }

    /// Takes a submission that came while the writer was committing.
    pub(super) fn take_queued(&mut self, submission: Submission<D>, now_ms: u64) {
        let delay = if submission.wants_commit() {
            0
        } else {
            self.delay_qos0_ms
        };
        self.add(submission, now_ms, now_ms + delay);
    }

    /// The group that was handed out is on disk.
    pub(super) fn committed(&mut self, now_ms: u64) {
        let (begun_ms, publishes) = self.handed_out;
        self.crowded = publishes >= BUSY_PUBLISHES && now_ms - begun_ms <= QUICK_COMMIT_MS;
    }

    /// Whether a group that is due should wait [`COMPANY`] all the same.
    pub(super) fn wants_company(&self) -> bool {
        self.crowded && !self.is_full()
    }

    fn add(&mut self, mut submission: Submission<D>, now_ms: u64, due_ms: u64) {
        submission.taken_ms = Some(now_ms);
        self.publishes += submission.incoming.len();
        let bytes = submission.incoming.iter();
        self.bytes += bytes
            .map(|i| i.topic.len() + i.payload.len())
            .sum::<usize>();
        self.due_ms = Some(self.due_ms.map_or(due_ms, |due| due.min(due_ms)));
        self.submissions.push(submission);
    }

    pub(super) fn is_full(&self) -> bool {
        self.publishes >= GROUP_PUBLISHES || self.bytes >= GROUP_BYTES
    }

    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.is_full() || self.due_ms.is_some_and(|due| due <= now_ms)
    }

    /// How long it may still wait; `None` while it is empty.
    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        self.due_ms.map(|due| due.saturating_sub(now_ms))
    }

    /// The group as it is; the next one begins.
    pub(super) fn group(&mut self, now_ms: u64) -> Vec<Submission<D>> {
        self.handed_out = (now_ms, self.publishes);
        self.publishes = 0;
        self.bytes = 0;
        self.due_ms = None;
        std::mem::take(&mut self.submissions)
    }
}
