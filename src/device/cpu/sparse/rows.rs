//! The sparse left factor, as both drivers see it: a matrix whose rows can be walked.
//!
//! The columns of a sketching operator S are the rows of Sᵀ, so S·A is a transposed product with
//! Sᵀ and Sᵀ·Y a plain one: the same two drivers serve operators and user matrices.

use super::kernel::{SparseScalar, prefetch_line};
use crate::CsrRef;

/// A sparse matrix by rows.
///
/// # Safety
/// [`SparseRows::for_each`] passes only columns below [`SparseRows::ncols`].
pub(in crate::device::cpu) unsafe trait SparseRows<T>: Sync {
    /// The number of rows.
    fn nrows(&self) -> usize;
    /// The number of columns.
    fn ncols(&self) -> usize;
    /// How many entries there are, at most: what the division of work goes by.
    fn entries(&self) -> usize;
    /// Calls `f(column, value)` for the entries of row `j`, in their order.
    fn for_each(&self, j: usize, f: impl FnMut(usize, T));
    /// Asks for the memory of the first entries of row `j`.
    fn prefetch(&self, j: usize);
}

/// Sᵀ for a column-sparse operator S: row j holds ±1 where column j of S does.
pub(super) struct SignRows<'a> {
    /// ζ packed entries `row << 1 | negative` for every column of S.
    indices: &'a [u32],
    /// ζ.
    entries_per_row: usize,
    nrows: usize,
    /// The window of rows of S: entries outside of it are skipped.
    first: u32,
    ncols: u32,
}

impl<'a> SignRows<'a> {
    pub(super) fn new(s: &crate::Sketch, indices: &'a [u32]) -> Self {
        // Without rows there are no entries, whatever ζ says.
        let entries_per_row = if s.nrows() == 0 { 0 } else { s.nnz() };
        debug_assert!(indices.len() >= s.ncols() * entries_per_row);
        let (first, ncols) = (s.row_range().start as u32, s.nrows() as u32);
        Self { indices, entries_per_row, nrows: s.ncols(), first, ncols }
    }
}

// SAFETY: entries outside of the window 0..ncols are skipped.
unsafe impl<T: SparseScalar> SparseRows<T> for SignRows<'_> {
    fn nrows(&self) -> usize {
        self.nrows
    }

    fn ncols(&self) -> usize {
        self.ncols as usize
    }

    fn entries(&self) -> usize {
        self.nrows * self.entries_per_row
    }

    #[inline(always)]
    fn for_each(&self, j: usize, mut f: impl FnMut(usize, T)) {
        let start = j * self.entries_per_row;
        for &packed in &self.indices[start..start + self.entries_per_row] {
            // Rows above the window wrap around and fail the same test as those below it.
            let row = (packed >> 1).wrapping_sub(self.first);
            if row < self.ncols {
                f(row as usize, T::sign(packed));
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, j: usize) {
        prefetch_line(self.indices.as_ptr().wrapping_add(j * self.entries_per_row));
    }
}

/// A matrix in compressed sparse rows.
pub(super) struct CsrRows<'a, T> {
    ncols: usize,
    row_ptr: &'a [usize],
    col_idx: &'a [u32],
    values: &'a [T],
}

impl<'a, T: SparseScalar> CsrRows<'a, T> {
    pub(super) fn new(x: CsrRef<'a, T>) -> Self {
        let (row_ptr, col_idx, values) = x.slices();
        Self { ncols: x.ncols(), row_ptr, col_idx, values }
    }
}

// SAFETY: the column indices of a CsrRef are below its number of columns, by construction.
unsafe impl<T: SparseScalar> SparseRows<T> for CsrRows<'_, T> {
    fn nrows(&self) -> usize {
        self.row_ptr.len() - 1
    }

    fn ncols(&self) -> usize {
        self.ncols
    }

    fn entries(&self) -> usize {
        self.row_ptr[self.row_ptr.len() - 1] - self.row_ptr[0]
    }

    #[inline(always)]
    fn for_each(&self, j: usize, mut f: impl FnMut(usize, T)) {
        let range = self.row_ptr[j]..self.row_ptr[j + 1];
        for (&col, &value) in self.col_idx[range.clone()].iter().zip(&self.values[range]) {
            debug_assert!((col as usize) < self.ncols);
            f(col as usize, value);
        }
    }

    #[inline(always)]
    fn prefetch(&self, j: usize) {
        let start = self.row_ptr[j];
        prefetch_line(self.col_idx.as_ptr().wrapping_add(start));
        prefetch_line(self.values.as_ptr().wrapping_add(start));
    }
}
