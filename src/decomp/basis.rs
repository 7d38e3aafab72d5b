//! An orthonormal basis that grows by blocks: rank-revealing block CholeskyQR.
//!
//! A block Y is projected on the complement of the basis, twice. Then, on what is left,
//! 1. the Gram matrix G = YᵀY is factored on the host with pivoting, as far as it is well
//!    conditioned: residual above τ² = 64·√l·u of the diagonal, so cond ≲ 1/τ. Columns keep their
//!    scales: pivots by falling residual do not amplify the errors of the others;
//! 2. the taken columns become Q₁ = Y·R⁻¹ by a product, are projected once more and corrected by a
//!    second Gram matrix, which makes them orthonormal to a few u (CholeskyQR2, Yamamoto et al.
//!    2015); those that the first pass left too close to the ones before are put back;
//! 3. the columns that were left start again at the projection.
//!
//! A small residual, scaled up to a unit vector, scales up its errors too: those of the product
//! that made it, and those of the basis vectors that were subtracted. The basis keeps a bound for
//! the errors of every vector, and a column whose residual is not well above what it inherits is
//! dependent and is dropped. Without that, Krylov blocks fill the basis with noise once they stop
//! being new.
//!
//! So condition numbers up to 1/u are split into stages of √(1/u), and a block of deficient rank
//! gives exactly its rank. All work on long vectors is products: 4ml² + 4mkl flops a stage for l
//! columns next to a basis of k; the host sees l×l matrices only.

use super::host::{leading_cholesky, pivoted_cholesky};
use super::transfer::{gram_entries, upload};
use crate::operator::column_squares;
use crate::{Backend, Error, Mat, MatMut, MatRef, Op, Result, Scalar, Uplo, scalar};

/// Orthonormal columns of length m.
pub(crate) struct Basis<T: Scalar, D: Backend<T>> {
    memory: Mat<T, D>,
    len: usize,
    /// For every column, the size of its part that is rounding errors.
    noise: Vec<f64>,
}

/// How far a residual has to be above its errors, so that it is a direction and not noise.
const CLEARANCE: f64 = 16.0;

impl<T: Scalar, D: Backend<T>> Basis<T, D> {
    /// No columns, memory for `capacity`.
    pub(crate) fn new(device: &D, m: usize, capacity: usize) -> Result<Self> {
        Ok(Self { memory: Mat::scratch(device, m, capacity)?, len: 0, noise: Vec::new() })
    }

    /// The number of columns.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The columns.
    pub(crate) fn as_ref(&self) -> MatRef<'_, T, D> {
        self.memory.columns(0..self.len)
    }

    /// The columns from `start` on.
    pub(crate) fn since(&self, start: usize) -> MatRef<'_, T, D> {
        self.memory.columns(start..self.len)
    }

    /// The columns as a matrix of their own.
    pub(crate) fn into_mat(self) -> Mat<T, D> {
        self.memory.truncate_columns(self.len)
    }

    /// Forgets the columns from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.noise.truncate(len);
    }

    /// Room for `more` columns, whose values are up to the caller.
    pub(crate) fn grow(&mut self, more: usize) -> Result<MatMut<'_, T, D>> {
        let (m, capacity) = self.memory.shape();
        let len = self.len + more;
        if len > capacity {
            let device = self.memory.device();
            let mut larger = Mat::scratch(device, m, len.max(2 * capacity))?;
            let kept = larger.as_mut().columns(0..self.len);
            device.axpby(T::one(), self.as_ref(), T::zero(), kept)?;
            self.memory = larger;
        }
        let start = core::mem::replace(&mut self.len, len);
        Ok(self.memory.as_mut().columns(start..len))
    }

    /// Takes columns that are orthonormal, to each other and to those of the basis.
    pub(crate) fn adopt(&mut self, q: MatRef<'_, T, D>) -> Result<()> {
        let rounding = T::UNIT_ROUNDOFF * ((self.len + q.ncols()) as f64).sqrt();
        q.device().axpby(T::one(), q, T::zero(), self.grow(q.ncols())?)?;
        self.noise.resize(self.len, rounding);
        Ok(())
    }

    /// Adds orthonormal columns that span, with the basis, the columns of `y`; returns how many.
    ///
    /// `norm` is that of the operator which made `y` from orthonormal columns: what lies below its
    /// rounding errors is not taken. `y` is overwritten.
    pub(crate) fn extend(
        &mut self,
        op: &'static str,
        mut y: MatMut<'_, T, D>,
        norm: f64,
    ) -> Result<usize> {
        let device = y.device();
        let start = self.len;
        // Scaled by 2^-e, sums of squares stay inside of the range of f32 as well.
        let largest = device.max_abs(y.as_ref())?;
        if largest == 0.0 || y.is_empty() {
            return Ok(0);
        }
        if !largest.is_finite() {
            return Err(Error::Overflow { op, what: "a product with A", dtype: T::NAME });
        }
        let exponent = match scalar::exponent(largest) {
            -24..=24 => 0,
            far => far,
        };
        scale_exactly(&mut y, -exponent)?;
        let norm = scalar::scale_by_power(norm, -exponent);
        let sums = column_squares(y.as_ref(), 0)?;
        let rounding = T::UNIT_ROUNDOFF * ((self.len + y.ncols()) as f64).sqrt();
        let mut noise: Vec<f64> = sums.iter().map(|sum| rounding * sum.sqrt().max(norm)).collect();
        let mut left: Mat<T, D>;
        let mut y = y;
        // Each stage takes a column or drops all, so there are at most as many as columns.
        while !y.is_empty() {
            let rest = self.stage(op, y.as_mut(), &mut noise)?;
            if rest.is_empty() {
                break;
            }
            let mut gathered = Mat::scratch(device, y.nrows(), rest.len())?;
            let columns = y.as_ref().transpose();
            device.gather_rows(&rest, columns, gathered.as_mut().transpose())?;
            noise = rest.iter().map(|&j| noise[j]).collect();
            left = gathered;
            y = left.as_mut();
        }
        Ok(self.len - start)
    }

    /// One stage; returns the columns that are neither taken nor dropped. `noise` is the size of the
    /// errors in the columns of `y`.
    fn stage(
        &mut self,
        op: &'static str,
        mut y: MatMut<'_, T, D>,
        noise: &mut [f64],
    ) -> Result<Vec<usize>> {
        let device = y.device();
        let l = y.ncols();
        if let Some(coefficients) = project(self.as_ref(), y.as_mut())? {
            self.inherit(noise, &coefficients.to_vec()?);
            project(self.as_ref(), y.as_mut())?;
        }
        let gram = gram_entries(y.as_ref())?;
        let least: Vec<f64> = noise.iter().map(|noise| (CLEARANCE * noise).powi(2)).collect();
        let threshold = 64.0 * (l as f64).sqrt() * T::UNIT_ROUNDOFF;
        let floor: Vec<f64> = (0..l).map(|j| (threshold * gram[j * l + j]).max(least[j])).collect();
        let factor = pivoted_cholesky(&gram, &floor);
        let inverse = factor.inverse();
        let taken = self.take_clear(&factor.pivots, &inverse, noise);
        if taken == 0 {
            return Ok(Vec::new());
        }
        let combination = factor.combination(&inverse, l, taken);
        let combination = upload(device, combination, (l, taken))?;
        let start = self.len;
        let new = self.grow(taken)?;
        device.gemm(T::one(), y.as_ref(), combination.as_ref(), T::zero(), new)?;
        let (known, new) = self.memory.as_mut().columns(0..start + taken).split_at_col(start);
        let taken = settle(op, known.as_ref(), new)?;
        self.truncate(start + taken);
        let pivots = &factor.pivots[..taken];
        Ok((0..l).filter(|j| gram[j * l + j] > least[*j] && !pivots.contains(j)).collect())
    }

    /// A column from which basis vectors were subtracted has their errors too.
    fn inherit(&self, noise: &mut [f64], coefficients: &[T]) {
        let mut inherited: Vec<f64> = noise.iter().map(|noise| noise * noise).collect();
        for (known, row) in self.noise.iter().zip(coefficients.chunks_exact(noise.len())) {
            for (sum, c) in inherited.iter_mut().zip(row) {
                *sum += (known * c.to_f64()).powi(2);
            }
        }
        noise.iter_mut().zip(inherited).for_each(|(noise, sum)| *noise = sum.sqrt());
    }

    /// How many of the pivots are clear of the errors that they combine; notes these errors.
    fn take_clear(&mut self, pivots: &[usize], inverse: &faer::Mat<f64>, noise: &[f64]) -> usize {
        let r = pivots.len();
        for j in 0..r {
            let combined =
                (0..=j).map(|k| (inverse[(k, j)] * noise[pivots[k]]).powi(2)).sum::<f64>().sqrt();
            // The first one is clear because its residual is above the floor.
            if j > 0 && combined * CLEARANCE > 1.0 {
                return j;
            }
            self.noise.push(combined);
        }
        r
    }
}

/// `Y ← Y − Q (Qᵀ Y)`; returns YᵀQ.
pub(crate) fn project<T: Scalar, D: Backend<T>>(
    q: MatRef<'_, T, D>,
    mut y: MatMut<'_, T, D>,
) -> Result<Option<Mat<T, D>>> {
    if q.is_empty() {
        return Ok(None);
    }
    let device = y.device();
    let mut coefficients = Mat::scratch(device, y.ncols(), q.ncols())?;
    device.gemm(T::one(), y.as_ref().transpose(), q, T::zero(), coefficients.as_mut())?;
    device.gemm(-T::one(), q, coefficients.transpose(), T::one(), y.as_mut())?;
    Ok(Some(coefficients))
}

/// The second pass of CholeskyQR2 on new columns, in place, next to the columns `known`; returns how
/// many of them, from the first on, the first pass left well conditioned. The others are garbage.
pub(super) fn settle<T: Scalar, D: Backend<T>>(
    op: &'static str,
    known: MatRef<'_, T, D>,
    mut new: MatMut<'_, T, D>,
) -> Result<usize> {
    /// Below this squared distance from the columns before, one more pass is not enough.
    const INDEPENDENT: f64 = 0.5;
    let device = new.device();
    project(known, new.as_mut())?;
    let r = new.ncols();
    let (factor, order) = leading_cholesky(&gram_entries(new.as_ref())?, r);
    if order == 0 {
        return Err(Error::NoConvergence { op, iterations: 1 });
    }
    let clear = |j: &usize| factor[j * order + j].powi(2) > INDEPENDENT;
    let taken = (0..order).take_while(clear).count().max(1);
    let leading = (0..taken * taken).map(|k| factor[k / taken * order + k % taken]);
    let leading = upload(device, leading, (taken, taken))?;
    device.trsm_right(Uplo::Lower, Op::Trans, leading.as_ref(), new.columns(0..taken))?;
    Ok(taken)
}

/// `Y ← 2^e Y`, exact, in two steps since 2^e itself may lie outside of the range of T.
pub(crate) fn scale_exactly<T: Scalar, D: Backend<T>>(
    y: &mut MatMut<'_, T, D>,
    e: i32,
) -> Result<()> {
    if e == 0 {
        return Ok(());
    }
    let device = y.device();
    for e in [e / 2, e - e / 2] {
        device.scale(T::from_f64(scalar::scale_by_power(1.0, e)), y.as_mut())?;
    }
    Ok(())
}
