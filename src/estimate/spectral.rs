//! The spectral norm by Krylov vectors of AᵀA from one random start.
//!
//! V spans b, (AᵀA)b, …, (AᵀA)^{k−1}b, orthonormalised in full, and ‖AV‖₂ ≤ ‖A‖₂ is the estimate: what Lanczos with
//! reorthogonalisation gives. For b uniform on the sphere and n columns,
//! P(‖A‖²₂ − ‖AV‖²₂ > ε‖A‖²₂) ≤ 1.648·√n·e^{−√ε(2k−1)}, for every A: the upper bound is ‖AV‖₂/√(1 − ε).
//!
//! Source: Kuczyński and Woźniakowski, "Estimating the largest eigenvalue by the power and Lanczos algorithms with a random
//! start", 1992, theorem 4.2.

use super::NormEstimate;
use super::probes::{times, times_adjoint, vectors};
use crate::decomp::{Law, inner, normalise, project, scale_exactly, small_eigen};
use crate::error::check_share;
use crate::operator::norm_fro;
use crate::{Backend, Error, LinearOperator, Mat, Result, Scalar, scalar};

/// What [`norm_spectral`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralParams {
    accuracy: f64,
    failure_probability: f64,
    seed: u64,
}

impl Default for SpectralParams {
    fn default() -> Self {
        Self { accuracy: 0.1, failure_probability: 1e-6, seed: 0 }
    }
}

impl SpectralParams {
    /// By how much of the estimate the upper bound is above it; decides on the number of products. Default 0.1: 22 with A for a thousand
    /// columns. The estimate itself is usually right to far more digits.
    pub fn accuracy(self, accuracy: f64) -> Self {
        Self { accuracy, ..self }
    }

    /// The probability that the upper bound fails. Default 10⁻⁶.
    pub fn failure_probability(self, failure_probability: f64) -> Self {
        Self { failure_probability, ..self }
    }

    /// The seed of the start vector. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// ‖A‖₂ from below, with a bound from above that fails with the probability given.
///
/// `lower` holds always, but for rounding of about √n·u, which both bounds allow for.
///
/// # Errors
/// [`Error::InvalidArgument`] for an accuracy that is not above 0, or a probability outside (0, 1); [`Error::NonFinite`] with
/// the position; [`Error::Overflow`]; [`Error::OutOfMemory`].
///
/// # Cost
/// k products with A and k − 1 with Aᵀ, one after the other, k ≈ ln(1.65√n/p)/(2√ε) + 1 with ε ≈ 2·accuracy; memory for
/// (m + n)k entries.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{SpectralParams, norm_spectral}};
/// let a = Mat::from_fn(&Cpu::new(), 60, 40, |i, j| if i == j { 1.0 / (1 + i) as f64 } else { 0.0 })?;
/// let norm = norm_spectral(&a, SpectralParams::default())?;
/// assert!((norm.value - 1.0).abs() < 1e-6 && norm.lower <= 1.0 && 1.0 <= norm.upper && norm.upper < 1.11);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn norm_spectral<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: SpectralParams,
) -> Result<NormEstimate> {
    let op = "norm_spectral";
    let SpectralParams { accuracy, failure_probability, seed } = params;
    if !(accuracy > 0.0 && accuracy.is_finite()) {
        return Err(Error::invalid(op, "accuracy", accuracy, "above 0, finite"));
    }
    check_share(op, "failure_probability", failure_probability)?;
    let ((m, n), device) = (a.shape(), a.device());
    if m == 0 || n == 0 {
        return Ok(NormEstimate::exact(0.0, 0));
    }
    let epsilon = 1.0 - (1.0 + accuracy).powi(-2);
    let log = (1.648 * (n as f64).sqrt() / failure_probability).ln();
    let steps = (0.5 * (log / epsilon.sqrt() + 1.0)).ceil().max(1.0);
    let steps = if steps >= n as f64 { n } else { steps as usize };

    let mut v = Mat::scratch(device, n, steps)?;
    let mut images = Mat::scratch(device, m, steps)?;
    let mut next = vectors(device, Law::Gaussian, seed, n, 0..1)?;
    let (mut k, mut products, mut exponent) = (0, 0, 0);
    while k < steps {
        // Twice is enough, but of rounding errors; scaled to 1 in between, since what is left may be small. What is
        // nothing but rounding errors is a direction like any other: a part of the start that is as small may hold
        // the largest.
        let mut left = 0.0;
        let (mut passes, mut clear) = (0, false);
        while passes < 2 || !clear && passes < MOST_PASSES {
            project(v.columns(0..k), next.as_mut())?;
            left = norm_fro(next.as_ref())?;
            let factor = T::from_f64(1.0 / left);
            if !factor.is_finite() {
                left = 0.0;
                break;
            }
            device.scale(factor, next.as_mut())?;
            passes += 1;
            clear = left > 0.5;
        }
        if left == 0.0 || !clear {
            break;
        }
        device.axpby(T::one(), next.as_ref(), T::zero(), v.as_mut().columns(k..k + 1))?;
        let mut image = times(op, a, &next)?;
        products += 1;
        if k == 0 {
            exponent = normalise(&mut image.as_mut())?;
        } else {
            scale_exactly(&mut image.as_mut(), -exponent)?;
        }
        let target = images.as_mut().columns(k..k + 1);
        device.axpby(T::one(), image.as_ref(), T::zero(), target)?;
        k += 1;
        if k < steps {
            next = times_adjoint(op, a, &image)?;
            scale_exactly(&mut next.as_mut(), -exponent)?;
            products += 1;
        }
    }
    let images = images.truncate_columns(k);
    let gram = inner(images.as_ref(), images.as_ref())?;
    let (values, _) = small_eigen(op, gram.as_ref())?;
    let value = values.first().map_or(0.0, |x| x.max(0.0).sqrt());
    let rounding = 4.0 * T::UNIT_ROUNDOFF * ((m + n) as f64).sqrt() * value;
    let unscaled = |x: f64| scalar::scale_by_power(x, exponent);
    // A Krylov space that ends before is invariant to rounding: more steps would find as much. One of n steps is
    // the whole space.
    let upper = if steps == n { value } else { value / (1.0 - bound(log, steps)).sqrt() };
    Ok(NormEstimate {
        value: unscaled(value),
        lower: unscaled(value - rounding),
        upper: unscaled(upper + rounding),
        failure_probability,
        products,
    })
}

/// Projections of a direction until it is orthogonal to those before.
const MOST_PASSES: usize = 5;

/// The ε that k steps miss with the probability in the logarithm.
fn bound(log: f64, k: usize) -> f64 {
    (log / (2 * k - 1) as f64).powi(2)
}
