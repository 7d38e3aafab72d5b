//! The weights wᵢ = ‖aᵢ‖‖bᵢ‖ of the terms of A·B, and what else laws of errors are made of.

use crate::{Backend, MatRef, Result, Scalar, scalar};

/// Norms of columns of A and rows of B, at a scale at which none is lost.
pub(super) struct Weights {
    /// wᵢ, divided by a power of two such that the largest lies in [1, 2).
    pub(super) terms: Vec<f64>,
    /// The exponent of that power.
    exponent: i32,
    /// ‖A‖‖B‖ at the scale of the terms.
    norms: f64,
}

impl Weights {
    /// Two passes over the memory of A and B at most, one as a rule. Synchronises.
    pub(super) fn of<T: Scalar, D: Backend<T>>(
        a: MatRef<'_, T, D>,
        b: MatRef<'_, T, D>,
    ) -> Result<Self> {
        let ((a, e), (b, f)) = (column_norms(a)?, column_norms(b.transpose())?);
        let mut terms: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
        let largest = terms.iter().copied().fold(0.0, f64::max);
        let shift =
            if largest > 0.0 && largest.is_finite() { scalar::exponent(largest) } else { 0 };
        terms.iter_mut().for_each(|w| *w = scalar::scale_by_power(*w, -shift));
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let norms = scalar::scale_by_power(norm(&a) * norm(&b), -shift);
        Ok(Self { terms, exponent: shift + e + f, norms })
    }

    /// ‖A‖‖B‖, which no norm in a law exceeds by much.
    pub(super) fn product_of_norms(&self) -> f64 {
        self.absolute(self.norms)
    }

    /// A norm, at the scale of the terms.
    pub(super) fn at_scale(&self, norm: f64) -> f64 {
        scalar::scale_by_power(norm, -self.exponent)
    }

    /// A norm that is given at the scale of the terms.
    pub(super) fn absolute(&self, norm: f64) -> f64 {
        scalar::scale_by_power(norm, self.exponent)
    }

    /// Shares of ‖A‖‖B‖ that norms at the scale of the terms are: their squares stay inside of the range.
    pub(super) fn share(&self, norm: f64) -> f64 {
        if norm == 0.0 { 0.0 } else { norm / self.norms }
    }

    /// Σw² beside (‖A‖‖B‖)².
    pub(super) fn squares(&self) -> f64 {
        self.terms.iter().map(|&w| self.share(w).powi(2)).sum()
    }
}

/// ‖aⱼ‖·2^−e for every column, and e: squares of the largest are far inside of the range, so that norms which are smaller
/// by up to 2⁻⁹⁵⁰ are not lost.
fn column_norms<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<(Vec<f64>, i32)> {
    /// Sums of squares in this range have lost nothing to the ends of the exponent range.
    const SAFE: core::ops::Range<f64> = 1e-200..1e200;
    /// The exponent that the largest entry is given.
    const HIGH: i32 = 440;
    let (device, mut sums) = (a.device(), vec![0.0; a.ncols()]);
    device.column_sums_of_squares(a, 0, &mut sums)?;
    let mut e = 0;
    // Squares of f32 never leave the range of f64.
    if size_of::<T>() > 4 && !sums.iter().all(|sum| SAFE.contains(sum)) {
        let largest = device.max_abs(a)?;
        if largest > 0.0 && largest.is_finite() {
            e = scalar::exponent(largest) - HIGH;
            device.column_sums_of_squares(a, -e, &mut sums)?;
        }
    }
    Ok((sums.into_iter().map(f64::sqrt).collect(), e))
}
