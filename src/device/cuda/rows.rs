//! Row-sparse operators in compressed rows, and compressed rows made dense, by `cuda/rows.cu`.
//!
//! How many entries the rows of an operator keep is known on the device only: equal draws of LASO are
//! one entry, and a window of columns cuts others off. There is room for all draws, and nothing waits.

use super::launch::{Shape, View, arg, launch};
use super::permutation::Network;
use super::{Cuda, CudaScalar, sort};
use crate::random::{Permutation, Stream};
use crate::{Csr, CsrRef, Device, Family, MatMut, Result, Sketch};

/// Threads of a block.
const THREADS: u32 = 256;

/// The window `s` of LASO or row sampling.
pub(super) fn row_sparse<T: CudaScalar>(cuda: &Cuda, s: &Sketch) -> Result<Csr<T, Cuda>> {
    let ((rows, cols), zeta) = (s.shape(), s.nnz());
    let len = rows.saturating_mul(zeta);
    let starts = cuda.zeroed::<usize>(rows + 1)?;
    let (col_idx, values) = (cuda.scratch::<u32>(len)?, cuda.scratch::<T>(len)?);
    let draws = cuda.scratch::<u64>(len)?;
    let counts = cuda.scratch::<u32>(len)?;
    if len > 0 {
        draw(cuda, s, draws.start())?;
        let shape = Shape::over(cuda, len, THREADS as usize, THREADS);
        let (drawn, number, lengths) = (draws.start(), counts.start(), starts.start());
        let (m, per_row) = (rows as i64, zeta as u32);
        let (first, width, scale) = (s.col_range().start as u64, cols as u64, s.scale());
        let arguments = &mut [
            arg(&drawn),
            arg(&m),
            arg(&per_row),
            arg(&first),
            arg(&width),
            arg(&number),
            arg(&lengths),
        ];
        // SAFETY: the parameters of the kernel; there are ζ draws and counts a row.
        unsafe { launch(cuda, &cuda.gpu.rows, "count_draws", shape, arguments)? };
        sort::scan(cuda, lengths, rows + 1)?;
        let (columns, target) = (col_idx.start(), values.start());
        let name = T::kernel(["write_rows_f32", "write_rows_f64"]);
        let arguments = &mut [
            arg(&drawn),
            arg(&number),
            arg(&lengths),
            arg(&m),
            arg(&per_row),
            arg(&first),
            arg(&scale),
            arg(&columns),
            arg(&target),
        ];
        // SAFETY: as above; the arrays have room for all draws, of which rows keep no more.
        unsafe { launch(cuda, &cuda.gpu.rows, name, shape, arguments)? };
    }
    // SAFETY: the kernels write sums of lengths and, for every draw that counts, a column of the window,
    // each once a row.
    Ok(unsafe { Csr::from_buffers(cuda, (rows, cols), len, starts, col_idx, values) })
}

/// Writes the draws of all rows of `s`, of which there are some.
fn draw(cuda: &Cuda, s: &Sketch, draws: u64) -> Result<()> {
    let (rows, zeta, m) = (s.nrows(), s.nnz(), s.full_shape().1 as u64);
    let (first, count) = (s.row_range().start as u64, rows as i64);
    if s.family() == Family::RowSampling {
        let permutation = Permutation::new(s.seed(), Stream::RowSampling, m);
        let permutation = Network::new(&permutation, s.seed(), Stream::RowSampling);
        let shape = Shape::over(cuda, rows, THREADS as usize, THREADS);
        let arguments = &mut [arg(&permutation), arg(&first), arg(&count), arg(&draws)];
        // SAFETY: the parameters of the kernel; there is a draw a row.
        return unsafe { launch(cuda, &cuda.gpu.rows, "sampled_draws", shape, arguments) };
    }
    let shape = Shape::over(cuda, rows * zeta.div_ceil(2), THREADS as usize, THREADS);
    let (seed, stream, per_row) = (s.seed(), Stream::Laso.number(), zeta as u32);
    let arguments = &mut [
        arg(&seed),
        arg(&stream),
        arg(&m),
        arg(&per_row),
        arg(&first),
        arg(&count),
        arg(&draws),
    ];
    // SAFETY: the parameters of the kernel; there are ζ draws a row.
    unsafe { launch(cuda, &cuda.gpu.rows, "laso_draws", shape, arguments) }
}

/// `C ← X[:, first..]`, C of zeros.
pub(super) fn expand<T: CudaScalar>(
    cuda: &Cuda,
    x: CsrRef<'_, T, Cuda>,
    first: usize,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let address = |pointer: *const u8| pointer.addr() as u64;
    let row_ptr = address(x.row_ptr().cast());
    let (col_idx, values) = (address(x.col_idx().cast()), address(x.values().cast()));
    let (rows, cols, first) = (c.nrows() as i64, c.ncols() as u64, first as u64);
    let shape = Shape::over(cuda, c.nrows(), THREADS as usize / 32, THREADS);
    let (target, name) = (View::of_mut(&mut c), T::kernel(["expand_f32", "expand_f64"]));
    let arguments = &mut [
        arg(&row_ptr),
        arg(&col_idx),
        arg(&values),
        arg(&first),
        arg(&target),
        arg(&rows),
        arg(&cols),
    ];
    // SAFETY: the parameters of the kernel; C has the rows of X.
    unsafe { launch(cuda, &cuda.gpu.rows, name, shape, arguments) }
}
