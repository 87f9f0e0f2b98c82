//! Parsers of single values. Each returns the valid value, or what is wrong with it and what is
//! allowed.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use chrono_tz::Tz;
use toml::de::DeValue;

/// Milliseconds in each unit of a duration, the longest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
/// Bytes in each unit of a size, the largest first.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// The most edits between a word and what was probably meant.
const MAX_TYPOS: usize = 2;

/// The shortest word that is taken for a form of another because one begins with the other.
const MIN_STEM: usize = 3;

type Parsed<T> = Result<T, String>;

/// A value of another type than `wanted`.
fn other_type<T>(value: &DeValue<'_>, wanted: &str) -> Parsed<T> {
    Err(format!("is of type {}; write {wanted}", value.type_str()))
}

/// Any text.
pub(super) fn text(value: &DeValue<'_>) -> Parsed<String> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => other_type(value, "a text between quotes"),
    }
}

/// Text that is not empty.
pub(super) fn word(value: &DeValue<'_>) -> Parsed<String> {
    let text = text(value)?;
    if text.is_empty() {
        return Err("is empty; write a text".to_owned());
    }
    Ok(text)
}

/// Text with its own rules; `parse` says how it fails, `allowed` what would do.
pub(super) fn parsed<T, E: Display>(
    parse: impl Fn(&str) -> Result<T, E>,
    allowed: &str,
) -> impl Fn(&DeValue<'_>) -> Parsed<T> {
    move |value| match value.as_str() {
        Some(text) => parse(text).map_err(|error| format!("{text:?} {error}; write {allowed}")),
        None => other_type(value, allowed),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Parsed<bool> {
    value
        .as_bool()
        .map_or_else(|| other_type(value, "true or false"), Ok)
}

/// A finite number.
pub(super) fn number(value: &DeValue<'_>) -> Parsed<f64> {
    let number = match value {
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        DeValue::Integer(_) => integer(value).map(|integer| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "numbers of the configuration are doubles, however they are spelt"
            )]
            let float = integer as f64;
            float
        }),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return other_type(value, "a number"),
    };
    number
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| "is not a finite number; write one such as 12.5".to_owned())
}

/// A number above zero.
pub(super) fn positive(value: &DeValue<'_>) -> Parsed<f64> {
    match number(value)? {
        number if number > 0.0 => Ok(number),
        number => Err(format!("{number} is not above 0; write a positive number")),
    }
}

/// A number that is not zero.
pub(super) fn nonzero(value: &DeValue<'_>) -> Parsed<f64> {
    match number(value)? {
        0.0 => Err("is 0, which would make every value the same; write another number".to_owned()),
        number => Ok(number),
    }
}

/// A whole number within bounds.
pub(super) fn count(allowed: RangeInclusive<usize>) -> impl Fn(&DeValue<'_>) -> Parsed<usize> {
    move |value| {
        let (low, high) = (allowed.start(), allowed.end());
        if !value.is_integer() {
            return other_type(value, &format!("a whole number from {low} to {high}"));
        }
        integer(value)
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| allowed.contains(number))
            .ok_or_else(|| {
                let written = value.as_integer().map(ToString::to_string);
                format!(
                    "{} is not within {low}..={high}",
                    written.unwrap_or_default()
                )
            })
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// A duration within bounds, in milliseconds.
pub(super) fn duration(
    allowed: RangeInclusive<&'static str>,
) -> impl Fn(&DeValue<'_>) -> Parsed<i64> {
    move |value| {
        let form = r#"a whole number and ms, s, m, h or d, such as "15m""#;
        let ms = measured(value, "a duration", form, &DURATION_UNITS, &allowed)?;
        i64::try_from(ms).map_err(|_| format!("is too long; write {form}"))
    }
}

/// A duration as people write it, in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let ms = scaled(text, &DURATION_UNITS).and_then(|ms| i64::try_from(ms).ok());
    ms.ok_or_else(|| {
        format!(r#"{text:?} is not a duration; write a whole number and m, h or d, such as "2h""#)
    })
}

/// A size within bounds, in bytes.
pub(super) fn size(allowed: RangeInclusive<&'static str>) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    move |value| {
        let form = r#"a whole number and B, KiB, MiB or GiB, such as "256KiB""#;
        measured(value, "a size", form, &SIZE_UNITS, &allowed)
    }
}

fn measured(
    value: &DeValue<'_>,
    what: &str,
    form: &str,
    units: &[(&str, u64)],
    allowed: &RangeInclusive<&'static str>,
) -> Parsed<u64> {
    let Some(text) = value.as_str() else {
        return other_type(value, &format!("{what}: {form}"));
    };
    let measure =
        scaled(text, units).ok_or_else(|| format!("{text:?} is not {what}; write {form}"))?;
    let (low, high) = (*allowed.start(), *allowed.end());
    if (scaled(low, units)..=scaled(high, units)).contains(&Some(measure)) {
        Ok(measure)
    } else {
        Err(format!("{text:?} is not within {low} to {high}"))
    }
}

/// A whole number and a unit, multiplied.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&DeValue<'_>) -> Parsed<T> {
    move |value| {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let allowed = names.join(", ");
        let Some(text) = value.as_str() else {
            return other_type(value, &format!("one of {allowed}"));
        };
        match words.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Ok(*value),
            None => Err(format!("{text:?} is not one of {allowed}")),
        }
    }
}

/// A list of values, all valid.
pub(super) fn list<T>(
    parse: impl Fn(&DeValue<'_>) -> Parsed<T>,
) -> impl Fn(&DeValue<'_>) -> Parsed<Vec<T>> {
    move |value| match value.as_array() {
        Some(array) => array.iter().map(|item| parse(item.get_ref())).collect(),
        None => other_type(value, "a list between [ and ]"),
    }
}

/// An IP address and a port.
pub(super) fn address(value: &DeValue<'_>) -> Parsed<SocketAddr> {
    let parse = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| "is not an address and a port")
    };
    parsed(parse, r#"one such as "127.0.0.1:1883" or "[::1]:1883""#)(value)
}

/// A time zone by its IANA name.
pub(super) fn zone(value: &DeValue<'_>) -> Parsed<Tz> {
    let parse = |text: &str| text.parse::<Tz>().map_err(|_| "is not a time zone");
    parsed(parse, r#"an IANA name such as "Europe/Athens" or "UTC""#)(value)
}

/// A path.
pub(super) fn path(value: &DeValue<'_>) -> Parsed<PathBuf> {
    word(value).map(PathBuf::from)
}

/// A URL with one of a few schemes and a host.
pub(super) fn url(schemes: &'static [&'static str]) -> impl Fn(&DeValue<'_>) -> Parsed<String> {
    move |value| {
        let allowed = schemes.join(":// or ");
        let parse = |text: &str| match text.split_once("://") {
            Some((scheme, rest))
                if schemes.contains(&scheme)
                    && !rest.starts_with('/')
                    && !rest.is_empty()
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                Ok(text.to_owned())
            }
            Some(_) | None => Err("is not such a URL"),
        };
        parsed(parse, &format!("{allowed}:// and a host"))(value)
    }
}

/// The known word that was probably meant: one of its slips, or a longer or shorter form.
pub(super) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .filter(|(distance, candidate)| {
            let slip = *distance <= MAX_TYPOS && *distance < candidate.len();
            let form = word.len() >= MIN_STEM
                && (candidate.starts_with(word) || word.starts_with(candidate));
            slip || form
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
