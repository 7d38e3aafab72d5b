//! Rounding modes, flags and types, packed into a constant operand of the rarer instructions.

use super::soft::{Format, Rounding};
use crate::ptx::Type;

/// Everything about an instruction that is not in its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Type of the result.
    pub to: Type,
    /// Type of the operands.
    pub from: Type,
    /// Direction of rounding.
    pub rounding: Rounding,
    /// The result is an integral value (`.rni` and its kin).
    pub integral: bool,
    /// Subnormal singles count as zero.
    pub ftz: bool,
    /// The result is limited to `[0, 1]`, or to the range of an integer.
    pub saturate: bool,
    /// Negative results become zero.
    pub relu: bool,
    /// NaN wins over numbers in `min` and `max`.
    pub nan: bool,
}

const TYPES: [Type; 15] = [
    Type::U8,
    Type::S8,
    Type::U16,
    Type::S16,
    Type::U32,
    Type::S32,
    Type::U64,
    Type::S64,
    Type::F16,
    Type::BF16,
    Type::TF32,
    Type::F32,
    Type::F64,
    Type::F16x2,
    Type::BF16x2,
];
const ROUNDINGS: [Rounding; 5] =
    [Rounding::Nearest, Rounding::Zero, Rounding::Down, Rounding::Up, Rounding::NearestAway];

impl Mode {
    /// Rounding to nearest within type `ty`, without flags.
    pub fn plain(ty: Type) -> Self {
        Self {
            to: ty,
            from: ty,
            rounding: Rounding::Nearest,
            integral: false,
            ftz: false,
            saturate: false,
            relu: false,
            nan: false,
        }
    }

    /// The mode as a constant; `None` for types without arithmetic.
    pub fn pack(self) -> Option<u64> {
        let index = |ty| TYPES.iter().position(|&t| t == ty).map(|i| i as u64);
        let rounding = ROUNDINGS.iter().position(|&r| r == self.rounding)? as u64;
        let flags = [self.integral, self.ftz, self.saturate, self.relu, self.nan];
        let flags = flags.iter().rev().fold(0, |all, &flag| all << 1 | u64::from(flag));
        Some(index(self.to)? | index(self.from)? << 8 | rounding << 16 | flags << 24)
    }

    /// Inverse of [`Mode::pack`].
    pub fn unpack(packed: u64) -> Self {
        let flag = |bit: u32| packed >> (24 + bit) & 1 != 0;
        Self {
            to: TYPES[packed as usize & 15],
            from: TYPES[(packed >> 8) as usize & 15],
            rounding: ROUNDINGS[(packed >> 16) as usize & 7],
            integral: flag(0),
            ftz: flag(1),
            saturate: flag(2),
            relu: flag(3),
            nan: flag(4),
        }
    }
}

/// The floating-point format of a type, if it is one.
pub fn format_of(ty: Type) -> Option<Format> {
    Some(match ty {
        Type::F16 | Type::F16x2 => Format::F16,
        Type::BF16 | Type::BF16x2 => Format::BF16,
        Type::TF32 => Format::TF32,
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
                let mode = Mode {
                    to,
                    from: TYPES[(i + j) % TYPES.len()],
                    rounding,
                    integral: i % 2 == 0,
                    ftz: i % 3 == 0,
                    saturate: j % 2 == 0,
                    relu: j % 3 == 0,
                    nan: (i + j) % 2 == 0,
                };
                assert_eq!(Mode::unpack(mode.pack().unwrap()), mode);
            }
        }
        assert_eq!(Mode::plain(Type::Pred).pack(), None);
    }
}
