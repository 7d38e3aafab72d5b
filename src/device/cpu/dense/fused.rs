//! `C ← α S A + β C` and its adjoint for few columns: a tile of S is consumed in L1 as soon as it
//! is generated, so the cost is the generation.
//!
//! S·A is cut into rows of S and, when those are few, into ranges of columns of S that depend on
//! the shape only; partial results are joined in order.

use super::super::Isa;
use super::super::blas::axpby;
use super::super::pool::SharedMut;
use super::tile::{Entries, Tile};
use crate::{Cpu, Mat, MatMut, MatRef, Op, Result, Sketch};
use core::ops::Range;

/// Rows of S a task of S·A accumulates.
const HEIGHT: usize = 512;
/// Tasks that a product is cut into at least, when it is large.
const TASKS: usize = 32;
/// Columns of S a task consumes at least.
const LEAST_COLUMNS: usize = 512;

pub(in super::super) fn fill_times<T: Entries>(
    cpu: &Cpu,
    s: &Sketch,
    op: Op,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let alpha = alpha * T::from_f64(s.scale());
    match op {
        Op::NoTrans => times(cpu, s, alpha, a, beta, c),
        Op::Trans => {
            adjoint_times(cpu, s, alpha, a, beta, c);
            Ok(())
        }
    }
}

fn times<T: Entries>(
    cpu: &Cpu,
    s: &Sketch,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    mut c: MatMut<'_, T>,
) -> Result<()> {
    let ((d, m), n) = (s.shape(), a.ncols());
    let down = d.div_ceil(HEIGHT);
    let parts = TASKS.div_ceil(down).min(m.div_ceil(LEAST_COLUMNS)).max(1);
    let part = m.div_ceil(parts);
    let isa = Isa::detect();
    let x = Mat::from_fn(cpu, m, n, |i, j| a.get(i, j))?;
    let work = 8 * (d as u64) * (m as u64);
    let sums = cpu.map(down * parts, work, |task| {
        let rows = task % down * HEIGHT..d.min((task % down + 1) * HEIGHT);
        let cols = (task / down * part).min(m)..((task / down + 1) * part).min(m);
        accumulate(isa, s, rows, cols, x.as_ref())
    });
    for (task, sum) in sums.iter().enumerate() {
        let rows = task % down * HEIGHT..d.min((task % down + 1) * HEIGHT);
        let beta = if task < down { beta } else { T::one() };
        let sum = MatRef::from_column_major(cpu, sum, rows.len(), n)?;
        axpby(cpu, alpha, sum, beta, c.as_mut().rows(rows));
    }
    Ok(())
}

/// S\[rows, cols\]·X\[cols, :\], column-major.
fn accumulate<T: Entries>(
    isa: Isa,
    s: &Sketch,
    rows: Range<usize>,
    cols: Range<usize>,
    x: MatRef<'_, T>,
) -> Vec<T> {
    let (row0, col0) = (s.row_range().start, s.col_range().start);
    let height = rows.len();
    let mut sum = vec![T::zero(); height * x.ncols()];
    let mut tile = Tile::new(height);
    let width = tile.width(height);
    for j in cols.clone().step_by(width) {
        let end = cols.end.min(j + width);
        tile.generate(s, row0 + rows.start..row0 + rows.end, col0 + j..col0 + end);
        for (k, sum) in sum.chunks_exact_mut(height).enumerate() {
            for i in j..end {
                axpy(isa, x.get(i, k), tile.column(i - j), sum);
            }
        }
    }
    sum
}

fn adjoint_times<T: Entries>(
    cpu: &Cpu,
    s: &Sketch,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    mut c: MatMut<'_, T>,
) {
    let ((d, m), n) = (s.shape(), a.ncols());
    let (row0, col0) = (s.row_range().start, s.col_range().start);
    let isa = Isa::detect();
    let y: Vec<T> = (0..n).flat_map(|k| (0..d).map(move |i| a.get(i, k))).collect();
    let (row_stride, col_stride) = (c.row_stride(), c.col_stride());
    let base = SharedMut(c.as_mut_ptr());
    let step = ((1 << 15) / d).clamp(1, m);
    let work = 8 * (d as u64) * (m as u64);
    cpu.for_each(m.div_ceil(step), work, |task| {
        let cols = task * step..m.min((task + 1) * step);
        let mut sums = vec![T::zero(); cols.len() * n];
        let mut tile = Tile::new(HEIGHT.min(d));
        for i in (0..d).step_by(HEIGHT) {
            let rows = i..d.min(i + HEIGHT);
            let width = tile.width(rows.len());
            for j in cols.clone().step_by(width) {
                let end = cols.end.min(j + width);
                tile.generate(s, row0 + rows.start..row0 + rows.end, col0 + j..col0 + end);
                for k in 0..n {
                    let y = &y[k * d + rows.start..k * d + rows.end];
                    for column in j..end {
                        let sum = &mut sums[k * cols.len() + column - cols.start];
                        *sum += dot(isa, tile.column(column - j), y);
                    }
                }
            }
        }
        for (position, &sum) in sums.iter().enumerate() {
            let (i, k) = (cols.start + position % cols.len(), position / cols.len());
            // SAFETY: the position lies inside of C; tasks own disjoint rows of it.
            unsafe {
                let out = base.get().offset(i as isize * row_stride + k as isize * col_stride);
                *out = if beta == T::zero() { alpha * sum } else { alpha * sum + beta * *out };
            }
        }
    });
}

/// `y ← y + x·column`: the same operations in the same order on every instruction set.
fn axpy<T: Entries>(isa: Isa, x: T, column: &[T], y: &mut [T]) {
    #[inline(always)]
    fn body<T: Entries>(x: T, column: &[T], y: &mut [T]) {
        y.iter_mut().zip(column).for_each(|(y, &c)| *y += x * c);
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq")]
        fn avx512<T: Entries>(x: T, column: &[T], y: &mut [T]) {
            body(x, column, y);
        }
        #[target_feature(enable = "avx2")]
        fn avx2<T: Entries>(x: T, column: &[T], y: &mut [T]) {
            body(x, column, y);
        }
        match isa {
            // SAFETY: the instruction set was detected on this processor.
            Isa::Avx512 => return unsafe { avx512(x, column, y) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2(x, column, y) },
            Isa::Portable => {}
        }
    }
    let _ = isa;
    body(x, column, y);
}

/// The inner product in 32 lanes, joined in order: the same bits on every instruction set.
fn dot<T: Entries>(isa: Isa, x: &[T], y: &[T]) -> T {
    const LANES: usize = 32;
    #[inline(always)]
    fn body<T: Entries>(x: &[T], y: &[T]) -> T {
        let mut lanes = [T::zero(); LANES];
        let (x_chunks, x_rest) = x.as_chunks::<LANES>();
        let (y_chunks, y_rest) = y.as_chunks::<LANES>();
        for (x, y) in x_chunks.iter().zip(y_chunks) {
            (0..LANES).for_each(|l| lanes[l] += x[l] * y[l]);
        }
        let rest = x_rest.iter().zip(y_rest).fold(T::zero(), |sum, (&x, &y)| sum + x * y);
        lanes.into_iter().fold(rest, |sum, lane| sum + lane)
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq")]
        fn avx512<T: Entries>(x: &[T], y: &[T]) -> T {
            body(x, y)
        }
        #[target_feature(enable = "avx2")]
        fn avx2<T: Entries>(x: &[T], y: &[T]) -> T {
            body(x, y)
        }
        match isa {
            // SAFETY: the instruction set was detected on this processor.
            Isa::Avx512 => return unsafe { avx512(x, y) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { avx2(x, y) },
            Isa::Portable => {}
        }
    }
    let _ = isa;
    body(x, y)
}
