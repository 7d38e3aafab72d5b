//! Dense operators and halves, by `cuda/half_dense.cu`: up to [`COLUMNS`] columns are multiplied by the
//! warps that generate S, on tensor cores; for more, panels of S in halves enter a product of cuBLAS.
//! Both multiply halves and sum in `f32`.
//!
//! The fused kernel generates S once for its columns, as panels do, and spares the way of S through the
//! L2 cache; beyond its columns it would generate S again.

use super::super::blas;
use super::super::cublas::gemm_half;
use super::super::launch::{Shape, View, arg, launch};
use super::super::product::LIMITS;
use super::super::{Cuda, rows_are_fast};
use super::{CudaHalf, THREADS, copy, rescale};
use crate::device::{by_panels, scaled};
use crate::random::Stream;
use crate::{Device, Family, HalfKernels, Mat, MatMut, MatRef, Op, Result, Sketch};

/// Columns of C of the fused kernel, rows of a block and of a warp, rows of a tile of A, and threads.
const COLUMNS: usize = 64;
const ROWS: usize = 128;
const WARP_ROWS: usize = 32;
const DEPTH: usize = 64;
const PRODUCT_THREADS: u32 = 128;
/// Rows of C that are summed at once, 16 MiB; blocks that a product is cut into at least when it is
/// large, and the least tiles of a part.
const MOST_ROWS: usize = 1 << 16;
const BLOCKS: usize = 512;
const LEAST_PART: usize = 2;
/// Columns of a panel start at multiples of 16 bytes.
const LINE: usize = 8;

/// Kernels and stream of a family.
struct Source {
    times: [&'static str; 2],
    adjoint: [&'static str; 2],
    panel: [&'static str; 2],
    stream: Stream,
}

macro_rules! source {
    ($name:literal, $stream:expr) => {
        Source {
            times: [concat!($name, "_times_f16"), concat!($name, "_times_bf16")],
            adjoint: [concat!($name, "_adjoint_f16"), concat!($name, "_adjoint_bf16")],
            panel: [concat!($name, "_panel_f16"), concat!($name, "_panel_bf16")],
            stream: $stream,
        }
    };
}

impl Source {
    fn of(family: Family) -> Self {
        match family {
            Family::Gaussian => source!("gaussian", Stream::GaussianF32),
            Family::Uniform => source!("uniform", Stream::UniformF32),
            _ => source!("signs", Stream::Rademacher),
        }
    }
}

/// The arguments of the fused kernels and of `join` (`Product` in `cuda/half_dense.cu`, which
/// explains them).
#[repr(C)]
#[derive(Clone, Copy)]
struct Product {
    a: View,
    c: View,
    seed: u64,
    row: u64,
    col: u64,
    outer: i64,
    inner: i64,
    n: i64,
    part: i64,
    parts: i64,
    ld: i64,
    above: u32,
    before: u32,
    stream: u32,
    rows_fast: u32,
    vector: u32,
    alpha: f32,
    beta: f32,
    partial: u64,
}

/// `C ← α op(S) A + β C`.
pub(super) fn fill_times<H: CudaHalf>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: MatRef<'_, H, Cuda>,
    beta: f32,
    mut c: MatMut<'_, H, Cuda>,
) -> Result<()>
where
    Cuda: HalfKernels<H>,
{
    if alpha == 0.0 || a.is_empty() || c.is_empty() {
        return rescale(cuda, beta, c);
    }
    let (outer, n) = c.shape();
    if n > COLUMNS {
        return by_panels(cuda, s, op, alpha, a, beta, c);
    }
    for start in (0..outer).step_by(MOST_ROWS) {
        let rows = start..outer.min(start + MOST_ROWS);
        let window = match op {
            Op::NoTrans => s.rows(rows.clone()),
            Op::Trans => s.columns(rows.clone()),
        };
        fused(cuda, &window, op, alpha, a, beta, c.as_mut().rows(rows))?;
    }
    Ok(())
}

fn fused<H: CudaHalf>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: MatRef<'_, H, Cuda>,
    beta: f32,
    mut c: MatMut<'_, H, Cuda>,
) -> Result<()> {
    let ((outer, n), inner, first) = (c.shape(), a.nrows(), s.row_range().start);
    let (above, before) = match op {
        Op::NoTrans => (first % WARP_ROWS, 0),
        Op::Trans => (0, first % DEPTH),
    };
    // Parts depend on shapes and on where the window starts, never on the GPU.
    let (down, depth) = ((above + outer).div_ceil(ROWS), (before + inner).div_ceil(DEPTH));
    let most = depth.div_ceil(LEAST_PART);
    let part = depth.div_ceil((BLOCKS / down).clamp(1, most));
    let (parts, ld) = (depth.div_ceil(part), down * ROWS);
    let partial = cuda.scratch::<f32>(parts * COLUMNS * ld)?;
    let rows_fast = rows_are_fast(a);
    let source = Source::of(s.family());
    let product = Product {
        a: View::of(a),
        c: View::of_mut(&mut c),
        seed: s.seed(),
        row: first as u64,
        col: s.col_range().start as u64,
        outer: outer as i64,
        inner: inner as i64,
        n: n as i64,
        part: part as i64,
        parts: parts as i64,
        ld: ld as i64,
        above: above as u32,
        before: before as u32,
        stream: source.stream.number(),
        rows_fast: rows_fast.into(),
        vector: loads_whole_lines(a, rows_fast, before).into(),
        alpha: scaled(alpha, s),
        beta,
        partial: partial.start(),
    };
    let most = cuda.context().processors * 32;
    let grid = (down.min(most) as u32, parts.min((most / down).max(1)) as u32);
    let shape = Shape { grid, block: PRODUCT_THREADS, shared: 0 };
    let name = H::kernel(if op == Op::NoTrans { source.times } else { source.adjoint });
    // SAFETY: the parameter of the kernel; the views have the shapes that it names, and there is room
    // for the sums of all parts.
    unsafe { launch(cuda, &cuda.gpu.half_dense, name, shape, &mut [arg(&product)])? };
    let (shape, row_bits) = blas::grid(cuda, outer, n);
    let name = H::kernel(["join_f16", "join_bf16"]);
    // SAFETY: as above.
    unsafe { launch(cuda, &cuda.gpu.half_dense, name, shape, &mut [arg(&product), arg(&row_bits)]) }
}

/// Whether tiles of A, whose first one starts `before` rows above A, can be read by 16 bytes.
fn loads_whole_lines<H: CudaHalf>(a: MatRef<'_, H, Cuda>, rows_fast: bool, before: usize) -> bool {
    let (fast, slow, skipped) = match rows_fast {
        true => (a.row_stride(), a.col_stride(), before),
        false => (a.col_stride(), a.row_stride(), 0),
    };
    let lines = if rows_fast { a.ncols() } else { a.nrows() };
    let start = a.as_ptr().addr().wrapping_sub(skipped * size_of::<H>());
    fast == 1 && (slow % LINE as isize == 0 || lines <= 1) && start.is_multiple_of(16)
}

/// `X ← op(S) A + β X` for a window that is no larger than a panel.
pub(super) fn panel_times<H: CudaHalf>(
    cuda: &Cuda,
    s: &Sketch,
    op: Op,
    a: MatRef<'_, H, Cuda>,
    beta: f32,
    mut x: MatMut<'_, f32, Cuda>,
) -> Result<()> {
    let ((rows, cols), first) = (s.shape(), s.row_range().start);
    let (skip, group) = (first % 4, first as u64 / 4);
    let groups = (skip + rows).div_ceil(4);
    let ld = (4 * groups).next_multiple_of(LINE);
    let panel = cuda.scratch::<H>(ld * cols)?;
    let source = Source::of(s.family());
    let (start, lines, blocks, n) = (panel.start(), ld as i64, groups as i64, cols as i64);
    let (col, seed, stream) = (s.col_range().start as u64, s.seed(), source.stream.number());
    let (shape, row_bits) = blas::grid(cuda, groups, cols);
    debug_assert_eq!(shape.block, THREADS);
    let arguments = &mut [
        arg(&start),
        arg(&lines),
        arg(&blocks),
        arg(&n),
        arg(&group),
        arg(&col),
        arg(&seed),
        arg(&stream),
        arg(&row_bits),
    ];
    // SAFETY: the parameters of the kernel; columns have room for all groups of four rows.
    unsafe { launch(cuda, &cuda.gpu.half_dense, H::kernel(source.panel), shape, arguments)? };

    let packed;
    let a = match LIMITS.operand(a) {
        Some(_) => a,
        None => {
            let mut copied = Mat::packed(cuda, a.nrows(), a.ncols())?;
            copy(cuda, a, copied.as_mut())?;
            packed = copied;
            packed.as_ref()
        }
    };
    let right = LIMITS.operand(a).expect("packed");
    let entries = Cuda::as_ptr(&panel).wrapping_add(skip);
    let left = super::super::cublas::Operand { ptr: entries, ld, op, step: 0 };
    let (m, n, k) = (x.nrows(), x.ncols(), a.nrows());
    if let Some(target) = LIMITS.column_major(&mut x) {
        // SAFETY: the operands are valid for these sizes.
        return unsafe { gemm_half(cuda, (m, n, k), left, right, beta, target) };
    }
    let mut turned = x.transpose();
    let target = LIMITS.column_major(&mut turned).expect("sums have a unit stride");
    // SAFETY: as above.
    unsafe { gemm_half(cuda, (n, m, k), right.transposed(), left.transposed(), beta, target) }
}
