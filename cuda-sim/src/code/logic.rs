//! Logic, shifts, bit fields, comparisons and selections.

use super::Step;
use super::arithmetic::by_integer;
use super::translate::{Outcome, Translator};
use crate::arith::compare::{self, Comparison, Join, Relation};
use crate::arith::{Compute, ComputePair, bits};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let types = i.types();
    let Some(&ty) = types.first() else { return t.unsupported(i) };
    let f: Compute = match i.opcode.as_str() {
        "setp" => return setp(t, i, ty),
        "set" => return set(t, i, &types),
        "prmt" => return prmt(t, i, ty),
        "and" => by_integer!(bits::and, ty),
        "or" => by_integer!(bits::or, ty),
        "xor" => by_integer!(bits::xor, ty),
        "not" if ty == Type::Pred => bits::not_predicate,
        "not" => by_integer!(bits::not, ty),
        "cnot" => by_integer!(bits::cnot, ty),
        "lop3" => bits::lop3,
        "shl" => by_integer!(bits::shl, ty),
        "shr" => by_integer!(bits::shr, ty),
        "shf" => match (i.has("l"), i.has("wrap")) {
            (true, true) => bits::shf_left_wrap,
            (true, false) => bits::shf_left_clamp,
            (false, true) => bits::shf_right_wrap,
            (false, false) => bits::shf_right_clamp,
        },
        "bfe" => by_integer!(bits::bfe, ty),
        "bfi" => by_integer!(bits::bfi, ty),
        "brev" => by_integer!(bits::brev, ty),
        "clz" => by_integer!(bits::clz, ty),
        "popc" => by_integer!(bits::popc, ty),
        "bfind" if i.has("shiftamt") => by_integer!(bits::bfind_shift, ty),
        "bfind" => by_integer!(bits::bfind, ty),
        "selp" => bits::select,
        "slct" => match types.get(1) {
            Some(Type::F32) if !i.has("ftz") => bits::select_sign_float,
            Some(Type::S32) => bits::select_sign_integer,
            _ => return t.unsupported(i),
        },
        _ => return t.unsupported(i),
    };
    t.compute(i, f, ty)
}

fn prmt(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    match bits::PRMT_PATTERNS.iter().position(|pattern| i.has(pattern)) {
        Some(pattern) => t.compute_with(i, bits::prmt_pattern, ty, Some(pattern as u64)),
        None => t.compute(i, bits::prmt, ty),
    }
}

fn comparison(t: &Translator, i: &Instruction, ty: Type) -> Result<Comparison, crate::ptx::Error> {
    let Some(relation) = i.modifiers.first().and_then(|m| Relation::named(m)) else {
        return t.error(format!("{} is not supported", i.name()));
    };
    let join = match i.modifiers.get(1).map(String::as_str) {
        Some("and") => Join::And,
        Some("or") => Join::Or,
        Some("xor") => Join::Xor,
        _ => Join::None,
    };
    Ok(Comparison { relation, ty, ftz: i.has("ftz"), join, truth: 1 })
}

fn setp(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let comparison = comparison(t, i, ty)?;
    let (_, second) = t.destinations(t.operand(i, 0)?)?;
    if let Some(half) = ty.half() {
        let comparison = Comparison { ty: half, ..comparison };
        return setp_general(t, i, comparison, compare::setp_pairwise);
    }
    let plain = second.is_none() && comparison.join == Join::None && !comparison.ftz;
    if plain && let Some(f) = fast(comparison) {
        return t.compute(i, f, ty);
    }
    setp_general(t, i, comparison, compare::setp_joined)
}

/// A `setp` with two results.
fn setp_general(
    t: &mut Translator,
    i: &Instruction,
    comparison: Comparison,
    f: ComputePair,
) -> Outcome {
    let Some(packed) = comparison.pack() else { return t.unsupported(i) };
    let (d, second) = t.destinations(t.operand(i, 0)?)?;
    let a = t.source(t.operand(i, 1)?, comparison.ty)?;
    let b = t.source(t.operand(i, 2)?, comparison.ty)?;
    let c = match i.operands.get(3) {
        Some(operand) => t.source(operand, Type::Pred)?,
        None => t.sink(),
    };
    let packed = t.constant(packed);
    t.emit_pair(Step::ComputePair(f), d, second.unwrap_or(t.sink()), &[a, b, c, packed]);
    Ok(())
}

fn fast(comparison: Comparison) -> Option<Compute> {
    let relation = comparison.relation;
    match comparison.ty {
        Type::B16 | Type::U16 => compare::setp_integer::<u16>(relation),
        Type::S16 => compare::setp_integer::<i16>(relation),
        Type::B32 | Type::U32 => compare::setp_integer::<u32>(relation),
        Type::S32 => compare::setp_integer::<i32>(relation),
        Type::B64 | Type::U64 => compare::setp_integer::<u64>(relation),
        Type::S64 => compare::setp_integer::<i64>(relation),
        Type::F32 => compare::setp_f32(relation),
        _ => None,
    }
}

fn set(t: &mut Translator, i: &Instruction, types: &[Type]) -> Outcome {
    let &[to, from] = types else { return t.unsupported(i) };
    let truth = match to {
        Type::F32 => 1f32.to_bits(),
        Type::F16 | Type::F16x2 => 0x3C00,
        Type::BF16 | Type::BF16x2 => 0x3F80,
        Type::U32 | Type::S32 | Type::B32 => u32::MAX,
        Type::U16 | Type::S16 | Type::B16 => 0xFFFF,
        _ => return t.unsupported(i),
    };
    let comparison = Comparison { truth, ..comparison(t, i, from)? };
    if let Some(half) = from.half() {
        let comparison = Comparison { ty: half, ..comparison };
        return t.compute_with(i, compare::set_pairwise, from, comparison.pack());
    }
    t.compute_with(i, compare::set, from, comparison.pack())
}
