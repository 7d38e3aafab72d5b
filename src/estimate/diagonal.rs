//! The diagonal of a square matrix from products with vectors.
//!
//! * Hutchinson: the mean of ω∘(Aω) for vectors of signs. Entry i is unbiased, with variance Σ_{j≠i} aᵢⱼ²/m.
//! * XDiag: the range of Y = AΩ is taken out exactly, diag(QQᵀA) from Z = AᵀQ, and each vector samples what is left by the
//!   range of the others; with Qᵢ, sᵢ and rᵢ as in `xtrace`, estimate i is
//!   diag(QQᵀA) − (Qsᵢ)∘(Zsᵢ) + ωᵢ∘(Qsᵢ)·(sᵢᵀrᵢ).
//!
//! Products with A and long factors are those of the device; what is entry by entry happens on the host, in `f64`.
//!
//! Sources: Bekas, Kokiopoulou and Saad, "An estimator for the diagonal of a matrix", 2007; Epperly, Tropp and Webber, 2023,
//! arXiv 2301.07825, §4 (XDiag).

use super::probes::{times, times_adjoint, vectors};
use super::xtrace::Exchange;
use crate::decomp::{Law, entries, normalise, scale_exactly, upload_columns};
use crate::error::{check_least, check_shape};
use crate::{Backend, LinearOperator, Mat, Result, Scalar, operator, scalar};

/// How [`diagonal`] estimates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagonalMethod {
    /// Samples only; A alone is multiplied.
    Hutchinson,
    /// Every vector for the range and as a sample; half of the products are with Aᵀ.
    XDiag,
}

/// What [`diagonal`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiagonalParams {
    products: usize,
    method: DiagonalMethod,
    seed: u64,
}

impl DiagonalParams {
    /// As many products with A or Aᵀ, at most; at least 4.
    pub fn products(products: usize) -> Self {
        Self { products, method: DiagonalMethod::XDiag, seed: 0 }
    }

    /// The estimator. Default XDiag.
    pub fn method(self, method: DiagonalMethod) -> Self {
        Self { method, ..self }
    }

    /// The seed of the vectors. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// The diagonal of a matrix, estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct DiagonalEstimate {
    /// The n entries.
    pub values: Vec<f64>,
    /// The standard deviation of each, estimated from the spread of its samples.
    pub standard_errors: Vec<f64>,
    /// How many vectors were multiplied by A or Aᵀ.
    pub products: usize,
}

impl DiagonalEstimate {
    fn scaled(values: Vec<f64>, errors: Vec<f64>, products: usize, exponent: i32) -> Self {
        let scaled =
            |x: Vec<f64>| x.into_iter().map(|x| scalar::scale_by_power(x, exponent)).collect();
        Self { values: scaled(values), standard_errors: scaled(errors), products }
    }
}

/// The diagonal of a square A, with a standard error an entry. Unbiased whatever A.
///
/// # Errors
/// [`Error::ShapeMismatch`](crate::Error::ShapeMismatch) unless A is square; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for fewer than 4 products;
/// [`Error::NonFinite`](crate::Error::NonFinite) with the position; [`Error::Overflow`](crate::Error::Overflow); [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// m products with vectors in one or two blocks, 2nm² flops, 5nm on the host; memory for about 3nm entries on the
/// device and on the host.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{DiagonalParams, diagonal}};
/// let a = Mat::from_fn(&Cpu::new(), 300, 300, |i, j| (-((i as f64 - j as f64) / 60.0).powi(2)).exp())?;
/// let found = diagonal(&a, DiagonalParams::products(40))?;
/// assert!(found.values.iter().all(|x| (x - 1.0).abs() < 1e-3));
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn diagonal<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: DiagonalParams,
) -> Result<DiagonalEstimate> {
    let op = "diagonal";
    let (n, DiagonalParams { products, method, seed }) = (a.shape().0, params);
    check_shape(op, "a", a.shape(), (n, n))?;
    check_least(op, "products", products, 4)?;
    match method {
        DiagonalMethod::Hutchinson => hutchinson(op, a, products, seed),
        DiagonalMethod::XDiag => xdiag(op, a, products, seed),
    }
}

fn hutchinson<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    products: usize,
    seed: u64,
) -> Result<DiagonalEstimate> {
    let omega = vectors(a.device(), Law::Signs, seed, a.shape().0, 0..products)?;
    let mut y = times(op, a, &omega)?;
    let exponent = normalise(&mut y.as_mut())?;
    let (values, errors) = means(&entries(omega.as_ref())?, &entries(y.as_ref())?, a.shape().0);
    Ok(DiagonalEstimate::scaled(values, errors, products, exponent))
}

fn xdiag<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    products: usize,
    seed: u64,
) -> Result<DiagonalEstimate> {
    let (n, device) = (a.shape().0, a.device());
    let l = (products / 2).min(n);
    let omega = vectors(device, Law::Signs, seed, n, 0..l)?;
    let mut y = times(op, a, &omega)?;
    let exponent = normalise(&mut y.as_mut())?;
    let exchange = Exchange::of(op, &y)?;
    let q = match &exchange {
        Ok(exchange) => &exchange.q,
        Err(q) => q,
    };
    let mut z = times_adjoint(op, a, q)?;
    scale_exactly(&mut z.as_mut(), -exponent)?;
    let rounding = T::UNIT_ROUNDOFF * operator::norm_fro(z.as_ref())?;
    let products = l + q.ncols();
    let mut values = seen(&entries(q.as_ref())?, &entries(z.as_ref())?, n);
    let mut errors = vec![rounding; n];
    if let (Ok(exchange), true) = (&exchange, l < n) {
        // (Qsᵢ) and (Zsᵢ), column by column.
        let turn = |x: &Mat<T, D>| {
            let s = upload_columns::<T, D>(device, exchange.s.as_ref(), l)?;
            let mut turned = Mat::scratch(device, n, l)?;
            device.gemm(T::one(), x.as_ref(), s.as_ref(), T::zero(), turned.as_mut())?;
            entries(turned.as_ref())
        };
        let (qs, zs, signs) = (turn(q)?, turn(&z)?, entries(omega.as_ref())?);
        // qs∘(ω·left − zs), one sample a column.
        let left = &exchange.left;
        let rest: Vec<f64> = (signs.iter().zip(&zs).enumerate())
            .map(|(at, (sign, z))| sign * left[at / n] - z)
            .collect();
        let (left, spread) = means(&qs, &rest, n);
        values.iter_mut().zip(left).for_each(|(value, left)| *value += left);
        errors.iter_mut().zip(spread).for_each(|(error, spread)| *error = error.hypot(spread));
    }
    Ok(DiagonalEstimate::scaled(values, errors, products, exponent))
}

/// diag(QZᵀ).
fn seen(q: &[f64], z: &[f64], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for (q, z) in q.chunks_exact(n.max(1)).zip(z.chunks_exact(n.max(1))) {
        sums.iter_mut().zip(q.iter().zip(z)).for_each(|(sum, (q, z))| *sum += q * z);
    }
    sums
}

/// The means of the samples x∘y, column by column, and the standard deviations of these means.
fn means(x: &[f64], y: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let columns = || x.chunks_exact(n.max(1)).zip(y.chunks_exact(n.max(1)));
    let count = columns().count().max(1) as f64;
    let means: Vec<f64> = seen(x, y, n).into_iter().map(|sum| sum / count).collect();
    let mut squares = vec![0.0; n];
    for (x, y) in columns() {
        for (i, square) in squares.iter_mut().enumerate() {
            *square += (x[i] * y[i] - means[i]).powi(2);
        }
    }
    let deviation = |square: f64| (square / (count * (count - 1.0).max(1.0))).sqrt();
    (means, squares.into_iter().map(deviation).collect())
}
