//! What no detector can surpass: the optimal test for a rise in the seed's daily remainder.
//!
//! Whoever knows the noise exactly, and the size of the leak in advance, cannot do better than Page's
//! cumulative sum (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954): of all tests with the
//! same mean time between false alarms it has the shortest delay in the worst case (G. V. Moustakides,
//! "Optimal stopping times for detecting changes in distributions", Annals of Statistics 14, 1986). Its
//! run lengths are those of a Markov chain over the levels of the sum (D. Brook and D. A. Evans, "An
//! approach to the probability distribution of cusum run length", Biometrika 59, 1972): the threshold
//! is solved for, nothing is drawn. The detectors know neither the noise nor the size: they must lie above.

use super::case::many;

/// Levels of the sum that are told apart.
const LEVELS: usize = 100;
/// The least threshold: a sum of one value.
const LEAST: f64 = 0.001;
/// Days after which a leak that was not found counts as never.
const DAYS_MAX: usize = 400;

/// The deviation of the seed's daily remainder, litres: the meter's even ±10 L, and 96 even draws of up to 1 L.
#[must_use]
pub fn seed_deviation() -> f64 {
    (20.0_f64.powi(2) / 12.0 + 96.0 / 12.0).sqrt()
}

/// Hours until the optimal test finds so many of a hundred leaks of that rate (L/h), which begin at any hour of
/// a day, where it alarms falsely once in so many days.
#[must_use]
pub fn within(rate: f64, false_every_days: f64, percent: usize) -> f64 {
    let shift = rate * 24.0 / seed_deviation();
    let sum = Sum::with_run_length(shift, false_every_days);
    let mut found: Vec<(f64, f64)> = (0..24)
        .flat_map(|hour| {
            let first = many(24 - hour) / 24.0;
            let days = sum.found(shift, first).into_iter().enumerate();
            let hours =
                days.map(move |(day, share)| (24.0 * many(day + 1) - many(hour), share / 24.0));
            hours.collect::<Vec<_>>()
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let reached = found.iter().find(|(_, share)| {
        sum += share;
        sum * 100.0 >= many(percent)
    });
    reached.map_or(f64::INFINITY, |(hours, _)| *hours)
}

/// A cumulative sum of deviations above half the rise, with its threshold.
struct Sum {
    half: f64,
    threshold: f64,
}

impl Sum {
    /// That which passes its threshold without a leak once in so many days on average.
    fn with_run_length(shift: f64, days: f64) -> Self {
        let half = shift / 2.0;
        let at_once = Self {
            half,
            threshold: LEAST,
        };
        if at_once.run_length() >= days {
            return Self::of_a_day(half, days);
        }
        let (mut low, mut high) = (LEAST, 20.0);
        for _ in 0..50 {
            let threshold = f64::midpoint(low, high);
            let sum = Self { half, threshold };
            if sum.run_length() < days {
                low = threshold;
            } else {
                high = threshold;
            }
        }
        Self {
            half,
            threshold: f64::midpoint(low, high),
        }
    }

    /// Of a large rise nothing needs to be summed: a day's value decides, at the level that gives those days.
    fn of_a_day(largest: f64, days: f64) -> Self {
        let of = |half| Self {
            half,
            threshold: LEAST,
        };
        let (mut low, mut high) = (0.0, largest);
        for _ in 0..50 {
            let half = f64::midpoint(low, high);
            if of(half).run_length() < days {
                low = half;
            } else {
                high = half;
            }
        }
        of(high)
    }

    /// From level to level in a day with that rise (deviations); what is missing from a row has alarmed.
    fn chain(&self, shift: f64) -> Vec<Vec<f64>> {
        let width = self.threshold / (many(LEVELS) - 0.5);
        let below = |from: usize, to: f64| normal((to - many(from)) * width + self.half - shift);
        let row = |from: usize| {
            let cells = (0..LEVELS).map(|to| {
                let up = below(from, many(to) + 0.5);
                let down = if to == 0 {
                    0.0
                } else {
                    below(from, many(to) - 0.5)
                };
                up - down
            });
            cells.collect()
        };
        (0..LEVELS).map(row).collect()
    }

    /// Days until a false alarm, from a sum of nothing: solves (I − Q) L = 1 by elimination.
    fn run_length(&self) -> f64 {
        let mut rows = self.chain(0.0);
        let mut right = [1.0; LEVELS];
        for (place, row) in rows.iter_mut().enumerate() {
            for cell in row.iter_mut() {
                *cell = -*cell;
            }
            row[place] += 1.0;
        }
        for pivot in (1..LEVELS).rev() {
            let (above, from) = rows.split_at_mut(pivot);
            let by = &from[0];
            for (place, row) in above.iter_mut().enumerate() {
                let times = row[pivot] / by[pivot];
                right[place] -= times * right[pivot];
                for (cell, other) in row[..pivot].iter_mut().zip(by) {
                    *cell -= times * other;
                }
            }
        }
        let days = right[0] / rows[0][0];
        // So rare that no more digits are left to say it.
        if days.is_finite() && days > 0.0 {
            days
        } else {
            f64::INFINITY
        }
    }

    /// The share found on each day, where the leak ran for this share of the first.
    fn found(&self, shift: f64, first: f64) -> Vec<f64> {
        let step = |levels: &[f64], chain: &[Vec<f64>]| -> Vec<f64> {
            let to = |to: usize| {
                levels
                    .iter()
                    .zip(chain)
                    .map(|(share, row)| share * row[to])
                    .sum()
            };
            (0..LEVELS).map(to).collect()
        };
        let quiet = self.chain(0.0);
        let mut levels = vec![0.0; LEVELS];
        levels[0] = 1.0;
        // Where the sum is when a leak begins: after long enough that its start is forgotten.
        for _ in 0..60 {
            levels = step(&levels, &quiet);
            let all: f64 = levels.iter().sum();
            for share in &mut levels {
                *share /= all;
            }
        }
        let (half, whole) = (self.chain(shift * first), self.chain(shift));
        let (mut left, mut found) = (1.0, Vec::new());
        for day in 0..DAYS_MAX {
            levels = step(&levels, if day == 0 { &half } else { &whole });
            let still: f64 = levels.iter().sum();
            found.push(left - still);
            left = still;
            if left < 1e-6 {
                break;
            }
        }
        found
    }
}

/// The normal distribution function, by its series (G. Marsaglia, "Evaluating the normal distribution",
/// Journal of Statistical Software 11, 2004).
fn normal(x: f64) -> f64 {
    if x.abs() > 7.5 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while sum + term != sum {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_lengths_are_those_of_the_literature() {
        // Brook and Evans and every textbook since: k = 0.5, h = 4 and h = 5; they give 168 and 465 for two sides.
        let run_length = |threshold| {
            Sum {
                half: 0.5,
                threshold,
            }
            .run_length()
        };
        assert!((run_length(4.0) - 336.0).abs() < 4.0, "{}", run_length(4.0));
        assert!(
            (run_length(5.0) - 930.0).abs() < 10.0,
            "{}",
            run_length(5.0)
        );
    }

    #[test]
    fn a_smaller_leak_and_fewer_false_alarms_take_longer() {
        let days = |rate, years| within(rate, years * 365.0, 50) / 24.0;
        assert!(days(0.5, 10.0) > days(1.0, 10.0));
        assert!(days(0.5, 20.0) > days(0.5, 5.0));
        assert!((4.0..6.0).contains(&days(0.5, 10.0)), "{}", days(0.5, 10.0));
        // Where every day decides by itself, only the hour of the beginning counts.
        for rate in [2.0, 5.0, 50.0, 500.0] {
            assert!(days(rate, 10.0) <= 1.5, "{rate}: {}", days(rate, 10.0));
        }
    }
}
