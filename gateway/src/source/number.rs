//! A value as text: a bare number, finite.

use super::Reason;

/// The number that a text is, blanks around it aside.
pub(super) fn read(text: &str) -> Result<f64, Reason> {
    let number = text.trim();
    if number.is_empty() {
        return Err(Reason::MissingValue);
    }
    match number.parse::<f64>() {
        Ok(value) => finite(value),
        Err(_) => Err(Reason::NotANumber(Reason::quoted(number))),
    }
}

/// Refuses NaN and the infinities.
pub(super) fn finite(value: f64) -> Result<f64, Reason> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Reason::NonFinite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_read_and_nothing_else() {
        for (text, expected) in [
            ("21.5", Ok(21.5)),
            ("  -3\r\n", Ok(-3.0)),
            ("+1e3", Ok(1000.0)),
            (".5", Ok(0.5)),
            ("", Err("missing_value")),
            (" \t", Err("missing_value")),
            ("ON", Err("not_a_number")),
            ("true", Err("not_a_number")),
            ("21,5", Err("not_a_number")),
            ("0x10", Err("not_a_number")),
            ("21.5 C", Err("not_a_number")),
            ("NaN", Err("non_finite")),
            ("-inf", Err("non_finite")),
            ("1e999", Err("non_finite")),
        ] {
            assert_eq!(
                read(text).map_err(|reason| reason.code()),
                expected,
                "{text:?}"
            );
        }
    }
}
