//! What can be decomposed: anything that multiplies blocks of vectors.

use crate::{
    AsOperand, Backend, Csc, CscRef, Csr, CsrRef, Device, Mat, MatMut, MatRef, Op, Operand, Result,
    Scalar,
};

/// A linear map A of rows×cols, given by its action on blocks of vectors.
///
/// Dense and sparse matrices are linear operators as they are; what a user brings himself (a
/// matrix-free A, a product of factors, a centred matrix) implements this trait. It is object-safe.
pub trait LinearOperator<T: Scalar, D: Device> {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);

    /// The device of the blocks that it multiplies.
    fn device(&self) -> &D;

    /// `Y ← A X`: X (cols×k), Y (rows×k), which holds unspecified values before.
    ///
    /// # Errors
    /// What the implementation reports; it reaches the caller of the algorithm.
    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()>;

    /// `Y ← Aᵀ X`: X (rows×k), Y (cols×k), which holds unspecified values before.
    ///
    /// # Errors
    /// As [`LinearOperator::apply`].
    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()>;

    /// The matrix behind it, where there is one: sketches then read its entries, and who multiplies many
    /// times may keep it in another order as well. Default: none.
    fn as_matrix(&self) -> Option<Operand<'_, T, D>> {
        None
    }

    /// ‖A‖_F when it is known or cheap: exact error identities need it. Default: unknown.
    ///
    /// # Errors
    /// As [`LinearOperator::apply`].
    fn norm_fro(&self) -> Result<Option<f64>> {
        Ok(None)
    }

    /// The min(rows, cols) entries of the diagonal, on the host, when they are known or cheap: exact
    /// errors in the trace need them. Default: unknown.
    ///
    /// # Errors
    /// As [`LinearOperator::apply`].
    fn diagonal(&self) -> Result<Option<Vec<T>>> {
        Ok(None)
    }

    /// The first entry that is not finite, in the order of rows (of columns for a matrix in
    /// compressed columns), when entries can be looked at. Default: unknown.
    ///
    /// # Errors
    /// As [`LinearOperator::apply`].
    fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        Ok(None)
    }
}

impl<T: Scalar, D: Backend<T>> LinearOperator<T, D> for Operand<'_, T, D> {
    fn shape(&self) -> (usize, usize) {
        Operand::shape(self)
    }

    fn device(&self) -> &D {
        Operand::device(self)
    }

    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        multiply(*self, x, y)
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        multiply(self.transpose(), x, y)
    }

    fn as_matrix(&self) -> Option<Operand<'_, T, D>> {
        Some(*self)
    }

    fn norm_fro(&self) -> Result<Option<f64>> {
        match *self {
            Operand::Dense(a) => norm_fro(a),
            Operand::Csr(x) => norm_fro(x.device().stored_values(x)?),
            Operand::Csc(x) => norm_fro(x.device().stored_values(x.transpose())?),
        }
        .map(Some)
    }

    fn diagonal(&self) -> Result<Option<Vec<T>>> {
        match *self {
            Operand::Dense(a) => a.diagonal().to_vec(),
            Operand::Csr(x) => sparse_diagonal(x),
            Operand::Csc(x) => sparse_diagonal(x.transpose()),
        }
        .map(Some)
    }

    fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        match *self {
            Operand::Dense(a) => a.device().find_non_finite(a),
            Operand::Csr(x) => x.device().find_non_finite_stored(x),
            Operand::Csc(x) => {
                let found = x.device().find_non_finite_stored(x.transpose())?;
                Ok(found.map(|(j, i)| (i, j)))
            }
        }
    }
}

/// The matrix types are linear operators through their view as an [`Operand`]. (One blanket
/// implementation would keep users from implementing the trait for generic types of their own.)
macro_rules! operand_operators {
    ($($matrix:ty),*) => { $(
        impl<T: Scalar, D: Backend<T>> LinearOperator<T, D> for $matrix {
            fn shape(&self) -> (usize, usize) {
                self.as_operand().shape()
            }

            fn device(&self) -> &D {
                self.as_operand().device()
            }

            fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
                self.as_operand().apply(x, y)
            }

            fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
                self.as_operand().apply_adjoint(x, y)
            }

            fn as_matrix(&self) -> Option<Operand<'_, T, D>> {
                Some(self.as_operand())
            }

            fn norm_fro(&self) -> Result<Option<f64>> {
                self.as_operand().norm_fro()
            }

            fn diagonal(&self) -> Result<Option<Vec<T>>> {
                self.as_operand().diagonal()
            }

            fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
                self.as_operand().find_non_finite()
            }
        }
    )* };
}

operand_operators!(
    Mat<T, D>,
    MatRef<'_, T, D>,
    MatMut<'_, T, D>,
    Csr<T, D>,
    CsrRef<'_, T, D>,
    Csc<T, D>,
    CscRef<'_, T, D>
);

fn multiply<T: Scalar, D: Backend<T>>(
    a: Operand<'_, T, D>,
    x: MatRef<'_, T, D>,
    y: MatMut<'_, T, D>,
) -> Result<()> {
    let device = y.device();
    match a {
        Operand::Dense(a) => device.gemm(T::one(), a, x, T::zero(), y),
        Operand::Csr(a) => device.spmm(T::one(), a, Op::NoTrans, x, T::zero(), y),
        Operand::Csc(a) => device.spmm(T::one(), a.transpose(), Op::Trans, x, T::zero(), y),
    }
}

/// The diagonal of a sparse matrix: its square blocks along the diagonal, made dense one by one.
fn sparse_diagonal<T: Scalar, D: Backend<T>>(x: CsrRef<'_, T, D>) -> Result<Vec<T>> {
    const BLOCK: usize = 64;
    let device = x.device();
    let n = x.nrows().min(x.ncols());
    let mut diagonal = Vec::with_capacity(n);
    let mut block = Mat::scratch(device, BLOCK.min(n), BLOCK.min(n))?;
    for first in (0..n).step_by(BLOCK) {
        let b = BLOCK.min(n - first);
        let square = block.as_mut().rows(0..b).columns(0..b);
        device.expand(x.rows(first..first + b), first, square)?;
        diagonal.extend(block.as_ref().rows(0..b).columns(0..b).diagonal().to_vec()?);
    }
    Ok(diagonal)
}

/// ‖2^e x‖² of every column.
pub(crate) fn column_squares<T: Scalar, D: Backend<T>>(
    x: MatRef<'_, T, D>,
    e: i32,
) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; x.ncols()];
    x.device().column_sums_of_squares(x, e, &mut sums)?;
    Ok(sums)
}

/// ‖A‖_F, free of over- and underflow, and scaling exactly with powers of two.
pub(crate) fn norm_fro<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<f64> {
    /// Sums of squares in this range have lost nothing to the ends of the exponent range.
    const SAFE: core::ops::Range<f64> = 1e-200..1e200;
    let device = a.device();
    let sum = device.sum_of_squares(a, 0)?;
    if SAFE.contains(&sum) {
        return Ok(sum.sqrt());
    }
    let largest = device.max_abs(a)?;
    if largest == 0.0 || !largest.is_finite() {
        return Ok(largest);
    }
    let exponent = crate::scalar::exponent(largest);
    let sum = device.sum_of_squares(a, -exponent)?;
    Ok(crate::scalar::scale_by_power(sum.sqrt(), exponent))
}
