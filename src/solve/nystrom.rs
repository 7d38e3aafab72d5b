//! The randomised Nyström preconditioner of A + μI, A positive semidefinite.
//!
//! With the leading eigenpairs UΛUᵀ of a Nyström approximation Â of l columns,
//! P⁻¹ = U·diag((λ_l + μ)/(λᵢ + μ))·Uᵀ + I − UUᵀ. What P does not know of A is E = A − Â ⪰ 0, and
//! κ(P^-½(A + μI)P^-½) ≤ (λ_l + μ + ‖E‖₂)/μ: once ‖E‖₂ and λ_l are of the size of μ it is a small constant, and the number of iterations of
//! conjugate gradients is one too. For l = 2⌈1.5·d⌉ + 1, where d = tr(A(A + μI)⁻¹) is the effective dimension, its
//! expectation is below 28.
//!
//! d is not known. The number of columns doubles while λ_l > μ, and then while ‖E‖₂, estimated by Krylov vectors from products with A,
//! is; products for columns that are there are not repeated.
//!
//! Limits: P⁻¹ is applied as x + U·C·Uᵀx with C near −1 for large eigenvalues, so that rounding leaves of them u relative to ‖x‖:
//! μ well below √n·u·λ₁ is out of reach. It helps as far as eigenvalues fall; on a flat spectrum it does nothing.
//!
//! Source: Frangella, Tropp and Udell, "Randomized Nyström preconditioning", SIAM J. Matrix Anal. Appl. 2023, arXiv 2110.02820:
//! sections 1.1 and 5. They double by the error as well; the test of λ_l before it is theirs too, the Krylov estimate ours.

use super::cg::{CgParams, checked_shift, conjugate_gradients};
use super::report::Solution;
use crate::decomp::nystrom_until;
use crate::error::check_shape;
use crate::estimate::{NormEstimate, SpectralParams, norm_spectral};
use crate::{Backend, Cpu, Device, Error, LinearOperator, Mat, MatMut, MatRef, Result, Scalar};
use core::ops::ControlFlow;

/// What a [`NystromPreconditioner`] is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NystromPreconditionerParams {
    shift: f64,
    rank: Option<usize>,
    block_size: usize,
    max_rank: Option<usize>,
    seed: u64,
}

impl NystromPreconditionerParams {
    /// For A + μI, μ ≥ 0.
    pub fn new(mu: f64) -> Self {
        Self { shift: mu, rank: None, block_size: 32, max_rank: None, seed: 0 }
    }

    /// l: columns of the test matrix, of which as many eigenpairs are kept. Default: as many as the search takes; μ = 0 has
    /// nothing to search for and needs a rank.
    pub fn rank(self, rank: usize) -> Self {
        Self { rank: Some(rank), ..self }
    }

    /// Columns that the search begins with. Default 32.
    pub fn block_size(self, block_size: usize) -> Self {
        Self { block_size, ..self }
    }

    /// Columns that the search may use. Default 512, up to which the small matrices are cheap.
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { max_rank: Some(max_rank), ..self }
    }

    /// The seed of the test matrix. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// P⁻¹ ≈ (λ_l + μ)(A + μI)⁻¹, n×n, symmetric and positive definite: a [`LinearOperator`] to precondition
/// [`cg`](super::cg()) with.
///
/// An application takes 4nk flops a column.
///
/// ```
/// use randnla::solve::{CgParams, NystromPreconditioner, NystromPreconditionerParams, cg};
/// use randnla::{Cpu, Mat};
/// let (cpu, n) = (Cpu::new(), 300);
/// let kernel = |i: usize, j: usize| (-((i as f64 - j as f64) / 40.0).powi(2)).exp();
/// let a = Mat::from_fn(&cpu, n, n, kernel)?;
/// let b = Mat::from_fn(&cpu, n, 1, |i, _| (i as f64 / 9.0).sin())?;
/// let p = NystromPreconditioner::new(&a, NystromPreconditionerParams::new(1e-4))?;
/// assert!(p.rank() <= 64 && p.condition() < 10.0);
/// let params = CgParams::default().shift(1e-4).tolerance(1e-8);
/// let (with, without) = (cg(&a, Some(&p), b.as_ref(), params)?, cg(&a, None, b.as_ref(), params)?);
/// assert!(with.converged() && 3 * with.iterations() < without.iterations());
/// # Ok::<(), randnla::Error>(())
/// ```
#[derive(Debug)]
pub struct NystromPreconditioner<T: Scalar, D: Device = Cpu> {
    u: Mat<T, D>,
    values: Vec<T>,
    /// λ_l, 0 where the rank is below l.
    last: f64,
    /// (λ_l + μ)/(λᵢ + μ) − 1.
    factors: Vec<T>,
    shift: f64,
    remainder: NormEstimate,
}

impl<T: Scalar, D: Backend<T>> NystromPreconditioner<T, D> {
    /// From products of A with blocks: only [`LinearOperator::apply`] is called.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A is square; [`Error::InvalidArgument`] for parameters out of range;
    /// [`Error::NotPositiveSemidefinite`] and [`Error::NotSymmetric`] with the evidence, when the products show it
    /// beyond rounding; [`Error::NonFinite`] with the position; [`Error::Overflow`]; [`Error::OutOfMemory`]. An error that
    /// `max_rank` did not allow to be below μ is no error: [`condition`](Self::condition) shows it.
    ///
    /// # Cost
    /// 2n²l flops in products with a dense A, about 10nl² beside and O(l³) on the host for each doubling; some 20 products with a
    /// vector for each estimate of ‖E‖₂, of which there are one or two. Memory for about 5nl entries.
    pub fn new(
        a: &(impl LinearOperator<T, D> + ?Sized),
        params: NystromPreconditionerParams,
    ) -> Result<Self> {
        Self::named("NystromPreconditioner::new", a, params)
    }

    fn named(
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        params: NystromPreconditionerParams,
    ) -> Result<Self> {
        /// Columns of a search where no limit is given.
        const MOST: usize = 512;
        let n = a.shape().0;
        check_shape(op, "a", a.shape(), (n, n))?;
        let shift = checked_shift::<T>(op, "shift", params.shift)?;
        let (width, limit) = match params.rank {
            Some(l) if l > n => {
                return Err(Error::invalid(op, "rank", l, format!("at most n = {n}")));
            }
            Some(l) => (l, l),
            None if shift == 0.0 => {
                return Err(Error::invalid(op, "shift", 0, "above 0, or a rank"));
            }
            None if params.max_rank == Some(0) => {
                return Err(Error::invalid(op, "max_rank", 0, "at least 1"));
            }
            None if params.block_size == 0 => {
                return Err(Error::invalid(op, "block_size", 0, "at least 1"));
            }
            None => {
                let limit = params.max_rank.unwrap_or(MOST).min(n);
                (params.block_size.min(limit), limit)
            }
        };
        let measure = |u: MatRef<'_, T, D>, values: &[T]| {
            let accuracy = SpectralParams::default().accuracy(1.0).seed(params.seed);
            norm_spectral(&Remainder { a, u, values }, accuracy)
        };
        let mut remainder = None;
        // λ_l, which is 0 where there is no l-th one.
        let smallest = |values: &[T], deficient: bool| match values.last() {
            Some(value) if !deficient => value.to_f64(),
            _ => 0.0,
        };
        let sizes = (width, limit);
        let (u, values, deficient) =
            nystrom_until(op, a, params.seed, sizes, |u, values, deficient| {
                remainder = None;
                let last = smallest(values, deficient);
                if params.rank.is_some() || last > shift {
                    return Ok(params.rank.is_some());
                }
                let found = measure(u, values)?;
                let content = found.value <= shift;
                remainder = Some(found);
                Ok(content)
            })?;
        let remainder = match remainder {
            Some(remainder) => remainder,
            None => measure(u.as_ref(), &values)?,
        };
        let last = smallest(&values, deficient);
        let factor = |&value: &T| T::from_f64((last - value.to_f64()) / (value.to_f64() + shift));
        let factors = values.iter().map(factor).collect();
        Ok(Self { u, values, last, factors, shift, remainder })
    }

    /// k: eigenpairs, l or the numerical rank of A where that is smaller.
    pub fn rank(&self) -> usize {
        self.values.len()
    }

    /// The eigenvalues λ₁ ≥ … ≥ λ_l of the approximation, each below that of A.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The eigenvectors, n×k.
    pub fn vectors(&self) -> MatRef<'_, T, D> {
        self.u.as_ref()
    }

    /// ‖E‖₂ = ‖A − UΛUᵀ‖₂: what P does not know.
    pub fn remainder(&self) -> NormEstimate {
        self.remainder
    }

    /// A bound of the condition number of the preconditioned matrix, (λ_l + μ + ‖E‖₂)/μ, with the upper bound of ‖E‖₂; infinite
    /// for μ = 0. Usually the condition is well below.
    pub fn condition(&self) -> f64 {
        if self.shift == 0.0 {
            return f64::INFINITY;
        }
        1.0 + (self.last + self.remainder.upper) / self.shift
    }
}

impl<T: Scalar, D: Backend<T>> LinearOperator<T, D> for NystromPreconditioner<T, D> {
    fn shape(&self) -> (usize, usize) {
        (self.u.nrows(), self.u.nrows())
    }

    fn device(&self) -> &D {
        self.u.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, mut y: MatMut<'_, T, D>) -> Result<()> {
        let device = y.device();
        device.axpby(T::one(), x, T::zero(), y.as_mut())?;
        add_spectral(self.u.as_ref(), &self.factors, x, y)
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        self.apply(x, y)
    }
}

/// `Y ← Y + U·diag(factors)·UᵀX`.
fn add_spectral<T: Scalar, D: Backend<T>>(
    u: MatRef<'_, T, D>,
    factors: &[T],
    x: MatRef<'_, T, D>,
    y: MatMut<'_, T, D>,
) -> Result<()> {
    let device = y.device();
    let mut coordinates = Mat::scratch(device, u.ncols(), x.ncols())?;
    device.gemm(T::one(), u.transpose(), x, T::zero(), coordinates.as_mut())?;
    device.scale_columns(factors, coordinates.as_mut().transpose())?;
    device.gemm(T::one(), u, coordinates.as_ref(), T::one(), y)
}

/// A − UΛUᵀ, symmetric.
struct Remainder<'a, T: Scalar, D: Device, A: ?Sized> {
    a: &'a A,
    u: MatRef<'a, T, D>,
    values: &'a [T],
}

impl<T: Scalar, D: Backend<T>, A: LinearOperator<T, D> + ?Sized> LinearOperator<T, D>
    for Remainder<'_, T, D, A>
{
    fn shape(&self) -> (usize, usize) {
        self.a.shape()
    }

    fn device(&self) -> &D {
        self.a.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, mut y: MatMut<'_, T, D>) -> Result<()> {
        self.a.apply(x, y.as_mut())?;
        let factors: Vec<T> = self.values.iter().map(|&value| -value).collect();
        add_spectral(self.u, &factors, x, y)
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        self.apply(x, y)
    }
}

/// What [`nystrom_pcg`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NystromPcgParams {
    preconditioner: NystromPreconditionerParams,
    iteration: CgParams,
}

impl NystromPcgParams {
    /// For A + μI, μ ≥ 0.
    pub fn new(mu: f64) -> Self {
        Self {
            preconditioner: NystromPreconditionerParams::new(mu),
            iteration: CgParams::default().shift(mu),
        }
    }

    /// As [`NystromPreconditionerParams::rank`].
    pub fn rank(self, rank: usize) -> Self {
        Self { preconditioner: self.preconditioner.rank(rank), ..self }
    }

    /// As [`NystromPreconditionerParams::max_rank`].
    pub fn max_rank(self, max_rank: usize) -> Self {
        Self { preconditioner: self.preconditioner.max_rank(max_rank), ..self }
    }

    /// The seed of the test matrix. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { preconditioner: self.preconditioner.seed(seed), ..self }
    }

    /// As [`CgParams::tolerance`].
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { iteration: self.iteration.tolerance(tolerance), ..self }
    }

    /// As [`CgParams::max_iterations`].
    pub fn max_iterations(self, iterations: usize) -> Self {
        Self { iteration: self.iteration.max_iterations(iterations), ..self }
    }
}

/// What [`nystrom_pcg`] returns.
#[derive(Debug)]
pub struct NystromPcg<T: Scalar, D: Device = Cpu> {
    /// X and how far it has come.
    pub solution: Solution<T, D>,
    /// What it was preconditioned with, for further right-hand sides.
    pub preconditioner: NystromPreconditioner<T, D>,
}

/// (A + μI)X = B by [`cg`](super::cg()) with a [`NystromPreconditioner`], for positive semidefinite A.
///
/// With the rank that the search finds, κ ≤ 5 or so: the default tolerance of f64 takes some 20 to 30 iterations, whatever the condition
/// of A + μI.
///
/// # Errors
/// As [`NystromPreconditioner::new`] and [`cg`](super::cg()).
///
/// # Cost
/// That of the preconditioner, about l columns of products with A, and an iteration's as in [`cg`](super::cg()).
///
/// ```
/// use randnla::solve::{NystromPcgParams, nystrom_pcg};
/// use randnla::{Cpu, Mat};
/// let (cpu, n) = (Cpu::new(), 300);
/// let kernel = |i: usize, j: usize| (-((i as f64 - j as f64) / 40.0).powi(2)).exp();
/// let a = Mat::from_fn(&cpu, n, n, kernel)?;
/// let b = Mat::from_fn(&cpu, n, 1, |i, _| (i as f64 / 9.0).sin())?;
/// let found = nystrom_pcg(&a, b.as_ref(), NystromPcgParams::new(1e-5))?;
/// assert!(found.solution.converged() && found.solution.iterations() < 40);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn nystrom_pcg<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    b: MatRef<'_, T, D>,
    params: NystromPcgParams,
) -> Result<NystromPcg<T, D>> {
    let op = "nystrom_pcg";
    check_shape(op, "b", b.shape(), (a.shape().0, b.ncols()))?;
    let preconditioner = NystromPreconditioner::named(op, a, params.preconditioner)?;
    let solution =
        conjugate_gradients(op, a, Some(&preconditioner), b, params.iteration, &mut |_| {
            ControlFlow::Continue(())
        })?;
    Ok(NystromPcg { solution, preconditioner })
}
