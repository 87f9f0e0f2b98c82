//! What a client may reach: the filters that its topics must match and its subscriptions must fit into.
//!
//! Pure, and quick: every publish asks. Whose filters they are, and how they came to be, is decided elsewhere.

/// A client's reach, one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Whatever is not the gateway's own.
    #[default]
    Everything,
    /// What these filters say, and nothing where there is none.
    Only(Box<[Bound]>),
}

/// One filter that allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    text: Box<str>,
    shape: Shape,
}

/// The usual filters need no walk over the levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// No wildcard.
    Exact,
    /// No wildcard but the last `/#`.
    Below,
    /// Anything else.
    Levels,
}

impl Allowed {
    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Only(Box::default())
    }

    /// What these filters say. They must be valid.
    #[must_use]
    pub fn only(filters: impl IntoIterator<Item = String>) -> Self {
        Self::Only(filters.into_iter().map(Bound::new).collect())
    }

    /// Whether a message may have this topic.
    #[must_use]
    pub fn topic(&self, topic: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(bounds) => bounds.iter().any(|bound| bound.matches(topic)),
        }
    }

    /// Whether a subscription may have this filter (without a share group): one of ours must let through
    /// whatever it lets through. Several that do so together are not seen.
    #[must_use]
    pub fn filter(&self, filter: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(bounds) => bounds.iter().any(|bound| covers(&bound.text, filter)),
        }
    }
}

impl Bound {
    fn new(text: String) -> Self {
        // They say the same, and the shorter one is seen to cover `#`.
        let text = if text == "+/#" { "#".into() } else { text };
        let shape = match text.strip_suffix("/#") {
            Some(above) if !above.contains('+') => Shape::Below,
            None if !text.contains(['+', '#']) => Shape::Exact,
            Some(_) | None => Shape::Levels,
        };
        Self {
            text: text.into(),
            shape,
        }
    }

    fn matches(&self, topic: &str) -> bool {
        match self.shape {
            Shape::Exact => *self.text == *topic,
            Shape::Below => {
                let above = &self.text[..self.text.len() - "/#".len()];
                let below = topic.strip_prefix(above);
                below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
            }
            // A topic is a filter that lets itself through.
            Shape::Levels => covers(&self.text, topic),
        }
    }
}

/// Whether every topic that matches `filter` matches `bound`. A leading wildcard stands for no `$` level
/// (MQTT 5, section 4.7.2).
fn covers(bound: &str, filter: &str) -> bool {
    if filter.starts_with('$') && bound.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = filter.split('/');
    for level in bound.split('/') {
        match (level, levels.next()) {
            // It stands for the level above, too.
            ("#", _) => return true,
            (_, None | Some("#")) => return false,
            ("+", Some(_)) => {}
            (exact, Some(wanted)) if exact == wanted => {}
            (_, Some(_)) => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Filter;
    use proptest::prelude::*;

    fn allowed(filters: &[&str]) -> Allowed {
        Allowed::only(filters.iter().map(|filter| (*filter).to_owned()))
    }

    #[test]
    fn a_subscription_must_fit_into_what_is_allowed() {
        for (bound, filter, expected) in [
            ("a/#", "a/#", true),
            ("a/#", "a", true),
            ("a/#", "a/+/c", true),
            ("a/#", "#", false),
            ("a/#", "+/b", false),
            ("sensors/+/x", "sensors/a/x", true),
            ("sensors/+/x", "sensors/+/x", true),
            ("sensors/+/x", "sensors/#", false),
            ("sensors/+/x", "sensors/+/+", false),
            ("a/+", "a", false),
            ("a/+", "a/#", false),
            ("a/b", "a/b", true),
            ("a/b", "a/+", false),
            ("#", "#", true),
            ("#", "+/#", true),
            ("+/#", "#", true),
            ("#", "$SYS/#", false),
            ("+/#", "$SYS/a", false),
            ("$SYS/#", "$SYS/broker/+", true),
        ] {
            assert_eq!(
                allowed(&[bound]).filter(filter),
                expected,
                "{bound} for {filter}"
            );
        }
        assert!(Allowed::Everything.filter("$SYS/#"));
        assert!(!Allowed::nothing().filter("a") && !Allowed::nothing().topic("a"));
    }

    fn level() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "", "+", "$s"])
    }

    fn filter() -> impl Strategy<Value = String> {
        (prop::collection::vec(level(), 0..4), any::<bool>())
            .prop_map(|(mut levels, open)| {
                levels.extend(open.then_some("#"));
                levels.join("/")
            })
            .prop_filter("a filter has a character", |filter| !filter.is_empty())
    }

    fn topic() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "", "c", "$s"]);
        prop::collection::vec(level, 1..6)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("a topic has a character", |topic| !topic.is_empty())
    }

    /// Every topic of up to four levels over an alphabet with a stranger in it: where a filter of three
    /// levels lets something through that another does not, one of these shows it.
    fn witnesses() -> Vec<String> {
        let alphabet = ["a", "b", "", "z", "$s"];
        let mut topics: Vec<String> = Vec::new();
        let mut longest: Vec<String> = alphabet.map(str::to_owned).to_vec();
        for _ in 0..5 {
            topics.extend(longest.iter().cloned());
            longest = longest
                .iter()
                .flat_map(|above| alphabet.map(|level| format!("{above}/{level}")))
                .collect();
        }
        topics.retain(|topic| !topic.is_empty());
        topics
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("SLUICE_LONG").is_some() { 20_000 } else { 256 }))]

        #[test]
        fn what_is_covered_lets_nothing_else_through(
            bound in filter(), wanted in filter(), topics in prop::collection::vec(topic(), 20),
        ) {
            let limit = allowed(&[&bound]);
            if limit.filter(&wanted) {
                let wanted = Filter::new(&wanted).unwrap();
                for topic in topics.iter().filter(|topic| wanted.matches(topic)) {
                    prop_assert!(limit.topic(topic), "{} lets {} through, {} does not", wanted, topic, bound);
                }
            }
        }

        #[test]
        fn topics_match_as_mqtt_says(bound in filter(), topic in topic()) {
            prop_assert_eq!(allowed(&[&bound]).topic(&topic), Filter::new(&bound).unwrap().matches(&topic));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_not_covered_would_let_something_else_through(bound in filter(), wanted in filter()) {
            let limit = allowed(&[&bound]);
            let wanted_filter = Filter::new(&wanted).unwrap();
            let escapes = witnesses()
                .iter()
                .any(|topic| wanted_filter.matches(topic) && !limit.topic(topic));
            prop_assert_eq!(limit.filter(&wanted), !escapes, "{} for {}", bound, wanted);
        }
    }
}
