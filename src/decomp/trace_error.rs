//! The error of a Nyström approximation in the trace, and the rank that it calls for.
//!
//! A − Â is positive semidefinite, so its nuclear norm is tr(A) − tr(Â): exact where the diagonal of A is known, else from
//! Gaussian probes ωᵀ(A − Â)ω, which are drawn once and serve every rank.

use super::Target;
use super::estimate::{ErrorEstimate, ErrorKind, bound_factor};
use super::psd::{Spectral, TraceProbes};
use crate::{Backend, Error, LinearOperator, Result, Scalar, scalar};

/// Probes of an error when the diagonal of A is not known.
const PROBES: usize = 20;
/// The failure probability of the bound by which a search without a diagonal stops.
const STOPPING_PROBABILITY: f64 = 1e-6;

/// What decides on rank and error.
pub(super) struct Judge<T: Scalar, D: Backend<T>> {
    op: &'static str,
    diagonal: Option<Vec<f64>>,
    probes: Option<TraceProbes<T, D>>,
    /// How often the probes have been looked at.
    tests: usize,
    target: Target,
    seed: u64,
    failure_probability: Option<f64>,
}

impl<T: Scalar, D: Backend<T>> Judge<T, D> {
    /// `diagonal`: that of A, where it is known.
    pub(super) fn new(
        op: &'static str,
        diagonal: Option<Vec<f64>>,
        target: Target,
        seed: u64,
        failure_probability: Option<f64>,
    ) -> Self {
        Self { op, diagonal, probes: None, tests: 0, target, seed, failure_probability }
    }

    /// The rank of the result and its error.
    pub(super) fn verdict(
        &mut self,
        a: &(impl LinearOperator<T, D> + ?Sized),
        found: &Spectral<T, D>,
        passes: &mut usize,
    ) -> Result<(usize, ErrorEstimate)> {
        let scaled = |x: f64| scalar::scale_by_power(x, -found.exponent);
        // What rounding may have made of the eigenvalues, and what it adds to the nuclear norm of A − Â.
        let rounding = found.noise * (1.0 + found.values.len() as f64);
        if let Some(diagonal) = &self.diagonal {
            let trace: f64 = diagonal.iter().map(|&d| scaled(d)).sum();
            let noise = rounding + 8.0 * T::UNIT_ROUNDOFF * trace;
            let taken = found.values.iter().copied();
            let left = self.leftovers(trace, taken, (noise, rounding), found.exponent)?;
            return Ok(self.choose(&left, Some(trace), |left| left, ErrorKind::Identity, found));
        }
        if self.probes.is_none() {
            self.probes = Some(TraceProbes::draw(self.op, a, self.seed, PROBES)?);
            *passes += 1;
        }
        let Some(probes) = &self.probes else { unreachable!("drawn above") };
        let shares = probes.shares(found.u.as_ref())?;
        let seen = found.values.iter().zip(&shares).map(|(value, share)| value * share);
        let noise = rounding + scaled(probes.noise);
        let left = self.leftovers(scaled(probes.trace), seen, (noise, rounding), found.exponent)?;
        self.tests += 1;
        let bound =
            matches!(self.target, Target::Tolerance(_)) || self.failure_probability.is_some();
        if !bound {
            let kind = ErrorKind::Estimate { probes: probes.count() };
            return Ok(self.choose(&left, None, |left| left, kind, found));
        }
        // Test t has the share p/(t(t + 1)) of the probability. The trace of what is left is a sum of squares
        // of probes as the square of a Frobenius norm is, so the same factor bounds it, squared.
        let failure_probability = self.failure_probability.unwrap_or(STOPPING_PROBABILITY);
        let share = failure_probability / (self.tests * (self.tests + 1)) as f64;
        let factor = bound_factor(probes.count(), share).powi(2);
        let kind = ErrorKind::Bound { failure_probability };
        let above = |left: f64| factor * (left + noise);
        Ok(self.choose(&left, None, above, kind, found))
    }

    /// What the leading 0, 1, 2, … eigenpairs leave of the trace, `floor` at least.
    fn leftovers(
        &self,
        trace: f64,
        taken: impl Iterator<Item = f64>,
        (noise, floor): (f64, f64),
        exponent: i32,
    ) -> Result<Vec<f64>> {
        let mut left = vec![trace];
        left.extend(taken.scan(trace, |left, share| {
            *left -= share;
            Some(*left)
        }));
        let last = *left.last().expect("at least the trace");
        if last < -16.0 * noise {
            let unscaled = |x: f64| scalar::scale_by_power(x, exponent);
            return Err(Error::NotPositiveSemidefinite {
                op: self.op,
                what: "the trace beyond the leading eigenvalues",
                value: unscaled(last),
                limit: unscaled(16.0 * noise),
            });
        }
        Ok(left.into_iter().map(|left| left.max(floor)).collect())
    }

    /// The rank that was asked for, and what it leaves.
    fn choose(
        &self,
        left: &[f64],
        trace: Option<f64>,
        above: impl Fn(f64) -> f64,
        kind: ErrorKind,
        found: &Spectral<T, D>,
    ) -> (usize, ErrorEstimate) {
        let error = |k: usize| {
            let absolute = above(left[k]);
            // Without the trace: what was found and what is left of it.
            let known: f64 = found.values[..k].iter().sum();
            let whole = trace.unwrap_or(known + absolute);
            let relative = if absolute == 0.0 { 0.0 } else { absolute / whole };
            let absolute = scalar::scale_by_power(absolute, found.exponent);
            ErrorEstimate { absolute, relative, kind }
        };
        let numerical = found.values.len();
        let k = match self.target {
            Target::Rank(k) => k.min(numerical),
            Target::Tolerance(tolerance) => {
                (0..numerical).find(|&k| error(k).relative <= tolerance).unwrap_or(numerical)
            }
        };
        (k, error(k))
    }

    /// Whether the search may end.
    pub(super) fn reached(&self, error: &ErrorEstimate) -> bool {
        match self.target {
            Target::Rank(_) => true,
            Target::Tolerance(tolerance) => error.relative <= tolerance,
        }
    }
}
