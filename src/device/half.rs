//! Kernels of half-precision storage: matrices of [`Half`] numbers, everything computed in `f32`.
//!
//! `C ← round(α op(S) A + β C)`: products and sums are those of `f32`, and an entry of C is rounded
//! once. S of a dense family holds the raw entries of `f32` rounded to the storage type; its factor
//! is a part of α.
//!
//! A device must convert. The rest has a way that only converts: panels of A are widened, given to
//! the kernels of `f32`, and what they leave is narrowed. A panel of [`WIDE_LEN`] entries stays in the
//! last cache, so memory is met by halves only. A device that multiplies halves itself does better.

use super::{Backend, Blas, Device, Op};
use crate::{CsrRef, Half, Mat, MatMut, MatRef, Result, Scalar, Sketch, Storage};
use core::ops::Range;

/// Entries of a widened panel, and of the sums that belong to it: 16 MiB each.
const WIDE_LEN: usize = 1 << 22;
/// Rows of the sums of a product with a dense operator, and its inner length, at least.
const LEAST_ROWS: usize = 512;
const LEAST_INNER: usize = 256;

/// What can be done with a matrix in any storage type without computing.
pub trait StorageKernels<T: Storage>: Device {
    /// `B ← A`, any strides.
    fn copy(&self, a: MatRef<'_, T, Self>, b: MatMut<'_, T, Self>) -> Result<()>;

    /// `C ← β C`; zeros when β = 0, whatever C held.
    fn rescale(&self, beta: T::Compute, c: MatMut<'_, T, Self>) -> Result<()>;
}

impl<T: Scalar, D: Blas<T>> StorageKernels<T> for D {
    fn copy(&self, a: MatRef<'_, T, Self>, b: MatMut<'_, T, Self>) -> Result<()> {
        self.axpby(T::one(), a, T::zero(), b)
    }

    fn rescale(&self, beta: T, c: MatMut<'_, T, Self>) -> Result<()> {
        self.scale(beta, c)
    }
}

/// Operators on matrices that are stored in halves.
pub trait HalfKernels<H: Half>: Backend<f32> + StorageKernels<H> {
    /// `B ← A`, exactly.
    fn widen(&self, a: MatRef<'_, H, Self>, b: MatMut<'_, f32, Self>) -> Result<()>;

    /// `C ← round(α X + β C)`, ties to even.
    fn narrow(
        &self,
        alpha: f32,
        x: MatRef<'_, f32, Self>,
        beta: f32,
        c: MatMut<'_, H, Self>,
    ) -> Result<()>;

    /// `B ←` the raw entries of a dense family as the storage type has them.
    fn fill_rounded(&self, s: &Sketch, mut b: MatMut<'_, f32, Self>) -> Result<()> {
        self.fill(&s.raw(), 1.0, b.as_mut())?;
        let mut rounded = Mat::<H, Self>::scratch(self, b.nrows(), b.ncols())?;
        self.narrow(1.0, b.as_ref(), 0.0, rounded.as_mut())?;
        self.widen(rounded.as_ref(), b)
    }

    /// `X ← op(S) A + β X` for a window of a raw dense operator that is no larger than a panel
    /// ([`SketchKernels::panel_len`](crate::SketchKernels::panel_len)).
    fn panel_times_half(
        &self,
        s: &Sketch,
        op: Op,
        a: MatRef<'_, H, Self>,
        beta: f32,
        x: MatMut<'_, f32, Self>,
    ) -> Result<()> {
        let mut panel = Mat::<f32, Self>::scratch(self, s.nrows(), s.ncols())?;
        self.fill_rounded(s, panel.as_mut())?;
        let mut wide = like(self, a)?;
        self.widen(a, wide.as_mut())?;
        let panel = if op == Op::Trans { panel.transpose() } else { panel.as_ref() };
        self.gemm(1.0, panel, wide.as_ref(), beta, x)
    }

    /// `C ← α op(S) A + β C` for a dense family; nothing is empty and α is not zero.
    fn fill_times_half(
        &self,
        s: &Sketch,
        op: Op,
        alpha: f32,
        a: MatRef<'_, H, Self>,
        beta: f32,
        c: MatMut<'_, H, Self>,
    ) -> Result<()> {
        by_panels(self, s, op, alpha, a, beta, c)
    }

    /// `C ← α op(S) A + β C` for a column-sparse family with the `indices` of S; nothing is empty
    /// and α is not zero.
    #[allow(clippy::too_many_arguments)]
    fn sparse_times_half(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        op: Op,
        alpha: f32,
        a: MatRef<'_, H, Self>,
        beta: f32,
        c: MatMut<'_, H, Self>,
    ) -> Result<()> {
        let alpha = scaled(alpha, s);
        let times = |a: MatRef<'_, f32, Self>, x: MatMut<'_, f32, Self>| {
            self.sparse_times(&s.raw(), indices, op, 1.0, a, 0.0, x)
        };
        by_columns(self, alpha, a, beta, c, times)
    }

    /// `X ← S A + β X` for a window of a raw column-sparse operator with its `indices`: sums of `f32` that
    /// other windows add to. Nothing is empty.
    fn sparse_sums_half(
        &self,
        s: &Sketch,
        indices: &Self::Indices,
        a: MatRef<'_, H, Self>,
        beta: f32,
        mut x: MatMut<'_, f32, Self>,
    ) -> Result<()> {
        let n = x.ncols();
        let width = (WIDE_LEN / a.nrows()).clamp(1, n);
        let mut wide = like(self, a.columns(0..width))?;
        for cols in blocks(n, width) {
            let mut wide = wide.as_mut().columns(0..cols.len());
            self.widen(a.columns(cols.clone()), wide.as_mut())?;
            let x = x.as_mut().columns(cols);
            self.sparse_times(s, indices, Op::NoTrans, 1.0, wide.as_ref(), beta, x)?;
        }
        Ok(())
    }

    /// `C ← α S A + β C` for a BlockPerm-SJLT on a device that makes its positions
    /// ([`SketchKernels::makes_positions`](crate::SketchKernels::makes_positions)); nothing is empty and α is
    /// not zero.
    fn block_perm_times_half(
        &self,
        s: &Sketch,
        alpha: f32,
        a: MatRef<'_, H, Self>,
        beta: f32,
        c: MatMut<'_, H, Self>,
    ) -> Result<()> {
        let times = |a: MatRef<'_, f32, Self>, x: MatMut<'_, f32, Self>| {
            self.block_perm_times(&s.raw(), 1.0, a, 0.0, x)
        };
        by_columns(self, scaled(alpha, s), a, beta, c, times)
    }

    /// `C ← α X B + β C`, X in compressed sparse rows; nothing is empty and α is not zero.
    fn spmm_half(
        &self,
        alpha: f32,
        x: CsrRef<'_, f32, Self>,
        b: MatRef<'_, H, Self>,
        beta: f32,
        c: MatMut<'_, H, Self>,
    ) -> Result<()> {
        by_columns(self, alpha, b, beta, c, |b, sums| self.spmm(1.0, x, Op::NoTrans, b, 0.0, sums))
    }
}

/// α with the factor of the operator, rounded once.
pub(crate) fn scaled(alpha: f32, s: &Sketch) -> f32 {
    (f64::from(alpha) * s.scale()) as f32
}

/// Memory of the shape of `a` that runs in the same direction.
pub(crate) fn like<T: Storage, D: Device>(device: &D, a: MatRef<'_, T, D>) -> Result<Mat<f32, D>> {
    if a.row_stride().unsigned_abs() <= a.col_stride().unsigned_abs() {
        Mat::scratch(device, a.nrows(), a.ncols())
    } else {
        Ok(Mat::scratch(device, a.ncols(), a.nrows())?.into_transposed())
    }
}

/// `C ← α F(A) + β C` for an F of `f32` that takes the columns of A one by one.
pub(crate) fn by_columns<H: Half, D: HalfKernels<H>>(
    device: &D,
    alpha: f32,
    a: MatRef<'_, H, D>,
    beta: f32,
    mut c: MatMut<'_, H, D>,
    times: impl Fn(MatRef<'_, f32, D>, MatMut<'_, f32, D>) -> Result<()>,
) -> Result<()> {
    let n = c.ncols();
    let width = (WIDE_LEN / a.nrows().max(c.nrows()).max(1)).clamp(1, n.max(1));
    let mut wide = like(device, a.columns(0..width))?;
    let mut sums = like(device, c.as_ref().columns(0..width))?;
    for cols in blocks(n, width) {
        let mut wide = wide.as_mut().columns(0..cols.len());
        let mut sums = sums.as_mut().columns(0..cols.len());
        device.widen(a.columns(cols.clone()), wide.as_mut())?;
        times(wide.as_ref(), sums.as_mut())?;
        device.narrow(alpha, sums.as_ref(), beta, c.as_mut().columns(cols))?;
    }
    Ok(())
}

/// `C ← α op(S) A + β C` for a dense family: sums of some rows and columns of C in `f32`, to which
/// panels of S add, each generated once for all the columns. Panels depend on shapes only.
pub(crate) fn by_panels<H: Half, D: HalfKernels<H>>(
    device: &D,
    s: &Sketch,
    op: Op,
    alpha: f32,
    a: MatRef<'_, H, D>,
    beta: f32,
    mut c: MatMut<'_, H, D>,
) -> Result<()> {
    let (alpha, s) = (scaled(alpha, s), s.raw());
    let ((outer, n), inner) = (c.shape(), a.nrows());
    let most = (device.panel_len() / LEAST_INNER).max(1);
    let height = (WIDE_LEN / n).max(LEAST_ROWS).min(most).min(outer);
    let width = (WIDE_LEN / height).clamp(1, n);
    let depth = (device.panel_len() / height).min((WIDE_LEN / width).max(LEAST_INNER));
    let mut sums = like(device, c.as_ref().rows(0..height).columns(0..width))?;
    for cols in blocks(n, width) {
        for rows in blocks(outer, height) {
            let mut sums = sums.as_mut().rows(0..rows.len()).columns(0..cols.len());
            for part in blocks(inner, depth) {
                let window = match op {
                    Op::NoTrans => s.rows(rows.clone()).columns(part.clone()),
                    Op::Trans => s.rows(part.clone()).columns(rows.clone()),
                };
                let old = if part.start == 0 { 0.0 } else { 1.0 };
                let a = a.rows(part).columns(cols.clone());
                device.panel_times_half(&window, op, a, old, sums.as_mut())?;
            }
            let c = c.as_mut().rows(rows).columns(cols.clone());
            device.narrow(alpha, sums.as_ref(), beta, c)?;
        }
    }
    Ok(())
}

/// `0..len` in blocks of `step`.
fn blocks(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step.max(1)).map(move |start| start..len.min(start + step))
}
