//! A ≈ C U R with columns C and rows R of A.
//!
//! The columns are the pivots of A; the rows those of Cᵀ. U is the best one in the Frobenius norm, C⁺A R⁺, by
//! orthonormal bases: with C = Q_c·R_c and Rᵀ = Q_r·R_r it is R_c⁻¹·(Q_cᵀ A Q_r)·R_r⁻ᵀ. (The inverse of A\[I, J\], which
//! is cheaper, is as ill-conditioned as the least singular value that counts.) Q_cᵀA is the R of the pivoted QR, so
//! A is not multiplied again.
//!
//! Sources: Mahoney and Drineas, "CUR matrix decompositions for improved data analysis", 2009; Stewart, "Four
//! algorithms for the efficient computation of truncated pivoted QR approximations", 1999.

use super::bqrrp::{BqrrpParams, factor};
use super::estimate::{ErrorEstimate, ErrorKind};
use super::interpolative::unpermute;
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Device, Mat, MatRef, Op, Result, Scalar, Uplo};

/// A ≈ C U R.
#[derive(Debug)]
pub struct Cur<T: Scalar, D: Device = Cpu> {
    /// The columns of A in C.
    pub columns: Vec<usize>,
    /// The rows of A in R.
    pub rows: Vec<usize>,
    /// m×k, A\[:, columns\].
    pub c: Mat<T, D>,
    /// k×l, l ≤ k.
    pub u: Mat<T, D>,
    /// l×n, A\[rows, :\].
    pub r: Mat<T, D>,
    /// ‖A − C U R‖_F, computed.
    pub error: ErrorEstimate,
}

/// Columns of A that the error is computed of at once.
const PANEL: usize = 512;

/// A ≈ C U R: columns and rows of A itself, which keep what A's have (signs, sparsity, meaning).
///
/// [`BqrrpParams::rank`] says how many, [`BqrrpParams::tolerance`] how close the *columns* alone come; C U R is
/// within a small factor of that, as its error says.
///
/// # Accuracy
/// ‖A − C U R‖² ≤ ‖A − C C⁺A‖² + ‖A − A R⁺R‖², but for rounding of some u·κ, κ the condition of C and R: a rank at
/// which singular values have fallen to ε‖A‖ costs digits below ε.
///
/// # Errors
/// As [`bqrrp`](super::bqrrp()).
///
/// # Cost
/// [`bqrrp`](super::bqrrp()) to rank k, 2mnk flops for the error, O((m + n)k²).
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{BqrrpParams, cur}};
/// let a = Mat::from_fn(&Cpu::new(), 80, 60, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let cur = cur(a.as_ref(), BqrrpParams::rank(8))?;
/// assert_eq!((cur.c.shape(), cur.u.shape(), cur.r.shape()), ((80, 8), (8, 8), (8, 60)));
/// assert!(cur.error.relative < 1e-3);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cur<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<Cur<T, D>> {
    let op = "cur";
    let ((m, n), device) = (a.shape(), a.device());
    let mut by_columns = factor(op, a, &params)?;
    let k = by_columns.rank();
    let mut projected = Mat::scratch(device, k, n)?;
    unpermute(&by_columns.pivots, by_columns.r.as_ref(), projected.as_mut())?;
    by_columns.pivots.truncate(k);
    let columns = by_columns.pivots;
    let mut c = Mat::scratch(device, m, k)?;
    device.gather_rows(&columns, a.transpose(), c.as_mut().transpose())?;
    let params = params.all_columns();
    let mut by_rows = factor(op, c.transpose(), &params)?;
    by_rows.pivots.truncate(by_rows.r.nrows());
    let gathered = |rows: &[usize]| {
        let mut r = Mat::scratch(device, n, rows.len())?;
        device.gather_rows(rows, a, r.as_mut().transpose())?;
        Ok::<_, crate::Error>(r)
    };
    // Rows may depend on each other to working precision: those that do are left out.
    let basis = factor(op, gathered(&by_rows.pivots)?.as_ref(), &params)?;
    let l = basis.rank();
    let rows: Vec<usize> = basis.pivots[..l].iter().map(|&i| by_rows.pivots[i]).collect();
    let q = basis.reflectors.to_mat()?;
    let mut u = Mat::scratch(device, k, l)?;
    device.gemm(T::one(), projected.as_ref(), q.as_ref(), T::zero(), u.as_mut())?;
    device.trsm_right(Uplo::Upper, Op::Trans, basis.r.columns(0..l), u.as_mut())?;
    let triangle = by_columns.r.columns(0..k);
    device.trsm_right(Uplo::Upper, Op::Trans, triangle, u.as_mut().transpose())?;
    let r = gathered(&rows)?.into_transposed();
    let error = distance(a, c.as_ref(), u.as_ref(), r.as_ref())?;
    Ok(Cur { columns, rows, c, u, r, error })
}

/// ‖A − C U R‖_F, some columns at a time.
fn distance<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    c: MatRef<'_, T, D>,
    u: MatRef<'_, T, D>,
    r: MatRef<'_, T, D>,
) -> Result<ErrorEstimate> {
    let ((m, n), device) = (a.shape(), a.device());
    let mut absolute = 0.0f64;
    for start in (0..n).step_by(PANEL) {
        let columns = start..n.min(start + PANEL);
        let mut product = Mat::scratch(device, u.nrows(), columns.len())?;
        let part = r.columns(columns.clone());
        device.gemm(T::one(), u, part, T::zero(), product.as_mut())?;
        let mut left = Mat::scratch(device, m, columns.len())?;
        device.axpby(T::one(), a.columns(columns), T::zero(), left.as_mut())?;
        device.gemm(-T::one(), c, product.as_ref(), T::one(), left.as_mut())?;
        absolute = absolute.hypot(norm_fro(left.as_ref())?);
    }
    let norm = norm_fro(a)?;
    let relative = if norm == 0.0 { 0.0 } else { absolute / norm };
    Ok(ErrorEstimate { absolute, relative, kind: ErrorKind::Residual })
}
