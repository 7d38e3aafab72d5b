//! The sketches of a stream, and what may happen to it.

use super::{SinglePassFactors, SinglePassParams};
use crate::decomp::Svd;
use crate::error::check_shape;
use crate::{
    AsOperand, Backend, Cpu, Device, Error, LinearOperator, Mat, MatRef, Result, Scalar, Sketch,
};

/// Ω, Υ, Φ, Ψ and Θ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Operators {
    pub(super) range: Sketch,
    pub(super) corange: Sketch,
    pub(super) left: Sketch,
    pub(super) right: Sketch,
    pub(super) probes: Sketch,
}

impl Operators {
    /// m and n.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.corange.ncols(), self.range.ncols())
    }
}

/// What is kept of an m×n matrix A that arrives in pieces, from zero on: four sketches that are linear in A.
///
/// Any of `update`, `update_low_rank`, `update_operator`, `scale` and `merge` may follow each other in any order. States of
/// one matrix whose parts are elsewhere need the same parameters and seed; [`to_bytes`](Self::to_bytes) carries them.
///
/// Updates look at shapes only, so that they can be issued to a GPU without waiting: what is not finite enters the
/// sketches, and [`factors`](Self::factors) and [`svd`](Self::svd) refuse them with the row and the column
/// ([`find_non_finite`](Self::find_non_finite) asks before). There is no way back from there but an older state, or
/// `scale(0)`. After [`Error::OutOfMemory`] or a failure of the device in an update, the state holds a part of it.
///
/// ```
/// use randnla::decomp::{SinglePassParams, StreamingSvd};
/// use randnla::{Cpu, Mat};
/// let (cpu, m, n) = (Cpu::new(), 300, 200);
/// let rows = |from: usize, to: usize| {
///     Mat::from_fn(&cpu, to - from, n, |i, j| 1.0 / (1 + from + i + j) as f64)
/// };
/// let params = SinglePassParams::rank(5).seed(7);
/// // Two machines that see alternate blocks of rows.
/// let mut here = StreamingSvd::new(&cpu, (m, n), params)?;
/// let mut there = StreamingSvd::new(&cpu, (m, n), params)?;
/// for first in (0..m).step_by(100) {
///     here.update(1.0, (first, 0), rows(first, first + 50)?)?;
///     there.update(1.0, (first + 50, 0), rows(first + 50, first + 100)?)?;
/// }
/// here.merge(&StreamingSvd::from_bytes(&cpu, &there.to_bytes()?)?)?;
/// let svd = here.svd(5)?;
/// assert!(svd.error.relative < 1e-2);
/// # Ok::<(), randnla::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamingSvd<T: Scalar, D: Device = Cpu> {
    pub(super) operators: Operators,
    /// Y = AΩᵀ.
    pub(super) range: Mat<T, D>,
    /// X = ΥA, stored by rows: Xᵀ is what is orthogonalised.
    pub(super) corange: Mat<T, D>,
    /// Z = ΦAΨᵀ.
    pub(super) core: Mat<T, D>,
    /// W = ΘA, stored by rows.
    pub(super) probes: Mat<T, D>,
}

impl<T: Scalar, D: Backend<T>> StreamingSvd<T, D> {
    /// The state of the m×n zero matrix.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a rank above min(m, n), no probes, and for lengths that do not fit together or that
    /// the family does not have; [`Error::OutOfMemory`].
    pub fn new(device: &D, shape: (usize, usize), params: SinglePassParams) -> Result<Self> {
        Self::with_operators(device, params.operators("StreamingSvd::new", shape)?)
    }

    pub(super) fn with_operators(device: &D, operators: Operators) -> Result<Self> {
        let ((m, n), Operators { range, corange, left, right, probes }) =
            (operators.shape(), operators);
        Ok(Self {
            operators,
            range: Mat::zeros(device, m, range.nrows())?,
            corange: Mat::zeros(device, n, corange.nrows())?.into_transposed(),
            core: Mat::zeros(device, left.nrows(), right.nrows())?,
            probes: Mat::zeros(device, n, probes.nrows())?.into_transposed(),
        })
    }

    /// m and n.
    pub fn shape(&self) -> (usize, usize) {
        self.operators.shape()
    }

    /// The device of the sketches.
    pub fn device(&self) -> &D {
        self.range.device()
    }

    /// k: the largest rank that [`svd`](Self::svd) gives.
    pub fn max_rank(&self) -> usize {
        self.range.ncols().min(self.corange.nrows())
    }

    /// How many numbers are kept: k(m + n) + s² + qn.
    pub fn numbers(&self) -> usize {
        self.sketches().map(|sketch| sketch.nrows() * sketch.ncols()).sum()
    }

    pub(super) fn sketches(&self) -> impl Iterator<Item = MatRef<'_, T, D>> {
        [&self.range, &self.corange, &self.core, &self.probes].into_iter().map(Mat::as_ref)
    }

    /// `A[i.., j..] ← A[i.., j..] + η·H` for a block H, dense or sparse: rows of A for j = 0, columns for i = 0, or a part of
    /// both.
    ///
    /// η = 0 does not read H.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the block does not lie in A, [`Error::DeviceMismatch`]: nothing is changed then.
    /// [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// 2·3ζ flops an entry of H for column-sparse families, 2(2k + s) for dense ones, and 2q for the error. The sketches are
    /// updated in place, so a block of less than some 30 rows or columns costs as much as one that has them: collect single
    /// ones.
    pub fn update(
        &mut self,
        eta: T,
        (row, col): (usize, usize),
        block: impl AsOperand<T, D>,
    ) -> Result<()> {
        let (block, (m, n)) = (block.as_operand(), self.shape());
        let (height, width) = block.shape();
        let within = |start: usize, len: usize, end: usize| start <= end && len <= end - start;
        if !(within(row, height, m) && within(col, width, n)) {
            let value = format!("{height}×{width} at ({row}, {col})");
            let allowed = format!("within {m}×{n}");
            return Err(Error::invalid("StreamingSvd::update", "block", value, allowed));
        }
        self.check_device("StreamingSvd::update", "block", block.device())?;
        if eta == T::zero() || height == 0 || width == 0 {
            return Ok(());
        }
        let (rows, cols, one) = (row..row + height, col..col + width, T::one());
        let Operators { range, corange, left, right, probes } = self.operators;
        let (left, right) = (left.columns(rows.clone()), right.columns(cols.clone()));
        // The shorter product first.
        if height >= width {
            let half = left.apply(block)?;
            right.apply_right_into(eta, &half, one, self.core.as_mut())?;
        } else {
            let half = right.apply_right(block)?;
            left.apply_into(eta, &half, one, self.core.as_mut())?;
        }
        let kept = self.range.as_mut().rows(rows.clone());
        range.columns(cols.clone()).apply_right_into(eta, block, one, kept)?;
        let kept = self.corange.as_mut().columns(cols.clone());
        corange.columns(rows.clone()).apply_into(eta, block, one, kept)?;
        let kept = self.probes.as_mut().columns(cols);
        probes.columns(rows).apply_into(eta, block, one, kept)
    }

    /// `A ← A + η·F Gᵀ` for F (m×p) and G (n×p); neither is multiplied out.
    ///
    /// η = 0 reads neither.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]: nothing is changed then. [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// 2p(k(m + n) + s² + qn) flops and the sketches of F and G.
    pub fn update_low_rank(
        &mut self,
        eta: T,
        f: MatRef<'_, T, D>,
        g: MatRef<'_, T, D>,
    ) -> Result<()> {
        let (op, (m, n), p) = ("StreamingSvd::update_low_rank", self.shape(), f.ncols());
        check_shape(op, "f", f.shape(), (m, p))?;
        check_shape(op, "g", g.shape(), (n, p))?;
        self.check_device(op, "f", f.device())?;
        self.check_device(op, "g", g.device())?;
        if eta == T::zero() || p == 0 {
            return Ok(());
        }
        let Operators { range, corange, left, right, probes } = self.operators;
        let (range, corange) = (range.apply(g)?, corange.apply(f)?);
        let (left, right, probes) = (left.apply(f)?, right.apply(g)?, probes.apply(f)?);
        let (device, one) = (f.device(), T::one());
        device.gemm(eta, f, range.transpose(), one, self.range.as_mut())?;
        device.gemm(eta, corange.as_ref(), g.transpose(), one, self.corange.as_mut())?;
        device.gemm(eta, left.as_ref(), right.transpose(), one, self.core.as_mut())?;
        device.gemm(eta, probes.as_ref(), g.transpose(), one, self.probes.as_mut())
    }

    /// `A ← A + η·H` for an m×n H that may be no more than a product with vectors: such a one is multiplied once from each
    /// side, by k + s and by k + q vectors.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::DeviceMismatch`]: nothing is changed then. What H reports;
    /// [`Error::OutOfMemory`].
    pub fn update_operator(
        &mut self,
        eta: T,
        h: &(impl LinearOperator<T, D> + ?Sized),
    ) -> Result<()> {
        let op = "StreamingSvd::update_operator";
        check_shape(op, "h", h.shape(), self.shape())?;
        self.check_device(op, "h", h.device())?;
        self.add_operator(op, eta, h)
    }

    pub(super) fn add_operator(
        &mut self,
        op: &'static str,
        eta: T,
        h: &(impl LinearOperator<T, D> + ?Sized),
    ) -> Result<()> {
        check_shape(op, "h", h.shape(), self.shape())?;
        if let Some(stored) = h.as_matrix() {
            return self.update(eta, (0, 0), stored);
        }
        let Operators { range, corange, left, right, probes } = self.operators;
        if eta == T::zero() {
            return Ok(());
        }
        let ((m, n), device, one) = (self.shape(), h.device(), T::one());
        let both = columns_of(device, n, [range, right])?;
        let mut images = Mat::scratch(device, m, both.ncols())?;
        h.apply(both.as_ref(), images.as_mut())?;
        let both = columns_of(device, m, [corange, probes])?;
        let mut coimages = Mat::scratch(device, n, both.ncols())?;
        h.apply_adjoint(both.as_ref(), coimages.as_mut())?;
        let k = range.nrows();
        left.apply_into(eta, images.columns(k..images.ncols()), one, self.core.as_mut())?;
        device.axpby(eta, images.columns(0..k), one, self.range.as_mut())?;
        let (k, kept) = (corange.nrows(), self.corange.as_mut());
        device.axpby(eta, coimages.columns(0..k).transpose(), one, kept)?;
        let probed = coimages.columns(k..coimages.ncols()).transpose();
        device.axpby(eta, probed, one, self.probes.as_mut())
    }

    /// `A ← θ·A`; zero for θ = 0, whatever A held.
    ///
    /// # Errors
    /// Those of the device.
    pub fn scale(&mut self, theta: T) -> Result<()> {
        let device = self.device().clone();
        device.scale(theta, self.range.as_mut())?;
        device.scale(theta, self.corange.as_mut())?;
        device.scale(theta, self.core.as_mut())?;
        device.scale(theta, self.probes.as_mut())
    }

    /// `A ← A + B` for the state of a B of the same shape, made with the same parameters and seed.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`]; [`Error::InvalidArgument`] for another seed or other parameters, whose sketches would add
    /// up to nonsense; [`Error::DeviceMismatch`]. Nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let op = "StreamingSvd::merge";
        check_shape(op, "other", other.shape(), self.shape())?;
        if other.operators != self.operators {
            let value = "a state with other operators";
            let allowed = "states with the same seed, sizes, family and probes";
            return Err(Error::invalid(op, "other", value, allowed));
        }
        self.check_device(op, "other", other.device())?;
        let (device, one) = (self.device().clone(), T::one());
        let add = |from: &Mat<T, D>, to: &mut Mat<T, D>| {
            device.axpby(one, from.as_ref(), one, to.as_mut())
        };
        add(&other.range, &mut self.range)?;
        add(&other.corange, &mut self.corange)?;
        add(&other.core, &mut self.core)?;
        add(&other.probes, &mut self.probes)
    }

    /// A row and a column of A that hold something not finite, as the sketches show it: where there is one such entry,
    /// its position. `None` when the sketches are finite, and when only sums have left the range of T. Synchronises.
    ///
    /// # Errors
    /// Those of the device.
    pub fn find_non_finite(&self) -> Result<Option<(usize, usize)>> {
        let device = self.device();
        let row = device.find_non_finite(self.range.as_ref())?;
        let col = device.find_non_finite(self.corange.transpose())?;
        Ok(row.zip(col).map(|((row, _), (col, _))| (row, col)))
    }

    /// The reconstruction: all singular triplets that the sketches carry, and the errors of every rank. The state stays
    /// as it is, and the stream may go on. Synchronises.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with a row and a column, as [`find_non_finite`](Self::find_non_finite);
    /// [`Error::Overflow`] when sums left the range of T; [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// 6(m + n)k² flops for orthonormal bases, 2(m + n)k² for the vectors, 4sk² + 2s²k for the core, O(k³) on the host.
    pub fn factors(&self) -> Result<SinglePassFactors<T, D>> {
        let op = "StreamingSvd::factors";
        for sketch in self.sketches() {
            if !self.device().max_abs(sketch)?.is_finite() {
                return Err(match self.find_non_finite()? {
                    Some((row, col)) => Error::NonFinite { op, row, col },
                    None => Error::Overflow { op, what: "a sketch of A", dtype: T::NAME },
                });
            }
        }
        SinglePassFactors::of(op, self)
    }

    /// The leading `rank` singular triplets (fewer when the numerical rank is smaller), with an unbiased estimate of the
    /// error. `passes` is 1. Synchronises.
    ///
    /// # Errors
    /// As [`factors`](Self::factors); [`Error::InvalidArgument`] for a rank above [`max_rank`](Self::max_rank).
    pub fn svd(&self, rank: usize) -> Result<Svd<T, D>> {
        let most = self.max_rank();
        if rank > most {
            let allowed = format!("at most k = {most}");
            return Err(Error::invalid("StreamingSvd::svd", "rank", rank, allowed));
        }
        self.factors()?.into_svd(rank)
    }

    fn check_device(&self, op: &'static str, argument: &'static str, of: &D) -> Result<()> {
        if self.device().is_compatible(of) {
            return Ok(());
        }
        Err(Error::DeviceMismatch { op, argument })
    }
}

/// The rows of two operators as columns of one matrix.
fn columns_of<T: Scalar, D: Backend<T>>(
    device: &D,
    len: usize,
    operators: [Sketch; 2],
) -> Result<Mat<T, D>> {
    let [first, second] = operators.map(|s| s.nrows());
    let mut columns = Mat::scratch(device, len, first + second)?;
    for (s, range) in operators.into_iter().zip([0..first, first..first + second]) {
        let rows: Mat<T, D> = s.to_mat(device)?;
        device.axpby(T::one(), rows.transpose(), T::zero(), columns.as_mut().columns(range))?;
    }
    Ok(columns)
}
