//! Types and rounding of a conversion, packed into a constant operand.

use super::soft::{Format, Rounding};
use crate::ptx::Type;

/// Everything about a `cvt` that is not in its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Type of the result.
    pub to: Type,
    /// Type of the operand.
    pub from: Type,
    /// Direction of rounding.
    pub rounding: Rounding,
    /// The result is an integral value (`.rni`, `.rzi`).
    pub integral: bool,
}

const TYPES: [Type; 12] = [
    Type::U16,
    Type::S16,
    Type::U32,
    Type::S32,
    Type::U64,
    Type::S64,
    Type::F16,
    Type::BF16,
    Type::F32,
    Type::F64,
    Type::F16x2,
    Type::BF16x2,
];
const ROUNDINGS: [Rounding; 2] = [Rounding::Nearest, Rounding::Zero];

impl Mode {
    /// The mode as a constant; `None` for types without arithmetic.
    pub fn pack(self) -> Option<u64> {
        let index = |ty| TYPES.iter().position(|&t| t == ty).map(|i| i as u64);
        let rounding = ROUNDINGS.iter().position(|&r| r == self.rounding)? as u64;
        let integral = u64::from(self.integral);
        Some(index(self.to)? | index(self.from)? << 8 | rounding << 16 | integral << 24)
    }

    /// Inverse of [`Mode::pack`].
    pub fn unpack(packed: u64) -> Self {
        Self {
            to: TYPES[packed as usize & 15],
            from: TYPES[(packed >> 8) as usize & 15],
            rounding: ROUNDINGS[(packed >> 16) as usize & 1],
            integral: packed >> 24 & 1 != 0,
        }
    }
}

/// The floating-point format of a type, if it is one.
pub fn format_of(ty: Type) -> Option<Format> {
    Some(match ty {
        Type::F16 => Format::F16,
        Type::BF16 => Format::BF16,
        Type::F32 => Format::F32,
        Type::F64 => Format::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_reversible() {
        for (i, &to) in TYPES.iter().enumerate() {
            for (j, &rounding) in ROUNDINGS.iter().enumerate() {
                let from = TYPES[(i + j) % TYPES.len()];
                let mode = Mode { to, from, rounding, integral: i % 2 == 0 };
                assert_eq!(Mode::unpack(mode.pack().unwrap()), mode);
            }
        }
    }
}
