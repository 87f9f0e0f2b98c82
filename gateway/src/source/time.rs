//! The time that a device wrote, as UTC milliseconds. Whether that time is plausible is not judged
//! here.

mod civil;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use std::fmt::Write as _;
use thiserror::Error;

use super::Reason;

/// Epoch numbers above this are milliseconds: as seconds it would be the year 5138.
const EPOCH_MS_ABOVE: f64 = 1e11;

/// How finely, and how far back, the last instant before a gap in local time is searched.
const GAP_STEP_MINUTES: i64 = 15;
/// A day and an hour: the largest gap known is the day that Samoa left out in 2011.
const GAP_STEPS: i64 = 25 * 60 / GAP_STEP_MINUTES;

/// When a reading was measured, as far as its message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamped {
    /// At this instant, epoch milliseconds UTC.
    At(i64),
    /// At this instant, but the local time was not one instant.
    AtFlagged(i64, TimeFlag),
    /// The message says nothing: at its arrival.
    Arrival,
}

/// What was wrong with a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFlag {
    /// It happened twice, when clocks were set back; the earlier was taken.
    AmbiguousLocal,
    /// It never happened, because clocks were set forward over it; it was shifted forward by as
    /// much.
    SkippedLocal,
}

/// How a source's times are read.
#[derive(Clone, Debug)]
pub struct TimeRule {
    /// The zone of times without an offset.
    pub zone: Tz,
    /// The format; `None`: RFC 3339 and its relatives, and epoch seconds or milliseconds.
    pub format: Option<TimeFormat>,
}

/// A format of chrono's `strftime`, with at least a date and a time of day in it.
#[derive(Clone, Debug)]
pub struct TimeFormat(Vec<Item<'static>>);

/// Why a text is not a time format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TimeFormatError {
    /// A `%` that is followed by nothing known.
    #[error("has a % that strftime does not know")]
    Unknown,
    /// What it writes cannot be read back.
    #[error("does not say both date and time of day")]
    Incomplete,
}

impl TimeRule {
    /// Reads a time that was written as text.
    ///
    /// # Errors
    /// [`Reason::BadTime`] where it is not one.
    pub fn read(&self, text: &str) -> Result<Stamped, Reason> {
        let text = text.trim();
        let read = match &self.format {
            Some(format) => format.read(text, self.zone),
            None => match civil::read(text) {
                Some(civil::Read::Utc(ms)) => Some(Stamped::At(ms)),
                Some(civil::Read::Local(ms)) => in_zone(ms, self.zone),
                None => return Self::read_epoch_text(text),
            },
        };
        read.ok_or_else(|| Reason::BadTime(Reason::quoted(text)))
    }

    /// Reads epoch seconds, or milliseconds above 10¹¹; fractions of a millisecond are rounded.
    ///
    /// # Errors
    /// [`Reason::BadTime`] where it is not finite.
    pub fn read_epoch(epoch: f64) -> Result<Stamped, Reason> {
        if !epoch.is_finite() {
            return Err(Reason::BadTime(epoch.to_string().into()));
        }
        let ms = if epoch > EPOCH_MS_ABOVE {
            epoch
        } else {
            epoch * 1000.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "beyond i64 it saturates, and any such time is refused as out of range"
        )]
        Ok(Stamped::At(ms.round() as i64))
    }

    fn read_epoch_text(text: &str) -> Result<Stamped, Reason> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let epoch = digits
            .starts_with(|first: char| first.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
            .ok_or_else(|| Reason::BadTime(Reason::quoted(text)))?;
        Self::read_epoch(epoch)
    }
}

impl TimeFormat {
    /// Checks a format by writing a time and reading it back.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn new(format: &str) -> Result<Self, TimeFormatError> {
        let items = StrftimeItems::new(format)
            .parse_to_owned()
            .map_err(|_| TimeFormatError::Unknown)?;
        if items.iter().any(|item| matches!(item, Item::Error)) {
            return Err(TimeFormatError::Unknown);
        }
        let format = Self(items);
        let sample = DateTime::from_timestamp_millis(SAMPLE_MS)
            .expect("a constant within the years that chrono knows")
            .fixed_offset();
        // Some of what chrono reads it cannot write, such as %#z; to_string() would panic.
        let mut written = String::new();
        write!(written, "{}", sample.format_with_items(format.0.iter()))
            .map_err(|_| TimeFormatError::Unknown)?;
        match format.read(&written, Tz::UTC) {
            Some(_) => Ok(format),
            None => Err(TimeFormatError::Incomplete),
        }
    }

    fn read(&self, text: &str, zone: Tz) -> Option<Stamped> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text, self.0.iter()).ok()?;
        if parsed.offset().is_some() {
            let instant = parsed.to_datetime().ok()?;
            return Some(Stamped::At(instant.timestamp_millis()));
        }
        if parsed.timestamp().is_some() {
            let instant = parsed.to_naive_datetime_with_offset(0).ok()?;
            return Some(Stamped::At(instant.and_utc().timestamp_millis()));
        }
        let local = parsed
            .to_naive_date()
            .ok()?
            .and_time(parsed.to_naive_time().ok()?);
        in_zone(local.and_utc().timestamp_millis(), zone)
    }
}

/// 2021-12-03T14:25:36Z: every field differs from every other and from its least value.
const SAMPLE_MS: i64 = 1_638_541_536_000;

/// The instant of a local time, given as if it were UTC.
fn in_zone(local_ms: i64, zone: Tz) -> Option<Stamped> {
    if zone == Tz::UTC {
        return Some(Stamped::At(local_ms));
    }
    let local = DateTime::from_timestamp_millis(local_ms)?.naive_utc();
    Some(match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) => Stamped::At(instant.timestamp_millis()),
        LocalResult::Ambiguous(one, other) => Stamped::AtFlagged(
            one.timestamp_millis().min(other.timestamp_millis()),
            TimeFlag::AmbiguousLocal,
        ),
        LocalResult::None => Stamped::AtFlagged(after_gap(local, zone)?, TimeFlag::SkippedLocal),
    })
}

/// The instant of a local time that was skipped: counted on from a time before the gap, as if
/// clocks had not been set.
fn after_gap(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    (1..=GAP_STEPS).find_map(|step| {
        let back = Duration::minutes(step * GAP_STEP_MINUTES);
        let before = zone
            .from_local_datetime(&local.checked_sub_signed(back)?)
            .latest()?;
        Some((before + back).timestamp_millis())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: &str, format: Option<&str>) -> Result<Stamped, &'static str> {
        let rule = TimeRule {
            zone: zone.parse().expect("a zone"),
            format: format.map(|format| TimeFormat::new(format).expect("a format")),
        };
        rule.read(text).map_err(|reason| reason.code())
    }

    #[test]
    fn a_format_that_can_only_be_read_is_refused_and_not_a_panic() {
        let format = TimeFormat::new("%Y-%m-%d %H:%M:%S %#z");
        assert_eq!(format.err(), Some(TimeFormatError::Unknown));
    }

    fn utc(text: &str) -> i64 {
        text.parse::<DateTime<chrono::Utc>>()
            .expect("RFC 3339")
            .timestamp_millis()
    }

    #[test]
    fn times_of_every_form_are_read() {
        for (text, expected) in [
            ("2020-01-01 01:15:00", "2020-01-01T01:15:00Z"),
            ("2020-01-01T01:15:00", "2020-01-01T01:15:00Z"),
            (" 2020-01-01 01:15:00.25 ", "2020-01-01T01:15:00.250Z"),
            ("2020-01-01T01:15:00.1239999", "2020-01-01T01:15:00.123Z"),
            ("2020-01-01T01:15:00Z", "2020-01-01T01:15:00Z"),
            ("2020-01-01t01:15:00z", "2020-01-01T01:15:00Z"),
            ("2020-01-01T01:15:00+02:00", "2019-12-31T23:15:00Z"),
            ("2026-03-01T06:05:00+0100", "2026-03-01T05:05:00Z"),
            ("2026-03-01T06:05:00.5-03", "2026-03-01T09:05:00.500Z"),
            ("2026-03-01 06:05:00 +01:00", "2026-03-01T05:05:00Z"),
            ("2026-03-01 06:05:00 UTC", "2026-03-01T06:05:00Z"),
            ("2020-02-29 23:59:59", "2020-02-29T23:59:59Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("1577841300", "2020-01-01T01:15:00Z"),
            ("1577841300.5", "2020-01-01T01:15:00.500Z"),
            ("1577841300000", "2020-01-01T01:15:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("-1", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(
                read(text, "UTC", None),
                Ok(Stamped::At(utc(expected))),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "NaN",
            "inf",
            "2020-01-01",
            "2020-13-01 00:00:00",
            "2019-02-29 00:00:00",
            "2020-01-00 00:00:00",
            "2020-01-01 24:00:00",
            "2020-01-01 00:60:00",
            "2020-01-01 00:00:61",
            "2020-01-01_00:00:00",
            "2020-01-01 00:00:00.",
            "2020-01-01 00:00:00+",
            "2020-01-01 00:00:00+24:00",
            "2020-01-01 00:00:00 CET",
            "01.03.2026 06:05",
            "²020-01-01 00:00:00",
        ] {
            assert_eq!(read(text, "UTC", None), Err("bad_time"), "{text}");
        }
    }

    #[test]
    fn local_times_use_the_zone_and_say_where_it_fails_them() {
        use TimeFlag::{AmbiguousLocal, SkippedLocal};
        for (text, zone, expected, flag) in [
            (
                "2026-07-01 12:00:00",
                "Europe/Athens",
                "2026-07-01T09:00:00Z",
                None,
            ),
            (
                "2026-07-01 12:00:00Z",
                "Europe/Athens",
                "2026-07-01T12:00:00Z",
                None,
            ),
            (
                "2026-10-25 02:30:00",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                Some(AmbiguousLocal),
            ),
            (
                "2026-10-25 03:00:00",
                "Europe/Berlin",
                "2026-10-25T02:00:00Z",
                None,
            ),
            (
                "2026-03-29 02:30:00",
                "Europe/Berlin",
                "2026-03-29T01:30:00Z",
                Some(SkippedLocal),
            ),
            (
                "2026-03-29 02:00:00",
                "Europe/Berlin",
                "2026-03-29T01:00:00Z",
                Some(SkippedLocal),
            ),
            (
                "2011-12-30 12:00:00",
                "Pacific/Apia",
                "2011-12-30T22:00:00Z",
                Some(SkippedLocal),
            ),
            (
                "2026-10-04 02:15:00",
                "Australia/Lord_Howe",
                "2026-10-03T15:45:00Z",
                Some(SkippedLocal),
            ),
        ] {
            let at = utc(expected);
            let stamped = flag.map_or(Stamped::At(at), |flag| Stamped::AtFlagged(at, flag));
            assert_eq!(read(text, zone, None), Ok(stamped), "{text} {zone}");
        }
    }

    #[test]
    fn other_formats_are_configured() {
        for (text, format, expected) in [
            ("01.03.2026 06:05", "%d.%m.%Y %H:%M", "2026-03-01T05:05:00Z"),
            (
                "2026-03-01 06:05:00 +0300",
                "%F %T %z",
                "2026-03-01T03:05:00Z",
            ),
            ("1577841300", "%s", "2020-01-01T01:15:00Z"),
            ("03/01/26 06:05 PM", "%D %I:%M %p", "2026-03-01T17:05:00Z"),
        ] {
            assert_eq!(
                read(text, "Europe/Berlin", Some(format)),
                Ok(Stamped::At(utc(expected))),
                "{text}"
            );
        }
        assert_eq!(
            read("2026-03-01 06:05:00", "UTC", Some("%d.%m.%Y %H:%M")),
            Err("bad_time")
        );
    }

    #[test]
    fn formats_that_cannot_give_an_instant_are_refused() {
        for (format, error) in [
            ("%Q", TimeFormatError::Unknown),
            ("%", TimeFormatError::Unknown),
            ("%d.%m.%Y", TimeFormatError::Incomplete),
            ("%H:%M", TimeFormatError::Incomplete),
            ("", TimeFormatError::Incomplete),
        ] {
            assert_eq!(TimeFormat::new(format).map(|_| ()), Err(error), "{format}");
        }
    }
}
