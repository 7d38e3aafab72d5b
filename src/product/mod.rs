//! Approximate products C ≈ A·B, with the error that each leaves.
//!
//! A is m×n, B is n×p, and A·B = Σ aᵢbᵢᵀ is a sum of n terms: aᵢ column i of A, bᵢᵀ row i of B. With wᵢ = ‖aᵢ‖‖bᵢ‖,
//! P = ‖A‖²‖B‖² and F = ‖AB‖², Frobenius norms throughout:
//!
//! | method | what | E‖C − AB‖² | flops |
//! |---|---|---|---|
//! | [`Exact`](ProductMethod::Exact) | A·B | 0 | 2mnp |
//! | [`Sample`](ProductMethod::Sample) | c of the terms ([`Sampling`]) | ((Σw)² − F)/c, or less | 2mcp |
//! | [`Sketch`](ProductMethod::Sketch) | (ASᵀ)(SB), S of d×n | (P + F − 2Σw²)/d for most families | 2mdp and the sketches |
//! | [`LowRank`](ProductMethod::LowRank) | Q(QᵀAB), by [`qb`](crate::decomp::qb()) of A·B | Σ of σᵢ(AB)², i > k, or somewhat more | (2q + 2)·2k(mn + np) + 2kmp |
//! | [`tensor_product`] | (A₁ ⊙ A₂ ⊙ ⋯)ᵀ(B₁ ⊙ B₂ ⊙ ⋯), by a [`TensorSketch`](crate::TensorSketch) | at most (2 + 3^q)/d·P | 2mdp and the sketches |
//!
//! All but the low-rank one are unbiased: E C = A·B over the choice of the seed. [`plan_product`] says which one pays.
//!
//! # When it pays
//! The relative error of samples and sketches is κ/√c for κ² = P/F, which lies between 1 and n. Where terms point in
//! all directions, as those of Gaussian matrices do, κ² = n, and no c below n gives an error below 1; where they add
//! up, κ² is a small number, and so is c. Systematic samples of positive data have a variance that is smaller by the
//! share of the terms that they take; norms that vary are a gain for samples alone. The low-rank route is for
//! products whose singular values fall.
//!
//! # Two ways to call
//! [`product`] returns C and its error. The weights wᵢ are read by the host, once: it **synchronises**, and so does the
//! norm of C. [`product_into`] is `C ← α AB + β C` for a loop, and estimates nothing. `Exact` and `Sketch` there only
//! issue work, and can be captured in a graph; so can [`Samples::product_into`], whose draws were made before.
//!
//! # Errors
//! Samples and sketches report [`ErrorKind::Expectation`]: the laws of the table
//! hold for every A and B, all that they need but F is known once the weights are, and ‖C‖² is F + E‖C − AB‖² in the
//! mean. Solved for the latter this is unbiased, costs one pass over C, and varies with ‖C‖² alone. Operators whose
//! law is not a function of P, F and Σw² (BlockPerm-SJLT, windows), and those on sparse matrices, are
//! estimated by 20 Gaussian probes, ‖(C − AB)Ω‖²/20; the low-rank route as `qb` does. The relative error is that to an
//! estimate of ‖AB‖, √(‖C‖² − error²): infinite where the error hides the product.
//!
//! # Numerics
//! As in BLAS, NaN and infinity propagate, and nothing is checked. A term whose weight is not finite outweighs all that are,
//! so that samples by weight take it; those that do not look at weights may miss it. The low-rank route is a decomposition
//! and returns [`Error::NonFinite`]. Multiplied by powers of two, A and B give the same draws, and C and
//! errors that are multiplied by them, bit for bit. Terms of weight zero are never drawn.
//! Draws are functions of the weights and the seed ([`Stream::ProductDraws`](crate::random::Stream::ProductDraws)):
//! devices that round norms alike draw alike.
//!
//! Sources: Drineas, Kannan and Mahoney, "Fast Monte Carlo algorithms for matrices I", 2006 (sampling); Liu et al.,
//! "Winner-take-all column row sampling", 2023 (terms that are certain); Hartley and Rao, "Sampling with unequal
//! probabilities and without replacement", 1962 (systematic samples of a random order); Sarlós, "Improved approximation
//! algorithms for large matrices via random projections", 2006 (sketches). The second moments of the families are derived in `law`.

mod exact;
mod law;
mod plan;
mod samples;
mod sampling;
mod spectrum;
mod tensor;
mod weights;

pub use plan::{PlanParams, PlanReason, PlannedMethod, ProductPlan, plan_product};
pub use samples::Samples;
pub use sampling::Sampling;
pub use tensor::{tensor_product, tensor_product_into};

use crate::decomp::{ErrorEstimate, ErrorKind, QbParams, probe_products, qb_named};
use crate::error::check_shape;
use crate::operator::norm_fro;
use crate::{
    AsOperand, Backend, Cpu, Device, Error, Mat, MatMut, MatRef, Operand, Result, Scalar, Sketch,
};
use exact::{ProductOperator, multiply};
use law::SecondMoment;
use weights::Weights;

/// Gaussian probes of an error that has no law.
const PROBES: usize = 20;

/// How [`product`] approximates A·B. Plain data.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProductMethod {
    /// Not at all.
    Exact,
    /// By some of the terms aᵢbᵢᵀ, for dense A and B. Costs a pass over A and B for their weights, but for
    /// [`Sampling::Uniform`] in [`product_into`].
    Sample {
        /// Which terms.
        sampling: Sampling,
        /// How many: c, at least 1. What is drawn twice counts twice, and is multiplied once.
        count: usize,
        /// The seed of the draws.
        seed: u64,
    },
    /// By (ASᵀ)(SB), for a d×n operator of any family, and dense or sparse A and B.
    Sketch(Sketch),
    /// By a basis Q of the range of A·B, to a rank or to a tolerance: C = Q(QᵀAB), whose error is near the least of its rank.
    /// A·B is not formed, but multiplied by blocks of vectors from both sides. Synchronises. Without power passes it is
    /// cheapest; the default of [`QbParams`] is 2 of them.
    LowRank(QbParams),
}

/// C ≈ A·B.
#[derive(Debug)]
pub struct Product<T: Scalar, D: Device = Cpu> {
    /// m×p.
    pub c: Mat<T, D>,
    /// ‖C − AB‖_F; relative to an estimate of ‖AB‖_F.
    pub error: ErrorEstimate,
}

/// C ≈ A·B, and how far it is from that.
///
/// # Errors
/// [`Error::ShapeMismatch`] unless A has as many columns as B rows, and S as many; [`Error::DeviceMismatch`];
/// [`Error::InvalidArgument`] for a sample of no terms; [`Error::Unsupported`] for samples of sparse matrices and the exact
/// product of one in compressed rows with one in compressed columns; [`Error::OutOfMemory`]. `LowRank` also returns what
/// [`qb`](crate::decomp::qb()) does: [`Error::NonFinite`] with a position in A or B, [`Error::Overflow`], [`Error::NoConvergence`].
///
/// # Cost
/// That of the method (see the [module](self)), a pass over A and B for weights, one over C for its norm. Synchronises.
///
/// ```
/// use randnla::product::{ProductMethod, Sampling, product};
/// use randnla::{Cpu, Mat, Sketch};
/// let (cpu, n) = (Cpu::new(), 2000);
/// let a = Mat::from_fn(&cpu, 60, n, |i, j| 1.0 + ((i * j) as f64).sin() / (1 + j % 7) as f64)?;
/// let b = Mat::from_fn(&cpu, n, 50, |i, j| 1.0 + ((3 * i + j) as f64).cos())?;
///
/// let sample = ProductMethod::Sample { sampling: Sampling::Systematic, count: 200, seed: 7 };
/// let found = product(&a, &b, sample)?;
/// assert!(found.error.relative < 0.1);
/// println!("‖C − AB‖ / ‖AB‖ = {:.3} ({})", found.error.relative, found.error.kind);
///
/// let sketch = ProductMethod::Sketch(Sketch::sparse_stack(200, n, 8, 7)?);
/// assert!(product(&a, &b, sketch)?.error.relative < 0.2);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn product<T: Scalar, D: Backend<T>>(
    a: impl AsOperand<T, D>,
    b: impl AsOperand<T, D>,
    method: ProductMethod,
) -> Result<Product<T, D>> {
    let (op, a, b) = ("product", a.as_operand(), b.as_operand());
    let mut c = Mat::scratch(a.device(), a.shape().0, b.shape().1)?;
    check(op, a, b, &c.as_mut())?;
    check_method(op, method, a.shape().1)?;
    let error = match method {
        ProductMethod::Exact => {
            multiply(op, T::one(), a, b, T::zero(), c.as_mut())?;
            ErrorEstimate { absolute: 0.0, relative: 0.0, kind: ErrorKind::Identity }
        }
        ProductMethod::Sample { sampling, count, seed } => {
            let (a, b) = dense(op, a, b)?;
            let weights = Weights::of(a, b)?;
            let draws = sampling.draw(op, &weights.terms, count, seed)?;
            let samples = Samples::new(a.device(), draws)?;
            let norm = samples.product_from_zero(a, b, c.as_mut())?;
            let absolute = samples.draws().error(&weights, norm);
            expectation(absolute, norm_fro(c.as_ref())?)
        }
        ProductMethod::Sketch(s) => {
            sketched(&s, T::one(), a, b, T::zero(), c.as_mut())?;
            sketch_error(&s, a, b, c.as_ref())?
        }
        ProductMethod::LowRank(params) => {
            low_rank(op, params, T::one(), a, b, T::zero(), c.as_mut())?
        }
    };
    Ok(Product { c, error })
}

/// `C ← α AB + β C`, approximately: [`product`] for a loop, without an estimate of its error.
///
/// `Exact` and `Sketch` synchronise nowhere; samples by weight do once, to draw them ([`Samples`] keeps
/// what was drawn).
///
/// # Errors
/// As [`product`]; and [`Error::ShapeMismatch`] unless C is m×p. C is then untouched.
///
/// ```
/// use randnla::product::{ProductMethod, product_into};
/// use randnla::{Cpu, Mat, Sketch};
/// let (a, b) = (Mat::from_fn(&Cpu::new(), 3, 90, |_, _| 1.0)?, Mat::from_fn(&Cpu::new(), 90, 2, |_, _| 1.0)?);
/// let mut c = Mat::<f64>::identity(&Cpu::new(), 3)?;
/// let method = ProductMethod::Sketch(Sketch::srht(128, 90, 7)?); // as many rows as its transform: exact
/// product_into(0.5, &a, &b, 2.0, c.as_mut().columns(0..2), method)?;
/// assert!((c.get(0, 0) - 47.0).abs() < 1e-12 && c.get(2, 2) == 1.0);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn product_into<T: Scalar, D: Backend<T>>(
    alpha: T,
    a: impl AsOperand<T, D>,
    b: impl AsOperand<T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
    method: ProductMethod,
) -> Result<()> {
    let (op, a, b) = ("product_into", a.as_operand(), b.as_operand());
    check(op, a, b, &c)?;
    check_method(op, method, a.shape().1)?;
    if alpha == T::zero() {
        return c.device().scale(beta, c);
    }
    match method {
        ProductMethod::Exact => multiply(op, alpha, a, b, beta, c),
        ProductMethod::Sketch(s) => sketched(&s, alpha, a, b, beta, c),
        ProductMethod::LowRank(params) => low_rank(op, params, alpha, a, b, beta, c).map(drop),
        ProductMethod::Sample { sampling, count, seed } => {
            let (a, b) = dense(op, a, b)?;
            let draws = match sampling {
                Sampling::Uniform => sampling.draw(op, &vec![1.0; a.ncols()], count, seed)?,
                _ => sampling.draw(op, &Weights::of(a, b)?.terms, count, seed)?,
            };
            Samples::new(c.device(), draws)?.product_into(alpha, a, b, beta, c)
        }
    }
}

/// `C ← α (ASᵀ)(SB) + β C`, shapes checked.
fn sketched<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    alpha: T,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let (left, right) = (s.apply_right(a)?, s.apply(b)?);
    c.device().gemm(alpha, left.as_ref(), right.as_ref(), beta, c)
}

/// `C ← α Q(QᵀAB) + β C`, and how far Q(QᵀAB) is from AB.
fn low_rank<T: Scalar, D: Backend<T>>(
    op: &'static str,
    params: QbParams,
    alpha: T,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<ErrorEstimate> {
    let found = qb_named(op, &ProductOperator::new(&a, &b)?, params)?;
    c.device().gemm(alpha, found.q.as_ref(), found.b.as_ref(), beta, c)?;
    Ok(found.error)
}

/// What (ASᵀ)(SB) is off by: from the law of the family, or from probes where there is none.
fn sketch_error<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
    c: MatRef<'_, T, D>,
) -> Result<ErrorEstimate> {
    let norm = norm_fro(c)?;
    if let (Some(law), Operand::Dense(a), Operand::Dense(b)) = (SecondMoment::of(s), a, b) {
        return Ok(expectation(law.error(&Weights::of(a, b)?, norm), norm));
    }
    let (omega, mut left) = probe_products(&ProductOperator::new(&a, &b)?, s.seed(), PROBES)?;
    c.device().gemm(-T::one(), c, omega.as_ref(), T::one(), left.as_mut())?;
    let absolute = norm_fro(left.as_ref())? / (PROBES as f64).sqrt();
    let relative = relative(absolute, norm);
    Ok(ErrorEstimate { absolute, relative, kind: ErrorKind::Estimate { probes: PROBES } })
}

fn expectation(absolute: f64, norm: f64) -> ErrorEstimate {
    let kind = if absolute == 0.0 { ErrorKind::Identity } else { ErrorKind::Expectation };
    ErrorEstimate { absolute, relative: relative(absolute, norm), kind }
}

/// The error to √(‖C‖² − error²), which is ‖AB‖ in the mean of squares.
fn relative(absolute: f64, norm: f64) -> f64 {
    let share = absolute / norm;
    if absolute == 0.0 {
        0.0
    } else if share >= 1.0 {
        f64::INFINITY
    } else {
        share / (1.0 - share * share).sqrt()
    }
}

/// Whether shapes and devices of `C ← α AB + β C` fit.
fn check<T: Scalar, D: Device>(
    op: &'static str,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
    c: &MatMut<'_, T, D>,
) -> Result<()> {
    check_inner(op, a, b)?;
    check_shape(op, "C", c.shape(), (a.shape().0, b.shape().1))?;
    if !c.device().is_compatible(a.device()) {
        return Err(Error::DeviceMismatch { op, argument: "A" });
    }
    Ok(())
}

/// Whether a method is one for products with n terms.
fn check_method(op: &'static str, method: ProductMethod, n: usize) -> Result<()> {
    match method {
        ProductMethod::Sample { count: 0, .. } => Err(Error::invalid(op, "count", 0, "at least 1")),
        ProductMethod::Sketch(s) => check_shape(op, "S", s.shape(), (s.nrows(), n)),
        _ => Ok(()),
    }
}

/// Whether A and B can be multiplied.
fn check_inner<T: Scalar, D: Device>(
    op: &'static str,
    a: Operand<'_, T, D>,
    b: Operand<'_, T, D>,
) -> Result<()> {
    check_shape(op, "B", b.shape(), (a.shape().1, b.shape().1))?;
    if !a.device().is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "B" });
    }
    Ok(())
}

/// The two as dense matrices.
fn dense<'a, T: Scalar, D: Device>(
    op: &'static str,
    a: Operand<'a, T, D>,
    b: Operand<'a, T, D>,
) -> Result<(MatRef<'a, T, D>, MatRef<'a, T, D>)> {
    match (a, b) {
        (Operand::Dense(a), Operand::Dense(b)) => Ok((a, b)),
        _ => {
            Err(Error::Unsupported { op, what: "a sample of the terms of sparse matrices".into() })
        }
    }
}
