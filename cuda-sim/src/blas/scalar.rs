//! Element types.

use crate::arith::soft::{self, Format, Rounding, convert};

/// An element type of matrices in device memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scalar {
    F16,
    BF16,
    F32,
    F64,
}

impl Scalar {
    /// The type with a number of `cudaDataType_t`.
    pub fn numbered(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F64,
            2 => Self::F16,
            14 => Self::BF16,
            _ => return None,
        })
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The value of the first bytes.
    pub fn decode(self, bytes: &[u8]) -> f64 {
        let half = || u64::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        match self {
            Self::F16 => soft::value(Format::F16, half()),
            Self::BF16 => soft::value(Format::BF16, half()),
            Self::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
            Self::F64 => {
                let mut all = [0; 8];
                all.copy_from_slice(&bytes[..8]);
                f64::from_le_bytes(all)
            }
        }
    }

    /// Writes a value, rounded to nearest, to the first bytes.
    pub fn encode(self, value: f64, bytes: &mut [u8]) {
        let half = |format| {
            let bits = convert(format, Rounding::Nearest, Format::F64, value.to_bits());
            (bits as u16).to_le_bytes()
        };
        match self {
            Self::F16 => bytes[..2].copy_from_slice(&half(Format::F16)),
            Self::BF16 => bytes[..2].copy_from_slice(&half(Format::BF16)),
            Self::F32 => bytes[..4].copy_from_slice(&(value as f32).to_le_bytes()),
            Self::F64 => bytes[..8].copy_from_slice(&value.to_le_bytes()),
        }
    }
}
