//! Least squares: backward errors against Householder QR, and everything that a matrix can be.

use crate::common::spectra::{geometric, orthonormal, spiked, with_spectrum};
use crate::common::{Place, Plain, cuts, noise, on_every_device};
use crate::decomp_checks::Counting;
use faer::linalg::solvers::SolveLstsqCore;
use randnla::solve::{
    Lstsq, LstsqMethod, LstsqParams, SketchPreconditioner, SketchPreconditionerParams, lstsq,
    sketch_and_solve,
};
use randnla::{Backend, Cpu, Csr, Error, LinearOperator, Mat, Scalar, Sketch};

const METHODS: [LstsqMethod; 2] = [LstsqMethod::Sketch, LstsqMethod::Qr];

/// A = U Σ Vᵀ with its factors, and a right-hand side A x + e with e orthogonal to A.
struct Problem {
    a: Plain,
    b: Plain,
}

impl Problem {
    /// cond(A) and ‖e‖ as given, ‖A‖ = ‖x‖ = 1.
    fn new(m: usize, n: usize, condition: f64, residual: f64, seed: u64) -> Self {
        let u = orthonormal(m, n + 1, seed);
        let q = condition.powf(-1.0 / (n as f64 - 1.0).max(1.0));
        let sigma = geometric(q, n);
        let v = orthonormal(n, n, seed + 1);
        let scaled = Plain::from_fn(m, n, |i, j| u.get(i, j) * sigma[j]);
        let a = scaled.times(&v.transpose());
        let x = orthonormal(n, 1, seed + 2);
        let image = a.times(&x);
        let b = Plain::from_fn(m, 1, |i, _| image.get(i, 0) + residual * u.get(i, n));
        Self { a, b }
    }

    fn rounded<T: Scalar>(&self) -> Self {
        Self { a: self.a.rounded::<T>(), b: self.b.rounded::<T>() }
    }
}

fn faer(a: &Plain) -> faer::Mat<f64> {
    faer::Mat::from_fn(a.rows, a.cols, |i, j| a.get(i, j))
}

/// The solution by Householder QR in T.
fn householder_in<T: Scalar>(a: &Plain, b: &Plain) -> Plain {
    if size_of::<T>() == 8 {
        return householder(a, b);
    }
    let single = |a: &Plain| faer::Mat::from_fn(a.rows, a.cols, |i, j| a.get(i, j) as f32);
    let mut x = single(b);
    single(a).qr().solve_lstsq_in_place_with_conj(faer::Conj::No, x.as_mut());
    Plain::from_fn(a.cols, b.cols, |i, j| f64::from(x[(i, j)]))
}

/// The solution by Householder QR, in `f64`.
fn householder(a: &Plain, b: &Plain) -> Plain {
    let mut x = faer(b);
    faer(a).qr().solve_lstsq_in_place_with_conj(faer::Conj::No, x.as_mut());
    Plain::from_fn(a.cols, b.cols, |i, j| x[(i, j)])
}

/// The estimate of Karlson and Waldén for the backward error of x, relative to ‖A‖_F, from the SVD of A.
fn backward_error(a: &Plain, b: &Plain, x: &Plain) -> f64 {
    let svd = faer(a).thin_svd().unwrap();
    let r = b.minus(&a.times_exactly(x));
    let g = svd.V().transpose() * faer(&a.transpose().times_exactly(&r));
    let s = svd.S().column_vector();
    let mu = r.norm() / x.norm();
    let sum: f64 = (0..s.nrows()).map(|i| g[(i, 0)].powi(2) / (s[i] * s[i] + mu * mu)).sum();
    sum.sqrt() / x.norm() / a.norm()
}

fn solve<T: Scalar, D: Backend<T>>(
    place: &Place<D>,
    problem: &Problem,
    params: LstsqParams,
) -> Lstsq<T, D> {
    let a = problem.a.to_mat::<T, D>(place.device());
    lstsq(&a, problem.b.to_mat::<T, D>(place.device()).as_ref(), params).unwrap()
}

/// Conditions up to 10¹² (10⁵ in f32), residuals of any size: the backward error is at most ten times that
/// of Householder QR, or 2u, and it is told within a factor of 4.
fn backward_stable_at_every_condition<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    let conditions =
        if size_of::<T>() == 4 { [1.0, 30.0, 1e3, 1e4, 1e5] } else { [1.0, 1e4, 1e8, 1e10, 1e12] };
    let mut case = 0;
    for condition in conditions {
        for residual in [0.0, 1e-9, 1e-6, 1e-3, 1.0, 1e3] {
            for (m, n) in [(900, 24), (2000, 60), (90, 60)] {
                case += 1;
                if !place.takes(&cuts::LSTSQ, case) {
                    continue;
                }
                let problem = Problem::new(m, n, condition, residual, case as u64).rounded::<T>();
                let (a, b) = (&problem.a, &problem.b);
                let peer = backward_error(a, b, &householder_in::<T>(a, b));
                // faer's solution is not finite for some matrices; a stable one has an error of some u.
                let peer = if peer.is_nan() { u } else { peer };
                for method in METHODS {
                    let what = format!("{} {condition:e} {residual:e} {m}×{n} {method:?}", T::NAME);
                    let found =
                        solve::<T, D>(place, &problem, LstsqParams::default().method(method));
                    let x = Plain::of(found.x.as_ref());
                    let error = backward_error(a, b, &x);
                    assert!(error <= (10.0 * peer).max(2.0 * u), "{what}: {error:e}, QR {peer:e}");
                    let said = found.backward_error[0];
                    assert!(found.converged && said <= 2.0 * u, "{what}: {said:e}");
                    assert!(
                        said <= (4.0 * error).max(2.0 * u) && error <= 4.0 * said + 0.3 * u,
                        "{what}: {error:e}, said {said:e}"
                    );
                    assert_eq!((found.method, found.rank), (method, n), "{what}");
                    let estimate = found.condition / condition;
                    assert!((0.1..4.0).contains(&estimate), "{what}: {:e}", found.condition);
                    let norm = b.minus(&a.times_exactly(&x)).norm();
                    let rounding = 4.0 * n as f64 * u * (b.norm() + a.norm() * x.norm());
                    assert!((found.residual[0] - norm).abs() <= rounding, "{what}: {norm:e}");
                }
            }
        }
    }
}

/// A·N is as well conditioned as the embedding says, whatever A is: for ζ = 8 and γ = 4 singular values are within
/// [1/2, 2.5] in all of these, 60 matrices.
fn a_sketch_preconditions<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for seed in (0..20).filter(|&seed| place.takes(&cuts::LSTSQ, seed)) {
        let q = if size_of::<T>() == 4 { 0.7 } else { 0.4 };
        for a in [
            with_spectrum(700, 25, &geometric(q, 25), seed as u64),
            spiked(700, 25, 25),
            Plain::from_fn(700, 25, |i, j| if i == 13 * j { 1.0 + j as f64 } else { 0.0 }),
        ] {
            let params = SketchPreconditionerParams::default().seed(seed as u64);
            let mat = a.to_mat::<T, D>(place.device());
            let n = SketchPreconditioner::new(&mat, params).unwrap();
            assert_eq!((n.rank(), n.shape()), (25, (25, 25)));
            let mut dense = Mat::<T, D>::zeros(place.device(), 25, 25).unwrap();
            let one = Mat::identity(place.device(), 25).unwrap();
            n.apply(one.as_ref(), dense.as_mut()).unwrap();
            let n_plain = Plain::of(dense.as_ref());
            let values = a.rounded::<T>().times_exactly(&n_plain).singular_values();
            assert!(values[0] < 2.5 && values[24] > 0.5, "{values:?}");
            let norm = n.norm_fro() / a.norm();
            assert!((0.5..2.0).contains(&norm), "{norm}");
            n.apply_adjoint(one.as_ref(), dense.as_mut()).unwrap();
            let gap = Plain::of(dense.transpose()).minus(&n_plain).norm();
            assert!(gap <= 100.0 * T::UNIT_ROUNDOFF * n_plain.norm(), "{gap:e}");
        }
    }
}

/// As many right-hand sides as one likes, of any scale, and zero: each as if it were alone, to rounding.
fn many_right_hand_sides<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (m, n, p) = (600, 15, 7);
    let a = with_spectrum(m, n, &geometric(0.6, n), 3).rounded::<T>();
    let far = if size_of::<T>() == 4 { 50 } else { 900 };
    let scale = |j: usize| [1.0, 0.0, 2f64.powi(far), 2f64.powi(-far), 1e3, 1e-3, 1.0][j];
    let b = Plain::from_fn(m, p, |i, j| noise(4, i, j % 4) * scale(j)).rounded::<T>();
    let device = place.device();
    let mat = a.to_mat::<T, D>(device);
    for method in METHODS {
        let params = LstsqParams::default().method(method);
        let all = lstsq(&mat, b.to_mat::<T, D>(device).as_ref(), params).unwrap();
        assert!(all.converged);
        assert_eq!(all.x.shape(), (n, p));
        for j in 0..p {
            let (x, one) = (Plain::of(all.x.columns(j..j + 1)), b.columns(j, j + 1));
            let alone = lstsq(&mat, one.to_mat::<T, D>(device).as_ref(), params).unwrap();
            let gap = x.minus(&Plain::of(alone.x.as_ref())).norm();
            let rounding = 60.0 * T::UNIT_ROUNDOFF * all.condition.powi(2);
            assert!(gap <= rounding * x.norm(), "{method:?} {j}: {gap:e} of {:e}", x.norm());
            if j != 1 {
                let x = x.map(|x| x / scale(j));
                let error = backward_error(&a, &one.map(|b| b / scale(j)), &x);
                assert!(error <= 4.0 * T::UNIT_ROUNDOFF, "{method:?} {j}: {error:e}");
            }
        }
        assert_eq!((all.residual[1], all.backward_error[1]), (0.0, 0.0));
        assert_eq!(Plain::of(all.x.columns(1..2)).norm(), 0.0);
    }
}

/// λ: the solution of the rows of A with √λ·I below them.
fn ridge_is_that_of_the_longer_matrix<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    for (m, n, rank) in [(500, 20, 20), (500, 20, 12), (12, 20, 12)] {
        let a = with_spectrum(m, n, &geometric(0.5, rank), 5).rounded::<T>();
        let b = Plain::from_fn(m, 2, |i, j| noise(6, i, j)).rounded::<T>();
        for lambda in [1e-4, 1.0, 1e4] {
            let longer = Plain::from_fn(m + n, n, |i, j| match i {
                i if i < m => a.get(i, j),
                i => f64::from(i - m == j) * f64::sqrt(lambda),
            });
            let right = Plain::from_fn(m + n, 2, |i, j| if i < m { b.get(i, j) } else { 0.0 });
            let expected = householder(&longer, &right);
            for method in METHODS {
                let problem = Problem { a: a.clone(), b: b.clone() };
                let params = LstsqParams::default().ridge(lambda).method(method);
                let found = solve::<T, D>(place, &problem, params);
                let what = format!("{} {m}×{n} of {rank}, λ = {lambda}, {method:?}", T::NAME);
                assert!(found.converged && found.rank == n, "{what}: {:?}", found.backward_error);
                let x = Plain::of(found.x.as_ref());
                let gap = x.minus(&expected).norm();
                let condition = found.condition;
                // Perturbation theory of least squares: cond for the part of b in the range, cond² for the rest.
                let rounding =
                    40.0 * u * condition * (expected.norm() + condition * b.norm() / longer.norm());
                assert!(gap <= rounding, "{what}: {gap:e} of {:e}", expected.norm());
            }
        }
    }
}

/// Deficient ranks, exactly, and wide matrices: the solution of least norm.
fn the_least_norm_where_the_rank_is_deficient<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    for (m, n, rank) in [(600, 20, 9), (600, 20, 1), (40, 20, 7), (12, 30, 12), (12, 30, 5)] {
        let sigma: Vec<f64> = (0..rank).map(|i| 1.0 + i as f64).collect();
        let a = with_spectrum(m, n, &sigma, 7);
        let svd = faer(&a).thin_svd().unwrap();
        let b = Plain::from_fn(m, 1, |i, _| noise(8, i, 0)).rounded::<T>();
        let c = svd.U().transpose() * faer(&b);
        let s = svd.S().column_vector();
        let scaled = faer::Mat::from_fn(rank, 1, |i, _| c[(i, 0)] / s[i]);
        let x = svd.V().subcols(0, rank) * scaled;
        let expected = Plain::from_fn(n, 1, |i, _| x[(i, 0)]);
        let a = a.rounded::<T>();
        for method in METHODS {
            let problem = Problem { a: a.clone(), b: b.clone() };
            let found = solve::<T, D>(place, &problem, LstsqParams::default().method(method));
            let what = format!("{} {m}×{n} of rank {rank}, {method:?}", T::NAME);
            assert_eq!(found.rank, rank, "{what}");
            assert!(found.converged, "{what}: {:?}", found.backward_error);
            let gap = Plain::of(found.x.as_ref()).minus(&expected).norm();
            let rounding = 400.0 * u * sigma[rank - 1] * sigma[rank - 1];
            assert!(
                gap <= rounding * expected.norm().max(b.norm() / sigma[rank - 1]),
                "{what}: {gap:e}"
            );
        }
    }
}

/// Powers of two in A, in b and in λ go through to x, bit for bit.
fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let exponents: [i32; 4] =
        if size_of::<T>() == 4 { [1, -1, 30, -30] } else { [1, -3, 300, -300] };
    for (rank, lambda) in [(12, 0.0), (12, 0.25), (5, 0.0)] {
        let a = with_spectrum(400, 12, &geometric(0.5, rank), 9).rounded::<T>();
        let b = Plain::from_fn(400, 2, |i, j| noise(10, i, j)).rounded::<T>();
        for method in METHODS {
            let params = LstsqParams::default().method(method);
            let at = |e: i32, f: i32| {
                let a = a.map(|x| x * 2f64.powi(e));
                let b = b.map(|x| x * 2f64.powi(f));
                solve::<T, D>(place, &Problem { a, b }, params.ridge(lambda * 4f64.powi(e)))
            };
            let base = at(0, 0);
            for e in exponents {
                for (e, f) in [(e, 0), (0, e), (e, e)] {
                    let scaled = at(e, f);
                    let what = format!("{method:?} A·2^{e}, b·2^{f}, λ = {lambda}");
                    let expected = Plain::of(base.x.as_ref()).map(|x| x * 2f64.powi(f - e));
                    assert!(Plain::of(scaled.x.as_ref()) == expected, "{what}");
                    assert_eq!(scaled.backward_error, base.backward_error, "{what}");
                    let residual: Vec<f64> =
                        base.residual.iter().map(|r| r * 2f64.powi(f)).collect();
                    assert_eq!(scaled.residual, residual, "{what}");
                    assert_eq!((scaled.iterations, scaled.rank), (base.iterations, base.rank));
                }
            }
        }
    }
}

fn the_same_bits_on_every_handle<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let problem = Problem::new(1500, 40, 1e3, 0.1, 11).rounded::<T>();
    for method in METHODS {
        place.result("lstsq", |device| {
            let a = problem.a.to_mat::<T, D>(device);
            let b = problem.b.to_mat::<T, D>(device);
            let params = LstsqParams::default().method(method);
            lstsq(&a, b.as_ref(), params).unwrap().x.to_vec().unwrap()
        });
    }
}

/// Sparse matrices of both formats, row-major ones, and what only multiplies: the same solution to rounding.
fn every_kind_of_matrix<D: Backend<f64>>(place: &Place<D>) {
    let (m, n) = (700, 18);
    let a = Plain::from_fn(m, n, |i, j| {
        if (i * 7 + j * 3) % 5 == 0 || i % 40 == j { noise(12, i, j) } else { 0.0 }
    });
    let b = Plain::from_fn(m, 2, |i, j| noise(13, i, j));
    let device = place.device();
    let right = b.to_mat::<f64, D>(device);
    let expected = householder(&a, &b);
    let compressed = |a: &Plain| {
        let stored = |at: &usize| a.get(at % a.rows, at / a.rows) != 0.0;
        let entries: Vec<(usize, usize, f64)> = (0..a.rows * a.cols)
            .filter(stored)
            .map(|at| (at % a.rows, at / a.rows, a.get(at % a.rows, at / a.rows)))
            .collect();
        Csr::from_triplets(device, (a.rows, a.cols), &entries).unwrap()
    };
    let dense = a.to_mat::<f64, D>(device);
    let rows = a.transpose().to_mat::<f64, D>(device);
    let csr = compressed(&a);
    let turned = compressed(&a.transpose());
    let csc = turned.as_ref().transpose();
    let free = Free(dense.as_ref());
    let operators: [&dyn LinearOperator<f64, D>; 5] =
        [&dense, &rows.transpose(), &csr, &csc, &free];
    for (kind, a) in operators.into_iter().enumerate() {
        for method in METHODS {
            let found = lstsq(a, right.as_ref(), LstsqParams::default().method(method)).unwrap();
            assert!(found.converged);
            let gap = Plain::of(found.x.as_ref()).minus(&expected).norm();
            assert!(gap <= 1e-13 * expected.norm(), "{kind} {method:?}: {gap:e}");
        }
    }
}

/// Only multiplies.
struct Free<'a, D: Backend<f64>>(randnla::MatRef<'a, f64, D>);

impl<D: Backend<f64>> LinearOperator<f64, D> for Free<'_, D> {
    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn device(&self) -> &D {
        self.0.device()
    }

    fn apply(
        &self,
        x: randnla::MatRef<'_, f64, D>,
        y: randnla::MatMut<'_, f64, D>,
    ) -> randnla::Result<()> {
        LinearOperator::apply(&self.0, x, y)
    }

    fn apply_adjoint(
        &self,
        x: randnla::MatRef<'_, f64, D>,
        y: randnla::MatMut<'_, f64, D>,
    ) -> randnla::Result<()> {
        LinearOperator::apply_adjoint(&self.0, x, y)
    }
}

fn zero_empty_and_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (m, n, p) in
        [(0, 0, 0), (0, 0, 2), (0, 3, 2), (5, 0, 2), (5, 3, 0), (1, 1, 1), (90, 3, 2), (3, 9, 2)]
    {
        let a = Plain::zeros(m, n).to_mat::<T, D>(device);
        let b = Plain::from_fn(m, p, |i, j| noise(1, i, j)).rounded::<T>();
        for method in METHODS {
            let params = LstsqParams::default().method(method);
            let found = lstsq(&a, b.to_mat::<T, D>(device).as_ref(), params).unwrap();
            assert_eq!((found.rank, found.x.shape(), found.converged), (0, (n, p), true));
            assert_eq!(Plain::of(found.x.as_ref()).norm(), 0.0);
            assert_eq!(found.backward_error, vec![0.0; p]);
            for j in 0..p {
                let norm = b.columns(j, j + 1).norm();
                assert!((found.residual[j] - norm).abs() <= 4.0 * T::UNIT_ROUNDOFF * norm);
            }
        }
    }
    for (m, n) in [(300, 6), (9, 6), (6, 20)] {
        for value in [f64::NAN, f64::INFINITY] {
            let mut a = Plain::from_fn(m, n, |i, j| noise(2, i, j));
            let mut b = Plain::from_fn(m, 3, |i, j| noise(3, i, j));
            for method in METHODS {
                let params = LstsqParams::default().method(method);
                b.set(5, 1, value);
                let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
                let error = lstsq(&left, right.as_ref(), params).unwrap_err();
                assert!(
                    matches!(
                        error,
                        Error::NonFinite { op: "lstsq, right-hand side", row: 5, col: 1 }
                    ),
                    "{error}"
                );
                b.set(5, 1, 1.0);
                a.set(4, 2, value);
                let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
                let error = lstsq(&left, right.as_ref(), params).unwrap_err();
                assert!(
                    matches!(error, Error::NonFinite { op: "lstsq", row: 4, col: 2 }),
                    "{error}"
                );
                a.set(4, 2, 1.0);
            }
        }
    }
}

fn arguments_out_of_range_are_named<D: Backend<f64>>(place: &Place<D>) {
    let a = Plain::from_fn(30, 4, |i, j| noise(3, i, j)).to_mat::<f64, D>(place.device());
    let params = LstsqParams::default();
    for (params, name) in [
        (params.embedding_factor(0.5), "embedding_factor"),
        (params.embedding_factor(f64::NAN), "embedding_factor"),
        (params.nnz(0), "nnz"),
        (params.rank_tolerance(1.0), "rank_tolerance"),
        (params.ridge(-1.0), "ridge"),
        (params.ridge(f64::INFINITY), "ridge"),
    ] {
        let error = lstsq(&a, a.as_ref(), params).unwrap_err();
        let named = matches!(&error, Error::InvalidArgument { argument, .. } if *argument == name);
        assert!(named, "{error}");
    }
    let error = lstsq(&a, a.rows(0..29), params).unwrap_err();
    let named = matches!(
        error,
        Error::ShapeMismatch { argument: "b", got: (29, 4), expected: (30, 4), .. }
    );
    assert!(named, "{error}");
    let s = Sketch::gaussian(10, 29, 1).unwrap();
    let error = sketch_and_solve(&a, a.as_ref(), &s).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { argument: "s", .. }), "{error}");
}

on_every_device! {
    backward_stable_at_every_condition: f32 f64,
    a_sketch_preconditions: f32 f64,
    many_right_hand_sides: f32 f64,
    ridge_is_that_of_the_longer_matrix: f32 f64,
    the_least_norm_where_the_rank_is_deficient: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    the_same_bits_on_every_handle: f32 f64,
    every_kind_of_matrix,
    zero_empty_and_not_finite: f32 f64,
    arguments_out_of_range_are_named,
}

/// Condition 10⁸ and γ = 4: the accuracy of QR in at most 60 iterations, for 20 sketches.
#[test]
fn iterations_do_not_depend_on_the_condition() {
    let cpu = Cpu::new();
    for condition in [1.0, 1e8] {
        let problem = Problem::new(3000, 50, condition, 1e-2, 21);
        let a = problem.a.to_mat::<f64, Cpu>(&cpu);
        let b = problem.b.to_mat::<f64, Cpu>(&cpu);
        for seed in 0..20 {
            let params = LstsqParams::default().method(LstsqMethod::Sketch).seed(seed);
            let found = lstsq(&a, b.as_ref(), params).unwrap();
            assert!(found.converged && found.iterations <= 60, "{}", found.iterations);
        }
    }
}

/// A = [I; 0] and b on some of the other rows (Price, Song and Woodruff, 2017): Gaussian operators and the SRHT
/// spread the error over the entries of x, CountSketch puts it into few of them. The limit for the former
/// is 1.3 times the √(2 ln n · n/(d − n)) of the largest of n normals: beyond a failure probability of 10⁻⁶ an
/// operator, of which four seeds are tried.
#[test]
fn errors_are_spread_evenly_by_dense_operators() {
    let cpu = Cpu::new();
    let (m, n, d) = (4096, 256, 1024);
    let a = Mat::<f64>::from_fn(&cpu, m, n, |i, j| f64::from(u8::from(i == j))).unwrap();
    let spread = n / 16;
    let b = Mat::from_fn(&cpu, m, 1, |i, _| {
        if (n..n + spread).contains(&i) { 1.0 / (spread as f64).sqrt() } else { 0.0 }
    })
    .unwrap();
    let largest = |s: &Sketch| {
        let x = sketch_and_solve(&a, b.as_ref(), s).unwrap();
        (n as f64).sqrt() * x.to_vec().unwrap().iter().fold(0.0, |a, x| x.abs().max(a))
    };
    let limit = 1.3 * (2.0 * (n as f64).ln() * n as f64 / (d - n) as f64).sqrt();
    for seed in 0..4 {
        for s in [Sketch::gaussian(d, m, seed).unwrap(), Sketch::srht(d, m, seed).unwrap()] {
            assert!(largest(&s) <= limit, "{s:?}: {}", largest(&s));
        }
        assert!(largest(&Sketch::count_sketch(d, m, seed).unwrap()) > 1.5 * limit);
    }
}

/// The residual of sketch-and-solve is within √(1 + n/(d − n)) of the best in the mean (Gaussian operators), here
/// within 1.5 times that for every seed.
#[test]
fn sketch_and_solve_is_close_to_the_best() {
    let cpu = Cpu::new();
    let problem = Problem::new(2000, 20, 1e6, 0.5, 31);
    let a = problem.a.to_mat::<f64, Cpu>(&cpu);
    let b = problem.b.to_mat::<f64, Cpu>(&cpu);
    for seed in 0..10 {
        for s in [
            Sketch::gaussian(200, 2000, seed).unwrap(),
            Sketch::sparse_stack(200, 2000, 8, seed).unwrap(),
            Sketch::srht(200, 2000, seed).unwrap(),
        ] {
            let x = Plain::of(sketch_and_solve(&a, b.as_ref(), &s).unwrap().as_ref());
            let excess = problem.b.minus(&problem.a.times(&x)).norm() / 0.5;
            assert!(
                (1.0 - 1e-9..1.5 * (1.0f64 + 20.0 / 180.0).sqrt()).contains(&excess),
                "{excess}"
            );
        }
    }
}

/// A column-major matrix of 70 MB is iterated on as a row-major copy: the solution is that of the row-major one.
#[test]
fn a_large_matrix_is_copied_by_rows() {
    let cpu = Cpu::new();
    let (m, n) = (140_000, 62);
    let a = Mat::<f64>::from_fn(&cpu, m, n, |i, j| noise(51, i, j)).unwrap();
    let b = Mat::from_fn(&cpu, m, 2, |i, j| noise(52, i, j)).unwrap();
    let mut rows = Mat::<f64>::scratch(&cpu, n, m).unwrap();
    randnla::Blas::axpby(&cpu, 1.0, a.transpose(), 0.0, rows.as_mut()).unwrap();
    let rows = rows.into_transposed();
    assert!(randnla::Blas::<f64>::normal_times_prefers_rows(&cpu, &a.as_ref(), 2));
    assert!(!randnla::Blas::<f64>::normal_times_prefers_rows(&cpu, &rows.as_ref(), 2));
    let params = LstsqParams::default().method(LstsqMethod::Sketch);
    let [one, other] = [&a, &rows].map(|a| lstsq(a, b.as_ref(), params).unwrap());
    assert!(one.converged && other.converged && one.iterations == other.iterations);
    let (x, y) = (Plain::of(one.x.as_ref()), Plain::of(other.x.as_ref()));
    // The condition of A is about 1, that of the problem the ratio ‖b‖/‖Ax‖ of about 50.
    assert!(x.minus(&y).norm() <= 1e-12 * x.norm(), "{:e}", x.minus(&y).norm() / x.norm());
}

/// What multiplies only is used as often as the report says: a product and an adjoint an iteration, one each a
/// residual, and one for the solution.
#[test]
fn a_matrix_free_operator_is_counted() {
    let cpu = Cpu::new();
    let problem = Problem::new(1500, 30, 1e4, 0.1, 41);
    let a = problem.a.to_mat::<f64, Cpu>(&cpu);
    let counted = Counting::new(a.as_ref(), false);
    let b = problem.b.to_mat::<f64, Cpu>(&cpu);
    let found = lstsq(&counted, b.as_ref(), LstsqParams::default()).unwrap();
    assert_eq!(found.method, LstsqMethod::Sketch);
    let applications = counted.applications.into_inner();
    // The sketch takes one block of columns.
    assert_eq!(applications, found.iterations + found.refinements + 2);
    assert_eq!(counted.adjoints.into_inner(), applications - 1);
}
