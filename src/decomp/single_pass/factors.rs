//! From sketches to singular triplets and the errors of every rank.
//!
//! Y = Q·…, Xᵀ = P·… by block CholeskyQR, C from two least-squares problems, C = U'ΣV'ᵀ on the host, U = QU', V = PV'. With
//! gᵢ = Θuᵢ and hᵢ = Wvᵢ the error sketch sees of the part of rank r
//!
//! ‖W − ΘÂ_r‖² = ‖W(I − VVᵀ)‖² + Σ_{i ≤ r} ‖hᵢ − σᵢgᵢ‖² + Σ_{i > r} ‖hᵢ‖²,
//!
//! so one product gives the estimates of all ranks, and none of them is a difference of large sums.

use super::StreamingSvd;
use crate::decomp::basis::Basis;
use crate::decomp::cholesky_qr::{cholesky_qr2, far_exponent};
use crate::decomp::cqrrpt::{CqrrptParams, cqrrpt};
use crate::decomp::host::{SmallSvd, small_svd};
use crate::decomp::rsvd::norm;
use crate::decomp::transfer::upload_columns;
use crate::decomp::{ErrorEstimate, ErrorKind, Svd, scale_exactly};
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Device, Error, Mat, MatRef, Op, Result, Scalar, Uplo, scalar};

/// The singular triplets that the sketches of a stream carry, k of them or as many as the numerical rank is.
///
/// Beyond the rank that the sketches were made for they are of little worth; [`error`](Self::error) and
/// [`scree`](Self::scree) say from where on.
#[derive(Debug)]
pub struct SinglePassFactors<T: Scalar, D: Device = Cpu> {
    u: Mat<T, D>,
    v: Mat<T, D>,
    s: Vec<T>,
    /// What W shows of ‖A − Â_r‖_F for r = 0, 1, …, at the scale of A·2^-exponent.
    errors: Vec<f64>,
    exponent: i32,
    probes: usize,
}

/// What can be said of the share of ‖A‖²_F that no approximation of some rank r reaches, (τ_{r+1}/‖A‖_F)².
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scree {
    /// From the singular values of Â alone: too low by what Â does not see.
    pub lower: f64,
    /// With the estimated error of Â added: τ_{r+1}(A) ≤ τ_{r+1}(Â) + ‖A − Â‖_F.
    pub upper: f64,
}

impl<T: Scalar, D: Backend<T>> SinglePassFactors<T, D> {
    pub(super) fn of(op: &'static str, state: &StreamingSvd<T, D>) -> Result<Self> {
        let (device, (m, n)) = (state.device(), state.shape());
        let (mut core, mut w) = (state.core.try_clone()?, state.probes.try_clone()?);
        let largest = device.max_abs(core.as_ref())?.max(device.max_abs(w.as_ref())?);
        let exponent = far_exponent(largest).expect("the sketches are finite");
        if exponent != 0 {
            scale_exactly(&mut core.as_mut(), -exponent)?;
            scale_exactly(&mut w.as_mut(), -exponent)?;
        }
        let q = orthonormal(op, state.range.as_ref())?;
        let p = orthonormal(op, state.corange.transpose())?;
        let small = core_svd(op, state, q.as_ref(), p.as_ref(), core.as_ref())?;
        let first = small.s.first().copied().unwrap_or(0.0);
        let noise = 2.0 * T::UNIT_ROUNDOFF * m.max(n) as f64 * first;
        let rank = small.s.iter().take_while(|&&s| s > noise).count();
        let times = |basis: &Mat<T, D>, small: &faer::Mat<f64>| -> Result<Mat<T, D>> {
            let small = upload_columns::<T, D>(device, small.as_ref(), rank)?;
            let mut vectors = Mat::scratch(device, basis.nrows(), rank)?;
            device.gemm(T::one(), basis.as_ref(), small.as_ref(), T::zero(), vectors.as_mut())?;
            Ok(vectors)
        };
        let (u, v) = (times(&q, &small.u)?, times(&p, &small.v)?);
        let values = &small.s[..rank];
        let errors = errors(state, u.as_ref(), values, v.as_ref(), w)?;
        let unscaled = |&s: &f64| T::from_f64(scalar::scale_by_power(s, exponent));
        let s = values.iter().map(unscaled).collect();
        Ok(Self { u, v, s, errors, exponent, probes: state.probes.nrows() })
    }

    /// How many singular triplets there are.
    pub fn rank(&self) -> usize {
        self.s.len()
    }

    /// The singular values, falling.
    pub fn singular_values(&self) -> &[T] {
        &self.s
    }

    /// An estimate of ‖A‖_F, unbiased for the square: ‖W‖_F.
    pub fn norm(&self) -> f64 {
        scalar::scale_by_power(self.errors[0], self.exponent)
    }

    /// ‖A − Â_r‖_F for the part of rank r (all of Â for a larger r): from q Gaussian probes that Â does not know, unbiased
    /// for the square.
    pub fn error(&self, rank: usize) -> ErrorEstimate {
        let (error, norm) = (self.errors[rank.min(self.rank())], self.errors[0]);
        ErrorEstimate {
            absolute: scalar::scale_by_power(error, self.exponent),
            relative: if norm == 0.0 { 0.0 } else { error / norm },
            kind: ErrorKind::Estimate { probes: self.probes },
        }
    }

    /// The scree plot: entry r is about rank r, from 0 on. Where the two curves part, the sketches see no further; where the
    /// upper one is low enough, the rank is enough.
    ///
    /// ‖A‖_F and the error of Â are estimates from the probes, so the upper curve is no bound with certainty.
    pub fn scree(&self) -> Vec<Scree> {
        let norm_a = self.errors[0];
        if norm_a == 0.0 {
            return vec![Scree { lower: 0.0, upper: 0.0 }];
        }
        let error = self.errors[self.rank()] / norm_a;
        let scaled = |s: &T| scalar::scale_by_power(s.to_f64(), -self.exponent);
        let values: Vec<f64> = self.s.iter().map(scaled).collect();
        let tail = |r: usize| norm(&values[r..]) / norm_a;
        let entry = |r| Scree { lower: tail(r).powi(2), upper: (tail(r) + error).powi(2) };
        (0..=self.rank()).map(entry).collect()
    }

    /// The leading `rank` triplets, or all there are. `passes` is 1.
    ///
    /// # Errors
    /// Those of the device.
    pub fn into_svd(self, rank: usize) -> Result<Svd<T, D>> {
        let (error, rank) = (self.error(rank), rank.min(self.rank()));
        let (u, v) = (self.u.truncate_columns(rank), self.v.truncate_columns(rank));
        let s = self.s[..rank].to_vec();
        Ok(Svd { u, s, vt: v.into_transposed(), error, passes: 1 })
    }
}

/// An orthonormal basis of the columns of a sketch.
fn orthonormal<T: Scalar, D: Backend<T>>(
    op: &'static str,
    sketch: MatRef<'_, T, D>,
) -> Result<Mat<T, D>> {
    let (len, columns) = sketch.shape();
    let mut basis = Basis::new(sketch.device(), len, columns.min(len))?;
    let mut copy = sketch.to_owned()?;
    // Columns of a sketch are alike: what is below the rounding errors of their mean length is noise.
    let size = norm_fro(sketch)? / (columns.max(1) as f64).sqrt();
    basis.extend(op, copy.as_mut(), size)?;
    Ok(basis.into_mat())
}

/// The SVD of C = (ΦQ)⁺ Z ((ΨP)⁺)ᵀ, computed at a scale where its largest entry is in [1, 2).
fn core_svd<T: Scalar, D: Backend<T>>(
    op: &'static str,
    state: &StreamingSvd<T, D>,
    q: MatRef<'_, T, D>,
    p: MatRef<'_, T, D>,
    z: MatRef<'_, T, D>,
) -> Result<SmallSvd> {
    let (left, right) = (state.operators.left.apply(q)?, state.operators.right.apply(p)?);
    if left.ncols() == 0 || right.ncols() == 0 {
        let nothing = |rows| faer::Mat::zeros(rows, 0);
        return Ok(SmallSvd { u: nothing(q.ncols()), s: Vec::new(), v: nothing(p.ncols()) });
    }
    let half = least_squares(left.as_ref(), z)?;
    let turned = least_squares(right.as_ref(), half.transpose())?;
    let entries = turned.to_vec()?;
    let largest = turned.device().max_abs(turned.as_ref())?;
    if !largest.is_finite() {
        return Err(Error::Overflow { op, what: "the core of A", dtype: T::NAME });
    }
    let e = if largest == 0.0 { 0 } else { scalar::exponent(largest) };
    let c = faer::Mat::from_fn(q.ncols(), p.ncols(), |i, j| {
        scalar::scale_by_power(entries[i * p.ncols() + j].to_f64(), -e)
    });
    let mut small = small_svd(op, c.as_ref())?;
    small.s.iter_mut().for_each(|s| *s = scalar::scale_by_power(*s, e));
    Ok(small)
}

/// X with ‖BX − Z‖_F least, for tall B: from B = QR, X = R⁻¹QᵀZ. Sketched bases are well conditioned; where one is not, since
/// the operator lost a direction, columns that depend on the others get no part.
fn least_squares<T: Scalar, D: Backend<T>>(
    b: MatRef<'_, T, D>,
    z: MatRef<'_, T, D>,
) -> Result<Mat<T, D>> {
    let (device, k) = (b.device(), b.ncols());
    let (q, r, pivots) = match cholesky_qr2(b) {
        Ok(qr) => (qr.q, qr.r, None),
        Err(Error::Singular { .. }) => {
            let qr = cqrrpt(b, CqrrptParams::default())?;
            let rank = qr.rank();
            (qr.q, qr.r.truncate_columns(rank), Some(qr.pivots))
        }
        Err(error) => return Err(error),
    };
    let mut x = Mat::scratch(device, q.ncols(), z.ncols())?;
    device.gemm(T::one(), q.transpose(), z, T::zero(), x.as_mut())?;
    // (R⁻¹ X)ᵀ = Xᵀ R⁻ᵀ.
    device.trsm_right(Uplo::Upper, Op::Trans, r.as_ref(), x.as_mut().transpose())?;
    let Some(pivots) = pivots else { return Ok(x) };
    let mut all = Mat::zeros(device, k, z.ncols())?;
    device.scatter_rows(&pivots[..q.ncols()], x.as_ref(), all.as_mut())?;
    Ok(all)
}

/// What W = ΘA shows of the error of every rank.
fn errors<T: Scalar, D: Backend<T>>(
    state: &StreamingSvd<T, D>,
    u: MatRef<'_, T, D>,
    s: &[f64],
    v: MatRef<'_, T, D>,
    mut w: Mat<T, D>,
) -> Result<Vec<f64>> {
    let (device, probes, rank) = (state.device(), w.nrows(), s.len());
    let whole = norm_fro(w.as_ref())?;
    let mut seen = Mat::scratch(device, probes, rank)?;
    device.gemm(T::one(), w.as_ref(), v, T::zero(), seen.as_mut())?;
    let predicted = state.operators.probes.apply(u)?;
    device.gemm(-T::one(), seen.as_ref(), v.transpose(), T::one(), w.as_mut())?;
    let outside = norm_fro(w.as_ref())?;
    let (seen, predicted) = (seen.to_vec()?, predicted.to_vec()?);
    let column = |entries: &[T], i: usize| -> Vec<f64> {
        entries[i * probes..(i + 1) * probes].iter().map(|x| x.to_f64()).collect()
    };
    let (mut kept, mut left) = (Vec::with_capacity(rank), Vec::with_capacity(rank));
    for (i, s) in s.iter().enumerate() {
        let (seen, predicted) = (column(&seen, i), column(&predicted, i));
        left.push(seen.iter().map(|h| h * h).sum::<f64>());
        kept.push(seen.iter().zip(predicted).map(|(h, g)| (h - s * g).powi(2)).sum::<f64>());
    }
    let error = |r: usize| {
        let inside = kept[..r].iter().chain(&left[r..]).sum::<f64>();
        (outside * outside + inside).sqrt()
    };
    // Of rank 0 it is the norm itself.
    Ok(core::iter::once(whole).chain((1..=rank).map(error)).collect())
}
