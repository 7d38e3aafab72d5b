//! CholeskyQR with randomised pivoting for tall matrices: A P = Q R.
//!
//! 1. A sketch S·A of d = γn rows keeps the geometry of the column space of A, so a pivoted QR of it gives
//!    pivots, the rank k, and a triangle R̂ (see `pivoted`).
//! 2. A\[:, pivots\]·R̂⁻¹ has a condition of about (1 + √(n/d))/(1 − √(n/d)), 6 for γ = 2, whatever that
//!    of A. One pass of CholeskyQR makes it orthonormal: Q, and R = R_c·R̂.
//! 3. The columns that the rank leaves out get R = Qᵀ·A\[:, others\].
//!
//! Where the sketch has missed something the Gram matrix of step 2 shows it: a high condition costs a
//! second pass; one that is not positive definite a shifted pass; and what then still is not, columns.
//!
//! Limits: 3mn² flops at the rate of products (2mn² of them in triangular solves), and six passes over mn
//! entries, which bound it for n of some tens.
//!
//! Source: Melnichenko, Balabanov, Murray, Demmel, Mahoney and Luszczek, "CholeskyQR with randomization and
//! pivoting for tall matrices (CQRRPT)", arXiv 2311.08316. The pivoted QR of the sketch and the treatment of
//! breakdowns are ours.

use super::basis::scale_exactly;
use super::bqrrp::{BqrrpParams, factor};
use super::cholesky_qr::{pass, shifted_pass};
use super::estimate::{ErrorEstimate, ErrorKind};
use super::finite_scale;
use super::pivoted::{Pivoted, pivoted_qr};
use super::transfer::upload_upper;
use crate::error::{check_least, check_share};
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Device, Error, Mat, MatRef, Op, Result, Scalar, Sketch, Uplo, scalar};

/// What [`cqrrpt`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CqrrptParams {
    embedding_factor: f64,
    nnz: usize,
    rank_tolerance: Option<f64>,
    seed: u64,
}

impl Default for CqrrptParams {
    fn default() -> Self {
        Self { embedding_factor: 2.0, nnz: 8, rank_tolerance: None, seed: 0 }
    }
}

impl CqrrptParams {
    /// γ: the sketch has ⌈γn⌉ rows, n + 8 at least. At least 1, default 2: below, cond(A·R̂⁻¹) grows and costs digits
    /// of orthogonality or a second pass; above, the Gram matrix of the sketch costs γn³ flops.
    pub fn embedding_factor(self, embedding_factor: f64) -> Self {
        Self { embedding_factor, ..self }
    }

    /// ζ: entries a column of the SparseStack that sketches A. Default 8.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { nnz, ..self }
    }

    /// Columns whose residual is below this fraction of the largest column are dependent. Default
    /// 8u√n: what rounding makes of an exactly dependent column is below.
    pub fn rank_tolerance(self, rank_tolerance: f64) -> Self {
        Self { rank_tolerance: Some(rank_tolerance), ..self }
    }

    /// The seed of the sketch. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(crate) fn check(&self, op: &'static str) -> Result<()> {
        let gamma = self.embedding_factor;
        if !(gamma >= 1.0 && gamma.is_finite()) {
            return Err(Error::invalid(op, "embedding_factor", gamma, "at least 1, finite"));
        }
        check_least(op, "nnz", self.nnz, 1)?;
        check_share(op, "rank_tolerance", self.rank_tolerance)
    }

    /// d for n columns. A factor beyond the range of usize saturates, and then no matrix is tall.
    pub(crate) fn sketch_rows(&self, n: usize) -> usize {
        ((self.embedding_factor * n as f64).ceil() as usize).max(n.saturating_add(8))
    }

    pub(crate) fn sketch(&self, d: usize, m: usize) -> Result<Sketch> {
        Sketch::sparse_stack(d, m, self.nnz.min(d), self.seed)
    }

    /// The residual below which a column is dependent, relative to the largest.
    pub(crate) fn dependence<T: Scalar>(&self, n: usize) -> f64 {
        self.rank_tolerance.unwrap_or(8.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt())
    }
}

/// A P ≈ Q R, as LAPACK's `geqp3` with explicit Q.
#[derive(Debug)]
pub struct PivotedQr<T: Scalar, D: Device = Cpu> {
    /// m×k, orthonormal columns.
    pub q: Mat<T, D>,
    /// k×n, upper trapezoidal, positive on the diagonal.
    pub r: Mat<T, D>,
    /// Column j of A P is column `pivots[j]` of A.
    pub pivots: Vec<usize>,
    /// ‖A P − Q R‖_F: what the rank leaves out. For k = min(m, n) that is nothing but rounding.
    pub error: ErrorEstimate,
    /// An estimate of ‖QᵀQ − I‖_F/√k: u·cond², for the condition of what the last pass of CholeskyQR met. Where Q was made
    /// of reflectors, by [`bqrrp`](super::bqrrp()) or since A is not tall, nothing is measured: it is what the number b of
    /// their blocks predicts, u·√(1 + 4b).
    pub orthogonality: f64,
}

impl<T: Scalar, D: Device> PivotedQr<T, D> {
    /// k: the numerical rank of A.
    pub fn rank(&self) -> usize {
        self.q.ncols()
    }
}

/// QR with column pivoting of a tall matrix, at the speed of matrix products.
///
/// The pivots are those of pivoted QR of a sketch of A, and reveal the rank as well. A that is not tall, m ≤
/// ⌈γn⌉, goes to [`bqrrp`](super::bqrrp()), with the same contract for the results.
///
/// # Errors
/// [`Error::InvalidArgument`] for parameters out of range; [`Error::NonFinite`] with the position;
/// [`Error::Overflow`] when the sketch leaves the range of T; [`Error::OutOfMemory`]. A of deficient rank,
/// zero or empty is no error.
///
/// # Cost
/// 3mk² + 2mk(n − k) + 2ζmn flops on long columns, γn³ on the sketch, n³ on the host; memory for Q, and for the columns
/// that are left out.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{CqrrptParams, cqrrpt}};
/// // Twelve columns, of which three are independent.
/// let a = Mat::from_fn(&Cpu::new(), 500, 12, |i, j| (i as f64 + (j % 3) as f64 * 50.0).cos().powi(1 + j as i32 % 3))?;
/// let qr = cqrrpt(a.as_ref(), CqrrptParams::default())?;
/// assert_eq!((qr.rank(), qr.q.shape(), qr.r.shape()), (3, (500, 3), (3, 12)));
/// assert!(qr.error.relative < 1e-14 && qr.orthogonality < 1e-14);
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cqrrpt<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    params: CqrrptParams,
) -> Result<PivotedQr<T, D>> {
    cqrrpt_named("cqrrpt", a, params)
}

/// [`cqrrpt`] under the name of the function that was called.
pub(super) fn cqrrpt_named<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: CqrrptParams,
) -> Result<PivotedQr<T, D>> {
    params.check(op)?;
    let ((m, n), device) = (a.shape(), a.device());
    let d = params.sketch_rows(n);
    if n == 0 || m <= d {
        return by_blocks(op, a, params);
    }
    let mut sketch = params.sketch(d, m)?.apply(a)?;
    let (largest, exponent) = finite_scale(op, &a, sketch.as_ref())?;
    if largest == 0.0 {
        // A is zero, or the sketch has met the rare matrix that it cannot see.
        return by_blocks(op, a, params);
    }
    scale_exactly(&mut sketch.as_mut(), -exponent)?;
    let sketched = pivoted_qr(op, sketch.as_mut(), params.dependence::<T>(n))?;
    let mut order = sketched.permutation();
    let k = sketched.pivots.len();
    let mut q = columns(a, &order[..k], exponent)?;
    let r = triangle::<T, D>(&sketched);
    let preconditioner = upload_upper::<T, D>(device, &r, 0)?;
    device.trsm_right(Uplo::Upper, Op::NoTrans, preconditioner.as_ref(), q.as_mut())?;
    let (q, r, condition) = orthonormalise(op, q, r)?;
    let k = q.ncols();
    order[k..].sort_unstable();
    let mut full = Mat::scratch(device, k, n)?;
    let (mut square, mut others) = full.as_mut().split_at_col(k);
    let r = upload_upper::<T, D>(device, &r, 0)?;
    device.axpby(T::one(), r.as_ref(), T::zero(), square.as_mut())?;
    let mut tail = 0.0;
    if k < n {
        let mut left = columns(a, &order[k..], exponent)?;
        let (q, one) = (q.as_ref(), T::one());
        device.gemm(one, q.transpose(), left.as_ref(), T::zero(), others.as_mut())?;
        device.gemm(-one, q, others.as_ref(), one, left.as_mut())?;
        tail = scalar::scale_by_power(norm_fro(left.as_ref())?, exponent);
    }
    scale_exactly(&mut full.as_mut(), exponent)?;
    let orthogonality = T::UNIT_ROUNDOFF * condition * condition;
    Ok(PivotedQr { q, r: full, pivots: order, error: residual(a, tail)?, orthogonality })
}

/// QR of a matrix that is not tall.
fn by_blocks<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: CqrrptParams,
) -> Result<PivotedQr<T, D>> {
    let blocks = BqrrpParams::default().nnz(params.nnz).seed(params.seed);
    let blocks = params.rank_tolerance.map_or(blocks, |tolerance| blocks.rank_tolerance(tolerance));
    factor(op, a, &blocks)?.explicit()
}

/// Columns `index` of A·2^-exponent.
fn columns<T: Scalar, D: Backend<T>>(
    a: MatRef<'_, T, D>,
    index: &[usize],
    exponent: i32,
) -> Result<Mat<T, D>> {
    let device = a.device();
    let mut gathered = Mat::scratch(device, a.nrows(), index.len())?;
    device.gather_rows(index, a.transpose(), gathered.as_mut().transpose())?;
    scale_exactly(&mut gathered.as_mut(), -exponent)?;
    Ok(gathered)
}

/// CholeskyQR of Q, whose condition the sketch has made small, until it is orthonormal; R gains the factors. Fewer
/// columns come back when the sketch did not see that they depend on those before.
fn orthonormalise<T: Scalar, D: Backend<T>>(
    op: &'static str,
    mut q: Mat<T, D>,
    mut r: faer::Mat<f64>,
) -> Result<(Mat<T, D>, faer::Mat<f64>, f64)> {
    /// Up to this condition a pass leaves Q orthonormal to 100u.
    const WELL_CONDITIONED: f64 = 10.0;
    let mut shifted = false;
    loop {
        match pass(q.as_mut(), &mut r, 0.0)? {
            Ok(condition) if condition <= WELL_CONDITIONED => return Ok((q, r, condition)),
            Ok(_) => {}
            Err(_) if !shifted => {
                shifted = true;
                if shifted_pass(q.as_mut(), &mut r)?.is_err() {
                    return Err(Error::NoConvergence { op, iterations: 1 });
                }
            }
            Err(0) => return Err(Error::NoConvergence { op, iterations: 2 }),
            Err(column) => {
                q = q.truncate_columns(column);
                r.truncate(column, column);
            }
        }
    }
}

/// R̂ of the columns taken.
pub(super) fn triangle<T: Scalar, D: Backend<T>>(sketched: &Pivoted<T, D>) -> faer::Mat<f64> {
    let k = sketched.pivots.len();
    // As T holds it, since that is what A is divided by.
    let rounded = |x: f64| T::from_f64(x).to_f64();
    faer::Mat::from_fn(k, k, |i, j| {
        if i <= j { rounded(sketched.rows[(sketched.pivots[j], i)]) } else { 0.0 }
    })
}

/// The error that leaves out a part of A of norm `tail`.
fn residual<T: Scalar, D: Backend<T>>(a: MatRef<'_, T, D>, tail: f64) -> Result<ErrorEstimate> {
    let norm = if tail == 0.0 { 1.0 } else { norm_fro(a)? };
    Ok(ErrorEstimate { absolute: tail, relative: tail / norm, kind: ErrorKind::Residual })
}
