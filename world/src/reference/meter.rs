//! One pass over a meter's readings in event time: what each day consumed, and what was odd.
//!
//! A reading that does not follow the last consistent one waits, at most with one companion, until
//! a later reading tells whether it was a glitch, a rollover, a reset or nothing that makes sense.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::exact::Exact;
use super::{DiffKind, Sensor};

/// Above this part of the modulus, a meter may roll over.
const ROLLOVER_FROM: f64 = 0.9;
/// Below this part of the modulus (after a rollover) or of the last value (after a reset), a
/// register counts as started anew.
const ANEW_BELOW: f64 = 0.1;
/// A meter with this interval or a longer one is read daily: one reading confirms a reset.
const DAILY_FROM_MS: i64 = 12 * 3_600_000;

/// A reading of the meter, and the day it counts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) time_ms: i64,
    pub(super) day: NaiveDate,
    pub(super) value: f64,
}

/// What one day has gathered.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    pub(super) increases: Exact,
    pub(super) kind: DiffKind,
}

/// The readings in order of time give each day that they touch its increases and its kind.
pub(super) fn walk(sensor: &Sensor, readings: &[At]) -> BTreeMap<NaiveDate, Gathered> {
    let mut walk = Walk {
        sensor,
        base: None,
        before: None,
        pending: Pending::None,
        days: BTreeMap::new(),
    };
    for &reading in readings {
        walk.step(reading);
    }
    walk.finish();
    walk.days
}

/// Readings that do not follow the base and are not decided.
#[derive(Clone, Copy)]
enum Pending {
    None,
    One(At),
    Two(At, At),
}

struct Walk<'a> {
    sensor: &'a Sensor,
    /// The last consistent reading.
    base: Option<At>,
    /// The consistent reading before the base, in the same run.
    before: Option<At>,
    pending: Pending,
    days: BTreeMap<NaiveDate, Gathered>,
}

impl Walk<'_> {
    fn step(&mut self, x: At) {
        let Some(base) = self.base else {
            self.base = Some(x);
            return;
        };
        match self.pending {
            Pending::None => self.after_consistent(base, x),
            Pending::One(p) => self.after_one(base, p, x),
            Pending::Two(p, q) => self.after_two(base, p, q, x),
        }
    }

    fn after_consistent(&mut self, base: At, x: At) {
        if self.follows(base, x) {
            self.normal(base, x);
            return;
        }
        match self.before {
            // Without the base its neighbours agree: it had jumped up.
            Some(before) if self.follows(before, x) => {
                let day = self.day(base.day);
                day.increases.subtract(base.value);
                day.increases.add(before.value);
                self.mark(base, DiffKind::Glitch);
                self.increase(before, x);
                self.base = Some(x);
            }
            Some(_) | None => self.pending = Pending::One(x),
        }
    }

    fn after_one(&mut self, base: At, p: At, x: At) {
        if self.follows(base, x) {
            self.mark(p, DiffKind::Glitch);
            self.normal(base, x);
        } else if let Some(modulus) = self.rollover(base, p) {
            self.roll_over(base, p, modulus);
            self.step(x);
        } else if !self.follows(p, x) {
            self.mark(p, DiffKind::Suspect);
            self.pending = Pending::One(x);
        } else if self.read_daily(p, x) {
            self.start_anew(base, p);
            self.normal(p, x);
        } else {
            self.pending = Pending::Two(p, x);
        }
    }

    fn after_two(&mut self, base: At, p: At, q: At, x: At) {
        let goes_on = self.follows(q, x) && (started_anew(base, p) || !self.follows(base, x));
        if goes_on {
            self.start_anew(base, p);
            self.normal(p, q);
            self.normal(q, x);
        } else if self.follows(base, x) {
            self.mark(p, DiffKind::Glitch);
            self.mark(q, DiffKind::Glitch);
            self.normal(base, x);
        } else {
            self.mark(p, DiffKind::Suspect);
            self.mark(q, DiffKind::Suspect);
            self.pending = Pending::One(x);
        }
    }

    /// No more readings: only a rollover needs no witness.
    fn finish(&mut self) {
        match (self.pending, self.base) {
            (Pending::None, _) | (_, None) => {}
            (Pending::One(p), Some(base)) => match self.rollover(base, p) {
                Some(modulus) => self.roll_over(base, p, modulus),
                None => self.mark(p, DiffKind::Suspect),
            },
            (Pending::Two(p, q), Some(_)) => {
                self.mark(p, DiffKind::Suspect);
                self.mark(q, DiffKind::Suspect);
            }
        }
    }

    /// `x` follows `from` as a register should.
    fn normal(&mut self, from: At, x: At) {
        self.increase(from, x);
        self.before = Some(from);
        self.base = Some(x);
        self.pending = Pending::None;
    }

    fn roll_over(&mut self, base: At, p: At, modulus: f64) {
        self.increase(base, p);
        self.day(p.day).increases.add(modulus);
        self.mark(p, DiffKind::Rollover);
        self.new_run(p);
    }

    /// The register goes on from `p`: from zero after a reset, from wherever it now stands if not.
    fn start_anew(&mut self, base: At, p: At) {
        if started_anew(base, p) {
            self.day(p.day).increases.add(p.value);
            self.mark(p, DiffKind::Reset);
        } else {
            self.mark(p, DiffKind::Suspect);
        }
        self.new_run(p);
    }

    fn new_run(&mut self, p: At) {
        self.before = None;
        self.base = Some(p);
        self.pending = Pending::None;
    }

    fn increase(&mut self, from: At, to: At) {
        let day = self.day(to.day);
        day.increases.add(to.value);
        day.increases.subtract(from.value);
    }

    fn mark(&mut self, reading: At, kind: DiffKind) {
        let day = self.day(reading.day);
        day.kind = day.kind.max(kind);
    }

    fn day(&mut self, day: NaiveDate) -> &mut Gathered {
        self.days.entry(day).or_insert_with(|| Gathered {
            increases: Exact::default(),
            kind: DiffKind::Normal,
        })
    }

    fn follows(&self, from: At, to: At) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a century of milliseconds is below 2^53"
        )]
        let hours = (to.time_ms - from.time_ms) as f64 / 3_600_000.0;
        let slow_enough = |rate: f64| to.value - from.value <= rate * hours;
        to.value >= from.value && self.sensor.max_rate.is_none_or(slow_enough)
    }

    /// The modulus, if going from `base` to `p` may be a passage through it.
    fn rollover(&self, base: At, p: At) -> Option<f64> {
        self.sensor.modulus.filter(|modulus| {
            base.value > ROLLOVER_FROM * modulus && p.value < ANEW_BELOW * modulus
        })
    }

    fn read_daily(&self, p: At, x: At) -> bool {
        self.sensor.interval_ms.unwrap_or(x.time_ms - p.time_ms) >= DAILY_FROM_MS
    }
}

/// Whether `p` looks like a register that started again from zero.
fn started_anew(base: At, p: At) -> bool {
    p.value < ANEW_BELOW * base.value && p.value < base.value
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Walks over readings `hours` apart and tells, for each day touched, `day:increase kind`.
    fn check(hours: i64, sensor: Sensor, values: &[f64], expected: &str) {
        let first = NaiveDate::from_ymd_opt(2020, 1, 1).expect("a date");
        let mut readings = Vec::new();
        for (index, &value) in (0..).zip(values) {
            let day = first + chrono::TimeDelta::days(index * hours / 24);
            readings.push(At {
                time_ms: index * hours * HOUR,
                day,
                value,
            });
        }
        let told: Vec<String> = walk(&sensor, &readings)
            .into_iter()
            .map(|(day, gathered)| {
                let kind = format!("{:?}", gathered.kind).to_lowercase();
                format!(
                    "{}:{} {kind}",
                    (day - first).num_days(),
                    gathered.increases.total()
                )
            })
            .collect();
        assert_eq!(told.join(", "), expected, "{values:?} every {hours} h");
    }

    fn meter() -> Sensor {
        Sensor::of_kind(Kind::Meter)
    }

    fn rolling() -> Sensor {
        Sensor {
            modulus: Some(1000.0),
            ..meter()
        }
    }

    fn slow() -> Sensor {
        Sensor {
            max_rate: Some(10.0),
            ..meter()
        }
    }

    #[test]
    fn a_rising_register_gives_what_it_rose() {
        check(
            24,
            meter(),
            &[10.0, 12.5, 12.5, 20.0],
            "1:2.5 normal, 2:0 normal, 3:7.5 normal",
        );
        check(
            6,
            meter(),
            &[1.0, 2.0, 4.0, 8.0, 16.0],
            "0:7 normal, 1:8 normal",
        );
    }

    #[test]
    fn a_glitch_is_left_out_up_or_down() {
        check(
            24,
            meter(),
            &[100.0, 110.0, 3.0, 120.0],
            "1:10 normal, 2:0 glitch, 3:10 normal",
        );
        check(
            24,
            meter(),
            &[100.0, 110.0, 900.0, 120.0],
            "1:10 normal, 2:0 glitch, 3:10 normal",
        );
        check(6, meter(), &[100.0, 50.0, 110.0], "0:10 glitch");
    }

    #[test]
    fn two_glitches_in_a_row_are_left_out_unless_they_look_like_a_reset() {
        check(6, meter(), &[100.0, 50.0, 51.0, 110.0], "0:10 glitch");
        check(6, meter(), &[100.0, 5.0, 4.0, 110.0], "0:10 suspect");
        check(6, meter(), &[100.0, 5.0, 6.0, 110.0], "0:110 reset");
    }

    #[test]
    fn a_rollover_goes_through_the_modulus_with_or_without_a_witness() {
        check(
            24,
            rolling(),
            &[900.0, 950.0, 30.0, 60.0],
            "1:50 normal, 2:80 rollover, 3:30 normal",
        );
        check(
            24,
            rolling(),
            &[900.0, 950.0, 30.0],
            "1:50 normal, 2:80 rollover",
        );
        check(
            24,
            rolling(),
            &[950.0, 30.0, 960.0],
            "1:0 glitch, 2:10 normal",
        );
        check(
            24,
            rolling(),
            &[850.0, 30.0, 60.0],
            "1:30 reset, 2:30 normal",
        );
    }

    #[test]
    fn a_reset_takes_two_witnesses_or_one_where_a_day_lies_between() {
        check(24, meter(), &[500.0, 4.0, 9.0], "1:4 reset, 2:5 normal");
        check(6, meter(), &[500.0, 4.0, 9.0], "0:0 suspect");
        check(6, meter(), &[500.0, 4.0, 9.0, 11.0], "0:11 reset");
        check(24, meter(), &[500.0, 4.0], "1:0 suspect");
        let daily = Sensor {
            interval_ms: Some(24 * HOUR),
            ..meter()
        };
        check(6, daily, &[500.0, 4.0, 9.0], "0:9 reset");
    }

    #[test]
    fn a_register_that_goes_on_lower_counts_nothing_for_the_step() {
        check(
            24,
            meter(),
            &[500.0, 300.0, 310.0],
            "1:0 suspect, 2:10 normal",
        );
        check(6, meter(), &[500.0, 300.0, 310.0, 315.0], "0:15 suspect");
    }

    #[test]
    fn what_follows_neither_is_suspect() {
        check(
            24,
            meter(),
            &[500.0, 300.0, 200.0, 510.0],
            "1:0 suspect, 2:0 glitch, 3:10 normal",
        );
    }

    #[test]
    fn a_rise_above_the_greatest_rate_is_judged_like_a_fall() {
        check(1, slow(), &[0.0, 10.0, 100.0, 20.0], "0:20 glitch");
        check(1, slow(), &[0.0, 10.0, 100.0, 105.0, 110.0], "0:20 suspect");
    }

    #[test]
    fn no_up_glitch_is_taken_back_across_a_reset() {
        check(
            24,
            meter(),
            &[500.0, 4.0, 9.0, 2.0, 3.0],
            "1:4 reset, 2:5 normal, 3:0 suspect, 4:1 normal",
        );
    }
}
