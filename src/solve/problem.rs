//! What an approximate solution of a least-squares problem leaves, and how good that makes it.

use super::backward_error::{Weight, rounded_weight};
use super::cgls::normal_times;
use super::columns::{column_exponents, scaled_columns, sums};
use super::preconditioner::SketchPreconditioner;
use crate::scalar::scale_by_power;
use crate::{Backend, Device, Error, LinearOperator, Mat, MatRef, Result, Scalar};

/// Backward errors below so many u are those of a backward stable method.
pub(super) const CLEAR: f64 = 2.0;

/// A problem and what it is solved with. Norms are those of A·2^-e, x·2^e and g·2^-e, e being the exponent
/// of N: no square leaves the range.
pub(super) struct Problem<'a, T: Scalar, D: Device, A: ?Sized> {
    pub(super) a: &'a A,
    pub(super) n: &'a SketchPreconditioner<T, D>,
    pub(super) b: MatRef<'a, T, D>,
}

/// What an approximate solution leaves.
pub(super) struct State<T: Scalar, D: Device> {
    /// g = Aᵀ(b − Ax) − λx, and Nᵀg.
    pub(super) gradient: Mat<T, D>,
    pub(super) reduced: Mat<T, D>,
    /// ‖b − Ax‖, with −√λ·x below it, ‖x‖, ‖g‖ and ‖Nᵀg‖ of every column.
    pub(super) plain_residual: Vec<f64>,
    pub(super) residual: Vec<f64>,
    pub(super) x: Vec<f64>,
    pub(super) gradients: Vec<f64>,
    pub(super) reduced_norms: Vec<f64>,
}

/// A solution that was corrected.
pub(super) struct Refined<T: Scalar, D: Device> {
    pub(super) state: State<T, D>,
    pub(super) backward_error: Vec<f64>,
    /// Of the corrections, and how many there were.
    pub(super) iterations: usize,
    pub(super) refinements: usize,
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> Problem<'_, T, D, A> {
    /// Adds what `correct` makes of the norms of the columns of X and of Nᵀg until the bounds of the backward errors
    /// are clear or, after `least` corrections, the errors themselves. `correct` also says its iterations.
    pub(super) fn refine(
        &self,
        x: &mut Mat<T, D>,
        least: usize,
        mut correct: impl FnMut(&[f64], Mat<T, D>) -> Result<(Mat<T, D>, usize)>,
    ) -> Result<Refined<T, D>> {
        /// Corrections at most.
        const MOST: usize = 8;
        let (device, enough) = (self.b.device(), CLEAR * T::UNIT_ROUNDOFF);
        let small = |errors: &[f64]| errors.iter().all(|&error| error <= enough);
        let (mut iterations, mut refinements) = (0, 0);
        let mut state = self.state(x.as_ref())?;
        let backward_error = loop {
            let bounds = self.bounds(&state);
            if small(&bounds) {
                break bounds;
            }
            if refinements >= least {
                let errors = self.backward_errors(&state, enough)?;
                if small(&errors) || refinements == MOST {
                    break errors;
                }
            }
            let reduced = core::mem::replace(&mut state.reduced, Mat::zeros(device, 0, 0)?);
            let (step, taken) = correct(&state.x, reduced)?;
            device.axpby(T::one(), step.as_ref(), T::one(), x.as_mut())?;
            iterations += taken;
            refinements += 1;
            state = self.state(x.as_ref())?;
        };
        Ok(Refined { state, backward_error, iterations, refinements })
    }

    /// ‖A‖_F.
    pub(super) fn norm(&self) -> f64 {
        scale_by_power(self.n.norm_fro(), -self.n.exponent())
    }

    pub(super) fn state(&self, x: MatRef<'_, T, D>) -> Result<State<T, D>> {
        let (device, e, p) = (self.b.device(), self.n.exponent(), self.b.ncols());
        let mut gradient = Mat::scratch(device, x.nrows(), p)?;
        let squares = normal_times(self.a, x, Some(self.b), gradient.as_mut())?;
        device.scale(-T::one(), gradient.as_mut())?;
        let xs = sums(x, e)?;
        let scaled = scale_by_power(self.n.lambda(), -2 * e);
        if self.n.lambda() > 0.0 {
            // √λ twice, since λ itself may be out of the range of T.
            let root = T::from_f64(self.n.root());
            let mut below = Mat::scratch(device, x.nrows(), p)?;
            device.axpby(root, x, T::zero(), below.as_mut())?;
            device.axpby(-root, below.as_ref(), T::one(), gradient.as_mut())?;
        }
        let mut reduced = Mat::scratch(device, self.n.rank(), p)?;
        self.n.apply_adjoint(gradient.as_ref(), reduced.as_mut())?;
        let roots = |sums: Vec<f64>| sums.into_iter().map(f64::sqrt).collect::<Vec<_>>();
        let residual = squares.iter().zip(&xs).map(|(r, x)| r + scaled * x).collect();
        let (gradients, norms) = (sums(gradient.as_ref(), -e)?, sums(reduced.as_ref(), 0)?);
        Ok(State {
            gradient,
            reduced,
            plain_residual: roots(squares),
            residual: roots(residual),
            x: roots(xs),
            gradients: roots(gradients),
            reduced_norms: roots(norms),
        })
    }

    /// Bounds of the backward errors, relative to ‖A‖_F.
    pub(super) fn bounds(&self, state: &State<T, D>) -> Vec<f64> {
        let ratio = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a / b / self.norm() };
        (0..state.x.len())
            .map(|j| {
                let by_gradient = ratio(state.gradients[j], state.residual[j]);
                by_gradient.min(ratio(state.reduced_norms[j], state.x[j]))
            })
            .collect()
    }

    /// Backward errors, relative to ‖A‖_F: the bounds where these are below `enough`.
    pub(super) fn backward_errors(&self, state: &State<T, D>, enough: f64) -> Result<Vec<f64>> {
        let mut errors = self.bounds(state);
        let (k, e, norm) = (self.n.rank(), self.n.exponent(), self.norm());
        if k == 0 || errors.iter().all(|&error| error <= enough) {
            return Ok(errors);
        }
        let (factor, upper) = self.n.factor()?;
        let coordinates = self.n.coordinates(state.gradient.as_ref())?.to_vec()?;
        let mut doubtful: Vec<(f64, usize)> = (0..errors.len())
            .filter(|&j| errors[j] > enough)
            .map(|j| (state.residual[j] / state.x[j], j))
            .filter(|(mu, _)| mu.is_finite())
            .map(|(mu, j)| (rounded_weight(mu), j))
            .collect();
        doubtful.sort_by(|(mu, _), (other, _)| mu.total_cmp(other));
        for same in doubtful.chunk_by(|(mu, _), (other, _)| mu == other) {
            let Some(weight) = Weight::new(factor.as_ref(), upper, same[0].0, norm) else {
                continue;
            };
            for &(_, j) in same {
                let g: Vec<f64> = coordinates[j * k..(j + 1) * k]
                    .iter()
                    .map(|g| scale_by_power(g.to_f64(), -e))
                    .collect();
                errors[j] = errors[j].min(weight.norm(&g) / state.x[j] / norm);
            }
        }
        Ok(errors)
    }
}

impl<T: Scalar, D: Backend<T>> SketchPreconditioner<T, D> {
    /// An estimate of the backward error of every column of X as a solution of argmin ‖AX − B‖² + λ‖X‖²,
    /// for the A and λ that this preconditioner was made for: the least ‖E‖_F/‖A‖_F with which X solves the
    /// problem for A + E, within a factor of about 2. Of a backward stable method it is some u.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] when A, B and X do not fit; [`Error::DeviceMismatch`]; [`Error::NonFinite`] for B; what A reports.
    ///
    /// # Cost
    /// Two products with A; and where bounds that cost nothing are not below 2u, up to 4k³ flops on the host, once for
    /// all columns whose ‖r‖/‖x‖ has the same power of √2 below it.
    pub fn backward_errors(
        &self,
        a: &(impl LinearOperator<T, D> + ?Sized),
        b: MatRef<'_, T, D>,
        x: MatRef<'_, T, D>,
    ) -> Result<Vec<f64>> {
        let op = "SketchPreconditioner::backward_errors";
        let ((m, n), p) = (a.shape(), b.ncols());
        let shapes = [
            ("a", a.shape(), (m, self.shape().0)),
            ("b", b.shape(), (m, p)),
            ("x", x.shape(), (n, p)),
        ];
        for (argument, got, expected) in shapes {
            if got != expected {
                return Err(Error::ShapeMismatch { op, argument, got, expected });
            }
        }
        for (argument, device) in [("a", a.device()), ("b", b.device()), ("x", x.device())] {
            if !LinearOperator::device(self).is_compatible(device) {
                return Err(Error::DeviceMismatch { op, argument });
            }
        }
        let exponents = column_exponents(op, b)?;
        let scaled = [scaled_columns(b, &exponents, -1)?, scaled_columns(x, &exponents, -1)?];
        let [b, x] = [(b, &scaled[0]), (x, &scaled[1])]
            .map(|(given, scaled)| scaled.as_ref().map_or(given, |scaled| scaled.as_ref()));
        let problem = Problem { a, n: self, b };
        problem.backward_errors(&problem.state(x)?, CLEAR * T::UNIT_ROUNDOFF)
    }
}
