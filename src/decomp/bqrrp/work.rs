//! A factorization under way: blocks of columns taken from what is left of the matrix.

use super::panel::factor_panel;
use super::reflectors::{Products, Reflectors};
use super::selection::{Selection, select};
use super::{BqrrpParams, FactoredQr};
use crate::decomp::basis::scale_exactly;
use crate::decomp::estimate::{ErrorEstimate, ErrorKind, identity_floor};
use crate::decomp::exchange::Exchange;
use crate::decomp::finite_scale;
use crate::decomp::transfer::{download, upload_upper};
use crate::decomp::{Progress, Target};
use crate::operator::{column_squares, norm_fro};
use crate::{Backend, Mat, MatMut, MatRef, Op, Result, Scalar, Sketch, Uplo, scalar};

/// What is scaled so that squares stay inside of the range is A·2^-exponent.
pub(super) struct Work<'a, T: Scalar, D: Backend<T>> {
    params: &'a BqrrpParams,
    /// min(m, n), or the rank that was asked for.
    limit: usize,
    /// Columns a block.
    block: usize,
    /// V, and behind its columns and rows what is left of the matrix.
    w: Mat<T, D>,
    r: Mat<T, D>,
    /// The sketch of what is left, transposed: row j belongs to column j of W.
    sketch: Mat<T, D>,
    /// How many sketches were drawn, and whether the last one was not updated since.
    sketches: u64,
    fresh: bool,
    pivots: Vec<usize>,
    t: Vec<Mat<T, D>>,
    starts: Vec<usize>,
    signs: Vec<T>,
    /// Memory of one block: its columns, products with the rest, and columns on their way.
    panel: Mat<T, D>,
    products: Products<T, D>,
    moved: [Mat<T, D>; 2],
    exponent: i32,
    /// ‖A‖²_F, if there is a tolerance for the error.
    total: f64,
    /// ‖R‖²_F, likewise.
    explained: f64,
    /// Residuals up to here are dependent.
    cut: f64,
    /// ‖what is left‖_F, if it was measured.
    tail: Option<f64>,
}

impl<'a, T: Scalar, D: Backend<T>> Work<'a, T, D> {
    pub(super) fn start(
        op: &'static str,
        a: MatRef<'_, T, D>,
        params: &'a BqrrpParams,
    ) -> Result<Self> {
        let ((m, n), device) = (a.shape(), a.device());
        let limit = match params.target {
            Some(Target::Rank(rank)) => rank,
            _ => m.min(n).min(params.max_rank.unwrap_or(usize::MAX)),
        };
        let block = params.block_size.unwrap_or((n / 64).clamp(32, 128)).min(limit).max(1);
        let d = block + (block / 4).max(8);
        let mut sketch = Mat::scratch(device, n, d)?;
        draw(params, 0, a, sketch.as_mut())?;
        let (_, exponent) = finite_scale(op, &a, sketch.as_ref())?;
        let mut w = Mat::scratch(device, m, n)?;
        device.axpby(T::one(), a, T::zero(), w.as_mut())?;
        scale_exactly(&mut sketch.as_mut(), -exponent)?;
        scale_exactly(&mut w.as_mut(), -exponent)?;
        // Of the sketch, which has the norms of columns to some tenths, unless it is blind.
        let mut squares = column_squares(sketch.transpose(), 0)?;
        if squares.iter().all(|&x| x == 0.0) {
            squares = column_squares(w.as_ref(), 0)?;
        }
        let total = match params.target {
            Some(Target::Tolerance(_)) => norm_fro(w.as_ref())?.powi(2),
            _ => 0.0,
        };
        let rank_tolerance =
            params.rank_tolerance.unwrap_or(8.0 * T::UNIT_ROUNDOFF * (n as f64).sqrt());
        Ok(Self {
            params,
            limit,
            block,
            w,
            r: Mat::zeros(device, limit, n)?,
            sketch,
            sketches: 1,
            fresh: true,
            pivots: (0..n).collect(),
            t: Vec::new(),
            starts: vec![0],
            signs: Vec::new(),
            panel: Mat::scratch(device, m, block)?,
            products: Products::new(device, block, n)?,
            moved: [Mat::scratch(device, m.max(d), block)?, Mat::scratch(device, m.max(d), block)?],
            exponent,
            total,
            explained: 0.0,
            cut: rank_tolerance * squares.iter().copied().fold(0.0, f64::max).sqrt(),
            tail: None,
        })
    }

    fn tolerance(&self) -> Option<f64> {
        match self.params.target {
            Some(Target::Tolerance(tolerance)) => Some(tolerance),
            _ => None,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn rank(&self) -> usize {
        self.signs.len()
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        let error = self.tolerance().map(|_| {
            let left = (self.total - self.explained).max(0.0);
            if left == 0.0 { 0.0 } else { (left / self.total).sqrt() }
        });
        Progress { rank: self.rank(), passes: self.t.len(), error }
    }

    /// What is left of A.
    fn left(&self) -> MatRef<'_, T, D> {
        let (k, (m, n)) = (self.rank(), self.w.shape());
        self.w.columns(k..n).rows(k..m)
    }

    /// One block; whether there is more to come.
    pub(super) fn step(&mut self) -> Result<bool> {
        let width = self.block.min(self.limit - self.rank());
        let host = download(self.sketch.rows(self.rank()..self.sketch.nrows()))?;
        // A sketch is no exact measure, so columns a little below the rank tolerance are measured too.
        let selection = select(self.w.device(), host.as_ref(), width, 0.25 * self.cut);
        if self.take(&selection)? {
            return self.is_short_of_tolerance();
        }
        let squares = column_squares(self.left(), 0)?;
        let largest = (0..squares.len()).max_by(|&i, &j| squares[i].total_cmp(&squares[j]));
        let largest = largest.expect("columns are left below the limit");
        let norm = squares[largest].sqrt();
        if norm <= self.cut {
            self.tail = Some(squares.iter().sum::<f64>().sqrt());
            return Ok(false);
        }
        if self.fresh {
            let r = faer::Mat::from_fn(1, 1, |_, _| norm);
            return Ok(self.take(&Selection { pivots: vec![largest], r })?
                && self.is_short_of_tolerance()?);
        }
        let (k, (m, n)) = (self.rank(), self.w.shape());
        let left = self.w.columns(k..n).rows(k..m);
        draw(self.params, self.sketches, left, self.sketch.as_mut().rows(k..n))?;
        self.sketches += 1;
        self.fresh = true;
        Ok(true)
    }

    /// Factors the columns selected and applies their reflectors to the rest; false when none of them counts.
    fn take(&mut self, selection: &Selection) -> Result<bool> {
        if selection.pivots.is_empty() {
            return Ok(false);
        }
        let device = self.w.device().clone();
        let (one, k, (m, n)) = (T::one(), self.rank(), self.w.shape());
        let (width, columns) = (selection.pivots.len(), self.w.columns(k..n).rows(k..m));
        let mut a = self.panel.as_mut().rows(0..m - k).columns(0..width);
        device.gather_rows(&selection.pivots, columns.transpose(), a.as_mut().transpose())?;
        let panel = factor_panel(a.as_mut(), &selection.r, self.cut)?;
        let b = panel.signs.len();
        if b == 0 {
            return Ok(false);
        }
        let v = a.as_ref().columns(0..b);
        let (r, t) = (upload_upper(&device, &panel.r, 0)?, upload_upper(&device, &panel.t, 0)?);
        let signs: Vec<T> = panel.signs.iter().map(|&sign| T::from_f64(sign)).collect();

        let exchange = Exchange::new(&selection.pivots[..b]);
        exchange.apply_to_list(&mut self.pivots[k..]);
        let moved = &mut self.moved;
        exchange.make_room(self.w.as_mut().columns(k..n).rows(k..m).transpose(), &mut moved[0])?;
        exchange.apply(self.r.as_mut().columns(k..n).rows(0..k).transpose(), moved)?;
        exchange.apply(self.sketch.as_mut().rows(k..n), moved)?;

        let (own, rest) = self.w.as_mut().columns(k..n).rows(k..m).split_at_col(b);
        device.axpby(one, v, T::zero(), own)?;
        let (r_own, mut r_rest) = self.r.as_mut().rows(k..k + b).columns(k..n).split_at_col(b);
        device.axpby(one, r.as_ref(), T::zero(), r_own)?;
        if k + b < n {
            let products = self.products.of(v, t.transpose(), rest.as_ref())?;
            let (head, below) = rest.split_at_row(b);
            device.axpby(one, head.as_ref(), T::zero(), r_rest.as_mut())?;
            device.gemm(-one, v.rows(0..b), products, one, r_rest.as_mut())?;
            device.scale_columns(&signs, r_rest.as_mut().transpose())?;
            device.gemm(-one, v.rows(b..m - k), products, one, below)?;
            // S·A₂ − (S·A₁)·R₁₁⁻¹·R₁₂.
            let (own, rest) = self.sketch.as_mut().rows(k..n).split_at_row(b);
            let mut own = own.transpose();
            device.trsm_right(Uplo::Upper, Op::NoTrans, r.as_ref(), own.as_mut())?;
            device.gemm(-one, r_rest.as_ref().transpose(), own.as_ref().transpose(), one, rest)?;
        }
        if self.tolerance().is_some() {
            self.explained += device.sum_of_squares(self.r.rows(k..k + b), 0)?;
        }
        self.signs.extend(signs);
        self.t.push(t);
        self.starts.push(self.rank());
        (self.fresh, self.tail) = (false, None);
        Ok(true)
    }

    /// Whether the error is above the tolerance, if there is one. By the identity, as long as that has digits.
    fn is_short_of_tolerance(&mut self) -> Result<bool> {
        let Some(tolerance) = self.tolerance() else { return Ok(true) };
        let doubtful = 1.1 * tolerance.max(identity_floor::<T>()).powi(2);
        if self.total - self.explained > doubtful * self.total {
            return Ok(true);
        }
        let tail = norm_fro(self.left())?;
        self.tail = Some(tail);
        Ok(tail > tolerance * self.total.sqrt())
    }

    pub(super) fn finish(mut self) -> Result<FactoredQr<T, D>> {
        let (m, n) = self.w.shape();
        let mut tail = match self.tail {
            _ if self.rank() == m.min(n) => 0.0,
            Some(tail) => tail,
            None => norm_fro(self.left())?,
        };
        let allowed = self.tolerance().map(|tolerance| tolerance * self.total.sqrt());
        if let (Some(allowed), true) = (allowed, self.rank() > 0) {
            let last = self.t.pop().expect("columns are in blocks");
            let start = self.starts[self.t.len()];
            let squares = column_squares(self.r.rows(start..self.rank()).transpose(), 0)?;
            let mut kept = squares.len();
            while kept > 0 && tail.hypot(squares[kept - 1].sqrt()) <= allowed {
                kept -= 1;
                tail = tail.hypot(squares[kept].sqrt());
            }
            self.signs.truncate(start + kept);
            if kept > 0 {
                self.starts[self.t.len() + 1] = start + kept;
                self.t.push(last.columns(0..kept).rows(0..kept).to_owned()?);
            } else {
                self.starts.pop();
            }
        }
        let k = self.rank();
        let (mut r, mut v) = (self.r.truncate_rows(k), self.w.truncate_columns(k));
        if 2 * k < m.min(n) {
            // Most of the memory is not needed any more.
            (r, v) = (r.try_clone()?, v.try_clone()?);
        }
        // ‖A‖² = ‖R‖² + ‖what is left‖².
        let relative = if tail == 0.0 { 0.0 } else { tail / tail.hypot(norm_fro(r.as_ref())?) };
        scale_exactly(&mut r.as_mut(), self.exponent)?;
        let error = ErrorEstimate {
            absolute: scalar::scale_by_power(tail, self.exponent),
            relative,
            kind: ErrorKind::Residual,
        };
        let reflectors = Reflectors::new(v, self.t, self.starts, self.signs);
        Ok(FactoredQr { reflectors, r, pivots: self.pivots, error })
    }
}

/// `S A`, transposed, for the sketch number `count` of a factorization.
fn draw<T: Scalar, D: Backend<T>>(
    params: &BqrrpParams,
    count: u64,
    a: MatRef<'_, T, D>,
    to: MatMut<'_, T, D>,
) -> Result<()> {
    let d = to.ncols();
    let seed = params.seed.wrapping_add(count);
    let sketch = Sketch::sparse_stack(d, a.nrows(), params.nnz.min(d), seed)?;
    sketch.apply_into(T::one(), a, T::zero(), to.transpose())
}
