//! Retained messages: the last of each topic, for those who subscribe later. Bounded by count and bytes;
//! a topic that does not fit is delivered, but not retained.

use super::message::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The retained messages, by topic.
#[derive(Debug)]
pub(crate) struct Retained {
    topics: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    /// Promised to publishes that are on their way to disk.
    promised_count: usize,
    promised_bytes: usize,
    limit_count: usize,
    limit_bytes: usize,
}

impl Retained {
    pub(crate) fn new(limit_count: usize, limit_bytes: usize) -> Self {
        Self {
            topics: BTreeMap::new(),
            bytes: 0,
            promised_count: 0,
            promised_bytes: 0,
            limit_count,
            limit_bytes,
        }
    }

    /// Messages held.
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Their bytes, with [`super::limits::MESSAGE_OVERHEAD`] a message.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Asks for room before the commit. A replacement counts in full until it is settled: an estimate on
    /// the safe side.
    #[must_use = "a message without room must not be written"]
    pub(crate) fn promise(&mut self, message: &Message) -> bool {
        let new = usize::from(!self.topics.contains_key(message.topic_str()));
        let fits = self.topics.len() + self.promised_count + new <= self.limit_count
            && self.bytes + self.promised_bytes + message.weight() <= self.limit_bytes;
        if fits {
            self.promised_count += 1;
            self.promised_bytes += message.weight();
        }
        fits
    }

    /// Gives promised room back.
    pub(crate) fn release(&mut self, message: &Message) {
        self.promised_count = self.promised_count.saturating_sub(1);
        self.promised_bytes = self.promised_bytes.saturating_sub(message.weight());
    }

    /// Sets or replaces; the caller has asked for room, or restores what was stored.
    pub(crate) fn set(&mut self, message: Arc<Message>) {
        self.bytes += message.weight();
        if let Some(old) = self.topics.insert(message.topic_str().into(), message) {
            self.bytes -= old.weight();
        }
    }

    pub(crate) fn clear(&mut self, topic: &str) {
        if let Some(old) = self.topics.remove(topic) {
            self.bytes -= old.weight();
        }
    }

    /// Calls `hit` for every retained message that `filter` matches, in order of topic. Reads only the
    /// topics that share the filter's literal beginning.
    pub(crate) fn matches(&self, filter: &str, mut hit: impl FnMut(&Arc<Message>)) {
        let literal = &filter[..filter.find(['+', '#']).unwrap_or(filter.len())];
        // `a/#` matches `a` too, which lacks the slash.
        let start = if filter.ends_with('#') {
            literal.strip_suffix('/').unwrap_or(literal)
        } else {
            literal
        };
        let from_start = (std::ops::Bound::Included(start), std::ops::Bound::Unbounded);
        for (topic, message) in self.topics.range::<str, _>(from_start) {
            if !topic.starts_with(start) {
                break;
            }
            if filter_matches(filter, topic) {
                hit(message);
            }
        }
    }
}

/// Whether one filter matches one topic.
fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            (wanted, Some(level)) => {
                if wanted != "+" && wanted != level {
                    return false;
                }
            }
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::Qos;

    fn message(topic: &str) -> Arc<Message> {
        Arc::new(Message::new(topic, b"x", Qos::AtMostOnce, true))
    }

    fn holding(topics: &[&str]) -> Retained {
        let mut retained = Retained::new(100, 100_000);
        for topic in topics {
            retained.set(message(topic));
        }
        retained
    }

    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        let mut topics = Vec::new();
        retained.matches(filter, |message| {
            topics.push(message.topic_str().to_owned());
        });
        topics
    }

    #[test]
    fn a_filter_finds_its_topics_and_no_others() {
        let retained = holding(&["a", "a/b", "a/c/d", "ab", "$SYS/x", "Öl/x", "/a"]);
        assert_eq!(found(&retained, "a/#"), ["a", "a/b", "a/c/d"]);
        assert_eq!(found(&retained, "a/+"), ["a/b"]);
        assert_eq!(
            found(&retained, "#"),
            ["/a", "a", "a/b", "a/c/d", "ab", "Öl/x"]
        );
        assert_eq!(found(&retained, "$SYS/#"), ["$SYS/x"]);
        assert_eq!(found(&retained, "+/x"), ["Öl/x"]);
        assert_eq!(found(&retained, "/+"), ["/a"]);
        assert_eq!(found(&retained, "ab"), ["ab"]);
    }

    #[test]
    fn clearing_gives_the_room_back() {
        let mut retained = Retained::new(1, 100_000);
        assert!(retained.promise(&message("a")));
        retained.release(&message("a"));
        retained.set(message("a"));
        assert!(!retained.promise(&message("b")));
        retained.clear("a");
        assert!(retained.promise(&message("b")));
        assert_eq!(retained.bytes, 0);
    }
}
