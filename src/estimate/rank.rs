//! The numerical rank from a sketch of both sides.
//!
//! Y = AΩ for l Gaussian vectors, Θ a SparseStack with 4l rows: the singular values of ΘY/√l follow the leading ones of A within a
//! moderate factor, as long as l is well above the index. Columns are added, twice as many each time, until the
//! smallest singular value is below the threshold or A has no more columns: one pass over A with about as many columns as
//! twice the rank.
//!
//! Limits: σ̂ᵢ is within a factor of 2.5 of σᵢ for i ≤ l/4 (tested, not proven), so a rank is certain only where the spectrum drops by such a factor at the
//! threshold; otherwise it is the number of values that the sketch shows above it.
//!
//! Source: Meier and Nakatsukasa, "Fast randomized numerical rank estimation for numerically low-rank matrices", 2021,
//! arXiv 2105.07388.

use super::probes::{times, vectors};
use crate::decomp::{Law, download, normalise, small_svd};
use crate::error::check_share;
use crate::random::{Stream, words64};
use crate::{Backend, LinearOperator, Mat, Result, Scalar, Sketch, scalar};

/// Columns of the first sketch.
const FIRST: usize = 32;

/// What [`numerical_rank`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankParams {
    rank_tolerance: f64,
    max_rank: Option<usize>,
    seed: u64,
}

impl RankParams {
    /// Singular values above `rank_tolerance`·σ₁ count.
    pub fn rank_tolerance(rank_tolerance: f64) -> Self {
        Self { rank_tolerance, max_rank: None, seed: 0 }
    }

    /// Where the search ends: ranks above are not told apart. Default min(m, n).
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { max_rank: Some(max_rank), ..self }
    }

    /// The seed of the sketches. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// A numerical rank.
#[derive(Clone, Debug, PartialEq)]
pub struct RankEstimate {
    /// How many singular values are above the threshold.
    pub rank: usize,
    /// What they were held against: `rank_tolerance`·σ̂₁, or max(m, n)·u·σ̂₁ where that is more, since what lies below
    /// may be rounding errors.
    pub threshold: f64,
    /// Estimates of the leading singular values, falling; good to a factor of about 2 in their first quarter.
    pub values: Vec<f64>,
    /// Whether the search ended at `max_rank` with all values above the threshold, so that the rank may be larger.
    pub limited: bool,
    /// How many vectors were multiplied by A.
    pub products: usize,
}

/// How many singular values of A are above `rank_tolerance`·σ₁, from a sketch.
///
/// Values below max(m, n)·u·σ₁ do not count, however small the tolerance; [`RankEstimate::threshold`] says what decided.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a rank tolerance outside (0, 1);
/// [`Error::NonFinite`](crate::Error::NonFinite) with the position;
/// [`Error::Overflow`](crate::Error::Overflow); [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// One pass over A with l columns in all, l at most four times the rank or 32, and an SVD of order l on the host; memory for (m + n)l entries.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{RankParams, numerical_rank}};
/// // A sum of 7 products of a column and a row.
/// let a = Mat::from_fn(&Cpu::new(), 300, 200, |i, j| (1..=7).map(|k| ((i * k) as f64).sin() * ((j * k) as f64).cos()).sum::<f64>())?;
/// assert_eq!(numerical_rank(&a, RankParams::rank_tolerance(1e-10))?.rank, 7);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn numerical_rank<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: RankParams,
) -> Result<RankEstimate> {
    let op = "numerical_rank";
    let RankParams { rank_tolerance, max_rank, seed } = params;
    check_share(op, "rank_tolerance", rank_tolerance)?;
    let ((m, n), device) = (a.shape(), a.device());
    let least = m.min(n);
    let limit = max_rank.unwrap_or(least).min(least);
    // Values near the last column are biased low, so the sketch is wider than what it has to show.
    let widest = (2 * limit).max(FIRST).min(least);
    let mut y = Mat::scratch(device, m, 0)?;
    let mut width = FIRST.min(widest);
    loop {
        let known = y.ncols();
        let omega = vectors(device, Law::Gaussian, seed, n, known..width)?;
        let mut wider = Mat::scratch(device, m, width)?;
        device.axpby(T::one(), y.as_ref(), T::zero(), wider.as_mut().columns(0..known))?;
        let new = times(op, a, &omega)?;
        device.axpby(T::one(), new.as_ref(), T::zero(), wider.as_mut().columns(known..width))?;
        y = wider;
        let values = sketched_values(op, &y, seed)?;
        let noise = T::UNIT_ROUNDOFF * m.max(n) as f64;
        let threshold = rank_tolerance.max(noise) * values.first().copied().unwrap_or(0.0);
        let rank = values.iter().take_while(|&&value| value > threshold).count();
        // Twice as many columns as values above: the last of them is seen well.
        if 2 * rank <= width || width == widest {
            let limited = rank >= limit && limit < least;
            let rank = rank.min(limit);
            return Ok(RankEstimate { rank, threshold, values, limited, products: width });
        }
        width = (2 * width).min(widest);
    }
}

/// The singular values of ΘY/√l.
fn sketched_values<T: Scalar, D: Backend<T>>(
    op: &'static str,
    y: &Mat<T, D>,
    seed: u64,
) -> Result<Vec<f64>> {
    let (m, l) = y.shape();
    let [key, _] = words64(seed, Stream::Estimator, 1, 0);
    let d = 4 * l;
    let mut core =
        if d < m { Sketch::sparse_stack(d, m, 8, key)?.apply(y)? } else { y.try_clone()? };
    let exponent = normalise(&mut core.as_mut())?;
    let host = download(core.as_ref())?;
    let factor = 1.0 / (l as f64).sqrt();
    let values = small_svd(op, host.as_ref())?.s;
    Ok(values.into_iter().map(|s| scalar::scale_by_power(s * factor, exponent)).collect())
}
