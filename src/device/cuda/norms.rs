//! Norms and searches of `cuda/norms.cu`: kernels that leave numbers for the host, which waits for them.
//!
//! Maxima and minima do not depend on the order of threads; sums are taken in one order for a shape and a
//! fast direction, by tiles that are added in a fixed order.

use super::blas::{THREADS, Tiles, VECTOR, head, is_aligned, is_packed, log2_ceil};
use super::launch::{Shape, View, arg, launch};
use super::{Cuda, CudaBuffer, CudaScalar, rows_are_fast};
use crate::{Device, MatRef, Result, Scalar, Storage, scalar};

/// Logarithms of the entries of a warp's part of a sum of squares, and of its rows at most; parts of a block.
const PART_BITS: u32 = 12;
const PART_ROW_BITS: u32 = 10;
const PARTS: usize = 8;
/// Rows of a part of a sum over a column.
const COLUMN_ROWS: usize = 1024;

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
    unsafe { launch(cuda, &cuda.gpu.norms, "add_partial", shape, arguments)? };
    cuda.download(&sums, &mut host)?;
    Ok(host)
}

fn turned<T: Scalar>(a: MatRef<'_, T, Cuda>) -> MatRef<'_, T, Cuda> {
    if rows_are_fast(a) { a } else { a.transpose() }
}

/// Tiles for blocks that each add to one number: as many as run at once.
fn one_wave<T>(cuda: &Cuda, shape: (usize, usize), head: Option<usize>) -> Tiles {
    Tiles::new::<T>(shape, head, cuda.context().processors * 8)
}

/// Whether sums may be taken over columns by 16 bytes: kernels know no other end of a column.
fn is_whole<T: Storage>(a: MatRef<'_, T, Cuda>) -> bool {
    is_aligned(a) && a.nrows().is_multiple_of(VECTOR / size_of::<T>())
}

pub(super) fn max_abs<T: CudaScalar>(cuda: &Cuda, a: MatRef<'_, T, Cuda>) -> Result<f64> {
    wait_is_possible(cuda, "max_abs")?;
    if a.is_empty() {
        return Ok(0.0);
    }
    let a = turned(a);
    let packed = is_packed(a);
    let (rows, cols) = if packed { (a.nrows() * a.ncols(), 1) } else { a.shape() };
    let Tiles { shape, bits, vector } = one_wave::<T>(cuda, (rows, cols), head(a, packed));
    let (view, m, n) = (View::of(a), rows as i64, cols as i64);
    let name = T::kernel(["largest_f32", "largest_f64"]);
    let bits = one_number(cuda, 0, |out| {
        let arguments = &mut [arg(&view), arg(&m), arg(&n), arg(&bits), arg(&vector), arg(&out)];
        // SAFETY: the parameters of the kernel; the view has m×n entries.
        unsafe { launch(cuda, &cuda.gpu.norms, name, shape, arguments) }
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
    // By the shape alone, as the order of a sum is.
    let row_bits = log2_ceil(m).min(PART_ROW_BITS);
    let parts = m.div_ceil(1 << row_bits) * n.div_ceil(1 << (PART_BITS - row_bits));
    let tiles = parts.div_ceil(PARTS);
    let sums = cuda.scratch::<f64>(tiles)?;
    let (partial, factor) = (sums.start(), scalar::scale_by_power(1.0, exponent));
    let (shape, vector) = (Shape::over(cuda, tiles, 1, THREADS), u32::from(is_whole(a)));
    let (view, rows, cols) = (View::of(a), m as i64, n as i64);
    let name = T::kernel(["squares_f32", "squares_f64"]);
    let arguments = &mut [
        arg(&view),
        arg(&rows),
        arg(&cols),
        arg(&row_bits),
        arg(&vector),
        arg(&factor),
        arg(&partial),
    ];
    // SAFETY: the parameters of the kernel; the view has m×n entries, and there is a sum a tile.
    unsafe { launch(cuda, &cuda.gpu.norms, name, shape, arguments)? };
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
    let tiles = m.div_ceil(COLUMN_ROWS);
    let sums = cuda.scratch::<f64>(tiles * n)?;
    let (partial, factor) = (sums.start(), scalar::scale_by_power(1.0, exponent));
    let count = VECTOR / size_of::<T>();
    // The order of a sum is by the shape and the fast direction alone.
    let down = rows_are_fast(a) && m > 1;
    let (bits, vector, names) = match down {
        // Lanes that share a column: as many as a warp and the rows have.
        true => {
            let names = ["column_squares_f32", "column_squares_f64"];
            (log2_ceil(m.div_ceil(count)).min(5), is_whole(a), names)
        }
        // Groups that share the rows, which a thread takes four at a time.
        false => {
            let names = ["column_squares_by_rows_f32", "column_squares_by_rows_f64"];
            (log2_ceil(m.div_ceil(4)).min(3), is_whole(a.transpose()), names)
        }
    };
    let columns = (THREADS >> bits) as usize * if vector && !down { count } else { 1 };
    let shape = Shape::over(cuda, tiles * n.div_ceil(columns), 1, THREADS);
    let (view, rows, cols, vector) = (View::of(a), m as i64, n as i64, u32::from(vector));
    let name = T::kernel(names);
    let arguments = &mut [
        arg(&view),
        arg(&rows),
        arg(&cols),
        arg(&bits),
        arg(&vector),
        arg(&factor),
        arg(&partial),
    ];
    // SAFETY: the parameters of the kernel; the view has m×n entries, and there are tiles·n sums.
    unsafe { launch(cuda, &cuda.gpu.norms, name, shape, arguments)? };
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
    let Tiles { shape, bits, vector } = one_wave::<T>(cuda, a.shape(), head(a, false));
    let (view, m, n) = (View::of(a), a.nrows() as i64, a.ncols() as i64);
    let name = T::kernel(["non_finite_f32", "non_finite_f64"]);
    let place = one_number(cuda, u8::MAX, |out| {
        let arguments =
            &mut [arg(&view), arg(&m), arg(&n), arg(&bits), arg(&vector), arg(&turned), arg(&out)];
        // SAFETY: the parameters of the kernel; the view has m×n entries.
        unsafe { launch(cuda, &cuda.gpu.norms, name, shape, arguments) }
    })?;
    Ok((place != u64::MAX).then(|| ((place / cols) as usize, (place % cols) as usize)))
}
