//! The SVD of M = [A₁ | A₂ | …] as the column blocks come, with the exact error of what is kept.
//!
//! With M̂ = ÛΣ̂V̂ᵀ for the blocks so far, a new block A is split on the basis Û and an orthonormal basis J of what is left of
//! it, in two passes, and
//!
//! [ÛΣ̂ | A] = [Û J]·K, K = [Σ̂ ÛᵀA; 0 JᵀA] = XΘYᵀ, Û ← [Û J]X, Σ̂ ← Θ, V̂ ← diag(V̂, I)·Y,
//!
//! where the leading r + p of the singular values Θ stay. K is decomposed itself, not its Gram matrix, which would lose
//! what is below √u·σ₁.
//!
//! # The certificate
//! What a step cuts off has its rows in the row space of its K, orthogonal to those that are kept, so the parts cut off at
//! different steps are orthogonal to each other, and ‖M − M̂‖²_F is the sum of their squares: the error is known exactly, at
//! any level, and without M, but for residuals of a column below 16u√(w + b) of its length, which count as rounding. As ‖M̂‖²_F = Σσ̂ᵢ², it is also ‖M‖²_F − Σσ̂ᵢ², and as cutting only takes energy away,
//! σ̂ᵢ ≤ σᵢ(M).
//!
//! Cost for a block of b columns: 6m(w + b)(w + b) flops on long columns for w = r + p, 2nw² for right vectors, O((w + b)³) on the host; memory for
//! about 3m(w + b) numbers.
//!
//! Sources: Brand, "Fast low-rank modifications of the thin singular value decomposition", 2006; Shamrai, "Concatenated matrix
//! SVD", arXiv 2601.11626, 2026, for σ̂ as a certificate. That it is exact, and its sum without cancellation, are ours.

use super::basis::{Basis, scale_exactly};
use super::cholesky_qr::far_exponent;
use super::host::{SmallSvd, small_product, small_svd};
use super::rsvd::norm;
use super::transfer::upload_columns;
use super::{ErrorEstimate, ErrorKind, Svd};
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Device, Error, Mat, MatRef, Result, Scalar, scalar};

/// The order of the largest core that is decomposed on the host.
const LARGEST_CORE: usize = 512;
/// The least number of columns that are taken at once.
const NARROWEST: usize = 32;

/// What [`IncrementalSvd`] keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IncrementalParams {
    rank: usize,
    oversampling: usize,
    right_vectors: bool,
}

impl IncrementalParams {
    /// The leading `rank` singular triplets.
    pub fn rank(rank: usize) -> Self {
        Self { rank, oversampling: 5, right_vectors: false }
    }

    /// p: triplets beyond the rank that are kept from block to block. Default 5.
    pub fn oversampling(self, oversampling: usize) -> Self {
        Self { oversampling, ..self }
    }

    /// Whether V is kept, n×(r + p), and rotated at every block. Default false.
    pub fn right_vectors(self, right_vectors: bool) -> Self {
        Self { right_vectors, ..self }
    }

    /// r + p.
    fn width(&self) -> usize {
        self.rank.saturating_add(self.oversampling)
    }

    pub(super) fn asked_rank(&self) -> usize {
        self.rank
    }
}

/// The leading singular triplets of a matrix to which column blocks are appended, and how far they are from it.
///
/// Deterministic: no seed. Blocks of rows are appended through transposed views, U and V change places then.
///
/// ```
/// use randnla::decomp::{IncrementalParams, IncrementalSvd};
/// use randnla::{Cpu, Mat};
/// let (cpu, m) = (Cpu::new(), 300);
/// let mut svd = IncrementalSvd::new(&cpu, m, IncrementalParams::rank(4))?;
/// for start in (0..200).step_by(50) {
///     let block = Mat::from_fn(&cpu, m, 50, |i, j| 1.0 / (1 + i + start + j) as f64)?;
///     svd.push(block.as_ref())?;
///     println!("{} columns: error {:.1e}", svd.ncols(), svd.error(4).relative);
/// }
/// assert_eq!((svd.left(4).shape(), svd.singular_values().len()), ((300, 4), 9));
/// assert!(svd.error(4).relative < 2e-2);
/// # Ok::<(), randnla::Error>(())
/// ```
#[derive(Debug)]
pub struct IncrementalSvd<T: Scalar, D: Device = Cpu> {
    params: IncrementalParams,
    now: Factors<T, D>,
}

/// M̂ and what is known of M.
#[derive(Debug)]
pub(super) struct Factors<T: Scalar, D: Device> {
    u: Mat<T, D>,
    s: Vec<f64>,
    v: Option<Mat<T, D>>,
    /// n.
    columns: usize,
    /// ‖M‖_F.
    norm: f64,
    /// ‖M − M̂‖_F.
    cut: f64,
}

impl<T: Scalar, D: Backend<T>> IncrementalSvd<T, D> {
    /// For blocks of m rows; none yet.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(device: &D, m: usize, params: IncrementalParams) -> Result<Self> {
        let v = params.right_vectors.then(|| Mat::zeros(device, 0, 0)).transpose()?;
        let u = Mat::zeros(device, m, 0)?;
        let now = Factors { u, s: Vec::new(), v, columns: 0, norm: 0.0, cut: 0.0 };
        Ok(Self { params, now })
    }

    /// Appends a block of columns; a wide one in parts. Synchronises.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] for another number of rows; [`Error::NonFinite`] with the row and the column of M;
    /// [`Error::DeviceMismatch`]; [`Error::Overflow`] when ‖M‖_F leaves the range of `f64`; [`Error::OutOfMemory`].
    /// The state is then as before.
    pub fn push(&mut self, block: MatRef<'_, T, D>) -> Result<()> {
        let next = self.with(block)?;
        // Nothing was appended: not a bit changes.
        if block.ncols() > 0 {
            self.now = next;
        }
        Ok(())
    }

    /// What [`push`](Self::push) would make of the block.
    pub(super) fn with(&self, block: MatRef<'_, T, D>) -> Result<Factors<T, D>> {
        let (op, device, m) = ("IncrementalSvd::push", self.now.u.device(), self.now.u.nrows());
        crate::error::check_shape(op, "block", block.shape(), (m, block.ncols()))?;
        if !device.is_compatible(block.device()) {
            return Err(Error::DeviceMismatch { op, argument: "block" });
        }
        if !device.max_abs(block)?.is_finite()
            && let Some((row, col)) = device.find_non_finite(block)?
        {
            return Err(Error::NonFinite { op, row, col: self.now.columns + col });
        }
        let width = self.params.width();
        let step = width.min(LARGEST_CORE.saturating_sub(width)).max(NARROWEST);
        let mut factors: Option<Factors<T, D>> = None;
        // A block without columns is a part as well.
        for start in (0..block.ncols().max(1)).step_by(step) {
            let part = block.columns(start..block.ncols().min(start + step));
            let before = factors.as_ref().unwrap_or(&self.now);
            factors = Some(before.extended(op, part, width)?);
        }
        Ok(factors.expect("there is a part"))
    }

    pub(super) fn accept(&mut self, factors: Factors<T, D>) {
        self.now = factors;
    }

    /// m.
    pub fn nrows(&self) -> usize {
        self.now.u.nrows()
    }

    /// n: how many columns have been appended.
    pub fn ncols(&self) -> usize {
        self.now.columns
    }

    /// The values σ̂ᵢ ≤ σᵢ(M), falling: r + p of them, or as many as the numerical rank is.
    pub fn singular_values(&self) -> Vec<T> {
        self.now.s.iter().map(|&s| T::from_f64(s)).collect()
    }

    /// The leading `rank` left singular vectors, or all there are.
    pub fn left(&self, rank: usize) -> MatRef<'_, T, D> {
        self.now.u.columns(0..rank.min(self.now.s.len()))
    }

    /// ‖M‖_F.
    pub fn norm(&self) -> f64 {
        self.now.norm
    }

    /// ‖M − M̂_r‖_F for the leading `rank` triplets: √(‖M‖²_F − Σ_{i ≤ r} σ̂ᵢ²), summed up from what was cut off and so free of
    /// cancellation.
    ///
    /// It is above the best error of that rank, and above ‖M − UUᵀM‖_F for the left vectors alone.
    pub fn error(&self, rank: usize) -> ErrorEstimate {
        self.now.error(rank)
    }

    /// The leading `rank` triplets (fewer when the numerical rank is smaller). `passes` is 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless right vectors are kept; for a rank above r + p; [`Error::OutOfMemory`].
    pub fn svd(&self, rank: usize) -> Result<Svd<T, D>> {
        let (op, width) = ("IncrementalSvd::svd", self.params.width());
        let Some(v) = &self.now.v else {
            let allowed = "true when V is asked for";
            return Err(Error::invalid(op, "right_vectors", false, allowed));
        };
        if rank > width {
            return Err(Error::invalid(op, "rank", rank, format!("at most r + p = {width}")));
        }
        let rank = rank.min(self.now.s.len());
        Ok(Svd {
            u: self.now.u.columns(0..rank).to_owned()?,
            s: self.now.s[..rank].iter().map(|&s| T::from_f64(s)).collect(),
            vt: v.columns(0..rank).to_owned()?.into_transposed(),
            error: self.now.error(rank),
            passes: 1,
        })
    }
}

impl<T: Scalar, D: Backend<T>> Factors<T, D> {
    pub(super) fn error(&self, rank: usize) -> ErrorEstimate {
        let absolute = hypotenuse(self.cut, norm(&self.s[rank.min(self.s.len())..]));
        let relative = if self.norm == 0.0 { 0.0 } else { absolute / self.norm };
        ErrorEstimate { absolute, relative, kind: ErrorKind::Identity }
    }

    /// [M̂ | A], cut to `width` triplets.
    fn extended(&self, op: &'static str, a: MatRef<'_, T, D>, width: usize) -> Result<Self> {
        let (device, m, known, b) = (a.device(), a.nrows(), self.s.len(), a.ncols());
        let norm_a = norm_fro(a)?;
        let whole = hypotenuse(self.norm, norm_a);
        if !whole.is_finite() {
            return Err(Error::Overflow { op, what: "the Frobenius norm", dtype: "f64" });
        }
        let mut basis = Basis::new(device, m, (known + b).min(m))?;
        basis.adopt(self.u.as_ref())?;
        let mut left = a.to_owned()?;
        basis.extend(op, left.as_mut(), 0.0)?;
        // Of A at a scale where products stay in range.
        let exponent = far_exponent(device.max_abs(a)?).expect("a finite block");
        device.axpby(T::one(), a, T::zero(), left.as_mut())?;
        if exponent != 0 {
            scale_exactly(&mut left.as_mut(), -exponent)?;
        }
        let order = basis.len();
        let mut inner = Mat::scratch(device, order, b)?;
        let turned = basis.as_ref().transpose();
        device.gemm(T::one(), turned, left.as_ref(), T::zero(), inner.as_mut())?;
        drop(left);
        let inner = inner.to_vec()?;
        let largest = self.s.first().copied().unwrap_or(0.0).max(norm_a);
        let scale = if largest == 0.0 { 0 } else { scalar::exponent(largest) };
        // The core at a scale where its norm is about 1.
        let core = faer::Mat::from_fn(order, known + b, |i, j| match j.checked_sub(known) {
            None if i == j => scalar::scale_by_power(self.s[i], -scale),
            None => 0.0,
            Some(j) => {
                let x = inner[j * order + i].to_f64();
                scalar::scale_by_power(x, exponent.saturating_sub(scale))
            }
        });
        if order == 0 {
            let v = self.v.as_ref().map(|_| Mat::zeros(device, self.columns + b, 0)).transpose()?;
            let (u, s) = (Mat::zeros(device, m, 0)?, Vec::new());
            let columns = self.columns + b;
            return Ok(Self { u, s, v, columns, norm: whole, cut: self.cut });
        }
        let small = refined_svd(op, &core)?;
        let floor = T::UNIT_ROUNDOFF * small.s[0];
        let kept = small.s.iter().take_while(|&&s| s > floor).count().min(width);
        let values: Vec<f64> = small.s.iter().map(|&s| scalar::scale_by_power(s, scale)).collect();
        let x = upload_columns::<T, D>(device, small.u.as_ref(), kept)?;
        let mut u = Mat::scratch(device, m, kept)?;
        device.gemm(T::one(), basis.as_ref(), x.as_ref(), T::zero(), u.as_mut())?;
        let v = match &self.v {
            None => None,
            Some(v) => {
                let y = upload_columns::<T, D>(device, small.v.as_ref(), kept)?;
                let mut both = Mat::scratch(device, self.columns + b, kept)?;
                let (above, below) = both.as_mut().split_at_row(self.columns);
                device.gemm(T::one(), v.as_ref(), y.rows(0..known), T::zero(), above)?;
                device.axpby(T::one(), y.rows(known..known + b), T::zero(), below)?;
                Some(restored(both)?)
            }
        };
        Ok(Self {
            u: restored(u)?,
            s: values[..kept].to_vec(),
            v,
            columns: self.columns + b,
            norm: whole,
            cut: hypotenuse(self.cut, norm(&values[kept..])),
        })
    }
}

/// The SVD of a small matrix, values as xᵢᵀKyᵢ: those of the solver are off by tens of u, which blocks add up.
fn refined_svd(op: &'static str, core: &faer::Mat<f64>) -> Result<SmallSvd> {
    let mut small = small_svd(op, core.as_ref())?;
    let images = small_product(core, &small.v);
    let mut least = f64::INFINITY;
    for (i, s) in small.s.iter_mut().enumerate() {
        let product = small.u.col(i).iter().zip(images.col(i).iter()).map(|(x, y)| x * y);
        least = product.sum::<f64>().clamp(0.0, least);
        *s = least;
    }
    Ok(small)
}

/// X(3I − XᵀX)/2: products with orthonormal matrices, block after block, would else add their rounding errors up.
fn restored<T: Scalar, D: Backend<T>>(x: Mat<T, D>) -> Result<Mat<T, D>> {
    let (device, k) = (x.device().clone(), x.ncols());
    let mut correction = Mat::scratch(&device, k, k)?;
    device.gram(x.as_ref(), correction.as_mut())?;
    let identity = Mat::identity(&device, k)?;
    let (half, three_halves) = (T::from_f64(-0.5), T::from_f64(1.5));
    device.axpby(three_halves, identity.as_ref(), half, correction.as_mut())?;
    let mut better = Mat::scratch(&device, x.nrows(), k)?;
    device.gemm(T::one(), x.as_ref(), correction.as_ref(), T::zero(), better.as_mut())?;
    Ok(better)
}

/// √(x² + y²) for numbers that are not negative, of any scale; powers of two come out exactly.
pub(super) fn hypotenuse(x: f64, y: f64) -> f64 {
    let (large, small) = (x.max(y), x.min(y));
    if small == 0.0 { large } else { large * (1.0 + (small / large).powi(2)).sqrt() }
}
