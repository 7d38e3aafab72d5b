//! Products of lists with dense matrices: `gather` of `cuda/sparse.cuh`.
//!
//! Lanes lie along the columns of B and C. Where these are not the fast direction, panels of columns
//! are copied by 32×32 tiles: panels that the level-2 cache still holds when they are read, where these
//! have 8 columns; else of [`PANEL_BYTES`], or of 8 columns of very long matrices.

use super::super::launch::{Module, Shape, View, arg, launch};
use super::super::{Cuda, CudaScalar, blas, dense, lanes_along_columns};
use super::{Factor, THREADS, in_parts, parts};
use crate::{Blas, Mat, MatMut, MatRef, Result, Storage};

/// Columns of C of a lane.
const ACROSS: usize = 4;
/// The most bytes of a copied panel, and the columns that it has at least: enough for whole sectors of 32
/// bytes, so a copy has the larger of the two. The lists are read once a panel: 12 or 16 bytes for each entry,
/// beside 32 or 64 of B.
const PANEL_BYTES: usize = 128 << 20;
const LEAST_COLUMNS: usize = 8;

/// `C ← α X B + β C`, B and C dense.
pub(in crate::device::cuda) fn times_dense<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    mut c: MatMut<'_, T, Cuda>,
) -> Result<()>
where
    Cuda: Blas<T>,
{
    let (rows, n) = c.shape();
    if alpha == T::zero() || x.entries == 0 || b.is_empty() || c.is_empty() {
        return cuda.scale(beta, c);
    }
    let copies = !lanes_along_columns(b) || !lanes_along_columns(c.as_ref());
    let width = match copies {
        true => panel_width::<T>(panel_bytes(cuda), rows.max(b.nrows()), n),
        false => n,
    };
    for start in (0..n).step_by(width) {
        let panel = start..n.min(start + width);
        let b = b.columns(panel.clone());
        let copy = dense::by_rows(cuda, b)?;
        let b = copy.as_ref().map_or(b, |copy| copy.as_ref().transpose());
        let c = c.as_mut().columns(panel.clone());
        if lanes_along_columns(c.as_ref()) {
            gather(cuda, alpha, x, b, beta, c)?;
        } else {
            let mut sums = Mat::packed(cuda, panel.len(), rows)?;
            gather(cuda, alpha, x, b, T::zero(), sums.as_mut().transpose())?;
            blas::axpby(cuda, T::one(), sums.as_ref().transpose(), beta, c)?;
        }
    }
    Ok(())
}

/// Bytes of a copied panel that should stay in the cache, beside what else passes through it.
pub(in crate::device::cuda) fn panel_bytes(cuda: &Cuda) -> usize {
    cuda.context().l2_bytes / 2
}

/// Columns of a panel of `rows` rows of a matrix of n ≥ 1 columns: as many as `bytes` hold, or if these are
/// fewer than 8, [`PANEL_BYTES`].
pub(in crate::device::cuda) fn panel_width<T>(bytes: usize, rows: usize, n: usize) -> usize {
    let fitting = |bytes: usize| bytes.min(PANEL_BYTES) / size_of::<T>() / rows.max(1);
    let width = match fitting(bytes) {
        width if width >= LEAST_COLUMNS => width,
        _ => fitting(PANEL_BYTES),
    };
    (width - width % LEAST_COLUMNS).max(LEAST_COLUMNS).min(n)
}

/// How `gather` is laid over C, by shapes only.
pub(in crate::device::cuda) struct Gather {
    x: Factor,
    rows: usize,
    cols: usize,
    /// Logarithms of the lanes along the columns, and of those that share a list.
    wide: u32,
    split: u32,
    parts: usize,
}

impl Gather {
    /// For a C of this shape.
    pub(in crate::device::cuda) fn new(x: Factor, (rows, cols): (usize, usize)) -> Self {
        // Eight lanes read whole sectors; more where there are columns for all of them.
        let lanes = if cols <= 8 { cols } else { cols.div_ceil(ACROSS).max(8) };
        let wide = lanes.next_power_of_two().ilog2().min(5);
        let split = (x.entries / rows).max(1).ilog2().min(5 - wide);
        let one = Self { x, rows, cols, wide, split, parts: 1 };
        Self { parts: parts(one.work(), (x.entries / rows) >> split, (rows, cols)), ..one }
    }

    /// Into how many parts lists are cut.
    pub(in crate::device::cuda) fn parts(&self) -> usize {
        self.parts
    }

    /// Warps that the work is for.
    fn work(&self) -> usize {
        let lines = self.rows * self.parts;
        lines.div_ceil(32 >> (self.wide + self.split)) * self.cols.div_ceil(ACROSS << self.wide)
    }

    /// `C ← α X B + β C`, by the kernel `name` for the types of B and C.
    #[allow(clippy::too_many_arguments)]
    pub(in crate::device::cuda) fn run<T: CudaScalar, S: Storage<Compute = T>>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: MatRef<'_, S, Cuda>,
        beta: T,
        c: MatMut<'_, T, Cuda>,
    ) -> Result<()> {
        in_parts(cuda, self.parts, alpha, beta, c, |alpha, beta, c| {
            self.launch_on(cuda, module, name, alpha, View::of(b), beta, c)
        })
    }

    /// The same for lists in one part, C stored in any type.
    #[allow(clippy::too_many_arguments)]
    pub(in crate::device::cuda) fn launch<T: CudaScalar, S: Storage<Compute = T>>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: MatRef<'_, S, Cuda>,
        beta: T,
        mut c: MatMut<'_, S, Cuda>,
    ) -> Result<()> {
        assert!(self.parts == 1, "lists in parts");
        self.launch_on(cuda, module, name, alpha, View::of(b), beta, View::of_mut(&mut c))
    }

    #[allow(clippy::too_many_arguments)]
    fn launch_on<T: CudaScalar>(
        &self,
        cuda: &Cuda,
        module: &Module,
        name: &'static str,
        alpha: T,
        b: View,
        beta: T,
        c: View,
    ) -> Result<()> {
        let shape = Shape::over(cuda, self.work(), THREADS as usize / 32, THREADS);
        let (m, n, cuts) = (self.rows as i64, self.cols as i64, self.parts.ilog2());
        let arguments = &mut [
            arg(&alpha),
            arg(&self.x.lists),
            arg(&b),
            arg(&beta),
            arg(&c),
            arg(&m),
            arg(&cuts),
            arg(&n),
            arg(&self.wide),
            arg(&self.split),
        ];
        // SAFETY: the parameters of the kernel; the lists name rows of B and are as many as rows of
        // C, which has that many rows a part.
        unsafe { launch(cuda, module, name, shape, arguments) }
    }
}

fn gather<T: CudaScalar>(
    cuda: &Cuda,
    alpha: T,
    x: Factor,
    b: MatRef<'_, T, Cuda>,
    beta: T,
    c: MatMut<'_, T, Cuda>,
) -> Result<()> {
    let name = T::kernel(match x.signs {
        true => ["gather_signs_f32", "gather_signs_f64"],
        false => ["gather_stored_f32", "gather_stored_f64"],
    });
    Gather::new(x, c.shape()).run(cuda, &cuda.gpu.sparse, name, alpha, b, beta, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_bounded() {
        for cache in [1 << 19, 25 << 20, 1 << 30] {
            for rows in [0, 1, 7, 1000, 1 << 17, (1 << 20) + 1, 1 << 24, 1 << 40] {
                for n in [1, 5, 8, 31, 128, 1000, 1 << 20] {
                    let width = panel_width::<f64>(cache, rows, n);
                    let bytes = rows.max(1).saturating_mul(8);
                    let limit = match bytes.saturating_mul(8) <= cache {
                        true => cache.min(PANEL_BYTES),
                        false => PANEL_BYTES,
                    };
                    let case = format!("{cache} {rows} {n}");
                    assert!(1 <= width && width <= n, "{case}");
                    assert!(width <= 8 || width * bytes <= limit, "{case}");
                    // No narrower than need be.
                    let full = width >= 8 && (width + 8) * bytes > limit;
                    assert!(width == n || full, "{case}");
                }
            }
        }
    }
}
