//! LSQR with a right preconditioner: argmin ‖Ax − b‖² + λ‖x‖² from products alone.
//!
//! With Ã = [A; √λ·I] and x = N z, Golub and Kahan's bidiagonalisation of ÃN from b gives z in Krylov subspaces, each the
//! best of its subspace. The norms of its vectors are α and β, read by the host between the two products of an
//! iteration, since each product takes what the one before gives, normalised: two reads of a number a column.
//!
//! A recurrence tells the residual and its gradient. When it says that they are small they are computed anew from x, and the
//! iteration starts again from what is left where they are not. That is iterative refinement too: behind a preconditioner
//! the first solution has a backward error of u·cond(A), the second one of some u (see [`lstsq`](super::lstsq())).
//!
//! ‖ÃN‖ is taken to be the largest norm of a column of the bidiagonal matrix, which is below it, by a factor of 2 at
//! most once the largest singular values have been met.
//!
//! A right-hand side that is finished does not change any more.
//!
//! Limits: the error falls by a factor (κ − 1)/(κ + 1) an iteration, κ = cond(ÃN), or as clusters of singular values allow; without
//! preconditioner an ill-conditioned A takes far more than n. [`lstsq`](super::lstsq()) sketches A where that can be done, and is
//! backward stable.
//!
//! Source: Paige and Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares", ACM TOMS 1982; the
//! restarts are ours.

use super::bidiagonal::{Run, roots};
use super::columns::{column_exponents, gather, scaled_columns, scatter, sums};
use super::preconditioner::checked_root;
use super::report::{
    Convergence, Correctable, Correction, Journal, Observer, Residual, Solution, SolveProgress,
    State, StopReason, norms, solve_by_corrections, tolerance_for,
};
use crate::decomp::{Turned, explain_non_finite, far_exponent, scale_exactly};
use crate::error::check_shape;
use crate::scalar::scale_by_power;
use crate::{Backend, Device, Error, LinearOperator, Mat, MatMut, MatRef, Result, Scalar};
use core::ops::ControlFlow;

/// What [`lsqr`] is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LsqrParams {
    ridge: f64,
    tolerance: Option<f64>,
    max_iterations: Option<usize>,
}

impl LsqrParams {
    /// λ ≥ 0: minimises ‖Ax − b‖² + λ‖x‖². Default 0.
    pub fn ridge(self, lambda: f64) -> Self {
        Self { ridge: lambda, ..self }
    }

    /// Ends when the [`backward_error`](Convergence::backward_error) is not above this. Default u^(2/3): 2·10⁻¹¹ in
    /// f64, 2·10⁻⁵ in f32.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance: Some(tolerance), ..self }
    }

    /// Iterations at most, those of all restarts together. Default 2·min(m, n), at least 100.
    pub fn max_iterations(self, iterations: usize) -> Self {
        Self { max_iterations: Some(iterations), ..self }
    }
}

/// argmin ‖Ax − b‖² + λ‖x‖² for every column b of B, by LSQR.
///
/// A is dense, sparse or anything that multiplies, m×n; B is m×p. `preconditioner` is N, n×k, with A·N (with √λ·N below
/// it) well conditioned, and x is in its range; a [`SketchPreconditioner`](super::SketchPreconditioner) is one. `None` is N = I, for
/// which x has the least norm.
///
/// [`Convergence::backward_error`] is the least of ‖r‖/(‖Ã‖·‖x‖ + ‖b‖), ‖Ãᵀr‖/(‖Ã‖·‖r‖) and, with a preconditioner,
/// ‖NᵀÃᵀr‖/(‖ÃN‖·max(‖r‖, ‖Ã‖·‖x‖)), where r is the residual with −√λ·x below it and norms of matrices are from below: the relative change of Ã,
/// or of b, that makes x the solution is not above, as far as ÃN is well conditioned. Where the first one is small the reason is
/// [`StopReason::Converged`], else [`StopReason::LeastSquares`]. Without a preconditioner it does not fall below some
/// u·‖Ã‖·‖x‖/‖r‖.
///
/// # Errors
/// [`Error::ShapeMismatch`] when B or the preconditioner do not fit; [`Error::InvalidArgument`] for parameters out of
/// range; [`Error::NonFinite`] with the position in A, or with `op` "lsqr, right-hand side" in B; [`Error::Overflow`] when a
/// product leaves the range of T; [`Error::OutOfMemory`]. An iteration that does not reach the tolerance is no error:
/// [`Convergence::reason`] says so.
///
/// # Cost
/// An iteration takes a product with A, Aᵀ, N and Nᵀ each, some 10(m + n)p flops, and two reads of p numbers; a restart, and the end,
/// one product more with each. Memory for about 2mp + 6np entries.
///
/// ```
/// use randnla::solve::{LsqrParams, SketchPreconditioner, SketchPreconditionerParams, lsqr};
/// use randnla::{Cpu, Mat};
/// // Columns whose lengths are far apart.
/// let a = Mat::from_fn(&Cpu::new(), 900, 8, |i, j| ((i * (j + 3) + j) as f64).sin() * 0.1f64.powi(j as i32))?;
/// let b = Mat::from_fn(&Cpu::new(), 900, 1, |i, _| (i as f64).cos())?;
/// let n = SketchPreconditioner::new(&a, SketchPreconditionerParams::default())?;
/// let found = lsqr(&a, Some(&n), b.as_ref(), LsqrParams::default())?;
/// assert!(found.converged() && found.iterations() < 50);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn lsqr<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: LsqrParams,
) -> Result<Solution<T, D>> {
    bidiagonalise("lsqr", a, preconditioner, b, params, &mut |_| ControlFlow::Continue(()))
}

/// [`lsqr`], which tells `progress` after every iteration how far it has come.
///
/// `ControlFlow::Break` ends it: what has been found is the result, and its residuals say how good that is.
///
/// # Errors
/// As [`lsqr`].
pub fn lsqr_with_progress<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: LsqrParams,
    mut progress: impl FnMut(&SolveProgress<'_>) -> ControlFlow<()>,
) -> Result<Solution<T, D>> {
    bidiagonalise("lsqr_with_progress", a, preconditioner, b, params, &mut progress)
}

fn bidiagonalise<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    preconditioner: Option<&dyn LinearOperator<T, D>>,
    b: MatRef<'_, T, D>,
    params: LsqrParams,
    observer: &mut Observer<'_>,
) -> Result<Solution<T, D>> {
    let ((m, n), p, device) = (a.shape(), b.ncols(), a.device());
    check_shape(op, "b", b.shape(), (m, p))?;
    if let Some(inverse) = preconditioner {
        check_shape(op, "preconditioner", inverse.shape(), (n, inverse.shape().1))?;
        if !device.is_compatible(inverse.device()) {
            return Err(Error::DeviceMismatch { op, argument: "preconditioner" });
        }
    }
    if !device.is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "b" });
    }
    let root = checked_root::<T>(op, params.ridge)?;
    let tolerance = tolerance_for::<T>(op, params.tolerance)?;
    let exponents = column_exponents("lsqr, right-hand side", b)?;
    let scaled = scaled_columns(b, &exponents, -1)?;
    let b = scaled.as_ref().map_or(b, |b| b.as_ref());
    let turned = Turned::new(a)?;
    let mut problem = Problem {
        op,
        a: &turned,
        n: preconditioner,
        b,
        sizes: norms(b)?,
        root: T::from_f64(root),
        tolerance,
        exponent: None,
        norm: 0.0,
        plain_exponent: 0,
        plain_norm: 0.0,
        products: 0,
    };
    let limit = params.max_iterations.unwrap_or(m.min(n).saturating_mul(2).max(100));
    let mut journal = Journal::new(p, limit, observer);
    let mut x = Mat::zeros(device, n, p)?;
    let ends = solve_by_corrections(&mut problem, &mut x.as_mut(), &mut journal)?;
    let columns = (0..p).map(|j| {
        let ((reason, state), size) = (ends[j], problem.sizes[j]);
        let history = core::mem::take(&mut journal.histories[j]);
        Convergence {
            reason,
            iterations: history.len().saturating_sub(1),
            residual: scale_by_power(state.residual, exponents[j]),
            relative: if size == 0.0 { 0.0 } else { state.residual / size },
            backward_error: state.error,
            history,
        }
    });
    let columns = columns.collect();
    // The iteration ran on ÃN scaled by 2^-e.
    let e = problem.exponent.unwrap_or(0);
    let exponents: Vec<i32> = exponents.iter().map(|f| f - e).collect();
    let x = scaled_columns(x.as_ref(), &exponents, 1)?.unwrap_or(x);
    Ok(Solution { x, columns, products: problem.products })
}

/// The problem for all right-hand sides, as one of B = ÃN·2^-e, so that no square leaves the range of T.
struct Problem<'a, T: Scalar, D: Device, A: ?Sized> {
    op: &'static str,
    a: &'a A,
    n: Option<&'a dyn LinearOperator<T, D>>,
    b: MatRef<'a, T, D>,
    /// ‖b‖ of every column.
    sizes: Vec<f64>,
    /// √λ.
    root: T,
    tolerance: f64,
    /// e, once the first gradient has been seen.
    exponent: Option<i32>,
    /// ‖B‖ from below.
    norm: f64,
    /// f, and ‖Ã‖·2^-f from below.
    plain_exponent: i32,
    plain_norm: f64,
    products: usize,
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> Problem<'_, T, D, A> {
    /// Rows of Ã.
    fn height(&self) -> usize {
        let (m, n) = self.a.shape();
        if self.root == T::zero() { m } else { m + n }
    }

    /// N V, or V.
    fn unprecondition<'b>(
        &self,
        v: MatRef<'b, T, D>,
        memory: &'b mut Option<Mat<T, D>>,
    ) -> Result<MatRef<'b, T, D>> {
        let Some(inverse) = self.n else { return Ok(v) };
        let x = memory.insert(Mat::scratch(v.device(), self.a.shape().1, v.ncols())?);
        inverse.apply(v, x.as_mut())?;
        Ok(x.as_ref())
    }

    /// `Y ← 2^-e Ã X`.
    fn apply(&mut self, x: MatRef<'_, T, D>, mut y: MatMut<'_, T, D>) -> Result<()> {
        let (top, below) = y.as_mut().split_at_row(self.a.shape().0);
        self.a.apply(x, top)?;
        self.products += 1;
        if !below.is_empty() {
            x.device().axpby(self.root, x, T::zero(), below)?;
        }
        match self.exponent {
            None | Some(0) => Ok(()),
            Some(e) => scale_exactly(&mut y, -e),
        }
    }

    /// `Y ← Bᵀ U`; the first one decides on scales. Where there is a preconditioner, ‖ÃᵀU‖·2^-f of every column goes to
    /// `before`, if it is asked for.
    fn apply_adjoint(
        &mut self,
        u: MatRef<'_, T, D>,
        mut y: MatMut<'_, T, D>,
        before: Option<&mut Vec<f64>>,
    ) -> Result<()> {
        let (device, (m, n)) = (self.a.device(), self.a.shape());
        let mut full = self.n.map(|_| Mat::scratch(device, n, u.ncols())).transpose()?;
        {
            let mut x = full.as_mut().map_or_else(|| y.as_mut(), |x| x.as_mut());
            self.a.apply_adjoint(u.rows(0..m), x.as_mut())?;
            if self.root != T::zero() {
                device.axpby(self.root, u.rows(m..m + n), T::one(), x)?;
            }
        }
        if let (Some(inverse), Some(x)) = (self.n, &full) {
            inverse.apply_adjoint(x.as_ref(), y.as_mut())?;
        }
        let full = full.as_ref().map_or(y.as_ref(), |x| x.as_ref());
        if self.exponent.is_none() {
            let scale = |x: MatRef<'_, T, D>| {
                far_exponent(device.max_abs(x)?).ok_or_else(|| self.non_finite(full, x))
            };
            (self.plain_exponent, self.exponent) = (scale(full)?, Some(scale(y.as_ref())?));
        }
        if let (Some(_), Some(before)) = (self.n, before) {
            *before = roots(sums(full, -self.plain_exponent)?);
        }
        match self.exponent {
            None | Some(0) => Ok(()),
            Some(e) => scale_exactly(&mut y, -e),
        }
    }

    /// What is wrong when an image under A, or what was made of it, is not finite.
    fn non_finite(&self, image: MatRef<'_, T, D>, made: MatRef<'_, T, D>) -> Error {
        let op = self.op;
        let explained = explain_non_finite(op, self.a, image)
            .and_then(|()| explain_non_finite(op, self.a, made));
        let overflow = Error::Overflow { op, what: "a norm", dtype: T::NAME };
        explained.err().unwrap_or(overflow)
    }

    /// The norms of columns, which have to be finite.
    fn norms(&self, x: MatRef<'_, T, D>) -> Result<Vec<f64>> {
        let found = norms(x)?;
        match found.iter().all(|norm| norm.is_finite()) {
            true => Ok(found),
            false => Err(self.non_finite(x, x)),
        }
    }
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> Correctable<T, D>
    for Problem<'_, T, D, A>
{
    /// The start is Bᵀr, and below it r. X is 2^e times what the problem asks for.
    fn residual(
        &mut self,
        x: Option<MatRef<'_, T, D>>,
        columns: &[usize],
    ) -> Result<Residual<T, D>> {
        let (device, m, q) = (self.a.device(), self.a.shape().0, columns.len());
        let k = self.n.map_or(self.a.shape().1, |n| n.shape().1);
        let mut start = Mat::zeros(device, k + self.height(), q)?;
        let (mut gradient, mut r) = start.as_mut().split_at_row(k);
        if let Some(x) = x {
            self.apply(x, r.as_mut())?;
        }
        let b = gather(self.b, columns)?;
        let (top, below) = r.as_mut().split_at_row(m);
        device.axpby(T::one(), b.as_ref(), -T::one(), top)?;
        device.scale(-T::one(), below)?;
        let mut before = Vec::new();
        self.apply_adjoint(r.as_ref(), gradient.as_mut(), Some(&mut before))?;
        let (plain, whole) = (norms(r.as_ref().rows(0..m))?, self.norms(r.as_ref())?);
        let gradients = self.norms(gradient.as_ref())?;
        let before = if self.n.is_some() { before } else { gradients.clone() };
        for (j, &r) in whole.iter().enumerate().filter(|(_, r)| **r > 0.0) {
            self.norm = self.norm.max(gradients[j] / r);
            self.plain_norm = self.plain_norm.max(before[j] / r);
        }
        if self.n.is_none() {
            self.plain_norm = self.norm;
        }
        // ‖Ã‖·‖x‖ at the scale of b.
        let shift = self.plain_exponent - self.exponent.unwrap_or(0);
        let lengths = x.map_or(Ok(vec![0.0; q]), |x| sums(x, shift).map(roots))?;
        let states = (0..q).map(|j| {
            let (r, g, x) = (whole[j], gradients[j], self.plain_norm * lengths[j]);
            let ratio = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x / y };
            let by_residual = ratio(r, x + self.sizes[columns[j]]);
            let mut by_gradient =
                ratio(g, self.norm * r).min(ratio(before[j], self.plain_norm * r));
            if self.n.is_some() {
                by_gradient = by_gradient.min(ratio(g, self.norm * x));
            }
            let reached = if by_residual <= self.tolerance {
                Some(StopReason::Converged)
            } else {
                (by_gradient <= self.tolerance).then_some(StopReason::LeastSquares)
            };
            State { residual: plain[j], error: by_residual.min(by_gradient), reached }
        });
        Ok(Residual { states: states.collect(), start })
    }

    fn correct(
        &mut self,
        start: Mat<T, D>,
        columns: &[usize],
        journal: &mut Journal<'_, '_>,
    ) -> Result<Correction<T, D>> {
        let (device, q) = (self.a.device(), columns.len());
        let k = start.nrows() - self.height();
        let mut run = Run::start(start, k)?;
        let mut steps = Mat::zeros(device, k, q)?;
        let mut image = None;
        let mut ended = vec![None; q];
        for (scalars, &column) in run.scalars.iter().zip(columns) {
            if journal.histories[column].is_empty() {
                journal.note(column, scalars.error(self.norm, self.sizes[column]));
            }
        }
        while run.scalars.iter().any(|scalars| scalars.going) {
            if 2 * run.scalars.iter().filter(|scalars| scalars.going).count() <= run.index.len() {
                run.compact(&mut steps)?;
            }
            let direction = self.unprecondition(run.v.as_ref(), &mut image)?;
            self.apply(direction, run.image.as_mut())?;
            run.next_u()?;
            let betas = self.norms(run.u.as_ref())?;
            run.set_betas(&betas)?;
            self.apply_adjoint(run.u.as_ref(), run.gradient.as_mut(), None)?;
            run.next_v()?;
            let alphas = self.norms(run.v.as_ref())?;
            run.set_alphas(&alphas, &mut self.norm)?;
            let halt = journal.step();
            for (scalars, &local) in run.scalars.iter_mut().zip(&run.index) {
                if !scalars.going {
                    continue;
                }
                let error = scalars.error(self.norm, self.sizes[columns[local]]);
                journal.note(columns[local], error);
                if error <= self.tolerance {
                    scalars.stop();
                } else if halt.is_some() {
                    scalars.stop();
                    ended[local] = halt;
                }
            }
        }
        scatter(run.z.as_ref(), &run.index, steps.as_mut())?;
        let steps = match self.n {
            None => steps,
            Some(_) => self.unprecondition(steps.as_ref(), &mut image)?.to_owned()?,
        };
        Ok(Correction { step: steps, ended })
    }
}
