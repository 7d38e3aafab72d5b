//! Products of matrices whose columns are Kronecker products, through a [`TensorSketch`].
//!
//! With A = A₁ ⊙ A₂ ⊙ ⋯ of n_a columns (column j is the Kronecker product of all columns j) and B alike, AᵀB has the entries
//! ∏ₖ⟨aₖᵢ, bₖⱼ⟩; for the same factor q times it is the polynomial kernel ⟨aᵢ, bⱼ⟩^q. C = (SA)ᵀ(SB) never forms the
//! columns, which have m₁m₂⋯m_q entries.
//!
//! # Error
//! Some rows of AᵀB are computed exactly: products of the factors for these rows, multiplied with each other on the host.

use super::Product;
use crate::decomp::{ErrorEstimate, ErrorKind};
use crate::error::check_shape;
use crate::operator::norm_fro;
use crate::random::{Permutation, Stream};
use crate::{
    AsOperand, Backend, Error, LinearOperator, Mat, MatMut, MatRef, Operand, Result, Scalar,
    TensorSketch,
};

/// Rows of AᵀB that are computed exactly for the error.
const ROWS: usize = 20;

/// C ≈ (A₁ ⊙ A₂ ⊙ ⋯)ᵀ(B₁ ⊙ B₂ ⊙ ⋯), all pairs of inner products of Kronecker products, and how far it is from that.
///
/// Aₖ is mₖ×n_a and Bₖ is mₖ×n_b, dense or sparse; C is n_a×n_b. Unbiased, with
/// E‖C − AᵀB‖² ≤ (2 + 3^q)/d·‖A‖²‖B‖² for q factors. The error is that of 20 random rows of C, scaled up
/// ([`ErrorKind::Sample`]), or of all of them where there are no more; relative to the same rows of AᵀB.
///
/// # Errors
/// [`Error::InvalidArgument`] unless there are as many factors as S has; [`Error::ShapeMismatch`];
/// [`Error::DeviceMismatch`]; [`Error::OutOfMemory`].
///
/// # Cost
/// O(Σ nnz + q(n_a + n_b)d log d) flops for the sketches, 2d·n_a·n_b for C, 40·n_b·Σmₖ for the error. Synchronises, once for the error.
///
/// Source: Avron, Nguyen and Woodruff, "Subspace embeddings for the polynomial kernel", NIPS 2014.
///
/// ```
/// use randnla::product::tensor_product;
/// use randnla::{Cpu, Mat, TensorSketch};
/// // The kernel ⟨x, y⟩² of 100 points and 80 others, of which the features have 30² entries.
/// let x = Mat::from_fn(&Cpu::new(), 30, 100, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let y = Mat::from_fn(&Cpu::new(), 30, 80, |i, j| 1.0 / (2 + i + j) as f64)?;
/// let found = tensor_product(&TensorSketch::new(256, &[30, 30], 42)?, &[&x, &x], &[&y, &y])?;
/// assert_eq!(found.c.shape(), (100, 80));
/// assert!(found.error.relative < 0.3);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn tensor_product<T: Scalar, D: Backend<T>>(
    s: &TensorSketch,
    a: &[impl AsOperand<T, D>],
    b: &[impl AsOperand<T, D>],
) -> Result<Product<T, D>> {
    let op = "tensor_product";
    let (first, other) = check(op, s, a, b)?;
    let mut c = Mat::scratch(first.device(), first.shape().1, other.shape().1)?;
    tensor_product_into(s, T::one(), a, b, T::zero(), c.as_mut())?;
    let error = error_of_rows(s.seed(), a, b, c.as_ref())?;
    Ok(Product { c, error })
}

/// `C ← α (S(A₁ ⊙ A₂ ⊙ ⋯))ᵀ S(B₁ ⊙ B₂ ⊙ ⋯) + β C`: [`tensor_product`] for a loop, without an estimate of its error. Synchronises
/// nowhere.
///
/// # Errors
/// As [`tensor_product`]; C is then untouched.
pub fn tensor_product_into<T: Scalar, D: Backend<T>>(
    s: &TensorSketch,
    alpha: T,
    a: &[impl AsOperand<T, D>],
    b: &[impl AsOperand<T, D>],
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let op = "tensor_product_into";
    let (first, other) = check(op, s, a, b)?;
    check_shape(op, "C", c.shape(), (first.shape().1, other.shape().1))?;
    for (argument, device) in [("A", first.device()), ("B", other.device())] {
        if !c.device().is_compatible(device) {
            return Err(Error::DeviceMismatch { op, argument });
        }
    }
    if alpha == T::zero() {
        return c.device().scale(beta, c);
    }
    let (left, right) = (s.apply(a)?, s.apply(b)?);
    c.device().gemm(alpha, left.transpose(), right.as_ref(), beta, c)
}

/// The first factors, once the number of all is right.
fn check<'a, T: Scalar, D: Backend<T>>(
    op: &'static str,
    s: &TensorSketch,
    a: &'a [impl AsOperand<T, D>],
    b: &'a [impl AsOperand<T, D>],
) -> Result<(Operand<'a, T, D>, Operand<'a, T, D>)> {
    for (argument, got) in [("a.len()", a.len()), ("b.len()", b.len())] {
        if got != s.factors() {
            let allowed = format!("{}, the number of factors", s.factors());
            return Err(Error::invalid(op, argument, got, allowed));
        }
    }
    Ok((a[0].as_operand(), b[0].as_operand()))
}

/// The error of C in some of its rows, all alike likely.
fn error_of_rows<T: Scalar, D: Backend<T>>(
    seed: u64,
    a: &[impl AsOperand<T, D>],
    b: &[impl AsOperand<T, D>],
    c: MatRef<'_, T, D>,
) -> Result<ErrorEstimate> {
    let ((all, n), device) = (c.shape(), c.device());
    let rows = all.min(ROWS);
    let order = Permutation::new(seed, Stream::ProductRows, all as u64);
    let index: Vec<usize> = (0..rows).map(|i| order.get(i as u64) as usize).collect();
    // Columns of the identity choose columns of A, whatever its format.
    let mut entries = vec![T::zero(); all * rows];
    index.iter().enumerate().for_each(|(row, &i)| entries[row * all + i] = T::one());
    let chosen = Mat::from_column_major(device, &entries, all, rows)?;
    let mut exact = vec![1.0; n * rows];
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a.as_operand(), b.as_operand());
        let mut columns = Mat::scratch(device, a.shape().0, rows)?;
        a.apply(chosen.as_ref(), columns.as_mut())?;
        let mut inner = Mat::scratch(device, n, rows)?;
        b.apply_adjoint(columns.as_ref(), inner.as_mut())?;
        let inner = inner.to_vec()?;
        exact.iter_mut().zip(inner).for_each(|(product, x)| *product *= x.to_f64());
    }
    let mut found = Mat::scratch(device, rows, n)?;
    device.gather_rows(&index, c, found.as_mut())?;
    let found = found.into_transposed().to_vec()?;
    let rounded: Vec<T> = exact.iter().map(|&x| T::from_f64(x)).collect();
    let difference = found.iter().zip(&exact).map(|(&x, y)| T::from_f64(x.to_f64() - y)).collect();
    let norm =
        |entries: Vec<T>| norm_fro(Mat::from_column_major(device, &entries, n, rows)?.as_ref());
    let (missed, size): (f64, f64) = (norm(difference)?, norm(rounded)?);
    let kind = if rows == all { ErrorKind::Residual } else { ErrorKind::Sample { rows } };
    let absolute = missed * (all as f64 / rows.max(1) as f64).sqrt();
    let relative = if missed == 0.0 { 0.0 } else { missed / size };
    Ok(ErrorEstimate { absolute, relative, kind })
}
