//! What to subscribe to at the far broker: the topics of the sources, none that another covers, and the
//! acknowledgements of our alerts. Never our own results: what we say must not come back to us.

/// The filters to subscribe to. `sources` are valid and none of our own; with a `share` they are read
/// as one of a group.
pub(super) fn wanted<'a>(
    sources: impl IntoIterator<Item = &'a str>,
    share: Option<&str>,
    site: &str,
) -> Vec<String> {
    let mut kept: Vec<&str> = Vec::new();
    for filter in sources {
        if kept.iter().any(|wider| covers(wider, filter)) {
            continue;
        }
        kept.retain(|narrower| !covers(filter, narrower));
        kept.push(filter);
    }
    let of_group = |filter: &&str| match share {
        Some(group) => format!("$share/{group}/{filter}"),
        None => (*filter).to_owned(),
    };
    let mut wanted: Vec<String> = kept.iter().map(of_group).collect();
    // Everybody of a group hears of every acknowledgement: whose alert it is, each knows itself.
    wanted.push(format!("sluice/{site}/alert/+/ack"));
    wanted
}

/// Whether `wider` matches every topic that `narrower` matches (MQTT 5, section 4.7).
fn covers(wider: &str, narrower: &str) -> bool {
    if narrower.starts_with('$') && wider.starts_with(['+', '#']) {
        return false;
    }
    let mut narrow = narrower.split('/');
    for level in wider.split('/') {
        if level == "#" {
            return true;
        }
        match narrow.next() {
            Some(found) if found == level => {}
            Some(found) if level == "+" && found != "#" => {}
            Some(_) | None => return false,
        }
    }
    // "a/#" covers "a" as well, and was seen above; here both must have ended.
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_it_matches_all_of() {
        for (wider, narrower, expected) in [
            ("#", "a/b", true),
            ("#", "+/b/#", true),
            ("#", "$x/y", false),
            ("+/y", "$x/y", false),
            ("a/#", "a", true),
            ("a/#", "a/+/c", true),
            ("a/#", "a/#", true),
            ("a/#", "b/#", false),
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("a/b", "a/+", false),
            ("a", "a", true),
            ("a", "a/b", false),
        ] {
            assert_eq!(covers(wider, narrower), expected, "{wider} over {narrower}");
        }
    }

    #[test]
    fn nothing_is_asked_for_twice() {
        let sources = ["sensors/a", "sensors/#", "sensors/+/b", "x/+", "sensors/#"];
        let expected = ["sensors/#", "x/+", "sluice/home/alert/+/ack"];
        assert_eq!(wanted(sources, None, "home"), expected);
    }

    #[test]
    fn a_group_shares_readings_and_not_acknowledgements() {
        assert_eq!(
            wanted(["sensors/#"], Some("sluice"), "home"),
            ["$share/sluice/sensors/#", "sluice/home/alert/+/ack"]
        );
    }
}
