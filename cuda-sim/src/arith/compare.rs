//! Comparisons.

use super::integer::Integer;
use super::soft::{Number, unpack};
use super::{Compute, mode::format_of};
use crate::ptx::Type;
use std::cmp::Ordering;

/// A comparison of `setp` or `set`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the variants are the names of PTX
#[repr(u8)]
pub enum Relation {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

const RELATIONS: [(Relation, &str); 18] = [
    (Relation::Eq, "eq"),
    (Relation::Ne, "ne"),
    (Relation::Lt, "lt"),
    (Relation::Le, "le"),
    (Relation::Gt, "gt"),
    (Relation::Ge, "ge"),
    (Relation::Lt, "lo"),
    (Relation::Le, "ls"),
    (Relation::Gt, "hi"),
    (Relation::Ge, "hs"),
    (Relation::Equ, "equ"),
    (Relation::Neu, "neu"),
    (Relation::Ltu, "ltu"),
    (Relation::Leu, "leu"),
    (Relation::Gtu, "gtu"),
    (Relation::Geu, "geu"),
    (Relation::Num, "num"),
    (Relation::Nan, "nan"),
];

impl Relation {
    /// The relation called `name`.
    pub fn named(name: &str) -> Option<Self> {
        RELATIONS.iter().find(|(_, n)| *n == name).map(|(relation, _)| *relation)
    }

    /// Whether it holds for operands in this order; `None` when one is NaN.
    fn holds(self, order: Option<Ordering>) -> bool {
        let Some(order) = order else {
            return matches!(
                self,
                Self::Equ | Self::Neu | Self::Ltu | Self::Leu | Self::Gtu | Self::Geu | Self::Nan
            );
        };
        match self {
            Self::Eq | Self::Equ => order.is_eq(),
            Self::Ne | Self::Neu => order.is_ne(),
            Self::Lt | Self::Ltu => order.is_lt(),
            Self::Le | Self::Leu => order.is_le(),
            Self::Gt | Self::Gtu => order.is_gt(),
            Self::Ge | Self::Geu => order.is_ge(),
            Self::Num => true,
            Self::Nan => false,
        }
    }
}

/// How a comparison is joined with a predicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the variants are the names of PTX
#[repr(u8)]
pub enum Join {
    None,
    And,
    Or,
    Xor,
}

/// A comparison with everything PTX can add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The relation.
    pub relation: Relation,
    /// The type of the operands.
    pub ty: Type,
    /// Subnormal singles count as zero.
    pub ftz: bool,
    /// How the result is joined with the predicate `c`.
    pub join: Join,
    /// The value of `set` for true.
    pub truth: u32,
}

const TYPES: [Type; 15] = [
    Type::Pred,
    Type::B16,
    Type::B32,
    Type::B64,
    Type::U16,
    Type::U32,
    Type::U64,
    Type::S16,
    Type::S32,
    Type::S64,
    Type::F16,
    Type::BF16,
    Type::F32,
    Type::F64,
    Type::U8,
];

impl Comparison {
    /// As a constant operand; `None` for types that cannot be compared.
    pub fn pack(self) -> Option<u64> {
        let ty = TYPES.iter().position(|&t| t == self.ty)? as u64;
        let relation = self.relation as u64;
        let join = self.join as u64;
        Some(
            relation
                | ty << 8
                | join << 16
                | u64::from(self.ftz) << 24
                | u64::from(self.truth) << 32,
        )
    }

    fn unpack(packed: u64) -> Self {
        let relation = packed as u8;
        let joins = [Join::None, Join::And, Join::Or, Join::Xor];
        Self {
            relation: RELATIONS
                .iter()
                .map(|(r, _)| *r)
                .find(|r| *r as u8 == relation)
                .unwrap_or(Relation::Eq),
            ty: TYPES[(packed >> 8) as usize & 15],
            join: joins[(packed >> 16) as usize & 3],
            ftz: packed >> 24 & 1 != 0,
            truth: (packed >> 32) as u32,
        }
    }

    fn test(self, a: u64, b: u64) -> bool {
        self.relation.holds(order(self.ty, self.ftz, a, b))
    }
}

fn order(ty: Type, ftz: bool, a: u64, b: u64) -> Option<Ordering> {
    match ty {
        Type::Pred | Type::B8 | Type::U8 => Some((a as u8).cmp(&(b as u8))),
        Type::B16 | Type::U16 => Some((a as u16).cmp(&(b as u16))),
        Type::S16 => Some((a as i16).cmp(&(b as i16))),
        Type::S32 => Some((a as i32).cmp(&(b as i32))),
        Type::S64 => Some((a as i64).cmp(&(b as i64))),
        Type::B64 | Type::U64 => Some(a.cmp(&b)),
        Type::F32 => {
            let value = |bits: u64| {
                let x = f32::from_bits(bits as u32);
                if ftz { super::float::flush(x) } else { x }
            };
            value(a).partial_cmp(&value(b))
        }
        Type::F64 => f64::from_bits(a).partial_cmp(&f64::from_bits(b)),
        Type::F16 | Type::BF16 => small_float(ty, a).partial_cmp(&small_float(ty, b)),
        _ => Some((a as u32).cmp(&(b as u32))),
    }
}

/// The value of a 16-bit float.
pub fn small_float(ty: Type, bits: u64) -> f64 {
    let format = format_of(ty).expect("a 16-bit float has a format");
    match unpack(format, bits & 0xFFFF) {
        Number::Nan => f64::NAN,
        Number::Infinite { negative } => {
            if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }
        }
        Number::Finite { negative, mantissa, exponent } => {
            let magnitude = mantissa as f64 * 2f64.powi(exponent);
            if negative { -magnitude } else { magnitude }
        }
    }
}

/// `setp` in its general form: the joined result and the joined negation.
pub fn setp_joined(a: u64, b: u64, c: u64, packed: u64) -> (u64, u64) {
    let comparison = Comparison::unpack(packed);
    let holds = comparison.test(a, b);
    let join = |holds: bool| match comparison.join {
        Join::None => holds,
        Join::And => holds && c != 0,
        Join::Or => holds || c != 0,
        Join::Xor => holds != (c != 0),
    };
    (u64::from(join(holds)), u64::from(join(!holds)))
}

/// `set`: a number for true, zero for false.
pub fn set(a: u64, b: u64, c: u64, packed: u64) -> u64 {
    let truth = Comparison::unpack(packed).truth;
    if setp_joined(a, b, c, packed).0 != 0 { u64::from(truth) } else { 0 }
}

/// `set` of a pair of halves: the low 16 bits of the number for true in each half that holds.
pub fn set_pairwise(a: u64, b: u64, _: u64, packed: u64) -> u64 {
    let comparison = Comparison::unpack(packed);
    let half = |shift: u32| match comparison.test(a >> shift, b >> shift) {
        true => u64::from(comparison.truth & 0xFFFF) << shift,
        false => 0,
    };
    half(0) | half(16)
}

/// `setp` of a pair of halves: the results of the lower and of the upper half.
pub fn setp_pairwise(a: u64, b: u64, c: u64, packed: u64) -> (u64, u64) {
    (setp_joined(a, b, c, packed).0, setp_joined(a >> 16, b >> 16, c, packed).0)
}

/// The fast form of an integer `setp` without a second result, if there is one.
pub fn setp_integer<T: Integer>(relation: Relation) -> Option<Compute> {
    Some(match relation {
        Relation::Eq => |a, b, _, _| u64::from(T::of(a) == T::of(b)),
        Relation::Ne => |a, b, _, _| u64::from(T::of(a) != T::of(b)),
        Relation::Lt => |a, b, _, _| u64::from(T::of(a) < T::of(b)),
        Relation::Le => |a, b, _, _| u64::from(T::of(a) <= T::of(b)),
        Relation::Gt => |a, b, _, _| u64::from(T::of(a) > T::of(b)),
        Relation::Ge => |a, b, _, _| u64::from(T::of(a) >= T::of(b)),
        _ => return None,
    })
}

/// The fast form of a `setp.f32` without a second result, if there is one.
pub fn setp_f32(relation: Relation) -> Option<Compute> {
    fn x(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }
    Some(match relation {
        Relation::Eq => |a, b, _, _| u64::from(x(a) == x(b)),
        Relation::Lt => |a, b, _, _| u64::from(x(a) < x(b)),
        Relation::Le => |a, b, _, _| u64::from(x(a) <= x(b)),
        Relation::Gt => |a, b, _, _| u64::from(x(a) > x(b)),
        Relation::Ge => |a, b, _, _| u64::from(x(a) >= x(b)),
        Relation::Neu => |a, b, _, _| u64::from(x(a) != x(b)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_reversible() {
        for (relation, _) in RELATIONS {
            for ty in TYPES {
                let comparison =
                    Comparison { relation, ty, ftz: true, join: Join::Xor, truth: 0x3F80_0000 };
                assert_eq!(Comparison::unpack(comparison.pack().unwrap()), comparison);
            }
        }
    }
}
