//! `2020-01-01 01:15:00` and its relatives, read by hand: this runs once a message.

const MS_PER_SECOND: i64 = 1000;
const MS_PER_MINUTE: i64 = 60 * MS_PER_SECOND;
const MS_PER_HOUR: i64 = 60 * MS_PER_MINUTE;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

/// The length of `YYYY-MM-DD HH:MM:SS`.
const SECONDS_LEN: usize = 19;

/// A date and time that was read, in epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// It said its offset.
    Utc(i64),
    /// It did not: milliseconds as if it were UTC.
    Local(i64),
}

/// Reads `YYYY-MM-DD`, `T` or a blank, `HH:MM:SS`, perhaps a fraction (cut to milliseconds),
/// perhaps an offset. A leap second is the first of the next minute.
pub(super) fn read(text: &str) -> Option<Read> {
    let (whole, rest) = text.as_bytes().split_at_checked(SECONDS_LEN)?;
    let separators = [whole[4], whole[7], whole[13], whole[16]];
    if separators != *b"--::" || !matches!(whole[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = number(&whole[..4])?;
    let month = number(&whole[5..7])?;
    let day = number(&whole[8..10])?;
    let hour = number(&whole[11..13])?;
    let minute = number(&whole[14..16])?;
    let second = number(&whole[17..19])?;
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let (fraction_ms, rest) = fraction(rest)?;
    let ms = days_from_civil(year, month, day) * MS_PER_DAY
        + hour * MS_PER_HOUR
        + minute * MS_PER_MINUTE
        + second * MS_PER_SECOND
        + fraction_ms;
    match rest {
        [] => Some(Read::Local(ms)),
        rest => Some(Read::Utc(ms - offset(rest)?)),
    }
}

/// Decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// The milliseconds of `.25` and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', after @ ..] = rest else {
        return Some((0, rest));
    };
    let digits = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    let (fraction, rest) = after.split_at(digits);
    let ms = (0..3).fold(0, |ms, place| {
        ms * 10
            + fraction
                .get(place)
                .map_or(0, |digit| i64::from(digit - b'0'))
    });
    Some((ms, rest))
}

/// The milliseconds of `Z`, `UTC`, `+01:00`, `+0100` or `+01`, perhaps after a blank.
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, digits) = match rest.strip_prefix(b" ").unwrap_or(rest) {
        b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => ([*h1, *h2], *b"00"),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => ([*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (number(&hours)?, number(&minutes)?);
    (hours < 24 && minutes < 60).then(|| sign * (hours * MS_PER_HOUR + minutes * MS_PER_MINUTE))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms"): years begin in March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn days_are_those_of_the_calendar() {
        let mut date = NaiveDate::from_ymd_opt(1896, 1, 1).expect("a date");
        while date.year() < 2106 {
            let (year, month, day) = (date.year().into(), date.month().into(), date.day().into());
            assert_eq!(
                days_from_civil(year, month, day),
                i64::from(date.to_epoch_days()),
                "{date}"
            );
            assert!(day <= days_in_month(year, month), "{date}");
            date = date.succ_opt().expect("a date");
        }
    }
}
