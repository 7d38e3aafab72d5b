//! Row sampling on dense A: rows are moved and scaled by one factor.
//!
//! `(S·A)[i, :] = scale·A[π(i), :]` for the permutation π of the operator, so S·A gathers rows and
//! Sᵀ·Y scatters them. A window of columns leaves some rows of C without a counterpart.
//!
//! Cost: one read of the sampled rows and one pass over C; a panel of memory unless C is written
//! directly (β = 0 and every row of C sampled).

use super::Sketch;
use crate::random::{Permutation, Stream};
use crate::{Backend, Mat, MatMut, MatRef, Op, Result, Scalar};

/// Entries that are under way at once.
const PANEL_LEN: usize = 1 << 18;

/// `C ← α op(S) A + β C`.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: MatRef<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let (rows, cols) = positions(s);
    let (from, to) = if op == Op::NoTrans { (&cols, &rows) } else { (&rows, &cols) };
    let factor = T::from_f64(alpha.to_f64() * s.scale());
    if op == Op::NoTrans && beta == T::zero() && to.len() == c.nrows() {
        device.gather_rows(from, a, c.as_mut())?;
        return device.scale(factor, c);
    }
    // What has no counterpart is β C; what has is taken out, added to and put back.
    device.scale(beta, c.as_mut())?;
    let n = c.ncols();
    let step = (PANEL_LEN / n.max(1)).min(from.len()).max(1);
    let mut moved = Panel::new(&c, step)?;
    let mut old = Panel::new(&c, if beta == T::zero() { 0 } else { step })?;
    for (from, to) in from.chunks(step).zip(to.chunks(step)) {
        let mut moved = moved.rows(from.len());
        device.gather_rows(from, a, moved.as_mut())?;
        if beta == T::zero() {
            device.scale(factor, moved.as_mut())?;
        } else {
            let mut old = old.rows(to.len());
            device.gather_rows(to, c.as_ref(), old.as_mut())?;
            device.axpby(T::one(), old.as_ref(), factor, moved.as_mut())?;
        }
        device.scatter_rows(to, moved.as_ref(), c.as_mut())?;
    }
    Ok(())
}

/// The positions (i, j) of the nonzeros of the window, by row.
fn positions(s: &Sketch) -> (Vec<usize>, Vec<usize>) {
    let (rows, cols) = (s.row_range(), s.col_range());
    let sampled = Permutation::new(s.seed(), Stream::RowSampling, s.full_shape().1 as u64);
    rows.clone()
        .map(|i| (i - rows.start, sampled.get(i as u64) as usize))
        .filter(|(_, j)| cols.contains(j))
        .map(|(i, j)| (i, j - cols.start))
        .unzip()
}

/// Some rows of the width of C, stored in the order of C.
struct Panel<T: Scalar, D: Backend<T>> {
    memory: Mat<T, D>,
    by_rows: bool,
}

impl<T: Scalar, D: Backend<T>> Panel<T, D> {
    fn new(c: &MatMut<'_, T, D>, rows: usize) -> Result<Self> {
        let by_rows = c.col_stride() == 1;
        let (rows, cols) = if by_rows { (c.ncols(), rows) } else { (rows, c.ncols()) };
        Ok(Self { memory: Mat::zeros(c.device(), rows, cols)?, by_rows })
    }

    fn rows(&mut self, count: usize) -> MatMut<'_, T, D> {
        let memory = self.memory.as_mut();
        let rows = if self.by_rows { memory.transpose() } else { memory };
        rows.rows(0..count)
    }
}
