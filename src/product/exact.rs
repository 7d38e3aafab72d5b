//! The exact product of two operands, and as an operator.

use crate::decomp::Turned;
use crate::{Backend, Error, LinearOperator, Mat, MatMut, MatRef, Op, Operand, Result, Scalar};

/// `C ← α AB + β C`, where at most one of the two is sparse or both are by rows or by columns.
pub(super) fn multiply<T: Scalar, D: Backend<T>>(
    op: &'static str,
    alpha: T,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    match (a, b) {
        (Operand::Dense(a), Operand::Dense(b)) => device.gemm(alpha, a, b, beta, c),
        (Operand::Csr(a), Operand::Dense(b)) => device.spmm(alpha, a, Op::NoTrans, b, beta, c),
        (Operand::Csc(a), Operand::Dense(b)) => {
            device.spmm(alpha, a.transpose(), Op::Trans, b, beta, c)
        }
        (Operand::Dense(_), _) => {
            multiply(op, alpha, b.transpose(), a.transpose(), beta, c.transpose())
        }
        (Operand::Csr(a), Operand::Csr(b)) => device.spspmm(alpha, a, b, beta, c),
        (Operand::Csc(a), Operand::Csc(b)) => {
            device.spspmm(alpha, b.transpose(), a.transpose(), beta, c.transpose())
        }
        (Operand::Csr(_), Operand::Csc(_)) | (Operand::Csc(_), Operand::Csr(_)) => {
            let what = "a product of compressed rows with compressed columns".into();
            Err(Error::Unsupported { op, what })
        }
    }
}

/// A·B as a linear operator: two products a block, A·B is never formed.
pub(super) struct ProductOperator<'a, T: Scalar, D: Backend<T>> {
    a: Turned<'a, Operand<'a, T, D>, T, D>,
    b: Turned<'a, Operand<'a, T, D>, T, D>,
}

impl<'a, T: Scalar, D: Backend<T>> ProductOperator<'a, T, D> {
    pub(super) fn new(a: &'a Operand<'a, T, D>, b: &'a Operand<'a, T, D>) -> Result<Self> {
        Ok(Self { a: Turned::new(a)?, b: Turned::new(b)? })
    }
}

impl<T: Scalar, D: Backend<T>> LinearOperator<T, D> for ProductOperator<'_, T, D> {
    fn shape(&self) -> (usize, usize) {
        (self.a.shape().0, self.b.shape().1)
    }

    fn device(&self) -> &D {
        self.a.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        let mut between = Mat::scratch(self.device(), self.b.shape().0, x.ncols())?;
        self.b.apply(x, between.as_mut())?;
        self.a.apply(between.as_ref(), y)
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        let mut between = Mat::scratch(self.device(), self.a.shape().1, x.ncols())?;
        self.a.apply_adjoint(x, between.as_mut())?;
        self.b.apply_adjoint(between.as_ref(), y)
    }

    /// That of A, else that of B.
    fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        Ok(self.a.find_non_finite()?.or(self.b.find_non_finite()?))
    }
}
