//! Distributions of single entries: Kolmogorov-Smirnov tests of normals and uniforms through
//! `to_mat`, moments, tails, and the Haar measure.
//!
//! **Kolmogorov-Smirnov.** √N·D of N entries exceeds 2.9 with probability 2·exp(−2·2.9²) = 10⁻⁷.
//! Every other bound is 6 standard errors of a mean of at least a thousand terms: 2·10⁻⁹ each by the
//! central limit theorem.

use crate::common::{Plain, cpus};
use randnla::{Backend, Cpu, Family, Scalar, Sketch};

const KS_LIMIT: f64 = 2.9;

fn entries_of<T: Scalar>(s: Sketch) -> Vec<f64>
where
    Cpu: Backend<T>,
{
    Plain::of(s.to_mat::<T, Cpu>(&cpus()[1]).unwrap().as_ref()).data
}

/// √N·sup|F_N − F|.
fn kolmogorov(mut sample: Vec<f64>, distribution: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let count = sample.len() as f64;
    let distance = |(at, x): (usize, &f64)| {
        let f = distribution(*x);
        (f - at as f64 / count).abs().max((f - (at + 1) as f64 / count).abs())
    };
    sample.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt()
}

/// The normal distribution function, off by less than 10⁻¹²: Marsaglia's series (2004) for |x| < 6.
fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut k) = (x, x, 1.0);
    while f64::abs(term) > 1e-17 * f64::abs(sum) {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn gaussian_entries_are_normal() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        // Along columns, along rows, and far out in the operator.
        for s in [
            Sketch::gaussian(1 << 20, 1, 1).unwrap(),
            Sketch::gaussian(1, 1 << 20, 2).unwrap(),
            Sketch::gaussian(1000, 1 << 40, 3).unwrap().columns((1 << 39)..(1 << 39) + 1000),
        ] {
            let sample = entries_of::<T>(s.raw());
            let count = sample.len() as f64;
            let moment = |power| sample.iter().map(|z| z.powi(power)).sum::<f64>() / count;
            // The p-th power has variance (2p − 1)!! − ((p − 1)!!)².
            for (power, mean, variance) in
                [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)]
            {
                let error: f64 = moment(power) - mean;
                let limit = 6.0 * f64::sqrt(variance / count);
                assert!(error.abs() <= limit, "{} E z^{power} is off by {error}", T::NAME);
            }
            // The tail: P(|z| > 4.5) = 6.8·10⁻⁶, about 7 of 2²⁰; none and 40 are beyond 10⁻³ and
            // 10⁻⁶, so only the latter is asserted.
            assert!(sample.iter().filter(|z| z.abs() > 4.5).count() < 40);
            let distance = kolmogorov(sample, normal_cdf);
            assert!(distance < KS_LIMIT, "{} {distance}", T::NAME);
        }
    }
    cases::<f32>();
    cases::<f64>();
}

/// Neighbours along rows and columns, and equal positions of two seeds, are uncorrelated, and so are
/// their squares.
#[test]
fn neighbouring_entries_are_independent() {
    fn cases<T: Scalar>(families: [(Family, Sketch, Sketch); 3])
    where
        Cpu: Backend<T>,
    {
        for (family, s, t) in families {
            let (a, b) = (s.raw(), t.raw());
            let (a, b) = (entries_of::<T>(a), entries_of::<T>(b));
            let n = 512;
            let mut pairs = vec![Vec::new(); 5];
            for at in 0..n * n {
                let (i, j) = (at % n, at / n);
                for (list, step_i, step_j) in [(0, 1, 0), (1, 0, 1), (2, 2, 0), (3, 4, 0)] {
                    if i + step_i < n && j + step_j < n {
                        pairs[list].push((a[at], a[at + step_i + n * step_j]));
                    }
                }
                pairs[4].push((a[at], b[at]));
            }
            for (list, pairs) in pairs.iter().enumerate() {
                let count = pairs.len() as f64;
                let mean = pairs.iter().map(|(x, y)| x * y).sum::<f64>() / count;
                assert!(mean.abs() <= 6.0 / count.sqrt(), "{family:?} {list}: {mean}");
                let square =
                    pairs.iter().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>() / count;
                // E(z² − 1)² is at most 2, and 0 for signs.
                assert!(square.abs() <= 12.0 / count.sqrt(), "{family:?} {list}: {square}");
            }
        }
    }
    let families = [
        (Family::Gaussian, Sketch::gaussian(512, 512, 1), Sketch::gaussian(512, 512, 2)),
        (Family::Uniform, Sketch::uniform(512, 512, 1), Sketch::uniform(512, 512, 2)),
        (Family::Rademacher, Sketch::rademacher(512, 512, 1), Sketch::rademacher(512, 512, 2)),
    ]
    .map(|(family, s, t)| (family, s.unwrap(), t.unwrap()));
    cases::<f32>(families);
    cases::<f64>(families);
}

#[test]
fn uniform_and_sign_entries_have_their_distributions() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let root = 3f64.sqrt();
        let sample = entries_of::<T>(Sketch::uniform(1024, 1024, 5).unwrap().raw());
        assert!(sample.iter().all(|x| x.abs() <= root * (1.0 + T::UNIT_ROUNDOFF)));
        let distance = kolmogorov(sample, |x| (x + root) / (2.0 * root));
        assert!(distance < KS_LIMIT, "{} {distance}", T::NAME);
        let signs = entries_of::<T>(Sketch::rademacher(1024, 1024, 6).unwrap().raw());
        assert!(signs.iter().all(|x| x.abs() == 1.0));
        assert!(signs.iter().sum::<f64>().abs() <= 6.0 * 1024.0);
    }
    cases::<f32>();
    cases::<f64>();
}

/// Positions of the sparse families: every row alike, signs fair. A count of N trials with
/// probability p stays within 6√(Np(1 − p)): 2·10⁻⁹ for each of about 10³ rows, 2·10⁻⁶ if they were
/// all independent, so 7 deviations (3·10⁻¹²) are allowed.
#[test]
fn rows_of_sparse_families_are_hit_alike() {
    let (d, m) = (37, 40_000);
    for s in [
        Sketch::sparse_sign(d, m, 5, 1).unwrap(),
        Sketch::sparse_stack(d, m, 5, 1).unwrap(),
        Sketch::count_sketch(d, m, 1).unwrap(),
    ] {
        let raw = Plain::of(s.raw().to_mat::<f64, Cpu>(&cpus()[1]).unwrap().as_ref());
        let zeta = s.nnz();
        for i in 0..d {
            let row: Vec<f64> = (0..m).map(|j| raw.get(i, j)).filter(|x| *x != 0.0).collect();
            let chance = match s.family() {
                Family::SparseStack => {
                    let block = (0..zeta).find(|t| i < (t + 1) * d / zeta).unwrap();
                    1.0 / ((block + 1) * d / zeta - block * d / zeta) as f64
                }
                _ => zeta as f64 / d as f64,
            };
            let expected = m as f64 * chance;
            let deviation = (expected * (1.0 - chance)).sqrt();
            let count = row.len() as f64;
            assert!((count - expected).abs() <= 7.0 * deviation, "{:?} row {i}", s.family());
            assert!(
                row.iter().sum::<f64>().abs() <= 7.0 * count.sqrt(),
                "{:?} row {i}",
                s.family()
            );
        }
    }
}

/// A Haar matrix of order n: orthogonal, E q = 0, E q² = 1/n (variance 2(n−1)/(n²(n+2))),
/// E q⁴ = 3/(n(n+2)), E tr Q = 0 with variance 1, and E (tr Q)² = 1 (with variance at most 2 for
/// n ≥ 4). An unsigned QR fails by E tr Q ≈ −2.4 at n = 16.
#[test]
fn haar_operators_are_haar_distributed() {
    fn cases<T: Scalar>(seeds: u64)
    where
        Cpu: Backend<T>,
    {
        let n = 16usize;
        let (mut traces, mut corner, mut worst) = (Vec::new(), Vec::new(), 0f64);
        for seed in 0..seeds {
            let s = Sketch::haar(n, n, seed).unwrap();
            let q = Plain::of(s.to_mat::<T, Cpu>(&cpus()[0]).unwrap().as_ref());
            worst = worst.max(q.orthogonality());
            traces.push((0..n).map(|i| q.get(i, i)).sum::<f64>());
            corner.push([q.get(0, 0), q.get(n - 1, 0), q.get(0, n - 1), q.get(n - 1, n - 1)]);
        }
        assert!(worst <= 20.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt(), "‖QᵀQ − I‖ = {worst:e}");
        let count = seeds as f64;
        let mean = |f: &dyn Fn(f64) -> f64| traces.iter().map(|&t| f(t)).sum::<f64>() / count;
        assert!(mean(&|t| t).abs() <= 6.0 / count.sqrt(), "E tr Q = {}", mean(&|t| t));
        let square = mean(&|t| t * t);
        assert!((square - 1.0).abs() <= 6.0 * (2.0 / count).sqrt(), "E (tr Q)² = {square}");
        let order = n as f64;
        let second = 2.0 * (order - 1.0) / (order * order * (order + 2.0));
        let eighth = 105.0 / (order * (order + 2.0) * (order + 4.0) * (order + 6.0));
        let fourth = 3.0 / (order * (order + 2.0));
        for at in 0..4 {
            let mean = |power| corner.iter().map(|q| q[at].powi(power)).sum::<f64>() / count;
            assert!(mean(1).abs() <= 6.0 * (1.0 / (order * count)).sqrt(), "E q at {at}");
            assert!((mean(2) - 1.0 / order).abs() <= 6.0 * (second / count).sqrt(), "E q² at {at}");
            let limit = 6.0 * ((eighth - fourth * fourth) / count).sqrt();
            assert!((mean(4) - fourth).abs() <= limit, "E q⁴ at {at}");
        }
    }
    cases::<f32>(2000);
    cases::<f64>(2000);
}

#[test]
fn orthogonal_families_are_orthogonal() {
    fn cases<T: Scalar>()
    where
        Cpu: Backend<T>,
    {
        let u = T::UNIT_ROUNDOFF;
        let rows_of = |s: Sketch| {
            Plain::of(s.raw().to_mat::<T, Cpu>(&cpus()[1]).unwrap().as_ref()).transpose()
        };
        for (d, m) in [(1, 1), (1, 7), (5, 8), (64, 64), (33, 100), (100, 1000)] {
            let q = rows_of(Sketch::haar(d, m, 3).unwrap());
            let error = q.orthogonality();
            assert!(error <= 20.0 * u * (d as f64).sqrt(), "{} Haar {d}×{m}: {error:e}", T::NAME);
        }
        for m in [1usize, 2, 16, 128, 256] {
            // ‖S·Sᵀ − I‖ over d rows, each off by u·log₂ n.
            let limit = 20.0 * u * (m as f64).sqrt() * ((m as f64).log2() + 1.0);
            for s in [
                Sketch::srht(m, m, 1).unwrap(),
                Sketch::srct(m, m, 1).unwrap(),
                Sketch::hadamard_diagonal(m, m, 1).unwrap(),
            ] {
                let error = rows_of(s).orthogonality();
                assert!(error <= limit, "{} {:?} {m}: {error:e}", T::NAME, s.family());
            }
        }
    }
    cases::<f32>();
    cases::<f64>();
}
