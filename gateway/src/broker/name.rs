//! What a topic, a filter and a client id may look like (MQTT 5, sections 4.7 and 1.5.4). Stricter than
//! the codec, which lets empty levels of meaning through; never matches anything: that is the trie's.
//!
//! The standard leaves it to a broker whether names may hold control characters and code points that are no
//! characters. They may not, as with mosquitto: names end up in logs and on terminals.

use super::limits::{CLIENT_ID_BYTES, TOPIC_BYTES, TOPIC_LEVELS};

/// A filter split into its share group, if any, and the topic filter proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    pub(crate) group: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// What is wrong with a topic to publish to, and what to do; `None` is a good one.
pub(crate) fn topic_fault(topic: &str) -> Option<&'static str> {
    if topic.is_empty() {
        return Some("the topic is empty; name one");
    }
    if topic.contains(['+', '#']) {
        return Some("the topic holds a wildcard, + or #; publish to one topic");
    }
    size_fault(topic).or_else(|| {
        let faulty = topic.chars().any(is_unprintable);
        faulty.then_some("the topic holds a control character; leave it out")
    })
}

/// Length and depth, which topics and filters share.
fn size_fault(name: &str) -> Option<&'static str> {
    if name.len() > TOPIC_BYTES {
        return Some("the topic is longer than 4096 bytes; shorten it");
    }
    let levels = 1 + name.bytes().filter(|byte| *byte == b'/').count();
    (levels > TOPIC_LEVELS).then_some("the topic has more than 128 levels; use fewer")
}

fn is_unprintable(char: char) -> bool {
    let code = u32::from(char);
    char.is_control() || code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code)
}

/// Splits and checks a subscription's filter; `None` is an invalid one.
pub(crate) fn filter(text: &str) -> Option<Filter<'_>> {
    match text.strip_prefix("$share/") {
        None => valid_filter(text).then_some(Filter {
            group: None,
            path: text,
        }),
        Some(rest) => {
            let (group, path) = rest.split_once('/')?;
            let named = !group.is_empty()
                && group.len() <= TOPIC_BYTES
                && !group.contains(['+', '#'])
                && !group.chars().any(is_unprintable);
            (named && valid_filter(path)).then_some(Filter {
                group: Some(group),
                path,
            })
        }
    }
}

/// What is wrong with a client id; `None` is a good one. `+ $ # /` are as good as other characters.
pub(crate) fn client_id_fault(id: &str) -> Option<&'static str> {
    if id.len() > CLIENT_ID_BYTES {
        return Some("the client id is longer than 1024 bytes; shorten it");
    }
    let faulty = id.chars().any(is_unprintable);
    faulty.then_some("the client id holds a control character; leave it out")
}

fn valid_filter(path: &str) -> bool {
    if path.is_empty() || size_fault(path).is_some() || path.chars().any(is_unprintable) {
        return false;
    }
    let mut ended = false;
    for level in path.split('/') {
        if ended || (level.len() > 1 && level.contains(['+', '#'])) {
            return false;
        }
        ended = level == "#";
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_begin_with_any_character_but_holds_no_wildcard() {
        for good in ["a", "Öl/x", "/", "a//b", "$SYS/x", "🚰/W1"] {
            assert_eq!(topic_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "a/+",
            "#",
            "a\0b",
            "a\n",
            "a\u{85}",
            "a\u{FFFE}",
            "\u{FDD0}",
        ] {
            assert!(topic_fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_topic_and_a_filter_end_where_their_limits_are() {
        let longest = "x".repeat(TOPIC_BYTES);
        let deepest = "/".repeat(TOPIC_LEVELS - 1);
        for good in [&longest, &deepest] {
            assert_eq!(topic_fault(good), None);
            assert!(filter(good).is_some());
        }
        for bad in [longest + "x", deepest + "/"] {
            assert!(topic_fault(&bad).is_some());
            assert!(filter(&bad).is_none());
            assert!(filter(&format!("$share/g/{bad}")).is_none());
        }
    }

    #[test]
    fn a_wildcard_fills_its_level_and_a_hash_ends_the_filter() {
        for good in ["#", "+", "a/+/b", "a/#", "/", "+/+", "$share/g/a/#", "Öl/+"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "a#",
            "#/a",
            "a+/b",
            "a/##",
            "$share/g",
            "$share//a",
            "$share/g+/a",
            "$share/g/",
            "a\0",
        ] {
            assert!(filter(bad).is_none(), "{bad:?}");
        }
        assert_eq!(
            filter("$share/g/a/b"),
            Some(Filter {
                group: Some("g"),
                path: "a/b"
            })
        );
    }
}
