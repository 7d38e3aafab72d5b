//! safetensors: every two-dimensional floating-point tensor is a matrix.

use super::{Contents, Entries, Matrix, Order, checked_len};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub fn parse(file: &str, bytes: &[u8]) -> Result<Contents, String> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("safetensors file, broken or cut off: {error}"))?;
    let mut contents = Contents { matrices: Vec::new(), notes: Vec::new() };
    for (name, tensor) in tensors.iter() {
        match matrix(name, &tensor) {
            Ok(matrix) => contents.matrices.push(matrix),
            Err(why) => contents.notes.push(format!("{file}: skipped {name}: {why}")),
        }
    }
    contents.matrices.sort_by(|a, b| a.name.cmp(&b.name));
    if let [first, .., last] = contents.matrices.as_slice() {
        let prefix = shared_prefix(&first.name, &last.name);
        contents.matrices.iter_mut().for_each(|matrix| drop(matrix.name.drain(..prefix)));
    }
    contents.notes.sort();
    if contents.matrices.is_empty() {
        let count = tensors.len();
        return Err(format!(
            "safetensors file: none of its {count} tensors is two-dimensional and floating-point"
        ));
    }
    Ok(contents)
}

fn matrix(name: &str, tensor: &TensorView) -> Result<Matrix, String> {
    let &[rows, cols] = tensor.shape() else {
        return Err(format!("shape {:?}", tensor.shape()));
    };
    let data = tensor.data();
    let entries = match tensor.dtype() {
        Dtype::F32 => Entries::F32(decode(data, f32::from_le_bytes)),
        Dtype::F64 => Entries::F64(decode(data, f64::from_le_bytes)),
        Dtype::F16 => Entries::F32(decode(data, |pair| f16_to_f32(u16::from_le_bytes(pair)))),
        // bf16 is the upper half of an f32.
        Dtype::BF16 => {
            Entries::F32(decode(data, |[low, high]| f32::from_le_bytes([0, 0, low, high])))
        }
        other => return Err(format!("dtype {other:?}")),
    };
    checked_len(rows, cols, 1, data.len())?;
    let name = name.strip_suffix(".weight").unwrap_or(name).into();
    Ok(Matrix { name, rows, cols, order: Order::RowMajor, entries, channels: None })
}

/// The length of the path, dot included, that two names have in common; in a sorted list the first
/// and the last name share what all share.
fn shared_prefix(first: &str, last: &str) -> usize {
    let dots = first.match_indices('.').map(|(dot, _)| dot + 1);
    dots.take_while(|&end| last.starts_with(&first[..end])).last().unwrap_or(0)
}

fn decode<T, const SIZE: usize>(data: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
}

/// Exact for every half-precision number, subnormal ones, infinities and NaN included.
pub(super) fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let value = if bits & 0x7c00 == 0x7c00 {
        f32::from_bits(0x7f80_0000 | magnitude)
    } else {
        // The exponent biases, 127 and 15, differ by 112.
        f32::from_bits(magnitude) * 2f32.powi(112)
    };
    f32::from_bits(value.to_bits() | sign)
}
