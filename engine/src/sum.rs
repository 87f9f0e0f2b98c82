//! Exact sums of `f64`: whatever the order, whatever was taken back, the same bits.
//!
//! A sum is one wide fixed-point integer in units of 2⁻¹⁰⁷⁴, the smallest `f64`. Adding a value
//! and taking it back leaves no residue, so a correction costs two additions and not a pass over
//! the day. The integer is kept in limbs of 32 bits, each in an `i64` with room for carries, and
//! only the limbs that were ever needed are kept: three or four for a sensor's usual range.
//!
//! The idea is Kulisch's long accumulator with the deferred carries of Neal, "Fast exact summation
//! using small and large superaccumulators" (2015).

/// Bits of value in one limb.
const LIMB_BITS: usize = 32;
/// The exponent of the lowest bit of limb 0.
const LOWEST_EXPONENT: i32 = -1074;
/// Additions a limb takes before its carries must move on: each adds less than 2³².
const ADDITIONS_BETWEEN_CARRIES: u32 = 1 << 30;

/// An exact sum of finite `f64`.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    /// Little-endian limbs; limb `i` weighs 2^(32·(first + i) − 1074).
    limbs: Vec<i64>,
    /// Which limb of the whole range `limbs[0]` is.
    first: usize,
    /// Additions since the carries last moved on.
    additions: u32,
}

impl ExactSum {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        self.put(value, 1);
    }

    /// Takes a finite value back.
    pub fn subtract(&mut self, value: f64) {
        self.put(value, -1);
    }

    /// Adds another sum.
    pub fn add_sum(&mut self, other: &Self) {
        self.put_sum(other, 1);
    }

    /// Takes another sum back.
    pub fn subtract_sum(&mut self, other: &Self) {
        self.put_sum(other, -1);
    }

    /// Whether the sum is exactly zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.magnitude().limbs.is_empty()
    }

    /// The nearest `f64` to the sum, ties to even; ±[`f64::MAX`] beyond the range.
    #[must_use]
    pub fn value(&self) -> f64 {
        let magnitude = self.magnitude();
        magnitude.signed(round(&magnitude.limbs, magnitude.exponent(), false))
    }

    /// The nearest `f64` to the sum divided by `count`, ties to even.
    ///
    /// # Panics
    /// If `count` is 0.
    #[must_use]
    pub fn mean(&self, count: u32) -> f64 {
        /// Zero limbs below the sum: the quotient keeps at least 64 significant bits.
        const EXTRA: usize = 3;
        assert!(count > 0, "a mean needs at least one value");
        let mut magnitude = self.magnitude();
        magnitude.limbs.splice(0..0, [0; EXTRA]);
        let mut remainder = 0_u64;
        for limb in magnitude.limbs.iter_mut().rev() {
            let part = (remainder << LIMB_BITS) | u64::from(*limb);
            *limb = low_bits(part / u64::from(count));
            remainder = part % u64::from(count);
        }
        let exponent = magnitude.exponent() - bits_i32(EXTRA * LIMB_BITS);
        magnitude.signed(round(&magnitude.limbs, exponent, remainder != 0))
    }

    /// Writes the sum so that [`read`](Self::read) gives it back: equal sums give equal bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let magnitude = self.magnitude();
        let count = u8::try_from(magnitude.limbs.len()).expect("a sum has at most 70 limbs");
        let first = u8::try_from(magnitude.first).expect("a sum has at most 70 limbs");
        out.extend([count, first, u8::from(magnitude.negative)]);
        for limb in &magnitude.limbs {
            out.extend(limb.to_le_bytes());
        }
    }

    /// Reads what [`write`](Self::write) wrote from the front of `bytes`; `None` where it is cut
    /// short or was never written so.
    #[must_use]
    pub fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (&[count, first, negative], mut rest) = bytes.split_first_chunk::<3>()?;
        if usize::from(count) + usize::from(first) > 80 || negative > 1 {
            return None;
        }
        let sign = if negative == 1 { -1 } else { 1 };
        let mut limbs = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (limb, after) = rest.split_first_chunk::<4>()?;
            limbs.push(sign * i64::from(u32::from_le_bytes(*limb)));
            rest = after;
        }
        *bytes = rest;
        Some(Self {
            limbs,
            first: usize::from(first),
            additions: 1,
        })
    }

    fn put(&mut self, value: f64, sign: i64) {
        debug_assert!(value.is_finite(), "sums are of finite values");
        let bits = value.to_bits();
        let biased = usize::try_from((bits >> 52) & 0x7ff).expect("eleven bits fit");
        let fraction = bits & ((1 << 52) - 1);
        // value = mantissa · 2^(position − 1074)
        let (mantissa, position) = match biased {
            0 => (fraction, 0),
            normal => (fraction | (1 << 52), normal - 1),
        };
        if mantissa == 0 {
            return;
        }
        let sign = if value.is_sign_negative() {
            -sign
        } else {
            sign
        };
        let wide = u128::from(mantissa) << (position % LIMB_BITS);
        let lowest = position / LIMB_BITS;
        self.cover(lowest, lowest + 3);
        let at = lowest - self.first;
        for (i, limb) in self.limbs[at..at + 3].iter_mut().enumerate() {
            *limb += sign * i64::from(low_bits_wide(wide >> (i * LIMB_BITS)));
        }
        self.count_addition();
    }

    fn put_sum(&mut self, other: &Self, sign: i64) {
        if other.limbs.is_empty() {
            return;
        }
        let mut other = other.clone();
        other.carry();
        self.cover(other.first, other.first + other.limbs.len());
        let at = other.first - self.first;
        for (limb, more) in self.limbs[at..].iter_mut().zip(&other.limbs) {
            *limb += sign * more;
        }
        self.count_addition();
    }

    fn count_addition(&mut self) {
        self.additions += 1;
        if self.additions >= ADDITIONS_BETWEEN_CARRIES {
            self.carry();
        }
    }

    /// Makes room for the limbs `[from, to)`.
    fn cover(&mut self, from: usize, to: usize) {
        if self.limbs.is_empty() {
            self.first = from;
        }
        if from < self.first {
            let missing = self.first - from;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = from;
        }
        if to > self.first + self.limbs.len() {
            self.limbs.resize(to - self.first, 0);
        }
    }

    /// Moves carries on, so that every limb but the highest lies in [0, 2³²) and the highest in
    /// [−2³¹, 2³¹).
    fn carry(&mut self) {
        let mut carried = 0;
        for limb in &mut self.limbs {
            let full = *limb + carried;
            carried = full >> LIMB_BITS;
            *limb = full & 0xffff_ffff;
        }
        // What is left over is the sign: −1 or a small number that needs a limb of its own.
        let high = self.limbs.last_mut();
        match (carried, high) {
            (0, _) | (_, None) => {}
            (-1, Some(high)) if *high >= 1 << 31 => *high -= 1 << LIMB_BITS,
            (carried, Some(_)) => self.limbs.push(carried),
        }
        self.additions = 1;
    }

    fn magnitude(&self) -> Magnitude {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.limbs.last().is_some_and(|high| *high < 0);
        if negative {
            for limb in &mut sum.limbs {
                *limb = -*limb;
            }
            sum.carry();
        }
        let mut limbs: Vec<u32> = sum
            .limbs
            .iter()
            .map(|limb| u32::try_from(*limb).expect("carried limbs of a magnitude fit 32 bits"))
            .collect();
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        let zeros = limbs.iter().take_while(|limb| **limb == 0).count();
        limbs.drain(..zeros);
        Magnitude {
            first: if limbs.is_empty() {
                0
            } else {
                sum.first + zeros
            },
            negative: negative && !limbs.is_empty(),
            limbs,
        }
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.magnitude() == other.magnitude()
    }
}

/// The one way to write a sum: sign and limbs without zeros at either end.
#[derive(PartialEq)]
struct Magnitude {
    limbs: Vec<u32>,
    first: usize,
    negative: bool,
}

impl Magnitude {
    fn exponent(&self) -> i32 {
        bits_i32(self.first * LIMB_BITS) + LOWEST_EXPONENT
    }

    fn signed(&self, value: f64) -> f64 {
        if self.negative { -value } else { value }
    }
}

fn bits_i32(bits: usize) -> i32 {
    i32::try_from(bits).expect("a sum spans some two thousand bits")
}

fn low_bits(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).expect("masked to 32 bits")
}

fn low_bits_wide(value: u128) -> u32 {
    u32::try_from(value & 0xffff_ffff).expect("masked to 32 bits")
}

/// The nearest `f64` to Σ limbs[i]·2^(32·i + exponent), plus a little more where `more`.
fn round(limbs: &[u32], exponent: i32, more: bool) -> f64 {
    let Some(high) = limbs.iter().rposition(|limb| *limb != 0) else {
        return 0.0;
    };
    let used = LIMB_BITS - limbs[high].leading_zeros() as usize;
    let highest_bit = high * LIMB_BITS + used - 1;
    // The weight of the result's last bit: 52 below the highest, but never under the smallest f64.
    let lowest_kept = (bits_i32(highest_bit) - 52).max(LOWEST_EXPONENT - exponent);
    let bit = |i: i32| {
        usize::try_from(i).is_ok_and(|i| {
            limbs
                .get(i / LIMB_BITS)
                .is_some_and(|limb| limb >> (i % LIMB_BITS) & 1 == 1)
        })
    };
    let mut mantissa = 0_u64;
    for i in (lowest_kept..=bits_i32(highest_bit)).rev() {
        mantissa = mantissa << 1 | u64::from(bit(i));
    }
    let half = bit(lowest_kept - 1);
    let below = more || any_bit_below(limbs, lowest_kept - 1);
    if half && (below || mantissa & 1 == 1) {
        mantissa += 1;
    }
    scaled(mantissa, exponent + lowest_kept)
}

fn any_bit_below(limbs: &[u32], end: i32) -> bool {
    let Ok(end) = usize::try_from(end) else {
        return false;
    };
    let (whole, part) = (end / LIMB_BITS, end % LIMB_BITS);
    limbs.iter().take(whole).any(|limb| *limb != 0)
        || limbs
            .get(whole)
            .is_some_and(|limb| limb & ((1 << part) - 1) != 0)
}

/// mantissa · 2^exponent for a mantissa of at most 2⁵³ and an exponent that loses none of its bits.
fn scaled(mantissa: u64, exponent: i32) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let (mantissa, exponent) = match mantissa {
        0x20_0000_0000_0000 => (mantissa >> 1, exponent + 1),
        other => (other, exponent),
    };
    let fraction = mantissa & ((1 << 52) - 1);
    if mantissa >> 52 == 0 {
        return f64::from_bits(fraction); // subnormal: its last bit weighs 2⁻¹⁰⁷⁴
    }
    match u64::try_from(exponent - LOWEST_EXPONENT + 1) {
        Ok(biased) if biased < 0x7ff => f64::from_bits(biased << 52 | fraction),
        Ok(_) | Err(_) => f64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        for value in values {
            sum.add(*value);
        }
        sum
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |v| v.is_finite()),
            (-100_000_i32..100_000).prop_map(|cents| f64::from(cents) / 100.0),
        ]
    }

    #[test]
    fn ten_tenths_are_the_nearest_double_to_their_exact_sum() {
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_ne!([0.1; 10].iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn what_cancels_leaves_what_it_hid() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]).value(), 1.0);
        assert_eq!(
            sum(&[f64::MAX, f64::MIN_POSITIVE, -f64::MAX]).value(),
            f64::MIN_POSITIVE
        );
    }

    #[test]
    fn halves_go_to_even() {
        let ulp = f64::EPSILON;
        assert_eq!(sum(&[1.0, ulp / 2.0]).value(), 1.0);
        assert_eq!(sum(&[1.0 + ulp, ulp / 2.0]).value(), 1.0 + 2.0 * ulp);
        assert_eq!(sum(&[1.0, ulp / 2.0, f64::from_bits(1)]).value(), 1.0 + ulp);
    }

    #[test]
    fn beyond_the_range_is_the_largest_double() {
        assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).value(), f64::MAX);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]).value(), -f64::MAX);
    }

    #[test]
    fn means_are_rounded_once() {
        assert_eq!(sum(&[20.0, 21.5, 22.01]).mean(3), 21.17);
        assert_eq!(sum(&[1.0]).mean(3), 1.0 / 3.0);
        assert_eq!(
            sum(&[f64::from_bits(1), f64::from_bits(2)]).mean(2),
            f64::from_bits(2)
        );
        assert_eq!(sum(&[f64::MAX, f64::MAX]).mean(2), f64::MAX);
    }

    proptest! {
        #[test]
        fn two_values_sum_as_the_processor_sums_them(a in finite(), b in finite()) {
            let both = a + b;
            prop_assume!(both.is_finite());
            prop_assert_eq!(sum(&[a, b]).value(), both);
        }

        #[test]
        fn a_mean_of_one_value_is_a_division(a in finite(), n in 1_u32..5000) {
            prop_assert_eq!(sum(&[a]).mean(n), a / f64::from(n));
        }

        #[test]
        fn order_does_not_matter_and_taking_back_leaves_no_residue(
            values in prop::collection::vec(finite(), 0..40),
            others in prop::collection::vec(finite(), 0..40),
            rotate in 0_usize..40,
        ) {
            let plain = sum(&values);
            let mut busy = sum(&others);
            let mut rotated = values.clone();
            rotated.rotate_left(rotate % values.len().max(1));
            for value in &rotated { busy.add(*value); }
            for other in &others { busy.subtract(*other); }
            prop_assert_eq!(&busy, &plain);
            prop_assert_eq!(busy.value().to_bits(), plain.value().to_bits());
            let mut nothing = plain.clone();
            nothing.subtract_sum(&busy);
            prop_assert!(nothing.is_zero());
        }

        #[test]
        fn a_sum_reads_as_it_was_written(values in prop::collection::vec(finite(), 0..20)) {
            let before = sum(&values);
            let mut bytes = Vec::new();
            before.write(&mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(ExactSum::read(&mut rest), Some(before));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(sum) = ExactSum::read(&mut bytes.as_slice()) { prop_assert!(sum.value().is_finite()); }
        }
    }
}
