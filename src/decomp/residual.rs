//! What randomly pivoted Cholesky leaves of A: proposals from its diagonal, their acceptance, and the columns taken.
//!
//! Everything is at the scale of A·2^-e, where the largest entry of the diagonal is in [1, 2). The diagonal of the residual is kept in
//! `f64` on the host, with a bound for what rounding may have made of it: rows whose residual is below theirs propose
//! nothing, and one that is far below zero shows that A is indefinite.

use super::Target;
use super::basis::{Basis, scale_exactly};
use super::entries::SymmetricEntries;
use super::estimate::{ErrorEstimate, ErrorKind};
use super::psd::checked_diagonal;
use super::rp_cholesky::RpCholesky;
use super::transfer::{entries, upload};
use crate::operator::column_squares;
use crate::random::{Stream, words64};
use crate::{Backend, Error, Mat, MatRef, Op, Result, Scalar, Uplo, scalar};

/// A proposed pivot, and the number in [0, 1) that decides on it.
pub(super) struct Proposal {
    index: usize,
    chance: f64,
}

/// A factorization that is under way.
pub(super) struct Run<T: Scalar, D: Backend<T>> {
    /// F at the scale of A·2^-exponent.
    f: Basis<T, D>,
    exponent: i32,
    /// The diagonal of A, of A − FFᵀ, and what rounding may have made of the latter.
    diagonal: Vec<f64>,
    residual: Vec<f64>,
    noise: Vec<f64>,
    trace: f64,
    pub(super) pivots: Vec<usize>,
    entries: usize,
}

impl<T: Scalar, D: Backend<T>> Run<T, D> {
    /// Nothing taken yet.
    pub(super) fn start(
        op: &'static str,
        a: &(impl SymmetricEntries<T, D> + ?Sized),
        capacity: usize,
    ) -> Result<Self> {
        let n = a.shape().0;
        let mut diagonal = checked_diagonal(op, a.diagonal()?)?;
        let largest = diagonal.iter().copied().fold(0.0, f64::max);
        let exponent = if largest == 0.0 { 0 } else { scalar::exponent(largest) };
        diagonal.iter_mut().for_each(|d| *d = scalar::scale_by_power(*d, -exponent));
        Ok(Self {
            f: Basis::new(a.device(), n, capacity)?,
            exponent,
            residual: diagonal.clone(),
            noise: diagonal.iter().map(|d| 4.0 * T::UNIT_ROUNDOFF * d).collect(),
            trace: diagonal.iter().sum(),
            diagonal,
            pivots: Vec::new(),
            entries: n,
        })
    }

    /// tr(A − FFᵀ)/tr(A), or what rounding adds to the nuclear norm where that is more: errors of u√(dᵢdⱼ) in the
    /// entries of A − FFᵀ, at random, have one of some u√n·tr(A)/3.
    pub(super) fn relative(&self) -> f64 {
        if self.trace == 0.0 {
            return 0.0;
        }
        let left: f64 = self.residual.iter().map(|x| x.max(0.0)).sum();
        (left / self.trace).max(T::UNIT_ROUNDOFF * (self.residual.len() as f64).sqrt())
    }

    /// Whether that is the tolerance.
    pub(super) fn reached(&self, target: Target) -> bool {
        matches!(target, Target::Tolerance(tolerance) if self.relative() <= tolerance)
    }

    /// `count` rows, drawn with repetition and probabilities proportional to the residual; none when all of it is noise.
    pub(super) fn propose(&self, seed: u64, round: u64, count: usize) -> Vec<Proposal> {
        let mut total = 0.0;
        let clear = |(&x, &noise): (&f64, &f64)| if x > noise { x } else { 0.0 };
        let weights = self.residual.iter().zip(&self.noise).map(clear);
        let sums: Vec<f64> = weights
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        if total == 0.0 {
            return Vec::new();
        }
        let last = sums.partition_point(|&sum| sum < total);
        let unit = |word: u64| (word >> 11) as f64 / (1u64 << 53) as f64;
        (0..count)
            .map(|t| {
                let [place, chance] = words64(seed, Stream::CholeskyPivots, round, t as u32);
                let place = unit(place) * total;
                let index = sums.partition_point(|&sum| sum <= place).min(last);
                Proposal { index, chance: unit(chance) }
            })
            .collect()
    }

    /// Accepts proposals, and takes their columns.
    pub(super) fn take(
        &mut self,
        op: &'static str,
        a: &(impl SymmetricEntries<T, D> + ?Sized),
        proposals: &[Proposal],
        limit: usize,
    ) -> Result<()> {
        let (device, n, known) = (a.device(), a.shape().0, self.pivots.len());
        let index: Vec<usize> = proposals.iter().map(|proposal| proposal.index).collect();
        let h = self.residual_block(op, a, &index)?;
        let (accepted, lower) = self.accept(proposals, &h, limit - known);
        if accepted.is_empty() {
            // The diagonal promised what the entries do not hold.
            self.noise[index[0]] = self.noise[index[0]].max(self.residual[index[0]]);
            return Ok(());
        }
        let new: Vec<usize> = accepted.iter().map(|&t| index[t]).collect();
        let mut columns = Mat::scratch(device, n, new.len())?;
        a.columns(&new, columns.as_mut())?;
        self.entries += n * new.len();
        check_finite(op, columns.as_ref(), |row, col| (row, new[col]))?;
        scale_exactly(&mut columns.as_mut(), -self.exponent)?;
        let f = self.f.as_ref();
        let mut rows = Mat::scratch(device, new.len(), known)?;
        device.gather_rows(&new, f, rows.as_mut())?;
        device.gemm(-T::one(), f, rows.transpose(), T::one(), columns.as_mut())?;
        let amplified = (new.iter().enumerate())
            .map(|(j, &p)| self.diagonal[p] / lower[j * new.len() + j].powi(2))
            .fold(0.0, f64::max)
            .sqrt();
        let lower = upload(device, lower, (new.len(), new.len()))?;
        device.trsm_right(Uplo::Lower, Op::Trans, lower.as_ref(), columns.as_mut())?;
        device.axpby(T::one(), columns.as_ref(), T::zero(), self.f.grow(new.len())?)?;
        let sums = column_squares(columns.transpose(), 0)?;
        self.pivots.extend(&new);
        self.subtract(op, &sums, &new, amplified)
    }

    /// (A − FFᵀ)\[index, index\] on the host, column by column.
    fn residual_block(
        &mut self,
        op: &'static str,
        a: &(impl SymmetricEntries<T, D> + ?Sized),
        index: &[usize],
    ) -> Result<Vec<f64>> {
        let (device, b) = (a.device(), index.len());
        let mut block = Mat::scratch(device, b, b)?;
        a.block(index, block.as_mut())?;
        self.entries += b * b;
        check_finite(op, block.as_ref(), |row, col| (index[row], index[col]))?;
        scale_exactly(&mut block.as_mut(), -self.exponent)?;
        let known = entries(block.as_ref())?;
        for (k, x) in known.iter().enumerate() {
            let (i, j) = (k % b, k / b);
            let difference = (x - known[i * b + j]).abs();
            let size = (self.diagonal[index[i]] * self.diagonal[index[j]]).sqrt();
            let limit = 64.0 * T::UNIT_ROUNDOFF * size;
            if difference > limit {
                let unscaled = |x| scalar::scale_by_power(x, self.exponent);
                let (difference, limit) = (unscaled(difference), unscaled(limit));
                return Err(Error::NotSymmetric { op, difference, limit });
            }
        }
        let mut rows = Mat::scratch(device, b, self.f.len())?;
        device.gather_rows(index, self.f.as_ref(), rows.as_mut())?;
        device.gemm(-T::one(), rows.as_ref(), rows.transpose(), T::one(), block.as_mut())?;
        entries(block.as_ref())
    }

    /// Which proposals become pivots, `room` at most, and the Cholesky factor of their block of the residual.
    fn accept(&self, proposals: &[Proposal], h: &[f64], room: usize) -> (Vec<usize>, Vec<f64>) {
        let b = proposals.len();
        let mut h = h.to_vec();
        let (mut accepted, mut rows): (Vec<usize>, Vec<Vec<f64>>) = Default::default();
        for (t, proposal) in proposals.iter().enumerate() {
            if accepted.len() == room {
                break;
            }
            let (left, before) = (h[t * b + t], self.residual[proposal.index]);
            // The first proposal is a draw from the residual itself.
            let drawn = accepted.is_empty() && t == 0 || proposal.chance * before < left;
            if !(drawn && left > self.noise[proposal.index]) {
                continue;
            }
            let pivot = left.sqrt();
            let column: Vec<f64> = (0..b).map(|i| h[t * b + i] / pivot).collect();
            for j in t..b {
                (j..b).for_each(|i| h[j * b + i] -= column[i] * column[j]);
            }
            accepted.push(t);
            rows.push(column);
        }
        let r = accepted.len();
        let entry = |k: usize| if k % r < k / r { 0.0 } else { rows[k / r][accepted[k % r]] };
        let lower = (0..r * r).map(entry).collect();
        (accepted, lower)
    }

    /// Takes the squares of the new rows of F from the residual.
    fn subtract(
        &mut self,
        op: &'static str,
        sums: &[f64],
        new: &[usize],
        amplified: f64,
    ) -> Result<()> {
        let share = 8.0 * T::UNIT_ROUNDOFF * (self.pivots.len() as f64).sqrt();
        for (i, sum) in sums.iter().enumerate() {
            // An entry of the residual is off by u·√(dᵢdⱼ), its row of F by that over the root of the pivot.
            let (d, before) = (self.diagonal[i], self.residual[i].max(0.0));
            self.noise[i] += share * (d + (before * d).sqrt() * amplified);
            self.residual[i] -= sum;
            let limit = 16.0 * self.noise[i];
            if self.residual[i] < -limit {
                let unscaled = |x| scalar::scale_by_power(x, self.exponent);
                return Err(Error::NotPositiveSemidefinite {
                    op,
                    what: "the diagonal of a Schur complement",
                    value: unscaled(self.residual[i]),
                    limit: unscaled(limit),
                });
            }
        }
        new.iter().for_each(|&p| self.residual[p] = 0.0);
        Ok(())
    }

    /// The result, at the scale of A.
    pub(super) fn finish(self) -> Result<RpCholesky<T, D>> {
        let relative = self.relative();
        let absolute = scalar::scale_by_power(relative * self.trace, self.exponent);
        let mut f = self.f.into_mat();
        if self.exponent.rem_euclid(2) == 1 {
            f.device().clone().scale(T::from_f64(core::f64::consts::SQRT_2), f.as_mut())?;
        }
        scale_exactly(&mut f.as_mut(), self.exponent.div_euclid(2))?;
        let error = ErrorEstimate { absolute, relative, kind: ErrorKind::Identity };
        let trace = scalar::scale_by_power(self.trace, self.exponent);
        Ok(RpCholesky { f, pivots: self.pivots, error, trace, entries: self.entries })
    }
}

/// [`Error::NonFinite`] at the place that `place` gives to an entry of the block.
fn check_finite<T: Scalar, D: Backend<T>>(
    op: &'static str,
    block: MatRef<'_, T, D>,
    place: impl Fn(usize, usize) -> (usize, usize),
) -> Result<()> {
    match block.device().find_non_finite(block)? {
        Some((row, col)) => {
            let (row, col) = place(row, col);
            Err(Error::NonFinite { op, row, col })
        }
        None => Ok(()),
    }
}
