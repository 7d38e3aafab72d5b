//! The randomised singular value decomposition A ≈ U Σ Vᵀ.
//!
//! The basis Q of [`qb`](super::qb()) turns A into Bᵀ = AᵀQ. Then Bᵀ = Q₂R by the same block
//! CholeskyQR, R = WΣXᵀ on the host in `f64`, U = QX and V = Q₂W: beside the passes over A, two thin
//! products and an SVD of order l.
//!
//! Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, §5.

use super::basis::Basis;
use super::estimate::ErrorEstimate;
use super::host::{SmallSvd, small_svd};
use super::qb::QbParams;
use super::range::{Observer, Range, find};
use super::transfer::{download, upload_columns};
use super::turned::Turned;
use super::{Progress, Target};
use crate::{Backend, Cpu, Device, Error, LinearOperator, Mat, MatRef, Result, Scalar, scalar};
use core::ops::ControlFlow;

/// What [`rsvd`] and, as [`EighParams`](super::EighParams), [`eigh_randomized`](super::eigh_randomized) are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RsvdParams {
    pub(super) qb: QbParams,
    pub(super) oversampling: usize,
}

impl RsvdParams {
    /// The leading `rank` singular triplets, or eigenpairs of largest magnitude (fewer when the numerical rank of A is
    /// smaller).
    pub fn rank(rank: usize) -> Self {
        Self { qb: QbParams::rank(rank), oversampling: 10 }
    }

    /// The smallest rank found with ‖A − UΣVᵀ‖_F, or ‖A − UΛUᵀ‖_F, ≤ `tolerance`·‖A‖_F.
    pub fn tolerance(tolerance: f64) -> Self {
        Self { qb: QbParams::tolerance(tolerance), oversampling: 0 }
    }

    /// p: columns of the basis beyond the rank. Default 10; a search to a tolerance ignores it.
    pub fn oversampling(self, oversampling: usize) -> Self {
        Self { oversampling, ..self }
    }

    /// q, as [`QbParams::power_passes`]: A is multiplied 2q + 2 times. Default 2.
    pub fn power_passes(self, power_passes: usize) -> Self {
        Self { qb: self.qb.power_passes(power_passes), ..self }
    }

    /// Block Krylov, as [`QbParams::krylov`]. Default false.
    pub fn krylov(self, krylov: bool) -> Self {
        Self { qb: self.qb.krylov(krylov), ..self }
    }

    /// Columns of a start block, as [`QbParams::block_size`].
    pub fn block_size(self, block_size: usize) -> Self {
        Self { qb: self.qb.block_size(block_size), ..self }
    }

    /// Where a search to a tolerance ends. Default min(m, n).
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { qb: self.qb.max_rank(max_rank), ..self }
    }

    /// The seed of the test matrix. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { qb: self.qb.seed(seed), ..self }
    }

    /// Report a bound, as [`QbParams::failure_probability`].
    pub fn failure_probability(self, probability: f64) -> Self {
        Self { qb: self.qb.failure_probability(probability), ..self }
    }
}

/// A ≈ U·diag(s)·Vᵀ.
#[derive(Debug)]
pub struct Svd<T: Scalar, D: Device = Cpu> {
    /// m×k, orthonormal columns.
    pub u: Mat<T, D>,
    /// The k singular values, falling, on the host.
    pub s: Vec<T>,
    /// k×n, orthonormal rows.
    pub vt: Mat<T, D>,
    /// ‖A − U·diag(s)·Vᵀ‖_F.
    pub error: ErrorEstimate,
    /// How often A was multiplied by a block: 2q + 2 to a rank, one more when the error was probed; 1 of a stream.
    pub passes: usize,
}

impl<T: Scalar, D: Device> Svd<T, D> {
    /// The number of singular values.
    pub fn rank(&self) -> usize {
        self.s.len()
    }

    /// U·diag(s)·Vᵀ. 2mnk flops.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn reconstruct(&self) -> Result<Mat<T, D>>
    where
        D: Backend<T>,
    {
        reconstruct(&self.u, &self.s, self.vt.as_ref())
    }
}

/// U·diag(values)·Vᵀ.
pub(super) fn reconstruct<T: Scalar, D: Backend<T>>(
    u: &Mat<T, D>,
    values: &[T],
    vt: MatRef<'_, T, D>,
) -> Result<Mat<T, D>> {
    let device = u.device();
    let mut scaled = u.try_clone()?;
    device.scale_columns(values, scaled.as_mut())?;
    let mut a = Mat::scratch(device, u.nrows(), vt.ncols())?;
    device.gemm(T::one(), scaled.as_ref(), vt, T::zero(), a.as_mut())?;
    Ok(a)
}

/// The leading singular triplets of A, to a rank or to a relative tolerance.
///
/// Dense, sparse or any [`LinearOperator`]; tall and wide alike. With the defaults the Frobenius
/// error is within 1 % of the best of that rank on polynomially decaying spectra.
///
/// # Errors
/// As [`qb`](super::qb()).
///
/// # Cost
/// (2q + 2)·2mn(k + p) flops in passes over A, O((m + n)(k + p)²) beside, memory for about
/// 3(m + n)(k + p) entries. ‖A‖_F is one more reading of a dense A. On a GPU a sparse A is kept in both orders
/// meanwhile.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{RsvdParams, rsvd}};
/// let a = Mat::from_fn(&Cpu::new(), 300, 200, |i, j| 1.0 / (1 + i + j) as f64)?;
/// let svd = rsvd(&a, RsvdParams::rank(8).seed(7))?;
/// assert_eq!((svd.u.shape(), svd.vt.shape()), ((300, 8), (8, 200)));
/// println!("‖A − USVᵀ‖ / ‖A‖ = {:.1e} ({})", svd.error.relative, svd.error.kind);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn rsvd<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: RsvdParams,
) -> Result<Svd<T, D>> {
    decompose("rsvd", a, params.qb, params.oversampling, &mut |_| ControlFlow::Continue(()))
}

/// [`rsvd`], which tells `progress` after every second pass over A how far it has come.
///
/// `ControlFlow::Break` ends the search: what has been found is the result, and its error says how
/// far it is from A.
///
/// # Errors
/// As [`rsvd`].
///
/// ```
/// use core::ops::ControlFlow;
/// use randnla::{Cpu, Mat, decomp::{RsvdParams, rsvd_with_progress}};
/// let a = Mat::from_fn(&Cpu::new(), 300, 200, |i, j| 1.0 / (1 + i + j) as f64)?;
/// // No patience for power passes: two passes over A, and the error that comes with them.
/// let params = RsvdParams::rank(8).power_passes(5);
/// let svd = rsvd_with_progress(&a, params, |_| ControlFlow::Break(()))?;
/// assert_eq!((svd.rank(), svd.passes), (8, 2));
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn rsvd_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: RsvdParams,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Svd<T, D>> {
    decompose("rsvd_with_progress", a, params.qb, params.oversampling, &mut progress)
}

/// [`rsvd`] of every matrix of a batch, as if one after the other, side by side where the device
/// can. The same seed serves all, so a matrix gives the same bits alone and in a batch.
///
/// # Errors
/// That of the first matrix that fails.
pub fn rsvd_batched<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + Sync>(
    batch: &[A],
    params: RsvdParams,
) -> Result<Vec<Svd<T, D>>> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    first.device().map_batch(batch.len(), |i| rsvd(&batch[i], params)).into_iter().collect()
}

/// The decomposition for a basis as `asked`, with `oversampling` columns beyond its rank.
pub(super) fn decompose<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    asked: QbParams,
    oversampling: usize,
    observer: &mut Observer<'_>,
) -> Result<Svd<T, D>> {
    let (m, n) = a.shape();
    asked.target.check(op, (m, n))?;
    let a = &Turned::new(a)?;
    let mut range = find(op, a, &asked.oversampled(oversampling, m.min(n)), observer)?;
    let device = a.device();
    let mut right = Basis::new(device, n, range.bt.len())?;
    let mut bt = range.bt.as_ref().to_owned()?;
    right.extend(op, bt.as_mut(), range.size)?;
    let small = small_factor(op, &range, &right)?;
    let k = rank::<T, D>(&range, asked.target, &small.s, m.max(n))?;
    let tail = norm(&small.s[k..]);
    let error = range.error(a, &asked, tail)?;
    let mut u = Mat::scratch(device, m, k)?;
    let left = upload_columns::<T, D>(device, small.v.as_ref(), k)?;
    device.gemm(T::one(), range.q.as_ref(), left.as_ref(), T::zero(), u.as_mut())?;
    let mut v = Mat::scratch(device, n, k)?;
    let w = upload_columns::<T, D>(device, small.u.as_ref(), k)?;
    device.gemm(T::one(), right.as_ref(), w.as_ref(), T::zero(), v.as_mut())?;
    let s = small.s[..k].iter().map(|&s| T::from_f64(s)).collect();
    Ok(Svd { u, s, vt: v.into_transposed(), error, passes: range.passes })
}

/// The SVD of R = Q₂ᵀBᵀ, computed at a scale where its largest entry is in [1, 2).
fn small_factor<T: Scalar, D: Backend<T>>(
    op: &'static str,
    range: &Range<T, D>,
    right: &Basis<T, D>,
) -> Result<SmallSvd> {
    let bt = range.bt.as_ref();
    let device = bt.device();
    let mut r = Mat::scratch(device, right.len(), bt.ncols())?;
    device.gemm(T::one(), right.as_ref().transpose(), bt, T::zero(), r.as_mut())?;
    let largest = device.max_abs(r.as_ref())?;
    if !largest.is_finite() {
        return Err(Error::Overflow { op, what: "QᵀA", dtype: T::NAME });
    }
    let e = if largest == 0.0 { 0 } else { scalar::exponent(largest) };
    let mut scaled = download(r.as_ref())?;
    scaled.col_iter_mut().for_each(|column| {
        column.iter_mut().for_each(|x| *x = scalar::scale_by_power(*x, -e));
    });
    let mut small = small_svd(op, scaled.as_ref())?;
    small.s.iter_mut().for_each(|s| *s = scalar::scale_by_power(*s, e));
    Ok(small)
}

/// How many of the values `s` belong to the result.
fn rank<T: Scalar, D: Backend<T>>(
    range: &Range<T, D>,
    target: Target,
    s: &[f64],
    longest: usize,
) -> Result<usize> {
    let noise = 2.0 * T::UNIT_ROUNDOFF * longest as f64 * s.first().copied().unwrap_or(0.0);
    let numerical = s.iter().take_while(|&&s| s > noise).count();
    let Target::Tolerance(tolerance) = target else {
        let Target::Rank(k) = target else { unreachable!("two kinds of target") };
        return Ok(k.min(numerical));
    };
    let (allowance, norm) = range.allowance(tolerance)?;
    let mut k = s.len();
    let mut tail = 0.0;
    while k > 0 {
        let share = s[k - 1] / norm;
        tail += share * share;
        if tail > allowance * allowance {
            break;
        }
        k -= 1;
    }
    Ok(k.min(numerical))
}

/// The 2-norm of falling values of any scale.
pub(super) fn norm(s: &[f64]) -> f64 {
    let largest = s.first().copied().unwrap_or(0.0);
    if largest == 0.0 {
        return 0.0;
    }
    largest * s.iter().map(|s| (s / largest).powi(2)).sum::<f64>().sqrt()
}
