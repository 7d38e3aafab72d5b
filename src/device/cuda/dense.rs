//! Dense operators on a GPU, by `cuda/dense.cu`: entries written where they are wanted, or consumed
//! by the thread that makes them.
//!
//! # How many columns are fused
//! On paper, in instructions of a lane for each entry of S in f32, of which an H100 does 2.9·10¹³ a second
//! (132 · 128 lanes at 1.7 GHz); the PTX makes an entry with 44 of them (normals), 26 (uniform) or 10 (signs,
//! 128 of which a lane makes for its warp).
//!
//! - Fused, 16 columns a pass: entry, 16 products, 1 load. Normals: 61 for 16 columns, 122 for 32, 244 for
//!   64.
//! - A panel and cuBLAS: entry and store, 46, then n products at some 70 % of the peak, 32 columns at least,
//!   since the tiles have no fewer: 46 for 16 and 32 columns, 91 for 64. Beneath it the panel is written to
//!   the level-2 cache and read again, 8 bytes at 5.5 TB/s, which is 42. Normals: 92 for 16 and 32 columns,
//!   137 for 64.
//!
//! Normals gain a third by one pass of 16 columns, and a second pass loses it, since it makes the entries
//! anew. A pass of 32 columns would hold 128 sums a thread and gain some 15 % at a quarter of the
//! occupancy. Uniform entries are the same (43 against 74 for 16 columns, 86 against 74 for 32), signs
//! gain most at 16 and are even at 32 (27 against 50, 54 against 50), and in f64 panels have the tensor cores.
//! So 16 columns are fused, in every family.

use super::launch::{Shape, View, arg, launch};
use super::{Cuda, CudaBuffer, CudaScalar, blas, lanes_along_columns, rows_are_fast};
use crate::random::Stream;
use crate::{Blas, Device, Family, Mat, MatMut, MatRef, Op, Result, Sketch};
use core::ops::Range;

/// Threads of a block that fills, and of one that multiplies.
const THREADS: u32 = 256;
const FUSED_THREADS: u32 = 128;
/// Columns of A that the fused kernels take at once; narrower inputs have [`NARROW`].
const WIDTH: usize = 16;
const NARROW: usize = 4;
/// Entries of a packed part of A, and of the rows of C that are summed up at once. Whatever the shapes,
/// a fused product takes this much memory for A, and twice this for partial sums, at most.
const PART_LEN: usize = 1 << 22;
/// Blocks that a product is cut into at least, when it is large, and the most parts of a sum.
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
    c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    fill_times_by(cuda, PART_LEN, s, op, alpha, a, beta, c)
}

/// The same, `part_len` entries of A at a time.
#[allow(clippy::too_many_arguments)]
fn fill_times_by<T: CudaScalar>(
    cuda: &Cuda,
    part_len: usize,
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
        let columns = start..n.min(start + WIDTH);
        let width = if columns.len() <= NARROW { NARROW } else { WIDTH };
        let (a, mut c) = (a.columns(columns.clone()), c.as_mut().columns(columns));
        let (rows, cols) = (s.row_range(), s.col_range());
        let (inner, outer) = if op == Op::NoTrans { (cols, rows) } else { (rows, cols) };
        for part in parts_of(&inner, part_len / width) {
            let window = |s: &Sketch, rows, cols| s.rows(rows).columns(cols);
            let whole = 0..outer.len();
            let s = match op {
                Op::NoTrans => window(s, whole, part.clone()),
                Op::Trans => window(s, part.clone(), whole),
            };
            let packed = Packed::new(cuda, &s, op, a.rows(part.clone()), width)?;
            let beta = if part.start == 0 { beta } else { T::one() };
            for part in parts_of(&outer, part_len / width) {
                let s = match op {
                    Op::NoTrans => s.rows(part.clone()),
                    Op::Trans => s.columns(part.clone()),
                };
                times_part(cuda, &s, op, alpha, &packed, beta, c.as_mut().rows(part))?;
            }
        }
    }
    Ok(())
}

/// Rows or columns of a window in parts that begin at multiples of `step` in the whole operator.
fn parts_of(window: &Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *window;
    (start / step..end.div_ceil(step))
        .map(move |at| (at * step).max(start) - start..((at + 1) * step).min(end) - start)
}

/// How many blocks of rows a window has, and how many rows of the first one are not in it.
fn row_blocks<T>(s: &Sketch) -> (usize, usize) {
    let count = rows_a_block::<T>();
    let skip = s.row_range().start % count;
    ((skip + s.nrows()).div_ceil(count), skip)
}

/// A by rows of `width` entries, for the adjoint by whole blocks of rows too, zeros where A has none.
struct Packed<T: CudaScalar> {
    start: u64,
    width: usize,
    /// Where A did not lie like that.
    _copy: Option<CudaBuffer<T>>,
}

impl<T: CudaScalar> Packed<T> {
    fn new(cuda: &Cuda, s: &Sketch, op: Op, a: MatRef<'_, T, Cuda>, width: usize) -> Result<Self>
    where
        Cuda: Blas<T>,
    {
        let (blocks, skip) = row_blocks::<T>(s);
        let (rows, at) = match op {
            Op::NoTrans => (a.nrows(), 0),
            Op::Trans => (blocks * rows_a_block::<T>(), skip),
        };
        let (shape, strides) = ((rows, width), (width as isize, 1));
        let address = a.as_ptr().addr();
        let in_place = a.shape() == shape && (a.row_stride(), a.col_stride()) == strides;
        // The kernels read 16 bytes at once.
        if in_place && address.is_multiple_of(16) {
            return Ok(Self { start: address as u64, width, _copy: None });
        }
        let len = rows * width;
        let mut copy = if a.shape() == shape { cuda.scratch::<T>(len) } else { cuda.zeroed(len) }?;
        let pointer = Cuda::as_mut_ptr(&mut copy);
        // SAFETY: the buffer has that many rows of `width` entries, one after the other.
        let target = unsafe { MatMut::from_parts_unchecked(cuda, pointer, shape, strides) };
        let target = target.rows(at..at + a.nrows()).columns(0..a.ncols());
        cuda.axpby(T::one(), a, T::zero(), target)?;
        Ok(Self { start: copy.start(), width, _copy: Some(copy) })
    }
}

/// `C ← α op(S) A + β C` for at most [`WIDTH`] columns and parts of S, α with the scale of S.
fn times_part<T: CudaScalar>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    alpha: T,
    packed: &Packed<T>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let ((groups, skip), m) = (row_blocks::<T>(s), s.ncols());
    let (width, count) = (packed.width, rows_a_block::<T>());
    let first = s.row_range().start / count;
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
    let (from, sums) = (packed.start, partial.start());
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
    let skip = if op == Op::NoTrans { skip } else { 0 };
    let start = sums + (skip * size_of::<T>()) as u64;
    let partial = View::of_buffer(start, 1, outer);
    join(cuda, alpha, partial, (parts, (outer * width) as i64), true, beta, c)
}

/// Sums that have so many parts are joined by 32 lanes an entry, and so many entries a block then.
const SHARED_PARTS: i64 = 64;
const JOINED: usize = 8;

/// `C ← α Σ parts + β C`; the first one of the parts, how many, and entries from one to the next; whether
/// rows are the fast direction of them.
pub(super) fn join<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    partial: View,
    (parts, step): (i64, i64),
    rows_fast: bool,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let (m, n) = (c.nrows() as i64, c.ncols() as i64);
    let (shared, by_rows) = (u32::from(parts >= SHARED_PARTS), u32::from(rows_fast));
    let per_block = if shared == 1 { JOINED } else { THREADS as usize };
    let shape = Shape::over(cuda, c.nrows() * c.ncols(), per_block, THREADS);
    let (view, name) = (View::of_mut(&mut c), T::kernel(["join_f32", "join_f64"]));
    let arguments = &mut [
        arg(&alpha),
        arg(&partial),
        arg(&parts),
        arg(&step),
        arg(&beta),
        arg(&view),
        arg(&m),
        arg(&n),
        arg(&by_rows),
        arg(&shared),
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

#[cfg(test)]
mod tests;
