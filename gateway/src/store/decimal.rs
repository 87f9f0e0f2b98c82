//! Floats as decimals, where that loses nothing: 28.41 is 2841 and two places.
//!
//! A float goes this way only if the decimal gives back the very same bits; all others (long
//! fractions, huge numbers, negative zero) are stored as they are.

/// The most decimal places tried.
pub(super) const MAX_PLACES: u8 = 6;

/// Powers of ten, exact in a float.
const POWERS: [f64; MAX_PLACES as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Integers up to here are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// `value × 10^places` as an integer, if [`unscale`] gives back the same bits.
#[inline]
pub(super) fn scale(value: f64, places: u8) -> Option<i64> {
    let scaled = value * POWERS[usize::from(places)];
    if !(-EXACT..=EXACT).contains(&scaled) {
        return None;
    }
    // Away from zero by a half, then towards it: `round` without its library call.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within ±2^53, checked above"
    )]
    let mantissa = (scaled + 0.5_f64.copysign(scaled)) as i64;
    (unscale(mantissa, places).to_bits() == value.to_bits()).then_some(mantissa)
}

/// `mantissa ÷ 10^places`, rounded once. `places` is at most [`MAX_PLACES`].
#[inline]
#[expect(
    clippy::cast_precision_loss,
    reason = "a mantissa that `scale` made is exact; any other only came from damaged bytes"
)]
pub(super) fn unscale(mantissa: i64, places: u8) -> f64 {
    mantissa as f64 / POWERS[usize::from(places)]
}

/// The least number of places, from `at_least` on, with which `value` is a decimal.
#[inline]
pub(super) fn places(value: f64, at_least: u8) -> Option<(u8, i64)> {
    (at_least..=MAX_PLACES)
        .find_map(|places| scale(value, places).map(|mantissa| (places, mantissa)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readings_of_the_seed_home_are_short_decimals() {
        assert_eq!(places(28.41, 0), Some((2, 2841)));
        assert_eq!(places(63901.30, 0), Some((1, 639_013)));
        assert_eq!(places(-0.000_001, 0), Some((6, -1)));
        assert_eq!(places(1.0, 0), Some((0, 1)));
    }

    #[test]
    fn what_a_decimal_would_change_is_none() {
        for value in [
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE,
            0.1 + 0.2,
            1e300,
        ] {
            assert_eq!(places(value, 0), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_decimal_gives_back_the_bits(bits: u64) {
            let value = f64::from_bits(bits);
            if let Some((places, mantissa)) = places(value, 0) {
                prop_assert_eq!(unscale(mantissa, places).to_bits(), bits);
            }
        }

        #[test]
        fn every_short_decimal_is_found(mantissa in -1_000_000_000_000_i64..1_000_000_000_000, p in 0..=MAX_PLACES) {
            prop_assert!(places(unscale(mantissa, p), 0).is_some_and(|(found, _)| found <= p));
        }
    }
}
