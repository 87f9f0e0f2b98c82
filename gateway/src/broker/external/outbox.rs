//! Results on their way to the far broker: of each topic the newest, and no more of them on their way
//! than fit the window. A topic that changes faster than the far broker takes it costs no memory.

use crate::broker::Message;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Topics that wait at most: more than the broker retains.
const TOPICS: usize = 40_000;

/// What waits to be published, and how much is on its way.
#[derive(Debug)]
pub(super) struct Outbox {
    window: usize,
    on_their_way: usize,
    order: VecDeque<Arc<str>>,
    newest: HashMap<Arc<str>, Arc<Message>>,
}

impl Outbox {
    /// At most `window` messages are on their way at once.
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            on_their_way: 0,
            order: VecDeque::new(),
            newest: HashMap::new(),
        }
    }

    /// The far broker allows another window.
    pub(super) fn set_window(&mut self, window: usize) {
        self.window = window;
    }

    /// Nothing waits, nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way == 0 && self.order.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.order.len() < TOPICS
    }

    /// Takes the place of what waits on the same topic.
    pub(super) fn put(&mut self, message: Arc<Message>) {
        let topic: Arc<str> = message.topic_str().into();
        if self.newest.insert(Arc::clone(&topic), message).is_none() {
            self.order.push_back(topic);
        }
    }

    /// The next to publish, if the window has room.
    pub(super) fn next(&mut self) -> Option<Arc<Message>> {
        if self.on_their_way >= self.window {
            return None;
        }
        let topic = self.order.pop_front()?;
        self.on_their_way += 1;
        self.newest.remove(&topic)
    }

    /// One of those on their way has arrived, or was not sent after all.
    pub(super) fn landed(&mut self) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Qos;

    fn put(outbox: &mut Outbox, topic: &str, payload: &str) {
        let message = Message::new(topic, payload.as_bytes(), Qos::AtLeastOnce, true);
        outbox.put(Arc::new(message));
    }

    fn next(outbox: &mut Outbox) -> Option<(String, String)> {
        let message = outbox.next()?;
        let payload = String::from_utf8_lossy(message.payload()).into_owned();
        Some((message.topic_str().to_owned(), payload))
    }

    fn pair(topic: &str, payload: &str) -> (String, String) {
        (topic.to_owned(), payload.to_owned())
    }

    #[test]
    fn of_each_topic_the_newest_is_published_in_the_order_of_the_first() {
        let mut outbox = Outbox::new(10);
        for (topic, payload) in [("a", "1"), ("b", "1"), ("a", "2")] {
            put(&mut outbox, topic, payload);
        }
        assert_eq!(next(&mut outbox), Some(pair("a", "2")));
        put(&mut outbox, "a", "3");
        assert_eq!(next(&mut outbox), Some(pair("b", "1")));
        assert_eq!(next(&mut outbox), Some(pair("a", "3")));
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn the_window_holds_back_what_does_not_fit() {
        let mut outbox = Outbox::new(1);
        put(&mut outbox, "a", "1");
        put(&mut outbox, "b", "1");
        assert_eq!(next(&mut outbox), Some(pair("a", "1")));
        assert_eq!(next(&mut outbox), None);
        outbox.landed();
        assert_eq!(next(&mut outbox), Some(pair("b", "1")));
        assert!(!outbox.is_empty());
        outbox.landed();
        assert!(outbox.is_empty());
    }
}
