//! A daily series rose: a two-sample generalised likelihood ratio over a limited window.
//!
//! Light noise is judged by its plain mean and deviation, any other by a trimmed mean and the median's
//! deviation. For every day that the rise may have begun on, the days from there are held against
//! the known days before it. The evidence is that of the likeliest start. Pure functions of a slice of
//! values; when it is raised and when it is over is `daily`'s.

use super::parameters::{Noise, Shift};
use super::persist::rank;
use crate::Day;

/// The most values that a base is made of.
const BASE_MAX: usize = 60;

/// So many days in a row of what was never near are a rise, whatever the noise.
const UNHEARD_OF_DAYS: usize = 2;

/// A known day of a daily series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) day: Day,
    /// Thousandths of the unit.
    pub(crate) milli: i64,
    /// The whole of which it is a remainder, thousandths: what its floor is a share of.
    pub(crate) total_milli: i64,
}

/// How the noise of a base is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tail {
    /// Like a normal distribution's, and known for long enough.
    Light,
    /// Nearly so, or not known for long enough: judged as carefully as heavy noise.
    Mild,
    /// Some days are far above the others: one of them counts for little.
    Heavy,
}

/// What a series was before it rose.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Base {
    mean: f64,
    sigma: f64,
    tail: Tail,
    known: usize,
    /// As far above its largest value as that is above its middle.
    unheard_of: f64,
}

/// A rise, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// The likeliest first day.
    pub start: Day,
    /// μ: the mean before, thousandths a day (or an hour).
    pub before: f64,
    /// By how much the mean is higher since, thousandths a day (or an hour).
    pub by: f64,
    /// The standard error of `by`.
    pub error: f64,
    /// max g over h: 1 raises.
    pub evidence: f64,
    /// How the noise was judged.
    pub tail: Tail,
    /// Known days since the start.
    pub days: usize,
    /// Known days before it that are its base.
    pub base_days: usize,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "daily volumes stay far below 2^53 thousandths"
)]
pub(crate) fn real(milli: i64) -> f64 {
    milli as f64
}

#[expect(clippy::cast_precision_loss, reason = "a count of days")]
fn count(days: usize) -> f64 {
    days as f64
}

/// The best evidence that the series rose, at its last value, on a day after `cleared`; `None` where
/// there is none, whatever its strength.
pub(crate) fn rise(values: &[Value], cleared: Option<Day>, shift: &Shift) -> Option<Rise> {
    let newest = values.last()?.day.number();
    let floor = floor(values, shift);
    let mut best: Option<Rise> = None;
    for start in (0..values.len()).rev() {
        let day = values[start].day;
        if newest - day.number() >= shift.reach_days || cleared.is_some_and(|c| day <= c) {
            break;
        }
        let Some(base) = base(&values[..start], floor, shift) else {
            break;
        };
        if let Some(rise) = rise_from(&values[start..], &base, shift)
            && best.is_none_or(|best| rise.evidence > best.evidence)
        {
            best = Some(rise);
        }
    }
    best
}

/// What a rise that was found amounts to now: its start and base stay.
pub(crate) fn grown(values: &[Value], found: &Rise) -> Rise {
    let first = values.partition_point(|value| value.day < found.start);
    // Of a rise's first day only a part had it: it is left out once there are enough others.
    let first = if values.len() - first >= 3 {
        first + 1
    } else {
        first
    };
    let since = &values[first..];
    let days = since.len().max(1);
    let sum: i64 = since.iter().map(|value| value.milli).sum();
    let by = real(sum) / count(days) - found.before;
    let scale = |days: usize| 1.0 / count(days.max(1)) + 1.0 / count(found.base_days.max(1));
    let error = found.error * (scale(days) / scale(found.days)).sqrt();
    Rise {
        by,
        error,
        days,
        ..*found
    }
}

/// The least deviation that is believed: a meter is not better than its own counts.
fn floor(values: &[Value], shift: &Shift) -> f64 {
    let (mut totals, mut known) = ([0; BASE_MAX], 0);
    for value in values.iter().rev().take(shift.base_days.min(BASE_MAX)) {
        totals[known] = value.total_milli;
        known += 1;
    }
    let totals = &mut totals[..known];
    totals.sort_unstable();
    let median = totals.get(known / 2).copied().unwrap_or(0);
    real(shift.floor_milli).max(shift.floor_share * real(median))
}

/// A robust mean and deviation of the last values; `None` of too few.
fn base(values: &[Value], floor: f64, shift: &Shift) -> Option<Base> {
    let (mut sorted, mut known) = ([0; BASE_MAX], 0);
    for value in values.iter().rev().take(shift.base_days.min(BASE_MAX)) {
        sorted[known] = value.milli;
        known += 1;
    }
    if known < shift.base_least.max(1) {
        return None;
    }
    let sorted = &mut sorted[..known];
    sorted.sort_unstable();
    let middle = median(sorted);
    let mut deviations = [0.0; BASE_MAX];
    for (deviation, value) in deviations.iter_mut().zip(sorted.iter()) {
        *deviation = (real(*value) - middle).abs();
    }
    let deviations = &mut deviations[..known];
    deviations.sort_unstable_by(f64::total_cmp);
    let mad = f64::midpoint(deviations[(known - 1) / 2], deviations[known / 2]);
    let s = (1.4826 * mad).max(floor);
    let mean = real(sorted.iter().sum()) / count(known);
    let squares = sorted.iter().map(|value| (real(*value) - mean).powi(2));
    let plain = (squares.sum::<f64>() / count((known - 1).max(1))).sqrt();
    let high = real(sorted[rank(0.95, known).min(known - 1)]);
    let upper = (high - middle) / 1.645;
    // Of a few dozen days either deviation may come out small: the larger one tells tails from chance.
    let tail = upper / s.max(plain);
    let reach = (real(sorted[known - 1]) - middle) / s.max(plain);
    let cut = rank(shift.trim, known);
    let kept = &sorted[cut..known - cut];
    let trimmed = real(kept.iter().sum()) / count(kept.len());
    let is_light = tail <= shift.light_tail && reach <= shift.light_reach;
    let careful = s * (upper / s).max(1.0);
    let (tail, mean, sigma) = if is_light && known >= shift.light_least {
        // Without outliers the plain mean and deviation are the surer ones: a rise is seen a day sooner
        // than by the median's, at as few false alarms.
        (Tail::Light, mean, plain.max(upper).max(floor))
    } else if tail <= shift.mild_tail && reach <= shift.mild_reach {
        (Tail::Mild, trimmed, careful)
    } else {
        (Tail::Heavy, trimmed, careful)
    };
    let largest = real(sorted[known - 1]);
    Some(Base {
        mean,
        sigma,
        tail,
        known,
        unheard_of: 2.0 * largest - middle,
    })
}

fn median(sorted: &[i64]) -> f64 {
    let n = sorted.len();
    f64::midpoint(real(sorted[(n - 1) / 2]), real(sorted[n / 2]))
}

fn rise_from(since: &[Value], base: &Base, shift: &Shift) -> Option<Rise> {
    let Noise {
        clip,
        raise_at,
        days,
        base_error,
    } = match base.tail {
        Tail::Light => shift.light,
        Tail::Mild | Tail::Heavy => shift.heavy,
    };
    let (mut score, mut sum) = (0.0, 0);
    for value in since {
        score += ((real(value.milli) - base.mean) / base.sigma).clamp(-clip, clip);
        sum += value.milli;
    }
    let m = count(since.len());
    let by = real(sum) / m - base.mean;
    // Noise that is not light is clipped: what it has never been near to is told by the days in a row.
    let is_unheard_of = since.len() >= UNHEARD_OF_DAYS
        && since
            .iter()
            .all(|value| real(value.milli) > base.unheard_of.max(base.mean + 3.0 * base.sigma));
    let is_long_enough = since.len() >= days || is_unheard_of;
    if !is_long_enough || score <= 0.0 || by < real(shift.least_shift_milli) {
        return None;
    }
    let n = count(base.known);
    let g = score * score / (2.0 * (m + base_error * m * m / n));
    let g = if is_unheard_of { g.max(raise_at) } else { g };
    Some(Rise {
        start: since[0].day,
        before: base.mean,
        by,
        error: base.sigma * (1.0 / m + base_error / n).sqrt(),
        evidence: g / raise_at,
        tail: base.tail,
        days: since.len(),
        base_days: base.known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty days around 60 L, then these, in litres.
    fn check(then: &[i64], expected: &str) {
        let noise = [-6, 4, 1, -3, 7, 0, -5, 2, 5, -2, 3, -7, 6, -1, -4];
        let before = (0..60).map(|n| 60 + noise[n % noise.len()]);
        let values: Vec<Value> = before
            .chain(then.iter().copied())
            .zip(0..)
            .map(|(litres, day)| Value {
                day: Day::from_number(day),
                milli: litres * 1000,
                total_milli: 110_000,
            })
            .collect();
        let said = rise(&values, None, &Shift::water()).map_or_else(
            || "nothing".to_owned(),
            |rise| {
                format!(
                    "{:.1} from day {} by {:.0} ± {:.0} L, {:?}",
                    rise.evidence,
                    rise.start.number(),
                    rise.by / 1000.0,
                    rise.error / 1000.0,
                    rise.tail
                )
            },
        );
        assert_eq!(said, expected, "{then:?}");
    }

    #[test]
    fn a_rise_of_a_day_is_seen_where_it_is_large_and_of_days_where_it_is_small() {
        check(&[], "nothing");
        check(&[120], "2.2 from day 60 by 60 ± 4 L, Light");
        check(&[72, 71, 74, 70], "1.7 from day 60 by 12 ± 2 L, Light");
        check(
            &[72, 71, 74, 70, 73, 72, 71],
            "2.9 from day 60 by 12 ± 2 L, Light",
        );
    }

    #[test]
    fn one_day_out_of_all_proportion_does_not_make_the_mean() {
        check(&[600, 60, 61, 58], "0.5 from day 60 by 135 ± 2 L, Light");
    }
}
