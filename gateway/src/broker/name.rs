//! What a topic, a filter and a client id may look like (MQTT 5, sections 4.7 and 1.5.4). Stricter than
//! the codec, which lets empty levels of meaning through; never matches anything: that is the trie's.

use super::limits::{CLIENT_ID_BYTES, TOPIC_LEVELS};

/// A filter split into its share group, if any, and the topic filter proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    pub(crate) group: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// Whether a client may publish to `topic`: not empty, no wildcards, no NUL, not too deep.
pub(crate) fn valid_topic(topic: &str) -> bool {
    let mut levels = 1;
    for byte in topic.bytes() {
        match byte {
            b'+' | b'#' | 0 => return false,
            b'/' => levels += 1,
            _ => {}
        }
    }
    !topic.is_empty() && levels <= TOPIC_LEVELS
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
            let named = !group.is_empty() && !group.contains(['+', '#', '\0']);
            (named && valid_filter(path)).then_some(Filter {
                group: Some(group),
                path,
            })
        }
    }
}

/// Whether a client may call itself so. Any character but NUL: `+ $ # /` are as good as others.
pub(crate) fn valid_client_id(id: &str) -> bool {
    id.len() <= CLIENT_ID_BYTES && !id.contains('\0')
}

fn valid_filter(path: &str) -> bool {
    if path.is_empty() || path.contains('\0') {
        return false;
    }
    let mut ended = false;
    let mut depth = 0;
    for level in path.split('/') {
        depth += 1;
        if ended || (level.len() > 1 && level.contains(['+', '#'])) {
            return false;
        }
        ended = level == "#";
    }
    depth <= TOPIC_LEVELS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_begin_with_any_character_but_holds_no_wildcard() {
        for good in ["a", "Öl/x", "/", "a//b", "$SYS/x", "🚰/W1"] {
            assert!(valid_topic(good), "{good}");
        }
        for bad in ["", "a/+", "#", "a\0b"] {
            assert!(!valid_topic(bad), "{bad:?}");
        }
        assert!(!valid_topic(&"/".repeat(TOPIC_LEVELS)));
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
