//! How far a factorization is from A, and what kind of statement that is.

use super::draw::{Law, random_columns};
use crate::random::Stream;
use crate::{Backend, LinearOperator, Mat, MatRef, Result, Scalar, operator};
use core::fmt;

/// What kind of statement an error is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ErrorKind {
    /// ‖A‖² − ‖B‖² = ‖A − QB‖² (Pythagoras), or tr(A) − tr(Â) for Â ⪯ A: exact but for rounding. Where the latter is below
    /// what rounding adds to A − Â, that is told instead: u√n‖A‖_F for each eigenpair of [`nystrom`](super::nystrom()), u√n of the trace for
    /// [`rp_cholesky`](super::rp_cholesky()).
    Identity,
    /// The norm of the difference itself, computed: exact but for rounding.
    Residual,
    /// The mean of ‖(A − QB)ω‖², or of ‖ωᵀ(A − QB)‖², over `probes` independent Gaussian ω: unbiased for the square, with
    /// a relative standard deviation of at most √(2/probes). For an error in the trace the mean of
    /// ωᵀ(A − Â)ω: unbiased for it, with the same deviation.
    Estimate {
        /// The number of probe vectors.
        probes: usize,
    },
    /// √E‖C − AB‖² over the choice of the seed, from the law of an approximate product and the norm of C: unbiased for the
    /// square. The error at hand scatters around it.
    Expectation,
    /// The norm of the difference in so many random rows, scaled up: unbiased for the square.
    Sample {
        /// The number of rows.
        rows: usize,
    },
    /// The true error is below the value, except with the probability given, over the choice of the
    /// seed; 0 where no seed decides.
    Bound {
        /// The probability that the bound fails.
        failure_probability: f64,
    },
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("exact identity"),
            Self::Residual => f.write_str("norm of the residual"),
            Self::Estimate { probes } => write!(f, "unbiased estimate from {probes} probes"),
            Self::Expectation => f.write_str("expectation by the law of the method"),
            Self::Sample { rows } => write!(f, "unbiased estimate from {rows} rows"),
            Self::Bound { failure_probability: 0.0 } => f.write_str("bound"),
            Self::Bound { failure_probability } => {
                write!(f, "bound that fails with probability {failure_probability:e}")
            }
        }
    }
}

/// The distance of a factorization from A, in the Frobenius norm where the result does not name another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorEstimate {
    /// ‖A − QB‖.
    pub absolute: f64,
    /// ‖A − QB‖ / ‖A‖; 0 for A = 0.
    pub relative: f64,
    /// What the two numbers are.
    pub kind: ErrorKind,
}

/// Below this relative error the subtraction in the identity has lost its digits: √(64u), which is
/// 2e-3 in f32 and 8.4e-8 in f64.
pub(super) fn identity_floor<T: Scalar>() -> f64 {
    (64.0 * T::UNIT_ROUNDOFF).sqrt()
}

/// Gaussian probes of what a basis leaves of A: R = (I − QQᵀ)·A·Ω.
///
/// For B = QᵀA the error A − QB is (I − QQᵀ)A, so A is multiplied once and each new column of the
/// basis only projects R.
pub(super) struct Probes<T: Scalar, D: Backend<T>> {
    pub(super) omega: Mat<T, D>,
    /// AΩ.
    pub(super) products: Mat<T, D>,
    residual: Mat<T, D>,
    /// ‖AΩ‖_F/√probes, whose square is unbiased for ‖A‖²_F.
    pub(super) norm: f64,
}

impl<T: Scalar, D: Backend<T>> Probes<T, D> {
    /// Multiplies `count` Gaussian vectors by A: one thin pass.
    pub(super) fn draw(
        a: &(impl LinearOperator<T, D> + ?Sized),
        seed: u64,
        count: usize,
    ) -> Result<Self> {
        let (omega, products) = probe_products(a, seed, count)?;
        let norm = operator::norm_fro(products.as_ref())? / (count as f64).sqrt();
        Ok(Self { residual: products.try_clone()?, omega, products, norm })
    }

    /// `R ← R − Q (Qᵀ R)` for new orthonormal columns Q.
    pub(super) fn project(&mut self, q: MatRef<'_, T, D>) -> Result<()> {
        let device = q.device();
        let mut coefficients = Mat::scratch(device, self.residual.ncols(), q.ncols())?;
        let transposed = self.residual.transpose();
        device.gemm(T::one(), transposed, q, T::zero(), coefficients.as_mut())?;
        let residual = self.residual.as_mut();
        device.gemm(-T::one(), q, coefficients.transpose(), T::one(), residual)
    }

    /// ‖R‖_F/√probes, whose square is unbiased for ‖A − QB‖²_F.
    pub(super) fn estimate(&self) -> Result<f64> {
        let probes = self.residual.ncols() as f64;
        Ok(operator::norm_fro(self.residual.as_ref())? / probes.sqrt())
    }

    /// What ‖A − QB‖_F exceeds with probability at most p.
    pub(super) fn bound(&self, p: f64) -> Result<f64> {
        Ok(self.estimate()? * bound_factor(self.residual.ncols(), p))
    }

    /// The number of probe vectors.
    pub(super) fn count(&self) -> usize {
        self.residual.ncols()
    }
}

/// `count` Gaussian vectors Ω and AΩ: one thin pass.
pub(crate) fn probe_products<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    seed: u64,
    count: usize,
) -> Result<(Mat<T, D>, Mat<T, D>)> {
    let ((m, n), device) = (a.shape(), a.device());
    let omega = random_columns(device, Law::Gaussian, (seed, Stream::Probe), n, 0..count)?;
    let mut products = Mat::scratch(device, m, count)?;
    a.apply(omega.as_ref(), products.as_mut())?;
    Ok((omega, products))
}

/// The c with P(‖E‖_F > c·‖EΩ‖_F/√r) ≤ p for every E and r Gaussian probes.
///
/// With λ the normalised squared singular values, ‖EΩ‖²_F/‖E‖²_F = Σ λᵢ χ²_r and by Chernoff
/// P(≤ δr) ≤ e^{tδr} Π(1 + 2tλᵢ)^{−r/2} ≤ e^{tδr} (1 + 2t)^{−r/2}, smallest at (δe^{1−δ})^{r/2}.
/// So c = δ^{−1/2} with δe^{1−δ} = p^{2/r}: no assumption on the spectrum of E.
pub(crate) fn bound_factor(probes: usize, p: f64) -> f64 {
    let target = p.ln() * 2.0 / probes as f64;
    let (mut low, mut high) = (-800.0, 0.0f64);
    for _ in 0..200 {
        let middle: f64 = 0.5 * (low + high);
        if middle + 1.0 - middle.exp() < target { low = middle } else { high = middle }
    }
    (-0.5 * low).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_factor_solves_its_equation() {
        for (probes, p) in [(10, 1e-6), (20, 1e-6), (30, 1e-3), (1, 0.5)] {
            let delta = bound_factor(probes, p).powi(-2);
            let probability = (delta * (1.0 - delta).exp()).powf(probes as f64 / 2.0);
            assert!((probability / p - 1.0).abs() < 1e-6, "{probes} {p}: {probability}");
        }
        assert!(bound_factor(20, 1e-6) < 3.2);
    }
}
