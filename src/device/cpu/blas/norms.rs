//! Norms and the search for entries that are not finite: one pass over the matrix.
//!
//! Sums run over blocks of fixed shape in eight lanes, and blocks are joined in order, so the
//! result does not depend on the number of threads.

use super::CpuScalar;
use crate::{Cpu, MatRef};

/// Entries a block.
const BLOCK: usize = 1 << 16;
const LANES: usize = 8;

/// The matrix with the smaller stride down its columns; norms do not mind a transposition.
fn along_memory<T: CpuScalar>(a: MatRef<'_, T>) -> MatRef<'_, T> {
    let down = a.row_stride().unsigned_abs();
    if down > a.col_stride().unsigned_abs() && a.ncols() > 1 || a.nrows() == 1 {
        a.transpose()
    } else {
        a
    }
}

/// Applies `block` to pieces of about [`BLOCK`] entries; results in order.
fn blocks<T: CpuScalar, R: Send>(
    cpu: &Cpu,
    a: MatRef<'_, T>,
    block: impl Fn(MatRef<'_, T>) -> R + Sync,
) -> Vec<R> {
    let (m, n) = a.shape();
    if m == 0 || n == 0 {
        return Vec::new();
    }
    let rows = m.min(BLOCK);
    let cols = (BLOCK / rows).max(1);
    let down = m.div_ceil(rows);
    cpu.map(down * n.div_ceil(cols), (m * n * size_of::<T>()) as u64, |task| {
        let (i, j) = (task % down * rows, task / down * cols);
        block(a.rows(i..m.min(i + rows)).columns(j..n.min(j + cols)))
    })
}

/// Entry (i, j) of a block.
#[inline(always)]
fn at<T: CpuScalar>(a: &MatRef<'_, T>, i: usize, j: usize) -> T {
    debug_assert!(i < a.nrows() && j < a.ncols());
    // SAFETY: callers stay inside of the shape.
    unsafe { *a.as_ptr().offset(i as isize * a.row_stride() + j as isize * a.col_stride()) }
}

/// Column j as a slice when its entries are neighbours.
#[inline(always)]
fn column<'a, T: CpuScalar>(a: &MatRef<'a, T>, j: usize) -> Option<&'a [T]> {
    let start = a.as_ptr().wrapping_offset(j as isize * a.col_stride());
    // SAFETY: a column of unit stride is nrows() neighbouring readable entries.
    (a.row_stride() == 1).then(|| unsafe { core::slice::from_raw_parts(start, a.nrows()) })
}

#[inline(always)]
fn lane_sum<T: CpuScalar>(a: &MatRef<'_, T>, j: usize, (first, second): (f64, f64)) -> f64 {
    let mut lanes = [0.0; LANES];
    if let Some(column) = column(a, j) {
        let (chunks, rest) = column.as_chunks::<LANES>();
        for chunk in chunks {
            add_squares(&mut lanes, chunk, first, second);
        }
        add_squares(&mut lanes, rest, first, second);
    } else {
        for i in 0..a.nrows() {
            let x = at(a, i, j).to_f64() * first * second;
            lanes[i % LANES] += x * x;
        }
    }
    lanes.iter().sum()
}

#[inline(always)]
fn add_squares<T: CpuScalar>(lanes: &mut [f64; LANES], x: &[T], first: f64, second: f64) {
    for (lane, x) in lanes.iter_mut().zip(x) {
        let x = x.to_f64() * first * second;
        *lane += x * x;
    }
}

/// 2^exponent as two factors, since it may lie outside of the range itself.
fn power_of_two(exponent: i32) -> (f64, f64) {
    let half = exponent / 2;
    (f64::powi(2.0, half), f64::powi(2.0, exponent - half))
}

pub(super) fn sum_of_squares<T: CpuScalar>(cpu: &Cpu, a: MatRef<'_, T>, exponent: i32) -> f64 {
    let factor = power_of_two(exponent);
    let sum = |a: MatRef<'_, T>| (0..a.ncols()).map(|j| lane_sum(&a, j, factor)).sum::<f64>();
    blocks(cpu, along_memory(a), sum).into_iter().sum()
}

pub(super) fn column_sums_of_squares<T: CpuScalar>(
    cpu: &Cpu,
    a: MatRef<'_, T>,
    exponent: i32,
    out: &mut [f64],
) {
    let (m, n) = a.shape();
    debug_assert_eq!(out.len(), n);
    let factor = power_of_two(exponent);
    out.fill(0.0);
    if m == 0 || n == 0 {
        return;
    }
    let rows = (BLOCK / n).clamp(1, m);
    let partial = cpu.map(m.div_ceil(rows), (m * n * size_of::<T>()) as u64, |task| {
        let block = a.rows(task * rows..m.min((task + 1) * rows));
        let mut sums = vec![0.0; n];
        if block.row_stride().unsigned_abs() <= block.col_stride().unsigned_abs() {
            (0..n).for_each(|j| sums[j] = lane_sum(&block, j, factor));
        } else {
            for i in 0..block.nrows() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    let x = at(&block, i, j).to_f64() * factor.0 * factor.1;
                    *sum += x * x;
                }
            }
        }
        sums
    });
    for sums in partial {
        out.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
}

pub(super) fn max_abs<T: CpuScalar>(cpu: &Cpu, a: MatRef<'_, T>) -> f64 {
    // A NaN fails every comparison, so it is looked for apart.
    let max = |a: MatRef<'_, T>| {
        let mut lanes = [(0.0, false); LANES];
        let mut take = |lane: usize, x: T| {
            let x = x.to_f64();
            let (max, nan) = &mut lanes[lane];
            *max = if x.abs() > *max { x.abs() } else { *max };
            *nan |= x.is_nan();
        };
        for j in 0..a.ncols() {
            if let Some(column) = column(&a, j) {
                let (chunks, rest) = column.as_chunks::<LANES>();
                chunks.iter().for_each(|chunk| (0..LANES).for_each(|l| take(l, chunk[l])));
                rest.iter().enumerate().for_each(|(l, &x)| take(l, x));
            } else {
                (0..a.nrows()).for_each(|i| take(i % LANES, at(&a, i, j)));
            }
        }
        join(&lanes)
    };
    let maxima = blocks(cpu, along_memory(a), max);
    join(&maxima.into_iter().map(|max| (max, max.is_nan())).collect::<Vec<_>>())
}

/// The largest of some maxima, NaN if there was one.
fn join(maxima: &[(f64, bool)]) -> f64 {
    if maxima.iter().any(|&(_, nan)| nan) {
        return f64::NAN;
    }
    maxima.iter().fold(0.0, |largest, &(max, _)| f64::max(largest, max))
}

pub(super) fn find_non_finite<T: CpuScalar>(cpu: &Cpu, a: MatRef<'_, T>) -> Option<(usize, usize)> {
    let (m, n) = a.shape();
    let rows = (BLOCK / n.max(1)).max(1);
    let first = cpu.map(m.div_ceil(rows), (m * n * size_of::<T>()) as u64, |task| {
        let block = task * rows..m.min((task + 1) * rows);
        block.flat_map(|i| (0..n).map(move |j| (i, j))).find(|&(i, j)| !at(&a, i, j).is_finite())
    });
    first.into_iter().flatten().next()
}
