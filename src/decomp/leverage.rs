//! Row leverage scores: ℓᵢ = ‖eᵢᵀU‖² for an orthonormal basis U of the columns of A.
//!
//! With few columns U is computed. Else a pivoted QR of a sketch, S·A P = Q R, makes A·P·R⁻¹ nearly orthonormal, and
//! its row norms are taken from the product with a short Gaussian G: ‖eᵢᵀA P R⁻¹Gᵀ‖² (Johnson and Lindenstrauss).
//! A is multiplied by t vectors in place of n.
//!
//! For a row x of U and a Gaussian S of d rows, xᵀ((SU)ᵀSU)⁻¹x is ℓᵢ·d over a χ² of d − r + 1 degrees of freedom (r the
//! rank), of mean ℓᵢ·d/(d − r − 1), which is divided out; G multiplies by a χ² of t over t. Sparse sketches come close to that.
//!
//! Source: Drineas, Magdon-Ismail, Mahoney and Woodruff, "Fast approximation of matrix coherence and statistical
//! leverage", 2012; here with a sparse sketch.

use super::basis::scale_exactly;
use super::cqrrpt::{CqrrptParams, cqrrpt_named, triangle};
use super::finite_scale;
use super::pivoted::pivoted_qr;
use super::transfer::upload_upper;
use crate::error::check_least;
use crate::operator::column_squares;
use crate::random::{Stream, words64};
use crate::{Backend, Mat, MatRef, Op, Result, Scalar, Sketch, Uplo};

/// What [`leverage_scores`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeverageParams {
    probes: usize,
    embedding_factor: f64,
    rank_tolerance: Option<f64>,
    seed: u64,
}

impl Default for LeverageParams {
    fn default() -> Self {
        Self { probes: 48, embedding_factor: 4.0, rank_tolerance: None, seed: 0 }
    }
}

impl LeverageParams {
    /// t: rows of G, which give each score a relative standard deviation of √(2/t). Default 48, which is 0.2. Up
    /// to 2t columns the scores are computed without G or sketch.
    pub fn probes(self, probes: usize) -> Self {
        Self { probes, ..self }
    }

    /// γ: the sketch has ⌈γn⌉ rows. At least 1, default 4.
    pub fn embedding_factor(self, embedding_factor: f64) -> Self {
        Self { embedding_factor, ..self }
    }

    /// Columns whose residual is not above this fraction of the largest column are dependent. Default 8u√n.
    pub fn rank_tolerance(self, rank_tolerance: f64) -> Self {
        Self { rank_tolerance: Some(rank_tolerance), ..self }
    }

    /// The seed of sketch and G. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same for the QR that serves the sketch, or A.
    fn qr(&self) -> CqrrptParams {
        let params =
            CqrrptParams::default().embedding_factor(self.embedding_factor).seed(self.seed);
        self.rank_tolerance.map_or(params, |tolerance| params.rank_tolerance(tolerance))
    }
}

/// The leverage of every row, and how far it may be off.
#[derive(Clone, Debug, PartialEq)]
pub struct LeverageScores {
    /// ℓᵢ for every row of A; they sum up to the rank, as far as they are exact.
    pub scores: Vec<f64>,
    /// The numerical rank of A.
    pub rank: usize,
    /// The relative standard deviation of a score, √(2/t + 2/(d − rank)); 0 where scores are exact.
    pub deviation: f64,
}

/// Row leverage scores of a tall matrix, the probabilities of importance sampling but for a factor.
///
/// # Accuracy
/// Exact to some u·cond(A) for n ≤ 2t columns and for m ≤ γn rows. Else unbiased with a relative standard deviation of
/// [`LeverageScores::deviation`], 0.2 to 0.25 by default, over the seeds.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for parameters out of range; [`Error::NonFinite`](crate::Error::NonFinite) with the position;
/// [`Error::Overflow`](crate::Error::Overflow) when the sketch leaves the range of T; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// Two passes over A: 16mn flops for the sketch, 2mnt for the scores; γn³ for the QR of the sketch. 3mn² where they are
/// exact.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{LeverageParams, leverage_scores}};
/// // Row 3 is the only one that has the first column.
/// let a = Mat::from_fn(&Cpu::new(), 400, 3, |i, j| if j == 0 { f64::from(u8::from(i == 3)) } else { (i * j) as f64 })?;
/// let leverage = leverage_scores(a.as_ref(), LeverageParams::default())?;
/// assert!(leverage.rank == 2 && (leverage.scores[3] - 1.0).abs() < 1e-4);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn leverage_scores<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: LeverageParams,
) -> Result<LeverageScores> {
    let op = "leverage_scores";
    check_least(op, "probes", params.probes, 1)?;
    let qr = params.qr();
    qr.check(op)?;
    let ((m, n), device) = (a.shape(), a.device());
    let d = qr.sketch_rows(n);
    let t = params.probes;
    if n <= 2 * t || m <= d {
        return exactly(op, a, qr);
    }
    let mut sketch = qr.sketch(d, m)?.apply(a)?;
    let (largest, exponent) = finite_scale(op, &a, sketch.as_ref())?;
    if largest == 0.0 {
        return exactly(op, a, qr);
    }
    scale_exactly(&mut sketch.as_mut(), -exponent)?;
    let sketched = pivoted_qr(op, sketch.as_mut(), qr.dependence::<T>(n))?;
    let rank = sketched.pivots.len();
    let r = upload_upper(device, &triangle(&sketched), 0)?;
    let [key, _] = words64(params.seed, Stream::Probe, 0, 0);
    let mut g = Sketch::gaussian(t, rank, key)?.to_mat(device)?;
    device.trsm_right(Uplo::Upper, Op::Trans, r.as_ref(), g.as_mut())?;
    scale_exactly(&mut g.as_mut(), -exponent)?;
    // Zero rows where columns are left out.
    let mut combination = Mat::zeros(device, n, t)?;
    device.scatter_rows(&sketched.pivots, g.transpose(), combination.as_mut())?;
    let mut y = Mat::scratch(device, m, t)?;
    device.gemm(T::one(), a, combination.as_ref(), T::zero(), y.as_mut())?;
    let mut scores = column_squares(y.transpose(), 0)?;
    let (free, t) = ((d - rank) as f64, t as f64);
    scores.iter_mut().for_each(|score| *score *= (free - 1.0).max(1.0) / d as f64);
    Ok(LeverageScores { scores, rank, deviation: (2.0 / t + 2.0 / free).sqrt() })
}

/// The row norms of Q.
fn exactly<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: CqrrptParams,
) -> Result<LeverageScores> {
    let q = cqrrpt_named(op, a, params)?.q;
    let scores = column_squares(q.transpose(), 0)?;
    Ok(LeverageScores { scores, rank: q.ncols(), deviation: 0.0 })
}
