//! The exchangeable trace estimator.
//!
//! Y = AΩ for ℓ Gaussian vectors, Q = orth(Y), Y = QR, Z = AQ. Estimate i leaves vector i out of the range and takes it as
//! the only sample of the rest: with Qᵢ = orth(Y without column i) and pᵢ = (I − QᵢQᵢᵀ)ωᵢ,
//! tᵢ = tr(QᵢᵀAQᵢ) + (n − ℓ + 1)·pᵢᵀApᵢ/‖pᵢ‖².
//!
//! QᵢQᵢᵀ = Q(I − sᵢsᵢᵀ)Qᵀ, where sᵢ is column i of R⁻ᵀ, normalised, so that all ℓ cost little more than one: with
//! H = QᵀZ, W = QᵀΩ, X = ZᵀΩ and vᵢ = (I − sᵢsᵢᵀ)wᵢ, tr(QᵢᵀAQᵢ) = tr H − sᵢᵀHsᵢ and
//! pᵢᵀApᵢ = wᵢᵀrᵢ − xᵢᵀvᵢ − vᵢᵀrᵢ + vᵢᵀHvᵢ. The direction of pᵢ is uniform in a space that does not depend on it, which makes
//! every tᵢ unbiased; the mean over i is the estimate, and their spread its error.
//!
//! Source: Epperly, Tropp and Webber, 2023, arXiv 2301.07825, §2 and §5.

use super::probes::{times, vectors};
use super::{Estimate, mean_and_error};
use crate::decomp::{Basis, Law, inner, normalise, scale_exactly, small_inverse, small_product};
use crate::operator::{column_squares, norm_fro};
use crate::{Backend, LinearOperator, Mat, Result, Scalar, scalar};

/// What leaving out one vector takes from the range, and the factors that it is made of.
pub(super) struct Exchange<T: Scalar, D: Backend<T>> {
    /// Q, orthonormal.
    pub(super) q: Mat<T, D>,
    /// R with Y = QR; its inverse transposed has the columns sᵢ·cᵢ.
    pub(super) r: faer::Mat<f64>,
    /// The columns sᵢ, of norm 1.
    pub(super) s: faer::Mat<f64>,
    /// sᵢᵀrᵢ.
    pub(super) left: Vec<f64>,
}

impl<T: Scalar, D: Backend<T>> Exchange<T, D> {
    /// The range of Y, and Q alone when it has fewer dimensions than columns: then it is that of A.
    pub(super) fn of(
        op: &'static str,
        y: &Mat<T, D>,
    ) -> Result<core::result::Result<Self, Mat<T, D>>> {
        let (n, l) = y.shape();
        let mut basis = Basis::new(y.device(), n, l.min(n))?;
        let mut copy = y.try_clone()?;
        basis.extend(op, copy.as_mut(), 0.0)?;
        let q = basis.into_mat();
        if q.ncols() < l {
            return Ok(Err(q));
        }
        let r = inner(q.as_ref(), y.as_ref())?;
        let mut s = small_inverse(op, &r)?.transpose().to_owned();
        let norms: Vec<f64> = (0..l).map(|i| dot(&s, i, &s, i).sqrt()).collect();
        s.col_iter_mut().zip(&norms).for_each(|(s, norm)| s.iter_mut().for_each(|x| *x /= norm));
        let left = norms.into_iter().map(|norm| 1.0 / norm).collect();
        Ok(Ok(Self { q, r, s, left }))
    }
}

pub(super) fn xtrace<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    products: usize,
    seed: u64,
) -> Result<Estimate> {
    let (n, device) = (a.shape().0, a.device());
    // More vectors than rows would leave nothing to sample.
    let l = (products / 2).min(n);
    let omega = vectors(device, Law::Gaussian, seed, n, 0..l)?;
    let mut y = times(op, a, &omega)?;
    let exponent = normalise(&mut y.as_mut())?;
    let unscaled = |x: f64| scalar::scale_by_power(x, exponent);
    let exchange = Exchange::of(op, &y)?;
    let q = match &exchange {
        Ok(exchange) => &exchange.q,
        Err(q) => q,
    };
    let mut z = times(op, a, q)?;
    scale_exactly(&mut z.as_mut(), -exponent)?;
    let h = inner(q.as_ref(), z.as_ref())?;
    let seen: f64 = (0..q.ncols()).map(|i| h[(i, i)]).sum();
    let size = norm_fro(z.as_ref())?;
    let rounding = T::UNIT_ROUNDOFF * (n as f64).sqrt() * size;
    let products = l + q.ncols();
    let exact = |value: f64| Estimate {
        value: unscaled(value),
        standard_error: unscaled(rounding),
        products,
    };
    let Ok(exchange) = &exchange else { return Ok(exact(seen)) };
    if l == n {
        return Ok(exact(seen));
    }
    let (w, x) = (inner(q.as_ref(), omega.as_ref())?, inner(z.as_ref(), omega.as_ref())?);
    let lengths = column_squares(omega.as_ref(), 0)?;
    let hs = small_product(&h, &exchange.s);
    let along: Vec<f64> = (0..l).map(|i| dot(&exchange.s, i, &w, i)).collect();
    let v = faer::Mat::from_fn(l, l, |k, i| w[(k, i)] - along[i] * exchange.s[(k, i)]);
    let (hv, r) = (small_product(&h, &v), &exchange.r);
    let samples: Vec<f64> = (0..l)
        .map(|i| {
            let form = dot(&w, i, r, i) - dot(&x, i, &v, i) - dot(&v, i, r, i) + dot(&v, i, &hv, i);
            let length = lengths[i] - dot(&v, i, &v, i);
            seen - dot(&exchange.s, i, &hs, i) + (n - l + 1) as f64 * form / length
        })
        .collect();
    let (value, error) = mean_and_error(&samples);
    Ok(Estimate {
        value: unscaled(value),
        standard_error: unscaled(error.hypot(rounding)),
        products,
    })
}

/// xᵢᵀyⱼ.
fn dot(x: &faer::Mat<f64>, i: usize, y: &faer::Mat<f64>, j: usize) -> f64 {
    x.col(i).iter().zip(y.col(j).iter()).map(|(x, y)| x * y).sum()
}
