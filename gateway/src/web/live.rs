//! What has just been committed, for whoever watches.
//!
//! The writer publishes and never waits: a commit is turned into text once, only while somebody
//! watches, and shared by all who do. What a slow watcher has not taken when the feed is full is
//! gone for that watcher, who is told how many events that were.

use std::array;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

use super::rows::{Day, Diff, Reading, Rest};

/// A batch is closed once its text has grown to this many bytes.
const BATCH_BYTES: usize = 16 * 1024;
/// How many batches are kept for watchers that are behind: with the above, 4 MB at most.
const BATCHES: usize = 256;

/// One thing that a commit has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum LiveEvent {
    /// A reading that counts from now on.
    Reading(Reading),
    /// A day's row as it is now.
    Day(Day),
    /// A meter's difference as it is now.
    Diff(Diff),
    /// A balance's rest as it is now.
    Rest(Rest),
    /// An alert as it is now: a JSON object.
    Alert(serde_json::Value),
}

impl LiveEvent {
    fn kind(&self) -> LiveKind {
        match self {
            Self::Reading(_) => LiveKind::Reading,
            Self::Day(_) => LiveKind::Day,
            Self::Diff(_) => LiveKind::Diff,
            Self::Rest(_) => LiveKind::Rest,
            Self::Alert(_) => LiveKind::Alert,
        }
    }
}

/// What a [`LiveEvent`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveKind {
    /// A reading.
    Reading,
    /// A day's row.
    Day,
    /// A difference.
    Diff,
    /// A rest.
    Rest,
    /// An alert.
    Alert,
}

impl LiveKind {
    /// All kinds, each at the place that its number names.
    const ALL: [(Self, &'static str); KINDS] = [
        (Self::Reading, "reading"),
        (Self::Day, "day"),
        (Self::Diff, "diff"),
        (Self::Rest, "rest"),
        (Self::Alert, "alert"),
    ];
}

const KINDS: usize = 5;

/// A number for each kind.
type Tally = [u64; KINDS];

/// The kinds that a watcher wants: a list such as `day,rest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveKinds([bool; KINDS]);

impl LiveKinds {
    /// Everything.
    pub const ALL: Self = Self([true; KINDS]);

    fn contains(self, kind: LiveKind) -> bool {
        self.0[kind as usize]
    }
}

/// A word that is no kind of event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of reading, day, diff, rest, alert")]
pub struct UnknownKind(String);

impl FromStr for LiveKinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut kinds = Self([false; KINDS]);
        for word in text.split(',') {
            match LiveKind::ALL.iter().find(|(_, name)| *name == word) {
                Some((kind, _)) => kinds.0[*kind as usize] = true,
                None => return Err(UnknownKind(word.to_owned())),
            }
        }
        Ok(kinds)
    }
}

/// The door between the writer and those who watch. Cloning it gives another handle.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many events of each kind have been sent. Its lock makes the count and the channel move
    /// together; it is held for as long as a send takes.
    sent: Mutex<Tally>,
    batches: broadcast::Sender<Arc<Batch>>,
}

#[derive(Debug)]
struct Batch {
    before: Tally,
    lines: Vec<(LiveKind, Utf8Bytes)>,
}

impl Default for Feed {
    fn default() -> Self {
        Self::keeping(BATCHES)
    }
}

impl Feed {
    /// A feed that keeps `batches` commits, or pieces of large ones, for slow watchers.
    #[must_use]
    pub fn keeping(batches: usize) -> Self {
        let (batches, _) = broadcast::channel(batches.max(1));
        Self(Arc::new(Inner {
            sent: Mutex::default(),
            batches,
        }))
    }

    /// How many watch now.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.0.batches.receiver_count()
    }

    /// Tells those who watch what a commit has changed. With nobody watching, `events` is not even
    /// looked at.
    pub fn publish(&self, events: impl IntoIterator<Item = LiveEvent>) {
        if self.watchers() == 0 {
            return;
        }
        let mut text = Vec::new();
        let mut ends = Vec::new();
        for event in events {
            let start = text.len();
            match serde_json::to_writer(&mut text, &event) {
                Ok(()) => ends.push((event.kind(), text.len())),
                Err(error) => {
                    tracing::error!(%error, "an event could not be written as JSON");
                    text.truncate(start);
                }
            }
            if text.len() >= BATCH_BYTES {
                self.send(std::mem::take(&mut text), std::mem::take(&mut ends));
            }
        }
        if !ends.is_empty() {
            self.send(text, ends);
        }
    }

    fn send(&self, text: Vec<u8>, ends: Vec<(LiveKind, usize)>) {
        let text = Bytes::from(text);
        let mut start = 0;
        let lines = ends.into_iter().map(|(kind, end)| {
            let line = text.slice(start..end);
            start = end;
            (
                kind,
                Utf8Bytes::try_from(line).expect("serde_json writes UTF-8"),
            )
        });
        let lines: Vec<_> = lines.collect();
        let mut sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *sent;
        for (kind, _) in &lines {
            sent[*kind as usize] += 1;
        }
        // An error says that the last watcher has just left.
        drop(self.0.batches.send(Arc::new(Batch { before, lines })));
    }

    /// Watches from now on.
    #[must_use]
    pub fn subscribe(&self, kinds: LiveKinds) -> Subscription {
        let sent = self.0.sent.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription {
            batches: self.0.batches.subscribe(),
            kinds,
            seen: *sent,
        }
    }
}

/// One watcher's place in the feed.
#[derive(Debug)]
pub struct Subscription {
    batches: broadcast::Receiver<Arc<Batch>>,
    kinds: LiveKinds,
    /// How many events of each kind there had been when the last batch was taken.
    seen: Tally,
}

/// What a watcher is told at once, in this order.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// Events that went by before; of the kinds that the watcher wants.
    pub missed: u64,
    /// Events, each a JSON object.
    pub lines: Vec<Utf8Bytes>,
}

/// The line that tells a slow watcher how many events went by.
#[must_use]
pub fn missed_line(count: u64) -> Utf8Bytes {
    Utf8Bytes::from(format!(r#"{{"type":"missed","count":{count}}}"#))
}

impl Subscription {
    /// Waits for something that this watcher wants; `None` when the feed has ended. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            match self.batches.recv().await {
                Ok(batch) => {
                    let heard = self.take(&batch);
                    if heard.missed > 0 || !heard.lines.is_empty() {
                        return Some(heard);
                    }
                }
                // The next batch says what it was that went by.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Heard {
        let gaps: Tally = array::from_fn(|kind| batch.before[kind] - self.seen[kind]);
        let missed = gaps.iter().zip(self.kinds.0).filter(|(_, wanted)| *wanted);
        let missed = missed.map(|(gap, _)| gap).sum();
        self.seen = batch.before;
        for (kind, _) in &batch.lines {
            self.seen[*kind as usize] += 1;
        }
        let wanted = batch
            .lines
            .iter()
            .filter(|(kind, _)| self.kinds.contains(*kind));
        Heard {
            missed,
            lines: wanted.map(|(_, line)| line.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Word;
    use super::super::when::{Date, Moment};
    use super::*;

    fn reading(seq: u64) -> LiveEvent {
        LiveEvent::Reading(Reading {
            sensor: "W1".to_owned(),
            time: Moment::from_ms(0),
            value: 0.5,
            seq,
            flag: None,
        })
    }

    fn diff() -> LiveEvent {
        LiveEvent::Diff(Diff {
            sensor: "Wtot".to_owned(),
            day: Date::from_number(0).expect("1970-01-01"),
            value: 110.0,
            unit: None,
            kind: Word::Borrowed("normal"),
            closed: false,
            revision: 0,
        })
    }

    fn texts(heard: &Heard) -> Vec<&str> {
        heard.lines.iter().map(Utf8Bytes::as_str).collect()
    }

    #[tokio::test]
    async fn an_event_says_what_it_is_about() {
        let feed = Feed::default();
        let mut watcher = feed.subscribe(LiveKinds::ALL);
        feed.publish([reading(7)]);
        let heard = watcher.next().await.expect("the feed goes on");
        let line =
            r#"{"type":"reading","sensor":"W1","time":"1970-01-01T00:00:00Z","value":0.5,"seq":7}"#;
        assert_eq!(texts(&heard), [line]);
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_many_events_it_missed_and_goes_on() {
        let feed = Feed::keeping(2);
        let mut watcher = feed.subscribe(LiveKinds::ALL);
        let mut diffs_only = feed.subscribe("diff".parse().expect("a kind"));
        feed.publish([reading(0), reading(1), diff()]);
        feed.publish([reading(2)]);
        feed.publish([reading(3)]);
        feed.publish([reading(4), diff()]);
        let heard = watcher.next().await.expect("the feed goes on");
        assert_eq!((heard.missed, heard.lines.len()), (4, 1));
        let heard = watcher.next().await.expect("the feed goes on");
        assert_eq!((heard.missed, heard.lines.len()), (0, 2));
        let heard = diffs_only.next().await.expect("the feed goes on");
        assert_eq!((heard.missed, heard.lines.len()), (1, 0));
        let heard = diffs_only.next().await.expect("the feed goes on");
        assert_eq!((heard.missed, heard.lines.len()), (0, 1));
    }

    #[test]
    fn with_nobody_watching_events_are_not_even_made() {
        let feed = Feed::default();
        drop(feed.subscribe(LiveKinds::ALL));
        feed.publish(std::iter::once_with(|| panic!("looked at")));
    }

    #[tokio::test]
    async fn a_large_commit_is_cut_into_bounded_batches() {
        let feed = Feed::default();
        let mut watcher = feed.subscribe(LiveKinds::ALL);
        feed.publish((0..1000).map(reading));
        let mut heard = 0;
        while heard < 1000 {
            let batch = watcher.next().await.expect("the feed goes on");
            assert!(batch.lines.iter().map(|line| line.len()).sum::<usize>() < 2 * BATCH_BYTES);
            heard += batch.lines.len();
        }
    }

    #[test]
    fn kinds_are_a_list_of_known_words() {
        assert_eq!("reading,day,diff,rest,alert".parse(), Ok(LiveKinds::ALL));
        assert_eq!(
            "day,days".parse::<LiveKinds>(),
            Err(UnknownKind("days".to_owned()))
        );
        assert_eq!(
            LiveKind::ALL.map(|(kind, _)| kind as usize),
            [0, 1, 2, 3, 4]
        );
    }
}
