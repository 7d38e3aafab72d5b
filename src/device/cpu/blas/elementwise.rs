//! Scaled copies, scalings, gathers and scatters: one read and one write an entry.

use super::super::pool::SharedMut;
use super::CpuScalar;
use crate::{Cpu, MatMut, MatRef};

/// The side of the square tiles in which a transposing copy stays inside of L1.
const TILE: usize = 32;

/// `B ← α A + β B`.
pub(in super::super) fn axpby<T: CpuScalar>(
    cpu: &Cpu,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    b: MatMut<'_, T>,
) {
    if alpha == T::zero() {
        return scale(cpu, beta, b);
    }
    debug_assert_eq!(a.shape(), b.shape());
    let neighbours = a.row_stride() == 1 && b.row_stride() == 1 && b.nrows() >= TILE;
    if neighbours && alpha == T::one() && beta == T::zero() {
        // At the speed of memory, where tiles are bound by their loops.
        let columns = b.ncols();
        return move_rows(cpu, columns, |j| (j, j), a.transpose(), b.transpose());
    }
    // Columns of B are the unit of work: make them the direction of the smaller stride.
    if b.row_stride().unsigned_abs() > b.col_stride().unsigned_abs() && b.ncols() > 1 {
        return axpby(cpu, alpha, a.transpose(), beta, b.transpose());
    }
    tiles(cpu, b, |at, value| {
        // SAFETY: tiles() visits positions inside of the shape that A shares.
        let x = unsafe { *a.as_ptr().offset(at.0 * a.row_stride() + at.1 * a.col_stride()) };
        if beta == T::zero() {
            *value = alpha * x;
        } else if beta == T::one() {
            *value += alpha * x;
        } else {
            *value = alpha * x + beta * *value;
        }
    });
}

/// `B ← β B`, zeros when β = 0.
pub(super) fn scale<T: CpuScalar>(cpu: &Cpu, beta: T, b: MatMut<'_, T>) {
    if beta == T::one() {
        return;
    }
    if b.row_stride().unsigned_abs() > b.col_stride().unsigned_abs() && b.ncols() > 1 {
        return scale(cpu, beta, b.transpose());
    }
    if beta == T::zero() {
        tiles(cpu, b, |_, value| *value = T::zero());
    } else {
        tiles(cpu, b, |_, value| *value *= beta);
    }
}

/// Calls `visit` for every entry, tile by tile, on several threads when there are many.
fn tiles<T: CpuScalar>(
    cpu: &Cpu,
    mut b: MatMut<'_, T>,
    visit: impl Fn((isize, isize), &mut T) + Sync,
) {
    let (m, n) = b.shape();
    let (row_stride, col_stride) = (b.row_stride(), b.col_stride());
    let base = SharedMut(b.as_mut_ptr());
    let work = (m as u64) * (n as u64) * size_of::<T>() as u64;
    // Long columns are cut too, so that a vector is spread over threads.
    let strip = if n >= 2 * TILE { m.max(1) } else { (1 << 15usize).min(m.max(1)) };
    let strips = m.div_ceil(strip);
    cpu.for_each(n.div_ceil(TILE) * strips, work, |task| {
        let (rows, cols) = (task % strips * strip, task / strips * TILE);
        let (row_end, col_end) = ((rows + strip).min(m), (cols + TILE).min(n));
        for top in (rows..row_end).step_by(TILE) {
            for j in cols..col_end {
                for i in top..(top + TILE).min(row_end) {
                    let at = (i as isize, j as isize);
                    // SAFETY: the position is inside of B; tasks visit distinct positions, and
                    // distinct positions are distinct memory.
                    let value =
                        unsafe { &mut *base.get().offset(at.0 * row_stride + at.1 * col_stride) };
                    visit(at, value);
                }
            }
        }
    });
}

/// `B[:, j] ← scale[j] B[:, j]`.
pub(super) fn scale_columns<T: CpuScalar>(cpu: &Cpu, scale: &[T], b: MatMut<'_, T>) {
    debug_assert_eq!(scale.len(), b.ncols());
    if b.row_stride().unsigned_abs() > b.col_stride().unsigned_abs() && b.ncols() > 1 {
        return tiles(cpu, b.transpose(), |at, value| *value *= scale[at.0 as usize]);
    }
    tiles(cpu, b, |at, value| *value *= scale[at.1 as usize]);
}

/// Copies row `pair(i).0` of A to row `pair(i).1` of B for i below `count`; targets are distinct.
pub(super) fn move_rows<T: CpuScalar>(
    cpu: &Cpu,
    count: usize,
    pair: impl Fn(usize) -> (usize, usize) + Sync,
    a: MatRef<'_, T>,
    mut b: MatMut<'_, T>,
) {
    let n = b.ncols();
    let (a_rows, b_rows) = (a.nrows(), b.nrows());
    let strides = (b.row_stride(), b.col_stride());
    let base = SharedMut(b.as_mut_ptr());
    let work = (count as u64) * (n as u64) * size_of::<T>() as u64;
    for i in 0..count {
        let (from, to) = pair(i);
        assert!(from < a_rows && to < b_rows, "row {from} of {a_rows} to row {to} of {b_rows}");
    }
    let starts = |i: usize| {
        let (from, to) = pair(i);
        (from as isize * a.row_stride(), to as isize * strides.0)
    };
    if strides.0.unsigned_abs() >= strides.1.unsigned_abs() {
        // A share of whole rows, or of the middle of them where there are few.
        let (block, piece) = (64, 1 << 12);
        let pieces = n.div_ceil(piece);
        cpu.for_each(count.div_ceil(block) * pieces, work, |task| {
            let columns = task % pieces * piece..n.min((task % pieces + 1) * piece);
            let rows = task / pieces * block..count.min((task / pieces + 1) * block);
            for i in rows {
                let (source, target) = starts(i);
                if a.col_stride() == 1 && strides.1 == 1 {
                    let at = columns.start as isize;
                    // SAFETY: rows were checked; neighbours along them are entries of A and of B, and
                    // targets of different (i, j) are distinct.
                    unsafe {
                        let to = base.get().offset(target + at);
                        to.copy_from_nonoverlapping(a.as_ptr().offset(source + at), columns.len());
                    }
                    continue;
                }
                for j in columns.clone() {
                    let j = j as isize;
                    let (source, target) = (source + j * a.col_stride(), target + j * strides.1);
                    // SAFETY: rows were checked; targets of different (i, j) are distinct.
                    unsafe { *base.get().offset(target) = *a.as_ptr().offset(source) };
                }
            }
        });
    } else {
        cpu.for_each(n, work, |j| {
            for i in 0..count {
                let (source, target) = starts(i);
                let j = j as isize;
                let (source, target) = (source + j * a.col_stride(), target + j * strides.1);
                // SAFETY: as above.
                unsafe { *base.get().offset(target) = *a.as_ptr().offset(source) };
            }
        });
    }
}
