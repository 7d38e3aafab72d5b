//! QR of tall matrices by their Gram matrix: A = Q R, all long work in products.
//!
//! One pass is G = AᵀA, LLᵀ = G, Q = A·L⁻ᵀ, R = Lᵀ: 2mn² flops, half of those of
//! Householder QR with explicit Q. It loses orthogonality as u·cond(A)², so it is repeated: the second pass meets a
//! matrix of condition near 1.
//!
//! | function | passes | serves |
//! |---|---|---|
//! | [`cholesky_qr2`] | 2 | cond(A) below about 1/√u: 10⁷ in f64, 2000 in f32 |
//! | [`cholesky_qr3`] | 3, the first shifted; more if need be | cond(A) below about 1/u |
//! | [`cqrrpt`](super::cqrrpt()) | 1 after a sketch | any A, and reveals the rank |
//!
//! Sources: Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, "Roundoff error analysis of the CholeskyQR2
//! algorithm", 2015; Fukaya, Kannan, Nakatsukasa, Yamamoto and Yanagisawa, "Shifted Cholesky QR for computing the QR
//! factorization of ill-conditioned matrices", 2020.

use super::basis::scale_exactly;
use super::finite_scale;
use super::host::{leading_cholesky, times_upper, triangular_condition};
use super::transfer::{gram_entries, rounded, upload_upper};
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Device, Error, Mat, MatMut, MatRef, Op, Result, Scalar, Uplo, scalar};

/// Shifted passes before columns count as dependent: each takes the condition down by about √(11mn·u). From
/// 1/u, f64 needs two for mn up to 10⁴, and f32 four.
const SHIFTED_PASSES: usize = 4;

/// A = Q R.
#[derive(Debug)]
pub struct Qr<T: Scalar, D: Device = Cpu> {
    /// m×n, orthonormal columns.
    pub q: Mat<T, D>,
    /// n×n, upper triangular, its diagonal positive.
    pub r: Mat<T, D>,
    /// An estimate of ‖QᵀQ − I‖_F/√n: u·cond², for the condition of what the last pass met.
    pub orthogonality: f64,
}

/// A = Q R by two passes of CholeskyQR, for tall A of full rank and moderate condition.
///
/// # Errors
/// [`Error::Singular`] when AᵀA is not positive definite, which starts at cond(A) of about 1/√u: take
/// [`cholesky_qr3`] or [`cqrrpt`](super::cqrrpt()); [`Error::InvalidArgument`] for m < n;
/// [`Error::NonFinite`] with the position; [`Error::OutOfMemory`].
///
/// # Cost
/// 4mn² flops, memory for Q. The condition is looked at on the host: 2n³/3 flops there.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::cholesky_qr2};
/// let a = Mat::from_fn(&Cpu::new(), 300, 4, |i, j| ((3 * i + 7 * j * i) as f64).sin())?;
/// let qr = cholesky_qr2(a.as_ref())?;
/// assert_eq!((qr.q.shape(), qr.r.shape()), ((300, 4), (4, 4)));
/// assert!(qr.orthogonality < 1e-15);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cholesky_qr2<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<Qr<T, D>> {
    factor("cholesky_qr2", a, false)
}

/// A = Q R by a shifted pass of CholeskyQR and two plain ones, for tall A of any condition below about
/// 1/u.
///
/// The shift is 11(m + n + 1)n·u·‖A‖²_F, after Fukaya et al.: it makes the Gram matrix positive definite, and
/// Q·R = A all the same. Where that was not enough, up to three more shifted passes follow.
///
/// # Errors
/// [`Error::Singular`] when the columns are dependent to working precision; else as [`cholesky_qr2`].
///
/// # Cost
/// 6mn² flops, 2mn² more for each further pass; memory for Q.
pub fn cholesky_qr3<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<Qr<T, D>> {
    factor("cholesky_qr3", a, true)
}

fn factor<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    shifted: bool,
) -> Result<Qr<T, D>> {
    let ((m, n), device) = (a.shape(), a.device());
    if m < n {
        return Err(Error::invalid(
            op,
            "a",
            format!("{m}×{n}"),
            "at least as many rows as columns",
        ));
    }
    let mut q = Mat::scratch(device, m, n)?;
    device.axpby(T::one(), a, T::zero(), q.as_mut())?;
    let (_, exponent) = finite_scale(op, &a, a)?;
    scale_exactly(&mut q.as_mut(), -exponent)?;
    let mut r = faer::Mat::identity(n, n);
    let singular = |column| Error::Singular { op, column };
    let mut shifts = if shifted { SHIFTED_PASSES } else { 0 };
    if shifted {
        shifted_pass(q.as_mut(), &mut r)?.map_err(singular)?;
    }
    while let Err(column) = pass(q.as_mut(), &mut r, 0.0)? {
        if shifts <= 1 {
            return Err(singular(column));
        }
        shifts -= 1;
        shifted_pass(q.as_mut(), &mut r)?.map_err(singular)?;
    }
    let condition = pass(q.as_mut(), &mut r, 0.0)?.map_err(singular)?;
    let r = upload_upper(device, &r, exponent)?;
    Ok(Qr { q, r, orthogonality: T::UNIT_ROUNDOFF * condition * condition })
}

/// A pass with a shift that is above the rounding errors of the Gram matrix, so that it is positive definite
/// unless Q is zero. The condition falls by about a factor √(11mn·u).
pub(super) fn shifted_pass<T: Scalar, D: Backend<T>>(
    q: MatMut<'_, T, D>,
    r: &mut faer::Mat<f64>,
) -> Result<core::result::Result<f64, usize>> {
    let (m, n) = (q.nrows() as f64, q.ncols() as f64);
    let norm = norm_fro(q.as_ref())?;
    pass(q, r, 11.0 * (m + n + 1.0) * n * T::UNIT_ROUNDOFF * norm * norm)
}

/// The exponent of the largest entry if squares of such entries should be kept off the ends of the range, else 0;
/// `None` if it is not finite.
pub(crate) fn far_exponent(largest: f64) -> Option<i32> {
    if !largest.is_finite() {
        return None;
    }
    let e = if largest == 0.0 { 0 } else { scalar::exponent(largest) };
    Some(if (-24..=24).contains(&e) { 0 } else { e })
}

/// One pass: Q ← Q·L⁻ᵀ, R ← Lᵀ·R for LLᵀ = QᵀQ + shift·I; returns cond(L), or the column at which the
/// matrix is not positive definite to working precision, with Q and R as they were.
pub(super) fn pass<T: Scalar, D: Backend<T>>(
    q: MatMut<'_, T, D>,
    r: &mut faer::Mat<f64>,
    shift: f64,
) -> Result<core::result::Result<f64, usize>> {
    let (device, n) = (q.device(), q.ncols());
    if n == 0 {
        return Ok(Ok(1.0));
    }
    let mut gram = gram_entries(q.as_ref())?;
    (0..n).for_each(|j| gram[j * n + j] += shift);
    let lower = match clear_cholesky::<T>(&gram, n, q.nrows()) {
        Ok(lower) => lower,
        Err(column) => return Ok(Err(column)),
    };
    // Q is divided by what T can hold, so R has to be multiplied by just that.
    let (lower, factor) = rounded(device, &lower, n)?;
    let device = device.clone();
    let solve = || device.trsm_right(Uplo::Lower, Op::Trans, factor.as_ref(), q);
    let host = || (times_upper(&lower, r), triangular_condition(&lower, n));
    let (solved, (product, condition)) = device.beside((n as u64).pow(3), solve, host);
    solved?;
    *r = product;
    Ok(Ok(condition))
}

/// The Cholesky factor of the Gram matrix of n columns of length m, or the first column whose pivot is not above
/// the rounding errors of the Gram matrix.
pub(crate) fn clear_cholesky<T: Scalar>(
    gram: &[f64],
    n: usize,
    m: usize,
) -> core::result::Result<Vec<f64>, usize> {
    let noise = (n as f64 + (m as f64).sqrt()) * T::UNIT_ROUNDOFF;
    let (lower, order) = leading_cholesky(gram, n);
    let pivot = |j: usize| lower[j * order + j] * lower[j * order + j];
    match (0..order).find(|&j| pivot(j) <= noise * gram[j * n + j]) {
        Some(column) => Err(column),
        None if order < n => Err(order),
        None => Ok(lower),
    }
}
