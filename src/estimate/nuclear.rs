//! The nuclear norm, the sum of the singular values: tr f(AᵀA) for f = √.
//!
//! As Hutch++: V, the leading right singular vectors by [`rsvd`](crate::decomp::rsvd()), splits the trace into tr(Vᵀf(AᵀA)V) and
//! that of the complement, which vectors of signs sample. Every form xᵀf(AᵀA)x is a Gauss quadrature by Golub-Kahan
//! bidiagonalisation from x, all x side by side: with the bidiagonal B of s steps, ‖x‖²·Σ τⱼ²σⱼ(B), where τⱼ are the first entries of
//! its right singular vectors. There is no reorthogonalisation: the quadrature does not suffer from copies of values.
//!
//! What is guaranteed: the estimate is unbiased for the sum of the quadratures. These are above the forms, as −√ has
//! derivatives of one sign, and by how much is estimated from the last step. Singular values close to 0 converge slowest,
//! by about 1/s².
//!
//! Sources: Ubaru, Chen and Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", 2017; Meyer, Musco, Musco
//! and Woodruff, 2021; Golub and Meurant, "Matrices, moments and quadrature", 2010, §6.

use super::probes::{times, times_adjoint, vectors};
use super::{Estimate, mean_and_error};
use crate::decomp::{Law, RsvdParams, normalise, project, rsvd, scale_exactly, small_svd};
use crate::error::check_least;
use crate::operator::column_squares;
use crate::{Backend, LinearOperator, Mat, Result, Scalar, scalar};

/// What [`norm_nuclear`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NuclearParams {
    rank: usize,
    probes: usize,
    steps: usize,
    seed: u64,
}

impl Default for NuclearParams {
    fn default() -> Self {
        Self { rank: 20, probes: 20, steps: 30, seed: 0 }
    }
}

impl NuclearParams {
    /// Leading singular vectors that are taken out of the trace. Default 20.
    pub fn rank(self, rank: usize) -> Self {
        Self { rank, ..self }
    }

    /// Vectors that sample the rest. At least 2, default 20.
    pub fn probes(self, probes: usize) -> Self {
        Self { probes, ..self }
    }

    /// Steps of the bidiagonalisation. At least 2, default 30.
    pub fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// The seed of the vectors. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// ‖A‖_* = Σσᵢ, with a standard error that includes what the last step of the quadrature changed.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for fewer than 2 probes or steps; [`Error::NonFinite`](crate::Error::NonFinite) with the position;
/// [`Error::Overflow`](crate::Error::Overflow); [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Cost
/// An rsvd to the rank, and as many products with A and Aᵀ as steps, each with rank + probes columns; memory for about
/// 3(m + n)(rank + probes) entries.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::{NuclearParams, norm_nuclear}};
/// let a = Mat::from_fn(&Cpu::new(), 60, 40, |i, j| if i == j { 1.0 / (1 + i) as f64 } else { 0.0 })?;
/// let norm = norm_nuclear(&a, NuclearParams::default())?;
/// assert!((norm.value - 4.2785).abs() < 0.05); // 1 + 1/2 + … + 1/40
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn norm_nuclear<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    params: NuclearParams,
) -> Result<Estimate> {
    let op = "norm_nuclear";
    let NuclearParams { rank, probes, steps, seed } = params;
    check_least(op, "probes", probes, 2)?;
    check_least(op, "steps", steps, 2)?;
    let ((m, n), device) = (a.shape(), a.device());
    let least = m.min(n);
    let rank = rank.min(least);
    let svd = rsvd(a, RsvdParams::rank(rank).seed(seed))?;
    let k = svd.rank();
    let spent = svd.passes * (rank + 10).min(least);
    if k == 0 && rank > 0 || k == least {
        // All singular values that there are.
        let value = svd.s.iter().map(|s| s.to_f64()).sum();
        return Ok(Estimate { value, standard_error: 0.0, products: spent });
    }
    let mut x = Mat::scratch(device, n, k + probes)?;
    let v = x.as_mut().columns(0..k);
    device.axpby(T::one(), svd.vt.transpose(), T::zero(), v)?;
    let mut signs = vectors(device, Law::Signs, seed, n, 0..probes)?;
    project(svd.vt.transpose(), signs.as_mut())?;
    let samples = x.as_mut().columns(k..k + probes);
    device.axpby(T::one(), signs.as_ref(), T::zero(), samples)?;

    let forms = quadratures(op, a, x, steps.min(least))?;
    let sum = |forms: &[f64]| forms.iter().sum::<f64>();
    let (rest, spread) = mean_and_error(&forms.last[k..]);
    let value = sum(&forms.last[..k]) + rest;
    let before = sum(&forms.before[..k]) + sum(&forms.before[k..]) / probes as f64;
    let standard_error = spread + (before - value).abs();
    Ok(Estimate { value, standard_error, products: spent + forms.products })
}

/// xᵀ(AᵀA)^{1/2}x for every column, by all steps and by all but the last.
struct Forms {
    last: Vec<f64>,
    before: Vec<f64>,
    products: usize,
}

fn quadratures<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: &(impl LinearOperator<T, D> + ?Sized),
    mut v: Mat<T, D>,
    steps: usize,
) -> Result<Forms> {
    let l = v.ncols();
    let (mut alphas, mut betas): (Vec<Vec<f64>>, Vec<Vec<f64>>) = Default::default();
    let lengths = unit_columns(&mut v)?;
    let mut exponent = 0;
    let mut u: Option<Mat<T, D>> = None;
    for step in 0..steps {
        // u ← Av − βu, v ← Aᵀu − αv, column by column; a direction that ends stays zero.
        let mut next = times(op, a, &v)?;
        if step == 0 {
            exponent = normalise(&mut next.as_mut())?;
        } else {
            scale_exactly(&mut next.as_mut(), -exponent)?;
        }
        if let Some(mut u) = u {
            subtract(&betas[step - 1], &mut u, &mut next)?;
        }
        alphas.push(unit_columns(&mut next)?);
        if step + 1 < steps {
            let mut turned = times_adjoint(op, a, &next)?;
            scale_exactly(&mut turned.as_mut(), -exponent)?;
            subtract(&alphas[step], &mut v, &mut turned)?;
            betas.push(unit_columns(&mut turned)?);
            v = turned;
        }
        u = Some(next);
    }
    let form = |j: usize, steps: usize| -> Result<f64> {
        // Upper bidiagonal: AV = UB.
        let b = faer::Mat::from_fn(steps, steps, |row, col| match col.wrapping_sub(row) {
            0 => alphas[row][j],
            1 => betas[row][j],
            _ => 0.0,
        });
        let svd = small_svd(op, b.as_ref())?;
        let mean: f64 = (0..steps).map(|i| svd.v[(0, i)].powi(2) * svd.s[i]).sum();
        Ok(scalar::scale_by_power(lengths[j] * lengths[j] * mean, exponent))
    };
    let all = |steps: usize| (0..l).map(|j| form(j, steps)).collect::<Result<Vec<f64>>>();
    let products = l * (2 * steps - 1);
    Ok(Forms { last: all(steps)?, before: all(steps.max(2) - 1)?, products })
}

/// `to[:, j] ← to[:, j] − factor[j]·from[:, j]`.
fn subtract<T: Scalar, D: Backend<T>>(
    factors: &[f64],
    from: &mut Mat<T, D>,
    to: &mut Mat<T, D>,
) -> Result<()> {
    let factors: Vec<T> = factors.iter().map(|&x| T::from_f64(x)).collect();
    let device = to.device().clone();
    device.scale_columns(&factors, from.as_mut())?;
    device.axpby(-T::one(), from.as_ref(), T::one(), to.as_mut())
}

/// Makes the columns unit vectors, those of rounding errors zero; returns their norms.
fn unit_columns<T: Scalar, D: Backend<T>>(x: &mut Mat<T, D>) -> Result<Vec<f64>> {
    let device = x.device().clone();
    let mut norms = column_squares(x.as_ref(), 0)?;
    norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
    let largest = norms.iter().copied().fold(0.0, f64::max);
    let cut = |norm: &mut f64| {
        if *norm <= T::UNIT_ROUNDOFF * largest {
            *norm = 0.0;
        }
    };
    norms.iter_mut().for_each(cut);
    let inverse = |&norm: &f64| T::from_f64(if norm == 0.0 { 0.0 } else { 1.0 / norm });
    let inverses: Vec<T> = norms.iter().map(inverse).collect();
    device.scale_columns(&inverses, x.as_mut())?;
    Ok(norms)
}
