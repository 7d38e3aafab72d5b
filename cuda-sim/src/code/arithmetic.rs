//! Integer arithmetic instructions.

use super::Step;
use super::translate::{Outcome, Translator};
use crate::arith::{Compute, ComputePair, integer};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

/// The instance of a generic function for an integer type.
macro_rules! by_integer {
    ($function:path, $ty:expr) => {{
        use $function as f;
        match $ty {
            Type::U8 | Type::B8 => f::<u8>,
            Type::S8 => f::<i8>,
            Type::U16 | Type::B16 => f::<u16>,
            Type::S16 => f::<i16>,
            Type::U32 | Type::B32 => f::<u32>,
            Type::S32 => f::<i32>,
            Type::S64 => f::<i64>,
            _ => f::<u64>,
        }
    }};
}
pub(super) use by_integer;

pub fn translate(t: &mut Translator, i: &Instruction) -> Outcome {
    let types = i.types();
    let Some(&ty) = types.first() else { return t.unsupported(i) };
    if is_carry_chain(i) {
        return carry_chain(t, i, ty);
    }
    let saturate = i.has("sat");
    let (high, wide) = (i.has("hi"), i.has("wide"));
    let f: Compute = match i.opcode.as_str() {
        "add" if saturate => integer::add_saturating,
        "sub" if saturate => integer::sub_saturating,
        "mad" if saturate => integer::mad_hi_saturating,
        "add" => by_integer!(integer::add, ty),
        "sub" => by_integer!(integer::sub, ty),
        "mul" if wide => by_integer!(integer::mul_wide, ty),
        "mul" if high => by_integer!(integer::mul_hi, ty),
        "mul" => by_integer!(integer::mul_lo, ty),
        "mad" if wide => by_integer!(integer::mad_wide, ty),
        "mad" if high => by_integer!(integer::mad_hi, ty),
        "mad" => by_integer!(integer::mad_lo, ty),
        "mul24" if high => by_integer!(integer::mul24_hi, ty),
        "mul24" => by_integer!(integer::mul24_lo, ty),
        "mad24" if !high => by_integer!(integer::mad24_lo, ty),
        "sad" => by_integer!(integer::sad, ty),
        "div" => by_integer!(integer::div, ty),
        "rem" => by_integer!(integer::rem, ty),
        "neg" => by_integer!(integer::neg, ty),
        "abs" => by_integer!(integer::abs, ty),
        "min" => by_integer!(integer::min, ty),
        "max" => by_integer!(integer::max, ty),
        "dp4a" => match (ty.is_signed(), types.get(1).is_some_and(|ty| ty.is_signed())) {
            (true, true) => integer::dp4a::<i8, i8>,
            (true, false) => integer::dp4a::<i8, u8>,
            (false, true) => integer::dp4a::<u8, i8>,
            (false, false) => integer::dp4a::<u8, u8>,
        },
        _ => return t.unsupported(i),
    };
    t.compute(i, f, ty)
}

fn is_carry_chain(i: &Instruction) -> bool {
    i.has("cc") || matches!(i.opcode.as_str(), "addc" | "subc" | "madc")
}

/// `add.cc` and its kin: the carry flag is a register of its own.
fn carry_chain(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let takes_carry = i.opcode.ends_with('c');
    let f: ComputePair = match i.opcode.as_str() {
        "add" | "addc" => by_integer!(integer::add_carry, ty),
        "sub" | "subc" => by_integer!(integer::sub_carry, ty),
        "mad" | "madc" if i.has("hi") => by_integer!(integer::mad_hi_carry, ty),
        "mad" | "madc" => by_integer!(integer::mad_lo_carry, ty),
        _ => return t.unsupported(i),
    };
    let carry_in = match takes_carry {
        true => t.carry,
        false => t.constant(u64::from(i.opcode == "sub")),
    };
    let carry_out = if i.has("cc") { t.carry } else { t.sink() };
    t.compute_pair(i, f, ty, carry_out, carry_in)
}

/// A move of `ty`, for those who need one.
pub(super) fn emit_move(t: &mut Translator, to: u32, from: u32) {
    t.emit(Step::Compute(crate::arith::bits::mov::<u64>), to, &[from]);
}
