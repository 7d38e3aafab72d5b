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
use crate::decomp::{Basis, Law, column_dots, normalise, project};
use crate::error::{check_least, check_shape};
use crate::operator::norm_fro;
use crate::scalar::scale_by_power;
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

/// tr(A) of a square A, with its standard error, that of rounding included. Unbiased whatever A; only [`LinearOperator::apply`] is called.
///
/// Where the products span the range of A the value is exact but for rounding, and the error is that of rounding, u√n·‖A‖_F
/// at most.
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
    let forms = Forms::of(op, a, &omega)?;
    let (value, error) = mean_and_error(&forms.values);
    Ok(Estimate { value, standard_error: error.hypot(forms.rounding_of_mean()), products })
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
    let seen = Forms::of(op, a, &q)?;
    let count = products - 2 * third;
    let mut rest = vectors(device, Law::Signs, seed, n, third..third + count)?;
    project(q.as_ref(), rest.as_mut())?;
    let left = Forms::of(op, a, &rest)?;
    let (mean, error) = mean_and_error(&left.values);
    let rounding = seen.rounding.hypot(left.rounding_of_mean());
    Ok(Estimate {
        value: seen.values.iter().sum::<f64>() + mean,
        standard_error: error.hypot(rounding),
        products: third + q.ncols() + count,
    })
}

/// xᵀAx for every column of X.
struct Forms {
    values: Vec<f64>,
    /// u√n‖AX‖_F: what rounding may have made of the sum for orthonormal X, and of √count times the mean for signs.
    rounding: f64,
}

impl Forms {
    fn of<T: Scalar, D: Backend<T>>(
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        x: &Mat<T, D>,
    ) -> Result<Self> {
        let mut y = times(op, a, x)?;
        let exponent = normalise(&mut y.as_mut())?;
        let unscaled = |x: f64| scale_by_power(x, exponent);
        let values = column_dots(x.as_ref(), y.as_ref())?.into_iter().map(unscaled).collect();
        let rounding = T::UNIT_ROUNDOFF * (x.nrows() as f64).sqrt() * norm_fro(y.as_ref())?;
        Ok(Self { values, rounding: unscaled(rounding) })
    }

    fn rounding_of_mean(&self) -> f64 {
        self.rounding / (self.values.len().max(1) as f64).sqrt()
    }
}
