//! Days of a time zone.
//!
//! A day is a calendar day of the site: 23, 24 or 25 hours, or whatever its zone made of it. It
//! is identified by its number, never by an instant, so that a row does not move when somebody
//! looks at it from elsewhere.

use crate::{EventTime, Stamp};
use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use std::{fmt, str::FromStr};

/// A calendar day: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day that lies `number` days after 1970-01-01.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The calendar day after.
    #[must_use]
    pub const fn succ(self) -> Self {
        Self(self.0 + 1)
    }

    /// The calendar day before.
    #[must_use]
    pub const fn pred(self) -> Self {
        Self(self.0 - 1)
    }

    fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or(NaiveDate::MAX)
    }

    fn of(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().format("%Y-%m-%d").fmt(f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no calendar day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotADay(String);

impl fmt::Display for NotADay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a day: write it as YYYY-MM-DD, for example 2026-03-01",
            self.0
        )
    }
}

impl std::error::Error for NotADay {}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let well_formed = text.len() == 10 && text.as_bytes()[0].is_ascii_digit();
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .filter(|_| well_formed)
            .map(Self::of)
            .ok_or_else(|| NotADay(text.chars().take(40).collect()))
    }
}

/// The days of one time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: Tz,
}

/// A stretch of time that lies within one day, and that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub day: Day,
    /// Its first instant, milliseconds since 1970 UTC.
    pub start_ms: i64,
    /// The first instant of the next day.
    pub end_ms: i64,
}

impl Span {
    /// Whether a reading stamped so at that time belongs to this day.
    #[must_use]
    pub fn holds(&self, time: EventTime, stamp: Stamp) -> bool {
        let instant = marked(time, stamp);
        self.start_ms <= instant && instant < self.end_ms
    }

    /// How many readings an interval of `interval_ms` promises for this day; at least 1.
    #[must_use]
    pub fn expected(&self, interval_ms: i64) -> u32 {
        let interval = interval_ms.max(1);
        let steps = (self.end_ms - self.start_ms + interval / 2) / interval;
        u32::try_from(steps.max(1)).unwrap_or(u32::MAX)
    }
}

/// The instant by which a reading is put into a day.
///
/// With [`Stamp::End`] days are (00:00, 24:00]; times are whole milliseconds, so the instant one
/// millisecond earlier decides.
fn marked(time: EventTime, stamp: Stamp) -> i64 {
    match stamp {
        Stamp::End => time.ms() - 1,
        Stamp::Start | Stamp::Instant => time.ms(),
    }
}

impl Calendar {
    /// The days of that zone.
    #[must_use]
    pub const fn new(zone: Tz) -> Self {
        Self { zone }
    }

    /// The zone.
    #[must_use]
    pub const fn zone(self) -> Tz {
        self.zone
    }

    /// The day to which a reading stamped so belongs.
    #[must_use]
    pub fn day_of(self, time: EventTime, stamp: Stamp) -> Day {
        self.span_of(time, stamp).day
    }

    /// The day to which a reading stamped so belongs, with its edges.
    #[must_use]
    pub fn span_of(self, time: EventTime, stamp: Stamp) -> Span {
        let instant = marked(time, stamp);
        let mut span = self.span(Day::of(self.local(instant).date()));
        // Where a zone's clock goes back across midnight, a date begins twice (`start_ms`): the
        // stretch between belongs to the neighbour.
        while instant < span.start_ms {
            span = self.span(span.day.pred());
        }
        while instant >= span.end_ms {
            span = self.span(span.day.succ());
        }
        span
    }

    /// A day with its edges.
    #[must_use]
    pub fn span(self, day: Day) -> Span {
        Span {
            day,
            start_ms: self.start_ms(day),
            end_ms: self.start_ms(day.succ()),
        }
    }

    /// The first instant of a day and of the day after, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn bounds(self, day: Day) -> (i64, i64) {
        (self.start_ms(day), self.start_ms(day.succ()))
    }

    /// The noon-day that ends with the noon of `day`: [12:00 of the day before, 12:00 of `day`), so
    /// that a night stays whole.
    #[must_use]
    pub fn noon_span(self, day: Day) -> Span {
        Span {
            day,
            start_ms: self.noon_ms(day.pred()),
            end_ms: self.noon_ms(day),
        }
    }

    /// The noon-day to which the interval that ends at `instant_ms` (milliseconds since 1970 UTC)
    /// belongs: what ends at noon sharp belongs to the noon-day that ends there.
    #[must_use]
    pub fn noon_span_of(self, instant_ms: i64) -> Span {
        let mut span = self.noon_span(Day::of(self.local(instant_ms - 1).date()));
        while instant_ms > span.end_ms {
            span = self.noon_span(span.day.succ());
        }
        while instant_ms <= span.start_ms {
            span = self.noon_span(span.day.pred());
        }
        span
    }

    /// The local clock at an instant (milliseconds since 1970 UTC), for words that people read.
    #[must_use]
    pub fn local_time(self, instant_ms: i64) -> NaiveDateTime {
        self.local(instant_ms)
    }

    /// Local noon; where the clock skips it, the first instant after, where it comes twice, the first.
    fn noon_ms(self, day: Day) -> i64 {
        let noon = day.date().and_time(NaiveTime::MIN) + Duration::hours(12);
        match self.zone.from_local_datetime(&noon) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
                instant.timestamp_millis()
            }
            LocalResult::None => self.end_of_gap(noon),
        }
    }

    fn local(self, instant_ms: i64) -> NaiveDateTime {
        let utc = DateTime::from_timestamp_millis(instant_ms)
            .expect("event times and day edges lie within the years 1999 to 2101")
            .naive_utc();
        self.zone.from_utc_datetime(&utc).naive_local()
    }

    /// Local midnight; where the clock skips it, the first instant after; where it comes twice,
    /// the first of the two unless the clock went back into the day before in between.
    fn start_ms(self, day: Day) -> i64 {
        let midnight = day.date().and_time(NaiveTime::MIN);
        match self.zone.from_local_datetime(&midnight) {
            LocalResult::Single(instant) => instant.timestamp_millis(),
            LocalResult::Ambiguous(first, second) => {
                let second = second.timestamp_millis();
                if self.local(second - 1).date() < day.date() {
                    second
                } else {
                    first.timestamp_millis()
                }
            }
            LocalResult::None => self.end_of_gap(midnight),
        }
    }

    /// The first instant at which the local clock shows `skipped` or later.
    fn end_of_gap(self, skipped: NaiveDateTime) -> i64 {
        let around = skipped.and_utc().timestamp_millis();
        let reach = Duration::hours(48).num_milliseconds();
        let (mut before, mut after) = (around - reach, around + reach);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.local(middle) < skipped {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str) -> Calendar {
        Calendar::new(zone.parse().expect("a zone of the test"))
    }

    fn at(text: &str) -> EventTime {
        let ms = DateTime::parse_from_rfc3339(text)
            .expect("a time of the test")
            .timestamp_millis();
        EventTime::from_ms(ms).expect("a possible event time")
    }

    fn hours(zone: &str, day: &str) -> i64 {
        let (start, end) = calendar(zone).bounds(day.parse().expect("a day"));
        (end - start) / 3_600_000
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        assert_eq!(hours("Europe/Athens", "2026-03-29"), 23);
        assert_eq!(hours("Europe/Athens", "2026-06-01"), 24);
        assert_eq!(hours("Europe/Athens", "2026-10-25"), 25);
        assert_eq!(hours("UTC", "2026-03-29"), 24);
    }

    #[test]
    fn a_skipped_midnight_starts_the_day_at_the_next_instant() {
        // São Paulo went from 2018-11-03 24:00 to 2018-11-04 01:00.
        assert_eq!(hours("America/Sao_Paulo", "2018-11-04"), 23);
        let day = calendar("America/Sao_Paulo").day_of(at("2018-11-04T03:00:00Z"), Stamp::Instant);
        assert_eq!(day.to_string(), "2018-11-04");
    }

    #[test]
    fn a_midnight_that_comes_twice_starts_the_day_once() {
        // Havana goes back from 01:00 to 00:00, St. John's went back from 00:01 to 23:01.
        assert_eq!(hours("America/Havana", "2020-11-01"), 25);
        assert_eq!(hours("America/St_Johns", "2010-11-06"), 25);
        assert_eq!(hours("America/St_Johns", "2010-11-07"), 24);
    }

    #[test]
    fn a_day_that_a_zone_left_out_is_empty() {
        assert_eq!(hours("Pacific/Apia", "2011-12-30"), 0);
        assert_eq!(hours("Pacific/Apia", "2011-12-31"), 24);
    }

    #[test]
    fn midnight_ends_the_day_before_or_starts_its_own() {
        let midnight = at("2020-01-02T00:00:00Z");
        let day = |stamp| calendar("UTC").day_of(midnight, stamp).to_string();
        assert_eq!(day(Stamp::End), "2020-01-01");
        assert_eq!(day(Stamp::Start), "2020-01-02");
        assert_eq!(day(Stamp::Instant), "2020-01-02");
    }

    #[test]
    fn every_instant_lies_in_the_span_that_it_is_given() {
        for zone in [
            "Europe/Athens",
            "America/St_Johns",
            "Pacific/Apia",
            "Asia/Beirut",
        ] {
            let calendar = calendar(zone);
            let mut ms = at("2010-11-06T00:00:00Z").ms();
            for _ in 0..20_000 {
                let time = EventTime::from_ms(ms).expect("a possible event time");
                for stamp in [Stamp::End, Stamp::Instant] {
                    assert!(calendar.span_of(time, stamp).holds(time, stamp));
                }
                ms += 1_847_003;
            }
        }
    }

    #[test]
    fn noon_days_keep_a_night_whole_over_a_clock_change() {
        let noon_hours = |zone: &str, day: &str| {
            let span = calendar(zone).noon_span(day.parse().expect("a day"));
            (span.end_ms - span.start_ms) / 3_600_000
        };
        assert_eq!(noon_hours("Europe/Athens", "2026-03-29"), 23);
        assert_eq!(noon_hours("Europe/Athens", "2026-03-30"), 24);
        assert_eq!(noon_hours("Europe/Athens", "2026-10-25"), 25);
        let of = |text: &str| {
            let span = calendar("Europe/Athens").noon_span_of(at(text).ms());
            span.day.to_string()
        };
        // 12:00 in Athens in winter is 10:00 UTC.
        assert_eq!(of("2026-01-10T10:00:00Z"), "2026-01-10");
        assert_eq!(of("2026-01-10T10:00:01Z"), "2026-01-11");
        assert_eq!(of("2026-01-10T23:30:00Z"), "2026-01-11");
    }

    #[test]
    fn a_day_reads_as_it_is_written() {
        let day: Day = "2026-03-01".parse().expect("a day");
        assert_eq!(
            (day.number(), day.to_string()),
            (20_513, "2026-03-01".into())
        );
        for wrong in ["2026-3-1", "2026-02-30", "", "+026-03-01", "2026-03-01T00"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_expects_what_its_length_holds() {
        let quarter = 900_000;
        let expected = |day: &str| {
            calendar("Europe/Athens")
                .span(day.parse().expect("a day"))
                .expected(quarter)
        };
        assert_eq!(expected("2026-03-29"), 92);
        assert_eq!(expected("2026-06-01"), 96);
        assert_eq!(expected("2026-10-25"), 100);
    }
}
