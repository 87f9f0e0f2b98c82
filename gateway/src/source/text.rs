//! A number that people wrote: perhaps with blanks around it and a unit behind it. The unit is not
//! interpreted; what unit a sensor has is its configuration's to say.

use super::{Reason, number};

/// The longest unit that may follow, in bytes: beyond it the text is a sentence, not a reading.
const MAX_UNIT_BYTES: usize = 16;

/// The number at the start of a text such as `21.5 °C`.
pub(super) fn read(text: &str) -> Result<f64, Reason> {
    let text = text.trim();
    let (digits, unit) = text.split_at(number_len(text.as_bytes()));
    if digits.is_empty() || !is_unit(unit.trim_start()) {
        // Not a number and a unit; `number` says best what it is instead.
        return number::read(text);
    }
    number::read(digits)
}

fn is_unit(text: &str) -> bool {
    text.len() <= MAX_UNIT_BYTES
        && text
            .chars()
            .next()
            .is_none_or(|first| first == '%' || first.is_ascii_alphabetic() || !first.is_ascii())
}

/// The length of the decimal number that `bytes` starts with, 0 where there is none. An `e` counts
/// as an exponent only with digits behind it.
fn number_len(bytes: &[u8]) -> usize {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let sign = |at: usize| usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let start = sign(0);
    let whole = digits(start);
    let mut end = start + whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let mantissa_end = end;
        let exponent = end + 1 + sign(end + 1);
        end = match digits(exponent) {
            0 => mantissa_end,
            count => exponent + count,
        };
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_followed_by_a_unit() {
        for (text, expected) in [
            ("21.5 °C", Ok(21.5)),
            ("21.5°C", Ok(21.5)),
            (" 55 % ", Ok(55.0)),
            ("-0.25kWh", Ok(-0.25)),
            ("12 m3", Ok(12.0)),
            ("5 eV", Ok(5.0)),
            ("5e3 W", Ok(5000.0)),
            ("5e", Ok(5.0)),
            ("42", Ok(42.0)),
            ("7. L", Ok(7.0)),
            ("", Err("missing_value")),
            ("°C", Err("not_a_number")),
            ("-", Err("not_a_number")),
            (".", Err("not_a_number")),
            ("ON", Err("not_a_number")),
            ("21,5 °C", Err("not_a_number")),
            ("12:30", Err("not_a_number")),
            ("1.2.3", Err("not_a_number")),
            ("12 34", Err("not_a_number")),
            ("3 is the number of the sensor", Err("not_a_number")),
            ("inf", Err("non_finite")),
            ("1e999 L", Err("non_finite")),
        ] {
            assert_eq!(
                read(text).map_err(|reason| reason.code()),
                expected,
                "{text:?}"
            );
        }
    }
}
