//! The owner.

use super::layout::{checked_len, padded_ld};
use super::view::exact_len;
use crate::device::try_vec;
use crate::{Cpu, Device, MatMut, MatRef, Result, Scalar, Storage, StorageKernels};
use core::fmt;
use core::ops::Range;

/// An owned rows×cols matrix in the memory of a device.
///
/// New matrices are column-major with a leading dimension that avoids cache conflicts, so columns
/// may be separated by a gap; matrices built from data keep the order of the data.
pub struct Mat<T: Storage, D: Device = Cpu> {
    buffer: D::Buffer<T>,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    device: D,
}

impl<T: Storage, D: Device> Mat<T, D> {
    /// A matrix of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory);
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when rows·cols overflows.
    pub fn zeros(device: &D, rows: usize, cols: usize) -> Result<Self> {
        Self::with_ld(rows, cols, padded_ld::<T>(rows), device, D::zeroed)
    }

    /// A matrix of unspecified entries, for what is written before it is read: with β = 0 the output
    /// of every kernel.
    ///
    /// # Errors
    /// As [`Mat::zeros`].
    pub fn scratch(device: &D, rows: usize, cols: usize) -> Result<Self> {
        Self::with_ld(rows, cols, padded_ld::<T>(rows), device, D::scratch)
    }

    /// A column-major matrix of unspecified entries without gaps.
    pub(crate) fn packed(device: &D, rows: usize, cols: usize) -> Result<Self> {
        Self::with_ld(rows, cols, rows, device, D::scratch)
    }

    fn with_ld(
        rows: usize,
        cols: usize,
        ld: usize,
        device: &D,
        allocate: fn(&D, usize) -> Result<D::Buffer<T>>,
    ) -> Result<Self> {
        checked_len("Mat::zeros", rows, cols)?;
        let len = checked_len("Mat::zeros", ld, cols)?;
        let buffer = allocate(device, len)?;
        let (row_stride, col_stride) = (1, ld as isize);
        Ok(Self { buffer, rows, cols, row_stride, col_stride, device: device.clone() })
    }

    /// A copy of host data in row-major order, kept in that order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless the slice holds exactly
    /// rows·cols entries; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn from_row_major(device: &D, host: &[T], rows: usize, cols: usize) -> Result<Self> {
        exact_len("Mat::from_row_major", host.len(), rows, cols)?;
        let mut buffer = device.scratch(host.len())?;
        device.upload(host, &mut buffer)?;
        let (row_stride, col_stride) = (cols as isize, 1);
        Ok(Self { buffer, rows, cols, row_stride, col_stride, device: device.clone() })
    }

    /// A copy of host data in column-major order, kept in that order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless the slice holds exactly
    /// rows·cols entries; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn from_column_major(device: &D, host: &[T], rows: usize, cols: usize) -> Result<Self> {
        exact_len("Mat::from_column_major", host.len(), rows, cols)?;
        let mut buffer = device.scratch(host.len())?;
        device.upload(host, &mut buffer)?;
        let (row_stride, col_stride) = (1, rows as isize);
        Ok(Self { buffer, rows, cols, row_stride, col_stride, device: device.clone() })
    }

    /// A matrix with entries `f(i, j)`, computed on the host.
    ///
    /// # Errors
    /// As [`Mat::zeros`].
    pub fn from_fn(
        device: &D,
        rows: usize,
        cols: usize,
        mut f: impl FnMut(usize, usize) -> T,
    ) -> Result<Self> {
        let mut host = try_vec(T::default(), checked_len("Mat::from_fn", rows, cols)?)?;
        host.iter_mut().enumerate().for_each(|(k, entry)| *entry = f(k % rows, k / rows));
        Self::from_column_major(device, &host, rows, cols)
    }

    /// The identity of order `n`.
    ///
    /// # Errors
    /// As [`Mat::zeros`].
    pub fn identity(device: &D, n: usize) -> Result<Self>
    where
        T: Scalar,
    {
        checked_len("Mat::identity", n, n)?;
        let mut host = try_vec(T::zero(), n * n)?;
        host.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal = T::one());
        Self::from_column_major(device, &host, n, n)
    }

    /// The number of rows.
    pub fn nrows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn ncols(&self) -> usize {
        self.cols
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The device of the memory.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The memory, gaps included.
    pub(crate) fn buffer(&self) -> &D::Buffer<T> {
        &self.buffer
    }

    /// The whole matrix, readable.
    pub fn as_ref(&self) -> MatRef<'_, T, D> {
        let strides = (self.row_stride, self.col_stride);
        // SAFETY: the buffer holds every entry, initialised, and is borrowed.
        unsafe {
            MatRef::from_parts_unchecked(
                &self.device,
                D::as_ptr(&self.buffer),
                self.shape(),
                strides,
            )
        }
    }

    /// The whole matrix, writable.
    pub fn as_mut(&mut self) -> MatMut<'_, T, D> {
        let (shape, strides) = (self.shape(), (self.row_stride, self.col_stride));
        let ptr = D::as_mut_ptr(&mut self.buffer);
        // SAFETY: the buffer holds every entry and is borrowed uniquely; one stride is 1 and the
        // other at least the length that it separates, so positions are distinct.
        unsafe { MatMut::from_parts_unchecked(&self.device, ptr, shape, strides) }
    }

    /// Rows `range`, readable.
    ///
    /// # Panics
    /// When the range runs past the last row, as slicing does.
    pub fn rows(&self, range: Range<usize>) -> MatRef<'_, T, D> {
        self.as_ref().rows(range)
    }

    /// Columns `range`, readable.
    ///
    /// # Panics
    /// When the range runs past the last column, as slicing does.
    pub fn columns(&self, range: Range<usize>) -> MatRef<'_, T, D> {
        self.as_ref().columns(range)
    }

    /// The transposed matrix, readable.
    pub fn transpose(&self) -> MatRef<'_, T, D> {
        self.as_ref().transpose()
    }

    /// The same memory as its leading `cols` columns.
    pub(crate) fn truncate_columns(mut self, cols: usize) -> Self {
        debug_assert!(cols <= self.cols);
        self.cols = cols;
        self
    }

    /// The same memory as its leading `rows` rows.
    pub(crate) fn truncate_rows(self, rows: usize) -> Self {
        self.into_transposed().truncate_columns(rows).into_transposed()
    }

    /// The transposed matrix, the same memory.
    pub fn into_transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// A copy on the same device.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn try_clone(&self) -> Result<Self>
    where
        D: StorageKernels<T>,
    {
        self.as_ref().to_owned()
    }

    /// A copy in the memory of another device, through the host.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory), or what either device reports.
    pub fn to_device<E: Device>(&self, target: &E) -> Result<Mat<T, E>>
    where
        D: StorageKernels<T>,
    {
        self.as_ref().to_device(target)
    }

    /// The entries in column-major order, on the host.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory), or what the device reports.
    pub fn to_vec(&self) -> Result<Vec<T>>
    where
        D: StorageKernels<T>,
    {
        self.as_ref().to_vec()
    }
}

impl<T: Storage> Mat<T, Cpu> {
    /// Entry (i, j).
    ///
    /// # Panics
    /// When the position lies outside of the matrix.
    pub fn get(&self, i: usize, j: usize) -> T {
        self.as_ref().get(i, j)
    }

    /// Writes entry (i, j).
    ///
    /// # Panics
    /// When the position lies outside of the matrix.
    pub fn set(&mut self, i: usize, j: usize, value: T) {
        self.as_mut().set(i, j, value);
    }
}

impl<T: Storage, D: Device> fmt::Debug for Mat<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
