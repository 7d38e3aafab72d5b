//! The applications of an operator and the choice of kernel.

use super::{Family, Sketch, dense, haar, mixing, sparse};
use crate::error::check_shape;
use crate::{AsOperand, Backend, Csr, Device, Error, Mat, MatMut, Op, Operand, Result, Scalar};

impl Sketch {
    /// S·A.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A has as many rows as S columns; [`Error::OutOfMemory`].
    ///
    /// ```
    /// use randnla::{Cpu, Mat, Sketch};
    /// let a = Mat::from_fn(&Cpu::new(), 1000, 3, |i, j| (i + j) as f64)?;
    /// let s = Sketch::sparse_stack(64, 1000, 8, 42)?;
    /// assert_eq!(s.apply(&a)?.shape(), (64, 3));
    /// # Ok::<(), randnla::Error>(())
    /// ```
    pub fn apply<T: Scalar, D: Backend<T>>(&self, a: impl AsOperand<T, D>) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        allocate(a, (self.nrows(), a.shape().1), |c| self.apply_into(T::one(), a, T::zero(), c))
    }

    /// `C ← α S·A + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_into<T: Scalar, D: Backend<T>>(
        &self,
        alpha: T,
        a: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        run("Sketch::apply_into", self, None, Op::NoTrans, alpha, a.as_operand(), beta, c)
    }

    /// Sᵀ·Y, the adjoint: ⟨Sx, y⟩ = ⟨x, Sᵀy⟩.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless Y has as many rows as S; [`Error::OutOfMemory`].
    pub fn apply_adjoint<T: Scalar, D: Backend<T>>(
        &self,
        y: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let shape = (self.ncols(), y.shape().1);
        allocate(y, shape, |c| self.apply_adjoint_into(T::one(), y, T::zero(), c))
    }

    /// `C ← α Sᵀ·Y + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_adjoint_into<T: Scalar, D: Backend<T>>(
        &self,
        alpha: T,
        y: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        run("Sketch::apply_adjoint_into", self, None, Op::Trans, alpha, y.as_operand(), beta, c)
    }

    /// A·Sᵀ, which sketches the columns of A.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A has as many columns as S; [`Error::OutOfMemory`].
    pub fn apply_right<T: Scalar, D: Backend<T>>(
        &self,
        a: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        let shape = (a.shape().0, self.nrows());
        allocate(a, shape, |c| self.apply_right_into(T::one(), a, T::zero(), c))
    }

    /// `C ← α A·Sᵀ + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_right_into<T: Scalar, D: Backend<T>>(
        &self,
        alpha: T,
        a: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (a, c) = (a.as_operand().transpose(), c.transpose());
        run("Sketch::apply_right_into", self, None, Op::NoTrans, alpha, a, beta, c)
    }

    /// Y·S, the adjoint of [`Sketch::apply_right`].
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless Y has as many columns as S rows; [`Error::OutOfMemory`].
    pub fn apply_right_adjoint<T: Scalar, D: Backend<T>>(
        &self,
        y: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let shape = (y.shape().0, self.ncols());
        allocate(y, shape, |c| self.apply_right_adjoint_into(T::one(), y, T::zero(), c))
    }

    /// `C ← α Y·S + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_right_adjoint_into<T: Scalar, D: Backend<T>>(
        &self,
        alpha: T,
        y: impl AsOperand<T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (y, c) = (y.as_operand().transpose(), c.transpose());
        run("Sketch::apply_right_adjoint_into", self, None, Op::Trans, alpha, y, beta, c)
    }

    /// The operator as a dense matrix, entry for entry what the applications use.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_mat<T: Scalar, D: Backend<T>>(&self, device: &D) -> Result<Mat<T, D>> {
        let (d, m) = self.shape();
        let mut s = Mat::scratch(device, d, m)?;
        match self.family() {
            Family::Gaussian | Family::Rademacher | Family::Uniform => {
                device.fill(self, T::one(), s.as_mut())?;
            }
            Family::Haar => s = haar::form(self, device)?,
            family if family.is_transform() => {
                let identity = Mat::identity(device, d)?;
                let transposed = s.as_mut().transpose();
                self.apply_adjoint_into(T::one(), &identity, T::zero(), transposed)?;
            }
            _ => {
                let rows = sparse::compressed(self, Op::NoTrans, device)?;
                device.expand(rows.as_ref(), 0, s.as_mut())?;
            }
        }
        Ok(s)
    }

    /// A sparse operator in compressed sparse rows.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for families that are not sparse; [`Error::OutOfMemory`].
    pub fn to_csr<T: Scalar, D: Backend<T>>(&self, device: &D) -> Result<Csr<T, D>> {
        let family = self.family();
        if family.is_column_sparse() || family.is_row_sparse() {
            return sparse::compressed(self, Op::NoTrans, device);
        }
        let what = format!("the dense family {family:?}");
        Err(Error::Unsupported { op: "Sketch::to_csr", what })
    }
}

fn allocate<T: Scalar, D: Device>(
    a: Operand<'_, T, D>,
    (rows, cols): (usize, usize),
    fill: impl FnOnce(MatMut<'_, T, D>) -> Result<()>,
) -> Result<Mat<T, D>> {
    let mut c = Mat::scratch(a.device(), rows, cols)?;
    fill(c.as_mut())?;
    Ok(c)
}

/// What is kept of an operator that is applied more than once.
pub(super) enum Kept<T: Scalar, D: Backend<T>> {
    Indices(D::Indices),
    Dense(Mat<T, D>),
    Csr { s: Csr<T, D>, transposed: Csr<T, D> },
}

/// `C ← α op(S) A + β C` after checking the arguments.
#[allow(clippy::too_many_arguments)]
pub(super) fn run<T: Scalar, D: Backend<T>>(
    name: &'static str,
    s: &Sketch,
    kept: Option<&Kept<T, D>>,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let (inner, outer) = match op {
        Op::NoTrans => (s.ncols(), s.nrows()),
        Op::Trans => (s.nrows(), s.ncols()),
    };
    let n = a.shape().1;
    check_shape(name, "A", a.shape(), (inner, n))?;
    check_shape(name, "C", c.shape(), (outer, n))?;
    let device = c.device();
    if !device.is_compatible(a.device()) {
        return Err(Error::DeviceMismatch { op: name, argument: "A" });
    }
    if outer == 0 || n == 0 {
        return Ok(());
    }
    if inner == 0 || alpha == T::zero() {
        return device.scale(beta, c);
    }
    match s.family() {
        Family::Gaussian | Family::Rademacher | Family::Uniform => match kept {
            Some(Kept::Dense(s)) => dense::explicit_times(s.as_ref(), op, alpha, a, beta, c),
            _ => dense::times(s, op, alpha, a, beta, c),
        },
        Family::SparseSign
        | Family::SparseStack
        | Family::CountSketch
        | Family::BlockPermSjlt => {
            let kept = match kept {
                Some(Kept::Indices(indices)) => Some(indices),
                _ => None,
            };
            sparse::times_signs(s, kept, op, alpha, a, beta, c)
        }
        Family::Laso | Family::RowSampling => match kept {
            Some(Kept::Csr { s, transposed }) => {
                sparse::explicit_times(s.as_ref(), transposed.as_ref(), op, alpha, a, beta, c)
            }
            _ => sparse::times(s, op, alpha, a, beta, c),
        },
        Family::Srht | Family::Srct | Family::HadamardDiagonal => {
            mixing::times(s, op, alpha, a, beta, c)
        }
        Family::Haar => match kept {
            Some(Kept::Dense(s)) => dense::explicit_times(s.as_ref(), op, alpha, a, beta, c),
            _ => dense::explicit_times(haar::form(s, device)?.as_ref(), op, alpha, a, beta, c),
        },
    }
}
