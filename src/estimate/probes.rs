//! Random vectors, what A makes of them, and the Frobenius norm.

use super::NormEstimate;
use crate::decomp::{Law, bound_factor, explain_non_finite, finite_norm, random_columns};
use crate::error::{check_least, check_share};
use crate::operator::norm_fro as norm_of_block;
use crate::random::Stream;
use crate::{Backend, LinearOperator, Mat, Result, Scalar};

/// The random vectors `range` of length n of an estimate, as columns.
pub(super) fn vectors<T: Scalar, D: Backend<T>>(
    device: &D,
    law: Law,
    seed: u64,
    n: usize,
    range: core::ops::Range<usize>,
) -> Result<Mat<T, D>> {
    random_columns(device, law, (seed, Stream::Estimator), n, range)
}

/// AX, which must be finite.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    x: &Mat<T, D>,
) -> Result<Mat<T, D>> {
    let mut y = Mat::scratch(a.device(), a.shape().0, x.ncols())?;
    a.apply(x.as_ref(), y.as_mut())?;
    explain_non_finite(op, a, y.as_ref())?;
    Ok(y)
}

/// AᵀX, which must be finite.
pub(super) fn times_adjoint<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    x: &Mat<T, D>,
) -> Result<Mat<T, D>> {
    let mut y = Mat::scratch(a.device(), a.shape().1, x.ncols())?;
    a.apply_adjoint(x.as_ref(), y.as_mut())?;
    explain_non_finite(op, a, y.as_ref())?;
    Ok(y)
}

/// What [`norm_fro`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrobeniusParams {
    probes: usize,
    failure_probability: f64,
    seed: u64,
}

impl Default for FrobeniusParams {
    fn default() -> Self {
        Self { probes: 20, failure_probability: 1e-6, seed: 0 }
    }
}

impl FrobeniusParams {
    /// Gaussian vectors that are multiplied by A. Default 20: a relative standard deviation of at most 16 %.
    pub fn probes(self, probes: usize) -> Self {
        Self { probes, ..self }
    }

    /// The probability that one of the bounds fails. Default 10⁻⁶.
    pub fn failure_probability(self, failure_probability: f64) -> Self {
        Self { failure_probability, ..self }
    }

    /// The seed of the vectors. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// ‖A‖_F: exact where [`LinearOperator::norm_fro`] knows it, else √(Σ‖Aωⱼ‖²/r) from r Gaussian vectors.
///
/// The square is unbiased, with a relative variance of 2Σσᵢ⁴/(r(Σσᵢ²)²) ≤ 2/r. The bounds are Chernoff's, which assume
/// nothing of the spectrum: P(estimate² ≤ δ‖A‖²) ≤ (δe^{1−δ})^{r/2} for δ < 1, and the same for ≥ and δ > 1.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for no probes, or a probability outside (0, 1); [`Error::NonFinite`](crate::Error::NonFinite) with the position;
/// [`Error::Overflow`](crate::Error::Overflow); [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// One pass over A with r columns.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{FrobeniusParams, norm_fro}};
/// let a = Mat::from_fn(&Cpu::new(), 60, 40, |i, j| ((i * j) as f64).cos())?;
/// let norm = norm_fro(&a, FrobeniusParams::default())?;
/// assert_eq!((norm.lower, norm.upper, norm.products), (norm.value, norm.value, 0)); // a matrix knows its norm
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn norm_fro<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: FrobeniusParams,
) -> Result<NormEstimate> {
    let op = "norm_fro";
    let FrobeniusParams { probes, failure_probability, seed } = params;
    check_least(op, "probes", probes, 1)?;
    check_share(op, "failure_probability", failure_probability)?;
    if let Some(norm) = finite_norm(op, a)? {
        return Ok(NormEstimate::exact(norm, 0));
    }
    let omega = vectors(a.device(), Law::Gaussian, seed, a.shape().1, 0..probes)?;
    let products = times(op, a, &omega)?;
    let value = norm_of_block(products.as_ref())? / (probes as f64).sqrt();
    let half = 0.5 * failure_probability;
    let upper = value * bound_factor(probes, half);
    let lower = value * excess_factor(probes, half);
    Ok(NormEstimate { value, lower, upper, failure_probability, products: probes })
}

/// The c with P(‖A‖_F < c·estimate) ≤ p: c = δ^{−1/2} for the δ > 1 with δe^{1−δ} = p^{2/r}.
fn excess_factor(probes: usize, p: f64) -> f64 {
    let target = p.ln() * 2.0 / probes as f64;
    let (mut low, mut high) = (1.0f64, 1.0 + 2.0 * (1.0 - target));
    while high.ln() + 1.0 - high > target {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle.ln() + 1.0 - middle > target { low = middle } else { high = middle }
    }
    high.powf(-0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_solve_their_equations() {
        for (probes, p) in [(1, 0.5), (10, 1e-6), (20, 5e-7), (100, 1e-3)] {
            let delta = excess_factor(probes, p).powi(-2);
            let probability = (delta * (1.0 - delta).exp()).powf(probes as f64 / 2.0);
            assert!(delta > 1.0 && (probability / p - 1.0).abs() < 1e-6, "{probes} {p}");
        }
    }
}
