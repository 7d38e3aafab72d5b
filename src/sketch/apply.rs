//! The applications of an operator and the choice of kernel.

use super::{Family, Sketch, SketchBackend, dense, haar, mixing, sparse};
use crate::error::check_shape;
use crate::{
    AsOperand, Backend, Csr, Device, Error, Mat, MatMut, Op, Operand, Result, Scalar, Storage,
};
use num_traits::{One, Zero};

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
    pub fn apply<T: Storage, D: SketchBackend<T>>(
        &self,
        a: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        allocate(a, (self.nrows(), a.shape().1), |c| {
            self.apply_into(One::one(), a, Zero::zero(), c)
        })
    }

    /// `C ← α S·A + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_into<T: Storage, D: SketchBackend<T>>(
        &self,
        alpha: T::Compute,
        a: impl AsOperand<T, D>,
        beta: T::Compute,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        D::apply_operator("Sketch::apply_into", self, Op::NoTrans, alpha, a.as_operand(), beta, c)
    }

    /// Sᵀ·Y, the adjoint: ⟨Sx, y⟩ = ⟨x, Sᵀy⟩.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless Y has as many rows as S; [`Error::OutOfMemory`].
    pub fn apply_adjoint<T: Storage, D: SketchBackend<T>>(
        &self,
        y: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let shape = (self.ncols(), y.shape().1);
        allocate(y, shape, |c| self.apply_adjoint_into(One::one(), y, Zero::zero(), c))
    }

    /// `C ← α Sᵀ·Y + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_adjoint_into<T: Storage, D: SketchBackend<T>>(
        &self,
        alpha: T::Compute,
        y: impl AsOperand<T, D>,
        beta: T::Compute,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        D::apply_operator(
            "Sketch::apply_adjoint_into",
            self,
            Op::Trans,
            alpha,
            y.as_operand(),
            beta,
            c,
        )
    }

    /// A·Sᵀ, which sketches the columns of A.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A has as many columns as S; [`Error::OutOfMemory`].
    pub fn apply_right<T: Storage, D: SketchBackend<T>>(
        &self,
        a: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let a = a.as_operand();
        let shape = (a.shape().0, self.nrows());
        allocate(a, shape, |c| self.apply_right_into(One::one(), a, Zero::zero(), c))
    }

    /// `C ← α A·Sᵀ + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_right_into<T: Storage, D: SketchBackend<T>>(
        &self,
        alpha: T::Compute,
        a: impl AsOperand<T, D>,
        beta: T::Compute,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (a, c) = (a.as_operand().transpose(), c.transpose());
        D::apply_operator("Sketch::apply_right_into", self, Op::NoTrans, alpha, a, beta, c)
    }

    /// Y·S, the adjoint of [`Sketch::apply_right`].
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless Y has as many columns as S rows; [`Error::OutOfMemory`].
    pub fn apply_right_adjoint<T: Storage, D: SketchBackend<T>>(
        &self,
        y: impl AsOperand<T, D>,
    ) -> Result<Mat<T, D>> {
        let y = y.as_operand();
        let shape = (y.shape().0, self.ncols());
        allocate(y, shape, |c| self.apply_right_adjoint_into(One::one(), y, Zero::zero(), c))
    }

    /// `C ← α Y·S + β C`.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]; C is then untouched.
    pub fn apply_right_adjoint_into<T: Storage, D: SketchBackend<T>>(
        &self,
        alpha: T::Compute,
        y: impl AsOperand<T, D>,
        beta: T::Compute,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let (y, c) = (y.as_operand().transpose(), c.transpose());
        D::apply_operator("Sketch::apply_right_adjoint_into", self, Op::Trans, alpha, y, beta, c)
    }

    /// The operator as a dense matrix, entry for entry what the applications use.
    ///
    /// In `f16` and `bf16` an entry is the factor times the rounded raw entry, rounded: what the
    /// applications use of a [`raw`](Sketch::raw) dense or sparse operator.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn to_mat<T: Storage, D: SketchBackend<T>>(&self, device: &D) -> Result<Mat<T, D>> {
        device.form_operator(self)
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

/// [`Sketch::to_mat`] for scalars.
pub(super) fn form<T: Scalar, D: Backend<T>>(sketch: &Sketch, device: &D) -> Result<Mat<T, D>> {
    let (d, m) = sketch.shape();
    let mut s = Mat::scratch(device, d, m)?;
    match sketch.family() {
        Family::Gaussian | Family::Rademacher | Family::Uniform => {
            device.fill(sketch, T::one(), s.as_mut())?;
        }
        Family::Haar => s = haar::form(sketch, device)?,
        family if family.is_transform() => {
            let identity = Mat::identity(device, d)?;
            let transposed = s.as_mut().transpose();
            sketch.apply_adjoint_into(T::one(), &identity, T::zero(), transposed)?;
        }
        _ => {
            let rows = sparse::compressed(sketch, Op::NoTrans, device)?;
            device.expand(rows.as_ref(), 0, s.as_mut())?;
        }
    }
    Ok(s)
}

fn allocate<T: Storage, D: Device>(
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

/// Whether the arguments of `C ← α op(S) A + β C` fit.
pub(super) fn check<T: Storage, D: Device>(
    name: &'static str,
    s: &Sketch,
    op: Op,
    a: Operand<'_, T, D>,
    c: &MatMut<'_, T, D>,
) -> Result<()> {
    let (inner, outer) = match op {
        Op::NoTrans => (s.ncols(), s.nrows()),
        Op::Trans => (s.nrows(), s.ncols()),
    };
    let n = a.shape().1;
    check_shape(name, "A", a.shape(), (inner, n))?;
    check_shape(name, "C", c.shape(), (outer, n))?;
    if !c.device().is_compatible(a.device()) {
        return Err(Error::DeviceMismatch { op: name, argument: "A" });
    }
    Ok(())
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
    check(name, s, op, a, &c)?;
    let device = c.device();
    if c.is_empty() {
        return Ok(());
    }
    if a.shape().0 == 0 || alpha == T::zero() {
        return device.scale(beta, c);
    }
    match s.family() {
        Family::Gaussian | Family::Rademacher | Family::Uniform => match kept {
            Some(Kept::Dense(s)) => dense::explicit_times(s.as_ref(), op, alpha, a, beta, c),
            _ => dense::times(s, op, alpha, a, beta, c),
        },
        Family::SparseSign | Family::SparseStack | Family::CountSketch | Family::BlockPermSjlt => {
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
