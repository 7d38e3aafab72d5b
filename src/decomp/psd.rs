//! What a positive semidefinite matrix is on a subspace, and what is left of its trace.
//!
//! For orthonormal X and Y = AX the Nyström approximation is Y(XᵀY)⁺Yᵀ. It is computed with a shift ν:
//! LLᵀ = XᵀY + νI, F = (Y + νX)L⁻ᵀ, F = Q·R, R = WΣVᵀ on the host, and then U = QW, Λ = Σ² − ν. The shift is above
//! the rounding errors of XᵀY, so the Cholesky factorization exists unless A is indefinite, and no inverse of
//! a small eigenvalue amplifies errors.
//!
//! Source: Tropp, Yurtsever, Udell and Cevher, "Fixed-rank approximation of a positive-semidefinite matrix from
//! streaming data", 2017, §3 and algorithm 3.

use super::basis::{Basis, scale_exactly};
use super::estimate::probe_products;
use super::explain_non_finite;
use super::host::{cholesky, small_eigen, small_svd};
use super::transfer::{column_dots, inner, upload, upload_columns};
use crate::operator::{column_squares, norm_fro};
use crate::{
    Backend, Error, LinearOperator, Mat, MatMut, MatRef, Op, Result, Scalar, Uplo, scalar,
};

/// How far below zero, in units of the shift, a Ritz value is still that of a semidefinite matrix.
const TOLERATED: f64 = 16.0;
/// Eigenvalues below this multiple of the shift are what rounding makes of zero.
const CLEARANCE: f64 = 8.0;

/// U·diag(λ)·Uᵀ at the scale of A·2^-exponent.
pub(super) struct Spectral<T: Scalar, D: Backend<T>> {
    /// Orthonormal columns.
    pub(super) u: Mat<T, D>,
    /// The eigenvalues above the noise, falling.
    pub(super) values: Vec<f64>,
    /// What rounding may have made of each eigenvalue.
    pub(super) noise: f64,
    /// The power of two that was taken out of A.
    pub(super) exponent: i32,
    /// Whether eigenvalues of the test matrix are missing, which are noise.
    pub(super) deficient: bool,
}

impl<T: Scalar, D: Backend<T>> Spectral<T, D> {
    fn empty(device: &D, n: usize) -> Result<Self> {
        let u = Mat::scratch(device, n, 0)?;
        Ok(Self { u, values: Vec::new(), noise: 0.0, exponent: 0, deficient: true })
    }

    /// The leading k eigenvalues of A itself.
    pub(super) fn leading(&self, k: usize) -> Vec<T> {
        let unscaled = |&x: &f64| T::from_f64(scalar::scale_by_power(x, self.exponent));
        self.values[..k].iter().map(unscaled).collect()
    }
}

/// The Nyström approximation of A from orthonormal X and Y = AX.
///
/// # Errors
/// [`Error::NotSymmetric`] and [`Error::NotPositiveSemidefinite`] when XᵀY shows it.
pub(super) fn nystrom_of<T: Scalar, D: Backend<T>>(
    op: &'static str,
    x: MatRef<'_, T, D>,
    y: MatRef<'_, T, D>,
) -> Result<Spectral<T, D>> {
    let (device, (n, l)) = (x.device(), x.shape());
    let largest = device.max_abs(y)?;
    if largest == 0.0 {
        return Spectral::empty(device, n);
    }
    let exponent = scalar::exponent(largest);
    let mut f = y.to_owned()?;
    scale_exactly(&mut f.as_mut(), -exponent)?;
    let rounding = T::UNIT_ROUNDOFF * (n as f64).sqrt() * norm_fro(f.as_ref())?;
    let unscaled = |x: f64| scalar::scale_by_power(x, exponent);
    let mut h = symmetric_core(op, x, f.as_ref(), TOLERATED * rounding, unscaled)?;
    let mut shift = rounding;
    let lower = match shifted_cholesky(&h, l, shift) {
        Ok(lower) => lower,
        Err(_) => {
            let core = faer::MatRef::from_column_major_slice(&h, l, l);
            let least = *small_eigen(op, core)?.0.last().expect("a matrix that is not empty");
            let limit = TOLERATED * rounding;
            if least < -limit {
                return Err(Error::NotPositiveSemidefinite {
                    op,
                    what: "a Rayleigh quotient",
                    value: unscaled(least),
                    limit: unscaled(limit),
                });
            }
            shift = 2.0 * limit;
            shifted_cholesky(&h, l, shift)
                .map_err(|_| Error::NoConvergence { op, iterations: 2 })?
        }
    };
    h.clear();
    device.axpby(T::from_f64(shift), x, T::one(), f.as_mut())?;
    let lower = upload(device, lower, (l, l))?;
    device.trsm_right(Uplo::Lower, Op::Trans, lower.as_ref(), f.as_mut())?;
    spectral(op, f, shift, exponent)
}

/// A = F·Fᵀ − `shift`·I on the range of F, as eigenvalues and eigenvectors; F is overwritten.
pub(super) fn spectral<T: Scalar, D: Backend<T>>(
    op: &'static str,
    mut f: Mat<T, D>,
    shift: f64,
    exponent: i32,
) -> Result<Spectral<T, D>> {
    let (device, (n, l)) = (f.device().clone(), f.shape());
    let mut q = Basis::new(&device, n, l.min(n))?;
    let kept = f.try_clone()?;
    q.extend(op, f.as_mut(), 0.0)?;
    let small = small_svd(op, inner(q.as_ref(), kept.as_ref())?.as_ref())?;
    let values: Vec<f64> = small.s.iter().map(|s| s * s - shift).collect();
    let first = values.first().copied().unwrap_or(0.0);
    let noise = shift.max(T::UNIT_ROUNDOFF * (l as f64).sqrt() * first);
    let k = values.iter().take_while(|&&value| value > CLEARANCE * noise).count();
    let mut u = Mat::scratch(&device, n, k)?;
    let w = upload_columns::<T, D>(&device, small.u.as_ref(), k)?;
    device.gemm(T::one(), q.as_ref(), w.as_ref(), T::zero(), u.as_mut())?;
    Ok(Spectral { u, values: values[..k].to_vec(), noise, exponent, deficient: k < l })
}

/// (XᵀY + YᵀX)/2 on the host, column by column; an error when it is far from both.
pub(super) fn symmetric_core<T: Scalar, D: Backend<T>>(
    op: &'static str,
    x: MatRef<'_, T, D>,
    y: MatRef<'_, T, D>,
    limit: f64,
    unscaled: impl Fn(f64) -> f64,
) -> Result<Vec<f64>> {
    let (core, l) = (inner(x, y)?, x.ncols());
    let entry = |k: usize| core[(k % l, k / l)];
    let turned = |k: usize| core[(k / l, k % l)];
    let difference = (0..l * l).map(|k| (entry(k) - turned(k)).powi(2)).sum::<f64>().sqrt();
    if difference > limit {
        let (difference, limit) = (unscaled(difference), unscaled(limit));
        return Err(Error::NotSymmetric { op, difference, limit });
    }
    Ok((0..l * l).map(|k| 0.5 * (entry(k) + turned(k))).collect())
}

/// The lower L with LLᵀ = H + shift·I.
fn shifted_cholesky(h: &[f64], l: usize, shift: f64) -> core::result::Result<Vec<f64>, usize> {
    let mut shifted = h.to_vec();
    shifted.iter_mut().step_by(l + 1).for_each(|diagonal| *diagonal += shift);
    let mut lower = cholesky(&shifted, l, l)?;
    // What the factorization leaves above the diagonal is no part of L.
    (0..l).for_each(|j| lower[j * l..j * l + j].fill(0.0));
    Ok(lower)
}

/// The diagonal of a positive semidefinite matrix, as far as it is known.
pub(super) fn checked_diagonal<T: Scalar>(op: &'static str, diagonal: Vec<T>) -> Result<Vec<f64>> {
    let diagonal: Vec<f64> = diagonal.into_iter().map(T::to_f64).collect();
    if let Some(i) = diagonal.iter().position(|d| !d.is_finite()) {
        return Err(Error::NonFinite { op, row: i, col: i });
    }
    let least = diagonal.iter().copied().fold(0.0, f64::min);
    // What rounding leaves of a diagonal of zeros, as after centring.
    let limit = 16.0 * T::UNIT_ROUNDOFF * diagonal.iter().copied().fold(0.0, f64::max);
    if least < -limit {
        let what = "an entry of the diagonal";
        return Err(Error::NotPositiveSemidefinite { op, what, value: least, limit });
    }
    Ok(diagonal.into_iter().map(|d| d.max(0.0)).collect())
}

/// Gaussian probes of the trace of A and of what is left of it.
pub(super) struct TraceProbes<T: Scalar, D: Backend<T>> {
    omega: Mat<T, D>,
    /// The mean of ωᵀAω, unbiased for tr(A).
    pub(super) trace: f64,
    /// What rounding may have made of `trace`.
    pub(super) noise: f64,
}

impl<T: Scalar, D: Backend<T>> TraceProbes<T, D> {
    /// Multiplies `count` Gaussian vectors by A: one thin pass.
    pub(super) fn draw(
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        seed: u64,
        count: usize,
    ) -> Result<Self> {
        let n = a.shape().1;
        let (omega, mut products) = probe_products(a, seed, count)?;
        explain_non_finite(op, a, products.as_ref())?;
        let exponent = normalise(&mut products.as_mut())?;
        let sum: f64 = column_dots(omega.as_ref(), products.as_ref())?.into_iter().sum();
        let trace = scalar::scale_by_power(sum / count as f64, exponent);
        // |ω|·|Aω| a form, of which rounding takes its share.
        let size = norm_fro(products.as_ref())? / (count as f64).sqrt();
        let noise = 8.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt() * size;
        Ok(Self { omega, trace, noise: scalar::scale_by_power(noise, exponent) })
    }

    /// The number of probe vectors.
    pub(super) fn count(&self) -> usize {
        self.omega.ncols()
    }

    /// The means of (uᵢᵀω)² for the columns of U.
    pub(super) fn shares(&self, u: MatRef<'_, T, D>) -> Result<Vec<f64>> {
        let (device, k) = (u.device(), u.ncols());
        let mut products = Mat::scratch(device, self.count(), k)?;
        device.gemm(T::one(), self.omega.transpose(), u, T::zero(), products.as_mut())?;
        let sums = column_squares(products.as_ref(), 0)?;
        Ok(sums.into_iter().map(|sum| sum / self.count() as f64).collect())
    }
}

/// Scales so that the largest entry is in [1, 2), by 2^-e, which is returned.
pub(crate) fn normalise<T: Scalar, D: Backend<T>>(y: &mut MatMut<'_, T, D>) -> Result<i32> {
    let largest = y.device().max_abs(y.as_ref())?;
    if largest == 0.0 || !largest.is_finite() {
        return Ok(0);
    }
    let exponent = scalar::exponent(largest);
    scale_exactly(y, -exponent)?;
    Ok(exponent)
}
