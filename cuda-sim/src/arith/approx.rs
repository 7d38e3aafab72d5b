//! The `.approx` instructions.
//!
//! GPUs compute these within documented errors (2⁻²² or so) that differ between generations. Here they
//! are correctly rounded or nearly so: a test that passes here may need the documented tolerance there.

use super::compare::small_float;
use super::float::{finish, flush};
use super::mode::{Mode, format_of};
use super::soft::{Format, Rounding, convert};
use crate::ptx::Type;

/// Evaluates `f` in double precision and rounds to the type of the instruction.
fn evaluate(packed: u64, a: u64, f: impl Fn(f64) -> f64) -> u64 {
    let mode = Mode::unpack(packed);
    let x = match mode.from {
        Type::F64 => f64::from_bits(a),
        Type::F16 | Type::BF16 => small_float(mode.from, a),
        _ => {
            let x = f32::from_bits(a as u32);
            f64::from(if mode.ftz { flush(x) } else { x })
        }
    };
    let to = format_of(mode.to).expect("the decoder gives a floating-point mode");
    finish(mode, convert(to, Rounding::Nearest, Format::F64, f(x).to_bits()))
}

/// `1 / √a`.
pub fn rsqrt(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, |x| 1.0 / x.sqrt())
}

/// `2^a`.
pub fn ex2(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, f64::exp2)
}

/// Base-2 logarithm.
pub fn lg2(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, f64::log2)
}

/// Sine.
pub fn sin(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, f64::sin)
}

/// Cosine.
pub fn cos(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, f64::cos)
}

/// Hyperbolic tangent.
pub fn tanh(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, f64::tanh)
}

/// `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64` return only the upper word.
pub fn rcp_upper(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    evaluate(mode, a, |x| 1.0 / x) & !0xFFFF_FFFF
}

/// See [`rcp_upper`].
pub fn rsqrt_upper(a: u64, _: u64, _: u64, mode: u64) -> u64 {
    rsqrt(a, 0, 0, mode) & !0xFFFF_FFFF
}
