//! An orthonormal basis that grows by blocks: rank-revealing block CholeskyQR.
//!
//! A block Y is projected on the complement of the basis, twice. Then, on what is left,
//! 1. columns are scaled to norms in [1, 2) by powers of two, which is exact;
//! 2. the Gram matrix G = YᵀY is factored on the host with pivoting, as far as it is well
//!    conditioned: residual above τ² = 64·l·u of the diagonal, so cond ≲ 1/τ;
//! 3. the taken columns become Q₁ = Y·R⁻¹ by a product, are projected once more and corrected by a
//!    second Gram matrix, which makes them orthonormal to a few u (CholeskyQR2, Yamamoto et al.
//!    2015);
//! 4. the columns that were left start again at the projection. A column whose residual has fallen
//!    to the rounding errors of the projection is dependent, and is dropped.
//!
//! So condition numbers up to 1/u are split into stages of √(1/u), and a block of deficient rank
//! gives exactly its rank. All work on long vectors is products: 4ml² + 4mkl flops a stage for l
//! columns next to a basis of k; the host sees l×l matrices only.

use super::host::pivoted_cholesky;
use crate::{Backend, Error, Mat, MatMut, MatRef, Op, Result, Scalar, Uplo, scalar};

/// Orthonormal columns of length m.
pub(super) struct Basis<T: Scalar, D: Backend<T>> {
    memory: Mat<T, D>,
    len: usize,
}

impl<T: Scalar, D: Backend<T>> Basis<T, D> {
    /// No columns, memory for `capacity`.
    pub(super) fn new(device: &D, m: usize, capacity: usize) -> Result<Self> {
        Ok(Self { memory: Mat::zeros(device, m, capacity)?, len: 0 })
    }

    /// The number of columns.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The columns.
    pub(super) fn as_ref(&self) -> MatRef<'_, T, D> {
        self.memory.columns(0..self.len)
    }

    /// The columns from `start` on.
    pub(super) fn since(&self, start: usize) -> MatRef<'_, T, D> {
        self.memory.columns(start..self.len)
    }

    /// The columns as a matrix of their own.
    pub(super) fn into_mat(self) -> Mat<T, D> {
        self.memory.truncate_columns(self.len)
    }

    /// Forgets the columns from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Room for `more` columns, whose values are up to the caller.
    pub(super) fn grow(&mut self, more: usize) -> Result<MatMut<'_, T, D>> {
        let (m, capacity) = self.memory.shape();
        let len = self.len + more;
        if len > capacity {
            let device = self.memory.device();
            let mut larger = Mat::zeros(device, m, len.max(2 * capacity))?;
            let kept = larger.as_mut().columns(0..self.len);
            device.axpby(T::one(), self.as_ref(), T::zero(), kept)?;
            self.memory = larger;
        }
        let start = core::mem::replace(&mut self.len, len);
        Ok(self.memory.as_mut().columns(start..len))
    }

    /// Adds orthonormal columns that span, with the basis, the columns of `y`; returns how many.
    ///
    /// `y` is overwritten.
    pub(super) fn extend(&mut self, op: &'static str, mut y: MatMut<'_, T, D>) -> Result<usize> {
        let device = y.device();
        let start = self.len;
        // 2^-e puts the largest entry into [1, 2): sums of squares stay inside of the range.
        let largest = device.max_abs(y.as_ref())?;
        if largest == 0.0 || y.is_empty() {
            return Ok(0);
        }
        if !largest.is_finite() {
            return Err(Error::Overflow { op, what: "a product with A", dtype: T::NAME });
        }
        scale_exactly(&mut y, -scalar::exponent(largest))?;
        let mut original = vec![0.0; y.ncols()];
        device.column_sums_of_squares(y.as_ref(), 0, &mut original)?;
        let mut left: Mat<T, D>;
        let mut y = y;
        // Each stage takes a column or drops all, so there are at most as many as columns.
        while !y.is_empty() {
            let rest = self.stage(op, y.as_mut(), &mut original)?;
            if rest.is_empty() {
                break;
            }
            let mut gathered = Mat::zeros(device, y.nrows(), rest.len())?;
            let columns = y.as_ref().transpose();
            device.gather_rows(&rest, columns, gathered.as_mut().transpose())?;
            original = rest.iter().map(|&j| original[j]).collect();
            left = gathered;
            y = left.as_mut();
        }
        Ok(self.len - start)
    }

    /// One stage; returns the columns that are neither taken nor dropped.
    fn stage(
        &mut self,
        op: &'static str,
        mut y: MatMut<'_, T, D>,
        original: &mut [f64],
    ) -> Result<Vec<usize>> {
        let device = y.device();
        let l = y.ncols();
        self.project(y.as_mut())?;
        self.project(y.as_mut())?;
        let mut residual = vec![0.0; l];
        device.column_sums_of_squares(y.as_ref(), 0, &mut residual)?;
        // What a projection leaves of a dependent column are its own rounding errors.
        let noise = 8.0 * T::UNIT_ROUNDOFF * ((self.len + l) as f64).sqrt();
        let independent: Vec<bool> =
            (0..l).map(|j| residual[j] > noise * noise * original[j]).collect();
        let exponents: Vec<i32> = (0..l)
            .map(|j| if independent[j] { scalar::exponent(residual[j].sqrt()) } else { 0 })
            .collect();
        let factors: Vec<T> = (0..l)
            .map(|j| {
                let factor = scalar::scale_by_power(1.0, -exponents[j]);
                if independent[j] { T::from_f64(factor) } else { T::zero() }
            })
            .collect();
        device.scale_columns(&factors, y.as_mut())?;
        (0..l).for_each(|j| original[j] *= scalar::scale_by_power(1.0, -2 * exponents[j]));
        let mut gram = Mat::zeros(device, l, l)?;
        device.gram(y.as_ref(), gram.as_mut())?;
        let gram: Vec<f64> = gram.to_vec()?.into_iter().map(T::to_f64).collect();
        let threshold = 64.0 * l as f64 * T::UNIT_ROUNDOFF;
        let factor = pivoted_cholesky(&gram, l, threshold);
        let r = factor.pivots.len();
        if r == 0 {
            return Ok(Vec::new());
        }
        let mut combination = vec![T::zero(); l * r];
        for (k, &pivot) in factor.pivots.iter().enumerate() {
            (k..r)
                .for_each(|j| combination[j * l + pivot] = T::from_f64(factor.inverse[j * r + k]));
        }
        let combination = Mat::from_column_major(device, &combination, l, r)?;
        let mut q = Mat::zeros(device, y.nrows(), r)?;
        device.gemm(T::one(), y.as_ref(), combination.as_ref(), T::zero(), q.as_mut())?;
        self.project(q.as_mut())?;
        self.correct(op, &mut q)?;
        let added = self.grow(r)?;
        device.axpby(T::one(), q.as_ref(), T::zero(), added)?;
        Ok((0..l).filter(|&j| independent[j] && !factor.pivots.contains(&j)).collect())
    }

    /// `Y ← Y − Q (Qᵀ Y)`.
    fn project(&self, mut y: MatMut<'_, T, D>) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let device = y.device();
        let q = self.as_ref();
        let mut coefficients = Mat::zeros(device, y.ncols(), self.len)?;
        // (YᵀQ)ᵀ: the short factor on the left, since faer is faster on that side.
        device.gemm(T::one(), y.as_ref().transpose(), q, T::zero(), coefficients.as_mut())?;
        device.gemm(-T::one(), q, coefficients.transpose(), T::one(), y.as_mut())
    }

    /// The second pass of CholeskyQR2, in place.
    fn correct(&self, op: &'static str, q: &mut Mat<T, D>) -> Result<()> {
        let device = q.device().clone();
        let r = q.ncols();
        let mut gram = Mat::zeros(&device, r, r)?;
        device.gram(q.as_ref(), gram.as_mut())?;
        let gram: Vec<f64> = gram.to_vec()?.into_iter().map(T::to_f64).collect();
        let Some(factor) = cholesky(&gram, r) else {
            return Err(Error::NoConvergence { op, iterations: 1 });
        };
        let factor: Vec<T> = factor.into_iter().map(T::from_f64).collect();
        let factor = Mat::from_column_major(&device, &factor, r, r)?;
        device.trsm_right(Uplo::Upper, Op::NoTrans, factor.as_ref(), q.as_mut())
    }
}

/// `Y ← 2^e Y`, exact, in two steps since 2^e itself may lie outside of the range of T.
fn scale_exactly<T: Scalar, D: Backend<T>>(y: &mut MatMut<'_, T, D>, e: i32) -> Result<()> {
    let device = y.device();
    for e in [e / 2, e - e / 2] {
        device.scale(T::from_f64(scalar::scale_by_power(1.0, e)), y.as_mut())?;
    }
    Ok(())
}

/// The upper R with RᵀR = G, column-major, or `None` when G is not positive definite.
fn cholesky(g: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut r = vec![0.0; n * n];
    for j in 0..n {
        for i in 0..=j {
            let known: f64 = (0..i).map(|k| r[i * n + k] * r[j * n + k]).sum();
            let value = g[j * n + i] - known;
            r[j * n + i] = if i < j {
                value / r[i * n + i]
            } else if value > 0.0 {
                value.sqrt()
            } else {
                return None;
            };
        }
    }
    Some(r)
}
