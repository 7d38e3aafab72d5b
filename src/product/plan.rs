//! Which approximation of A·B pays, if any.
//!
//! Three things are looked at: the weights of the terms, which are half of every law of the errors; A·B times 8 Gaussian
//! vectors, whose mean ‖ABω‖² is the other half, F = ‖AB‖²; and how much of these 8 vectors remains when the
//! image of more vectors is projected out, which is the error of a low-rank product of that rank (`spectrum`). From these follow, for each
//! method, the least size that reaches the error asked for, and its cost by a model. The cheapest wins, unless the exact
//! product is cheaper still.
//!
//! # Model of the cost
//! Flops at the rate of a matrix product, and entries of matrices that are read or written, each as much as 18 flops: 103 GFLOP/s
//! beside 47 GB/s, measured in `f64` on two cores; in `f32` both rates of entries double. Costs are relative to the exact
//! product's by the same model, so that only the ratio of the two rates enters. Beside the thread's CPU time of products of 384 to
//! 2048 terms the model was right within 20 % for sketches, 25 % for low rank and 35 % for samples.

use super::exact::ProductOperator;
use super::law::SecondMoment;
use super::sampling::Ranked;
use super::spectrum::low_rank_errors;
use super::weights::Weights;
use super::{ProductMethod, Sampling, check_inner};
use crate::decomp::{QbParams, explain_non_finite, probe_products};
use crate::operator::norm_fro;
use crate::random::{Stream, words64};
use crate::{Backend, Error, LinearOperator, Mat, MatRef, Operand, Result, Scalar, Sketch};
use core::fmt;

/// Gaussian vectors that ‖AB‖ is estimated from.
const PROBES: usize = 8;
/// What an entry that is read or written costs, in flops.
const ENTRY: f64 = 18.0;
/// Passes over A and B that the norms for weights count as, in `f32` and in `f64`: about 1.5 ns an entry on one thread.
const WEIGHT_PASSES: [f64; 2] = [10.0, 4.0];
/// Passes over A and B that a sketch with 8 entries a column takes.
const SKETCH_PASSES: f64 = 2.9;
/// An approximation must save this share of the cost, or it is not worth its error.
const SAVED: f64 = 0.1;
/// Probes of `qb` for its error.
const QB_PROBES: f64 = 20.0;

/// What [`plan_product`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanParams {
    target_error: f64,
    seed: u64,
}

impl PlanParams {
    /// ‖C − AB‖_F ≤ `target_error`·‖AB‖_F, in the mean of squares.
    pub fn target_error(target_error: f64) -> Self {
        Self { target_error, seed: 0 }
    }

    /// The seed of the vectors of the plan, and of the method that it chooses. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// A method of the least size that is expected to reach the error asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedMethod {
    /// The method, for [`product`](super::product()) or [`product_into`](super::product_into).
    pub method: ProductMethod,
    /// ‖C − AB‖_F as predicted.
    pub error: f64,
    /// Its cost beside that of the exact product.
    pub cost: f64,
}

/// Why a plan is what it is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanReason {
    /// The cheapest of the methods that reach the error.
    Cheapest,
    /// Methods reach the error, but none for less than nine tenths of the exact product.
    NonePays,
    /// No method reaches the error at a size worth looking at.
    NoneReaches,
    /// A·B is zero as far as its products with vectors show.
    ZeroProduct,
}

impl fmt::Display for PlanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cheapest => "the cheapest that reaches the error",
            Self::NonePays => {
                "what reaches the error costs as much as the exact product, or nearly"
            }
            Self::NoneReaches => "nothing smaller than the exact product reaches the error",
            Self::ZeroProduct => "the product is zero",
        })
    }
}

/// How A·B should be computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductPlan {
    /// What to call [`product`](super::product()) with; its predicted error and cost.
    pub chosen: PlannedMethod,
    /// Why.
    pub reason: PlanReason,
    /// Every method that reaches the error, the cheapest first; the exact product is not among them.
    pub candidates: Vec<PlannedMethod>,
    /// ‖AB‖_F, estimated from 8 vectors: its square has a relative standard deviation of at most ½.
    pub norm: f64,
    /// ‖A‖²‖B‖²/‖AB‖²: the relative error of a sketch with d rows is about √(κ²/d).
    pub kappa_squared: f64,
}

impl fmt::Display for ProductPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedMethod { method, error, cost } = self.chosen;
        match method {
            ProductMethod::Exact => f.write_str("exact")?,
            ProductMethod::Sample { count, .. } => write!(f, "sample of {count} terms")?,
            ProductMethod::Sketch(s) => write!(f, "sketch to {} rows", s.nrows())?,
            ProductMethod::LowRank(params) => write!(f, "{params}")?,
        }
        let relative = if error == 0.0 { 0.0 } else { error / self.norm };
        let kappa = self.kappa_squared;
        write!(f, ": error {relative:.1e}, cost {cost:.2}, κ² = {kappa:.3}; {}", self.reason)
    }
}

/// Which method computes A·B to a relative error for the least cost, with what it predicts.
///
/// The exact product, when nothing saves a tenth of it: small matrices, terms that point in all directions (κ² near n), small errors. Plans are
/// for products that are like each other, as those of a layer are: one costs about (16 + 2l)(mn + np) flops for the
/// l ≤ p/8 vectors that the low-rank route is tried with, at most a sixth of the exact product when that is large.
///
/// # Accuracy
/// For samples and sketches the predicted error is √E‖C − AB‖² by the law of the method, whose F is estimated. For
/// the low-rank route it is an error of that size that was measured. Whether the *relative* error is met hangs on ‖AB‖, which
/// 8 vectors give within 25 % as a rule.
///
/// # Errors
/// [`Error::InvalidArgument`] for an error outside of (0, 1); [`Error::ShapeMismatch`]; [`Error::DeviceMismatch`];
/// [`Error::NonFinite`] with a position in A, or else in B; [`Error::Overflow`]; [`Error::OutOfMemory`].
///
/// ```
/// use randnla::product::{PlanParams, ProductMethod, plan_product, product};
/// use randnla::{Cpu, Mat};
/// let n = 400;
/// let a = Mat::from_fn(&Cpu::new(), 300, n, |i, j| 1.0 / (1.0 + (i as f64 - j as f64).powi(2) / 900.0))?;
/// let plan = plan_product(a.as_ref(), a.transpose(), PlanParams::target_error(0.1))?;
/// println!("{plan}");
/// assert!(plan.chosen.cost < 1.0 && plan.chosen.method != ProductMethod::Exact);
/// let found = product(&a, a.transpose(), plan.chosen.method)?;
/// assert!(found.error.absolute < 1.5 * plan.chosen.error);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn plan_product<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    b: MatRef<'_, T, D>,
    params: PlanParams,
) -> Result<ProductPlan> {
    let (op, target) = ("plan_product", params.target_error);
    if !(target > 0.0 && target < 1.0) {
        return Err(Error::invalid(op, "target_error", target, "between 0 and 1, both excluded"));
    }
    let (x, y) = (Operand::Dense(a), Operand::Dense(b));
    check_inner(op, x, y)?;
    let shape = (a.nrows(), a.ncols(), b.ncols());
    let both = ProductOperator::new(&x, &y)?;
    let [key, other] = words64(params.seed, Stream::ProductPlan, 0, 0);
    let (_, probes) = probe_products(&both, key, PROBES)?;
    explain_non_finite(op, &both, probes.as_ref())?;
    let norm = norm_fro(probes.as_ref())? / (PROBES as f64).sqrt();
    let exact = PlannedMethod { method: ProductMethod::Exact, error: 0.0, cost: 1.0 };
    if norm == 0.0 {
        let reason = PlanReason::ZeroProduct;
        return Ok(ProductPlan {
            chosen: exact,
            reason,
            candidates: vec![],
            norm,
            kappa_squared: 0.0,
        });
    }
    let weights = Weights::of(a, b)?;
    let allowed = target * norm;
    let weight_passes = WEIGHT_PASSES[usize::from(size_of::<T>() == 8)];
    let mut candidates: Vec<PlannedMethod> = [
        sample(&weights, shape, norm, allowed, params.seed, weight_passes),
        sketch(&weights, shape, norm, allowed, params.seed)?,
        low_rank(op, &both, probes, shape, allowed, params.seed, other)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    candidates.sort_by(|x, y| x.cost.total_cmp(&y.cost));
    let (chosen, reason) = match candidates.first() {
        Some(&best) if best.cost <= 1.0 - SAVED => (best, PlanReason::Cheapest),
        Some(_) => (exact, PlanReason::NonePays),
        None => (exact, PlanReason::NoneReaches),
    };
    let kappa_squared = (weights.product_of_norms() / norm).powi(2);
    Ok(ProductPlan { chosen, reason, candidates, norm, kappa_squared })
}

/// m, n and p of a product.
type Shape = (usize, usize, usize);

/// Flops and entries beside those of the exact product.
fn cost((m, n, p): Shape, flops: f64, entries: f64) -> f64 {
    let (m, n, p) = (m as f64, n as f64, p as f64);
    let whole = 2.0 * m * n * p + ENTRY * (m * n + n * p + m * p);
    (flops + ENTRY * (entries + m * p)) / whole
}

/// The least size below `limit` whose error is allowed; errors fall with the size.
fn least(limit: usize, allowed: f64, error: impl Fn(usize) -> f64) -> Option<usize> {
    let (mut low, mut high) = (1, limit);
    while low < high {
        let middle = low + (high - low) / 2;
        if error(middle) <= allowed { high = middle } else { low = middle + 1 }
    }
    (low < limit).then_some(low)
}

fn sample(
    weights: &Weights,
    shape: Shape,
    norm: f64,
    allowed: f64,
    seed: u64,
    weight_passes: f64,
) -> Option<PlannedMethod> {
    let (m, n, p) = shape;
    let ranked = Ranked::new(&weights.terms);
    let product = weights.at_scale(norm).powi(2);
    let error = |count| weights.absolute(ranked.systematic(count, product).sqrt());
    let count = least(n, allowed, error)?;
    let (ends, c, n) = ((m + p) as f64, count as f64, n as f64);
    // Weights, and what is gathered and multiplied.
    let cost = cost(shape, 2.0 * m as f64 * c * p as f64, ends * (weight_passes * n + 3.0 * c));
    let method = ProductMethod::Sample { sampling: Sampling::Systematic, count, seed };
    Some(PlannedMethod { method, error: error(count), cost })
}

fn sketch(
    weights: &Weights,
    shape: Shape,
    norm: f64,
    allowed: f64,
    seed: u64,
) -> Result<Option<PlannedMethod>> {
    let (m, n, p) = shape;
    let operator = |d: usize| Sketch::sparse_stack(d, n, 8.min(d), seed);
    let limit = n.min((1 << 31) - 1);
    let error = |d: usize| {
        let law = operator(d).ok().and_then(|s| SecondMoment::of(&s));
        law.map_or(f64::INFINITY, |law| law.error_before(weights, norm))
    };
    let Some(d) = least(limit, allowed, error) else { return Ok(None) };
    let (ends, rows, n) = ((m + p) as f64, d as f64, n as f64);
    let flops = 2.0 * m as f64 * rows * p as f64;
    let cost = cost(shape, flops, ends * (SKETCH_PASSES * n + 2.0 * rows));
    Ok(Some(PlannedMethod { method: ProductMethod::Sketch(operator(d)?), error: error(d), cost }))
}

/// One pass over A and B for the range, one for the coefficients, one for the error.
fn low_rank<T: Scalar, D: Backend<T>>(
    op: &'static str,
    both: &(impl LinearOperator<T, D> + ?Sized),
    probes: Mat<T, D>,
    shape: Shape,
    allowed: f64,
    seed: u64,
    key: u64,
) -> Result<Option<PlannedMethod>> {
    let (m, n, p) = shape;
    // Vectors cost 2(mn + np) flops each: an eighth of the product is what may be spent on them.
    let share = m as f64 * p as f64 / (8.0 * (m + p) as f64);
    let limit = (share as usize).min(m).min(n).min(p);
    let curve = low_rank_errors(op, both, probes, limit, allowed, key)?;
    let Some((rank, error)) = curve.reach(allowed) else { return Ok(None) };
    let (m, n, ends) = (m as f64, n as f64, (m + p) as f64);
    let k = rank as f64;
    let flops = 2.0 * ends * n * (2.0 * k + QB_PROBES)
        + 2.0 * k * m * p as f64
        + 8.0 * m * k * k
        + 4.0 * m * k * QB_PROBES;
    let cost = cost(shape, flops, 3.0 * ends * n + 12.0 * m * k + 3.0 * ends * k);
    let params = QbParams::rank(rank).power_passes(0).seed(seed);
    Ok(Some(PlannedMethod { method: ProductMethod::LowRank(params), error, cost }))
}
