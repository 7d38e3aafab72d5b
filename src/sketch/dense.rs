//! Dense families: panels of S are generated next to the product that consumes them, so S is
//! never stored.
//!
//! A panel holds [`SketchKernels::panel_len`] entries, or 8 rows or columns of S if these are more and A is sparse,
//! whatever the number of threads: sums are cut at the same columns everywhere. Cost of S·A: 2dmn flops plus the generation of dm entries; the
//! extra memory is one panel, and a copy of A where the device multiplies by A in CSR from the left by
//! turning it ([`SparseKernels::turned`](crate::SparseKernels::turned)).
//!
//! [`SketchKernels::panel_len`]: crate::SketchKernels::panel_len

use super::Sketch;
use crate::{Backend, Mat, MatMut, MatRef, Op, Operand, Result, Scalar};
use core::ops::Range;

/// Columns a panel has at least, so that the product has an inner dimension to work with.
const LEAST_PANEL: usize = 128;
/// Rows or columns that a panel for sparse A has at least: all of A is read for each panel.
const LEAST_LINES: usize = 8;

/// How many of `lines` rows or columns of `len` entries, which cannot be cut, a panel of `most` entries has.
fn lines_of_panel(most: usize, len: usize, lines: usize) -> usize {
    (most / len).max(LEAST_LINES).min(lines)
}

/// `C ← α op(S) A + β C`.
pub(super) fn times<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    match a {
        Operand::Dense(a) if a.ncols() <= device.fused_columns() => {
            device.fill_times(s, op, alpha, a, beta, c)
        }
        _ => {
            let fill = |s: &Sketch, b: MatMut<'_, T, D>| device.fill(s, T::one(), b);
            times_panels(s, op, alpha, a, beta, c, &fill)
        }
    }
}

/// The same by panels of S, made by `fill` from windows of the raw operator.
pub(super) fn times_panels<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
    fill: &impl Fn(&Sketch, MatMut<'_, T, D>) -> Result<()>,
) -> Result<()> {
    if let Operand::Csr(x) = a
        && let Some(turned) = c.device().turned(x)?
    {
        // Once, and not once a panel.
        let a = Operand::Csc(turned.as_ref().transpose());
        return times_panels(s, op, alpha, a, beta, c, fill);
    }
    match a {
        // A·x in CSC needs all columns of S for each column of A: panels of rows serve it.
        Operand::Csc(_) if op == Op::NoTrans => by_row_panels(s, alpha, a, beta, c, fill),
        _ => by_column_panels(s, op, alpha, a, beta, c, fill),
    }
}

fn by_column_panels<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
    fill: &impl Fn(&Sketch, MatMut<'_, T, D>) -> Result<()>,
) -> Result<()> {
    let device = c.device();
    let (d, m) = s.shape();
    let alpha = alpha * T::from_f64(s.scale());
    // Sparse A, and CSC at that, cannot be cut by rows: all rows of S stay in a panel.
    let height = match a {
        Operand::Dense(_) => d.min((device.panel_len() / LEAST_PANEL).max(1)),
        _ => d,
    };
    let width = lines_of_panel(device.panel_len(), height, m);
    let mut panel = Panel::new(device, height, width)?;
    for cols in blocks(m, width) {
        for rows in blocks(d, height) {
            let p = panel.fill(&s.raw().rows(rows.clone()).columns(cols.clone()), fill)?;
            match op {
                Op::NoTrans => {
                    let beta = if cols.start == 0 { beta } else { T::one() };
                    let c = c.as_mut().rows(rows);
                    explicit_times(p, op, alpha, rows_of(a, cols.clone()), beta, c)?;
                }
                Op::Trans => {
                    let beta = if rows.start == 0 { beta } else { T::one() };
                    let c = c.as_mut().rows(cols.clone());
                    let a = if height == d { a } else { rows_of(a, rows) };
                    explicit_times(p, op, alpha, a, beta, c)?;
                }
            }
        }
    }
    Ok(())
}

fn by_row_panels<T: Scalar, D: Backend<T>>(
    s: &Sketch,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    mut c: MatMut<'_, T, D>,
    fill: &impl Fn(&Sketch, MatMut<'_, T, D>) -> Result<()>,
) -> Result<()> {
    let device = c.device();
    let (d, m) = s.shape();
    let alpha = alpha * T::from_f64(s.scale());
    let height = lines_of_panel(device.panel_len(), m, d);
    let mut panel = Panel::new(device, height, m)?;
    for rows in blocks(d, height) {
        let p = panel.fill(&s.raw().rows(rows.clone()), fill)?;
        explicit_times(p, Op::NoTrans, alpha, a, beta, c.as_mut().rows(rows))?;
    }
    Ok(())
}

/// `C ← α op(S) A + β C` for a stored S.
pub(super) fn explicit_times<T: Scalar, D: Backend<T>>(
    s: MatRef<'_, T, D>,
    op: Op,
    alpha: T,
    a: Operand<'_, T, D>,
    beta: T,
    c: MatMut<'_, T, D>,
) -> Result<()> {
    let device = c.device();
    let s = if op == Op::Trans { s.transpose() } else { s };
    match a {
        Operand::Dense(a) => device.gemm(alpha, s, a, beta, c),
        // S·A = (Aᵀ·Sᵀ)ᵀ, with Aᵀ = X of CSR or of CSC.
        Operand::Csr(x) => device.spmm(alpha, x, Op::Trans, s.transpose(), beta, c.transpose()),
        Operand::Csc(a) => {
            let x = a.transpose();
            device.spmm(alpha, x, Op::NoTrans, s.transpose(), beta, c.transpose())
        }
    }
}

/// Rows `range` of a matrix that is not CSC.
fn rows_of<T: Scalar, D: Backend<T>>(
    a: Operand<'_, T, D>,
    range: Range<usize>,
) -> Operand<'_, T, D> {
    match a {
        Operand::Dense(a) => Operand::Dense(a.rows(range)),
        Operand::Csr(a) => Operand::Csr(a.rows(range)),
        Operand::Csc(_) => unreachable!("CSC is never cut by rows"),
    }
}

/// `0..len` in blocks of `step`.
fn blocks(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step.max(1)).map(move |start| start..len.min(start + step))
}

/// Memory for a panel of S.
struct Panel<T: Scalar, D: Backend<T>> {
    memory: Mat<T, D>,
}

impl<T: Scalar, D: Backend<T>> Panel<T, D> {
    fn new(device: &D, height: usize, width: usize) -> Result<Self> {
        Ok(Self { memory: Mat::scratch(device, height, width)? })
    }

    /// The entries of `s`, which is no larger than the panel.
    fn fill(
        &mut self,
        s: &Sketch,
        fill: &impl Fn(&Sketch, MatMut<'_, T, D>) -> Result<()>,
    ) -> Result<MatRef<'_, T, D>> {
        fill(s, self.memory.as_mut().rows(0..s.nrows()).columns(0..s.ncols()))?;
        Ok(self.memory.rows(0..s.nrows()).columns(0..s.ncols()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_not_narrower_than_eight_lines() {
        let most = 1 << 20;
        for (len, lines, expected) in [
            (1, 5, 5),
            (1, 1 << 30, most),
            (most / 100, 1000, 100),
            (most / 9, 1000, 9),
            (most / 8, 1000, 8),
            (most / 7, 1000, 8),
            (most, 1000, 8),
            (most + 1, 1000, 8),
            (1 << 40, 1000, 8),
            (1 << 40, 3, 3),
        ] {
            assert_eq!(lines_of_panel(most, len, lines), expected, "{lines} lines of {len}");
        }
    }
}
