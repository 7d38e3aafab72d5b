//! QR with column pivoting by stages of CholeskyQR: the pivots of Householder QR, all work in products.
//!
//! A stage factors the Gram matrix of what is left of the columns, WᵀW, with pivoting, as long as residuals
//! are above τ² = 64·√r·u of the largest: until then they are right to 1/64, so the pivots are those of
//! QR. The columns taken become orthonormal (CholeskyQR2), the others are projected, twice, on what these leave,
//! and the next stage goes on where this one had lost its digits. Each stage takes residual norms
//! down by a factor τ, some 10⁶ in f64 and 10² in f32, so two or three reach the rank decision.
//!
//! The rank ends where no column has a residual above `rank_tolerance` of the largest column.
//!
//! Cost for k of n columns of length d: d·n² flops for the first Gram matrix, n²k on the host, and 6dnk for
//! every stage after the first.

use super::basis::{project, settle};
use super::host::pivoted_cholesky;
use super::transfer::{gram_entries, upload};
use crate::{Backend, Mat, MatMut, Result, Scalar};

/// W P ≈ Q R.
pub(crate) struct Pivoted<T: Scalar, D: Backend<T>> {
    /// The columns taken, in order.
    pub(crate) pivots: Vec<usize>,
    /// Row i of R, over the columns of W in their own order, is column i.
    pub(crate) rows: faer::Mat<f64>,
    /// The columns of Q of the stages before the last.
    q: Mat<T, D>,
}

/// Factors W, which is overwritten and whose entries must be neither so large nor so small that their squares
/// leave the range of T.
pub(crate) fn pivoted_qr<T: Scalar, D: Backend<T>>(
    op: &'static str,
    w: MatMut<'_, T, D>,
    rank_tolerance: f64,
) -> Result<Pivoted<T, D>> {
    let (device, (d, n)) = (w.device(), w.shape());
    let limit = d.min(n);
    let mut found = Pivoted {
        pivots: Vec::new(),
        rows: faer::Mat::zeros(n, limit),
        q: Mat::scratch(device, d, 0)?,
    };
    // The square of the residual below which a column is dependent, known with the first Gram matrix.
    let mut cut = 0.0;
    let mut rest: Vec<usize> = (0..n).collect();
    let mut left: Mat<T, D>;
    let mut w = w;
    loop {
        let (r, known) = (rest.len(), found.pivots.len());
        let gram = gram_entries(w.as_ref())?;
        let largest = (0..r).map(|j| gram[j * r + j]).fold(0.0, f64::max);
        if known == 0 {
            cut = rank_tolerance * rank_tolerance * largest;
        }
        if largest <= cut {
            break;
        }
        let floor = cut.max(64.0 * (r as f64).sqrt() * T::UNIT_ROUNDOFF * largest);
        let factor = pivoted_cholesky(&gram, &vec![floor; r]);
        let mut taken = factor.pivots.len().min(limit - known);
        let last = taken == r || floor == cut || known + taken == limit;
        if last {
            for (i, row) in factor.rows.col_iter().take(taken).enumerate() {
                (0..r).for_each(|j| found.rows[(rest[j], known + i)] = row[j]);
            }
            found.take(&rest, &factor.pivots[..taken]);
            break;
        }
        let inverse = factor.inverse();
        let combination = factor.combination(&inverse, r, taken);
        let combination = upload(device, combination, (r, taken))?;
        if found.q.ncols() < known + taken {
            let mut larger = Mat::scratch(device, d, limit)?;
            let old = found.q.columns(0..known);
            device.axpby(T::one(), old, T::zero(), larger.as_mut().columns(0..known))?;
            found.q = larger;
        }
        let (before, new) = found.q.as_mut().columns(0..known + taken).split_at_col(known);
        let mut new = new;
        device.gemm(T::one(), w.as_ref(), combination.as_ref(), T::zero(), new.as_mut())?;
        taken = settle(op, before.as_ref(), new)?;
        for start in [known, 0] {
            let q = found.q.columns(start..known + taken);
            if let Some(coefficients) = project(q, w.as_mut())? {
                let coefficients = coefficients.to_vec()?;
                for (k, &c) in coefficients.iter().enumerate() {
                    found.rows[(rest[k % r], start + k / r)] += c.to_f64();
                }
            }
        }
        let pivots = &factor.pivots[..taken];
        found.take(&rest, pivots);
        let stay = others(r, pivots);
        rest = stay.iter().map(|&j| rest[j]).collect();
        let mut gathered = Mat::scratch(device, d, rest.len())?;
        device.gather_rows(&stay, w.as_ref().transpose(), gathered.as_mut().transpose())?;
        left = gathered;
        w = left.as_mut();
    }
    found.rows.truncate(n, found.pivots.len());
    Ok(found)
}

impl<T: Scalar, D: Backend<T>> Pivoted<T, D> {
    /// Takes the columns `pivots` of those that are left; R is upper triangular on the pivots.
    fn take(&mut self, rest: &[usize], pivots: &[usize]) {
        for &p in pivots {
            let (row, column) = (self.pivots.len(), rest[p]);
            (row + 1..self.rows.ncols()).for_each(|i| self.rows[(column, i)] = 0.0);
            self.pivots.push(column);
        }
    }

    /// The columns of W: those taken, in order, then the others as they stand.
    pub(crate) fn permutation(&self) -> Vec<usize> {
        let mut order = self.pivots.clone();
        order.extend(others(self.rows.nrows(), &self.pivots));
        order
    }
}

/// The numbers below `n` that are not among `taken`.
fn others(n: usize, taken: &[usize]) -> Vec<usize> {
    let mut free = vec![true; n];
    taken.iter().for_each(|&j| free[j] = false);
    (0..n).filter(|&j| free[j]).collect()
}
