//! Conjugate gradients with a preconditioner: (A + μI) x = b for positive semidefinite A.
//!
//! The recurrences are those of Chronopoulos and Gear: all inner products of an iteration, uᵀr, uᵀw, rᵀr with u = M r and
//! w = (A + μI)u, are taken at one point, and the step is
//! α = uᵀr/(uᵀw − β·uᵀr/α'), β = uᵀr/u'ᵀr', a prime being the iteration before. So an iteration reads some numbers a column from
//! the device, once; it takes a product with A and one with M.
//!
//! The divisor is pᵀ(A + μI)p for the direction p of the step: it shows an indefinite matrix.
//!
//! Recurrences drift away from b − (A + μI)x. When theirs is small, the residual is computed anew, and the iteration
//! starts again from that where it is not as small. What is returned was computed from x.
//!
//! A right-hand side that is finished does not change any more; when half of the columns are finished, the others go on
//! without them.
//!
//! Limits: the residual falls by a factor (√κ − 1)/(√κ + 1) an iteration in the energy norm, κ = cond(M(A + μI)), or as
//! clusters of eigenvalues allow; it cannot fall below some u·κ(A + μI)^½ to u·κ(A + μI) of ‖b‖.
//!
//! Source: Hestenes and Stiefel, 1952; Chronopoulos and Gear, "s-step iterative methods for symmetric linear systems", 1989;
//! the restarts are ours.

use super::columns::{
    add, column_exponents, gather, products, scale_columns, scaled_columns, scatter,
};
use super::report::{
    Convergence, Correctable, Correction, Journal, Observer, Residual, Solution, SolveProgress,
    State, StopReason, norms, solve_by_corrections, tolerance_for,
};
use crate::decomp::{Turned, explain_non_finite, far_exponent, scale_exactly};
use crate::error::check_shape;
use crate::scalar::scale_by_power;
use crate::{Backend, Device, Error, LinearOperator, Mat, MatMut, MatRef, Result, Scalar};
use core::ops::ControlFlow;

/// What [`cg`] is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CgParams {
    shift: f64,
    tolerance: Option<f64>,
    max_iterations: Option<usize>,
}

impl CgParams {
    /// μ ≥ 0: solves (A + μI)x = b. Default 0.
    pub fn shift(self, mu: f64) -> Self {
        Self { shift: mu, ..self }
    }

    /// Ends at ‖b − (A + μI)x‖ ≤ `tolerance`·‖b‖. Default u^(2/3): 2·10⁻¹¹ in f64, 2·10⁻⁵ in f32, which is reached for
    /// conditions up to some 10⁵, and 10².
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance: Some(tolerance), ..self }
    }

    /// Iterations at most, those of all restarts together. Default 2n, at least 100.
    pub fn max_iterations(self, iterations: usize) -> Self {
        Self { max_iterations: Some(iterations), ..self }
    }
}

/// (A + μI)X = B for positive semidefinite A, n×n, and B, n×p, by conjugate gradients, from products alone.
///
/// `preconditioner` is M ≈ (A + μI)⁻¹, positive definite, up to a factor: its [`apply`](LinearOperator::apply) is called,
/// as that of A; a [`NystromPreconditioner`](super::NystromPreconditioner) is one. `None` is M = I. Each right-hand
/// side has its own iteration, but products are taken for all at once.
///
/// [`Convergence::backward_error`] is ‖b − (A + μI)x‖/(‖A + μI‖·‖x‖ + ‖b‖) for a ‖A + μI‖ that is the largest Rayleigh quotient met,
/// which is below the norm: the least relative change of matrix and b that x solves exactly, or a bound of it. With a
/// preconditioner, which turns directions to those of small eigenvalues, it may be far above.
///
/// # Errors
/// [`Error::ShapeMismatch`] unless A is square and B and the preconditioner fit; [`Error::InvalidArgument`] for
/// parameters out of range; [`Error::NonFinite`] with the position in A, or with `op` "cg, right-hand side" in B;
/// [`Error::Overflow`] when a product leaves the range of T; [`Error::OutOfMemory`]. An A that turns out to be indefinite, and
/// an iteration that does not reach the tolerance, are no errors: [`Convergence::reason`] says so.
///
/// # Cost
/// An iteration takes a product with A, one with M, and some 20np flops, and one read of 2p numbers, 6p with a preconditioner.
/// Its norm comes with the product of the next one, so a solution takes two products more than iterations, one of which
/// computes the residual. Memory for about 10np entries.
///
/// ```
/// use randnla::solve::{CgParams, StopReason, cg};
/// use randnla::{Cpu, Mat};
/// let (cpu, n) = (Cpu::new(), 200);
/// let a = Mat::from_fn(&cpu, n, n, |i, j| 0.5f64.powi((i as i32 - j as i32).abs()))?;
/// let b = Mat::from_fn(&cpu, n, 2, |i, j| ((i + 7 * j) as f64).sin())?;
/// let found = cg(&a, None, b.as_ref(), CgParams::default().shift(0.1))?;
/// assert!(found.converged() && found.columns[1].reason == StopReason::Converged);
/// assert!(found.columns[0].relative < 1e-10 && found.iterations() < 40);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cg<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: CgParams,
) -> Result<Solution<T, D>> {
    conjugate_gradients("cg", a, preconditioner, b, params, &mut |_| ControlFlow::Continue(()))
}

/// [`cg`], which tells `progress` after every iteration how far it has come.
///
/// `ControlFlow::Break` ends it: what has been found is the result, and its residuals say how good that is.
///
/// # Errors
/// As [`cg`].
pub fn cg_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: CgParams,
    mut progress: impl FnMut(&SolveProgress<'_>) -> ControlFlow<()>,
) -> Result<Solution<T, D>> {
    conjugate_gradients("cg_with_progress", a, preconditioner, b, params, &mut progress)
}

pub(super) fn conjugate_gradients<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: CgParams,
    observer: &mut Observer<'_>,
) -> Result<Solution<T, D>> {
    let (n, p, device) = (a.shape().0, b.ncols(), a.device());
    check_shape(op, "a", a.shape(), (n, n))?;
    let turned = Turned::new(a)?;
    let a = &turned;
    check_shape(op, "b", b.shape(), (n, p))?;
    if let Some(m) = preconditioner {
        check_shape(op, "preconditioner", m.shape(), (n, n))?;
        if !device.is_compatible(m.device()) {
            return Err(Error::DeviceMismatch { op, argument: "preconditioner" });
        }
    }
    if !device.is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "b" });
    }
    let shift = checked_shift::<T>(op, "shift", params.shift)?;
    let tolerance = tolerance_for::<T>(op, params.tolerance)?;
    let exponents = column_exponents("cg, right-hand side", b)?;
    let scaled = scaled_columns(b, &exponents, -1)?;
    let b = scaled.as_ref().map_or(b, |b| b.as_ref());
    let mut system = System {
        op,
        a,
        preconditioner,
        b,
        sizes: norms(b)?,
        shift: T::from_f64(shift),
        tolerance,
        scales: None,
        largest: 0.0,
        products: 0,
    };
    let limit = params.max_iterations.unwrap_or(n.saturating_mul(2).max(100));
    let mut journal = Journal::new(p, limit, observer);
    let mut x = Mat::zeros(device, n, p)?;
    let ends = solve_by_corrections(&mut system, &mut x.as_mut(), &mut journal)?;
    let lengths = norms(x.as_ref())?;
    let columns = (0..p).map(|j| {
        let ((reason, State { residual, .. }), size) = (ends[j], system.sizes[j]);
        let history = core::mem::take(&mut journal.histories[j]);
        let ratio = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x / y };
        Convergence {
            reason,
            iterations: history.len().saturating_sub(1),
            residual: scale_by_power(residual, exponents[j]),
            relative: ratio(residual, size),
            backward_error: ratio(residual, system.largest * lengths[j] + size),
            history,
        }
    });
    let columns = columns.collect();
    let products = system.products;
    // The iteration ran on the matrix scaled by 2^-e.
    let (_, e) = system.scales.unwrap_or_default();
    let exponents: Vec<i32> = exponents.iter().map(|f| f - e).collect();
    let x = scaled_columns(x.as_ref(), &exponents, 1)?.unwrap_or(x);
    Ok(Solution { x, columns, products })
}

/// A number ≥ 0 as T holds it.
pub(super) fn checked_shift<T: Scalar>(
    op: &'static str,
    name: &'static str,
    shift: f64,
) -> Result<f64> {
    if !(shift >= 0.0 && shift.is_finite()) {
        return Err(Error::invalid(op, name, shift, "at least 0, finite"));
    }
    let rounded = T::from_f64(shift).to_f64();
    if !rounded.is_finite() || (rounded == 0.0) != (shift == 0.0) {
        return Err(Error::invalid(
            op,
            name,
            shift,
            format!("numbers in the range of {}", T::NAME),
        ));
    }
    Ok(rounded)
}

/// The system for all right-hand sides. The iteration runs on (A + μI)·2^-e and M·2^-f, so that no inner product leaves
/// the range of T.
struct System<'a, T: Scalar, D: Device, A: ?Sized> {
    op: &'static str,
    a: &'a A,
    preconditioner: Option<&'a dyn LinearOperator<T, D>>,
    b: MatRef<'a, T, D>,
    /// ‖b‖ of every column.
    sizes: Vec<f64>,
    shift: T,
    tolerance: f64,
    /// f and e, once the first products have been seen.
    scales: Option<(i32, i32)>,
    /// The largest Rayleigh quotient.
    largest: f64,
    products: usize,
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> System<'_, T, D, A> {
    /// U = M R where there is a preconditioner, and W = (A + μI)U, in a block of U, R and W, or of R and W.
    fn images(&mut self, block: &mut Mat<T, D>, q: usize) -> Result<()> {
        let device = self.a.device();
        let (mut f, mut e) = self.scales.unwrap_or_default();
        let all = block.ncols();
        let (before, mut w) = block.as_mut().split_at_col(all - q);
        let (mut u, r) = before.split_at_col(q);
        if let Some(m) = self.preconditioner {
            m.apply(r.as_ref(), u.as_mut())?;
            if self.scales.is_none() {
                let overflow = Error::Overflow {
                    op: self.op,
                    what: "a product with the preconditioner",
                    dtype: T::NAME,
                };
                f = far_exponent(device.max_abs(u.as_ref())?).ok_or(overflow)?;
            }
            if f != 0 {
                scale_exactly(&mut u, -f)?;
            }
        }
        self.apply_unscaled(u.as_ref(), w.as_mut())?;
        if self.scales.is_none() {
            let Some(exponent) = far_exponent(device.max_abs(w.as_ref())?) else {
                explain_non_finite(self.op, self.a, w.as_ref())?;
                unreachable!("the largest entry is not finite");
            };
            e = exponent;
            self.scales = Some((f, e));
        }
        if e != 0 {
            scale_exactly(&mut w, -e)?;
        }
        Ok(())
    }

    fn apply_unscaled(&mut self, x: MatRef<'_, T, D>, mut y: MatMut<'_, T, D>) -> Result<()> {
        self.a.apply(x, y.as_mut())?;
        self.products += 1;
        if self.shift != T::zero() {
            self.a.device().axpby(self.shift, x, T::one(), y)?;
        }
        Ok(())
    }

    fn non_finite(&self, w: MatRef<'_, T, D>) -> Error {
        let op = self.op;
        let overflow = Error::Overflow { op, what: "an inner product", dtype: T::NAME };
        explain_non_finite(op, self.a, w).err().unwrap_or(overflow)
    }
}

/// A block of right-hand sides under way.
struct Run<T: Scalar, D: Device> {
    /// U, R and W side by side, or R and W.
    block: Mat<T, D>,
    direction: Mat<T, D>,
    image: Mat<T, D>,
    step: Mat<T, D>,
    spare: Mat<T, D>,
    /// Which columns of the result these are.
    index: Vec<usize>,
    /// uᵀr and the step, of the last iteration.
    gamma: Vec<f64>,
    alpha: Vec<f64>,
    going: Vec<bool>,
}

impl<T: Scalar, D: Backend<T>> Run<T, D> {
    /// Only the columns that go on; the steps of the others are in `steps`.
    fn compact(&mut self, steps: &mut Mat<T, D>) -> Result<()> {
        let q = self.index.len();
        let (stay, leave): (Vec<usize>, Vec<usize>) = (0..q).partition(|&j| self.going[j]);
        let index: Vec<usize> = leave.iter().map(|&j| self.index[j]).collect();
        scatter(gather(self.step.as_ref(), &leave)?.as_ref(), &index, steps.as_mut())?;
        let fields = self.block.ncols() / q;
        let blocks: Vec<usize> =
            (0..fields).flat_map(|k| stay.iter().map(move |&j| k * q + j)).collect();
        self.block = gather(self.block.as_ref(), &blocks)?;
        for x in [&mut self.direction, &mut self.image, &mut self.step, &mut self.spare] {
            *x = gather(x.as_ref(), &stay)?;
        }
        for x in [&mut self.gamma, &mut self.alpha] {
            *x = stay.iter().map(|&j| x[j]).collect();
        }
        self.index = stay.iter().map(|&j| self.index[j]).collect();
        self.going = vec![true; stay.len()];
        Ok(())
    }
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> Correctable<T, D>
    for System<'_, T, D, A>
{
    fn residual(
        &mut self,
        x: Option<MatRef<'_, T, D>>,
        columns: &[usize],
    ) -> Result<Residual<T, D>> {
        let device = self.a.device();
        let mut start = gather(self.b, columns)?;
        if let Some(x) = x {
            let mut image = Mat::scratch(device, x.nrows(), x.ncols())?;
            self.apply_unscaled(x, image.as_mut())?;
            let (_, e) = self.scales.unwrap_or_default();
            if e != 0 {
                scale_exactly(&mut image.as_mut(), -e)?;
            }
            device.axpby(-T::one(), image.as_ref(), T::one(), start.as_mut())?;
        }
        let found = norms(start.as_ref())?;
        let states = found.iter().zip(columns).map(|(&residual, &column)| {
            let reached = residual <= self.tolerance * self.sizes[column];
            State { residual, error: residual, reached: reached.then_some(StopReason::Converged) }
        });
        Ok(Residual { states: states.collect(), start })
    }

    fn correct(
        &mut self,
        start: Mat<T, D>,
        columns: &[usize],
        journal: &mut Journal<'_, '_>,
    ) -> Result<Correction<T, D>> {
        let (device, (n, q)) = (self.a.device(), start.shape());
        let fields = if self.preconditioner.is_some() { 3 } else { 2 };
        let left = fields - 1;
        let mut run = Run {
            block: Mat::scratch(device, n, fields * q)?,
            direction: Mat::zeros(device, n, q)?,
            image: Mat::zeros(device, n, q)?,
            step: Mat::zeros(device, n, q)?,
            spare: Mat::scratch(device, n, q)?,
            index: (0..q).collect(),
            gamma: vec![f64::INFINITY; q],
            alpha: vec![f64::INFINITY; q],
            going: vec![true; q],
        };
        let r = run.block.as_mut().columns((left - 1) * q..left * q);
        device.axpby(T::one(), start.as_ref(), T::zero(), r)?;
        let mut steps = Mat::zeros(device, n, q)?;
        let mut ended = vec![None; q];
        let again = !journal.histories[columns[0]].is_empty();
        let mut begun = false;
        while run.going.iter().any(|&going| going) {
            let q = run.index.len();
            if 2 * run.going.iter().filter(|&&going| going).count() <= q {
                run.compact(&mut steps)?;
            }
            let q = run.index.len();
            self.images(&mut run.block, q)?;
            let found = products(run.block.as_ref(), q, left)?;
            if found.iter().any(|x| !x.is_finite()) {
                return Err(self.non_finite(run.block.columns(left * q..fields * q)));
            }
            let at = |j: usize, k: usize, l: usize| found[(j * fields + l) * left + k];
            let halt = if begun { journal.step() } else { None };
            let (mut alpha, mut beta) = (vec![0.0; q], vec![0.0; q]);
            for j in 0..q {
                if !run.going[j] {
                    continue;
                }
                let (local, column) = (run.index[j], columns[run.index[j]]);
                // U and W are the first and the last, R is the one before W.
                let (uu, gamma) = (at(j, 0, 0), at(j, 0, left - 1));
                let (uw, rr) = (at(j, 0, left), at(j, left - 1, left - 1));
                let norm = rr.max(0.0).sqrt();
                // What a restart begins with has been told.
                if begun || !again {
                    journal.note(column, norm / self.sizes[column]);
                }
                let stop = if norm <= self.tolerance * self.sizes[column] || rr == 0.0 {
                    Some(None)
                } else if gamma <= 0.0 {
                    Some(Some(StopReason::IndefinitePreconditioner))
                } else if uw <= 0.0 {
                    Some(Some(StopReason::Indefinite))
                } else {
                    halt.map(Some)
                };
                if uu > 0.0 {
                    self.largest = self.largest.max(uw / uu);
                }
                beta[j] = gamma / run.gamma[j];
                let curvature = uw - beta[j] * gamma / run.alpha[j];
                // pᵀ(A + μI)p. What rounding has made of a small one is mended by a restart.
                let noise = T::UNIT_ROUNDOFF.sqrt() * (uw + beta[j] * gamma / run.alpha[j]);
                let indefinite = (curvature < -noise).then_some(StopReason::Indefinite);
                let stop = stop.or((curvature <= 0.0).then_some(indefinite));
                if let Some(reason) = stop {
                    (run.going[j], beta[j]) = (false, 0.0);
                    ended[local] = reason;
                    continue;
                }
                alpha[j] = gamma / curvature;
                (run.gamma[j], run.alpha[j]) = (gamma, alpha[j]);
            }
            begun = true;
            let (before, w) = run.block.as_mut().split_at_col(left * q);
            let (u, r) = before.split_at_col((left - 1) * q);
            let u = if left == 1 { r.as_ref() } else { u.as_ref() };
            for (x, y) in [(u, &mut run.direction), (w.as_ref(), &mut run.image)] {
                scale_columns(&beta, y.as_mut())?;
                device.axpby(T::one(), x, T::one(), y.as_mut())?;
            }
            add(run.step.as_mut(), &alpha, run.direction.as_ref(), &mut run.spare)?;
            alpha.iter_mut().for_each(|x| *x = -*x);
            add(r, &alpha, run.image.as_ref(), &mut run.spare)?;
        }
        scatter(run.step.as_ref(), &run.index, steps.as_mut())?;
        Ok(Correction { step: steps, ended })
    }
}
