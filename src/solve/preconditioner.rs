//! The right preconditioner of sketch-and-precondition: N = P R⁺ for a QR factorization of a sketch, S·A P = Q R,
//! pivoted where columns depend on each other (P = I and R from Cholesky factorizations elsewhere, see `decomp/triangle.rs`).
//!
//! S keeps lengths in the range of A to a factor 1 ± η, η ≈ √(n/d), so A·N has singular values between 1/(1 + η)
//! and 1/(1 − η) whatever those of A are: an iteration on it gains a factor of about η a step.
//!
//! Where the rank k is below n, R is k×n and N = Z U⁻ᵀ for the QR factorization Rᵀ = Z U (in the order of columns
//! of A): its range is the row space of A, so solutions through it have the least norm.
//!
//! Source: Rokhlin and Tygert, "A fast randomized algorithm for overdetermined linear least-squares regression",
//! PNAS 2008; Meng, Saunders and Mahoney, "LSRN", SIAM J. Sci. Comput. 2014, for the deficient rank.

use crate::decomp::{
    CqrrptParams, PivotedQr, cholesky_qr3, download, entries, far_exponent, finite_scale,
    pivoted_qr, scale_exactly, triangle, triangular_condition,
};
use crate::operator::norm_fro;
use crate::{
    Backend, Cpu, Device, Error, LinearOperator, Mat, MatMut, MatRef, Op, Result, Scalar, Sketch,
    Uplo,
};

/// What a [`SketchPreconditioner`] is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SketchPreconditionerParams {
    sketch: CqrrptParams,
    ridge: f64,
}

impl Default for SketchPreconditionerParams {
    fn default() -> Self {
        Self { sketch: CqrrptParams::default().embedding_factor(4.0), ridge: 0.0 }
    }
}

impl SketchPreconditionerParams {
    /// γ: the sketch has ⌈γn⌉ rows, n + 8 at least. At least 1, default 4, with which an iteration gains a factor of
    /// √γ = 2; a larger one gains more and costs γn³ flops.
    pub fn embedding_factor(self, embedding_factor: f64) -> Self {
        Self { sketch: self.sketch.embedding_factor(embedding_factor), ..self }
    }

    /// ζ: entries a column of the SparseStack that sketches A. Default 8.
    pub fn nnz(self, nnz: usize) -> Self {
        Self { sketch: self.sketch.nnz(nnz), ..self }
    }

    /// Columns whose residual is below this fraction of the largest column are dependent. Default 8u√n.
    pub fn rank_tolerance(self, rank_tolerance: f64) -> Self {
        Self { sketch: self.sketch.rank_tolerance(rank_tolerance), ..self }
    }

    /// λ ≥ 0: the preconditioner is for the rows of A followed by √λ·I. Default 0.
    pub fn ridge(self, ridge: f64) -> Self {
        Self { ridge, ..self }
    }

    /// The seed of the sketch. Default 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { sketch: self.sketch.seed(seed), ..self }
    }

    /// Rows of a sketch of n columns; saturates.
    pub(super) fn sketch_rows(&self, n: usize) -> usize {
        self.sketch.sketch_rows(n)
    }

    /// The operator for m×n matrices; `None` for those that a sketch would not make shorter.
    pub(super) fn operator(&self, m: usize, n: usize) -> Result<Option<Sketch>> {
        let d = self.sketch_rows(n);
        if n == 0 || d >= m {
            return Ok(None);
        }
        self.sketch.sketch(d, m).map(Some)
    }

    /// The QR that serves the same matrix, its sketch as long as that of a QR by default.
    pub(super) fn of_qr(&self) -> CqrrptParams {
        self.sketch.embedding_factor(2.0)
    }

    /// √λ, as T holds it.
    pub(super) fn root<T: Scalar>(&self) -> f64 {
        T::from_f64(self.ridge.sqrt()).to_f64()
    }

    pub(super) fn check<T: Scalar>(&self, op: &'static str) -> Result<()> {
        self.sketch.check(op)?;
        checked_root::<T>(op, self.ridge).map(drop)
    }
}

/// √λ as T holds it.
pub(super) fn checked_root<T: Scalar>(op: &'static str, lambda: f64) -> Result<f64> {
    if !(lambda >= 0.0 && lambda.is_finite()) {
        return Err(Error::invalid(op, "ridge", lambda, "at least 0, finite"));
    }
    let root = T::from_f64(lambda.sqrt()).to_f64();
    if !root.is_finite() || (root == 0.0) != (lambda == 0.0) {
        let allowed = format!("numbers whose root is in the range of {}", T::NAME);
        return Err(Error::invalid(op, "ridge", lambda, allowed));
    }
    Ok(root)
}

/// N = P R⁺, n×k, such that A·N is well conditioned: a [`LinearOperator`] to iterate with.
///
/// ```
/// use randnla::solve::{SketchPreconditioner, SketchPreconditionerParams};
/// use randnla::{Cpu, LinearOperator, Mat};
/// // Columns whose lengths are far apart: cond(A) is about 10⁶.
/// let a = Mat::from_fn(&Cpu::new(), 900, 4, |i, j| ((i * (j + 3) + j) as f64).sin() * 0.01f64.powi(j as i32))?;
/// let n = SketchPreconditioner::new(&a, SketchPreconditionerParams::default())?;
/// assert_eq!((n.rank(), n.shape()), (4, (4, 4)));
/// assert!(n.condition() > 1e5);
/// # Ok::<(), randnla::Error>(())
/// ```
#[derive(Debug)]
pub struct SketchPreconditioner<T: Scalar, D: Device = Cpu> {
    /// R, k×k upper triangular, or U where the rank is deficient; of A·2^-exponent.
    triangle: Mat<T, D>,
    /// Z, where the rank is deficient.
    basis: Option<Mat<T, D>>,
    /// Column j of A P is column `order[j]` of A.
    order: Vec<usize>,
    exponent: i32,
    /// √λ, as T holds it.
    root: f64,
    norm: f64,
    condition: f64,
}

/// What belongs to a factor: that it is of A·2^-exponent with √λ·I below it, and ‖A‖_F with that.
struct Scale {
    exponent: i32,
    root: f64,
    norm: f64,
}

impl<T: Scalar, D: Backend<T>> SketchPreconditioner<T, D> {
    /// From a sketch of A, m×n with m ≥ n: for A that is not tall, m ≤ γn, from A itself.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for parameters out of range; [`Error::NonFinite`] with the position;
    /// [`Error::Overflow`] when the sketch leaves the range of T; [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// 2ζmn flops for stored A, else a product of A with n vectors; γn³ on the sketch, n³ on the host.
    pub fn new(
        a: &(impl LinearOperator<T, D> + ?Sized),
        params: SketchPreconditionerParams,
    ) -> Result<Self> {
        let op = "SketchPreconditioner::new";
        params.check::<T>(op)?;
        let (m, n) = a.shape();
        let sketch = match params.operator(m, n)? {
            Some(s) => sketch_of(a, &s)?,
            None => dense(a)?,
        };
        Self::of_sketch(op, a, sketch, &params)
    }

    /// From Y = S·A, or A itself.
    pub(super) fn of_sketch(
        op: &'static str,
        a: &(impl LinearOperator<T, D> + ?Sized),
        mut sketch: Mat<T, D>,
        params: &SketchPreconditionerParams,
    ) -> Result<Self> {
        let (device, n) = (a.device(), sketch.ncols());
        let (largest, mut exponent) = finite_scale(op, a, sketch.as_ref())?;
        let root = params.root::<T>();
        if root > largest {
            exponent = far_exponent(root).expect("λ is finite");
        }
        if root > 0.0 {
            sketch = with_ridge(sketch, root)?;
        }
        let norm = norm_fro(sketch.as_ref())?;
        scale_exactly(&mut sketch.as_mut(), -exponent)?;
        let scale = Scale { exponent, root, norm };
        let rank_tolerance = params.sketch.dependence::<T>(n);
        // Far enough from the rank decision, which is that of pivoted QR.
        if let Some(r) = triangle(sketch.as_ref(), 1.0 / (16.0 * rank_tolerance))? {
            let triangle = Mat::from_fn(device, n, n, |i, j| T::from_f64(r[(i, j)]))?;
            return Self::assemble(triangle, None, (0..n).collect(), scale);
        }
        let found = pivoted_qr(op, sketch.as_mut(), rank_tolerance)?;
        let (order, k) = (found.permutation(), found.pivots.len());
        let entry = |i: usize, j: usize| T::from_f64(found.rows[(j, i)]);
        if k == n {
            let upper = |i: usize, j: usize| if i <= j { entry(i, order[j]) } else { T::zero() };
            let triangle = Mat::from_fn(device, n, n, upper)?;
            return Self::assemble(triangle, None, order, scale);
        }
        let rows = Mat::from_fn(device, n, k, |j, i| entry(i, j))?;
        Self::deficient(op, rows, scale)
    }

    /// From A P = Q R: N·Qᵀ = A⁺.
    pub(super) fn of_factor(op: &'static str, qr: &PivotedQr<T, D>, root: f64) -> Result<Self> {
        let (device, (k, n)) = (qr.r.device(), qr.r.shape());
        let norm = norm_fro(qr.r.as_ref())?;
        let largest = device.max_abs(qr.r.as_ref())?;
        let exponent = far_exponent(largest).expect("a finite factor");
        let mut r = qr.r.try_clone()?;
        scale_exactly(&mut r.as_mut(), -exponent)?;
        let scale = Scale { exponent, root, norm };
        if k == n {
            return Self::assemble(r, None, qr.pivots.clone(), scale);
        }
        let mut rows = Mat::scratch(device, n, k)?;
        device.scatter_rows(&qr.pivots, r.transpose(), rows.as_mut())?;
        Self::deficient(op, rows, scale)
    }

    /// From the rows of R as columns, in the order of the columns of A. Rows that depend on those before are
    /// left out.
    fn deficient(op: &'static str, rows: Mat<T, D>, scale: Scale) -> Result<Self> {
        let (n, mut k) = rows.shape();
        let qr = loop {
            match cholesky_qr3(rows.columns(0..k)) {
                Ok(qr) => break qr,
                Err(Error::Singular { column, .. }) if column > 0 => k = column,
                Err(Error::Singular { .. }) => {
                    return Err(Error::NoConvergence { op, iterations: 1 });
                }
                Err(error) => return Err(error),
            }
        };
        Self::assemble(qr.r, Some(qr.q), (0..n).collect(), scale)
    }

    fn assemble(
        triangle: Mat<T, D>,
        basis: Option<Mat<T, D>>,
        order: Vec<usize>,
        scale: Scale,
    ) -> Result<Self> {
        let k = triangle.nrows();
        let lower = entries(triangle.transpose())?;
        let condition = if k == 0 { 1.0 } else { triangular_condition(&lower, k) };
        let Scale { exponent, root, norm } = scale;
        Ok(Self { triangle, basis, order, exponent, root, norm, condition })
    }

    /// k: the numerical rank of A.
    pub fn rank(&self) -> usize {
        self.triangle.nrows()
    }

    /// An estimate of cond(A), of its nonzero part: that of R by some steps of power iteration, a little
    /// below the truth.
    pub fn condition(&self) -> f64 {
        self.condition
    }

    /// An estimate of ‖A‖_F, with √λ·I below A: the norm of its sketch.
    pub fn norm_fro(&self) -> f64 {
        self.norm
    }

    /// √λ.
    pub(super) fn root(&self) -> f64 {
        self.root
    }

    /// λ.
    pub(super) fn lambda(&self) -> f64 {
        self.root * self.root
    }

    /// e: A·2^-e has entries whose squares are well inside of the range of T.
    pub(super) fn exponent(&self) -> i32 {
        self.exponent
    }

    /// F, k×k, with AᵀA ≈ 4^exponent·FᵀF in [`coordinates`](Self::coordinates), and whether it is upper triangular
    /// or lower.
    pub(super) fn factor(&self) -> Result<(faer::Mat<f64>, bool)> {
        let upper = self.basis.is_none();
        let triangle = self.triangle.as_ref();
        Ok((download(if upper { triangle } else { triangle.transpose() })?, upper))
    }

    /// The k coordinates of a vector of the row space of A, or the part in it of any vector: Pᵀg, or Zᵀg.
    pub(super) fn coordinates(&self, g: MatRef<'_, T, D>) -> Result<Mat<T, D>> {
        let (device, k) = (g.device(), self.rank());
        let mut to = Mat::scratch(device, k, g.ncols())?;
        match &self.basis {
            None => device.gather_rows(&self.order, g, to.as_mut())?,
            Some(z) => device.gemm(T::one(), z.transpose(), g, T::zero(), to.as_mut())?,
        }
        Ok(to)
    }
}

impl<T: Scalar, D: Backend<T>> LinearOperator<T, D> for SketchPreconditioner<T, D> {
    fn shape(&self) -> (usize, usize) {
        (self.order.len(), self.rank())
    }

    fn device(&self) -> &D {
        self.triangle.device()
    }

    fn apply(&self, x: MatRef<'_, T, D>, y: MatMut<'_, T, D>) -> Result<()> {
        let device = y.device();
        let mut w = Mat::scratch(device, self.rank(), x.ncols())?;
        device.axpby(T::one(), x, T::zero(), w.as_mut())?;
        scale_exactly(&mut w.as_mut(), -self.exponent)?;
        // (R⁻¹ W)ᵀ = Wᵀ R⁻ᵀ, and with U⁻ᵀ for R⁻¹ likewise.
        let op = if self.basis.is_none() { Op::Trans } else { Op::NoTrans };
        device.trsm_right(Uplo::Upper, op, self.triangle.as_ref(), w.as_mut().transpose())?;
        match &self.basis {
            None => device.scatter_rows(&self.order, w.as_ref(), y),
            Some(z) => device.gemm(T::one(), z.as_ref(), w.as_ref(), T::zero(), y),
        }
    }

    fn apply_adjoint(&self, x: MatRef<'_, T, D>, mut y: MatMut<'_, T, D>) -> Result<()> {
        let device = y.device();
        let w = self.coordinates(x)?;
        device.axpby(T::one(), w.as_ref(), T::zero(), y.as_mut())?;
        let op = if self.basis.is_none() { Op::NoTrans } else { Op::Trans };
        device.trsm_right(Uplo::Upper, op, self.triangle.as_ref(), y.as_mut().transpose())?;
        scale_exactly(&mut y, -self.exponent)
    }
}

/// S·A: of the entries, where these are stored, else of the products of A with columns of I, in blocks.
pub(super) fn sketch_of<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
    s: &Sketch,
) -> Result<Mat<T, D>> {
    /// Columns of A that are formed at once.
    const BLOCK: usize = 128;
    if let Some(stored) = a.as_matrix() {
        return s.apply(stored);
    }
    let (device, (m, n)) = (a.device(), a.shape());
    let mut sketched = Mat::scratch(device, s.nrows(), n)?;
    for start in (0..n).step_by(BLOCK) {
        let columns = start..n.min(start + BLOCK);
        let unit = |i: usize, j: usize| if i == start + j { T::one() } else { T::zero() };
        let unit = Mat::from_fn(device, n, columns.len(), unit)?;
        let mut block = Mat::scratch(device, m, columns.len())?;
        a.apply(unit.as_ref(), block.as_mut())?;
        s.apply_into(T::one(), &block, T::zero(), sketched.as_mut().columns(columns))?;
    }
    Ok(sketched)
}

/// A as a dense matrix of its own.
pub(super) fn dense<T: Scalar, D: Backend<T>>(
    a: &(impl LinearOperator<T, D> + ?Sized),
) -> Result<Mat<T, D>> {
    let ((m, n), device) = (a.shape(), a.device());
    let mut to = Mat::scratch(device, m, n)?;
    match a.as_matrix() {
        Some(crate::Operand::Dense(a)) => device.axpby(T::one(), a, T::zero(), to.as_mut())?,
        Some(crate::Operand::Csr(a)) => device.expand(a, 0, to.as_mut())?,
        Some(crate::Operand::Csc(_)) | None => {
            let one = Mat::identity(device, n)?;
            a.apply(one.as_ref(), to.as_mut())?;
        }
    }
    Ok(to)
}

/// The rows of A followed by `root`·I.
pub(super) fn with_ridge<T: Scalar, D: Backend<T>>(a: Mat<T, D>, root: f64) -> Result<Mat<T, D>> {
    let (device, (m, n)) = (a.device(), a.shape());
    let mut both = Mat::scratch(device, m + n, n)?;
    let (mut above, below) = both.as_mut().split_at_row(m);
    device.axpby(T::one(), a.as_ref(), T::zero(), above.as_mut())?;
    let one = Mat::identity(device, n)?;
    device.axpby(T::from_f64(root), one.as_ref(), T::zero(), below)?;
    Ok(both)
}
