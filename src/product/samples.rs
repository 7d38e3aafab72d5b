//! Terms that were drawn, kept on a device, and products from them.

use super::sampling::{Draws, Sampling};
use super::weights::Weights;
use super::{check, check_inner, law};
use crate::operator::norm_fro;
use crate::{Backend, Cpu, Csr, CsrRef, Error, Mat, MatMut, MatRef, Op, Operand, Result, Scalar};

/// Terms of a product that are multiplied at once: what is gathered of A and B takes (m + p)·1024 entries at most.
const AT_ONCE: usize = 1024;

/// A sample of the terms aᵢbᵢᵀ of products with n terms, drawn once and kept on a device, for calls in a loop and in graphs.
///
/// Held is a sparse matrix S with one entry a row, the square root of the factor of a term, so that A·B ≈ (ASᵀ)(SB).
///
/// ```
/// use randnla::product::{Samples, Sampling};
/// use randnla::{Cpu, Mat};
/// let cpu = Cpu::new();
/// let a = Mat::from_fn(&cpu, 20, 300, |i, j| 1.0 + ((i + 7 * j) as f64).sin())?;
/// let b = Mat::from_fn(&cpu, 300, 10, |i, j| 2.0 + ((5 * i + j) as f64).cos())?;
/// // Weights from anywhere: here the norms of A alone, as for many B whose rows are alike.
/// let weights: Vec<f64> = (0..300).map(|j| (0..20).map(|i| a.get(i, j).powi(2)).sum::<f64>().sqrt()).collect();
/// let samples = Samples::from_weights(&cpu, &weights, Sampling::Systematic, 60, 42)?;
/// let mut c = Mat::zeros(&cpu, 20, 10)?;
/// samples.product_into(1.0, a.as_ref(), b.as_ref(), 0.0, c.as_mut())?; // 60 of the 300 terms
/// # Ok::<(), randnla::Error>(())
/// ```
pub struct Samples<T: Scalar, D: Backend<T> = Cpu> {
    s: Csr<T, D>,
    draws: Draws,
}

impl<T: Scalar, D: Backend<T>> Samples<T, D> {
    /// Draws from the norms of the terms of A·B, which is best for products with these two. Synchronises once.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A has as many columns as B rows; [`Error::DeviceMismatch`];
    /// [`Error::InvalidArgument`] for a count of 0; [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// A pass over A and B, O(n log n) on the host.
    pub fn draw(
        a: MatRef<'_, T, D>,
        b: MatRef<'_, T, D>,
        sampling: Sampling,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let op = "Samples::draw";
        check_inner(op, Operand::Dense(a), Operand::Dense(b))?;
        Self::new(a.device(), sampling.draw(op, &Weights::of(a, b)?.terms, count, seed)?)
    }

    /// Draws from weights of one's own, one a term: norms of an earlier step, or of A alone. Every choice with no zero where
    /// a term has none is unbiased. Copies to the device, and waits for nothing else.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a weight that is negative or not finite, and for a count of 0; [`Error::OutOfMemory`].
    pub fn from_weights(
        device: &D,
        weights: &[f64],
        sampling: Sampling,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let op = "Samples::from_weights";
        if let Some(w) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            return Err(Error::invalid(op, "weights", w, "finite, and at least 0"));
        }
        // Sums of squares stay inside of the range.
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let e = if largest > 0.0 { crate::scalar::exponent(largest) } else { 0 };
        let scaled: Vec<f64> =
            weights.iter().map(|&w| crate::scalar::scale_by_power(w, -e)).collect();
        Self::new(device, sampling.draw(op, &scaled, count, seed)?)
    }

    pub(super) fn new(device: &D, draws: Draws) -> Result<Self> {
        let rows = draws.index.len();
        let starts: Vec<usize> = (0..=rows).collect();
        let values: Vec<T> = draws.factor.iter().map(|f| T::from_f64(f.sqrt())).collect();
        let s = Csr::from_distinct(device, (rows, draws.terms), &starts, &draws.index, &values)?;
        Ok(Self { s, draws })
    }

    /// The terms that were drawn, those that chance chose first: each once, however often it was drawn.
    pub fn terms(&self) -> &[u32] {
        &self.draws.index
    }

    /// What each of them is multiplied by.
    pub fn factors(&self) -> &[f64] {
        &self.draws.factor
    }

    pub(super) fn draws(&self) -> &Draws {
        &self.draws
    }

    /// `C ← α Σ fₜ aₜbₜᵀ + β C` over the terms t that were drawn and their factors f. Synchronises nowhere, and can be captured in a
    /// graph.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] unless A has a column and B a row a term, and C fits; [`Error::DeviceMismatch`]; C is then
    /// untouched. [`Error::OutOfMemory`].
    ///
    /// # Cost
    /// 2mcp flops for c terms, and memory for (m + p)·min(c, 1024) entries.
    pub fn product_into(
        &self,
        alpha: T,
        a: MatRef<'_, T, D>,
        b: MatRef<'_, T, D>,
        beta: T,
        c: MatMut<'_, T, D>,
    ) -> Result<()> {
        let op = "Samples::product_into";
        crate::error::check_shape(op, "A", a.shape(), (a.nrows(), self.draws.terms))?;
        check(op, Operand::Dense(a), Operand::Dense(b), &c)?;
        if !c.device().is_compatible(self.s.as_ref().device()) {
            return Err(Error::DeviceMismatch { op, argument: "the samples" });
        }
        times(self.s.as_ref(), alpha, a, b, beta, c)
    }

    /// `C ← Σ fₜ aₜbₜᵀ`; returns the norm of the part that chance chose.
    pub(super) fn product_from_zero(
        &self,
        a: MatRef<'_, T, D>,
        b: MatRef<'_, T, D>,
        mut c: MatMut<'_, T, D>,
    ) -> Result<f64> {
        let (random, all) = (self.draws.random, self.draws.index.len());
        let s = self.s.as_ref();
        times(s.rows(0..random), T::one(), a, b, T::zero(), c.as_mut())?;
        let norm = match self.draws.law {
            law::Law::Known(_) => 0.0,
            law::Law::Draws { .. } => norm_fro(c.as_ref())?,
        };
        times(s.rows(random..all), T::one(), a, b, T::one(), c)?;
        Ok(norm)
    }
}

impl<T: Scalar, D: Backend<T>> core::fmt::Debug for Samples<T, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (drawn, terms) = (self.draws.index.len(), self.draws.terms);
        f.debug_struct("Samples")
            .field("drawn", &drawn)
            .field("terms", &terms)
            .finish_non_exhaustive()
    }
}

/// `C ← α (ASᵀ)(SB) + β C`.
fn times<T: Scalar, D: Backend<T>>(
    s: CsrRef<'_, T, D>,
    alpha: T,
    a: MatRef<'_, T, D>,
    b: MatRef<'_, T, D>,
    mut beta: T,
    mut c: MatMut<'_, T, D>,
) -> Result<()> {
    let (device, count) = (c.device(), s.nrows());
    if count == 0 || c.is_empty() || alpha == T::zero() {
        return device.scale(beta, c);
    }
    for start in (0..count).step_by(AT_ONCE) {
        let rows = s.rows(start..count.min(start + AT_ONCE));
        let (left, right) = (gathered(rows, a.transpose())?, gathered(rows, b)?);
        device.gemm(alpha, left.transpose(), right.as_ref(), beta, c.as_mut())?;
        beta = T::one();
    }
    Ok(())
}

/// S·B, in the order of the memory of B.
fn gathered<T: Scalar, D: Backend<T>>(
    s: CsrRef<'_, T, D>,
    b: MatRef<'_, T, D>,
) -> Result<Mat<T, D>> {
    let (device, count, n) = (b.device(), s.nrows(), b.ncols());
    let by_rows = b.row_stride().unsigned_abs() > b.col_stride().unsigned_abs();
    let mut rows = match by_rows {
        true => Mat::scratch(device, n, count)?.into_transposed(),
        false => Mat::scratch(device, count, n)?,
    };
    device.spmm(T::one(), s, Op::NoTrans, b, T::zero(), rows.as_mut())?;
    Ok(rows)
}
