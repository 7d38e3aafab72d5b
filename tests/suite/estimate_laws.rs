//! Estimators over many seeds: unbiased, with the variance of the law where there is one, and honest about their errors.
//!
//! **Failure probability.** Means over T seeds are compared at 6 standard errors, 2·10⁻⁹ a comparison by the central limit
//! theorem; sample variances at 6 standard errors of their own. There are some 150 comparisons: in all below 10⁻⁶. Bounds that fail with
//! probability p are asked for with p = 10⁻⁹ or counted against the binomial law.

use crate::common::spectra::{geometric, harmonic, with_spectrum};
use crate::common::{Plain, noise};
use crate::decomp_checks::Counting;
use crate::decomp_psd::symmetric;
use randnla::estimate::{
    DiagonalMethod, DiagonalParams, FrobeniusParams, NuclearParams, SpectralParams, TraceMethod,
    TraceParams, diagonal, norm_fro, norm_nuclear, norm_spectral, trace,
};
use randnla::{Cpu, Mat};

const SEEDS: u64 = 1500;

fn cpu() -> Cpu {
    Cpu::with_threads(1).unwrap()
}

/// Mean, standard deviation, and the kurtosis of samples.
fn moments(x: &[f64]) -> (f64, f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let power = |p: i32| x.iter().map(|x| (x - mean).powi(p)).sum::<f64>() / count;
    (mean, power(2).sqrt(), power(4) / power(2).powi(2))
}

#[track_caller]
fn assert_unbiased(what: &str, x: &[f64], expected: f64) {
    let (mean, deviation, _) = moments(x);
    let error = deviation / (x.len() as f64).sqrt();
    assert!((mean - expected).abs() <= 6.0 * error, "{what}: {mean} ± {error}, not {expected}");
}

#[track_caller]
fn assert_variance(what: &str, x: &[f64], expected: f64) {
    let (_, deviation, kurtosis) = moments(x);
    let error = deviation.powi(2) * ((kurtosis - 1.0) / x.len() as f64).sqrt();
    let gap = (deviation.powi(2) - expected).abs();
    assert!(gap <= 6.0 * error, "{what}: {} ± {error}, not {expected}", deviation.powi(2));
}

fn matrices() -> [(Plain, &'static str); 4] {
    [
        (symmetric(40, &harmonic(40), 1), "harmonic"),
        (symmetric(40, &geometric(0.7, 40), 2), "geometric"),
        (
            symmetric(
                40,
                &(0..40).map(|i| if i % 2 == 0 { 1.0 } else { -0.8 }).collect::<Vec<_>>(),
                3,
            ),
            "indefinite",
        ),
        (
            Plain::from_fn(40, 40, |i, j| noise(4, i, j) + f64::from(u8::from(i == j))),
            "not symmetric",
        ),
    ]
}

/// Where samples do not spread, since the range is spanned or A is diagonal, the error of f32 is rounding, and is told. No
/// law is needed: seeds are fixed.
#[test]
fn errors_of_rounding_are_told() {
    let cpu = cpu();
    for n in [40, 300] {
        let spanned = symmetric(n, &[1.0, -0.7, 0.5, 0.3, 0.1], 6);
        let diagonal = Plain::from_fn(n, n, |i, j| if i == j { noise(7, i, 0) } else { 0.0 });
        for (a, method) in [
            (&spanned, TraceMethod::HutchPlusPlus),
            (&spanned, TraceMethod::XTrace),
            (&diagonal, TraceMethod::Hutchinson),
        ] {
            let a = a.rounded::<f32>();
            let mat = a.to_mat::<f32, Cpu>(&cpu);
            let exact: f64 = (0..n).map(|i| a.get(i, i)).sum();
            let rounding = f64::from(f32::EPSILON) / 2.0 * (n as f64).sqrt() * a.norm();
            for seed in 0..30 {
                let params = TraceParams::products(24).method(method).seed(seed);
                let found = trace(&mat, params).unwrap();
                let gap = (found.value - exact).abs();
                let told =
                    gap <= 3.0 * found.standard_error && found.standard_error <= 3.0 * rounding;
                assert!(told, "n = {n}, {method:?}, {seed}: {gap:e}, {found:?}, {rounding:e}");
            }
        }
    }
}

#[test]
fn traces_are_unbiased_and_their_errors_honest() {
    let cpu = cpu();
    for (a, name) in matrices() {
        let mat = a.to_mat::<f64, Cpu>(&cpu);
        let exact: f64 = (0..40).map(|i| a.get(i, i)).sum();
        for method in [TraceMethod::Hutchinson, TraceMethod::HutchPlusPlus, TraceMethod::XTrace] {
            let what = format!("{name}, {method:?}");
            let params = TraceParams::products(24).method(method);
            let found: Vec<_> =
                (0..SEEDS).map(|seed| trace(&mat, params.seed(seed)).unwrap()).collect();
            let values: Vec<f64> = found.iter().map(|found| found.value).collect();
            assert_unbiased(&what, &values, exact);
            if method == TraceMethod::Hutchinson {
                // ωᵀAω = ωᵀBω for B = (A + Aᵀ)/2.
                let mut square = 0.0;
                for (i, j) in
                    (0..40).flat_map(|i| (0..40).map(move |j| (i, j))).filter(|(i, j)| i != j)
                {
                    square += (0.5 * (a.get(i, j) + a.get(j, i))).powi(2);
                }
                assert_variance(&what, &values, 2.0 * square / 24.0);
            }
            // The squared error bar is the variance in the mean. The samples of XTrace share vectors, so that theirs is
            // below it, by a quarter at most for the twelve here.
            let deviation = moments(&values).1;
            let bar =
                found.iter().map(|found| found.standard_error.powi(2)).sum::<f64>() / SEEDS as f64;
            let ratio = bar.sqrt() / deviation;
            println!("{what}: deviation {deviation:.3e}, error bar / deviation {ratio:.3}");
            assert!((0.65..1.3).contains(&ratio), "{what}: {ratio}");
            // Beyond three error bars lie 1.7 % by Student's law for 8 samples, and some 6 % for those of XTrace.
            let beyond = found
                .iter()
                .filter(|found| (found.value - exact).abs() > 3.0 * found.standard_error)
                .count();
            assert!(beyond as f64 <= 0.1 * SEEDS as f64, "{what}: {beyond} of {SEEDS}");
        }
    }
}

/// XTrace is far better than samples alone where the spectrum decays, as its paper shows.
#[test]
fn ranges_pay_where_the_spectrum_decays() {
    let mat = symmetric(100, &geometric(0.7, 100), 2).to_mat::<f64, Cpu>(&cpu());
    let deviation = |method| {
        let values: Vec<f64> = (0..100)
            .map(|seed| {
                trace(&mat, TraceParams::products(48).method(method).seed(seed)).unwrap().value
            })
            .collect();
        moments(&values).1
    };
    let (samples, plus, exchanged) = (
        deviation(TraceMethod::Hutchinson),
        deviation(TraceMethod::HutchPlusPlus),
        deviation(TraceMethod::XTrace),
    );
    println!("Hutchinson {samples:.2e}, Hutch++ {plus:.2e}, XTrace {exchanged:.2e}");
    assert!(plus < 0.1 * samples && exchanged < 0.3 * plus);
}

#[test]
fn diagonals_are_unbiased_and_their_errors_honest() {
    let cpu = cpu();
    for (a, name) in matrices() {
        let mat = a.to_mat::<f64, Cpu>(&cpu);
        for method in [DiagonalMethod::Hutchinson, DiagonalMethod::XDiag] {
            let params = DiagonalParams::products(24).method(method);
            let found: Vec<_> =
                (0..SEEDS).map(|seed| diagonal(&mat, params.seed(seed)).unwrap()).collect();
            for i in [0, 7, 39] {
                let what = format!("{name}, {method:?}, entry {i}");
                let values: Vec<f64> = found.iter().map(|found| found.values[i]).collect();
                assert_unbiased(&what, &values, a.get(i, i));
                if method == DiagonalMethod::Hutchinson {
                    let square: f64 =
                        (0..40).filter(|&j| j != i).map(|j| a.get(i, j).powi(2)).sum();
                    assert_variance(&what, &values, square / 24.0);
                }
                let bar = found.iter().map(|found| found.standard_errors[i].powi(2)).sum::<f64>()
                    / SEEDS as f64;
                let ratio = bar.sqrt() / moments(&values).1;
                println!("{what}: error bar / deviation {ratio:.3}");
                assert!((0.65..1.3).contains(&ratio), "{what}: {ratio}");
            }
        }
    }
}

#[test]
fn frobenius_norms_are_unbiased_in_the_square_and_bounded() {
    let cpu = cpu();
    for sigma in [harmonic(30), vec![1.0], vec![1.0; 30]] {
        let a = with_spectrum(50, 30, &sigma, 3);
        let mat: Mat<f64> = a.to_mat(&cpu);
        let free = Counting::new(mat.as_ref(), false);
        let params = FrobeniusParams::default().failure_probability(0.1);
        let found: Vec<_> =
            (0..SEEDS).map(|seed| norm_fro(&free, params.seed(seed)).unwrap()).collect();
        let squares: Vec<f64> = found.iter().map(|found| found.value.powi(2)).collect();
        assert_unbiased("squares", &squares, a.norm().powi(2));
        let fourth: f64 = sigma.iter().map(|s| s.powi(4)).sum();
        assert_variance("squares", &squares, 2.0 * fourth / 20.0);
        let wrong = found.iter().filter(|f| !(f.lower..=f.upper).contains(&a.norm())).count();
        // Chernoff's bound is not tight: less than the tenth that is allowed.
        assert!(wrong as f64 <= 0.1 * SEEDS as f64, "{wrong} of {SEEDS}");
        let strict = FrobeniusParams::default().failure_probability(1e-9);
        for seed in 0..100 {
            let found = norm_fro(&free, strict.seed(seed)).unwrap();
            assert!((found.lower..=found.upper).contains(&a.norm()), "{found:?}");
        }
    }
}

#[test]
fn spectral_norms_lie_between_their_bounds() {
    let cpu = cpu();
    let close: Vec<f64> = (0..150).map(|i| 1.0 - 1e-3 * i as f64).collect();
    for (sigma, m, n) in [
        (harmonic(60), 90, 60),
        (close, 150, 200),
        (vec![2.0; 80], 80, 90),
        (vec![1.0], 50, 40),
        (vec![3.0, 1.0], 2, 2),
    ] {
        let a = with_spectrum(m, n, &sigma, 3);
        let mat: Mat<f64> = a.to_mat(&cpu);
        for seed in 0..60 {
            let params = SpectralParams::default().failure_probability(1e-9).seed(seed);
            let found = norm_spectral(&mat, params).unwrap();
            assert!(found.lower <= sigma[0] && sigma[0] <= found.upper, "{found:?}, {}", sigma[0]);
            assert!(found.upper <= 1.1 * found.value * (1.0 + 1e-12), "{found:?}");
            assert!(found.value >= 0.99 * sigma[0], "{found:?}");
        }
    }
}

#[test]
fn nuclear_norms_are_right_to_their_errors() {
    let cpu = cpu();
    for (sigma, m, n) in [
        (harmonic(80), 100, 80),
        (geometric(0.9, 90), 90, 120),
        (vec![1.0; 60], 60, 60),
        (vec![2.0, 1.0, 0.5], 40, 30),
    ] {
        let a = with_spectrum(m, n, &sigma, 3);
        let (mat, exact): (Mat<f64>, f64) = (a.to_mat(&cpu), sigma.iter().sum());
        let found: Vec<_> = (0..60)
            .map(|seed| norm_nuclear(&mat, NuclearParams::default().rank(10).seed(seed)).unwrap())
            .collect();
        let worst = found.iter().map(|f| (f.value - exact).abs() / exact).fold(0.0, f64::max);
        println!("{m}×{n}: worst {worst:.2e}, first {:?}, exact {exact}", found[0]);
        // The quadrature is above the truth, by less than 1 %.
        let values: Vec<f64> = found.iter().map(|found| found.value).collect();
        let (mean, deviation, _) = moments(&values);
        let limit = 6.0 * deviation / 60f64.sqrt() + 0.01 * exact;
        assert!((mean - exact).abs() <= limit, "{mean} {exact} {deviation}");
        // Student's law with 19 degrees: beyond 8 errors with a probability of 2·10⁻⁷ a seed.
        for found in &found {
            let gap = (found.value - exact).abs();
            assert!(gap <= 8.0 * found.standard_error + 1e-9 * exact, "{found:?}, exact {exact}");
        }
    }
}
