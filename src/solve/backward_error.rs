//! How far a solution of a least-squares problem is from that of a problem nearby.
//!
//! The backward error of x is the least ‖E‖_F with x = argmin ‖b − (A + E)x‖. With r = b − Ax, g = Aᵀr and μ =
//! ‖r‖/‖x‖, the estimate of Karlson and Waldén, ‖(AᵀA + μ²I)^{-1/2} g‖/‖x‖, is within a factor (√5 + 1)/2 of it (Gratton,
//! Jiránek and Titley-Péloquin, "On the accuracy of the Karlson–Waldén estimate of the backward error for linear
//! least squares problems", 2012), and a sketch of A may stand for A in it (Epperly, Meier and
//! Nakatsukasa, arXiv 2406.03468, section 4).
//!
//! ‖(AᵀA)^{-1/2} g‖/‖x‖ and ‖g‖/‖r‖ are bounds of it that cost nothing.

use crate::scalar;
use core::f64::consts::SQRT_2;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};

/// FᵀF + μ²I, factored.
pub(super) struct Weight {
    first: Mat<f64>,
    /// Where μ is below the rounding errors of FᵀF: the factor of what the first one makes well conditioned.
    second: Option<Mat<f64>>,
}

impl Weight {
    /// For F of order k, upper or lower triangular, with ‖F‖_F = `norm`.
    ///
    /// Where μ is below the rounding errors of FᵀF, a shifted Cholesky factorization comes first and the second one
    /// is that of what the first makes well conditioned. `None` where F is so close to singular that this is not
    /// positive definite either. 4k³/3 to 4k³ flops.
    pub(super) fn new(f: MatRef<'_, f64>, upper: bool, mu: f64, norm: f64) -> Option<Self> {
        let k = f.nrows();
        let shift = 16.0 * k as f64 * f64::EPSILON * norm * norm;
        if mu * mu >= shift {
            return Some(Self { first: cholesky(gram(f, upper, mu * mu))?, second: None });
        }
        let first = cholesky(gram(f, upper, mu * mu + shift))?;
        // [F; μI]·L⁻ᵀ, transposed: L⁻¹ Fᵀ and μ L⁻¹.
        let mut left = f.transpose().to_owned();
        solve_lower_triangular_in_place(first.as_ref(), left.as_mut(), Par::Seq);
        let mut right = Mat::<f64>::zeros(k, k);
        right.diagonal_mut().column_vector_mut().fill(mu);
        solve_lower_triangular_in_place(first.as_ref(), right.as_mut(), Par::Seq);
        let mut second = Mat::zeros(k, k);
        for x in [&left, &right] {
            add_product(second.as_mut(), x.as_ref());
        }
        Some(Self { first, second: Some(cholesky(second)?) })
    }

    /// ‖(FᵀF + μ²I)^{-1/2} g‖. 2k² flops at most.
    pub(super) fn norm(&self, g: &[f64]) -> f64 {
        let mut g = Mat::from_fn(g.len(), 1, |i, _| g[i]);
        for factor in core::iter::once(&self.first).chain(&self.second) {
            solve_lower_triangular_in_place(factor.as_ref(), g.as_mut(), Par::Seq);
        }
        g.norm_l2()
    }
}

/// μ rounded down to a power of √2, so that right-hand sides can share a [`Weight`]. It makes an estimate larger,
/// by a factor of √2 at most.
pub(super) fn rounded_weight(mu: f64) -> f64 {
    if mu == 0.0 {
        return 0.0;
    }
    let e = scalar::exponent(mu);
    let mantissa = scalar::scale_by_power(mu, -e);
    scalar::scale_by_power(if mantissa < SQRT_2 { 1.0 } else { SQRT_2 }, e)
}

/// The lower triangle of FᵀF + shift·I.
fn gram(f: MatRef<'_, f64>, upper: bool, shift: f64) -> Mat<f64> {
    let k = f.nrows();
    let mut g = Mat::<f64>::zeros(k, k);
    let of = |upper: bool| match upper {
        true => BlockStructure::TriangularUpper,
        false => BlockStructure::TriangularLower,
    };
    let (to, transposed) = (BlockStructure::TriangularLower, f.transpose());
    let par = Par::Seq;
    triangular::matmul(
        g.as_mut(),
        to,
        Accum::Replace,
        transposed,
        of(!upper),
        f,
        of(upper),
        1.0,
        par,
    );
    g.diagonal_mut().column_vector_mut().iter_mut().for_each(|x| *x += shift);
    g
}

/// The lower triangle of G + X Xᵀ.
fn add_product(g: MatMut<'_, f64>, x: MatRef<'_, f64>) {
    let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    triangular::matmul(g, lower, Accum::Add, x, full, x.transpose(), full, 1.0, Par::Seq);
}

/// L of the matrix with this lower triangle, if it is positive definite to working precision.
fn cholesky(mut g: Mat<f64>) -> Option<Mat<f64>> {
    let (k, spec) = (g.nrows(), Spec::default());
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(k, Par::Seq, spec));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(g.as_mut(), Default::default(), Par::Seq, stack, spec).ok()?;
    Some(g)
}
