//! Leading eigenpairs of symmetric matrices, indefinite ones too.

use crate::common::cuts;
use crate::common::spectra::{geometric, harmonic};
use crate::common::{Place, Plain, on_every_device};
use crate::decomp_checks::{Counting, check_estimate, relative_error};
use crate::decomp_psd::{eigenvalues, symmetric};
use core::ops::ControlFlow;
use randnla::decomp::{
    Eigh, EighParams, ErrorKind, eigh_randomized, eigh_randomized_with_progress,
};
use randnla::{Backend, Error, LinearOperator, Scalar};

/// ±1, ±1/2, … with signs that alternate by threes.
fn signed(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().enumerate().map(|(i, x)| if i % 3 == 1 { -x } else { x }).collect()
}

/// Orthonormal vectors, values by falling magnitude, residuals and errors those of A; returns the true relative error.
#[track_caller]
fn check_eigh<T: Scalar, D: Backend<T>>(what: &str, a: &Plain, found: &Eigh<T, D>) -> f64 {
    let (u, k) = (Plain::of(found.u.as_ref()), found.values.len());
    assert_eq!((u.rows, u.cols, found.residuals.len()), (a.rows, k, k), "{what}");
    let limit = 50.0 * T::UNIT_ROUNDOFF * (k as f64).sqrt();
    assert!(u.orthogonality() <= limit, "{what}: {:e}", u.orthogonality());
    let values: Vec<f64> = found.values.iter().map(|x| x.to_f64()).collect();
    assert!(values.windows(2).all(|pair| pair[0].abs() >= pair[1].abs()), "{what}: {values:?}");
    assert!(values.iter().all(|&x| x != 0.0), "{what}: {values:?}");
    let scaled = Plain::from_fn(a.rows, k, |i, j| u.get(i, j) * values[j]);
    let gaps = a.times(&u).minus(&scaled);
    let rounding = 32.0 * T::UNIT_ROUNDOFF * (a.rows as f64).sqrt() * a.norm();
    for j in 0..k {
        let gap = gaps.columns(j, j + 1).norm();
        assert!(
            (gap - found.residuals[j]).abs() <= rounding,
            "{what}: {gap:e} {:e}",
            found.residuals[j]
        );
    }
    let error = relative_error(a, &scaled.times(&u.transpose()));
    check_estimate::<T>(what, error, a.norm(), found.error, k);
    error
}

fn leading_pairs_are_found<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    for (values, name) in [
        (signed(harmonic(90)), "harmonic"),
        (signed(geometric(0.7, 70)), "geometric"),
        (signed(geometric(0.5, 9)), "rank 9"),
    ] {
        let a = symmetric(values.len().max(50), &values, 3).rounded::<T>();
        let mat = a.to_mat::<T, D>(place.device());
        for (k, q, krylov) in [(6, 2, false), (20, 1, false), (1, 3, false), (6, 1, true)] {
            let what = format!("{} {name}, rank {k}, {q} passes", T::NAME);
            let params = EighParams::rank(k).power_passes(q).krylov(krylov);
            let found = eigh_randomized(&mat, params).unwrap();
            let error = check_eigh(&what, &a, &found);
            let numerical = if name == "rank 9" { 9 } else { k };
            assert_eq!(found.rank(), k.min(numerical), "{what}");
            let tail: f64 = values.iter().skip(k).map(|x| x * x).sum::<f64>().sqrt() / a.norm();
            assert!(
                error <= 1.05 * tail + 100.0 * T::UNIT_ROUNDOFF,
                "{what}: {error:e}, best {tail:e}"
            );
            // Weyl: an eigenvalue of A lies within the residual.
            let exact = eigenvalues(&a);
            for (value, residual) in found.values.iter().zip(&found.residuals) {
                let value = value.to_f64();
                let gap = exact.iter().map(|x| (x - value).abs()).fold(f64::MAX, f64::min);
                let rounding = 32.0 * T::UNIT_ROUNDOFF * a.norm();
                assert!(gap <= residual + rounding, "{what}: {value} is {gap:e} off, {residual:e}");
            }
            let free = Counting::new(mat.as_ref(), false);
            let found = eigh_randomized(&free, EighParams::rank(k).power_passes(q)).unwrap();
            check_eigh(&format!("{what}, matrix-free"), &a, &found);
            assert_eq!((free.passes(), free.adjoints.into_inner()), (found.passes, 0), "{what}");
            // A block that finds fewer columns than it was asked for is followed by another.
            let more = usize::from(name == "rank 9" && k + 10 > 9);
            assert_eq!(found.passes, 2 * q + 3 + more, "{what}");
            assert_eq!(found.error.kind, ErrorKind::Estimate { probes: 20 }, "{what}");
        }
    }
}

fn tolerances_are_met<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let values = signed(geometric(0.85, 100));
    let a = symmetric(100, &values, 3).rounded::<T>();
    let mat = a.to_mat::<T, D>(place.device());
    // The bound is some 3.5 times an error that rounding keeps above u·√n.
    for tolerance in [0.2, 0.02, 8000.0 * T::UNIT_ROUNDOFF.max(1e-8)] {
        let what = format!("{} {tolerance}", T::NAME);
        let params = EighParams::tolerance(tolerance).block_size(8);
        let found = eigh_randomized(&mat, params).unwrap();
        let error = check_eigh(&what, &a, &found);
        assert!(error <= tolerance && found.error.relative <= tolerance, "{what}: {error:e}");
        let free = eigh_randomized(&Counting::new(mat.as_ref(), false), params).unwrap();
        let error = check_eigh(&what, &a, &free);
        assert!(error <= free.error.relative && free.error.relative <= tolerance, "{what}");
        assert!(matches!(free.error.kind, ErrorKind::Bound { .. }), "{what}");
    }
    let params = EighParams::rank(9).failure_probability(1e-3);
    let found = eigh_randomized(&mat, params).unwrap();
    assert_eq!(found.error.kind, ErrorKind::Bound { failure_probability: 1e-3 });
    check_eigh("a bound", &a, &found);
    let stopped =
        eigh_randomized_with_progress(&mat, params.power_passes(5), |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap().passes, 3);
}

fn degenerate_and_bad_input<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for n in [0, 1, 30] {
        let mat = Plain::zeros(n, n).to_mat::<T, D>(device);
        for params in [EighParams::rank(n.min(3)), EighParams::rank(0), EighParams::tolerance(0.1)]
        {
            let found = eigh_randomized(&mat, params).unwrap();
            assert_eq!((found.rank(), found.u.shape(), found.error.relative), (0, (n, 0), 0.0));
        }
    }
    let mat = symmetric(30, &signed(harmonic(30)), 1).to_mat::<T, D>(device);
    let found = eigh_randomized(&mat, EighParams::rank(0)).unwrap();
    assert!((found.error.relative - 1.0).abs() < 1e-6);
    let skew =
        Plain::from_fn(30, 30, |i, j| f64::from(u8::from(i == j)) + if i < j { 0.1 } else { 0.0 });
    let error = eigh_randomized(&skew.to_mat::<T, D>(device), EighParams::rank(5)).unwrap_err();
    assert!(matches!(error, Error::NotSymmetric { .. }), "{error}");
    let wide = Plain::zeros(3, 4).to_mat::<T, D>(device);
    let error = eigh_randomized(&wide, EighParams::rank(1)).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    for params in
        [EighParams::rank(31), EighParams::tolerance(0.0), EighParams::rank(1).block_size(0)]
    {
        let error = eigh_randomized(&mat, params).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    let mut bad = symmetric(30, &harmonic(30), 1);
    bad.set(7, 4, f64::NAN);
    let error = eigh_randomized(&bad.to_mat::<T, D>(device), EighParams::rank(3)).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 7, col: 4, .. }), "{error}");
}

fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let exponents = match size_of::<T>() {
        4 => [1, -1, 40, -40, 60, -60],
        _ => [1, -1, 100, -100, 500, -500],
    };
    let a = symmetric(60, &signed(harmonic(60)), 8).rounded::<T>();
    let mut case = 0;
    for params in [
        EighParams::rank(9),
        EighParams::rank(9).failure_probability(1e-3),
        EighParams::tolerance(0.3).block_size(8),
    ] {
        for known in [true, false] {
            let run = |a: &Plain| {
                let mat = a.to_mat::<T, D>(place.device());
                eigh_randomized(&Counting::new(mat.as_ref(), known), params).unwrap()
            };
            let base = run(&a);
            for e in exponents {
                case += 1;
                if !place.takes(&cuts::POWERS, case) {
                    continue;
                }
                let factor = 2f64.powi(e);
                let scaled = run(&a.map(|x| x * factor));
                let what = format!("{} 2^{e} {params:?}, norm known: {known}", T::NAME);
                assert_eq!(Plain::of(scaled.u.as_ref()), Plain::of(base.u.as_ref()), "{what}");
                let values: Vec<T> =
                    base.values.iter().map(|x| T::from_f64(x.to_f64() * factor)).collect();
                assert_eq!(scaled.values, values, "{what}");
                let residuals: Vec<f64> = base.residuals.iter().map(|x| x * factor).collect();
                assert_eq!(scaled.residuals, residuals, "{what}");
                assert_eq!(scaled.error.absolute, base.error.absolute * factor, "{what}");
                assert_eq!(
                    (scaled.error.relative, scaled.error.kind),
                    (base.error.relative, base.error.kind),
                    "{what}"
                );
            }
        }
    }
}

fn extreme_scales_keep_their_accuracy<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let scales: &[f64] = match size_of::<T>() {
        4 => &[1e18, 1e-18],
        _ => &[1e150, 1e-150, 1e200, 1e-200],
    };
    for &scale in scales {
        let scaled = symmetric(60, &signed(harmonic(60)), 8).map(|x| x * scale).rounded::<T>();
        let mat = scaled.to_mat::<T, D>(place.device());
        let mut found = eigh_randomized(&mat, EighParams::rank(9)).unwrap();
        found.values = found.values.iter().map(|x| T::from_f64(x.to_f64() / scale)).collect();
        found.residuals.iter_mut().for_each(|x| *x /= scale);
        found.error.absolute /= scale;
        check_eigh(&format!("{} ×{scale:e}", T::NAME), &scaled.map(|x| x / scale), &found);
    }
}

on_every_device! {
    leading_pairs_are_found: f32 f64,
    tolerances_are_met: f32 f64,
    degenerate_and_bad_input: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    extreme_scales_keep_their_accuracy: f32 f64,
}
