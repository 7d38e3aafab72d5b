//! The writable view.

use super::layout::{check_distinct, check_pointer, check_within};
use super::view::{check_ld, exact_len};
use crate::error::check_shape;
use crate::{Blas, Cpu, Device, Error, MatRef, Result, Scalar, Storage};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

/// A writable view of a rows×cols matrix; see [`MatRef`] for the addressing.
///
/// Two positions never share memory: constructors refuse strides for which they would.
pub struct MatMut<'a, T: Storage, D: Device = Cpu> {
    ptr: *mut T,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    device: &'a D,
    memory: PhantomData<&'a mut T>,
}

// SAFETY: a MatMut is a unique borrow of scalars, which are Send, and a shared one of a device.
unsafe impl<T: Storage, D: Device> Send for MatMut<'_, T, D> {}
// SAFETY: through a shared MatMut the entries can only be read.
unsafe impl<T: Storage, D: Device> Sync for MatMut<'_, T, D> {}

impl<'a, T: Storage, D: Device> MatMut<'a, T, D> {
    /// A writable view of memory that someone else owns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when two positions share memory; when there are entries, as
    /// [`MatRef::from_raw_parts`].
    ///
    /// # Safety
    /// Every entry (i, j) of the rows×cols matrix must be an initialised `T` in `device`'s memory,
    /// alive and reached through this view alone during `'a`, and on a GPU until the work that was issued
    /// on the device's stream through it has finished, or in an order after that work, as with
    /// [`MatRef::from_raw_parts`].
    pub unsafe fn from_raw_parts(
        device: &'a D,
        ptr: *mut T,
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (isize, isize),
    ) -> Result<Self> {
        let (op, is_used) = ("MatMut::from_raw_parts", rows > 0 && cols > 0);
        check_pointer(op, "ptr", device, ptr.cast_const(), is_used)?;
        check_distinct(op, (rows, cols), (row_stride, col_stride))?;
        Ok(Self { ptr, rows, cols, row_stride, col_stride, device, memory: PhantomData })
    }

    /// As [`MatMut::from_raw_parts`], for strides that are known to address distinct entries.
    ///
    /// # Safety
    /// As there, and distinct positions are distinct memory.
    pub(crate) unsafe fn from_parts_unchecked(
        device: &'a D,
        ptr: *mut T,
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (isize, isize),
    ) -> Self {
        Self { ptr, rows, cols, row_stride, col_stride, device, memory: PhantomData }
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

    /// The distance from an entry to the one below, in elements.
    pub fn row_stride(&self) -> isize {
        self.row_stride
    }

    /// The distance from an entry to the one on its right, in elements.
    pub fn col_stride(&self) -> isize {
        self.col_stride
    }

    /// The address of entry (0, 0) on the device.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.ptr
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        self.device
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    /// The same matrix, readable.
    pub fn as_ref(&self) -> MatRef<'_, T, D> {
        let strides = (self.row_stride, self.col_stride);
        // SAFETY: the entries are initialised and not written while self is borrowed.
        unsafe { MatRef::from_parts_unchecked(self.device, self.ptr, self.shape(), strides) }
    }

    /// The same matrix for a shorter time, so that the view can be used again.
    pub fn as_mut(&mut self) -> MatMut<'_, T, D> {
        MatMut { memory: PhantomData, ..*self }
    }

    /// `C ← α A + β C` for this matrix C, for instance the sum of two sketches.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn axpby(self, alpha: T, a: MatRef<'_, T, D>, beta: T) -> Result<()>
    where
        T: Scalar,
        D: Blas<T>,
    {
        check_shape("MatMut::axpby", "A", a.shape(), self.shape())?;
        if !self.device.is_compatible(a.device()) {
            return Err(Error::DeviceMismatch { op: "MatMut::axpby", argument: "A" });
        }
        if alpha == T::zero() {
            return self.device.scale(beta, self);
        }
        self.device.axpby(alpha, a, beta, self)
    }

    /// The transposed matrix, the same memory.
    pub fn transpose(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `range`.
    ///
    /// # Panics
    /// When the range runs past the last row, as slicing does.
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.rows,
            "rows {range:?} of {}",
            self.rows
        );
        let ptr = self.ptr.wrapping_offset(range.start as isize * self.row_stride);
        Self { ptr, rows: range.len(), ..self }
    }

    /// Columns `range`.
    ///
    /// # Panics
    /// When the range runs past the last column, as slicing does.
    pub fn columns(self, range: Range<usize>) -> Self {
        self.transpose().rows(range).transpose()
    }

    /// The first `row` rows and the others.
    ///
    /// # Panics
    /// When `row` is larger than the number of rows.
    pub fn split_at_row(self, row: usize) -> (Self, Self) {
        let rest = Self { memory: PhantomData, ..self }.rows(row..self.rows);
        (self.rows(0..row), rest)
    }

    /// The first `col` columns and the others.
    ///
    /// # Panics
    /// When `col` is larger than the number of columns.
    pub fn split_at_col(self, col: usize) -> (Self, Self) {
        let (left, right) = self.transpose().split_at_row(col);
        (left.transpose(), right.transpose())
    }
}

/// Views of host memory.
impl<'a, T: Storage> MatMut<'a, T, Cpu> {
    /// A writable view of rows×cols entries in row-major order without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly
    /// rows·cols entries.
    pub fn from_row_major(
        cpu: &'a Cpu,
        slice: &'a mut [T],
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        exact_len("MatMut::from_row_major", slice.len(), rows, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (cols as isize, 1))
    }

    /// A writable view of rows×cols entries in column-major order without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly
    /// rows·cols entries.
    pub fn from_column_major(
        cpu: &'a Cpu,
        slice: &'a mut [T],
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        exact_len("MatMut::from_column_major", slice.len(), rows, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (1, rows as isize))
    }

    /// A row-major view whose rows start `ld ≥ cols` entries apart (C, NumPy).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when ld < cols or the slice is
    /// too short.
    pub fn from_row_major_with_ld(
        cpu: &'a Cpu,
        slice: &'a mut [T],
        (rows, cols): (usize, usize),
        ld: usize,
    ) -> Result<Self> {
        check_ld("MatMut::from_row_major_with_ld", ld, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (ld as isize, 1))
    }

    /// A column-major view whose columns start `ld ≥ rows` entries apart (LAPACK).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when ld < rows or the slice is
    /// too short.
    pub fn from_column_major_with_ld(
        cpu: &'a Cpu,
        slice: &'a mut [T],
        (rows, cols): (usize, usize),
        ld: usize,
    ) -> Result<Self> {
        check_ld("MatMut::from_column_major_with_ld", ld, rows)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (1, ld as isize))
    }

    /// A writable view with any strides whose entry (0, 0) is `slice[offset]`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when an entry would lie outside
    /// of the slice, or when two positions would share memory.
    pub fn from_strided(
        cpu: &'a Cpu,
        slice: &'a mut [T],
        offset: usize,
        shape: (usize, usize),
        strides: (isize, isize),
    ) -> Result<Self> {
        check_within("MatMut::from_strided", slice.len(), offset, shape, strides)?;
        // SAFETY: every entry lies inside of the slice, which is borrowed uniquely for 'a.
        unsafe {
            Self::from_raw_parts(cpu, slice.as_mut_ptr().wrapping_add(offset), shape, strides)
        }
    }

    /// Writes entry (i, j).
    ///
    /// # Panics
    /// When the position lies outside of the matrix.
    pub fn set(&mut self, i: usize, j: usize, value: T) {
        assert!(i < self.rows && j < self.cols, "entry ({i}, {j}) of {}×{}", self.rows, self.cols);
        let offset = i as isize * self.row_stride + j as isize * self.col_stride;
        // SAFETY: the position is inside of the matrix, which is borrowed uniquely.
        unsafe { *self.ptr.offset(offset) = value }
    }
}

impl<T: Storage, D: Device> fmt::Debug for MatMut<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
