//! The scalar types of matrices and the element types of device memory.

use core::fmt::{Debug, Display};
use half::{bf16, f16};
use num_traits::NumAssign;

/// Plain data that device memory can hold: bits without padding, for which all zeros is a value.
///
/// # Safety
/// Every bit pattern of the type's size must be a valid value.
pub unsafe trait Element:
    Copy + Default + Debug + PartialEq + Send + Sync + 'static
{
}

// SAFETY: these are plain numbers; every bit pattern is a value.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for f64 {}
// SAFETY: as above.
unsafe impl Element for f16 {}
// SAFETY: as above.
unsafe impl Element for bf16 {}
// SAFETY: as above.
unsafe impl Element for u32 {}
// SAFETY: as above.
unsafe impl Element for u64 {}
// SAFETY: as above.
unsafe impl Element for usize {}

/// A number that a matrix can be stored in: `f32`, `f64`, and for the application of operators
/// [`f16`](struct@f16) and [`bf16`].
pub trait Storage: Element {
    /// What is computed with the number, and the type of α and β: itself, or `f32` for halves.
    type Compute: Scalar;
    /// The number nearest to `x`, ties to even; an infinity beyond the range.
    fn narrow(x: Self::Compute) -> Self;
    /// The value, exactly.
    fn widen(self) -> Self::Compute;
}

/// A number of 16 bits, stored only: everything is computed in `f32`.
///
/// Entries of dense operators are those of `f32` rounded to it.
pub trait Half: Storage<Compute = f32> {
    /// The name in messages: `f16`, `bf16`.
    const NAME: &'static str;
    /// The unit roundoff: half the distance from 1 to the next number (2⁻¹¹, 2⁻⁸).
    const UNIT_ROUNDOFF: f64;
    /// The distance between the numbers next to 0 (2⁻²⁴, 2⁻¹³³): below the normal range, rounding
    /// is off by half of it.
    const SMALLEST: f64;
}

impl Storage for f32 {
    type Compute = Self;
    fn narrow(x: Self) -> Self {
        x
    }
    fn widen(self) -> Self {
        self
    }
}

impl Storage for f64 {
    type Compute = Self;
    fn narrow(x: Self) -> Self {
        x
    }
    fn widen(self) -> Self {
        self
    }
}

impl Storage for f16 {
    type Compute = f32;
    fn narrow(x: f32) -> Self {
        Self::from_f32(x)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Storage for bf16 {
    type Compute = f32;
    fn narrow(x: f32) -> Self {
        Self::from_f32(x)
    }
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Half for f16 {
    const NAME: &'static str = "f16";
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 11) as f64;
    const SMALLEST: f64 = 1.0 / (1u64 << 24) as f64;
}

impl Half for bf16 {
    const NAME: &'static str = "bf16";
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 8) as f64;
    const SMALLEST: f64 = f32::MIN_POSITIVE as f64 / (1u64 << 7) as f64;
}

/// The scalar of a matrix that can be computed with: `f32` or `f64`.
///
/// Algorithms ask for little of it, so that complex numbers can join: constants, conversion from
/// and to `f64`, and its relative precision. Arithmetic on whole matrices belongs to the kernels of
/// a device.
pub trait Scalar:
    Storage<Compute = Self> + NumAssign + Display + core::ops::Neg<Output = Self>
{
    /// The name in messages: `f32`, `f64`.
    const NAME: &'static str;
    /// The unit roundoff u: half the distance from 1 to the next number (2⁻²⁴, 2⁻⁵³).
    const UNIT_ROUNDOFF: f64;
    /// The number nearest to `x`.
    fn from_f64(x: f64) -> Self;
    /// The value as `f64`, exact for `f32` and `f64`.
    fn to_f64(self) -> f64;
    /// Neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

impl Scalar for f32 {
    const NAME: &'static str = "f32";
    const UNIT_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";
    const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// The e with 2^e ≤ |x| < 2^(e+1), for finite x ≠ 0.
pub(crate) fn exponent(x: f64) -> i32 {
    let bits = x.to_bits() >> 52 & 0x7ff;
    if bits == 0 {
        // A subnormal number: 2^54 brings it into the normal range, exactly.
        exponent(x * f64::powi(2.0, 54)) - 54
    } else {
        bits as i32 - 1023
    }
}

/// x · 2^e, in steps that stay inside of the exponent range.
pub(crate) fn scale_by_power(x: f64, e: i32) -> f64 {
    let half = e / 2;
    x * f64::powi(2.0, half) * f64::powi(2.0, e - half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_bracket_the_number() {
        for x in [1.0, 1.5, -2.0, 0.1, 1e300, -1e-300, 5e-324, f64::MAX, f64::MIN_POSITIVE] {
            let mantissa = scale_by_power(x, -exponent(x)).abs();
            assert!((1.0..2.0).contains(&mantissa), "{x}: {mantissa}");
        }
    }
}
