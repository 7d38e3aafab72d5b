//! Batches: matrices of equal shape and strides at equal distances in memory.

use super::{TensorMut, TensorRef};
use crate::{Cpu, Device, MatMut, MatRef, Result, Scalar};

/// Readable matrices of equal shape, `step` elements from one to the next.
pub struct BatchRef<'a, T: Scalar, D: Device = Cpu> {
    first: MatRef<'a, T, D>,
    step: isize,
    len: usize,
}

impl<T: Scalar, D: Device> Clone for BatchRef<'_, T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar, D: Device> Copy for BatchRef<'_, T, D> {}

impl<'a, T: Scalar, D: Device> BatchRef<'a, T, D> {
    /// A batch in memory that someone else owns.
    ///
    /// # Safety
    /// Every entry of `len` matrices must be readable as those of `first` are, for as long.
    pub unsafe fn from_raw_parts(first: MatRef<'a, T, D>, step: isize, len: usize) -> Self {
        Self { first, step, len }
    }

    /// The same matrix `len` times.
    pub fn repeat(matrix: MatRef<'a, T, D>, len: usize) -> Self {
        Self { first: matrix, step: 0, len }
    }

    /// `len` matrices of which matrix i is columns i, i + len, i + 2·len, … of `matrix`.
    pub(crate) fn interleaved(matrix: MatRef<'a, T, D>, len: usize) -> Self {
        let ((rows, cols), step) = (matrix.shape(), matrix.col_stride());
        let strides = (matrix.row_stride(), step * len as isize);
        // SAFETY: column i + k·len of `matrix`, i < len, is one of its columns for k < cols/len.
        let first = unsafe {
            MatRef::from_parts_unchecked(
                matrix.device(),
                matrix.as_ptr(),
                (rows, cols / len),
                strides,
            )
        };
        Self { first, step, len }
    }

    /// Every matrix transposed.
    pub(crate) fn transpose(self) -> Self {
        Self { first: self.first.transpose(), ..self }
    }

    /// The number of matrices.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no matrices.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The distance from one matrix to the next, in elements.
    pub fn step(&self) -> isize {
        self.step
    }

    /// Rows and columns of every matrix.
    pub fn shape(&self) -> (usize, usize) {
        self.first.shape()
    }

    /// Matrix `i`.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn get(&self, i: usize) -> MatRef<'a, T, D> {
        assert!(i < self.len, "matrix {i} of {}", self.len);
        let ptr = self.first.as_ptr().wrapping_offset(i as isize * self.step);
        let strides = (self.first.row_stride(), self.first.col_stride());
        // SAFETY: the constructors promise that the matrices of the batch are readable.
        unsafe { MatRef::from_parts_unchecked(self.first.device(), ptr, self.shape(), strides) }
    }
}

/// Writable matrices of equal shape, `step` elements from one to the next, that do not overlap.
pub struct BatchMut<'a, T: Scalar, D: Device = Cpu> {
    first: MatMut<'a, T, D>,
    step: isize,
    len: usize,
}

impl<'a, T: Scalar, D: Device> BatchMut<'a, T, D> {
    /// A batch in memory that someone else owns.
    ///
    /// # Safety
    /// Every entry of `len` matrices must be writable as those of `first` are, for as long, and no
    /// entry may belong to two of them.
    pub unsafe fn from_raw_parts(first: MatMut<'a, T, D>, step: isize, len: usize) -> Self {
        Self { first, step, len }
    }

    /// `len` matrices of equal width that are side by side in `matrix`.
    pub(crate) fn side_by_side(matrix: MatMut<'a, T, D>, len: usize) -> Self {
        let width = matrix.ncols() / len;
        let step = matrix.col_stride() * width as isize;
        Self { first: matrix.columns(0..width), step, len }
    }

    /// The number of matrices.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no matrices.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The distance from one matrix to the next, in elements.
    pub fn step(&self) -> isize {
        self.step
    }

    /// Rows and columns of every matrix.
    pub fn shape(&self) -> (usize, usize) {
        self.first.shape()
    }

    /// The first matrix, from which a kernel addresses the others.
    pub fn first(&mut self) -> MatMut<'_, T, D> {
        self.first.as_mut()
    }

    /// Matrix `i`.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn get(&mut self, i: usize) -> MatMut<'_, T, D> {
        assert!(i < self.len, "matrix {i} of {}", self.len);
        let ptr = self.first.as_mut_ptr().wrapping_offset(i as isize * self.step);
        let strides = (self.first.row_stride(), self.first.col_stride());
        let (device, shape) = (self.first.device(), self.shape());
        // SAFETY: the constructor promises that the matrices of the batch are writable; this one
        // borrows the batch.
        unsafe { MatMut::from_parts_unchecked(device, ptr, shape, strides) }
    }
}

/// One axis of two arrays of equal extent: the extent and the two strides.
#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    a: isize,
    c: isize,
}

/// Calls `visit` with batches that together are the two arrays, rows of the matrices along `axis`.
///
/// The arrays agree in every other extent. Axes that follow each other in memory are merged; the
/// longest one left is the columns of the matrices, the next one the batch.
pub(crate) fn for_each_batch<T: Scalar, D: Device>(
    axis: usize,
    a: &TensorRef<'_, T, D>,
    c: &mut TensorMut<'_, T, D>,
    mut visit: impl FnMut(BatchRef<'_, T, D>, BatchMut<'_, T, D>) -> Result<()>,
) -> Result<()> {
    let others = (0..a.shape().len()).filter(|&k| k != axis);
    let others =
        others.map(|k| Axis { extent: a.shape()[k], a: a.strides()[k], c: c.strides()[k] });
    let mut axes = merge(others);
    axes.sort_by_key(|axis| axis.extent);
    let one = Axis { extent: 1, a: 0, c: 0 };
    let columns = axes.pop().unwrap_or(one);
    let batch = axes.pop().unwrap_or(one);
    let a_shape = (a.shape()[axis], columns.extent);
    let c_shape = (c.shape()[axis], columns.extent);
    let a_strides = (a.strides()[axis], columns.a);
    let c_strides = (c.strides()[axis], columns.c);
    for (a_offset, c_offset) in positions(&axes) {
        let a_ptr = a.as_ptr().wrapping_offset(a_offset);
        let c_ptr = c.as_mut_ptr().wrapping_offset(c_offset);
        // SAFETY: rows, columns, batch and offset are positions along the axes of the arrays, so
        // every entry is one of theirs; different positions of C are different memory, and C is
        // borrowed uniquely.
        let (a, c) = unsafe {
            let a = MatRef::from_parts_unchecked(a.device(), a_ptr, a_shape, a_strides);
            let c = MatMut::from_parts_unchecked(c.device(), c_ptr, c_shape, c_strides);
            (
                BatchRef::from_raw_parts(a, batch.a, batch.extent),
                BatchMut::from_raw_parts(c, batch.c, batch.extent),
            )
        };
        visit(a, c)?;
    }
    Ok(())
}

/// Joins axes that are one longer axis in both arrays, and drops those of extent 1.
fn merge(axes: impl Iterator<Item = Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for inner in axes.filter(|axis| axis.extent != 1) {
        let extent = inner.extent as isize;
        match merged.last_mut() {
            Some(outer) if outer.a == inner.a * extent && outer.c == inner.c * extent => {
                *outer = Axis { extent: outer.extent * inner.extent, ..inner };
            }
            _ => merged.push(inner),
        }
    }
    merged
}

/// The offsets of all positions along `axes`.
fn positions(axes: &[Axis]) -> Vec<(isize, isize)> {
    axes.iter().fold(vec![(0, 0)], |offsets, axis| {
        let step = |(a, c): (isize, isize)| {
            (0..axis.extent as isize).map(move |i| (a + i * axis.a, c + i * axis.c))
        };
        offsets.into_iter().flat_map(step).collect()
    })
}
