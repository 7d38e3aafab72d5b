//! Matrices given by their entries: what a factorization from columns looks at.

use crate::{Backend, Blas, Device, Mat, MatMut, MatRef, Result, Scalar};

/// A symmetric matrix of which single columns can be had, formed or not.
pub trait SymmetricEntries<T: Scalar, D: Device> {
    /// Rows and columns, which are equal for what is factored.
    fn shape(&self) -> (usize, usize);

    /// The device of the blocks that it fills.
    fn device(&self) -> &D;

    /// The diagonal, on the host.
    ///
    /// # Errors
    /// What the implementation reports; it reaches the caller of the algorithm.
    fn diagonal(&self) -> Result<Vec<T>>;

    /// `C ← A[:, index]`, n×b, which holds unspecified values before.
    ///
    /// # Errors
    /// As [`SymmetricEntries::diagonal`].
    fn columns(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()>;

    /// `C ← A[index, index]`, b×b; an index can occur more than once.
    ///
    /// # Errors
    /// As [`SymmetricEntries::diagonal`].
    fn block(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()>;
}

impl<T: Scalar, D: Backend<T>> SymmetricEntries<T, D> for MatRef<'_, T, D> {
    fn shape(&self) -> (usize, usize) {
        MatRef::shape(self)
    }

    fn device(&self) -> &D {
        MatRef::device(self)
    }

    fn diagonal(&self) -> Result<Vec<T>> {
        MatRef::diagonal(*self).to_vec()
    }

    fn columns(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        MatRef::device(self).gather_rows(index, self.transpose(), c.transpose())
    }

    fn block(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        let device = MatRef::device(self);
        let mut rows = Mat::scratch(device, index.len(), self.ncols())?;
        device.gather_rows(index, *self, rows.as_mut())?;
        device.gather_rows(index, rows.transpose(), c.transpose())
    }
}

impl<T: Scalar, D: Backend<T>> SymmetricEntries<T, D> for Mat<T, D> {
    fn shape(&self) -> (usize, usize) {
        Mat::shape(self)
    }

    fn device(&self) -> &D {
        Mat::device(self)
    }

    fn diagonal(&self) -> Result<Vec<T>> {
        self.as_ref().diagonal().to_vec()
    }

    fn columns(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        SymmetricEntries::columns(&self.as_ref(), index, c)
    }

    fn block(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        self.as_ref().block(index, c)
    }
}

/// The matrix of a kernel: entries k(i, j) by a function, evaluated on the host where they are needed.
///
/// The columns of a block are evaluated side by side where the device can.
///
/// ```
/// use randnla::{Cpu, decomp::{KernelMatrix, RpCholeskyParams, rp_cholesky}};
/// let kernel = KernelMatrix::new(&Cpu::new(), 100, |i, j| 1.0 / (1 + i + j) as f64); // Hilbert's matrix
/// let cholesky = rp_cholesky(&kernel, RpCholeskyParams::rank(8))?;
/// assert!(cholesky.error.relative < 1e-4 && cholesky.pivots.len() == 8);
/// # Ok::<(), randnla::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KernelMatrix<D, F> {
    device: D,
    order: usize,
    entry: F,
}

impl<D: Device, F> KernelMatrix<D, F> {
    /// The n×n matrix with entries `entry(i, j)`, a symmetric function.
    pub fn new<T: Scalar>(device: &D, order: usize, entry: F) -> Self
    where
        F: Fn(usize, usize) -> T + Sync,
    {
        Self { device: device.clone(), order, entry }
    }
}

impl<T: Scalar, D: Blas<T>, F: Fn(usize, usize) -> T + Sync> SymmetricEntries<T, D>
    for KernelMatrix<D, F>
{
    fn shape(&self) -> (usize, usize) {
        (self.order, self.order)
    }

    fn device(&self) -> &D {
        &self.device
    }

    fn diagonal(&self) -> Result<Vec<T>> {
        Ok((0..self.order).map(|i| (self.entry)(i, i)).collect())
    }

    fn columns(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        let column = |j: usize| (0..self.order).map(|i| (self.entry)(i, index[j])).collect();
        self.fill(index.len(), column, c)
    }

    fn block(&self, index: &[usize], c: MatMut<'_, T, D>) -> Result<()> {
        let column = |j: usize| index.iter().map(|&i| (self.entry)(i, index[j])).collect();
        self.fill(index.len(), column, c)
    }
}

impl<D: Device, F: Sync> KernelMatrix<D, F> {
    fn fill<T: Scalar>(
        &self,
        columns: usize,
        column: impl Fn(usize) -> Vec<T> + Sync,
        c: MatMut<'_, T, D>,
    ) -> Result<()>
    where
        D: Blas<T>,
    {
        let entries = self.device.map_batch(columns, column).concat();
        let filled = Mat::from_column_major(&self.device, &entries, c.nrows(), columns)?;
        self.device.axpby(T::one(), filled.as_ref(), T::zero(), c)
    }
}
