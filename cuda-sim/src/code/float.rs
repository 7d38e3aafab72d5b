//! Floating-point instructions.

use super::translate::{Outcome, Translator};
use crate::arith::{Compute, float};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

pub fn translate(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let f: Compute = match (i.opcode.as_str(), ty) {
        ("add", Type::F32) if i.has("ftz") => float::add_flushed_f32,
        ("sub", Type::F32) if i.has("ftz") => float::sub_flushed_f32,
        ("mul", Type::F32) if i.has("ftz") => float::mul_flushed_f32,
        ("fma", Type::F32) if i.has("ftz") => float::fma_flushed_f32,
        ("sqrt", Type::F32) if i.has("ftz") => float::sqrt_flushed_f32,
        ("neg", Type::F32) if i.has("ftz") => float::neg_flushed_f32,
        ("add", Type::F32) => float::add_f32,
        ("sub", Type::F32) => float::sub_f32,
        ("mul", Type::F32) => float::mul_f32,
        ("fma", Type::F32) if i.has("rm") => float::fma_down_f32,
        ("fma", Type::F32) => float::fma_f32,
        ("div", Type::F32) => float::div_f32,
        ("sqrt", Type::F32) => float::sqrt_f32,
        ("rcp", Type::F32) => float::rcp_f32,
        ("neg", Type::F32) => float::neg_f32,
        ("abs", Type::F32) => float::abs_f32,
        ("min", Type::F32) => float::min_f32,
        ("max", Type::F32) => float::max_f32,
        ("ex2", Type::F32) => float::ex2_flushed_f32,
        ("add", Type::F64) => float::add_f64,
        ("sub", Type::F64) => float::sub_f64,
        ("mul", Type::F64) => float::mul_f64,
        ("fma", Type::F64) => float::fma_f64,
        ("div", Type::F64) => float::div_f64,
        ("sqrt", Type::F64) => float::sqrt_f64,
        ("rcp", Type::F64) => float::rcp_f64,
        ("neg", Type::F64) => float::neg_f64,
        ("abs", Type::F64) => float::abs_f64,
        ("min", Type::F64) => float::min_f64,
        ("max", Type::F64) => float::max_f64,
        _ => return t.unsupported(i),
    };
    t.compute(i, f, ty)
}
