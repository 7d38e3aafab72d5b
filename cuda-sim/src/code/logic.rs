//! Logic, shifts, bit fields, comparisons and selections.

use super::arithmetic::by_integer;
use super::translate::{Outcome, Translator};
use crate::arith::compare::{Flushed, Relation, setp_float, setp_integer};
use crate::arith::{Compute, bits};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

pub fn translate(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let f: Compute = match i.opcode.as_str() {
        "setp" => match setp(i, ty) {
            Some(f) => f,
            None => return t.unsupported(i),
        },
        "and" => by_integer!(bits::and, ty),
        "or" => by_integer!(bits::or, ty),
        "xor" => by_integer!(bits::xor, ty),
        "not" if ty == Type::Pred => bits::not_predicate,
        "not" => by_integer!(bits::not, ty),
        "shl" => by_integer!(bits::shl, ty),
        "shr" => by_integer!(bits::shr, ty),
        "shf" if i.has("l") => bits::shf_left_wrap,
        "shf" => bits::shf_right_wrap,
        "bfi" => by_integer!(bits::bfi, ty),
        "brev" => by_integer!(bits::brev, ty),
        "clz" => by_integer!(bits::clz, ty),
        "popc" => by_integer!(bits::popc, ty),
        "prmt" => bits::prmt,
        "selp" => bits::select,
        _ => return t.unsupported(i),
    };
    t.compute(i, f, ty)
}

fn setp(i: &Instruction, ty: Type) -> Option<Compute> {
    let relation = Relation::named(i.modifiers.first()?)?;
    match ty {
        Type::F32 if i.has("ftz") => Some(setp_float::<Flushed>(relation)),
        Type::F32 => Some(setp_float::<f32>(relation)),
        Type::F64 => Some(setp_float::<f64>(relation)),
        Type::B16 | Type::U16 => setp_integer::<u16>(relation),
        Type::S16 => setp_integer::<i16>(relation),
        Type::B32 | Type::U32 => setp_integer::<u32>(relation),
        Type::S32 => setp_integer::<i32>(relation),
        Type::B64 | Type::U64 => setp_integer::<u64>(relation),
        Type::S64 => setp_integer::<i64>(relation),
        _ => None,
    }
}
