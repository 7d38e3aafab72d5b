//! The loops themselves, and what they compile to without any special instruction.
//!
//! `scatter` keeps the row of A in registers and updates ζ rows of the accumulator: a load, a
//! multiplication by ±1, an addition and a store for every register of the row, which is bound by
//! the traffic of the accumulator between L1 and L2. `gather` keeps the sum in registers.

use super::{Rows, RowsMut};
use crate::Scalar;
use crate::device::cpu::isa::prefetch_line;
use crate::device::cpu::sparse::rows::SparseRows;
use core::ops::Range;

/// How far ahead of a transposition its rows are fetched. Rows are read in runs of a few KiB, which
/// the processor's own prefetcher follows too late; the end of one run fetches the next tile's.
const PREFETCH_BYTES: usize = 1024;

/// Rows of an accumulator that leaves the L2 cache are fetched this many rows of the sparse factor
/// before they are used. (Measured: up to 2.4 times faster for ζ = 8.)
const LOOKAHEAD: usize = 4;

/// See [`SparseScalar::scatter`](super::SparseScalar::scatter); `FAR` when `acc` leaves the L2 cache.
///
/// # Safety
/// As there, with W = width.
#[inline(always)]
pub(super) unsafe fn scatter<T: Scalar, const W: usize, const FAR: bool, X: SparseRows<T>>(
    x: &X,
    range: Range<usize>,
    a: Rows<T>,
    ahead: usize,
    acc: &mut [T],
) {
    let acc = acc.as_chunks_mut::<W>().0;
    debug_assert!(acc.len() >= x.ncols());
    for (row, j) in range.enumerate() {
        if ahead > 0 {
            prefetch::<T, W>(a.row(row + ahead));
        }
        if FAR && j + LOOKAHEAD < x.nrows() {
            x.for_each(j + LOOKAHEAD, |i, _| prefetch::<T, W>(acc.as_ptr().wrapping_add(i).cast()));
        }
        // SAFETY: row < range.len(), and that many rows of W entries are readable.
        let segment = unsafe { a.row(row).cast::<[T; W]>().read() };
        x.for_each(j, |i, value| {
            // SAFETY: i < x.ncols() by the contract of SparseRows.
            let sum = unsafe { acc.get_unchecked_mut(i) };
            for (s, &a) in sum.iter_mut().zip(&segment) {
                *s += value * a;
            }
        });
    }
}

/// See [`SparseScalar::gather`](super::SparseScalar::gather).
///
/// # Safety
/// As there, with W = width.
#[inline(always)]
pub(super) unsafe fn gather<T: Scalar, const W: usize, X: SparseRows<T>>(
    x: &X,
    range: Range<usize>,
    y: Rows<T>,
    out: &mut [T],
) {
    let out = out.as_chunks_mut::<W>().0;
    debug_assert!(out.len() >= range.len());
    for (sum, j) in out.iter_mut().zip(range) {
        let mut local = [T::zero(); W];
        x.for_each(j, |i, value| {
            // SAFETY: i < x.ncols() by the contract of SparseRows, and that many rows of W entries
            // are readable.
            let segment = unsafe { &*y.row(i).cast::<[T; W]>() };
            for (s, &y) in local.iter_mut().zip(segment) {
                *s += value * y;
            }
        });
        *sum = local;
    }
}

/// See [`SparseScalar::axpby`](super::SparseScalar::axpby).
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn axpby<T: Scalar>(
    (rows, cols): (usize, usize),
    alpha: T,
    b: Rows<T>,
    beta: T,
    c: RowsMut<T>,
) {
    for i in 0..rows {
        // SAFETY: both have row i of cols entries, and the rows do not overlap.
        let (b, c) = unsafe {
            let c = core::slice::from_raw_parts_mut(c.row(i), cols);
            (core::slice::from_raw_parts(b.row(i), cols), c)
        };
        if beta == T::zero() {
            c.iter_mut().zip(b).for_each(|(c, &b)| *c = alpha * b);
        } else {
            c.iter_mut().zip(b).for_each(|(c, &b)| *c = alpha * b + beta * *c);
        }
    }
}

/// See [`SparseScalar::transpose`](super::SparseScalar::transpose).
///
/// # Safety
/// As there.
pub(super) unsafe fn transpose<T: Scalar>(shape: (usize, usize), a: Rows<T>, b: RowsMut<T>) {
    // Small squares, so that the strided side stays in the cache.
    // SAFETY: the contract is passed on; single entries move one by one.
    unsafe { transpose_by(8, shape, a, b, |a, b| transpose_entries((8, 8), a, b)) }
}

/// Transposes squares of `size` by `square`, and the rest entry by entry.
///
/// # Safety
/// As [`transpose`]; `square` transposes a size×size matrix.
#[inline(always)]
pub(super) unsafe fn transpose_by<T: Scalar>(
    size: usize,
    (rows, cols): (usize, usize),
    a: Rows<T>,
    b: RowsMut<T>,
    square: impl Fn(Rows<T>, RowsMut<T>),
) {
    let at = |i: usize, j: usize| Rows { ptr: a.row(i).wrapping_add(j), ..a };
    let to = |j: usize, i: usize| RowsMut { ptr: b.row(j).wrapping_add(i), ..b };
    let (whole_rows, whole_cols) = (rows - rows % size, cols - cols % size);
    for i in (0..whole_rows).step_by(size) {
        for j in (0..whole_cols).step_by(size) {
            for k in 0..size {
                prefetch_line(at(i + k, j + PREFETCH_BYTES / size_of::<T>()).ptr);
            }
            square(at(i, j), to(j, i));
        }
    }
    // SAFETY: the two rests lie inside of the matrices.
    unsafe {
        let right = cols - whole_cols;
        transpose_entries((whole_rows, right), at(0, whole_cols), to(whole_cols, 0));
        transpose_entries((rows - whole_rows, cols), at(whole_rows, 0), to(0, whole_rows));
    }
}

/// Transposes entry by entry.
///
/// # Safety
/// As [`transpose`].
#[inline(always)]
unsafe fn transpose_entries<T: Scalar>((rows, cols): (usize, usize), a: Rows<T>, b: RowsMut<T>) {
    for i in 0..rows {
        for j in 0..cols {
            // SAFETY: (i, j) is an entry of A, (j, i) one of B.
            unsafe { *b.row(j).add(i) = *a.row(i).add(j) };
        }
    }
}

/// Asks for the cache lines of a row of W entries, which need not start at one; the address need
/// not be valid.
#[inline(always)]
fn prefetch<T, const W: usize>(row: *const T) {
    let line = 64 / size_of::<T>();
    for k in 0..W.div_ceil(line) {
        prefetch_line(row.wrapping_add(k * line));
    }
    if W > 1 {
        prefetch_line(row.wrapping_add(W - 1));
    }
}
