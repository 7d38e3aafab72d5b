//! A sparse matrix that is multiplied many times from both sides.

use crate::{Backend, Csr, LinearOperator, MatMut, MatRef, Operand, Result, Scalar};

/// A as it is, and its transpose by rows where the device would sort it for each product with it
/// ([`SparseKernels::turned`](crate::SparseKernels::turned)): sorted once for all passes. That is as much memory
/// again as A takes; the sort of a single product takes more.
pub(crate) struct Turned<'a, A: ?Sized, T: Scalar, D: Backend<T>> {
    a: &'a A,
    /// Aᵀ of a matrix in compressed rows, A of one in compressed columns.
    kept: Kept<T, D>,
}

enum Kept<T: Scalar, D: Backend<T>> {
    Nothing,
    Adjoint(Csr<T, D>),
    Itself(Csr<T, D>),
}

impl<'a, A: LinearOperator<T, D> + ?Sized, T: Scalar, D: Backend<T>> Turned<'a, A, T, D> {
    pub(crate) fn new(a: &'a A) -> Result<Self> {
        let device = a.device();
        let kept = match a.as_matrix() {
            Some(Operand::Csr(x)) => device.turned(x)?.map(Kept::Adjoint),
            Some(Operand::Csc(x)) => device.turned(x.transpose())?.map(Kept::Itself),
            _ => None,
        };
        Ok(Self { a, kept: kept.unwrap_or(Kept::Nothing) })
    }
}

impl<A: LinearOperator<T, D> + ?Sized, T: Scalar, D: Backend<T>> LinearOperator<T, D>
    for Turned<'_, A, T, D>
{
    fn shape(&self) -> (usize, usize) {
        self.a.shape()
    }

    fn device(&self) -> &D {
        self.a.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        match &self.kept {
            Kept::Itself(a) => a.apply(x, y),
            _ => self.a.apply(x, y),
        }
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        match &self.kept {
            Kept::Adjoint(adjoint) => adjoint.apply(x, y),
            _ => self.a.apply_adjoint(x, y),
        }
    }

    fn as_matrix(&self) -> Option<Operand<'_, T, D>> {
        self.a.as_matrix()
    }

    fn norm_fro(&self) -> Result<Option<f64>> {
        self.a.norm_fro()
    }

    fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        self.a.find_non_finite()
    }
}
