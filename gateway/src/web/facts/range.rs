//! From the range that was asked for to the days and instants that it covers.

use engine::{Calendar, Day, EventTime, Stamp};

use crate::web::when::{Date, Edge, Span};

/// The days that `span` touches.
pub(super) fn days_of(calendar: Calendar, span: &Span) -> (Option<Day>, Option<Day>) {
    let day = |edge: Edge| match edge {
        Edge::On(date) => engine_day(date),
        Edge::At(moment) => {
            let ms = moment
                .ms()
                .clamp(EventTime::FIRST_MS, EventTime::END_MS - 1);
            let time = EventTime::from_ms(ms).expect("clamped to what is possible");
            calendar.day_of(time, Stamp::Instant)
        }
    };
    (span.from.map(day), span.to.map(day))
}

/// The first and last millisecond of event time that `span` covers. Days are those of readings
/// stamped so.
pub(super) fn instants_of(
    calendar: Calendar,
    stamp: Stamp,
    span: &Span,
) -> (Option<i64>, Option<i64>) {
    // Days of (00:00, 24:00] are those of [00:00, 24:00), one millisecond later.
    let shift = match stamp {
        Stamp::End => 1,
        Stamp::Start | Stamp::Instant => 0,
    };
    let from = |edge: Edge| match edge {
        Edge::At(moment) => moment.ms(),
        Edge::On(date) => calendar.bounds(engine_day(date)).0 + shift,
    };
    let to = |edge: Edge| match edge {
        Edge::At(moment) => moment.ms(),
        Edge::On(date) => calendar.bounds(engine_day(date)).1 - 1 + shift,
    };
    (span.from.map(from), span.to.map(to))
}

fn engine_day(date: Date) -> Day {
    Day::from_number(date.number())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::when::Moment;

    fn athens() -> Calendar {
        Calendar::new("Europe/Athens".parse().expect("a zone"))
    }

    fn span(from: &str, to: &str) -> Span {
        Span {
            from: from.parse().ok(),
            to: to.parse().ok(),
        }
    }

    fn texts((from, to): (Option<i64>, Option<i64>)) -> [String; 2] {
        [from, to].map(|ms| ms.map_or_else(String::new, |ms| Moment::from_ms(ms).to_string()))
    }

    #[test]
    fn a_day_covers_its_midnights_as_its_stamp_says() {
        let day = span("2020-01-02", "2020-01-02");
        let instants = |stamp| texts(instants_of(athens(), stamp, &day));
        assert_eq!(
            instants(Stamp::Start),
            ["2020-01-01T22:00:00Z", "2020-01-02T21:59:59.999Z"]
        );
        assert_eq!(
            instants(Stamp::End),
            ["2020-01-01T22:00:00.001Z", "2020-01-02T22:00:00Z"]
        );
    }

    #[test]
    fn an_instant_stands_for_the_day_of_the_site_that_holds_it() {
        let (from, to) = days_of(
            athens(),
            &span("2020-01-01T22:00:00Z", "1900-01-01T00:00:00Z"),
        );
        assert_eq!(
            from.map(|day| day.to_string()).as_deref(),
            Some("2020-01-02")
        );
        assert!(to < from);
        assert_eq!(days_of(athens(), &Span::default()), (None, None));
    }
}
