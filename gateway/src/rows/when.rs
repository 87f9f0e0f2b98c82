//! Times and days as the API writes and reads them: RFC 3339 in UTC, and `YYYY-MM-DD`.
//!
//! It never knows a zone: what instants a day covers is decided where the calendar is known.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// The instant `ms` milliseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// Text that is neither an RFC 3339 time nor a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// Not a time.
    #[error(
        "`{0}` is not a time: write RFC 3339 such as 2020-01-01T06:00:00Z (in an address, `+` is written `%2B`)"
    )]
    Moment(String),
    /// Not a day.
    #[error("`{0}` is not a day: write YYYY-MM-DD such as 2020-01-01")]
    Date(String),
    /// Neither.
    #[error(
        "`{0}` is neither a time nor a day: write RFC 3339 such as 2020-01-01T06:00:00Z, or YYYY-MM-DD"
    )]
    Edge(String),
}

impl FromStr for Moment {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| BadTime::Moment(text.to_owned()))
    }
}

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(NaiveDate);

impl Date {
    /// The day `number` days after 1970-01-01, if the calendar reaches that far.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        NaiveDate::from_epoch_days(number).map(Self)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0.to_epoch_days()
    }
}

impl From<engine::Day> for Date {
    /// Days that the engine knows lie within the years 1999 to 2100.
    fn from(day: engine::Day) -> Self {
        Self(NaiveDate::from_epoch_days(day.number()).unwrap_or(NaiveDate::MAX))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl FromStr for Date {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        // chrono alone would take "2020-1-1" and "+2020-01-01" too: one form is enough.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) if text.len() == 10 && digits == 8 => Ok(Self(day)),
            Ok(_) | Err(_) => Err(BadTime::Date(text.to_owned())),
        }
    }
}

/// One end of a range, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// An instant.
    At(Moment),
    /// A whole day of the site.
    On(Date),
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(f),
            Self::On(date) => date.fmt(f),
        }
    }
}

impl FromStr for Edge {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        // A `+` that nobody escaped arrives as a space; an RFC 3339 time holds no other.
        let mended = text.replace(' ', "+");
        match (text.parse(), mended.parse()) {
            (Ok(day), _) => Ok(Self::On(day)),
            (Err(_), Ok(time)) => Ok(Self::At(time)),
            (Err(_), Err(_)) => Err(BadTime::Edge(text.to_owned())),
        }
    }
}

/// A range of time with both ends included; `None` is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Nothing before.
    pub from: Option<Edge>,
    /// Nothing after.
    pub to: Option<Edge>,
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_as_many_decimals_as_they_need() {
        assert_eq!(
            Moment(1_577_841_300_000).to_string(),
            "2020-01-01T01:15:00Z"
        );
        assert_eq!(
            Moment(1_577_841_300_250).to_string(),
            "2020-01-01T01:15:00.250Z"
        );
    }

    #[test]
    fn an_offset_counts_even_where_its_plus_was_not_escaped() {
        let at = Edge::At(Moment(1_577_841_300_000));
        assert_eq!("2020-01-01T03:15:00+02:00".parse(), Ok(at));
        assert_eq!("2020-01-01T03:15:00 02:00".parse(), Ok(at));
    }

    #[test]
    fn a_day_has_one_form() {
        assert_eq!("2020-01-01".parse::<Date>().map(Date::number), Ok(18262));
        for text in [
            "2020-1-1",
            "20200101",
            "2020-02-30",
            "+020-01-01",
            "today",
            "",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
            assert!(text.parse::<Edge>().is_err(), "{text}");
        }
    }
}
