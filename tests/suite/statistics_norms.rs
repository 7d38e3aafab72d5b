//! E‖Sx‖² = ‖x‖² and the exact variance of ‖Sx‖² for every family, over thousands of seeds.
//!
//! Let ‖x‖ = 1, f = Σxⱼ⁴, and X = ‖Sx‖². Signs and rows independent:
//!
//! | family | Var X | because |
//! |---|---|---|
//! | Gaussian | 2/d | X·d is χ² with d degrees |
//! | Rademacher | 2(1 − f)/d | E(Σεⱼxⱼ)⁴ = 3 − 2f |
//! | Uniform | (2 − 6f/5)/d | the fourth moment of an entry is 9/5: E(Σuⱼxⱼ)⁴ = 3 − 6f/5 |
//! | SparseSign, CountSketch | 2(1 − f)/d | E(column j · column k)² = 1/d for j ≠ k |
//! | SparseStack | 2(1 − f)·Σₜ 1/(ζ²dₜ) | the same block by block, dₜ rows in block t |
//! | BlockPerm-SJLT | 2r·(κ(W − f) + κ(κ−1)/(M−1)·(1 − W))/(κs)² | below |
//! | LASO | (m²/(ζ²d))·E₄ − 1/d | E₄ = 3ζ(ζ−1)/m² + (ζ/m − 2ζ(ζ−1)/m²)f, the 4th moment of a row |
//! | subsampled z = Mx, order n | (n²/d)·((n − d)/(n − 1))·(E Σzᵢ⁴/n − 1/n²) | sampling without replacement |
//! | Haar | 2(m − d)/(d(m + 2)) | X·d/m is Beta(d/2, (m − d)/2) |
//!
//! For the subsampled families E Σzᵢ⁴ is f (row sampling, M = I), (3 − 2f)/n (one Hadamard round;
//! applied three times for Hadamard-diagonal), and Σᵢ 3(Σⱼcᵢⱼ²xⱼ²)² − 2Σⱼcᵢⱼ⁴xⱼ⁴ (cosines).
//!
//! For BlockPerm-SJLT W = Σwₕ² with wₕ = Σxⱼ² over block h of columns, and r = Σ 1/length over the s parts
//! of a block of rows, in the mean over blocks: the rows that two columns have in common in a block
//! that both reach. Two columns of one block reach κ blocks together, two of different blocks
//! κ(κ − 1)/(M − 1) in the mean, since their places differ by each number but 0 alike.
//!
//! **Failure probability.** The mean over T seeds is compared at 6 standard errors, known from the
//! law: 2·10⁻⁹ a family by the central limit theorem. The sample variance is compared at 6 standard
//! errors of its own, √((κ − 1)/T)·σ² with the sample's kurtosis κ. In all below 10⁻⁷.

use crate::common::entries::{cosine, order};
use crate::common::{FAMILIES, cpus, sketch};
use randnla::{Backend, Cpu, Family, MatRef, Scalar, Sketch};

const SEEDS: u64 = 4000;

/// A unit vector whose first entry carries much of the weight, so that f matters.
fn unit_vector(m: usize) -> Vec<f64> {
    let x: Vec<f64> = (0..m).map(|j| if j == 0 { 3.0 } else { 1.0 / (j as f64).sqrt() }).collect();
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter().map(|entry| entry / norm).collect()
}

fn variance(s: &Sketch, x: &[f64]) -> f64 {
    let ((d, m), n) = (s.full_shape(), order(s) as f64);
    let (rows, cols) = (d as f64, m as f64);
    let f: f64 = x.iter().map(|x| x.powi(4)).sum();
    let sampled =
        |fourth: f64| n * n / rows * ((n - rows) / (n - 1.0)) * (fourth / n - 1.0 / (n * n));
    match s.family() {
        Family::Gaussian => 2.0 / rows,
        Family::Rademacher | Family::SparseSign | Family::CountSketch => 2.0 * (1.0 - f) / rows,
        Family::Uniform => (2.0 - 1.2 * f) / rows,
        Family::SparseStack => {
            let zeta = s.nnz();
            let inverse = |t: usize| 1.0 / ((t + 1) * d / zeta - t * d / zeta) as f64;
            2.0 * (1.0 - f) * (0..zeta).map(inverse).sum::<f64>() / (zeta * zeta) as f64
        }
        Family::BlockPermSjlt => {
            let (blocks, wirings) = (s.blocks(), s.wirings());
            let start = |len: usize, k: usize| k * (len / blocks) + k.min(len % blocks);
            let weight =
                |h: usize| x[start(m, h)..start(m, h + 1)].iter().map(|x| x * x).sum::<f64>();
            let together: f64 = (0..blocks).map(|h| weight(h).powi(2)).sum();
            let nnz = s.nnz() / wirings;
            let met = |g: usize| {
                let length = start(d, g + 1) - start(d, g);
                let part = |q: usize| 1.0 / ((q + 1) * length / nnz - q * length / nnz) as f64;
                (0..nnz).map(part).sum::<f64>()
            };
            let met = (0..blocks).map(met).sum::<f64>() / blocks as f64;
            let (kappa, others) = (wirings as f64, blocks as f64 - 1.0);
            let apart = if others > 0.0 { kappa * (kappa - 1.0) / others } else { 0.0 };
            let pairs = kappa * (together - f) + apart * (1.0 - together);
            2.0 * met * pairs / (s.nnz() as f64).powi(2)
        }
        Family::Laso => {
            let zeta = s.nnz() as f64;
            let pairs = zeta * (zeta - 1.0) / (cols * cols);
            let fourth = 3.0 * pairs + (zeta / cols - 2.0 * pairs) * f;
            cols * cols / (zeta * zeta * rows) * fourth - 1.0 / rows
        }
        Family::RowSampling => sampled(f),
        Family::Srht => sampled((3.0 - 2.0 * f) / n),
        Family::HadamardDiagonal => sampled((0..3).fold(f, |f, _| (3.0 - 2.0 * f) / n)),
        Family::Srct => {
            let row = |i: usize| {
                let terms = || x.iter().enumerate().map(|(j, x)| (cosine(m, i, j) * x).powi(2));
                3.0 * terms().sum::<f64>().powi(2) - 2.0 * terms().map(|t| t * t).sum::<f64>()
            };
            sampled((0..m).map(row).sum())
        }
        Family::Haar => 2.0 * (cols - rows) / (rows * (cols + 2.0)),
    }
}

/// ‖Sx‖² for `SEEDS` seeds.
fn squared_norms<T: Scalar>(family: Family, d: usize, x: &[f64]) -> Vec<f64>
where
    Cpu: Backend<T>,
{
    let cpu = &cpus()[0];
    let vector: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
    let view = MatRef::from_column_major(cpu, &vector, x.len(), 1).unwrap();
    let norm = |seed| {
        let image = sketch(family, d, x.len(), seed).unwrap().apply(view).unwrap();
        image.to_vec().unwrap().into_iter().map(|y| y.to_f64().powi(2)).sum()
    };
    (0..SEEDS).map(norm).collect()
}

fn check_law<T: Scalar>(family: Family, d: usize, m: usize)
where
    Cpu: Backend<T>,
{
    let x = unit_vector(m);
    let law = variance(&sketch(family, d, m, 0).unwrap(), &x);
    let norms = squared_norms::<T>(family, d, &x);
    let count = SEEDS as f64;
    let mean = norms.iter().sum::<f64>() / count;
    let moment = |power| norms.iter().map(|y| (y - 1.0).powi(power)).sum::<f64>() / count;
    let (second, fourth) = (moment(2), moment(4));
    let what = format!("{} {family:?} {d}×{m}", T::NAME);
    let rounding = 100.0 * T::UNIT_ROUNDOFF;
    let error = (mean - 1.0).abs() - rounding;
    assert!(error <= 6.0 * (law / count).sqrt(), "{what}: E‖Sx‖² = {mean}, σ² = {law}");
    let kurtosis_term = (fourth / second.powi(2).max(1e-300) - 1.0).max(0.0);
    let allowed = 6.0 * (kurtosis_term / count).sqrt() * law + rounding * rounding;
    assert!((second - law).abs() <= allowed, "{what}: variance {second}, law {law} ± {allowed}");
}

#[test]
fn norms_are_unbiased_with_the_variance_of_the_law() {
    for family in FAMILIES {
        check_law::<f64>(family, 16, 50);
        check_law::<f32>(family, 16, 50);
        check_law::<f64>(family, 11, 32);
    }
}

/// With d = n the subsampled families and Haar are orthogonal: no variance is left.
#[test]
fn full_orthogonal_families_keep_norms_exactly() {
    for family in
        [Family::RowSampling, Family::Srht, Family::Srct, Family::HadamardDiagonal, Family::Haar]
    {
        for m in [1, 2, 8, 32] {
            let norms = squared_norms::<f64>(family, m, &unit_vector(m));
            let worst = norms.iter().map(|y| (y - 1.0).abs()).fold(0.0, f64::max);
            assert!(worst < 200.0 * f64::EPSILON, "{family:?} m = {m}: {worst:e}");
        }
    }
}

/// E⟨Sx, Sy⟩ = ⟨x, y⟩ for orthogonal x and y: the mean lies within 6 standard errors of the sample
/// (2·10⁻⁹ a family).
#[test]
fn inner_products_are_unbiased() {
    let (m, cpu) = (40, &cpus()[0]);
    for family in FAMILIES {
        let pair: Vec<f64> = (0..2 * m)
            .map(|at| if at < m { 1.0 } else { [1.0, -1.0][at % 2] } / (m as f64).sqrt())
            .collect();
        let view = MatRef::from_column_major(cpu, &pair, m, 2).unwrap();
        let product = |seed| {
            let image = sketch(family, 12, m, seed).unwrap().apply(view).unwrap();
            (0..12).map(|i| image.get(i, 0) * image.get(i, 1)).sum::<f64>()
        };
        let products: Vec<f64> = (0..SEEDS).map(product).collect();
        let count = SEEDS as f64;
        let mean = products.iter().sum::<f64>() / count;
        let second = products.iter().map(|x| x * x).sum::<f64>() / count;
        assert!(mean.abs() <= 6.0 * (second / count).sqrt(), "{family:?}: {mean} of σ² {second}");
    }
}
