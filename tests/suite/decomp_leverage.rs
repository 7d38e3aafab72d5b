//! Leverage scores: exact ones against an orthonormal basis, sketched ones by their statistics.

use crate::common::spectra::{geometric, spiked, with_spectrum};
use crate::common::{Place, Plain, noise, on_every_device};
use randnla::decomp::{LeverageParams, leverage_scores};
use randnla::{Backend, Cpu, Error, Mat, Scalar};

/// Row norms of an orthonormal basis: Gram-Schmidt twice in `f64`.
fn expected(a: &Plain) -> Vec<f64> {
    let mut q: Vec<Vec<f64>> = Vec::new();
    for j in 0..a.cols {
        let mut x = a.column(j).to_vec();
        for _ in 0..2 {
            for q in &q {
                let dot: f64 = q.iter().zip(&x).map(|(q, x)| q * x).sum();
                x.iter_mut().zip(q).for_each(|(x, q)| *x -= dot * q);
            }
        }
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        x.iter_mut().for_each(|x| *x /= norm);
        q.push(x);
    }
    (0..a.rows).map(|i| q.iter().map(|q| q[i] * q[i]).sum()).collect()
}

/// With few columns, and for matrices that are not tall: to rounding, whatever the scale.
fn few_columns_are_exact<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let far = if size_of::<T>() == 4 { 2f64.powi(60) } else { 2f64.powi(500) };
    for (name, a) in [
        ("graded", with_spectrum(200, 12, &geometric(0.5, 12), 3)),
        ("spiked", spiked(200, 12, 10)),
        ("square", Plain::from_fn(14, 14, |i, j| noise(4, i, j))),
    ] {
        for scale in [1.0, far, 1.0 / far] {
            let a = a.map(|x| x * scale).rounded::<T>();
            let mat: Mat<T, D> = a.to_mat(place.device());
            let found = leverage_scores(mat.as_ref(), LeverageParams::default()).unwrap();
            assert_eq!((found.rank, found.deviation), (a.cols, 0.0), "{name}");
            for (i, (got, expected)) in found.scores.iter().zip(expected(&a)).enumerate() {
                // Of a basis, perturbed by rounding times the condition, 2¹¹ at most.
                let gap = (got - expected).abs();
                assert!(gap <= 4096.0 * 100.0 * T::UNIT_ROUNDOFF, "{name}, row {i}: {gap:e}");
            }
        }
    }
}

/// Sketched scores do not change with the scale, and are the same bits on every handle.
fn sketched_scores_scale_and_repeat<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let a = Plain::from_fn(300, 20, |i, j| noise(5, i, j % 15)).rounded::<T>();
    let params = LeverageParams::default().probes(6).seed(4);
    let base = place.result("leverage", |device| {
        leverage_scores(a.to_mat::<T, D>(device).as_ref(), params).unwrap()
    });
    assert_eq!(base.rank, 15);
    for e in if size_of::<T>() == 4 { [1, 60, -60] } else { [1, 500, -500] } {
        let scaled: Mat<T, D> = a.map(|x| x * 2f64.powi(e)).to_mat(place.device());
        assert!(leverage_scores(scaled.as_ref(), params).unwrap() == base, "2^{e}");
    }
}

fn zero_empty_and_bad_input<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let params = LeverageParams::default().probes(2);
    for (m, n) in [(0, 0), (0, 4), (4, 0), (100, 8), (8, 100)] {
        let a: Mat<T, D> = Plain::zeros(m, n).to_mat(place.device());
        let found = leverage_scores(a.as_ref(), params).unwrap();
        assert_eq!((found.rank, found.scores), (0, vec![0.0; m]));
    }
    for (m, n) in [(100, 3), (100, 8)] {
        let mut a = Plain::from_fn(m, n, |i, j| noise(2, i, j));
        a.set(7, 2, f64::INFINITY);
        let a: Mat<T, D> = a.to_mat(place.device());
        let result = leverage_scores(a.as_ref(), params);
        let named =
            matches!(result, Err(Error::NonFinite { op: "leverage_scores", row: 7, col: 2 }));
        assert!(named, "{result:?}");
        for (params, name) in [
            (params.probes(0), "probes"),
            (params.embedding_factor(0.0), "embedding_factor"),
            (params.rank_tolerance(2.0), "rank_tolerance"),
        ] {
            let result = leverage_scores(a.as_ref(), params);
            let named = matches!(&result,
                Err(Error::InvalidArgument { argument, .. }) if *argument == name);
            assert!(named, "{result:?}");
        }
    }
}

on_every_device! {
    few_columns_are_exact: f32 f64,
    sketched_scores_scale_and_repeat: f32 f64,
    zero_empty_and_bad_input: f32 f64,
}

/// Over 400 seeds the mean of a score is the score, and its spread what is said. A mean of 400 values of relative deviation
/// δ ≤ 0.46 is off by 5.5 of its own deviations, 0.127, with probability 4e-8 for one of the rows that are looked
/// at; 12 of them: 5e-7.
#[test]
fn sketched_scores_are_unbiased() {
    const SEEDS: u64 = 400;
    let (m, n) = (600, 30);
    let a = Plain::from_fn(m, n, |i, j| noise(7, i, j) * if i % 50 == 3 { 20.0 } else { 1.0 });
    let mat: Mat<f64> = a.to_mat::<f64, Cpu>(&Cpu::new());
    let truth = expected(&a);
    let rows: Vec<usize> = (0..12).map(|k| 50 * k + if k % 2 == 0 { 3 } else { 7 }).collect();
    let mut sums = vec![(0.0, 0.0); rows.len()];
    let mut said = 0.0;
    for seed in 0..SEEDS {
        let params = LeverageParams::default().probes(12).seed(seed);
        let found = leverage_scores(mat.as_ref(), params).unwrap();
        said = found.deviation;
        for (sum, &row) in sums.iter_mut().zip(&rows) {
            let ratio = found.scores[row] / truth[row] - 1.0;
            *sum = (sum.0 + ratio, sum.1 + ratio * ratio);
        }
    }
    assert!(said > 0.4 && said < 0.46, "{said}");
    for (k, (sum, squares)) in sums.into_iter().enumerate() {
        let (mean, spread) = (sum / SEEDS as f64, (squares / SEEDS as f64).sqrt());
        assert!(mean.abs() < 5.5 * said / (SEEDS as f64).sqrt(), "row {k}: mean {mean}");
        assert!(spread < 1.5 * said && spread > 0.5 * said, "row {k}: {spread}, said {said}");
    }
}
