//! Estimates of what a matrix is, from its products with a few vectors.
//!
//! | function | of | products with A (and Aᵀ) | what comes with it |
//! |---|---|---|---|
//! | [`trace`](trace()) | tr(A), A square | as asked for | a standard error |
//! | [`diagonal`](diagonal()) | the diagonal of a square A | as asked for, half of them with Aᵀ | a standard error an entry |
//! | [`norm_fro`] | ‖A‖_F | 20, none where it is known | bounds, each with its probability of failure |
//! | [`norm_spectral`] | ‖A‖₂ | 20 to 60 with A, as many with Aᵀ | a lower bound that holds, an upper one with its probability |
//! | [`norm_nuclear`] | ‖A‖_* | about 1300 with A by default, as many with Aᵀ, in blocks of 40 | a standard error |
//! | [`numerical_rank`] | how many singular values are above τσ₁ | somewhat more than the rank | estimates of the singular values |
//! | [`subspace_angles`] | the angles between two ranges | – | exact but for rounding |
//!
//! A is anything that is a [`LinearOperator`](crate::LinearOperator). Nothing depends on its scale: multiplied by a power of
//! two, it gives the same bits, scaled. A zero or empty matrix gives zeros with an error of zero.
//!
//! # What a standard error is
//! The standard deviation of the estimate, estimated from the spread of the samples that it is a mean of. Few samples know
//! their spread badly, so two standard errors of ten samples are less than the 95 % of a normal law. The samples of
//! XTrace and XDiag share their vectors, so that their standard errors are too small where the spectrum decays slowly: for
//! 12 samples 0.71 to 1.0 of the true deviation, and 4 to 7 % of the estimates were off by more than three of them.

mod angles;
mod diagonal;
mod nuclear;
mod probes;
mod rank;
mod spectral;
mod trace;
mod xtrace;

pub use angles::{SubspaceAngles, subspace_angles};
pub use diagonal::{DiagonalEstimate, DiagonalMethod, DiagonalParams, diagonal};
pub use nuclear::{NuclearParams, norm_nuclear};
pub use probes::{FrobeniusParams, norm_fro};
pub use rank::{RankEstimate, RankParams, numerical_rank};
pub use spectral::{SpectralParams, norm_spectral};
pub use trace::{TraceMethod, TraceParams, trace};

/// A number that was estimated from random vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard deviation, estimated from the spread of its samples.
    pub standard_error: f64,
    /// How many vectors were multiplied by A or Aᵀ.
    pub products: usize,
}

/// A norm, and what it lies between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormEstimate {
    /// The estimate.
    pub value: f64,
    /// The norm is not below.
    pub lower: f64,
    /// The norm is not above.
    pub upper: f64,
    /// The probability, over the choice of the seed, that one of the two is wrong.
    pub failure_probability: f64,
    /// How many vectors were multiplied by A or Aᵀ.
    pub products: usize,
}

impl NormEstimate {
    /// A norm that is known.
    fn exact(value: f64, products: usize) -> Self {
        Self { value, lower: value, upper: value, failure_probability: 0.0, products }
    }
}

/// The mean of samples, and the standard deviation of that mean.
fn mean_and_error(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    // Relative to the largest, so that squares stay inside of the range.
    let largest = samples.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return (largest, largest);
    }
    let scale = crate::scalar::exponent(largest);
    let scaled = |x: f64| crate::scalar::scale_by_power(x, -scale);
    let mean = samples.iter().map(|&x| scaled(x)).sum::<f64>() / count;
    let squares: f64 = samples.iter().map(|&x| (scaled(x) - mean).powi(2)).sum();
    let error = (squares / (count * (count - 1.0).max(1.0))).sqrt();
    let unscaled = |x: f64| crate::scalar::scale_by_power(x, scale);
    (unscaled(mean), unscaled(error))
}
