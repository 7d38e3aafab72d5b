//! `cvt`.

use super::float::flushed;
use super::mode::{Mode, format_of};
use super::soft::{self, Format, Number, Rounding};
use crate::ptx::Type;

/// Conversion between any two numeric types.
pub fn cvt(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    convert(Mode::unpack(mode), a)
}

/// Two singles to a packed pair: `a` to the upper half, `b` to the lower.
pub fn cvt_pack(a: u64, b: u64, _: u64, mode: u64) -> u64 {
    let mode = Mode::unpack(mode);
    let to = mode.to.half().unwrap_or(mode.to);
    let half = |x| convert(Mode { to, ..mode }, x);
    half(a) << 16 | half(b)
}

/// Sign extension from 32 to 64 bits, the most frequent conversion.
pub fn s64_from_s32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    a as i32 as u64
}

/// Zero extension from 32 to 64 bits or truncation to 32.
pub fn low_word(a: u64, _: u64, _: u64, _: u64) -> u64 {
    a & 0xFFFF_FFFF
}

/// Nearest single of a signed integer.
pub fn f32_from_s32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from((a as i32 as f32).to_bits())
}

/// Nearest single of an unsigned integer.
pub fn f32_from_u32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::from((a as u32 as f32).to_bits())
}

/// Exact double of a single.
pub fn f64_from_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    let x = f32::from_bits(a as u32);
    if x.is_nan() { Format::F64.nan() } else { f64::from(x).to_bits() }
}

/// Nearest single of a double.
pub fn f32_from_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    let x = f64::from_bits(a) as f32;
    if x.is_nan() { Format::F32.nan() } else { u64::from(x.to_bits()) }
}

/// Exact double of a single that counts as zero if it is subnormal.
pub fn f64_from_flushed_f32(a: u64, _: u64, _: u64, _: u64) -> u64 {
    f64_from_f32(flushed(a), 0, 0, 0)
}

/// Nearest single of a double, zero if it is subnormal.
pub fn flushed_f32_from_f64(a: u64, _: u64, _: u64, _: u64) -> u64 {
    flushed(f32_from_f64(a, 0, 0, 0))
}

/// A single limited to [0, 1]; NaN and -0 become +0.
pub fn f32_saturated(a: u64, _: u64, _: u64, _: u64) -> u64 {
    let x = f32::from_bits(a as u32);
    let limited = if x > 0.0 { x.min(1.0) } else { 0.0 };
    u64::from(limited.to_bits())
}

/// Converts one value.
fn convert(mode: Mode, a: u64) -> u64 {
    match (format_of(mode.from), format_of(mode.to)) {
        (None, None) => narrow(mode.to, integer(mode.from, a)),
        (None, Some(to)) => {
            let value = integer(mode.from, a);
            soft::pack(to, mode.rounding, value < 0, value.unsigned_abs(), 0, false)
        }
        (Some(from), None) => to_integer(mode, from, source(mode, a)),
        (Some(from), Some(_)) if mode.integral => integral(from, mode.rounding, source(mode, a)),
        (Some(from), Some(to)) => soft::convert(to, mode.rounding, from, source(mode, a)),
    }
}

/// The operand, cut to its width.
fn source(mode: Mode, a: u64) -> u64 {
    match mode.from.bytes() {
        8 => a,
        2 => a & 0xFFFF,
        _ => a & 0xFFFF_FFFF,
    }
}

fn integer(ty: Type, a: u64) -> i128 {
    match ty {
        Type::U16 => i128::from(a as u16),
        Type::S16 => i128::from(a as i16),
        Type::U32 => i128::from(a as u32),
        Type::S32 => i128::from(a as i32),
        Type::S64 => i128::from(a as i64),
        _ => i128::from(a),
    }
}

fn range(ty: Type) -> (i128, i128) {
    let bits = 8 * ty.bytes() as u32;
    if ty.is_signed() { (-1 << (bits - 1), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// The low bits of `value` in type `ty`.
fn narrow(ty: Type, value: i128) -> u64 {
    match ty.bytes() {
        8 => value as u64,
        2 => u64::from(value as u16),
        _ => u64::from(value as u32),
    }
}

/// Rounds to an integer of limited range. NaN gives zero, or the top bit alone where a 64-bit type
/// takes part.
fn to_integer(mode: Mode, from: Format, a: u64) -> u64 {
    let (low, high) = range(mode.to);
    let value = match soft::unpack(from, a) {
        Number::Nan if mode.from == Type::F64 || mode.to.bytes() == 8 => {
            1i128 << (8 * mode.to.bytes() - 1)
        }
        Number::Nan => 0,
        Number::Infinite { negative: true } => low,
        Number::Infinite { negative: false } => high,
        Number::Finite { negative, mantissa, exponent } => {
            let magnitude = if exponent > 64 && mantissa != 0 {
                1 << 100
            } else {
                soft::round_to(mode.rounding, negative, mantissa.into(), -exponent, false) as i128
            };
            (if negative { -magnitude } else { magnitude }).clamp(low, high)
        }
    };
    narrow(mode.to, value)
}

/// Rounds to an integral value of the same type; the sign of zero is kept.
fn integral(format: Format, rounding: Rounding, a: u64) -> u64 {
    match soft::unpack(format, a) {
        Number::Nan => format.nan(),
        Number::Infinite { .. } => a,
        Number::Finite { exponent: 0.., .. } => a,
        Number::Finite { negative, mantissa, exponent } => {
            let rounded = soft::round_to(rounding, negative, mantissa.into(), -exponent, false);
            soft::pack(format, Rounding::Nearest, negative, rounded, 0, false)
        }
    }
}
