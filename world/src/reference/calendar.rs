//! Days of a zone, and local times without an offset.
//!
//! Asks the zone about one instant at a time; keeps no table and takes no shortcut.

use chrono::{
    DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone,
};
use chrono_tz::Tz;

use super::Stamp;

/// The calendar day that a reading counts for, by its event time in milliseconds UTC.
#[must_use]
pub fn day_of(zone: Tz, time_ms: i64, stamp: Stamp) -> NaiveDate {
    let instant = match stamp {
        // (00:00, 24:00]: times are whole milliseconds, so midnight's neighbour decides.
        Stamp::End => time_ms - 1,
        Stamp::Start | Stamp::Instant => time_ms,
    };
    let utc = DateTime::from_timestamp_millis(instant).expect("times are within 2000..2100");
    utc.with_timezone(&zone).date_naive()
}

/// When a day starts, in milliseconds UTC. Where the clocks skip midnight, that is when they do.
#[must_use]
pub fn start_of(zone: Tz, day: NaiveDate) -> i64 {
    instant_of(zone, day.and_time(NaiveTime::MIN))
}

/// How many milliseconds a day has.
#[must_use]
pub fn length_ms(zone: Tz, day: NaiveDate) -> i64 {
    let next = day.checked_add_days(Days::new(1));
    start_of(zone, next.expect("days are within 2000..2100")) - start_of(zone, day)
}

/// A local time without an offset, in milliseconds UTC: one that happens twice is the earlier, one
/// that is skipped is read with the offset from before the change, which moves it forward.
#[must_use]
pub fn instant_of(zone: Tz, local: NaiveDateTime) -> i64 {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(only) => only.timestamp_millis(),
        LocalResult::Ambiguous(earlier, _) => earlier.timestamp_millis(),
        LocalResult::None => {
            // No offset is wider than 14 hours and no zone changes twice in a day or two.
            let before = zone.from_utc_datetime(&(local - TimeDelta::hours(26)));
            let offset = before.naive_local() - before.naive_utc();
            (local - offset).and_utc().timestamp_millis()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Europe};

    const HOUR: i64 = 3_600_000;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .expect("a time")
            .timestamp_millis()
    }

    #[test]
    fn days_in_athens_have_23_24_or_25_hours() {
        let zone = Europe::Athens;
        assert_eq!(length_ms(zone, day("2020-03-28")), 24 * HOUR);
        assert_eq!(length_ms(zone, day("2020-03-29")), 23 * HOUR);
        assert_eq!(length_ms(zone, day("2020-10-25")), 25 * HOUR);
        assert_eq!(
            start_of(zone, day("2020-03-29")),
            ms("2020-03-28T22:00:00Z")
        );
        assert_eq!(
            start_of(zone, day("2020-03-30")),
            ms("2020-03-29T21:00:00Z")
        );
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_starts_at_one_o_clock() {
        let (zone, first) = (America::Sao_Paulo, day("2018-11-04"));
        assert_eq!(start_of(zone, first), ms("2018-11-04T01:00:00-02:00"));
        assert_eq!(length_ms(zone, first), 23 * HOUR);
    }

    #[test]
    fn local_midnight_ends_one_day_and_starts_the_next() {
        let (zone, midnight) = (Europe::Athens, ms("2020-07-01T21:00:00Z"));
        assert_eq!(day_of(zone, midnight, Stamp::End), day("2020-07-01"));
        assert_eq!(day_of(zone, midnight + 1, Stamp::End), day("2020-07-02"));
        assert_eq!(day_of(zone, midnight, Stamp::Start), day("2020-07-02"));
        assert_eq!(
            day_of(zone, midnight - 1, Stamp::Instant),
            day("2020-07-01")
        );
    }

    #[test]
    fn a_local_time_that_happens_twice_is_the_earlier_and_a_skipped_one_moves_forward() {
        let local = |text: &str| text.parse::<NaiveDateTime>().expect("a local time");
        let zone = Europe::Athens;
        assert_eq!(
            instant_of(zone, local("2020-10-25T03:30:00")),
            ms("2020-10-25T03:30:00+03:00")
        );
        assert_eq!(
            instant_of(zone, local("2020-03-29T03:30:00")),
            ms("2020-03-29T04:30:00+03:00")
        );
    }
}
