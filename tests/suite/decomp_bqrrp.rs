//! Blocked QR with randomised pivots, of any shape: accuracy, rank, pivots, where it ends, and its reflectors.

use crate::common::spectra::{
    geometric, harmonic, kahan, orthonormal, spiked, steps, with_spectrum,
};
use crate::common::{Place, Plain, cuts, noise, on_every_device};
use crate::decomp_pivoted::{check, pivoted_diagonal};
use randnla::decomp::{BqrrpParams, FactoredQr, bqrrp};
use randnla::{Backend, Error, Mat, Scalar};

/// Several blocks for matrices of tens of columns.
fn narrow() -> BqrrpParams {
    BqrrpParams::default().block_size(12)
}

fn run<T: Scalar, D: Backend<T>>(
    a: &Plain,
    place: &Place<D>,
    params: BqrrpParams,
) -> FactoredQr<T, D> {
    bqrrp(a.to_mat::<T, D>(place.device()).as_ref(), params).unwrap()
}

/// Both errors at every condition, scale and shape: 60u, below 10⁻¹⁴ in `f64`.
fn accurate_at_every_condition_and_scale<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let single = size_of::<T>() == 4;
    let (conditions, scales) =
        if single { ([0, 3, 6], [0, -59, 59]) } else { ([0, 8, 15], [0, -498, 498]) };
    let mut case = 0;
    for (m, n) in [(50, 50), (130, 40), (40, 130)] {
        for condition in conditions {
            let k = m.min(n);
            let q = 10f64.powf(-f64::from(condition) / (k as f64 - 1.0));
            let base = with_spectrum(m, n, &geometric(q, k), 3);
            for scale in scales {
                case += 1;
                if !place.takes(&cuts::BLOCKED, case) {
                    continue;
                }
                let a = base.map(|x| x * 2f64.powi(scale)).rounded::<T>();
                let what = format!("{} {m}×{n} condition 1e{condition}, 2^{scale}", T::NAME);
                let qr = run::<T, D>(&a, place, narrow().rank_tolerance(0.1 * T::UNIT_ROUNDOFF));
                let error = check(&what, &a, &qr.explicit().unwrap());
                assert!(error <= 60.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
            }
        }
    }
}

fn ranks_are_exact<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    for (m, n, rank) in [(90, 40, 1), (40, 90, 17), (120, 120, 24), (200, 150, 90), (60, 50, 49)] {
        let left = Plain::from_fn(m, rank, |i, j| noise(5, i, j));
        let right = Plain::from_fn(rank, n, |i, j| noise(6, i, j));
        for params in [narrow(), BqrrpParams::default(), narrow().nnz(1), narrow().block_size(1)] {
            case += 1;
            if !place.takes(&cuts::BLOCKED, case) {
                continue;
            }
            let a = left.times(&right).rounded::<T>();
            let what = format!("{} {m}×{n} of rank {rank}, {params:?}", T::NAME);
            let qr = run::<T, D>(&a, place, params);
            assert_eq!(qr.rank(), rank, "{what}");
            let error = check(&what, &a, &qr.explicit().unwrap());
            assert!(error <= 60.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
        }
    }
}

/// Zero, repeated and dependent columns in the middle of a block; rows of zeros, which a sketch may see alone.
fn structure_in_columns_and_rows<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let base = orthonormal(70, 20, 1);
    let a = Plain::from_fn(70, 60, |i, j| match j {
        0..15 => 0.0,
        15..35 => base.get(i, j - 15) * (40 - j) as f64,
        35..55 => base.get(i, j - 35),
        _ => base.get(i, 0) + base.get(i, j - 53),
    });
    let qr = run::<T, D>(&a.rounded::<T>(), place, narrow());
    assert_eq!(qr.rank(), 20);
    check("dependent columns", &a.rounded::<T>(), &qr.explicit().unwrap());
    for few in [1, 3, 20] {
        // Only `few` rows and columns are not zero.
        let a = Plain::from_fn(80, 64, |i, j| {
            if i % 80 < 4 * few && i % 4 == 1 && j % 3 == 0 { noise(8, i, j) } else { 0.0 }
        });
        let a = a.rounded::<T>();
        let qr = run::<T, D>(&a, place, narrow());
        assert_eq!(qr.rank(), few, "{few} rows");
        let error = check("few rows", &a, &qr.explicit().unwrap());
        assert!(error <= 60.0 * T::UNIT_ROUNDOFF, "{few} rows: {error:e}");
    }
}

/// R's diagonal is within a factor 10 of that of QR with column pivoting, where that is above rounding.
fn pivots_are_those_of_pivoted_qr<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let n = 72;
    let stairs: Vec<f64> = (0..n).map(|i| 0.6f64.powi((i / 15 * 8) as i32)).collect();
    let mut case = 0;
    for (name, a) in [
        ("a step", with_spectrum(n, n, &steps(n, 25, 1e-3), 1)),
        ("1/i", with_spectrum(n, n, &harmonic(n), 2)),
        ("0.8^i", with_spectrum(n, n, &geometric(0.8, n), 3)),
        ("0.8^i, wide", with_spectrum(n, 2 * n, &geometric(0.8, n), 3)),
        ("the Devil's stairs", with_spectrum(n, n, &stairs, 4)),
        ("Kahan", kahan(60, 1.2)),
        ("spiked rows", spiked(n, n, 9)),
    ] {
        let a = a.rounded::<T>();
        for block in [1, 7, 32] {
            case += 1;
            if !place.takes(&cuts::BLOCKED, case) {
                continue;
            }
            let qr = run::<T, D>(&a, place, BqrrpParams::default().block_size(block));
            let expected = pivoted_diagonal(&a);
            let r = Plain::of(qr.r.as_ref());
            let floor = 100.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt() * expected[0];
            for (j, &expected) in expected.iter().enumerate().take_while(|(_, e)| **e > floor) {
                let ratio = r.get(j, j) / expected;
                let fits = (0.1..=10.0).contains(&ratio);
                assert!(fits, "{name}, b = {block}: R[{j}, {j}] is {ratio} times the expected");
            }
        }
    }
}

fn leading_columns_of_a_coherent_matrix_are_found<D: Backend<f64>>(place: &Place<D>) {
    let leading = [3, 17, 42, 55];
    let a = Plain::from_fn(300, 64, |i, j| match leading.iter().position(|&l| l == j) {
        Some(at) => f64::from(u8::from(i == 60 * at + 7)) * 50.0 * (at + 1) as f64,
        None => noise(9, i, j) * 0.1,
    });
    let qr = run::<f64, D>(&a, place, narrow());
    assert_eq!(qr.pivots[..4], [55, 42, 17, 3]);
}

/// The first rank that reaches an error, and no more; a rank; an error that says it.
fn it_ends_where_it_was_told<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let a = with_spectrum(90, 70, &geometric(0.75, 70), 6).rounded::<T>();
    let norm = a.norm();
    let mut targets = vec![0.5, 0.1, 1e-2, 1e-3];
    if size_of::<T>() == 8 {
        targets.extend([1e-6, 1e-8]);
    }
    for target in targets {
        let qr = run::<T, D>(&a, place, BqrrpParams::tolerance(target).block_size(12));
        let what = format!("{} to {target:e}", T::NAME);
        assert!(qr.error.relative <= target, "{what}: {:?}", qr.error);
        let r = Plain::of(qr.r.as_ref());
        let last = r.rows(r.rows - 1, r.rows).norm() / norm;
        assert!(qr.error.relative.hypot(last) > target, "{what}: a column too many");
        check(&what, &a, &qr.explicit().unwrap());
    }
    for rank in [0, 1, 11, 12, 13, 30, 1000] {
        let params = match rank {
            1000 => narrow().max_rank(rank),
            _ => BqrrpParams::rank(rank).block_size(12),
        };
        let qr = run::<T, D>(&a, place, params);
        assert!(qr.rank() == rank || rank == 1000 && qr.rank() > 30, "{rank}: {}", qr.rank());
        check(&format!("rank {rank}"), &a, &qr.explicit().unwrap());
    }
}

/// Products with the reflectors are those with Q; every block is orthogonal.
fn reflectors_are_q<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let (m, n, u) = (50, 34, T::UNIT_ROUNDOFF);
    let a = Plain::from_fn(m, n, |i, j| noise(21, i, j)).rounded::<T>();
    let qr = run::<T, D>(&a, place, narrow());
    let q = Plain::of(qr.reflectors.to_mat().unwrap().as_ref());
    assert_eq!((qr.reflectors.shape(), qr.reflectors.blocks()), ((m, n), 3));
    for c in [0, 1, 5] {
        let x = Plain::from_fn(n, c, |i, j| noise(22, i, j)).rounded::<T>();
        let y = qr.reflectors.apply(x.to_mat::<T, D>(place.device()).as_ref()).unwrap();
        let gap = Plain::of(y.as_ref()).minus(&q.times(&x)).norm();
        assert!(gap <= 60.0 * u * x.norm(), "{c}: {gap:e}");
        let y = Plain::from_fn(m, c, |i, j| noise(23, i, j)).rounded::<T>();
        let x = qr.reflectors.apply_adjoint(y.to_mat::<T, D>(place.device()).as_ref()).unwrap();
        let gap = Plain::of(x.as_ref()).minus(&q.transpose().times(&y)).norm();
        assert!(gap <= 60.0 * u * y.norm(), "{c}: {gap:e}");
    }
    for i in 0..qr.reflectors.blocks() {
        let (start, v, t) = qr.reflectors.block(i);
        let (v, t) = (Plain::of(v), Plain::of(t));
        assert_eq!((v.rows, v.cols, t.rows), (m - start, t.cols, t.cols));
        let identity = Plain::from_fn(v.rows, v.rows, |i, j| f64::from(u8::from(i == j)));
        let h = identity.minus(&v.times(&t).times(&v.transpose()));
        assert!(h.orthogonality() <= 60.0 * u * (t.cols as f64).sqrt());
    }
    assert!(qr.reflectors.signs().iter().all(|s| s.to_f64().abs() == 1.0));
    let wrong = Plain::zeros(n + 1, 2).to_mat::<T, D>(place.device());
    let refused = |result| matches!(result, Err(Error::ShapeMismatch { .. }));
    assert!(refused(qr.reflectors.apply(wrong.as_ref())));
    assert!(refused(qr.reflectors.apply_adjoint(wrong.as_ref())));
}

fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let exponents: [i32; 3] = if size_of::<T>() == 4 { [1, 40, -40] } else { [-3, 400, -400] };
    for (m, n, rank) in [(60, 40, 40), (40, 60, 31)] {
        let left = Plain::from_fn(m, rank, |i, j| noise(15, i, j));
        let a = left.times(&Plain::from_fn(rank, n, |i, j| noise(16, i, j))).rounded::<T>();
        let factors = |a: &Plain| run::<T, D>(a, place, narrow()).explicit().unwrap();
        let base = factors(&a);
        for e in exponents {
            let factor = 2f64.powi(e);
            let scaled = factors(&a.map(|x| x * factor));
            let what = format!("{m}×{n} of rank {rank} times 2^{e}");
            assert!(scaled.q.to_vec().unwrap() == base.q.to_vec().unwrap(), "{what}: Q");
            let expected = Plain::of(base.r.as_ref()).map(|x| x * factor);
            assert!(Plain::of(scaled.r.as_ref()) == expected, "{what}: R");
            assert_eq!(scaled.pivots, base.pivots, "{what}");
            assert_eq!(scaled.error.relative, base.error.relative, "{what}");
            assert_eq!(scaled.error.absolute, base.error.absolute * factor, "{what}");
        }
    }
}

/// Sketches of enough columns to be searched in groups, side by side, among them.
fn the_same_bits_on_every_handle<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    // The interpreter has one handle only.
    let (m, n) = if place.takes(&cuts::BLOCKED, 1) { (60, 2500) } else { (30, 90) };
    let a = Plain::from_fn(m, n, |i, j| noise(31, i, j)).rounded::<T>();
    place.result("bqrrp", |device| {
        let qr = bqrrp(a.to_mat::<T, D>(device).as_ref(), narrow()).unwrap().explicit().unwrap();
        (qr.q.to_vec().unwrap(), qr.r.to_vec().unwrap(), qr.pivots)
    });
}

fn every_shape_is_served<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in [(1, 1), (9, 1), (1, 9), (2, 5), (5, 2), (12, 12), (13, 12), (12, 13), (24, 37)] {
        let a = Plain::from_fn(m, n, |i, j| noise(21, i, j)).rounded::<T>();
        let what = format!("{} {m}×{n}", T::NAME);
        let qr = run::<T, D>(&a, place, narrow());
        assert_eq!(qr.rank(), m.min(n), "{what}");
        check(&what, &a, &qr.explicit().unwrap());
        // Other strides, the same matrix.
        let rows: Mat<T, D> = a.transpose().to_mat(place.device());
        let other = bqrrp(rows.transpose(), narrow()).unwrap();
        check(&what, &a, &other.explicit().unwrap());
    }
}

fn zero_empty_and_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in [(0, 0), (0, 4), (4, 0), (1, 1), (50, 4), (4, 50), (30, 30)] {
        let qr = run::<T, D>(&Plain::zeros(m, n), place, narrow());
        assert_eq!((qr.rank(), qr.reflectors.shape(), qr.r.shape()), (0, (m, 0), (0, n)));
        assert_eq!((&qr.pivots, qr.error.relative), (&(0..n).collect(), 0.0));
        assert_eq!(qr.explicit().unwrap().q.shape(), (m, 0));
    }
    for (m, n) in [(40, 30), (30, 40)] {
        for value in [f64::NAN, f64::INFINITY] {
            let mut a = Plain::from_fn(m, n, |i, j| noise(2, i, j));
            a.set(m - 1, n - 2, value);
            a.set(7, 3, value);
            let result = bqrrp(a.to_mat::<T, D>(place.device()).as_ref(), narrow()).map(|_| ());
            let named = matches!(result, Err(Error::NonFinite { op: "bqrrp", row: 7, col: 3 }));
            assert!(named, "{result:?}");
        }
    }
}

fn parameters_out_of_range_are_named<D: Backend<f64>>(place: &Place<D>) {
    let a = Plain::from_fn(30, 4, |i, j| noise(3, i, j)).to_mat::<f64, D>(place.device());
    let params = BqrrpParams::default();
    for (params, name) in [
        (params.block_size(0), "block_size"),
        (params.nnz(0), "nnz"),
        (params.rank_tolerance(0.0), "rank_tolerance"),
        (params.rank_tolerance(f64::NAN), "rank_tolerance"),
        (BqrrpParams::tolerance(1.0), "tolerance"),
        (BqrrpParams::tolerance(-1.0), "tolerance"),
        (BqrrpParams::rank(5), "rank"),
    ] {
        let error = bqrrp(a.as_ref(), params).unwrap_err();
        let named = matches!(&error, Error::InvalidArgument { argument, .. } if *argument == name);
        assert!(named, "{error}");
    }
}

on_every_device! {
    accurate_at_every_condition_and_scale: f32 f64,
    ranks_are_exact: f32 f64,
    structure_in_columns_and_rows: f32 f64,
    pivots_are_those_of_pivoted_qr: f32 f64,
    leading_columns_of_a_coherent_matrix_are_found,
    it_ends_where_it_was_told: f32 f64,
    reflectors_are_q: f32 f64,
    powers_of_two_scale_exactly: f32 f64,
    the_same_bits_on_every_handle: f32 f64,
    every_shape_is_served: f32 f64,
    zero_empty_and_not_finite: f32 f64,
    parameters_out_of_range_are_named,
}
