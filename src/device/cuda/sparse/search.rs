//! Stored values of a matrix in compressed rows, and the places of those that are not finite.

use super::super::launch::{Shape, arg, launch};
use super::super::{Cuda, CudaScalar};
use super::Factor;
use crate::{CsrRef, Device, MatRef, Result};

/// The number at an address of the GPU. Synchronises.
fn number_at(cuda: &Cuda, address: u64) -> Result<u64> {
    let mut number = [0u64];
    // SAFETY: callers pass the address of a row pointer.
    unsafe { cuda.read(address, &mut number)? };
    Ok(number[0])
}

/// The values between the first and the last row pointer.
pub(super) fn stored_values<'a, T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'a, T, Cuda>,
) -> Result<MatRef<'a, T, Cuda>> {
    let at = |row: usize| number_at(cuda, x.row_ptr().wrapping_add(row).addr() as u64);
    Ok(x.values_in(at(0)? as usize..at(x.nrows())? as usize))
}

/// Row and column of stored entry `place`, or of one of its row that is not finite either and has a
/// smaller column.
pub(super) fn place_of_non_finite<T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'_, T, Cuda>,
    place: usize,
) -> Result<(usize, usize)> {
    let buffer = cuda.scratch::<u64>(2)?;
    let lists = Factor::stored(x).lists;
    let (rows, place, out) = (x.nrows() as i64, place as u64, buffer.start());
    let shape = Shape { grid: (1, 1), block: 32, shared: 0 };
    let name = T::kernel(["place_of_non_finite_f32", "place_of_non_finite_f64"]);
    let arguments = &mut [
        arg(&lists.starts),
        arg(&rows),
        arg(&lists.index),
        arg(&lists.values),
        arg(&place),
        arg(&out),
    ];
    // SAFETY: the parameters of the kernel; the entry is one of the window.
    unsafe { launch(cuda, &cuda.gpu.sparse, name, shape, arguments)? };
    let mut found = [0; 2];
    cuda.download(&buffer, &mut found)?;
    Ok((found[0] as usize, found[1] as usize))
}
