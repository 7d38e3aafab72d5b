//! How well every family embeds a subspace: the largest |σ²(SQ) − 1| of an orthonormal m×k matrix Q
//! with k = 32, d = 512.
//!
//! The model is the Gaussian law: the largest singular value of SQ squared is (1 + √(k/d))² in the
//! mean, with Tracy-Widom fluctuations of scale 0.033 here. Structured families follow the same law or
//! fluctuate less. Over ten seeds
//!
//! * the median must not exceed 1.3·(2√(k/d) + k/d) = 0.73, five scales above the mean: a single seed
//!   exceeds it with probability 2·10⁻⁵, five of ten with less than 10⁻²⁰;
//! * the maximum must not exceed 1.6·(2√(k/d) + k/d) = 0.90, ten scales above: 10⁻¹⁰.

use crate::common::{FAMILIES, Plain, cpus, sketch, spectra};
use randnla::{Backend, Cpu, Family, Mat, Scalar};

const K: usize = 32;
const D: usize = 512;

/// The largest |σ² − 1| of SQ.
fn distortion<T: Scalar>(family: Family, q: &Mat<T>, seed: u64) -> f64
where
    Cpu: Backend<T>,
{
    let image = sketch(family, D, q.nrows(), seed).unwrap().apply(q).unwrap();
    let values = Plain::of(image.as_ref()).singular_values();
    assert_eq!(values.len(), K);
    values.iter().map(|s| (s * s - 1.0).abs()).fold(0.0, f64::max)
}

fn check<T: Scalar>(what: &str, q: &Plain, families: &[Family])
where
    Cpu: Backend<T>,
{
    assert!(q.orthogonality() < 1e-12);
    let q = q.to_mat::<T, Cpu>(&cpus()[1]);
    let model = 2.0 * (K as f64 / D as f64).sqrt() + K as f64 / D as f64;
    for &family in families {
        let mut distortions: Vec<f64> = (0..10).map(|s| distortion(family, &q, s)).collect();
        distortions.sort_by(f64::total_cmp);
        let what = format!("{} {what} {family:?} {distortions:?}", T::NAME);
        assert!(distortions[5] <= 1.3 * model, "median of {what}");
        assert!(distortions[9] <= 1.6 * model, "maximum of {what}");
    }
}

#[test]
fn incoherent_subspaces_are_embedded_by_every_family() {
    let q = spectra::orthonormal(1500, K, 1);
    check::<f64>("incoherent", &q, &FAMILIES);
    check::<f32>("incoherent", &q, &[Family::Gaussian, Family::SparseStack, Family::Srht]);
}

/// The first k unit vectors, and unit vectors scattered over the rows: as coherent as can be.
/// Families that sample rows of the input (LASO, row sampling) lose them, as documented, and
/// CountSketch needs d ~ k².
#[test]
fn coherent_subspaces_are_embedded_by_every_oblivious_family() {
    let oblivious = [
        Family::Gaussian,
        Family::Rademacher,
        Family::Uniform,
        Family::SparseSign,
        Family::SparseStack,
        Family::Srht,
        Family::Srct,
        Family::HadamardDiagonal,
        Family::Haar,
    ];
    let first = Plain::from_fn(1500, K, |i, j| f64::from(u8::from(i == j)));
    check::<f64>("first unit vectors", &first, &oblivious);
    let spread = Plain::from_fn(1400, K, |i, j| f64::from(u8::from(i == 43 * j + 3)));
    check::<f64>("scattered unit vectors", &spread, &oblivious);
}
