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
use super::exchange::Exchange;
use super::finite_scale;
use super::pivoted::{Pivoted, pivoted_qr};
use super::transfer::upload_upper;
use crate::error::{check_least, check_share};
use crate::operator::norm_fro;
use crate::{
    Backend, Cpu, Device, Error, Mat, MatMut, MatRef, Op, Result, Scalar, Sketch, Uplo, scalar,
};

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
/// [`Error::Overflow`] when the sketch leaves the range of T; [`Error::NoConvergence`] when the operator has lost a direction of A so
/// that no pass makes Q orthonormal; [`Error::OutOfMemory`]. A of deficient rank, zero or empty is no error.
///
/// # Cost
/// 3mk² + 2mk(n − k) + 2ζmn flops on long columns, γn³ on the sketch, n³ on the host; memory for Q, and for the columns
/// that are left out. [`cqrrpt_in_place`] takes that of A.
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

/// A P ≈ Q R with Q in the memory of A.
#[derive(Debug)]
pub struct InPlaceQr<T: Scalar, D: Device = Cpu> {
    /// k×n, upper trapezoidal, positive on the diagonal.
    pub r: Mat<T, D>,
    /// Column j of A P was column `pivots[j]` of A.
    pub pivots: Vec<usize>,
    /// As [`PivotedQr::error`].
    pub error: ErrorEstimate,
    /// As [`PivotedQr::orthogonality`].
    pub orthogonality: f64,
}

impl<T: Scalar, D: Device> InPlaceQr<T, D> {
    /// k: the numerical rank of A.
    pub fn rank(&self) -> usize {
        self.r.nrows()
    }
}

/// [`cqrrpt`] with Q over A: its leading k columns become Q, the others are left with nothing useful. The same bits.
///
/// # Errors
/// As [`cqrrpt`]; A is as it was, except after [`Error::NoConvergence`], [`Error::OutOfMemory`] and what the device reports.
///
/// # Cost
/// That of [`cqrrpt`], and 4mn entries moved by the permutation. Memory for 128 columns and the sketch, instead of that for Q; A that is
/// not tall, m ≤ ⌈γn⌉, is factored by [`bqrrp`](super::bqrrp()), which takes memory for A once more.
///
/// ```
/// use randnla::{Cpu, Mat, decomp::{CqrrptParams, cqrrpt_in_place}};
/// let mut a = Mat::from_fn(&Cpu::new(), 500, 6, |i, j| ((i * (j + 2)) as f64).sin())?;
/// let qr = cqrrpt_in_place(a.as_mut(), CqrrptParams::default())?;
/// let q = a.columns(0..qr.rank());
/// assert_eq!((q.shape(), qr.r.shape()), ((500, 6), (6, 6)));
/// # Ok::<(), randnla::Error>(())
/// ```
pub fn cqrrpt_in_place<T: Scalar, D: Backend<T>>(
    mut a: MatMut<'_, T, D>,
    params: CqrrptParams,
) -> Result<InPlaceQr<T, D>> {
    let op = "cqrrpt_in_place";
    let Some(sketched) = Sketched::new(op, a.as_ref(), &params)? else {
        let qr = by_blocks(op, a.as_ref(), params)?;
        let q = a.columns(0..qr.rank());
        q.device().axpby(T::one(), qr.q.as_ref(), T::zero(), q)?;
        let PivotedQr { r, pivots, error, orthogonality, .. } = qr;
        return Ok(InPlaceQr { r, pivots, error, orthogonality });
    };
    permute(&sketched.order, a.as_mut())?;
    sketched.orthonormalise(op, a)
}

/// [`cqrrpt`] under the name of the function that was called.
pub(super) fn cqrrpt_named<T: Scalar, D: Backend<T>>(
    op: &'static str,
    a: MatRef<'_, T, D>,
    params: CqrrptParams,
) -> Result<PivotedQr<T, D>> {
    let Some(sketched) = Sketched::new(op, a, &params)? else {
        return by_blocks(op, a, params);
    };
    let n = a.ncols();
    let mut w = Mat::scratch(a.device(), a.nrows(), n)?;
    a.device().gather_rows(&sketched.order, a.transpose(), w.as_mut().transpose())?;
    let found = sketched.orthonormalise(op, w.as_mut())?;
    let k = found.rank();
    let mut q = w.truncate_columns(k);
    if 2 * k < n {
        // Most of the memory is not needed any more.
        q = q.try_clone()?;
    }
    let InPlaceQr { r, pivots, error, orthogonality } = found;
    Ok(PivotedQr { q, r, pivots, error, orthogonality })
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

/// What a sketch of A·2^-exponent says: the order of the columns, and R̂ of the leading ones.
struct Sketched {
    order: Vec<usize>,
    r: faer::Mat<f64>,
    exponent: i32,
}

impl Sketched {
    /// `None` for an A that is not tall, or one of which the sketch sees nothing.
    fn new<T: Scalar, D: Backend<T>>(
        op: &'static str,
        a: MatRef<'_, T, D>,
        params: &CqrrptParams,
    ) -> Result<Option<Self>> {
        params.check(op)?;
        let (m, n) = a.shape();
        let d = params.sketch_rows(n);
        if n == 0 || m <= d {
            return Ok(None);
        }
        let mut sketch = params.sketch(d, m)?.apply(a)?;
        let (largest, exponent) = finite_scale(op, &a, sketch.as_ref())?;
        if largest == 0.0 {
            return Ok(None);
        }
        scale_exactly(&mut sketch.as_mut(), -exponent)?;
        let sketched = pivoted_qr(op, sketch.as_mut(), params.dependence::<T>(n))?;
        let r = triangle::<T, D>(&sketched);
        Ok(Some(Self { order: sketched.permutation(), r, exponent }))
    }

    /// From W = A P: Q in its leading columns, and R.
    fn orthonormalise<T: Scalar, D: Backend<T>>(
        self,
        op: &'static str,
        mut w: MatMut<'_, T, D>,
    ) -> Result<InPlaceQr<T, D>> {
        let (device, n, one) = (w.device(), w.ncols(), T::one());
        let Self { order, r, exponent } = self;
        scale_exactly(&mut w, -exponent)?;
        let taken = r.ncols();
        let preconditioner = upload_upper::<T, D>(device, &r, 0)?;
        let q = w.as_mut().columns(0..taken);
        device.trsm_right(Uplo::Upper, Op::NoTrans, preconditioner.as_ref(), q)?;
        let (r, condition) = orthonormalise(op, w.as_mut().columns(0..taken), r)?;
        let k = r.ncols();
        let mut full = Mat::scratch(device, k, n)?;
        let (mut square, mut others) = full.as_mut().split_at_col(k);
        let r = upload_upper::<T, D>(device, &r, 0)?;
        device.axpby(one, r.as_ref(), T::zero(), square.as_mut())?;
        let mut tail = 0.0;
        if k < n {
            let (q, mut left) = w.split_at_col(k);
            let q = q.as_ref();
            device.gemm(one, q.transpose(), left.as_ref(), T::zero(), others.as_mut())?;
            device.gemm(-one, q, others.as_ref(), one, left.as_mut())?;
            tail = norm_fro(left.as_ref())?;
        }
        // ‖A‖² = ‖R‖² + ‖what is left‖².
        let relative = if tail == 0.0 { 0.0 } else { tail / tail.hypot(norm_fro(full.as_ref())?) };
        scale_exactly(&mut full.as_mut(), exponent)?;
        let absolute = scalar::scale_by_power(tail, exponent);
        let error = ErrorEstimate { absolute, relative, kind: ErrorKind::Residual };
        let orthogonality = T::UNIT_ROUNDOFF * condition * condition;
        Ok(InPlaceQr { r: full, pivots: order, error, orthogonality })
    }
}

/// Columns `order` of A in the place of its columns, by blocks that are exchanged with what is where they go.
fn permute<T: Scalar, D: Backend<T>>(order: &[usize], a: MatMut<'_, T, D>) -> Result<()> {
    /// Columns that are moved at once.
    const BLOCK: usize = 64;
    let (device, (m, n)) = (a.device(), a.shape());
    let width = BLOCK.min(n);
    let mut moved = [Mat::scratch(device, m, width)?, Mat::scratch(device, m, width)?];
    // Which column of A is where, and where which one is.
    let mut list: Vec<usize> = (0..n).collect();
    let mut place = list.clone();
    let mut rows = a.transpose();
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let chosen: Vec<usize> = order[start..end].iter().map(|&j| place[j] - start).collect();
        if chosen.iter().copied().eq(0..end - start) {
            continue;
        }
        let exchange = Exchange::new(&chosen);
        exchange.apply_to_list(&mut list[start..]);
        exchange.apply(rows.as_mut().rows(start..n), &mut moved)?;
        list.iter().enumerate().skip(start).for_each(|(at, &j)| place[j] = at);
    }
    Ok(())
}

/// CholeskyQR of Q, whose condition the sketch has made small, until it is orthonormal; R gains the factors, and has
/// fewer columns than came in when the sketch did not see that they depend on those before. The last columns of Q are then
/// what they were as columns of A. Returns R and the condition of what the last pass met.
pub(super) fn orthonormalise<T: Scalar, D: Backend<T>>(
    op: &'static str,
    mut q: MatMut<'_, T, D>,
    mut r: faer::Mat<f64>,
) -> Result<(faer::Mat<f64>, f64)> {
    /// Up to this condition a pass leaves Q orthonormal to 100u.
    const WELL_CONDITIONED: f64 = 10.0;
    let mut shifted = false;
    loop {
        let k = r.ncols();
        let mut known = q.as_mut().columns(0..k);
        match pass(known.as_mut(), &mut r, 0.0)? {
            Ok(condition) if condition <= WELL_CONDITIONED => return Ok((r, condition)),
            Ok(_) => {}
            Err(_) if !shifted => {
                shifted = true;
                if shifted_pass(known, &mut r)?.is_err() {
                    return Err(Error::NoConvergence { op, iterations: 1 });
                }
            }
            Err(0) => return Err(Error::NoConvergence { op, iterations: 2 }),
            Err(column) => {
                let dropped = r.get(.., column..k);
                let entries: Vec<T> = (0..k * (k - column))
                    .map(|at| T::from_f64(dropped[(at % k, at / k)]))
                    .collect();
                let device = known.device();
                let factor = Mat::from_column_major(device, &entries, k, k - column)?;
                let mut restored = Mat::scratch(device, known.nrows(), k - column)?;
                let (one, zero) = (T::one(), T::zero());
                device.gemm(one, known.as_ref(), factor.as_ref(), zero, restored.as_mut())?;
                device.axpby(one, restored.as_ref(), zero, known.columns(column..k))?;
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
