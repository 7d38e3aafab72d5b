//! Matrices with prescribed singular values and adversarial structure, in `f64`.

use super::noise;
use super::plain::Plain;

/// An m×k matrix with orthonormal columns: Gram-Schmidt twice on noise.
pub fn orthonormal(m: usize, k: usize, seed: u64) -> Plain {
    assert!(k <= m);
    let mut q = Plain::from_fn(m, k, |i, j| noise(seed, i, j));
    for j in 0..k {
        for _ in 0..2 {
            for previous in 0..j {
                let dot = |q: &Plain| -> f64 {
                    q.column(previous).iter().zip(q.column(j)).map(|(x, y)| x * y).sum()
                };
                let factor = dot(&q);
                for i in 0..m {
                    q.set(i, j, q.get(i, j) - factor * q.get(i, previous));
                }
            }
        }
        let norm = q.columns(j, j + 1).norm();
        (0..m).for_each(|i| q.set(i, j, q.get(i, j) / norm));
    }
    q
}

/// U·diag(σ)·Vᵀ, m×n, with as many singular values as are given.
pub fn with_spectrum(m: usize, n: usize, sigma: &[f64], seed: u64) -> Plain {
    let u = orthonormal(m, sigma.len(), seed);
    let v = orthonormal(n, sigma.len(), seed + 1);
    Plain::from_fn(m, sigma.len(), |i, j| u.get(i, j) * sigma[j]).times(&v.transpose())
}

/// σᵢ = 1/i.
pub fn harmonic(count: usize) -> Vec<f64> {
    (1..=count).map(|i| 1.0 / i as f64).collect()
}

/// σᵢ = qⁱ.
pub fn geometric(q: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| q.powi(i as i32)).collect()
}

/// Blocks of equal singular values, each `drop` times smaller than the one before.
pub fn steps(count: usize, block: usize, drop: f64) -> Vec<f64> {
    (0..count).map(|i| drop.powi((i / block) as i32)).collect()
}

/// Kahan's upper triangular matrix: diagonal sⁱ, −c·sⁱ to its right.
pub fn kahan(n: usize, angle: f64) -> Plain {
    let (s, c) = angle.sin_cos();
    Plain::from_fn(n, n, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => -c * s.powi(i as i32),
        std::cmp::Ordering::Equal => s.powi(i as i32),
        std::cmp::Ordering::Greater => 0.0,
    })
}

/// Small noise with a few rows that carry nearly everything: as coherent as can be.
pub fn spiked(m: usize, n: usize, spikes: usize) -> Plain {
    Plain::from_fn(m, n, |i, j| {
        let spike = i % (m / spikes) == 1;
        noise(5, i, j) * if spike { 1.0 } else { 1e-4 }
    })
}

/// √(Σ_{i ≥ k} σᵢ²): the least Frobenius error of rank k.
pub fn tail(sigma: &[f64], k: usize) -> f64 {
    let scale = sigma.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let squares = sigma.iter().skip(k).rev().map(|s| (s / scale).powi(2));
    scale * squares.sum::<f64>().sqrt()
}
