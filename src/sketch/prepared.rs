//! An operator with what is worth keeping between applications.

use super::apply::{Kept, run};
use super::sparse;
use super::{Family, Sketch};
use crate::{AsOperand, Backend, Mat, MatMut, MatRef, Op, Result, Scalar};

/// An operator prepared for many applications: the same results as [`Sketch`], bit for bit, without
/// generating again what fits in memory.
///
/// | family | kept | bytes |
/// |---|---|---|
/// | SparseSign, SparseStack, CountSketch, BlockPerm-SJLT | positions | 4ζm |
/// | the first three on a GPU | also S by rows, for A of more than a few columns | 4ζm + ζm (4 + size of T) + 8d |
/// | LASO, row sampling | S and Sᵀ in CSR | about 2ζd (4 + size of T) + 8(d + m) |
/// | Haar | S | dm · size of T |
/// | others | nothing | 0 |
///
/// On a GPU an A of few columns is multiplied from the positions, prepared or not, so that results are the same
/// bits: for 4 to 16 columns some two to three times the work that S by rows would take.
///
/// Where A is a sparse matrix that a GPU sorts for each product, keep it turned
/// ([`SparseKernels::turned`](crate::SparseKernels::turned)): that is no part of the operator.
///
/// Gaussian, Rademacher and Uniform are generated again each time: that costs a few per cent of the
/// product. Who applies one to many vectors keeps [`Sketch::to_mat`] and uses a product.
pub struct Prepared<T: Scalar, D: Backend<T>> {
    sketch: Sketch,
    kept: Option<Kept<T, D>>,
    device: D,
}

impl Sketch {
    /// Prepares the operator for many applications on `device`; [`Prepared`] says what is kept.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn prepare<T: Scalar, D: Backend<T>>(&self, device: &D) -> Result<Prepared<T, D>> {
        let kept = match self.family() {
            family if family.is_column_sparse() => {
                let mut indices = device.indices(self)?;
                for cols in sparse::chunks::<T, D>(self, device) {
                    device.keep_indices(&self.columns(cols), &mut indices)?;
                }
                Some(Kept::Indices(indices))
            }
            Family::Laso | Family::RowSampling => {
                let s = sparse::compressed(self, Op::NoTrans, device)?;
                Some(Kept::Csr { s, transposed: sparse::compressed(self, Op::Trans, device)? })
            }
            Family::Haar => Some(Kept::Dense(self.to_mat(device)?)),
            _ => None,
        };
        Ok(Prepared { sketch: *self, kept, device: device.clone() })
    }
}

impl<T: Scalar, D: Backend<T>> Prepared<T, D> {
    /// The operator.
    pub fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// Rows and columns of the operator.
    pub fn shape(&self) -> (usize, usize) {
        self.sketch.shape()
    }

    /// S as a dense matrix, where it is kept as one.
    pub(super) fn formed(&self) -> Option<MatRef<'_, T, D>> {
        match &self.kept {
            Some(Kept::Dense(s)) => Some(s.as_ref()),
            _ => None,
        }
    }

    /// S·A, as [`Sketch::apply`].
    ///
    /// # Errors
    /// As there.
    pub fn apply(&self, a: impl AsOperand<T, D>) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        let mut c = Mat::scratch(&self.device, self.sketch.nrows(), a.shape().1)?;
        self.apply_into(T::one(), a, T::zero(), c.as_mut())?;
        Ok(c)
    }

    /// `C ← α S·A + β C`, as [`Sketch::apply_into`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_into(
        &self,
        alpha: T,
        a: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (kept, a) = (self.kept.as_ref(), a.as_operand());
        run("Prepared::apply_into", &self.sketch, kept, Op::NoTrans, alpha, a, beta, c)
    }

    /// Sᵀ·Y, as [`Sketch::apply_adjoint`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_adjoint(&self, y: impl AsOperand<T, D>) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let mut c = Mat::scratch(&self.device, self.sketch.ncols(), y.shape().1)?;
        self.apply_adjoint_into(T::one(), y, T::zero(), c.as_mut())?;
        Ok(c)
    }

    /// `C ← α Sᵀ·Y + β C`, as [`Sketch::apply_adjoint_into`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_adjoint_into(
        &self,
        alpha: T,
        y: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (kept, y) = (self.kept.as_ref(), y.as_operand());
        run("Prepared::apply_adjoint_into", &self.sketch, kept, Op::Trans, alpha, y, beta, c)
    }

    /// A·Sᵀ, as [`Sketch::apply_right`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_right(&self, a: impl AsOperand<T, D>) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        let mut c = Mat::scratch(&self.device, a.shape().0, self.sketch.nrows())?;
        self.apply_right_into(T::one(), a, T::zero(), c.as_mut())?;
        Ok(c)
    }

    /// `C ← α A·Sᵀ + β C`, as [`Sketch::apply_right_into`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_right_into(
        &self,
        alpha: T,
        a: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (kept, a) = (self.kept.as_ref(), a.as_operand().transpose());
        let c = c.transpose();
        run("Prepared::apply_right_into", &self.sketch, kept, Op::NoTrans, alpha, a, beta, c)
    }

    /// Y·S, as [`Sketch::apply_right_adjoint`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_right_adjoint(&self, y: impl AsOperand<T, D>) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let mut c = Mat::scratch(&self.device, y.shape().0, self.sketch.ncols())?;
        self.apply_right_adjoint_into(T::one(), y, T::zero(), c.as_mut())?;
        Ok(c)
    }

    /// `C ← α Y·S + β C`, as [`Sketch::apply_right_adjoint_into`].
    ///
    /// # Errors
    /// As there.
    pub fn apply_right_adjoint_into(
        &self,
        alpha: T,
        y: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (kept, y) = (self.kept.as_ref(), y.as_operand().transpose());
        let c = c.transpose();
        run("Prepared::apply_right_adjoint_into", &self.sketch, kept, Op::Trans, alpha, y, beta, c)
    }
}
