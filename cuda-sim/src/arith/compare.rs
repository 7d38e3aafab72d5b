//! Comparisons.

use super::Compute;
use super::float::flushed;
use super::integer::Integer;
use std::cmp::Ordering;

/// A comparison of `setp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the variants are the names of PTX
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

impl Relation {
    /// The relation called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "equ" => Self::Equ,
            "neu" => Self::Neu,
            "ltu" => Self::Ltu,
            "leu" => Self::Leu,
            "gtu" => Self::Gtu,
            "geu" => Self::Geu,
            "num" => Self::Num,
            "nan" => Self::Nan,
            _ => return None,
        })
    }
}

/// `setp` of integers; `None` for relations of floating-point numbers.
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

/// A floating-point type.
pub trait Float: PartialOrd + 'static {
    /// The value of a register.
    fn of(register: u64) -> Self;
}

impl Float for f32 {
    fn of(register: u64) -> Self {
        Self::from_bits(register as u32)
    }
}

/// A single that counts as zero if it is subnormal.
#[derive(PartialEq, PartialOrd)]
pub struct Flushed(f32);

impl Float for Flushed {
    fn of(register: u64) -> Self {
        Self(f32::of(flushed(register)))
    }
}

impl Float for f64 {
    fn of(register: u64) -> Self {
        Self::from_bits(register)
    }
}

fn order<T: Float>(a: u64, b: u64) -> Option<Ordering> {
    T::of(a).partial_cmp(&T::of(b))
}

/// `setp` of floating-point numbers: relations with a `u` hold where an operand is NaN.
pub fn setp_float<T: Float>(relation: Relation) -> Compute {
    match relation {
        Relation::Eq => |a, b, _, _| u64::from(T::of(a) == T::of(b)),
        // Unlike `!=`, this one is false for NaN.
        Relation::Ne => |a, b, _, _| u64::from(order::<T>(a, b).is_some_and(Ordering::is_ne)),
        Relation::Lt => |a, b, _, _| u64::from(T::of(a) < T::of(b)),
        Relation::Le => |a, b, _, _| u64::from(T::of(a) <= T::of(b)),
        Relation::Gt => |a, b, _, _| u64::from(T::of(a) > T::of(b)),
        Relation::Ge => |a, b, _, _| u64::from(T::of(a) >= T::of(b)),
        Relation::Equ => |a, b, _, _| u64::from(order::<T>(a, b).is_none_or(Ordering::is_eq)),
        Relation::Neu => |a, b, _, _| u64::from(T::of(a) != T::of(b)),
        Relation::Ltu => |a, b, _, _| u64::from(order::<T>(a, b).is_none_or(Ordering::is_lt)),
        Relation::Leu => |a, b, _, _| u64::from(order::<T>(a, b).is_none_or(Ordering::is_le)),
        Relation::Gtu => |a, b, _, _| u64::from(order::<T>(a, b).is_none_or(Ordering::is_gt)),
        Relation::Geu => |a, b, _, _| u64::from(order::<T>(a, b).is_none_or(Ordering::is_ge)),
        Relation::Num => |a, b, _, _| u64::from(order::<T>(a, b).is_some()),
        Relation::Nan => |a, b, _, _| u64::from(order::<T>(a, b).is_none()),
    }
}
