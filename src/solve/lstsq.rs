//! Least squares by sketch-and-precondition with iterative refinement.
//!
//! 1. A sketch Y = S·A of γn rows is factored with pivoting: N = P R⁺ (see `preconditioner`), the rank, and a first
//!    solution x = N NᵀYᵀ(S b), whose residual is within a factor of about 1 + n/d of the best.
//! 2. A correction is the solution of the same problem for the residual r = b − Ax by conjugate gradients
//!    on A·N, whose condition is about 3 for γ = 4: a factor 2 an iteration. It starts from a gradient
//!    NᵀAᵀr that is computed anew.
//! 3. One such solution has an error of u·cond(A) of what it corrects, since A·N is only applied as A and N. So an iteration
//!    need not go further than that, and corrections are repeated: two where cond(A)·u < 10⁻⁶, else three. This makes
//!    the result backward stable, as that of Householder QR, where plain sketch-and-precondition is not.
//! 4. The backward error is estimated (see `backward_error`); corrections go on while it is above 2u.
//!
//! Limits: the products with A, two an iteration, pass 8·2mn bytes (f64) for one right-hand side, so memory bounds
//! them; γn³ flops at the rate of products, and n³ on one thread of the host. Householder QR takes 2mn² flops.
//!
//! A matrix that is not taller than γn is its own sketch: R is that of A, and few iterations are left. Where right-hand
//! sides are so many that a QR is cheaper than the iterations, from 10 for n = 60 and from 60 for n = 1000, A is factored by [`cqrrpt`], made
//! dense if it is not: x = N Qᵀb. [`Lstsq::method`] says which.
//!
//! Memory: γn² entries and the triangle of n², beside some vectors; on the CPU also a row-major copy of a column-major A
//! of 64 MiB or more, which an iteration reads at the speed of memory; with a QR that of Q.
//!
//! Source: Epperly, Meier and Nakatsukasa, "Fast randomized least-squares solvers can be just as accurate and
//! stable as classical direct solvers", arXiv 2406.03468 (SPIR). The deficient rank after LSRN; the length of the
//! inner iterations is ours.

use super::cgls::correction;
use super::columns::{column_exponents, scaled_columns};
use super::preconditioner::{
    SketchPreconditioner, SketchPreconditionerParams, dense, sketch_of, with_ridge,
};
use super::problem::{CLEAR, Problem, Refined};
use crate::decomp::{Turned, cqrrpt, explain_non_finite};
use crate::scalar::scale_by_power;
use crate::{
    Backend, Cpu, Device, Error, LinearOperator, Mat, MatRef, Operand, Result, Scalar, Sketch,
};

/// Corrections of a solution by QR before its backward error is estimated.
const LEAST_OF_QR: usize = 1;

/// How a least-squares problem is solved.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LstsqMethod {
    /// Pivoted QR of A by [`cqrrpt`].
    Qr,
    /// Iterations on A, preconditioned by a sketch of it.
    Sketch,
}

/// What [`lstsq`] is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LstsqParams {
    sketch: SketchPreconditionerParams,
    method: Option<LstsqMethod>,
}

impl LstsqParams {
    /// λ ≥ 0: minimises ‖Ax − b‖² + λ‖x‖². Default 0.
    pub fn ridge(self, lambda: f64) -> Self {
        Self { sketch: self.sketch.ridge(lambda), ..self }
    }

    /// γ: the sketch has ⌈γn⌉ rows, n + 8 at least. At least 1, default 4.
    pub fn embedding_factor(self, gamma: f64) -> Self {
        Self { sketch: self.sketch.embedding_factor(gamma), ..self }
    }

    /// ζ: entries a column of the SparseStack that sketches A. Default 8.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { sketch: self.sketch.nnz(nnz), ..self }
    }

    /// Columns whose residual is below this fraction of the largest column are dependent. Default 8u√n.
    pub fn rank_tolerance(self, rank_tolerance: f64) -> Self {
        Self { sketch: self.sketch.rank_tolerance(rank_tolerance), ..self }
    }

    /// The seed of the sketch. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { sketch: self.sketch.seed(seed), ..self }
    }

    /// The method. Default: the one that is cheaper by the shape of A.
    pub fn method(self, method: LstsqMethod) -> Self {
        Self { method: Some(method), ..self }
    }
}

/// The solution of a least-squares problem, and how good it is; lists have an entry for each right-hand side.
#[derive(Debug)]
pub struct Lstsq<T: Scalar, D: Device = Cpu> {
    /// n×p.
    pub x: Mat<T, D>,
    /// The numerical rank of A (with √λ·I below it). Below n, x has the least norm.
    pub rank: usize,
    /// ‖Ax − b‖.
    pub residual: Vec<f64>,
    /// For the A of rank [`rank`](Self::rank), an estimate of the least ‖E‖_F/‖A‖_F with x = argmin ‖(A + E)x − b‖: within a factor of about 2, or a bound of it
    /// where that is below 2u. With a ridge, E is a change of A and of √λ·I.
    pub backward_error: Vec<f64>,
    /// An estimate of cond(A), of its nonzero part.
    pub condition: f64,
    /// Which method was taken.
    pub method: LstsqMethod,
    /// Iterations of conjugate gradients, over all corrections.
    pub iterations: usize,
    /// Corrections.
    pub refinements: usize,
    /// Whether all backward errors are below 2u.
    pub converged: bool,
}

/// argmin ‖Ax − b‖² + λ‖x‖² for every column b of B, backward stable.
///
/// A is dense, sparse or anything that multiplies, m×n; B is m×p. Where the rank of A is deficient, x has the
/// least norm, for m < n as well.
///
/// # Errors
/// [`Error::ShapeMismatch`] when B does not have m rows; [`Error::InvalidArgument`] for parameters out of range;
/// [`Error::NonFinite`] with the position in A, or with `op` "lstsq, right-hand side" in B;
/// [`Error::Overflow`] when a sketch leaves the range of T; [`Error::OutOfMemory`]. Backward errors that stay above
/// 2u are no error: [`Lstsq::converged`] says so.
///
/// # Cost
/// See the module: γn³ flops, n³ on the host, 30 to 90 iterations of two products with A and p vectors; or 3mn² flops.
///
/// ```
/// use randnla::solve::{LstsqParams, lstsq};
/// use randnla::{Cpu, Mat};
/// let a = Mat::from_fn(&Cpu::new(), 2000, 5, |i, j| (i as f64 / 2000.0).powi(j as i32))?;
/// let b = Mat::from_fn(&Cpu::new(), 2000, 1, |i, _| (i as f64 / 700.0).sin())?;
/// let fit = lstsq(&a, b.as_ref(), LstsqParams::default())?;
/// assert!(fit.converged && fit.rank == 5);
/// println!("residual {:.2e}, backward error {:.1e}", fit.residual[0], fit.backward_error[0]);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn lstsq<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    b: MatRef<'_, T, D>,
    params: LstsqParams,
) -> Result<Lstsq<T, D>> {
    let op = "lstsq";
    params.sketch.check::<T>(op)?;
    let (m, device) = (a.shape().0, a.device());
    if b.nrows() != m {
        let (got, expected) = (b.shape(), (m, b.ncols()));
        return Err(Error::ShapeMismatch { op, argument: "b", got, expected });
    }
    if !device.is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "b" });
    }
    let exponents = column_exponents("lstsq, right-hand side", b)?;
    let scaled = scaled_columns(b, &exponents, -1)?;
    let b = scaled.as_ref().map_or(b, |b| b.as_ref());
    let method = params.method.unwrap_or_else(|| cheaper(a, b.ncols(), &params.sketch));
    let mut found = match method {
        LstsqMethod::Qr => by_qr(op, a, b, &params.sketch)?,
        LstsqMethod::Sketch => by_sketch(op, a, b, &params.sketch)?,
    };
    if let Some(x) = scaled_columns(found.x.as_ref(), &exponents, 1)? {
        found.x = x;
    }
    let scale = |(norm, &e): (&mut f64, &i32)| *norm = scale_by_power(*norm, e);
    found.residual.iter_mut().zip(&exponents).for_each(scale);
    Ok(found)
}

/// argmin ‖S(Ax − b)‖ for every column b of B and an operator S of d×m: the plain sketch-and-solve.
///
/// The residual is within a factor of about √(1 + n/(d − n)) of the best, no more. With a dense S or a subsampled
/// transform the error is also spread evenly over the entries of x: ‖x' − x‖_∞ is of the order
/// ε·‖A⁺‖·‖Ax − b‖/√n for d ~ ε⁻²n log³n (Price, Song and Woodruff, "Fast regression with an ℓ∞ guarantee",
/// ICALP 2017). CountSketch and other sparse operators do not have that. Returns x of n×p; of least norm where S·A is of
/// deficient rank.
///
/// # Errors
/// [`Error::ShapeMismatch`] when S or B do not fit; [`Error::NonFinite`], [`Error::Overflow`],
/// [`Error::OutOfMemory`].
///
/// # Cost
/// That of S·A and 3dn² flops.
///
/// ```
/// use randnla::solve::sketch_and_solve;
/// use randnla::{Cpu, Mat, Sketch};
/// let a = Mat::from_fn(&Cpu::new(), 2000, 3, |i, j| ((i * (j + 1)) as f64 / 900.0).cos())?;
/// let b = Mat::from_fn(&Cpu::new(), 2000, 1, |i, _| (i as f64 / 900.0).cos() + 2.0)?;
/// let x = sketch_and_solve(&a, b.as_ref(), &Sketch::srht(200, 2000, 1)?)?;
/// assert_eq!(x.shape(), (3, 1));
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn sketch_and_solve<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    b: MatRef<'_, T, D>,
    s: &Sketch,
) -> Result<Mat<T, D>> {
    let op = "sketch_and_solve";
    let m = a.shape().0;
    if !a.device().is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "b" });
    }
    if s.ncols() != m {
        let (got, expected) = (s.shape(), (s.nrows(), m));
        return Err(Error::ShapeMismatch { op, argument: "s", got, expected });
    }
    if b.nrows() != m {
        let (got, expected) = (b.shape(), (m, b.ncols()));
        return Err(Error::ShapeMismatch { op, argument: "b", got, expected });
    }
    let sketch = sketch_of(a, s)?;
    explain_non_finite(op, a, sketch.as_ref())?;
    let right = s.apply(b)?;
    explain_non_finite("sketch_and_solve, right-hand side", &b, right.as_ref())?;
    let params = LstsqParams::default().method(LstsqMethod::Qr);
    Ok(lstsq(&sketch, right.as_ref(), params)?.x)
}

/// The method that costs less, in flops of a product for each entry of A. Measured on two cores of Zen 4 (`cargo bench
/// --bench table -- --crossover`): QR takes 4.4n, and 800 for what it does at the rate of memory; the iterations, 30 passes over
/// A, the time of 24 flops each or, for p columns, of 2.7p; before them stand the Gram matrices of the sketch, 2dn² in all, and
/// 2n³ on the host. (Entries of a sparse A cost half as much again.) Where the sketch is not shorter than A, the triangle is that of A, and
/// few iterations are left.
fn cheaper<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    columns: usize,
    params: &SketchPreconditionerParams,
) -> LstsqMethod {
    let ((m, n), d) = (a.shape(), params.sketch_rows(a.shape().1));
    if d >= m {
        return LstsqMethod::Sketch;
    }
    let (rows, cols, p) = (m as f64, n as f64, columns as f64);
    let passes = f64::max(720.0, 80.0 * p);
    let passes = match a.as_matrix() {
        Some(Operand::Dense(_)) => rows * cols * passes,
        Some(Operand::Csr(x)) => x.entries() as f64 * 1.5 * passes,
        Some(Operand::Csc(x)) => x.transpose().entries() as f64 * 1.5 * passes,
        None => 0.0,
    };
    let sketch = 2.0 * d as f64 * cols * cols + 2.0 * cols.powi(3) + passes;
    let qr = rows * cols * (4.4 * cols + 4.0 * p + 800.0);
    if sketch < qr { LstsqMethod::Sketch } else { LstsqMethod::Qr }
}

fn by_qr<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    b: MatRef<'_, T, D>,
    params: &SketchPreconditionerParams,
) -> Result<Lstsq<T, D>> {
    let ((m, n), device, root) = (a.shape(), a.device(), params.root::<T>());
    let cqrrpt_params = params.of_qr();
    let qr = match a.as_matrix() {
        Some(Operand::Dense(a)) if root == 0.0 => cqrrpt(a, cqrrpt_params),
        _ if root == 0.0 => cqrrpt(dense(a)?.as_ref(), cqrrpt_params),
        _ => cqrrpt(with_ridge(dense(a)?, root)?.as_ref(), cqrrpt_params),
    };
    let qr = qr.map_err(|error| match error {
        Error::NonFinite { row, col, .. } => Error::NonFinite { op, row, col },
        Error::Overflow { what, dtype, .. } => Error::Overflow { op, what, dtype },
        Error::NoConvergence { iterations, .. } => Error::NoConvergence { op, iterations },
        other => other,
    })?;
    let inverse = SketchPreconditioner::of_factor(op, &qr, root)?;
    let mut x = Mat::scratch(device, n, b.ncols())?;
    // The rank may be found lower when rows of R turn out to depend on each other.
    let q = qr.q.rows(0..m).columns(0..inverse.rank());
    let mut y = Mat::scratch(device, q.ncols(), b.ncols())?;
    device.gemm(T::one(), q.transpose(), b, T::zero(), y.as_mut())?;
    inverse.apply(y.as_ref(), x.as_mut())?;
    let problem = Problem { a, n: &inverse, b };
    // A·N is orthonormal, so that N Nᵀg is the correction.
    let refined = problem.refine(&mut x, LEAST_OF_QR, |_, reduced| {
        let mut step = Mat::scratch(device, n, b.ncols())?;
        inverse.apply(reduced.as_ref(), step.as_mut())?;
        Ok((step, 0))
    })?;
    Ok(report(x, &inverse, refined, LstsqMethod::Qr))
}

fn by_sketch<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    b: MatRef<'_, T, D>,
    params: &SketchPreconditionerParams,
) -> Result<Lstsq<T, D>> {
    /// Iterations of one correction at most.
    const ITERATIONS: usize = 100;
    let ((m, n), device, p) = (a.shape(), a.device(), b.ncols());
    let turned = Turned::new(a)?;
    let a = &turned;
    let s = params.operator(m, n)?;
    let (sketch, right) = match &s {
        Some(s) => (sketch_of(a, s)?, Some(s.apply(b)?)),
        None => (dense(a)?, None),
    };
    let right = right.as_ref().map_or(b, |b| b.as_ref());
    let mut image = Mat::scratch(device, n, p)?;
    device.gemm(T::one(), sketch.transpose(), right, T::zero(), image.as_mut())?;
    let inverse = SketchPreconditioner::of_sketch(op, a, sketch, params)?;
    let mut c = Mat::scratch(device, inverse.rank(), p)?;
    inverse.apply_adjoint(image.as_ref(), c.as_mut())?;
    let mut x = Mat::scratch(device, n, p)?;
    inverse.apply(c.as_ref(), x.as_mut())?;
    let by_rows = match a.as_matrix() {
        Some(Operand::Dense(a)) if device.normal_times_prefers_rows(&a, p) => Some(row_major(a)?),
        _ => None,
    };
    let a: &dyn LinearOperator<T, D> = match &by_rows {
        Some(copy) => copy,
        None => a,
    };
    let problem = Problem { a, n: &inverse, b };
    let u = T::UNIT_ROUNDOFF;
    let lost = u * inverse.condition();
    let reduction = lost.clamp(u.powf(0.6), 0.1);
    let least = if lost < 1e-6 { 2 } else { 3 };
    let refined = problem.refine(&mut x, least, |x, reduced| {
        let floor: Vec<f64> = x.iter().map(|x| 0.1 * u * problem.norm() * x).collect();
        correction(a, &inverse, reduced, reduction, &floor, ITERATIONS)
    })?;
    Ok(report(x, &inverse, refined, LstsqMethod::Sketch))
}

/// A copy of A, row by row.
fn row_major<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>) -> Result<Mat<T, D>> {
    let mut copy = Mat::scratch(a.device(), a.ncols(), a.nrows())?;
    a.device().axpby(T::one(), a.transpose(), T::zero(), copy.as_mut())?;
    Ok(copy.into_transposed())
}

/// The report on a solution.
fn report<T: Scalar, D: Backend<T>>(
    x: Mat<T, D>,
    n: &SketchPreconditioner<T, D>,
    refined: Refined<T, D>,
    method: LstsqMethod,
) -> Lstsq<T, D> {
    let Refined { state, backward_error, iterations, refinements } = refined;
    let converged = backward_error.iter().all(|&error| error <= CLEAR * T::UNIT_ROUNDOFF);
    Lstsq {
        x,
        rank: n.rank(),
        residual: state.plain_residual,
        backward_error,
        condition: n.condition(),
        method,
        iterations,
        refinements,
        converged,
    }
}
