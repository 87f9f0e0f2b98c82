//! What an alert's entities are known by: in a topic, for good, and to people.

/// `homeassistant/<platform>/sluice-<site>/<object>/config`; there a level is letters, digits, `_` and `-`.
pub(super) fn config_topic(platform: &str, site: &str, id: &str) -> String {
    format!(
        "homeassistant/{platform}/sluice-{site}/{}/config",
        level(id)
    )
}

/// The alert's id as such a level. No two ids have one: `_` is doubled, anything else that does not fit is `_`
/// and its two hexadecimal digits.
fn level(id: &str) -> String {
    let mut level = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => level.push(char::from(byte)),
            b'_' => level.push_str("__"),
            _ => level.push_str(&format!("_{byte:02X}")),
        }
    }
    level
}

/// What tells an entity from any other there, for good. A site holds no colon.
pub(super) fn unique_id(site: &str, id: &str, what: &str) -> String {
    format!("sluice:{site}:{id}:{what}")
}

/// What people write in automations, as long as nobody gives it another name:
/// `binary_sensor.sluice_home_balance_water`. Small letters, digits and `_`; two that come out the same are
/// numbered there.
pub(super) fn entity_id(platform: &str, site: &str, id: &str, end: &str) -> String {
    let mut name = String::new();
    for letter in format!("sluice_{site}_{id}").chars() {
        match letter {
            'a'..='z' | '0'..='9' => name.push(letter),
            'A'..='Z' => name.push(letter.to_ascii_lowercase()),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    format!("{platform}.{}{end}", name.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertId;

    #[test]
    fn a_level_is_fit_for_discovery_and_no_two_alerts_share_one() {
        let level = |subject| level(AlertId::new("persist", subject).as_str());
        assert_eq!(level("Wtot"), "persist-Wtot");
        assert_eq!(level("h0001/W_1"), "persist-h0001_3AW__1");
        assert_eq!(level("a b"), "persist-a_3D20b");
        assert_ne!(level("a_3Ab"), level("a/b"));
        assert_ne!(level("a:b"), level("a/b"));
    }

    #[test]
    fn a_name_for_automations_is_small_letters_and_single_underscores() {
        let id = AlertId::new("balance", "h0001/Küche Süd");
        assert_eq!(
            entity_id("button", "my-home", id.as_str(), "_ack"),
            "button.sluice_my_home_balance_h0001_k_c3_bcche_20s_c3_bcd_ack"
        );
    }
}
