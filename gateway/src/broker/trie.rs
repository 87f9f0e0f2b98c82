//! Who subscribes to what: a tree of topic levels. Matching costs the depth of the topic, not the number
//! of subscriptions. It knows nothing of sessions: what hangs in it is the caller's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a level takes beyond its name, bytes, about.
const LEVEL_BYTES: usize = 256;

/// What a subscription takes beyond its filter's text, which its owner holds too, bytes, about.
const SUBSCRIPTION_BYTES: usize = 192;

/// Subscriptions by filter. Filters are valid (`name::filter`), topics likewise.
#[derive(Debug)]
pub(crate) struct Trie<S> {
    root: Node<S>,
    len: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Node<S> {
    /// Clients choose the levels, so the standard hasher with its random keys stays.
    children: HashMap<Box<str>, Node<S>>,
    plus: Option<Box<Node<S>>>,
    hash: Option<Box<Node<S>>>,
    plain: Vec<(u64, S)>,
    shared: Vec<Group<S>>,
}

#[derive(Debug)]
struct Group<S> {
    name: Box<str>,
    members: Vec<(u64, S)>,
    turn: AtomicUsize,
}

impl<S> Default for Node<S> {
    fn default() -> Self {
        Self {
            children: HashMap::new(),
            plus: None,
            hash: None,
            plain: Vec::new(),
            shared: Vec::new(),
        }
    }
}

impl<S> Node<S> {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.hash.is_none()
            && self.plain.is_empty()
            && self.shared.is_empty()
    }
}

impl<S> Default for Trie<S> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            len: 0,
            bytes: 0,
        }
    }
}

impl<S> Trie<S> {
    /// Subscriptions held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that they take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the subscription of `key` to `path`, or replaces it. Returns what it replaced.
    pub(crate) fn insert(
        &mut self,
        path: &str,
        group: Option<&str>,
        key: u64,
        subscription: S,
    ) -> Option<S> {
        let mut node = &mut self.root;
        for level in path.split('/') {
            let is_new = match level {
                "+" => node.plus.is_none(),
                "#" => node.hash.is_none(),
                name => !node.children.contains_key(name),
            };
            if is_new {
                self.bytes += LEVEL_BYTES + level.len();
            }
            node = match level {
                "+" => node.plus.get_or_insert_default(),
                "#" => node.hash.get_or_insert_default(),
                name if is_new => node.children.entry(name.into()).or_default(),
                name => node.children.get_mut(name).expect("just looked up"),
            };
        }
        let members = match group {
            None => &mut node.plain,
            Some(name) => {
                let at = node
                    .shared
                    .iter()
                    .position(|group| &*group.name == name)
                    .unwrap_or_else(|| {
                        node.shared.push(Group {
                            name: name.into(),
                            members: Vec::new(),
                            turn: AtomicUsize::new(0),
                        });
                        node.shared.len() - 1
                    });
                &mut node.shared[at].members
            }
        };
        if let Some(held) = members.iter_mut().find(|(holder, _)| *holder == key) {
            return Some(std::mem::replace(&mut held.1, subscription));
        }
        members.push((key, subscription));
        self.len += 1;
        self.bytes += SUBSCRIPTION_BYTES + path.len();
        None
    }

    /// Removes the subscription of `key` to `path`, and the levels that nobody else needs.
    pub(crate) fn remove(&mut self, path: &str, group: Option<&str>, key: u64) -> Option<S> {
        let removed = remove(&mut self.root, Some(path), group, key, &mut self.bytes);
        if removed.is_some() {
            self.len -= 1;
            self.bytes -= SUBSCRIPTION_BYTES + path.len();
        }
        removed
    }

    /// Calls `hit` for every subscription that `topic` matches, one for each share group: its members take
    /// turns, those that `ready` prefers before the others.
    pub(crate) fn matches<'a>(
        &'a self,
        topic: &str,
        ready: impl Fn(&S) -> bool,
        mut hit: impl FnMut(u64, &'a S),
    ) {
        // A leading wildcard does not match $SYS and its like: MQTT 5 section 4.7.2.
        let wild = !topic.starts_with('$');
        visit(&self.root, Some(topic), wild, &ready, &mut hit);
    }
}

fn remove<S>(
    node: &mut Node<S>,
    rest: Option<&str>,
    group: Option<&str>,
    key: u64,
    bytes: &mut usize,
) -> Option<S> {
    let Some(rest) = rest else {
        return match group {
            None => take(&mut node.plain, key),
            Some(name) => {
                let at = node.shared.iter().position(|group| &*group.name == name)?;
                let removed = take(&mut node.shared[at].members, key);
                if node.shared[at].members.is_empty() {
                    node.shared.remove(at);
                }
                removed
            }
        };
    };
    let (level, rest) = split(rest);
    match level {
        "+" | "#" => {
            let slot = if level == "+" {
                &mut node.plus
            } else {
                &mut node.hash
            };
            let child = slot.as_mut()?;
            let removed = remove(child, rest, group, key, bytes);
            if child.is_empty() {
                *slot = None;
                *bytes -= LEVEL_BYTES + level.len();
            }
            removed
        }
        name => {
            let child = node.children.get_mut(name)?;
            let removed = remove(child, rest, group, key, bytes);
            if child.is_empty() {
                node.children.remove(name);
                *bytes -= LEVEL_BYTES + name.len();
            }
            removed
        }
    }
}

fn take<S>(members: &mut Vec<(u64, S)>, key: u64) -> Option<S> {
    let at = members.iter().position(|(holder, _)| *holder == key)?;
    Some(members.remove(at).1)
}

fn visit<'a, S>(
    node: &'a Node<S>,
    rest: Option<&str>,
    wild: bool,
    ready: &impl Fn(&S) -> bool,
    hit: &mut impl FnMut(u64, &'a S),
) {
    if wild && let Some(hash) = &node.hash {
        give(hash, ready, hit);
    }
    let Some(rest) = rest else {
        return give(node, ready, hit);
    };
    let (level, rest) = split(rest);
    if wild && let Some(plus) = &node.plus {
        visit(plus, rest, true, ready, hit);
    }
    if let Some(child) = node.children.get(level) {
        visit(child, rest, true, ready, hit);
    }
}

fn give<'a, S>(node: &'a Node<S>, ready: &impl Fn(&S) -> bool, hit: &mut impl FnMut(u64, &'a S)) {
    for (key, subscription) in &node.plain {
        hit(*key, subscription);
    }
    for group in &node.shared {
        let turn = group.turn.fetch_add(1, Ordering::Relaxed);
        let count = group.members.len();
        let in_turn = || (0..count).map(|step| &group.members[(turn + step) % count]);
        let chosen = in_turn()
            .find(|(_, subscription)| ready(subscription))
            .or_else(|| in_turn().next());
        if let Some((key, subscription)) = chosen {
            hit(*key, subscription);
        }
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (path, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, as slowly as the standard says it (MQTT 5, 4.7).
    fn naive(filter: &str, topic: &str) -> bool {
        let filter: Vec<&str> = filter.split('/').collect();
        let topic_levels: Vec<&str> = topic.split('/').collect();
        if topic.starts_with('$') && matches!(filter[0], "+" | "#") {
            return false;
        }
        for (at, level) in filter.iter().enumerate() {
            match (*level, topic_levels.get(at)) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (name, Some(other)) if name == *other => {}
                (_, _) => return false,
            }
        }
        filter.len() == topic_levels.len()
    }

    fn hits(trie: &Trie<()>, topic: &str) -> Vec<u64> {
        let mut keys = Vec::new();
        trie.matches(topic, |()| true, |key, ()| keys.push(key));
        keys.sort_unstable();
        keys
    }

    fn level() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["", "a", "b", "Ö", "$x"])
    }

    fn topic() -> impl Strategy<Value = String> {
        prop::collection::vec(level(), 1..5).prop_map(|levels| levels.join("/"))
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![3 => level(), 2 => Just("+")];
        (prop::collection::vec(level, 0..5), any::<bool>()).prop_map(|(mut levels, hash)| {
            if hash || levels.is_empty() {
                levels.push("#");
            }
            levels.join("/")
        })
    }

    proptest! {
        #[test]
        fn the_tree_matches_what_the_definition_matches(
            filters in prop::collection::vec(filter(), 0..12),
            gone in prop::collection::vec(any::<bool>(), 12),
            topics in prop::collection::vec(topic(), 1..6),
        ) {
            let mut trie = Trie::default();
            for (key, filter) in (0..).zip(&filters) {
                trie.insert(filter, None, key, ());
            }
            for ((key, filter), gone) in (0..).zip(&filters).zip(&gone) {
                if *gone {
                    prop_assert!(trie.remove(filter, None, key).is_some());
                }
            }
            for topic in &topics {
                let expected: Vec<u64> = (0..).zip(filters.iter().zip(&gone))
                    .filter(|(_, (filter, gone))| !**gone && naive(filter, topic))
                    .map(|(key, _)| key)
                    .collect();
                prop_assert_eq!(hits(&trie, topic), expected, "{}", topic);
            }
        }

        #[test]
        fn what_is_removed_leaves_nothing_behind(filters in prop::collection::vec(filter(), 0..12)) {
            let mut trie = Trie::default();
            for (key, filter) in (0..).zip(&filters) {
                trie.insert(filter, (key % 2 == 0).then_some("g"), key, ());
            }
            for (key, filter) in (0..).zip(&filters) {
                trie.remove(filter, (key % 2 == 0).then_some("g"), key);
            }
            prop_assert_eq!((trie.len(), trie.bytes()), (0, 0));
            prop_assert!(trie.root.is_empty());
        }
    }

    #[test]
    fn a_share_group_takes_turns_and_prefers_those_who_are_here() {
        let mut trie = Trie::default();
        for (key, here) in [(1, true), (2, false), (3, true)] {
            trie.insert("a", Some("g"), key, here);
        }
        let mut served = Vec::new();
        for _ in 0..6 {
            trie.matches("a", |here| *here, |key, _| served.push(key));
        }
        assert!(!served.contains(&2));
        assert!(served.contains(&1) && served.contains(&3));
    }

    #[test]
    fn subscribing_again_replaces() {
        let mut trie = Trie::default();
        assert_eq!(trie.insert("a", None, 7, 1), None);
        assert_eq!(trie.insert("a", None, 7, 2), Some(1));
        assert_eq!(trie.len(), 1);
    }
}
