//! How iterations end, and what they say about it; the restarts that make it true.

use super::columns::{gather, scatter, sums};
use crate::{Backend, Cpu, Device, Error, Mat, MatMut, MatRef, Result, Scalar};
use core::ops::ControlFlow;

/// Why an iteration on a right-hand side ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The residual is within the tolerance.
    Converged,
    /// The residual is as orthogonal to the range of A as the tolerance asks: x is a least-squares solution, b is not in
    /// the range.
    LeastSquares,
    /// The limit of iterations.
    IterationLimit,
    /// A restart from the computed residual did not halve it: rounding errors leave no more digits, or, on a singular
    /// system, there is no solution.
    Stagnated,
    /// pᵀ(A + μI)p ≤ 0 for some p: the matrix is not positive definite, to working precision.
    Indefinite,
    /// rᵀM r ≤ 0 for some r: the preconditioner M is not positive definite, to working precision.
    IndefinitePreconditioner,
    /// The callback said so.
    Interrupted,
}

/// What became of one right-hand side.
#[derive(Clone, Debug, PartialEq)]
pub struct Convergence {
    /// Why the iteration ended.
    pub reason: StopReason,
    /// Iterations.
    pub iterations: usize,
    /// The norm of the residual, computed from x: ‖b − (A + μI)x‖ or ‖b − Ax‖.
    pub residual: f64,
    /// The same relative to ‖b‖; 0 for b = 0.
    pub relative: f64,
    /// How far x is from the solution of a problem nearby, computed from x; see the function that returned this.
    pub backward_error: f64,
    /// What is compared with the tolerance, as the recurrences know it: before the first iteration and after each one.
    pub history: Vec<f64>,
}

/// Solutions of linear systems or least-squares problems by iteration.
#[derive(Debug)]
pub struct Solution<T: Scalar, D: Device = Cpu> {
    /// A column for each right-hand side.
    pub x: Mat<T, D>,
    /// What became of each.
    pub columns: Vec<Convergence>,
    /// Products of A with a block of vectors; for least squares there is one more of Aᵀ.
    pub products: usize,
}

impl<T: Scalar, D: Device> Solution<T, D> {
    /// Whether every right-hand side is solved to the tolerance.
    pub fn converged(&self) -> bool {
        let solved =
            |c: &Convergence| matches!(c.reason, StopReason::Converged | StopReason::LeastSquares);
        self.columns.iter().all(solved)
    }

    /// The iterations of the right-hand side that took most.
    pub fn iterations(&self) -> usize {
        self.columns.iter().map(|c| c.iterations).max().unwrap_or(0)
    }
}

/// How far an iteration has come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolveProgress<'a> {
    /// Iterations, restarts included.
    pub iterations: usize,
    /// For every right-hand side, what is compared with the tolerance.
    pub errors: &'a [f64],
}

/// Where iterations report.
pub(super) type Observer<'a> = dyn FnMut(&SolveProgress<'_>) -> ControlFlow<()> + 'a;

/// The tolerance of an iteration where none is given: what its recurrences reach for conditions up to u^(-1/3).
pub(super) fn tolerance_for<T: Scalar>(op: &'static str, tolerance: Option<f64>) -> Result<f64> {
    match tolerance {
        Some(tol) if !(tol > 0.0 && tol < 1.0) => {
            Err(Error::invalid(op, "tolerance", tol, "between 0 and 1, both excluded"))
        }
        _ => Ok(tolerance.unwrap_or(T::UNIT_ROUNDOFF.powf(2.0 / 3.0))),
    }
}

/// What the iterations of all restarts have told.
pub(super) struct Journal<'a, 'b> {
    pub(super) iterations: usize,
    pub(super) limit: usize,
    /// The last entry of every history.
    pub(super) errors: Vec<f64>,
    pub(super) histories: Vec<Vec<f64>>,
    stopped: bool,
    observer: &'a mut Observer<'b>,
}

impl<'a, 'b> Journal<'a, 'b> {
    pub(super) fn new(count: usize, limit: usize, observer: &'a mut Observer<'b>) -> Self {
        let (errors, histories) = (vec![0.0; count], vec![Vec::new(); count]);
        Self { iterations: 0, limit, errors, histories, stopped: false, observer }
    }

    /// The error of right-hand side `column`, which counts as an iteration but for the first.
    pub(super) fn note(&mut self, column: usize, error: f64) {
        self.errors[column] = error;
        self.histories[column].push(error);
    }

    /// After an iteration: why all have to stop, if they have to.
    pub(super) fn step(&mut self) -> Option<StopReason> {
        self.iterations += 1;
        let progress = SolveProgress { iterations: self.iterations, errors: &self.errors };
        self.stopped |= (self.observer)(&progress).is_break();
        self.must_stop()
    }

    pub(super) fn must_stop(&self) -> Option<StopReason> {
        if self.stopped {
            return Some(StopReason::Interrupted);
        }
        (self.iterations >= self.limit).then_some(StopReason::IterationLimit)
    }
}

/// What an approximate solution leaves of a right-hand side.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The norm of the residual.
    pub(super) residual: f64,
    /// How far from the solution, to compare restarts by.
    pub(super) error: f64,
    /// The reason to end with success, if there is one.
    pub(super) reached: Option<StopReason>,
}

/// What approximate solutions leave of some right-hand sides.
pub(super) struct Residual<T: Scalar, D: Device> {
    /// What the next correction starts from.
    pub(super) start: Mat<T, D>,
    pub(super) states: Vec<State>,
}

/// What approximate solutions gain.
pub(super) struct Correction<T: Scalar, D: Device> {
    pub(super) step: Mat<T, D>,
    /// The reason why no other correction should follow, if there is one.
    pub(super) ended: Vec<Option<StopReason>>,
}

/// A linear problem for many right-hand sides with an iteration that corrects approximate solutions.
pub(super) trait Correctable<T: Scalar, D: Device> {
    /// The residuals of `columns` at X, zero if there is no X.
    fn residual(
        &mut self,
        x: Option<MatRef<'_, T, D>>,
        columns: &[usize],
    ) -> Result<Residual<T, D>>;

    /// Corrections from there.
    fn correct(
        &mut self,
        start: Mat<T, D>,
        columns: &[usize],
        journal: &mut Journal<'_, '_>,
    ) -> Result<Correction<T, D>>;
}

/// Corrections of X, zero before, until the residuals that are computed from X are those that were asked for, or do not
/// halve any more. Recurrences lose contact with the true residual; a restart from it finds out, and mends it.
pub(super) fn solve_by_corrections<T: Scalar, D: Backend<T>>(
    problem: &mut impl Correctable<T, D>,
    x: &mut MatMut<'_, T, D>,
    journal: &mut Journal<'_, '_>,
) -> Result<Vec<(StopReason, State)>> {
    let (device, p) = (x.device(), x.ncols());
    let mut pending: Vec<usize> = (0..p).collect();
    let Residual { mut start, mut states } = problem.residual(None, &pending)?;
    let mut kept = states.clone();
    let mut reasons: Vec<Option<StopReason>> = states.iter().map(|state| state.reached).collect();
    for round in 0.. {
        let open: Vec<usize> =
            (0..pending.len()).filter(|&j| reasons[pending[j]].is_none()).collect();
        if open.len() < pending.len() {
            start = gather(start.as_ref(), &open)?;
            states = open.iter().map(|&j| states[j]).collect();
            pending = open.iter().map(|&j| pending[j]).collect();
        }
        if let Some(reason) = journal.must_stop() {
            pending.iter().for_each(|&column| reasons[column] = Some(reason));
        }
        if pending.is_empty() || journal.must_stop().is_some() {
            break;
        }
        let Correction { step: mut next, ended } = problem.correct(start, &pending, journal)?;
        let old = gather(x.as_ref(), &pending)?;
        device.axpby(T::one(), old.as_ref(), T::one(), next.as_mut())?;
        let found = problem.residual(Some(next.as_ref()), &pending)?;
        // A correction that makes it worse is nothing but rounding, and is not taken.
        let better = |j: &usize| round == 0 || found.states[*j].error <= states[*j].error;
        let taken: Vec<usize> = (0..pending.len()).filter(better).collect();
        let index: Vec<usize> = taken.iter().map(|&j| pending[j]).collect();
        scatter(gather(next.as_ref(), &taken)?.as_ref(), &index, x.as_mut())?;
        for (j, &column) in pending.iter().enumerate() {
            if better(&j) {
                kept[column] = found.states[j];
            }
            let stagnated = round > 0 && found.states[j].error > 0.5 * states[j].error;
            let halted = ended[j].or(stagnated.then_some(StopReason::Stagnated));
            reasons[column] = found.states[j].reached.or(halted);
        }
        (start, states) = (found.start, found.states);
    }
    let reasons = reasons.into_iter().map(|reason| reason.unwrap_or(StopReason::Stagnated));
    Ok(reasons.zip(kept).collect())
}

/// The norms of columns.
pub(super) fn norms<T: Scalar, D: Backend<T>>(x: MatRef<'_, T, D>) -> Result<Vec<f64>> {
    Ok(sums(x, 0)?.into_iter().map(f64::sqrt).collect())
}
