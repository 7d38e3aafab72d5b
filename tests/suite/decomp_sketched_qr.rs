//! CholeskyQR behind a sketch: in two precisions without pivots, with pivots in the memory of A; and the progress of blocked
//! QR.

use crate::common::spectra::{geometric, with_spectrum};
use crate::common::{Backends, Place, Plain, noise, on_every_device};
use crate::decomp_checks::relative_error;
use crate::decomp_pivoted::check_factors;
use randnla::decomp::{
    BqrrpParams, CqrrptParams, PivotedQr, Precision, RandomizedCholeskyQrParams, RandomizedQr,
    bqrrp, bqrrp_with_progress, cqrrpt, cqrrpt_in_place, randomized_cholesky_qr,
};
use randnla::{Backend, Error, Mat, Result, Scalar};
use std::ops::ControlFlow;

fn factor<T: Scalar, D: Backend<T> + Backend<f32>>(
    a: &Plain,
    device: &D,
    precision: Precision,
) -> Result<RandomizedQr<T, D>> {
    let params = RandomizedCholeskyQrParams::default().precision(precision);
    randomized_cholesky_qr(a.to_mat::<T, D>(device).as_ref(), params)
}

/// Orthonormal to 90u√n and A = QR to 90u at conditions up to 10¹³ (10⁵ in f32); f32 serves up to 10⁴, not from 10⁸ on.
fn orthonormal_whatever_the_condition<D: Backends>(place: &Place<D>) {
    fn run<T: Scalar, D: Backends + Backend<T>>(place: &Place<D>, conditions: &[i32]) {
        for (m, n) in [(400, 7), (500, 60), (90, 60)] {
            for &condition in conditions {
                let q = 10f64.powf(-f64::from(condition) / (n as f64 - 1.0));
                let a = with_spectrum(m, n, &geometric(q, n), 41).rounded::<T>();
                let what = format!("{} {m}×{n} condition 1e{condition}", T::NAME);
                let qr = factor::<T, D>(&a, place.device(), Precision::Single).unwrap();
                let (q, r) = (Plain::of(qr.q.as_ref()), Plain::of(qr.r.as_ref()));
                check_factors::<T>(&what, &q, &r, qr.orthogonality);
                let error = relative_error(&a, &q.times(&r));
                assert!(error <= 90.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
                assert!(condition > 4 || qr.precision == Precision::Single, "{what}");
                let double = size_of::<T>() == 8;
                assert!(!double || condition < 8 || qr.precision == Precision::Working, "{what}");
                let ratio = qr.condition / 10f64.powi(condition);
                assert!((1e-3..3.0).contains(&ratio), "{what}: {:e}", qr.condition);
            }
        }
    }
    run::<f64, D>(place, &[0, 4, 6, 8, 11, 13]);
    run::<f32, D>(place, &[0, 3, 5]);
}

/// Lengths of columns are no condition, powers of two go through to R, and Q has the same bits; on every handle.
fn scales_of_columns_do_not_matter<D: Backends>(place: &Place<D>) {
    let n = 20;
    let base = with_spectrum(300, n, &geometric(0.6, n), 42);
    let one = factor::<f64, D>(&base, place.device(), Precision::Single).unwrap();
    assert_eq!(one.precision, Precision::Single);
    for exponent in [|_: usize| -3, |_| 480, |_| -480, |j: usize| 20 * j as i32 - 200] {
        let a = Plain::from_fn(300, n, |i, j| base.get(i, j) * 2f64.powi(exponent(j)));
        let qr = factor::<f64, D>(&a, place.device(), Precision::Single).unwrap();
        assert!(Plain::of(qr.q.as_ref()) == Plain::of(one.q.as_ref()));
        let r = Plain::of(one.r.as_ref());
        let expected = Plain::from_fn(n, n, |i, j| r.get(i, j) * 2f64.powi(exponent(j)));
        assert!(Plain::of(qr.r.as_ref()) == expected);
        assert_eq!((qr.condition, qr.precision), (one.condition, one.precision));
    }
    place.result("randomized_cholesky_qr", |device| {
        let qr = factor::<f64, D>(&base, device, Precision::Working).unwrap();
        (qr.q.to_vec().unwrap(), qr.r.to_vec().unwrap())
    });
}

/// What has no QR of full rank is refused, with the column or the position.
fn what_is_not_of_full_rank_is_refused<D: Backends>(place: &Place<D>) {
    let device = place.device();
    let run = |a: &Plain| factor::<f64, D>(a, device, Precision::Single).unwrap_err();
    let a = Plain::from_fn(200, 12, |i, j| noise(43, i, j));
    let dependent = Plain::from_fn(200, 12, |i, j| match j {
        8 => a.get(i, 1) - 2.0 * a.get(i, 5),
        _ => a.get(i, j),
    });
    let zero = Plain::from_fn(200, 12, |i, j| if j == 4 { 0.0 } else { a.get(i, j) });
    let singular = |error: Error, at| matches!(error, Error::Singular { column, op: "randomized_cholesky_qr" } if column == at);
    assert!(singular(run(&dependent), 8), "{}", run(&dependent));
    assert!(singular(run(&zero), 4) && singular(run(&Plain::zeros(20, 3)), 0));
    let tail = with_spectrum(200, 12, &geometric(10f64.powf(-17.0 / 11.0), 12), 44);
    assert!(matches!(run(&tail), Error::Singular { .. }));
    let wide = run(&a.transpose());
    assert!(matches!(wide, Error::InvalidArgument { argument: "a", .. }), "{wide}");
    let params = RandomizedCholeskyQrParams::default();
    for (params, name) in
        [(params.embedding_factor(0.5), "embedding_factor"), (params.nnz(0), "nnz")]
    {
        let mat = a.to_mat::<f64, D>(device);
        let error = randomized_cholesky_qr(mat.as_ref(), params).unwrap_err();
        let named = matches!(&error, Error::InvalidArgument { argument, .. } if *argument == name);
        assert!(named, "{error}");
    }
    for value in [f64::NAN, f64::INFINITY] {
        let mut a = a.clone();
        a.set(17, 3, value);
        let error = run(&a);
        assert!(matches!(error, Error::NonFinite { row: 17, col: 3, .. }), "{error}");
    }
    for (m, n) in [(0, 0), (5, 0)] {
        let qr = factor::<f64, D>(&Plain::zeros(m, n), device, Precision::Single).unwrap();
        assert_eq!((qr.q.shape(), qr.r.shape(), qr.condition), ((m, n), (n, n), 1.0));
    }
}

/// The same bits as those of a Q of its own, in memory of any order, for full and deficient ranks, tall or not.
fn in_place_gives_the_same_bits<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let params = CqrrptParams::default();
    for (m, n, rank) in [(500, 150, 150), (300, 90, 31), (200, 6, 6), (60, 50, 20), (30, 80, 12)] {
        // Columns of falling and rising length: pivots come from everywhere.
        let left = Plain::from_fn(m, rank, |i, j| noise(45, i, j));
        let right = Plain::from_fn(rank, n, |i, j| {
            noise(46, i, j) * (1.0 + ((j * 37) % n) as f64) + f64::from(u8::from(i == j))
        });
        let a = left.times(&right).rounded::<T>();
        let expected = cqrrpt(a.to_mat::<T, D>(device).as_ref(), params).unwrap();
        assert_eq!(expected.rank(), rank);
        let columns = a.to_mat::<T, D>(device);
        let rows = a.transpose().to_mat::<T, D>(device).into_transposed();
        for (mut a, same) in [(columns, true), (rows, false)] {
            let found = cqrrpt_in_place(a.as_mut(), params).unwrap();
            assert_eq!((&found.pivots, found.rank()), (&expected.pivots, rank));
            let q = a.columns(0..rank);
            let gap = Plain::of(q).minus(&Plain::of(expected.q.as_ref())).norm();
            let limit = if same { 0.0 } else { 1e4 * T::UNIT_ROUNDOFF };
            assert!(gap <= limit, "{m}×{n}: {gap:e}");
            if same {
                assert!(Plain::of(found.r.as_ref()) == Plain::of(expected.r.as_ref()));
                assert_eq!(found.error, expected.error);
                assert_eq!(found.orthogonality, expected.orthogonality);
            }
        }
    }
    let mut a = Mat::<T, D>::zeros(device, 100, 4).unwrap();
    assert_eq!(cqrrpt_in_place(a.as_mut(), params).unwrap().rank(), 0);
    let mut bad = Plain::from_fn(100, 4, |i, j| noise(47, i, j));
    bad.set(30, 2, f64::NAN);
    let mut mat = bad.to_mat::<T, D>(device);
    let error = cqrrpt_in_place(mat.as_mut(), params).unwrap_err();
    let named = matches!(error, Error::NonFinite { op: "cqrrpt_in_place", row: 30, col: 2 });
    assert!(named, "{error}");
    let kept = Plain::of(mat.as_ref());
    assert!(kept.get(29, 1) == bad.rounded::<T>().get(29, 1));
}

/// Told after every block, stopped when told to, and nobody looking gives the same bits.
fn blocks_are_told_and_can_be_the_last<D: Backend<f64>>(place: &Place<D>) {
    let a = with_spectrum(90, 70, &geometric(0.9, 70), 48).to_mat::<f64, D>(place.device());
    let params = BqrrpParams::tolerance(1e-2).block_size(16);
    let mut seen = Vec::new();
    let all = bqrrp_with_progress(a.as_ref(), params, |progress| {
        seen.push((progress.rank, progress.passes, progress.error.unwrap()));
        ControlFlow::Continue(())
    });
    let all = all.unwrap().explicit().unwrap();
    let quiet = bqrrp(a.as_ref(), params).unwrap().explicit().unwrap();
    let bits = |qr: &PivotedQr<f64, D>| (qr.q.to_vec().unwrap(), qr.r.to_vec().unwrap());
    assert_eq!(bits(&all), bits(&quiet));
    assert!(seen.iter().enumerate().all(|(i, s)| (s.0, s.1) == (16 * (i + 1), i + 1)), "{seen:?}");
    let (last, before) = seen.split_last().unwrap();
    assert!(before.len() >= 2 && before.iter().all(|s| s.2 > 1e-2) && last.2 <= 1e-2, "{seen:?}");
    assert!(seen.windows(2).all(|s| s[1].2 < s[0].2));
    let stopped = bqrrp_with_progress(a.as_ref(), params, |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.rank(), stopped.r.shape()), (16, (16, 70)));
    assert!((stopped.error.relative - seen[0].2).abs() < 1e-9, "{:?}", stopped.error);
}

on_every_device! {
    orthonormal_whatever_the_condition,
    scales_of_columns_do_not_matter,
    what_is_not_of_full_rank_is_refused,
    in_place_gives_the_same_bits: f32 f64,
    blocks_are_told_and_can_be_the_last,
}

/// A column whose squares are below the range of `f64` is one like any other.
#[test]
fn a_column_of_tiny_length_is_equilibrated() {
    let cpu = randnla::Cpu::new();
    let entry =
        |i: usize, j: usize| ((i * (j + 2)) as f64).sin() * if j == 2 { 1e-170 } else { 1.0 };
    let a = randnla::Mat::<f64>::from_fn(&cpu, 400, 4, entry).unwrap();
    let params = randnla::decomp::RandomizedCholeskyQrParams::default();
    let qr = randnla::decomp::randomized_cholesky_qr(a.as_ref(), params).unwrap();
    assert!(qr.orthogonality < 1e-13 && qr.r.get(2, 2) > 0.0);
}
