//! A ≈ U Λ Uᵀ for symmetric A, indefinite or not: Rayleigh-Ritz on the range that [`qb`](super::qb()) finds.
//!
//! Q spans what q power passes make of a Gaussian block, H = QᵀAQ = VΛVᵀ on the host in `f64`, U = QV, cut to the
//! eigenvalues of largest magnitude. AQ is there already, so the residuals ‖Auᵢ − λᵢuᵢ‖ cost no pass: around each λᵢ, within its
//! residual, lies an eigenvalue of A.
//!
//! ‖A − UΛUᵀ‖² = ‖A‖² − ‖Λ‖² exactly, for Rayleigh quotients λᵢ = uᵢᵀAuᵢ. It is at most √2 times ‖A − QQᵀA‖, which a search to
//! a tolerance brings below half of it: what is left of the factor 2 is for the spread of probes.
//!
//! Limits: eigenvalues of equal magnitude and opposite sign are told apart by the Rayleigh-Ritz step, not by power passes; for a
//! positive semidefinite A [`nystrom`](super::nystrom()) is more accurate for the same passes.
//!
//! Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, §5.3.

use super::estimate::{ErrorEstimate, ErrorKind, Probes, bound_factor, identity_floor};
use super::host::small_eigen;
use super::psd::symmetric_core;
use super::qb::QbParams;
use super::range::{Observer, PROBES, Range, find};
use super::rsvd::{RsvdParams, reconstruct};
use super::transfer::upload_columns;
use super::{Progress, Target};
use crate::operator::{column_squares, norm_fro};
use crate::{Backend, Cpu, Device, LinearOperator, Mat, MatMut, MatRef, Result, Scalar, scalar};
use core::ops::ControlFlow;

/// What [`eigh_randomized`] is asked for: the parameters of [`rsvd`](super::rsvd()), by which its range is found.
pub type EighParams = RsvdParams;

/// A ≈ U·diag(values)·Uᵀ.
#[derive(Debug)]
pub struct Eigh<T: Scalar, D: Device = Cpu> {
    /// n×k, orthonormal columns.
    pub u: Mat<T, D>,
    /// The k eigenvalues by falling magnitude, on the host.
    pub values: Vec<T>,
    /// ‖Auᵢ − λᵢuᵢ‖ for each pair, computed: A has an eigenvalue as close as that to λᵢ.
    pub residuals: Vec<f64>,
    /// ‖A − UΛUᵀ‖_F.
    pub error: ErrorEstimate,
    /// How often A was multiplied by a block: 2q + 2 to a rank, one more when the error was probed.
    pub passes: usize,
}

impl<T: Scalar, D: Device> Eigh<T, D> {
    /// The number of eigenvalues.
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// U·diag(values)·Uᵀ. 2n²k flops.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn reconstruct(&self) -> Result<Mat<T, D>>
    where
        D: Backend<T>,
    {
        reconstruct(&self.u, &self.values, self.u.transpose())
    }
}

/// The eigenpairs of largest magnitude of a symmetric A, to a rank or to a relative tolerance.
///
/// Dense, sparse or any [`LinearOperator`] that is symmetric: only [`LinearOperator::apply`] is called.
///
/// # Errors
/// [`Error::NotSymmetric`](crate::Error::NotSymmetric) when QᵀAQ shows it beyond rounding; [`Error::ShapeMismatch`](crate::Error::ShapeMismatch)
/// unless A is square; else as
/// [`qb`](super::qb()).
///
/// # Cost
/// (2q + 2)·2n²(k + p) flops in passes over a dense A, about 20n(k + p)² beside and O((k + p)³) on the host; memory for
/// about 4n(k + p) entries.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{EighParams, eigh_randomized}};
/// let a = Mat::from_fn(&Cpu::new(), 200, 200, |i, j| ((i * j) as f64).cos() / (1 + i + j) as f64)?;
/// let eigh = eigh_randomized(&a, EighParams::rank(6))?;
/// assert!(eigh.values.iter().any(|&x| x < 0.0) && eigh.residuals[0] < 1e-3);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn eigh_randomized<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: EighParams,
) -> Result<Eigh<T, D>> {
    decompose("eigh_randomized", a, params, &mut |_| ControlFlow::Continue(()))
}

/// [`eigh_randomized`], which tells `progress` after every second pass over A how far it has come; the error it tells is
/// that of ‖A − QQᵀA‖_F.
///
/// `ControlFlow::Break` ends the search: what has been found is the result, and its error says how far it is from A.
///
/// # Errors
/// As [`eigh_randomized`].
pub fn eigh_randomized_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: EighParams,
    mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Eigh<T, D>> {
    decompose("eigh_randomized_with_progress", a, params, &mut progress)
}

/// A symmetric operator, whose adjoint is itself.
struct Symmetric<'a, A: ?Sized>(&'a A);

impl<T: Scalar, D: Device, A: LinearOperator<T, D> + ?Sized> LinearOperator<T, D>
    for Symmetric<'_, A>
{
    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn device(&self) -> &D {
        self.0.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        self.0.apply(x, y)
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        self.0.apply(x, y)
    }

    fn norm_fro(&self) -> Result<Option<f64>> {
        self.0.norm_fro()
    }

    fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        self.0.find_non_finite()
    }
}

fn decompose<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: EighParams,
    observer: &mut Observer<'_>,
) -> Result<Eigh<T, D>> {
    let (n, device) = (a.shape().0, a.device());
    crate::error::check_shape(op, "a", a.shape(), (n, n))?;
    let asked = params.qb;
    asked.check(op, (n, n))?;
    let mut plan = asked.oversampled(params.oversampling, n);
    if let Target::Tolerance(tolerance) = asked.target {
        plan.target = Target::Tolerance(0.5 * tolerance);
    }
    let mut range = find(op, &Symmetric(a), &plan, observer)?;
    let l = range.q.len();
    // Bᵀ = AQ at a scale where squares are safe, on the host and in T.
    let mut bt = range.bt.as_ref().to_owned()?;
    let exponent = super::psd::normalise(&mut bt.as_mut())?;
    let unscaled = |x: f64| scalar::scale_by_power(x, exponent);
    let size = norm_fro(bt.as_ref())?;
    let limit = 32.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt() * size;
    let core = symmetric_core(op, range.q.as_ref(), bt.as_ref(), limit, unscaled)?;
    let (values, vectors) = small_eigen(op, faer::MatRef::from_column_major_slice(&core, l, l))?;
    let mut order: Vec<usize> = (0..l).collect();
    order.sort_by(|&i, &j| values[j].abs().total_cmp(&values[i].abs()));
    let values: Vec<f64> = order.iter().map(|&i| values[i]).collect();
    let vectors = faer::Mat::from_fn(l, l, |i, j| vectors[(i, order[j])]);
    let noise = 2.0 * T::UNIT_ROUNDOFF * n as f64 * values.first().map_or(0.0, |x| x.abs());
    let numerical = values.iter().take_while(|x| x.abs() > noise).count();

    let v = upload_columns::<T, D>(device, vectors.as_ref(), numerical)?;
    let mut u = Mat::scratch(device, n, numerical)?;
    device.gemm(T::one(), range.q.as_ref(), v.as_ref(), T::zero(), u.as_mut())?;
    let left = Left::of(a, &mut range, &values[..numerical], exponent, u.as_ref(), asked)?;
    let k = match asked.target {
        Target::Rank(k) => k.min(numerical),
        Target::Tolerance(tolerance) => (0..numerical)
            .find(|&k| left.error(&values[k..numerical], exponent).relative <= tolerance)
            .unwrap_or(numerical),
    };
    let error = left.error(&values[k..numerical], exponent);
    let u = u.truncate_columns(k);
    // AU − UΛ, of which AU = (AQ)·V.
    let mut gaps = u.try_clone()?;
    let rounded: Vec<T> = values[..k].iter().map(|&x| T::from_f64(x)).collect();
    device.scale_columns(&rounded, gaps.as_mut())?;
    let v = v.columns(0..k);
    device.gemm(T::one(), bt.as_ref(), v, -T::one(), gaps.as_mut())?;
    let sums = column_squares(gaps.as_ref(), 0)?;
    let residuals = sums.into_iter().map(|sum| unscaled(sum.sqrt())).collect();
    let values = values[..k].iter().map(|&x| T::from_f64(unscaled(x))).collect();
    Ok(Eigh { u, values, residuals, error, passes: range.passes })
}

/// What all Ritz pairs leave of A, and ‖A‖_F.
struct Left {
    absolute: f64,
    norm: f64,
    kind: ErrorKind,
}

impl Left {
    /// The identity where it has digits, else probes.
    fn of<T: Scalar, D: Backend<T>>(
        a: &(impl LinearOperator<T, D> + ?Sized),
        range: &mut Range<T, D>,
        values: &[f64],
        exponent: i32,
        u: MatRef<'_, T, D>,
        asked: QbParams,
    ) -> Result<Self> {
        let zero = Self { absolute: 0.0, norm: 0.0, kind: ErrorKind::Identity };
        let found = scalar::scale_by_power(norm(values), exponent);
        let identity = match range.norm {
            Some(0.0) => return Ok(zero),
            Some(norm) if asked.failure_probability.is_none() => {
                let relative = (1.0 - (found / norm).powi(2)).max(0.0).sqrt();
                let absolute = relative * norm;
                Some(Self { absolute, norm, kind: ErrorKind::Identity })
            }
            _ => None,
        };
        if let Some(left) = identity
            && left.absolute >= identity_floor::<T>() * left.norm
        {
            return Ok(left);
        }
        // EΩ = AΩ − UΛ(UᵀΩ).
        let Probes { omega, mut products, norm: size, .. } = match range.probes.take() {
            Some(probes) => probes,
            None => {
                range.passes += 1;
                Probes::draw(a, asked.seed, PROBES)?
            }
        };
        let (device, k) = (u.device(), values.len());
        let mut shares = Mat::scratch(device, PROBES, k)?;
        device.gemm(T::one(), omega.transpose(), u, T::zero(), shares.as_mut())?;
        let unscaled = |&x: &f64| T::from_f64(scalar::scale_by_power(x, exponent));
        let factors: Vec<T> = values.iter().map(unscaled).collect();
        device.scale_columns(&factors, shares.as_mut())?;
        device.gemm(-T::one(), u, shares.transpose(), T::one(), products.as_mut())?;
        let estimate = norm_fro(products.as_ref())? / (PROBES as f64).sqrt();
        let bound =
            matches!(asked.target, Target::Tolerance(_)) || asked.failure_probability.is_some();
        let (absolute, kind) = if bound {
            let failure_probability =
                asked.failure_probability.unwrap_or(super::range::STOPPING_PROBABILITY);
            let tests = range.blocks.max(1) as f64;
            let share = failure_probability / (tests * (tests + 1.0));
            let rounding = 8.0 * T::UNIT_ROUNDOFF * (k as f64).sqrt() * size;
            let bound = estimate * bound_factor(PROBES, share) + rounding;
            (bound, ErrorKind::Bound { failure_probability })
        } else {
            (estimate, ErrorKind::Estimate { probes: PROBES })
        };
        let largest = found.max(absolute);
        let whole = match range.norm {
            Some(norm) => norm,
            None if largest == 0.0 => return Ok(Self { kind, ..zero }),
            None => largest * ((found / largest).powi(2) + (absolute / largest).powi(2)).sqrt(),
        };
        Ok(Self { absolute, norm: whole, kind })
    }

    /// The error when the pairs with the values `cut` are left out as well, which are orthogonal to the rest.
    fn error(&self, cut: &[f64], exponent: i32) -> ErrorEstimate {
        if self.norm == 0.0 {
            return ErrorEstimate { absolute: 0.0, relative: 0.0, kind: self.kind };
        }
        let share = scalar::scale_by_power(norm(cut), exponent) / self.norm;
        let left = self.absolute / self.norm;
        let relative = (left * left + share * share).sqrt();
        ErrorEstimate { absolute: relative * self.norm, relative, kind: self.kind }
    }
}

/// The 2-norm of values near 1.
fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}
