//! A ≈ Q B with orthonormal Q: the randomised range finder.
//!
//! Block by block: Y = (I − QQᵀ)·A·Ω for a fresh Gaussian Ω, q power passes Y ← A·orth(Aᵀ·orth(Y)),
//! Q ← \[Q, orth(Y)\], and B gains the rows orth(Y)ᵀ·A. A is never copied nor updated: deflation
//! is a projection of thin blocks. With Krylov passes the bases of all passes are kept, which costs
//! memory and no pass.
//!
//! Sources: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, §4; Yu, Gu and
//! Li, "Efficient randomized algorithms for the fixed-precision low-rank matrix approximation",
//! 2018 (error from ‖A‖² − ‖B‖²); Musco and Musco, "Randomized block Krylov methods", 2015.
//!
//! Cost: (2q + 2)·2mnl flops in passes over A, plus about 12(m + n)l² for bases.

use super::estimate::ErrorEstimate;
use super::range::{Observer, find};
use super::rsvd::decompose;
use super::turned::Turned;
use super::{Progress, Target};
use crate::error::{check_least, check_share};
use crate::{Backend, Cpu, Device, LinearOperator, Mat, Result, Scalar};
use core::fmt;
use core::ops::ControlFlow;

/// What [`qb`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QbParams {
    pub(super) target: Target,
    pub(super) power_passes: usize,
    pub(super) krylov: bool,
    pub(super) block_size: Option<usize>,
    pub(super) max_rank: Option<usize>,
    pub(super) seed: u64,
    pub(super) failure_probability: Option<f64>,
    /// Columns that need no further block: a Krylov basis to a rank has room for more.
    pub(super) enough: Option<usize>,
}

impl QbParams {
    /// Q with `rank` columns (fewer when the numerical rank of A is smaller).
    pub fn rank(rank: usize) -> Self {
        Self::new(Target::Rank(rank))
    }

    /// The smallest number of blocks with ‖A − QB‖_F ≤ `tolerance`·‖A‖_F.
    pub fn tolerance(tolerance: f64) -> Self {
        Self::new(Target::Tolerance(tolerance))
    }

    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            power_passes: 2,
            krylov: false,
            block_size: None,
            max_rank: None,
            seed: 0,
            failure_probability: None,
            enough: None,
        }
    }

    /// q: how often A·Aᵀ is applied to the start block; the spectrum is seen to the power 2q + 1.
    /// Default 2, which is within 1 % of the best error on slowly decaying spectra.
    pub fn power_passes(self, power_passes: usize) -> Self {
        Self { power_passes, ..self }
    }

    /// Keep the bases of all power passes (block Krylov): more accurate for the same passes over A,
    /// q + 1 times the memory. Default false.
    pub fn krylov(self, krylov: bool) -> Self {
        Self { krylov, ..self }
    }

    /// Columns of a start block. Default: all at once to a rank, 32 to a tolerance.
    pub fn block_size(self, block_size: usize) -> Self {
        Self { block_size: Some(block_size), ..self }
    }

    /// Where a search to a tolerance ends. Default min(m, n).
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { max_rank: Some(max_rank), ..self }
    }

    /// The seed of the test matrix. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Report a bound that fails with this probability instead of the identity, from 20 probes in
    /// one more thin pass over A. Default: the identity.
    pub fn failure_probability(self, probability: f64) -> Self {
        Self { failure_probability: Some(probability), ..self }
    }

    /// The search for a basis with `oversampling` columns beyond the rank, of `least` at most.
    pub(super) fn oversampled(self, oversampling: usize, least: usize) -> Self {
        let Target::Rank(k) = self.target else { return self };
        // Without a rank no column of the basis is needed.
        let block = if k == 0 { 0 } else { k.saturating_add(oversampling).min(least) };
        let kept = if self.krylov { self.power_passes.saturating_add(1) } else { 1 };
        Self {
            target: Target::Rank(block.saturating_mul(kept).min(least)),
            block_size: self.block_size.or(Some(block.max(1))),
            enough: Some(block),
            ..self
        }
    }

    pub(super) fn check(&self, op: &'static str, shape: (usize, usize)) -> Result<()> {
        self.target.check(op, shape)?;
        check_least(op, "block_size", self.block_size.unwrap_or(1), 1)?;
        check_share(op, "failure_probability", self.failure_probability)
    }
}

impl fmt::Display for QbParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Target::Rank(rank) => write!(f, "rank {rank}"),
            Target::Tolerance(tolerance) => write!(f, "tolerance {tolerance:e}"),
        }
    }
}

/// A ≈ Q B.
#[derive(Debug)]
pub struct Qb<T: Scalar, D: Device = Cpu> {
    /// m×r, orthonormal columns.
    pub q: Mat<T, D>,
    /// r×n, QᵀA.
    pub b: Mat<T, D>,
    /// ‖A − QB‖_F.
    pub error: ErrorEstimate,
    /// How often A was multiplied by a block.
    pub passes: usize,
}

/// A ≈ Q B with orthonormal Q, to a rank or to a relative tolerance.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a rank above min(m, n), a tolerance
/// outside (0, 1), a block of 0; [`Error::NonFinite`](crate::Error::NonFinite) with the position when
/// A is not finite; [`Error::Overflow`](crate::Error::Overflow) when products leave the range;
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory). A tolerance that `max_rank` did not allow is
/// no error: `error` shows it.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{QbParams, qb}};
/// let a = Mat::from_fn(&Cpu::new(), 200, 100, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let qb = qb(&a, QbParams::tolerance(1e-3))?;
/// assert!(qb.error.relative <= 1e-3 && qb.q.ncols() < 100);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn qb<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: QbParams,
) -> Result<Qb<T, D>> {
    qb_named("qb", a, params)
}

/// [`qb`], which tells `progress` after every second pass over A how far it has come.
///
/// `ControlFlow::Break` ends the search: what has been found is the result, and its error says how
/// far it is from A.
///
/// # Errors
/// As [`qb`].
///
/// ```
/// use core::ops::ControlFlow;
/// use randnla::{Cpu, Mat, decomp::{QbParams, qb_with_progress}};
/// let a = Mat::from_fn(&Cpu::new(), 200, 100, |i, j| 1.0 / (1 + i * j) as f64)?;
/// let mut calls = 0;
/// let qb = qb_with_progress(&a, QbParams::tolerance(1e-6), |progress| {
///     calls += 1;
///     println!("rank {}, {} passes, error {:?}", progress.rank, progress.passes, progress.error);
///     ControlFlow::Continue(())
/// })?;
/// assert!(calls > 0 && qb.error.relative <= 1e-6);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn qb_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: QbParams,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Qb<T, D>> {
    factor("qb_with_progress", a, params, &mut progress)
}

/// [`qb`] under the name of its caller in errors.
pub(crate) fn qb_named<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: QbParams,
) -> Result<Qb<T, D>> {
    factor(op, a, params, &mut |_| ControlFlow::Continue(()))
}

fn factor<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: QbParams,
    observer: &mut Observer<'_>,
) -> Result<Qb<T, D>> {
    if params.krylov && matches!(params.target, Target::Rank(_)) {
        // The Krylov basis has q + 1 times the columns that were asked for: the best ones are kept.
        let svd = decompose(op, a, params, 0, observer)?;
        let mut b = svd.vt.into_transposed();
        b.device().clone().scale_columns(&svd.s, b.as_mut())?;
        return Ok(Qb { q: svd.u, b: b.into_transposed(), error: svd.error, passes: svd.passes });
    }
    let a = &Turned::new(a)?;
    let mut range = find(op, a, &params, observer)?;
    let error = range.error(a, &params, 0.0)?;
    let (q, b) = (range.q.into_mat(), range.bt.into_mat().into_transposed());
    Ok(Qb { q, b, error, passes: range.passes })
}
