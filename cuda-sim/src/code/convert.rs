//! Moves and conversions.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::arith::mode::Mode;
use crate::arith::soft::Rounding;
use crate::arith::{Compute, bits, convert};
use crate::ptx::Type;
use crate::ptx::syntax::{Instruction, Operand};

pub fn translate(t: &mut Translator, i: &Instruction, types: &[Type]) -> Outcome {
    match (i.opcode.as_str(), types) {
        ("mov", &[ty]) => mov(t, i, ty),
        ("cvt", &[to, from]) => cvt(t, i, to, from),
        _ => t.unsupported(i),
    }
}

fn mov(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    match (t.operand(i, 0)?, t.operand(i, 1)?) {
        (Operand::Vector(parts), whole) => unpack(t, parts, whole, ty),
        (whole, Operand::Vector(parts)) => pack(t, whole, parts, ty),
        _ => {
            let f: Compute = match ty.bytes() {
                2 => bits::mov::<u16>,
                4 => bits::mov::<u32>,
                _ => bits::mov::<u64>,
            };
            t.compute(i, f, ty)
        }
    }
}

/// `mov.b64 {a, b}, c`.
fn unpack(t: &mut Translator, parts: &[Operand], whole: &Operand, ty: Type) -> Outcome {
    let width = (8 * ty.bytes() / parts.len()) as u64;
    let whole = t.source(whole, ty)?;
    // A part may be the register that holds the whole.
    let copy = t.temporary();
    t.emit(Step::Compute(bits::mov::<u64>), copy, &[whole]);
    let length = t.constant(width);
    for (index, part) in parts.iter().enumerate() {
        if *part != Operand::Sink {
            let (d, position) = (t.destination(part)?, t.constant(index as u64 * width));
            t.emit(Step::Compute(bits::field), d, &[copy, position, length]);
        }
    }
    Ok(())
}

/// `mov.b64 c, {a, b}`.
fn pack(t: &mut Translator, whole: &Operand, parts: &[Operand], ty: Type) -> Outcome {
    let width = (8 * ty.bytes() / parts.len()) as u64;
    let d = t.destination(whole)?;
    let mut so_far = t.constant(0);
    let length = t.constant(width);
    for (index, part) in parts.iter().enumerate() {
        let part = t.source(part, ty)?;
        let position = t.constant(index as u64 * width);
        let result = if index + 1 == parts.len() { d } else { t.temporary() };
        t.emit(Step::Compute(bits::bfi::<u64>), result, &[part, so_far, position, length]);
        so_far = result;
    }
    Ok(())
}

fn cvt(t: &mut Translator, i: &Instruction, to: Type, from: Type) -> Outcome {
    if i.has("sat") {
        return t.compute(i, convert::f32_saturated, from);
    }
    if i.has("ftz") {
        let f: Compute = match to {
            Type::F64 => convert::f64_from_flushed_f32,
            _ => convert::flushed_f32_from_f64,
        };
        return t.compute(i, f, from);
    }
    let mode = Mode {
        to,
        from,
        rounding: if i.has("rzi") { Rounding::Zero } else { Rounding::Nearest },
        integral: i.has("rni") || i.has("rzi"),
    };
    if to.half().is_some() {
        return t.compute_with(i, convert::cvt_pack, from, mode.pack());
    }
    match fast(mode) {
        Some(f) => t.compute(i, f, from),
        None => t.compute_with(i, convert::cvt, from, mode.pack()),
    }
}

fn fast(mode: Mode) -> Option<Compute> {
    if mode.integral {
        return None;
    }
    Some(match (mode.to, mode.from) {
        (Type::S64, Type::S32) => convert::s64_from_s32,
        (Type::U64, Type::U32) | (Type::U32, Type::U64) => convert::low_word,
        (Type::F32, Type::S32) => convert::f32_from_s32,
        (Type::F32, Type::U32) => convert::f32_from_u32,
        (Type::F64, Type::F32) => convert::f64_from_f32,
        (Type::F32, Type::F64) => convert::f32_from_f64,
        _ => return None,
    })
}
