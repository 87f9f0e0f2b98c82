//! Sums without rounding, on integers wide enough for every f64.
//!
//! Every finite f64 is a whole multiple of 2⁻¹⁰⁷⁴. An [`Exact`] counts those multiples, positive and
//! negative ones apart, and rounds only when asked: to the nearest f64, ties to even. It is never fast.

use std::cmp::Ordering;

/// 32 bits a limb, least significant first: 2098 bits for the widest f64, 32 for as many of them,
/// 64 to divide with, and some to spare.
const LIMBS: usize = 72;

/// A whole number; each limb holds 32 bits of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whole([u64; LIMBS]);

const LOW: u64 = 0xffff_ffff;

impl Whole {
    const ZERO: Self = Self([0; LIMBS]);

    /// Adds `term` × 2^`shift`; `term` is below 2⁵³.
    fn add(&mut self, term: u64, shift: usize) {
        let (first, within) = (shift / 32, shift % 32);
        let wide = u128::from(term) << within;
        let mut carry = 0;
        for (offset, limb) in self.0[first..].iter_mut().enumerate() {
            let part = if offset < 4 {
                u64::try_from(wide >> (32 * offset) & u128::from(LOW)).expect("masked to 32 bits")
            } else {
                0
            };
            let sum = *limb + part + carry;
            *limb = sum & LOW;
            carry = sum >> 32;
        }
        assert_eq!(carry, 0, "a sum of fewer than 2^32 values fits");
    }

    /// `self` − `less`, which must not be the greater.
    fn minus(&self, less: &Self) -> Self {
        let mut result = Self::ZERO;
        let mut borrow = 0;
        for ((limb, a), b) in result.0.iter_mut().zip(self.0).zip(less.0) {
            let difference = (a + LOW + 1) - b - borrow;
            *limb = difference & LOW;
            borrow = u64::from(difference <= LOW);
        }
        assert_eq!(borrow, 0, "the lesser is taken from the greater");
        result
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }

    /// `self` × 2⁶⁴ ÷ `divisor`, and whether anything remained.
    fn scaled_and_divided(&self, divisor: u32) -> (Self, bool) {
        let divisor = u64::from(divisor);
        let mut quotient = Self::ZERO;
        let mut rest = 0;
        for index in (0..LIMBS).rev() {
            let limb = if index < 2 { 0 } else { self.0[index - 2] };
            let wide = rest << 32 | limb;
            quotient.0[index] = wide / divisor;
            rest = wide % divisor;
        }
        (quotient, rest != 0)
    }

    fn bit(&self, index: usize) -> bool {
        self.0[index / 32] >> (index % 32) & 1 == 1
    }

    /// How many bits it takes to write it.
    fn width(&self) -> usize {
        (0..32 * LIMBS)
            .rev()
            .find(|&index| self.bit(index))
            .map_or(0, |top| top + 1)
    }
}

/// A sum of f64 values that has lost nothing.
#[derive(Clone, Debug)]
pub struct Exact {
    positive: Whole,
    negative: Whole,
}

impl Default for Exact {
    fn default() -> Self {
        Self {
            positive: Whole::ZERO,
            negative: Whole::ZERO,
        }
    }
}

impl Exact {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        assert!(value.is_finite(), "only finite values are held");
        let bits = value.to_bits();
        let exponent = usize::try_from(bits >> 52 & 0x7ff).expect("masked to 11 bits");
        let fraction = bits & ((1 << 52) - 1);
        let (term, shift) = if exponent == 0 {
            (fraction, 0)
        } else {
            (fraction | 1 << 52, exponent - 1)
        };
        let side = if value.is_sign_negative() {
            &mut self.negative
        } else {
            &mut self.positive
        };
        side.add(term, shift);
    }

    /// Takes a finite value away.
    pub fn subtract(&mut self, value: f64) {
        self.add(-value);
    }

    /// The nearest f64 to the sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.divided_by(1)
    }

    /// The nearest f64 to the sum ÷ `count`, which is not 0. Beyond the widest, that is the widest:
    /// rows hold numbers.
    #[must_use]
    pub fn divided_by(&self, count: u32) -> f64 {
        let (size, negative) = match self.positive.compare(&self.negative) {
            Ordering::Less => (self.negative.minus(&self.positive), true),
            Ordering::Equal | Ordering::Greater => (self.positive.minus(&self.negative), false),
        };
        // In multiples of 2⁻¹¹³⁸: 64 bits below the least bit of an f64, so that what follows sees
        // the half, and `remains` says whether there is more than the half.
        let (scaled, remains) = size.scaled_and_divided(count);
        let lowest = scaled.width().saturating_sub(53).max(64);
        let kept = (lowest..lowest + 53)
            .rev()
            .fold(0, |kept, index| kept << 1 | u64::from(scaled.bit(index)));
        let half = scaled.bit(lowest - 1);
        let more = remains || (0..lowest - 1).any(|index| scaled.bit(index));
        let rounded = kept + u64::from(half && (more || kept & 1 == 1));
        // The kept bits' leading one adds itself to the exponent, and so does a carry out of them.
        let exponent = u64::try_from(lowest - 64).expect("at most a few thousand");
        let bits = (exponent << 52).saturating_add(rounded);
        let magnitude = f64::from_bits(bits.min(f64::MAX.to_bits()));
        if negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut exact = Exact::default();
        for &value in values {
            exact.add(value);
        }
        exact.total()
    }

    #[test]
    fn a_sum_of_one_value_is_that_value_to_the_bit() {
        for value in [
            0.0,
            1.0,
            -1.0,
            0.1,
            1500.8,
            5e-324,
            -5e-324,
            2.2e-308,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
        ] {
            assert_eq!(sum(&[value]).to_bits(), value.to_bits(), "{value}");
        }
    }

    #[test]
    fn what_cancels_leaves_no_residue() {
        assert_eq!(
            sum(&[1e308, 1e-300, -1e308]).to_bits(),
            1e-300_f64.to_bits()
        );
        assert_eq!(sum(&[0.1, 0.2, 0.3, -0.3, -0.2, -0.1]).to_bits(), 0);
    }

    #[test]
    fn a_sum_of_two_is_what_the_processor_says() {
        for (a, b) in [
            (0.1, 0.2),
            (1e16, 1.0),
            (1e16, 3.0),
            (-0.3, 0.1),
            (5e-324, 5e-324),
            (1.0, f64::EPSILON / 2.0),
        ] {
            assert_eq!(sum(&[a, b]).to_bits(), (a + b).to_bits(), "{a} + {b}");
        }
    }

    #[test]
    fn rounding_is_once_and_ties_go_to_even() {
        assert_eq!(
            sum(&[1.0, f64::EPSILON / 2.0, 1e-300]).to_bits(),
            (1.0 + f64::EPSILON).to_bits()
        );
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0]).to_bits(), 1.0_f64.to_bits());
        assert_eq!(sum(&[0.1; 10]).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_quotient_is_what_the_processor_says_where_the_sum_is_exact() {
        for (value, count) in [
            (1.0, 3),
            (63.51, 3),
            (-7.0, 10),
            (5e-324, 2),
            (1.5e-323, 2),
            (1e308, 7),
            (2e-308, 3),
        ] {
            let mut exact = Exact::default();
            exact.add(value);
            let expected = value / f64::from(count);
            assert_eq!(
                exact.divided_by(count).to_bits(),
                expected.to_bits(),
                "{value} / {count}"
            );
        }
    }

    #[test]
    fn a_sum_beyond_f64_is_the_widest_and_its_mean_is_exact() {
        let mut exact = Exact::default();
        (0..4).for_each(|_| exact.add(f64::MAX));
        assert_eq!(exact.divided_by(4).to_bits(), f64::MAX.to_bits());
        assert_eq!(exact.total().to_bits(), f64::MAX.to_bits());
    }
}
