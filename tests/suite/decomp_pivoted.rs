//! CholeskyQR: pivoted after a sketch (CQRRPT) and plain, on prescribed spectra and adversarial structure.

use crate::common::spectra::{
    geometric, harmonic, kahan, orthonormal, spiked, steps, with_spectrum,
};
use crate::common::{Place, Plain, cuts, noise, on_every_device};
use crate::decomp_checks::relative_error;
use randnla::decomp::{CqrrptParams, ErrorKind, PivotedQr, Qr, cholesky_qr2, cholesky_qr3, cqrrpt};
use randnla::{Backend, Cpu, Error, Mat, Scalar};

/// A P = Q R with orthonormal Q, R upper triangular and positive on its diagonal, and an honest error; the
/// limits are `scale` times those of the documentation. Returns ‖A P − Q R‖_F/‖A‖_F in `f64`.
#[track_caller]
pub(crate) fn check<T: Scalar, D: Backend<T>>(what: &str, a: &Plain, qr: &PivotedQr<T, D>) -> f64 {
    let (q, r) = (Plain::of(qr.q.as_ref()), Plain::of(qr.r.as_ref()));
    let (k, n) = (qr.rank(), a.cols);
    assert_eq!((q.rows, q.cols, r.rows, r.cols), (a.rows, k, k, n), "{what}: shapes");
    let mut sorted = qr.pivots.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..n).collect::<Vec<_>>(), "{what}: a permutation");
    check_factors::<T>(what, &q, &r, qr.orthogonality);
    let permuted = Plain::from_fn(a.rows, n, |i, j| a.get(i, qr.pivots[j]));
    let error = relative_error(&permuted, &q.times(&r));
    assert_eq!(qr.error.kind, ErrorKind::Residual, "{what}");
    let gap = (qr.error.relative - error).abs();
    assert!(gap <= 50.0 * T::UNIT_ROUNDOFF + 1e-3 * error, "{what}: {error:e}, {:?}", qr.error);
    error
}

/// Orthonormal to 90u√k, as the estimate says it; R triangular.
#[track_caller]
pub(crate) fn check_factors<T: Scalar>(what: &str, q: &Plain, r: &Plain, estimate: f64) {
    let k = q.cols;
    let loss = q.orthogonality() / (k.max(1) as f64).sqrt();
    assert!(loss <= 90.0 * T::UNIT_ROUNDOFF, "{what}: Q is orthonormal to {loss:e} only, k = {k}");
    let honest = loss <= 10.0 * estimate && estimate <= 110.0 * T::UNIT_ROUNDOFF;
    assert!(honest, "{what}: orthonormal to {loss:e}, said to be to {estimate:e}");
    for j in 0..k {
        assert!(r.get(j, j) > 0.0, "{what}: R[{j}, {j}] = {:e}", r.get(j, j));
        assert!((j + 1..k).all(|i| r.get(i, j) == 0.0), "{what}: column {j} of R");
    }
}

/// The diagonal of R of QR with the largest residual as pivot: Gram-Schmidt twice, in `f64`.
pub(crate) fn pivoted_diagonal(a: &Plain) -> Vec<f64> {
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut columns: Vec<Vec<f64>> = (0..a.cols).map(|j| a.column(j).to_vec()).collect();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut diagonal = Vec::new();
    while !columns.is_empty() && basis.len() < a.rows {
        let largest = (0..columns.len())
            .max_by(|&i, &j| norm(&columns[i]).total_cmp(&norm(&columns[j])))
            .unwrap();
        let mut q = columns.swap_remove(largest);
        diagonal.push(norm(&q));
        if diagonal[diagonal.len() - 1] == 0.0 {
            break;
        }
        q.iter_mut().for_each(|x| *x /= diagonal[diagonal.len() - 1]);
        basis.push(q);
        for column in &mut columns {
            for q in &basis {
                let dot: f64 = q.iter().zip(&*column).map(|(q, x)| q * x).sum();
                column.iter_mut().zip(q).for_each(|(x, q)| *x -= dot * q);
            }
        }
    }
    diagonal
}

fn default<T: Scalar, D: Backend<T>>(a: &Mat<T, D>) -> PivotedQr<T, D> {
    cqrrpt(a.as_ref(), CqrrptParams::default()).unwrap()
}

/// Condition numbers up to 10¹² (10⁵ in f32) at every scale: both errors stay at 10⁻¹⁴, 90u.
fn accurate_at_every_condition_and_scale<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let single = size_of::<T>() == 4;
    let (conditions, scales) =
        if single { ([0, 1, 2, 3, 5], [0, -59, 59]) } else { ([0, 3, 6, 9, 12], [0, -498, 498]) };
    let mut case = 0;
    for condition in conditions {
        for n in [7, 60] {
            let q = 10f64.powf(-f64::from(condition) / (n as f64 - 1.0));
            let a = with_spectrum(400, n, &geometric(q, n), 3);
            for scale in scales {
                case += 1;
                if !place.takes(&cuts::PIVOTED, case) {
                    continue;
                }
                let a = a.map(|x| x * 2f64.powi(scale)).rounded::<T>();
                let what = format!("{} condition 1e{condition}, 2^{scale}, n = {n}", T::NAME);
                let qr = default(&a.to_mat::<T, D>(place.device()));
                assert_eq!(qr.rank(), n, "{what}");
                let error = check(&what, &a, &qr);
                assert!(error <= 90.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
            }
        }
    }
}

/// Products of thin factors, and their structure in single columns: the rank is found exactly.
fn ranks_are_exact<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let mut case = 0;
    for (m, n, rank) in
        [(300, 40, 1), (300, 40, 17), (1000, 120, 40), (200, 5, 3), (60, 50, 20), (30, 80, 12)]
    {
        let left = Plain::from_fn(m, rank, |i, j| noise(5, i, j));
        let right = Plain::from_fn(rank, n, |i, j| noise(6, i, j));
        for scale in [1.0, 1e3, 1e-8, 1e8] {
            let a = left.times(&right).map(|x| x * scale).rounded::<T>();
            let what = format!("{} {m}×{n} of rank {rank} times {scale:e}", T::NAME);
            case += 1;
            if !place.takes(&cuts::PIVOTED, case) {
                continue;
            }
            let qr = default(&a.to_mat::<T, D>(place.device()));
            assert_eq!(qr.rank(), rank, "{what}");
            let error = check(&what, &a, &qr);
            assert!(error <= 60.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
        }
    }
}

/// Zero, duplicate and dependent columns: those that carry the rank come first.
fn dependent_columns_come_last<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let base = orthonormal(200, 6, 1);
    let a = Plain::from_fn(200, 20, |i, j| match j {
        0..6 => 0.0,
        6..12 => base.get(i, j - 6) * (12 - j) as f64,
        12..18 => base.get(i, j - 12) * 1e-3,
        _ => base.get(i, 0) + base.get(i, j - 17),
    });
    let a = a.rounded::<T>();
    let qr = default(&a.to_mat::<T, D>(place.device()));
    assert_eq!(qr.rank(), 6);
    assert!(qr.pivots[..6].iter().all(|&p| (6..12).contains(&p) || p >= 18), "{:?}", qr.pivots);
    check("dependent columns", &a, &qr);
}

/// R's diagonal is within a factor 10 of that of QR with column pivoting, where that is above rounding.
fn pivots_are_those_of_pivoted_qr<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let stairs: Vec<f64> = (0..60).map(|i| 0.6f64.powi(i / 15 * 8)).collect();
    let (tall, n) = (300, 60);
    for (name, a) in [
        ("a step", with_spectrum(tall, n, &steps(n, 20, 1e-3), 1)),
        ("1/i", with_spectrum(tall, n, &harmonic(n), 2)),
        ("0.8^i", with_spectrum(tall, n, &geometric(0.8, n), 3)),
        ("the Devil's stairs", with_spectrum(tall, n, &stairs, 4)),
        ("Kahan", orthonormal(tall, 40, 5).times(&kahan(40, 1.2))),
        ("spiked rows", spiked(tall, n, 10)),
    ] {
        let a = a.rounded::<T>();
        let qr = default(&a.to_mat::<T, D>(place.device()));
        check(name, &a, &qr);
        let expected = pivoted_diagonal(&a);
        let r = Plain::of(qr.r.as_ref());
        let floor = 100.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt() * expected[0];
        for (j, &expected) in expected.iter().enumerate().take_while(|(_, e)| **e > floor) {
            let ratio = r.get(j, j) / expected;
            assert!(
                (0.1..=10.0).contains(&ratio),
                "{name}: R[{j}, {j}] is {ratio} times the expected"
            );
        }
    }
}

/// Columns that stand out, far below the others of the matrix by row weight: the first pivots.
fn leading_columns_of_a_coherent_matrix_are_found<D: Backend<f64>>(place: &Place<D>) {
    let leading = [3, 17, 42, 55];
    let a = Plain::from_fn(2000, 64, |i, j| {
        match leading.iter().position(|&l| l == j) {
            // All of the column in one row.
            Some(at) => {
                if i == 400 * at + 7 {
                    50.0 * (at + 1) as f64
                } else {
                    0.0
                }
            }
            None => noise(9, i, j) * 0.1,
        }
    });
    let qr = default(&a.to_mat::<f64, D>(place.device()));
    assert_eq!(qr.pivots[..4], [55, 42, 17, 3]);
    check("coherent", &a, &qr);
}

/// A times a power of two: the same Q and pivots, R and the error times it, bit for bit.
fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let exponents: [i32; 4] =
        if size_of::<T>() == 4 { [1, -1, 40, -40] } else { [1, -3, 400, -400] };
    for (m, n, rank) in [(300, 30, 30), (300, 30, 11), (40, 30, 20), (20, 30, 20)] {
        let left = Plain::from_fn(m, rank, |i, j| noise(15, i, j));
        let a = left.times(&Plain::from_fn(rank, n, |i, j| noise(16, i, j))).rounded::<T>();
        let base = default(&a.to_mat::<T, D>(place.device()));
        for e in exponents {
            let factor = 2f64.powi(e);
            let scaled = default(&a.map(|x| x * factor).to_mat::<T, D>(place.device()));
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

fn the_same_bits_on_every_handle<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let a = with_spectrum(900, 70, &geometric(0.7, 70), 2).rounded::<T>();
    place.result("cqrrpt", |device| {
        let qr = default(&a.to_mat::<T, D>(device));
        (qr.q.to_vec().unwrap(), qr.r.to_vec().unwrap(), qr.pivots)
    });
}

/// Around the sizes at which a sketch starts to be taken, and wide ones: the same contract.
fn every_shape_is_served<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in [
        (1, 1),
        (9, 1),
        (10, 1),
        (2, 5),
        (5, 2),
        (20, 20),
        (19, 20),
        (21, 20),
        (39, 20),
        (40, 20),
        (41, 20),
        (12, 100),
        (100, 33),
    ] {
        let a = Plain::from_fn(m, n, |i, j| noise(21, i, j)).rounded::<T>();
        let what = format!("{} {m}×{n}", T::NAME);
        let qr = default(&a.to_mat::<T, D>(place.device()));
        assert_eq!(qr.rank(), m.min(n), "{what}");
        let error = check(&what, &a, &qr);
        assert!(error <= 60.0 * T::UNIT_ROUNDOFF, "{what}: {error:e}");
        // A row-major matrix: the same factors to rounding, the same pivots.
        let rows = a.transpose().to_mat::<T, D>(place.device());
        let other = cqrrpt(rows.transpose(), CqrrptParams::default()).unwrap();
        check(&what, &a, &other);
        assert_eq!(other.pivots, qr.pivots, "{what}");
    }
}

fn zero_empty_and_not_finite<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    for (m, n) in [(0, 0), (0, 4), (4, 0), (1, 1), (50, 4), (4, 50), (50, 49)] {
        let qr = default(&Plain::zeros(m, n).to_mat::<T, D>(place.device()));
        assert_eq!((qr.rank(), qr.q.shape(), qr.r.shape()), (0, (m, 0), (0, n)));
        assert_eq!((qr.pivots, qr.error.relative), ((0..n).collect(), 0.0));
    }
    for (m, n) in [(200, 10), (12, 10), (10, 30)] {
        for value in [f64::NAN, f64::INFINITY] {
            let mut a = Plain::from_fn(m, n, |i, j| noise(2, i, j));
            a.set(m - 1, n - 2, value);
            a.set(7, 3, value);
            let mat = a.to_mat::<T, D>(place.device());
            let named = |result: Result<(), Error>| {
                assert!(
                    matches!(result, Err(Error::NonFinite { row: 7, col: 3, .. })),
                    "{result:?}"
                );
            };
            named(cqrrpt(mat.as_ref(), CqrrptParams::default()).map(|_| ()));
            if m >= n {
                named(cholesky_qr2(mat.as_ref()).map(|_| ()));
                named(cholesky_qr3(mat.as_ref()).map(|_| ()));
            }
        }
    }
}

fn parameters_out_of_range_are_named<D: Backend<f64>>(place: &Place<D>) {
    let a = Plain::from_fn(30, 4, |i, j| noise(3, i, j)).to_mat::<f64, D>(place.device());
    let params = CqrrptParams::default();
    for (params, name) in [
        (params.embedding_factor(0.5), "embedding_factor"),
        (params.embedding_factor(f64::NAN), "embedding_factor"),
        (params.embedding_factor(f64::INFINITY), "embedding_factor"),
        (params.nnz(0), "nnz"),
        (params.rank_tolerance(0.0), "rank_tolerance"),
        (params.rank_tolerance(1.0), "rank_tolerance"),
        (params.rank_tolerance(f64::NAN), "rank_tolerance"),
    ] {
        let error = cqrrpt(a.as_ref(), params).unwrap_err();
        let named = matches!(&error, Error::InvalidArgument { argument, .. } if *argument == name);
        assert!(named, "{error}");
    }
    let wide = a.transpose();
    assert!(matches!(cholesky_qr2(wide), Err(Error::InvalidArgument { argument: "a", .. })));
    assert!(matches!(cholesky_qr3(wide), Err(Error::InvalidArgument { argument: "a", .. })));
}

/// A rank tolerance cuts where residuals fall below it, and the error says what that leaves out.
fn a_rank_tolerance_cuts_the_rank<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let a = with_spectrum(300, 40, &geometric(0.5, 40), 6).rounded::<T>();
    for (tolerance, ranks) in [(0.1, 2..8), (1e-2, 5..12), (1e-3, 8..16)] {
        let params = CqrrptParams::default().rank_tolerance(tolerance);
        let qr = cqrrpt(a.to_mat::<T, D>(place.device()).as_ref(), params).unwrap();
        assert!(ranks.contains(&qr.rank()), "{tolerance}: {}", qr.rank());
        let error = check("a tolerance", &a, &qr);
        assert!(error <= 4.0 * tolerance, "{tolerance}: {error}");
    }
}

/// The relatives without pivots: accurate as far as they say, and an error beyond.
fn plain_passes_serve_their_conditions<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let u = T::UNIT_ROUNDOFF;
    let (fine, hard) = (0.05 / u.sqrt(), 0.01 / u);
    for (condition, two, three) in [(1.0, true, true), (fine, true, true), (hard, false, true)] {
        let n = 20;
        let q = condition.powf(-1.0 / (n as f64 - 1.0));
        for scale in if size_of::<T>() == 4 { [0, 50, -50] } else { [0, 490, -490] } {
            let a = with_spectrum(500, n, &geometric(q, n), 8).map(|x| x * 2f64.powi(scale));
            let a = a.rounded::<T>();
            let mat = a.to_mat::<T, D>(place.device());
            let what = format!("{} condition {condition:e} 2^{scale}", T::NAME);
            for (serves, result) in
                [(two, cholesky_qr2(mat.as_ref())), (three, cholesky_qr3(mat.as_ref()))]
            {
                match result {
                    Ok(Qr { q, r, orthogonality }) if serves => {
                        let (q, r) = (Plain::of(q.as_ref()), Plain::of(r.as_ref()));
                        check_factors::<T>(&what, &q, &r, orthogonality);
                        let error = relative_error(&a, &q.times(&r));
                        assert!(error <= 60.0 * u, "{what}: {error:e}");
                    }
                    Err(Error::Singular { .. }) if !serves => {}
                    Ok(_) => panic!("{what}: should not have worked"),
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
    }
    let dependent = Plain::from_fn(90, 6, |i, j| noise(4, i, j % 3)).to_mat::<T, D>(place.device());
    let result = cholesky_qr2(dependent.as_ref());
    assert!(matches!(result, Err(Error::Singular { column: 3, .. })), "{result:?}");
    for n in [0, 3] {
        let empty = Plain::zeros(5, n).to_mat::<T, D>(place.device());
        let singular = |qr: Result<Qr<T, D>, Error>| match qr {
            Ok(qr) => n == 0 && qr.q.shape() == (5, 0),
            Err(error) => n == 3 && matches!(error, Error::Singular { column: 0, .. }),
        };
        assert!(singular(cholesky_qr2(empty.as_ref())) && singular(cholesky_qr3(empty.as_ref())));
    }
}

on_every_device! {
    accurate_at_every_condition_and_scale: f32 f64,
    ranks_are_exact: f32 f64,
    dependent_columns_come_last: f32 f64,
    pivots_are_those_of_pivoted_qr: f32 f64,
    leading_columns_of_a_coherent_matrix_are_found,
    powers_of_two_scale_exactly: f32 f64,
    the_same_bits_on_every_handle: f32 f64,
    every_shape_is_served: f32 f64,
    zero_empty_and_not_finite: f32 f64,
    parameters_out_of_range_are_named,
    a_rank_tolerance_cuts_the_rank: f32 f64,
    plain_passes_serve_their_conditions: f32 f64,
}

/// Sketches that are too short for the matrix, or blind to it, cost passes and not accuracy.
#[test]
fn poor_sketches_do_not_spoil_the_factors() {
    let cpu = Cpu::new();
    for (m, n) in [(2000, 40), (400, 90)] {
        let a = with_spectrum(m, n, &geometric(0.8, n), 12);
        for (gamma, nnz) in [(1.0, 1), (1.0, 8), (1.25, 2), (1.25, 4), (4.0, 8)] {
            for seed in 0..5 {
                let params = CqrrptParams::default().embedding_factor(gamma).nnz(nnz).seed(seed);
                let qr = cqrrpt(a.to_mat::<f64, Cpu>(&cpu).as_ref(), params).unwrap();
                let what = format!("{m}×{n} γ = {gamma} ζ = {nnz} seed {seed}");
                let error = check(&what, &a, &qr);
                assert!(error <= 90.0 * f64::UNIT_ROUNDOFF, "{what}: {error:e}");
            }
        }
    }
}
