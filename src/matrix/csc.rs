//! Compressed sparse columns: the transpose of compressed sparse rows, the same memory.

use super::{Csr, CsrRef};
use crate::{Cpu, Device, Result, Storage};
use core::fmt;

/// An owned rows×cols matrix in compressed sparse columns: the transpose of a [`Csr`].
pub struct Csc<T: Storage, D: Device = Cpu> {
    transposed: Csr<T, D>,
}

impl<T: Storage, D: Device> Csc<T, D> {
    /// Copies a matrix to `device`: column j holds the entries `col_ptr[j]..col_ptr[j + 1]` of
    /// `row_idx` and `values`.
    ///
    /// # Errors
    /// As [`Csr::new`], with rows and columns exchanged.
    pub fn new(
        device: &D,
        (rows, cols): (usize, usize),
        col_ptr: &[usize],
        row_idx: &[u32],
        values: &[T],
    ) -> Result<Self> {
        Ok(Self { transposed: Csr::new(device, (cols, rows), col_ptr, row_idx, values)? })
    }

    /// The whole matrix, readable.
    pub fn as_ref(&self) -> CscRef<'_, T, D> {
        self.transposed.as_ref().transpose()
    }
}

/// A readable view of a matrix in compressed sparse columns: the transpose of a [`CsrRef`].
pub struct CscRef<'a, T: Storage, D: Device = Cpu> {
    transposed: CsrRef<'a, T, D>,
}

impl<T: Storage, D: Device> Clone for CscRef<'_, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Storage, D: Device> Copy for CscRef<'_, T, D> {}

impl<'a, T: Storage, D: Device> CscRef<'a, T, D> {
    /// Aᵀ in compressed sparse columns for A in compressed sparse rows.
    pub(super) fn of_transposed(transposed: CsrRef<'a, T, D>) -> Self {
        Self { transposed }
    }

    /// The number of rows.
    pub fn nrows(&self) -> usize {
        self.transposed.ncols()
    }

    /// The number of columns.
    pub fn ncols(&self) -> usize {
        self.transposed.nrows()
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.nrows(), self.ncols())
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        self.transposed.device()
    }

    /// The transposed matrix in compressed sparse rows, the same memory.
    pub fn transpose(self) -> CsrRef<'a, T, D> {
        self.transposed
    }
}

impl<T: Storage, D: Device> fmt::Debug for CscRef<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CscRef {}×{}", self.nrows(), self.ncols())
    }
}

impl<T: Storage, D: Device> fmt::Debug for Csc<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
