//! A block of columns as Householder reflectors, by CholeskyQR and products.
//!
//! 1. The columns are divided by the triangle of their sketch, which makes their condition about (1 + √ρ)/(1 − √ρ) for
//!    ρ = b/d, 17 for the sketch of the caller, and two passes of CholeskyQR make them orthonormal: Q₁, R₁₁.
//! 2. Q₁ = (I − VTVᵀ)·\[S; 0\] is an LU factorization of Q₁ − \[S; 0\] without pivots, where the signs S are chosen so
//!    that no pivot is below 1: V = (Q₁ − \[S; 0\])·U⁻¹, T = −U·S·V₁⁻ᵀ (Ballard, Demmel, Grigori, Jacquelin, Nguyen and
//!    Solomonik, "Reconstructing Householder vectors from tall-skinny QR", 2014; LAPACK's `orhr_col`).
//!
//! Every step ends at the column where it would lose its digits; what comes before is exact, since triangles are
//! built from the left, and the others stay with the matrix. Only the two Gram matrices and the head of Q₁ reach the host.
//!
//! Cost for m×b: 5mb² flops, and some 4b³ on the host.

use crate::decomp::host::{leading_cholesky, multiply_upper};
use crate::decomp::transfer::{download, gram_entries, upload_columns};
use crate::{Backend, Mat, MatMut, Op, Result, Scalar, Uplo};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
};
use faer::{MatRef, Par};

/// A panel A₁ = (I − VTVᵀ)·\[S; 0\]·R.
pub(super) struct Panel {
    /// R, w×w and upper triangular, positive on its diagonal.
    pub(super) r: faer::Mat<f64>,
    /// T, w×w and upper triangular.
    pub(super) t: faer::Mat<f64>,
    /// The diagonal of S.
    pub(super) signs: Vec<f64>,
}

/// Factors the columns of A₁, of which V, unit lower trapezoidal, takes the first w; the others are overwritten by
/// nothing useful. w ends where R has a diagonal that is not above `cut`.
pub(super) fn factor_panel<T: Scalar, D: Backend<T>>(
    mut a: MatMut<'_, T, D>,
    sketched: &faer::Mat<f64>,
    cut: f64,
) -> Result<Panel> {
    /// Below this squared distance from the columns before, the second pass does not make up for the first.
    const INDEPENDENT: f64 = 0.5;
    let (device, b) = (a.device(), a.ncols());
    let (sketched, preconditioner) = rounded::<T, D>(device, sketched)?;
    device.trsm_right(Uplo::Upper, Op::NoTrans, preconditioner.as_ref(), a.as_mut())?;
    let least = 64.0 * (b as f64).sqrt() * T::UNIT_ROUNDOFF;
    let first = clear_factor(a.as_mut(), |pivot, diagonal| pivot > least * diagonal)?;
    let (first, lower) = rounded::<T, D>(device, &first)?;
    let taken = first.nrows();
    device.trsm_right(Uplo::Lower, Op::Trans, lower.as_ref(), a.as_mut().columns(0..taken))?;
    let second = clear_factor(a.as_mut().columns(0..taken), |pivot, _| pivot > INDEPENDENT)?;
    let taken = second.nrows();
    let leading = |x: &faer::Mat<f64>| x.get(0..taken, 0..taken).to_owned();
    let r = multiply_upper(leading(&first).transpose(), leading(&sketched).as_ref());
    let mut r = multiply_upper(second.transpose(), r.as_ref());
    let taken = (0..taken).take_while(|&j| r[(j, j)] > cut).count();
    r.truncate(taken, taken);
    let second = second.get(0..taken, 0..taken);
    let mut a = a.columns(0..taken);
    let mut head = download(a.as_ref().rows(0..taken))?;
    solve_lower_triangular_in_place(second, head.transpose_mut(), Par::Seq);
    let signs = signed_lu(&mut head);
    let upper = |i: usize, j: usize| if i <= j { head[(i, j)] } else { 0.0 };
    // V₂ = Q₂·U⁻¹, and Q₂ is still to be multiplied by the inverse of the factor of the second pass.
    let upper = faer::Mat::from_fn(taken, taken, upper);
    let (_, divisor) =
        rounded::<T, D>(device, &multiply_upper(upper.as_ref(), second.transpose()))?;
    let (top, below) = a.as_mut().split_at_row(taken);
    device.trsm_right(Uplo::Upper, Op::NoTrans, divisor.as_ref(), below)?;
    let unit = |i: usize, j: usize| match i.cmp(&j) {
        core::cmp::Ordering::Less => 0.0,
        core::cmp::Ordering::Equal => 1.0,
        core::cmp::Ordering::Greater => head[(i, j)],
    };
    let (lower, on_device) = rounded::<T, D>(device, &faer::Mat::from_fn(taken, taken, unit))?;
    device.axpby(T::one(), on_device.as_ref(), T::zero(), top)?;
    let mut t = faer::Mat::from_fn(taken, taken, |i, j| -upper[(i, j)] * signs[j]);
    solve_unit_lower_triangular_in_place(lower.as_ref(), t.transpose_mut(), Par::Seq);
    Ok(Panel { r, t, signs })
}

/// The matrix as T holds it, on the host and on the device.
fn rounded<T: Scalar, D: Backend<T>>(
    device: &D,
    x: &faer::Mat<f64>,
) -> Result<(faer::Mat<f64>, Mat<T, D>)> {
    let (m, n) = x.shape();
    let host = faer::Mat::from_fn(m, n, |i, j| T::from_f64(x[(i, j)]).to_f64());
    let on_device = upload_columns(device, host.as_ref(), n)?;
    Ok((host, on_device))
}

/// The lower Cholesky factor of AᵀA for as many leading columns as have a pivot that `clear` accepts next to the
/// diagonal of the Gram matrix.
fn clear_factor<T: Scalar, D: Backend<T>>(
    a: MatMut<'_, T, D>,
    clear: impl Fn(f64, f64) -> bool,
) -> Result<faer::Mat<f64>> {
    let (gram, n) = (gram_entries(a.as_ref())?, a.ncols());
    let (lower, order) = leading_cholesky(&gram, n);
    let lower = MatRef::from_column_major_slice(&lower, order, order);
    let taken =
        (0..order).take_while(|&j| clear(lower[(j, j)] * lower[(j, j)], gram[j * n + j])).count();
    Ok(faer::Mat::from_fn(taken, taken, |i, j| if i >= j { lower[(i, j)] } else { 0.0 }))
}

/// L·U = Q − S in place, the unit diagonal of L not stored, for the signs S that keep every pivot at 1 or above.
fn signed_lu(q: &mut faer::Mat<f64>) -> Vec<f64> {
    let n = q.ncols();
    let mut signs = Vec::with_capacity(n);
    for k in 0..n {
        let sign = if q[(k, k)] > 0.0 { -1.0 } else { 1.0 };
        signs.push(sign);
        q[(k, k)] -= sign;
        let (known, mut rest) = q.as_mut().split_at_col_mut(k + 1);
        let column = known.col_mut(k).try_as_col_major_mut().expect("a column").as_slice_mut();
        let pivot = column[k];
        column[k + 1..].iter_mut().for_each(|x| *x /= pivot);
        for j in 0..rest.ncols() {
            let other = rest.as_mut().col_mut(j);
            let other = other.try_as_col_major_mut().expect("a column").as_slice_mut();
            let factor = other[k];
            other[k + 1..].iter_mut().zip(&column[k + 1..]).for_each(|(x, l)| *x -= factor * l);
        }
    }
    signs
}
