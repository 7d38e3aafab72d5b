//! Norms and searches of `cuda/blas.cu`: kernels that leave numbers for the host, which waits for them.
//!
//! Maxima and minima do not depend on the order of threads; sums are taken by tiles of fixed size that
//! are added in a fixed order.

use super::blas::{THREADS, grid};
use super::launch::{Shape, View, arg, launch};
use super::{Cuda, CudaBuffer, CudaScalar, rows_are_fast};
use crate::{Device, MatRef, Result, Scalar, scalar};

/// Rows and columns of a tile of a sum of squares.
const SQUARES_ROWS: usize = 1024;
const SQUARES_COLS: usize = 32;

/// Refuses a capture before anything is recorded.
fn wait_is_possible(cuda: &Cuda, op: &'static str) -> Result<()> {
    cuda.refuse_capture(op, "a result on the host")
}

/// Runs a kernel that leaves one number at an address, where every byte was `initial`.
fn one_number(cuda: &Cuda, initial: u8, run: impl FnOnce(u64) -> Result<()>) -> Result<u64> {
    let mut out = cuda.scratch::<u64>(1)?;
    out.set_bytes(initial)?;
    run(out.start())?;
    let mut value = [0];
    cuda.download(&out, &mut value)?;
    Ok(value[0])
}

/// Sums in `partial`, `count` for each of `columns`, added in a fixed order.
fn add_partial(
    cuda: &Cuda,
    partial: &CudaBuffer<f64>,
    count: usize,
    columns: usize,
) -> Result<Vec<f64>> {
    let mut host = vec![0.0; columns];
    if count == 1 {
        cuda.download(partial, &mut host)?;
        return Ok(host);
    }
    let partial = partial.start();
    let sums = cuda.scratch::<f64>(columns)?;
    let (out, shape) = (sums.start(), Shape::over(cuda, columns, 1, THREADS));
    let (rows, cols) = (count as i64, columns as i64);
    let arguments = &mut [arg(&partial), arg(&rows), arg(&cols), arg(&out)];
    // SAFETY: the parameters of the kernel; both arrays are that long.
    unsafe { launch(cuda, &cuda.gpu.blas, "add_partial", shape, arguments)? };
    cuda.download(&sums, &mut host)?;
    Ok(host)
}

fn turned<T: Scalar>(a: MatRef<'_, T, Cuda>) -> MatRef<'_, T, Cuda> {
    if rows_are_fast(a) { a } else { a.transpose() }
}

pub(super) fn max_abs<T: CudaScalar>(cuda: &Cuda, a: MatRef<'_, T, Cuda>) -> Result<f64> {
    wait_is_possible(cuda, "max_abs")?;
    if a.is_empty() {
        return Ok(0.0);
    }
    let a = turned(a);
    let ((shape, row_bits), (m, n)) =
        (grid(cuda, a.nrows(), a.ncols()), (a.nrows() as i64, a.ncols() as i64));
    let (view, name) = (View::of(a), T::kernel(["largest_f32", "largest_f64"]));
    let bits = one_number(cuda, 0, |out| {
        let arguments = &mut [arg(&view), arg(&m), arg(&n), arg(&row_bits), arg(&out)];
        // SAFETY: the parameters of the kernel; the view has m×n entries.
        unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
    })?;
    Ok(f64::from_bits(bits))
}

pub(super) fn sum_of_squares<T: CudaScalar>(
    cuda: &Cuda,
    a: MatRef<'_, T, Cuda>,
    exponent: i32,
) -> Result<f64> {
    wait_is_possible(cuda, "sum_of_squares")?;
    if a.is_empty() {
        return Ok(0.0);
    }
    let a = turned(a);
    let (m, n) = a.shape();
    let tiles = m.div_ceil(SQUARES_ROWS) * n.div_ceil(SQUARES_COLS);
    let sums = cuda.scratch::<f64>(tiles)?;
    let (partial, factor) = (sums.start(), scalar::scale_by_power(1.0, exponent));
    let (shape, (_, row_bits)) = (Shape::over(cuda, tiles, 1, THREADS), grid(cuda, m, n));
    let (view, rows, cols) = (View::of(a), m as i64, n as i64);
    let name = T::kernel(["squares_f32", "squares_f64"]);
    let arguments =
        &mut [arg(&view), arg(&rows), arg(&cols), arg(&row_bits), arg(&factor), arg(&partial)];
    // SAFETY: the parameters of the kernel; the view has m×n entries, and there is a sum a tile.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments)? };
    Ok(add_partial(cuda, &sums, tiles, 1)?[0])
}

pub(super) fn column_sums_of_squares<T: CudaScalar>(
    cuda: &Cuda,
    a: MatRef<'_, T, Cuda>,
    exponent: i32,
    out: &mut [f64],
) -> Result<()> {
    wait_is_possible(cuda, "column_sums_of_squares")?;
    let (m, n) = a.shape();
    if m == 0 {
        out.fill(0.0);
    }
    if a.is_empty() {
        return Ok(());
    }
    let tiles = m.div_ceil(SQUARES_ROWS);
    let sums = cuda.scratch::<f64>(tiles * n)?;
    let (partial, factor) = (sums.start(), scalar::scale_by_power(1.0, exponent));
    // Lanes that share a column: where rows are fast, as many as a warp and the rows have.
    let lane_bits = if rows_are_fast(a) { m.next_power_of_two().ilog2().min(5) } else { 0 };
    let shape = Shape::over(cuda, tiles * n.div_ceil((THREADS >> lane_bits) as usize), 1, THREADS);
    let (view, rows, cols) = (View::of(a), m as i64, n as i64);
    let name = T::kernel(["column_squares_f32", "column_squares_f64"]);
    let arguments =
        &mut [arg(&view), arg(&rows), arg(&cols), arg(&lane_bits), arg(&factor), arg(&partial)];
    // SAFETY: the parameters of the kernel; the view has m×n entries, and there are tiles·n sums.
    unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments)? };
    out.copy_from_slice(&add_partial(cuda, &sums, tiles, n)?);
    Ok(())
}

pub(super) fn find_non_finite<T: CudaScalar>(
    cuda: &Cuda,
    a: MatRef<'_, T, Cuda>,
) -> Result<Option<(usize, usize)>> {
    wait_is_possible(cuda, "find_non_finite")?;
    if a.is_empty() {
        return Ok(None);
    }
    let cols = a.ncols() as u64;
    let turned = u32::from(!rows_are_fast(a));
    let a = if turned == 1 { a.transpose() } else { a };
    let ((shape, row_bits), (m, n)) =
        (grid(cuda, a.nrows(), a.ncols()), (a.nrows() as i64, a.ncols() as i64));
    let (view, name) = (View::of(a), T::kernel(["non_finite_f32", "non_finite_f64"]));
    let place = one_number(cuda, u8::MAX, |out| {
        let arguments =
            &mut [arg(&view), arg(&m), arg(&n), arg(&row_bits), arg(&turned), arg(&out)];
        // SAFETY: the parameters of the kernel; the view has m×n entries.
        unsafe { launch(cuda, &cuda.gpu.blas, name, shape, arguments) }
    })?;
    Ok((place != u64::MAX).then(|| ((place / cols) as usize, (place % cols) as usize)))
}
