//! The angles between two subspaces.
//!
//! Both bases are made orthonormal, Q₁ and Q₂ with k ≥ l columns. The cosines are the singular values of Q₁ᵀQ₂, the sines those of
//! (I − Q₁Q₁ᵀ)Q₂. Cosines lose small angles and sines those near 90°; together they give every angle to full accuracy.
//!
//! Source: Björck and Golub, "Numerical methods for computing angles between linear subspaces", 1973.

use crate::decomp::{Basis, inner, normalise, project, small_svd};
use crate::error::check_shape;
use crate::{Backend, Error, Mat, MatRef, Result, Scalar};

/// The principal angles between two subspaces, and the distances made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct SubspaceAngles {
    /// In radians, rising, between 0 and π/2: as many as the smaller subspace has dimensions.
    pub angles: Vec<f64>,
    /// The dimensions of the two subspaces: the numerical ranks of their bases.
    pub dimensions: (usize, usize),
}

impl SubspaceAngles {
    /// sin of the largest angle: ‖(I − P₁)P₂‖₂, which for equal dimensions is ‖P₁ − P₂‖₂ of the orthogonal projections. 0
    /// when one of the subspaces is {0}.
    pub fn largest_sine(&self) -> f64 {
        self.angles.last().map_or(0.0, |angle| angle.sin())
    }

    /// √Σ sin²θᵢ: ‖(I − P₁)P₂‖_F, which for equal dimensions is ‖P₁ − P₂‖_F/√2.
    pub fn norm_fro(&self) -> f64 {
        self.angles.iter().map(|angle| angle.sin().powi(2)).sum::<f64>().sqrt()
    }
}

/// The principal angles between the ranges of A (n×k) and B (n×l).
///
/// The columns need not be orthonormal nor independent; dependent ones are dropped.
///
/// # Errors
/// [`Error::ShapeMismatch`] unless both have as many rows; [`Error::NonFinite`] with the position;
/// [`Error::OutOfMemory`].
///
/// # Accuracy
/// Angles of orthonormal bases are right to a few u√(k + l), absolutely; those of other bases to that times the condition of
/// the basis.
///
/// # Cost
/// About 8n(k² + l²) + 6nkl flops and SVDs of order min(k, l) on the host; memory for about 2n(k + l) entries.
///
/// ```
/// use randnla::{Cpu, Mat, estimate::subspace_angles};
/// let cpu = Cpu::new();
/// let a = Mat::from_column_major(&cpu, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 3, 2)?; // the plane of x and y
/// let b = Mat::from_column_major(&cpu, &[1.0, 0.0, 1.0f64], 3, 1)?;
/// let between = subspace_angles(a.as_ref(), b.as_ref())?;
/// assert!((between.angles[0] - std::f64::consts::FRAC_PI_4).abs() < 1e-15);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn subspace_angles<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    b: MatRef<'_, T, D>,
) -> Result<SubspaceAngles> {
    let op = "subspace_angles";
    check_shape(op, "b", b.shape(), (a.nrows(), b.ncols()))?;
    if !a.device().is_compatible(b.device()) {
        return Err(Error::DeviceMismatch { op, argument: "b" });
    }
    let (q, p) = (orthonormal(op, a)?, orthonormal(op, b)?);
    let dimensions = (q.ncols(), p.ncols());
    let (larger, mut smaller) = if q.ncols() >= p.ncols() { (q, p) } else { (p, q) };
    let device = larger.device().clone();
    let cosines = small_svd(op, inner(larger.as_ref(), smaller.as_ref())?.as_ref())?.s;
    // What the larger subspace leaves; twice, since once leaves rounding errors of the part that is taken out.
    project(larger.as_ref(), smaller.as_mut())?;
    project(larger.as_ref(), smaller.as_mut())?;
    let mut basis = Basis::new(&device, smaller.nrows(), smaller.ncols())?;
    basis.extend(op, smaller.try_clone()?.as_mut(), 0.0)?;
    let sines = small_svd(op, inner(basis.as_ref(), smaller.as_ref())?.as_ref())?.s;
    let sine = |i: usize| sines.get(cosines.len() - 1 - i).copied().unwrap_or(0.0);
    let angles = (0..cosines.len()).map(|i| sine(i).atan2(cosines[i])).collect();
    Ok(SubspaceAngles { angles, dimensions })
}

/// An orthonormal basis of the range.
fn orthonormal<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
) -> Result<Mat<T, D>> {
    let device = a.device();
    if let Some((row, col)) = device.find_non_finite(a)? {
        return Err(Error::NonFinite { op, row, col });
    }
    let mut copy = a.to_owned()?;
    normalise(&mut copy.as_mut())?;
    let (n, k) = a.shape();
    let mut basis = Basis::new(device, n, k.min(n))?;
    basis.extend(op, copy.as_mut(), 0.0)?;
    Ok(basis.into_mat())
}
