//! Columns and rows of A that stand for all of it: subsets and interpolative decompositions.
//!
//! Both are readings of QR with column pivoting, A P = Q·\[R₁₁ R₁₂; 0 R₂₂\]: the pivots are the subset C = Q·R₁₁; what
//! it leaves is ‖A − C C⁺A‖_F = ‖R₂₂‖_F; and A ≈ C·\[I R₁₁⁻¹R₁₂\]·Pᵀ with the same error.
//!
//! Sources: Cheng, Gimbutas, Martinsson and Rokhlin, "On the compression of low rank matrices", 2005; the pivots of
//! `bqrrp`.

use super::bqrrp::{BqrrpParams, FactoredQr, factor};
use super::estimate::ErrorEstimate;
use crate::{Backend, Cpu, Device, Mat, MatMut, MatRef, Op, Result, Scalar, Uplo};

/// Columns or rows of A, and what they leave of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// The columns, or the rows, of A, in the order in which pivoting took them.
    pub indices: Vec<usize>,
    /// ‖A − C C⁺A‖_F for columns C, ‖A − A R⁺R‖_F for rows R.
    pub error: ErrorEstimate,
}

/// A ≈ A\[:, indices\]·X, or A ≈ X·A\[indices, :\].
#[derive(Debug)]
pub struct Interpolative<T: Scalar, D: Device = Cpu> {
    /// The columns, or the rows, of A.
    pub indices: Vec<usize>,
    /// X: k×n for columns, m×k for rows; the identity where it meets the indices.
    pub coefficients: Mat<T, D>,
    /// The largest |xᵢⱼ|: 1 is ideal. Pivoting allows 2^k in theory; some units are what is met.
    pub largest: f64,
    /// ‖A − A\[:, indices\]·X‖_F.
    pub error: ErrorEstimate,
}

/// Columns of A whose span comes close to A: a number of them, or as many as an error takes.
///
/// [`BqrrpParams::rank`] says how many, [`BqrrpParams::tolerance`] how close; without either they are as many
/// as the rank.
///
/// # Errors
/// As [`bqrrp`](super::bqrrp()).
///
/// # Cost
/// That of [`bqrrp`](super::bqrrp()) to rank k: 4mnk flops for small k.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{BqrrpParams, column_subset}};
/// let a = Mat::from_fn(&Cpu::new(), 80, 60, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let subset = column_subset(a.as_ref(), BqrrpParams::rank(8))?;
/// assert!(subset.indices.len() == 8 && subset.error.relative < 1e-3);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn column_subset<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<Subset> {
    subset("column_subset", a, &params)
}

/// Rows of A whose span comes close to A: [`column_subset`] of Aᵀ.
///
/// # Errors
/// As [`bqrrp`](super::bqrrp()).
pub fn row_subset<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<Subset> {
    turned_back(subset("row_subset", a.transpose(), &params))
}

fn subset<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: &BqrrpParams,
) -> Result<Subset> {
    let mut qr = factor(op, a, params)?;
    qr.pivots.truncate(qr.r.nrows());
    Ok(Subset { indices: qr.pivots, error: qr.error })
}

/// A position in Aᵀ is one in A.
pub(super) fn turned_back<R>(result: Result<R>) -> Result<R> {
    result.map_err(|error| match error {
        crate::Error::NonFinite { op, row, col } => {
            crate::Error::NonFinite { op, row: col, col: row }
        }
        error => error,
    })
}

/// A ≈ A\[:, J\]·X: all columns as combinations of k of them, with moderate coefficients.
///
/// # Accuracy
/// The error is ‖R₂₂‖_F of the pivoted QR, up to a few u·‖X‖ of rounding: within a factor √(1 + k(n − k)) of the best of rank k
/// for ideal pivots, and close to it in practice.
///
/// # Errors
/// As [`bqrrp`](super::bqrrp()).
///
/// # Cost
/// That of [`bqrrp`](super::bqrrp()) to rank k, and k²(n − k) flops.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{BqrrpParams, interpolative_decomposition}};
/// let a = Mat::from_fn(&Cpu::new(), 80, 60, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let id = interpolative_decomposition(a.as_ref(), BqrrpParams::tolerance(1e-6))?;
/// assert!(id.error.relative <= 1e-6 && id.largest < 10.0);
/// assert_eq!(id.coefficients.shape(), (id.indices.len(), 60));
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn interpolative_decomposition<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<Interpolative<T, D>> {
    interpolate("interpolative_decomposition", a, &params)
}

/// A ≈ X·A\[I, :\]: [`interpolative_decomposition`] of Aᵀ, turned back.
///
/// # Errors
/// As [`bqrrp`](super::bqrrp()).
pub fn row_interpolative_decomposition<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<Interpolative<T, D>> {
    let op = "row_interpolative_decomposition";
    let found = turned_back(interpolate(op, a.transpose(), &params))?;
    Ok(Interpolative { coefficients: found.coefficients.into_transposed(), ..found })
}

fn interpolate<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: &BqrrpParams,
) -> Result<Interpolative<T, D>> {
    let device = a.device();
    let FactoredQr { mut r, mut pivots, error, .. } = factor(op, a, params)?;
    let (k, n) = r.shape();
    let (mut own, others) = r.as_mut().split_at_col(k);
    device.trsm_right(Uplo::Upper, Op::Trans, own.as_ref(), others.transpose())?;
    let identity = Mat::identity(device, k)?;
    device.axpby(T::one(), identity.as_ref(), T::zero(), own.as_mut())?;
    let largest = device.max_abs(r.as_ref())?;
    let mut coefficients = Mat::scratch(device, k, n)?;
    unpermute(&pivots, r.as_ref(), coefficients.as_mut())?;
    pivots.truncate(k);
    Ok(Interpolative { indices: pivots, coefficients, largest, error })
}

/// X ← R Pᵀ: columns in their own order again.
pub(super) fn unpermute<T: Scalar, D: Backend<T>>(
    pivots: &[usize],
    r: MatRef<'_, T, D>,
    x: MatMut<'_, T, D>,
) -> Result<()> {
    r.device().scatter_rows(pivots, r.transpose(), x.transpose())
}
