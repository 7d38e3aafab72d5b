//! The readable view.

use super::layout::{check_pointer, check_within};
use crate::device::try_vec;
use crate::{Cpu, Device, Error, Mat, Result, Scalar, Storage, StorageKernels};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

/// A readable view of a rows×cols matrix: entry (i, j) lies `i·row_stride + j·col_stride` elements
/// after the first.
///
/// Strides may be zero (broadcast) or negative. A view knows the device of its memory; the pointer
/// means something there only.
pub struct MatRef<'a, T: Storage, D: Device = Cpu> {
    ptr: *const T,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
    device: &'a D,
    memory: PhantomData<&'a T>,
}

// SAFETY: a MatRef is a shared borrow of scalars, which are Sync, and of a device, which is Sync.
unsafe impl<T: Storage, D: Device> Send for MatRef<'_, T, D> {}
// SAFETY: as above.
unsafe impl<T: Storage, D: Device> Sync for MatRef<'_, T, D> {}

impl<T: Storage, D: Device> Clone for MatRef<'_, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Storage, D: Device> Copy for MatRef<'_, T, D> {}

impl<'a, T: Storage, D: Device> MatRef<'a, T, D> {
    /// A view of memory that someone else owns.
    ///
    /// # Errors
    /// When there are entries: [`Error::InvalidArgument`] when the pointer is null, misaligned or out of
    /// the device's reach, [`Error::DeviceMismatch`] when it is another device's.
    ///
    /// # Safety
    /// Every entry (i, j) of the rows×cols matrix must be an initialised `T` in `device`'s memory,
    /// alive and unwritten during `'a`, and on a GPU until the work that was issued on the device's
    /// stream through this view, or copies of it, has finished: calls return before they are done. What
    /// is ordered after that work may come sooner, for instance a write or a free on the same stream.
    pub unsafe fn from_raw_parts(
        device: &'a D,
        ptr: *const T,
        (rows, cols): (usize, usize),
        strides: (isize, isize),
    ) -> Result<Self> {
        check_pointer("MatRef::from_raw_parts", "ptr", device, ptr, rows > 0 && cols > 0)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { Self::from_parts_unchecked(device, ptr, (rows, cols), strides) })
    }

    /// As [`MatRef::from_raw_parts`], for pointers that are known to be good.
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn from_parts_unchecked(
        device: &'a D,
        ptr: *const T,
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
    pub fn as_ptr(&self) -> *const T {
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

    /// The rows in opposite order, the same memory.
    pub fn reverse_rows(self) -> Self {
        let last = self.rows.saturating_sub(1) as isize;
        let ptr = self.ptr.wrapping_offset(last * self.row_stride);
        Self { ptr, row_stride: -self.row_stride, ..self }
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

    /// The entries a_ii as a 1×min(m, n) matrix.
    pub(crate) fn diagonal(self) -> Self {
        let (cols, col_stride) = (self.rows.min(self.cols), self.row_stride + self.col_stride);
        Self { rows: 1, cols, row_stride: 1, col_stride, ..self }
    }

    /// A copy in column-major order on the same device.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_owned(&self) -> Result<Mat<T, D>>
    where
        D: StorageKernels<T>,
    {
        let mut copy = Mat::scratch(self.device, self.rows, self.cols)?;
        self.device.copy(*self, copy.as_mut())?;
        Ok(copy)
    }

    /// A copy in the memory of another device, through the host.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or what either device reports.
    pub fn to_device<E: Device>(&self, target: &E) -> Result<Mat<T, E>>
    where
        D: StorageKernels<T>,
    {
        Mat::from_column_major(target, &self.to_vec()?, self.rows, self.cols)
    }

    /// The entries in column-major order, on the host.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or what the device reports.
    pub fn to_vec(&self) -> Result<Vec<T>>
    where
        D: StorageKernels<T>,
    {
        let mut host = try_vec(T::default(), self.rows * self.cols)?;
        let gapless = |stride: isize, step: usize, len: usize| stride == step as isize || len <= 1;
        if gapless(self.row_stride, 1, self.rows) && gapless(self.col_stride, self.rows, self.cols)
        {
            // SAFETY: the entries are rows·cols neighbours, initialised and alive.
            unsafe { self.device.download_from(self.ptr, &mut host)? };
        } else {
            let mut packed = Mat::packed(self.device, self.rows, self.cols)?;
            self.device.copy(*self, packed.as_mut())?;
            self.device.download(packed.buffer(), &mut host)?;
        }
        Ok(host)
    }
}

/// Views of host memory.
impl<'a, T: Storage> MatRef<'a, T, Cpu> {
    /// A view of rows×cols entries in row-major order without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly rows·cols entries.
    pub fn from_row_major(cpu: &'a Cpu, slice: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        exact_len("MatRef::from_row_major", slice.len(), rows, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (cols as isize, 1))
    }

    /// A view of rows×cols entries in column-major order without gaps.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the slice holds exactly rows·cols entries.
    pub fn from_column_major(
        cpu: &'a Cpu,
        slice: &'a [T],
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        exact_len("MatRef::from_column_major", slice.len(), rows, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (1, rows as isize))
    }

    /// A row-major view whose rows start `ld ≥ cols` entries apart (C, NumPy).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when ld < cols or the slice is too short.
    pub fn from_row_major_with_ld(
        cpu: &'a Cpu,
        slice: &'a [T],
        (rows, cols): (usize, usize),
        ld: usize,
    ) -> Result<Self> {
        check_ld("MatRef::from_row_major_with_ld", ld, cols)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (ld as isize, 1))
    }

    /// A column-major view whose columns start `ld ≥ rows` entries apart (LAPACK).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when ld < rows or the slice is too short.
    pub fn from_column_major_with_ld(
        cpu: &'a Cpu,
        slice: &'a [T],
        (rows, cols): (usize, usize),
        ld: usize,
    ) -> Result<Self> {
        check_ld("MatRef::from_column_major_with_ld", ld, rows)?;
        Self::from_strided(cpu, slice, 0, (rows, cols), (1, ld as isize))
    }

    /// A view with any strides whose entry (0, 0) is `slice[offset]`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when an entry would lie outside of the slice.
    pub fn from_strided(
        cpu: &'a Cpu,
        slice: &'a [T],
        offset: usize,
        shape: (usize, usize),
        strides: (isize, isize),
    ) -> Result<Self> {
        check_within("MatRef::from_strided", slice.len(), offset, shape, strides)?;
        // SAFETY: every entry lies inside of the slice, which is borrowed for 'a.
        Ok(unsafe {
            Self::from_parts_unchecked(cpu, slice.as_ptr().wrapping_add(offset), shape, strides)
        })
    }

    /// Entry (i, j).
    ///
    /// # Panics
    /// When the position lies outside of the matrix.
    pub fn get(&self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.cols, "entry ({i}, {j}) of {}×{}", self.rows, self.cols);
        // SAFETY: the position is inside of the matrix, whose entries are readable.
        unsafe { *self.ptr.offset(i as isize * self.row_stride + j as isize * self.col_stride) }
    }
}

impl<T: Storage, D: Device> fmt::Debug for MatRef<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MatRef")
            .field("rows", &self.rows)
            .field("cols", &self.cols)
            .field("row_stride", &self.row_stride)
            .field("col_stride", &self.col_stride)
            .field("device", self.device)
            .finish()
    }
}

/// The leading 8×8 entries.
impl<T: Scalar> fmt::Display for MatRef<'_, T, Cpu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}×{} {} [", self.rows, self.cols, T::NAME)?;
        for i in 0..self.rows.min(8) {
            for j in 0..self.cols.min(8) {
                write!(f, " {:>12.5e}", self.get(i, j).to_f64())?;
            }
            writeln!(f, "{}", if self.cols > 8 { " …" } else { "" })?;
        }
        write!(f, "{}]", if self.rows > 8 { " …" } else { "" })
    }
}

/// The slice of a gapless matrix has exactly rows·cols entries.
pub(super) fn exact_len(op: &'static str, len: usize, rows: usize, cols: usize) -> Result<()> {
    match rows.checked_mul(cols) {
        Some(expected) if expected == len => Ok(()),
        _ => Err(Error::invalid(op, "slice.len()", len, format!("{rows}·{cols}"))),
    }
}

/// A leading dimension is at least the length that it separates.
pub(super) fn check_ld(op: &'static str, ld: usize, least: usize) -> Result<()> {
    if ld >= least && isize::try_from(ld).is_ok() {
        Ok(())
    } else {
        Err(Error::invalid(op, "ld", ld, format!("at least {least}")))
    }
}
