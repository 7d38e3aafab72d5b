//! What every QB and SVD must satisfy, whatever the matrix: the tests of decompositions go through
//! here.

use crate::common::{Plain, Reference};
use randnla::decomp::{ErrorEstimate, ErrorKind, Qb, RsvdParams, Svd, rsvd};
use randnla::{Backend, Blas, Cpu, LinearOperator, Mat, MatMut, MatRef, Result, Scalar};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// ‖UᵀU − I‖_F ≤ 50·u·√k for U and V, values falling and not negative, the error honest.
///
/// Returns ‖A − UΣVᵀ‖_F/‖A‖_F, computed in `f64`.
#[track_caller]
pub fn check_svd<T: Scalar, D: Backend<T>>(what: &str, a: &Plain, svd: &Svd<T, D>) -> f64 {
    let (u, v) = (Plain::of(svd.u.as_ref()), Plain::of(svd.vt.transpose()));
    let k = svd.s.len();
    assert_eq!((u.rows, u.cols, v.rows, v.cols), (a.rows, k, a.cols, k), "{what}: shapes");
    let limit = 50.0 * T::UNIT_ROUNDOFF * (k as f64).sqrt();
    for (name, factor) in [("U", &u), ("V", &v)] {
        let error = factor.orthogonality();
        assert!(error <= limit, "{what}: {name} is orthonormal to {error:e} only, k = {k}");
    }
    let s: Vec<f64> = svd.s.iter().map(|s| s.to_f64()).collect();
    assert!(s.windows(2).all(|pair| pair[0] >= pair[1]), "{what}: {s:?}");
    assert!(s.iter().all(|&s| s > 0.0 && s.is_finite()), "{what}: {s:?}");
    let scaled = Plain::from_fn(u.rows, k, |i, j| u.get(i, j) * s[j]);
    let error = relative_error(a, &scaled.times(&v.transpose()));
    check_estimate::<T>(what, error, a.norm(), svd.error, k);
    error
}

/// As [`check_svd`] for A ≈ QB, where B must be QᵀA to rounding.
#[track_caller]
pub fn check_qb<T: Scalar, D: Backend<T>>(what: &str, a: &Plain, qb: &Qb<T, D>) -> f64 {
    let (q, b) = (Plain::of(qb.q.as_ref()), Plain::of(qb.b.as_ref()));
    assert_eq!((q.rows, q.cols, b.cols), (a.rows, b.rows, a.cols), "{what}: shapes");
    let orthogonality = q.orthogonality();
    let limit = 50.0 * T::UNIT_ROUNDOFF * (q.cols as f64).sqrt();
    assert!(orthogonality <= limit, "{what}: Q is orthonormal to {orthogonality:e} only");
    let size = q.abs().transpose().times(&a.abs());
    let factor = (a.rows as f64 + 4.0) * T::UNIT_ROUNDOFF;
    let bound = size.map(|x| factor * x + f64::MIN_POSITIVE);
    crate::common::assert_within(what, &b, &q.transpose().times_exactly(a), &bound);
    let error = relative_error(a, &q.times(&b));
    check_estimate::<T>(what, error, a.norm(), qb.error, q.cols);
    error
}

/// ‖A − B‖_F/‖A‖_F, 0 for A = B = 0.
pub fn relative_error(a: &Plain, b: &Plain) -> f64 {
    let difference = a.minus(b).norm();
    if difference == 0.0 { 0.0 } else { difference / a.norm() }
}

/// An estimate is what its kind says.
///
/// * The identity: 1 − ‖B‖²/‖A‖² is a difference of sums that are off by O(u), so the squares agree
///   to 64·u·√r, the square of the relative error below which the documentation calls it void.
/// * An unbiased estimate from r ≥ 20 probes is at worst χ²_r/r of the square, which lies in
///   [1/16, 9] but for 3·10⁻⁹; errors of a few u are rounding and nothing else.
/// * A bound is above the error.
#[track_caller]
pub fn check_estimate<T: Scalar>(
    what: &str,
    error: f64,
    norm: f64,
    estimate: ErrorEstimate,
    rank: usize,
) {
    let (relative, u) = (estimate.relative, T::UNIT_ROUNDOFF);
    let consistent = (estimate.absolute - relative * norm).abs() <= 1e-6 * relative * norm;
    let consistent = consistent || matches!(estimate.kind, ErrorKind::Estimate { .. });
    let what = format!("{what}: true error {error:e}, {estimate:?}");
    match estimate.kind {
        ErrorKind::Identity => {
            assert!(consistent, "{what}: ‖A‖ = {norm:e}");
            let gap = (relative * relative - error * error).abs();
            assert!(gap <= 64.0 * u * (rank.max(1) as f64).sqrt(), "{what}");
        }
        ErrorKind::Estimate { probes } => {
            assert!(probes >= 20, "{what}");
            let fits = (0.25 * error..=3.0 * error).contains(&relative);
            assert!(fits || error.max(relative) <= 100.0 * u, "{what}");
        }
        ErrorKind::Bound { failure_probability } => {
            assert!(failure_probability > 0.0 && failure_probability < 1.0, "{what}");
            assert!(error <= relative + 50.0 * u, "{what}");
        }
        _ => panic!("{what}: an unknown kind"),
    }
}

/// A matrix-free operator that counts how often it is used, and may or may not know its norm.
pub struct Counting<'a, T: Scalar, D: Blas<T>> {
    pub a: MatRef<'a, T, D>,
    pub knows_norm: bool,
    pub applications: AtomicUsize,
    pub adjoints: AtomicUsize,
}

impl<'a, T: Scalar, D: Blas<T>> Counting<'a, T, D> {
    pub fn new(a: MatRef<'a, T, D>, knows_norm: bool) -> Self {
        let (applications, adjoints) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { a, knows_norm, applications, adjoints }
    }

    pub fn passes(&self) -> usize {
        self.applications.load(Relaxed) + self.adjoints.load(Relaxed)
    }
}

// One by one: an implementation for every device would overlap that of the library's own matrices.
macro_rules! counting {
    ($($scalar:ty, $device:ty;)*) => {$(
        impl LinearOperator<$scalar, $device> for Counting<'_, $scalar, $device> {
            fn shape(&self) -> (usize, usize) {
                self.a.shape()
            }

            fn device(&self) -> &$device {
                self.a.device()
            }

            fn apply(
                &self,
                x: MatRef<'_, $scalar, $device>,
                y: MatMut<'_, $scalar, $device>,
            ) -> Result<()> {
                self.applications.fetch_add(1, Relaxed);
                self.a.device().gemm(1.0, self.a, x, 0.0, y)
            }

            fn apply_adjoint(
                &self,
                x: MatRef<'_, $scalar, $device>,
                y: MatMut<'_, $scalar, $device>,
            ) -> Result<()> {
                self.adjoints.fetch_add(1, Relaxed);
                self.a.device().gemm(1.0, self.a.transpose(), x, 0.0, y)
            }

            fn norm_fro(&self) -> Result<Option<f64>> {
                Ok(self.knows_norm.then(|| Plain::of(self.a).norm()))
            }
        }
    )*};
}

counting! {
    f32, Cpu;
    f64, Cpu;
    f64, Reference;
}

#[cfg(feature = "cuda")]
counting! {
    f32, randnla::Cuda;
    f64, randnla::Cuda;
}

/// A as T has it, as a matrix on a device and as the `f64` values of that matrix.
pub fn prepared<T: Scalar, D: Blas<T>>(a: &Plain, device: &D) -> (Plain, Mat<T, D>) {
    (a.rounded::<T>(), a.to_mat(device))
}

/// One SVD of a dense matrix on a device, checked; with its true relative error.
#[track_caller]
pub fn checked_rsvd<T: Scalar, D: Backend<T>>(
    what: &str,
    a: &Plain,
    params: RsvdParams,
    device: &D,
) -> (f64, Svd<T, D>) {
    let (a, mat) = prepared::<T, D>(a, device);
    let svd = rsvd(&mat, params).unwrap_or_else(|error| panic!("{what}: {error}"));
    (check_svd(what, &a, &svd), svd)
}

/// Every bit of a result: U, s, Vᵀ, the error and the passes.
pub fn bits<T: Scalar, D: Backend<T>>(
    svd: &Svd<T, D>,
) -> (Vec<T>, Vec<T>, Vec<T>, [u64; 2], usize) {
    let error = [svd.error.absolute.to_bits(), svd.error.relative.to_bits()];
    (svd.u.to_vec().unwrap(), svd.s.clone(), svd.vt.to_vec().unwrap(), error, svd.passes)
}
