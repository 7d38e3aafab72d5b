//! QR with randomised column pivoting of any matrix, block by block: A P ≈ Q R.
//!
//! 1. The pivots of a block of b columns are those of a sketch of d = 5b/4 rows (see `selection`).
//! 2. The columns become Householder reflectors by two passes of CholeskyQR, whose preconditioner is the triangle of
//!    their sketch (see `panel`).
//! 3. The reflectors are applied to the rest of the matrix, which gives b rows of R.
//! 4. The sketch of the rest follows without another look at it: S·A₂ − (S·A₁)·R₁₁⁻¹·R₁₂.
//!
//! **Why reflectors.** An explicit basis costs 2mk² flops to orthogonalise a second time, next to 4mnk − 2(m + n)k² + 4k³/3
//! in all for reflectors, whose work shrinks with the matrix and which are orthonormal whatever its condition. Q is
//! formed when it is asked for.
//!
//! **Rank.** The sketch proposes and the matrix decides: a column counts when its diagonal of R, which is measured, is above the
//! rank tolerance. When the sketch sees nothing more, the norms of all columns that are left are measured; if one of them is above,
//! it is sketched anew. So no column that is left has a residual above the rank tolerance.
//!
//! Limits: the host sees n·d entries a block and works nd² flops, 4n²b/5 in all: 1 % of 4n³/3 for b = 64 and n = 4096, but on
//! a GPU that is what bounds it. The largest column, to which the rank tolerance is relative, is measured by the sketch, to some
//! tenths.
//!
//! Source: Melnichenko, Murray, Killian, Demmel, Mahoney, Luszczek and Gates, "Anatomy of high-performance column-pivoted QR
//! decomposition", arXiv 2507.00976; the update of the sketch from Duersch and Gu, "Randomized QR with column
//! pivoting", 2017. Rank decisions, and blocks that end early, are ours.

mod panel;
mod reflectors;
mod selection;
mod work;

pub use reflectors::Reflectors;

use super::cqrrpt::PivotedQr;
use super::estimate::ErrorEstimate;
use super::range::Observer;
use super::{Progress, Target};
use crate::error::{check_least, check_share};
use crate::{Backend, Cpu, Device, Mat, MatRef, Result, Scalar};
use core::ops::ControlFlow;
use work::Work;

/// What [`bqrrp`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BqrrpParams {
    target: Option<Target>,
    max_rank: Option<usize>,
    rank_tolerance: Option<f64>,
    block_size: Option<usize>,
    nnz: usize,
    seed: u64,
}

impl Default for BqrrpParams {
    fn default() -> Self {
        Self {
            target: None,
            max_rank: None,
            rank_tolerance: None,
            block_size: None,
            nnz: 8,
            seed: 0,
        }
    }
}

impl BqrrpParams {
    /// The first `rank` columns of the full factorization (fewer when the numerical rank of A is smaller).
    pub fn rank(rank: usize) -> Self {
        Self { target: Some(Target::Rank(rank)), ..Self::default() }
    }

    /// The fewest columns of the full factorization with ‖A P − Q R‖_F ≤ `tolerance`·‖A‖_F.
    pub fn tolerance(tolerance: f64) -> Self {
        Self { target: Some(Target::Tolerance(tolerance)), ..Self::default() }
    }

    /// Where a factorization to a tolerance, or of all columns, ends. Default min(m, n).
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { max_rank: Some(max_rank), ..self }
    }

    /// Columns whose residual is not above this fraction of the largest column are dependent. Default 8u√n:
    /// what rounding makes of an exactly dependent column is below.
    pub fn rank_tolerance(self, rank_tolerance: f64) -> Self {
        Self { rank_tolerance: Some(rank_tolerance), ..self }
    }

    /// b: columns a block. Default n/64 between 32 and 128: wider ones cost the host more, narrower ones
    /// products their speed.
    pub fn block_size(self, block_size: usize) -> Self {
        Self { block_size: Some(block_size), ..self }
    }

    /// ζ: entries a column of the SparseStack that sketches A. Default 8.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { nnz, ..self }
    }

    /// The seed of the sketch. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same without a rank or an error to stop at.
    pub(super) fn all_columns(self) -> Self {
        Self { target: None, max_rank: None, ..self }
    }

    fn check(&self, op: &'static str, shape: (usize, usize)) -> Result<()> {
        self.target.map_or(Ok(()), |target| target.check(op, shape))?;
        check_least(op, "block_size", self.block_size.unwrap_or(1), 1)?;
        check_least(op, "nnz", self.nnz, 1)?;
        check_share(op, "rank_tolerance", self.rank_tolerance)
    }
}

/// A P ≈ Q R with Q as reflectors, as LAPACK's `geqp3`.
#[derive(Debug)]
pub struct FactoredQr<T: Scalar, D: Device = Cpu> {
    /// Q, m×k.
    pub reflectors: Reflectors<T, D>,
    /// k×n, upper trapezoidal, positive on the diagonal.
    pub r: Mat<T, D>,
    /// Column j of A P is column `pivots[j]` of A.
    pub pivots: Vec<usize>,
    /// ‖A P − Q R‖_F: what the rank leaves out. For k = min(m, n) that is nothing but rounding.
    pub error: ErrorEstimate,
}

impl<T: Scalar, D: Backend<T>> FactoredQr<T, D> {
    /// k: the numerical rank of A, or where the parameters ended it.
    pub fn rank(&self) -> usize {
        self.pivots.len().min(self.r.nrows())
    }

    /// The same with explicit Q: 4mk² − 4k³/3 flops more.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn explicit(self) -> Result<PivotedQr<T, D>> {
        let q = self.reflectors.to_mat()?;
        let orthogonality = orthogonality::<T>(self.reflectors.blocks());
        Ok(PivotedQr { q, r: self.r, pivots: self.pivots, error: self.error, orthogonality })
    }
}

/// What blocks of reflectors lose, by ‖QᵀQ − I‖_F/√k: a few u a block, at random.
fn orthogonality<T: Scalar>(blocks: usize) -> f64 {
    T::UNIT_ROUNDOFF * (1.0 + 4.0 * blocks as f64).sqrt()
}

/// QR with column pivoting of a matrix of any shape, at the speed of matrix products.
///
/// The diagonal of R is within a small factor of that of `geqp3`, whose pivots cost a pass over the matrix each. Q
/// is kept as reflectors; [`FactoredQr::explicit`] forms it. For tall A and explicit Q, m > 2n, [`cqrrpt`](super::cqrrpt())
/// is faster.
///
/// # Accuracy
/// ‖QᵀQ − I‖_F/√k and ‖A P − Q R‖_F/‖A‖_F are a few u for every condition and scale of A.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for parameters out of range; [`Error::NonFinite`](crate::Error::NonFinite) with the position;
/// [`Error::Overflow`](crate::Error::Overflow) when the sketch leaves the range of T; [`Error::OutOfMemory`](crate::Error::OutOfMemory). A of deficient rank,
/// zero or empty is no error, nor is a tolerance that `max_rank` or the numerical rank did not allow: `error` shows it.
///
/// # Cost
/// 4mnk − 2(m + n)k² + 4k³/3 flops, 4n³/3 for k = m = n, and some 15 % more for panels and sketches of 4096² entries;
/// memory for A once more, and for R.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{BqrrpParams, bqrrp}};
/// // Of rank 3, and wide.
/// let a = Mat::from_fn(&Cpu::new(), 60, 100, |i, j| (i as f64 + (j % 3) as f64 * 50.0).cos().powi(1 + j as i32 % 3))?;
/// let qr = bqrrp(a.as_ref(), BqrrpParams::default())?;
/// assert_eq!((qr.rank(), qr.r.shape(), qr.reflectors.shape()), (3, (3, 100), (60, 3)));
/// assert!(qr.error.relative < 1e-14);
/// let coordinates = qr.reflectors.apply_adjoint(a.as_ref())?; // QᵀA, without Q
/// assert!((coordinates.get(0, qr.pivots[0]) - qr.r.get(0, 0)).abs() < 1e-12);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn bqrrp<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
) -> Result<FactoredQr<T, D>> {
    factor("bqrrp", a, &params)
}

/// [`bqrrp`], which tells `progress` after every block of columns how far it has come: [`Progress::passes`] counts the
/// blocks, and the error is known where a [`tolerance`](BqrrpParams::tolerance) asks for it.
///
/// `ControlFlow::Break` ends it: what has been found is the result, and its error says how far it is from A.
///
/// # Errors
/// As [`bqrrp`].
pub fn bqrrp_with_progress<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: BqrrpParams,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<FactoredQr<T, D>> {
    observed("bqrrp_with_progress", a, &params, &mut progress)
}

/// [`bqrrp`] under the name of the function that was called.
pub(super) fn factor<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: &BqrrpParams,
) -> Result<FactoredQr<T, D>> {
    observed(op, a, params, &mut |_| ControlFlow::Continue(()))
}

fn observed<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: &BqrrpParams,
    observer: &mut Observer<'_>,
) -> Result<FactoredQr<T, D>> {
    params.check(op, a.shape())?;
    let mut work = Work::start(op, a, params)?;
    while work.rank() < work.limit() {
        let more = work.step()?;
        if observer(&work.progress()).is_break() || !more {
            break;
        }
    }
    work.finish()
}
