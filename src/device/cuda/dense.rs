//! Dense operators on a GPU, by `cuda/dense.cu`: entries written where they are wanted, or consumed
//! by the thread that makes them.

use super::launch::{Shape, View, arg, launch};
use super::{Cuda, CudaScalar, blas, lanes_along_columns, rows_are_fast};
use crate::random::Stream;
use crate::{Blas, Device, Family, Mat, MatMut, MatRef, Op, Result, Sketch};

/// Threads of a block that fills, and of one that multiplies.
const THREADS: u32 = 256;
const FUSED_THREADS: u32 = 128;
/// Columns of A that the fused kernels take at once; narrower inputs have [`NARROW`].
const WIDTH: usize = 16;
const NARROW: usize = 4;
/// Blocks that a product is cut into at least, when it is large, and the most parts of a sum: some
/// 16 MiB of partial sums.
const BLOCKS: usize = 512;
const MOST_PARTS: usize = 4096;
/// Columns of S, or blocks of rows, that a part has at least.
const LEAST_PART: usize = 32;

/// How many columns the fused kernels serve: one pass over the generated entries.
pub(super) const FUSED_COLUMNS: usize = WIDTH;

/// The random numbers of a dense family: kernels that fill, kernels that multiply, and the stream.
struct Source {
    fill: [&'static str; 2],
    /// Wide in f32 and f64, then narrow.
    times: [&'static str; 4],
    adjoint: [&'static str; 4],
    stream: Stream,
}

macro_rules! source {
    ($name:literal, $stream:expr) => {
        Source {
            fill: [concat!($name, "_f32"), concat!($name, "_f64")],
            times: [
                concat!($name, "_times_16_f32"),
                concat!($name, "_times_16_f64"),
                concat!($name, "_times_4_f32"),
                concat!($name, "_times_4_f64"),
            ],
            adjoint: [
                concat!($name, "_adjoint_16_f32"),
                concat!($name, "_adjoint_16_f64"),
                concat!($name, "_adjoint_4_f32"),
                concat!($name, "_adjoint_4_f64"),
            ],
            stream: $stream,
        }
    };
}

impl Source {
    fn of<T: CudaScalar>(family: Family) -> Self {
        let double = size_of::<T>() == 8;
        match (family, double) {
            (Family::Gaussian, false) => source!("gaussian", Stream::GaussianF32),
            (Family::Gaussian, true) => source!("gaussian", Stream::GaussianF64),
            (Family::Uniform, false) => source!("uniform", Stream::UniformF32),
            (Family::Uniform, true) => source!("uniform", Stream::UniformF64),
            _ => source!("signs", Stream::Rademacher),
        }
    }
}

/// Entries that one Philox block yields, the rows that a thread makes at once.
fn rows_a_block<T>() -> usize {
    16 / size_of::<T>()
}

/// `B ← α S`.
pub(super) fn fill<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    alpha: T,
    mut b: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (rows, cols) = b.shape();
    if rows == 0 || cols == 0 {
        return Ok(());
    }
    let source = Source::of::<T>(s.family());
    let factor = alpha * T::from_f64(s.scale());
    let by_rows = u32::from(rows_are_fast(b.as_ref()));
    let (view, m, n) = (View::of_mut(&mut b), rows as i64, cols as i64);
    let (row, col) = (s.row_range().start as u64, s.col_range().start as u64);
    let (seed, stream, name) = (s.seed(), source.stream.number(), T::kernel(source.fill));
    if s.family() == Family::Rademacher {
        let blocks = (rows / 128 + 2).saturating_mul(cols);
        let shape = Shape::over(cuda, blocks, THREADS as usize, THREADS);
        let arguments = &mut [
            arg(&view),
            arg(&m),
            arg(&n),
            arg(&row),
            arg(&col),
            arg(&seed),
            arg(&stream),
            arg(&factor),
        ];
        // SAFETY: the parameters of the kernel; the view has m×n entries.
        return unsafe { launch(cuda, &cuda.gpu.dense, name, shape, arguments) };
    }
    let groups = rows / rows_a_block::<T>() + 2;
    let (fast, slow) = if by_rows == 1 { (groups, cols) } else { (cols, groups) };
    let (shape, fast_bits) = blas::grid(cuda, fast, slow);
    let arguments = &mut [
        arg(&view),
        arg(&m),
        arg(&n),
        arg(&row),
        arg(&col),
        arg(&seed),
        arg(&stream),
        arg(&factor),
        arg(&by_rows),
        arg(&fast_bits),
    ];
    // SAFETY: as above.
    unsafe { launch(cuda, &cuda.gpu.dense, name, shape, arguments) }
}

/// `C ← α op(S) A + β C`; nothing is empty and α is not zero.
pub(super) fn fill_times<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, Cuda>,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    let n = a.ncols();
    let alpha = alpha * T::from_f64(s.scale());
    for start in (0..n).step_by(WIDTH) {
        let panel = start..n.min(start + WIDTH);
        let c = c.as_mut().columns(panel.clone());
        times_panel(cuda, s, op, alpha, a.columns(panel), beta, c)?;
    }
    Ok(())
}

/// The same for at most [`WIDTH`] columns, α with the scale of S.
fn times_panel<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, Cuda>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    let ((d, m), count) = (s.shape(), rows_a_block::<T>());
    let first = s.row_range().start / count;
    let skip = s.row_range().start % count;
    let groups = (skip + d).div_ceil(count);
    let width = if a.ncols() <= NARROW { NARROW } else { WIDTH };
    // A by rows of `width` entries; for the adjoint also by whole blocks of rows. Zeros elsewhere.
    let (packed_rows, at) = if op == Op::NoTrans { (m, 0) } else { (groups * count, skip) };
    let mut packed = cuda.zeroed::<T>(packed_rows * width)?;
    let pointer = Cuda::as_mut_ptr(&mut packed);
    let strides = (width as isize, 1);
    // SAFETY: the buffer has that many rows of `width` entries.
    let rows = unsafe { MatMut::from_raw_parts(cuda, pointer, (packed_rows, width), strides)? };
    let target = rows.rows(at..at + a.nrows()).columns(0..a.ncols());
    cuda.axpby(T::one(), a, T::zero(), target)?;

    // Parts depend on shapes only.
    let group_bits = groups.next_power_of_two().trailing_zeros().min(FUSED_THREADS.ilog2());
    let (across, lines) = (1usize << group_bits, (FUSED_THREADS >> group_bits) as usize);
    let (down, lines, inner, outer) = match op {
        Op::NoTrans => (groups.div_ceil(across), lines, m, groups * count),
        Op::Trans => (m.div_ceil(FUSED_THREADS as usize), 1, groups, m),
    };
    let most = inner.div_ceil(LEAST_PART).min(MOST_PARTS);
    let part = inner.div_ceil((BLOCKS * lines).div_ceil(down).clamp(1, most));
    let parts = inner.div_ceil(part);
    let partial = cuda.scratch::<T>(parts * outer * width)?;
    let most_down = cuda.context().processors * 64;
    let grid = (down.min(most_down) as u32, parts.div_ceil(lines).min(1 << 15) as u32);
    let shape = Shape { grid, block: FUSED_THREADS, shared: 0 };

    let source = Source::of::<T>(s.family());
    let names = if op == Op::NoTrans { source.times } else { source.adjoint };
    let name = T::kernel(if width == WIDTH { [names[0], names[1]] } else { [names[2], names[3]] });
    let (seed, stream) = (s.seed(), source.stream.number());
    let (first, col) = (first as u64, s.col_range().start as u64);
    let (groups, cols, part, parts) = (groups as i64, m as i64, part as i64, parts as i64);
    let (from, sums) = (packed.start(), partial.start());
    let arguments = &mut [
        arg(&seed),
        arg(&stream),
        arg(&first),
        arg(&groups),
        arg(&col),
        arg(&cols),
        arg(&from),
        arg(&part),
        arg(&parts),
        arg(&sums),
        arg(&group_bits),
    ];
    // The adjoint has no last argument.
    let given = if op == Op::NoTrans { 11 } else { 10 };
    // SAFETY: the parameters of the kernel; both buffers have the lengths that it uses.
    unsafe { launch(cuda, &cuda.gpu.dense, name, shape, &mut arguments[..given])? };
    let skip = if op == Op::NoTrans { skip * width } else { 0 };
    let start = sums + (skip * size_of::<T>()) as u64;
    join(cuda, alpha, start, (parts, (outer * width) as i64, width as u32), beta, c)
}

/// `C ← α Σ parts + β C`; (how many, entries from one to the next, entries from row to row).
pub(super) fn join<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    partial: u64,
    (parts, step, width): (i64, i64, u32),
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n) = (c.nrows() as i64, c.ncols() as i64);
    let split: u32 = if parts >= 64 { 5 } else { 0 };
    let shape = Shape::over(cuda, c.nrows() * c.ncols(), (THREADS >> split) as usize, THREADS);
    let (view, name) = (View::of_mut(&mut c), T::kernel(["join_f32", "join_f64"]));
    let arguments = &mut [
        arg(&alpha),
        arg(&partial),
        arg(&parts),
        arg(&step),
        arg(&width),
        arg(&beta),
        arg(&view),
        arg(&m),
        arg(&n),
        arg(&split),
    ];
    // SAFETY: the parameters of the kernel; the parts have the rows and columns of C.
    unsafe { launch(cuda, &cuda.gpu.dense, name, shape, arguments) }
}

/// A copy by rows, for kernels whose lanes lie along the columns.
pub(super) fn by_rows<T: CudaScalar>(
    cuda: &Cuda,
    a: MatRef<'_, T, Cuda>,
) -> Result<Option<Mat<T, Cuda>>> {
    if lanes_along_columns(a) {
        return Ok(None);
    }
    let mut copy = Mat::packed(cuda, a.ncols(), a.nrows())?;
    blas::axpby(cuda, T::one(), a, T::zero(), copy.as_mut().transpose())?;
    Ok(Some(copy))
}
