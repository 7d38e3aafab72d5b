//! Estimators: exact where they can be, zero and bad input, scale, threads.

use crate::common::cuts;
use crate::common::spectra::{geometric, harmonic, orthonormal, with_spectrum};
use crate::common::{Place, Plain, noise, on_every_device};
use crate::decomp_checks::Counting;
use crate::decomp_psd::symmetric;
use randnla::estimate::{
    DiagonalMethod, DiagonalParams, FrobeniusParams, NuclearParams, RankParams, SpectralParams,
    TraceMethod, TraceParams, diagonal, norm_fro, norm_nuclear, norm_spectral, numerical_rank,
    subspace_angles, trace,
};
use randnla::{Backend, Error, LinearOperator, Scalar};

const TRACES: [TraceMethod; 3] =
    [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus, TraceMethod::XTrace];
const DIAGONALS: [DiagonalMethod; 2] = [DiagonalMethod::Hutchinson, DiagonalMethod::XDiag];

fn trace_of(a: &Plain) -> f64 {
    (0..a.rows).map(|i| a.get(i, i)).sum()
}

/// Where the products span the range, and where the spectrum has fallen below rounding.
fn ranges_that_are_spanned_give_exact_traces<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let cases = [
        symmetric(60, &[3.0, -2.0, 1.0, 0.5], 1),
        with_spectrum(60, 60, &[2.0, 1.0, 0.25], 3),
        symmetric(60, &geometric(0.1, 30), 1),
        Plain::from_fn(7, 7, |i, j| noise(1, i, j)),
    ];
    for (case, a) in cases.iter().enumerate() {
        let (a, mat) = (a.rounded::<T>(), a.to_mat::<T, D>(place.device()));
        let rounding = 32.0 * T::UNIT_ROUNDOFF * (a.rows as f64).sqrt() * a.norm();
        for method in [TraceMethod::HutchPlusPlus, TraceMethod::XTrace] {
            let what = format!("{} case {case}, {method:?}", T::NAME);
            let counted = Counting::new(mat.as_ref(), false);
            let found = trace(&counted, TraceParams::products(48).method(method)).unwrap();
            assert!((found.value - trace_of(&a)).abs() <= rounding, "{what}: {found:?}");
            assert!(found.standard_error <= rounding, "{what}: {found:?}");
            assert!(found.products <= 48 && counted.adjoints.into_inner() == 0, "{what}");
        }
        let found = diagonal(&mat, DiagonalParams::products(48)).unwrap();
        for i in 0..a.rows {
            let gap = (found.values[i] - a.get(i, i)).abs();
            assert!(
                gap <= rounding && found.standard_errors[i] <= rounding,
                "case {case}: {gap:e}"
            );
        }
    }
}

fn zero_and_empty_give_zero<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    for (m, n) in [(0, 0), (1, 1), (30, 30), (0, 4), (4, 0), (20, 30)] {
        let mat = Plain::zeros(m, n).to_mat::<T, D>(place.device());
        let free = Counting::new(mat.as_ref(), false);
        let what = format!("{} zeros {m}×{n}", T::NAME);
        if m == n {
            for method in TRACES {
                let found = trace(&free, TraceParams::products(12).method(method)).unwrap();
                assert_eq!((found.value, found.standard_error), (0.0, 0.0), "{what} {method:?}");
            }
            for method in DIAGONALS {
                let found = diagonal(&free, DiagonalParams::products(12).method(method)).unwrap();
                assert_eq!(
                    (&found.values, &found.standard_errors),
                    (&vec![0.0; n], &vec![0.0; n]),
                    "{what}"
                );
            }
        }
        let norm = norm_fro(&free, FrobeniusParams::default()).unwrap();
        assert_eq!((norm.value, norm.lower, norm.upper), (0.0, 0.0, 0.0), "{what}");
        let norm = norm_spectral(&free, SpectralParams::default()).unwrap();
        assert_eq!((norm.value, norm.lower, norm.upper), (0.0, 0.0, 0.0), "{what}");
        let norm = norm_nuclear(&free, NuclearParams::default()).unwrap();
        assert_eq!((norm.value, norm.standard_error), (0.0, 0.0), "{what}");
        assert_eq!(
            numerical_rank(&free, RankParams::rank_tolerance(0.1)).unwrap().rank,
            0,
            "{what}"
        );
        let angles = subspace_angles(mat.as_ref(), mat.as_ref()).unwrap();
        assert_eq!(
            (angles.angles.len(), angles.dimensions, angles.largest_sine()),
            (0, (0, 0), 0.0)
        );
    }
}

fn bad_input_is_told<D: Backend<f64>>(place: &Place<D>) {
    let device = place.device();
    let good = symmetric(20, &harmonic(20), 1);
    let (mat, wide) = (good.to_mat::<f64, D>(device), Plain::zeros(3, 4).to_mat::<f64, D>(device));
    let mut bad = good.clone();
    bad.set(5, 9, f64::NAN);
    let bad = bad.to_mat::<f64, D>(device);
    fn at<R: std::fmt::Debug>(result: randnla::Result<R>) {
        assert!(matches!(result, Err(Error::NonFinite { row: 5, col: 9, .. })), "{result:?}");
    }
    at(norm_fro(&bad, FrobeniusParams::default()));
    at(norm_spectral(&bad, SpectralParams::default()));
    at(norm_nuclear(&bad, NuclearParams::default()));
    at(numerical_rank(&bad, RankParams::rank_tolerance(0.1)));
    at(subspace_angles(mat.as_ref(), bad.as_ref()));
    fn refused<R: std::fmt::Debug>(result: randnla::Result<R>) {
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{result:?}");
    }
    for method in TRACES {
        at(trace(&bad, TraceParams::products(12).method(method)));
        refused(trace(&mat, TraceParams::products(3).method(method)));
        let result = trace(&wide, TraceParams::products(12).method(method));
        assert!(matches!(result, Err(Error::ShapeMismatch { .. })), "{result:?}");
    }
    for method in DIAGONALS {
        at(diagonal(&bad, DiagonalParams::products(12).method(method)));
        refused(diagonal(&mat, DiagonalParams::products(3).method(method)));
        let result = diagonal(&wide, DiagonalParams::products(12).method(method));
        assert!(matches!(result, Err(Error::ShapeMismatch { .. })), "{result:?}");
    }
    refused(norm_fro(&mat, FrobeniusParams::default().probes(0)));
    refused(norm_fro(&mat, FrobeniusParams::default().failure_probability(0.0)));
    refused(norm_spectral(&mat, SpectralParams::default().accuracy(0.0)));
    refused(norm_spectral(&mat, SpectralParams::default().failure_probability(1.0)));
    refused(norm_nuclear(&mat, NuclearParams::default().probes(1)));
    refused(norm_nuclear(&mat, NuclearParams::default().steps(1)));
    refused(numerical_rank(&mat, RankParams::rank_tolerance(f64::NAN)));
    let result = subspace_angles(mat.as_ref(), wide.as_ref());
    assert!(matches!(result, Err(Error::ShapeMismatch { .. })), "{result:?}");
}

/// Every number that the estimators give, those that scale with A first.
fn everything<T: Scalar, D: Backend<T>>(a: &impl LinearOperator<T, D>) -> (Vec<f64>, Vec<f64>) {
    let (mut scaled, mut fixed) = (Vec::new(), Vec::new());
    for method in TRACES {
        let found = trace(a, TraceParams::products(12).method(method)).unwrap();
        scaled.extend([found.value, found.standard_error]);
        fixed.push(found.products as f64);
    }
    for method in DIAGONALS {
        let found = diagonal(a, DiagonalParams::products(12).method(method)).unwrap();
        scaled.extend(found.values.into_iter().chain(found.standard_errors));
    }
    for norm in
        [norm_fro(a, FrobeniusParams::default()), norm_spectral(a, SpectralParams::default())]
    {
        let norm = norm.unwrap();
        scaled.extend([norm.value, norm.lower, norm.upper]);
        fixed.push(norm.products as f64);
    }
    let found = numerical_rank(a, RankParams::rank_tolerance(0.15)).unwrap();
    scaled.extend(found.values);
    fixed.extend([found.rank as f64, found.products as f64]);
    (scaled, fixed)
}

/// The nuclear norm and its error; the recurrence behind it amplifies rounding errors.
fn nuclear<T: Scalar, D: Backend<T>>(a: &impl LinearOperator<T, D>) -> (f64, f64) {
    let norm = norm_nuclear(a, NuclearParams::default().rank(5).probes(4).steps(10)).unwrap();
    (norm.value, norm.standard_error)
}

fn powers_of_two_scale_exactly<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let exponents = match size_of::<T>() {
        4 => [1, -1, 40, -40, 60, -60],
        _ => [1, -1, 100, -100, 500, -500],
    };
    let a = with_spectrum(50, 50, &harmonic(50), 8).rounded::<T>();
    let run = |a: &Plain| {
        let mat = a.to_mat::<T, D>(place.device());
        let free = Counting::new(mat.as_ref(), false);
        let (mut scaled, fixed) = everything(&free);
        let (value, error) = nuclear(&free);
        scaled.extend([value, error]);
        (scaled, fixed)
    };
    let base = run(&a);
    for (case, e) in exponents.into_iter().enumerate() {
        if !place.takes(&cuts::EXTREME_SCALES, case) {
            continue;
        }
        let found = run(&a.map(|x| x * 2f64.powi(e)));
        let expected: Vec<f64> = base.0.iter().map(|x| x * 2f64.powi(e)).collect();
        assert_eq!(found, (expected, base.1.clone()), "{} 2^{e}", T::NAME);
    }
}

/// Scales at which squares leave the range, by factors that are no powers of two: the same numbers, to rounding.
fn extreme_scales_change_nothing<T: Scalar, D: Backend<T>>(place: &Place<D>)
where
    for<'a> Counting<'a, T, D>: LinearOperator<T, D>,
{
    let scales: &[f64] = match size_of::<T>() {
        4 => &[1e18, 1e-18],
        _ => &[1e150, 1e-150],
    };
    let a = with_spectrum(50, 50, &harmonic(50), 8);
    let run = |a: &Plain| {
        let mat = a.to_mat::<T, D>(place.device());
        let free = Counting::new(mat.as_ref(), false);
        (everything(&free).0, nuclear(&free))
    };
    let base = run(&a);
    let limit = 1e4 * T::UNIT_ROUNDOFF;
    for &scale in scales {
        let (found, norm) = run(&a.map(|x| x * scale));
        for (x, y) in found.iter().zip(&base.0) {
            assert!((x / scale - y).abs() <= limit, "{} ×{scale:e}: {x} {y}", T::NAME);
        }
        let gap = (norm.0 / scale - base.1.0).abs();
        assert!(gap <= 0.01 * base.1.1, "{} ×{scale:e}: {norm:?} {:?}", T::NAME, base.1);
    }
}

fn results_are_the_same_bits_on_every_handle<D: Backend<f64>>(place: &Place<D>) {
    let n = if place.handles().len() > 1 { 600 } else { 60 };
    let a = Plain::from_fn(n, n, |i, j| noise(1, i, j) / (1.0 + (i + j) as f64));
    place.result("estimates", |device| {
        let mat = a.to_mat::<f64, D>(device);
        (everything(&mat), nuclear(&mat))
    });
}

/// Prescribed angles, the smallest and the largest ones too.
fn angles_are_right_to_rounding<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    let angles = [
        0.0,
        1e-9,
        1e-4,
        0.3,
        1.0,
        core::f64::consts::FRAC_PI_2 - 1e-6,
        core::f64::consts::FRAC_PI_2,
    ];
    let (n, k) = (90, angles.len());
    let q = orthonormal(n, 2 * k, 5);
    let turned = Plain::from_fn(n, k, |i, j| {
        let (sin, cos) = angles[j].sin_cos();
        cos * q.get(i, j) + sin * q.get(i, k + j)
    });
    let limit = 50.0 * T::UNIT_ROUNDOFF * (k as f64).sqrt();
    for extra in [0, 3] {
        // More columns on one side, mixed and scaled, one of them twice.
        let mix = Plain::from_fn(k + extra, k + extra + 1, |i, j| {
            if j == k + extra {
                if i == 0 { 1e-3 } else { 0.0 }
            } else {
                f64::from(u8::from(i == j))
            }
        });
        let first = q.columns(0, k);
        let wider =
            Plain::from_fn(
                n,
                k + extra,
                |i, j| if j < k { first.get(i, j) } else { noise(9, i, j) },
            );
        let far = if extra == 0 { wider.clone() } else { wider.map(|x| x * 1e12) };
        let a = far.times(&mix).to_mat::<T, D>(device);
        let b = turned.to_mat::<T, D>(device);
        for swapped in [false, true] {
            let found = match swapped {
                false => subspace_angles(a.as_ref(), b.as_ref()),
                true => subspace_angles(b.as_ref(), a.as_ref()),
            };
            let found = found.unwrap();
            assert_eq!(found.angles.len(), k);
            let dimensions = if swapped { (k, k + extra) } else { (k + extra, k) };
            assert_eq!(found.dimensions, dimensions, "{}", T::NAME);
            if extra > 0 {
                continue;
            }
            for (got, expected) in found.angles.iter().zip(angles) {
                assert!((got - expected).abs() <= limit, "{}: {got} {expected}", T::NAME);
            }
            let sines: f64 = angles.iter().map(|x| x.sin().powi(2)).sum();
            assert!((found.norm_fro() - sines.sqrt()).abs() <= 4.0 * limit);
            assert!((found.largest_sine() - 1.0).abs() <= limit);
        }
    }
}

/// Ranks where the spectrum drops, at any threshold inside of the drop, and those of exact rank.
fn ranks_are_found_where_the_spectrum_drops<T: Scalar, D: Backend<T>>(place: &Place<D>) {
    let device = place.device();
    for rank in [1, 15, 40] {
        let small = 1e-4;
        let values: Vec<f64> = (0..120)
            .map(|i| if i < rank { 1.0 / (1.0 + i as f64).sqrt() } else { small })
            .collect();
        for (m, n) in [(150, 120), (120, 200)] {
            let mat = with_spectrum(m, n, &values, 3).to_mat::<T, D>(device);
            for seed in 0..3 {
                let found =
                    numerical_rank(&mat, RankParams::rank_tolerance(5e-3).seed(seed)).unwrap();
                let what = format!("{} rank {rank}, {m}×{n}, seed {seed}", T::NAME);
                assert_eq!(
                    (found.rank, found.limited),
                    (rank, false),
                    "{what}: {:?}",
                    found.values
                );
                assert!(found.products <= (4 * rank).max(32), "{what}: {}", found.products);
                for (i, value) in found.values.iter().enumerate().take(rank / 2) {
                    let ratio = value / values[i];
                    assert!((0.4..2.5).contains(&ratio), "{what}: value {i} off by {ratio}");
                }
            }
            let found =
                numerical_rank(&mat, RankParams::rank_tolerance(5e-3).max_rank(10)).unwrap();
            assert_eq!((found.rank, found.limited), (rank.min(10), rank > 10));
        }
        let mat = with_spectrum(150, 120, &values[..rank], 3).to_mat::<T, D>(device);
        let tolerance = 200.0 * T::UNIT_ROUNDOFF;
        let found = numerical_rank(&mat, RankParams::rank_tolerance(tolerance)).unwrap();
        assert_eq!((found.rank, found.threshold), (rank, tolerance * found.values[0]));
        // Below rounding nothing counts, and the threshold says so.
        let found = numerical_rank(&mat, RankParams::rank_tolerance(1e-30)).unwrap();
        assert!(found.rank == rank && found.threshold >= T::UNIT_ROUNDOFF * found.values[0]);
    }
}

on_every_device! {
    ranges_that_are_spanned_give_exact_traces: f32 f64,
    zero_and_empty_give_zero: f32 f64,
    bad_input_is_told,
    powers_of_two_scale_exactly: f32 f64,
    extreme_scales_change_nothing: f32 f64,
    results_are_the_same_bits_on_every_handle,
    angles_are_right_to_rounding: f32 f64,
    ranks_are_found_where_the_spectrum_drops: f32 f64,
}
