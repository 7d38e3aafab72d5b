//! The error that a basis of random images leaves of A·B, rank by rank.
//!
//! For Gaussian Ω of l columns and Q = orth(ABΩ) the error of the low-rank product without power passes is ‖(I − QQᵀ)AB‖,
//! and other Gaussian vectors that were multiplied by A·B before show it: the mean of ‖(I − QQᵀ)ABω‖² is unbiased. Blocks are added
//! until the error is low enough, or it is clear that it will not be.

use crate::decomp::{Basis, project};
use crate::operator::norm_fro;
use crate::{Backend, LinearOperator, Mat, Result, Scalar, Sketch};

/// The least rank. A smaller basis hardly costs less, and its error is more of an accident.
const LEAST: usize = 8;

/// Ranks, rising from 0, and the error at each.
pub(super) struct Curve(Vec<(usize, f64)>);

impl Curve {
    /// The least rank with an allowed error, and that error: straight lines in the logarithm between ranks that were measured.
    pub(super) fn reach(&self, allowed: f64) -> Option<(usize, f64)> {
        let at = self.0.iter().position(|&(rank, error)| rank > 0 && error <= allowed)?;
        let ((low, above), (high, below)) = (self.0[at - 1], self.0[at]);
        if low == 0 || below == 0.0 {
            return Some((high, below));
        }
        let slope = (below / above).ln() / (high - low) as f64;
        let steps = ((allowed / above).ln() / slope).ceil().clamp(1.0, (high - low) as f64);
        Some((low + steps as usize, above * (slope * steps).exp()))
    }

    /// Whether an error that goes on to fall by the same factor with every rank would be allowed at the limit.
    fn may_reach(&self, allowed: f64, limit: usize) -> bool {
        let [.., (before, above), (rank, error)] = self.0[..] else { return true };
        let slope = (error / above).ln() / (rank - before) as f64;
        error.ln() + slope * (limit - rank) as f64 <= allowed.ln()
    }
}

/// The error of a product of each rank up to `limit` at most, from products `probes` of `a` with Gaussian vectors.
pub(super) fn low_rank_errors<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    mut probes: Mat<T, D>,
    limit: usize,
    allowed: f64,
    key: u64,
) -> Result<Curve> {
    let ((m, n), device) = (a.shape(), a.device());
    let error = |probes: &Mat<T, D>| -> Result<f64> {
        Ok(norm_fro(probes.as_ref())? / (probes.ncols() as f64).sqrt())
    };
    let norm = error(&probes)?;
    let mut curve = Curve(vec![(0, norm)]);
    let mut basis = Basis::new(device, m, limit.min(4 * LEAST))?;
    let mut rank = 0;
    while rank.max(LEAST - 1) < limit && curve.may_reach(allowed, limit) {
        let width = if rank == 0 { LEAST } else { (rank / 2).min(limit - rank) };
        let vectors = Sketch::gaussian(rank + width, n, key)?.raw().rows(rank..rank + width);
        let mut omega = Mat::scratch(device, n, width)?;
        device.fill(&vectors, T::one(), omega.as_mut().transpose())?;
        let mut images = Mat::scratch(device, m, width)?;
        a.apply(omega.as_ref(), images.as_mut())?;
        let start = basis.len();
        basis.extend(op, images.as_mut(), norm)?;
        project(basis.since(start), probes.as_mut())?;
        rank += width;
        let left = error(&probes)?;
        curve.0.push((rank, left));
        // What is left is rounding, and no block adds to the basis.
        if left <= allowed || basis.len() == start {
            break;
        }
    }
    Ok(curve)
}
