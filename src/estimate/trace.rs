//! The trace of a square matrix from products with vectors.
//!
//! | method | error for m products | how |
//! |---|---|---|
//! | [`TraceMethod::Hutchinson`] | √(2(‖A‖²_F − Σaᵢᵢ²)/m) for symmetric A | the mean of ωᵀAω for vectors of signs |
//! | [`TraceMethod::HutchPlusPlus`] | about ‖A‖_*·/m | a third of the products finds a range, whose trace is exact; Hutchinson for the rest |
//! | [`TraceMethod::XTrace`] | smaller still, down to rounding where the spectrum decays | every vector finds the range and is a sample (see `xtrace`) |
//!
//! Sources: Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1990; Meyer, Musco, Musco and Woodruff,
//! "Hutch++: optimal stochastic trace estimation", 2021; Epperly, Tropp and Webber, "XTrace: making the most of every
//! sample in stochastic trace estimation", 2023, arXiv 2301.07825.

use super::probes::{times, vectors};
use super::xtrace::xtrace;
use super::{Estimate, mean_and_error};
use crate::decomp::{Basis, Law, inner, project};
use crate::error::{check_least, check_shape};
use crate::{Backend, LinearOperator, Mat, Result, Scalar};

/// How [`trace`] estimates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceMethod {
    /// Samples only: for spectra that are flat, where no range is worth finding.
    Hutchinson,
    /// A range, then samples.
    HutchPlusPlus,
    /// Every vector for both.
    XTrace,
}

/// What [`trace`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceParams {
    products: usize,
    method: TraceMethod,
    seed: u64,
}

impl TraceParams {
    /// As many products of A with a vector, at most; at least 4, for Hutch++ at least 6.
    pub fn products(products: usize) -> Self {
        Self { products, method: TraceMethod::XTrace, seed: 0 }
    }

    /// The estimator. Default XTrace, which has the smallest error on spectra that decay and about that of Hutchinson for
    /// half the products on those that do not.
    pub fn method(self, method: TraceMethod) -> Self {
        Self { method, ..self }
    }

    /// The seed of the vectors. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// tr(A) of a square A, with its standard error. Unbiased whatever A; only [`LinearOperator::apply`] is called.
///
/// Where the products span the range of A the value is exact but for rounding, and the error is that of rounding.
///
/// # Errors
/// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) unless A is square; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for too few products;
/// [`Error::NonFinite`](crate::Error::NonFinite) with the position; [`Error::Overflow`](crate::Error::Overflow); [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// m products with vectors in one to three blocks, O(nm²) flops and O(m³) on the host; memory for about 2nm entries.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{TraceParams, trace}};
/// let a = Mat::from_fn(&Cpu::new(), 300, 300, |i, j| (-((i as f64 - j as f64) / 60.0).powi(2)).exp())?;
/// let trace = trace(&a, TraceParams::products(40))?;
/// assert!((trace.value - 300.0).abs() < 1e-3 && trace.standard_error < 1e-3);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn trace<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: TraceParams,
) -> Result<Estimate> {
    let op = "trace";
    let (n, TraceParams { products, method, seed }) = (a.shape().0, params);
    check_shape(op, "a", a.shape(), (n, n))?;
    let least = if method == TraceMethod::HutchPlusPlus { 6 } else { 4 };
    check_least(op, "products", products, least)?;
    match method {
        TraceMethod::Hutchinson => hutchinson(op, a, products, seed),
        TraceMethod::HutchPlusPlus => hutch_plus_plus(op, a, products, seed),
        TraceMethod::XTrace => xtrace(op, a, products, seed),
    }
}

fn hutchinson<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    products: usize,
    seed: u64,
) -> Result<Estimate> {
    let omega = vectors(a.device(), Law::Signs, seed, a.shape().0, 0..products)?;
    let (value, standard_error) = mean_and_error(&forms(op, a, &omega)?);
    Ok(Estimate { value, standard_error, products })
}

fn hutch_plus_plus<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    products: usize,
    seed: u64,
) -> Result<Estimate> {
    let (n, device, third) = (a.shape().0, a.device(), products / 3);
    let range = vectors(device, Law::Signs, seed, n, 0..third)?;
    let mut y = times(op, a, &range)?;
    let mut q = Basis::new(device, n, third.min(n))?;
    q.extend(op, y.as_mut(), 0.0)?;
    let q = q.into_mat();
    let seen: f64 = forms(op, a, &q)?.into_iter().sum();
    let count = products - 2 * third;
    let mut rest = vectors(device, Law::Signs, seed, n, third..third + count)?;
    project(q.as_ref(), rest.as_mut())?;
    let (left, standard_error) = mean_and_error(&forms(op, a, &rest)?);
    Ok(Estimate { value: seen + left, standard_error, products: third + q.ncols() + count })
}

/// xᵀAx for every column.
fn forms<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    x: &Mat<T, D>,
) -> Result<Vec<f64>> {
    let mut y = times(op, a, x)?;
    let exponent = crate::decomp::normalise(&mut y.as_mut())?;
    let forms = inner(x.as_ref(), y.as_ref())?;
    let unscaled = |j: usize| crate::scalar::scale_by_power(forms[(j, j)], exponent);
    Ok((0..x.ncols()).map(unscaled).collect())
}
