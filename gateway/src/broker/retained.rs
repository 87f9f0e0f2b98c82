//! Retained messages: the last of each topic, for those who subscribe later. Bounded by count and bytes;
//! a topic that does not fit is delivered, but not retained.

use super::message::Message;
use super::pass::Passed;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The retained messages, by topic.
#[derive(Debug)]
pub(crate) struct Retained {
    topics: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    /// To publishes that are on their way to disk.
    promised: Room,
    limit: Room,
}

/// Promised to a message; given back by [`Retained::keep`] or [`Retained::release`].
#[must_use = "room that is not given back is lost"]
#[derive(Debug, Default)]
pub(crate) struct Room {
    count: usize,
    bytes: usize,
}

impl Retained {
    pub(crate) fn new(limit_count: usize, limit_bytes: usize) -> Self {
        Self {
            topics: BTreeMap::new(),
            bytes: 0,
            promised: Room::default(),
            limit: Room {
                count: limit_count,
                bytes: limit_bytes,
            },
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

    /// Asks for room before the commit; `None`: there is none. A replacement needs room for what it is larger
    /// than the message it replaces.
    pub(crate) fn promise(&mut self, message: &Message) -> Option<Room> {
        let held = self.topics.get(message.topic_str());
        let room = Room {
            count: usize::from(held.is_none()),
            bytes: message
                .weight()
                .saturating_sub(held.map_or(0, |held| held.weight())),
        };
        let fits = self.topics.len() + self.promised.count + room.count <= self.limit.count
            && self.bytes + self.promised.bytes + room.bytes <= self.limit.bytes;
        fits.then(|| {
            self.promised.count += room.count;
            self.promised.bytes += room.bytes;
            room
        })
    }

    /// Gives promised room back.
    pub(crate) fn release(&mut self, room: Room) {
        self.promised.count -= room.count;
        self.promised.bytes -= room.bytes;
    }

    /// Whether what is held of the topic passed the writer later than `passed`, and so is newer.
    pub(crate) fn is_ahead(&self, topic: &str, passed: Passed) -> bool {
        let held = self.topics.get(topic).and_then(|held| held.passed());
        held.is_some_and(|held| held > passed)
    }

    /// Sets or replaces what there is room for.
    pub(crate) fn keep(&mut self, message: Arc<Message>, room: Room) {
        self.release(room);
        self.restore(message);
    }

    /// Sets or replaces what was stored, whatever the bounds are now.
    pub(crate) fn restore(&mut self, message: Arc<Message>) {
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
    use proptest::prelude::*;

    fn message(topic: &str) -> Arc<Message> {
        Arc::new(Message::new(topic, b"x", Qos::AtMostOnce, true))
    }

    fn holding(topics: &[&str]) -> Retained {
        let mut retained = Retained::new(100, 100_000);
        for topic in topics {
            retained.restore(message(topic));
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
        let room = retained.promise(&message("a")).expect("it is the first");
        retained.keep(message("a"), room);
        assert!(retained.promise(&message("b")).is_none());
        retained.clear("a");
        let room = retained.promise(&message("b")).expect("a is gone");
        retained.release(room);
        assert_eq!(retained.bytes, 0);
    }

    #[test]
    fn a_full_store_still_replaces_however_many_replacements_one_commit_holds() {
        let weight = message("a").weight();
        let mut retained = Retained::new(2, 2 * weight);
        for topic in ["a", "b"] {
            retained.restore(message(topic));
        }
        let rooms: Vec<_> = ["a", "b", "a", "a"]
            .into_iter()
            .filter_map(|topic| retained.promise(&message(topic)))
            .collect();
        assert_eq!(rooms.len(), 4);
        let larger = Message::new("a", b"xx", Qos::AtMostOnce, true);
        assert!(retained.promise(&larger).is_none(), "not by a byte");
    }

    proptest! {
        /// Whatever is promised, kept, released and cleared in whatever order: both bounds hold, and what is
        /// counted is what is there.
        #[test]
        fn both_bounds_hold_and_nothing_leaks(
            acts in prop::collection::vec((0..4_u8, 0..6_u8, 0..200_usize), 0..200),
        ) {
            let mut retained = Retained::new(4, 1200);
            let mut promised = Vec::new();
            for (act, topic, len) in acts {
                let topic = topic.to_string();
                match act {
                    0 | 1 => {
                        let message = Message::new(&topic, &vec![0; len], Qos::AtMostOnce, true);
                        if let Some(room) = retained.promise(&message) {
                            promised.push((Arc::new(message), room));
                        }
                    }
                    // As the writer does: a group is settled whole before the next one is planned.
                    2 => {
                        for (message, room) in promised.drain(..) {
                            retained.keep(message, room);
                        }
                        retained.clear(&topic);
                    }
                    _ => promised.drain(..).for_each(|(_, room)| retained.release(room)),
                }
                let held: usize = retained.topics.values().map(|message| message.weight()).sum();
                prop_assert_eq!(retained.bytes, held);
                prop_assert!(retained.len() <= 4 && retained.bytes <= 1200);
            }
            promised.drain(..).for_each(|(_, room)| retained.release(room));
            prop_assert_eq!((retained.promised.count, retained.promised.bytes), (0, 0));
        }
    }
}
