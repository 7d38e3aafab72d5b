//! Gram matrices and triangular solves.

use super::super::pool::SharedMut;
use super::{CpuScalar, elementwise};
use crate::{Cpu, Mat, MatMut, MatRef, Op, Result, Uplo};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Par};

/// Up to this order a Gram matrix is summed from chunks of rows.
const SHORT: usize = 512;
/// Rows a chunk of a Gram matrix, and rows a panel of a triangular solve.
const CHUNK: usize = 1024;
const PANEL: usize = 256;
/// Columns a tile of a larger Gram matrix.
const TILE: usize = 256;

/// `G ← AᵀA`: each chunk reads its rows once, so the bound is one pass over A or mn² flops.
pub(super) fn gram<T: CpuScalar>(cpu: &Cpu, a: MatRef<'_, T>, mut g: MatMut<'_, T>) -> Result<()> {
    let (m, n) = a.shape();
    let work = (m as u64) * (n as u64) * (n as u64);
    if n > SHORT {
        lower_tiles(cpu, a, &mut g);
    } else if m <= 2 * CHUNK {
        // The order of a sum must not depend on where it is cut for threads: faer's does not.
        let work = if n == 1 { 0 } else { work };
        cpu.with_par(work, |par| lower_gram(a, g.as_mut(), par));
    } else {
        let chunks = m.div_ceil(CHUNK).min(64);
        let chunk = m.div_ceil(chunks);
        let partial = cpu.map(chunks, work, |task| {
            let mut part = Mat::scratch(cpu, n, n)?;
            let rows = (task * chunk).min(m)..((task + 1) * chunk).min(m);
            lower_gram(a.rows(rows), part.as_mut(), Par::Seq);
            Ok(part)
        });
        let mut beta = T::zero();
        for part in partial {
            elementwise::axpby(cpu, T::one(), part?.as_ref(), beta, g.as_mut());
            beta = T::one();
        }
    }
    mirror_lower(g);
    Ok(())
}

/// The tiles of the lower triangle, a task each: they share the work more evenly than faer's recursion,
/// which takes 1.4 times as long on two threads.
fn lower_tiles<T: CpuScalar>(cpu: &Cpu, a: MatRef<'_, T>, g: &mut MatMut<'_, T>) {
    let (m, n) = a.shape();
    let (row_stride, col_stride) = (g.row_stride(), g.col_stride());
    let base = SharedMut(g.as_mut_ptr());
    let tiles = n.div_ceil(TILE);
    let lower: Vec<(usize, usize)> =
        (0..tiles).flat_map(|j| (j..tiles).map(move |i| (i, j))).collect();
    let columns = |tile: usize| tile * TILE..n.min((tile + 1) * TILE);
    cpu.for_each(lower.len(), (m as u64) * (n as u64) * (n as u64), |task| {
        let (i, j) = lower[task];
        let (left, right) = (a.columns(columns(i)), a.columns(columns(j)));
        let offset = (i * TILE) as isize * row_stride + (j * TILE) as isize * col_stride;
        let (start, strides) = (base.get().wrapping_offset(offset), (row_stride, col_stride));
        let shape = (left.ncols(), right.ncols());
        // SAFETY: tasks own disjoint tiles of G, which is borrowed uniquely.
        let tile = unsafe { MatMut::from_parts_unchecked(cpu, start, shape, strides) };
        if i == j {
            lower_gram(left, tile, Par::Seq);
        } else {
            let (left, right) = (faer::MatRef::from(left), faer::MatRef::from(right));
            let (tile, add) = (faer::MatMut::from(tile), Accum::Replace);
            faer::linalg::matmul::matmul(tile, add, left.transpose(), right, T::one(), Par::Seq);
        }
    });
}

fn lower_gram<T: CpuScalar>(a: MatRef<'_, T>, g: MatMut<'_, T>, par: Par) {
    let (a, g) = (faer::MatRef::from(a), faer::MatMut::from(g));
    matmul(
        g,
        BlockStructure::TriangularLower,
        Accum::Replace,
        a.transpose(),
        BlockStructure::Rectangular,
        a,
        BlockStructure::Rectangular,
        T::one(),
        par,
    );
}

fn mirror_lower<T: CpuScalar>(mut g: MatMut<'_, T>) {
    for j in 0..g.ncols() {
        for i in j + 1..g.nrows() {
            let value = g.as_ref().get(i, j);
            g.set(j, i, value);
        }
    }
}

/// `B ← B op(A)⁻¹`: panels of rows, each solved by one thread.
pub(super) fn trsm_right<T: CpuScalar>(
    cpu: &Cpu,
    uplo: Uplo,
    op: Op,
    a: MatRef<'_, T>,
    mut b: MatMut<'_, T>,
) {
    let (m, n) = b.shape();
    let (row_stride, col_stride, cpu_of_b) = (b.row_stride(), b.col_stride(), b.device());
    let base = SharedMut(b.as_mut_ptr());
    let work = (m as u64) * (n as u64) * (n as u64);
    cpu.for_each(m.div_ceil(PANEL), work, |task| {
        let rows = task * PANEL..m.min((task + 1) * PANEL);
        let start = base.get().wrapping_offset(rows.start as isize * row_stride);
        // SAFETY: tasks own disjoint rows of B, which is borrowed uniquely. The view is the
        // transposed panel: X op(A) = B is op(A)ᵀ Xᵀ = Bᵀ.
        let panel = unsafe {
            MatMut::from_parts_unchecked(cpu_of_b, start, (n, rows.len()), (col_stride, row_stride))
        };
        let (a, panel) = (faer::MatRef::from(a), faer::MatMut::from(panel));
        match (uplo, op) {
            (Uplo::Upper, Op::NoTrans) => {
                solve_lower_triangular_in_place(a.transpose(), panel, Par::Seq)
            }
            (Uplo::Lower, Op::NoTrans) => {
                solve_upper_triangular_in_place(a.transpose(), panel, Par::Seq)
            }
            (Uplo::Upper, Op::Trans) => solve_upper_triangular_in_place(a, panel, Par::Seq),
            (Uplo::Lower, Op::Trans) => solve_lower_triangular_in_place(a, panel, Par::Seq),
        }
    });
}
