//! Floating-point arithmetic.

use super::soft::{self, Format, Rounding};

fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// A subnormal becomes a zero of its sign.
#[inline]
fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// Bits of a result, with the one NaN that single-precision instructions return.
#[inline]
fn output(x: f32) -> u64 {
    if x.is_nan() { Format::F32.nan() } else { u64::from(x.to_bits()) }
}

#[inline]
fn double(x: f64) -> u64 {
    if x.is_nan() { Format::F64.nan() } else { x.to_bits() }
}

/// Single `a + b`.
pub fn add_f32(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output(single(a) + single(b))
}

/// Single `a + b` where subnormal numbers count as zero.
pub fn add_flushed_f32(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output(flush(flush(single(a)) + flush(single(b))))
}

/// Single `a - b`.
pub fn sub_f32(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output(single(a) - single(b))
}

/// Single `a · b`.
pub fn mul_f32(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output(single(a) * single(b))
}

/// Single `a · b + c`, rounded once.
pub fn fma_f32(a: u64, b: u64, c: u64, _: u64) -> u64 {
    output(single(a).mul_add(single(b), single(c)))
}

/// Single `a · b + c`, rounded once towards −∞.
pub fn fma_down_f32(a: u64, b: u64, c: u64, _: u64) -> u64 {
    let [a, b, c] = [a, b, c].map(|bits| bits & 0xFFFF_FFFF);
    soft::fma(Format::F32, Rounding::Down, a, b, c)
}

/// Single `a / b`.
pub fn div_f32(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output(single(a) / single(b))
}

/// Single `√a`.
pub fn sqrt_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    output(single(a).sqrt())
}

/// Single `1 / a`.
pub fn rcp_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    output(1.0 / single(a))
}

/// `2^a`, where subnormal numbers count as zero. GPUs compute this within some 2⁻²² of the value, here
/// it is rounded correctly or nearly so: a test that passes here may need the documented tolerance
/// there.
pub fn ex2_flushed_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    output(flush(f64::from(flush(single(a))).exp2() as f32))
}

/// The bits of a single, which count as zero if it is subnormal.
pub fn flushed(bits: u64) -> u64 {
    u64::from(flush(single(bits)).to_bits())
}

/// The same operations where subnormal operands and results count as zero (`.ftz`).
macro_rules! flushing {
    ($($name:ident = $plain:ident, $what:literal;)*) => { $(
        #[doc = $what]
        pub fn $name(a: u64, b: u64, c: u64, d: u64) -> u64 {
            flushed($plain(flushed(a), flushed(b), flushed(c), d))
        }
    )* };
}

flushing! {
    sub_flushed_f32 = sub_f32, "Single `a - b`, flushed.";
    mul_flushed_f32 = mul_f32, "Single `a · b`, flushed.";
    fma_flushed_f32 = fma_f32, "Single `a · b + c`, flushed.";
    sqrt_flushed_f32 = sqrt_f32, "Single `√a`, flushed.";
    neg_flushed_f32 = neg_f32, "Single `-a`, flushed.";
}

/// Double `a + b`.
pub fn add_f64(a: u64, b: u64, _: u64, _: u64) -> u64 {
    double(f64::from_bits(a) + f64::from_bits(b))
}

/// Double `a - b`.
pub fn sub_f64(a: u64, b: u64, _: u64, _: u64) -> u64 {
    double(f64::from_bits(a) - f64::from_bits(b))
}

/// Double `a · b`.
pub fn mul_f64(a: u64, b: u64, _: u64, _: u64) -> u64 {
    double(f64::from_bits(a) * f64::from_bits(b))
}

/// Double `a · b + c`, rounded once.
pub fn fma_f64(a: u64, b: u64, c: u64, _: u64) -> u64 {
    double(f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)))
}

/// Double `a / b`.
pub fn div_f64(a: u64, b: u64, _: u64, _: u64) -> u64 {
    double(f64::from_bits(a) / f64::from_bits(b))
}

/// Double `√a`.
pub fn sqrt_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    double(f64::from_bits(a).sqrt())
}

/// Double `1 / a`.
pub fn rcp_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    double(1.0 / f64::from_bits(a))
}

/// Single `-a`.
pub fn neg_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    (a ^ 1 << 31) & 0xFFFF_FFFF
}

/// Double `-a`.
pub fn neg_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    a ^ 1 << 63
}

/// Single `|a|`.
pub fn abs_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    a & 0x7FFF_FFFF
}

/// Double `|a|`.
pub fn abs_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    a & !(1 << 63)
}

/// `min` or `max` of one type: NaN gives way to numbers, and -0 is less than +0.
macro_rules! extreme {
    ($($(#[$doc:meta])* $name:ident = $from:expr, $to:path, $less:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: u64, b: u64, _: u64, _: u64) -> u64 {
            let (x, y) = ($from(a), $from(b));
            if x.is_nan() || !y.is_nan() && x.total_cmp(&y).is_lt() != $less { $to(y) } else { $to(x) }
        }
    )*};
}

extreme! {
    /// The smaller single.
    min_f32 = single, output, true;
    /// The larger single.
    max_f32 = single, output, false;
    /// The smaller double.
    min_f64 = f64::from_bits, double, true;
    /// The larger double.
    max_f64 = f64::from_bits, double, false;
}
