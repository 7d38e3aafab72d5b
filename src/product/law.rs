//! E‖C − AB‖² of samples and of sketches, from quantities that are known once C is.
//!
//! # Sketches
//! For C = (ASᵀ)(SB) with independent symmetric entries, E‖C‖² is a sum over pairs of equal entries of S in
//! ‖Σ sₜᵢsₜⱼ aᵢbⱼᵀ‖². A row s with E sᵢ²sⱼ² = g for i ≠ j and E sᵢ⁴ = μ gives
//!
//! E‖A s sᵀB‖² − F = g(P + 2F − 3Σw²) + μΣw² − F,
//!
//! divided by d for d independent rows. So every law is p·P + f·F + w·Σw²:
//!
//! | family | p | f | w |
//! |---|---|---|---|
//! | Gaussian | 1/d | 1/d | 0 |
//! | Rademacher, SparseSign, CountSketch | 1/d | 1/d | −2/d |
//! | SparseStack | 1/d | 1/d | −2/d, with Σ1/(ζ²dₜ) for 1/d: the mean of ζ CountSketches of dₜ rows |
//! | Uniform | 1/d | 1/d | −1.2/d, since μ = 9/5 |
//! | LASO | g/d | (2g − 1)/d | (m/ζ − 2g)/d, g = 1 − 1/ζ |
//! | row sampling | 0 | −r/d | mr/d, r = (m − d)/(m − 1) |
//! | SRHT | r/d | r/d | −2r/d, r = (N − d)/(N − 1) for the padded length N |
//! | SRCT | r/d | r/d | −1.5r/d: rows of a cosine transform have E mcᵢ⁴ = 3/2; up to terms of O(1/m) |
//! | Hadamard-diagonal | r/d | r/d | −2r/d of the Σw² that two rounds leave, each (P + 2F − 2Σw²)/N of the one before |
//! | Haar | (m/d)²y | (m/d)²(x + y) − 1 | 0 |
//!
//! Without replacement r is the correction for a finite population. For Haar, E ΠᵢⱼΠₖₗ = xδᵢⱼδₖₗ + y(δᵢₖδⱼₗ + δᵢₗδⱼₖ) for a random projection
//! Π of rank d, and Π² = Π and tr Π = d give x and y.
//!
//! # From E‖C‖²
//! C is unbiased, so E‖C‖² = F + E². Put into the law, E² = (pP + f‖C‖² + wΣw²)/(1 + f) in the mean.

use super::sampling::Draws;
use super::weights::Weights;
use crate::{Family, Sketch};

/// What is known of the error of a sample. Weights are at the scale of [`Weights::terms`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Law {
    /// E‖C − AB‖² itself.
    Known(f64),
    /// missed·(square − F)/count in the mean, for `count` draws and the F of the terms that are not certain.
    Draws { count: usize, square: f64, missed: f64 },
}

impl Draws {
    /// ‖C − AB‖ in the mean, from the norm of the random part of C. One draw has no spread: F counts as 0 then.
    pub(super) fn error(&self, weights: &Weights, norm: f64) -> f64 {
        let square = match self.law {
            Law::Known(square) => square,
            Law::Draws { count: 1, square, missed } => missed * square,
            Law::Draws { count, square, missed } => {
                let spread = not_negative(square - weights.at_scale(norm).powi(2));
                missed * spread / (count - 1) as f64
            }
        };
        weights.absolute(square.sqrt())
    }
}

/// E‖C − AB‖² = p·P + f·F + w·Σw² of a sketched product.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecondMoment {
    p: f64,
    f: f64,
    w: f64,
}

impl SecondMoment {
    /// The law of a whole isotropic operator, where there is one.
    pub(super) fn of(s: &Sketch) -> Option<Self> {
        let (d, m) = s.full_shape();
        let order = s.transform_len();
        let (rows, columns, nnz) = (d as f64, m as f64, s.nnz() as f64);
        let isotropic = match s.family() {
            Family::Gaussian | Family::Rademacher | Family::Uniform => 1.0 / rows,
            Family::SparseSign | Family::SparseStack | Family::CountSketch => 1.0 / nnz,
            Family::Laso => columns / (nnz * rows),
            Family::RowSampling | Family::Srct | Family::Haar => columns / rows,
            Family::Srht | Family::HadamardDiagonal => order as f64 / rows,
            Family::BlockPermSjlt => return None,
        };
        let other_scale = (s.scale().powi(2) / isotropic - 1.0).abs() > 1e-12;
        if d == 0 || m == 0 || s.shape() != (d, m) || other_scale {
            return None;
        }
        // 1/d with the correction for a population of n rows.
        let without_replacement = |n: usize| match n == d {
            true => 0.0,
            false => (n - d) as f64 / (n - 1) as f64 / rows,
        };
        let mixed = |r: f64, w: f64| Self { p: r, f: r, w: w * r };
        Some(match s.family() {
            Family::Gaussian => mixed(1.0 / rows, 0.0),
            Family::Uniform => mixed(1.0 / rows, -1.2),
            Family::SparseStack => {
                let zeta = s.nnz();
                let inverse = |t: usize| 1.0 / ((t + 1) * d / zeta - t * d / zeta) as f64;
                mixed((0..zeta).map(inverse).sum::<f64>() / (nnz * nnz), -2.0)
            }
            Family::Laso => {
                let g = 1.0 - 1.0 / nnz;
                let w = (columns / nnz - 2.0 * g) / rows;
                Self { p: g / rows, f: (2.0 * g - 1.0) / rows, w }
            }
            Family::RowSampling => {
                let r = without_replacement(m);
                Self { p: 0.0, f: -r, w: columns * r }
            }
            Family::Srht => mixed(without_replacement(order), -2.0),
            Family::Srct => mixed(without_replacement(m), -1.5),
            Family::HadamardDiagonal => {
                let (r, n) = (without_replacement(order), order as f64);
                let round = |x: Self| Self {
                    p: (1.0 - 2.0 * x.p) / n,
                    f: (2.0 - 2.0 * x.f) / n,
                    w: -2.0 * x.w / n,
                };
                let left = round(round(Self { p: 0.0, f: 0.0, w: 1.0 }));
                Self {
                    p: r * (1.0 - 2.0 * left.p),
                    f: r * (1.0 - 2.0 * left.f),
                    w: -2.0 * r * left.w,
                }
            }
            Family::Haar if d == m => mixed(0.0, 0.0),
            Family::Haar => {
                let y = rows * (columns - rows) / (columns * (columns - 1.0) * (columns + 2.0));
                let x = (rows * rows / columns - 2.0 * y) / columns;
                let up = (columns / rows).powi(2);
                Self { p: up * y, f: up * (x + y) - 1.0, w: 0.0 }
            }
            _ => mixed(1.0 / rows, -2.0),
        })
    }

    /// ‖C − AB‖ in the mean, from ‖C‖.
    pub(super) fn error(&self, weights: &Weights, norm: f64) -> f64 {
        let square = self.square(weights, norm) / (1.0 + self.f);
        weights.product_of_norms() * not_negative(square).sqrt()
    }

    /// The same, from ‖AB‖: before there is a C.
    pub(super) fn error_before(&self, weights: &Weights, norm: f64) -> f64 {
        weights.product_of_norms() * not_negative(self.square(weights, norm)).sqrt()
    }

    /// pP + f·norm² + wΣw², divided by P.
    fn square(&self, weights: &Weights, norm: f64) -> f64 {
        let share = weights.share(weights.at_scale(norm));
        self.p + self.f * share.powi(2) + self.w * weights.squares()
    }
}

/// Rounding errors and bad luck can lead below zero; NaN stays.
fn not_negative(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}
