//! A ≈ F Fᵀ from some columns of a positive semidefinite A: randomly pivoted Cholesky.
//!
//! A pivot is drawn with a probability proportional to the diagonal of what is left, A − FFᵀ. Only the diagonal and the
//! columns of the pivots are ever looked at: nk entries of n², so A may be a kernel that is evaluated and never
//! formed. The residual stays positive semidefinite, its nuclear norm is its trace, and that is known exactly.
//!
//! The block form draws b proposals at once from the diagonal as it stands, then looks at them in order and accepts
//! each with the probability by which the pivots accepted before have reduced its diagonal entry. What is accepted
//! has the distribution of the pivots of the method that takes them one by one, and the work on long
//! columns is products.
//!
//! Limits: the fewer directions the residual is spread over, the fewer of the proposals of a block are accepted; with blocks of
//! 64 it took 1.3 to 4.5 proposals a pivot on kernels of real data. Each costs b entries of A and 2bk flops. Rows whose residual is below its rounding errors
//! propose nothing, so a matrix of rank r ends after r pivots. That A is indefinite is seen when the diagonal of what is left
//! becomes negative; entries that are never looked at may be anything.
//!
//! Sources: Chen, Epperly, Tropp and Webber, "Randomly pivoted Cholesky: practical approximation of a kernel matrix with
//! few entry evaluations", 2022, arXiv 2207.06503; Epperly, Tropp and Webber, "Embrace rejection: kernel matrix
//! approximation by accelerated randomly pivoted Cholesky", 2024, arXiv 2410.03969, algorithm 2.

use super::entries::SymmetricEntries;
use super::estimate::ErrorEstimate;
use super::nystrom::Nystrom;
use super::psd::spectral;
use super::range::Observer;
use super::residual::Run;
use super::{Progress, Target};
use crate::error::{check_least, check_shape};
use crate::{Backend, Cpu, Device, Error, Mat, Result, Scalar};
use core::ops::ControlFlow;

/// Proposals that are looked at together.
const DEFAULT_BLOCK: usize = 64;

/// What [`rp_cholesky`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RpCholeskyParams {
    target: Target,
    block_size: usize,
    max_rank: Option<usize>,
    seed: u64,
}

impl RpCholeskyParams {
    /// `rank` pivots (fewer when the numerical rank of A is smaller).
    pub fn rank(rank: usize) -> Self {
        Self { target: Target::Rank(rank), block_size: DEFAULT_BLOCK, max_rank: None, seed: 0 }
    }

    /// The blocks of pivots that bring tr(A − FFᵀ) below `tolerance`·tr(A).
    pub fn tolerance(tolerance: f64) -> Self {
        Self { target: Target::Tolerance(tolerance), ..Self::rank(0) }
    }

    /// Proposals that are looked at together. Default 64; 1 takes the pivots one by one.
    pub fn block_size(self, block_size: usize) -> Self {
        Self { block_size, ..self }
    }

    /// Where a search to a tolerance ends. Default n.
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { max_rank: Some(max_rank), ..self }
    }

    /// The seed of the proposals. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// A ≈ F Fᵀ.
#[derive(Debug)]
pub struct RpCholesky<T: Scalar, D: Device = Cpu> {
    /// n×k; its rows `pivots` are a lower triangle.
    pub f: Mat<T, D>,
    /// The columns of A that were taken, in order.
    pub pivots: Vec<usize>,
    /// The nuclear norm of A − FFᵀ, which is its trace.
    pub error: ErrorEstimate,
    /// tr(A).
    pub trace: f64,
    /// How many entries of A were looked at.
    pub entries: usize,
}

impl<T: Scalar, D: Backend<T>> RpCholesky<T, D> {
    /// The number of pivots.
    pub fn rank(&self) -> usize {
        self.pivots.len()
    }

    /// F Fᵀ. 2n²k flops.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn reconstruct(&self) -> Result<Mat<T, D>> {
        let (device, n) = (self.f.device(), self.f.nrows());
        let mut a = Mat::scratch(device, n, n)?;
        device.gemm(T::one(), self.f.as_ref(), self.f.transpose(), T::zero(), a.as_mut())?;
        Ok(a)
    }

    /// The `rank` leading eigenpairs of F Fᵀ (fewer when its numerical rank is smaller), with the error that they leave
    /// of A. About 6nk² flops.
    ///
    /// They are those of F as it stands: multiplying A by a power of 4 scales them exactly, by an odd power of 2 to rounding.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more than there are pivots; [`Error::OutOfMemory`].
    pub fn into_eigenpairs(self, rank: usize) -> Result<Nystrom<T, D>> {
        let op = "RpCholesky::into_eigenpairs";
        if rank > self.rank() {
            let allowed = format!("at most the number of pivots, {}", self.rank());
            return Err(Error::invalid(op, "rank", rank, allowed));
        }
        let found = spectral(op, self.f, 0.0, 0)?;
        let k = rank.min(found.values.len());
        let (values, cut) = (found.leading(k), found.values[k..].iter().sum::<f64>());
        let mut error = self.error;
        if cut > 0.0 {
            error.absolute += cut;
            error.relative = error.absolute / self.trace;
        }
        Ok(Nystrom { u: found.u.truncate_columns(k), values, error, passes: 0 })
    }
}

/// Randomly pivoted Cholesky of a positive semidefinite A given by its entries, to a rank or to a relative tolerance on
/// the trace.
///
/// A dense matrix is looked at in place; a kernel comes as [`KernelMatrix`](super::KernelMatrix) or as a
/// [`SymmetricEntries`] of its own. Multiplying A by a power of 4 scales F exactly; by an odd power of 2, which F
/// meets with its square root, pivots and error stay exact and F is rounded once more.
///
/// # Errors
/// [`Error::NotPositiveSemidefinite`] when the diagonal of A or of what is left of it is negative beyond rounding, and
/// [`Error::NotSymmetric`] with the evidence; [`Error::ShapeMismatch`] unless A is square; [`Error::InvalidArgument`] for a
/// rank above n, a tolerance outside (0, 1), a block of 0; [`Error::NonFinite`] with the position when an entry that was
/// looked at is not finite; [`Error::OutOfMemory`]. A tolerance that `max_rank` did not allow is no error: `error`
/// shows it.
///
/// # Accuracy
/// The error reported is exact but for rounding. 2k pivots leave 0.5 to 1.25 times the trace error of the best
/// approximation of rank k on Gaussian kernels of real data (patches of a photograph, activations of a transformer).
///
/// # Cost
/// 2nk² flops, n(k + 1) entries of A and b² more for every block of b proposals; memory for F.
///
/// ```
/// use randnla::{Cpu, decomp::{KernelMatrix, RpCholeskyParams, rp_cholesky}};
/// let (cpu, n) = (Cpu::new(), 1000);
/// let points: Vec<f64> = (0..n).map(|i| (i as f64 * 0.618).fract() * 10.0).collect();
/// let kernel = KernelMatrix::new(&cpu, n, |i, j| (-(points[i] - points[j]).powi(2)).exp());
/// let cholesky = rp_cholesky(&kernel, RpCholeskyParams::tolerance(1e-6))?;
/// assert!(cholesky.error.relative <= 1e-6 && cholesky.entries < n * n / 5);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn rp_cholesky<T: Scalar, D: Backend<T>>(
    a: &(impl SymmetricEntries<T, D> + ?Sized),
    params: RpCholeskyParams,
) -> Result<RpCholesky<T, D>> {
    factor("rp_cholesky", a, params, &mut |_| ControlFlow::Continue(()))
}

/// [`rp_cholesky`], which tells `progress` after every block how far it has come: the pivots, the blocks as passes,
/// and the relative error in the trace.
///
/// `ControlFlow::Break` ends the search: what has been found is the result, and its error says how far it is from A.
///
/// # Errors
/// As [`rp_cholesky`].
pub fn rp_cholesky_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl SymmetricEntries<T, D> + ?Sized),
    params: RpCholeskyParams,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<RpCholesky<T, D>> {
    factor("rp_cholesky_with_progress", a, params, &mut progress)
}

fn factor<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl SymmetricEntries<T, D> + ?Sized),
    params: RpCholeskyParams,
    observer: &mut Observer<'_>,
) -> Result<RpCholesky<T, D>> {
    let shape = a.shape();
    let n = shape.0;
    check_shape(op, "a", shape, (n, n))?;
    params.target.check(op, shape)?;
    check_least(op, "block_size", params.block_size, 1)?;
    let limit = params.target.limit(params.max_rank, n);
    let mut run = Run::start(op, a, limit.min(params.block_size.max(64)))?;
    let mut rounds = 0;
    while run.pivots.len() < limit && !run.reached(params.target) {
        let proposals = run.propose(params.seed, rounds, params.block_size.min(n));
        if proposals.is_empty() {
            break;
        }
        run.take(op, a, &proposals, limit)?;
        rounds += 1;
        let error = Some(run.relative());
        let progress = Progress { rank: run.pivots.len(), passes: rounds as usize, error };
        if observer(&progress).is_break() {
            break;
        }
    }
    run.finish()
}
