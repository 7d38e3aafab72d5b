//! Compressed sparse rows.
//!
//! Row pointers are `usize` and column indices `u32`, so an entry costs 4 bytes beside its value
//! and a dimension may reach 2³² − 1. Indices of a row need not be sorted; none occurs twice. CSC
//! is the transpose of CSR: one set of kernels serves both.

use super::CscRef;
use super::layout::check_pointer;
use crate::device::try_vec;
use crate::{Cpu, Device, Error, Mat, MatRef, Result, Scalar, Storage};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use std::collections::HashMap;

/// An owned rows×cols matrix in compressed sparse rows.
pub struct Csr<T: Storage, D: Device = Cpu> {
    rows: usize,
    cols: usize,
    entries: usize,
    row_ptr: D::Buffer<usize>,
    col_idx: D::Buffer<u32>,
    values: D::Buffer<T>,
    device: D,
}

impl<T: Storage, D: Device> Csr<T, D> {
    /// Copies a matrix to `device`: row i holds the entries `row_ptr[i]..row_ptr[i + 1]` of
    /// `col_idx` and `values`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `row_ptr` has not rows + 1 non-decreasing entries that end at
    /// or before the number of values, a column index is not below `cols`, or a row has a column twice.
    pub fn new(
        device: &D,
        (rows, cols): (usize, usize),
        row_ptr: &[usize],
        col_idx: &[u32],
        values: &[T],
    ) -> Result<Self> {
        check_csr("Csr::new", (rows, cols), row_ptr, col_idx, values.len())?;
        Self::upload(device, (rows, cols), row_ptr, col_idx, values)
    }

    /// A matrix whose arrays a device has made in its own memory; there is room for `entries` entries,
    /// of which the last row pointer says how many there are.
    ///
    /// # Safety
    /// The arrays must satisfy what [`Csr::new`] checks, by the time that work issued on the device
    /// before is done.
    pub unsafe fn from_buffers(
        device: &D,
        (rows, cols): (usize, usize),
        entries: usize,
        row_ptr: D::Buffer<usize>,
        col_idx: D::Buffer<u32>,
        values: D::Buffer<T>,
    ) -> Self {
        Self { rows, cols, entries, row_ptr, col_idx, values, device: device.clone() }
    }

    /// [`Csr::new`] for arrays that the library made itself: that no row has a column twice is
    /// taken for granted, what memory safety rests on is checked.
    pub(crate) fn from_distinct(
        device: &D,
        shape: (usize, usize),
        row_ptr: &[usize],
        col_idx: &[u32],
        values: &[T],
    ) -> Result<Self> {
        check_bounds("Csr::from_distinct", shape, row_ptr, col_idx, values.len())?;
        Self::upload(device, shape, row_ptr, col_idx, values)
    }

    fn upload(
        device: &D,
        (rows, cols): (usize, usize),
        row_ptr: &[usize],
        col_idx: &[u32],
        values: &[T],
    ) -> Result<Self> {
        let mut row_ptr_buffer = device.scratch(row_ptr.len())?;
        device.upload(row_ptr, &mut row_ptr_buffer)?;
        let mut col_idx_buffer = device.scratch(col_idx.len())?;
        device.upload(col_idx, &mut col_idx_buffer)?;
        let mut values_buffer = device.scratch(values.len())?;
        device.upload(values, &mut values_buffer)?;
        Ok(Self {
            rows,
            cols,
            entries: row_ptr[rows],
            row_ptr: row_ptr_buffer,
            col_idx: col_idx_buffer,
            values: values_buffer,
            device: device.clone(),
        })
    }

    /// The matrix with the given (row, column, value) triplets; duplicates add up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when an index lies outside of the shape.
    pub fn from_triplets(
        device: &D,
        (rows, cols): (usize, usize),
        triplets: &[(usize, usize, T)],
    ) -> Result<Self>
    where
        T: Scalar,
    {
        let mut row_ptr = try_vec(0usize, rows.saturating_add(1))?;
        for &(i, j, _) in triplets {
            if i >= rows || j >= cols {
                let allowed = format!("inside of {rows}×{cols}");
                return Err(Error::invalid(
                    "Csr::from_triplets",
                    "triplet",
                    format!("({i}, {j})"),
                    allowed,
                ));
            }
            row_ptr[i + 1] += 1;
        }
        for i in 0..rows {
            row_ptr[i + 1] += row_ptr[i];
        }
        let mut next = row_ptr.clone();
        let mut col_idx = try_vec(0u32, triplets.len())?;
        let mut values = try_vec(T::zero(), triplets.len())?;
        for &(i, j, value) in triplets {
            col_idx[next[i]] = index_u32("Csr::from_triplets", j)?;
            values[next[i]] = value;
            next[i] += 1;
        }
        add_duplicates(&mut row_ptr, &mut col_idx, &mut values);
        Self::from_distinct(device, (rows, cols), &row_ptr, &col_idx, &values)
    }

    /// The whole matrix, readable.
    pub fn as_ref(&self) -> CsrRef<'_, T, D> {
        CsrRef {
            rows: self.rows,
            cols: self.cols,
            entries: self.entries,
            row_ptr: D::as_ptr(&self.row_ptr),
            col_idx: D::as_ptr(&self.col_idx),
            values: D::as_ptr(&self.values),
            device: &self.device,
            memory: PhantomData,
        }
    }
}

/// A readable view of a matrix in compressed sparse rows.
pub struct CsrRef<'a, T: Storage, D: Device = Cpu> {
    rows: usize,
    cols: usize,
    entries: usize,
    row_ptr: *const usize,
    col_idx: *const u32,
    values: *const T,
    device: &'a D,
    memory: PhantomData<&'a T>,
}

// SAFETY: a CsrRef is a shared borrow of plain numbers and of a device, which is Sync.
unsafe impl<T: Storage, D: Device> Send for CsrRef<'_, T, D> {}
// SAFETY: as above.
unsafe impl<T: Storage, D: Device> Sync for CsrRef<'_, T, D> {}

impl<T: Storage, D: Device> Clone for CsrRef<'_, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Storage, D: Device> Copy for CsrRef<'_, T, D> {}

impl<'a, T: Storage, D: Device> CsrRef<'a, T, D> {
    /// A view of memory that someone else owns, with `entries` stored entries.
    ///
    /// # Errors
    /// As [`MatRef::from_raw_parts`], for `row_ptr`, and for the other two when there are entries.
    ///
    /// # Safety
    /// The three arrays must satisfy what [`Csr::new`] checks, lie in `device`'s memory, and stay
    /// alive and unwritten as long as [`MatRef::from_raw_parts`] asks: on a GPU until the work that was
    /// issued on the device's stream through this view has finished, or in an order after it.
    pub unsafe fn from_raw_parts(
        device: &'a D,
        shape: (usize, usize),
        entries: usize,
        row_ptr: *const usize,
        col_idx: *const u32,
        values: *const T,
    ) -> Result<Self> {
        let op = "CsrRef::from_raw_parts";
        check_pointer(op, "row_ptr", device, row_ptr, true)?;
        check_pointer(op, "col_idx", device, col_idx, entries > 0)?;
        check_pointer(op, "values", device, values, entries > 0)?;
        let arrays = (row_ptr, col_idx, values);
        // SAFETY: the caller's promise.
        Ok(unsafe { Self::from_parts_unchecked(device, shape, entries, arrays) })
    }

    /// As [`CsrRef::from_raw_parts`], for pointers that are known to be good.
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn from_parts_unchecked(
        device: &'a D,
        (rows, cols): (usize, usize),
        entries: usize,
        (row_ptr, col_idx, values): (*const usize, *const u32, *const T),
    ) -> Self {
        Self { rows, cols, entries, row_ptr, col_idx, values, device, memory: PhantomData }
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

    /// The length of the entry arrays; a window of rows keeps the arrays of the whole.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The address of the row pointers on the device.
    pub fn row_ptr(&self) -> *const usize {
        self.row_ptr
    }

    /// The address of the column indices on the device.
    pub fn col_idx(&self) -> *const u32 {
        self.col_idx
    }

    /// The address of the values on the device.
    pub fn values(&self) -> *const T {
        self.values
    }

    /// The device of the memory.
    pub fn device(&self) -> &'a D {
        self.device
    }

    /// Rows `range`; the row pointers of a window do not start at zero.
    ///
    /// # Panics
    /// When the range runs past the last row, as slicing does.
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.rows,
            "rows {range:?} of {}",
            self.rows
        );
        Self { rows: range.len(), row_ptr: self.row_ptr.wrapping_add(range.start), ..self }
    }

    /// The transposed matrix, the same memory.
    pub fn transpose(self) -> CscRef<'a, T, D> {
        CscRef::of_transposed(self)
    }

    /// The stored values in `range` as a 1×n matrix.
    pub(crate) fn values_in(&self, range: Range<usize>) -> MatRef<'a, T, D> {
        let start = self.values.wrapping_add(range.start);
        // SAFETY: callers take the range from the row pointers, so the values are readable.
        unsafe { MatRef::from_parts_unchecked(self.device, start, (1, range.len()), (1, 1)) }
    }

    /// All of the arrays' values as a 1×n matrix.
    pub(crate) fn all_values(&self) -> MatRef<'a, T, D> {
        self.values_in(0..self.entries)
    }

    /// The same positions with the values of a 1×n matrix, one for every entry of the arrays.
    pub(crate) fn with_values<'b, V: Storage>(&self, values: &'b Mat<V, D>) -> CsrRef<'b, V, D>
    where
        'a: 'b,
    {
        let row = values.as_ref();
        assert!(row.shape() == (1, self.entries) && row.col_stride() == 1, "a value an entry");
        CsrRef {
            rows: self.rows,
            cols: self.cols,
            entries: self.entries,
            row_ptr: self.row_ptr,
            col_idx: self.col_idx,
            values: row.as_ptr(),
            device: self.device,
            memory: PhantomData,
        }
    }

    /// Row pointers, column indices and values, on the host.
    ///
    /// # Safety
    /// The device's memory must be host memory.
    pub unsafe fn host_slices(&self) -> (&'a [usize], &'a [u32], &'a [T]) {
        // SAFETY: the arrays have these lengths by construction and are readable during 'a.
        unsafe {
            (
                core::slice::from_raw_parts(self.row_ptr, self.rows + 1),
                core::slice::from_raw_parts(self.col_idx, self.entries),
                core::slice::from_raw_parts(self.values, self.entries),
            )
        }
    }
}

impl<'a, T: Storage> CsrRef<'a, T, Cpu> {
    /// A view of host arrays, checked as in [`Csr::new`].
    ///
    /// # Errors
    /// As [`Csr::new`].
    pub fn from_slices(
        cpu: &'a Cpu,
        (rows, cols): (usize, usize),
        row_ptr: &'a [usize],
        col_idx: &'a [u32],
        values: &'a [T],
    ) -> Result<Self> {
        check_csr("CsrRef::from_slices", (rows, cols), row_ptr, col_idx, values.len())?;
        let arrays = (row_ptr.as_ptr(), col_idx.as_ptr(), values.as_ptr());
        // SAFETY: checked above; the slices are borrowed for 'a.
        Ok(unsafe { Self::from_parts_unchecked(cpu, (rows, cols), values.len(), arrays) })
    }

    /// Row pointers, column indices and values.
    pub fn slices(&self) -> (&'a [usize], &'a [u32], &'a [T]) {
        // SAFETY: the memory of a Cpu is host memory.
        unsafe { self.host_slices() }
    }
}

fn check_csr(
    op: &'static str,
    shape: (usize, usize),
    row_ptr: &[usize],
    col_idx: &[u32],
    values: usize,
) -> Result<()> {
    check_bounds(op, shape, row_ptr, col_idx, values)?;
    check_distinct(op, row_ptr, col_idx)
}

/// Every entry lies inside of the arrays and of the matrix.
fn check_bounds(
    op: &'static str,
    (rows, cols): (usize, usize),
    row_ptr: &[usize],
    col_idx: &[u32],
    values: usize,
) -> Result<()> {
    if rows.checked_add(1) != Some(row_ptr.len()) {
        return Err(Error::invalid(op, "row_ptr.len()", row_ptr.len(), format!("{rows} + 1")));
    }
    if col_idx.len() != values {
        return Err(Error::invalid(
            op,
            "col_idx.len()",
            col_idx.len(),
            format!("{values}, as values"),
        ));
    }
    if row_ptr[0] > row_ptr[rows] || row_ptr[rows] > values || !row_ptr.is_sorted() {
        let allowed = format!("non-decreasing and at most {values}");
        return Err(Error::invalid(op, "row_ptr", format!("ends at {}", row_ptr[rows]), allowed));
    }
    if let Some(j) = col_idx.iter().find(|&&j| j as usize >= cols) {
        return Err(Error::invalid(op, "col_idx", j, format!("below {cols}")));
    }
    Ok(())
}

/// No row has a column twice.
fn check_distinct(op: &'static str, row_ptr: &[usize], col_idx: &[u32]) -> Result<()> {
    let mut row = Vec::new();
    for (i, range) in row_ptr.windows(2).enumerate() {
        let stored = &col_idx[range[0]..range[1]];
        if stored.is_sorted_by(|a, b| a < b) {
            continue;
        }
        row.clear();
        row.extend_from_slice(stored);
        row.sort_unstable();
        if let Some(pair) = row.windows(2).find(|pair| pair[0] == pair[1]) {
            let allowed = "each column once a row (Csr::from_triplets adds duplicates up)";
            return Err(Error::invalid(
                op,
                "col_idx",
                format!("({i}, {}) twice", pair[0]),
                allowed,
            ));
        }
    }
    Ok(())
}

/// Sums the entries of equal position, in their order.
fn add_duplicates<T: Scalar>(row_ptr: &mut [usize], col_idx: &mut Vec<u32>, values: &mut Vec<T>) {
    let mut place = HashMap::new();
    let (mut start, mut kept) = (0, 0);
    for end in row_ptr.iter_mut().skip(1) {
        place.clear();
        for k in start..*end {
            let target = *place.entry(col_idx[k]).or_insert(kept);
            if target == kept {
                (col_idx[kept], values[kept]) = (col_idx[k], values[k]);
                kept += 1;
            } else {
                let value = values[k];
                values[target] += value;
            }
        }
        start = core::mem::replace(end, kept);
    }
    col_idx.truncate(kept);
    values.truncate(kept);
}

fn index_u32(op: &'static str, index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| Error::invalid(op, "index", index, "below 2^32"))
}

impl<T: Storage, D: Device> fmt::Debug for CsrRef<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsrRef {}×{}, {} entries", self.rows, self.cols, self.entries)
    }
}

impl<T: Storage, D: Device> fmt::Debug for Csr<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_arrays_are_refused() {
        let cpu = Cpu::new();
        let new = |shape, p: &[usize], c: &[u32], v: &[f64]| Csr::new(&cpu, shape, p, c, v);
        assert!(new((2, 3), &[0, 1, 2], &[0, 2], &[1.0, 2.0]).is_ok());
        assert!(new((2, 3), &[0, 2], &[0, 2], &[1.0, 2.0]).is_err());
        assert!(new((2, 3), &[0, 2, 1], &[0, 2], &[1.0, 2.0]).is_err());
        assert!(new((2, 3), &[0, 1, 3], &[0, 2], &[1.0, 2.0]).is_err());
        assert!(new((2, 3), &[0, 1, 2], &[0, 3], &[1.0, 2.0]).is_err());
        assert!(new((2, 3), &[0, 1, 2], &[0], &[1.0, 2.0]).is_err());
        assert!(new((usize::MAX, 3), &[0], &[], &[]).is_err());
        assert!(new((0, 0), &[0], &[], &[]).is_ok());
        assert!(new((2, 3), &[0, 2, 3], &[1, 1, 1], &[1.0, 2.0, 3.0]).is_err());
        assert!(new((2, 3), &[0, 1, 2], &[1, 1], &[1.0, 2.0]).is_ok());
    }

    #[test]
    fn triplets_are_grouped_by_row() {
        let x = Csr::from_triplets(&Cpu::new(), (3, 4), &[(2, 1, 5.0), (0, 3, 1.0), (2, 0, 2.0)]);
        let x = x.unwrap();
        assert_eq!(x.as_ref().slices(), (&[0, 1, 1, 3][..], &[3, 1, 0][..], &[1.0, 5.0, 2.0][..]));
        assert!(Csr::from_triplets(&Cpu::new(), (3, 4), &[(3, 0, 1.0)]).is_err());
        let twice = [(0, 1, 1.0), (2, 0, 3.0), (0, 1, 2.0), (0, 0, 7.0), (2, 0, 5.0)];
        let x = Csr::from_triplets(&Cpu::new(), (3, 4), &twice).unwrap();
        assert_eq!(x.as_ref().slices(), (&[0, 2, 2, 3][..], &[1, 0, 0][..], &[3.0, 7.0, 8.0][..]));
    }
}
