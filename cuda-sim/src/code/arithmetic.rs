//! Integer arithmetic instructions.

use super::translate::{Outcome, Translator};
use crate::arith::{Compute, integer};
use crate::ptx::Type;
use crate::ptx::syntax::Instruction;

/// The instance of a generic function for an integer type.
macro_rules! by_integer {
    ($function:path, $ty:expr) => {{
        use $function as f;
        match $ty {
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

pub fn translate(t: &mut Translator, i: &Instruction, ty: Type) -> Outcome {
    let (high, wide) = (i.has("hi"), i.has("wide"));
    let f: Compute = match i.opcode.as_str() {
        "add" => by_integer!(integer::add, ty),
        "sub" => by_integer!(integer::sub, ty),
        "mul" if wide => by_integer!(integer::mul_wide, ty),
        "mul" if high => by_integer!(integer::mul_hi, ty),
        "mul" => by_integer!(integer::mul_lo, ty),
        "mad" if wide => by_integer!(integer::mad_wide, ty),
        "mad" => by_integer!(integer::mad_lo, ty),
        "div" => by_integer!(integer::div, ty),
        "rem" => by_integer!(integer::rem, ty),
        "neg" => by_integer!(integer::neg, ty),
        "min" => by_integer!(integer::min, ty),
        "max" => by_integer!(integer::max, ty),
        _ => return t.unsupported(i),
    };
    t.compute(i, f, ty)
}
