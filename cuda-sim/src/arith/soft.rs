//! Exact floating-point arithmetic in integers, for every format and rounding mode.
//!
//! A finite number is `± mantissa · 2^exponent` with an integer mantissa. Operations form the exact
//! result (or its leading 128 bits and whether anything non-zero follows) and round once.

/// A binary floating-point format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    exponent_bits: u32,
    fraction_bits: u32,
    /// Unused low bits of the register that holds a value (tf32 lies in the upper bits of 32).
    padding: u32,
}

impl Format {
    /// Half precision.
    pub const F16: Self = Self { exponent_bits: 5, fraction_bits: 10, padding: 0 };
    /// Brain floating point.
    pub const BF16: Self = Self { exponent_bits: 8, fraction_bits: 7, padding: 0 };
    /// The tensor cores' 19-bit format.
    pub const TF32: Self = Self { exponent_bits: 8, fraction_bits: 10, padding: 13 };
    /// Single precision.
    pub const F32: Self = Self { exponent_bits: 8, fraction_bits: 23, padding: 0 };
    /// Double precision.
    pub const F64: Self = Self { exponent_bits: 11, fraction_bits: 52, padding: 0 };

    fn bias(self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    fn sign_bit(self) -> u64 {
        1 << (self.exponent_bits + self.fraction_bits)
    }

    fn max_biased(self) -> u64 {
        (1 << self.exponent_bits) - 1
    }

    /// The NaN that instructions return: all ones for the narrow formats, quiet and positive.
    pub fn nan(self) -> u64 {
        match self {
            Self::F64 => 0x7FF8_0000_0000_0000,
            _ => (self.sign_bit() - 1) << self.padding,
        }
    }

    /// Infinity.
    pub fn infinity(self, negative: bool) -> u64 {
        self.signed(negative, self.max_biased() << self.fraction_bits)
    }

    /// Zero.
    pub fn zero(self, negative: bool) -> u64 {
        self.signed(negative, 0)
    }

    fn signed(self, negative: bool, magnitude: u64) -> u64 {
        (if negative { self.sign_bit() | magnitude } else { magnitude }) << self.padding
    }
}

/// Direction of rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To nearest, ties to even (`.rn`).
    Nearest,
    /// Towards zero (`.rz`).
    Zero,
    /// Towards −∞ (`.rm`).
    Down,
}

impl Rounding {
    /// Whether a magnitude is increased, given its last kept bit and what was cut off: compared to
    /// half a unit, and whether it is anything at all.
    fn increases(self, negative: bool, odd: bool, half: std::cmp::Ordering, inexact: bool) -> bool {
        use std::cmp::Ordering::{Equal, Greater};
        match self {
            Self::Nearest => half == Greater || half == Equal && odd,
            Self::Zero => false,
            Self::Down => inexact && negative,
        }
    }
}

/// A value taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Not a number.
    Nan,
    /// ± infinity.
    Infinite {
        /// The sign.
        negative: bool,
    },
    /// `± mantissa · 2^exponent`; a zero has mantissa 0.
    Finite {
        /// The sign.
        negative: bool,
        /// The integer mantissa.
        mantissa: u64,
        /// The power of two.
        exponent: i32,
    },
}

/// Takes a value apart.
pub fn unpack(format: Format, bits: u64) -> Number {
    let bits = bits >> format.padding;
    let negative = bits & format.sign_bit() != 0;
    let biased = bits >> format.fraction_bits & format.max_biased();
    let fraction = bits & ((1 << format.fraction_bits) - 1);
    if biased == format.max_biased() {
        return if fraction == 0 { Number::Infinite { negative } } else { Number::Nan };
    }
    let hidden = u64::from(biased != 0) << format.fraction_bits;
    let exponent = biased.max(1) as i32 - format.bias() - format.fraction_bits as i32;
    Number::Finite { negative, mantissa: fraction | hidden, exponent }
}

/// Rounds `± mantissa · 2^exponent` to `format`. `sticky` says that the exact magnitude is larger by
/// less than one unit of the mantissa; then the mantissa must have two bits more than the format.
pub fn pack(
    format: Format,
    rounding: Rounding,
    negative: bool,
    mantissa: u128,
    exponent: i32,
    sticky: bool,
) -> u64 {
    if mantissa == 0 {
        return format.zero(negative);
    }
    let length = 128 - mantissa.leading_zeros() as i32;
    let lowest = 1 - format.bias() - format.fraction_bits as i32;
    let unit = (exponent + length - 1 - format.fraction_bits as i32).max(lowest);
    let kept = round_to(rounding, negative, mantissa, unit - exponent, sticky);
    let carried = kept >> (format.fraction_bits + 1) != 0;
    let (kept, unit) = if carried { (kept >> 1, unit + 1) } else { (kept, unit) };
    let normal = kept >> format.fraction_bits != 0;
    let biased = if normal { (unit - lowest + 1) as u64 } else { 0 };
    if biased >= format.max_biased() {
        let to_infinity = match rounding {
            Rounding::Nearest => true,
            Rounding::Zero => false,
            Rounding::Down => negative,
        };
        let infinity = format.infinity(negative);
        return if to_infinity { infinity } else { infinity - (1 << format.padding) };
    }
    let fraction = kept as u64 & ((1 << format.fraction_bits) - 1);
    format.signed(negative, biased << format.fraction_bits | fraction)
}

/// `mantissa · 2^-shift`, rounded to an integer; a negative shift multiplies.
pub fn round_to(
    rounding: Rounding,
    negative: bool,
    mantissa: u128,
    shift: i32,
    sticky: bool,
) -> u128 {
    if shift <= 0 {
        return mantissa << -shift;
    }
    let shift = shift as u32;
    let (kept, cut) = match shift {
        0..128 => (mantissa >> shift, mantissa & ((1 << shift) - 1)),
        _ => (0, mantissa),
    };
    let half = match shift {
        0..=128 => cut.cmp(&(1 << (shift - 1))),
        _ => std::cmp::Ordering::Less,
    };
    let half = if sticky { half.then(std::cmp::Ordering::Greater) } else { half };
    let inexact = cut != 0 || sticky;
    kept + u128::from(rounding.increases(negative, kept & 1 != 0, half, inexact))
}

/// `a · b + c`, rounded once.
pub fn fma(format: Format, rounding: Rounding, a: u64, b: u64, c: u64) -> u64 {
    use Number::{Finite, Infinite, Nan};
    let (a, b, c) = (unpack(format, a), unpack(format, b), unpack(format, c));
    let sign = |n: Number| match n {
        Finite { negative, .. } | Infinite { negative } => negative,
        Nan => false,
    };
    let is_zero = |n: Number| matches!(n, Finite { mantissa: 0, .. });
    let product_sign = sign(a) != sign(b);
    match (a, b, c) {
        (Nan, ..) | (_, Nan, _) | (.., Nan) => format.nan(),
        (Infinite { .. }, ..) | (_, Infinite { .. }, _) => {
            let opposite = matches!(c, Infinite { negative } if negative != product_sign);
            if is_zero(a) || is_zero(b) || opposite {
                return format.nan();
            }
            format.infinity(product_sign)
        }
        (.., Infinite { negative }) => format.infinity(negative),
        (
            Finite { mantissa: ma, exponent: ea, .. },
            Finite { mantissa: mb, exponent: eb, .. },
            Finite { negative, mantissa: mc, exponent: ec },
        ) => {
            let product = (product_sign, u128::from(ma) * u128::from(mb), ea + eb);
            add_finite(format, rounding, product, (negative, u128::from(mc), ec))
        }
    }
}

/// Sum of two finite numbers `(negative, mantissa, exponent)` with mantissas below 2^106.
fn add_finite(
    format: Format,
    rounding: Rounding,
    x: (bool, u128, i32),
    y: (bool, u128, i32),
) -> u64 {
    if x.1 == 0 && y.1 == 0 {
        let negative = if x.0 == y.0 { x.0 } else { rounding == Rounding::Down };
        return format.zero(negative);
    }
    // Both leading bits to 125; the smaller one then loses bits only when it is so much smaller
    // that cancellation cannot reach them.
    let normal = |(negative, mantissa, exponent): (bool, u128, i32)| {
        let shift = mantissa.leading_zeros() as i32 - 2;
        let exponent = if mantissa == 0 { i32::MIN / 2 } else { exponent - shift };
        (negative, if mantissa == 0 { 0 } else { mantissa << shift }, exponent)
    };
    let (x, y) = (normal(x), normal(y));
    let (big, small) = if (x.2, x.1) >= (y.2, y.1) { (x, y) } else { (y, x) };
    let distance = (big.2 - small.2).min(127) as u32;
    let aligned = small.1 >> distance;
    let lost = aligned << distance != small.1;
    if big.0 == small.0 {
        return pack(format, rounding, big.0, big.1 + aligned, big.2, lost);
    }
    let difference = big.1 - aligned - u128::from(lost);
    if difference == 0 {
        return format.zero(rounding == Rounding::Down);
    }
    pack(format, rounding, big.0, difference, big.2, lost)
}

/// Converts between formats; NaN becomes the NaN of the target.
pub fn convert(to: Format, rounding: Rounding, from: Format, bits: u64) -> u64 {
    match unpack(from, bits) {
        Number::Nan => to.nan(),
        Number::Infinite { negative } => to.infinity(negative),
        Number::Finite { negative, mantissa, exponent } => {
            pack(to, rounding, negative, mantissa.into(), exponent, false)
        }
    }
}

/// The value of a number in a format that doubles hold.
pub fn value(format: Format, bits: u64) -> f64 {
    f64::from_bits(convert(Format::F64, Rounding::Nearest, format, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit patterns that favour extreme exponents and near-cancellation.
    struct Patterns(u64);

    impl Patterns {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let x = self.0 ^ self.0 >> 29;
            match x >> 61 {
                0 => x & 0x8000_0000_8000_0000,
                1 => x | 0x7F80_0000_7F80_0000,
                2 => x & 0x807F_FFFF_807F_FFFF,
                3 => x & 0xFFF0_0000_FFF8_0000,
                4 => (x & 0x800F_FFFF_803F_FFFF) | 0x3FF0_0000_3F80_0000,
                _ => x,
            }
        }
    }

    fn same32(x: f32, bits: u64, what: &str) {
        let ok =
            if x.is_nan() { bits == Format::F32.nan() } else { u64::from(x.to_bits()) == bits };
        assert!(ok, "{what}: {x:e} {:x} {bits:x}", x.to_bits());
    }

    fn same64(x: f64, bits: u64, what: &str) {
        let ok = if x.is_nan() { bits == Format::F64.nan() } else { x.to_bits() == bits };
        assert!(ok, "{what}: {x:e} {:x} {bits:x}", x.to_bits());
    }

    #[test]
    fn nearest_agrees_with_the_host() {
        let mut patterns = Patterns(1);
        let rn = Rounding::Nearest;
        for _ in 0..200_000 {
            let (a, b, c) = (patterns.next(), patterns.next(), patterns.next());
            let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
            same64(x.mul_add(y, z), fma(Format::F64, rn, a, b, c), "fma");
            same64(x.mul_add(y, -(x * y)), fma(Format::F64, rn, a, b, (-(x * y)).to_bits()), "fma");
            same32(x as f32, convert(Format::F32, rn, Format::F64, a), "cvt");
            let [a, b, c] = [a, b, c].map(|bits| bits & 0xFFFF_FFFF);
            let [x, y, z] = [a, b, c].map(|bits| f32::from_bits(bits as u32));
            same32(x.mul_add(y, z), fma(Format::F32, rn, a, b, c), "fma");
            same64(f64::from(x), convert(Format::F64, rn, Format::F32, a), "cvt");
        }
    }

    #[test]
    fn directed_results_enclose_the_nearest() {
        let mut patterns = Patterns(2);
        for _ in 0..200_000 {
            let [a, b, c] = [patterns.next(), patterns.next(), patterns.next()];
            let [a, b, c] = [a, b, c].map(|bits| bits & 0xFFFF_FFFF);
            let value = |rounding| f32::from_bits(fma(Format::F32, rounding, a, b, c) as u32);
            let (down, nearest) = (value(Rounding::Down), value(Rounding::Nearest));
            let zero = value(Rounding::Zero);
            if nearest.is_nan() {
                continue;
            }
            assert!(down == nearest || down.next_up() == nearest, "{down:e} {nearest:e}");
            assert!(zero == if zero.is_sign_negative() { zero.max(down) } else { down });
        }
    }

    #[test]
    fn worked_values() {
        let f16 = |x: f64, rounding| convert(Format::F16, rounding, Format::F64, x.to_bits());
        assert_eq!(f16(1.0, Rounding::Nearest), 0x3C00);
        assert_eq!(f16(65504.0, Rounding::Nearest), 0x7BFF);
        assert_eq!(f16(65520.0, Rounding::Nearest), 0x7C00);
        assert_eq!(f16(65520.0, Rounding::Zero), 0x7BFF);
        assert_eq!(f16(-65520.0, Rounding::Zero), 0xFBFF);
        assert_eq!(f16(-65520.0, Rounding::Down), 0xFC00);
        assert_eq!(f16(2f64.powi(-25), Rounding::Nearest), 0);
        assert_eq!(f16(2f64.powi(-25) * 1.001, Rounding::Nearest), 1);
        assert_eq!(f16(2f64.powi(-200), Rounding::Down), 0);
        assert_eq!(f16(-2f64.powi(-200), Rounding::Down), 0x8001);
        assert_eq!(f16(f64::NAN, Rounding::Nearest), 0x7FFF);
        let bf16 =
            |x: f32| convert(Format::BF16, Rounding::Nearest, Format::F32, u64::from(x.to_bits()));
        assert_eq!(bf16(1.003_906_3), 0x3F80); // tie to even
        assert_eq!(bf16(1.011_718_8), 0x3F82);
        assert_eq!(bf16(f32::MAX), 0x7F80);
        let tf32 =
            |x: f32| convert(Format::TF32, Rounding::Nearest, Format::F32, u64::from(x.to_bits()));
        assert_eq!(tf32(1.0 + 2f32.powi(-11)), u64::from(1f32.to_bits()));
        assert_eq!(tf32(1.0 + 3.0 * 2f32.powi(-11)), u64::from((1.0 + 2f32.powi(-9)).to_bits()));
    }
}
