//! CholeskyQR behind a sketch of lower precision, without pivots: A = Q R.
//!
//! 1. A sketch Y = S·A of d = γn rows keeps the geometry of the columns. Its triangle R₀, YᵀY ≈ R₀ᵀR₀, is computed in `f32` from entries
//!    that are rounded to `f32`, columns scaled by powers of two to lengths between 1 and 2.
//! 2. A·R₀⁻¹ has a condition of (1 + √(1/γ))/(1 − √(1/γ)), 6 for γ = 2, as long as cond(A) is well below 1/u of `f32`, whatever u of
//!    A is: a preconditioner has to be right to a digit, no more. R₀ is exact as it stands, since A is divided by just that.
//! 3. One pass of CholeskyQR in the precision of A makes it orthonormal: Q, and R = R_c·R₀. A high condition of what the
//!    pass met costs a second one.
//!
//! Where `f32` does not see the columns apart, at conditions above some 10⁵, R₀ is computed again from the same sketch in the
//! precision of A, which serves up to some 1/(100u). [`RandomizedQr::precision`] says which one it was.
//!
//! Limits: the sketch is the smaller part of the work, dn² next to 3mn² flops, so that its precision saves 2 to 8 % for m = 16n on a
//! CPU; a GPU whose `f64` is slow gains more. It passes through the host, dn entries, to be rounded.
//!
//! Source: Garrison, Chen and Ipsen, "Numerically stable Cholesky-QR on GPU via mixed-precision randomized preconditioning",
//! arXiv 2606.18411, of which this is the idea: they take subsampled trigonometric transforms, Householder QR of the sketch, and
//! choose the precision beforehand. After Garrison and Ipsen, "A randomized preconditioned Cholesky-QR algorithm", arXiv 2406.11751. The
//! SparseStack, the triangle by Cholesky factorizations and the decision between precisions are ours.

use super::basis::scale_exactly;
use super::cholesky_qr::{cholesky_qr3, far_exponent};
use super::cqrrpt::{CqrrptParams, orthonormalise};
use super::explain_non_finite;
use super::host::triangular_condition;
use super::transfer::upload_upper;
use super::triangle::triangle;
use crate::scalar::{exponent, scale_by_power};
use crate::{Backend, Cpu, Device, Error, Mat, MatRef, Op, Result, Scalar, Uplo};

/// The precision of a preconditioner.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`.
    Single,
    /// That of the matrix.
    Working,
}

/// What [`randomized_cholesky_qr`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomizedCholeskyQrParams {
    sketch: CqrrptParams,
    precision: Precision,
}

impl Default for RandomizedCholeskyQrParams {
    fn default() -> Self {
        Self { sketch: CqrrptParams::default(), precision: Precision::Single }
    }
}

impl RandomizedCholeskyQrParams {
    /// γ: the sketch has ⌈γn⌉ rows, n + 8 at least. At least 1, default 2.
    pub fn embedding_factor(self, gamma: f64) -> Self {
        Self { sketch: self.sketch.embedding_factor(gamma), ..self }
    }

    /// ζ: entries a column of the SparseStack that sketches A. Default 8.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { sketch: self.sketch.nnz(nnz), ..self }
    }

    /// The precision that the triangle of the sketch is tried in first. Default [`Precision::Single`].
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The seed of the sketch. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { sketch: self.sketch.seed(seed), ..self }
    }
}

/// A = Q R.
#[derive(Debug)]
pub struct RandomizedQr<T: Scalar, D: Device = Cpu> {
    /// m×n, orthonormal columns.
    pub q: Mat<T, D>,
    /// n×n, upper triangular, its diagonal positive.
    pub r: Mat<T, D>,
    /// An estimate of ‖QᵀQ − I‖_F/√n: u·cond², for the condition of what the last pass met.
    pub orthogonality: f64,
    /// An estimate of cond(A), columns scaled to about the same length.
    pub condition: f64,
    /// The precision of the preconditioner that served.
    pub precision: Precision,
}

/// A = Q R of a tall matrix of full rank by one pass of CholeskyQR on A·R₀⁻¹, where R₀ comes from a sketch of lower precision.
///
/// # Accuracy
/// ‖QᵀQ − I‖_F/√n and ‖A − QR‖_F/‖A‖_F are some u for cond(A) up to about 1/(100u), columns scaled to the same length.
///
/// # Errors
/// [`Error::Singular`] with the first column whose distance from those before is below 8u√n of its length, or where that
/// cannot be found out: take [`cqrrpt`](super::cqrrpt()); [`Error::InvalidArgument`] for parameters out of range, or m < n; [`Error::NonFinite`] with the position;
/// [`Error::Overflow`] when the sketch leaves the range of T; [`Error::OutOfMemory`].
///
/// # Cost
/// 3mn² + 2ζmn flops on long columns, γn³ in `f32` on the sketch, n³/2 on the host; memory for Q.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{RandomizedCholeskyQrParams, randomized_cholesky_qr}};
/// let a = Mat::from_fn(&Cpu::new(), 600, 9, |i, j| (i as f64 / 600.0).powi(j as i32))?;
/// let qr = randomized_cholesky_qr(a.as_ref(), RandomizedCholeskyQrParams::default())?;
/// assert_eq!((qr.q.shape(), qr.r.shape()), ((600, 9), (9, 9)));
/// assert!(qr.orthogonality < 1e-13 && qr.condition > 1e4);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn randomized_cholesky_qr<T: Scalar, D: Backend<T> + Backend<f32>>(
    a: MatRef<'_, T, D>,
    params: RandomizedCholeskyQrParams,
) -> Result<RandomizedQr<T, D>> {
    let op = "randomized_cholesky_qr";
    params.sketch.check(op)?;
    let ((m, n), device) = (a.shape(), a.device());
    if m < n {
        let allowed = "at least as many rows as columns";
        return Err(Error::invalid(op, "a", format!("{m}×{n}"), allowed));
    }
    let mut sketch = sketched(op, a, &params.sketch)?;
    let scales = equilibrate(op, &mut sketch)?;
    // As many digits as the triangle is to leave for rounding.
    let most = |u: f64| 1.0 / (64.0 * u * (n.max(1) as f64).sqrt());
    let single = match params.precision {
        Precision::Single => triangle(single(&sketch)?.as_ref(), most(f32::UNIT_ROUNDOFF))?,
        Precision::Working => None,
    };
    let (r, precision) = match single {
        Some(r) => (r, Precision::Single),
        None => (working_triangle(op, &sketch)?, Precision::Working),
    };
    // As T holds it, since that is what A is divided by.
    let rounded = |i: usize, j: usize| match i <= j {
        true => T::from_f64(scale_by_power(r[(i, j)], scales.columns[j])).to_f64(),
        false => 0.0,
    };
    let r = faer::Mat::from_fn(n, n, rounded);
    let mut q = Mat::scratch(device, m, n)?;
    copy_scaled(a, scales.exponent, &mut q)?;
    divide(&upload_upper(device, &r, 0)?, &mut q)?;
    let (r, condition) = orthonormalise(op, q.as_mut(), r)?;
    // What rounding makes of a dependent column is below.
    let least = 8.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt();
    let dependent = |j: usize| r[(j, j)] <= least * r.col(j).norm_l2();
    if let Some(column) = (0..r.ncols()).find(|&j| dependent(j)) {
        return Err(Error::Singular { op, column });
    }
    if r.ncols() < n {
        return Err(Error::Singular { op, column: r.ncols() });
    }
    let lower: Vec<f64> = (0..n * n)
        .map(|at| {
            let (j, i) = (at % n, at / n);
            scale_by_power(if i <= j { r[(i, j)] } else { 0.0 }, -scales.columns[j])
        })
        .collect();
    Ok(RandomizedQr {
        q,
        r: upload_upper(device, &r, scales.exponent)?,
        orthogonality: T::UNIT_ROUNDOFF * condition * condition,
        condition: if n == 0 { 1.0 } else { triangular_condition(&lower, n) },
        precision,
    })
}

/// S·A, or A where that is not longer.
fn sketched<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: &CqrrptParams,
) -> Result<Mat<T, D>> {
    let (m, n) = a.shape();
    let d = params.sketch_rows(n);
    let sketch = if n == 0 || m <= d { a.to_owned()? } else { params.sketch(d, m)?.apply(a)? };
    explain_non_finite(op, &a, sketch.as_ref())?;
    Ok(sketch)
}

/// What a matrix was divided by: 2^exponent, and then column j by 2^columns\[j\].
struct Scales {
    exponent: i32,
    columns: Vec<i32>,
}

/// Scales Y so that columns have lengths between 1 and 2, but for √2 or so.
fn equilibrate<T: Scalar, D: Backend<T>>(op: &'static str, y: &mut Mat<T, D>) -> Result<Scales> {
    /// Sums of squares in this range have lost digits.
    const SMALL: f64 = 1e-280;
    let (device, n) = (y.device().clone(), y.ncols());
    let exponent_of_all = far_exponent(device.max_abs(y.as_ref())?).expect("a finite sketch");
    scale_exactly(&mut y.as_mut(), -exponent_of_all)?;
    let mut sums = vec![0.0; n];
    device.column_sums_of_squares(y.as_ref(), 0, &mut sums)?;
    let mut columns = Vec::with_capacity(n);
    for (column, &sum) in sums.iter().enumerate() {
        columns.push(match sum < SMALL {
            // Of columns so short squares have left the range.
            true => match device.max_abs(y.columns(column..column + 1))? {
                0.0 => return Err(Error::Singular { op, column }),
                largest => exponent(largest),
            },
            false => exponent(sum.sqrt()),
        });
    }
    for half in [|e: i32| e / 2, |e: i32| e - e / 2] {
        let factors: Vec<T> =
            columns.iter().map(|&e| T::from_f64(scale_by_power(1.0, -half(e)))).collect();
        device.scale_columns(&factors, y.as_mut())?;
    }
    Ok(Scales { exponent: exponent_of_all, columns })
}

/// Y rounded to `f32`, by way of the host.
fn single<T: Scalar, D: Backend<T> + Backend<f32>>(y: &Mat<T, D>) -> Result<Mat<f32, D>> {
    let entries: Vec<f32> = y.to_vec()?.into_iter().map(|x| x.to_f64() as f32).collect();
    Mat::from_column_major(y.device(), &entries, y.nrows(), y.ncols())
}

/// R of Y in its own precision.
fn working_triangle<T: Scalar, D: Backend<T>>(
    op: &'static str,
    y: &Mat<T, D>,
) -> Result<faer::Mat<f64>> {
    let n = y.ncols();
    let most = 1.0 / (64.0 * T::UNIT_ROUNDOFF * (n.max(1) as f64).sqrt());
    if let Some(r) = triangle(y.as_ref(), most)? {
        return Ok(r);
    }
    let qr = cholesky_qr3(y.as_ref()).map_err(|error| match error {
        Error::Singular { column, .. } => Error::Singular { op, column },
        other => other,
    })?;
    let r = qr.r.to_vec()?;
    Ok(faer::Mat::from_fn(n, n, |i, j| r[j * n + i].to_f64()))
}

/// `Q ← A·2^-exponent`.
fn copy_scaled<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    exponent: i32,
    q: &mut Mat<T, D>,
) -> Result<()> {
    a.device().axpby(T::one(), a, T::zero(), q.as_mut())?;
    match exponent {
        0 => Ok(()),
        e => scale_exactly(&mut q.as_mut(), -e),
    }
}

/// `Q ← Q·R⁻¹`.
fn divide<T: Scalar, D: Backend<T>>(r: &Mat<T, D>, q: &mut Mat<T, D>) -> Result<()> {
    r.device().trsm_right(Uplo::Upper, Op::NoTrans, r.as_ref(), q.as_mut())
}
