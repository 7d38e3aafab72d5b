//! The search for a basis Q of the range of A, and what is known of ‖A − QQᵀA‖ meanwhile.

use super::basis::Basis;
use super::draw::{Law, random_columns};
use super::estimate::{ErrorEstimate, ErrorKind, Probes, identity_floor};
use super::qb::QbParams;
use super::{Progress, Target, explain_non_finite, finite_norm};
use crate::random::Stream;
use crate::{Backend, LinearOperator, Mat, MatRef, Result, Scalar, operator};
use core::ops::ControlFlow;

/// Columns a block has when the rank is open.
const DEFAULT_BLOCK: usize = 32;
/// Probes of an error that the identity cannot give, and of bounds.
pub(super) const PROBES: usize = 20;
/// The failure probability of the bound that stops the search below the floor of the identity.
pub(super) const STOPPING_PROBABILITY: f64 = 1e-6;

/// Who is told how far the search has come, and may end it.
pub(super) type Observer<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// What the search leaves: the basis, Bᵀ, and what is known of the error.
pub(super) struct Range<T: Scalar, D: Backend<T>> {
    pub(super) q: Basis<T, D>,
    /// Bᵀ = AᵀQ, column by column beside Q.
    pub(super) bt: Basis<T, D>,
    pub(super) passes: usize,
    /// ‖A‖_F, if it is known.
    pub(super) norm: Option<f64>,
    /// ‖A‖_F, or its size as the first block shows it.
    pub(super) size: f64,
    /// ‖B‖²_F, relative to `size`².
    energy: f64,
    pub(super) probes: Option<Probes<T, D>>,
    /// The probability with which one of the tests against the probes may fail.
    failure_probability: f64,
    /// How many blocks have been added, each followed by a test.
    pub(super) blocks: usize,
    /// The observer has ended the search.
    stopped: bool,
}

/// The search to `params.target`.
pub(super) fn find<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: &QbParams,
    observer: &mut Observer<'_>,
) -> Result<Range<T, D>> {
    let (m, n) = a.shape();
    params.check(op, (m, n))?;
    let device = a.device();
    let limit = params.target.limit(params.max_rank, m.min(n));
    let block = params.block_size.unwrap_or(match params.target {
        Target::Rank(rank) => rank.max(1),
        Target::Tolerance(_) => DEFAULT_BLOCK,
    });
    let columns = if params.krylov {
        params.power_passes.saturating_add(1).saturating_mul(block)
    } else {
        block
    };
    let capacity = limit.min(columns);
    let norm = finite_norm(op, a)?;
    let mut range = Range {
        q: Basis::new(device, m, capacity)?,
        bt: Basis::new(device, n, capacity)?,
        passes: 0,
        norm,
        size: norm.unwrap_or(0.0),
        energy: 0.0,
        probes: None,
        failure_probability: params.failure_probability.unwrap_or(STOPPING_PROBABILITY),
        blocks: 0,
        stopped: false,
    };
    if range.norm == Some(0.0) {
        return Ok(range);
    }
    // What is reported at the end is what the search has to stop by.
    if let Target::Tolerance(tolerance) = params.target
        && (range.norm.is_none()
            || params.failure_probability.is_some()
            || tolerance < 2.0 * identity_floor::<T>())
    {
        range.probes = Some(Probes::draw(a, params.seed, PROBES)?);
        range.passes += 1;
    }
    let mut drawn = 0;
    while range.q.len() < params.enough.unwrap_or(limit) {
        let width = block.min(limit - range.q.len());
        let test = drawn..drawn + width;
        drawn += width;
        let added = range.add_block(op, a, params, test, limit, observer)?;
        if added == 0 || range.stopped || range.reached(params.target)? {
            break;
        }
    }
    Ok(range)
}

impl<T: Scalar, D: Backend<T>> Range<T, D> {
    /// Adds what A makes of columns `test` of the test matrix; returns the number of new columns. An observer that ends
    /// the search also saves the power passes that are left of this block.
    fn add_block(
        &mut self,
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        params: &QbParams,
        test: core::ops::Range<usize>,
        limit: usize,
        observer: &mut Observer<'_>,
    ) -> Result<usize> {
        let ((m, n), device) = (a.shape(), a.device());
        let before = self.q.len();
        // The memory of Ω and Y serves all passes.
        let mut memory = Mat::scratch(device, m, test.len())?;
        let mut x =
            random_columns(device, Law::Gaussian, (params.seed, Stream::RangeFinder), n, test)?;
        a.apply(x.as_ref(), memory.as_mut())?;
        self.passes += 1;
        let mut y = memory.as_mut();
        explain_non_finite(op, a, y.as_ref())?;
        if self.size == 0.0 {
            self.size = operator::norm_fro(y.as_ref())? / (y.ncols() as f64).sqrt();
        }
        for pass in 0..=params.power_passes {
            let start = self.q.len();
            let mut added = self.q.extend(op, y.as_mut(), self.size)?;
            if self.q.len() > limit {
                self.q.truncate(limit);
                added = limit - start;
            }
            if added == 0 {
                break;
            }
            let mut z = x.as_mut().columns(0..added);
            a.apply_adjoint(self.q.since(start), z.as_mut())?;
            self.passes += 1;
            self.stopped = observer(&self.progress()?).is_break();
            let full = params.krylov && self.q.len() == limit;
            let last = pass == params.power_passes || full || self.stopped;
            if last || params.krylov {
                self.keep(op, a, start, z.as_ref())?;
            }
            if last {
                break;
            }
            if !params.krylov {
                self.q.truncate(start);
            }
            let mut basis = Basis::new(device, n, added)?;
            basis.extend(op, z, self.size)?;
            if basis.len() == 0 {
                break;
            }
            y = memory.as_mut().columns(0..basis.len());
            a.apply(basis.as_ref(), y.as_mut())?;
            self.passes += 1;
        }
        self.blocks += 1;
        Ok(self.q.len() - before)
    }

    fn progress(&self) -> Result<Progress> {
        let error = match &self.probes {
            _ if self.blocks == 0 => None,
            Some(probes) => {
                let bound = self.bound(probes)?;
                Some(bound / self.norm_with(bound))
            }
            None => self.norm.map(|_| self.identity_error()),
        };
        Ok(Progress { rank: self.q.len(), passes: self.passes, error })
    }

    /// Takes Z = AᵀQ\[:, start..\] into Bᵀ, and the new columns into the error.
    fn keep(
        &mut self,
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        start: usize,
        z: MatRef<'_, T, D>,
    ) -> Result<()> {
        explain_non_finite(op, a, z)?;
        let target = self.bt.grow(z.ncols())?;
        z.device().axpby(T::one(), z, T::zero(), target)?;
        let share = operator::norm_fro(z)? / self.size;
        self.energy += share * share;
        if let Some(probes) = &mut self.probes {
            probes.project(self.q.since(start))?;
        }
        Ok(())
    }

    /// ‖A − QB‖_F, bounded. The search looks at the same probes after every block, so test t has the
    /// share p/(t(t + 1)) of the probability, which add up to less than p.
    ///
    /// The probes see the exact projection; what rounding adds to the factors, a few u a column, is
    /// added here.
    fn bound(&self, probes: &Probes<T, D>) -> Result<f64> {
        let test = self.blocks.max(1) as f64;
        let bound = probes.bound(self.failure_probability / (test * (test + 1.0)))?;
        let rounding = 8.0 * T::UNIT_ROUNDOFF * (self.q.len() as f64).sqrt();
        Ok(bound + rounding * self.norm.unwrap_or(probes.norm))
    }

    /// ‖A‖_F, or with an error e of A − QB what it is if that is right: ‖A‖² = ‖B‖² + e². A relative
    /// error with it is a bound when e is one.
    fn norm_with(&self, error: f64) -> f64 {
        self.norm.unwrap_or_else(|| {
            let e = error / self.size;
            self.size * (self.energy + e * e).sqrt()
        })
    }

    /// ‖A − QB‖_F/‖A‖_F by the identity.
    fn identity_error(&self) -> f64 {
        (1.0 - self.energy).max(0.0).sqrt()
    }

    fn reached(&self, target: Target) -> Result<bool> {
        let Target::Tolerance(tolerance) = target else { return Ok(false) };
        match &self.probes {
            None => Ok(self.identity_error() <= tolerance),
            Some(probes) => {
                let bound = self.bound(probes)?;
                Ok(bound <= tolerance * self.norm_with(bound))
            }
        }
    }

    /// The error of what is left after a part of B of norm `tail` has been cut off: the two parts
    /// are orthogonal, ‖A − QB'‖² = ‖A − QB‖² + ‖B − B'‖².
    pub(super) fn error(
        &mut self,
        a: &(impl LinearOperator<T, D> + ?Sized),
        params: &QbParams,
        tail: f64,
    ) -> Result<ErrorEstimate> {
        // A is zero, or so is its product with a Gaussian block, which has no other reason.
        if self.norm == Some(0.0) || self.blocks > 0 && self.size == 0.0 {
            return Ok(ErrorEstimate { absolute: 0.0, relative: 0.0, kind: ErrorKind::Identity });
        }
        let probing = self.probes.is_some() || params.failure_probability.is_some();
        if !probing && let Some(norm) = self.norm {
            let share = tail / norm;
            let relative = ((1.0 - self.energy).max(0.0) + share * share).sqrt();
            if relative >= identity_floor::<T>() {
                let absolute = relative * norm;
                return Ok(ErrorEstimate { absolute, relative, kind: ErrorKind::Identity });
            }
        }
        if self.probes.is_none() {
            let mut probes = Probes::draw(a, params.seed, PROBES)?;
            probes.project(self.q.as_ref())?;
            self.probes = Some(probes);
            self.passes += 1;
        }
        let Some(probes) = &self.probes else { unreachable!("drawn above") };
        let bound = match params.target {
            Target::Tolerance(_) => true,
            Target::Rank(_) => params.failure_probability.is_some(),
        };
        let (error, kind) = if bound {
            let failure_probability = self.failure_probability;
            (self.bound(probes)?, ErrorKind::Bound { failure_probability })
        } else {
            (probes.estimate()?, ErrorKind::Estimate { probes: probes.count() })
        };
        if probes.norm == 0.0 {
            return Ok(ErrorEstimate { absolute: 0.0, relative: 0.0, kind });
        }
        // Nothing was added to the basis, so the probes know the only size.
        let norm = if self.size == 0.0 { probes.norm } else { self.norm_with(error) };
        let (left, share) = (error / norm, tail / norm);
        let relative = (left * left + share * share).sqrt();
        Ok(ErrorEstimate { absolute: relative * norm, relative, kind })
    }

    /// How much of B, by norm relative to ‖A‖_F, may be cut off so that `tolerance` still holds.
    pub(super) fn allowance(&self, tolerance: f64) -> Result<(f64, f64)> {
        let (left, norm) = match (&self.probes, self.norm) {
            (Some(probes), _) => {
                let bound = self.bound(probes)?;
                let norm = self.norm_with(bound);
                (bound / norm, norm)
            }
            (None, norm) => (self.identity_error(), norm.unwrap_or(1.0)),
        };
        Ok(((tolerance * tolerance - left * left).max(0.0).sqrt(), norm))
    }
}
