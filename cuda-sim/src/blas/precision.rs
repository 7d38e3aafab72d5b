//! Products of singles on tensor cores, with operands of lower precision.

use super::scalar::Scalar;
use crate::arith::soft::{self, Format, Rounding, convert};
use std::ffi::c_int;

/// What the singles of A and B are rounded to before they are multiplied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    /// Nothing.
    Full,
    /// `CUBLAS_TF32_TENSOR_OP_MATH`, `CUBLAS_COMPUTE_32F_FAST_TF32`.
    Tf32,
    /// `CUBLAS_COMPUTE_32F_FAST_16F`.
    F16,
    /// `CUBLAS_COMPUTE_32F_FAST_16BF`.
    BF16,
}

impl Precision {
    /// What a math mode allows.
    pub fn of_math_mode(mode: c_int) -> Self {
        // The lowest bits are the mode, the others are flags.
        if mode & 0xF == 3 { Self::Tf32 } else { Self::Full }
    }

    /// What a compute type allows.
    pub fn of_compute_type(compute: c_int) -> Self {
        match compute {
            74 => Self::F16,
            75 => Self::BF16,
            77 => Self::Tf32,
            _ => Self::Full,
        }
    }

    /// This one, or else another.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Full { other } else { self }
    }

    /// Rounds values that are stored as `scalar`.
    pub fn round(self, scalar: Scalar, values: &mut [f64]) {
        let format = match self {
            _ if scalar != Scalar::F32 => return,
            Self::Full => return,
            Self::Tf32 => Format::TF32,
            Self::F16 => Format::F16,
            Self::BF16 => Format::BF16,
        };
        for value in values {
            let narrow = convert(format, Rounding::Nearest, Format::F64, value.to_bits());
            *value = soft::value(format, narrow);
        }
    }
}
