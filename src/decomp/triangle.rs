//! The triangle of a tall matrix by Cholesky factorizations, as good as a preconditioner has to be.
//!
//! R with YᵀY = RᵀR comes from one Gram matrix, as long as its pivots are 16 times its rounding errors, up to
//! cond(Y) of about 1/√(16nu). Else G + s·diag(G), s at the level of those errors, gives R₁, which takes the
//! condition of Y·R₁⁻¹ down by a factor √s, and the Gram matrix of that gives R₂; R = R₂R₁. One such step serves
//! conditions up to about 10¹² in f64. Steps turn rounding errors into columns like any other, so what comes near to
//! the rank decision, and what still is not clear, is left to a pivoted factorization.
//!
//! dn² flops, and 2dn² for each step; n³/3 on the host for each factorization.

use super::cholesky_qr::clear_cholesky;
use super::host::{times_upper, triangular_condition};
use super::transfer::{gram_entries, rounded};
use crate::{Backend, Mat, MatRef, Op, Result, Scalar, Uplo};

/// Shifted steps at most.
const STEPS: usize = 3;

/// Pivots above so many rounding errors are right to a sixteenth.
const CLEARANCE: f64 = 16.0;

/// R, upper triangular, with Y·R⁻¹ well conditioned; `None` where that cannot be had or cond(Y) is above `most`. Squares of entries of Y are inside of the range of T.
pub(crate) fn triangle<T: Scalar, D: Backend<T>>(
    y: MatRef<'_, T, D>,
    most: f64,
) -> Result<Option<faer::Mat<f64>>> {
    let (device, (d, n)) = (y.device(), y.shape());
    if n == 0 {
        return Ok(None);
    }
    let mut r: Option<faer::Mat<f64>> = None;
    let mut w: Option<Mat<T, D>> = None;
    for step in 0..=STEPS {
        let now = w.as_ref().map_or(y, |w| w.as_ref());
        let mut gram = gram_entries(now)?;
        let noise = (n as f64 + (d as f64).sqrt()) * T::UNIT_ROUNDOFF;
        if let Ok(lower) = clear_cholesky::<T>(&gram, n, d) {
            let pivot = |j: usize| lower[j * n + j] * lower[j * n + j];
            if (0..n).all(|j| pivot(j) > CLEARANCE * noise * gram[j * n + j]) {
                let r = after(&lower, r, n);
                let transposed: Vec<f64> = (0..n * n).map(|k| r[(k / n, k % n)]).collect();
                let known = triangular_condition(&transposed, n) < most;
                return Ok(known.then_some(r));
            }
        }
        // A zero column has no shift either.
        if step == STEPS || (0..n).any(|j| gram[j * n + j] == 0.0) {
            break;
        }
        let mut shift = 4.0 * noise;
        let lower = loop {
            let before = shift;
            (0..n).for_each(|j| gram[j * n + j] *= 1.0 + before);
            match clear_cholesky::<T>(&gram, n, d) {
                Ok(lower) => break lower,
                Err(_) if shift > 0.1 => return Ok(None),
                Err(_) => shift *= 8.0,
            }
        };
        // Y is divided by what T can hold, so R has to be multiplied by just that.
        let (lower, factor) = rounded(device, &lower, n)?;
        let mut divided = match w.take() {
            Some(w) => w,
            None => y.to_owned()?,
        };
        device.trsm_right(Uplo::Lower, Op::Trans, factor.as_ref(), divided.as_mut())?;
        w = Some(divided);
        r = Some(after(&lower, r, n));
    }
    Ok(None)
}

/// Lᵀ·R, and Lᵀ where there is no R yet.
fn after(lower: &[f64], r: Option<faer::Mat<f64>>, n: usize) -> faer::Mat<f64> {
    match r {
        Some(r) => times_upper(lower, &r),
        None => faer::Mat::from_fn(n, n, |i, j| if i <= j { lower[j + i * n] } else { 0.0 }),
    }
}
