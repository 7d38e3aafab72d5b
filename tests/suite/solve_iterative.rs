//! Iterative solvers and their preconditioners: solutions against dense `f64` ones, residuals that are true, reasons to
//! stop, and rates of convergence against theory.

use crate::common::spectra::{geometric, harmonic, orthonormal, with_spectrum};
use crate::common::{Place, Plain, noise, on_every_device};
use faer::linalg::solvers::SolveLstsqCore;
use randnla::solve::{
    CgParams, LsqrParams, NystromPcgParams, NystromPreconditioner, NystromPreconditionerParams,
    SketchPreconditioner, SketchPreconditionerParams, Solution, StopReason, cg, cg_with_progress,
    lsqr, lsqr_with_progress, nystrom_pcg,
};
use randnla::{Backend, Cpu, Error, LinearOperator, Mat, MatMut, MatRef, Result, Scalar};
use std::cell::Cell;
use std::ops::ControlFlow;

/// U·diag(λ)·Uᵀ, and what solves with its shifts.
struct Spd {
    a: Plain,
    u: Plain,
    lambda: Vec<f64>,
}

impl Spd {
    fn new(lambda: &[f64], seed: u64) -> Self {
        let n = lambda.len();
        let u = orthonormal(n, n, seed);
        let scaled = Plain::from_fn(n, n, |i, j| u.get(i, j) * lambda[j]);
        let a = scaled.times(&u.transpose());
        let a = Plain::from_fn(n, n, |i, j| 0.5 * (a.get(i, j) + a.get(j, i)));
        Self { a, u, lambda: lambda.to_vec() }
    }

    fn solve(&self, mu: f64, b: &Plain) -> Plain {
        let c = self.u.transpose().times(b);
        let c = Plain::from_fn(c.rows, c.cols, |i, j| c.get(i, j) / (self.lambda[i] + mu));
        self.u.times(&c)
    }
}

/// ‖b − (A + μI)x‖ of every column, in `f64`.
fn residuals(a: &Plain, mu: f64, x: &Plain, b: &Plain) -> Vec<f64> {
    let image = a.times_exactly(x);
    let column = |j: usize| {
        let shifted = |i: usize| if mu == 0.0 { 0.0 } else { mu * x.get(i, j) };
        Plain::from_fn(b.rows, 1, |i, _| b.get(i, j) - image.get(i, j) - shifted(i)).norm()
    };
    (0..b.cols).map(column).collect()
}

fn right_hand_sides<T: Scalar>(n: usize, p: usize, seed: u64) -> Plain {
    Plain::from_fn(n, p, |i, j| noise(seed, i, j)).rounded::<T>()
}

/// Tolerances are met by the true residual, which is the one that is told, and errors are within κ of it.
fn conjugate_gradients_solve_to_the_tolerance<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (n, p, u) = (120, 3, T::UNIT_ROUNDOFF);
    let spd = Spd::new(&geometric(0.9, n), 1);
    let a = spd.a.rounded::<T>();
    let b = right_hand_sides::<T>(n, p, 2);
    let (device, mu) = (place.device(), 2f64.powi(-7));
    let (mat, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let params = NystromPreconditionerParams::new(mu).block_size(8);
    let inverse = NystromPreconditioner::new(&mat, params).unwrap();
    assert!(inverse.condition() < 4.0 && inverse.rank() >= 32, "{}", inverse.rank());
    let mut iterations = Vec::new();
    for m in [None, Some(&inverse as &dyn LinearOperator<T, D>)] {
        for tolerance in [1e-2, 1e-4, u.powf(2.0 / 3.0)] {
            let params = CgParams::default().shift(mu).tolerance(tolerance);
            let found = cg(&mat, m, right.as_ref(), params).unwrap();
            assert!(found.converged());
            let x = Plain::of(found.x.as_ref());
            let true_residuals = residuals(&a, mu, &x, &b);
            let expected = spd.solve(mu, &b);
            for (j, column) in found.columns.iter().enumerate() {
                let (size, residual) = (b.columns(j, j + 1).norm(), true_residuals[j]);
                // Products of length n, and the rounding of A.
                let rounding = 8.0 * (n as f64).sqrt() * u * (x.columns(j, j + 1).norm() + size);
                assert!((column.residual - residual).abs() <= rounding, "{column:?} {residual:e}");
                assert!(residual <= tolerance * size + rounding && column.relative <= tolerance);
                assert_eq!(column.reason, StopReason::Converged);
                assert_eq!(column.history.len(), column.iterations + 1);
                assert!((column.history[0] - 1.0).abs() < 1e-3, "{:?}", column.history);
                let gap = x.minus(&expected).columns(j, j + 1).norm();
                assert!(gap <= (tolerance * size + rounding) / mu, "{gap:e}");
                let own = residual / (x.columns(j, j + 1).norm() * (1.0 + mu) + size);
                // The quotients that are met are well below the norm where a preconditioner is at work.
                let above = if m.is_none() { 3.0 * own } else { 1e3 * own };
                let told = column.backward_error;
                assert!(told <= above + u && told >= 0.3 * own - u, "{own:e} {column:?}");
            }
            iterations.push(found.iterations());
        }
    }
    assert!(2 * iterations[5] < iterations[2] && iterations[5] <= 20, "{iterations:?}");
}

/// Solves for one right-hand side.
type Solver<'a, T, D> = &'a dyn Fn(MatRef<'_, T, D>) -> Solution<T, D>;

/// Right-hand sides of any scale, an eigenvector, zero: each has its own end, and the solution that it has alone.
fn every_right_hand_side_stops_by_itself<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (n, p) = (80, 6);
    let spd = Spd::new(&geometric(0.9, n), 3);
    let a = spd.a.rounded::<T>();
    let far = if size_of::<T>() == 4 { 50 } else { 900 };
    let b = Plain::from_fn(n, p, |i, j| match j {
        0 => noise(4, i, 0),
        1 => 0.0,
        2 => noise(4, i, 2) * 2f64.powi(far),
        3 => noise(4, i, 3) * 2f64.powi(-far),
        4 => spd.u.get(i, 7),
        _ => spd.u.get(i, 1) + spd.u.get(i, 2) + 1e-6 * noise(4, i, 5),
    });
    let b = b.rounded::<T>();
    let (device, mu) = (place.device(), 2f64.powi(-6));
    let (mat, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
    let check = |all: Solution<T, D>, limit: f64, alone: Solver<'_, T, D>| {
        assert!(all.converged());
        for j in 0..p {
            let one = alone(right.columns(j..j + 1));
            let x = Plain::of(all.x.columns(j..j + 1));
            let gap = x.minus(&Plain::of(one.x.as_ref())).norm();
            assert!(gap <= limit * x.norm(), "{j}: {gap:e} of {:e}", x.norm());
            let (all, one) = (all.columns[j].iterations, one.columns[0].iterations);
            assert!(all.abs_diff(one) <= 3 + one / 4, "{j}: {all} {one}");
        }
        assert_eq!((all.columns[1].iterations, all.columns[1].residual), (0, 0.0));
        assert_eq!(Plain::of(all.x.columns(1..2)).norm(), 0.0);
        assert!(4 * all.columns[4].iterations < all.columns[0].iterations);
        assert!(all.products <= all.iterations() + 6);
        let size = b.columns(2, 3).norm();
        assert!((all.columns[2].residual / size - all.columns[2].relative).abs() < 1e-6);
    };
    let params = CgParams::default().shift(mu).tolerance(1e-5);
    check(cg(&mat, None, right.as_ref(), params).unwrap(), 2e-5 / mu, &|b| {
        cg(&mat, None, b, params).unwrap()
    });
    let params = LsqrParams::default().ridge(mu * mu).tolerance(1e-5);
    check(lsqr(&mat, None, right.as_ref(), params).unwrap(), 2e-5 / (mu * mu), &|b| {
        lsqr(&mat, None, b, params).unwrap()
    });
}

/// Householder QR of the rows of A with √λ·I below them, in `f64`.
fn householder(a: &Plain, lambda: f64, b: &Plain) -> Plain {
    let (m, n) = (a.rows, a.cols);
    let longer = faer::Mat::from_fn(m + n, n, |i, j| match i {
        i if i < m => a.get(i, j),
        i => f64::from(u8::from(i - m == j)) * lambda.sqrt(),
    });
    let mut x = faer::Mat::from_fn(m + n, b.cols, |i, j| if i < m { b.get(i, j) } else { 0.0 });
    longer.qr().solve_lstsq_in_place_with_conj(faer::Conj::No, x.as_mut());
    Plain::from_fn(n, b.cols, |i, j| x[(i, j)])
}

/// Consistent and inconsistent systems, with and without ridge and preconditioner, up to cond(A) = 10⁸ (10³ in f32).
fn least_squares_by_bidiagonalisation<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (m, n, u) = (400, 24, T::UNIT_ROUNDOFF);
    let device = place.device();
    let conditions = if size_of::<T>() == 4 { [10.0, 1e3] } else { [100.0, 1e8] };
    for condition in conditions {
        let q = f64::powf(condition, -1.0 / (n as f64 - 1.0));
        let a = with_spectrum(m, n, &geometric(q, n), 5).rounded::<T>();
        let image = a.times_exactly(&Plain::from_fn(n, 1, |i, _| noise(6, i, 0)));
        for (consistent, lambda) in [(true, 0.0), (false, 0.0), (false, 0.01)] {
            let extra = if consistent { 0.0 } else { 1.0 };
            let b = Plain::from_fn(m, 1, |i, _| image.get(i, 0) + extra * noise(7, i, 0));
            let b = b.rounded::<T>();
            let (mat, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
            let params = SketchPreconditionerParams::default().ridge(lambda);
            let inverse = SketchPreconditioner::new(&mat, params).unwrap();
            for n in [None, Some(&inverse as &dyn LinearOperator<T, D>)] {
                if n.is_none() && condition > 100.0 && lambda == 0.0 {
                    continue;
                }
                let tolerance = u.powf(2.0 / 3.0);
                let params = LsqrParams::default().ridge(lambda);
                let found = lsqr(&mat, n, right.as_ref(), params.tolerance(tolerance)).unwrap();
                let column = &found.columns[0];
                let what = format!(
                    "{} {condition:e} {consistent} {lambda} {}: {column:?}",
                    T::NAME,
                    n.is_some()
                );
                let reason =
                    if consistent { StopReason::Converged } else { StopReason::LeastSquares };
                assert_eq!(column.reason, reason, "{what}");
                assert!(column.backward_error <= tolerance, "{what}");
                assert!(n.is_none() || column.iterations <= 50, "{what}");
                let x = Plain::of(found.x.as_ref());
                let residual = residuals(&a, 0.0, &x, &b);
                let rounding = 8.0 * (m as f64).sqrt() * u * (x.norm() + b.norm());
                assert!((column.residual - residual[0]).abs() <= rounding, "{what} {residual:?}");
                // The gradient of the preconditioned problem is small, so are those of the problem.
                let expected = householder(&a, lambda, &b);
                let kappa = condition.min(1.0 / lambda.sqrt());
                let gap = x.minus(&expected).norm();
                // Perturbation theory of least squares: κ for x, κ² for the residual.
                let perturbed = kappa * (x.norm() + kappa * residual[0]) + kappa * b.norm();
                assert!(gap <= 10.0 * tolerance * perturbed, "{what} {gap:e} of {:e}", x.norm());
            }
        }
    }
}

/// Of many solutions LSQR finds the one of least norm, of a wide matrix and of one of deficient rank.
fn the_solution_of_least_norm<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n, rank) in [(20, 60, 20), (60, 20, 9)] {
        let sigma = harmonic(rank);
        let (u, v) = (orthonormal(m, rank, 8), orthonormal(n, rank, 9));
        let scaled = Plain::from_fn(m, rank, |i, j| u.get(i, j) * sigma[j]);
        let a = scaled.times(&v.transpose());
        let b = right_hand_sides::<T>(m, 1, 10);
        let c = u.transpose().times(&b);
        let expected = v.times(&Plain::from_fn(rank, 1, |i, _| c.get(i, 0) / sigma[i]));
        let (mat, right) = (a.to_mat::<T, D>(place.device()), b.to_mat::<T, D>(place.device()));
        let found = lsqr(&mat, None, right.as_ref(), LsqrParams::default()).unwrap();
        assert!(found.converged(), "{:?}", found.columns);
        let gap = Plain::of(found.x.as_ref()).minus(&expected).norm();
        let tolerance = 10.0 * T::UNIT_ROUNDOFF.powf(2.0 / 3.0) * (rank as f64).powi(2);
        assert!(gap <= tolerance * expected.norm().max(b.norm()), "{m}×{n}: {gap:e}");
    }
}

/// Powers of two in A, μ, λ and b go through to x, bit for bit, and change no iteration, as far as the range goes.
fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let n = 40;
    let spd = Spd::new(&geometric(0.8, n), 11).a.rounded::<T>();
    let tall = with_spectrum(150, n, &geometric(0.8, n), 12).rounded::<T>();
    let exponents = if size_of::<T>() == 4 { [1, 30, -30] } else { [-3, 300, -300] };
    let device = place.device();
    let base = 2f64.powi(-5);
    let scaled = |x: &Plain, e: i32| x.map(|x| x * 2f64.powi(e)).to_mat::<T, D>(device);
    let run = |case: usize, e: i32, f: i32| {
        let rows = if case < 2 { n } else { 150 };
        let b = scaled(&right_hand_sides::<T>(rows, 2, 13), f);
        let mu = base * 2f64.powi(e);
        match case {
            0 => {
                let params = CgParams::default().shift(mu);
                cg(&scaled(&spd, e), None, b.as_ref(), params).unwrap()
            }
            1 => {
                let params = NystromPcgParams::new(mu).rank(16);
                nystrom_pcg(&scaled(&spd, e), b.as_ref(), params).unwrap().solution
            }
            _ => {
                let (a, lambda) = (scaled(&tall, e), mu * mu);
                let params = LsqrParams::default().ridge(lambda);
                let sketch = SketchPreconditionerParams::default().ridge(lambda);
                let inverse = SketchPreconditioner::new(&a, sketch).unwrap();
                let inverse = (case == 3).then_some(&inverse as &dyn LinearOperator<T, D>);
                lsqr(&a, inverse, b.as_ref(), params).unwrap()
            }
        }
    };
    for case in 0..4 {
        let base = run(case, 0, 0);
        assert!(base.converged());
        for e in exponents {
            for (e, f) in [(e, 0), (0, e), (e, e)] {
                let found = run(case, e, f);
                let what = format!("case {case}, A·2^{e}, b·2^{f}");
                let expected = Plain::of(base.x.as_ref()).map(|x| x * 2f64.powi(f - e));
                assert!(Plain::of(found.x.as_ref()) == expected, "{what}");
                for (one, other) in found.columns.iter().zip(&base.columns) {
                    assert_eq!(one.history, other.history, "{what}");
                    assert_eq!(one.backward_error, other.backward_error, "{what}");
                    assert_eq!(one.residual, other.residual * 2f64.powi(f), "{what}");
                }
            }
        }
    }
}

fn the_same_bits_on_every_handle<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (m, n) = (3000, 60);
    let tall = with_spectrum(m, n, &geometric(0.9, n), 14);
    let spd = Spd::new(&geometric(0.9, n), 15).a;
    for p in [1, 5] {
        place.result("iterations", |device| {
            let (a, k) = (tall.to_mat::<T, D>(device), spd.to_mat::<T, D>(device));
            let b = right_hand_sides::<T>(m, p, 16).to_mat::<T, D>(device);
            let by_lsqr = lsqr(&a, None, b.as_ref(), LsqrParams::default().ridge(1e-4)).unwrap();
            let params = NystromPcgParams::new(1e-2);
            let by_cg = nystrom_pcg(&k, b.rows(0..n), params).unwrap().solution;
            [by_lsqr.x.to_vec().unwrap(), by_cg.x.to_vec().unwrap()]
        });
    }
}

/// Diagonal matrices that are what they are, in `f64`.
struct Diagonal<'a, D>(Vec<f64>, &'a D);

impl<D: Backend<f64>> LinearOperator<f64, D> for Diagonal<'_, D> {
    fn shape(&self) -> (usize, usize) {
        (self.0.len(), self.0.len())
    }
    fn device(&self) -> &D {
        self.1
    }
    fn apply(&self, x: MatRef<'_, f64, D>, mut y: MatMut<'_, f64, D>) -> Result<()> {
        y.as_mut().axpby(1.0, x, 0.0)?;
        self.1.scale_columns(&self.0, y.transpose())
    }
    fn apply_adjoint(&self, x: MatRef<'_, f64, D>, y: MatMut<'_, f64, D>) -> Result<()> {
        self.apply(x, y)
    }
}

/// Whatever goes wrong is told, and what is returned is as good as it says.
fn ends_that_are_not_success_are_told<D: Backend<f64>>(place: &Place<D>) {
    let (n, device) = (60, place.device());
    let b = right_hand_sides::<f64>(n, 2, 17);
    let right = b.to_mat::<f64, D>(device);
    let diagonal = |f: &dyn Fn(usize) -> f64| Diagonal((0..n).map(f).collect(), device);
    let check = |a: &Diagonal<D>, mu: f64, found: &Solution<f64, D>, reason: StopReason| {
        let x = Plain::of(found.x.as_ref());
        let plain = Plain::from_fn(n, n, |i, j| if i == j { a.0[i] } else { 0.0 });
        let told = residuals(&plain, mu, &x, &b);
        for (column, residual) in found.columns.iter().zip(told) {
            assert_eq!(column.reason, reason, "{column:?}");
            assert!((column.residual - residual).abs() <= 1e-9 * residual.max(1e-6));
            assert!(column.residual.is_finite());
        }
        assert!(!found.converged());
    };
    let params = CgParams::default();
    let solve = |a: &Diagonal<D>, params| cg(a, None, right.as_ref(), params).unwrap();
    let indefinite = diagonal(&|i| if i == 9 { -0.5 } else { 1.0 + i as f64 });
    check(&indefinite, 0.0, &solve(&indefinite, params), StopReason::Indefinite);
    // A shift makes it definite.
    assert!(solve(&indefinite, params.shift(1.0)).converged());
    let zero = diagonal(&|_| 0.0);
    check(&zero, 0.0, &solve(&zero, params), StopReason::Indefinite);
    let good = diagonal(&|i| 1.0 + i as f64);
    let found = cg(&good, Some(&indefinite), right.as_ref(), params).unwrap();
    check(&good, 0.0, &found, StopReason::IndefinitePreconditioner);
    let limited = solve(&good, params.max_iterations(4));
    check(&good, 0.0, &limited, StopReason::IterationLimit);
    assert!(limited.columns.iter().all(|c| c.iterations == 4 && c.relative < 0.5));
    check(&good, 0.0, &solve(&good, params.max_iterations(0)), StopReason::IterationLimit);
    let steep = diagonal(&|i| 10f64.powi(-(i as i32) / 6));
    let found = solve(&steep, params.tolerance(1e-17).max_iterations(5000));
    check(&steep, 0.0, &found, StopReason::Stagnated);
    // As far as it goes with cond(A) = 10⁹.
    assert!(found.columns.iter().all(|c| c.relative < 1e-6 && c.backward_error < 1e-14));
    let mut seen = Vec::new();
    let found = cg_with_progress(&good, None, right.as_ref(), params, |progress| {
        seen.push((progress.iterations, progress.errors.len()));
        if seen.len() < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    check(&good, 0.0, &found.unwrap(), StopReason::Interrupted);
    assert_eq!(seen, (1..=5).map(|i| (i, 2)).collect::<Vec<_>>());
    let mut calls = 0;
    let found = lsqr_with_progress(&steep, None, right.as_ref(), LsqrParams::default(), |_| {
        calls += 1;
        if calls < 7 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    check(&steep, 0.0, &found.unwrap(), StopReason::Interrupted);
    let found = lsqr(&steep, None, right.as_ref(), LsqrParams::default().max_iterations(10));
    check(&steep, 0.0, &found.unwrap(), StopReason::IterationLimit);
    let fine = LsqrParams::default().tolerance(1e-19).max_iterations(20000);
    let tall = with_spectrum(90, n, &geometric(0.9, n), 18).to_mat::<f64, D>(device);
    let b = right_hand_sides::<f64>(90, 1, 19).to_mat::<f64, D>(device);
    let found = lsqr(&tall, None, b.as_ref(), fine).unwrap();
    assert_eq!(found.columns[0].reason, StopReason::Stagnated, "{:?}", found.columns[0].iterations);
    assert!(found.columns[0].backward_error < 1e-14, "{:e}", found.columns[0].backward_error);
}

fn zero_empty_and_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for (m, n, p) in [(0, 0, 0), (0, 0, 2), (3, 3, 0), (1, 1, 1), (9, 4, 2), (0, 4, 1), (4, 0, 2)] {
        let a = Plain::zeros(m, n).to_mat::<T, D>(device);
        let b = Plain::from_fn(m, p, |i, j| noise(1, i, j)).to_mat::<T, D>(device);
        let found = lsqr(&a, None, b.as_ref(), LsqrParams::default()).unwrap();
        assert!(found.converged() && found.columns.len() == p && found.x.shape() == (n, p));
        assert_eq!(Plain::of(found.x.as_ref()).norm(), 0.0);
        if m == n {
            let params = CgParams::default().shift(0.5);
            let found = cg(&a, None, b.as_ref(), params).unwrap();
            assert!(found.converged());
            let gap = Plain::of(found.x.as_ref()).minus(&Plain::of(b.as_ref()).map(|x| 2.0 * x));
            assert!(gap.norm() <= 1e-6);
            let params = NystromPcgParams::new(0.5);
            let found = nystrom_pcg(&a, b.as_ref(), params).unwrap();
            assert!(found.solution.converged() && found.preconditioner.rank() == 0);
        }
    }
    let n = 30;
    for value in [f64::NAN, f64::INFINITY] {
        let mut a = Spd::new(&geometric(0.5, n), 20).a;
        let mut b = right_hand_sides::<T>(n, 2, 21);
        b.set(5, 1, value);
        let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
        let error = cg(&left, None, right.as_ref(), CgParams::default()).unwrap_err();
        let named = |error: &Error, name: &str, at| matches!(error, Error::NonFinite { op, row, col } if *op == name && (*row, *col) == at);
        assert!(named(&error, "cg, right-hand side", (5, 1)), "{error}");
        let error = lsqr(&left, None, right.as_ref(), LsqrParams::default()).unwrap_err();
        assert!(named(&error, "lsqr, right-hand side", (5, 1)), "{error}");
        b.set(5, 1, 1.0);
        a.set(4, 2, value);
        let (left, right) = (a.to_mat::<T, D>(device), b.to_mat::<T, D>(device));
        let error = cg(&left, None, right.as_ref(), CgParams::default()).unwrap_err();
        assert!(named(&error, "cg", (4, 2)), "{error}");
        let error = lsqr(&left, None, right.as_ref(), LsqrParams::default()).unwrap_err();
        assert!(named(&error, "lsqr", (4, 2)), "{error}");
        let error = nystrom_pcg(&left, right.as_ref(), NystromPcgParams::new(0.1)).unwrap_err();
        assert!(named(&error, "nystrom_pcg", (4, 2)), "{error}");
    }
}

fn arguments_out_of_range_are_named<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let a = Spd::new(&geometric(0.5, 8), 22).a.to_mat::<f64, D>(device);
    let wide = right_hand_sides::<f64>(6, 9, 23).to_mat::<f64, D>(device);
    let name = |error: Error| match error {
        Error::InvalidArgument { argument, .. } | Error::ShapeMismatch { argument, .. } => argument,
        other => panic!("{other}"),
    };
    let right = a.columns(0..2);
    let (c, l) = (CgParams::default(), LsqrParams::default());
    let by_cg = |params| name(cg(&a, None, right, params).unwrap_err());
    assert_eq!([by_cg(c.shift(-1.0)), by_cg(c.shift(f64::NAN))], ["shift"; 2]);
    assert_eq!([by_cg(c.tolerance(0.0)), by_cg(c.tolerance(1.0))], ["tolerance"; 2]);
    let by_lsqr = |params| name(lsqr(&a, None, right, params).unwrap_err());
    assert_eq!([by_lsqr(l.ridge(-1.0)), by_lsqr(l.ridge(f64::INFINITY))], ["ridge"; 2]);
    assert_eq!(by_lsqr(l.tolerance(f64::NAN)), "tolerance");
    assert_eq!(name(cg(&wide, None, right, c).unwrap_err()), "a");
    assert_eq!(name(cg(&a, None, wide.as_ref(), c).unwrap_err()), "b");
    assert_eq!(name(cg(&a, Some(&wide), right, c).unwrap_err()), "preconditioner");
    assert_eq!(name(lsqr(&a, None, wide.as_ref(), l).unwrap_err()), "b");
    assert_eq!(name(lsqr(&a, Some(&wide), right, l).unwrap_err()), "preconditioner");
    let by_nystrom = |params| name(NystromPreconditioner::new(&a, params).unwrap_err());
    let n = NystromPreconditionerParams::new;
    assert_eq!([by_nystrom(n(-1.0)), by_nystrom(n(0.0))], ["shift"; 2]);
    assert_eq!(
        [by_nystrom(n(1.0).rank(9)), by_nystrom(n(1.0).block_size(0))],
        ["rank", "block_size"]
    );
    let error = NystromPreconditioner::new(&wide, n(1.0)).unwrap_err();
    assert_eq!(name(error), "a");
}

on_every_device! {
    conjugate_gradients_solve_to_the_tolerance: f32 f64,
    every_right_hand_side_stops_by_itself: f32 f64,
    least_squares_by_bidiagonalisation: f32 f64,
    the_solution_of_least_norm: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    the_same_bits_on_every_handle: f32 f64,
    ends_that_are_not_success_are_told,
    zero_empty_and_not_finite: f32 f64,
    arguments_out_of_range_are_named,
}

/// The theorem of Frangella, Tropp and Udell: with l = 2⌈1.5·d⌉ + 1 columns the condition number is below 28 in
/// expectation. It is an exact one here, of dense matrices; seeds are fixed. Iterations are
/// those that the theory of conjugate gradients allows: for the residual, 2√κ(A + μI)·((√κ − 1)/(√κ + 1))^k ≤ tolerance.
#[test]
fn nystrom_makes_the_condition_a_constant() {
    let (n, cpu) = (150, Cpu::new());
    for (lambda, mu) in [
        (geometric(0.7, n), 1e-6),
        ((1..=n).map(|i| f64::powi(i as f64, -2)).collect(), 1e-2),
        ((1..=n).map(|i| f64::powi(i as f64, -3)).collect(), 1e-4),
    ] {
        let spd = Spd::new(&lambda, 31);
        let dimension: f64 = lambda.iter().map(|l| l / (l + mu)).sum();
        let l = 2 * (1.5 * dimension).ceil() as usize + 1;
        assert!(l < n);
        let a = spd.a.to_mat::<f64, Cpu>(&cpu);
        let b = right_hand_sides::<f64>(n, 1, 32).to_mat::<f64, Cpu>(&cpu);
        for seed in 0..5 {
            let params = NystromPreconditionerParams::new(mu).rank(l).seed(seed);
            let p = NystromPreconditioner::new(&a, params).unwrap();
            let kappa = preconditioned_condition(&spd, mu, &p);
            assert!(kappa < 28.0 && kappa <= p.condition(), "{kappa} {}", p.condition());
            let params = CgParams::default().shift(mu).tolerance(1e-8);
            let found = cg(&a, Some(&p), b.as_ref(), params).unwrap();
            let rate = (kappa.sqrt() - 1.0) / (kappa.sqrt() + 1.0);
            let start = 2.0 * ((1.0 + mu) / mu).sqrt();
            let allowed = ((start / 1e-8).ln() / -rate.ln()).ceil() as usize;
            assert!(found.converged() && found.iterations() <= allowed, "{allowed}: {found:?}");
        }
    }
}

/// cond(L⁻¹ P L⁻ᵀ) for LLᵀ = (A + μI)⁻¹, by eigenvalues of (A + μI)^½ P⁻¹ (A + μI)^½.
fn preconditioned_condition(spd: &Spd, mu: f64, p: &NystromPreconditioner<f64>) -> f64 {
    let n = spd.lambda.len();
    let roots = Plain::from_fn(n, n, |i, j| spd.u.get(i, j) * (spd.lambda[j] + mu).sqrt());
    let root = roots.times(&spd.u.transpose());
    let mut image = Mat::zeros(p.device(), n, n).unwrap();
    p.apply(root.to_mat::<f64, Cpu>(p.device()).as_ref(), image.as_mut()).unwrap();
    let values = root.times(&Plain::of(image.as_ref())).singular_values();
    values[0] / values[n - 1]
}

/// The search ends with an error that is known to be below μ, or with its limit.
#[test]
fn the_search_for_a_rank_ends_below_the_shift() {
    let (n, cpu) = (200, Cpu::new());
    let spd = Spd::new(&geometric(0.85, n), 33);
    let a = spd.a.to_mat::<f64, Cpu>(&cpu);
    for (mu, least, most) in [(1e-1, 8, 32), (1e-4, 32, 128), (1e-8, 64, 200)] {
        let params = NystromPreconditionerParams::new(mu).block_size(8);
        let p = NystromPreconditioner::new(&a, params).unwrap();
        assert!((least..=most).contains(&p.rank()), "{mu}: {}", p.rank());
        assert!(p.remainder().value <= mu && p.condition() <= 4.0, "{:?}", p.remainder());
        let u = Plain::of(p.vectors());
        let scaled = Plain::from_fn(n, p.rank(), |i, j| u.get(i, j) * p.values()[j]);
        let left = spd.a.minus(&scaled.times(&u.transpose())).singular_values()[0];
        let (lower, upper) = (p.remainder().lower, p.remainder().upper);
        let rounding = 4.0 * f64::EPSILON * (n as f64).sqrt();
        assert!(
            lower <= left + rounding && left <= upper + rounding,
            "{lower:e} {left:e} {upper:e}"
        );
        let limited = NystromPreconditioner::new(&a, params.max_rank(4)).unwrap();
        assert!(limited.rank() == 4 && limited.condition() > 4.0);
    }
}

/// Only what the report says is multiplied, and no matrix is asked for.
#[test]
fn products_are_counted() {
    struct Counting<'a>(MatRef<'a, f64>, Cell<usize>, Cell<usize>);
    impl LinearOperator<f64, Cpu> for Counting<'_> {
        fn shape(&self) -> (usize, usize) {
            self.0.shape()
        }
        fn device(&self) -> &Cpu {
            self.0.device()
        }
        fn apply(&self, x: MatRef<'_, f64>, y: MatMut<'_, f64>) -> Result<()> {
            self.1.set(self.1.get() + 1);
            LinearOperator::apply(&self.0, x, y)
        }
        fn apply_adjoint(&self, x: MatRef<'_, f64>, y: MatMut<'_, f64>) -> Result<()> {
            self.2.set(self.2.get() + 1);
            LinearOperator::apply_adjoint(&self.0, x, y)
        }
    }
    let cpu = Cpu::new();
    let a = with_spectrum(300, 20, &geometric(0.8, 20), 34).to_mat::<f64, Cpu>(&cpu);
    let b = right_hand_sides::<f64>(300, 3, 35).to_mat::<f64, Cpu>(&cpu);
    let counting = Counting(a.as_ref(), Cell::new(0), Cell::new(0));
    let found = lsqr(&counting, None, b.as_ref(), LsqrParams::default()).unwrap();
    assert!(found.converged());
    assert_eq!((counting.1.get(), counting.2.get()), (found.products, found.products + 1));
    assert!(found.products <= found.iterations() + 2);
    let spd = Spd::new(&geometric(0.8, 60), 36).a.to_mat::<f64, Cpu>(&cpu);
    let counting = Counting(spd.as_ref(), Cell::new(0), Cell::new(0));
    let params = CgParams::default().shift(1e-3);
    let found = cg(&counting, None, b.rows(0..60), params).unwrap();
    assert!(found.converged() && counting.2.get() == 0);
    assert_eq!(counting.1.get(), found.products);
    assert!(found.products <= found.iterations() + 3, "{found:?}");
}

/// A right-hand side in a direction that A takes 10²⁰ times shorter than another's converges as it does alone.
#[test]
fn right_hand_sides_of_far_scales_do_not_meet() {
    let cpu = Cpu::new();
    let diagonal = [1e20, 1.0];
    let entry = |i: usize, j: usize| if i == j { diagonal[i] } else { 0.0 };
    let a = Mat::<f64>::from_fn(&cpu, 2, 2, entry).unwrap();
    let b = Mat::<f64>::identity(&cpu, 2).unwrap();
    let found = cg(&a, None, b.as_ref(), CgParams::default()).unwrap();
    assert!(found.converged(), "{:?}", found.columns);
    assert!((found.x.get(0, 0) * 1e20 - 1.0).abs() < 1e-12 && found.x.get(1, 1) == 1.0);
}

/// A of rank 20: beyond it there is nothing, so the preconditioned matrix is the identity to the rounding errors
/// of A over μ.
#[test]
fn a_preconditioner_of_deficient_rank_knows_all_of_the_matrix() {
    let cpu = Cpu::new();
    let n = 300;
    let wave = |i: usize, j: usize| ((i * (j + 3) + j * j) as f64).sin();
    let f = Mat::<f64>::from_fn(&cpu, n, 20, wave).unwrap();
    let mut a = Mat::scratch(&cpu, n, n).unwrap();
    randnla::Blas::gemm(&cpu, 1.0, f.as_ref(), f.transpose(), 0.0, a.as_mut()).unwrap();
    let params = NystromPreconditionerParams::new(1e-6);
    let p = NystromPreconditioner::new(&a, params).unwrap();
    assert_eq!(p.rank(), 20);
    assert!(p.condition() < 1.1, "{:e}", p.condition());
}
