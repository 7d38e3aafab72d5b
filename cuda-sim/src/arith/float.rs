//! Floating-point arithmetic.

use super::mode::{Mode, format_of};
use super::soft::{self, Format};
use crate::ptx::Type;

fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// A subnormal becomes a zero of its sign.
#[inline]
pub fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

#[inline]
fn input<const FTZ: bool>(bits: u64) -> f32 {
    if FTZ { flush(single(bits)) } else { single(bits) }
}

/// Bits of a result, with the one NaN that single-precision instructions return.
#[inline]
fn output<const FTZ: bool, const SAT: bool>(x: f32) -> u64 {
    let x = if FTZ { flush(x) } else { x };
    if SAT {
        return u64::from(saturated(x).to_bits());
    }
    if x.is_nan() { Format::F32.nan() } else { u64::from(x.to_bits()) }
}

/// `x` limited to [0, 1]; NaN and -0 become +0.
fn saturated(x: f32) -> f32 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}

#[inline]
fn double(x: f64) -> u64 {
    if x.is_nan() { Format::F64.nan() } else { x.to_bits() }
}

/// Single `a + b`.
pub fn add_f32<const FTZ: bool, const SAT: bool>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a) + input::<FTZ>(b))
}

/// Single `a - b`.
pub fn sub_f32<const FTZ: bool, const SAT: bool>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a) - input::<FTZ>(b))
}

/// Single `a · b`.
pub fn mul_f32<const FTZ: bool, const SAT: bool>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a) * input::<FTZ>(b))
}

/// Single `a · b + c`, rounded once.
pub fn fma_f32<const FTZ: bool, const SAT: bool>(a: u64, b: u64, c: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a).mul_add(input::<FTZ>(b), input::<FTZ>(c)))
}

/// Single `a / b`.
pub fn div_f32<const FTZ: bool, const SAT: bool>(a: u64, b: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a) / input::<FTZ>(b))
}

/// Single `√a`.
pub fn sqrt_f32<const FTZ: bool, const SAT: bool>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(input::<FTZ>(a).sqrt())
}

/// Single `1 / a`.
pub fn rcp_f32<const FTZ: bool, const SAT: bool>(a: u64, _: u64, _: u64, _: u64) -> u64 {
    output::<FTZ, SAT>(1.0 / input::<FTZ>(a))
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

/// An operand in the general form: cut to its width and flushed if asked.
fn operand(mode: Mode, bits: u64) -> u64 {
    match mode.from {
        Type::F64 => bits,
        Type::F32 if mode.ftz => u64::from(flush(single(bits)).to_bits()),
        Type::F16 | Type::BF16 => bits & 0xFFFF,
        _ => bits & 0xFFFF_FFFF,
    }
}

/// A result in the general form: flushed, saturated and rectified if asked.
pub fn finish(mode: Mode, bits: u64) -> u64 {
    let Some(format) = format_of(mode.to) else { return bits };
    let flushed = mode.ftz && mode.to == Type::F32;
    let bits = if flushed { u64::from(flush(single(bits)).to_bits()) } else { bits };
    let number = soft::unpack(format, bits);
    let negative = match number {
        soft::Number::Nan => return if mode.saturate { format.zero(false) } else { format.nan() },
        soft::Number::Infinite { negative } | soft::Number::Finite { negative, .. } => negative,
    };
    if negative && (mode.saturate || mode.relu) {
        return format.zero(false);
    }
    let one = soft::pack(format, soft::Rounding::Nearest, false, 1, 0, false);
    // Formats order their positive values as their bits.
    if mode.saturate && bits > one { one } else { bits }
}

fn format(mode: Mode) -> Format {
    format_of(mode.from).expect("the decoder gives a floating-point mode")
}

/// `a + b` in any format and rounding.
pub fn add(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let sum = soft::add(format(mode), mode.rounding, operand(mode, a), operand(mode, b));
    finish(mode, sum)
}

/// `a - b` in any format and rounding.
pub fn sub(a: u64, b: u64, c: u64, mode: u64) -> u64 {
    add(a, neg(b, 0, 0, mode), c, mode)
}

/// `a · b` in any format and rounding.
pub fn mul(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let product = soft::mul(format(mode), mode.rounding, operand(mode, a), operand(mode, b));
    finish(mode, product)
}

/// `a · b + c` in any format and rounding.
pub fn fma(a: u64, b: u64, c: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let [a, b, c] = [a, b, c].map(|bits| operand(mode, bits));
    finish(mode, soft::fma(format(mode), mode.rounding, a, b, c))
}

/// `a / b` in any format and rounding.
pub fn div(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let quotient = soft::div(format(mode), mode.rounding, operand(mode, a), operand(mode, b));
    finish(mode, quotient)
}

/// `√a` in any format and rounding.
pub fn sqrt(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    finish(mode, soft::sqrt(format(mode), mode.rounding, operand(mode, a)))
}

/// `1 / a` in any format and rounding.
pub fn rcp(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    let format = format(Mode::unpack(mode));
    div(soft::pack(format, soft::Rounding::Nearest, false, 1, 0, false), a, 0, mode)
}

fn sign_bit(mode: Mode) -> u64 {
    1 << (8 * mode.from.bytes() - 1)
}

/// `-a`.
pub fn neg(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    operand(mode, a) ^ sign_bit(mode)
}

/// `|a|`.
pub fn abs(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    operand(mode, a) & !sign_bit(mode)
}

/// `|b|` with the sign of `a`.
pub fn copysign(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    operand(mode, a) & sign_bit(mode) | operand(mode, b) & !sign_bit(mode)
}

/// Which operand `min` and `max` return; -0 is less than +0.
fn extreme(a: u64, b: u64, mode: u64, want_larger: bool) -> u64 {
    let mode = Mode::unpack(mode);
    let format = format(mode);
    let (a, b) = (operand(mode, a), operand(mode, b));
    let is_nan = |bits| soft::unpack(format, bits) == soft::Number::Nan;
    let bits = match (is_nan(a), is_nan(b)) {
        (true, true) => format.nan(),
        (true, _) | (_, true) if mode.nan => format.nan(),
        (true, false) => b,
        (false, true) => a,
        (false, false) => {
            // Magnitude bits order positive values; negative ones the other way round.
            let key = |bits: u64| {
                let magnitude = (bits & !sign_bit(mode)) as i64;
                if bits & sign_bit(mode) != 0 { -1 - magnitude } else { magnitude }
            };
            if (key(a) > key(b)) == want_larger { a } else { b }
        }
    };
    finish(Mode { ftz: false, ..mode }, bits)
}

/// The smaller operand.
pub fn min(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    extreme(a, b, mode, false)
}

/// The larger operand.
pub fn max(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    extreme(a, b, mode, true)
}

/// The properties `testp` asks about, in the order of [`testp`].
pub const PROPERTIES: [&str; 6] =
    ["finite", "infinite", "number", "notanumber", "normal", "subnormal"];

/// Whether `a` has the property of this number; `b` is that number.
pub fn testp(a: u64, property: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let class = match mode.from {
        Type::F64 => f64::from_bits(a).classify(),
        _ => single(a).classify(),
    };
    use std::num::FpCategory::{Infinite, Nan, Normal, Subnormal, Zero};
    u64::from(match property {
        0 => !matches!(class, Nan | Infinite),
        1 => class == Infinite,
        2 => class != Nan,
        3 => class == Nan,
        4 => matches!(class, Normal | Zero),
        _ => class == Subnormal,
    })
}
