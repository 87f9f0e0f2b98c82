//! The last days of what an alert is about, as bars: table cells in a mail's HTML, blocks in its text. No images:
//! nothing is fetched, and every reader shows it.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::rows::when::Date;

/// How many days are drawn.
pub(super) const DAYS: usize = 14;
/// The longest bar: pixels in HTML, characters in text.
const PIXELS: f64 = 180.0;
const BLOCKS: f64 = 24.0;

/// What a day came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayValue {
    /// The day.
    pub day: Date,
    /// Its value, in the unit of [`Days`].
    pub value: f64,
}

/// The last days of a sensor or a balance, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Days {
    /// `L`, `Wh` …; may be empty.
    pub unit: String,
    /// The days that are known; the newest 14 are drawn.
    pub values: Vec<DayValue>,
}

/// Looks up the last days of a sensor or a balance by its name; `None`: nobody knows them. It may wait for the
/// disk.
pub type DaysOf = Arc<dyn Fn(&str) -> Option<Days> + Send + Sync>;

impl Days {
    fn drawn(&self) -> &[DayValue] {
        let from = self.values.len().saturating_sub(DAYS);
        &self.values[from..]
    }

    /// How much of the longest bar each value takes, 0..1: a negative value has none.
    fn shares(&self) -> Vec<f64> {
        let drawn = self.drawn();
        let most = drawn.iter().map(|day| day.value).fold(0.0, f64::max);
        let share = |day: &DayValue| {
            if most > 0.0 {
                (day.value / most).clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        drawn.iter().map(share).collect()
    }

    /// A table for HTML.
    pub(super) fn html(&self) -> String {
        let mut rows = String::new();
        for (day, share) in self.drawn().iter().zip(self.shares()) {
            let width = whole(share * PIXELS);
            let bar = if width == 0 {
                String::new()
            } else {
                format!(
                    "<table cellpadding=\"0\" cellspacing=\"0\"><tr><td width=\"{width}\" height=\"12\" \
                     bgcolor=\"#2a78b8\"></td></tr></table>"
                )
            };
            writeln!(
                rows,
                "<tr><td>{}</td><td>{bar}</td><td align=\"right\">{} {}</td></tr>",
                day.day,
                number(day.value),
                super::mail::escaped(&self.unit)
            )
            .expect("a String takes all that is written to it");
        }
        format!("<table cellpadding=\"2\" cellspacing=\"0\">\n{rows}</table>\n")
    }

    /// Lines for text.
    pub(super) fn text(&self) -> String {
        let mut lines = String::new();
        for (day, share) in self.drawn().iter().zip(self.shares()) {
            let bar = "#".repeat(whole(share * BLOCKS));
            let value = format!("{} {}", number(day.value), self.unit);
            writeln!(lines, "{}  {:>10}  {bar}", day.day, value.trim_end())
                .expect("a String takes all that is written to it");
        }
        lines
    }
}

fn number(value: f64) -> String {
    let digits = usize::from(value.abs() < 99.95);
    format!("{value:.digits$}")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a few hundred, from 0"
)]
fn whole(length: f64) -> usize {
    length.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn days(values: &[f64]) -> Days {
        let first = 20_700;
        let day = |(after, value): (i32, &f64)| DayValue {
            day: Date::from_number(first + after).expect("a day of this century"),
            value: *value,
        };
        Days {
            unit: "L".to_owned(),
            values: (0..).zip(values).map(day).collect(),
        }
    }

    #[test]
    fn the_newest_14_days_are_drawn_and_the_longest_bar_is_the_most() {
        let values: Vec<f64> = (0..20).map(|n| f64::from(n) * 10.0).collect();
        let days = days(&values);
        let text = days.text();
        assert_eq!(text.lines().count(), DAYS);
        let last = text.lines().last().expect("14 lines");
        assert_eq!(last, "2026-09-23       190 L  ########################");
        assert!(
            text.starts_with("2026-09-10      60.0 L  ########\n"),
            "{text}"
        );
        let html = days.html();
        assert_eq!(html.matches("bgcolor").count(), DAYS);
        assert!(html.contains("width=\"180\""), "{html}");
    }

    #[test]
    fn days_without_use_and_below_zero_have_no_bar() {
        let html = days(&[0.0, -3.0]).html();
        assert_eq!(html.matches("bgcolor").count(), 0);
        assert!(html.contains("-3.0 L"), "{html}");
    }
}
