//! What people call an alert: two or three words and its subject.

/// `Leak: water`, `No readings: TH1`, `Store full`. `unit` is that of the flow or of the amount, which tells
/// water from anything else.
#[must_use]
pub fn title(kind: &str, subject: &str, unit: Option<&str>) -> String {
    let is_water = matches!(unit, Some("L/h" | "L"));
    let what = match kind {
        "persist" | "balance" if is_water => "Leak",
        "persist" | "balance" => "Unexplained use",
        "daily" => "Daily use rose",
        "day_shock" => "Day above all others",
        "base_load" => "Base load rose",
        "away" => "Flow while nobody is there",
        "high_flow" => "High flow",
        "commissioning" => "Never at rest",
        "silent" => "No readings",
        "flag" => "The device's own alarm",
        other => &capital(other),
    };
    if kind.starts_with(subject) {
        what.to_owned() // the store is full, and not the store of the store
    } else {
        format!("{what}: {subject}")
    }
}

/// `store_full` as `Store full`.
fn capital(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let rest = letters.map(|letter| if letter == '_' { ' ' } else { letter });
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_and_of_what() {
        for (kind, subject, unit, expected) in [
            ("balance", "water", Some("L/h"), "Leak: water"),
            ("persist", "Wtot", Some("L"), "Leak: Wtot"),
            ("balance", "energy", Some("W"), "Unexplained use: energy"),
            ("silent", "TH1", None, "No readings: TH1"),
            ("store_full", "store", None, "Store full"),
            ("brand_new", "x", None, "Brand new: x"),
        ] {
            assert_eq!(title(kind, subject, unit), expected);
        }
    }
}
