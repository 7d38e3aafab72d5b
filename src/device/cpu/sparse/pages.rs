//! C ← α Xᵀ A + β C, where a row of X has one entry and a row of A fills a page of memory or more.
//!
//! This is the CountSketch of a row-major matrix of many columns. The walk of
//! [`scatter`](super::scatter) goes down a block of columns, so it meets another page with every row,
//! and rows whose distance is a power of two compete for the same sets of the caches. Here a row of C is
//! summed up over a page of columns before the next, so that the pages of the few rows of A that it
//! takes are read from end to end. (Measured on Zen 4, 16384×1024 f64, d = 1536: 8.2 ms against 12 to
//! 14 ms.) More entries a row of C than there are pages at hand, or more entries a column of S, would read A
//! again and again.
//!
//! Sums run in the order of the rows of A, as there: the same bits.
//!
//! Cost: 2·entries·n flops, one pass over A and one over C, and a sort of the entries of X.

use super::kernel::{Isa, Rows, SparseScalar, max_lines};
use super::panel::{LINE_BYTES, Target, zeroed_panel};
use super::rows::{SignRows, SparseRows};
use super::transpose::Transposed;
use crate::{Cpu, MatMut, MatRef, Result};

/// The least row, in bytes: a page. Narrower matrices may be cut into parts by the other walk, which
/// rounds otherwise.
const PAGE_BYTES: usize = 4096;
/// Rows of A for a row of C whose pages stay at hand: half of the entries of a first-level TLB.
const ROWS_AT_HAND: usize = 32;
/// Rows of C that are stored together: a cache line of f64 where C is column-major.
const TILE_ROWS: usize = 8;

/// Whether S·A, S the operator of `columns`, should be taken by [`times`].
pub(super) fn serves<T: SparseScalar>(columns: &SignRows<'_>, a: &MatRef<'_, T>) -> bool {
    let [m, d, entries] = [
        SparseRows::<T>::nrows(columns),
        SparseRows::<T>::ncols(columns),
        SparseRows::<T>::entries(columns),
    ];
    let page = PAGE_BYTES / size_of::<T>();
    a.col_stride() == 1 && a.ncols() >= page && entries <= m && entries / ROWS_AT_HAND <= d
}

/// C ← α Xᵀ A + β C for what [`serves`] says.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(super) fn times<T: SparseScalar>(
    cpu: &Cpu,
    isa: Isa,
    columns: &SignRows<'_>,
    alpha: T,
    a: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) -> Result<()> {
    let x = Transposed::new(cpu, columns)?;
    let (d, n) = (x.nrows(), a.ncols());
    debug_assert!(a.nrows() == x.ncols() && c.shape() == (d, n) && a.col_stride() == 1);
    let width = max_lines(isa) * LINE_BYTES / size_of::<T>();
    let page = PAGE_BYTES / size_of::<T>();
    let target = Target::new(c);
    let work = (x.entries().max(d) as u64).saturating_mul(n as u64);
    let done = cpu.map(d.div_ceil(TILE_ROWS), work, |tile| {
        let first = tile * TILE_ROWS;
        let rows = TILE_ROWS.min(d - first);
        let mut stage = zeroed_panel::<T>(cpu, rows, page)?;
        for start in (0..n).step_by(page) {
            let blocks = (start..n.min(start + page)).step_by(width);
            for i in 0..rows {
                let sums = stage.as_mut_slice().chunks_exact_mut(rows * width);
                for (sums, column) in sums.zip(blocks.clone()) {
                    // The last block begins earlier, so that it is whole too.
                    let ptr = a.as_ptr().wrapping_add(column.min(n - width));
                    let segments = Rows { ptr, stride: a.row_stride() };
                    let range = first + i..first + i + 1;
                    let sum = &mut sums[i * width..(i + 1) * width];
                    // SAFETY: A has x.ncols() rows and n ≥ width columns of unit stride.
                    unsafe { T::gather(isa, width, &x, range, segments, sum) };
                }
            }
            let sums = stage.as_slice().chunks_exact(rows * width);
            for (sums, column) in sums.zip(blocks) {
                let (len, skip) = (width.min(n - column), column.saturating_sub(n - width));
                let out = target.at(first, column);
                // SAFETY: this task alone writes these rows of C.
                unsafe { out.store(isa, (rows, len), alpha, &sums[skip..], width, beta) };
            }
        }
        Ok(())
    });
    done.into_iter().collect()
}
