//! Statistical tests of the scalar definitions. Seeds are fixed; over random seeds each single
//! assertion would fail with probability at most 1e-7, unless it says otherwise.

use super::*;
use std::collections::HashMap;

const SEED: u64 = 0x5eed_5eed;
/// Standard errors that a mean may be off: two-sided normal tail 4e-8.
const SIGMAS: f64 = 5.5;

/// `Φ(x)` by its Taylor-like series around 0, all terms of one sign.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while sum + term != sum {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Kolmogorov-Smirnov: `√n·D` exceeds 2.9 with probability `2e^(−2·2.9²)` = 1e-7.
fn assert_distribution(samples: &mut [f64], cdf: impl Fn(f64) -> f64) {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let distance = samples.iter().enumerate().fold(0f64, |d, (k, &x)| {
        let p = cdf(x);
        d.max(p - k as f64 / n).max((k + 1) as f64 / n - p)
    });
    assert!(distance * n.sqrt() < 2.9, "{}", distance * n.sqrt());
}

/// Mean 0, variance 1, fourth moment `m4`, given the eighth moment; and no correlation of
/// neighbours at distances 1, 2 and `column`.
fn assert_moments(samples: &[f64], m4: f64, m8: f64, column: usize) {
    let n = samples.len() as f64;
    let mean = |f: &dyn Fn(f64) -> f64| samples.iter().map(|&x| f(x)).sum::<f64>() / n;
    assert!(mean(&|x| x).abs() < SIGMAS / n.sqrt());
    assert!((mean(&|x| x * x) - 1.0).abs() < SIGMAS * ((m4 - 1.0) / n).sqrt());
    assert!((mean(&|x| x.powi(4)) - m4).abs() < SIGMAS * ((m8 - m4 * m4) / n).sqrt());
    for lag in [1, 2, column] {
        let pairs = samples.iter().zip(&samples[lag..]);
        let correlation = pairs.clone().map(|(x, y)| x * y).sum::<f64>() / n;
        assert!(correlation.abs() < SIGMAS / n.sqrt(), "lag {lag}");
        let squares = pairs.map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>() / n;
        assert!(squares.abs() < SIGMAS * (m4 - 1.0) / n.sqrt(), "lag {lag}");
    }
}

/// 1024 columns of 1024 rows.
fn matrix(entry: impl Fn(u32, u64) -> f64) -> Vec<f64> {
    (0..1024).flat_map(|j| (0..1024).map(move |i| (i, j))).map(|(i, j)| entry(i, j)).collect()
}

#[test]
fn normals() {
    for entry in [
        &(|i, j| f64::from(normal_f32(SEED, Stream::GaussianF32, i, j)))
            as &dyn Fn(u32, u64) -> f64,
        &|i, j| normal_f64(SEED, Stream::GaussianF64, i, j),
    ] {
        let mut samples = matrix(entry);
        assert_moments(&samples, 3.0, 105.0, 1024);
        assert_distribution(&mut samples, normal_cdf);
        // Beyond 4: 66.4 expected; a Poisson variable leaves 25..=115 with probability 1e-7.
        let tail = samples.iter().filter(|x| x.abs() > 4.0).count();
        assert!((25..=115).contains(&tail), "{tail}");
    }
}

#[test]
fn uniforms() {
    let root3 = 3f64.sqrt();
    for entry in [
        &(|i, j| f64::from(uniform_f32(SEED, Stream::UniformF32, i, j)))
            as &dyn Fn(u32, u64) -> f64,
        &|i, j| uniform_f64(SEED, Stream::UniformF64, i, j),
    ] {
        let mut samples = matrix(entry);
        assert!(samples.iter().all(|x| x.abs() < root3));
        assert_moments(&samples, 1.8, 9.0, 1024);
        assert_distribution(&mut samples, |x| 0.5 + x / (2.0 * root3));
    }
}

#[test]
fn seeds_streams_and_precisions_are_unrelated() {
    let base = matrix(|i, j| f64::from(normal_f32(SEED, Stream::GaussianF32, i, j)));
    let others = [
        matrix(|i, j| f64::from(normal_f32(SEED + 1, Stream::GaussianF32, i, j))),
        matrix(|i, j| f64::from(normal_f32(SEED, Stream::HaarGaussian, i, j))),
        matrix(|i, j| normal_f64(SEED, Stream::GaussianF64, i, j)),
        matrix(|i, j| f64::from(normal_f32(SEED, Stream::GaussianF32, j as u32, u64::from(i) + 2))),
    ];
    for other in others {
        let n = base.len() as f64;
        let correlation = base.iter().zip(&other).map(|(x, y)| x * y).sum::<f64>() / n;
        assert!(correlation.abs() < SIGMAS / n.sqrt());
    }
}

#[test]
fn signs_are_balanced() {
    let value = |i, j| {
        if sign(SEED, Stream::Rademacher, i, j) { -1.0 } else { 1.0 }
    };
    let samples: Vec<f64> =
        (0..256).flat_map(|j| (0..4096).map(move |i| (i, j))).map(|(i, j)| value(i, j)).collect();
    let n = samples.len() as f64;
    assert!(samples.iter().sum::<f64>().abs() < SIGMAS * n.sqrt());
    for lag in [1, 2, 31, 32, 127, 128, 4096] {
        let sum: f64 = samples.iter().zip(&samples[lag..]).map(|(x, y)| x * y).sum();
        assert!(sum.abs() < SIGMAS * n.sqrt(), "lag {lag}");
    }
}

/// Chi-square test of equal probabilities at 1e-9, by the Wilson-Hilferty approximation (which
/// errs to the safe side for one or two degrees of freedom).
fn assert_uniform(counts: &[u64], what: &str) {
    let total: u64 = counts.iter().sum();
    let expected = total as f64 / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    assert_below_quantile(chi2, counts.len() - 1, what);
}

fn assert_below_quantile(chi2: f64, freedom: usize, what: &str) {
    let v = 2.0 / (9.0 * freedom as f64);
    let limit = freedom as f64 * (1.0 - v + 6.0 * v.sqrt()).powi(3);
    assert!(freedom == 0 || chi2 < limit, "{what}: {chi2} > {limit}");
}

#[test]
fn permutations_of_few_elements_are_uniform() {
    const SEEDS: u64 = 10_000;
    for n in 2..=12u64 {
        let cells = n as usize;
        let (mut single, mut pairs) = (vec![0; cells], vec![0; cells * cells]);
        let mut orders = HashMap::new();
        for seed in 0..SEEDS {
            let p = Permutation::new(seed, Stream::RowSampling, n);
            let (x, y) = (p.get(0) as usize, p.get(n - 1) as usize);
            single[x] += 1;
            pairs[x * cells + y] += 1;
            if n <= 5 {
                let order: Vec<u64> = (0..n).map(|i| p.get(i)).collect();
                *orders.entry(order).or_insert(0) += 1;
            }
        }
        assert_uniform(&single, &format!("first of {n}"));
        pairs.retain(|&c| c > 0);
        assert_eq!(pairs.len(), cells * (cells - 1));
        assert_uniform(&pairs, &format!("pairs of {n}"));
        if n <= 5 {
            assert_eq!(orders.len() as u64, (1..=n).product::<u64>());
            let counts: Vec<u64> = orders.into_values().collect();
            assert_uniform(&counts, &format!("orders of {n}"));
        }
    }
}

#[test]
fn permutations_of_many_elements_are_uniform() {
    const CELLS: u64 = 64;
    for n in [64u64, 100, 4096, 5000, 1 << 20, (1 << 40) + 1, 1 << 63] {
        let cell = |x: u64| (u128::from(x) * u128::from(CELLS) / u128::from(n)) as usize;
        let (mut first, mut apart, mut run) = (vec![0; 64], vec![0; 64], vec![0; 64]);
        for seed in 0..10_000 {
            let p = Permutation::new(seed, Stream::SrhtRows, n);
            let (x, y) = (p.get(0), p.get(1));
            first[cell(x)] += 1;
            // The distance is uniform on 1..n; at least 5000 for the cells to be even enough.
            apart[cell(if y > x { y - x } else { y + (n - x) })] += 1;
        }
        // With n below 64·64 the cells have unequal numbers of elements.
        if n % CELLS == 0 || n > 1 << 20 {
            assert_uniform(&first, &format!("first of {n}"));
        }
        if n > 1 << 18 {
            assert_uniform(&apart, &format!("distances of {n}"));
            let p = Permutation::new(SEED, Stream::SrhtRows, n);
            (0..20_000).for_each(|i| run[cell(p.get(i))] += 1);
            assert_uniform(&run, &format!("sample of {n}"));
        }
    }
}

/// The number of sampled elements in the first half has the hypergeometric variance.
#[test]
fn samples_without_replacement_have_the_right_variance() {
    let (n, d, seeds) = (1024u64, 256u64, 4000u64);
    let variance = (d * (n - d)) as f64 / (4.0 * (n - 1) as f64);
    let mut sum = 0.0;
    for seed in 0..seeds {
        let p = Permutation::new(seed, Stream::DctRows, n);
        let hits = (0..d).filter(|&i| p.get(i) < n / 2).count() as f64;
        sum += (hits - d as f64 / 2.0).powi(2) / variance;
    }
    let mean = sum / seeds as f64;
    assert!((mean - 1.0).abs() < SIGMAS * (2.0 / seeds as f64).sqrt(), "{mean}");
}

#[test]
fn every_subset_is_equally_likely_in_sparse_sign() {
    let (mut sets, mut signs) = ([0u64; 64], [0u64; 8]);
    for j in 0..40_000 {
        let mut column = [0; 3];
        sparse_sign_column(SEED, 6, j, &mut column);
        sets[column.iter().fold(0, |set, p| set | 1 << (p >> 1))] += 1;
        signs[column.iter().fold(0, |signs, p| signs << 1 | (p & 1) as usize)] += 1;
    }
    let counts: Vec<u64> = sets.into_iter().filter(|&c| c > 0).collect();
    assert_eq!(counts.len(), 20);
    assert_uniform(&counts, "subsets");
    assert_uniform(&signs, "signs");
}

#[test]
fn sparse_stack_and_laso_indices_are_uniform() {
    let mut stack = [[0u64; 5]; 3];
    let (mut laso, mut row) = ([0u64; 11], Vec::new());
    for j in 0..20_000 {
        let mut column = [0; 3];
        sparse_stack_column(SEED, 15, j, &mut column);
        for (counts, p) in stack.iter_mut().zip(column) {
            counts[(p >> 1) as usize % 5] += 1;
        }
        laso_row(SEED, 11, 4, j, &mut row);
        for entry in &row {
            laso[entry.column as usize] += u64::from(entry.count);
        }
    }
    stack.iter().for_each(|counts| assert_uniform(counts, "stack"));
    assert_uniform(&laso, "laso");
}
